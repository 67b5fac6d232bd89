/* SPDX-License-Identifier: MIT */
/*
 * What the files of kernel/mm tell each other about physical memory.
 */
#ifndef VELLUM_MM_MEMORY_H
#define VELLUM_MM_MEMORY_H

#include <vellum/thread.h>
#include <vellum/page.h>

/* ---- boot_memory.c ---------------------------------------------------------------------------- */

struct boot_range {
    paddr_t start, end;
};

/* The first range of free memory that begins at or after `from`, cut off below it. Returns false if
 * there is none. => before the frame allocator has taken over */
bool boot_memory_free_range(paddr_t from, struct boot_range *range);

/* ---- frames.c --------------------------------------------------------------------------------- */

#define FRAME_STACK 64
#define LRU_SLOTS   16

/* Frames of one mobility: see mobility_wanted(), mobility_used(). */
struct frame_stack {
    unsigned count;                   /* [c] read by others as a hint */
    struct page *frames[FRAME_STACK]; /* [c] */
};

/* A processor's own free frames; and its new pages, on their way to the LRU lists. */
struct frame_cache {
    unsigned high;  /* [i] frames in a stack at most */
    long anonymous; /* [c] anonymous frames: allocated minus freed here; the sum over CPUs counts */
    struct frame_stack stacks[MOBILITIES];
    unsigned lru_count;                /* [c] slots filled since they were emptied last */
    struct page *lru_slots[LRU_SLOTS]; /* [c] to fill, [lru lock] to empty: lru.c */
};
/* [c] this CPU, interrupts off; `anonymous` is not touched by interrupts: preemption off is enough */

/* Give the frames of [start, end), reserved until now, to the allocator. */
void frames_give(paddr_t start, paddr_t end);
/* Those of them that are reserved still. */
void frames_give_reserved(paddr_t start, paddr_t end);
/* Compaction: take about n free frames out of the allocator, those of blocks in [*next, end) that are
 * smaller than a huge page, in movable sections; *next goes on behind them. What is short stays. They are in no state but
 * linked into `taken`; returns how many. */
unsigned frames_take_free(pfn_t *next, pfn_t end, unsigned n, struct list *taken);
/* The first of them becomes a frame like one that page_alloc() returns. */
struct page *frames_use_taken(struct list *taken);
/* The others go back. */
void frames_return_taken(struct list *taken);
/* frames_drain_all() for this processor alone. */
void frames_drain_here(void);
struct watermarks;
/* Where kswapd is woken, and where requests of user space stop. */
void frames_set_watermarks(const struct watermarks *marks);
/* Free frames without those that processors keep for themselves. */
u64 frames_in_buddy(void);
/* Does the frame allocator work yet? */
extern bool frames_ready;

/* n more (or fewer) frames have become anonymous memory. => preemption off */
static inline void frames_count_anonymous(long n)
{
    ((struct frame_cache *)this_cpu()->frame_cache)->anonymous += n;
}

/* ---- lru.c ------------------------------------------------------------------------------------ */

void lru_empty_batch(struct frame_cache *cache);

/* A new page, whose flags are set, PG_ON_LRU and PG_LRU_PENDING included. => preemption off */
static inline void lru_push(struct page *page)
{
    struct frame_cache *cache = this_cpu()->frame_cache;
    struct page **slot = &cache->lru_slots[cache->lru_count];

    page->link.next = (struct list *)slot;
    smp_store_release(slot, page);
    if (unlikely(++cache->lru_count == LRU_SLOTS))
        lru_empty_batch(cache);
}

/* Pages whose last reference is gone leave their lists. => interrupts off */
void lru_lock_for_free(void);
void lru_forget(struct page *page); /* PG_ON_LRU is set */
void lru_unlock_for_free(void);
void lru_init(void);

/* ---- vmap.c ----------------------------------------------------------------------------------- */

/* Free what is kept of areas that are no more. => may sleep */
void vmap_purge(void);

/* ---- page_lock.c ------------------------------------------------------------------------------ */

void page_lock_init(void);

/* ---- object_cache.c --------------------------------------------------------------------------- */

struct object_cache;

/* Stacks of free objects for all processors that have been found. => see memory_smp_init() */
void object_caches_smp_init(void);
/* The cache that an object comes from, and the size of its objects, as it was asked for. */
struct object_cache *object_cache_of(const void *object);
size_t object_cache_size(const struct object_cache *cache);
const char *object_cache_name(const struct object_cache *cache);
/* The caches of kmalloc(), before anything else is allocated. */
void kmalloc_init(void);

/* ---- kernel/debug/objects.c: misuse of memory, found in debug builds ----------------------------- */

#ifdef VELLUM_DEBUG
/* Bytes that an object of a cache needs behind it. In what follows, `size` includes them. */
size_t object_debug_room(void);
void object_debug_create(void *object, size_t size); /* of a fresh slab */
void object_debug_allocate(void *object, size_t size, size_t used, vaddr_t by);
void object_debug_resize(void *object, size_t size, size_t used, vaddr_t by);
void object_debug_free(void *object, size_t size, vaddr_t by);
/* The object, kmalloc()'s for `by`, may be used up to here alone. */
void object_set_used(struct object_cache *cache, void *object, size_t used, vaddr_t by);
/* A frame is about to be free; has been allocated. */
void frame_debug_free(struct page *page);
void frame_debug_allocate(struct page *page);
#else
#define object_debug_room()                        0
#define object_debug_create(object, size)          ((void)0)
#define object_debug_allocate(object, size, n, by) ((void)0)
#define object_debug_free(object, size, by)        ((void)0)
#define object_set_used(cache, object, n, by)      ((void)0)
#define frame_debug_free(page)                     ((void)0)
#define frame_debug_allocate(page)                 ((void)0)
#endif

/* => may sleep, unless the flags say that it must not */
#define assert_may_allocate(flags)                                                                 \
    do {                                                                                           \
        if (!((flags)&ALLOC_ATOMIC))                                                               \
            assert_may_sleep();                                                                    \
    } while (0)

#endif
