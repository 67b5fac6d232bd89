/* SPDX-License-Identifier: MIT */
/*
 * The ioctls of terminals (tty_ioctl(4)).
 */
#include "tty_internal.h"
#include <vellum/process.h>
#include <vellum/string.h>
#include <asm/ioctls.h>
#include <linux/tty.h>

/* Speeds that c_cflag encodes by number; the others are BOTHER with the number in c_ospeed. */
static const u32 speeds[] = {0,   50,   75,   110,  134,  150,  200,   300,
                             600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
static const u32 high_speeds[] = {0,       57600,   115200,  230400,  460800,  500000,
                                  576000,  921600,  1000000, 1152000, 1500000, 2000000,
                                  2500000, 3000000, 3500000, 4000000};

static void speed_from_flags(struct termios2 *t)
{
    unsigned code = t->c_cflag & CBAUD;

    if (code == BOTHER)
        return;
    t->c_ospeed = code & CBAUDEX ? high_speeds[code & 15] : speeds[code & 15];
    t->c_ispeed = t->c_ospeed;
}

static long get_termios(struct tty *tty, void __user *user, size_t size)
{
    unsigned long flags = spin_lock_irqsave(&tty->lock);
    struct termios2 t = tty->termios;

    spin_unlock_irqrestore(&tty->lock, flags);
    return copy_to_user(user, &t, size) ? -EFAULT : 0;
}

/* Are ^S and ^Q as the master of a pseudo-terminal may take them to be? */
static bool usual_flow(const struct termios2 *t)
{
    return (t->c_iflag & IXON) && t->c_cc[VSTOP] == 19 && t->c_cc[VSTART] == 17;
}

static void note_flow(struct tty *tty, const struct termios2 *old, const struct termios2 *t)
{
    if (usual_flow(old) != usual_flow(t))
        tty_note(tty, usual_flow(t) ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP);
    if ((old->c_lflag | t->c_lflag) & EXTPROC)
        tty_note(tty, TIOCPKT_IOCTL);
}

static void apply(struct tty *tty, const struct termios2 *t, bool flush)
{
    unsigned long flags = spin_lock_irqsave(&tty->lock);
    struct termios2 old = tty->termios;

    if (flush)
        line_flush_input(tty);
    tty->termios = *t;
    line_mode_changed(tty, &old);
    note_flow(tty, &old, t);
    if (!(t->c_iflag & IXON) && tty->stopped) {
        line_stop(tty, false);
        if (!byte_ring_empty(&tty->output))
            tty->driver->start_output(tty);
    }
    if (tty->driver->input_taken)
        tty->driver->input_taken(tty);
    spin_unlock_irqrestore(&tty->lock, flags);
    wake_up_all(&tty->read_wait);
    wake_up_all(&tty->write_wait);
    if (tty->driver->set_termios)
        tty->driver->set_termios(tty);
}

/* size: of struct termios or of struct termios2, which begins with the same members. */
static long set_termios(struct tty *tty, const void __user *user, size_t size, bool drain,
                        bool flush)
{
    struct termios2 t = tty->termios;
    int r = job_control_check(tty, SIGTTOU);

    if (r)
        return r;
    if (copy_from_user(&t, user, size))
        return -EFAULT;
    speed_from_flags(&t);
    if (drain && (r = tty_drain(tty)) != 0)
        return r;
    apply(tty, &t, flush);
    return 0;
}

static long get_size(struct tty *tty, struct winsize __user *user)
{
    unsigned long flags = spin_lock_irqsave(&tty->lock);
    struct winsize size = tty->size;

    spin_unlock_irqrestore(&tty->lock, flags);
    return copy_to_user(user, &size, sizeof(size)) ? -EFAULT : 0;
}

static long set_size(struct tty *tty, const struct winsize __user *user)
{
    unsigned long flags;
    struct winsize size;
    bool changed;

    if (copy_from_user(&size, user, sizeof(size)))
        return -EFAULT;
    flags = spin_lock_irqsave(&tty->lock);
    changed = memcmp(&tty->size, &size, sizeof(size)) != 0;
    tty->size = size;
    spin_unlock_irqrestore(&tty->lock, flags);
    if (changed && tty->pgrp)
        signal_send_group(tty->pgrp, SIGWINCH, NULL);
    return 0;
}

static long flush(struct tty *tty, unsigned long which)
{
    unsigned long flags;
    int r = job_control_check(tty, SIGTTOU);

    if (r)
        return r;
    if (which > TCIOFLUSH)
        return -EINVAL;
    flags = spin_lock_irqsave(&tty->lock);
    if (which != TCOFLUSH) {
        line_flush_input(tty);
        tty_note(tty, TIOCPKT_FLUSHREAD);
        if (tty->driver->input_taken)
            tty->driver->input_taken(tty);
    }
    if (which != TCIFLUSH) {
        if (!tty->driver
                 ->free) /* what a master may read has left the terminal, as in tty_drain() */
            byte_ring_init(&tty->output, tty->output_buffer, TTY_OUTPUT);
        tty_note(tty, TIOCPKT_FLUSHWRITE);
    }
    spin_unlock_irqrestore(&tty->lock, flags);
    wake_up_all(&tty->write_wait);
    return 0;
}

static long flow(struct tty *tty, unsigned long action)
{
    unsigned long flags;
    int r = job_control_check(tty, SIGTTOU);

    if (r)
        return r;
    flags = spin_lock_irqsave(&tty->lock);
    switch (action) {
    case TCOOFF:
    case TCOON:
        line_stop(tty, action == TCOOFF);
        if (!tty->stopped && !byte_ring_empty(&tty->output))
            tty->driver->start_output(tty);
        break;
    case TCIOFF:
    case TCION:
        line_output(tty, &tty->termios.c_cc[action == TCIOFF ? VSTOP : VSTART], 1);
        tty->driver->start_output(tty);
        break;
    default:
        r = -EINVAL;
    }
    spin_unlock_irqrestore(&tty->lock, flags);
    return r;
}

/* Put a byte into the input as if it had been typed: one's own terminal only, unless root. */
static long simulate_input(struct tty *tty, const char __user *user)
{
    char c;

    if (!is_controlling(tty) && !capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (get_user(c, user))
        return -EFAULT;
    tty_receive(tty, (const u8 *)&c, 1);
    return 0;
}

static long job_ioctl(struct tty *tty, unsigned command, unsigned long arg)
{
    pid_t id;
    int r;

    switch (command) {
    case TIOCGPGRP:
        return !is_controlling(tty) ? -ENOTTY : put_user(tty->pgrp, (pid_t *)arg);
    case TIOCGSID:
        return !is_controlling(tty) ? -ENOTTY : put_user(tty->session, (pid_t *)arg);
    case TIOCSPGRP:
        if (!is_controlling(tty))
            return -ENOTTY;
        r = job_control_check(tty, SIGTTOU);
        if (r)
            return r;
        return get_user(id, (pid_t *)arg) ? -EFAULT : set_foreground(tty, id);
    case TIOCSCTTY:
        if (arg == 1 && !capable(CAP_SYS_ADMIN))
            return -EPERM;
        return take_controlling_terminal(tty, arg == 1);
    case TIOCNOTTY:
        return give_up_controlling_terminal(tty);
    }
    return -ENOTTY;
}

static long queue_ioctl(struct tty *tty, unsigned command, unsigned long arg)
{
    unsigned long flags = spin_lock_irqsave(&tty->lock);
    int input = line_available(tty), output = byte_ring_used(&tty->output);

    spin_unlock_irqrestore(&tty->lock, flags);
    return put_user(command == FIONREAD ? input : output, (int *)arg);
}

long tty_control(struct tty *tty, unsigned command, unsigned long arg)
{
    void __user *user = (void *)arg;

    switch (command) {
    case TCGETS:
        return get_termios(tty, user, sizeof(struct termios));
    case TCGETS2:
        return get_termios(tty, user, sizeof(struct termios2));
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return set_termios(tty, user, sizeof(struct termios), command != TCSETS,
                           command == TCSETSF);
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
        return set_termios(tty, user, sizeof(struct termios2), command != TCSETS2,
                           command == TCSETSF2);
    case TIOCGWINSZ:
        return get_size(tty, user);
    case TIOCSWINSZ:
        return set_size(tty, user);
    case FIONREAD:
    case TIOCOUTQ:
        return queue_ioctl(tty, command, arg);
    case TCFLSH:
        return flush(tty, arg);
    case TCXONC:
        return flow(tty, arg);
    case TCSBRK: /* arg != 0: tcdrain(3); a break itself the emulated line cannot carry */
    case TCSBRKP:
        return tty_drain(tty);
    case TIOCGETD:
        return put_user((int)N_TTY, (int *)user);
    case TIOCSTI:
        return simulate_input(tty, user);
    default:
        return job_ioctl(tty, command, arg);
    }
}

long tty_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    struct tty *tty = file->private_data;

    if (file_hung_up(tty, file))
        return command == TIOCSPGRP ? -ENOTTY : -EIO;
    return tty_control(tty, command, arg);
}
