/* SPDX-License-Identifier: MIT */
/*
 * System calls of signals: actions, masks, the alternate stack, return from a handler.
 */
#include "internal.h"
#include <vellum/syscall.h>
#include <vellum/uaccess.h>

/* ---- actions ------------------------------------------------------------------------------------------ */

/* struct sigaction as the system call has it: machines without SA_RESTORER have no such field. */
#ifdef SA_RESTORER
struct sigaction_user {
    vaddr_t handler;
    unsigned long flags;
    vaddr_t restorer;
    signal_set mask;
};
#else
struct sigaction_user {
    vaddr_t handler;
    unsigned long flags;
    signal_set mask;
};
#define SA_RESTORER 0
#endif

#define ACTION_FLAGS                                                                               \
    (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER |             \
     SA_RESETHAND | SA_EXPOSE_TAGBITS | SA_RESTORER)

static struct sigaction_k action_from_user(const struct sigaction_user *u)
{
    struct sigaction_k a = {
        .handler = u->handler,
        .flags = u->flags & ACTION_FLAGS, /* unknown ones are cleared: so programs can ask */
        .mask = u->mask & ~SIGNALS_UNBLOCKABLE,
    };

    if (SA_RESTORER)
        a.restorer = ((const vaddr_t *)u)[2];
    return a;
}

static struct sigaction_user action_to_user(const struct sigaction_k *a)
{
    struct sigaction_user u = {.handler = a->handler, .flags = a->flags, .mask = a->mask};

    if (SA_RESTORER)
        ((vaddr_t *)&u)[2] = a->restorer;
    return u;
}

/* Set it; signals that are ignored from now on are no longer pending (POSIX, sigaction()). */
static void action_set(struct process *p, int signo, const struct sigaction_k *action)
{
    struct sighand *s = p->sighand;
    signal_set bit = signal_bit(signo);
    bool is_default = action->handler == (vaddr_t)SIG_DFL;
    struct thread *t;

    *sighand_slot(s, signo) = *action;
    sighand_set_default(s, bit);
    s->set |= bit;
    if (action->handler == (vaddr_t)SIG_IGN)
        s->ignored |= bit;
    else if (!is_default)
        s->caught |= bit;
    if ((s->caught & bit) || (is_default && !(bit & SIGNALS_IGNORED_BY_DEFAULT)))
        return;
    signal_queue_remove(&p->pending, bit);
    list_for_each_entry(t, &p->threads, thread_link)
        signal_queue_remove(&t->pending, bit);
}

SYSCALL_DEFINE4(rt_sigaction, int, signo, const struct sigaction_user __user *, new,
                struct sigaction_user __user *, old, size_t, size)
{
    struct process *p = current->process;
    struct sigaction_user user;
    struct sigaction_k action, before;
    unsigned long flags;

    if (size != sizeof(signal_set))
        return -EINVAL;
    if (new &&copy_from_user(&user, new, sizeof(user)))
        return -EFAULT;
    if (signo < 1 || signo > SIGNALS || (new && (signal_bit(signo) & SIGNALS_UNBLOCKABLE)))
        return -EINVAL;
    if (new)
        action = action_from_user(&user);
    flags = spin_lock_irqsave(&p->sighand->lock);
    before = sighand_action(p->sighand, signo);
    if (new)
        action_set(p, signo, &action);
    spin_unlock_irqrestore(&p->sighand->lock, flags);
    if (!old)
        return 0;
    user = action_to_user(&before);
    return copy_to_user(old, &user, sizeof(user)) ? -EFAULT : 0;
}

/* ---- masks ---------------------------------------------------------------------------------------------- */

/* Signals for the process that this thread will not take any more are shown to the others. */
static void offer_to_others(struct process *p, signal_set newly_blocked)
{
    signal_set shared = p->pending.set & newly_blocked;
    struct thread *t;

    if (!shared || p->thread_count == 1)
        return;
    list_for_each_entry(t, &p->threads, thread_link)
        if (t != current && (shared & ~t->blocked))
            signal_wake(t, false);
}

void signal_set_mask(signal_set mask)
{
    struct thread *t = current;
    struct process *p = t->process;
    unsigned long flags = spin_lock_irqsave(&p->sighand->lock);

    mask &= ~SIGNALS_UNBLOCKABLE;
    offer_to_others(p, mask & ~t->blocked);
    t->blocked = mask;
    signal_recalc(t);
    spin_unlock_irqrestore(&p->sighand->lock, flags);
}

