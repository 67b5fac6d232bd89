/* SPDX-License-Identifier: MIT */
/*
 * Getting memory back when it runs short: what other rooms see of it (kernel/mm/reclaim.c).
 *
 *     free pages   ........................ high   kswapd goes to sleep
 *                  ........................ low    kswapd is woken
 *                  ........................ min    who wants a page reclaims some himself first;
 *                  reserve                         below: requests that must not fail, and reclaim
 *                                                  itself
 */
#ifndef VELLUM_RECLAIM_H
#define VELLUM_RECLAIM_H

#include <vellum/types.h>

struct watermarks {
    u64 min, low, high; /* free pages */
};
struct watermarks zone_watermarks(void);

/* vm.min_free_kbytes, vm.watermark_scale_factor, vm.swappiness, vm.vfs_cache_pressure. After a change
 * of the first two watermarks_update() makes it so. */
extern int min_free_kbytes, watermark_scale_factor, swappiness, vfs_cache_pressure;
void watermarks_update(void);

/* Does a thread of the process empty a swap area? Then it is what takes the memory, and is ended first
 * if there is none left. => any context */
struct process;
bool swapoff_is_run_by(const struct process *p);

/* Start kswapd0. */
void reclaim_init(void);

#endif
