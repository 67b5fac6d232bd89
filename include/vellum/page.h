/* SPDX-License-Identifier: MIT */
/*
 * Page frames: their descriptors, and the allocator that hands them out.
 *
 * Memory is found by the machine's entry code, which calls boot_memory_add() for each range and
 * boot_memory_reserve() for what is in use (kernel image, initrd, firmware tables). Until
 * frames_init() pages come from boot_alloc(); then the buddy allocator owns what is left.
 */
#ifndef VELLUM_PAGE_H
#define VELLUM_PAGE_H

#include <vellum/arch.h>
#include <vellum/atomic.h>
#include <vellum/list.h>
#include <vellum/spinlock_types.h>

struct page_cache;
struct anon_family;

/* page->flags */
enum {
    PG_BUDDY = 1 << 0,     /* free, head of a block of `order` in the buddy allocator */
    PG_SLAB = 1 << 1,      /* belongs to an object cache */
    PG_TABLE = 1 << 2,     /* a page table */
    PG_LOCKED = 1 << 3,    /* [a] page_lock(): being read, written back or truncated */
    PG_WAITERS = 1 << 4,   /* [a] someone waits for PG_LOCKED or PG_WRITEBACK */
    PG_UPTODATE = 1 << 5,  /* contents are valid */
    PG_DIRTY = 1 << 6,     /* newer than its backing store */
    PG_WRITEBACK = 1 << 7, /* being written to its backing store */
    PG_ANON = 1 << 8,      /* owner is an anonymous family, not a page cache */
    PG_SHMEM = 1 << 9,     /* of a file whose only home is memory */
    PG_ACTIVE = 1 << 10,
    PG_ON_LRU = 1 << 11,
    PG_RESERVED = 1 << 12, /* never freed: kernel image, firmware */
    PG_ERROR = 1 << 13,    /* reading it failed */
    PG_HEAD = 1 << 14,     /* head of a compound block of `order` */
    PG_TAIL = 1 << 15,     /* another frame of it */
    PG_SWAP_CACHE = 1 << 16,
    PG_READAHEAD = 1 << 20, /* who asks for it is near the end of what was read ahead */
    PG_CODE_SYNCED =
        1 << 18, /* instruction fetch sees the contents; cleared by writes to the file */
    PG_REFERENCED = 1 << 17,
    PG_LRU_PENDING = 1 << 19, /* with PG_ON_LRU: in a processor's batch still (lru.h) */
    PG_UNEVICTABLE = 1 << 21, /* mapped locked */
    PG_WORKINGSET = 1 << 22,  /* has been active */
    PG_ISOLATED = 1 << 23,    /* taken out of the LRU lists for a while */
    PG_SWAP_BACKED = 1 << 24, /* can only go to swap */
    PG_HUGE = 1 << 25, /* a huge page: head of HUGE_PAGES frames that are mapped as one (huge.h) */
    PG_LAZY_FREE = 1 << 26, /* MADV_FREE: if it is clean it may be dropped */
    PG_FILE =
        1 << 27, /* has been put into a page cache; page->cache tells whether it is still there */
    PG_TABLE_SHARED = 1 << 28, /* [table_lock] a table that is attached to no address space */
};

/* One per page frame. Each page-table entry that maps it holds a reference, as does the page cache;
 * an anonymous page that has one reference belongs to one address space alone. */
