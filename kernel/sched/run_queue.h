/* SPDX-License-Identifier: MIT */
/*
 * A processor's run queue: what the core keeps, and the structures of each class.
 */
#ifndef VELLUM_RUN_QUEUE_H
#define VELLUM_RUN_QUEUE_H

#include <vellum/sync.h>

#define REALTIME_PRIORITIES 100

struct run_queue {
    spinlock_t lock;        /* interrupts off; guards all below and [r] of struct thread */
    struct cpu *cpu;        /* [i] */
    struct thread *running; /* its thread, or cpu->idle */
    unsigned runnable;      /* threads queued or running, idle not counted */
    struct thread *stray;   /* switched away from, but not allowed here: see move_stray() */

    struct { /* realtime.c: one list for each priority */
        struct list queue[REALTIME_PRIORITIES];
        u64 occupied[2]; /* a bit for each list that is not empty */
    } realtime;
    struct { /* fifo.c */
        struct list queue;
    } fifo;
};

extern const struct sched_class realtime_class, fifo_class;

/* The class for a SCHED_* policy, or NULL. */
const struct sched_class *sched_class_of(int policy);

/* load.c: from the tick */
void load_average_tick(void);

#define SLICE_NS       (50 * NSEC_PER_MSEC)  /* of an ordinary thread */
#define ROUND_ROBIN_NS (100 * NSEC_PER_MSEC) /* of a SCHED_RR one */

#define MIGRATION_DELAY_NS 500000 /* a thread that waits for less is not pulled to another CPU */

#endif
