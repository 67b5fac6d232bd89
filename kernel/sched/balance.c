/* SPDX-License-Identifier: MIT */
/*
 * Work finds the processors that have none.
 *
 * Idle CPUs pull: when they become idle, and when the tick of a busy CPU finds somebody waiting and
 * kicks one of them. Nobody pushes: a busy CPU has better things to do than to look for a place for
 * others. A thread that has waited for less than MIGRATION_DELAY_NS is left where it is, for what it
 * needs is in the caches there (a class's steal() sees to that).
 */
#include "queueing.h"

/* Take both queues' locks in the order of CPU numbers. */
static void lock_two(struct run_queue *a, struct run_queue *b)
{
    struct run_queue *first = a->cpu->id < b->cpu->id ? a : b;

    spin_lock_raw(&first->lock);
    spin_lock_raw_nested(first == a ? &b->lock : &a->lock, 1);
}

bool pull(struct run_queue *rq)
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
    for (unsigned i = 0; i < SCHED_CLASSES && !t && busiest->runnable > 1; i++)
        t = sched_classes[i]->steal(busiest, rq->cpu->id);
    if (t) {
        deactivate(busiest, t);
        WRITE_ONCE(t->cpu, rq->cpu);
        activate(rq, t, false);
    }
    spin_unlock_raw(&busiest->lock);
    spin_unlock_raw(&rq->lock);
    return t != NULL;
}

void kick_idle_cpu(void)
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