int signal_mask_user(const void __user *set, size_t size)
{
    signal_set mask;

    if (!set)
        return 0;
    if (size != sizeof(mask))
        return -EINVAL;
    if (get_user(mask, (const signal_set __user *)set))
        return -EFAULT;
    current->saved_mask = current->blocked;
    __atomic_fetch_or(&current->work, WORK_RESTORE_MASK, __ATOMIC_RELAXED);
    signal_set_mask(mask);
    return 0;
}

void signal_mask_restore(bool interrupted)
{
    if (interrupted || !(current->work & WORK_RESTORE_MASK))
        return;
    __atomic_fetch_and(&current->work, ~WORK_RESTORE_MASK, __ATOMIC_RELAXED);
    signal_set_mask(current->saved_mask);
}

SYSCALL_DEFINE4(rt_sigprocmask, int, how, const signal_set __user *, set, signal_set __user *, old,
                size_t, size)
{
    signal_set before = current->blocked, mask;

    if (size != sizeof(signal_set))
        return -EINVAL;
    if (set) {
        if (get_user(mask, set))
            return -EFAULT;
        switch (how) {
        case SIG_BLOCK:
            mask |= before;
            break;
        case SIG_UNBLOCK:
            mask = before & ~mask;
            break;
        case SIG_SETMASK:
            break;
        default:
            return -EINVAL;
        }
        if (mask != before)
            signal_set_mask(mask);
    }
    return old ? put_user(before, old) : 0;
}

SYSCALL_DEFINE2(rt_sigpending, signal_set __user *, set, size_t, size)
{
    struct thread *t = current;
    signal_set pending;

    if (size > sizeof(pending))
        return -EINVAL;
    pending = (READ_ONCE(t->pending.set) | READ_ONCE(t->process->pending.set)) & t->blocked;
    return copy_to_user(set, &pending, size) ? -EFAULT : 0;
}

/* ---- the alternate stack --------------------------------------------------------------------------------- */

static bool running_on_altstack(vaddr_t sp)
{
    struct thread *t = current;

    return t->altstack_size && !(t->altstack_flags & SS_AUTODISARM) && sp > t->altstack &&
           sp - t->altstack <= t->altstack_size;
}

static int altstack_set(const stack_t *ss, vaddr_t sp, size_t smallest)
{
    struct thread *t = current;
    int mode = ss->ss_flags & ~SS_AUTODISARM;

    if (running_on_altstack(sp))
        return -EPERM;
    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
        return -EINVAL;
    if (mode == SS_DISABLE) {
        t->altstack = t->altstack_size = 0;
        t->altstack_flags = ss->ss_flags;
        return 0;
    }
    if (ss->ss_size < smallest)
        return -ENOMEM;
    t->altstack = (vaddr_t)ss->ss_sp;
    t->altstack_size = ss->ss_size;
    t->altstack_flags = ss->ss_flags;
    return 0;
}

SYSCALL_DEFINE2(sigaltstack, const stack_t __user *, new, stack_t __user *, old)
{
    struct thread *t = current;
    vaddr_t sp = frame_sp(thread_frame(t));
    stack_t before = {
        .ss_sp = (void *)t->altstack,
        .ss_size = t->altstack_size,
        .ss_flags = (t->altstack_size == 0     ? SS_DISABLE
                     : running_on_altstack(sp) ? SS_ONSTACK
                                               : 0) |
                    (t->altstack_flags & SS_AUTODISARM),
    };
    stack_t wanted;
    int error;

    if (new) {
        if (copy_from_user(&wanted, new, sizeof(wanted)))
            return -EFAULT;
        error = altstack_set(&wanted, sp, MINSIGSTKSZ);
        if (error)
            return error;
    }
    return old && copy_to_user(old, &before, sizeof(before)) ? -EFAULT : 0;
}

/* ---- return from a handler ---------------------------------------------------------------------------------- */

SYSCALL_DEFINE0(rt_sigreturn)
{
    struct trap_frame *frame = thread_frame(current);
    struct signal_restore restore;

    if (arch_signal_return(frame, &restore) != 0) {
        signal_fault(SIGSEGV, SI_KERNEL, 0);
        return 0;
    }
    frame_end_syscall(frame);
    signal_set_mask(restore.mask);
    /* A stack that cannot be is left out, as if the handler had not tried (sigaltstack(2)). */
    (void)altstack_set(&restore.altstack, frame_sp(frame), 0);
    return frame_result(frame);
}

SYSCALL_DEFINE0(restart_syscall)
{
    struct restart_block *restart = &current->restart;

    return restart->fn ? restart->fn(restart) : -EINTR;
}
