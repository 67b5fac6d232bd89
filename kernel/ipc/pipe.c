/* SPDX-License-Identifier: MIT */
/*
 * Pipes (pipe(7)). How a FIFO is opened is told in fifo.c.
 *
 * The bytes stand in a ring of pages: position p is byte p % PAGE_SIZE of page p / PAGE_SIZE modulo
 * the number of pages. Pages come when the writer reaches them and go when the reader has left them,
 * but for one: when the pipe is empty, positions begin at 0 again, so that a pipe that carries
 * small messages stays in one page for ever.
 *
 *        tail                     head                     used = head - tail <= size
 *          v                        v
 *     |..########|###########|#######.....|  (none)  |
 *      page 0      page 1      page 2       page 3
 *
 * Both sides work under the mutex, since copying may fault. Wake-ups are sent after it is released,
 * and only when a sleeper's condition can have become true: readers when the pipe was empty,
 * writers when there was no room for an atomic write. Sleepers are exclusive; one who leaves bytes
 * (or room) behind passes the wake-up on.
 */
#include "pipe.h"
#include <vellum/alloc.h>
#include <vellum/fs.h>
#include <vellum/process.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <asm/ioctls.h>
#include <linux/eventpoll.h>
#include <linux/limits.h>

#define PIPE_PAGES 16 /* 64 KiB */
#define PIPE_LIMIT (1UL << 31)

int pipe_max_size = 1 << 20;

struct pipe *pipe_alloc(void)
{
    struct pipe *p = kzalloc(sizeof(*p), ALLOC_KERNEL);

    if (!p)
        return NULL;
    p->pages = kzalloc(PIPE_PAGES * sizeof(*p->pages), ALLOC_KERNEL);
    if (!p->pages) {
        kfree(p);
        return NULL;
    }
    mutex_init(&p->mutex);
    p->size = PIPE_PAGES * PAGE_SIZE;
    wait_queue_init(&p->read_wait);
    wait_queue_init(&p->write_wait);
    return p;
}

static void pages_release(struct pipe *p)
{
    for (u64 i = 0; i < p->size / PAGE_SIZE; i++)
        if (p->pages[i])
            page_put(p->pages[i]);
    kfree(p->pages);
}

