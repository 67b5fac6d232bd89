/* SPDX-License-Identifier: MIT */
/*
 * Futexes: sleeping until a word of user memory changes (futex(2)).
 *
 * The word is user space's: a lock, usually, that is taken and released without a system call as long
 * as nobody has to wait. FUTEX_WAIT says "sleep, if the word still is x"; whoever changes it calls
 * FUTEX_WAKE. Sleepers stand in a hash table by the word's key. The word is compared while the
 * bucket's lock is held: a waker that has changed it before, takes that lock after, and so finds the
 * sleeper; the lock also keeps the sleeper from being woken before it stands in the queue.
 *
 * A key is what makes two addresses the same word: for private memory the address space and the
 * address, for shared mappings the number of the mapped object and the offset in it. Objects are
 * numbered when a futex in them is used first, and numbers are never used again: a key needs no
 * reference.
 */
#include "futex.h"
#include <vellum/hash.h>
#include <vellum/mm.h>
#include <vellum/process.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>

#define HASH_BITS 8

static struct futex_bucket buckets[1 << HASH_BITS];

struct futex_bucket *futex_bucket(const struct futex_key *key)
{
    struct futex_bucket *b = &buckets[hash_u64(hash_mix(key->object, key->offset), HASH_BITS)];

    if (unlikely(!READ_ONCE(b->waiters.next))) { /* never used before */
        spin_lock(&b->lock);
        if (!b->waiters.next)
            list_init(&b->waiters);
        spin_unlock(&b->lock);
    }
    return b;
}

/* ---- keys ----------------------------------------------------------------------------------------- */

static u64 object_number(struct mapping_set *set)
{
    static u64 last;
    u64 id = READ_ONCE(set->id), none = 0;

    if (likely(id))
        return id;
    id = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    if (__atomic_compare_exchange_n(&set->id, &none, id, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return id;
    return none; /* somebody else has numbered it just now */
}

int futex_key(vaddr_t address, bool private, struct futex_key *key)
{
    struct mm *mm = current->mm;
    struct vma *vma;
    int error = 0;

    if (address % sizeof(u32))
        return -EINVAL;
    if (!user_range_ok((void __user *)address, sizeof(u32)))
        return -EFAULT;
    *key = (struct futex_key){(u64)mm, address};
    if (private)
        return 0;
    read_lock(&mm->lock);
    vma = vma_find_exact(mm, address);
    if (!vma)
        error = -EFAULT;
    else if ((vma->flags & VM_SHARED) && vma->mappings)
        *key = (struct futex_key){object_number(vma->mappings),
                                  (vma->offset << PAGE_SHIFT) + (address - vma->start)};
    read_unlock(&mm->lock);
    return error;
}

/* ---- the word --------------------------------------------------------------------------------------- */

int futex_peek(vaddr_t address, u32 *value)
{
    int error;

    nofault_begin();
    error = get_user(*value, (u32 __user *)address);
    nofault_end();
    return error;
}

int futex_replace(vaddr_t address, u32 *old, u32 new)
{
    u32 seen;
    int error;

    nofault_begin();
    error = arch_cmpxchg_user_32((u32 *)address, *old, new, &seen);
    nofault_end();
    if (error)
        return -EFAULT;
    if (seen == *old)
        return 0;
    *old = seen;
    return -EAGAIN;
}

int futex_fault_in(vaddr_t address, bool write)
{
    u32 value, seen;

    if (get_user(value, (u32 __user *)address))
        return -EFAULT;
    return write && arch_cmpxchg_user_32((u32 *)address, value, value, &seen) ? -EFAULT : 0;
}

/* ---- queues ----------------------------------------------------------------------------------------- */

void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    spin_lock(a < b ? &a->lock : &b->lock);
    if (a != b)
        spin_lock_nested(a < b ? &b->lock : &a->lock, 1);
}

void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    if (a != b)
        spin_unlock(&b->lock);
    spin_unlock(&a->lock);
}

struct futex_bucket *futex_lock_waiter(struct futex_waiter *w)
{
    for (;;) {
        struct futex_bucket *b = READ_ONCE(w->bucket);

        spin_lock(&b->lock);
        if (likely(b == w->bucket))
            return b;
        spin_unlock(&b->lock); /* it was moved to another one */
    }
}

void futex_queue(struct futex_bucket *b, struct futex_waiter *w)
{
    int priority = w->thread->rt_priority;
    struct futex_waiter *other;

    WRITE_ONCE(w->bucket, b);
    if (unlikely(priority))
        list_for_each_entry(other, &b->waiters, link)
            if (other->thread->rt_priority < priority) {
                list_add_tail(&w->link, &other->link);
                return;
            }
    list_add_tail(&w->link, &b->waiters);
}

