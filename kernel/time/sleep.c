/* SPDX-License-Identifier: MIT */
/*
 * Sleeping for a time: nanosleep(2), clock_nanosleep(2).
 *
 * A sleep is a deadline on the monotonic clock. One until a wall-clock time is worked out anew when
 * the clock is set. An interrupted relative sleep leaves its deadline in the restart block, so that
 * signals do not prolong it.
 */
#include <vellum/cpu.h>
#include <vellum/process.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>
#include "calls.h"

DEFINE_WAIT_QUEUE(clock_was_set);

int timespec_from_user(struct __kernel_timespec *ts, const struct __kernel_timespec __user *uts)
{
    if (copy_from_user(ts, uts, sizeof(*ts)))
        return -EFAULT;
    return timespec_valid(ts) ? 0 : -EINVAL;
}

int timespec_to_user(struct __kernel_timespec __user *uts, u64 ns)
{
    struct __kernel_timespec ts = ns_to_timespec(ns);

    return copy_to_user(uts, &ts, sizeof(ts)) ? -EFAULT : 0;
}

int deadline_from_user(const struct __kernel_timespec __user *uts, ktime_t *deadline)
{
    struct __kernel_timespec ts;
    int error;

    *deadline = KTIME_MAX;
    if (!uts)
        return 0;
    error = timespec_from_user(&ts, uts);
    if (!error)
        *deadline = ts.tv_sec || ts.tv_nsec ? ktime_after(timespec_to_ns(&ts)) : 0;
    return error;
}

/* 0 when the time has come, -ERESTARTSYS at a signal. */
static int sleep_until(ktime_t deadline)
{
    int result = 0;

    while (result == 0) {
        __atomic_store_n(&current->state, TASK_INTERRUPTIBLE, __ATOMIC_SEQ_CST);
        if (signal_pending()) {
            __atomic_store_n(&current->state, TASK_RUNNING, __ATOMIC_RELEASE);
            return -ERESTARTSYS;
        }
        result = schedule_until(deadline);
    }
    return 0;
}

static ktime_t real_to_monotonic(ktime_t real)
{
    s64 offset = ktime_real_offset();

    return (s64)real <= offset ? 0 : real == KTIME_MAX ? KTIME_MAX : real - offset;
}

static int sleep_until_real(ktime_t real)
{
    int result = 0;
    WAIT_ENTRY(entry);

    while (result == 0) {
        wait_prepare(&clock_was_set, &entry, TASK_INTERRUPTIBLE);
        result = wait_interrupted(TASK_INTERRUPTIBLE);
        if (result == 0)
            result = schedule_until(real_to_monotonic(real));
    }
    wait_finish(&clock_was_set, &entry);
    return result == -ETIME ? 0 : result;
}

static long sleep_restartable(ktime_t deadline, struct __kernel_timespec __user *remaining);

static long sleep_again(struct restart_block *restart)
{
    return sleep_restartable(restart->arg[0], (struct __kernel_timespec __user *)restart->arg[1]);
}

static long sleep_restartable(ktime_t deadline, struct __kernel_timespec __user *remaining)
{
    if (sleep_until(deadline) == 0)
        return 0;
    if (remaining && timespec_to_user(remaining, ktime_left(deadline)))
        return -EFAULT;
    current->restart.fn = sleep_again;
    current->restart.arg[0] = deadline;
    current->restart.arg[1] = (u64)remaining;
    return -ERESTART_RESTARTBLOCK;
}

SYSCALL_DEFINE2(nanosleep, const struct __kernel_timespec __user *, request,
                struct __kernel_timespec __user *, remaining)
{
    struct __kernel_timespec ts;
    int error = timespec_from_user(&ts, request);

    return error ? error : sleep_restartable(ktime_after(timespec_to_ns(&ts)), remaining);
}

/* ---- until others have run for a time ------------------------------------------------------------------- */

static long sleep_on_run_time(clockid_t clock, u64 until,
                              struct __kernel_timespec __user *remaining);

static long sleep_on_run_time_again(struct restart_block *restart)
{
    return sleep_on_run_time((clockid_t)restart->arg[2], restart->arg[0],
                             (struct __kernel_timespec __user *)restart->arg[1]);
}

/* However many threads run, a CPU clock goes no faster than all processors together: so long one may
 * sleep without looking, but for a tick more. remaining: NULL for an absolute time. */
static long sleep_on_run_time(clockid_t clock, u64 until,
                              struct __kernel_timespec __user *remaining)
{
    struct __kernel_timespec left;
    u64 now;
    int error;

    for (;;) {
        error = clock_read(clock, &now);
        if (error || now >= until)
            return error;
        if (sleep_until(ktime_after(max((until - now) / cpu_count, NSEC_PER_SEC / HZ))) == 0)
            continue;
        left = ns_to_timespec(until - now);
        if (remaining && copy_to_user(remaining, &left, sizeof(left)))
            return -EFAULT;
        current->restart.fn = sleep_on_run_time_again;
        current->restart.arg[0] = until;
        current->restart.arg[1] = (u64)remaining;
        current->restart.arg[2] = clock;
        return -ERESTART_RESTARTBLOCK;
    }
}

/* Nobody waits for the clock that stands still while he does. */
static int check_run_time_clock(clockid_t clock)
{
    u64 now;

    if (clock == CLOCK_THREAD_CPUTIME_ID)
        return -EOPNOTSUPP;
    if ((clock & CPU_CLOCK_THREAD) && clock < 0 &&
        (!~(clock >> 3) || ~(clock >> 3) == current->tid))
        return -EINVAL;
    return clock_read(clock, &now);
}

static long sleep_on_cpu_clock(clockid_t clock, int flags, const struct __kernel_timespec *ts,
                               struct __kernel_timespec __user *remaining)
{
    u64 now;
    long error = check_run_time_clock(clock);

    if (error)
        return error;
    if (!timespec_valid(ts))
        return -EINVAL;
    if (flags & TIMER_ABSTIME) {
        error = sleep_on_run_time(clock, timespec_to_ns(ts), NULL);
        return error == -ERESTART_RESTARTBLOCK ? -ERESTARTNOHAND : error;
    }
    error = clock_read(clock, &now);
    if (error)
        return error;
    return sleep_on_run_time(clock, min(now + timespec_to_ns(ts), (u64)KTIME_MAX), remaining);
}

SYSCALL_DEFINE4(clock_nanosleep, clockid_t, clock, int, flags,
                const struct __kernel_timespec __user *, request, struct __kernel_timespec __user *,
                remaining)
{
    struct __kernel_timespec ts;
    int error;

    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_TAI:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
        break;
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_BOOTTIME_ALARM:
        return -EOPNOTSUPP;
    default:
        if (clock >= 0 && clock != CLOCK_PROCESS_CPUTIME_ID && clock != CLOCK_THREAD_CPUTIME_ID)
            return -EINVAL;
        if (copy_from_user(&ts, request, sizeof(ts)))
            return -EFAULT;
        return sleep_on_cpu_clock(clock, flags, &ts, remaining);
    }
    error = timespec_from_user(&ts, request);
    if (error)
        return error;
    if (!(flags & TIMER_ABSTIME))
        return sleep_restartable(ktime_after(timespec_to_ns(&ts)), remaining);
    if (clock == CLOCK_REALTIME || clock == CLOCK_TAI)
        error = sleep_until_real(timespec_to_ns(&ts));
    else
        error = sleep_until(timespec_to_ns(&ts));
    return error ? -ERESTARTNOHAND : 0;
}