static void pipe_free(struct pipe *p)
{
    pages_release(p);
    kfree(p);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

void pipe_rewind(struct pipe *p)
{
    struct page **slot = pipe_slot(p, p->head - 1), *page = *slot;

    *slot = NULL;
    if (p->pages[0])
        page_put(p->pages[0]);
    p->pages[0] = page;
    p->head = p->tail = 0;
}

/* => p->mutex. Returns bytes, or -EFAULT */
static ssize_t pipe_take(struct pipe *p, struct iov_iter *it)
{
    size_t done = 0, n, copied;
    struct page **slot;

    while (it->count && p->tail != p->head) {
        slot = pipe_slot(p, p->tail);
        n = min_t(size_t, pipe_piece(p->tail, p->head - p->tail), it->count);
        copied = copy_to_iter(it, (char *)page_to_virt(*slot) + (p->tail & (PAGE_SIZE - 1)), n);
        p->tail += copied;
        done += copied;
        if (unlikely(copied < n))
            return done ? (ssize_t)done : -EFAULT;
        if (!(p->tail & (PAGE_SIZE - 1)) && p->tail != p->head && !pipe_page_written_again(p)) {
            page_put(*slot);
            *slot = NULL;
        }
    }
    if (p->tail == p->head) {
        if (likely(p->head < PAGE_SIZE))
            p->head = p->tail = 0;
        else
            pipe_rewind(p);
    }
    return done;
}

static ssize_t pipe_read(struct file *file, struct iov_iter *it, loff_t *pos)
{
    struct pipe *p = file->private_data;
    bool wake_writers, more, slept = false;
    ssize_t n;

    for (;;) {
        mutex_lock(&p->mutex);
        if (p->head != p->tail)
            break;
        n = p->writers == 0 ? 0 : (file->flags & O_NONBLOCK) || it->nowait ? -EAGAIN : 1;
        mutex_unlock(&p->mutex);
        if (n <= 0)
            return n;
        n = wait_event_state(&p->read_wait, pipe_used(p) || !READ_ONCE(p->writers),
                             TASK_INTERRUPTIBLE, KTIME_MAX, true);
        slept = true;
        if (n) {
            if (pipe_used(p)) /* the wake-up that came with the signal is another's */
                wake_up_poll(&p->read_wait, EPOLLIN | EPOLLRDNORM);
            return n;
        }
    }
    wake_writers = pipe_space(p) < PIPE_BUF;
    n = pipe_take(p, it);
    wake_writers &= pipe_space(p) >= PIPE_BUF;
    more = slept && p->head != p->tail; /* who did not sleep has used up no wake-up */
    mutex_unlock(&p->mutex);
    if (unlikely(wake_writers))
        wake_up_poll(&p->write_wait, EPOLLOUT | EPOLLWRNORM);
    if (unlikely(more))
        wake_up_poll(&p->read_wait, EPOLLIN | EPOLLRDNORM);
    return n;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

/* Append up to n bytes, for which there is room. => p->mutex. Returns bytes, or -errno if none */
static ssize_t pipe_put(struct pipe *p, struct iov_iter *it, size_t n)
{
    size_t done = 0, piece, copied;
    struct page **slot;

    while (done < n) {
        slot = pipe_slot(p, p->head);
        if (unlikely(!*slot)) {
            *slot = page_alloc(ALLOC_USER);
            if (!*slot)
                return done ? (ssize_t)done : -ENOMEM;
        }
        piece = pipe_piece(p->head, n - done);
        copied =
            copy_from_iter(it, (char *)page_to_virt(*slot) + (p->head & (PAGE_SIZE - 1)), piece);
        if (unlikely(copied < piece)) {
            if (done && n > PIPE_BUF)
                return done;
            p->head -= done; /* in one piece or not at all */
            return -EFAULT;
        }
        p->head += copied;
        done += copied;
    }
    return done;
}

static ssize_t broken_pipe(void)
{
    signal_send_thread(current, SIGPIPE, NULL);
    return -EPIPE;
}

/* Room for what has to be written in one piece: all of it up to PIPE_BUF, else any. */
static inline size_t room_needed(size_t count)
{
    return count <= PIPE_BUF ? count : 1;
}

static ssize_t pipe_write(struct file *file, struct iov_iter *it, loff_t *pos)
{
    struct pipe *p = file->private_data;
    size_t total = 0, need = room_needed(it->count), room;
    bool wake_readers;
    ssize_t n;

    while (it->count) {
        mutex_lock(&p->mutex);
        if (unlikely(!p->readers)) {
            mutex_unlock(&p->mutex);
            n = broken_pipe();
            goto out;
        }
        room = pipe_space(p);
        if (room < need) {
            mutex_unlock(&p->mutex);
            n = -EAGAIN;
            if ((file->flags & O_NONBLOCK) || it->nowait)
                goto out;
            n = wait_event_state(&p->write_wait, pipe_space(p) >= need || !READ_ONCE(p->readers),
                                 TASK_INTERRUPTIBLE, KTIME_MAX, true);
            if (n)
                goto out;
            continue;
        }
        wake_readers = p->head == p->tail;
        n = pipe_put(p, it, min(room, it->count));
        wake_readers = (wake_readers && p->head != p->tail) || (unlikely(p->polled) && n > 0);
        mutex_unlock(&p->mutex);
        if (wake_readers)
            wake_up_poll(&p->read_wait, EPOLLIN | EPOLLRDNORM);
        if (n < 0)
            goto out;
        total += n;
        need = 1; /* the rest of a long write may be taken apart */
    }
    n = 0;
out:
    /* Another writer may have what it needs, when we did not use all of the room. */
    if (unlikely(!list_empty(&p->write_wait.entries)) && pipe_space(p) >= PIPE_BUF)
        wake_up_poll(&p->write_wait, EPOLLOUT | EPOLLWRNORM);
    return total ? (ssize_t)total : n;
}

/* ---- the rest of an open end ---------------------------------------------------------------------------- */

static unsigned pipe_poll(struct file *file, struct poll_table *table)
{
    struct pipe *p = file->private_data;
    unsigned events = 0;

    if (unlikely(table != NULL)) {
        WRITE_ONCE(p->polled, true);
        if (file->mode & FILE_READ)
            poll_wait(file, &p->read_wait, table);
        if (file->mode & FILE_WRITE)
            poll_wait(file, &p->write_wait, table);
    }
    if (file->mode & FILE_READ) {
        /* In this order: what the last writer wrote before it closed is seen with the close. */
        if (unlikely(!smp_load_acquire(&p->writers)) && file->version != p->write_opens)
            events = EPOLLHUP;
        if (pipe_used(p))
            events |= EPOLLIN | EPOLLRDNORM;
    }
    if (file->mode & FILE_WRITE) {
        if (pipe_space(p) >= PIPE_BUF)
            events |= EPOLLOUT | EPOLLWRNORM;
        if (unlikely(!READ_ONCE(p->readers)))
            events |= EPOLLERR;
    }
    return events;
}

static unsigned pipe_async_events(struct file *file, unsigned long events)
{
    return events & (EPOLLIN | EPOLLOUT); /* the end, too, is told of as bytes, or room */
}

static long pipe_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    struct pipe *p = file->private_data;

    if (command != FIONREAD)
        return -ENOTTY;
    return put_user((int)pipe_used(p), (int __user *)arg);
}

void pipe_wake_all(struct pipe *p)
{
    if (wait_queue_active(&p->read_wait))
        wake_up(&p->read_wait, ~0u, EPOLLIN | EPOLLRDNORM | EPOLLHUP);
    if (wait_queue_active(&p->write_wait))
        wake_up(&p->write_wait, ~0u, EPOLLOUT | EPOLLWRNORM | EPOLLERR);
}

void pipe_unuse(struct inode *inode, struct pipe *p)
{
    mutex_lock(&inode->mutex);
    if (--p->users == 0) {
        inode->pipe = NULL;
        pipe_free(p);
    }
    mutex_unlock(&inode->mutex);
}

void pipe_release(struct file *file)
{
    struct pipe *p = file->private_data;

    mutex_lock(&p->mutex);
    if (file->mode & FILE_READ)
        p->readers--;
    if (file->mode & FILE_WRITE)
        p->writers--;
    mutex_unlock(&p->mutex);
    pipe_wake_all(p);
    pipe_unuse(file->inode, p);
}

const struct file_ops pipe_ops = {
    .can_nowait = true,
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .async_events = pipe_async_events,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
};

/* ---- pipe(2) -------------------------------------------------------------------------------------------- */

int pipe_create(struct file *ends[2], unsigned flags)
{
    struct pipe *p = pipe_alloc();
    struct inode *inode;

    if (!p)
        return -ENOMEM;
    inode = inode_anonymous(S_IFIFO | 0600);
    if (!inode)
        goto fail_pipe;
    inode->pipe = p;
    inode->file_ops = &pipe_again_ops; /* for /proc/self/fd/N */
    ends[1] = file_anonymous(inode, &pipe_ops, O_WRONLY | flags, "pipe:");
    if (is_err(ends[1]))
        goto fail_inode;
    ends[0] = file_anonymous_again(ends[1], &pipe_ops, O_RDONLY | flags);
    ends[1]->private_data = p;
    ends[1]->version = ~0UL;
    p->writers = p->write_opens = p->users = 1;
    if (is_err(ends[0])) {
        file_put(ends[1]); /* and the pipe with it */
        return -ENOMEM;
    }
    ends[0]->private_data = p;
    ends[0]->version = ~0UL;
    p->readers = p->read_opens = 1;
    p->users = 2;
    return 0;
fail_inode:
    inode_put(inode);
fail_pipe:
    pipe_free(p);
    return -ENOMEM;
}

static long do_pipe(int __user *result, unsigned flags)
{
    struct file *ends[2];
    int error;

    if (flags & ~(O_CLOEXEC | O_NONBLOCK))
        return -EINVAL; /* O_DIRECT: there are no packets */
    error = pipe_create(ends, flags & O_NONBLOCK);
    return error ? error : fd_pair_for_files(ends, flags & O_CLOEXEC, result);
}

SYSCALL_DEFINE2(pipe2, int __user *, result, unsigned, flags)
{
    return do_pipe(result, flags);
}

SYSCALL_DEFINE1(pipe, int __user *, result)
{
    return do_pipe(result, 0);
}

/* The writer that we are counts as gone meanwhile. */
int pipe_finish(struct file *end)
{
    struct pipe *p = end->private_data;
    int error;

    mutex_lock(&p->mutex);
    p->writers--;
    mutex_unlock(&p->mutex);
    pipe_wake_all(p);
    error = wait_event_interruptible(&p->write_wait, !READ_ONCE(p->readers));
    mutex_lock(&p->mutex);
    p->writers++;
    mutex_unlock(&p->mutex);
    return error;
}

struct pipe *pipe_of_file(const struct file *file)
{
    return file->ops == &pipe_ops ? file->private_data : NULL;
}

/* ---- F_GETPIPE_SZ, F_SETPIPE_SZ --------------------------------------------------------------------------- */

/* The pages of what is in the pipe, in a new ring from its start on. When both ends stand in one page,
 * what the writer has in it moves to a page of its own. 0, -ENOMEM */
static int move_pages(struct pipe *p, struct page **pages, u64 first)
{
    struct page *last = NULL;
    u64 n = (p->head - first + PAGE_SIZE - 1) >> PAGE_SHIFT, i;

    if (p->head - first > p->size) {
        last = page_alloc(ALLOC_KERNEL);
        if (!last)
            return -ENOMEM;
        memcpy(page_to_virt(last), page_to_virt(*pipe_slot(p, first)), p->head & (PAGE_SIZE - 1));
        pages[--n] = last;
    }
    for (i = 0; i < n; i++) {
        pages[i] = *pipe_slot(p, first + (i << PAGE_SHIFT));
        *pipe_slot(p, first + (i << PAGE_SHIFT)) = NULL;
    }
    return 0;
}

static int pipe_resize(struct pipe *p, u64 size)
{
    u64 first = p->tail & PAGE_MASK;
    struct page **pages;
    int error = -EBUSY;

    if (size > PIPE_LIMIT)
        return -EINVAL;
    size = max_t(u64, 1UL << log2_ceil(max_t(u64, size, 1)), PAGE_SIZE);
    if (size > p->size && size > (size_t)READ_ONCE(pipe_max_size) && !capable(CAP_SYS_RESOURCE))
        return -EPERM;
    if (p->head == p->tail)
        p->head = p->tail = first = 0;
    pages = kzalloc(size / PAGE_SIZE * sizeof(*pages), ALLOC_KERNEL);
    if (!pages)
        return -ENOMEM;
    if (p->head - first <= size)
        error = move_pages(p, pages, first);
    if (error) {
        kfree(pages);
        return error;
    }
    pages_release(p);
    p->pages = pages;
    p->tail -= first;
    p->head -= first;
    WRITE_ONCE(p->size, size);
    return size;
}

long pipe_fcntl(struct file *file, unsigned command, unsigned long arg)
{
    struct pipe *p = file->private_data;
    long result;

    if (file->ops != &pipe_ops)
        return -EBADF;
    mutex_lock(&p->mutex);
    result = command == F_GETPIPE_SZ ? (long)p->size : pipe_resize(p, arg);
    mutex_unlock(&p->mutex);
    if (command == F_SETPIPE_SZ && result > 0)
        pipe_wake_all(p);
    return result;
}
