/* SPDX-License-Identifier: MIT */
/*
 * epoll(7): waiting for many files at the price of those that are ready.
 *
 * An epoll has an item for each (file, descriptor) that it watches. The item stands on the file's
 * wait queues for as long as it exists; when the file wakes them, the item is put on the epoll's
 * ready list and a sleeper is woken. So epoll_wait(2) looks only at what is on that list:
 *
 *     file's wait queue --epoll_wake--> ready list --epoll_wait--> ask the file, report
 *                                           ^                          | level-triggered:
 *                                           +--------------------------+ look again next time
 *
 * An item is taken off the list before its file is asked. If the file changes after the answer, the
 * wake-up finds the item off the list and puts it on again: no event is lost. An edge-triggered item
 * is not put back, a one-shot item keeps no event to ask for until EPOLL_CTL_MOD.
 *
 * An epoll is itself a file that can be polled, also by another epoll: its ready list is not empty.
 * epoll_ctl.c keeps the nesting free of loops.
 *
 * Locks: nest_mutex, ep->mutex (outer epoll before inner), the file's wait queue, ep->lock, and inside
 * them the queues of ep, where sleepers and outer epolls wait.
 */
#include "epoll.h"
#include <vellum/alloc.h>
#include <vellum/cred.h>
#include <vellum/seq_file.h>
#include <vellum/signal.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>

/* ---- becoming ready ------------------------------------------------------------------------------- */

/* Returns whether a thread in epoll_wait(2) was woken. */
static inline bool make_ready(struct epoll_item *item)
{
    struct epoll *ep = item->ep;
    unsigned long flags = spin_lock_irqsave(&ep->lock);
    bool woken;

    if (list_empty(&item->ready))
        list_add_tail(&item->ready, &ep->ready);
    spin_unlock_irqrestore(&ep->lock, flags);
    woken = wait_queue_active(&ep->wait);
    if (woken)
        wake_up(&ep->wait, 1, 0);
    if (unlikely(!list_empty(&ep->poll_wait.entries)))
        wake_up(&ep->poll_wait, ~0u, EPOLLIN | EPOLLRDNORM);
    return woken;
}

void epoll_item_ready(struct epoll_item *item)
{
    make_ready(item);
}

bool epoll_wake(struct wait_entry *wait, unsigned long key)
{
    struct epoll_item *item = container_of(wait, struct epoll_hook, wait)->item;
    u32 events = READ_ONCE(item->events);

    if (!(events & ~EPOLL_MANNER) || (key && !(key & events)))
        return false;
    return make_ready(item);
}

/* ---- reporting => ep->mutex ---------------------------------------------------------------------------- */

static bool put_event(struct epoll_event __user *to, u32 events, u64 data)
{
    struct epoll_event event = {.events = events, .data = data};

    return copy_to_user(to, &event, sizeof(event)) == 0;
}

/* Report up to max items. Each is looked at once: one that is ready again by then stands behind all that
 * were there before. Returns how many, or -EFAULT if none could be. */
static int report(struct epoll *ep, struct epoll_event __user *to, int max)
{
    struct epoll_item *item;
    unsigned long flags;
    unsigned events;
    int n = 0, error = 0;

    ep->reports++;
    flags = spin_lock_irqsave(&ep->lock);
    while (n < max && !list_empty(&ep->ready)) {
        item = list_first_entry(&ep->ready, struct epoll_item, ready);
        if (item->reported == ep->reports)
            break;
        item->reported = ep->reports;
        list_del_init(&item->ready);
        spin_unlock_irqrestore(&ep->lock, flags);
        events = epoll_item_poll(item, NULL);
        if (events && unlikely(!put_event(&to[n], events, item->data)))
            error = -EFAULT;
        if (events && !error) {
            n++;
            if (item->events & EPOLLONESHOT)
                WRITE_ONCE(item->events, item->events & EPOLL_MANNER);
        }
        flags = spin_lock_irqsave(&ep->lock);
        if (unlikely(error)) {
            if (list_empty(&item->ready))
                list_add(&item->ready, &ep->ready);
            break;
        }
        if (events && !(item->events & (EPOLLET | EPOLLONESHOT)) && list_empty(&item->ready))
            list_add_tail(&item->ready, &ep->ready);
    }
    spin_unlock_irqrestore(&ep->lock, flags);
    return n ? n : error;
}

static int report_locked(struct epoll *ep, struct epoll_event __user *to, int max)
{
    int n;

    mutex_lock(&ep->mutex);
    n = report(ep, to, max);
    mutex_unlock(&ep->mutex);
    if (!list_empty(&ep->ready)) /* there is more: for the next sleeper */
        wake_up_one(&ep->wait);
    return n;
}

/* Is any item on the list ready? Those that are not are taken off it. */
static bool any_ready(struct epoll *ep)
{
    struct epoll_item *item;
    unsigned long flags;
    bool found = false;

    flags = spin_lock_irqsave(&ep->lock);
    while (!found && !list_empty(&ep->ready)) {
        item = list_first_entry(&ep->ready, struct epoll_item, ready);
        list_del_init(&item->ready);
        spin_unlock_irqrestore(&ep->lock, flags);
        found = epoll_item_poll(item, NULL) != 0;
        flags = spin_lock_irqsave(&ep->lock);
        if (found && list_empty(&item->ready))
            list_add(&item->ready, &ep->ready);
    }
    spin_unlock_irqrestore(&ep->lock, flags);
    return found;
}

