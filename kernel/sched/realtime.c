/* SPDX-License-Identifier: MIT */
/*
 * SCHED_FIFO and SCHED_RR (sched(7)): the runnable thread of the highest priority runs, always
 * before every thread of other classes. Among equals SCHED_FIFO runs until it sleeps or yields,
 * SCHED_RR for a slice. A list for each priority and a bit map of those in use make it O(1).
 */
#include "run_queue.h"
#include <linux/sched.h>
#include <vellum/time.h>

static void realtime_queue_init(struct run_queue *rq)
{
    for (unsigned p = 0; p < REALTIME_PRIORITIES; p++)
        list_init(&rq->realtime.queue[p]);
    rq->realtime.occupied[0] = rq->realtime.occupied[1] = 0;
}

static void insert(struct run_queue *rq, struct thread *t, bool front)
{
    unsigned p = t->queue_priority;

    if (front)
        list_add(&t->run_link, &rq->realtime.queue[p]);
    else
        list_add_tail(&t->run_link, &rq->realtime.queue[p]);
    rq->realtime.occupied[p / 64] |= BIT(p % 64);
}

static void realtime_enqueue(struct run_queue *rq, struct thread *t, bool woken)
{
    t->slice_left = ROUND_ROBIN_NS;
    insert(rq, t, false);
}

static void realtime_dequeue(struct run_queue *rq, struct thread *t)
{
    unsigned p = t->queue_priority;

    list_del(&t->run_link);
    if (list_empty(&rq->realtime.queue[p]))
        rq->realtime.occupied[p / 64] &= ~BIT(p % 64);
}

/* The highest priority in use, or -1. */
static int best_priority(struct run_queue *rq)
{
    if (rq->realtime.occupied[1])
        return 64 + log2_floor(rq->realtime.occupied[1]);
    return rq->realtime.occupied[0] ? (int)log2_floor(rq->realtime.occupied[0]) : -1;
}

static struct thread *realtime_pick_next(struct run_queue *rq)
{
    int p = best_priority(rq);
    struct thread *t;

    if (likely(p < 0))
        return NULL;
    t = list_first_entry(&rq->realtime.queue[p], struct thread, run_link);
    realtime_dequeue(rq, t);
    return t;
}

static void realtime_put_prev(struct run_queue *rq, struct thread *t)
{
    bool front = t->slice_left > 0;

    if (!front)
        t->slice_left = ROUND_ROBIN_NS;
    insert(rq, t, front);
}

static bool realtime_tick(struct run_queue *rq, struct thread *t, u64 ran_ns)
{
    if (t->policy == SCHED_RR)
        t->slice_left = t->slice_left > ran_ns ? t->slice_left - ran_ns : 0;
    return t->slice_left == 0;
}

static void realtime_yield(struct run_queue *rq, struct thread *t)
{
    t->slice_left = 0;
}

static bool realtime_preempts(struct run_queue *rq, struct thread *running, struct thread *woken)
{
    return woken->queue_priority > running->queue_priority;
}

static struct thread *realtime_steal(struct run_queue *rq, unsigned cpu)
{
    struct thread *t;

    for (int p = best_priority(rq); p >= 0; p--)
        list_for_each_entry(t, &rq->realtime.queue[p], run_link)
            if (t->affinity.bits & BIT(cpu))
                return t;
    return NULL;
}

static void realtime_fork(struct thread *child, struct thread *parent)
{
    child->slice_left = ROUND_ROBIN_NS;
}

const struct sched_class realtime_class = {
    .name = "realtime",
    .rank = 0,
    .queue_init = realtime_queue_init,
    .enqueue = realtime_enqueue,
    .dequeue = realtime_dequeue,
    .pick_next = realtime_pick_next,
    .put_prev = realtime_put_prev,
    .tick = realtime_tick,
    .yield = realtime_yield,
    .preempts = realtime_preempts,
    .steal = realtime_steal,
    .fork = realtime_fork,
};
