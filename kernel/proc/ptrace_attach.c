/* SPDX-License-Identifier: MIT */
/*
 * Debuggers: who traces whom. A tracer is one thread; its process keeps the list of what its threads
 * trace, with a reference to each of them, until the tracer detaches, ends, or has waited for the end.
 *
 * A traced thread that ends is kept for its tracer as a zombie, even one that is not the first of its
 * process. A traced process whose tracer is not its parent is shown to the tracer first, then (state
 * PROCESS_UNSEEN no longer) to the parent.
 */
#include "ptrace.h"
#include <vellum/alloc.h>
#include <vellum/mm.h>
#include <vellum/string.h>

/* ---- permission ------------------------------------------------------------------------------------ */

static bool same_user(const struct cred *them, bool fs)
{
    const struct cred *me = current->cred;
    uid_t uid = fs ? me->fsuid : me->uid;
    gid_t gid = fs ? me->fsgid : me->gid;

    return uid == them->euid && uid == them->suid && uid == them->uid && gid == them->egid &&
           gid == them->sgid && gid == them->gid;
}

int ptrace_may_access(struct thread *t, bool fs)
{
    const struct cred *me = current->cred, *them;
    struct process *p = t->process;
    unsigned long flags;
    bool dumpable, ok;

    if (p == current->process || capable(CAP_SYS_PTRACE))
        return 0;
    flags = spin_lock_irqsave(&p->lock);
    them = cred_get(t->cred);
    dumpable = !t->mm || t->mm->dumpable == 1;
    spin_unlock_irqrestore(&p->lock, flags);
    ok = dumpable && same_user(them, fs) &&
         !(them->cap_permitted & ~(fs ? me->cap_effective : me->cap_permitted));
    cred_put(them);
    return ok ? 0 : -EPERM;
}

bool ptrace_is_unsafe(void)
{
    return is_traced(current) && !current->tracee->privileged;
}

pid_t ptrace_tracer(struct thread *t)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    pid_t pid = is_traced(t) ? t->tracee->tracer->process->pid : 0;

    spin_unlock_irqrestore(&tree_lock, flags);
    return pid;
}

/* ---- links ------------------------------------------------------------------------------------------- */

int tracee_make(struct thread *t)
{
    size_t size = max_t(size_t, 1UL << (64 - __builtin_clzl(arch_vectors_size() - 1)), 64);
    struct tracee *tr;
    struct sighand *s;
    unsigned long flags;

    if (t->tracee)
        return 0;
    tr = kzalloc(sizeof(*tr), ALLOC_KERNEL);
    if (!tr)
        return -ENOMEM;
    tr->vectors = kzalloc(size, ALLOC_KERNEL); /* a power of two is aligned to its size */
    if (!tr->vectors) {
        kfree(tr);
        return -ENOMEM;
    }
    tr->thread = t;
    s = sighand_lock(t->process, &flags);
    tr->stop_due = t->process->group_stop_signal && t->state != TASK_STOPPED;
    if (!t->tracee) {
        __atomic_store_n(&t->tracee, tr, __ATOMIC_RELEASE);
        tr = NULL;
    }
    sighand_unlock(s, flags);
    if (tr)
        tracee_free(tr);
    return 0;
}

void tracee_free(struct tracee *tr)
{
    kfree(tr->vectors);
    kfree(tr);
}

/* => tree_lock, sighand lock of t */
static void link_tracer(struct thread *t, struct thread *tracer, bool privileged)
{
    struct tracee *tr = t->tracee;

    assert(!tr->tracer);
    ref_get(&t->refs);
    tr->options = 0;
    tr->seized = false;
    tr->privileged = privileged;
    tr->resume = PTRACE_CONT;
    tr->code = 0;
    tr->trap = 0;
    tr->tracer = tracer;
    list_add_tail(&tr->link, &tracer->process->tracees);
    arch_hold_syscalls(t, true);
}

/* Nobody traces it any more; it goes on if it was stopped. => tree_lock */
static void unlink_tracer(struct tracee *tr)
{
    struct thread *t = tr->thread;
    unsigned long flags;
    struct sighand *s = sighand_lock(t->process, &flags);

    assert(spin_held(&tree_lock));
    if (tr->info && tr->info->si_signo == tr->code && tr->info->si_code != tr->code)
        tr->resume_signal = tr->code; /* nobody has heard of this signal yet */
    tr->tracer = NULL;
    tr->options = 0;
    tr->trap = 0;
    tr->trapping = tr->frozen = tr->listening = false;
    list_del(&tr->link);
    if (!tr->dead) {
        if (t->process->group_stop_signal)
            __atomic_fetch_or(&t->work, WORK_SIGNAL, __ATOMIC_SEQ_CST);
        wake_thread_state(t, TASK_TRACED);
    }
    sighand_unlock(s, flags);
    thread_put(t);
}

void ptrace_forget(struct thread *t)
{
    if (t->tracee && t->tracee->tracer)
        unlink_tracer(t->tracee);
}

void ptrace_inherit(struct thread *child)
{
    struct tracee *from = current->tracee, *tr = child->tracee;
    struct sighand *s;
    unsigned long flags;

    if (!from->tracer)
        return;
    s = sighand_lock(child->process, &flags);
    link_tracer(child, from->tracer, from->privileged);
    tr->options = from->options;
    tr->seized = from->seized;
    tr->stop_due = child->process->group_stop_signal;
    if (tr->seized) {
        tr->trap = TRAP_STOP;
        child->work |= WORK_TRAP | WORK_SIGNAL;
    } else {
        child->pending.set |= signal_bit(SIGSTOP);
        child->work |= WORK_SIGNAL;
    }
    sighand_unlock(s, flags);
}

