/* SPDX-License-Identifier: MIT */
/*
 * System calls that tell and set the time (clock_gettime(2)).
 *
 * BOOTTIME is MONOTONIC, since the machine is never suspended; MONOTONIC_RAW is too, since nothing
 * adjusts the rate. The coarse clocks are as fine as the others. Negative clock numbers stand for the
 * run time of a process or thread: bits 3 and up are the complement of its number, bit 2 is set for a
 * thread, bits 0 and 1 choose what is counted (clock_getcpuclockid(3)).
 */
#include <vellum/process.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>
#include <linux/time.h>
#include "calls.h"

#define CPU_CLOCK_WHAT 3 /* 0: user + system, 1: user, 2: exact; 3: not a CPU clock */

/* ---- run time as a clock ----------------------------------------------------------------------------- */

static u64 choose(unsigned what, u64 user, u64 system)
{
    return what == 1 ? user : user + system;
}

static u64 process_time(struct process *p, unsigned what)
{
    struct usage u;

    process_usage(p, &u);
    return choose(what, u.user_ns, u.system_ns);
}

static u64 thread_time(struct thread *t, unsigned what)
{
    u64 user, system;

    if (what != 1)
        return thread_run_time(t);
    thread_times(t, &user, &system);
    return user;
}

/* -EINVAL: no such clock, or not one of ours to see. */
static int cpu_clock(clockid_t clock, u64 *ns)
{
    pid_t id = ~(clock >> 3);
    unsigned what = clock & CPU_CLOCK_WHAT;

    if (what == 3)
        return -EINVAL;
    if (clock & CPU_CLOCK_THREAD) {
        struct thread *t = id ? thread_find(id) : NULL;
        bool ok = !id || (t && t->process == current->process);

        if (ok)
            *ns = thread_time(t ? t : current, what);
        if (t)
            thread_put(t);
        return ok ? 0 : -EINVAL;
    } else {
        struct process *p = id ? process_find(id) : NULL;

        if (id && !p)
            return -EINVAL;
        *ns = process_time(p ? p : current->process, what);
        if (p)
            process_put(p);
        return 0;
    }
}

/* ---- reading -------------------------------------------------------------------------------------------- */

int clock_read(clockid_t clock, u64 *ns)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *ns = ktime_real();
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ns = ktime_get();
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
        *ns = process_time(current->process, 0);
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        *ns = thread_run_time(current);
        return 0;
    }
    return clock < 0 ? cpu_clock(clock, ns) : -EINVAL;
}

SYSCALL_DEFINE2(clock_gettime, clockid_t, clock, struct __kernel_timespec __user *, uts)
{
    u64 ns;
    int error = clock_read(clock, &ns);

    return error ? error : timespec_to_user(uts, ns);
}

SYSCALL_DEFINE2(clock_getres, clockid_t, clock, struct __kernel_timespec __user *, uts)
{
    u64 ns, resolution = 1;
    int error = clock_read(clock, &ns);

    if (error)
        return error;
    if (clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
        resolution = NSEC_PER_SEC / HZ;
    return uts ? timespec_to_user(uts, resolution) : 0;
}

SYSCALL_DEFINE2(gettimeofday, struct __kernel_old_timeval __user *, utv, struct timezone __user *,
                utz)
{
    u64 now = ktime_real();
    struct __kernel_old_timeval tv = {
        .tv_sec = now / NSEC_PER_SEC,
        .tv_usec = now % NSEC_PER_SEC / NSEC_PER_USEC,
    };
    struct timezone tz = {};

    if (utv && copy_to_user(utv, &tv, sizeof(tv)))
        return -EFAULT;
    return utz && copy_to_user(utz, &tz, sizeof(tz)) ? -EFAULT : 0;
}

SYSCALL_DEFINE1(time, __kernel_old_time_t __user *, utime)
{
    __kernel_old_time_t now = ktime_real() / NSEC_PER_SEC;

    if (utime && put_user(now, utime))
        return -EFAULT;
    return now;
}

/* ---- setting ---------------------------------------------------------------------------------------------- */

static int set_real(const struct __kernel_timespec *ts)
{
    if (!timespec_valid(ts) || (u64)ts->tv_sec >= INT64_MAX / NSEC_PER_SEC)
        return -EINVAL;
    if (!capable(CAP_SYS_TIME))
        return -EPERM;
    ktime_set_real(timespec_to_ns(ts));
    wake_up_all(&clock_was_set);
    clock_timers_move();
    timerfds_clock_was_set();
    return 0;
}

SYSCALL_DEFINE2(clock_settime, clockid_t, clock, const struct __kernel_timespec __user *, uts)
{
    struct __kernel_timespec ts;
    u64 now;

    if (clock != CLOCK_REALTIME)
        return clock < 0 && clock_read(clock, &now) == 0 ? -EPERM : -EINVAL;
    if (copy_from_user(&ts, uts, sizeof(ts)))
        return -EFAULT;
    return set_real(&ts);
}

/* There is no time zone in this kernel: one may be given only to be 0. */
SYSCALL_DEFINE2(settimeofday, const struct __kernel_old_timeval __user *, utv,
                const struct timezone __user *, utz)
{
    struct __kernel_old_timeval tv;
    struct __kernel_timespec ts;
    struct timezone tz;

    if (utv && copy_from_user(&tv, utv, sizeof(tv)))
        return -EFAULT;
    if (utz && copy_from_user(&tz, utz, sizeof(tz)))
        return -EFAULT;
    if (utv && (tv.tv_usec < 0 || tv.tv_usec >= 1000000))
        return -EINVAL;
    if (!capable(CAP_SYS_TIME))
        return -EPERM;
    if (utz && (tz.tz_minuteswest != 0 || tz.tz_dsttime != 0))
        return -EINVAL;
    if (!utv)
        return 0;
    ts = (struct __kernel_timespec){.tv_sec = tv.tv_sec, .tv_nsec = tv.tv_usec * NSEC_PER_USEC};
    return set_real(&ts);
}
