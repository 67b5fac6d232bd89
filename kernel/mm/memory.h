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

/* A processor's own free frames. */
struct frame_cache {
    unsigned count; /* [c] frames in stack; read by others as a hint */
    unsigned high;  /* [i] at most */
    long anonymous; /* [c] anonymous frames: allocated minus freed here; the sum over CPUs counts */
    struct page *stack[FRAME_STACK]; /* [c] */
};
/* [c] this CPU, interrupts off; `anonymous` is not touched by interrupts: preemption off is enough */

/* Give the frames of [start, end), reserved until now, to the allocator. */
void frames_give(paddr_t start, paddr_t end);
/* Those of them that are reserved still. */
void frames_give_reserved(paddr_t start, paddr_t end);
/* Does the frame allocator work yet? */
extern bool frames_ready;

/* n more (or fewer) frames have become anonymous memory. => preemption off */
static inline void frames_count_anonymous(long n)
{
    ((struct frame_cache *)this_cpu()->frame_cache)->anonymous += n;
}

/* ---- page_lock.c ------------------------------------------------------------------------------ */

void page_lock_init(void);

/* ---- object_cache.c --------------------------------------------------------------------------- */

struct object_cache;

/* Stacks of free objects for all processors that have been found. => see memory_smp_init() */
void object_caches_smp_init(void);
/* The cache that an object comes from, and the size of its objects. */
struct object_cache *object_cache_of(const void *object);
size_t object_cache_size(const struct object_cache *cache);
/* The caches of kmalloc(), before anything else is allocated. */
void kmalloc_init(void);

#endif