/* ---- the end of a tracee -------------------------------------------------------------------------------- */

static bool notify_tracer_of_end(struct tracee *tr, int code)
{
    struct thread *t = tr->thread;
    int signo = code & 0x7f;

    return notify_process(tr->tracer->process, t->process, t->tid, SIGCHLD,
                          !signo        ? CLD_EXITED
                          : code & 0x80 ? CLD_DUMPED
                                        : CLD_KILLED,
                          signo ? signo : code >> 8);
}

bool ptrace_thread_left(struct thread *t, int code)
{
    struct tracee *tr = t->tracee;

    tr->dead = true;
    if (tr->trapping) { /* its tracer waits for that */
        tr->trapping = false;
        wake_up_all(&tr->tracer->process->child_wait);
    }
    if (!tr->tracer || t == t->process->leader)
        return false;
    tr->exit_code = code;
    if (notify_tracer_of_end(tr, code)) {
        unlink_tracer(tr);
        return false;
    }
    tr->zombie = true;
    return true;
}

bool ptrace_process_left(struct process *p)
{
    struct tracee *tr = p->leader->tracee;

    if (!tr->tracer || tr->tracer->process == p->parent)
        return false;
    if (notify_tracer_of_end(tr, p->exit_code)) {
        unlink_tracer(tr);
        return false;
    }
    return true;
}

void ptrace_reap(struct tracee *tr, struct list *dead)
{
    struct thread *t = tr->thread;
    struct process *p = t->process;
    bool unseen =
        p->state == PROCESS_UNSEEN && t == p->leader; /* then the process has t, and t it */

    if (tr->zombie) {
        tr->zombie = false;
        tid_detach(t);
        atomic_dec(&t->cred->user->processes);
    }
    unlink_tracer(tr); /* the thread may be gone now, and its process with it */
    if (unseen)
        process_to_parent(p, dead);
}

/* ---- the end of a tracer ---------------------------------------------------------------------------------- */

void ptrace_release_all(struct thread *t, struct list *dead)
{
    struct tracee *tr, *next;

    list_for_each_entry_safe(tr, next, &t->process->tracees, link) {
        if (tr->tracer != t)
            continue;
        if (tr->options & PTRACE_O_EXITKILL)
            signal_send_process(tr->thread->process, SIGKILL, NULL);
        ptrace_reap(tr, dead);
    }
}

/* ---- attaching ---------------------------------------------------------------------------------------------- */

/* => tree_lock, sighand lock of t */
static int attach_locked(struct thread *t, bool seize, u32 options)
{
    siginfo_t info = {.si_signo = SIGSTOP, .si_code = SI_KERNEL};
    struct tracee *tr = t->tracee;

    if (!t->fs || tr->dead || tr->tracer) /* it is ending, or has another tracer */
        return -EPERM;
    /* Asked again, as an exec may have made another program of it. */
    if (ptrace_may_access(t, false) || (t->process->gains_privileges && !capable(CAP_SYS_PTRACE)))
        return -EPERM;
    link_tracer(t, current, capable(CAP_SYS_PTRACE));
    tr->options = options;
    tr->seized = seize;
    if (!seize)
        signal_send_locked(t->process, t, SIGSTOP, &info);
    if (t->state == TASK_STOPPED) { /* it moves over into a stop of ours */
        tr->trapping = true;
        ptrace_set_trap(t, TRAP_STOP);
        wake_thread_state(t, TASK_STOPPED);
    }
    return 0;
}

long ptrace_attach(struct thread *t, bool seize, unsigned long options)
{
    unsigned long flags, inner;
    struct sighand *s;
    int error;

    if (t->process == current->process || !t->process)
        return -EPERM;
    error = ptrace_may_access(t, false);
    if (error || (error = tracee_make(t)) != 0)
        return error;
    flags = spin_lock_irqsave(&tree_lock);
    s = sighand_lock(t->process, &inner);
    error = attach_locked(t, seize, options);
    sighand_unlock(s, inner);
    spin_unlock_irqrestore(&tree_lock, flags);
    if (!error)
        (void)wait_event_killable(&current->process->child_wait, !READ_ONCE(t->tracee->trapping));
    return error;
}

/* The thread that made this process; if that has gone, or another process is the parent now, any. */
static struct thread *future_tracer(struct process *p)
{
    struct thread *t;

    list_for_each_entry(t, &p->parent->threads, thread_link)
        if (t->tid == p->maker)
            return t;
    if (list_empty(&p->parent->threads))
        return NULL;
    return list_first_entry(&p->parent->threads, struct thread, thread_link);
}

long ptrace_traceme(void)
{
    struct thread *t = current, *tracer;
    struct process *p = t->process;
    unsigned long flags, inner;
    struct sighand *s;
    int error = tracee_make(t);

    if (error)
        return error;
    flags = spin_lock_irqsave(&tree_lock);
    s = sighand_lock(p, &inner);
    tracer = future_tracer(p);
    if (t->tracee->tracer || p == init_process)
        error = -EPERM;
    else if (tracer)
        link_tracer(t, tracer, tracer->cred->cap_effective & BIT(CAP_SYS_PTRACE));
    sighand_unlock(s, inner);
    spin_unlock_irqrestore(&tree_lock, flags);
    return error;
}

long ptrace_detach(struct thread *t, int signo)
{
    struct tracee *tr = t->tracee;
    unsigned long flags;

    arch_single_step(t, false);
    arch_hold_syscalls(t, false);
    flags = spin_lock_irqsave(&tree_lock);
    tr->code = 0;
    tr->resume = PTRACE_CONT;
    tr->resume_signal = signo;
    unlink_tracer(tr);
    spin_unlock_irqrestore(&tree_lock, flags);
    return 0;
}