struct page {
    u32 flags;       /* PG_*; changed atomically once the page is shared */
    refcount_t refs; /* users; 0: free */
    union {
        struct {       /* in a page cache or anonymous */
            u32 order; /* of a buddy block or compound head */
            union {
                struct page_cache *cache;   /* [page lock to change] its file; NULL once removed */
                struct anon_family *family; /* PG_ANON */
                void *owner;
            };
            u64 index; /* page number in the file; or in the family: virtual address >> PAGE_SHIFT */
        };
        struct { /* PG_SLAB */
            void *slab_cache;
            void *slab_free;           /* first free object */
            u32 slab_used, slab_total; /* objects */
        };
        struct {                   /* PG_TABLE */
            spinlock_t table_lock; /* guards the entries, if they map pages */
        };
    };
    struct list link; /* [by the list's lock] free list, slab list, LRU */
    union {
        u64 private_data;       /* the owner's: swap slot, buffer ... */
        struct {                /* [table_lock] PG_TABLE, of level 0: */
            u16 private_pages;  /* entries that map private pages */
            u16 shared_pages;   /* PG_TABLE_SHARED: how many each user counts as resident */
            u16 swapped;        /* swap entries */
            u16 shared_swapped; /* PG_TABLE_SHARED: how many each user counts as swapped out */
        };
    };
};
static_assert(sizeof(struct page) <= 64, "a page's descriptor takes 1.6% of memory at the most");

static inline struct page *pfn_to_page(pfn_t pfn)
{
    return (struct page *)VMEMMAP_BASE + pfn;
}

static inline pfn_t page_to_pfn(const struct page *page)
{
    return (pfn_t)(page - (struct page *)VMEMMAP_BASE);
}

static inline paddr_t page_to_phys(const struct page *page)
{
    return page_to_pfn(page) << PAGE_SHIFT;
}

static inline void *page_to_virt(const struct page *page)
{
    return phys_to_virt(page_to_phys(page));
}

static inline struct page *phys_to_page(paddr_t p)
{
    return pfn_to_page(p >> PAGE_SHIFT);
}

static inline struct page *virt_to_page(const void *v) /* direct map only */
{
    return phys_to_page(virt_to_phys(v));
}

/* Is there memory (and so a struct page) at this frame number? */
bool pfn_valid(pfn_t pfn);

static inline void page_flag_set(struct page *page, u32 flag)
{
    __atomic_fetch_or(&page->flags, flag, __ATOMIC_RELAXED);
}

static inline void page_flag_clear(struct page *page, u32 flag)
{
    __atomic_fetch_and(&page->flags, ~flag, __ATOMIC_RELEASE);
}

#define HUGE_PAGES (1UL << HUGE_PAGE_ORDER) /* frames of a huge page */

/* ---- before the allocator ----------------------------------------------------------------- */

void boot_memory_add(paddr_t start, u64 size);     /* RAM; partial pages at the ends are dropped */
void boot_memory_reserve(paddr_t start, u64 size); /* in use for ever; before or after add */
void boot_memory_reserve_initrd(paddr_t start, u64 size); /* see boot_free_initrd() */
/* Zeroed memory that is never freed; panics if there is none. align: a power of two, bytes */
paddr_t boot_alloc(u64 size, u64 align);
/* Visit the RAM ranges in ascending order (for building the direct map). Returns false at the end. */
bool boot_memory_range(unsigned i, paddr_t *start, u64 *size);
u64 boot_memory_total(void); /* bytes of RAM */

/* Make the descriptors (mapped at VMEMMAP_BASE) and give all free memory to the buddy allocator. */
void frames_init(void);
/* Lists of free frames and objects for cpus[1 .. cpu_count - 1]; panics if there is no memory.
 * => once, after the processors have been found and before the first of them starts */
void memory_smp_init(void);
/* Give back the start-up code and data, once they are no longer needed. */
void boot_free_init_memory(void);
/* Give back the frames of the initrd that lie wholly below `end`, without those that were taken. */
void boot_free_initrd(paddr_t end);
/* The frame of the initrd at this address, not given back yet, is no part of it any more but the
 * caller's, with one reference. */
struct page *boot_take_initrd_page(paddr_t address);

/* ---- the allocator ---------------------------------------------------------------------------- */

#define MAX_ORDER 10 /* largest block: 2^10 pages, 4 MiB */

