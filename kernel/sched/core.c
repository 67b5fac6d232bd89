/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's core: switching, waking, and the processors' run queues.
 *
 * A thread that is RUNNING stands in the run queue of exactly one CPU (thread->cpu), or runs there;
 * on_queue is true for both. schedule() takes the queue's lock, puts the old thread back or (if it
 * has set its state to a sleeping one) leaves it out, picks the next, and switches; the lock is
 * released on the next thread's stack, in schedule_tail(). So whoever holds the lock of t->cpu's
 * queue and sees on_queue false knows that t's registers are saved.
 *
 * A wake-up (wake_thread_state) takes t->wake_lock, so that wakers go one at a time, then the
 * queue's lock. If t is still on the queue, it was about to sleep: setting its state back is
 * enough. Else it is queued on a CPU chosen by select_cpu().
 *
 * Where a woken thread goes: to the waker's CPU if that has nothing else to do than the waker, for
 * then the two probably take turns and no interrupt need cross CPUs; else to where it ran last.
 * Idle CPUs pull: when they become idle, and when the tick of a busy CPU finds somebody waiting and
 * kicks one. A thread that has waited for less than MIGRATION_DELAY_NS is left where it is.
 */
#include "run_queue.h"
#include <linux/sched.h>
#include <vellum/alloc.h>
#include <vellum/inherit.h>
#include <vellum/mm.h>
#include <vellum/printk.h>
#include <vellum/process.h>
#include <vellum/rseq.h>
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
static const struct sched_class *const classes[] = {&realtime_class, &fifo_class};

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

/* ---- run queues --------------------------------------------------------------------------------- */

static inline struct run_queue *queue_of(struct thread *t)
{
    return READ_ONCE(t->cpu)->run_queue;
}

/* Lock the run queue on which t is; it may move while we wait. => interrupts off */
static struct run_queue *lock_queue_of(struct thread *t)
{
    for (;;) {
        struct run_queue *rq = queue_of(t);

        spin_lock_raw(&rq->lock);
        if (likely(rq == queue_of(t)))
            return rq;
        spin_unlock_raw(&rq->lock);
    }
}

/* Ask the CPU of rq to reschedule; => its lock held */
static void reschedule(struct run_queue *rq)
{
    struct thread *running = rq->running;

    if (running->work & WORK_RESCHEDULE)
        return;
    __atomic_fetch_or(&running->work, WORK_RESCHEDULE, __ATOMIC_RELEASE);
    if (rq->cpu != this_cpu())
        arch_ipi_send(rq->cpu->id, IPI_RESCHEDULE);
}

static inline bool is_idle_thread(struct run_queue *rq, struct thread *t)
{
    return t == rq->cpu->idle;
}

/* Should t, just queued, replace what runs? */
static bool should_preempt(struct run_queue *rq, struct thread *t)
{
    struct thread *running = rq->running;

    if (is_idle_thread(rq, running))
        return true;
    if (t->sched_class != running->sched_class)
        return t->sched_class->rank < running->sched_class->rank;
    return t->sched_class->preempts(rq, running, t);
}

/* Put a runnable thread into rq; => lock held, t not queued */
static void activate(struct run_queue *rq, struct thread *t, bool woken)
{
    assert(spin_held(&rq->lock) && !t->on_queue);
    t->on_queue = true;
    t->queued_at = arch_cycles();
    rq->runnable++;
    t->sched_class->enqueue(rq, t, woken);
    if (should_preempt(rq, t))
        reschedule(rq);
}

/* Take a thread that waits (not the running one) out of rq; => lock held */
static void deactivate(struct run_queue *rq, struct thread *t)
{
    assert(spin_held(&rq->lock) && t->on_queue && rq->running != t);
    t->sched_class->dequeue(rq, t);
    t->on_queue = false;
    rq->runnable--;
}

/* ---- switching ------------------------------------------------------------------------------------ */

static struct thread *pick_next(struct run_queue *rq)
{
    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++) {
        struct thread *t = classes[i]->pick_next(rq);

        if (t)
            return t;
    }
    return rq->cpu->idle;
}

/* The thread just switched away from may no longer run here: now that its registers are saved, put
 * it on a CPU of its affinity. It may be on its way to sleep: its wake_lock keeps wakers from finding it
 * in no queue and queueing it too. => rq->lock held, and again at the end */
