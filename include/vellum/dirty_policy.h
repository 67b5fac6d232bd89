/* SPDX-License-Identifier: MIT */
/*
 * How much may be dirty, and how long who makes more of it must wait. Arithmetic alone, tested on the
 * host; kernel/mm/throttle.c applies it.
 *
 *     dirty pages  0 ........ background ........ free ............. middle ............. limit
 *                     nobody  |   the flushers    |   writers sleep, so that together they make
 *                     writes  |   write           |   2 ........ 1 .................. 0
 *                                                 |   times as much dirty as the device writes
 *
 * free is half-way between background and limit. So the number settles in the middle, where writers
 * are as fast as the device, however many they are.
 */
#ifndef VELLUM_DIRTY_POLICY_H
#define VELLUM_DIRTY_POLICY_H

#include <vellum/types.h>

#define DIRTY_PAUSE_MAX     200000000UL /* ns */
#define DIRTY_SPEED_DEFAULT 25600       /* pages in a second, until the device's speed is known */

struct dirty_limits {
    u64 background, limit; /* pages */
};

/* available: pages that could be dirty. A limit is given in bytes if that is not 0, else in percent of
 * those. background is less than limit, limit not 0. */
struct dirty_limits dirty_limits(u64 available, unsigned long background_bytes,
                                 unsigned background_ratio, unsigned long bytes, unsigned ratio);

/* How long a writer sleeps who has made n pages dirty, ns; 0: not at all. dirty: pages that are dirty
 * or being written; speed: pages that the device writes in a second; writers: how many sleep so. */
u64 dirty_pause(const struct dirty_limits *limits, u64 dirty, u64 speed, unsigned writers,
                unsigned n);

/* The measured speed after another measurement: pages written in ns, while there always was something
 * to write. */
u64 dirty_speed(u64 speed, u64 pages, u64 ns);

#endif
