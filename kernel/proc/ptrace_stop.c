/* SPDX-License-Identifier: MIT */
/*
 * Debuggers, the traced side: where a thread stops, and what for (ptrace(2), "Stopped states").
 *
 * A thread is traced by another thread, the tracer. It stops (TASK_TRACED) at these places, always by
 * itself, before the return to user mode or deep in a system call; the tracer's wait(2) tells which:
 *
 *     system call        ptrace_syscall_enter(), ptrace_syscall_exit()
 *     signal             ptrace_signal(): taken off the queue, not yet delivered; the tracer decides
 *     event              ptrace_event(): fork, vfork, clone, exec, exit, vfork done
 *     group              ptrace_trap(): the process is stopped by a signal; or PTRACE_INTERRUPT
 *
 * While it is stopped the tracer reads and changes it, and lets it go on with a request that says what
 * it wants to see next (tracee->resume). Nothing else wakes it but SIGKILL, and that has to wait while
 * a request is being served (tracee->frozen), for the request looks at the thread's stack.
 *
 * That the thread cannot go on before its tracer has heard of the stop, nor miss its tracer's end,
 * follows from this order: it becomes TASK_TRACED under its sighand lock, then takes tree_lock to tell;
 * who ends the tracing holds both, and wakes it.
 *
 * Nothing of this costs an untraced thread an instruction in a system call: the entry code compares the
 * number with a limit in any case, and for a traced thread the limit is 0 (arch_hold_syscalls()).
 */
#include "ptrace.h"
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <linux/ptrace.h>

/* ---- telling the tracer ------------------------------------------------------------------------- */

/* => tree_lock */
static void tell_tracer(struct tracee *tr, int code, int why)
{
    struct thread *t = tr->thread;

    notify_process(tr->tracer->process, t->process, t->tid, SIGCHLD, why, code & 0x7f);
}

/* ---- the stop -------------------------------------------------------------------------------------- */

bool signal_take_part(struct process *p, struct thread *t)
{
    if (unlikely(t->tracee)) {
        if (!t->tracee->stop_due)
            return false;
        t->tracee->stop_due = false;
    }
    if (p->stop_pending == 0 || --p->stop_pending)
        return false;
    p->stop_report = p->group_stop_signal;
    return true;
}

/* The current thread tells that it has stopped, and sleeps. last: with it the whole process has. */
static void stop_and_tell(struct tracee *tr, int code, int why, int group_signal, bool last)
{
    struct process *p = tr->thread->process;
    unsigned long flags = spin_lock_irqsave(&tree_lock);

    if (tr->tracer)
        tell_tracer(tr, why == CLD_STOPPED ? group_signal : code, why);
    if (last && (!tr->tracer || tr->tracer->process != p->parent))
        notify_parent(p, CLD_STOPPED, group_signal);
    spin_unlock_irqrestore(&tree_lock, flags);
    schedule();
}

/* Stop the current thread with `code`. => sighand lock held, which is given up. Returns the signal
 * that the tracer wants it to have, or, if there is no tracer or SIGKILL is pending, 0. */
static int stop(struct sighand *s, unsigned long flags, int code, int why, unsigned long message,
                siginfo_t *info)
{
    struct thread *t = current;
    struct tracee *tr = t->tracee;
    int signo, group_signal = t->process->group_stop_signal;
    bool last;

    if (!tr->tracer || (t->work & WORK_KILLED)) {
        sighand_unlock(s, flags);
        return 0;
    }
    last = why == CLD_STOPPED && signal_take_part(t->process, t);
    arch_tracee_save(t);
    tr->code = code;
    tr->message = message;
    tr->info = info;
    tr->resume_signal = 0;
    tr->vectors_changed = false;
    tr->trap &= ~TRAP_STOP;
    if (code >> 8 == PTRACE_EVENT_STOP)
        tr->trap &= ~TRAP_NOTIFY;
    tr->trapping = false;
    __atomic_store_n(&t->state, TASK_TRACED, __ATOMIC_SEQ_CST);
    sighand_unlock(s, flags);
    stop_and_tell(tr, code, why, group_signal, last);

    s = sighand_lock(t->process, &flags);
    tr->info = NULL;
    tr->listening = tr->frozen = false;
    tr->code = 0;
    signo = tr->resume_signal;
    if (tr->tracer && tr->trap)
        __atomic_fetch_or(&t->work, WORK_TRAP, __ATOMIC_SEQ_CST);
    signal_show(t);
    sighand_unlock(s, flags);
    arch_tracee_load(t);
    return signo;
}

