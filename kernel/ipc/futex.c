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
 * address, for shared mappings the file (or shared memory object) and the offset in it.
 */
#include <vellum/futex.h>
#include <vellum/hash.h>
#include <vellum/mm.h>
#include <vellum/process.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>
#include <linux/futex.h>

#define HASH_BITS         8
#define ROBUST_LIST_LIMIT 2048 /* entries looked at: a program may have made a loop */

struct futex_key {
    const void *object; /* struct mm, or what is mapped */
    u64 offset;
};

struct waiter {
    struct list link; /* [bucket lock]; list_empty: woken */
    struct thread *thread;
    struct futex_key key; /* [bucket lock] */
    u32 bits;
};

struct bucket {
    spinlock_t lock;
    struct list waiters;
};
static struct bucket buckets[1 << HASH_BITS];

static struct bucket *bucket_of(const struct futex_key *key)
{
    struct bucket *b = &buckets[hash_u64(hash_mix((u64)key->object, key->offset), HASH_BITS)];

    if (unlikely(!READ_ONCE(b->waiters.next))) { /* never used before */
        spin_lock(&b->lock);
        if (!b->waiters.next)
            list_init(&b->waiters);
        spin_unlock(&b->lock);
    }
    return b;
}

static inline bool same_key(const struct futex_key *a, const struct futex_key *b)
{
    return a->offset == b->offset && a->object == b->object;
}

static int make_key(vaddr_t address, bool private, struct futex_key *key)
{
    struct mm *mm = current->mm;
    struct vma *vma;
    int error = 0;

    if (address % sizeof(u32))
        return -EINVAL;
    if (!user_range_ok((void __user *)address, sizeof(u32)))
        return -EFAULT;
    *key = (struct futex_key){mm, address};
    if (private)
        return 0;
    read_lock(&mm->lock);
    vma = vma_find_exact(mm, address);
    if (!vma)
        error = -EFAULT;
    else if ((vma->flags & VM_SHARED) && vma->mappings)
        *key =
            (struct futex_key){vma->mappings, (vma->offset << PAGE_SHIFT) + (address - vma->start)};
    read_unlock(&mm->lock);
    return error;
}

/* ---- waking --------------------------------------------------------------------------------------------- */

static void wake_waiter(struct waiter *w)
{
    struct thread *t = w->thread;

    ref_get(&t->refs);
    list_del(&w->link);
    /* From here on the waiter may return and take its stack with it. */
    __atomic_store_n(&w->link.next, &w->link, __ATOMIC_RELEASE);
    wake_thread(t);
    thread_put(t);
}

static int wake(const struct futex_key *key, int n, u32 bits)
{
    struct bucket *b = bucket_of(key);
    struct waiter *w, *next;
    int woken = 0;

    smp_fence(); /* the word was written before; the queue is read after */
    if (list_empty(&b->waiters))
        return 0;
    spin_lock(&b->lock);
    list_for_each_entry_safe(w, next, &b->waiters, link) {
        if (!same_key(&w->key, key) || !(w->bits & bits))
            continue;
        wake_waiter(w);
        if (++woken >= n)
            break;
    }
    spin_unlock(&b->lock);
    return woken;
}

int futex_wake_address(vaddr_t address, int n)
{
    struct futex_key key;
    int error = make_key(address, false, &key), woken;

    if (error)
        return error;
    woken = wake(&key, n, FUTEX_BITSET_MATCH_ANY);
    return woken;
}

/* ---- waiting --------------------------------------------------------------------------------------------- */

/* Stand in the queue if *address is still value: 0, or -EAGAIN, -EFAULT. The thread's state is then
 * that of a sleeper. */
static int enqueue(struct waiter *w, vaddr_t address, u32 value)
{
    struct bucket *b = bucket_of(&w->key);
    u32 seen;
    int error;

    for (;;) {
        spin_lock(&b->lock);
        nofault_begin();
        error = get_user(seen, (u32 __user *)address);
        nofault_end();
        if (likely(error == 0))
            break;
        spin_unlock(&b->lock); /* bring the page in, where one may sleep */
        if (get_user(seen, (u32 __user *)address))
            return -EFAULT;
    }
    if (seen != value) {
        spin_unlock(&b->lock);
        return -EAGAIN;
    }
    list_add_tail(&w->link, &b->waiters);
    __atomic_store_n(&current->state, TASK_INTERRUPTIBLE, __ATOMIC_SEQ_CST);
    spin_unlock(&b->lock);
    return 0;
}

static inline bool was_woken(struct waiter *w)
{
    return __atomic_load_n(&w->link.next, __ATOMIC_ACQUIRE) == &w->link;
}

/* Leave the queue. Returns whether somebody had woken us. */
static bool dequeue(struct waiter *w)
{
    struct bucket *b;
    bool woken;

    __atomic_store_n(&current->state, TASK_RUNNING, __ATOMIC_RELEASE);
    if (was_woken(w))
        return true;
    b = bucket_of(&w->key);
    spin_lock(&b->lock);
    woken = was_woken(w);
    if (!woken)
        list_del(&w->link);
    spin_unlock(&b->lock);
    return woken;
}

static long wait(vaddr_t address, bool private, u32 value, ktime_t deadline, u32 bits)
{
    struct waiter w = {.thread = current, .bits = bits};
    int error = make_key(address, private, &w.key), slept = 0;

    if (error)
        return error;
    error = enqueue(&w, address, value);
    if (error)
        return error;
    while (!was_woken(&w) && !signal_pending() && slept == 0) {
        slept = schedule_until(deadline);
        if (slept == 0 && !was_woken(&w))
            __atomic_store_n(&current->state, TASK_INTERRUPTIBLE, __ATOMIC_SEQ_CST);
    }
    if (dequeue(&w))
        return 0;
    return slept ? -ETIMEDOUT : -ERESTARTSYS;
}

