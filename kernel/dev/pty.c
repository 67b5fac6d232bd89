/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-terminals (pty(7), pts(4)).
 *
 * The slave, /dev/pts/N, is a terminal like any other. What is a cable elsewhere is a second open file
 * here, the master, made by opening /dev/ptmx:
 *
 *     master write --tty_receive()--> line discipline --> slave read
 *     master read  <-- output ring <-- OPOST <-- slave write, echo
 *
 * Without a slave that is open (any more) the master reads EIO. When the master closes, the line is
 * hung up: the session loses its terminal, slaves that are open are dead. The structure goes with the
 * last of master, slaves and session.
 */
#include "tty_internal.h"
#include <vellum/alloc.h>
#include <vellum/device.h>
#include <vellum/format.h>
#include <vellum/id_map.h>
#include <vellum/printk.h>
#include <vellum/process.h>
#include <asm/ioctls.h>
#include <linux/eventpoll.h>
#include <linux/major.h>

#define PTY_LIMIT 4096
#define CHUNK     256

struct pty {
    struct tty tty;                /* what the slave's files are open on; [l] is its lock */
    unsigned index;                /* [i] */
    bool locked;                   /* [l] TIOCSPTLCK: the slave cannot be opened yet */
    bool master;                   /* [l] is open */
    bool opened;                   /* [l] the slave has been, once */
    bool held;                     /* [l] TCOOFF of the master's: it cannot type */
    u32 short_of_room;             /* a write of the master's found none */
    unsigned slaves;               /* [l] open files */
    struct wait_queue read, write; /* the master's */
    struct mutex reading, writing; /* the master's: one at a time */
};

static DEFINE_MUTEX(numbers_mutex);
static struct id_map numbers = ID_MAP_INIT; /* [numbers_mutex] */

static struct pty *pty_of(struct tty *tty)
{
    return container_of(tty, struct pty, tty);
}

/* ---- what the terminal asks of its driver => tty->lock ------------------------------------------------ */

static void pty_start_output(struct tty *tty)
{
    wake_up_poll(&pty_of(tty)->read, EPOLLIN | EPOLLRDNORM);
}

static void pty_input_taken(struct tty *tty)
{
    wake_up_poll(&pty_of(tty)->write, EPOLLOUT | EPOLLWRNORM);
}

static void pty_noted(struct tty *tty)
{
    wake_up_poll(&pty_of(tty)->read, EPOLLIN | EPOLLRDNORM | EPOLLPRI);
}

/* ---- the slave ----------------------------------------------------------------------------------------- */

static int pty_slave_opened(struct tty *tty)
{
    struct pty *p = pty_of(tty);
    unsigned long flags = spin_lock_irqsave(&tty->lock);
    int error = p->locked || !p->master ? -EIO : 0;

    if (!error) {
        p->slaves++;
        p->opened = true;
    }
    spin_unlock_irqrestore(&tty->lock, flags);
    return error;
}

static void pty_slave_closed(struct tty *tty)
{
    struct pty *p = pty_of(tty);
    unsigned long flags = spin_lock_irqsave(&tty->lock);
    bool last = --p->slaves == 0;

    spin_unlock_irqrestore(&tty->lock, flags);
    if (last && wait_queue_active(&p->read))
        wake_up(&p->read, ~0u, EPOLLHUP | EPOLLIN | EPOLLRDNORM);
}

static void pty_free(struct tty *tty)
{
    struct pty *p = pty_of(tty);

    mutex_lock(&numbers_mutex);
    id_map_free(&numbers, p->index);
    mutex_unlock(&numbers_mutex);
    kfree(p);
}

static const struct tty_driver pty_driver = {
    .start_output = pty_start_output,
    .open = pty_slave_opened,
    .close = pty_slave_closed,
    .input_taken = pty_input_taken,
    .noted = pty_noted,
    .free = pty_free,
};

