/* SPDX-License-Identifier: MIT */
/*
 * timerfd_create(2): a timer as a file.
 *
 * A read takes the number of expirations since the last one, and waits for the first. A periodic
 * timer that has expired stands still until somebody asks: what it missed meanwhile is computed
 * then, so one that nobody reads costs no interrupts.
 *
 * With TFD_TIMER_CANCEL_ON_SET a read also ends, with ECANCELED, when the real-time clock is set.
 */
#include <vellum/alloc.h>
#include <vellum/cred.h>
#include <vellum/fs.h>
#include <vellum/seq_file.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>
#include <linux/eventpoll.h>
#include <linux/timerfd.h>
#include "calls.h"

struct timerfd {
    struct clock_timer timer; /* [w] started under the lock */
    struct wait_queue wait;
    clockid_t clock;         /* [i] */
    u64 interval;            /* [w] ns; 0: once */
    u64 ticks;               /* [w] to be read */
    bool armed;              /* [w] set, and not disarmed since */
    bool expired;            /* [w] and stands still until the ticks are read */
    bool cancel_on_set;      /* [c] is in `cancelable` */
    bool canceled;           /* [w] the clock was set */
    int flags;               /* [w] of the last timerfd_settime(2), for fdinfo */
    struct list cancel_link; /* [c] */
};
/* [w] wait.lock  [c] cancel_lock, which is taken outside of wait.lock */

static DEFINE_SPINLOCK(cancel_lock); /* interrupts on */
static struct list cancelable = LIST_INIT(cancelable);

static const struct file_ops timerfd_ops;

static void tick_locked(struct timerfd *t)
{
    t->ticks++;
    wake_up_locked(&t->wait, ~0u, EPOLLIN | EPOLLRDNORM);
}

/* If it stands in the queue again, it was set anew while we waited for the lock: nothing expired. */
static void expire(struct timer *timer)
{
    struct timerfd *t = container_of(timer, struct timerfd, timer.timer);
    unsigned long flags = spin_lock_irqsave(&t->wait.lock);

    if (t->armed && !timer->queued) {
        t->expired = true;
        tick_locked(t);
    }
    spin_unlock_irqrestore(&t->wait.lock, flags);
}

void timerfds_clock_was_set(void)
{
    struct timerfd *t;
    unsigned long flags;

    spin_lock(&cancel_lock);
    list_for_each_entry(t, &cancelable, cancel_link) {
        flags = spin_lock_irqsave(&t->wait.lock);
        if (!t->canceled) {
            t->canceled = true;
            tick_locked(t);
        }
        spin_unlock_irqrestore(&t->wait.lock, flags);
    }
    spin_unlock(&cancel_lock);
}

/* A periodic timer that has expired runs again, with what it missed counted. => wait.lock */
static void catch_up(struct timerfd *t)
{
    if (!t->expired || !t->interval)
        return;
    t->expired = false;
    t->ticks += clock_timer_forward(&t->timer, t->interval) - 1;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

/* 1 and *ticks, 0 if there are none, or -ECANCELED. */
static int take(struct timerfd *t, u64 *ticks)
{
    unsigned long flags = spin_lock_irqsave(&t->wait.lock);
    int result = t->ticks != 0;

    if (t->ticks && t->canceled) {
        t->canceled = t->expired = false;
        t->ticks = 0;
        result = -ECANCELED;
    } else if (t->ticks) {
        catch_up(t);
        *ticks = t->ticks;
        t->ticks = 0;
        t->expired = false;
    }
    spin_unlock_irqrestore(&t->wait.lock, flags);
    return result;
}

static ssize_t timerfd_read(struct file *file, struct iov_iter *it, loff_t *pos)
{
    struct timerfd *t = file->private_data;
    int result, error;
    u64 ticks;

    if (it->count < sizeof(ticks))
        return -EINVAL;
    while ((result = take(t, &ticks)) == 0) {
        if (file->flags & O_NONBLOCK)
            return -EAGAIN;
        error = wait_event_interruptible(&t->wait, READ_ONCE(t->ticks) != 0);
        if (error)
            return error;
    }
    if (result < 0)
        return result;
    return copy_to_iter(it, &ticks, sizeof(ticks)) == sizeof(ticks) ? (ssize_t)sizeof(ticks)
                                                                    : -EFAULT;
}

static unsigned timerfd_poll(struct file *file, struct poll_table *table)
{
    struct timerfd *t = file->private_data;

    poll_wait(file, &t->wait, table);
    return READ_ONCE(t->ticks) ? EPOLLIN : 0;
}

/* TFD_IOC_SET_TICKS: what a checkpointed timer had not been read yet. */
static long timerfd_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    struct timerfd *t = file->private_data;
    unsigned long flags;
    long error = 0;
    u64 ticks;

    if (command != TFD_IOC_SET_TICKS)
        return -ENOTTY;
    if (get_user(ticks, (u64 __user *)arg))
        return -EFAULT;
    if (!ticks)
        return -EINVAL;
    flags = spin_lock_irqsave(&t->wait.lock);
    if (t->canceled) {
        error = -ECANCELED;
    } else {
        t->ticks = ticks - 1;
        tick_locked(t);
    }
    spin_unlock_irqrestore(&t->wait.lock, flags);
    return error;
}

static void set_cancel(struct timerfd *t, bool on)
{
    spin_lock(&cancel_lock);
    if (on && !t->cancel_on_set)
        list_add(&t->cancel_link, &cancelable);
    else if (!on && t->cancel_on_set)
        list_del(&t->cancel_link);
    t->cancel_on_set = on;
    spin_unlock(&cancel_lock);
}

static void timerfd_release(struct file *file)
{
    struct timerfd *t = file->private_data;

    set_cancel(t, false);
    clock_timer_end(&t->timer);
    kfree(t);
}

