/* SPDX-License-Identifier: MIT */
/*
 * Waiting for children: wait4(2), waitid(2).
 *
 * A parent keeps its dead children in a list of their own, so the usual question - has any child
 * ended? - needs no search, nor does the question about one child. Only stopped and continued
 * children are looked for among the living.
 *
 * A debugger waits in the same way for the threads that it traces (ptrace(2)), each of which it hears
 * of whenever it stops.
 */
#include "ptrace.h"
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <linux/wait.h>

/* What is asked, and what was found. */
struct wait_request {
    int which; /* P_ALL, P_PID, P_PGID */
    pid_t id;
    int options;             /* W*, as waitid(2) has them */
    struct process *process; /* with P_PID: this one and no later one of the number; NULL: any */
    /* The answer: */
    pid_t pid;
    uid_t uid;
    int code;   /* CLD_* */
    int status; /* as wait4(2) shows it */
    struct usage usage;
    struct thread *stopped; /* a thread that is traced, with a reference */
};

static bool eligible(const struct process *child, const struct wait_request *r)
{
    if (r->which == P_PID && child->pid != r->id)
        return false;
    if (r->which == P_PGID && child->pgrp != r->id)
        return false;
    if (r->options & __WALL)
        return true;
    return (child->exit_signal != SIGCHLD) == !!(r->options & __WCLONE);
}

static void answer(struct wait_request *r, struct process *child, int code, int status)
{
    r->pid = child->pid;
    r->uid = child->leader->cred->uid;
    r->code = code;
    r->status = status;
}

/* A dead child: take it out of the tree unless it is only looked at. => tree_lock. The caller then
 * puts *reaped. */
static void take_zombie(struct wait_request *r, struct process *child, struct process **reaped)
{
    struct process *self = current->process;
    int signo = child->exit_code & 0x7f;

    answer(r, child,
           !signo                    ? CLD_EXITED
           : child->exit_code & 0x80 ? CLD_DUMPED
                                     : CLD_KILLED,
           child->exit_code);
    r->usage = child->dead_threads;
    usage_add(&r->usage, &child->dead_children);
    if (r->options & WNOWAIT)
        return;
    usage_add(&self->dead_children, &r->usage);
    process_unlink(child);
    *reaped = child;
}

/* Then each of its threads tells us of its stop. => tree_lock */
static bool is_traced_by_us(const struct thread *t)
{
    return is_traced(t) && t->tracee->tracer->process == current->process;
}

/* A living child that has stopped or gone on since anybody asked last? => tree_lock */
static bool take_change(struct wait_request *r, struct process *child)
{
    unsigned long flags;
    struct sighand *s;
    bool found = true;

    if (!(r->options & (WSTOPPED | WCONTINUED)))
        return false;
    s = sighand_lock(child, &flags);
    if ((r->options & WSTOPPED) && child->stop_report && !is_traced_by_us(child->leader)) {
        answer(r, child, CLD_STOPPED, child->stop_report << 8 | 0x7f);
        if (!(r->options & WNOWAIT))
            child->stop_report = 0;
    } else if ((r->options & WCONTINUED) && child->continue_report) {
        answer(r, child, CLD_CONTINUED, 0xffff);
        if (!(r->options & WNOWAIT))
            child->continue_report = false;
    } else {
        found = false;
    }
    sighand_unlock(s, flags);
    return found;
}

static int look_at(struct wait_request *r, struct process *child, struct process **reaped)
{
    if (child->state != PROCESS_ZOMBIE)
        return take_change(r, child);
    if (!(r->options & WEXITED))
        return 0;
    take_zombie(r, child, reaped);
    return 1;
}

/* ---- what we trace ---------------------------------------------------------------------------------- */

static bool tracee_eligible(const struct tracee *tr, const struct wait_request *r)
{
    if (r->which == P_PID && tr->thread->tid != r->id)
        return false;
    if (r->which == P_PGID && tr->thread->process->pgrp != r->id)
        return false;
    return !(r->options & __WNOTHREAD) || tr->tracer == current;
}

static void answer_thread(struct wait_request *r, struct thread *t, int code, int status)
{
    r->pid = t->tid;
    r->uid = t->cred->uid;
    r->code = code;
    r->status = status;
}

