/* SPDX-License-Identifier: MIT */
/*
 * Checks of the order of locks, in debug builds; see kernel/debug/lockdep.c for the idea. In other
 * builds all of it is empty.
 *
 * Who holds two locks of one kind at once, in an order of its own (the lower CPU's queue first, a
 * directory before what is in it), takes the second with a ..._nested() function and a small number.
 */
#ifndef VELLUM_LOCKDEP_H
#define VELLUM_LOCKDEP_H

#include <vellum/compiler.h>

struct thread;

#ifdef VELLUM_DEBUG

/* Part of each lock: which class it belongs to. All zero: a static lock, in a class of its own. */
struct lock_id {
    u32 site;  /* where it was initialised: the low half of an address in the image */
    u16 class; /* 0: not looked up yet */
    u16 nests; /* locks of the class are taken inside each other, in an order proven elsewhere */
};

/* What a thread holds that sleeps, what a processor holds that spins; in order of taking. */
struct held_locks {
    unsigned count;
    struct held_lock {
        const void *lock;
        u32 pc; /* where it was taken */
        u16 class;
        u16 irq_depth;
    } locks[20];
};

void lock_id_init(struct lock_id *id, vaddr_t site);
/* Locks of this class may be taken inside each other to any depth; that no loop comes of it is known
 * by other means (epolls that watch epolls: epoll_ctl.c). */
void lock_may_nest(struct lock_id *id);
/* A lock is going to be waited for: may it be, with what is held? pc: where; 0: where this is called */
void lockdep_order(struct lock_id *id, const void *lock, unsigned nested, bool spins, vaddr_t pc);
void lockdep_taken(struct lock_id *id, const void *lock, unsigned nested, bool spins, vaddr_t pc);
void lockdep_released(const void *lock, bool spins);
void lockdep_thread_init(struct thread *thread);
/* The current thread is at its end, or comes from user mode: it holds nothing. */
void assert_no_locks(void);
/* A copy to or from user memory may fault, and take what a fault takes. */
void assert_may_fault(void);

#define LOCKDEP_HERE ((vaddr_t)__builtin_return_address(0))

#else

struct lock_id {
};
struct held_locks {
};

#define lock_id_init(id, site)                ((void)0)
#define lock_may_nest(id)                     ((void)0)
#define lockdep_order(id, lock, n, spins, pc) ((void)0)
#define lockdep_taken(id, lock, n, spins, pc) ((void)0)
#define lockdep_released(lock, spins)         ((void)0)
#define lockdep_thread_init(thread)           ((void)0)
#define assert_no_locks()                     ((void)0)
#define assert_may_fault()                    ((void)0)

#endif

#endif
