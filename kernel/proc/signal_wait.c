/* SPDX-License-Identifier: MIT */
/*
 * System calls that wait for signals: sigsuspend, sigtimedwait, pause.
 */
#include "internal.h"
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>

/* Until a signal is there that is not blocked. */
static long sleep_for_signal(void)
{
    while (!signal_pending()) {
        __atomic_store_n(&current->state, TASK_INTERRUPTIBLE, __ATOMIC_SEQ_CST);
        if (!signal_pending())
            schedule();
        __atomic_store_n(&current->state, TASK_RUNNING, __ATOMIC_RELEASE);
    }
    return -ERESTARTNOHAND;
}

SYSCALL_DEFINE0(pause)
{
    return sleep_for_signal();
}

SYSCALL_DEFINE2(rt_sigsuspend, const signal_set __user *, set, size_t, size)
{
    int error;

    if (!set)
        return size == sizeof(signal_set) ? -EFAULT : -EINVAL;
    error = signal_mask_user(set, size);
    return error ? error : sleep_for_signal();
}

/* The signals waited for are unblocked while the thread sleeps, so that one of them wakes it; it is
 * taken before anybody could deliver it. */
static int wait_for(signal_set wanted, siginfo_t *info, ktime_t deadline)
{
    struct thread *t = current;
    signal_set blocked = t->blocked;
    int signo = signal_dequeue(wanted, info), error = 0;

    if (signo || deadline == 0)
        return signo ? signo : -EAGAIN;
    t->awaited = blocked & wanted;
    signal_set_mask(blocked & ~wanted);
    while (!signal_pending() && error == 0) {
        __atomic_store_n(&t->state, TASK_INTERRUPTIBLE, __ATOMIC_SEQ_CST);
        if (!signal_pending())
            error = schedule_until(deadline);
        __atomic_store_n(&t->state, TASK_RUNNING, __ATOMIC_RELEASE);
    }
    signal_set_mask(blocked);
    t->awaited = 0;
    signo = signal_dequeue(wanted, info);
    if (signo)
        return signo;
    return error ? -EAGAIN : -EINTR;
}

SYSCALL_DEFINE4(rt_sigtimedwait, const signal_set __user *, set, siginfo_t __user *, uinfo,
                const struct __kernel_timespec __user *, timeout, size_t, size)
{
    signal_set wanted;
    ktime_t deadline;
    siginfo_t info;
    int signo, error;

    if (size != sizeof(wanted))
        return -EINVAL;
    if (get_user(wanted, set))
        return -EFAULT;
    error = deadline_from_user(timeout, &deadline);
    if (error)
        return error;
    signo = wait_for(wanted & ~SIGNALS_UNBLOCKABLE, &info, deadline);
    if (signo > 0 && uinfo && copy_to_user(uinfo, &info, sizeof(info)))
        return -EFAULT;
    return signo;
}
