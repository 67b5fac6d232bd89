/* SPDX-License-Identifier: MIT */
/*
 * Locks.
 *
 * A spinlock disables preemption while it is held. One that is taken in interrupt handlers too is
 * taken with spin_lock_irqsave() everywhere. Everything else sleeps and is built on the wait queue
 * (wait.h): mutex, read-write lock, semaphore, completion.
 *
 * The order of locks, outermost first. A lock may be taken while those above it are held, never
 * while one below it is:
 *
 *   process tree (tree_lock)            kernel/proc
 *   mount tree, rename mutex            kernel/fs
 *   inode mutex (parent before child)   kernel/fs
 *   mm->lock                            kernel/mm      (a fault may take it: hold no spinlock)
 *   page lock                           kernel/mm
 *   page cache map lock, anon family    kernel/mm      reverse mappings
 *   signal lock (sighand)               kernel/proc
 *   files lock, dentry and inode hash   kernel/fs
 *   mm->table_lock, a table's lock, page cache lock    kernel/mm, kernel/fs
 *   object cache, frame allocator       kernel/mm
 *   wait queue lock                     kernel/sync
 *   futex buckets (lower address first), then pi_guard (inherit.h)   kernel/ipc, kernel/sched
 *   thread->wake_lock, run queue lock   kernel/sched   (two run queues: lower CPU number first)
 *   timer queue, console, log           kernel/time, kernel/dev
 */
#ifndef VELLUM_SYNC_H
#define VELLUM_SYNC_H

#include <vellum/atomic.h>
#include <vellum/thread.h>
#include <vellum/spinlock_types.h>
#include <vellum/list.h>

#ifdef VELLUM_DEBUG
void spin_debug_lock(spinlock_t *lock, unsigned nested);   /* before spinning: may we? */
void spin_debug_locked(spinlock_t *lock, unsigned nested); /* now ours */
void spin_debug_unlock(spinlock_t *lock);
void spin_init(spinlock_t *lock);
#else
#define spin_debug_lock(l, n)   ((void)0)
#define spin_debug_locked(l, n) ((void)0)
#define spin_debug_unlock(l)    ((void)0)
static inline void spin_init(spinlock_t *lock)
{
    *lock = (spinlock_t)SPINLOCK_INIT;
}
#endif

#define DEFINE_SPINLOCK(n) spinlock_t n = SPINLOCK_INIT

void spin_wait(spinlock_t *lock); /* the contended path */

/* Take the lock; the caller has disabled preemption or interrupts. nested: see lockdep.h */
static __always_inline void spin_lock_raw_nested(spinlock_t *lock, unsigned nested)
{
    spin_debug_lock(lock, nested);
    if (unlikely(__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE)))
        spin_wait(lock);
    spin_debug_locked(lock, nested);
}

static inline void spin_lock_raw(spinlock_t *lock)
{
    spin_lock_raw_nested(lock, 0);
}

static inline void spin_unlock_raw(spinlock_t *lock)
{
    spin_debug_unlock(lock);
    __atomic_store_n(&lock->locked, 0, __ATOMIC_RELEASE);
}

static inline bool spin_is_locked(const spinlock_t *lock)
{
    return __atomic_load_n(&lock->locked, __ATOMIC_RELAXED);
}

static inline void spin_lock(spinlock_t *lock)
{
    preempt_disable();
    spin_lock_raw(lock);
}

static inline void spin_lock_nested(spinlock_t *lock, unsigned nested)
{
    preempt_disable();
    spin_lock_raw_nested(lock, nested);
}

static inline void spin_unlock(spinlock_t *lock)
{
    spin_unlock_raw(lock);
    preempt_enable();
}

static inline bool spin_trylock(spinlock_t *lock)
{
    preempt_disable();
    if (__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE)) {
        preempt_enable();
        return false;
    }
    spin_debug_locked(lock, 0);
    return true;
}

static inline unsigned long spin_lock_irqsave(spinlock_t *lock)
{
    unsigned long flags = irq_save();

    preempt_disable();
    spin_lock_raw(lock);
    return flags;
}

static inline void spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags)
{
    spin_unlock_raw(lock);
    irq_restore(flags);
    preempt_enable();
}

/* For asserting that we hold it (in builds without debug: that somebody does). */
#ifdef VELLUM_DEBUG
bool spin_held(const spinlock_t *lock);
#else
#define spin_held(l) spin_is_locked(l)
#endif

/* ---- sleeping locks --------------------------------------------------------------------------- */

#include <vellum/wait.h>

/* One holder; sleeps. Not recursive, unlocked by its holder. => may sleep */
struct mutex {
    atomic_t state;       /* 0 free, 1 held, 2 held and perhaps waited for */
    struct thread *owner; /* [the holder's] */
    struct wait_queue waiters;
    struct lock_id id;
};
#define MUTEX_INIT(n)                                                                              \
    {                                                                                              \
        .waiters = WAIT_QUEUE_INIT((n).waiters)                                                    \
    }
