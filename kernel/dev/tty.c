/* SPDX-License-Identifier: MIT */
/*
 * Terminals as files: reading, writing, polling, ioctls.
 *
 * A driver hands in received bytes with tty_receive(), from its interrupt; they go through the line
 * discipline (tty_line.c) at once, echo included. Signals that they stand for are sent after the
 * terminal's lock is released, for the process tree's lock is outside it.
 */
#include "tty_internal.h"
#include <vellum/boot.h>
#include <vellum/bitmap.h>
#include <vellum/device.h>
#include <vellum/printk.h>
#include <vellum/process.h>
#include <vellum/string.h>
#include <vellum/sysfs.h>
#include <linux/major.h>
#include <linux/eventpoll.h>

#define CHUNK 256

static struct list terminals = LIST_INIT(terminals); /* [list_lock] */
static DEFINE_SPINLOCK(list_lock);
static struct tty *console_tty; /* the one that /dev/console is */

static const struct termios2 usual_termios = {
    .c_iflag = ICRNL | IXON | IUTF8,
    .c_oflag = OPOST | ONLCR,
    .c_cflag = B38400 | CS8 | CREAD | HUPCL | CLOCAL,
    .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    .c_cc = {[VINTR] = 3,
             [VQUIT] = 28,
             [VERASE] = 127,
             [VKILL] = 21,
             [VEOF] = 4,
             [VMIN] = 1,
             [VSTART] = 17,
             [VSTOP] = 19,
             [VSUSP] = 26,
             [VREPRINT] = 18,
             [VWERASE] = 23,
             [VLNEXT] = 22},
    .c_ispeed = 38400,
    .c_ospeed = 38400,
};

/* ---- the driver's side -------------------------------------------------------------------------------- */

/* => tty->lock held. Start the driver if there is something to send. */
static void start_output(struct tty *tty)
{
    if (tty_has_output(tty))
        tty->driver->start_output(tty);
}

void tty_receive(struct tty *tty, const u8 *bytes, size_t n)
{
    unsigned long flags = spin_lock_irqsave(&tty->lock);
    u64 signals = 0;
    bool readable, flushed;

    for (size_t i = 0; i < n; i++) {
        int signo = line_input(tty, bytes[i]);

        if (signo)
            signals |= signal_bit(signo);
    }
    start_output(tty);
    readable = line_readable(tty, 1);
    spin_unlock_irqrestore(&tty->lock, flags);

    flushed = signals != 0;
    for (; signals; signals &= signals - 1)
        if (tty->pgrp)
            signal_send_group(tty->pgrp, __builtin_ctzll(signals) + 1, NULL);
    if (flushed) /* the output too, perhaps: there is room, and nobody will take any to tell so */
        wake_up_poll(&tty->write_wait, EPOLLOUT | EPOLLWRNORM);
    if (readable)
        wake_up_poll(&tty->read_wait, EPOLLIN | EPOLLRDNORM);
}

void tty_receive_break(struct tty *tty)
{
    tcflag_t flags = tty->termios.c_iflag;

    if (flags & IGNBRK)
        return;
    if ((flags & BRKINT) && tty->pgrp)
        signal_send_group(tty->pgrp, SIGINT, NULL);
    else
        tty_receive(tty, (const u8[]){0}, 1);
}

size_t tty_output_take(struct tty *tty, u8 *bytes, size_t n)
{
    size_t done = 0;
    int c;

    if (tty->stopped) {
        n = min_t(size_t, n, tty->gone_before);
        tty->gone_before -= n;
    }
    while (done < n && (c = byte_ring_get(&tty->output)) >= 0)
        bytes[done++] = c;
    if (done && byte_ring_used(&tty->output) < TTY_OUTPUT / 2)
        wake_up_poll(&tty->write_wait, EPOLLOUT | EPOLLWRNORM);
    return done;
}

/* ---- read, write, poll ----------------------------------------------------------------------------------- */

/* Take what is there; then wait as VMIN and VTIME say (termios(3), the four cases). */
static size_t take_locked(struct tty *tty, u8 *bytes, size_t n, bool *end)
{
    unsigned long flags = spin_lock_irqsave(&tty->lock);
    size_t taken = line_take(tty, bytes, n, end);

    if (tty->driver->input_taken)
        tty->driver->input_taken(tty);
    spin_unlock_irqrestore(&tty->lock, flags);
    return taken;
}

