/* SPDX-License-Identifier: MIT */
/*
 * Wait queues: see wait.h for the idea.
 */
#include <vellum/sync.h>

void wait_queue_init(struct wait_queue *q)
{
    spin_init(&q->lock);
    lock_id_init(&q->lock.id, LOCKDEP_HERE);
    list_init(&q->entries);
}

bool wake_default(struct wait_entry *entry, unsigned long key)
{
    return wake_thread(entry->thread);
}

/* The state is set while the lock is held, after queueing: a waker that takes the lock later sees
 * both; one that took it earlier has made the condition true before, and our caller tests it next. */
static void prepare(struct wait_queue *q, struct wait_entry *e, int state, bool exclusive)
{
    unsigned long flags = spin_lock_irqsave(&q->lock);

    e->exclusive = exclusive;
    if (list_empty(&e->link)) {
        if (exclusive)
            list_add_tail(&e->link, &q->entries);
        else
            list_add(&e->link, &q->entries);
    }
    __atomic_store_n(&current->state, state, __ATOMIC_SEQ_CST);
    spin_unlock_irqrestore(&q->lock, flags);
    smp_fence();
}

void wait_prepare(struct wait_queue *q, struct wait_entry *e, int state)
{
    prepare(q, e, state, e->exclusive);
}

void wait_prepare_exclusive(struct wait_queue *q, struct wait_entry *e, int state)
{
    prepare(q, e, state, true);
}

void wait_finish(struct wait_queue *q, struct wait_entry *e)
{
    __atomic_store_n(&current->state, TASK_RUNNING, __ATOMIC_RELEASE);
    wait_remove(q, e);
}

/* The fence: whoever is queued tests a condition next, and wakers look at the queue without its lock
 * (wait_queue_active()). */
void wait_add(struct wait_queue *q, struct wait_entry *e)
{
    unsigned long flags = spin_lock_irqsave(&q->lock);

    list_add(&e->link, &q->entries);
    spin_unlock_irqrestore(&q->lock, flags);
    smp_fence();
}

void wait_add_exclusive(struct wait_queue *q, struct wait_entry *e)
{
    unsigned long flags = spin_lock_irqsave(&q->lock);

    e->exclusive = true;
    list_add_tail(&e->link, &q->entries);
    spin_unlock_irqrestore(&q->lock, flags);
    smp_fence();
}

void wait_remove(struct wait_queue *q, struct wait_entry *e)
{
    unsigned long flags = spin_lock_irqsave(&q->lock);

    if (!list_empty(&e->link))
        list_del_init(&e->link);
    spin_unlock_irqrestore(&q->lock, flags);
}

/* Entries stay queued until their thread takes them off; non-exclusive ones stand first. One whose
 * thread was woken already (and has not come to run) answers false and does not use up the count. */
void wake_up_locked(struct wait_queue *q, unsigned exclusive, unsigned long key)
{
    struct wait_entry *e, *next;

    list_for_each_entry_safe(e, next, &q->entries, link) {
        bool is_exclusive = e->exclusive;

        if (e->wake(e, key) && is_exclusive && --exclusive == 0)
            break;
    }
}

void wake_up(struct wait_queue *q, unsigned exclusive, unsigned long key)
{
    unsigned long flags = spin_lock_irqsave(&q->lock);

    wake_up_locked(q, exclusive, key);
    spin_unlock_irqrestore(&q->lock, flags);
}