static long wait_again(struct restart_block *r)
{
    long result = wait(r->arg[0], r->arg[3] >> 32, r->arg[1], r->arg[2], (u32)r->arg[3]);

    return result == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : result;
}

/* With a relative time-out a restart must not begin it anew. */
static long wait_restartable(vaddr_t address, bool private, u32 value, ktime_t deadline, u32 bits)
{
    long result = wait(address, private, value, deadline, bits);

    if (result != -ERESTARTSYS || deadline == KTIME_MAX)
        return result;
    current->restart = (struct restart_block){
        .fn = wait_again,
        .arg = {address, value, deadline, (u64) private << 32 | bits},
    };
    return -ERESTART_RESTARTBLOCK;
}

/* ---- robust futexes ------------------------------------------------------------------------------------------ */

/* A lock that the dying thread holds: mark it, wake one who waits. */
static int release_robust(vaddr_t address)
{
    u32 word, seen;

    if (address % sizeof(u32) || get_user(word, (u32 __user *)address))
        return -EFAULT;
    for (;;) {
        if ((word & FUTEX_TID_MASK) != (u32)current->tid)
            return 0;
        if (arch_cmpxchg_user_32((u32 *)address, word, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED,
                                 &seen))
            return -EFAULT;
        if (seen == word)
            break;
        word = seen;
    }
    if (word & FUTEX_WAITERS)
        futex_wake_address(address, 1);
    return 0;
}

void futex_exit_robust(void)
{
    struct robust_list_head head;
    vaddr_t list = current->robust_list, entry;

    current->robust_list = 0;
    if (copy_from_user(&head, (void __user *)list, sizeof(head)))
        return;
    entry = (vaddr_t)head.list.next;
    for (unsigned n = 0; n < ROBUST_LIST_LIMIT && (entry & ~1UL) != list; n++) {
        vaddr_t next;
        bool bad = get_user(next, (vaddr_t __user *)(entry & ~1UL)) != 0;

        if (entry != (vaddr_t)head.list_op_pending &&
            release_robust((entry & ~1UL) + head.futex_offset) != 0)
            return;
        if (bad)
            return;
        entry = next;
    }
    if (head.list_op_pending)
        release_robust(((vaddr_t)head.list_op_pending & ~1UL) + head.futex_offset);
}

SYSCALL_DEFINE2(set_robust_list, vaddr_t, head, size_t, size)
{
    if (size != sizeof(struct robust_list_head))
        return -EINVAL;
    current->robust_list = head;
    return 0;
}

SYSCALL_DEFINE3(get_robust_list, pid_t, tid, vaddr_t __user *, head, size_t __user *, size)
{
    struct thread *t = tid ? thread_find(tid) : NULL;
    vaddr_t list;
    int error = 0;

    if (tid && !t)
        return -ESRCH;
    if (t && t->process != current->process && !capable(CAP_SYS_PTRACE))
        error = -EPERM;
    list = t ? t->robust_list : current->robust_list;
    if (t)
        thread_put(t);
    if (error)
        return error;
    if (put_user(sizeof(struct robust_list_head), size))
        return -EFAULT;
    return put_user(list, head);
}

/* ---- the call ------------------------------------------------------------------------------------------------ */

/* The time of a wait as a monotonic deadline. FUTEX_WAIT's is relative, FUTEX_WAIT_BITSET's absolute. */
static int deadline_from_user(int op, const struct __kernel_timespec __user *uts, ktime_t *deadline)
{
    struct __kernel_timespec ts;
    ktime_t t;

    *deadline = KTIME_MAX;
    if (!uts)
        return 0;
    if (copy_from_user(&ts, uts, sizeof(ts)))
        return -EFAULT;
    if (!timespec_valid(&ts))
        return -EINVAL;
    t = timespec_to_ns(&ts);
    if ((op & FUTEX_CMD_MASK) == FUTEX_WAIT)
        *deadline = ktime_after(t);
    else if (!(op & FUTEX_CLOCK_REALTIME) || t == KTIME_MAX)
        *deadline = t;
    else
        *deadline = (s64)t > ktime_real_offset() ? t - ktime_real_offset() : 0;
    return 0;
}

SYSCALL_DEFINE6(futex, vaddr_t, address, int, op, u32, value,
                const struct __kernel_timespec __user *, uts, vaddr_t, address2, u32, value3)
{
    bool private = op & FUTEX_PRIVATE_FLAG;
    struct futex_key key;
    ktime_t deadline;
    u32 bits = FUTEX_BITSET_MATCH_ANY;
    int error;

    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAIT_BITSET:
        bits = value3;
        __attribute__((fallthrough));
    case FUTEX_WAIT:
        if (bits == 0)
            return -EINVAL;
        error = deadline_from_user(op, uts, &deadline);
        return error ? error : wait_restartable(address, private, value, deadline, bits);
    case FUTEX_WAKE_BITSET:
        bits = value3;
        __attribute__((fallthrough));
    case FUTEX_WAKE:
        if (bits == 0)
            return -EINVAL;
        error = make_key(address, private, &key);
        return error ? error : wake(&key, max((int)value, 1), bits);
    }
    return -ENOSYS;
}