void futex_wake_waiter(struct futex_waiter *w)
{
    struct thread *t = w->thread;

    ref_get(&t->refs);
    list_del(&w->link);
    /* From here on the waiter may return and take its stack with it. */
    __atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
    wake_thread(t);
    thread_put(t);
}

int futex_wake(const struct futex_key *key, int n, u32 bits)
{
    struct futex_bucket *b = futex_bucket(key);
    struct futex_waiter *w, *next;
    int woken = 0;

    /* The word was written before; the queue is read after. Who holds the lock may have compared the
     * word already and be about to queue himself: so the lock is looked at before the queue. */
    smp_fence();
    if (!smp_load_acquire(&b->lock.locked) && list_empty(&b->waiters))
        return 0;
    spin_lock(&b->lock);
    list_for_each_entry_safe(w, next, &b->waiters, link) {
        if (!futex_same(&w->key, key))
            continue;
        if (unlikely(w->pi || w->target)) {
            woken = -EINVAL;
            break;
        }
        if (!(w->bits & bits))
            continue;
        futex_wake_waiter(w);
        if (++woken >= n)
            break;
    }
    spin_unlock(&b->lock);
    return woken;
}

int futex_wake_address(vaddr_t address, int n)
{
    struct futex_key key;
    int error = futex_key(address, false, &key);

    return error ? error : futex_wake(&key, n, FUTEX_BITSET_MATCH_ANY);
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

int futex_enqueue(struct futex_waiter *w, vaddr_t address, u32 value)
{
    struct futex_bucket *b = futex_bucket(&w->key);
    u32 seen;

    for (;;) {
        spin_lock(&b->lock);
        if (likely(futex_peek(address, &seen) == 0))
            break;
        spin_unlock(&b->lock); /* bring the page in, where one may sleep */
        if (futex_fault_in(address, false))
            return -EFAULT;
    }
    if (seen != value) {
        spin_unlock(&b->lock);
        return -EAGAIN;
    }
    futex_queue(b, w);
    __atomic_store_n(&current->state, TASK_INTERRUPTIBLE, __ATOMIC_SEQ_CST);
    spin_unlock(&b->lock);
    return 0;
}

static bool any_done(const struct futex_waiter *waiters, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (futex_done(&waiters[i]))
            return true;
    return false;
}

static ktime_t to_monotonic(const struct futex_deadline *d)
{
    s64 offset = ktime_real_offset();

    if (!d->real || d->at == KTIME_MAX)
        return d->at;
    return (s64)d->at > offset ? d->at - offset : 0;
}

int futex_sleep(const struct futex_waiter *waiters, unsigned n, const struct futex_deadline *d)
{
    bool by_wall_clock = d->real && d->at != KTIME_MAX;
    int result = 0;
    WAIT_ENTRY(entry);

    if (unlikely(by_wall_clock)) /* setting the clock wakes us */
        wait_add(&clock_was_set, &entry);
    while (!any_done(waiters, n)) {
        if (signal_pending()) {
            result = -EINTR;
            break;
        }
        if (schedule_until(to_monotonic(d)) != 0) {
            result = -ETIMEDOUT;
            break;
        }
        if (any_done(waiters, n))
            break;
        __atomic_store_n(&current->state, TASK_INTERRUPTIBLE, __ATOMIC_SEQ_CST);
    }
    __atomic_store_n(&current->state, TASK_RUNNING, __ATOMIC_RELEASE);
    if (unlikely(by_wall_clock))
        wait_remove(&clock_was_set, &entry);
    return result;
}

bool futex_dequeue(struct futex_waiter *w)
{
    struct futex_bucket *b;
    bool woken;

    if (futex_done(w))
        return true;
    b = futex_lock_waiter(w);
    woken = w->done;
    if (!woken)
        list_del(&w->link);
    spin_unlock(&b->lock);
    return woken;
}

static long wait(vaddr_t address, bool private, u32 value, const struct futex_deadline *d, u32 bits)
{
    struct futex_waiter w = {.thread = current, .bits = bits};
    int error = futex_key(address, private, &w.key);

    if (error)
        return error;
    error = futex_enqueue(&w, address, value);
    if (error)
        return error;
    error = futex_sleep(&w, 1, d);
    if (futex_dequeue(&w))
        return 0;
    return error == -EINTR ? -ERESTARTSYS : error;
}

/* With a time-out a restart must not begin it anew. */
static long wait_restartable(vaddr_t address, bool private, u32 value,
                             const struct futex_deadline *d, u32 bits);

static long wait_again(struct restart_block *r)
{
    struct futex_deadline d = {.at = r->arg[2], .real = r->arg[3] >> 33 & 1};

    return wait_restartable(r->arg[0], r->arg[3] >> 32 & 1, r->arg[1], &d, (u32)r->arg[3]);
}

static long wait_restartable(vaddr_t address, bool private, u32 value,
                             const struct futex_deadline *d, u32 bits)
{
    long result = wait(address, private, value, d, bits);

    if (likely(result != -ERESTARTSYS || d->at == KTIME_MAX))
        return result;
    current->restart = (struct restart_block){
        .fn = wait_again,
        .arg = {address, value, d->at, (u64)d->real << 33 | (u64) private << 32 | bits},
    };
    return -ERESTART_RESTARTBLOCK;
}

/* ---- the call --------------------------------------------------------------------------------------- */

/* FUTEX_WAIT's time is relative, the others' are absolute; FUTEX_LOCK_PI's is by the wall clock. */
static int deadline_of_call(int op, const struct __kernel_timespec __user *uts,
                            struct futex_deadline *d)
{
    int command = op & FUTEX_CMD_MASK;
    struct __kernel_timespec ts;
    int error;

    *d = (struct futex_deadline){KTIME_MAX, false};
    if (!uts)
        return 0;
    error = timespec_from_user(&ts, uts);
    if (error)
        return error;
    d->at = timespec_to_ns(&ts);
    d->real = command == FUTEX_LOCK_PI || (op & FUTEX_CLOCK_REALTIME);
    if (command == FUTEX_WAIT)
        d->at = ktime_after(d->at);
    return 0;
}

/* The commands that wait. */
static long wait_command(vaddr_t address, int op, u32 value,
                         const struct __kernel_timespec __user *uts, vaddr_t address2, u32 bits)
{
    bool private = op & FUTEX_PRIVATE_FLAG;
    struct futex_deadline d;
    int error = deadline_of_call(op, uts, &d);

    if (error)
        return error;
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
        return wait_restartable(address, private, value, &d, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET:
        return bits ? wait_restartable(address, private, value, &d, bits) : -EINVAL;
    case FUTEX_WAIT_REQUEUE_PI:
        return futex_wait_requeue_pi(address, private, value, &d, FUTEX_BITSET_MATCH_ANY, address2);
    default: /* FUTEX_LOCK_PI, FUTEX_LOCK_PI2 */
        return futex_lock_pi(address, private, &d, false);
    }
}

static long wake_command(vaddr_t address, bool private, int n, u32 bits)
{
    struct futex_key key;
    int error = bits ? futex_key(address, private, &key) : -EINVAL;

    return error ? error : futex_wake(&key, max(n, 1), bits);
}

SYSCALL_DEFINE6(futex, vaddr_t, address, int, op, u32, value,
                const struct __kernel_timespec __user *, uts, vaddr_t, address2, u32, value3)
{
    int command = op & FUTEX_CMD_MASK;
    bool private = op & FUTEX_PRIVATE_FLAG;
    int value2 = (int)(unsigned long)uts; /* a number, for the commands that do not wait */

    if (unlikely(op & FUTEX_CLOCK_REALTIME) && command != FUTEX_WAIT_BITSET &&
        command != FUTEX_WAIT_REQUEUE_PI && command != FUTEX_LOCK_PI2)
        return -ENOSYS;
    switch (command) {
    case FUTEX_WAKE:
        return wake_command(address, private, value, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
        return wait_command(address, op, value, uts, address2, value3);
    case FUTEX_WAKE_BITSET:
        return wake_command(address, private, value, value3);
    case FUTEX_REQUEUE:
        return futex_requeue(address, private, value, value2, address2, NULL);
    case FUTEX_CMP_REQUEUE:
        return futex_requeue(address, private, value, value2, address2, &value3);
    case FUTEX_WAKE_OP:
        return futex_wake_op(address, private, value, value2, address2, value3);
    case FUTEX_TRYLOCK_PI:
        return futex_lock_pi(address, private, &(struct futex_deadline){KTIME_MAX, false}, true);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(address, private);
    case FUTEX_CMP_REQUEUE_PI:
        return futex_cmp_requeue_pi(address, private, value, value2, address2, value3);
    }
    return -ENOSYS;
}