/* => wait.lock */
static struct __kernel_itimerspec setting(struct timerfd *t)
{
    u64 left = 0;

    catch_up(t);
    if (t->armed && !t->expired)
        left = clock_timer_left(&t->timer);
    return (struct __kernel_itimerspec){.it_interval = ns_to_timespec(t->interval),
                                        .it_value = ns_to_timespec(left)};
}

static void timerfd_show(struct file *file, struct seq_file *m)
{
    struct timerfd *t = file->private_data;
    unsigned long flags = spin_lock_irqsave(&t->wait.lock);
    u64 left = t->armed && !t->expired ? clock_timer_left(&t->timer) : 0, ticks = t->ticks;
    struct __kernel_timespec value = ns_to_timespec(left), interval = ns_to_timespec(t->interval);
    int settime_flags = t->flags;

    spin_unlock_irqrestore(&t->wait.lock, flags);
    seq_printf(m,
               "clockid: %d\nticks: %llu\nsettime flags: 0%o\nit_value: (%llu, %llu)\n"
               "it_interval: (%llu, %llu)\n",
               t->clock, (unsigned long long)ticks, settime_flags, (unsigned long long)value.tv_sec,
               (unsigned long long)value.tv_nsec, (unsigned long long)interval.tv_sec,
               (unsigned long long)interval.tv_nsec);
}

static const struct file_ops timerfd_ops = {
    .seek_ignored = true,
    .read = timerfd_read,
    .poll = timerfd_poll,
    .ioctl = timerfd_ioctl,
    .release = timerfd_release,
    .show_fdinfo = timerfd_show,
};

/* ---- system calls ---------------------------------------------------------------------------------------- */

static bool is_alarm(clockid_t clock)
{
    return clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
}

SYSCALL_DEFINE2(timerfd_create, clockid_t, clock, int, flags)
{
    struct timerfd *t;
    struct file *file;
    bool real;

    if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) || clock == CLOCK_TAI ||
        clock_for_timer(clock, &real))
        return -EINVAL;
    if (is_alarm(clock) && !capable(CAP_WAKE_ALARM))
        return -EPERM;
    t = kzalloc(sizeof(*t), ALLOC_KERNEL);
    if (!t)
        return -ENOMEM;
    wait_queue_init(&t->wait);
    clock_timer_init(&t->timer, expire);
    t->clock = clock;
    file = file_object("anon_inode:[timerfd]", &timerfd_ops, t, O_RDWR | (flags & O_NONBLOCK));
    if (is_err(file))
        kfree(t);
    return fd_for_file(file, flags & TFD_CLOEXEC);
}

/* value 0: disarm. Returns 0 or -ECANCELED: it is set, but the clock was set meanwhile. */
static int set(struct timerfd *t, int flags, u64 value, u64 interval,
               struct __kernel_itimerspec *old)
{
    unsigned long irq;
    int error = 0;
    bool real;

    clock_for_timer(t->clock, &real);
    set_cancel(t, real && (flags & TFD_TIMER_ABSTIME) && (flags & TFD_TIMER_CANCEL_ON_SET));
    irq = spin_lock_irqsave(&t->wait.lock);
    *old = setting(t);
    timer_cancel(&t->timer.timer);
    t->armed = value != 0;
    t->expired = false;
    t->ticks = 0;
    t->interval = interval;
    t->flags = flags;
    t->canceled &= t->cancel_on_set;
    if (value && (flags & TFD_TIMER_ABSTIME))
        clock_timer_start(&t->timer, real, value);
    else if (value)
        clock_timer_start(&t->timer, false, ktime_after(value));
    if (value && t->canceled && t->cancel_on_set) {
        t->canceled = false;
        error = -ECANCELED;
    }
    spin_unlock_irqrestore(&t->wait.lock, irq);
    return error;
}

static struct fd_ref timerfd_get(int fd, struct timerfd **t, int *error)
{
    struct fd_ref ref = fd_get(fd);

    *error = !ref.file ? -EBADF : ref.file->ops != &timerfd_ops ? -EINVAL : 0;
    if (!*error)
        *t = ref.file->private_data;
    return ref;
}

SYSCALL_DEFINE4(timerfd_settime, int, fd, int, flags, const struct __kernel_itimerspec __user *,
                unew, struct __kernel_itimerspec __user *, uold)
{
    struct __kernel_itimerspec new, old;
    struct fd_ref ref;
    struct timerfd *t;
    int error;

    if (copy_from_user(&new, unew, sizeof(new)))
        return -EFAULT;
    if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) ||
        !timespec_valid(&new.it_value) || !timespec_valid(&new.it_interval))
        return -EINVAL;
    ref = timerfd_get(fd, &t, &error);
    if (!error && is_alarm(t->clock) && !capable(CAP_WAKE_ALARM))
        error = -EPERM;
    if (!error)
        error =
            set(t, flags, timespec_to_ns(&new.it_value), timespec_to_ns(&new.it_interval), &old);
    fd_put(ref);
    if (!error && uold && copy_to_user(uold, &old, sizeof(old)))
        error = -EFAULT;
    return error;
}

SYSCALL_DEFINE2(timerfd_gettime, int, fd, struct __kernel_itimerspec __user *, uvalue)
{
    struct __kernel_itimerspec value;
    struct fd_ref ref;
    struct timerfd *t;
    unsigned long flags;
    int error;

    ref = timerfd_get(fd, &t, &error);
    if (!error) {
        flags = spin_lock_irqsave(&t->wait.lock);
        value = setting(t);
        spin_unlock_irqrestore(&t->wait.lock, flags);
    }
    fd_put(ref);
    if (!error && copy_to_user(uvalue, &value, sizeof(value)))
        error = -EFAULT;
    return error;
}
