/* SPDX-License-Identifier: MIT */
/*
 * Signals: what a thread does about them before it returns to user mode.
 *
 * user_return_work() takes signals off the queues one by one. An ignored one is dropped; one with
 * the default action stops or ends the process here; for one with a handler the machine pushes a
 * frame on the user's stack, and the return to user mode enters the handler. Several handlers may be
 * stacked in one go: each loop of the entry code pushes one more.
 *
 * A system call that was interrupted left -ERESTART* as its result. Whether it is restarted or
 * returns EINTR depends on the handler, so it is decided here (signal(7), "Interruption of system
 * calls and library functions by signal handlers"):
 *
 *     result                     no handler runs   handler             handler, SA_RESTART
 *     ERESTARTSYS                restart           EINTR               restart
 *     ERESTARTNOINTR             restart           restart             restart
 *     ERESTARTNOHAND             restart           EINTR               EINTR
 *     ERESTART_RESTARTBLOCK      restart_syscall   EINTR               EINTR
 */
#include "ptrace.h"
#include <vellum/mm.h>
#include <vellum/rseq.h>
#include <vellum/string.h>
#include <vellum/uaccess.h>

/* ---- interrupted system calls -------------------------------------------------------------------- */

static void restart_without_handler(struct trap_frame *frame)
{
    if (frame_syscall(frame) < 0)
        return;
    switch (-frame_result(frame)) {
    case ERESTARTSYS:
    case ERESTARTNOINTR:
    case ERESTARTNOHAND:
        frame_restart(frame);
        break;
    case ERESTART_RESTARTBLOCK:
        frame_restart_block(frame);
        break;
    default:
        return;
    }
    frame_end_syscall(frame);
}

static void restart_before_handler(struct trap_frame *frame, unsigned long action_flags)
{
    if (frame_syscall(frame) < 0)
        return;
    switch (-frame_result(frame)) {
    case ERESTARTSYS:
        if (action_flags & SA_RESTART)
            frame_restart(frame);
        else
            frame_set_result(frame, -EINTR);
        break;
    case ERESTARTNOINTR:
        frame_restart(frame);
        break;
    case ERESTARTNOHAND:
    case ERESTART_RESTARTBLOCK:
        frame_set_result(frame, -EINTR);
        break;
    }
    frame_end_syscall(frame);
}

/* ---- stopping -------------------------------------------------------------------------------------- */

/* Begin a stop of the whole process by signo; => sighand lock */
static void stop_start(struct process *p, int signo)
{
    struct thread *t;

    p->group_stop_signal = signo;
    p->continue_report = p->continue_notify = false;
    p->stop_pending = p->thread_count;
    list_for_each_entry(t, &p->threads, thread_link) {
        if (unlikely(t->tracee))
            ptrace_group_changed(t, true);
        if (t != current)
            signal_wake(t, false);
    }
}

void signal_stop_current(struct sighand *s, unsigned long flags)
{
    struct process *p = current->process;
    int signo = p->group_stop_signal;
    bool last;

    if (unlikely(current->tracee) && ptrace_group_stop(s, flags))
        return;
    last = signal_take_part(p, current);
    __atomic_store_n(&current->state, TASK_STOPPED, __ATOMIC_SEQ_CST);
    sighand_unlock(s, flags);
    if (last) {
        flags = spin_lock_irqsave(&tree_lock);
        notify_parent(p, CLD_STOPPED, signo);
        spin_unlock_irqrestore(&tree_lock, flags);
    }
    schedule();
}

static void tell_continued(struct process *p)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);

    notify_parent(p, CLD_CONTINUED, SIGCONT);
    spin_unlock_irqrestore(&tree_lock, flags);
}

/* SIGTSTP, SIGTTIN, SIGTTOU do not stop a process that no shell could continue. */
static bool stop_is_void(int signo)
{
    return signo != SIGSTOP && pgrp_is_orphaned(current->process->pgrp);
}

/* ---- handlers ---------------------------------------------------------------------------------------- */

static bool on_altstack(const struct thread *t, vaddr_t sp)
{
    return !(t->altstack_flags & SS_AUTODISARM) && sp > t->altstack &&
           sp - t->altstack <= t->altstack_size;
}

/* Where the frame goes: 0 if it would not fit on the alternate stack. */
static vaddr_t frame_place(const struct trap_frame *frame, const struct sigaction_k *action)
{
    struct thread *t = current;
    vaddr_t sp = frame_sp(frame);
    bool inside = on_altstack(t, sp);

    if ((action->flags & SA_ONSTACK) && t->altstack_size && !inside) {
        sp = t->altstack + t->altstack_size;
        inside = true;
    }
    if (inside && t->altstack_size && sp - t->altstack < arch_signal_frame_size())
        return 0;
    return sp;
}

static void fill_altstack(stack_t *ss)
{
    struct thread *t = current;

    memset(ss, 0, sizeof(*ss));
    ss->ss_sp = (void *)t->altstack;
    ss->ss_size = t->altstack_size;
    ss->ss_flags = t->altstack_size ? t->altstack_flags : SS_DISABLE;
}

/* The handler has been entered: what holds while it runs. */
static void handler_entered(const struct signal_delivery *d)
{
    struct thread *t = current;
    signal_set blocked = t->blocked | d->action.mask;

    if (!(d->action.flags & SA_NODEFER))
        blocked |= signal_bit(d->signo);
    signal_set_mask(blocked);
    __atomic_fetch_and(&t->work, ~WORK_RESTORE_MASK, __ATOMIC_RELAXED);
    if (t->altstack_flags & SS_AUTODISARM) {
        t->altstack = t->altstack_size = 0;
        t->altstack_flags = SS_DISABLE;
    }
}