static bool readable(struct tty *tty, unsigned minimum)
{
    unsigned long flags = spin_lock_irqsave(&tty->lock);
    bool yes = line_readable(tty, minimum);

    spin_unlock_irqrestore(&tty->lock, flags);
    return yes;
}

/* Wait until a byte (or a line) can be read, or the time is up. 0, -ETIME, -ERESTARTSYS; a hang-up
 * ends the wait as well. */
static int wait_input(struct tty *tty, struct file *file, u64 timeout_ns)
{
    ktime_t deadline = timeout_ns ? ktime_after(timeout_ns) : KTIME_MAX;

    return wait_event_state(&tty->read_wait, readable(tty, 1) || file_hung_up(tty, file),
                            TASK_INTERRUPTIBLE, deadline, true);
}

/* How long to wait before the first byte of a read, and for how many. Returns 0 to go on reading,
 * 1 if the read is to return nothing. */
static int wait_first(struct tty *tty, struct file *file, size_t want)
{
    u64 time = tty->termios.c_cc[VTIME] * (NSEC_PER_SEC / 10);
    unsigned minimum = tty->termios.c_cc[VMIN];
    int r;

    if (readable(tty, 1))
        return 0;
    if (file->flags & O_NONBLOCK)
        return -EAGAIN;
    if (tty->termios.c_lflag & ICANON)
        return wait_input(tty, file, 0);
    if (minimum == 0 && time == 0)
        return 1;
    r = wait_input(tty, file, minimum == 0 ? time : 0);
    return r == -ETIME ? 1 : r;
}

/* In raw mode with VMIN: after `done` bytes, should more be waited for? With VTIME the wait ends
 * when nothing has come for that long. */
static bool wait_more(struct tty *tty, struct file *file, size_t done, size_t left)
{
    u64 time = tty->termios.c_cc[VTIME] * (NSEC_PER_SEC / 10);
    size_t minimum = tty->termios.c_cc[VMIN];

    if ((tty->termios.c_lflag & ICANON) || left == 0 || done >= minimum ||
        (file->flags & O_NONBLOCK))
        return readable(tty, 1) && left > 0 && !(tty->termios.c_lflag & ICANON);
    return wait_input(tty, file, time) == 0;
}

static ssize_t read_bytes(struct tty *tty, struct file *file, struct iov_iter *iter)
{
    u8 bytes[CHUNK];
    ssize_t done = 0;
    bool end;
    int r = wait_first(tty, file, iter->count);

    if (r)
        return r == 1 ? 0 : r;
    if (file_hung_up(tty, file))
        return 0;
    do {
        size_t n = take_locked(tty, bytes, min_t(size_t, iter->count, CHUNK), &end);
        size_t copied = copy_to_iter(iter, bytes, n);

        done += copied;
        if (copied < n)
            return done ? done : -EFAULT;
        if (n == 0 && !end)
            break;
    } while (!end && iter->count > 0 &&
             ((tty->termios.c_lflag & ICANON) ? readable(tty, 1)
                                              : wait_more(tty, file, done, iter->count)));
    return done;
}

static ssize_t tty_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct tty *tty = file->private_data;
    ssize_t r;

    if (file_hung_up(tty, file))
        return 0;
    r = job_control_check(tty, SIGTTIN);
    if (r || iter->count == 0)
        return r;
    if (file->flags & O_NONBLOCK) {
        if (!mutex_trylock(&tty->read_mutex))
            return -EAGAIN;
    } else if ((r = mutex_lock_interruptible(&tty->read_mutex)) != 0) {
        return r;
    }
    r = read_bytes(tty, file, iter);
    mutex_unlock(&tty->read_mutex);
    return r;
}

/* A ring takes what cannot be sent for the moment; a pseudo-terminal's is what has been sent. */
static bool may_send(const struct tty *tty)
{
    return !(READ_ONCE(tty->stopped) && tty_is_pseudo(tty));
}

static size_t output_locked(struct tty *tty, const u8 *bytes, size_t n)
{
    unsigned long flags = spin_lock_irqsave(&tty->lock);
    size_t done = may_send(tty) ? line_output(tty, bytes, n) : 0;

    start_output(tty);
    spin_unlock_irqrestore(&tty->lock, flags);
    return done;
}

