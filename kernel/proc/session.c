/* SPDX-License-Identifier: MIT */
/*
 * Process groups and sessions (credentials(7), setpgid(2), setsid(2)).
 *
 * A session is what one login started; its process groups are the jobs of its shell. A group is
 * orphaned when no member has a parent in another group of the same session: then no shell is left
 * that could continue it after a stop.
 */
#include "internal.h"
#include <vellum/syscall.h>

bool group_is_orphaned(struct process_group *g, struct process *except)
{
    struct process *p;

    assert(spin_held(&tree_lock));
    list_for_each_entry(p, &g->members, pgrp_link) {
        struct process *parent = p->parent;

        if (p == except || p->state != PROCESS_LIVE || parent == init_process)
            continue;
        if (parent->pgrp != p->pgrp && parent->session == p->session)
            return false;
    }
    return true;
}

bool group_has_stopped(struct process_group *g)
{
    struct process *p;

    list_for_each_entry(p, &g->members, pgrp_link)
        if (READ_ONCE(p->group_stop_signal))
            return true;
    return false;
}

bool pgrp_is_orphaned(pid_t pgrp)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    struct process_group *g = group_lookup(pgrp);
    bool orphaned = !g || group_is_orphaned(g, NULL);

    spin_unlock_irqrestore(&tree_lock, flags);
    return orphaned;
}

bool pgrp_exists(pid_t pgrp)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    struct process_group *g = group_lookup(pgrp);
    bool exists = g && !list_empty(&g->members);

    spin_unlock_irqrestore(&tree_lock, flags);
    return exists;
}

/* All members of a group are in one session. */
static bool group_in_session(struct process_group *g, pid_t session)
{
    return g && !list_empty(&g->members) &&
           list_first_entry(&g->members, struct process, pgrp_link)->session == session;
}

bool pgrp_in_session(pid_t pgrp, pid_t session)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    bool in = group_in_session(group_lookup(pgrp), session);

    spin_unlock_irqrestore(&tree_lock, flags);
    return in;
}

/* ---- system calls ---------------------------------------------------------------------------------- */

static int set_group(struct process *p, pid_t pgid, struct process_group **spare)
{
    struct process *self = current->process;

    if (!p || (p != self && p->parent != self))
        return -ESRCH;
    if (p != self && p->session != self->session)
        return -EPERM;
    if (p != self && p->has_execed)
        return -EACCES;
    if (p->leader_of_session)
        return -EPERM;
    if (pgid != p->pid && !group_in_session(group_lookup(pgid), self->session))
        return -EPERM;
    if (p->pgrp != pgid)
        group_join(p, pgid, spare);
    return 0;
}

SYSCALL_DEFINE2(setpgid, pid_t, pid, pid_t, pgid)
{
    struct process_group *spare;
    unsigned long flags;
    int error;

    if (pgid < 0)
        return -EINVAL;
    spare = group_alloc();
    if (!spare)
        return -ENOMEM;
    if (pid == 0)
        pid = current->process->pid;
    if (pgid == 0)
        pgid = pid;
    flags = spin_lock_irqsave(&tree_lock);
    error = set_group(pid_lookup(pid), pgid, &spare);
    spin_unlock_irqrestore(&tree_lock, flags);
    group_free(spare);
    return error;
}

/* A field of the process pid (0: this one). */
static long ask(pid_t pid, bool session)
{
    struct process *p = current->process;
    unsigned long flags;
    long answer = -ESRCH;

    if (pid == 0)
        return session ? p->session : p->pgrp;
    flags = spin_lock_irqsave(&tree_lock);
    p = pid_lookup(pid);
    if (p)
        answer = session ? p->session : p->pgrp;
    spin_unlock_irqrestore(&tree_lock, flags);
    return answer;
}

SYSCALL_DEFINE1(getpgid, pid_t, pid)
{
    return ask(pid, false);
}

SYSCALL_DEFINE0(getpgrp)
{
    return current->process->pgrp;
}

SYSCALL_DEFINE1(getsid, pid_t, pid)
{
    return ask(pid, true);
}

long session_create(void)
{
    struct process *p = current->process;
    struct process_group *spare = group_alloc();
    unsigned long flags;
    long result = -EPERM;

    if (!spare)
        return -ENOMEM;
    flags = spin_lock_irqsave(&tree_lock);
    if (!p->leader_of_session && !group_lookup(p->pid)) {
        session_join(p, p->pid, &spare);
        group_join(p, p->pid, &spare);
        p->leader_of_session = true;
        p->tty = NULL;
        result = p->pid;
    }
    spin_unlock_irqrestore(&tree_lock, flags);
    group_free(spare);
    return result;
}

SYSCALL_DEFINE0(setsid)
{
    return session_create();
}

SYSCALL_DEFINE0(getpid)
{
    return current->process->pid;
}

SYSCALL_DEFINE0(gettid)
{
    return current->tid;
}

SYSCALL_DEFINE0(getppid)
{
    return READ_ONCE(current->process->parent_pid);
}