static int slave_open(struct inode *inode, struct file *file)
{
    struct tty *tty;
    int error;

    if (!is_devpts(inode))
        return -EIO;
    spin_lock(&inode->lock);
    tty = inode->private_data;
    if (tty)
        tty_get(tty);
    spin_unlock(&inode->lock);
    if (!tty)
        return -EIO;
    file_set_ops(file, &tty_file_ops);
    error = tty_open_file(tty, file, true);
    tty_put(tty);
    return error;
}

static const struct file_ops slave_ops = {.open = slave_open};

/* ---- the master: reading --------------------------------------------------------------------------------- */

static bool has_output(const struct pty *p)
{
    return (p->tty.packet && p->tty.packet_status) || tty_has_output(&p->tty);
}

static bool slave_gone(const struct pty *p)
{
    return READ_ONCE(p->opened) && smp_load_acquire(&p->slaves) == 0;
}

/* Up to n bytes of output; in packet mode the first read begins with a byte that says what it is, and
 * *alone is set if that was all. */
static size_t take_output(struct pty *p, u8 *bytes, size_t n, bool first, bool *alone)
{
    struct tty *tty = &p->tty;
    unsigned long flags = spin_lock_irqsave(&tty->lock);
    size_t taken = 0;

    *alone = false;
    if (tty->packet && tty->packet_status) {
        *alone = true;
        if (first) {
            bytes[taken++] = tty->packet_status;
            tty->packet_status = 0;
        }
    } else if (has_output(p)) {
        if (tty->packet && first)
            bytes[taken++] = TIOCPKT_DATA;
        taken += tty_output_take(tty, bytes + taken, n - taken);
    }
    spin_unlock_irqrestore(&tty->lock, flags);
    return taken;
}

static ssize_t read_output(struct pty *p, struct iov_iter *iter)
{
    u8 bytes[CHUNK];
    ssize_t done = 0;
    size_t n, copied;
    bool alone;

    do {
        n = take_output(p, bytes, min_t(size_t, iter->count, CHUNK), done == 0, &alone);
        copied = copy_to_iter(iter, bytes, n);
        done += copied;
        if (copied < n)
            return done ? done : -EFAULT;
    } while (n && iter->count && !alone);
    return done;
}

static ssize_t master_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct pty *p = file->private_data;
    ssize_t r = mutex_lock_interruptible(&p->reading);
    bool gone;

    if (r)
        return r;
    while (iter->count) {
        gone = slave_gone(p); /* before we look: all that it wrote is there, then */
        r = read_output(p, iter);
        if (r)
            break;
        if (gone)
            r = -EIO;
        else if (file->flags & O_NONBLOCK)
            r = -EAGAIN;
        else
            r = wait_event_state(&p->read, has_output(p) || slave_gone(p), TASK_INTERRUPTIBLE,
                                 KTIME_MAX, true);
        if (r)
            break;
    }
    mutex_unlock(&p->reading);
    return r;
}

/* ---- the master: writing --------------------------------------------------------------------------------- */

static size_t input_room(struct pty *p)
{
    unsigned long flags = spin_lock_irqsave(&p->tty.lock);
    size_t room = p->held ? 0 : line_room(&p->tty);

    spin_unlock_irqrestore(&p->tty.lock, flags);
    return room;
}

/* Type n bytes. Returns how many were, if not all with *error set. */
static size_t type_bytes(struct pty *p, struct file *file, const u8 *bytes, size_t n,
                         ssize_t *error)
{
    size_t done = 0, piece;

    while (done < n) {
        piece = min(n - done, input_room(p));
        if (piece == 0) {
            WRITE_ONCE(p->short_of_room, 1);
            *error = -EAGAIN;
            if (!(file->flags & O_NONBLOCK))
                *error = wait_event_interruptible(&p->write, input_room(p) > 0);
            if (*error)
                break;
        }
        tty_receive(&p->tty, bytes + done, piece);
        done += piece;
    }
    return done;
}