static bool writable(struct tty *tty)
{
    return may_send(tty) && byte_ring_space(&tty->output) >= TTY_OUTPUT / 4;
}

static ssize_t write_bytes(struct tty *tty, struct file *file, struct iov_iter *iter)
{
    u8 bytes[CHUNK];
    ssize_t done = 0;
    int r;

    while (iter->count > 0) {
        size_t n = copy_from_iter(iter, bytes, min_t(size_t, iter->count, CHUNK)), sent = 0;

        if (n == 0)
            return done ? done : -EFAULT;
        while ((sent += output_locked(tty, bytes + sent, n - sent)) < n) {
            WRITE_ONCE(tty->short_of_room, 1);
            if (file_hung_up(tty, file))
                return done + sent ? done + (ssize_t)sent : -EIO;
            if (file->flags & O_NONBLOCK)
                return done + sent ? done + (ssize_t)sent : -EAGAIN;
            r = wait_event_interruptible(&tty->write_wait,
                                         writable(tty) || file_hung_up(tty, file));
            if (r)
                return done + sent ? done + (ssize_t)sent : r;
        }
        done += n;
    }
    return done;
}

static ssize_t tty_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct tty *tty = file->private_data;
    ssize_t r = 0;

    if (tty->termios.c_lflag & TOSTOP)
        r = job_control_check(tty, SIGTTOU);
    if (r)
        return r;
    r = mutex_lock_interruptible(&tty->write_mutex);
    if (r)
        return r;
    r = file_hung_up(tty, file) ? -EIO : write_bytes(tty, file, iter);
    mutex_unlock(&tty->write_mutex);
    return r;
}

static unsigned tty_poll(struct file *file, struct poll_table *table)
{
    struct tty *tty = file->private_data;
    unsigned minimum = tty->termios.c_cc[VTIME] == 0 ? tty->termios.c_cc[VMIN] : 1, events = 0;

    poll_wait(file, &tty->read_wait, table);
    poll_wait(file, &tty->write_wait, table);
    if (file_hung_up(tty, file))
        return EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDNORM | EPOLLWRNORM;
    if (readable(tty, minimum))
        events |= EPOLLIN | EPOLLRDNORM;
    if (writable(tty))
        events |= EPOLLOUT | EPOLLWRNORM;
    return events;
}

static unsigned tty_async_events(struct file *file, unsigned long events)
{
    struct tty *tty = file->private_data;

    return async_events_stream(events, &tty->short_of_room);
}

static pid_t tty_async_owner(struct file *file)
{
    struct tty *tty = file->private_data;
    pid_t pgrp = READ_ONCE(tty->pgrp);

    return pgrp ? -pgrp : current->process->pid;
}

