/* SPDX-License-Identifier: MIT */
/*
 * Priority inheritance: see inherit.h for the idea.
 *
 * Urgency is one scale for all policies: 1 to 40 are the nice values 19 to -20, above them are the
 * real-time priorities. A thread's is its own or that of the most urgent waiter for a lock it holds,
 * whichever is greater. When it changes, a thread that waits for a lock itself takes another place
 * among the waiters, and so the owner of that lock may change, and so on to the end of the chain.
 */
#include <vellum/error.h>
#include <vellum/inherit.h>
#include <vellum/process.h>

DEFINE_SPINLOCK(pi_guard);

void pi_lock_init(struct pi_lock *lock)
{
    *lock = (struct pi_lock){};
    list_init(&lock->held_link);
}

static struct pi_waiter *waiter_of(const struct rb_node *node)
{
    return rb_entry(node, struct pi_waiter, node);
}

/* Equals stay in the order in which they came. */
static bool more_urgent(const struct rb_node *a, const struct rb_node *b)
{
    return waiter_of(a)->urgency > waiter_of(b)->urgency;
}

struct pi_waiter *pi_first(struct pi_lock *lock)
{
    struct rb_node *node = rb_first_cached(&lock->waiters);

    assert(spin_held(&pi_guard));
    return node ? waiter_of(node) : NULL;
}

/* What the waiters for its locks lend to t: 0 if there are none. */
static int lent_to(struct thread *t)
{
    struct pi_lock *lock;
    int urgency = 0;

    list_for_each_entry(lock, &t->pi_held, held_link) {
        struct pi_waiter *w = pi_first(lock);

        if (w)
            urgency = max(urgency, w->urgency);
    }
    return urgency;
}

static void insert(struct pi_waiter *w)
{
    w->urgency = max(sched_urgency(w->thread), w->thread->inherited);
    rb_add_cached(&w->node, &w->lock->waiters, more_urgent);
}

/* Bring t, and those it waits for, up to date. */
static void propagate(struct thread *t)
{
    while (t) {
        struct pi_waiter *w = t->pi_waiting;
        int lent = lent_to(t);

        if (lent != t->inherited)
            sched_inherit(t, lent);
        if (!w || w->urgency == max(sched_urgency(t), lent))
            return;
        rb_erase_cached(&w->node, &w->lock->waiters);
        insert(w);
        t = w->lock->owner;
    }
}

void pi_set_owner(struct pi_lock *lock, struct thread *owner)
{
    struct thread *old = lock->owner;

    assert(spin_held(&pi_guard));
    lock->owner = owner;
    if (old) {
        list_del(&lock->held_link);
        propagate(old);
        thread_put(old);
    }
    if (owner) {
        ref_get(&owner->refs);
        list_add(&lock->held_link, &owner->pi_held);
        propagate(owner);
    }
}

static bool waits_for(const struct thread *t, const struct thread *other)
{
    while (t && t != other)
        t = t->pi_waiting ? t->pi_waiting->lock->owner : NULL;
    return t;
}

int pi_wait(struct pi_lock *lock, struct pi_waiter *w, struct thread *thread)
{
    assert(spin_held(&pi_guard) && !thread->pi_waiting);
    if (waits_for(lock->owner, thread))
        return -EDEADLK;
    w->lock = lock;
    w->thread = thread;
    insert(w);
    thread->pi_waiting = w;
    propagate(lock->owner);
    return 0;
}

void pi_leave(struct pi_waiter *w)
{
    assert(spin_held(&pi_guard) && w->thread->pi_waiting == w);
    rb_erase_cached(&w->node, &w->lock->waiters);
    w->thread->pi_waiting = NULL;
    propagate(w->lock->owner);
}

void pi_thread_changed(struct thread *t)
{
    spin_lock(&pi_guard);
    propagate(t);
    spin_unlock(&pi_guard);
}
