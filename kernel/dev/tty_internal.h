/* SPDX-License-Identifier: MIT */
/*
 * What the files of the terminal share: tty.c (reading, writing), tty_ioctl.c, tty_job.c (sessions and
 * job control).
 */
#ifndef VELLUM_TTY_INTERNAL_H
#define VELLUM_TTY_INTERNAL_H

#include <vellum/tty.h>

long tty_ioctl(struct file *file, unsigned command, unsigned long arg);
long tty_control(struct tty *tty, unsigned command, unsigned long arg);
/* A file on a terminal, slave or other, of the current open(2). Takes a reference. 0 or -errno */
int tty_open_file(struct tty *tty, struct file *file, bool may_control);
extern const struct file_ops tty_file_ops; /* without open: of a terminal that was found already */
/* Has the line been hung up since this file was opened? */
static inline bool file_hung_up(const struct tty *tty, const struct file *file)
{
    return unlikely(READ_ONCE(tty->hangups) != file->version);
}
int tty_drain(struct tty *tty);

/* May the current process read (SIGTTIN), or write or change (SIGTTOU) its controlling terminal?
 * 0 if it is in the foreground, else the signal is sent and -ERESTARTSYS, or -EIO where it would be in
 * vain. */
int job_control_check(struct tty *tty, int signo);
/* Make tty the controlling terminal of the current session leader, if it has none. steal: also from
 * another session (root). 0, or -EPERM. */
int take_controlling_terminal(struct tty *tty, bool steal);
/* TIOCNOTTY. 0 or -ENOTTY */
int give_up_controlling_terminal(struct tty *tty);
int set_foreground(struct tty *tty, pid_t pgrp);
bool is_controlling(struct tty *tty);
/* The terminal of a process with a reference, or NULL. */
struct tty *controlling_terminal(struct process *p);

#endif