/* Wait until all output has gone to the device: 0 or -ERESTARTSYS. */
int tty_drain(struct tty *tty)
{
    if (tty_is_pseudo(tty)) /* what a master has not read has gone to the device all the same */
        return 0;
    return wait_event_interruptible(&tty->write_wait, byte_ring_empty(&tty->output));
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

int tty_open_file(struct tty *tty, struct file *file, bool may_control)
{
    int error;

    file->version = READ_ONCE(tty->hangups); /* a hang-up from here on is for this file, too */
    error = tty->driver->open ? tty->driver->open(tty) : 0;
    if (error)
        return error;
    tty_get(tty);
    file->private_data = tty;
    if (may_control && !(file->flags & O_NOCTTY))
        take_controlling_terminal(tty, false);
    return 0;
}

void tty_put(struct tty *tty)
{
    if (ref_put(&tty->refs))
        tty->driver->free(tty);
}

static void tty_release(struct file *file)
{
    struct tty *tty = file->private_data;

    if (tty->driver->close)
        tty->driver->close(tty);
    tty_put(tty);
}

static int device_open(struct inode *inode, struct file *file)
{
    struct tty *tty, *found = NULL;

    spin_lock(&list_lock);
    list_for_each_entry(tty, &terminals, link)
        if (tty->device == inode->rdev)
            found = tty;
    spin_unlock(&list_lock);
    return found ? tty_open_file(found, file, true) : -ENXIO;
}

static int current_open(struct inode *inode, struct file *file)
{
    struct tty *tty = controlling_terminal(current->process);
    int error;

    if (!tty)
        return -ENXIO;
    error = tty_open_file(tty, file, false);
    tty_put(tty);
    return error;
}

static int console_open(struct inode *inode, struct file *file)
{
    return console_tty ? tty_open_file(console_tty, file, false) : -ENXIO;
}

#define TTY_OPS(open_fn)                                                                           \
    {                                                                                              \
        .open = open_fn, .read = tty_read, .write = tty_write, .poll = tty_poll,                   \
        .ioctl = tty_ioctl, .release = tty_release, .async_events = tty_async_events,              \
        .async_owner = tty_async_owner                                                             \
    }
static const struct file_ops device_ops = TTY_OPS(device_open);
static const struct file_ops current_ops = TTY_OPS(current_open);
static const struct file_ops console_ops = TTY_OPS(console_open);
const struct file_ops tty_file_ops = TTY_OPS(NULL);

void tty_setup(struct tty *tty, const char *name, dev_id_t device, const struct tty_driver *driver,
               void *driver_data)
{
    tty->name = name;
    tty->device = device;
    tty->driver = driver;
    tty->driver_data = driver_data;
    tty->termios = usual_termios;
    ref_init(&tty->refs);
    spin_init(&tty->lock);
    byte_ring_init(&tty->output, tty->output_buffer, TTY_OUTPUT);
    mutex_init(&tty->read_mutex);
    mutex_init(&tty->write_mutex);
    wait_queue_init(&tty->read_wait);
    wait_queue_init(&tty->write_wait);
}

/* /sys/class/tty */
static void show_in_sysfs(const char *name, dev_id_t device)
{
    struct sysfs_node *dir = sysfs_directory(NULL, "devices/virtual/tty/%s", name);
    struct sysfs_node *by_name = sysfs_directory(NULL, "class/tty");

    sysfs_text(dir, "dev", "%u:%u", dev_major(device), dev_minor(device));
    sysfs_text(dir, "uevent", "MAJOR=%u\nMINOR=%u\nDEVNAME=%s", dev_major(device),
               dev_minor(device), name);
    sysfs_link(dir, "subsystem", by_name);
    sysfs_link(by_name, name, dir);
}

static void show_active(struct seq_file *m, void *data)
{
    seq_printf(m, "%s\n", console_tty ? console_tty->name : "");
}

int tty_register(struct tty *tty, const char *name, dev_id_t device,
                 const struct tty_driver *driver, void *driver_data)
{
    const char *wanted = boot_param("console");
    int error;

    tty_setup(tty, name, device, driver, driver_data);
    error = char_device_register(dev_major(device), dev_minor(device), 1, name, &device_ops);
    if (error)
        return error;
    spin_lock(&list_lock);
    list_add_tail(&tty->link, &terminals);
    spin_unlock(&list_lock);
    /* "ttyS0,115200" names ttyS0 */
    if (!console_tty || (wanted && strncmp(wanted, name, strlen(name)) == 0 &&
                         (wanted[strlen(name)] == '\0' || wanted[strlen(name)] == ',')))
        console_tty = tty;
    show_in_sysfs(name, device);
    return devfs_add(name, S_IFCHR | 0620, device);
}

const struct tty *tty_console(void)
{
    return console_tty;
}

void tty_console_attach(void)
{
    if (console_tty)
        take_controlling_terminal(console_tty, false);
}

void tty_init(void)
{
    static const struct {
        const char *name;
        unsigned minor;
        mode_t mode;
        const struct file_ops *ops;
    } special[] = {{"tty", 0, 0666, &current_ops}, {"console", 1, 0600, &console_ops}};

    for (unsigned i = 0; i < ARRAY_SIZE(special); i++) {
        int error = char_device_register(TTYAUX_MAJOR, special[i].minor, 1, special[i].name,
                                         special[i].ops);

        show_in_sysfs(special[i].name, dev_make(TTYAUX_MAJOR, special[i].minor));
        if (error == 0)
            error = devfs_add(special[i].name, S_IFCHR | special[i].mode,
                              dev_make(TTYAUX_MAJOR, special[i].minor));
        if (error)
            pr_err("%s: error %d", special[i].name, -error);
    }
    sysfs_file(sysfs_directory(NULL, "devices/virtual/tty/console"), "active", show_active, NULL);
}
