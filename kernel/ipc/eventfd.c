/* SPDX-License-Identifier: MIT */
/*
 * eventfd(2): a counter as a file.
 *
 * A write adds to it, a read takes all of it (or, in semaphore mode, one). Reading 0 waits, and so
 * does a write that would take the counter beyond 2^64 - 2. The counter is guarded by the lock of
 * the wait queue on which both kinds of sleepers stand.
 */
#include <vellum/alloc.h>
#include <vellum/fs.h>
#include <vellum/seq_file.h>
#include <vellum/syscall.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>

/* The UAPI headers leave these to the C library. */
#define EFD_SEMAPHORE 1u
#define EFD_CLOEXEC   (unsigned)O_CLOEXEC
#define EFD_NONBLOCK  (unsigned)O_NONBLOCK

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
    struct wait_queue wait;
    u64 count; /* [wait.lock] read without it by those who then look again */
    bool semaphore;
    int id; /* [i] unique, for fdinfo */
};

static atomic_t last_id = ATOMIC_INIT(-1);

static inline void wake_locked(struct eventfd *e, unsigned long events)
{
    if (!list_empty(&e->wait.entries))
        wake_up_locked(&e->wait, 1, events);
}

/* 0 if there was nothing to take, else 1 and *value. */
static int take(struct eventfd *e, u64 *value)
{
    unsigned long flags = spin_lock_irqsave(&e->wait.lock);
    int taken = e->count != 0;

    if (likely(taken)) {
        *value = e->semaphore ? 1 : e->count;
        e->count -= *value;
        wake_locked(e, EPOLLOUT | EPOLLWRNORM);
    }
    spin_unlock_irqrestore(&e->wait.lock, flags);
    return taken;
}

static ssize_t eventfd_read(struct file *file, struct iov_iter *it, loff_t *pos)
{
    struct eventfd *e = file->private_data;
    u64 value;
    int error;

    if (it->count < sizeof(value))
        return -EINVAL;
    while (!take(e, &value)) {
        if (file->flags & O_NONBLOCK)
            return -EAGAIN;
        error = wait_event_interruptible(&e->wait, READ_ONCE(e->count) != 0);
        if (error)
            return error;
    }
    return copy_to_iter(it, &value, sizeof(value)) == sizeof(value) ? (ssize_t)sizeof(value)
                                                                    : -EFAULT;
}

static bool add(struct eventfd *e, u64 value)
{
    unsigned long flags = spin_lock_irqsave(&e->wait.lock);
    bool fits = value <= COUNT_MAX - e->count;

    if (likely(fits)) {
        e->count += value;
        wake_locked(e, EPOLLIN | EPOLLRDNORM);
    }
    spin_unlock_irqrestore(&e->wait.lock, flags);
    return fits;
}

static ssize_t eventfd_write(struct file *file, struct iov_iter *it, loff_t *pos)
{
    struct eventfd *e = file->private_data;
    u64 value;
    int error;

    if (it->count < sizeof(value))
        return -EINVAL;
    if (copy_from_iter(it, &value, sizeof(value)) != sizeof(value))
        return -EFAULT;
    if (value > COUNT_MAX)
        return -EINVAL;
    while (!add(e, value)) {
        if (file->flags & O_NONBLOCK)
            return -EAGAIN;
        error = wait_event_interruptible(&e->wait, value <= COUNT_MAX - READ_ONCE(e->count));
        if (error)
            return error;
    }
    return sizeof(value);
}

static unsigned eventfd_poll(struct file *file, struct poll_table *table)
{
    struct eventfd *e = file->private_data;
    unsigned events = 0;
    u64 count;

    poll_wait(file, &e->wait, table);
    count = READ_ONCE(e->count);
    if (count > 0)
        events |= EPOLLIN | EPOLLRDNORM;
    if (count < COUNT_MAX)
        events |= EPOLLOUT | EPOLLWRNORM;
    return events;
}

static void eventfd_release(struct file *file)
{
    kfree(file->private_data);
}

static void eventfd_show(struct file *file, struct seq_file *m)
{
    struct eventfd *e = file->private_data;

    seq_printf(m, "eventfd-count: %16llx\neventfd-id: %d\n",
               (unsigned long long)READ_ONCE(e->count), e->id);
}

static const struct file_ops eventfd_ops = {
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .release = eventfd_release,
    .show_fdinfo = eventfd_show,
};

static long eventfd_create(unsigned count, unsigned flags)
{
    struct eventfd *e;
    struct file *file;

    if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
        return -EINVAL;
    e = kmalloc(sizeof(*e), ALLOC_KERNEL);
    if (!e)
        return -ENOMEM;
    wait_queue_init(&e->wait);
    e->count = count;
    e->semaphore = flags & EFD_SEMAPHORE;
    e->id = atomic_inc_return(&last_id);
    file = file_object("anon_inode:[eventfd]", &eventfd_ops, e, O_RDWR | (flags & O_NONBLOCK));
    if (is_err(file))
        kfree(e);
    return fd_for_file(file, flags & O_CLOEXEC);
}

SYSCALL_DEFINE2(eventfd2, unsigned, count, unsigned, flags)
{
    return eventfd_create(count, flags);
}

SYSCALL_DEFINE1(eventfd, unsigned, count)
{
    return eventfd_create(count, 0);
}