/* It has stopped, and nobody has asked yet? */
static bool take_stop(struct wait_request *r, struct tracee *tr)
{
    struct thread *t = tr->thread;
    unsigned long flags;
    struct sighand *s = sighand_lock(t->process, &flags);
    bool found = tr->code && !tr->listening && t->state == TASK_TRACED;

    if (found) {
        answer_thread(r, t, CLD_TRAPPED, tr->code << 8 | 0x7f);
        if (!(r->options & WNOWAIT))
            tr->code = 0;
        ref_get(&t->refs);
        r->stopped = t;
    }
    sighand_unlock(s, flags);
    return found;
}

/* It has ended? Its parent comes after us. */
static bool take_end(struct wait_request *r, struct tracee *tr, int status, struct process **reaped)
{
    struct list dead = LIST_INIT(dead);
    int signo = status & 0x7f;

    if (!(r->options & WEXITED))
        return false;
    answer_thread(r, tr->thread,
                  !signo          ? CLD_EXITED
                  : status & 0x80 ? CLD_DUMPED
                                  : CLD_KILLED,
                  status);
    r->usage = tr->thread->process->dead_threads;
    if (r->options & WNOWAIT)
        return true;
    ptrace_reap(tr, &dead);
    if (!list_empty(&dead))
        *reaped = list_first_entry(&dead, struct process, sibling);
    return true;
}

/* As scan(), `result` of which had nothing to tell of our children. */
static int scan_tracees(struct wait_request *r, struct process **reaped, int result)
{
    struct tracee *tr;

    list_for_each_entry(tr, &current->process->tracees, link) {
        struct process *p = tr->thread->process;

        if (!tracee_eligible(tr, r))
            continue;
        result = 0;
        if (tr->zombie) {
            if (take_end(r, tr, tr->exit_code, reaped))
                return 1;
        } else if (p->state == PROCESS_UNSEEN && tr->thread == p->leader) {
            if (take_end(r, tr, p->exit_code, reaped))
                return 1;
        } else if (take_stop(r, tr)) {
            return 1;
        }
    }
    return result;
}

/* ---- the search --------------------------------------------------------------------------------------- */

static int scan_child(struct wait_request *r, struct process **reaped)
{
    struct process *child = pid_lookup(r->id);

    if (!child || child->parent != current->process || child == current->process ||
        !eligible(child, r) || (r->process && child != r->process))
        return -ECHILD;
    return look_at(r, child, reaped);
}

/* 1: found, r is filled in. 0: not yet. -ECHILD: there is nothing to wait for. => tree_lock */
static int scan(struct wait_request *r, struct process **reaped)
{
    struct process *self = current->process, *child;
    int result = -ECHILD;

    if (r->which == P_PID) {
        result = scan_child(r, reaped);
        goto tracees;
    }
    list_for_each_entry(child, &self->zombies, sibling) {
        if (!eligible(child, r))
            continue;
        if (look_at(r, child, reaped))
            return 1;
        result = 0;
    }
    list_for_each_entry(child, &self->children, sibling) {
        if (!eligible(child, r))
            continue;
        if (take_change(r, child))
            return 1;
        result = 0;
        if (!(r->options & (WSTOPPED | WCONTINUED)))
            break;
    }
tracees:
    if (unlikely(!list_empty(&self->tracees)) && result <= 0)
        return scan_tracees(r, reaped, result);
    return result;
}

static int try_once(struct wait_request *r)
{
    struct process *reaped = NULL;
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    int result = scan(r, &reaped);

    spin_unlock_irqrestore(&tree_lock, flags);
    if (reaped) {
        process_put(reaped);
        kernel_stacks_trim();
    }
    if (unlikely(r->stopped)) {
        process_usage(r->stopped->process, &r->usage);
        thread_put(r->stopped);
    }
    return result;
}

