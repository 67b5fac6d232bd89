/* SPDX-License-Identifier: MIT */
/*
 * Futexes that lend their waiters' priority to their owner: FUTEX_LOCK_PI and what belongs to it
 * (futex(2), "Priority-inheritance futexes"; inherit.h).
 *
 * The word says who owns the lock: 0, or the owner's thread number, with FUTEX_WAITERS if it must be
 * released through the kernel, and FUTEX_OWNER_DIED if an owner left it behind. While there are
 * waiters the kernel has a struct futex_pi for it, which stands for the lock among struct pi_locks.
 * All who wait for it stand in the bucket of its key, so the bucket's lock guards it.
 *
 * A lock never becomes free as long as somebody waits: unlocking hands it to the most urgent waiter,
 * whose number is written to the word before it is woken. An owner that dies hands it on as well, but
 * does not know the word's address in the memory of others: then the new owner writes the word itself
 * when it wakes up. Until it has, the lock is `stale`, and the new owner stays in the bucket so that
 * nobody takes the word at its face value.
 *
 * Conditions whose waiters end as owners of such a lock: futex_pi_requeue.c.
 */
#include "futex_pi.h"
#include <vellum/alloc.h>
#include <vellum/process.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>

static struct futex_pi *pi_of(struct pi_lock *lock)
{
    return container_of(lock, struct futex_pi, lock);
}

static struct futex_pi *pi_alloc(const struct futex_key *key)
{
    struct futex_pi *pi = kmalloc(sizeof(*pi), ALLOC_KERNEL);

    if (pi) {
        pi_lock_init(&pi->lock);
        pi->key = *key;
        pi->stale = false;
    }
    return pi;
}

struct futex_waiter *futex_pi_first_waiter(struct futex_bucket *b, const struct futex_key *key)
{
    struct futex_waiter *w;

    list_for_each_entry(w, &b->waiters, link)
        if (futex_same(&w->key, key))
            return w;
    return NULL;
}

/* If nobody waits any more, the lock is user space's alone again. => the bucket's lock, pi_guard */
static void drop_if_unused_locked(struct futex_pi *pi)
{
    if (pi->stale || pi_first(&pi->lock))
        return;
    pi_set_owner(&pi->lock, NULL);
    kfree(pi);
}

void futex_pi_drop_if_unused(struct futex_pi *pi)
{
    spin_lock(&pi_guard);
    drop_if_unused_locked(pi);
    spin_unlock(&pi_guard);
}

/* ---- becoming one who waits ------------------------------------------------------------------------- */

/* Does the word agree with what we know of the lock? => the bucket's lock */
static bool owner_matches(const struct futex_pi *pi, u32 word)
{
    pid_t tid = word & FUTEX_TID_MASK;

    if (pi->stale || (tid == 0 && (word & FUTEX_OWNER_DIED)))
        return true; /* the lock is on its way from the dead to the next */
    return pi->lock.owner && pi->lock.owner->tid == tid;
}

/* Make owner, whom the word names, the owner of a new lock: false if it ends just now. */
static bool attach_owner(struct futex_pi *pi, struct thread *owner)
{
    bool closed;

    spin_lock(&pi_guard);
    pi_set_owner(&pi->lock, owner);
    smp_fence(); /* pairs with futex_exit_pi(): it sees the lock, or we see that it ends */
    closed = READ_ONCE(owner->pi_closed);
    if (closed)
        pi_set_owner(&pi->lock, NULL);
    spin_unlock(&pi_guard);
    return !closed;
}

int futex_pi_join(struct futex_bucket *b, struct futex_waiter *w, struct futex_pi *pi)
{
    int error;

    spin_lock(&pi_guard);
    error = pi_wait(&pi->lock, &w->pi_waiter, w->thread);
    spin_unlock(&pi_guard);
    if (error)
        return error;
    w->pi = pi;
    w->key = pi->key;
    futex_queue(b, w);
    return 0;
}

int pi_attempt_prepare(struct pi_attempt *a)
{
    pid_t tid;

    if (a->owner)
        thread_put(a->owner);
    a->owner = NULL;
    if (!a->spare && !(a->spare = pi_alloc(&a->key)))
        return -ENOMEM;
    if (get_user(a->word, (u32 __user *)a->address))
        return -EFAULT;
    tid = a->word & FUTEX_TID_MASK;
    a->owner = tid ? thread_find(tid) : NULL;
    return 0;
}

void pi_attempt_end(struct pi_attempt *a)
{
    if (a->owner)
        thread_put(a->owner);
    kfree(a->spare);
}

