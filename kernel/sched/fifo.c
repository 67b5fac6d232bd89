/* SPDX-License-Identifier: MIT */
/*
 * First in, first out, with a time slice: the plainest fair policy. A thread that becomes runnable
 * joins the end of the queue and does not preempt; one that has used up its slice goes to the end.
 * Every operation is O(1).
 */
#include "run_queue.h"
#include <vellum/time.h>

static void fifo_queue_init(struct run_queue *rq)
{
    list_init(&rq->fifo.queue);
}

static void fifo_enqueue(struct run_queue *rq, struct thread *t, bool woken)
{
    if (woken || t->slice_left == 0)
        t->slice_left = SLICE_NS;
    list_add_tail(&t->run_link, &rq->fifo.queue);
}

static void fifo_dequeue(struct run_queue *rq, struct thread *t)
{
    list_del(&t->run_link);
}

static struct thread *fifo_pick_next(struct run_queue *rq)
{
    struct thread *t = list_first_entry_or_null(&rq->fifo.queue, struct thread, run_link);

    if (t)
        list_del(&t->run_link);
    return t;
}

/* A thread that was preempted by a better class keeps its place at the front. */
static void fifo_put_prev(struct run_queue *rq, struct thread *t)
{
    if (t->slice_left == 0) {
        t->slice_left = SLICE_NS;
        list_add_tail(&t->run_link, &rq->fifo.queue);
    } else {
        list_add(&t->run_link, &rq->fifo.queue);
    }
}

static bool fifo_tick(struct run_queue *rq, struct thread *t, u64 ran_ns)
{
    t->slice_left = t->slice_left > ran_ns ? t->slice_left - ran_ns : 0;
    if (t->slice_left > 0)
        return false;
    if (!list_empty(&rq->fifo.queue))
        return true;
    t->slice_left = SLICE_NS;
    return false;
}

static void fifo_yield(struct run_queue *rq, struct thread *t)
{
    t->slice_left = 0;
}

static bool fifo_preempts(struct run_queue *rq, struct thread *running, struct thread *woken)
{
    return false;
}

static struct thread *fifo_steal(struct run_queue *rq, unsigned cpu)
{
    u64 recent = arch_cycles() - ns_to_cycles(MIGRATION_DELAY_NS);
    struct thread *t;

    list_for_each_entry(t, &rq->fifo.queue, run_link)
        if ((t->affinity.bits & BIT(cpu)) && t->queued_at < recent)
            return t;
    return NULL;
}

static void fifo_fork(struct thread *child, struct thread *parent)
{
    child->slice_left = SLICE_NS;
}

const struct sched_class fifo_class = {
    .name = "fifo",
    .rank = 1,
    .queue_init = fifo_queue_init,
    .enqueue = fifo_enqueue,
    .dequeue = fifo_dequeue,
    .pick_next = fifo_pick_next,
    .put_prev = fifo_put_prev,
    .tick = fifo_tick,
    .yield = fifo_yield,
    .preempts = fifo_preempts,
    .steal = fifo_steal,
    .fork = fifo_fork,
};
