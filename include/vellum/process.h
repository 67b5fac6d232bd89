/* SPDX-License-Identifier: MIT */
/*
 * A process owns resources; its threads run in them.
 */
#ifndef VELLUM_PROCESS_H
#define VELLUM_PROCESS_H

#include <vellum/fs.h>
#include <vellum/signal.h>
#include <linux/resource.h>

/* A process group or session: exists as long as it has members; until then its number is in use. */
struct process_group {
    pid_t id;                 /* [i] */
    u64 serial;               /* [i] no other group ever has it */
    struct hlist_node hash;   /* [T] */
    struct list members;      /* [T] process->pgrp_link */
    unsigned session_members; /* [T] processes whose session it is */
};

struct process {
    pid_t pid;                  /* [i] = tid of the first thread */
    refcount_t refs;            /* the thread group counts as one; /proc files, pid lookups */
    spinlock_t lock;            /* what says [l]; taken with interrupts off */
    struct thread *leader;      /* [l] holds a reference: stays until the process is reaped */
    struct list threads;        /* [l] and [s] to change: live ones, thread->thread_link */
    unsigned thread_count;      /* the same */
    struct core *core;          /* [s] it dumps core */
    struct thread *exec_thread; /* [s] waits in exec until it is the only one */

    /* Family. [T] tree_lock, a spinlock taken with interrupts off */
    struct process *parent; /* [T] who waits for it; itself: init */
    pid_t parent_pid;       /* [T], read without */
    pid_t maker;            /* [i] the thread that made it: who traces it with PTRACE_TRACEME */
    struct list children;   /* [T] live ones, by sibling */
    struct list zombies;    /* [T] dead ones not yet waited for, by sibling, in order of death */
    struct list sibling;    /* [T] in the parent's children or zombies */
    struct list tracees;    /* [T] threads that its threads trace: tracee->link */
    struct list all_link;   /* [T] every process, in order of creation */
    int exit_signal;        /* [T] to the parent, usually SIGCHLD */
    int exit_code;          /* [T] as wait(2) shows it */
    enum {
        PROCESS_LIVE,
        PROCESS_UNSEEN, /* dead, but its tracer, another than the parent, is to wait for it first */
        PROCESS_ZOMBIE,
        PROCESS_REAPED,
    } state; /* [T] */
    bool is_subreaper, has_execed;
    bool is_helper;        /* [i] of the kernel's: nobody waits for it; helper.c */
    unsigned exec_count;   /* [l] changes with the memory, when that becomes another program's */
    bool gains_privileges; /* [s] by an exec that is under way: it cannot be traced just now */
    struct wait_queue child_wait; /* parents sleep here for a change of a child */
    struct wait_queue exit_wait;  /* pidfds are polled here for the end */

    /* Groups. [T] */
    pid_t pgrp, session; /* [T], read without */
    struct process_group *group, *session_group;
    struct list pgrp_link; /* in group->members */
    struct tty *tty;       /* [T] controlling terminal */
    pid_t hung_up_pgrp;    /* [T] of a session leader whose terminal went: its foreground group */
    bool leader_of_session;

    /* Signals. [s] sighand->lock */
    struct sighand *sighand;           /* [l] */
    struct signal_queue pending;       /* [s] */
    struct signal_watch *signal_watch; /* [s] NULL: there is no signalfd */
    int group_exit_code;               /* [s] */
    bool group_exiting;                /* [s] all threads are to die */
    bool alone_exiting;                /* [s] its only thread has begun to exit */
    int group_stop_signal;             /* [s] stopped by; 0: running */
    unsigned stop_pending;             /* [s] threads that have not stopped yet */
    int stop_report;        /* [s] signal of a completed stop that nobody has waited for; 0: none */
    bool continue_report;   /* [s] continued, and nobody has waited for that */
    bool continue_notify;   /* [s] the parent is still to be sent CLD_CONTINUED */
    unsigned continues;     /* [s] how often SIGCONT has come: a stop signal taken before is void */
    int death_signal;       /* prctl PR_SET_PDEATHSIG */
    bool no_new_privileges; /* prctl PR_SET_NO_NEW_PRIVS: once set, for ever */
    unsigned long personality;

