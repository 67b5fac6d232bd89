/* SPDX-License-Identifier: MIT */
/*
 * When memory is compacted, when it makes sense at all, and when to leave it alone for a while. The
 * formulas are those of Linux 6.1, so that its knobs mean here what they mean there.
 *
 * The index of fragmentation tells two failures apart that look alike to who asked for a block. If `f`
 * frames are free in `b` blocks, and 2^order are wanted, then
 *
 *     1 - (1 + f / 2^order) / b
 *
 * is near 0 if the blocks are few and large, and yet too little; near 1 if they are many and small.
 */
#include "compact_policy.h"

int fragmentation_index(unsigned order, const struct free_blocks *free)
{
    if (!free->blocks)
        return 0;
    if (free->suitable)
        return SUITABLE_BLOCK;
    return 1000 - (int)((1000 + (free->frames * 1000 >> order)) / free->blocks);
}

unsigned fragmentation_score(unsigned order, const struct free_blocks *free)
{
    if (!free->frames)
        return 0;
    return (free->frames - (free->suitable << order)) * 100 / free->frames;
}

enum compact_suitability compact_suitability(unsigned order, const struct free_blocks *free,
                                             u64 low, int threshold)
{
    int index;

    if (free->suitable && free->frames >= low + (1UL << order))
        return COMPACT_NEEDLESS;
    /* A block is emptied before it is free, and others may take frames meanwhile. */
    if (free->frames < low + (2UL << order))
        return COMPACT_SKIPPED;
    index = fragmentation_index(order, free);
    return index >= 0 && index <= threshold ? COMPACT_SKIPPED : COMPACT_CONTINUE;
}

void proactive_marks(unsigned proactiveness, unsigned *low, unsigned *high)
{
    *low = proactiveness < 95 ? 100 - proactiveness : 5;
    *high = *low < 90 ? *low + 10 : 100;
}

bool compact_deferred(struct compact_deferral *d, int order)
{
    unsigned limit = 1U << d->shift;

    if (order < d->order_failed)
        return false;
    if (++d->considered < limit)
        return true;
    d->considered = limit;
    return false;
}

void compact_defer(struct compact_deferral *d, int order)
{
    d->considered = 0;
    if (d->shift < COMPACT_MAX_SHIFT)
        d->shift++;
    if (order < d->order_failed)
        d->order_failed = order;
}

void compact_defer_reset(struct compact_deferral *d, int order)
{
    d->considered = d->shift = 0;
    if (order >= d->order_failed)
        d->order_failed = order + 1;
}
