/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's core: the processors' run queues, switching, the tick.
 *
 * A thread that is RUNNING stands in the run queue of exactly one CPU (thread->cpu), or runs there;
 * on_queue is true for both. schedule() takes the queue's lock, puts the old thread back or (if it
 * has set its state to a sleeping one) leaves it out, picks the next, and switches; the lock is
 * released on the next thread's stack, in schedule_tail(). So whoever holds the lock of t->cpu's
 * queue and sees on_queue false knows that t's registers are saved.
 *
 * Waking is told in wake.c, how idle CPUs find work in balance.c, how a thread changes its place in
 * place.c; queueing.h has what they share.
 */
#include "queueing.h"
#include <linux/sched.h>
#include <vellum/alloc.h>
#include <vellum/inherit.h>
#include <vellum/mm.h>
#include <vellum/printk.h>
#include <vellum/process.h>
#include <vellum/smp.h>
#include <vellum/format.h>
#include <vellum/time.h>

struct cpu boot_cpu = {
    .self = &boot_cpu, .thread = &boot_thread, .online = true, .idle = &boot_thread};
struct thread boot_thread = {
    .cpu = &boot_cpu,
    .preempt_count = 1,
    .comm = "idle/0",
    .refs = REFCOUNT_INIT(1),
    .affinity = {1},
    .cred = &root_cred,
};
struct cpu *cpus[MAX_CPUS] = {&boot_cpu};
unsigned cpu_count = 1;
cpumask_t cpus_online = {1};

static struct run_queue boot_run_queue;
const struct sched_class *const sched_classes[SCHED_CLASSES] = {&realtime_class, &fifo_class};

const struct sched_class *sched_class_of(int policy)
{
    switch (policy) {
    case SCHED_FIFO:
    case SCHED_RR:
        return &realtime_class;
    case SCHED_NORMAL:
    case SCHED_BATCH:
    case SCHED_IDLE:
        return &fifo_class;
    }
    return NULL;
}

/* ---- switching ------------------------------------------------------------------------------------ */

static struct thread *pick_next(struct run_queue *rq)
{
    for (unsigned i = 0; i < SCHED_CLASSES; i++) {
        struct thread *t = sched_classes[i]->pick_next(rq);

        if (t)
            return t;
    }
    return rq->cpu->idle;
}

void schedule_tail(struct thread *prev)
{
    struct run_queue *rq = this_cpu()->run_queue;
    /* One that was preempted on the way to its last schedule() is queued, and comes back. */
    bool dead = prev->state == TASK_DEAD && !prev->on_queue;

    if (unlikely(prev == rq->stray))
        move_stray(rq);
    spin_unlock_raw(&rq->lock);
    if (unlikely(dead))
        thread_reap(prev);
}

/* Must t, before it goes on, be told that others have run meanwhile (rseq_resume())? For its restartable
 * sequences, or to ask anew for the interrupt of the timer of run time that is due next. */
static inline bool must_hear_of_others(const struct thread *t)
{
    return t->rseq || (t->process && unlikely(itimers_run(t->process)));
}

/* The run queue is locked, interrupts are off, prev has been put where it belongs. */
static void switch_to(struct run_queue *rq, struct thread *prev, struct thread *next)
{
    u64 now = arch_cycles();

    prev->run_cycles += now - prev->run_started;
    prev->queued_at = now; /* if it is: else activate() says when */
    next->run_started = now;
    next->wait_cycles += now - next->queued_at;
    rq->running = next;
    rq->cpu->thread = next;
    rq->cpu->counters.switches++;
    if (must_hear_of_others(prev))
        __atomic_fetch_or(&prev->work, WORK_RSEQ, __ATOMIC_RELAXED);
    mm_switch(prev, next);
    schedule_tail(arch_switch(prev, next));
}

static void schedule_common(bool preempted)
{
    struct thread *prev = current, *next;
    unsigned long flags = irq_save();
    struct run_queue *rq = this_cpu()->run_queue;

    assert(prev->preempt_count == 0);
    prev->preempt_count = 1;
    spin_lock_raw(&rq->lock);
    __atomic_fetch_and(&prev->work, ~WORK_RESCHEDULE, __ATOMIC_RELAXED);
    if (!is_idle_thread(rq, prev)) {
        if (prev->state == TASK_RUNNING || preempted) {
            if (likely(prev->affinity.bits & BIT(rq->cpu->id)))
                prev->sched_class->put_prev(rq, prev);
            else
                rq->stray = prev;
            prev->involuntary_switches += preempted;
        } else {
            prev->on_queue = false;
            rq->runnable--;
            prev->voluntary_switches++;
        }
    }
    next = pick_next(rq);
    if (next != prev)
        switch_to(rq, prev, next);
    else
        spin_unlock_raw(&rq->lock);
    barrier();
    current->preempt_count = 0;
    irq_restore(flags);
}

void schedule(void)
{
    assert_may_sleep();
    schedule_common(false);
}

void preempt_schedule(void)
{
    while ((current->work & WORK_RESCHEDULE) && current->preempt_count == 0 && irqs_enabled())
        schedule_common(true);
}

void preempt_irq(void)
{
    if ((current->work & WORK_RESCHEDULE) && current->preempt_count == 0)
        schedule_common(true);
}

struct sleep_timer {
    struct timer timer;
    struct thread *thread;
};

static void sleep_timer_fired(struct timer *t)
{
    wake_thread(container_of(t, struct sleep_timer, timer)->thread);
}

