/* SPDX-License-Identifier: MIT */
/*
 * signalfd(2): taking signals by reading.
 *
 * A read takes pending signals of the mask off the queues of whoever reads: after fork(2) the same
 * file gives the child its own signals. So there is no queue in the file; who waits stands on the
 * signal watch of his process, which every signal sent to it wakes. An epoll may go on standing there
 * when the process has gone: the file holds a reference to each watch on which it was ever polled.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/fs.h>
#include <vellum/seq_file.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <linux/eventpoll.h>
#include <linux/signalfd.h>

struct signalfd {
    spinlock_t lock;
    signal_set mask;     /* written whole */
    struct list watches; /* [lock] struct held_watch */
};

struct held_watch {
    struct list link;
    struct signal_watch *watch;
};

static const struct file_ops signalfd_ops;

/* ---- watches ------------------------------------------------------------------------------------------ */

struct signal_watch *signal_watch_current(void)
{
    struct process *p = current->process;
    struct signal_watch *w = READ_ONCE(p->signal_watch);
    unsigned long flags;

    if (w)
        return w;
    w = kmalloc(sizeof(*w), ALLOC_KERNEL);
    if (!w)
        return NULL;
    ref_init(&w->refs);
    wait_queue_init(&w->wait);
    flags = spin_lock_irqsave(&p->sighand->lock);
    if (!p->signal_watch)
        SWAP(w, p->signal_watch);
    spin_unlock_irqrestore(&p->sighand->lock, flags);
    kfree(w);
    return p->signal_watch;
}

void signal_watch_put(struct signal_watch *w)
{
    if (ref_put(&w->refs))
        kfree(w);
}

/* See to it that w stays as long as s does. */
static bool hold_watch(struct signalfd *s, struct signal_watch *w)
{
    struct held_watch *new = kmalloc(sizeof(*new), ALLOC_KERNEL), *h;
    bool held = false;

    spin_lock(&s->lock);
    list_for_each_entry(h, &s->watches, link)
        held |= h->watch == w;
    if (!held && new) {
        ref_get(&w->refs);
        new->watch = w;
        list_add(&new->link, &s->watches);
        new = NULL;
        held = true;
    }
    spin_unlock(&s->lock);
    kfree(new);
    return held;
}

/* ---- the file -------------------------------------------------------------------------------------------- */

enum layout { KILL, TIMER, POLL, FAULT, CHILD, QUEUE, SYSTEM_CALL };

/* Which members of a siginfo are valid (sigaction(2)). */
static enum layout layout_of(const siginfo_t *info)
{
    if (info->si_code > SI_USER && info->si_code < SI_KERNEL)
        switch (info->si_signo) {
        case SIGILL:
        case SIGFPE:
        case SIGSEGV:
        case SIGBUS:
        case SIGTRAP:
            return FAULT;
        case SIGCHLD:
            return CHILD;
        case SIGPOLL:
            return POLL;
        case SIGSYS:
            return SYSTEM_CALL;
        }
    else if (info->si_code == SI_TIMER)
        return TIMER;
    else if (info->si_code == SI_SIGIO)
        return POLL;
    else if (info->si_code < 0)
        return QUEUE;
    return KILL;
}

static void fill(struct signalfd_siginfo *to, const siginfo_t *from)
{
    memset(to, 0, sizeof(*to));
    to->ssi_signo = from->si_signo;
    to->ssi_errno = from->si_errno;
    to->ssi_code = from->si_code;
    switch (layout_of(from)) {
    case QUEUE:
        to->ssi_ptr = (u64)from->si_ptr;
        to->ssi_int = from->si_int;
        /* fall through */
    case KILL:
        to->ssi_pid = from->si_pid;
        to->ssi_uid = from->si_uid;
        break;
    case TIMER:
        to->ssi_tid = from->si_tid;
        to->ssi_overrun = from->si_overrun;
        to->ssi_ptr = (u64)from->si_ptr;
        to->ssi_int = from->si_int;
        break;
    case POLL:
        to->ssi_band = from->si_band;
        to->ssi_fd = from->si_fd;
        break;
    case FAULT:
        to->ssi_addr = (u64)from->si_addr;
        if (from->si_signo == SIGBUS)
            to->ssi_addr_lsb = from->si_addr_lsb;
        break;
    case CHILD:
        to->ssi_pid = from->si_pid;
        to->ssi_uid = from->si_uid;
        to->ssi_status = from->si_status;
        to->ssi_utime = from->si_utime;
        to->ssi_stime = from->si_stime;
        break;
    case SYSTEM_CALL:
        to->ssi_call_addr = (u64)from->si_call_addr;
        to->ssi_syscall = from->si_syscall;
        to->ssi_arch = from->si_arch;
        break;
    }
}