static void run_handler(struct trap_frame *frame, struct signal_delivery *d)
{
    struct thread *t = current;

    restart_before_handler(frame, d->action.flags);
    if (t->rseq)
        rseq_resume(frame);
    d->mask = t->work & WORK_RESTORE_MASK ? t->saved_mask : t->blocked;
    d->sp = frame_place(frame, &d->action);
    fill_altstack(&d->altstack);
    if (d->sp && arch_signal_push(frame, d) == 0) {
        handler_entered(d);
        return;
    }
    if (d->signo == SIGSEGV) { /* its handler cannot be reached: the default action */
        unsigned long flags = spin_lock_irqsave(&t->process->sighand->lock);

        sighand_set_default(t->process->sighand, signal_bit(SIGSEGV));
        spin_unlock_irqrestore(&t->process->sighand->lock, flags);
    }
    signal_fault(SIGSEGV, SI_KERNEL, 0);
}

/* SA_RESETHAND: the default action from now on; sigaction(2) still tells the flags and the mask. */
static void sighand_once(struct sighand *s, int signo)
{
    sighand_slot(s, signo)->handler = (vaddr_t)SIG_DFL;
    s->caught &= ~signal_bit(signo);
}

/* Take signals until one has a handler, which is then described in *d. False: none has. */
static bool next_handler(struct signal_delivery *d)
{
    struct thread *t = current;
    struct process *p = t->process;
    struct sighand *s = p->sighand;
    unsigned long flags;

again:
    flags = spin_lock_irqsave(&s->lock);
    for (;;) {
        unsigned continues;
        signal_set bit;

        if (p->group_exiting) {
            bool dumps = p->core;

            spin_unlock_irqrestore(&s->lock, flags);
            if (unlikely(dumps))
                core_park();
            process_exit_group(p->group_exit_code);
        }
        if (p->exec_thread && p->exec_thread != t) {
            spin_unlock_irqrestore(&s->lock, flags);
            thread_exit(0);
        }
        if (unlikely(p->continue_notify)) {
            p->continue_notify = false;
            spin_unlock_irqrestore(&s->lock, flags);
            tell_continued(p);
            goto again;
        }
        if (unlikely(p->group_stop_signal) && signal_stop_applies(t)) {
            signal_stop_current(s, flags);
            goto again;
        }
        d->signo = signal_take(~t->blocked, &d->info);
        if (!d->signo)
            break;
        if (unlikely(t->tracee) && d->signo != SIGKILL) {
            d->signo = ptrace_signal(s, flags, &d->info);
            if (!d->signo || p->group_exiting)
                continue;
        }
        bit = signal_bit(d->signo);
        if (s->ignored & bit)
            continue;
        if (s->caught & bit) {
            d->action = *sighand_slot(s, d->signo);
            if (d->action.flags & SA_RESETHAND)
                sighand_once(s, d->signo);
            break;
        }
        if ((bit & SIGNALS_IGNORED_BY_DEFAULT) ||
            (p == init_process && !(bit & SIGNALS_SYNCHRONOUS)))
            continue;
        if (bit & SIGNALS_STOP) {
            continues = p->continues;
            spin_unlock_irqrestore(&s->lock, flags);
            if (stop_is_void(d->signo))
                goto again;
            flags = spin_lock_irqsave(&s->lock);
            /* A SIGCONT that came meanwhile may have left nothing else behind. */
            if (!p->group_exiting && p->continues == continues)
                stop_start(p, d->signo);
            continue;
        }
        spin_unlock_irqrestore(&s->lock, flags);
        process_exit_group(bit & SIGNALS_CORE ? core_dump(&d->info) : d->signo);
    }
    signal_recalc(t);
    spin_unlock_irqrestore(&s->lock, flags);
    return d->signo != 0;
}

static void deliver(struct trap_frame *frame)
{
    struct signal_delivery d;

    if (next_handler(&d)) {
        run_handler(frame, &d);
        return;
    }
    restart_without_handler(frame);
    if (current->work & WORK_RESTORE_MASK) {
        __atomic_fetch_and(&current->work, ~WORK_RESTORE_MASK, __ATOMIC_RELAXED);
        signal_set_mask(current->saved_mask);
    }
}

static void store_child_tid(struct thread *t)
{
    __atomic_fetch_and(&t->work, ~WORK_CHILD_TID, __ATOMIC_RELAXED);
    (void)put_user(t->tid, (pid_t __user *)t->child_tid); /* as Linux: failure is not told */
}

void user_return_work(struct trap_frame *frame)
{
    struct thread *t = current;
    u32 work = t->work;

    irq_enable();
    if (work & WORK_RESCHEDULE) {
        schedule();
        work = t->work;
    }
    if (unlikely(work & (WORK_CHILD_TID | WORK_TRACE | WORK_TRAP | WORK_ASYNC))) {
        if (work & WORK_ASYNC)
            async_tell_before_return();
        if (work & WORK_CHILD_TID)
            store_child_tid(t);
        ptrace_work(frame, work);
    }
    if (work & WORK_RSEQ)
        rseq_resume(frame);
    if (work & (WORK_SIGNAL | WORK_KILLED | WORK_RESTORE_MASK))
        deliver(frame);
    irq_disable();
}
