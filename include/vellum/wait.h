/* SPDX-License-Identifier: MIT */
/*
 * The wait queue: the one primitive on which everything blocks.
 *
 * A sleeper queues itself, tests its condition, and sleeps only if it is false; a waker makes the
 * condition true and then wakes the queue. Since the sleeper is on the queue, in a sleeping state,
 * before it tests, a wake-up between the test and the sleep turns the sleep into nothing: none is
 * lost. wait_event() and its relatives are that loop; use them unless a condition needs a lock
 * held while it is tested (then: wait_prepare, test, unlock, schedule, lock, ..., wait_finish).
 */
#ifndef VELLUM_WAIT_H
#define VELLUM_WAIT_H

#include <vellum/error.h>
#include <vellum/list.h>
#include <vellum/sched.h>

struct wait_queue {
    spinlock_t lock;     /* taken with interrupts off */
    struct list entries; /* [lock] struct wait_entry */
};

struct wait_entry;
/* Called for each entry under the queue's lock, interrupts off. key: what the waker passed (poll
 * events as a bit mask, or 0). Returns whether this entry counts as woken (for exclusive ones). */
typedef bool wake_fn(struct wait_entry *entry, unsigned long key);

struct wait_entry {
    struct list link;      /* [queue->lock]; list_empty: not queued */
    struct thread *thread; /* for the default wake function */
    wake_fn *wake;
    bool exclusive; /* a wake-up of n stops after n of these */
};

#define WAIT_QUEUE_INIT(q)                                                                         \
    {                                                                                              \
        .lock = SPINLOCK_INIT, .entries = LIST_INIT((q).entries)                                   \
    }
#define DEFINE_WAIT_QUEUE(q) struct wait_queue q = WAIT_QUEUE_INIT(q)

void wait_queue_init(struct wait_queue *q);
bool wake_default(struct wait_entry *entry, unsigned long key); /* wake entry->thread */

/* An entry for the current thread. */
#define WAIT_ENTRY(name)                                                                           \
    struct wait_entry name = {.link = LIST_INIT(name.link), .thread = current, .wake = wake_default}

/* Queue the entry (once) and set the thread's state to `state` (TASK_INTERRUPTIBLE ...). */
void wait_prepare(struct wait_queue *q, struct wait_entry *e, int state);
void wait_prepare_exclusive(struct wait_queue *q, struct wait_entry *e, int state);
/* Take it off and be running again. */
void wait_finish(struct wait_queue *q, struct wait_entry *e);
/* Queue or unqueue without touching the thread's state (poll). */
void wait_add(struct wait_queue *q, struct wait_entry *e);
void wait_add_exclusive(struct wait_queue *q, struct wait_entry *e); /* behind all others */
void wait_remove(struct wait_queue *q, struct wait_entry *e);

/* Wake all non-exclusive entries and up to `exclusive` exclusive ones. Any context. */
void wake_up(struct wait_queue *q, unsigned exclusive, unsigned long key);
void wake_up_locked(struct wait_queue *q, unsigned exclusive, unsigned long key);

/* Is anybody there? Callers make the condition true first; contains the fence that the loop needs. */
static inline bool wait_queue_active(struct wait_queue *q)
{
    smp_fence();
    return !list_empty(&q->entries);
}

static inline void wake_up_one(struct wait_queue *q)
{
    if (wait_queue_active(q))
        wake_up(q, 1, 0);
}

static inline void wake_up_all(struct wait_queue *q)
{
    if (wait_queue_active(q))
        wake_up(q, ~0u, 0);
}

/* Wake pollers and readers/writers with the poll events that became true. */
static inline void wake_up_poll(struct wait_queue *q, unsigned long events)
{
    if (wait_queue_active(q))
        wake_up(q, 1, events);
}

/* Sleep until cond is true. state decides what else ends the sleep: TASK_UNINTERRUPTIBLE nothing,
 * TASK_INTERRUPTIBLE any signal, TASK_KILLABLE a fatal one; then the value is -ERESTARTSYS. With a
 * deadline (ktime_t, monotonic; KTIME_MAX: none) that passes it is -ETIME. Else 0. */
#define wait_event_state(q, cond, state, deadline, exclusive_)                                     \
    ({                                                                                             \
        int _r = 0;                                                                                \
        if (!(cond)) {                                                                             \
            WAIT_ENTRY(_e);                                                                        \
            _e.exclusive = (exclusive_);                                                           \
            for (;;) {                                                                             \
                wait_prepare(q, &_e, state);                                                       \
                if (cond)                                                                          \
                    break;                                                                         \
                if ((_r = wait_interrupted(state)) != 0)                                           \
                    break;                                                                         \
                if ((_r = schedule_until(deadline)) != 0) {                                        \
                    if (cond)                                                                      \
                        _r = 0;                                                                    \
                    break;                                                                         \
                }                                                                                  \
            }                                                                                      \
            wait_finish(q, &_e);                                                                   \
        }                                                                                          \
        _r;                                                                                        \
    })
#define wait_event(q, cond)                                                                        \
    ((void)wait_event_state(q, cond, TASK_UNINTERRUPTIBLE, KTIME_MAX, false))
#define wait_event_interruptible(q, cond)                                                          \
    wait_event_state(q, cond, TASK_INTERRUPTIBLE, KTIME_MAX, false)
#define wait_event_killable(q, cond) wait_event_state(q, cond, TASK_KILLABLE, KTIME_MAX, false)

/* -ERESTARTSYS if the current thread has a signal that ends a sleep in this state, else 0. */
static inline int wait_interrupted(int state)
{
    if (likely(!(current->work & (WORK_SIGNAL | WORK_KILLED))) || state == TASK_UNINTERRUPTIBLE)
        return 0;
    if (state == TASK_KILLABLE && !(current->work & WORK_KILLED))
        return 0;
    return -ERESTARTSYS;
}

#endif
