/* SPDX-License-Identifier: MIT */
/*
 * futex_waitv(2): waiting at up to 128 futexes at once, until one of them is woken.
 *
 * The thread stands in all queues; its state is that of a sleeper before it enters the first, so no
 * wake-up is lost, and whichever comes first ends the sleep.
 */
#include "futex.h"
#include <vellum/alloc.h>
#include <vellum/process.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>

/* What is asked of one word, and the waiter that stands there. */
struct slot {
    vaddr_t address;
    u32 value;
};

static int take_request(const struct futex_waitv __user *from, struct slot *slot,
                        struct futex_waiter *w)
{
    struct futex_waitv request;

    if (copy_from_user(&request, from, sizeof(request)))
        return -EFAULT;
    if ((request.flags & ~(FUTEX_32 | FUTEX_PRIVATE_FLAG)) || request.__reserved ||
        !(request.flags & FUTEX_32))
        return -EINVAL;
    *slot = (struct slot){request.uaddr, (u32)request.val};
    *w = (struct futex_waiter){.thread = current, .bits = FUTEX_BITSET_MATCH_ANY};
    return futex_key(request.uaddr, request.flags & FUTEX_PRIVATE_FLAG, &w->key);
}

/* Leave the first n queues: the highest number of one that had been woken, or -1. */
static int leave(struct futex_waiter *waiters, unsigned n)
{
    int woken = -1;

    __atomic_store_n(&current->state, TASK_RUNNING, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < n; i++)
        if (futex_dequeue(&waiters[i]))
            woken = i;
    return woken;
}

static long wait_for_any(const struct slot *slots, struct futex_waiter *waiters, unsigned n,
                         const struct futex_deadline *d)
{
    int error = 0, woken;
    unsigned i;

    for (i = 0; i < n && !error; i++)
        error = futex_enqueue(&waiters[i], slots[i].address, slots[i].value);
    if (error) {
        woken = leave(waiters, i - 1);
        return woken >= 0 ? woken : error;
    }
    error = futex_sleep(waiters, n, d);
    woken = leave(waiters, n);
    if (woken >= 0)
        return woken;
    return error == -EINTR ? -ERESTARTSYS : error;
}

static int deadline_of(const struct __kernel_timespec __user *uts, clockid_t clock,
                       struct futex_deadline *d)
{
    struct __kernel_timespec ts;
    int error;

    *d = (struct futex_deadline){KTIME_MAX, false};
    if (!uts)
        return 0;
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
        return -EINVAL;
    error = timespec_from_user(&ts, uts);
    if (!error)
        *d = (struct futex_deadline){timespec_to_ns(&ts), clock == CLOCK_REALTIME};
    return error;
}

SYSCALL_DEFINE5(futex_waitv, const struct futex_waitv __user *, requests, unsigned, n, unsigned,
                flags, const struct __kernel_timespec __user *, uts, clockid_t, clock)
{
    struct futex_waiter *waiters;
    struct futex_deadline d;
    struct slot *slots;
    long result;

    if (flags || n == 0 || n > FUTEX_WAITV_MAX || !requests)
        return -EINVAL;
    result = deadline_of(uts, clock, &d);
    if (result)
        return result;
    waiters = kmalloc(n * (sizeof(*waiters) + sizeof(*slots)), ALLOC_KERNEL);
    if (!waiters)
        return -ENOMEM;
    slots = (struct slot *)(waiters + n);
    for (unsigned i = 0; i < n && !result; i++)
        result = take_request(&requests[i], &slots[i], &waiters[i]);
    if (!result)
        result = wait_for_any(slots, waiters, n, &d);
    kfree(waiters);
    return result;
}
