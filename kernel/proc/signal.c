/* SPDX-License-Identifier: MIT */
/*
 * Signals: sending (signal(7), sigaction(2)).
 *
 * A signal goes to a process or to one thread. It is dropped at once if the receiver ignores it.
 * Otherwise its bit is set in a queue (the thread's own, or the process's, from which any thread may
 * take it), with a struct queued_signal that says where it came from. Of a standard signal one
 * instance is kept; real-time signals (32 and up) queue in number: signal_queue.c. A thread that may take it gets
 * WORK_SIGNAL and is woken; it looks at its queues before it returns to user mode (deliver.c).
 *
 * What does not wait for the receiver happens on sending: a signal that kills the process marks all
 * its threads, SIGCONT starts a stopped process, and stop and continue signals cancel each other.
 */
#include "core.h"
#include <vellum/alloc.h>
#include <vellum/string.h>
#include <linux/eventpoll.h>

/* ---- telling the thread -------------------------------------------------------------------------------- */

static inline bool has_signals(const struct thread *t)
{
    const struct process *p = t->process;

    assert(spin_held(&p->sighand->lock));
    return ((t->pending.set | p->pending.set) & ~t->blocked) || p->group_exiting ||
           p->continue_notify;
}

static inline void show(struct thread *t)
{
    __atomic_fetch_or(&t->work, WORK_SIGNAL, __ATOMIC_SEQ_CST);
}

/* Nothing to see, unless the tracer of t waits for it to notice. */
static inline void hide(struct thread *t)
{
    if (t == current && (READ_ONCE(t->work) & WORK_SIGNAL) && !(READ_ONCE(t->work) & WORK_TRAP))
        __atomic_fetch_and(&t->work, ~WORK_SIGNAL, __ATOMIC_SEQ_CST);
}

/* The process is stopped, but t may have gone on for its tracer. */
static __noinline void recalc_stopped(struct thread *t)
{
    if (signal_stop_applies(t))
        show(t);
    else
        hide(t);
}

void signal_recalc(struct thread *t)
{
    if (has_signals(t))
        show(t);
    else if (unlikely(t->process->group_stop_signal))
        recalc_stopped(t);
    else
        hide(t);
}

void signal_show(struct thread *t)
{
    if (has_signals(t) || (t->process->group_stop_signal && signal_stop_applies(t)))
        show(t);
}

void signal_wake(struct thread *t, bool kill)
{
    u32 work = WORK_SIGNAL | (kill ? WORK_KILLED : 0);
    int states = TASK_INTERRUPTIBLE | (kill ? TASK_KILLABLE | TASK_STOPPED | TASK_TRACED : 0);

    if (kill && unlikely(t->tracee) && t->tracee->frozen)
        states &= ~TASK_TRACED; /* its tracer looks at it, and wakes it then */
    __atomic_fetch_or(&t->work, work, __ATOMIC_SEQ_CST);
    if (t == current && READ_ONCE(t->state) == TASK_RUNNING)
        return; /* else an interrupt sends to the thread that it found on its way to sleep */
    if (!wake_thread_state(t, states) && READ_ONCE(t->state) == TASK_RUNNING) {
        struct cpu *cpu = READ_ONCE(t->cpu);

        if (cpu != this_cpu() && READ_ONCE(cpu->thread) == t)
            arch_ipi_send(cpu->id, IPI_RESCHEDULE); /* it may be in user mode for long */
    }
}

void group_exit_start(struct process *p, int code)
{
    struct thread *t;

    p->group_exiting = true;
    p->group_exit_code = code;
    p->group_stop_signal = 0;
    p->stop_pending = 0;
    list_for_each_entry(t, &p->threads, thread_link) {
        t->pending.set |= signal_bit(SIGKILL);
        signal_wake(t, true);
    }
}

/* ---- sending -------------------------------------------------------------------------------------------- */

/* Would the signal have no effect? Blocked ones are kept, for the action may change before they are
 * looked at. Init only gets what it has a handler for. */
