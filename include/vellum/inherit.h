/* SPDX-License-Identifier: MIT */
/*
 * Priority inheritance: while a thread holds a lock that more urgent ones wait for, it runs with
 * their priority (Sha, Rajkumar, Lehoczky: Priority Inheritance Protocols, 1990).
 *
 * The owner of such a lock describes it by a struct pi_lock, and each of its waiters by a struct
 * pi_waiter. The functions keep the waiters in order and lend priorities along the chain "holds a
 * lock for which waits one that holds a lock for which ..."; who gets the lock, and how a thread
 * sleeps, is the caller's business (kernel/ipc/futex_pi.c).
 */
#ifndef VELLUM_INHERIT_H
#define VELLUM_INHERIT_H

#include <vellum/rbtree.h>
#include <vellum/sync.h>

/* Guards all of this: a chain goes through many locks and threads, and must hold still while it is
 * walked. Taken after the locks of whoever calls, before thread->wake_lock. */
extern spinlock_t pi_guard;

struct pi_lock {
    struct thread *owner;          /* [pi_guard] with a reference; or NULL */
    struct rb_root_cached waiters; /* [pi_guard] struct pi_waiter, the most urgent first */
    struct list held_link;         /* [pi_guard] in owner->pi_held */
};

struct pi_waiter {
    struct rb_node node;   /* [pi_guard] in lock->waiters */
    struct pi_lock *lock;  /* [pi_guard] */
    struct thread *thread; /* [pi_guard] */
    int urgency;           /* [pi_guard] of the thread when it was put in its place */
};

void pi_lock_init(struct pi_lock *lock);

/* All => pi_guard held */

/* Who holds the lock; NULL: nobody. Its waiters lend their priority to the new owner. */
void pi_set_owner(struct pi_lock *lock, struct thread *owner);
/* thread waits from now on: 0, or -EDEADLK if the owner waits, through whatever chain, for it. */
int pi_wait(struct pi_lock *lock, struct pi_waiter *w, struct thread *thread);
/* It does not wait any more. */
void pi_leave(struct pi_waiter *w);
/* The one to get the lock next, or NULL. */
struct pi_waiter *pi_first(struct pi_lock *lock);

/* The policy or priority of t has changed: its place among waiters and what it lends do too.
 * => pi_guard not held */
void pi_thread_changed(struct thread *t);

#endif