enum alloc_flags {
    ALLOC_KERNEL = 0,   /* may sleep to reclaim; fails with NULL when nothing is left */
    ALLOC_ATOMIC = 1,   /* must not sleep; may use the reserve */
    ALLOC_ZERO = 2,     /* cleared */
    ALLOC_USER = 4,     /* for user space: leaves the kernel's reserve alone */
    ALLOC_NORETRY = 8,  /* what is free now, or NULL: there is something else to do */
    ALLOC_COMPACT = 16, /* with NORETRY: memory may be compacted first => may sleep */
    ALLOC_MOVABLE = 32, /* it will be in the LRU lists, and may be moved: kernel/mm/migrate.c */
};

/* Frames that stay where they are are kept apart from those that need not: kernel/mm/buddy.c */
enum mobility { MOBILITY_UNMOVABLE, MOBILITY_MOVABLE, MOBILITIES };

/* 2^order contiguous frames with one reference on the first, or NULL. Any context with
 * ALLOC_ATOMIC, else => may sleep. Per-CPU lists serve order 0 without a lock. */
struct page *pages_alloc(unsigned order, unsigned flags);
/* Free a block whose last reference is gone (used by page_put). */
void pages_free(struct page *page, unsigned order);

static inline struct page *page_alloc(unsigned flags)
{
    return pages_alloc(0, flags);
}

static inline void page_get(struct page *page)
{
    ref_get(&page->refs);
}

void page_free_last(struct page *page); /* refs is 0 */

static inline void page_put(struct page *page)
{
    if (ref_put(&page->refs))
        page_free_last(page);
}

/* Put many at once (exit, munmap): the lists' locks are taken once a batch. */
void pages_put(struct page **pages, unsigned n);

/* Sleep until the page is ours; => may sleep. */
void page_lock(struct page *page);
bool page_trylock(struct page *page);
void page_unlock(struct page *page);
/* Like page_lock, ended by a fatal signal: 0 or -ERESTARTSYS. */
int page_lock_killable(struct page *page);
/* Sleep until nobody has it locked, be it for a moment: 0 or -ERESTARTSYS. => a reference */
int page_wait_unlocked_killable(struct page *page);
/* Sleep until the page is not being written to its backing store. => a reference, or its lock */
void page_wait_written(struct page *page);
/* It is not any more: PG_WRITEBACK goes. The page may be gone afterwards. Any context. */
void page_end_writeback(struct page *page);

extern struct page
    *zero_page; /* the one frame of zeros, mapped wherever untouched memory is read */

/* Frames: all RAM; free (per-CPU lists included); in page caches; kernel's. committed: what has been
 * promised to private mappings. */
struct memory_counts {
    u64 total, free, cached, shared, anonymous, slab, slab_reclaimable, tables, kernel_stacks,
        mapped;
    u64 vmap, committed;
};
void memory_counts(struct memory_counts *counts);
/* Frames, kept by those who allocate and free them. */
extern atomic_long_t count_cached, count_shared, count_tables, count_stacks, count_slab,
    count_slab_reclaimable, count_vmap;
/* Frames that private mappings may come to need. */
extern atomic_long_t count_committed;
u64 frames_free(void);
/* The first frame of the block that a frame with PG_TAIL belongs to; of others the frame itself. */
struct page *page_head(const struct page *page);
/* So few are free that requests of user space fail, or nearly so. */
bool frames_are_short(void);
/* Nothing of 2^order frames is left: end a process (kernel/proc/oom.c). Returns whether it makes sense to try again.
 * => may sleep */
extern bool (*mm_out_of_memory)(unsigned order);
u64 frames_reserve(void); /* that only the kernel may take */
/* For /proc/buddyinfo and /proc/pagetypeinfo: free blocks of an order, of both kinds or one; and how many
 * 2 MiB of memory are of each kind. */
u64 buddy_free_blocks(unsigned order);
u64 buddy_free_blocks_of(enum mobility mobility, unsigned order);
void buddy_count_sections(u64 count[MOBILITIES]);
/* Return the frames that processors keep for themselves to the buddy allocator. => interrupts on */
void frames_drain_all(void);

#endif
