/* SPDX-License-Identifier: MIT */
/*
 * The vDSO: a shared object that the kernel maps into every program, with what needs no kernel.
 */
#include <vellum/types.h>

static inline u64 vdso_cycles(void)
{
    u64 time;

    __asm__ volatile("rdtime %0" : "=r"(time));
    return time;
}

static inline const struct vvar *vdso_data(void)
{
    const struct vvar *v;

    __asm__("lla %0, vvar_page" : "=r"(v));
    return v;
}

static inline long vdso_syscall(long number, long a, long b)
{
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a7 __asm__("a7") = number;

    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a7) : "memory");
    return a0;
}

#include <vellum/vdso_clock.h>

int __vdso_clock_gettime(clockid_t clock, struct __kernel_timespec *ts);
int __vdso_clock_gettime(clockid_t clock, struct __kernel_timespec *ts)
{
    return vdso_clock_gettime(clock, ts);
}

int __vdso_clock_getres(clockid_t clock, struct __kernel_timespec *ts);
int __vdso_clock_getres(clockid_t clock, struct __kernel_timespec *ts)
{
    return vdso_clock_getres(clock, ts);
}

int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz);
int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz)
{
    return vdso_gettimeofday(tv, tz);
}