static bool is_ignored(struct process *p, struct thread *t, int signo)
{
    signal_set bit = signal_bit(signo);
    struct sighand *s = p->sighand;
    bool is_default = !((s->caught | s->ignored) & bit);

    if ((t->blocked | t->awaited) & bit)
        return false;
    if (p == init_process && is_default)
        return !is_traced(t) || signo == SIGKILL;
    if (is_default ? !(bit & SIGNALS_IGNORED_BY_DEFAULT) : !(s->ignored & bit))
        return false;
    return !is_traced(t) || signo == SIGKILL; /* a tracer sees all */
}

/* SIGCONT starts a stopped process, whatever is then done with the signal itself. */
static void continue_process(struct process *p)
{
    struct thread *t;

    p->continues++;
    signal_queue_remove(&p->pending, SIGNALS_STOP);
    list_for_each_entry(t, &p->threads, thread_link)
        signal_queue_remove(&t->pending, SIGNALS_STOP);
    if (!p->group_stop_signal)
        return;
    if (p->stop_pending == 0) {
        p->continue_report = true;
        p->continue_notify = true;
    }
    p->group_stop_signal = 0;
    p->stop_pending = 0;
    p->stop_report = 0;
    list_for_each_entry(t, &p->threads, thread_link) {
        __atomic_fetch_or(&t->work, WORK_SIGNAL, __ATOMIC_SEQ_CST);
        wake_thread_state(t, TASK_STOPPED);
        if (unlikely(t->tracee))
            ptrace_group_changed(t, false);
    }
}

static void cancel_opposites(struct process *p, int signo)
{
    struct thread *t;

    if (signo == SIGCONT) {
        continue_process(p);
    } else if (signal_bit(signo) & SIGNALS_STOP) {
        signal_queue_remove(&p->pending, signal_bit(SIGCONT));
        list_for_each_entry(t, &p->threads, thread_link)
            signal_queue_remove(&t->pending, signal_bit(SIGCONT));
    }
}

static bool wants(struct thread *t, int signo)
{
    if (signo == SIGKILL)
        return true;
    return !(t->blocked & signal_bit(signo)) &&
           !(READ_ONCE(t->state) & (TASK_STOPPED | TASK_TRACED)) && !(t->work & WORK_SIGNAL);
}

/* The thread that is to take a signal sent to the process: the current or first one, if it can. */
static struct thread *choose_thread(struct process *p, struct thread *first, int signo)
{
    struct thread *t;

    if (first && wants(first, signo))
        return first;
    list_for_each_entry(t, &p->threads, thread_link)
        if (wants(t, signo))
            return t;
    return NULL;
}

static bool kills(struct process *p, struct thread *t, int signo)
{
    signal_set bit = signal_bit(signo);
    struct sighand *s = p->sighand;

    if (bit & (SIGNALS_CORE | SIGNALS_STOP | SIGNALS_IGNORED_BY_DEFAULT))
        return false; /* a core dump is the receiver's own business */
    if ((s->caught | s->ignored) & bit)
        return false;
    return signo == SIGKILL || (!((t->blocked | t->awaited) & bit) && !is_traced(t));
}

/* Threads that are ending may be stopped for their tracers a last time. */
static void wake_from_exit_events(struct process *p)
{
    struct thread *t;

    list_for_each_entry(t, &p->threads, thread_link)
        if (is_traced(t))
            signal_wake(t, true);
}

enum { SENT, IGNORED };

/* kept: that one, instead of a new record of info. Returns SENT, IGNORED or -errno. */
static int send(struct process *p, struct thread *t, int signo, const siginfo_t *info,
                struct queued_signal *kept)
{
    struct signal_queue *q = t ? &t->pending : &p->pending;
    struct thread *main = t;
    int error;

