/* SPDX-License-Identifier: MIT */
/*
 * Mutex and completion, on the wait queue.
 *
 * A mutex is free (0), held (1), or held and perhaps waited for (2). Lock and unlock are one atomic
 * operation each while nobody waits. A waiter marks it 2 before it sleeps, so the holder knows that
 * it has to wake somebody; the one woken takes it as 2, for others may still wait.
 */
#include <vellum/error.h>
#include <vellum/sync.h>

void mutex_init(struct mutex *m)
{
    atomic_set(&m->state, 0);
    m->owner = NULL;
    wait_queue_init(&m->waiters);
    lock_id_init(&m->id, LOCKDEP_HERE);
}

void mutex_lock_slow(struct mutex *m)
{
    (void)wait_event_state(&m->waiters, atomic_xchg(&m->state, 2) == 0, TASK_UNINTERRUPTIBLE,
                           KTIME_MAX, true);
}

int mutex_lock_interruptible(struct mutex *m)
{
    int r = 0;

    assert_may_sleep();
    lockdep_order(&m->id, m, 0, false, 0);
    if (!atomic_cmpxchg(&m->state, 0, 1))
        r = wait_event_state(&m->waiters, atomic_xchg(&m->state, 2) == 0, TASK_INTERRUPTIBLE,
                             KTIME_MAX, true);
    if (r) {
        wake_up_one(&m->waiters); /* a wake-up meant for us goes on to the next */
        return r;
    }
    lockdep_taken(&m->id, m, 0, false, 0);
    m->owner = current;
    return 0;
}

void mutex_unlock_slow(struct mutex *m)
{
    wake_up_one(&m->waiters);
}

void completion_init(struct completion *c)
{
    c->done = 0;
    wait_queue_init(&c->wait);
}

/* Under the queue's lock: the waiter may free the completion as soon as it sees `done` and has
 * taken the lock itself. */
void complete(struct completion *c)
{
    unsigned long flags = spin_lock_irqsave(&c->wait.lock);

    c->done++;
    wake_up_locked(&c->wait, 1, 0);
    spin_unlock_irqrestore(&c->wait.lock, flags);
}

static bool take(struct completion *c)
{
    unsigned long flags = spin_lock_irqsave(&c->wait.lock);
    bool done = c->done > 0;

    if (done)
        c->done--;
    spin_unlock_irqrestore(&c->wait.lock, flags);
    return done;
}

void wait_for_completion(struct completion *c)
{
    wait_event(&c->wait, take(c));
}

int wait_for_completion_killable(struct completion *c)
{
    return wait_event_killable(&c->wait, take(c));
}
