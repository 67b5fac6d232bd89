/* SPDX-License-Identifier: MIT */
/*
 * The sleeping read-write lock. Its state counts readers; RWLOCK_WRITER marks a writer,
 * RWLOCK_WAITERS that somebody sleeps. Who cannot have the lock sets that bit before sleeping: it
 * sends new readers to the slow path (so readers cannot starve a writer) and makes whoever releases
 * the lock look at the queues.
 */
#include <vellum/sync.h>

void rwlock_init(struct rwlock *l)
{
    atomic_set(&l->state, 0);
    l->writer = NULL;
    wait_queue_init(&l->readers);
    wait_queue_init(&l->writers);
    lock_id_init(&l->id, LOCKDEP_HERE);
}

static bool replace(struct rwlock *l, int *old, int new)
{
    return __atomic_compare_exchange_n(&l->state.value, old, new, true, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

/* Become a reader if no writer holds it or waits; else mark that somebody waits. */
static bool try_read(struct rwlock *l)
{
    int n = atomic_read(&l->state);

    for (;;) {
        bool may = n < RWLOCK_WAITERS;

        if (replace(l, &n, may ? n + 1 : n | RWLOCK_WAITERS))
            return may;
    }
}

/* Take it if it is free. Mark that somebody waits in any case: if we have it, there may be others in
 * the queue who slept on while we were woken, and only the slow unlock wakes the next. */
static bool try_write(struct rwlock *l)
{
    int n = atomic_read(&l->state);

    for (;;) {
        bool is_free = (n & ~RWLOCK_WAITERS) == 0;

        if (replace(l, &n, n | RWLOCK_WAITERS | (is_free ? RWLOCK_WRITER : 0)))
            return is_free;
    }
}

void read_lock_slow(struct rwlock *l)
{
    wait_event(&l->readers, try_read(l));
}

/* The last reader leaves and a writer waits. */
void read_unlock_slow(struct rwlock *l)
{
    wake_up_one(&l->writers);
}

void write_lock_slow(struct rwlock *l)
{
    (void)wait_event_state(&l->writers, try_write(l), TASK_UNINTERRUPTIBLE, KTIME_MAX, true);
    l->writer = current;
}

/* RWLOCK_WAITERS is cleared; those woken set it again, whether they get the lock or not. */
void write_unlock_slow(struct rwlock *l)
{
    (void)atomic_xchg(&l->state, 0);
    wake_up_one(&l->writers);
    wake_up_all(&l->readers);
}
