/* SPDX-License-Identifier: MIT */
/*
 * Signals (signal(7)).
 */
#ifndef VELLUM_SIGNAL_H
#define VELLUM_SIGNAL_H

#include <vellum/sync.h>
#include <asm/siginfo.h>
#include <linux/signal.h>

struct process;

typedef u64 signal_set; /* bit n - 1 is signal n */
#define SIGNALS       64
#define signal_bit(n) (1UL << ((n)-1))

struct sigaction_k { /* as rt_sigaction(2) passes it */
    vaddr_t handler; /* SIG_DFL 0, SIG_IGN 1 */
    unsigned long flags;
    vaddr_t restorer;
    signal_set mask;
};

/* Handlers, shared by the threads of a process (and by CLONE_SIGHAND). Its lock guards all that is
 * said of signals in the process and its threads. */
struct sighand {
    refcount_t refs;
    spinlock_t lock;    /* taken with interrupts off; of another process: sighand_lock() */
    signal_set set;     /* [lock] the action is valid; the other signals have the default */
    signal_set ignored; /* [lock] the handler is SIG_IGN */
    signal_set caught;  /* [lock] the handler is a function */
    struct sigaction_k action[SIGNALS - 2]; /* [lock] through sighand_slot() */
};

/* Where the action is kept. SIGKILL and SIGSTOP have none: this way a table is half a page. */
static inline struct sigaction_k *sighand_slot(struct sighand *s, int signo)
{
    return &s->action[signo - 1 - (signo > SIGKILL) - (signo > SIGSTOP)];
}

/* Lock the handlers of a process, which exec may be replacing. => interrupts come back off */
struct sighand *sighand_lock(struct process *p, unsigned long *flags);
static inline void sighand_unlock(struct sighand *s, unsigned long flags)
{
    spin_unlock_irqrestore(&s->lock, flags);
}
/* The handlers, with flags and mask, of one signal. => lock */
struct sigaction_k sighand_action(struct sighand *s, int signo);

/* What arch_signal_push() needs. */
struct signal_delivery {
    int signo;
    struct sigaction_k action;
    siginfo_t info;
    signal_set mask;  /* to be restored by sigreturn */
    vaddr_t sp;       /* build the frame below this */
    stack_t altstack; /* for uc_stack */
};
struct signal_restore {
    signal_set mask;
    stack_t altstack;
};

/* A signal in a queue. One that somebody keeps (a timer's) is made once and never freed by the queue:
 * `taken` is called instead, with the information that is about to be delivered, or NULL if the
 * signal was dropped. */
struct queued_signal {
    struct list link;           /* [s] empty: in no queue (of one that is kept) */
    struct signal_queue *queue; /* [s] of one that is kept: where it stands */
    struct user *user;          /* counted against */
    void (*taken)(struct queued_signal *s, siginfo_t *info); /* => sighand lock; NULL: freed */
    siginfo_t info;
};
/* Send one that is kept and stands in no queue, to t or (NULL) to any thread of p. Returns false if it
 * is ignored. => sighand lock */
bool signal_send_kept(struct process *p, struct thread *t, struct queued_signal *s);
void signal_unqueue(struct queued_signal *s); /* without a call of taken. => sighand lock */

/* Send. info NULL: from the kernel, SI_KERNEL. Returns 0 (also if ignored), or -EAGAIN (queue limit
 * of a real-time signal sent with a value). Any context. No permission check. */
int signal_send_process(struct process *p, int signo, const siginfo_t *info);
int signal_send_thread(struct thread *t, int signo, const siginfo_t *info);
int signal_send_group(pid_t pgrp, int signo, const siginfo_t *info); /* -ESRCH */
/* Who is told of what happens to a file (fcntl(2), F_SETOWN): kernel/proc/owner.c */
struct signal_owner {
    int type;        /* F_OWNER_TID, F_OWNER_PID or F_OWNER_PGRP */
    pid_t id;        /* 0: nobody */
    u64 born;        /* when who has the number began */
    uid_t uid, euid; /* of who said so */
};
int signal_owner_set(struct signal_owner *o, int type, pid_t id); /* 0, -EINVAL, -ESRCH */
pid_t signal_owner_id(const struct signal_owner *o);              /* 0: nobody, or gone */
/* Send, if who named the owner may. => tree_lock and sighand lock free */
void signal_owner_send(const struct signal_owner *o, int signo, const siginfo_t *info);
/* A fault of the current thread: cannot be blocked or ignored. */
void signal_fault(int signo, int code, vaddr_t address);
/* May the current thread signal p? 0 or -EPERM (kill(2)). */
int signal_permission(struct process *p, int signo, const siginfo_t *info);

static inline bool signal_pending(void)
{
    return current->work & WORK_SIGNAL;
}
static inline bool fatal_signal_pending(void)
{
    return current->work & WORK_KILLED;
}
/* Recompute current's (or t's) WORK_SIGNAL after a change of mask or queue. => sighand lock */
void signal_recalc(struct thread *t);
void signal_set_mask(signal_set mask); /* of the current thread */
/* Set a mask for the time of a system call; if the call returns EINTR the old one is restored after
 * the handler ran (WORK_RESTORE_MASK), else call signal_mask_restore(). */
int signal_mask_user(const void __user *set, size_t size); /* 0, -EINVAL, -EFAULT */
void signal_mask_restore(bool interrupted);
/* Take one pending signal of `set` off the queues (sigtimedwait, signalfd): its number or 0. */
int signal_dequeue(signal_set set, siginfo_t *info);

/* Those pending for the current thread, blocked or not. */
signal_set signals_pending(void);

/* Where a process's signalfds wait for its signals. Woken, with EPOLLIN, for each one that is queued.
 * It outlives the process if an epoll elsewhere still stands on it. */
struct signal_watch {
    refcount_t refs;
    struct wait_queue wait;
};
struct signal_watch *
signal_watch_current(void); /* the process's, made if need be; NULL: no memory */
void signal_watch_put(struct signal_watch *w);

/* Before the return to user mode with WORK_* bits set: reschedule, deliver signals, restart or end
 * interrupted system calls. The entry code calls it with interrupts off and loops while work is left;
 * returns with interrupts off. */
void user_return_work(struct trap_frame *frame);

#endif
