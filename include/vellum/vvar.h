/* SPDX-License-Identifier: MIT */
/*
 * The page of kernel data that user space may read: what the vDSO needs to tell the time without a
 * system call. kernel/time/clock.c writes it; exec maps it read-only directly below the vDSO.
 *
 *   monotonic ns = (cycles - base_cycles) * mult >> 32       (128-bit product)
 *   real ns      = monotonic ns + real_offset
 *
 * Only real_offset ever changes; a reader takes it again if `sequence` was odd or has changed.
 */
#ifndef VELLUM_VVAR_H
#define VELLUM_VVAR_H

#include <linux/types.h>

struct vvar {
    __u32 sequence;
    __u32 resolution; /* ns, of clock_getres(2) */
    __u64 base_cycles;
    __u64 mult;        /* 2^32 * 10^9 / Hz */
    __s64 real_offset; /* ns */
};

#endif
