/* SPDX-License-Identifier: MIT */
/*
 * Debuggers: what the rest of the kernel knows of ptrace(2). The idea is in kernel/proc/ptrace_stop.c.
 */
#ifndef VELLUM_PTRACE_H
#define VELLUM_PTRACE_H

#include <vellum/signal.h>

/* A thread that is, or was, traced (or dumps core). Made at the first attach, goes with the thread. */
struct tracee {
    struct thread *thread; /* [i] */
    struct thread *tracer; /* [T] and [s] to change; NULL: nobody */
    struct list link;      /* [T] in tracer->process->tracees; holds a reference to the thread */
    u32 options;           /* [s] PTRACE_O_* */
    bool seized;           /* [s] by PTRACE_SEIZE */
    bool privileged;       /* [s] the tracer may trace programs that gain privileges */
    bool frozen;           /* [s] the tracer is looking: SIGKILL must wait */
    bool listening;        /* [s] PTRACE_LISTEN: stopped, but not for the tracer's requests */
    bool trapping;         /* [s] on its way from a stop of the process to one for the tracer */
    bool stop_due;         /* [s] has yet to take part in the stop of its process */
    bool at_handler;       /* [s] was stepping: stops at the first instruction of a handler */
    bool dead;             /* [T] its thread has left the process */
    bool zombie;       /* [T] not the first thread, dead, and the tracer has not waited for it */
    u8 trap;           /* [s] TRAP_* */
    int resume;        /* [s] the PTRACE_* request that it was last resumed by */
    int resume_signal; /* [s] to be delivered */
    int code;          /* [s] of a stop, as wait(2) shows it >> 8; 0: has been waited for */
    int exit_code;     /* [T] of a zombie */
    unsigned long message; /* [s] PTRACE_GETEVENTMSG */
    siginfo_t *info;       /* [s] of the stop, on its stack; NULL: a stop of the process, or none */
    void *vectors;         /* vector state while it is stopped: arch_tracee_save() */
    bool vectors_changed;  /* the tracer has written to them */
    struct arch_tracee arch;
};
/* [T] tree_lock  [s] the thread's sighand lock  [i] constant */

enum {
    TRAP_STOP = 1,   /* stop as soon as possible: PTRACE_INTERRUPT, PTRACE_SEIZE of a new thread */
    TRAP_NOTIFY = 2, /* the process was stopped or continued: say so */
};

/* Is somebody tracing t? What is seen without tree_lock or its sighand lock may be old. */
static inline bool is_traced(const struct thread *t)
{
    return unlikely(t->tracee) && READ_ONCE(t->tracee->tracer);
}

/* For the entry code, of a thread with arch_hold_syscalls(): stop, if the tracer wants to see system
 * calls. Returns the number that is to be called, or -1. */
long ptrace_syscall_enter(struct trap_frame *frame);

/* May the current thread look into (and change) t: 0, or -EPERM. fs: as for a file below /proc, by
 * its fsuid; else by its real uid (ptrace(2), "Ptrace access mode checking"). */
int ptrace_may_access(struct thread *t, bool fs);
pid_t ptrace_tracer(struct thread *t); /* pid of the tracer's process, 0: none */

#endif