/* As scan(), but sleeps until there is something, unless WNOHANG. */
static int wait_for_child(struct wait_request *r)
{
    struct wait_queue *queue = &current->process->child_wait;
    int result = try_once(r);
    WAIT_ENTRY(entry);

    if (result != 0 || (r->options & WNOHANG))
        return result;
    for (;;) {
        wait_prepare(queue, &entry, TASK_INTERRUPTIBLE);
        result = try_once(r);
        if (result != 0)
            break;
        if (signal_pending()) {
            result = -ERESTARTSYS;
            break;
        }
        schedule();
    }
    wait_finish(queue, &entry);
    return result;
}

static int put_usage(struct rusage __user *uru, const struct usage *u)
{
    struct rusage ru;

    if (!uru)
        return 0;
    usage_to_rusage(u, &ru);
    return copy_to_user(uru, &ru, sizeof(ru)) ? -EFAULT : 0;
}

SYSCALL_DEFINE4(wait4, pid_t, pid, int __user *, status, int, options, struct rusage __user *,
                usage)
{
    struct wait_request r = {.which = P_PID, .id = pid};
    int result;

    if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
        return -EINVAL;
    if (pid == INT32_MIN)
        return -ESRCH;
    r.options = options | WEXITED;
    if (pid == -1) {
        r.which = P_ALL;
    } else if (pid <= 0) {
        r.which = P_PGID;
        r.id = pid == 0 ? current->process->pgrp : -pid;
    }
    result = wait_for_child(&r);
    if (result <= 0)
        return result;
    if (status && put_user(r.status, status))
        return -EFAULT;
    if (put_usage(usage, &r.usage))
        return -EFAULT;
    return r.pid;
}

/* waitid(2) tells the code or signal, not the status word. */
static int info_status(const struct wait_request *r)
{
    switch (r->code) {
    case CLD_EXITED:
        return r->status >> 8;
    case CLD_STOPPED:
    case CLD_TRAPPED:
        return r->status >> 8;
    case CLD_CONTINUED:
        return SIGCONT;
    }
    return r->status & 0x7f;
}

static int put_info(siginfo_t __user *uinfo, const struct wait_request *r, bool found)
{
    siginfo_t info;

    if (!uinfo)
        return 0;
    memset(&info, 0, sizeof(info));
    if (found) {
        info.si_signo = SIGCHLD;
        info.si_code = r->code;
        info.si_pid = r->pid;
        info.si_uid = r->uid;
        info.si_status = info_status(r);
    }
    return copy_to_user(uinfo, &info, sizeof(info)) ? -EFAULT : 0;
}

static long wait_and_tell(struct wait_request *r, siginfo_t __user *info,
                          struct rusage __user *usage)
{
    int result = wait_for_child(r);

    if (result < 0)
        return result;
    if (result > 0 && put_usage(usage, &r->usage))
        return -EFAULT;
    return put_info(info, r, result > 0);
}

/* A pidfd with O_NONBLOCK waits for nothing: EAGAIN. */
static long wait_pidfd(struct wait_request *r, siginfo_t __user *info, struct rusage __user *usage)
{
    struct process *p;
    bool nonblock;
    long result;

    p = pidfd_process(r->id, &nonblock);
    if (is_err(p))
        return ptr_err(p);
    r->which = P_PID;
    r->id = p->pid;
    r->process = p;
    nonblock &= !(r->options & WNOHANG);
    if (nonblock)
        r->options |= WNOHANG;
    result = wait_and_tell(r, info, usage);
    if (nonblock && result == 0 && !r->pid)
        result = -EAGAIN;
    process_put(p);
    return result;
}

SYSCALL_DEFINE5(waitid, int, which, pid_t, id, siginfo_t __user *, info, int, options,
                struct rusage __user *, usage)
{
    struct wait_request r = {.which = which, .id = id, .options = options};

    if ((options & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE |
                     __WALL)) ||
        !(options & (WEXITED | WSTOPPED | WCONTINUED)))
        return -EINVAL;
    switch (which) {
    case P_ALL:
        break;
    case P_PID:
        if (id <= 0)
            return -EINVAL;
        break;
    case P_PGID:
        if (id < 0)
            return -EINVAL;
        if (id == 0)
            r.id = current->process->pgrp;
        break;
    case P_PIDFD:
        return id < 0 ? -EINVAL : wait_pidfd(&r, info, usage);
    default:
        return -EINVAL;
    }
    return wait_and_tell(&r, info, usage);
}