#define DEFINE_MUTEX(n) struct mutex n = MUTEX_INIT(n)
void mutex_init(struct mutex *m);
void mutex_lock_slow(struct mutex *m);
void mutex_unlock_slow(struct mutex *m);

/* nested: see lockdep.h */
static inline void mutex_lock_nested(struct mutex *m, unsigned nested)
{
    assert_may_sleep();
    assert(m->owner != current);
    lockdep_order(&m->id, m, nested, false, 0);
    if (unlikely(!atomic_cmpxchg(&m->state, 0, 1)))
        mutex_lock_slow(m);
    lockdep_taken(&m->id, m, nested, false, 0);
    m->owner = current;
}

static inline void mutex_lock(struct mutex *m)
{
    mutex_lock_nested(m, 0);
}

static inline bool mutex_trylock(struct mutex *m)
{
    if (!atomic_cmpxchg(&m->state, 0, 1))
        return false;
    lockdep_taken(&m->id, m, 0, false, 0);
    m->owner = current;
    return true;
}

static inline void mutex_unlock(struct mutex *m)
{
    assert(m->owner == current);
    lockdep_released(m, false);
    m->owner = NULL;
    if (unlikely(atomic_xchg(&m->state, 0) != 1))
        mutex_unlock_slow(m);
}

static inline bool mutex_held(const struct mutex *m)
{
    return m->owner == current;
}
/* 0, or -ERESTARTSYS if a signal came first. */
int mutex_lock_interruptible(struct mutex *m);

/* Many readers or one writer; sleeps; a waiting writer holds back new readers. */
struct rwlock {
    atomic_t state; /* number of readers, or RWLOCK_WRITER; plus RWLOCK_WAITERS */
    struct thread *writer;
    struct wait_queue readers, writers;
    struct lock_id id;
};
#define RWLOCK_WRITER  0x40000000
#define RWLOCK_WAITERS 0x20000000 /* take the slow paths */
#define RWLOCK_INIT(n)                                                                             \
    {                                                                                              \
        .readers = WAIT_QUEUE_INIT((n).readers), .writers = WAIT_QUEUE_INIT((n).writers)           \
    }
void rwlock_init(struct rwlock *l);
void read_lock_slow(struct rwlock *l);
void read_unlock_slow(struct rwlock *l);
void write_lock_slow(struct rwlock *l);
void write_unlock_slow(struct rwlock *l);

static inline bool read_try(struct rwlock *l)
{
    int n = atomic_read(&l->state);

    return likely(n < RWLOCK_WAITERS) && atomic_cmpxchg(&l->state, n, n + 1);
}

static inline bool read_trylock(struct rwlock *l)
{
    if (!read_try(l))
        return false;
    lockdep_taken(&l->id, l, 0, false, 0);
    return true;
}

static inline void read_lock(struct rwlock *l)
{
    assert_may_sleep();
    lockdep_order(&l->id, l, 0, false, 0);
    if (unlikely(!read_try(l)))
        read_lock_slow(l);
    lockdep_taken(&l->id, l, 0, false, 0);
}

static inline void read_unlock(struct rwlock *l)
{
    lockdep_released(l, false);
    if (unlikely(atomic_dec_return(&l->state) == RWLOCK_WAITERS))
        read_unlock_slow(l);
}

static inline bool write_try(struct rwlock *l)
{
    if (!atomic_cmpxchg(&l->state, 0, RWLOCK_WRITER))
        return false;
    l->writer = current;
    return true;
}

static inline bool write_trylock(struct rwlock *l)
{
    if (!write_try(l))
        return false;
    lockdep_taken(&l->id, l, 0, false, 0);
    return true;
}

static inline void write_lock_nested(struct rwlock *l, unsigned nested)
{
    assert_may_sleep();
    lockdep_order(&l->id, l, nested, false, 0);
    if (unlikely(!write_try(l)))
        write_lock_slow(l);
    lockdep_taken(&l->id, l, nested, false, 0);
}

static inline void write_lock(struct rwlock *l)
{
    write_lock_nested(l, 0);
}

static inline void write_unlock(struct rwlock *l)
{
    assert(l->writer == current);
    lockdep_released(l, false);
    l->writer = NULL;
    if (unlikely(!atomic_cmpxchg(&l->state, RWLOCK_WRITER, 0)))
        write_unlock_slow(l);
}

static inline bool rwlock_held(const struct rwlock *l)
{
    return atomic_read(&l->state) != 0;
}

static inline bool rwlock_write_held(const struct rwlock *l)
{
    return l->writer == current;
}

/* An event that happens once (or complete() times). */
struct completion {
    unsigned done; /* [wait.lock] */
    struct wait_queue wait;
};
#define COMPLETION_INIT(n)                                                                         \
    {                                                                                              \
        .wait = WAIT_QUEUE_INIT((n).wait)                                                          \
    }
void completion_init(struct completion *c);
void complete(struct completion *c); /* any context */
void wait_for_completion(struct completion *c);
/* 0, or -ERESTARTSYS if a (fatal only: if killable) signal came first. */
int wait_for_completion_killable(struct completion *c);

#endif