    struct rlimit64 limits[RLIM_NLIMITS]; /* [l] read without */
    struct itimer_set itimers;
    struct rb_root timers;        /* [s] timer_create(2), by number; kernel/time/posix_timer.c */
    struct hlist_head cpu_timers; /* [s] those that run, on clocks of run time */
    int last_timer;               /* [s] the number after the one given out last */

    /* Sums over threads that have ended, and over children waited for. [T] */
    struct usage {
        u64 user_ns, system_ns;
        u64 minor_faults, major_faults, invalid_faults, voluntary_switches, involuntary_switches;
        u64 peak_resident; /* pages */
        struct io_counts io;
    } dead_threads, dead_children;
    u64 start_time; /* monotonic ns */
    int oom_score_adj;
    ktime_t oom_victim_since; /* chosen by the out-of-memory killer; 0: not */
    u32 core_filter;          /* which mappings a core file has: bits of core(5) */
};

extern u64 threads_max;             /* of all users together; from the amount of memory */
extern atomic_long_t threads_alive; /* structures */

#define PID_MAX 32768 /* numbers are below; as kernel.pid_max is on Linux */

extern spinlock_t tree_lock;
extern struct list all_processes; /* [tree_lock] */
extern struct process *init_process;

/* Does p have timers, or a limit, of run time? */
static inline bool itimers_run(const struct process *p)
{
    return READ_ONCE(p->itimers.left[0]) | READ_ONCE(p->itimers.left[1]) ||
           !hlist_empty(&p->cpu_timers) || p->limits[RLIMIT_CPU].rlim_cur != RLIM64_INFINITY;
}

static inline struct process *current_process(void)
{
    return current->process;
}
static inline u64 process_limit(unsigned resource)
{
    return READ_ONCE(current->process->limits[resource].rlim_cur);
}

/* With a reference, or NULL. Zombies are found until reaped. */
struct process *process_find(pid_t pid);
struct thread *thread_find(pid_t tid); /* the same for threads */
void process_get(struct process *p);
void process_put(struct process *p);
void thread_put(struct thread *t);
pid_t pid_last(void); /* the number given most recently */
/* The process whose directory /proc/PID the open file is, with a reference; or NULL. (procfs) */
struct process *process_of_directory(const struct file *file);
/* Visit all processes in order of pid: the first with pid >= from, with a reference; or NULL. */
struct process *process_next(pid_t from);

/* The mm of a process with a user reference (mm_put), or NULL (zombie, kernel thread). */
struct mm *process_mm(struct process *p);
/* 1: its memory may be shown to its user; 0: it keeps secrets (set-id program, PR_SET_DUMPABLE); -1: it
 * has none. */
int process_dumpable(struct process *p);
struct files *process_files(struct process *p);           /* files_put */
struct fs_context *process_fs_context(struct process *p); /* fs_context_put */
const struct cred *process_cred(struct process *p);       /* cred_put */
const struct cred *thread_cred(struct thread *t);         /* the same of one thread */
struct thread *process_leader(struct process *p);         /* thread_put; NULL: reaped */
void process_usage(struct process *p, struct usage *u);   /* living and dead threads */
void thread_usage(struct thread *t, struct usage *u);     /* of one thread */
char thread_state_letter(const struct thread *t);         /* R S D T t X, Z: its process lives on */
char process_state_letter(struct process *p);             /* R S D T t Z */
/* Call fn on a thread of p that sleeps, which cannot wake up or go until fn returns. False: it runs
 * or is gone. => fn sleeps not and takes no lock */
bool thread_look_asleep(struct process *p, struct thread *t,
                        void (*fn)(struct thread *t, void *arg), void *arg);

