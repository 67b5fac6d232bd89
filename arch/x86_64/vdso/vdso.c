/* SPDX-License-Identifier: MIT */
/* The vDSO of x86-64: a shared object that the kernel maps into every program. */
#include <arch/machine.h>
#include <vellum/vvar.h>

extern const struct vvar vvar __attribute__((visibility("hidden"))); /* vdso.ld: the page below */

static inline u64 vdso_cycles(void)
{
    return arch_cycles();
}

static inline const struct vvar *vdso_data(void)
{
    return &vvar;
}

static inline long vdso_syscall(long number, long a, long b)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b)
                     : "rcx", "r11", "memory");
    return result;
}

#include <vellum/vdso_clock.h>

int __vdso_clock_gettime(clockid_t clock, struct __kernel_timespec *ts);
int __vdso_clock_getres(clockid_t clock, struct __kernel_timespec *ts);
int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz);
long __vdso_time(long *seconds);
long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

int __vdso_clock_gettime(clockid_t clock, struct __kernel_timespec *ts)
{
    return vdso_clock_gettime(clock, ts);
}

int __vdso_clock_getres(clockid_t clock, struct __kernel_timespec *ts)
{
    return vdso_clock_getres(clock, ts);
}

int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz)
{
    return vdso_gettimeofday(tv, tz);
}

long __vdso_time(long *seconds)
{
    long now = (long)(vdso_clock_ns(true) / VDSO_NSEC_PER_SEC);

    if (seconds)
        *seconds = now;
    return now;
}

/* The number is the limit of a segment that each processor has for this purpose. */
long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
    unsigned number;

    __asm__ volatile("lsl %1, %0" : "=r"(number) : "r"(CPU_NUMBER_SEL));
    if (cpu)
        *cpu = number;
    if (node)
        *node = 0;
    return 0;
}
