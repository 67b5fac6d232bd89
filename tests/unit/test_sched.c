/* SPDX-License-Identifier: MIT */
/* unit: kernel/sched/fifo.c kernel/sched/realtime.c */
/*
 * The policies on a simulated clock: one processor whose tick comes every 10 ms,
 * and threads that run, sleep and yield as the test says.
 */
#include "kernel/sched/run_queue.h"
#include "unit.h"
#include <linux/sched.h>
#include <vellum/string.h>
#include <vellum/time.h>

#define TICK_NS (10 * NSEC_PER_MSEC)
#define THREADS 20

static struct run_queue rq;
static struct thread threads[THREADS];
static u64 ran[THREADS]; /* ns of each */

u64 ns_to_cycles(u64 ns)
{
    return ns;
}

static const struct sched_class *const classes[] = {&realtime_class, &fifo_class};

static void start(void)
{
    memset(threads, 0, sizeof(threads));
    memset(ran, 0, sizeof(ran));
    rq = (struct run_queue){0};
    shim_cycles = 1UL << 40;
    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
        classes[i]->queue_init(&rq);
}

static void thread_start(int i, const struct sched_class *class, int policy, int priority)
{
    threads[i].sched_class = class;
    threads[i].policy = policy;
    threads[i].queue_priority = priority;
    threads[i].affinity.bits = ~0UL;
    class->fork(&threads[i], &threads[i]);
    class->enqueue(&rq, &threads[i], false);
}

/* What the core does: ask the classes in their order. -1: none. */
static int pick(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++) {
        struct thread *t = classes[i]->pick_next(&rq);

        if (t)
            return t - threads;
    }
    return -1;
}

static void put(int i)
{
    threads[i].sched_class->put_prev(&rq, &threads[i]);
}

/* Run thread i until the class wants another, or for at most `ns`. Returns how long. */
static u64 run(int i, u64 ns)
{
    u64 time = 0;

    while (time < ns) {
        time += TICK_NS;
        shim_cycles += TICK_NS;
        if (threads[i].sched_class->tick(&rq, &threads[i], TICK_NS))
            break;
    }
    ran[i] += time;
    return time;
}

TEST(fifo_shares_the_processor_in_turns)
{
    u64 slice;

    start();
    for (int i = 0; i < 5; i++)
        thread_start(i, &fifo_class, SCHED_NORMAL, 0);
    slice = run(pick(), ~0UL);
    put(0);
    for (int turn = 1; turn < 1000; turn++) {
        int i = pick();

        CHECK_EQ(i, turn % 5); /* round and round */
        CHECK_EQ(run(i, ~0UL), slice);
        put(i);
    }
    for (int i = 0; i < 5; i++)
        CHECK_EQ(ran[i], 200 * slice);
}

TEST(fifo_alone_runs_on)
{
    start();
    thread_start(0, &fifo_class, SCHED_NORMAL, 0);
    CHECK_EQ(pick(), 0);
    CHECK_EQ(run(0, 60 * NSEC_PER_SEC), 60 * NSEC_PER_SEC);
    put(0);
    CHECK_EQ(pick(), 0);
    CHECK_EQ(pick(), -1);
}

TEST(fifo_woken_goes_last_and_yield_too)
{
    start();
    for (int i = 0; i < 3; i++)
        thread_start(i, &fifo_class, SCHED_NORMAL, 0);
    CHECK_EQ(pick(), 0);
    fifo_class.enqueue(&rq, &threads[3], true); /* wakes while 0 runs */
    threads[3].sched_class = &fifo_class;
    CHECK(!fifo_class.preempts(&rq, &threads[0], &threads[3]));
    fifo_class.yield(&rq, &threads[0]);
    put(0);
    CHECK_EQ(pick(), 1);
    put(1); /* preempted with slice left: stays first */
    CHECK_EQ(pick(), 1);
    CHECK_EQ(pick(), 2);
    CHECK_EQ(pick(), 3);
    CHECK_EQ(pick(), 0);
    fifo_class.enqueue(&rq, &threads[4], true);
    fifo_class.enqueue(&rq, &threads[5], true);
    fifo_class.dequeue(&rq, &threads[4]);
    CHECK_EQ(pick(), 5);
    CHECK_EQ(pick(), -1);
}

TEST(fifo_gives_away_only_what_may_go_there)
{
    start();
    for (int i = 0; i < 3; i++) {
        thread_start(i, &fifo_class, SCHED_NORMAL, 0);
        threads[i].queued_at = shim_cycles;
    }
    threads[0].affinity.bits = 1;
    CHECK(!fifo_class.steal(&rq, 1)); /* they have only just come */
    shim_cycles += NSEC_PER_SEC;
    CHECK(fifo_class.steal(&rq, 0) == &threads[0]);
    CHECK(fifo_class.steal(&rq, 1) == &threads[1]);
}

TEST(realtime_the_highest_priority_runs_always)
{
    int priorities[THREADS];

    start();
    thread_start(0, &fifo_class, SCHED_NORMAL, 0);
    for (int op = 0; op < 100000; op++) {
        int i, best = 0, in_queue[THREADS] = {0};

        for (i = 1; i < THREADS; i++) {
            priorities[i] = 1 + unit_random_below(99);
            if (unit_random_below(3)) {
                thread_start(i, &realtime_class, SCHED_FIFO, priorities[i]);
                in_queue[i] = 1;
            }
        }
        for (;;) { /* taken out in falling order, the first come first among equals */
            best = 0;
            for (i = 1; i < THREADS; i++)
                if (in_queue[i] && (!best || priorities[i] > priorities[best]))
                    best = i;
            if (!best)
                break;
            CHECK_EQ(pick(), best);
            in_queue[best] = 0;
        }
    }
    CHECK_EQ(pick(), 0);
}

TEST(realtime_round_robin_takes_turns_and_fifo_does_not)
{
    start();
    thread_start(0, &realtime_class, SCHED_FIFO, 10);
    thread_start(1, &realtime_class, SCHED_FIFO, 10);
    CHECK_EQ(pick(), 0);
    CHECK_EQ(run(0, NSEC_PER_SEC), NSEC_PER_SEC);
    CHECK(!realtime_class.preempts(&rq, &threads[0], &threads[1]));
    threads[2].queue_priority = 11;
    CHECK(realtime_class.preempts(&rq, &threads[0], &threads[2]));
    put(0);
    CHECK_EQ(pick(), 0); /* preempted: still the first of its priority */
    realtime_class.yield(&rq, &threads[0]);
    put(0);
    CHECK_EQ(pick(), 1);
    start();
    thread_start(0, &realtime_class, SCHED_RR, 10);
    thread_start(1, &realtime_class, SCHED_RR, 10);
    for (int turn = 0; turn < 100; turn++) {
        int i = pick();

        CHECK_EQ(i, turn % 2);
        CHECK(run(i, NSEC_PER_SEC) < NSEC_PER_SEC);
        put(i);
    }
}
