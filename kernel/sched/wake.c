/* SPDX-License-Identifier: MIT */
/*
 * Waking: how a thread that sleeps, or is new, comes into a run queue.
 *
 * A wake-up (wake_thread_state) takes t->wake_lock, so that wakers go one at a time, then the
 * queue's lock. If t is still on the queue, it was about to sleep: setting its state back is
 * enough. Else it is queued on a CPU chosen by select_cpu().
 *
 *     the sleeper                          the waker
 *     state = TASK_INTERRUPTIBLE           condition = true
 *     condition? no                        state says that it sleeps?
 *     schedule()                           back to TASK_RUNNING, and queued if it is not
 *
 * Each writes first and looks then, so that one of the two sees what the other wrote.
 *
 * Where a woken thread goes: to the waker's CPU if that has nothing else to do than the waker, for
 * then the two probably take turns and no interrupt need cross CPUs; else to where it ran last.
 */
#include "queueing.h"
#include <linux/sched.h>

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
