/* SPDX-License-Identifier: MIT */
/*
 * inotify(7): the file that events are read from, and the system calls.
 *
 * Events wait in a list until they are read. One that is like the last in the list is dropped: the
 * reader could not tell them apart in time. When the list is full one event says so, and what comes
 * then is lost.
 */
#include "inotify.h"
#include <asm/ioctls.h>
#include <vellum/seq_file.h>
#include <vellum/syscall.h>
#include <linux/eventpoll.h>

int inotify_max_user_instances = 128;
int inotify_max_user_watches = 65536;
int inotify_max_queued_events = 16384;

#define NAME_UNIT sizeof(struct inotify_event) /* names are padded to a multiple of it */
#define FLAGS                                                                                      \
    (IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_ADD | IN_MASK_CREATE | IN_ONESHOT)
#define KNOWN (IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ISDIR | FLAGS)

static const struct file_ops inotify_ops;

static const char *event_name(const struct event *e)
{
    return (const char *)(&e->head + 1);
}

static size_t event_size(const struct event *e)
{
    return sizeof(e->head) + e->head.len;
}

/* => in->lock */
static bool is_like_last(const struct inotify *in, int wd, u32 mask, const char *name, u32 length)
{
    const struct event *last;

    if (list_empty(&in->events))
        return false;
    last = list_last_entry(&in->events, struct event, link);
    if (last->head.mask != mask || last->head.wd != wd || (mask & IN_IGNORED))
        return false;
    return length ? last->head.len > length && !memcmp(event_name(last), name, length) &&
                        !event_name(last)[length]
                  : !last->head.len;
}

void event_queue(struct inotify *in, int wd, u32 mask, u32 cookie, const char *name, u32 length)
{
    u32 padded = length ? ALIGN_UP(length + 1, (u32)NAME_UNIT) : 0;
    struct event *e = NULL;

    assert(spin_held(&in->lock));
    if (is_like_last(in, wd, mask, name, length))
        return;
    if (in->count < (unsigned)READ_ONCE(inotify_max_queued_events) || mask == IN_Q_OVERFLOW)
        e = kmalloc(sizeof(*e) + padded, ALLOC_ATOMIC);
    if (!e) {
        if (mask != IN_Q_OVERFLOW)
            event_queue(in, -1, IN_Q_OVERFLOW, 0, NULL, 0);
        return;
    }
    e->head = (struct inotify_event){.wd = wd, .mask = mask, .cookie = cookie, .len = padded};
    memset((char *)event_name(e), 0, padded);
    memcpy((char *)event_name(e), name, length);
    list_add_tail(&e->link, &in->events);
    in->count++;
    in->bytes += event_size(e);
    wake_up_poll(&in->wait, EPOLLIN | EPOLLRDNORM);
}

/* ---- the file ------------------------------------------------------------------------------------------- */

/* The first event if it fits into n bytes: NULL if there is none, err_ptr(-EINVAL) if it does not. */
static struct event *event_take(struct inotify *in, size_t n)
{
    struct event *e;

    spin_lock(&in->lock);
    e = list_first_entry_or_null(&in->events, struct event, link);
    if (e && event_size(e) > n) {
        e = err_ptr(-EINVAL);
    } else if (e) {
        list_del(&e->link);
        in->count--;
        in->bytes -= event_size(e);
    }
    spin_unlock(&in->lock);
    return e;
}

static ssize_t inotify_read(struct file *file, struct iov_iter *it, loff_t *pos)
{
    struct inotify *in = file->private_data;
    struct event *e;
    ssize_t done = 0;
    int error = 0;

    for (;;) {
        e = event_take(in, it->count);
        if (is_err(e))
            return done ? done : ptr_err(e);
        if (e) {
            size_t size = event_size(e);

            if (copy_to_iter(it, &e->head, size) != size)
                error = -EFAULT;
            else
                done += size;
            kfree(e);
        } else if (done) {
            return done;
        } else if (file->flags & O_NONBLOCK) {
            return -EAGAIN;
        } else {
            error = wait_event_interruptible(&in->wait, !list_empty(&in->events));
        }
        if (error)
            return done ? done : error;
    }
}

static unsigned inotify_poll(struct file *file, struct poll_table *table)
{
    struct inotify *in = file->private_data;

    poll_wait(file, &in->wait, table);
    smp_fence();
    return list_empty(&in->events) ? 0 : EPOLLIN | EPOLLRDNORM;
}

static long inotify_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    struct inotify *in = file->private_data;

    if (command != FIONREAD)
        return -ENOTTY;
    return put_user((int)READ_ONCE(in->bytes), (int __user *)arg);
}