static unsigned epoll_poll(struct file *file, struct poll_table *table)
{
    struct epoll *ep = file->private_data;
    bool found;

    poll_wait(file, &ep->poll_wait, table);
    smp_fence(); /* what becomes ready from here on wakes the queue */
    if (list_empty(&ep->ready))
        return 0;
    mutex_lock(&ep->mutex);
    found = any_ready(ep);
    mutex_unlock(&ep->mutex);
    return found ? EPOLLIN | EPOLLRDNORM : 0;
}

/* ---- the file -------------------------------------------------------------------------------------------- */

static void epoll_release(struct file *file)
{
    epoll_destroy(file->private_data);
}

static void epoll_show(struct file *file, struct seq_file *m)
{
    struct epoll *ep = file->private_data;
    struct epoll_item *item;

    mutex_lock(&ep->mutex);
    rb_for_each_entry(item, &ep->items, node) {
        dev_id_t device = item->file->inode->sb->device;

        seq_printf(m, "tfd: %8d events: %8x data: %16llx  pos:%lli ino:%lx sdev:%x\n", item->fd,
                   item->events, (unsigned long long)item->data, (long long)item->file->pos,
                   (unsigned long)item->file->inode->ino,
                   dev_major(device) << 20 | dev_minor(device));
    }
    mutex_unlock(&ep->mutex);
}

const struct file_ops epoll_ops = {
    .seek_ignored = true,
    .poll = epoll_poll,
    .release = epoll_release,
    .show_fdinfo = epoll_show,
};

static long epoll_create_flags(unsigned flags)
{
    struct epoll *ep;
    struct file *file;

    if (flags & ~(unsigned)EPOLL_CLOEXEC)
        return -EINVAL;
    ep = kzalloc(sizeof(*ep), ALLOC_KERNEL);
    if (!ep)
        return -ENOMEM;
    mutex_init(&ep->mutex);
    spin_init(&ep->lock);
    list_init(&ep->ready);
    list_init(&ep->nested);
    wait_queue_init(&ep->wait);
    wait_queue_init(&ep->poll_wait);
    lock_may_nest(&ep->mutex.id);
    lock_may_nest(&ep->poll_wait.lock.id);
    file = file_object("anon_inode:[eventpoll]", &epoll_ops, ep, O_RDWR);
    if (is_err(file)) {
        kfree(ep);
        return ptr_err(file);
    }
    ep->file = file;
    ep->user = current->cred->user;
    ref_get(&ep->user->refs);
    return fd_for_file(file, flags & EPOLL_CLOEXEC);
}

SYSCALL_DEFINE1(epoll_create1, unsigned, flags)
{
    return epoll_create_flags(flags);
}

SYSCALL_DEFINE1(epoll_create, int, size)
{
    return size <= 0 ? -EINVAL : epoll_create_flags(0);
}

/* ---- waiting ------------------------------------------------------------------------------------------------ */

/* deadline 0: do not wait. Returns how many, -EINTR, -EFAULT. */
static int wait_for_events(struct epoll *ep, struct epoll_event __user *to, int max,
                           ktime_t deadline)
{
    int n, error = 0;

    for (;;) {
        if (!list_empty(&ep->ready)) {
            n = report_locked(ep, to, max);
            if (n != 0)
                return n;
        }
        if (deadline == 0 || error == -ETIME)
            return 0;
        if (error)
            break;
        error = wait_event_state(&ep->wait, !list_empty(&ep->ready), TASK_INTERRUPTIBLE, deadline,
                                 true);
    }
    if (!list_empty(&ep->ready)) /* the wake-up that came with the signal is another's */
        wake_up_one(&ep->wait);
    return -EINTR;
}

static long do_epoll_wait(int epfd, struct epoll_event __user *to, int max, ktime_t deadline)
{
    struct fd_ref ref;
    long result = -EINVAL;

    if (max <= 0 || (unsigned)max > INT32_MAX / sizeof(*to))
        return -EINVAL;
    if (!user_range_ok(to, max * sizeof(*to)))
        return -EFAULT;
    ref = fd_get(epfd);
    if (unlikely(!ref.file))
        return -EBADF;
    if (likely(is_epoll(ref.file)))
        result = wait_for_events(ref.file->private_data, to, max, deadline);
    fd_put(ref);
    return result;
}

static ktime_t deadline_of(int timeout)
{
    return timeout < 0 ? KTIME_MAX : timeout ? ktime_after(timeout * NSEC_PER_MSEC) : 0;
}

/* With the signal mask of the caller's choice meanwhile; mask NULL: as it is. */
static long epoll_wait_masked(int epfd, struct epoll_event __user *to, int max, ktime_t deadline,
                              const void __user *mask, size_t size)
{
    long result = mask ? signal_mask_user(mask, size) : 0;

    if (result)
        return result;
    result = do_epoll_wait(epfd, to, max, deadline);
    if (mask)
        signal_mask_restore(result == -EINTR);
    return result;
}

SYSCALL_DEFINE4(epoll_wait, int, epfd, struct epoll_event __user *, to, int, max, int, timeout)
{
    return do_epoll_wait(epfd, to, max, deadline_of(timeout));
}

SYSCALL_DEFINE6(epoll_pwait, int, epfd, struct epoll_event __user *, to, int, max, int, timeout,
                const void __user *, mask, size_t, size)
{
    return epoll_wait_masked(epfd, to, max, deadline_of(timeout), mask, size);
}

SYSCALL_DEFINE6(epoll_pwait2, int, epfd, struct epoll_event __user *, to, int, max,
                const struct __kernel_timespec __user *, timeout, const void __user *, mask, size_t,
                size)
{
    ktime_t deadline;
    int error = deadline_from_user(timeout, &deadline);

    return error ? error : epoll_wait_masked(epfd, to, max, deadline, mask, size);
}
