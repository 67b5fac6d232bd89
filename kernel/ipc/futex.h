/* SPDX-License-Identifier: MIT */
/*
 * What the files of futexes share: futex.c (waiting and waking, the call), futex_requeue.c,
 * futex_pi.c, futex_pi_requeue.c, futex_waitv.c, futex_robust.c.
 */
#ifndef KERNEL_IPC_FUTEX_H
#define KERNEL_IPC_FUTEX_H

#include <vellum/futex.h>
#include <vellum/inherit.h>
#include <vellum/list.h>
#include <vellum/sync.h>
#include <vellum/types.h>
#include <linux/futex.h>
#include <linux/time_types.h>

struct futex_key {
    u64 object; /* address of the struct mm, or mapping_set->id */
    u64 offset;
};

struct futex_bucket {
    spinlock_t lock;
    struct list waiters; /* [lock] real-time threads first, by priority; then in order of arrival */
};

struct futex_pi;

/* A thread that waits at a futex; on its own stack. [b] the lock of its bucket */
struct futex_waiter {
    struct list link; /* [b] */
    struct thread *thread;
    struct futex_key key;        /* [b] */
    struct futex_bucket *bucket; /* [b] where it stands, or stood last */
    u32 bits;
    bool stays; /* [b] done, but still queued: futex_pi.c, `stale` */
    bool done;  /* [b] woken, or the lock's owner; the last thing that others write here */
    const struct futex_key *target; /* FUTEX_WAIT_REQUEUE_PI: may be moved to this one only */
    struct futex_pi *pi;            /* [b] the lock that it waits for, or NULL */
    struct pi_waiter pi_waiter;     /* in pi->lock */
};

/* When a wait ends: monotonic, or by the wall clock, which may be set meanwhile. */
struct futex_deadline {
    ktime_t at; /* KTIME_MAX: never */
    bool real;
};

/* 0, -EINVAL (not aligned), -EFAULT. private: FUTEX_PRIVATE_FLAG was given. */
int futex_key(vaddr_t address, bool private, struct futex_key *key);
struct futex_bucket *futex_bucket(const struct futex_key *key);

static inline bool futex_same(const struct futex_key *a, const struct futex_key *b)
{
    return a->offset == b->offset && a->object == b->object;
}

/* Lock two buckets, which may be the same one. */
void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b);
/* Lock the bucket where w stands. */
struct futex_bucket *futex_lock_waiter(struct futex_waiter *w);

/* Queue w in a bucket, in its place. => b->lock */
void futex_queue(struct futex_bucket *b, struct futex_waiter *w);
/* Take w off and wake its thread. It must not be touched afterwards. => its bucket's lock */
void futex_wake_waiter(struct futex_waiter *w);
/* How many were woken, or -EINVAL if they wait for a lock with priority inheritance. */
int futex_wake(const struct futex_key *key, int n, u32 bits);

/* Stand in the queue of w->key if *address is still value: 0, or -EAGAIN, -EFAULT. The thread's
 * state is then that of a sleeper. */
int futex_enqueue(struct futex_waiter *w, vaddr_t address, u32 value);
/* Sleep until one of n waiters is done, a signal or the deadline: 0, -EINTR, -ETIMEDOUT. The state is
 * RUNNING again. => the state is TASK_INTERRUPTIBLE */
int futex_sleep(const struct futex_waiter *waiters, unsigned n, const struct futex_deadline *d);
/* Leave the queue: whether somebody had woken us. */
bool futex_dequeue(struct futex_waiter *w);

static inline bool futex_done(const struct futex_waiter *w)
{
    return __atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
}

/* The word without resolving faults, for use under locks: 0 or -EFAULT. */
int futex_peek(vaddr_t address, u32 *value);
/* Replace `old`, which becomes what was seen. 0 if it was replaced, -EAGAIN if something else was
 * there, -EFAULT. No fault is resolved. */
int futex_replace(vaddr_t address, u32 *old, u32 new);
/* Outside of locks: bring the page in, to be written if `write`. 0 or -EFAULT */
int futex_fault_in(vaddr_t address, bool write);

/* futex_requeue.c */
/* compare: NULL, or what must be at address1 (-EAGAIN). */
long futex_requeue(vaddr_t address1, bool private, int wake, int move, vaddr_t address2,
                   const u32 *compare);
long futex_wake_op(vaddr_t address1, bool private, int wake1, int wake2, vaddr_t address2, u32 op);

/* futex_pi.c */
long futex_lock_pi(vaddr_t address, bool private, const struct futex_deadline *d, bool try);
long futex_unlock_pi(vaddr_t address, bool private);
void futex_exit_pi(struct thread *t);

/* futex_pi_requeue.c */
long futex_wait_requeue_pi(vaddr_t address, bool private, u32 value, const struct futex_deadline *d,
                           u32 bits, vaddr_t address2);
long futex_cmp_requeue_pi(vaddr_t address1, bool private, int wake, int move, vaddr_t address2,
                          u32 compare);

#endif