int schedule_until(ktime_t deadline)
{
    struct sleep_timer st;
    u64 slack;

    if (likely(deadline == KTIME_MAX)) {
        schedule();
        return 0;
    }
    if (ktime_get() >= deadline) {
        __atomic_store_n(&current->state, TASK_RUNNING, __ATOMIC_RELEASE);
        return -ETIME;
    }
    timer_init(&st.timer, sleep_timer_fired);
    st.thread = current;
    slack = current->rt_priority ? 0 : current->timer_slack;
    timer_start_range(&st.timer, deadline, deadline + min(slack, KTIME_MAX - 1 - deadline));
    schedule();
    return timer_cancel_sync(&st.timer) ? 0 : -ETIME;
}

void sched_yield_current(void)
{
    struct run_queue *rq;
    struct thread *t = current;
    unsigned long flags = irq_save();

    rq = this_cpu()->run_queue;
    if (rq->runnable < 2) { /* nobody else wants this CPU: a peek that may be late costs nothing */
        irq_restore(flags);
        return;
    }
    spin_lock_raw(&rq->lock);
    t->sched_class->yield(rq, t);
    spin_unlock_raw(&rq->lock);
    irq_restore(flags);
    schedule();
}

/* ---- an idle processor ---------------------------------------------------------------------------------- */

void idle_loop(void)
{
    struct cpu *cpu = this_cpu();

    assert(current == cpu->idle);
    for (;;) {
        irq_disable();
        current->preempt_count =
            1; /* the interrupt that ends the wait must not switch: first the tick */
        if (unlikely(READ_ONCE(log_unannounced)))
            log_announce();
        while (!(current->work & WORK_RESCHEDULE)) {
            if (pull(cpu->run_queue))
                break;
            WRITE_ONCE(cpu->in_idle, true);
            smp_fence();
            if (current->work & WORK_RESCHEDULE)
                break;
            tick_stop();
            arch_idle_wait();
            irq_disable();
            tick_start();
        }
        WRITE_ONCE(cpu->in_idle, false);
        current->preempt_count = 0;
        schedule_common(false);
        irq_enable();
    }
}

/* ---- the tick, accounting --------------------------------------------------------------------------------- */

void sched_tick(bool user)
{
    struct cpu *cpu = this_cpu();
    struct run_queue *rq = cpu->run_queue;
    struct thread *t = current;
    const u64 ns = NSEC_PER_SEC / HZ;

    load_average_tick();
    if (t == cpu->idle)
        return;
    if (user) {
        t->user_ticks++;
        *(t->nice > 0 ? &cpu->counters.nice : &cpu->counters.user) += ns;
    } else {
        t->system_ticks++;
        cpu->counters.system += ns;
    }
    if (t->process)
        itimers_check(&t->process->itimers, user);
    spin_lock_raw(&rq->lock);
    if (t->sched_class->tick(rq, t, ns))
        reschedule(rq);
    spin_unlock_raw(&rq->lock);
    if (READ_ONCE(rq->runnable) > 1)
        kick_idle_cpu();
}

void sched_charge(bool user)
{
    if (current->process)
        itimers_check(&current->process->itimers, user);
}

unsigned sched_running(void)
{
    unsigned n = 0;
    struct cpu *c;

    cpu_for_each(c)
        n += READ_ONCE(c->run_queue->runnable);
    return n;
}

u64 thread_run_time(struct thread *t)
{
    u64 cycles = READ_ONCE(t->run_cycles);

    if (t == current)
        cycles += arch_cycles() - t->run_started;
    else if (READ_ONCE(t->on_queue) && READ_ONCE(queue_of(t)->running) == t)
        cycles += arch_cycles() - READ_ONCE(t->run_started);
    return cycles_to_ns(cycles);
}

void thread_times(struct thread *t, u64 *user_ns, u64 *system_ns)
{
    u64 total = thread_run_time(t), user = t->user_ticks, system = t->system_ticks;

    if (user + system == 0)
        user = 1; /* no sample yet: it never was seen in the kernel */
    *user_ns = (unsigned __int128)total * user / (user + system);
    *system_ns = total - *user_ns;
}

u64 sched_idle_ns(struct cpu *cpu)
{
    return thread_run_time(cpu->idle);
}

/* ---- start ---------------------------------------------------------------------------------------------------- */

static void run_queue_init(struct run_queue *rq, struct cpu *cpu)
{
    spin_init(&rq->lock);
    rq->cpu = cpu;
    rq->running = cpu->idle;
    cpu->run_queue = rq;
    for (unsigned i = 0; i < SCHED_CLASSES; i++)
        sched_classes[i]->queue_init(rq);
}

void sched_init(void)
{
    boot_thread.sched_class = &fifo_class;
    boot_thread.cred = &root_cred;
    run_queue_init(&boot_run_queue, &boot_cpu);
}

void sched_cpu_init(struct cpu *cpu)
{
    struct run_queue *rq = kzalloc(sizeof(*rq), ALLOC_KERNEL);
    struct thread *idle = thread_alloc(NULL);

    if (!rq || !idle)
        panic("no memory for processor %u", cpu->id);
    sched_fork(idle, &boot_thread);
    snprintf(idle->comm, sizeof(idle->comm), "idle/%u", cpu->id);
    idle->cpu = cpu;
    idle->affinity.bits = BIT(cpu->id);
    idle->state = TASK_RUNNING;
    cpu->idle = cpu->thread = idle;
    run_queue_init(rq, cpu);
}