int pi_attempt_find(struct pi_attempt *a, struct futex_pi **found)
{
    struct futex_waiter *first = futex_pi_first_waiter(a->bucket, &a->key);
    u32 word = a->word;
    int error;

    if (first) {
        if (!first->pi || !owner_matches(first->pi, word))
            return -EINVAL;
        *found = first->pi;
        return 0;
    }
    if (!a->owner)
        return -ESRCH;
    if (!(word & FUTEX_WAITERS) &&
        (error = futex_replace(a->address, &word, word | FUTEX_WAITERS)) != 0)
        return error;
    if (!attach_owner(a->spare, a->owner)) {
        /* It has gone through its robust list: if the word still names it, nobody releases it. */
        error = futex_peek(a->address, &word);
        return error ? error : (word ^ a->word) & FUTEX_TID_MASK ? -EAGAIN : -ESRCH;
    }
    *found = a->spare;
    a->spare = NULL;
    return 0;
}

int pi_attempt_take(struct pi_attempt *a, pid_t tid, bool waiters)
{
    u32 word = a->word;

    return futex_replace(a->address, &word,
                         (word & FUTEX_OWNER_DIED) | (u32)tid | (waiters ? FUTEX_WAITERS : 0));
}

/* => bucket lock. ACQUIRED, WAITS (w is queued), AGAIN, -EFAULT (bring it in and try again) or an error */
static int try_lock(struct pi_attempt *a, struct futex_waiter *w, bool only_try)
{
    struct futex_waiter *first;
    struct futex_pi *pi;
    u32 word;
    int error = futex_peek(a->address, &word);

    if (error)
        return -EFAULT;
    if (word != a->word)
        return AGAIN;
    if ((word & FUTEX_TID_MASK) == (u32)current->tid)
        return -EDEADLK;
    first = futex_pi_first_waiter(a->bucket, &a->key);
    if (!first && !(word & FUTEX_TID_MASK)) {
        error = pi_attempt_take(a, current->tid, false);
        return error == -EAGAIN ? AGAIN : error ? error : ACQUIRED;
    }
    if (only_try && first)
        return first->pi && owner_matches(first->pi, word) ? -EWOULDBLOCK : -EINVAL;
    if (only_try)
        return a->owner ? -EWOULDBLOCK : -ESRCH;
    error = pi_attempt_find(a, &pi);
    if (error)
        return error == -EAGAIN ? AGAIN : error;
    error = futex_pi_join(a->bucket, w, pi);
    if (error)
        futex_pi_drop_if_unused(pi);
    return error ? error : WAITS;
}

/* ---- the end of a wait ------------------------------------------------------------------------------ */

/* We were made the owner by one that died: say so in the word. => the bucket's lock; returns without */
static int write_stale_word(struct futex_waiter *w, vaddr_t address)
{
    struct futex_bucket *b = w->bucket;
    struct futex_pi *pi = w->pi;
    u32 word = 0;
    int error;

    for (;;) {
        error = futex_peek(address, &word);
        while (!error) {
            error =
                futex_replace(address, &word, (u32)current->tid | FUTEX_WAITERS | FUTEX_OWNER_DIED);
            if (error != -EAGAIN)
                break;
            error = 0;
        }
        if (!error)
            break;
        spin_unlock(&b->lock); /* we stay in it: only we ourselves leave while the lock is stale */
        error = futex_fault_in(address, true);
        spin_lock(&b->lock);
        if (error)
            break;
    }
    list_del(&w->link);
    pi->stale = false;
    futex_pi_drop_if_unused(pi);
    spin_unlock(&b->lock);
    return error;
}

int futex_pi_finish(struct futex_waiter *w, vaddr_t address, int reason)
{
    struct futex_bucket *b;

    if (futex_done(w) && !w->stays)
        return 0;
    b = futex_lock_waiter(w);
    if (w->stays)
        return write_stale_word(w, address);
    if (w->done) {
        reason = 0;
    } else {
        list_del(&w->link);
        spin_lock(&pi_guard);
        pi_leave(&w->pi_waiter);
        drop_if_unused_locked(w->pi);
        spin_unlock(&pi_guard);
    }
    spin_unlock(&b->lock);
    return reason;
}

