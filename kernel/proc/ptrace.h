/* SPDX-License-Identifier: MIT */
/*
 * What the files about debuggers share with each other, and with those that the events happen in.
 */
#ifndef KERNEL_PROC_PTRACE_H
#define KERNEL_PROC_PTRACE_H

#include "internal.h"
#include <vellum/ptrace.h>
#include <linux/ptrace.h>

#ifndef PTRACE_SYSEMU /* only some machines have these requests */
#define PTRACE_SYSEMU            (-1)
#define PTRACE_SYSEMU_SINGLESTEP (-2)
#endif

/* Are system calls only shown to the tracer, and not made? */
static inline bool ptrace_emulates(int resume)
{
    return resume == PTRACE_SYSEMU || resume == PTRACE_SYSEMU_SINGLESTEP;
}

/* ---- ptrace_stop.c: of the current thread, which may sleep for long ------------------------------ */

/* Stop if the tracer wants to know of the event (PTRACE_EVENT_*). */
void ptrace_event(int event, unsigned long message);
bool ptrace_wants_event(int event);
void ptrace_exec_event(pid_t old_tid);
void ptrace_exit_event(int code);
/* WORK_TRACE, WORK_TRAP: before the return to user mode. */
void ptrace_work(struct trap_frame *frame, u32 work);
/* A signal has been taken off the queue: what the tracer makes of it, 0: nothing. => t->tracee; the
 * sighand lock (taken with flags), which is given up meanwhile */
int ptrace_signal(struct sighand *s, unsigned long flags, siginfo_t *info);
/* Take part in a stop of the process in the tracer's way. => sighand lock; if true it is given up */
bool ptrace_group_stop(struct sighand *s, unsigned long flags);
/* The process is stopped or continued; => t->tracee, sighand lock */
void ptrace_group_changed(struct thread *t, bool stopped);
void ptrace_set_trap(struct thread *t, u8 trap); /* => sighand lock */

/* ---- ptrace_attach.c ------------------------------------------------------------------------------- */

/* Give the thread its struct tracee, if it has none: 0 or -ENOMEM. */
int tracee_make(struct thread *t);
void tracee_free(struct tracee *tr);
/* A new thread is traced as its maker is; => tree_lock, tracee_make() was done */
void ptrace_inherit(struct thread *child);
/* t has left its process with `code`. Returns whether its number must stay, for its tracer to wait.
 * => tree_lock, t->tracee */
bool ptrace_thread_left(struct thread *t, int code);
/* The last thread has left p. Returns whether the tracer must know before the parent.
 * => tree_lock, p->leader->tracee */
bool ptrace_process_left(struct process *p);
/* The tracer t ends; processes to be put are added to `dead`. => tree_lock */
void ptrace_release_all(struct thread *t, struct list *dead);
/* Nobody traces it any more, if anybody did. => tree_lock */
void ptrace_forget(struct thread *t);
/* The tracer has waited for a dead thread (or process): its parent comes next. => tree_lock */
void ptrace_reap(struct tracee *tr, struct list *dead);
/* The requests that begin and end it: 0 or -errno. detach: of a stopped thread that is frozen */
long ptrace_attach(struct thread *t, bool seize, unsigned long options);
long ptrace_traceme(void);
long ptrace_detach(struct thread *t, int signo);
/* Is the tracer one that a gain of privileges must be kept from? For exec. */
bool ptrace_is_unsafe(void);

#endif
