/* SPDX-License-Identifier: MIT */
/*
 * Into a run queue and out of it: what switching (core.c), waking (wake.c), balancing (balance.c) and
 * changing a thread's place (place.c) have in common.
 */
#ifndef VELLUM_QUEUEING_H
#define VELLUM_QUEUEING_H

#include "run_queue.h"
#include <vellum/process.h>
#include <vellum/smp.h>

static inline struct run_queue *queue_of(struct thread *t)
{
    return READ_ONCE(t->cpu)->run_queue;
}

/* Lock the run queue on which t is; it may move while we wait. => interrupts off */
static inline struct run_queue *lock_queue_of(struct thread *t)
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
static inline void reschedule(struct run_queue *rq)
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
static inline bool should_preempt(struct run_queue *rq, struct thread *t)
{
    struct thread *running = rq->running;

    if (is_idle_thread(rq, running))
        return true;
    if (t->sched_class != running->sched_class)
        return t->sched_class->rank < running->sched_class->rank;
    return t->sched_class->preempts(rq, running, t);
}

/* Put a runnable thread into rq; => lock held, t not queued */
static inline void activate(struct run_queue *rq, struct thread *t, bool woken)
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
static inline void deactivate(struct run_queue *rq, struct thread *t)
{
    assert(spin_held(&rq->lock) && t->on_queue && rq->running != t);
    t->sched_class->dequeue(rq, t);
    t->on_queue = false;
    rq->runnable--;
}

/* core.c: the classes, the most urgent first */
#define SCHED_CLASSES 2
extern const struct sched_class *const sched_classes[SCHED_CLASSES];

/* place.c: the thread just switched away from may no longer run here. => rq->lock held, and again at
 * the end */
void move_stray(struct run_queue *rq);

/* balance.c: take a waiting thread from the busiest CPU: whether one came. => interrupts off */
bool pull(struct run_queue *rq);
/* Somebody has waited here for a tick: let an idle CPU pull it. */
void kick_idle_cpu(void);

#endif
