/* SPDX-License-Identifier: MIT */
/*
 * Locks with a single thread: whoever would have to wait would wait for ever, so
 * the slow paths are panics. That finds locks taken twice and never released.
 */
#include <vellum/sync.h>

void spin_wait(spinlock_t *lock)
{
    panic("spinlock taken twice");
}

void mutex_init(struct mutex *m)
{
    *m = (struct mutex)MUTEX_INIT(*m);
}

void mutex_lock_slow(struct mutex *m)
{
    panic("mutex taken twice");
}

void mutex_unlock_slow(struct mutex *m)
{
    panic("mutex released but not held");
}

int mutex_lock_interruptible(struct mutex *m)
{
    mutex_lock(m);
    return 0;
}

void rwlock_init(struct rwlock *l)
{
    *l = (struct rwlock)RWLOCK_INIT(*l);
}

void read_lock_slow(struct rwlock *l)
{
    panic("read-write lock taken by a reader while it is written");
}

void read_unlock_slow(struct rwlock *l)
{
    panic("read-write lock released but not held");
}

void write_lock_slow(struct rwlock *l)
{
    panic("read-write lock taken by a writer while it is held");
}

void write_unlock_slow(struct rwlock *l)
{
    panic("read-write lock released but not held");
}

void wait_queue_init(struct wait_queue *q)
{
    *q = (struct wait_queue)WAIT_QUEUE_INIT(*q);
}

void wake_up(struct wait_queue *q, unsigned exclusive, unsigned long key)
{
}

bool wake_default(struct wait_entry *entry, unsigned long key)
{
    return true;
}

/* What goes on while the thread sleeps: a device that finishes something, or the time that passes (then
 * it is -ETIME). NULL: nothing ever would. */
int (*shim_asleep)(ktime_t deadline);

void wait_prepare(struct wait_queue *q, struct wait_entry *e, int state)
{
    if (!shim_asleep)
        panic("would sleep for ever");
}

void wait_finish(struct wait_queue *q, struct wait_entry *e)
{
}

int schedule_until(ktime_t deadline)
{
    if (!shim_asleep)
        panic("would sleep for ever");
    return shim_asleep(deadline);
}