    assert(spin_held(&p->sighand->lock));
    if (p->thread_count == 0 || p->group_exiting) {
        if (signo == SIGKILL)
            wake_from_exit_events(p);
        if (signo == SIGKILL && unlikely(p->core))
            signal_wake(p->core->dumper, true); /* the program that takes the dump may hang */
        return 0;
    }
    if (!main)
        main = current->process == p ? current
               : p->leader->state != TASK_DEAD
                   ? p->leader
                   : list_first_entry(&p->threads, struct thread, thread_link);
    cancel_opposites(p, signo);
    if (is_ignored(p, main, signo))
        return IGNORED;
    if (signo < SIGRTMIN && (q->set & signal_bit(signo)) && !kept)
        return SENT;
    if (unlikely(kept != NULL)) {
        kept->queue = q;
        list_add_tail(&kept->link, &q->infos);
    } else if (signo != SIGKILL) {
        error = signal_queue_add(q, main, signo, info);
        if (error)
            return error;
    }
    q->set |= signal_bit(signo);
    if (unlikely(p->signal_watch != NULL) && wait_queue_active(&p->signal_watch->wait))
        wake_up(&p->signal_watch->wait, ~0u, EPOLLIN | EPOLLRDNORM);
    t = t ? (wants(t, signo) ? t : NULL) : choose_thread(p, main, signo);
    if (!t)
        return 0;
    if (kills(p, t, signo))
        group_exit_start(p, signo);
    else
        signal_wake(t, signo == SIGKILL);
    return 0;
}

int signal_send_locked(struct process *p, struct thread *t, int signo, const siginfo_t *info)
{
    int result = send(p, t, signo, info, NULL);

    return result == IGNORED ? 0 : result;
}

bool signal_send_kept(struct process *p, struct thread *t, struct queued_signal *s)
{
    assert(list_empty(&s->link));
    return send(p, t, s->info.si_signo, &s->info, s) != IGNORED;
}

int signal_send_process(struct process *p, int signo, const siginfo_t *info)
{
    unsigned long flags;
    struct sighand *s = sighand_lock(p, &flags);
    int error = signal_send_locked(p, NULL, signo, info);

    sighand_unlock(s, flags);
    return error;
}

int signal_send_thread(struct thread *t, int signo, const siginfo_t *info)
{
    unsigned long flags;
    struct sighand *s = sighand_lock(t->process, &flags);
    int error =
        READ_ONCE(t->state) == TASK_DEAD ? 0 : signal_send_locked(t->process, t, signo, info);

    sighand_unlock(s, flags);
    return error;
}

int signal_send_group(pid_t pgrp, int signo, const siginfo_t *info)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    struct process_group *g = group_lookup(pgrp);
    struct process *p;
    int error = -ESRCH;

    if (g)
        list_for_each_entry(p, &g->members, pgrp_link) {
            signal_send_process(p, signo, info);
            error = 0;
        }
    spin_unlock_irqrestore(&tree_lock, flags);
    return error;
}

/* A fault cannot be put off: if the program blocks or ignores the signal, it dies of it. */
void signal_fault(int signo, int code, vaddr_t address)
{
    struct thread *t = current;
    struct process *p = t->process;
    struct sighand *s = p->sighand;
    signal_set bit = signal_bit(signo);
    siginfo_t info;
    unsigned long flags;

    memset(&info, 0, sizeof(info));
    info.si_signo = signo;
    info.si_code = code;
    info.si_addr = (void *)address;
    flags = spin_lock_irqsave(&s->lock);
    if ((t->blocked & bit) || !(s->caught & bit)) {
        t->blocked &= ~bit;
        sighand_set_default(s, bit);
    }
    if (!(t->pending.set & bit) && !p->group_exiting) {
        signal_queue_add(&t->pending, t, signo, &info);
        t->pending.set |= bit;
    }
    __atomic_fetch_or(&t->work, WORK_SIGNAL, __ATOMIC_SEQ_CST);
    spin_unlock_irqrestore(&s->lock, flags);
}