static void fill_info(siginfo_t *info, int signo, int code)
{
    memset(info, 0, sizeof(*info));
    info->si_signo = signo;
    info->si_code = code;
    info->si_pid = current->tid;
    info->si_uid = current->cred->uid;
}

static int notify(int code, unsigned long message)
{
    unsigned long flags;
    struct sighand *s = sighand_lock(current->process, &flags);
    siginfo_t info;

    fill_info(&info, SIGTRAP, code);
    return stop(s, flags, code, CLD_TRAPPED, message, &info);
}

/* ---- events ---------------------------------------------------------------------------------------- */

bool ptrace_wants_event(int event)
{
    return is_traced(current) && (current->tracee->options & 1U << event);
}

void ptrace_event(int event, unsigned long message)
{
    if (ptrace_wants_event(event))
        notify(event << 8 | SIGTRAP, message);
}

/* Without the option, one who did not use PTRACE_SEIZE is told by a signal (ptrace(2)). */
void ptrace_exec_event(pid_t old_tid)
{
    siginfo_t info;

    if (!is_traced(current))
        return;
    if (ptrace_wants_event(PTRACE_EVENT_EXEC)) {
        notify(PTRACE_EVENT_EXEC << 8 | SIGTRAP, old_tid);
    } else if (!current->tracee->seized) {
        fill_info(&info, SIGTRAP, SI_USER);
        signal_send_thread(current, SIGTRAP, &info);
    }
}

/* The signal that killed it is past; only another one ends the stop. */
void ptrace_exit_event(int code)
{
    if (!ptrace_wants_event(PTRACE_EVENT_EXIT))
        return;
    __atomic_fetch_and(&current->work, ~WORK_KILLED, __ATOMIC_SEQ_CST);
    notify(PTRACE_EVENT_EXIT << 8 | SIGTRAP, code);
}

/* ---- system calls ------------------------------------------------------------------------------------ */

static void syscall_stop(unsigned long message)
{
    bool good = current->tracee->options & PTRACE_O_TRACESYSGOOD;
    int signo = notify(SIGTRAP | (good ? 0x80 : 0), message);
    siginfo_t info;

    if (!signo)
        return;
    fill_info(&info, signo, SI_USER);
    signal_send_thread(current, signo, &info);
}

long ptrace_syscall_enter(struct trap_frame *frame)
{
    struct thread *t = current;
    int resume;

    if (!is_traced(t)) { /* not any more */
        arch_hold_syscalls(t, false);
        return frame_syscall(frame);
    }
    __atomic_fetch_or(&t->work, WORK_TRACE, __ATOMIC_RELAXED);
    resume = t->tracee->resume;
    if (resume != PTRACE_SYSCALL && !ptrace_emulates(resume))
        return frame_syscall(frame);
    syscall_stop(PTRACE_EVENTMSG_SYSCALL_ENTRY);
    if (ptrace_emulates(resume) || fatal_signal_pending())
        return -1;
    return frame_syscall(frame);
}

static void syscall_exit(struct trap_frame *frame)
{
    struct tracee *tr = current->tracee;

    if (!tr->tracer || ptrace_emulates(tr->resume))
        return;
    if (arch_is_stepping(current))
        signal_fault(SIGTRAP, TRAP_BRKPT, frame_pc(frame));
    else if (tr->resume == PTRACE_SYSCALL)
        syscall_stop(PTRACE_EVENTMSG_SYSCALL_EXIT);
}

/* ---- signals -------------------------------------------------------------------------------------------- */

/* The tracer may have put another signal in its place, about which we know only who did it. */
static void replace_info(struct tracee *tr, siginfo_t *info, int signo)
{
    unsigned long flags;

    if (info->si_signo == signo)
        return;
    memset(info, 0, sizeof(*info));
    info->si_signo = signo;
    info->si_code = SI_USER;
    flags = spin_lock_irqsave(&tree_lock);
    if (tr->tracer) {
        info->si_pid = tr->tracer->process->pid;
        info->si_uid = tr->tracer->cred->uid;
    }
    spin_unlock_irqrestore(&tree_lock, flags);
}

