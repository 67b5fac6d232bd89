/* SPDX-License-Identifier: MIT */
/*
 * Futexes, two at a time: FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP (futex(2)).
 *
 * Waking everybody who waits for a condition, only to have all but one of them wait for the mutex
 * that goes with it, is a waste: requeueing wakes one and moves the others from the first word's
 * queue to the second's. FUTEX_WAKE_OP changes one word and wakes waiters of two, in one step.
 */
#include "futex.h"
#include <vellum/error.h>
#include <vellum/uaccess.h>

static int two_keys(vaddr_t address1, vaddr_t address2, bool private, struct futex_key *key1,
                    struct futex_key *key2)
{
    int error = futex_key(address1, private, key1);

    return error ? error : futex_key(address2, private, key2);
}

/* Wake the first `wake` waiters of key1 and move the next `move`. => both buckets' locks */
static long wake_and_move(struct futex_bucket *b1, const struct futex_key *key1, int wake, int move,
                          struct futex_bucket *b2, const struct futex_key *key2)
{
    struct futex_waiter *w, *next;
    long n = 0;

    list_for_each_entry_safe(w, next, &b1->waiters, link) {
        if (!futex_same(&w->key, key1))
            continue;
        if (n >= (long)wake + move)
            break;
        if (w->pi || w->target)
            return -EINVAL;
        if (n++ < wake) {
            futex_wake_waiter(w);
        } else if (!futex_same(key1, key2)) {
            list_del(&w->link);
            w->key = *key2;
            futex_queue(b2, w);
        }
    }
    return n;
}

long futex_requeue(vaddr_t address1, bool private, int wake, int move, vaddr_t address2,
                   const u32 *compare)
{
    struct futex_bucket *b1, *b2;
    struct futex_key key1, key2;
    u32 seen;
    long n;
    int error;

    if (wake < 0 || move < 0)
        return -EINVAL;
    error = two_keys(address1, address2, private, &key1, &key2);
    if (error)
        return error;
    b1 = futex_bucket(&key1);
    b2 = futex_bucket(&key2);
    futex_lock_two(b1, b2);
    while (compare && futex_peek(address1, &seen) != 0) {
        futex_unlock_two(b1, b2);
        if (futex_fault_in(address1, false))
            return -EFAULT;
        futex_lock_two(b1, b2);
    }
    if (compare && seen != *compare)
        n = -EAGAIN;
    else
        n = wake_and_move(b1, &key1, wake, move, b2, &key2);
    futex_unlock_two(b1, b2);
    return n;
}

/* ---- FUTEX_WAKE_OP ---------------------------------------------------------------------------------- */

/* The four fields of the operation, as FUTEX_OP() packs them. */
struct operation {
    unsigned op, compare;
    int argument, compared_to;
};

static int sign_extend_12(u32 value)
{
    return (int)(value << 20) >> 20;
}

static int unpack(u32 packed, struct operation *o)
{
    *o = (struct operation){
        .op = packed >> 28 & 7,
        .compare = packed >> 24 & 15,
        .argument = sign_extend_12(packed >> 12),
        .compared_to = sign_extend_12(packed),
    };
    if (packed >> 28 & FUTEX_OP_OPARG_SHIFT)
        o->argument = (int)(1u << (o->argument & 31));
    return o->op > FUTEX_OP_XOR || o->compare > FUTEX_OP_CMP_GE ? -ENOSYS : 0;
}

static u32 apply(const struct operation *o, u32 old)
{
    switch (o->op) {
    case FUTEX_OP_SET:
        return (u32)o->argument;
    case FUTEX_OP_ADD:
        return old + (u32)o->argument;
    case FUTEX_OP_OR:
        return old | (u32)o->argument;
    case FUTEX_OP_ANDN:
        return old & ~(u32)o->argument;
    default: /* FUTEX_OP_XOR */
        return old ^ (u32)o->argument;
    }
}

static bool holds(const struct operation *o, int old)
{
    switch (o->compare) {
    case FUTEX_OP_CMP_EQ:
        return old == o->compared_to;
    case FUTEX_OP_CMP_NE:
        return old != o->compared_to;
    case FUTEX_OP_CMP_LT:
        return old < o->compared_to;
    case FUTEX_OP_CMP_GE:
        return old >= o->compared_to;
    case FUTEX_OP_CMP_LE:
        return old <= o->compared_to;
    default: /* FUTEX_OP_CMP_GT */
        return old > o->compared_to;
    }
}

/* Change the word at once. *old: what it was. 0 or -EFAULT */
static int change_word(vaddr_t address, const struct operation *o, u32 *old)
{
    int error = futex_peek(address, old);

    if (error)
        return -EFAULT;
    while ((error = futex_replace(address, old, apply(o, *old))) == -EAGAIN)
        ;
    return error;
}

/* => the bucket's lock */
static long wake_locked(struct futex_bucket *b, const struct futex_key *key, int n)
{
    struct futex_waiter *w, *next;
    long woken = 0;

    list_for_each_entry_safe(w, next, &b->waiters, link) {
        if (!futex_same(&w->key, key))
            continue;
        if (w->pi || w->target)
            return -EINVAL;
        futex_wake_waiter(w);
        if (++woken >= n)
            break;
    }
    return woken;
}

long futex_wake_op(vaddr_t address1, bool private, int wake1, int wake2, vaddr_t address2, u32 op)
{
    struct futex_bucket *b1, *b2;
    struct futex_key key1, key2;
    struct operation o;
    long n, more = 0;
    u32 old;
    int error = two_keys(address1, address2, private, &key1, &key2);

    if (error || (error = unpack(op, &o)) != 0)
        return error;
    b1 = futex_bucket(&key1);
    b2 = futex_bucket(&key2);
    futex_lock_two(b1, b2);
    while (change_word(address2, &o, &old) != 0) {
        futex_unlock_two(b1, b2);
        if (futex_fault_in(address2, true))
            return -EFAULT;
        futex_lock_two(b1, b2);
    }
    n = wake_locked(b1, &key1, wake1);
    if (n >= 0 && holds(&o, (int)old))
        more = wake_locked(b2, &key2, wake2);
    futex_unlock_two(b1, b2);
    return n < 0 ? n : more < 0 ? more : n + more;
}