/* The next signal: its number, 0 if there is none and we are not to wait, or -errno. */
static int take(struct signalfd *s, siginfo_t *info, bool wait)
{
    struct signal_watch *w;
    int signo, error;

    for (;;) {
        signo = signal_dequeue(READ_ONCE(s->mask), info);
        if (signo || !wait)
            return signo;
        w = signal_watch_current();
        if (!w)
            return -ENOMEM;
        error = wait_event_interruptible(&w->wait, signals_pending() & READ_ONCE(s->mask));
        if (error)
            return error;
    }
}

static ssize_t signalfd_read(struct file *file, struct iov_iter *it, loff_t *pos)
{
    bool wait = !(file->flags & O_NONBLOCK);
    struct signalfd_siginfo out;
    ssize_t done = 0;
    siginfo_t info;
    int signo = 0;

    if (it->count < sizeof(out))
        return -EINVAL;
    while (it->count >= sizeof(out)) {
        signo = take(file->private_data, &info, wait && done == 0);
        if (signo <= 0)
            break;
        fill(&out, &info);
        if (copy_to_iter(it, &out, sizeof(out)) != sizeof(out)) {
            signo = -EFAULT;
            break;
        }
        done += sizeof(out);
    }
    return done ? done : signo ? signo : -EAGAIN;
}

static unsigned signalfd_poll(struct file *file, struct poll_table *table)
{
    struct signalfd *s = file->private_data;
    struct signal_watch *w;

    if (table) {
        w = signal_watch_current();
        if (!w || !hold_watch(s, w))
            return EPOLLERR;
        poll_wait(file, &w->wait, table);
    }
    return signals_pending() & READ_ONCE(s->mask) ? EPOLLIN : 0;
}

static void signalfd_release(struct file *file)
{
    struct signalfd *s = file->private_data;
    struct held_watch *h, *next;

    list_for_each_entry_safe(h, next, &s->watches, link) {
        signal_watch_put(h->watch);
        kfree(h);
    }
    kfree(s);
}

static void signalfd_show(struct file *file, struct seq_file *m)
{
    struct signalfd *s = file->private_data;

    seq_printf(m, "sigmask:\t%016llx\n", (unsigned long long)READ_ONCE(s->mask));
}

static const struct file_ops signalfd_ops = {
    .seek_ignored = true,
    .read = signalfd_read,
    .poll = signalfd_poll,
    .release = signalfd_release,
    .show_fdinfo = signalfd_show,
};

/* ---- system calls ------------------------------------------------------------------------------------------ */

static int signalfd_create(signal_set mask, int flags)
{
    struct signalfd *s = kmalloc(sizeof(*s), ALLOC_KERNEL);
    struct file *file;

    if (!s)
        return -ENOMEM;
    spin_init(&s->lock);
    s->mask = mask;
    list_init(&s->watches);
    file = file_object("anon_inode:[signalfd]", &signalfd_ops, s, O_RDWR | (flags & O_NONBLOCK));
    if (is_err(file))
        kfree(s);
    return fd_for_file(file, flags & SFD_CLOEXEC);
}

/* Those who wait already look again, with the new mask. */
static int signalfd_change(int fd, signal_set mask)
{
    struct fd_ref ref = fd_get(fd);
    struct signal_watch *w = READ_ONCE(current->process->signal_watch);
    int result = fd;

    if (!ref.file) {
        result = -EBADF;
    } else if (ref.file->ops != &signalfd_ops) {
        result = -EINVAL;
    } else {
        WRITE_ONCE(((struct signalfd *)ref.file->private_data)->mask, mask);
        if (w)
            wake_up_all(&w->wait);
    }
    fd_put(ref);
    return result;
}

static long do_signalfd(int fd, const signal_set __user *umask, size_t size, int flags)
{
    signal_set mask;

    if (size != sizeof(mask))
        return -EINVAL;
    if (get_user(mask, umask))
        return -EFAULT;
    if (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK))
        return -EINVAL;
    mask &= ~SIGNALS_UNBLOCKABLE;
    return fd == -1 ? signalfd_create(mask, flags) : signalfd_change(fd, mask);
}

SYSCALL_DEFINE4(signalfd4, int, fd, const signal_set __user *, mask, size_t, size, int, flags)
{
    return do_signalfd(fd, mask, size, flags);
}

SYSCALL_DEFINE3(signalfd, int, fd, const signal_set __user *, mask, size_t, size)
{
    return do_signalfd(fd, mask, size, 0);
}
