/* SPDX-License-Identifier: MIT */
/*
 * Timers: on each CPU a tree ordered by the latest time to fire, whose first entry (or the tick, if
 * that is earlier) is what the CPU's one-shot clock event is set to. A timer may be allowed some slack
 * (prctl(2), PR_SET_TIMERSLACK): when the event comes, all from the first on whose earliest time has
 * passed fire with it, and so those that are close together cost one interrupt.
 *
 * The tick, HZ times a second, samples who is running and counts time slices; an idle CPU has none.
 * A thread that has used up the run time of one of its timers before the next tick gets an interrupt at
 * that point, too (itimer.c).
 * The event is set only when the earliest time changes; an interrupt that finds nothing due (its
 * timer was cancelled) just sets the next one.
 */
#include <vellum/alloc.h>
#include <vellum/sched.h>
#include <vellum/sync.h>
#include <vellum/time.h>

u64 clock_deadline(ktime_t ns); /* clock.c */

#define TICK_NS (NSEC_PER_SEC / HZ)

struct timer_queue {
    spinlock_t lock; /* interrupts off */
    struct rb_root_cached timers;
    struct timer *running; /* whose fn runs now */
    ktime_t programmed;    /* what the clock event is set to */
    ktime_t next_tick;     /* KTIME_MAX: stopped */
    ktime_t
        run_time_due; /* the thread that runs is to be charged then; KTIME_MAX: not before the tick */
};

static struct timer_queue boot_queue = {
    .programmed = KTIME_MAX, .next_tick = KTIME_MAX, .run_time_due = KTIME_MAX};

static struct timer_queue *queue_of(struct cpu *cpu)
{
    return cpu->timer_queue;
}

static bool earlier(const struct rb_node *a, const struct rb_node *b)
{
    return rb_entry(a, struct timer, node)->latest < rb_entry(b, struct timer, node)->latest;
}

static struct timer *first_timer(struct timer_queue *q)
{
    struct rb_node *n = rb_first_cached(&q->timers);

    return n ? rb_entry(n, struct timer, node) : NULL;
}

/* Set this CPU's clock event to what comes first; => q->lock, q is this CPU's */
static void program(struct timer_queue *q)
{
    struct timer *first = first_timer(q);
    ktime_t next = min(q->next_tick, q->run_time_due);

    if (first)
        next = min(next, first->latest);
    if (next == q->programmed)
        return;
    q->programmed = next;
    arch_timer_set(clock_deadline(next));
}

void timer_init(struct timer *t, void (*fn)(struct timer *))
{
    *t = (struct timer){.fn = fn, .cpu = this_cpu()};
}

/* Lock the queue on which t stands (or stood last). */
static struct timer_queue *lock_queue(struct timer *t)
{
    for (;;) {
        struct cpu *cpu = READ_ONCE(t->cpu);
        struct timer_queue *q = queue_of(cpu);

        spin_lock_raw(&q->lock);
        if (likely(cpu == READ_ONCE(t->cpu)))
            return q;
        spin_unlock_raw(&q->lock);
    }
}

static bool unqueue(struct timer_queue *q, struct timer *t)
{
    if (!t->queued)
        return false;
    rb_erase_cached(&t->node, &q->timers);
    t->queued = false;
    return true;
}

void timer_start(struct timer *t, ktime_t expires)
{
    timer_start_range(t, expires, expires);
}

void timer_start_range(struct timer *t, ktime_t expires, ktime_t latest)
{
    unsigned long flags = irq_save();
    struct timer_queue *q, *here;

    preempt_disable();
    here = queue_of(this_cpu());
    q = lock_queue(t);
    unqueue(q, t);
    if (q != here && q->running != t) {
        WRITE_ONCE(t->cpu, this_cpu());
        spin_unlock_raw(&q->lock);
        q = here;
        spin_lock_raw(&q->lock);
    }
    t->expires = expires;
    t->latest = latest;
    t->queued = true;
    rb_add_cached(&t->node, &q->timers, earlier);
    if (q == here && first_timer(q) == t)
        program(q);
    spin_unlock_raw(&q->lock);
    preempt_enable_no_resched();
    irq_restore(flags);
}

/* Take t off its queue. *running: its function was running then, and may start t again. */
static bool cancel(struct timer *t, bool *running)
{
    unsigned long flags = irq_save();
    struct timer_queue *q;
    bool was;

    preempt_disable();
    q = lock_queue(t);
    was = unqueue(q, t);
    *running = q->running == t;
    spin_unlock_raw(&q->lock);
    preempt_enable_no_resched();
    irq_restore(flags);
    return was;
}

bool timer_cancel(struct timer *t)
{
    bool running;

    return cancel(t, &running);
}

bool timer_cancel_sync(struct timer *t)
{
    bool running, was = cancel(t, &running);

    while (running) {
        cpu_relax();
        was |= cancel(t, &running);
    }
    return was;
}

/* Run what is due; => q->lock held, dropped while a function runs */
static void run_expired(struct timer_queue *q, ktime_t now)
{
    struct timer *t;

    while ((t = first_timer(q)) && t->expires <= now) {
        unqueue(q, t);
        WRITE_ONCE(q->running, t);
        spin_unlock_raw(&q->lock);
        t->fn(t); /* t may be gone afterwards */
        spin_lock_raw(&q->lock);
        __atomic_store_n(&q->running, NULL, __ATOMIC_RELEASE);
    }
}

void timer_interrupt(bool user)
{
    struct timer_queue *q = queue_of(this_cpu());
    ktime_t now = ktime_get();
    bool tick, charge;

    this_cpu()->counters.timer_interrupts++;
    spin_lock_raw(&q->lock);
    q->programmed = KTIME_MAX; /* one-shot: it has fired */
    run_expired(q, now);
    tick = q->next_tick <= now;
    if (tick)
        q->next_tick += ((now - q->next_tick) / TICK_NS + 1) * TICK_NS;
    charge = q->run_time_due <= now;
    if (charge)
        q->run_time_due = KTIME_MAX;
    program(q);
    spin_unlock_raw(&q->lock);
    if (tick)
        sched_tick(user);
    else if (charge)
        sched_charge(user);
}

void timer_check_run_time(u64 ns)
{
    struct timer_queue *q = queue_of(this_cpu());
    ktime_t due = ktime_after(ns);

    spin_lock_raw(&q->lock);
    q->run_time_due = due < q->next_tick ? due : KTIME_MAX;
    program(q);
    spin_unlock_raw(&q->lock);
}

void tick_stop(void)
{
    struct timer_queue *q = queue_of(this_cpu());

    spin_lock_raw(&q->lock);
    q->next_tick = KTIME_MAX;
    program(q);
    spin_unlock_raw(&q->lock);
}

void tick_start(void)
{
    struct timer_queue *q = queue_of(this_cpu());

    spin_lock_raw(&q->lock);
    if (q->next_tick == KTIME_MAX)
        q->next_tick = ktime_get() + TICK_NS;
    program(q);
    spin_unlock_raw(&q->lock);
}

void time_cpu_init(struct cpu *cpu)
{
    struct timer_queue *q = cpu == &boot_cpu ? &boot_queue : kzalloc(sizeof(*q), ALLOC_KERNEL);

    if (!q)
        panic("no memory for processor %u", cpu->id);
    spin_init(&q->lock);
    q->programmed = q->next_tick = q->run_time_due = KTIME_MAX;
    cpu->timer_queue = q;
}
