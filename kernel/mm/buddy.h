/* SPDX-License-Identifier: MIT */
/*
 * The buddy allocator, behind the processors' stacks of single frames: buddy.c, for frames.c.
 */
#ifndef VELLUM_MM_BUDDY_H
#define VELLUM_MM_BUDDY_H

#include "memory.h"

static inline enum mobility mobility_wanted(unsigned flags)
{
    static_assert(ALLOC_MOVABLE == MOBILITY_MOVABLE << 5, "the bit is the index");
    return (flags & ALLOC_MOVABLE) >> 5;
}

/* What a frame that is about to be freed has been used for. */
static inline enum mobility mobility_used(u32 page_flags)
{
    return page_flags & (PG_ANON | PG_FILE) ? MOBILITY_MOVABLE : MOBILITY_UNMOVABLE;
}

/* A block of 2^order frames, or NULL: what must be kept back is (flags: ALLOC_*). */
struct page *buddy_alloc(unsigned order, unsigned flags);
/* The same for single frames: up to n, stored from frames[0] on. Returns how many. => interrupts off */
unsigned buddy_alloc_frames(struct page **frames, unsigned n, unsigned flags);
void buddy_free(struct page *page, unsigned order);       /* any context */
void buddy_free_frames(struct page **frames, unsigned n); /* => interrupts off */

/* The lists, empty; for blocks up to this frame number. => boot_alloc() works */
void buddy_init(pfn_t end);

#endif
