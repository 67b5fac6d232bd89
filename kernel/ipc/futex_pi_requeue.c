/* SPDX-License-Identifier: MIT */
/*
 * Conditions whose mutex lends priority: FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI (futex(2)).
 *
 *     FUTEX_WAIT_REQUEUE_PI   waits for a condition, at another word; ends as owner of the lock
 *     FUTEX_CMP_REQUEUE_PI    moves such waiters to the lock, the first of them as its owner if it
 *                             is free
 *
 * A broadcast must not wake all who wait for the condition, for all but one would sleep at once for the
 * mutex; and those who wait for the mutex must lend their priority from then on. So the waker moves them
 * from one queue to the other in their sleep.
 *
 * The move goes in rounds: what must be looked up without locks (the owner that the word names, memory)
 * is prepared, then both buckets are locked and the word is looked at again.
 */
#include "futex_pi.h"
#include <vellum/process.h>
#include <vellum/uaccess.h>

long futex_wait_requeue_pi(vaddr_t address, bool private, u32 value, const struct futex_deadline *d,
                           u32 bits, vaddr_t address2)
{
    struct futex_waiter w = {.thread = current, .bits = bits};
    struct futex_key target;
    struct futex_bucket *b;
    int error;

    if (address == address2)
        return -EINVAL;
    error = futex_key(address2, private, &target);
    if (!error)
        error = futex_key(address, private, &w.key);
    if (error)
        return error;
    if (futex_same(&w.key, &target))
        return -EINVAL;
    w.target = &target;
    error = futex_enqueue(&w, address, value);
    if (error)
        return error;
    error = futex_sleep(&w, 1, d);
    b = futex_lock_waiter(&w);
    if (!w.done && !w.pi) { /* not moved yet */
        list_del(&w.link);
        spin_unlock(&b->lock);
        return error == -EINTR ? -ERESTARTNOINTR : error;
    }
    spin_unlock(&b->lock); /* it is not moved a second time */
    /* A restart would find the value changed: */
    return futex_pi_finish(&w, address2, error == -EINTR ? -EWOULDBLOCK : error);
}

/* The lock is free: the first waiter gets it without waiting. => both buckets' locks */
static int give_to_first(struct pi_attempt *a, struct futex_waiter *w)
{
    int error = pi_attempt_take(a, w->thread->tid, true);

    if (!error)
        futex_wake_waiter(w);
    return error == -EAGAIN ? AGAIN : error ? error : ACQUIRED;
}

/* The lock for which moved waiters wait; *moved counts one that got it at once.
 * => both buckets' locks. 0, AGAIN, -EFAULT or another error */
static int lock_to_move_to(struct pi_attempt *a, struct futex_waiter *first, struct futex_pi **pi,
                           long *moved)
{
    int result;

    if (!futex_pi_first_waiter(a->bucket, &a->key) && !(a->word & FUTEX_TID_MASK)) {
        result = give_to_first(a, first);
        if (result != ACQUIRED)
            return result;
        *moved = 1;
        return 0; /* the others, if there are any, in the next round: the word has an owner now */
    }
    result = pi_attempt_find(a, pi);
    return result == -EAGAIN ? AGAIN : result;
}

static long move_waiters(struct futex_bucket *from, const struct futex_key *key,
                         struct futex_bucket *to, struct futex_pi *pi, long most)
{
    struct futex_waiter *w, *next;
    long n = 0;
    int error;

    list_for_each_entry_safe(w, next, &from->waiters, link) {
        if (!futex_same(&w->key, key))
            continue;
        if (n >= most)
            break;
        if (!w->target || w->pi || !futex_same(w->target, &pi->key)) {
            error = -EINVAL;
        } else {
            list_del(&w->link);
            error = futex_pi_join(to, w, pi);
            if (error)
                futex_queue(from, w);
        }
        if (error)
            return n ? n : error;
        n++;
    }
    return n;
}

/* One round; *n counts. => both buckets' locks. 0: through; AGAIN; -EFAULT; or an error */
static long requeue_round(struct pi_attempt *a, struct futex_bucket *b1,
                          const struct futex_key *key1, long most, long *n)
{
    struct futex_waiter *first = futex_pi_first_waiter(b1, key1);
    struct futex_pi *pi = NULL;
    long result, got = 0;
    u32 word;

    if (!first || *n >= most)
        return 0;
    if (!first->target || first->pi || !futex_same(first->target, &a->key))
        return -EINVAL;
    if (futex_peek(a->address, &word))
        return -EFAULT;
    if (word != a->word)
        return AGAIN;
    result = lock_to_move_to(a, first, &pi, &got);
    if (result)
        return result;
    if (got) {
        *n += got;
        return AGAIN;
    }
    result = move_waiters(b1, key1, a->bucket, pi, most - *n);
    if (result < 0) {
        futex_pi_drop_if_unused(pi);
        return result;
    }
    *n += result;
    return 0;
}

/* The condition's word, looked at once, while both locks are held: 0, -EAGAIN, -EFAULT */
static int compare_word(vaddr_t address, u32 compare)
{
    u32 seen;

    if (futex_peek(address, &seen))
        return -EFAULT;
    return seen == compare ? 0 : -EAGAIN;
}

long futex_cmp_requeue_pi(vaddr_t address1, bool private, int wake, int move, vaddr_t address2,
                          u32 compare)
{
    struct pi_attempt a = {.address = address2};
    struct futex_bucket *b1;
    struct futex_key key1;
    bool compared = false;
    long result, n = 0;

    if (wake != 1 || move < 0 || address1 == address2)
        return -EINVAL;
    result = futex_key(address1, private, &key1);
    if (!result)
        result = futex_key(address2, private, &a.key);
    if (!result && futex_same(&key1, &a.key))
        result = -EINVAL;
    if (result)
        return result;
    b1 = futex_bucket(&key1);
    a.bucket = futex_bucket(&a.key);
    do {
        vaddr_t faulted = address1;

        result = pi_attempt_prepare(&a);
        if (result)
            break;
        futex_lock_two(b1, a.bucket);
        result = compared ? 0 : compare_word(address1, compare);
        if (!result) {
            compared = true;
            faulted = address2;
            result = requeue_round(&a, b1, &key1, (long)wake + move, &n);
        }
        futex_unlock_two(b1, a.bucket);
        if (result == -EFAULT && futex_fault_in(faulted, faulted == address2) == 0)
            result = AGAIN;
    } while (result == AGAIN && !fatal_signal_pending());
    pi_attempt_end(&a);
    if (result == AGAIN)
        return -ERESTARTNOINTR;
    return n ? n : result;
}