static void move_stray(struct run_queue *rq)
{
    struct thread *t = rq->stray;
    struct cpu *target;

    spin_unlock_raw(&rq->lock); /* nobody else moves a stray */
    spin_lock_raw(&t->wake_lock);
    target = cpus[__builtin_ctzll(t->affinity.bits & cpus_online.bits)];
    spin_lock_raw(&rq->lock);
    rq->stray = NULL;
    t->on_queue = false;
    rq->runnable--;
    WRITE_ONCE(t->cpu, target);
    spin_unlock_raw(&rq->lock);
    spin_lock_raw(&target->run_queue->lock);
    activate(target->run_queue, t, false);
    spin_unlock_raw(&target->run_queue->lock);
    spin_unlock_raw(&t->wake_lock);
    spin_lock_raw(&rq->lock);
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
    rseq_switched(prev);
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

/* ---- waking ----------------------------------------------------------------------------------------- */

/* => t->wake_lock and interrupts off; t is not queued */
static struct cpu *select_cpu(struct thread *t)
{
    struct cpu *here = this_cpu(), *last = t->cpu;

    if (last == here && (t->affinity.bits & BIT(here->id)))
        return here;
    if ((t->affinity.bits & BIT(here->id)) && here->irq_depth == 0 &&
        here->run_queue->runnable <= 1)
        return here;
    if (last->online && (t->affinity.bits & BIT(last->id)))
        return last;
    return cpus[__builtin_ctzll(t->affinity.bits & cpus_online.bits)];
}

/* A thread that is on its way to sleep may find that it need not, go on, and by the time that its waker
 * has the queue's lock be stopped for another reason, or be dead. So its state changes only if it is still
 * one of `states`. => the lock of its queue */
static inline bool still_sleeps(struct thread *t, int states)
{
    int state = READ_ONCE(t->state);

    while (state & states)
        if (__atomic_compare_exchange_n(&t->state, &state, TASK_RUNNING, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
            return true;
    return false;
}

bool wake_thread_state(struct thread *t, int states)
{
    unsigned long flags = irq_save();
    struct run_queue *rq;
    bool woken = false;

    preempt_disable();
    spin_lock_raw(&t->wake_lock);
    smp_fence(); /* the condition made true before; the state read after */
    if (!(READ_ONCE(t->state) & states))
        goto out;
    rq = lock_queue_of(t);
    woken = still_sleeps(t, states);
    if (woken && !t->on_queue) {
        struct cpu *target = select_cpu(t);

        if (target->run_queue != rq) {
            spin_unlock_raw(&rq->lock);
            rq = target->run_queue;
            spin_lock_raw(&rq->lock);
            WRITE_ONCE(t->cpu, target);
        }
        activate(rq, t, true);
    }
    spin_unlock_raw(&rq->lock);
out:
    spin_unlock_raw(&t->wake_lock);
    preempt_enable_no_resched();
    irq_restore(flags);
    if ((current->work & WORK_RESCHEDULE) && current->preempt_count == 0)
        preempt_schedule();
    return woken;
}

bool sched_look_asleep(struct thread *t, void (*fn)(struct thread *t, void *arg), void *arg)
{
    unsigned long flags = spin_lock_irqsave(&t->wake_lock);
    struct run_queue *rq = lock_queue_of(t);
    bool asleep = !t->on_queue && t->state != TASK_DEAD;

    if (asleep)
        fn(t, arg);
    spin_unlock_raw(&rq->lock);
    spin_unlock_irqrestore(&t->wake_lock, flags);
    return asleep;
}

/* SCHED_RESET_ON_FORK (sched(7)): the child starts as an ordinary thread. */
static void reset_policy(struct thread *child)
{
    if (child->rt_priority)
        child->policy = SCHED_NORMAL;
    child->nice = max(child->nice, 0);
    child->rt_priority = 0;
    child->reset_on_fork = false;
}

void sched_fork(struct thread *child, struct thread *parent)
{
    spin_init(&child->wake_lock);
    child->state = TASK_UNINTERRUPTIBLE; /* until wake_new_thread() */
    child->on_queue = false;
    child->cpu = parent->cpu;
    child->policy = parent->policy;
    child->nice = parent->nice;
    child->rt_priority = parent->rt_priority;
    if (unlikely(parent->reset_on_fork))
        reset_policy(child);
    child->queue_priority = child->rt_priority;
    child->inherited = 0;
    child->affinity = parent->affinity;
    child->sched_class = child->rt_priority ? &realtime_class : &fifo_class;
    child->run_started = child->run_cycles = child->wait_cycles = 0;
    child->user_ticks = child->system_ticks = 0;
    child->preempt_count = 1; /* schedule_tail()'s caller enables */
    lockdep_thread_init(child);
    child->sched_class->fork(child, parent);
}

void wake_new_thread(struct thread *t)
{
    unsigned long flags = irq_save();
    struct run_queue *rq;

    preempt_disable();
    WRITE_ONCE(t->cpu, select_cpu(t));
    rq = lock_queue_of(t);
    WRITE_ONCE(t->state, TASK_RUNNING);
    activate(rq, t, true);
    spin_unlock_raw(&rq->lock);
    preempt_enable_no_resched();
    irq_restore(flags);
}

/* ---- idle processors ---------------------------------------------------------------------------------- */

/* Take both queues' locks in the order of CPU numbers. */
static void lock_two(struct run_queue *a, struct run_queue *b)
{
    struct run_queue *first = a->cpu->id < b->cpu->id ? a : b;

    spin_lock_raw(&first->lock);
    spin_lock_raw_nested(first == a ? &b->lock : &a->lock, 1);
}

/* Pull one waiting thread from the CPU that has the most; => interrupts off. Whether one came. */
static bool pull(struct run_queue *rq)
{
    struct run_queue *busiest = NULL;
    struct thread *t = NULL;
    struct cpu *c;

    cpu_for_each(c)
        if (c->online && c->run_queue != rq && READ_ONCE(c->run_queue->runnable) > 1 &&
            (!busiest || c->run_queue->runnable > busiest->runnable))
            busiest = c->run_queue;
    if (!busiest)
        return false;
    lock_two(rq, busiest);
    for (unsigned i = 0; i < ARRAY_SIZE(classes) && !t && busiest->runnable > 1; i++)
        t = classes[i]->steal(busiest, rq->cpu->id);
    if (t) {
        deactivate(busiest, t);
        WRITE_ONCE(t->cpu, rq->cpu);
        activate(rq, t, false);
    }
    spin_unlock_raw(&busiest->lock);
    spin_unlock_raw(&rq->lock);
    return t != NULL;
}

/* Somebody has waited here for a tick: let an idle CPU pull it. */
static void kick_idle_cpu(struct run_queue *rq)
{
    struct cpu *c;

    cpu_for_each(c) {
        if (!c->online || !READ_ONCE(c->in_idle))
            continue;
        WRITE_ONCE(c->in_idle, false);
        arch_ipi_send(c->id, IPI_RESCHEDULE);
        return;
    }
}

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
        kick_idle_cpu(rq);
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

/* ---- changing a thread's place ----------------------------------------------------------------------------- */

int sched_set_affinity(struct thread *t, const cpumask_t *mask)
{
    cpumask_t usable = {mask->bits & cpus_online.bits};
    unsigned long flags;
    struct run_queue *rq;

    if (usable.bits == 0)
        return -EINVAL;
    flags = irq_save();
    preempt_disable();
    spin_lock_raw(&t->wake_lock);
    rq = lock_queue_of(t);
    t->affinity = usable;
    if (t->on_queue && !(usable.bits & BIT(t->cpu->id))) {
        struct cpu *target = cpus[__builtin_ctzll(usable.bits)];

        if (rq->running != t && rq->stray != t) {
            deactivate(rq, t);
            spin_unlock_raw(&rq->lock);
            rq = target->run_queue;
            spin_lock_raw(&rq->lock);
            WRITE_ONCE(t->cpu, target);
            activate(rq, t, false);
        } else if (rq->running == t) {
            reschedule(rq); /* it leaves at its next schedule(): move_stray() */
        }
    }
    spin_unlock_raw(&rq->lock);
    spin_unlock_raw(&t->wake_lock);
    preempt_enable_no_resched();
    irq_restore(flags);
    return 0;
}

/* Take t out of its queue while what decides its place changes. Returns whether it stood there.
 * => interrupts off; both locks are held until place_changed() */
static struct run_queue *place_changes(struct thread *t, bool *queued)
{
    struct run_queue *rq;

    preempt_disable();
    spin_lock_raw(&t->wake_lock);
    rq = lock_queue_of(t);
    *queued = t->on_queue && rq->running != t && rq->stray != t;
    if (*queued)
        deactivate(rq, t);
    return rq;
}

static void place_changed(struct run_queue *rq, struct thread *t, bool queued)
{
    int urgency = max(sched_urgency(t), t->inherited);

    t->queue_priority = max(urgency - URGENCY_NICE_MAX, 0);
    t->sched_class = t->queue_priority ? &realtime_class : sched_class_of(t->policy);
    if (queued)
        activate(rq, t, false);
    else if (t->on_queue)
        reschedule(rq);
    spin_unlock_raw(&rq->lock);
    spin_unlock_raw(&t->wake_lock);
    preempt_enable_no_resched();
}

int sched_set_policy(struct thread *t, int policy, int nice, int rt_priority)
{
    unsigned long flags;
    struct run_queue *rq;
    bool queued;

    if (!sched_class_of(policy))
        return -EINVAL;
    flags = irq_save();
    rq = place_changes(t, &queued);
    t->policy = policy;
    t->nice = nice;
    t->rt_priority = rt_priority;
    place_changed(rq, t, queued);
    irq_restore(flags);
    if (unlikely(READ_ONCE(t->pi_waiting)))
        pi_thread_changed(t);
    return 0;
}

void sched_inherit(struct thread *t, int urgency)
{
    unsigned long flags = irq_save();
    bool queued;
    struct run_queue *rq = place_changes(t, &queued);

    t->inherited = urgency;
    place_changed(rq, t, queued);
    irq_restore(flags);
}

/* ---- start ---------------------------------------------------------------------------------------------------- */

static void run_queue_init(struct run_queue *rq, struct cpu *cpu)
{
    spin_init(&rq->lock);
    rq->cpu = cpu;
    rq->running = cpu->idle;
    cpu->run_queue = rq;
    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
        classes[i]->queue_init(rq);
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