/* Stepping into a handler: it is entered at full speed, and stops at its first instruction. */
static void step_to_handler(struct tracee *tr, bool caught)
{
    if (!caught || !arch_is_stepping(tr->thread))
        return;
    arch_single_step(tr->thread, false);
    tr->at_handler = true;
    __atomic_fetch_or(&tr->thread->work, WORK_TRAP, __ATOMIC_SEQ_CST);
}

int ptrace_signal(struct sighand *s, unsigned long flags, siginfo_t *info)
{
    struct thread *t = current;
    struct tracee *tr = t->tracee;
    int signo = info->si_signo;

    if (!tr->tracer || (t->work & WORK_KILLED))
        return signo;
    signo = stop(s, flags, signo, CLD_TRAPPED, tr->message, info);
    if (signo)
        replace_info(tr, info, signo);
    s = sighand_lock(t->process, &flags);
    if (signo && (t->blocked & signal_bit(signo))) {
        signal_send_locked(t->process, t, signo, info);
        signo = 0;
    }
    if (signo)
        step_to_handler(tr, s->caught & signal_bit(signo));
    return signo;
}

/* ---- stops of the process, and stops at once ----------------------------------------------------------- */

/* => sighand lock held, which is given up */
static void group_stop(struct sighand *s, unsigned long flags)
{
    struct tracee *tr = current->tracee;
    int signo = current->process->group_stop_signal;
    siginfo_t info;

    if (!tr->seized) {
        stop(s, flags, signo ? signo : SIGSTOP, CLD_STOPPED, 0, NULL);
        return;
    }
    if (!signo)
        signo = SIGTRAP;
    fill_info(&info, signo, signo | PTRACE_EVENT_STOP << 8);
    stop(s, flags, signo | PTRACE_EVENT_STOP << 8, CLD_STOPPED, 0, &info);
}

bool signal_stop_applies(struct thread *t)
{
    return !is_traced(t) || t->tracee->stop_due || t->tracee->trap;
}

bool ptrace_group_stop(struct sighand *s, unsigned long flags)
{
    struct tracee *tr = current->tracee;

    if (!tr->tracer)
        return false;
    /* What comes up meanwhile, such as the end of the stop, is told before any signal. */
    for (;;) {
        group_stop(s, flags);
        s = sighand_lock(current->process, &flags);
        if (!tr->tracer || !tr->trap || (current->work & WORK_KILLED))
            break;
    }
    sighand_unlock(s, flags);
    return true;
}

void ptrace_set_trap(struct thread *t, u8 trap)
{
    t->tracee->trap |= trap;
    __atomic_fetch_or(&t->work, WORK_TRAP | WORK_SIGNAL, __ATOMIC_SEQ_CST);
    signal_wake(t, false);
    if (t->tracee->listening)
        wake_thread_state(t, TASK_TRACED);
}

void ptrace_group_changed(struct thread *t, bool stopped)
{
    struct tracee *tr = t->tracee;

    tr->stop_due = stopped;
    if (tr->tracer && tr->seized)
        ptrace_set_trap(t, TRAP_NOTIFY);
}

static void trap(void)
{
    struct tracee *tr = current->tracee;
    unsigned long flags;
    struct sighand *s;
    bool at_handler;

    __atomic_fetch_and(&current->work, ~WORK_TRAP, __ATOMIC_SEQ_CST);
    s = sighand_lock(current->process, &flags);
    at_handler = tr->at_handler;
    tr->at_handler = false;
    if (at_handler && tr->tracer) {
        sighand_unlock(s, flags);
        notify(SIGTRAP, 0);
        s = sighand_lock(current->process, &flags);
    }
    if (tr->tracer && tr->trap)
        group_stop(s, flags);
    else
        sighand_unlock(s, flags);
}

void ptrace_work(struct trap_frame *frame, u32 work)
{
    if (work & WORK_TRACE) {
        __atomic_fetch_and(&current->work, ~WORK_TRACE, __ATOMIC_RELAXED);
        syscall_exit(frame);
    }
    if (READ_ONCE(current->work) & WORK_TRAP)
        trap();
}
