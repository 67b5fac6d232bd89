/* SPDX-License-Identifier: MIT */
/*
 * A thread: what the scheduler runs. What it runs in (memory, files, signal handlers, family) is
 * its process (process.h); the thread keeps direct pointers to the parts that system calls use at
 * every step.
 */
#ifndef VELLUM_THREAD_H
#define VELLUM_THREAD_H

#include <vellum/arch.h>
#include <vellum/atomic.h>
#include <vellum/cpu.h>
#include <vellum/list.h>
#include <vellum/lockdep.h>
#include <vellum/rbtree.h>
#include <vellum/spinlock_types.h>

struct process;
struct files;
struct fs_context;
struct cred;
struct mm;
struct sched_class;
struct wait_queue;
struct completion;
struct tracee;
struct pi_waiter;
struct io_context;

/* thread->state */
enum {
    TASK_RUNNING = 0,         /* runs or stands in a run queue */
    TASK_INTERRUPTIBLE = 1,   /* sleeps; a signal or a wake-up ends it */
    TASK_UNINTERRUPTIBLE = 2, /* sleeps; a wake-up ends it */
    TASK_STOPPED = 4,         /* by a stop signal, until SIGCONT or SIGKILL */
    TASK_DEAD = 8,            /* has exited; its stack is freed after the switch */
    TASK_KILLABLE = 16,       /* sleeps; a fatal signal or a wake-up ends it */
    TASK_TRACED = 32,
};

/* thread->work: what is to be done before the return to user mode; tested by the entry code as one
 * word. Set by anyone with __atomic, cleared by the thread itself. */
enum {
    WORK_RESCHEDULE = 1, /* another thread should run here */
    WORK_SIGNAL = 2,     /* a signal may be deliverable */
    WORK_KILLED = 4, /* a fatal signal is pending: killable sleeps end (kept with WORK_SIGNAL) */
    WORK_RESTORE_MASK = 8, /* saved_mask is to be restored if no handler runs (sigsuspend ...) */
    WORK_TRACE = 16,       /* a debugger may want to see the system call's exit */
    WORK_CHILD_TID = 32,   /* a new thread stores its id at child_tid (CLONE_CHILD_SETTID) */
    WORK_TRAP = 64,        /* a debugger wants it to stop: tracee->trap */
    WORK_RSEQ = 128,       /* it ran elsewhere or others ran meanwhile: rseq_resume() */
    WORK_ASYNC = 256,      /* owners of files are to be sent signals: async_tell_before_return() */
};

/* What a thread has read and written (proc(5), PID/io). */
struct io_counts {
    u64 read_bytes, written_bytes; /* by system calls */
    u64 reads, writes;             /* system calls */
};

/* Pending signals, to a thread or to a process. */
struct signal_queue {
    u64 set;           /* [s] bit n - 1 is signal n */
    struct list infos; /* [s] struct queued_signal, in order of arrival */
};

struct thread {
    /* Known to arch/ARCH/entry.S through gen/offsets.h. */
    u32 work;                /* [a] WORK_* */
    int preempt_count;       /* [t] > 0: not preempted */
    struct cpu *cpu;         /* [r] where it runs or last ran */
    vaddr_t stack;           /* [i] lowest address of the kernel stack */
    struct arch_thread arch; /* [t] */

    struct process *process; /* [i]; NULL for a kernel thread */
    struct mm *mm;           /* [t], others under process->lock; NULL for a kernel thread */
    struct files *files;     /* [t], others under process->lock */
    struct fs_context *fs;   /* the same: root, working directory, umask */
    const struct cred *cred; /* the same: replaced, never changed */

    pid_t tid;                  /* [i] 0: kernel thread */
    struct hlist_node tid_hash; /* [pid lock] */
    char comm[16];              /* [t] name; read by others as it is */
    struct list thread_link;    /* [process->lock] in process->threads */
    refcount_t refs;

    /* Scheduling. [r]: the lock of the run queue of ->cpu. */
    int state;                             /* [w] TASK_* */
    bool on_queue;                         /* [r] stands in a run queue (or is the one that runs) */
    const struct sched_class *sched_class; /* [r] */
    int policy;                            /* [r] SCHED_* */
    int nice;                              /* [r] -20 .. 19 */
    int rt_priority;                       /* [r] 1 .. 99, or 0 */
    bool reset_on_fork;                    /* [r] children do not inherit policy and priority */
    int queue_priority; /* [r] rt_priority, or what is inherited if that is more; 0: no real-time */
    cpumask_t affinity; /* [r] */
    u64 slice_left;     /* [r] ns */
    struct list run_link;    /* [r] for list-based classes */
    struct rb_node run_node; /* [r] for tree-based classes */
    spinlock_t wake_lock;    /* serialises wake-ups; see kernel/sched/core.c */