struct clone_args_k {
    u64 flags; /* CLONE_* without the exit signal */
    int exit_signal;
    vaddr_t stack; /* the child's stack pointer, 0: the parent's */
    vaddr_t tls, parent_tid, child_tid, pidfd;
    pid_t wanted_tid; /* 0: any */
};
/* Make a process or thread. Returns its id in the parent, or -errno (-EAGAIN, -ENOMEM, -EINVAL). */
long process_clone(const struct clone_args_k *args, const struct trap_frame *frame);

/* Replace the current program. Strings are kernel memory here: argv and envp are NULL-ended. */
int exec_kernel(const char *path, char *const argv[], char *const envp[]);

void thread_exit(int code) __noreturn;        /* exit(2): this thread */
void process_exit_group(int code) __noreturn; /* exit_group(2); code as wait(2) shows it */
/* Called on the next stack by schedule_tail() for a thread that died: frees its stack. */
void thread_reap(struct thread *t);

/* Kernel stacks with a guard page, cached per CPU. Lowest address or 0. */
vaddr_t kernel_stack_alloc(void);
void kernel_stack_free(vaddr_t stack);
/* A bare thread (stack, ids, defaults), not yet runnable; or NULL. process NULL: kernel thread. */
struct thread *thread_alloc(struct process *process);

/* ---- for the machine's trap code: kernel/proc/trap.c ------------------------------------------- */

/* A page fault at `address`: resolves it, or signals the process, or fixes up a user copy, or oopses. */
void trap_page_fault(struct trap_frame *frame, vaddr_t address, u32 access /* ACCESS_* */);
/* Any other exception. In user mode: the signal; in kernel mode: fix-up or oops. */
void trap_exception(struct trap_frame *frame, int signo, int code, vaddr_t address,
                    const char *what);
/* The kernel went wrong: cause, registers, process, backtrace. Ends the current process if that is
 * safe (process context, no locks, not init), else panics. */
void oops(struct trap_frame *frame, const char *cause, vaddr_t address);

/* ---- when memory runs out: kernel/proc/oom.c -------------------------------------------------------- */
extern int oom_dump_tasks, oom_kill_allocating_task, panic_on_oom; /* as vm.* */
/* 0 to 2000, as /proc/PID/oom_score: 667 and two thirds of the thousandths of memory and swap that it has,
 * with oom_score_adj; 0: it is never chosen */
int process_oom_score(struct process *p);

/* ---- core dumps: kernel/proc/core.c ----------------------------------------------------------------- */
#define CORE_FILTER_DEFAULT 0x33
extern int core_uses_pid; /* as kernel.core_uses_pid */
extern int
    suid_dumpable; /* as fs.suid_dumpable: 0 no core of set-ID programs, 1 as of any, 2 root's */
#define CORE_PATTERN_MAX 128
void core_pattern_get(char pattern[CORE_PATTERN_MAX]);
void core_pattern_set(const char *pattern);
extern int
    core_pipe_limit; /* as kernel.core_pipe_limit: helpers at once that are waited for; 0: none */

/* Run a program of the user's as root, with `input` (whose reference is consumed) as its standard input
 * and nothing else open, from the first root directory: kernel/proc/helper.c. 0 once it runs, or -errno.
 * => may sleep */
int helper_run(char *const argv[], struct file *input);
#define HELPER_CORE_LIMIT 1     /* its RLIMIT_CORE */
unsigned threads_blocked(void); /* in sleeps that signals do not end, kernel threads aside */

/* ---- sessions and job control, for the tty ------------------------------------------------------ */
/* setsid(2) for the current process: the new session's number, -EPERM, or -ENOMEM. */
long session_create(void);
bool pgrp_exists(pid_t pgrp);
bool pgrp_in_session(pid_t pgrp, pid_t session);
bool pgrp_is_orphaned(pid_t pgrp);

void process_init(void); /* caches, pid map */
/* Start init: the first process, in the state that execs. Runs fn in a kernel thread that becomes it. */
void init_process_start(int (*fn)(void *), void *arg);

#endif