long futex_lock_pi(vaddr_t address, bool private, const struct futex_deadline *d, bool try)
{
    struct pi_attempt a = {.address = address};
    struct futex_waiter w = {.thread = current};
    int result = futex_key(address, private, &a.key);

    if (result)
        return result;
    a.bucket = futex_bucket(&a.key);
    do {
        result = pi_attempt_prepare(&a);
        if (result)
            break;
        spin_lock(&a.bucket->lock);
        result = try_lock(&a, &w, try);
        if (result == WAITS)
            __atomic_store_n(&current->state, TASK_INTERRUPTIBLE, __ATOMIC_SEQ_CST);
        spin_unlock(&a.bucket->lock);
        if (result == -EFAULT && futex_fault_in(address, true) == 0)
            result = AGAIN;
    } while (result == AGAIN && !fatal_signal_pending());
    pi_attempt_end(&a);
    if (result == AGAIN)
        return -ERESTARTNOINTR;
    if (result != WAITS)
        return result == ACQUIRED ? 0 : result;
    result = futex_sleep(&w, 1, d);
    return futex_pi_finish(&w, address, result == -EINTR ? -ERESTARTNOINTR : result);
}

/* ---- handing on ------------------------------------------------------------------------------------- */

/* Make the most urgent waiter the owner. Unless the lock is stale it leaves the bucket, and wakes up.
 * => the bucket's lock and pi_guard */
static void hand_over(struct futex_pi *pi)
{
    struct futex_waiter *w = container_of(pi_first(&pi->lock), struct futex_waiter, pi_waiter);
    struct thread *t = w->thread;

    pi_leave(&w->pi_waiter);
    pi_set_owner(&pi->lock, t);
    ref_get(&t->refs);
    w->stays = pi->stale;
    if (!pi->stale) {
        list_del(&w->link);
        drop_if_unused_locked(pi);
    }
    __atomic_store_n(&w->done, true, __ATOMIC_RELEASE); /* w may be gone from here on */
    wake_thread(t);
    thread_put(t);
}

/* => the bucket's lock. 0, -EAGAIN, -EFAULT, or another error */
static int unlock(struct futex_bucket *b, const struct futex_key *key, vaddr_t address, u32 *word)
{
    struct futex_waiter *first = futex_pi_first_waiter(b, key), *next;
    int error;

    if (!first)
        return futex_replace(address, word, 0);
    if (!first->pi || first->pi->lock.owner != current || first->pi->stale)
        return -EINVAL;
    spin_lock(&pi_guard);
    next = container_of(pi_first(&first->pi->lock), struct futex_waiter, pi_waiter);
    error = futex_replace(address, word, (u32)next->thread->tid | FUTEX_WAITERS);
    if (!error)
        hand_over(first->pi);
    spin_unlock(&pi_guard);
    return error;
}

long futex_unlock_pi(vaddr_t address, bool private)
{
    struct futex_bucket *b;
    struct futex_key key;
    u32 word;
    int error;

    if (address % sizeof(u32) == 0 && get_user(word, (u32 __user *)address))
        return -EFAULT;
    error = futex_key(address, private, &key);
    if (error)
        return error;
    b = futex_bucket(&key);
    do {
        if (get_user(word, (u32 __user *)address))
            return -EFAULT;
        if ((word & FUTEX_TID_MASK) != (u32)current->tid)
            return -EPERM;
        spin_lock(&b->lock);
        error = unlock(b, &key, address, &word);
        spin_unlock(&b->lock);
        if (error == -EFAULT && futex_fault_in(address, true) == 0)
            error = -EAGAIN;
    } while (error == -EAGAIN);
    return error;
}

/* ---- the end of an owner ---------------------------------------------------------------------------- */

/* Hand on one lock that t held a moment ago, if it still does. */
static void hand_on(struct thread *t, struct pi_lock *lock, const struct futex_key *key)
{
    struct futex_bucket *b = futex_bucket(key);
    struct pi_lock *held;

    spin_lock(&b->lock);
    spin_lock(&pi_guard);
    list_for_each_entry(held, &t->pi_held, held_link) {
        if (held != lock || !futex_same(&pi_of(held)->key, key))
            continue;
        pi_of(held)->stale = true;
        hand_over(pi_of(held));
        break;
    }
    spin_unlock(&pi_guard);
    spin_unlock(&b->lock);
}

void futex_exit_pi(struct thread *t)
{
    struct pi_lock *lock;
    struct futex_key key;

    WRITE_ONCE(t->pi_closed, true);
    smp_fence();
    while (!list_empty(&t->pi_held)) {
        spin_lock(&pi_guard);
        lock = list_first_entry_or_null(&t->pi_held, struct pi_lock, held_link);
        if (lock)
            key = pi_of(lock)->key;
        spin_unlock(&pi_guard);
        if (lock)
            hand_on(t, lock, &key);
    }
}