static ssize_t master_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct pty *p = file->private_data;
    ssize_t done = 0, r = mutex_lock_interruptible(&p->writing);
    u8 bytes[CHUNK];
    size_t n;

    if (r)
        return r;
    while (iter->count && !r) {
        n = copy_from_iter(iter, bytes, min_t(size_t, iter->count, CHUNK));
        if (n == 0)
            r = -EFAULT;
        done += type_bytes(p, file, bytes, n, &r);
    }
    mutex_unlock(&p->writing);
    return done ? done : r;
}

/* ---- the master: the rest -------------------------------------------------------------------------------- */

static unsigned master_poll(struct file *file, struct poll_table *table)
{
    struct pty *p = file->private_data;
    unsigned events;

    poll_wait(file, &p->read, table);
    poll_wait(file, &p->write, table);
    events = slave_gone(p) ? EPOLLHUP : 0; /* first, as in master_read() */
    if (has_output(p))
        events |= EPOLLIN | EPOLLRDNORM;
    if (p->tty.packet && p->tty.packet_status)
        events |= EPOLLPRI;
    if (input_room(p))
        events |= EPOLLOUT | EPOLLWRNORM;
    return events;
}

static unsigned master_async_events(struct file *file, unsigned long events)
{
    struct pty *p = file->private_data;

    return async_events_stream(events, &p->short_of_room);
}

static pid_t master_async_owner(struct file *file)
{
    return current->process->pid;
}

static long set_flag(struct pty *p, unsigned command, const int __user *user)
{
    unsigned long flags;
    int value;

    if (get_user(value, user))
        return -EFAULT;
    flags = spin_lock_irqsave(&p->tty.lock);
    if (command == TIOCSPTLCK) {
        p->locked = value;
    } else {
        if (!p->tty.packet)
            p->tty.packet_status = 0;
        p->tty.packet = value;
    }
    spin_unlock_irqrestore(&p->tty.lock, flags);
    return 0;
}

/* TIOCGPTPEER: open the slave without its name being trusted. */
static long open_peer(struct pty *p, unsigned flags)
{
    struct path path;
    struct file *file;
    char name[32];
    int fd, error;

    snprintf(name, sizeof(name), "/dev/pts/%u", p->index);
    error = path_lookup(AT_FDCWD, name, 0, &path);
    if (error)
        return -ENODEV;
    error = fd = -ENODEV;
    if (is_devpts(path.dentry->inode) && path.dentry->inode->private_data == &p->tty)
        fd = fd_reserve(0, flags & O_CLOEXEC);
    if (fd < 0)
        goto out;
    file = path_open(&path, flags & ~(unsigned)(O_CREAT | O_TRUNC | O_PATH));
    if (is_err(file)) {
        fd_cancel(fd);
        fd = ptr_err(file);
    } else {
        fd_install(fd, file);
    }
out:
    path_put(&path);
    return fd;
}

/* TIOCSIG: as if the character had been typed. */
static long send_signal(struct pty *p, unsigned long signo)
{
    if (signo != SIGINT && signo != SIGQUIT && signo != SIGTSTP)
        return -EINVAL;
    if (p->tty.pgrp)
        signal_send_group(p->tty.pgrp, signo, NULL);
    return 0;
}

/* What the slave wrote is the master's input. Of the master's output nothing can be thrown away: it is
 * the slave's input at once. */
static long master_flush(struct pty *p, unsigned long which)
{
    unsigned long flags;

    if (which > TCIOFLUSH)
        return -EINVAL;
    if (which == TCOFLUSH)
        return 0;
    flags = spin_lock_irqsave(&p->tty.lock);
    byte_ring_init(&p->tty.output, p->tty.output_buffer, TTY_OUTPUT);
    p->tty.gone_before = 0;
    spin_unlock_irqrestore(&p->tty.lock, flags);
    wake_up_all(&p->tty.write_wait);
    return 0;
}

/* TCXONC: hold what this end sends, or ask the other end, by a character, to hold its own. */
static long master_flow(struct pty *p, unsigned long action)
{
    unsigned long flags;
    u8 c;

    if (action > TCION)
        return -EINVAL;
    flags = spin_lock_irqsave(&p->tty.lock);
    c = p->tty.termios.c_cc[action == TCIOFF ? VSTOP : VSTART];
    if (action == TCOOFF || action == TCOON)
        p->held = action == TCOOFF;
    spin_unlock_irqrestore(&p->tty.lock, flags);
    if (action == TCOON)
        wake_up_poll(&p->write, EPOLLOUT | EPOLLWRNORM);
    else if (action != TCOOFF)
        tty_receive(&p->tty, &c, 1);
    return 0;
}

