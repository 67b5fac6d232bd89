/* SPDX-License-Identifier: MIT */
/*
 * Atomic counters and reference counts, on the compiler's __atomic builtins.
 * Orderings follow C11: what is not named relaxed is acquire, release or both.
 */
#ifndef VELLUM_ATOMIC_H
#define VELLUM_ATOMIC_H

#include <vellum/assert.h>

typedef struct {
    int value;
} atomic_t;

typedef struct {
    long value;
} atomic_long_t;

#define ATOMIC_INIT(n)                                                                             \
    {                                                                                              \
        (n)                                                                                        \
    }

/* These work on atomic_t and atomic_long_t alike. */
#define atomic_read(a)          __atomic_load_n(&(a)->value, __ATOMIC_RELAXED)
#define atomic_set(a, n)        __atomic_store_n(&(a)->value, (n), __ATOMIC_RELAXED)
#define atomic_inc(a)           ((void)__atomic_fetch_add(&(a)->value, 1, __ATOMIC_RELAXED))
#define atomic_dec(a)           ((void)__atomic_fetch_sub(&(a)->value, 1, __ATOMIC_RELAXED))
#define atomic_add(a, n)        ((void)__atomic_fetch_add(&(a)->value, (n), __ATOMIC_RELAXED))
#define atomic_sub(a, n)        ((void)__atomic_fetch_sub(&(a)->value, (n), __ATOMIC_RELAXED))
#define atomic_inc_return(a)    __atomic_add_fetch(&(a)->value, 1, __ATOMIC_ACQ_REL)
#define atomic_dec_return(a)    __atomic_sub_fetch(&(a)->value, 1, __ATOMIC_ACQ_REL)
#define atomic_add_return(a, n) __atomic_add_fetch(&(a)->value, (n), __ATOMIC_ACQ_REL)
#define atomic_dec_and_test(a)  (atomic_dec_return(a) == 0)
#define atomic_xchg(a, n)       __atomic_exchange_n(&(a)->value, (n), __ATOMIC_ACQ_REL)

/* If *a == old, set it to new. Returns whether it was. */
#define atomic_cmpxchg(a, old, new)                                                                \
    ({                                                                                             \
        __auto_type _old = (__typeof__((a)->value))(old);                                          \
        __atomic_compare_exchange_n(&(a)->value, &_old, (new), false, __ATOMIC_ACQ_REL,            \
                                    __ATOMIC_RELAXED);                                             \
    })

/* Add one unless the count is zero (the object is being freed). Returns whether it was added. */
static inline bool atomic_inc_not_zero(atomic_t *a)
{
    int n = atomic_read(a);

    while (n != 0)
        if (__atomic_compare_exchange_n(&a->value, &n, n + 1, true, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
    return false;
}

/* A reference count: taken only by one who holds a reference already (or a lock that keeps the
 * object), put by all; the one who puts the last frees. */
typedef atomic_t refcount_t;

#define REFCOUNT_INIT(n) ATOMIC_INIT(n)

static inline void ref_init(refcount_t *r)
{
    atomic_set(r, 1);
}

static inline void ref_get(refcount_t *r)
{
    assert(atomic_read(r) > 0);
    atomic_inc(r);
}

/* Returns true if this was the last reference: the caller frees. */
static inline bool __must_check ref_put(refcount_t *r)
{
    assert(atomic_read(r) > 0);
    return atomic_dec_and_test(r);
}

#define smp_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define smp_fence()             __atomic_thread_fence(__ATOMIC_SEQ_CST)

#endif
