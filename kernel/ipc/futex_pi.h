/* SPDX-License-Identifier: MIT */
/*
 * What futex_pi.c (the locks, and the idea) and futex_pi_requeue.c (conditions) share.
 */
#ifndef KERNEL_IPC_FUTEX_PI_H
#define KERNEL_IPC_FUTEX_PI_H

#include "futex.h"

struct futex_pi {
    struct pi_lock lock;  /* [pi_guard] */
    struct futex_key key; /* [i] */
    bool stale;           /* [b] the word does not show the owner yet */
};

/* What one step of acquiring has come to, besides errors. */
enum { ACQUIRED = 1, WAITS = 2, AGAIN = 3 };

struct pi_attempt {
    vaddr_t address;
    struct futex_key key;
    struct futex_bucket *bucket;
    u32 word;             /* as it was before the locks were taken */
    struct thread *owner; /* the thread with the number in the word, with a reference; or NULL */
    struct futex_pi *spare;
};

/* The first one who waits at a word, whatever for; or NULL. => the bucket's lock */
struct futex_waiter *futex_pi_first_waiter(struct futex_bucket *b, const struct futex_key *key);
/* If nobody waits any more, the lock is user space's alone again. => the bucket's lock */
void futex_pi_drop_if_unused(struct futex_pi *pi);
/* w waits for the lock. => the bucket's lock. 0, -EDEADLK (the lock may be unused then) */
int futex_pi_join(struct futex_bucket *b, struct futex_waiter *w, struct futex_pi *pi);
/* What has to be found where locks must not be held: 0, -ENOMEM, -EFAULT. The end is due in any case. */
int pi_attempt_prepare(struct pi_attempt *a);
void pi_attempt_end(struct pi_attempt *a);
/* The lock at a->key if it has waiters, else made of a->spare for the owner that the word names, which
 * is marked as waited for. => bucket lock. -EAGAIN: prepare again. -EFAULT: fault in first */
int pi_attempt_find(struct pi_attempt *a, struct futex_pi **found);
/* The word is nobody's: make it tid's. => bucket lock */
int pi_attempt_take(struct pi_attempt *a, pid_t tid, bool waiters);
/* Awake, for whatever reason. 0: we own the lock; else `reason`, and we wait no more. */
int futex_pi_finish(struct futex_waiter *w, vaddr_t address, int reason);

#endif
