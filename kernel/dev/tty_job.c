/* SPDX-License-Identifier: MIT */
/*
 * Sessions and job control: which processes a terminal belongs to, and what happens to those in the
 * background (credentials(7), tty_ioctl(4), setsid(2)).
 */
#include "tty_internal.h"
#include <vellum/process.h>

bool is_controlling(struct tty *tty)
{
    return current->process->tty == tty && tty->session == current->process->session;
}

static bool ignores(int signo)
{
    struct sighand *sighand = current->process->sighand;
    unsigned long flags = spin_lock_irqsave(&sighand->lock);
    bool ignored = sighand->ignored & signal_bit(signo);

    spin_unlock_irqrestore(&sighand->lock, flags);
    return ignored || (current->blocked & signal_bit(signo));
}

int job_control_check(struct tty *tty, int signo)
{
    pid_t pgrp = READ_ONCE(current->process->pgrp), foreground = READ_ONCE(tty->pgrp);

    if (!is_controlling(tty) || foreground == 0 || pgrp == foreground)
        return 0;
    if (ignores(signo))
        return signo == SIGTTIN ? -EIO : 0;
    if (pgrp_is_orphaned(pgrp))
        return -EIO;
    signal_send_group(pgrp, signo, NULL);
    return -ERESTARTSYS;
}

int take_controlling_terminal(struct tty *tty, bool steal)
{
    struct process *p = current->process, *other;
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    int r = -EPERM;

    if (p->tty == tty && tty->session == p->session) {
        r = 0;
    } else if (p->leader_of_session && !p->tty && (tty->session == 0 || steal)) {
        if (tty->session != 0)
            list_for_each_entry(other, &all_processes, all_link)
                if (other->tty == tty)
                    other->tty = NULL;
        p->tty = tty;
        tty->session = p->session;
        tty->pgrp = p->pgrp;
        r = 0;
    }
    spin_unlock_irqrestore(&tree_lock, flags);
    return r;
}

/* The session loses its terminal; returns the group that was in the foreground. */
static pid_t detach_session(struct tty *tty, pid_t session)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    pid_t foreground = 0;
    struct process *p;

    if (tty->session == session) {
        foreground = tty->pgrp;
        tty->session = tty->pgrp = 0;
        list_for_each_entry(p, &all_processes, all_link)
            if (p->session == session && p->tty == tty)
                p->tty = NULL;
    }
    spin_unlock_irqrestore(&tree_lock, flags);
    return foreground;
}

static void hang_up_group(pid_t pgrp)
{
    if (pgrp == 0)
        return;
    signal_send_group(pgrp, SIGHUP, NULL);
    signal_send_group(pgrp, SIGCONT, NULL);
}

int give_up_controlling_terminal(struct tty *tty)
{
    struct process *p = current->process;
    unsigned long flags;

    if (!is_controlling(tty))
        return -ENOTTY;
    if (p->leader_of_session) {
        hang_up_group(detach_session(tty, p->session));
        return 0;
    }
    flags = spin_lock_irqsave(&tree_lock);
    p->tty = NULL;
    spin_unlock_irqrestore(&tree_lock, flags);
    return 0;
}

void tty_leave_session(struct process *leader)
{
    struct tty *tty = leader->tty;

    if (tty && leader->leader_of_session)
        hang_up_group(detach_session(tty, leader->session));
}

int set_foreground(struct tty *tty, pid_t pgrp)
{
    struct process *p = current->process;
    unsigned long flags;

    if (!is_controlling(tty))
        return -ENOTTY;
    if (pgrp < 0)
        return -EINVAL;
    if (!pgrp_exists(pgrp))
        return -ESRCH;
    if (!pgrp_in_session(pgrp, p->session))
        return -EPERM;
    flags = spin_lock_irqsave(&tree_lock);
    if (tty->session == p->session)
        tty->pgrp = pgrp;
    spin_unlock_irqrestore(&tree_lock, flags);
    return 0;
}

u32 tty_number(const struct tty *tty)
{
    return tty ? (u32)tty->device : 0;
}

pid_t tty_foreground(const struct tty *tty)
{
    return tty && tty->pgrp ? tty->pgrp : -1;
}
