/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of throttling (include/vellum/dirty_policy.h).
 */
#include <vellum/arch.h>
#include <vellum/compiler.h>
#include <vellum/dirty_policy.h>

#define SECOND 1000000000UL
#define WEIGHT 4 /* a new measurement counts as one in so many */

static u64 pages_of(u64 available, unsigned long bytes, unsigned ratio)
{
    return bytes ? DIV_ROUND_UP(bytes, PAGE_SIZE) : available * ratio / 100;
}

struct dirty_limits dirty_limits(u64 available, unsigned long background_bytes,
                                 unsigned background_ratio, unsigned long bytes, unsigned ratio)
{
    struct dirty_limits l = {
        .background = pages_of(available, background_bytes, background_ratio),
        .limit = max(pages_of(available, bytes, ratio), (u64)1),
    };

    if (l.background >= l.limit)
        l.background = l.limit / 2;
    return l;
}

u64 dirty_pause(const struct dirty_limits *limits, u64 dirty, u64 speed, unsigned writers,
                unsigned n)
{
    u64 free = (limits->background + limits->limit) / 2, rate;

    if (dirty <= free)
        return 0;
    if (dirty >= limits->limit)
        return DIRTY_PAUSE_MAX;
    rate = speed * 2 * (limits->limit - dirty) / (limits->limit - free) / max(writers, 1U);
    return rate ? min(n * SECOND / rate, DIRTY_PAUSE_MAX) : DIRTY_PAUSE_MAX;
}

u64 dirty_speed(u64 speed, u64 pages, u64 ns)
{
    u64 now = ns ? pages * SECOND / ns : 0;

    if (!now)
        return speed;
    return speed ? max((speed * (WEIGHT - 1) + now) / WEIGHT, (u64)1) : now;
}
