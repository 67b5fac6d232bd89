/* SPDX-License-Identifier: MIT */
/*
 * The texts about devices: devices, consoles, tty/drivers, iomem, kmsg (proc(5)).
 */
#include "internal.h"
#include <vellum/block.h>
#include <vellum/page.h>
#include <vellum/printk.h>
#include <vellum/tty.h>
#include <linux/eventpoll.h>
#include <linux/major.h>

int proc_show_devices(struct seq_file *m, struct proc_inode *pi)
{
    seq_puts(m, "Character devices:\n");
    char_devices_show(m);
    seq_puts(m, "\nBlock devices:\n");
    block_majors_show(m);
    return 0;
}

/* "ttyS0  -W- (EC p  )  4:64": can be written; enabled, the preferred one; prints messages. */
int proc_show_consoles(struct seq_file *m, struct proc_inode *pi)
{
    const struct tty *tty = tty_console();

    if (tty)
        seq_printf(m, "%-20s -W- (EC p  ) %4u:%u\n", tty->name, dev_major(tty->device),
                   dev_minor(tty->device));
    return 0;
}

/* ps finds the names of terminals by this table: the nodes' path, major, minors. */
int proc_show_tty_drivers(struct seq_file *m, struct proc_inode *pi)
{
    static const struct {
        const char *driver, *path;
        unsigned major, first, last;
        const char *type;
    } drivers[] = {
        {"/dev/tty", "/dev/tty", TTYAUX_MAJOR, 0, 0, "system:/dev/tty"},
        {"/dev/console", "/dev/console", TTYAUX_MAJOR, 1, 1, "system:console"},
        {"/dev/ptmx", "/dev/ptmx", TTYAUX_MAJOR, 2, 2, "system"},
        {"serial", "/dev/ttyS", TTY_MAJOR, 64, 95, "serial"},
        {"hvc", "/dev/hvc", 229, 0, 7, "system"},
        {"pty_slave", "/dev/pts", UNIX98_PTY_SLAVE_MAJOR, 0, 1048575, "pty:slave"},
        {"pty_master", "/dev/ptm", UNIX98_PTY_MASTER_MAJOR, 0, 1048575, "pty:master"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++) {
        if (!char_device_exists(dev_make(drivers[i].major, drivers[i].first)))
            continue;
        seq_printf(m, "%-20s %-10s %5u ", drivers[i].driver, drivers[i].path, drivers[i].major);
        if (drivers[i].last > drivers[i].first)
            seq_printf(m, "%u-%u", drivers[i].first, drivers[i].last);
        else
            seq_printf(m, "%7u", drivers[i].first);
        seq_printf(m, " %s\n", drivers[i].type);
    }
    return 0;
}

/* Addresses are for those who may have them. */
int proc_show_iomem(struct seq_file *m, struct proc_inode *pi)
{
    bool show = capable(CAP_SYS_ADMIN);
    paddr_t start;
    u64 size;

    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++)
        seq_printf(m, "%08llx-%08llx : System RAM\n", show ? (unsigned long long)start : 0,
                   show ? (unsigned long long)(start + size - 1) : 0);
    return 0;
}

/* ---- kmsg: the messages, each read once by whoever comes first (syslog(2)) ----------------------------- */

static int kmsg_open(struct inode *inode, struct file *file)
{
    return capable(CAP_SYSLOG) || capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static ssize_t kmsg_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    char text[LOG_RECORD_MAX];
    ssize_t done = 0;
    size_t n;
    int r;

    if (!log_has_unread() && (file->flags & O_NONBLOCK))
        return -EAGAIN;
    r = wait_event_interruptible(&log_wait, log_has_unread());
    if (r)
        return r;
    while (iter->count && (n = log_take_unread(text, min(iter->count, sizeof(text)))) > 0) {
        if (copy_to_iter(iter, text, n) < n)
            return done ? done : -EFAULT;
        done += n;
    }
    return done;
}

static unsigned kmsg_poll(struct file *file, struct poll_table *table)
{
    poll_wait(file, &log_wait, table);
    return log_has_unread() ? EPOLLIN | EPOLLRDNORM : 0;
}

const struct file_ops proc_kmsg_ops = {.open = kmsg_open, .read = kmsg_read, .poll = kmsg_poll};
