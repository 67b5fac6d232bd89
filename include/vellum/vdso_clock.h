/* SPDX-License-Identifier: MIT */
/*
 * Telling the time in user space: the part of the vDSO that both machines share. arch/ARCH/vdso/
 * includes this once, after it has defined
 *
 *   u64 vdso_cycles(void);                          the counter of arch_cycles()
 *   const struct vvar *vdso_data(void);             the vvar page, directly below the vDSO's image
 *   long vdso_syscall(long number, long a, long b);
 *
 * and exports the functions under the names that its C libraries know.
 */
#ifndef VELLUM_VDSO_CLOCK_H
#define VELLUM_VDSO_CLOCK_H

#include <asm/unistd.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <vellum/compiler.h>
#include <vellum/vvar.h>

#define VDSO_NSEC_PER_SEC 1000000000UL

/* Does the clock count from 1970 (1), from boot (0), or need the kernel (-1)? */
static __always_inline int vdso_clock_is_real(clockid_t clock)
{
    /* One bit for each clock: no table, which would need the page behind the code. */
    const unsigned real = 1u << CLOCK_REALTIME | 1u << CLOCK_REALTIME_COARSE;
    const unsigned monotonic = 1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW |
                               1u << CLOCK_MONOTONIC_COARSE | 1u << CLOCK_BOOTTIME;

    if ((unsigned)clock >= 32 || !((real | monotonic) >> clock & 1))
        return -1;
    return real >> clock & 1;
}

static __always_inline u64 vdso_clock_ns(bool real)
{
    const struct vvar *v = vdso_data();
    u64 ns = (u64)((unsigned __int128)(vdso_cycles() - v->base_cycles) * v->mult >> 32);
    u32 sequence;
    u64 offset;

    if (!real)
        return ns;
    do {
        while ((sequence = __atomic_load_n(&v->sequence, __ATOMIC_ACQUIRE)) & 1)
            ;
        offset = (u64)READ_ONCE(v->real_offset);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__atomic_load_n(&v->sequence, __ATOMIC_RELAXED) != sequence);
    return ns + offset;
}

static __always_inline int vdso_clock_gettime(clockid_t clock, struct __kernel_timespec *ts)
{
    int real = vdso_clock_is_real(clock);
    u64 ns;

    if (real < 0)
        return (int)vdso_syscall(__NR_clock_gettime, clock, (long)ts);
    ns = vdso_clock_ns(real);
    ts->tv_sec = (__kernel_time64_t)(ns / VDSO_NSEC_PER_SEC);
    ts->tv_nsec = (long long)(ns % VDSO_NSEC_PER_SEC);
    return 0;
}

static __always_inline int vdso_clock_getres(clockid_t clock, struct __kernel_timespec *ts)
{
    /* Coarse clocks have the resolution of the tick, which the kernel knows. */
    if (vdso_clock_is_real(clock) < 0 || clock == CLOCK_REALTIME_COARSE ||
        clock == CLOCK_MONOTONIC_COARSE)
        return (int)vdso_syscall(__NR_clock_getres, clock, (long)ts);
    if (ts)
        *ts = (struct __kernel_timespec){.tv_nsec = vdso_data()->resolution};
    return 0;
}

/* A time zone is not kept: zero, as on a Linux where nobody has set one. */
static __always_inline int vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz)
{
    u64 ns;

    if (tv) {
        ns = vdso_clock_ns(true);
        tv->tv_sec = (__kernel_long_t)(ns / VDSO_NSEC_PER_SEC);
        tv->tv_usec = (__kernel_long_t)(ns % VDSO_NSEC_PER_SEC / 1000);
    }
    if (tz)
        *tz = (struct timezone){0};
    return 0;
}

#endif