static long master_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    struct pty *p = file->private_data;
    int __user *user = (int *)arg;

    switch (command) {
    case TIOCGPTN:
        return put_user(p->index, (unsigned *)arg);
    case TIOCSPTLCK:
    case TIOCPKT:
        return set_flag(p, command, user);
    case TIOCGPTLCK:
        return put_user((int)p->locked, user);
    case TIOCGPKT:
        return put_user((int)p->tty.packet, user);
    case TIOCGPTPEER:
        return open_peer(p, arg);
    case TIOCSIG:
        return send_signal(p, arg);
    case TCFLSH:
        return master_flush(p, arg);
    case TCXONC:
        return master_flow(p, arg);
    case FIONREAD:
        return put_user((int)byte_ring_used(&p->tty.output), user);
    case TIOCOUTQ:
        return put_user(0, user);
    case TIOCGPGRP:
        return put_user(p->tty.pgrp, user);
    case TIOCGSID:
        return p->tty.session ? put_user(p->tty.session, user) : -ENOTTY;
    case TIOCSCTTY:
    case TIOCNOTTY:
    case TIOCSTI:
        return -ENOTTY;
    default:
        return tty_control(&p->tty, command, arg);
    }
}

static void master_release(struct file *file)
{
    struct pty *p = file->private_data;
    unsigned long flags;

    devpts_remove(p->index);
    flags = spin_lock_irqsave(&p->tty.lock);
    p->master = p->tty.packet = false;
    spin_unlock_irqrestore(&p->tty.lock, flags);
    tty_hang_up(&p->tty, false);
    tty_put(&p->tty);
}

static int number_alloc(struct pty *p)
{
    int n;

    mutex_lock(&numbers_mutex);
    n = id_map_alloc(&numbers, 0, PTY_LIMIT - 1, false);
    mutex_unlock(&numbers_mutex);
    p->index = n;
    return n < 0 ? n : 0;
}

/* open(2) of /dev/ptmx: a new pair. */
static int master_open(struct inode *inode, struct file *file)
{
    struct pty *p = kzalloc(sizeof(*p), ALLOC_KERNEL);
    dev_id_t device;
    int error;

    if (!p)
        return -ENOMEM;
    error = number_alloc(p);
    if (error) {
        kfree(p);
        return error;
    }
    device = dev_make(UNIX98_PTY_SLAVE_MAJOR, p->index);
    tty_setup(&p->tty, "pts", device, &pty_driver, NULL);
    p->tty.termios.c_iflag &= ~IUTF8;
    p->tty.termios.c_cflag &= ~(HUPCL | CLOCAL);
    p->locked = p->master = true;
    wait_queue_init(&p->read);
    wait_queue_init(&p->write);
    mutex_init(&p->reading);
    mutex_init(&p->writing);
    error = devpts_add(p->index, device, &p->tty);
    if (error) {
        tty_put(&p->tty);
        return error;
    }
    file->private_data = p;
    return 0;
}

static const struct file_ops master_ops = {
    .open = master_open,
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .async_events = master_async_events,
    .async_owner = master_async_owner,
    .ioctl = master_ioctl,
    .release = master_release,
};

void __init pty_init(void)
{
    int error = char_device_register(TTYAUX_MAJOR, 2, 1, "ptmx", &master_ops);

    if (!error)
        error = char_device_register(UNIX98_PTY_SLAVE_MAJOR, 0, PTY_LIMIT, "pts", &slave_ops);
    if (!error)
        error = devfs_add("ptmx", S_IFCHR | 0666, dev_make(TTYAUX_MAJOR, 2));
    if (error)
        pr_err("ptmx: error %d", -error);
}
