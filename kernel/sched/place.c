/* SPDX-License-Identifier: MIT */
/*
 * A thread's place: the CPUs on which it may run (affinity), and its class and urgency in the queue of
 * one (policy, priority, what it has inherited: inherit.c).
 *
 * Both change under t->wake_lock and the lock of its queue. A thread that only waits in the queue is
 * taken out, and put back where it belongs now. One that runs cannot be moved by others: it is asked to
 * give its CPU away, and whoever runs there next moves it (move_stray), once its registers are saved.
 */
#include "queueing.h"
#include <vellum/inherit.h>

/* The thread just switched away from may no longer run here: now that its registers are saved, put
 * it on a CPU of its affinity. It may be on its way to sleep: its wake_lock keeps wakers from finding it
 * in no queue and queueing it too. => rq->lock held, and again at the end */
void move_stray(struct run_queue *rq)
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