    /* Accounting. [t], written with the run queue lock, read by others as they are. */
    u64 run_started;              /* arch_cycles() when it was last switched to */
    u64 run_cycles;               /* exact sum up to then */
    u64 queued_at;                /* [r] arch_cycles() when it was put into the run queue */
    u64 wait_cycles;              /* sum of times in the queue without running */
    u64 charged;                  /* ns that itimers_tick() has seen */
    u64 user_ticks, system_ticks; /* the tick's samples, which divide run_time */
    u64 start_time;               /* monotonic, ns */
    u64 voluntary_switches, involuntary_switches;
    u64 minor_faults, major_faults, invalid_faults;
    struct io_counts io;
    struct io_context *io_context; /* [process->lock], set once; NULL: no I/O priority of its own */
    unsigned dirtied;              /* [t] pages made dirty since balance_dirty() looked last */

    /* Signals. [s] the sighand lock */
    u64 blocked;    /* [t] changed under [s]; bit n-1 is signal n */
    u64 saved_mask; /* [t] with WORK_RESTORE_MASK */
    u64 awaited;    /* [s] signals that sigtimedwait(2) has unblocked to take them itself */
    struct signal_queue pending; /* [s] to this thread alone */
    vaddr_t altstack;            /* [t] sigaltstack */
    size_t altstack_size;
    int altstack_flags;
    struct restart_block {
        long (*fn)(struct restart_block *);
        u64 arg[4];
    } restart; /* [t] for restart_syscall(2) */

    vaddr_t child_tid;             /* [t] with WORK_CHILD_TID */
    vaddr_t clear_child_tid;       /* [t] set_tid_address(2) */
    vaddr_t robust_list;           /* [t] */
    struct completion *vfork_done; /* [t] the parent waits here until exec or exit */
    int nofault;                   /* [t] > 0: a fault in a user copy is not resolved but EFAULT */
    u64 timer_slack;               /* [t] ns */
    void *fault_hint;              /* [t] mm's: last VMA found, valid for mm->sequence */
    u64 fault_hint_sequence;
    void *journal_info;     /* [t] */
    bool reclaiming;        /* [t] gets memory back: its own allocations may use the reserve */
    struct tracee *tracee;  /* [s] NULL: was never traced */
    struct held_locks held; /* [t] of debug builds */

    /* Priority inheritance: inherit.h. [p] pi_guard */
    struct list pi_held;          /* [p] struct pi_lock that others wait for */
    struct pi_waiter *pi_waiting; /* [p] for what it waits, or NULL */
    int inherited;                /* [p] and [r] to change: urgency lent by waiters; 0: none */
    bool pi_closed;               /* [a] it ends: it cannot be made an owner any more */

    bool user_is_full;  /* [t] set*id has gone beyond RLIMIT_NPROC: exec looks again */
    vaddr_t rseq;       /* [t] rseq(2): the user's struct, 0: not registered */
    u32 rseq_signature; /* [t] */
    u32 rseq_cpu;       /* [t] the processor's number as it was stored there last */
};
/* [t] this thread only  [i] constant after creation  [a] atomic  [w] wake_lock */

#define current (arch_current())

static inline struct cpu *this_cpu(void)
{
    return current->cpu;
}

static inline void preempt_disable(void)
{
    WRITE_ONCE(current->preempt_count, current->preempt_count + 1);
    barrier();
}

void preempt_schedule(void); /* sched.h */

/* Without looking whether somebody else should run. */
static inline void preempt_enable_no_resched(void)
{
    barrier();
    assert(current->preempt_count > 0);
    WRITE_ONCE(current->preempt_count, current->preempt_count - 1);
}

static inline void preempt_enable(void)
{
    preempt_enable_no_resched();
    if (unlikely(current->work & WORK_RESCHEDULE))
        preempt_schedule();
}

/* => may sleep here: no spinlock, no interrupt, preemption and interrupts on (debug builds check) */
#ifdef VELLUM_DEBUG
void assert_may_sleep_at(const char *file, int line);
#define assert_may_sleep() assert_may_sleep_at(__FILE__, __LINE__)
#else
#define assert_may_sleep() ((void)0)
#endif

#endif
