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

/* Is there something to take, or room for that much more? */
static inline bool can_take(const struct eventfd *e, u64 value)
{
    return READ_ONCE(e->count) != 0;
}

static inline bool can_add(const struct eventfd *e, u64 value)
{
    return value <= COUNT_MAX - READ_ONCE(e->count);
}

static inline void take(struct eventfd *e, u64 *value)
{
    *value = e->semaphore ? 1 : e->count;
    e->count -= *value;
}

static inline void add(struct eventfd *e, u64 *value)
{
    e->count += *value;
}

/* Wait until the counter can be changed, do it, and wake one who waits for the opposite. */
static __always_inline int change(struct eventfd *e, u64 *value, bool wait,
                                  bool (*can)(const struct eventfd *, u64),
                                  void (*step)(struct eventfd *, u64 *), unsigned long events)
{
    unsigned long flags;
    bool done;
    int error;

    for (;;) {
        flags = spin_lock_irqsave(&e->wait.lock);
        done = can(e, *value);
        if (likely(done)) {
            step(e, value);
            if (!list_empty(&e->wait.entries))
                wake_up_locked(&e->wait, 1, events);
        }
        spin_unlock_irqrestore(&e->wait.lock, flags);
        if (likely(done))
            return 0;
        if (!wait)
            return -EAGAIN;
        error = wait_event_interruptible(&e->wait, can(e, *value));
        if (error)
            return error;
    }
}

static bool may_wait(const struct file *file, const struct iov_iter *it)
{
    return !(file->flags & O_NONBLOCK) && !it->nowait;
}

static ssize_t eventfd_read(struct file *file, struct iov_iter *it, loff_t *pos)
{
    u64 value = 0;
    int error;

    if (it->count < sizeof(value))
        return -EINVAL;
    error = change(file->private_data, &value, may_wait(file, it), can_take, take,
                   EPOLLOUT | EPOLLWRNORM);
    if (error)
        return error;
    return copy_to_iter(it, &value, sizeof(value)) == sizeof(value) ? (ssize_t)sizeof(value)
                                                                    : -EFAULT;
}

static ssize_t eventfd_write(struct file *file, struct iov_iter *it, loff_t *pos)
{
    u64 value;
    int error;

    if (it->count < sizeof(value))
        return -EINVAL;
    if (copy_from_iter(it, &value, sizeof(value)) != sizeof(value))
        return -EFAULT;
    if (value > COUNT_MAX)
        return -EINVAL;
    error =
        change(file->private_data, &value, may_wait(file, it), can_add, add, EPOLLIN | EPOLLRDNORM);
    return error ? error : (ssize_t)sizeof(value);
}

static unsigned eventfd_poll(struct file *file, struct poll_table *table)
{
    struct eventfd *e = file->private_data;
    unsigned events = 0;
    u64 count;

    poll_wait(file, &e->wait, table);
    count = READ_ONCE(e->count);
    if (count > 0)
        events |= EPOLLIN;
    if (count < COUNT_MAX)
        events |= EPOLLOUT;
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
    .seek_ignored = true,
    .can_nowait = true,
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
