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
 *     FUTEX_WAIT_REQUEUE_PI   waits for a condition, at another word; ends as owner of the lock
 *     FUTEX_CMP_REQUEUE_PI    moves such waiters to the lock, the first of them as its owner if it
 *                             is free
 */
#include "futex.h"
#include <vellum/alloc.h>
#include <vellum/process.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>

struct futex_pi {
    struct pi_lock lock;  /* [pi_guard] */
    struct futex_key key; /* [i] */
    bool stale;           /* [b] the word does not show the owner yet */
};

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

/* The first one who waits at a word, whatever for; or NULL. => the bucket's lock */
static struct futex_waiter *first_waiter(struct futex_bucket *b, const struct futex_key *key)
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

/* => the bucket's lock */
static void drop_if_unused(struct futex_pi *pi)
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

/* w waits for the lock. => the bucket's lock. 0, -EDEADLK (the lock may be unused then) */
static int join(struct futex_bucket *b, struct futex_waiter *w, struct futex_pi *pi)
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

/* What one step of acquiring has come to, besides errors. */
enum { ACQUIRED = 1, WAITS = 2, AGAIN = 3 };

struct attempt {
    vaddr_t address;
    struct futex_key key;
    struct futex_bucket *bucket;
    u32 word;             /* as it was before the locks were taken */
    struct thread *owner; /* the thread with the number in the word, with a reference; or NULL */
    struct futex_pi *spare;
};

/* What has to be found where locks must not be held. */
static int attempt_prepare(struct attempt *a)
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

static void attempt_end(struct attempt *a)
{
    if (a->owner)
        thread_put(a->owner);
    kfree(a->spare);
}

/* The lock at a->key if it has waiters, else made of a->spare for the owner that the word names, which
 * is marked as waited for. => bucket lock. -EAGAIN: prepare again. -EFAULT: fault in first */
static int find_lock(struct attempt *a, struct futex_pi **found)
{
    struct futex_waiter *first = first_waiter(a->bucket, &a->key);
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

/* The word is nobody's: make it tid's. => bucket lock */
static int take_word(struct attempt *a, pid_t tid, bool waiters)
{
    u32 word = a->word;

    return futex_replace(a->address, &word,
                         (word & FUTEX_OWNER_DIED) | (u32)tid | (waiters ? FUTEX_WAITERS : 0));
}

/* => bucket lock. ACQUIRED, WAITS (w is queued), AGAIN, -EFAULT (bring it in and try again) or an error */
static int try_lock(struct attempt *a, struct futex_waiter *w, bool only_try)
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
    first = first_waiter(a->bucket, &a->key);
    if (!first && !(word & FUTEX_TID_MASK)) {
        error = take_word(a, current->tid, false);
        return error == -EAGAIN ? AGAIN : error ? error : ACQUIRED;
    }
    if (only_try && first)
        return first->pi && owner_matches(first->pi, word) ? -EWOULDBLOCK : -EINVAL;
    if (only_try)
        return a->owner ? -EWOULDBLOCK : -ESRCH;
    error = find_lock(a, &pi);
    if (error)
        return error == -EAGAIN ? AGAIN : error;
    error = join(a->bucket, w, pi);
    if (error)
        drop_if_unused(pi);
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
    drop_if_unused(pi);
    spin_unlock(&b->lock);
    return error;
}

/* Awake, for whatever reason. 0: we own the lock; else `reason`, and we wait no more. */
static int finish_wait(struct futex_waiter *w, vaddr_t address, int reason)
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
    struct attempt a = {.address = address};
    struct futex_waiter w = {.thread = current};
    int result = futex_key(address, private, &a.key);

    if (result)
        return result;
    a.bucket = futex_bucket(&a.key);
    do {
        result = attempt_prepare(&a);
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
    attempt_end(&a);
    if (result == AGAIN)
        return -ERESTARTNOINTR;
    if (result != WAITS)
        return result == ACQUIRED ? 0 : result;
    result = futex_sleep(&w, 1, d);
    return finish_wait(&w, address, result == -EINTR ? -ERESTARTNOINTR : result);
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
    struct futex_waiter *first = first_waiter(b, key), *next;
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

/* ---- conditions ------------------------------------------------------------------------------------- */

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
    return finish_wait(&w, address2, error == -EINTR ? -EWOULDBLOCK : error);
}

/* The lock is free: the first waiter gets it without waiting. => both buckets' locks */
static int give_to_first(struct attempt *a, struct futex_waiter *w)
{
    int error = take_word(a, w->thread->tid, true);

    if (!error)
        futex_wake_waiter(w);
    return error == -EAGAIN ? AGAIN : error ? error : ACQUIRED;
}

/* The lock for which moved waiters wait; *moved counts one that got it at once.
 * => both buckets' locks. 0, AGAIN, -EFAULT or another error */
static int lock_to_move_to(struct attempt *a, struct futex_waiter *first, struct futex_pi **pi,
                           long *moved)
{
    int result;

    if (!first_waiter(a->bucket, &a->key) && !(a->word & FUTEX_TID_MASK)) {
        result = give_to_first(a, first);
        if (result != ACQUIRED)
            return result;
        *moved = 1;
        return 0; /* the others, if there are any, in the next round: the word has an owner now */
    }
    result = find_lock(a, pi);
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
            error = join(to, w, pi);
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
static long requeue_round(struct attempt *a, struct futex_bucket *b1, const struct futex_key *key1,
                          long most, long *n)
{
    struct futex_waiter *first = first_waiter(b1, key1);
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
        drop_if_unused(pi);
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
    struct attempt a = {.address = address2};
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

        result = attempt_prepare(&a);
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
    attempt_end(&a);
    if (result == AGAIN)
        return -ERESTARTNOINTR;
    return n ? n : result;
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
