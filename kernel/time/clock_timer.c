/* SPDX-License-Identifier: MIT */
/*
 * Timers on the clocks that programs know, for timerfd(2) and timer_create(2).
 *
 * There are two scales: the monotonic one, on which every timer of the kernel stands, and real time,
 * which is set. A timer on real time is kept in a list as long as somebody may start it again; when
 * the clock is set, all in it that are running move to their new monotonic time.
 */
#include <vellum/error.h>
#include <vellum/sync.h>
#include <vellum/time.h>
#include "calls.h"

static DEFINE_SPINLOCK(real_lock); /* interrupts off; outside of the timer queues' locks */
static struct list on_real_time = LIST_INIT(on_real_time); /* [real_lock] */

int clock_for_timer(clockid_t clock, bool *real)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *real = true;
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *real = false;
        return 0;
    }
    return -EINVAL;
}

static ktime_t to_monotonic(const struct clock_timer *ct)
{
    s64 offset = ktime_real_offset();

    if (!ct->real || ct->expires >= KTIME_MAX)
        return ct->expires;
    return (s64)ct->expires <= offset ? 0 : ct->expires - offset;
}

void clock_timer_init(struct clock_timer *ct, void (*fn)(struct timer *))
{
    timer_init(&ct->timer, fn);
    list_init(&ct->link);
    ct->real = false;
    ct->expires = 0;
}

void clock_timer_start(struct clock_timer *ct, bool real, u64 expires)
{
    unsigned long flags;

    if (likely(!real && !ct->real)) {
        ct->expires = expires;
        timer_start(&ct->timer, expires);
        return;
    }
    flags = spin_lock_irqsave(&real_lock);
    ct->real = real;
    ct->expires = expires;
    if (list_empty(&ct->link) && real)
        list_add(&ct->link, &on_real_time);
    else if (!list_empty(&ct->link) && !real)
        list_del_init(&ct->link);
    timer_start(&ct->timer, to_monotonic(ct));
    spin_unlock_irqrestore(&real_lock, flags);
}

void clock_timer_end(struct clock_timer *ct)
{
    unsigned long flags = spin_lock_irqsave(&real_lock);

    if (!list_empty(&ct->link))
        list_del_init(&ct->link);
    spin_unlock_irqrestore(&real_lock, flags);
    timer_cancel_sync(&ct->timer);
}

u64 clock_timer_now(const struct clock_timer *ct)
{
    return ct->real ? (u64)ktime_real() : ktime_get();
}

u64 clock_timer_left(const struct clock_timer *ct)
{
    u64 now = clock_timer_now(ct);

    if (ct->expires > now)
        return ct->expires - now;
    return 1; /* the interrupt is on its way; 0 would say that it does not run */
}

u64 clock_timer_forward(struct clock_timer *ct, u64 interval)
{
    u64 now = clock_timer_now(ct), last = ct->expires, n = 0;

    if (now >= last) {
        n = (now - last) / interval;
        last += n * interval;
    }
    clock_timer_start(ct, ct->real,
                      interval >= (u64)KTIME_MAX - last ? KTIME_MAX : last + interval);
    return n + 1;
}

void clock_timers_move(void)
{
    unsigned long flags = spin_lock_irqsave(&real_lock);
    struct clock_timer *ct;

    list_for_each_entry(ct, &on_real_time, link)
        if (timer_cancel(&ct->timer))
            timer_start(&ct->timer, to_monotonic(ct));
    spin_unlock_irqrestore(&real_lock, flags);
}