static void inotify_release(struct file *file)
{
    struct inotify *in = file->private_data;
    struct event *e, *next;
    struct rb_node *node;
    struct watch *w;

    for (;;) {
        spin_lock(&in->lock);
        node = rb_first(&in->watches);
        w = node ? rb_entry(node, struct watch, node) : NULL;
        if (w)
            watch_get(w);
        spin_unlock(&in->lock);
        if (!w)
            break;
        watch_end(w, 0);
        watch_put(w);
    }
    spin_lock(&in->lock); /* one who took a watch's life before us has left */
    spin_unlock(&in->lock);
    list_for_each_entry_safe(e, next, &in->events, link)
        kfree(e);
    atomic_dec(&in->user->inotify_instances);
    user_put(in->user);
    kfree(in);
}

static void inotify_show(struct file *file, struct seq_file *m)
{
    struct inotify *in = file->private_data;
    struct watch *w;

    spin_lock(&in->lock);
    rb_for_each_entry(w, &in->watches, node) {
        dev_id_t device = w->inode->sb->device;

        seq_printf(m, "inotify wd:%x ino:%lx sdev:%x mask:%x ignored_mask:0 \n", w->wd,
                   (unsigned long)w->inode->ino, dev_major(device) << 20 | dev_minor(device),
                   w->mask & IN_ALL_EVENTS);
    }
    spin_unlock(&in->lock);
}

static const struct file_ops inotify_ops = {
    .seek_ignored = true,
    .read = inotify_read,
    .poll = inotify_poll,
    .async_events = async_events_input,
    .ioctl = inotify_ioctl,
    .release = inotify_release,
    .show_fdinfo = inotify_show,
};

/* ---- system calls ------------------------------------------------------------------------------------------- */

static struct inotify *inotify_alloc(void)
{
    struct user *user = current->cred->user;
    struct inotify *in;

    if (atomic_inc_return(&user->inotify_instances) > READ_ONCE(inotify_max_user_instances)) {
        atomic_dec(&user->inotify_instances);
        return err_ptr(-EMFILE);
    }
    in = kzalloc(sizeof(*in), ALLOC_KERNEL);
    if (!in) {
        atomic_dec(&user->inotify_instances);
        return err_ptr(-ENOMEM);
    }
    spin_init(&in->lock);
    list_init(&in->events);
    wait_queue_init(&in->wait);
    mutex_init(&in->mutex);
    ref_get(&user->refs);
    in->user = user;
    return in;
}

static long inotify_create(unsigned flags)
{
    struct inotify *in;
    struct file *file;

    if (flags & ~(unsigned)(IN_CLOEXEC | IN_NONBLOCK))
        return -EINVAL;
    in = inotify_alloc();
    if (is_err(in))
        return ptr_err(in);
    file = file_object("anon_inode:inotify", &inotify_ops, in, O_RDONLY | (flags & O_NONBLOCK));
    if (is_err(file)) {
        atomic_dec(&in->user->inotify_instances);
        user_put(in->user);
        kfree(in);
    }
    return fd_for_file(file, flags & IN_CLOEXEC);
}

SYSCALL_DEFINE1(inotify_init1, int, flags)
{
    return inotify_create(flags);
}

SYSCALL_DEFINE0(inotify_init)
{
    return inotify_create(0);
}

static struct fd_ref inotify_get(int fd, struct inotify **in, int *error)
{
    struct fd_ref ref = fd_get(fd);

    *error = !ref.file ? -EBADF : ref.file->ops != &inotify_ops ? -EINVAL : 0;
    if (!*error)
        *in = ref.file->private_data;
    return ref;
}

static int add_path(struct inotify *in, const char __user *name, u32 mask)
{
    unsigned lookup =
        (mask & IN_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) | (mask & IN_ONLYDIR ? LOOKUP_DIRECTORY : 0);
    struct path path;
    int result = path_lookup_user(AT_FDCWD, name, lookup, &path);

    if (result)
        return result;
    result = inode_permission(path.dentry->inode, MAY_READ);
    if (!result) {
        mutex_lock(&in->mutex);
        result = watch_add(in, path.dentry->inode, mask);
        mutex_unlock(&in->mutex);
    }
    path_put(&path);
    return result;
}

SYSCALL_DEFINE3(inotify_add_watch, int, fd, const char __user *, name, u32, mask)
{
    struct fd_ref ref;
    struct inotify *in;
    int result;

    if (!(mask & KNOWN) || (mask & ~(u32)KNOWN))
        return -EINVAL;
    ref = inotify_get(fd, &in, &result);
    if (!result && (mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE))
        result = -EINVAL;
    if (!result)
        result = add_path(in, name, mask);
    fd_put(ref);
    return result;
}

SYSCALL_DEFINE2(inotify_rm_watch, int, fd, int, wd)
{
    struct inotify *in;
    struct watch *w;
    int error;
    struct fd_ref ref = inotify_get(fd, &in, &error);

    if (!error) {
        w = watch_find(in, wd);
        error = w && watch_end(w, 0) ? 0 : -EINVAL;
        if (w)
            watch_put(w);
    }
    fd_put(ref);
    return error;
}
