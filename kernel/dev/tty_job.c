/* SPDX-License-Identifier: MIT */
/*
 * Sessions and job control: which processes a terminal belongs to, and what happens to those in the
 * background (credentials(7), tty_ioctl(4), setsid(2)).
 */
#include "tty_internal.h"
#include <vellum/process.h>
#include <vellum/syscall.h>

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
        p->hung_up_pgrp = 0;
        if (tty->session == 0)
            tty_get(tty); /* the session's */
        tty->session = p->session;
        tty->pgrp = p->pgrp;
        r = 0;
    }
    spin_unlock_irqrestore(&tree_lock, flags);
    return r;
}

struct tty *controlling_terminal(struct process *p)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    struct tty *tty = p->tty;

    if (tty)
        tty_get(tty);
    spin_unlock_irqrestore(&tree_lock, flags);
    return tty;
}

/* The session loses its terminal; returns the group that was in the foreground. *leader: the
 * session's, with a reference, if it lives and the caller wants to know. => the caller has a
 * reference to the terminal besides the session's */
static pid_t detach_session(struct tty *tty, pid_t session, struct process **leader)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    pid_t foreground = 0;
    struct process *p;
    bool detached = session != 0 && tty->session == session;

    if (detached) {
        foreground = tty->pgrp;
        tty->session = tty->pgrp = 0;
        list_for_each_entry(p, &all_processes, all_link) {
            if (p->session != session || p->tty != tty)
                continue;
            p->tty = NULL;
            if (leader && p->leader_of_session && p->state == PROCESS_LIVE) {
                p->hung_up_pgrp = foreground;
                process_get(p);
                *leader = p;
            }
        }
    }
    spin_unlock_irqrestore(&tree_lock, flags);
    if (detached)
        tty_put(tty);
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
        hang_up_group(detach_session(tty, p->session, NULL));
        return 0;
    }
    flags = spin_lock_irqsave(&tree_lock);
    p->tty = NULL;
    spin_unlock_irqrestore(&tree_lock, flags);
    return 0;
}

void tty_leave_session(struct process *leader)
{
    struct tty *tty = controlling_terminal(leader);

    if (!tty) {
        hang_up_group(leader->hung_up_pgrp);
        return;
    }
    if (tty->driver->free) /* its other end is to see that nobody is there any more */
        tty_hang_up(tty, true);
    else
        hang_up_group(detach_session(tty, leader->session, NULL));
    tty_put(tty);
}

void tty_hang_up(struct tty *tty, bool leader_leaves)
{
    unsigned long flags = spin_lock_irqsave(&tty->lock);
    struct process *leader = NULL;
    pid_t foreground;

    WRITE_ONCE(tty->hangups, tty->hangups + 1);
    line_flush_input(tty);
    spin_unlock_irqrestore(&tty->lock, flags);
    wake_up_all(&tty->read_wait);
    wake_up_all(&tty->write_wait);
    foreground = detach_session(tty, READ_ONCE(tty->session), &leader);
    if (leader && !leader_leaves) {
        signal_send_process(leader, SIGHUP, NULL);
        signal_send_process(leader, SIGCONT, NULL);
    }
    if (leader_leaves)
        hang_up_group(foreground);
    if (leader)
        process_put(leader);
}

/* The current terminal, as a new login wants it: nobody else has it open any more. */
SYSCALL_DEFINE0(vhangup)
{
    struct tty *tty;

    if (!capable(CAP_SYS_TTY_CONFIG))
        return -EPERM;
    tty = controlling_terminal(current->process);
    if (tty) {
        tty_hang_up(tty, false);
        tty_put(tty);
    }
    return 0;
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
