/* SPDX-License-Identifier: MIT */
/*
 * splice(2), tee(2), vmsplice(2): data into, out of and between pipes without a detour through user
 * space.
 *
 * A file is read right into the pipe's pages and written right from them; between two pipes a whole
 * page changes hands without being copied if it stands alone in its place on both sides. The pipe's
 * mutex is held meanwhile, so what could not be written stays in the pipe.
 */
#include "pipe.h"
#include <vellum/alloc.h>
#include <vellum/process.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <linux/eventpoll.h>

/* <fcntl.h>; the UAPI headers leave these to the C library. */
enum { SPLICE_F_MOVE = 1, SPLICE_F_NONBLOCK = 2, SPLICE_F_MORE = 4, SPLICE_F_GIFT = 8 };
#define SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

/* ---- waiting for a pipe ----------------------------------------------------------------------------------- */

static ssize_t broken_pipe(void)
{
    signal_send_thread(current, SIGPIPE, NULL);
    return -EPIPE;
}

/* Lock p with something in it: 0; 1 at the end (no writer), -EAGAIN, -ERESTARTSYS: not locked. */
static int lock_with_data(struct pipe *p, bool nonblock)
{
    int r;

    for (;;) {
        mutex_lock(&p->mutex);
        if (p->head != p->tail)
            return 0;
        r = p->writers == 0 ? 1 : nonblock ? -EAGAIN : 0;
        mutex_unlock(&p->mutex);
        if (!r)
            r = wait_event_interruptible(&p->read_wait, pipe_used(p) || !READ_ONCE(p->writers));
        if (r)
            return r;
    }
}

/* Lock p with room in it: 0; -EPIPE, -EAGAIN, -ERESTARTSYS: not locked. */
static int lock_with_room(struct pipe *p, bool nonblock)
{
    int r;

    for (;;) {
        mutex_lock(&p->mutex);
        if (p->readers && pipe_space(p))
            return 0;
        r = !p->readers ? -EPIPE : nonblock ? -EAGAIN : 0;
        mutex_unlock(&p->mutex);
        if (r == -EPIPE)
            return broken_pipe();
        if (!r)
            r = wait_event_interruptible(&p->write_wait, pipe_space(p) || !READ_ONCE(p->readers));
        if (r)
            return r;
    }
}

static void wake_readers(struct pipe *p)
{
    if (wait_queue_active(&p->read_wait))
        wake_up(&p->read_wait, ~0u, EPOLLIN | EPOLLRDNORM);
}

static void wake_writers(struct pipe *p)
{
    if (wait_queue_active(&p->write_wait))
        wake_up(&p->write_wait, ~0u, EPOLLOUT | EPOLLWRNORM);
}

/* ---- file to pipe, pipe to file ----------------------------------------------------------------------------- */

/* Would the next read of a stream find something? */
static bool more_to_read(struct file *in)
{
    return in->ops->poll && (in->ops->poll(in, NULL) & EPOLLIN);
}

/* => p->mutex. Read until n bytes are in, the pipe is full or the file has no more for now. */
static ssize_t fill(struct pipe *p, struct file *in, loff_t *pos, size_t n)
{
    ssize_t done = 0, got = 0;
    struct iov_iter it;
    struct page **slot;
    size_t piece;

    for (n = min_t(size_t, n, pipe_space(p)); (size_t)done < n; done += got) {
        slot = pipe_slot(p, p->head);
        if (!*slot)
            *slot = page_alloc(ALLOC_KERNEL);
        if (!*slot)
            return done ? done : -ENOMEM;
        piece = pipe_piece(p->head, n - done);
        iov_kernel(&it, (char *)page_to_virt(*slot) + (p->head & (PAGE_SIZE - 1)), piece);
        got = in->ops->read(in, &it, pos);
        if (got <= 0)
            break;
        p->head += got;
        if ((size_t)got < piece || (!pos && !more_to_read(in))) {
            done += got;
            break;
        }
    }
    return done ? done : got;
}

static ssize_t file_to_pipe(struct file *in, loff_t *pos, struct pipe *p, size_t n, bool nonblock)
{
    ssize_t r = lock_with_room(p, nonblock);

    if (r)
        return r;
    r = fill(p, in, pos, n);
    mutex_unlock(&p->mutex);
    if (r > 0)
        wake_readers(p);
    return r;
}

/* => p->mutex */
static ssize_t drain(struct pipe *p, struct file *out, loff_t *pos, size_t n)
{
    ssize_t done = 0, put = 0;
    struct iov_iter it;
    size_t piece;

    while ((size_t)done < n && p->tail != p->head) {
        piece = pipe_piece(p->tail, min_t(size_t, n - done, p->head - p->tail));
        iov_kernel(&it, (char *)page_to_virt(*pipe_slot(p, p->tail)) + (p->tail & (PAGE_SIZE - 1)),
                   piece);
        put = out->ops->write(out, &it, pos);
        if (put <= 0)
            break;
        pipe_consume(p, put);
        done += put;
        if ((size_t)put < piece ||
            fatal_signal_pending()) /* what is there goes at once, as a write does */
            break;
    }
    return done ? done : put;
}

static ssize_t pipe_to_file(struct pipe *p, struct file *out, loff_t *pos, size_t n, bool nonblock)
{
    ssize_t r = lock_with_data(p, nonblock);

    if (r)
        return r == 1 ? 0 : r;
    r = drain(p, out, pos, n);
    mutex_unlock(&p->mutex);
    if (r > 0)
        wake_writers(p);
    return r;
}

/* ---- pipe to pipe --------------------------------------------------------------------------------------------- */

static void lock_both(struct pipe *a, struct pipe *b)
{
    mutex_lock(a < b ? &a->mutex : &b->mutex);
    mutex_lock_nested(a < b ? &b->mutex : &a->mutex, 1);
}

static void unlock_both(struct pipe *a, struct pipe *b)
{
    mutex_unlock(&a->mutex);
    mutex_unlock(&b->mutex);
}

/* A page that `from` at pos fills, and that can stand at the head of `to` as it is. */
static bool whole_page(struct pipe *from, u64 pos, struct pipe *to, size_t n)
{
    return n >= PAGE_SIZE && !((pos | to->head) & (PAGE_SIZE - 1)) && pipe_space(to) >= PAGE_SIZE &&
           from->head - from->tail <= from->size - PAGE_SIZE;
}

/* => both. Up to n bytes; `keep`: they stay in `from` as well. */
static ssize_t transfer(struct pipe *from, struct pipe *to, size_t n, bool keep)
{
    struct page **source, **target;
    u64 pos = from->tail;
    ssize_t done = 0;
    size_t piece;

    n = min_t(size_t, n, min(from->head - from->tail, pipe_space(to)));
    while ((size_t)done < n) {
        source = pipe_slot(from, pos);
        target = pipe_slot(to, to->head);
        if (!keep && whole_page(from, pos, to, n - done)) {
            SWAP(*source, *target); /* what stood there is empty, or nothing */
            piece = PAGE_SIZE;
        } else {
            if (!*target)
                *target = page_alloc(ALLOC_KERNEL);
            if (!*target)
                return done ? done : -ENOMEM;
            piece = pipe_piece(to->head, pipe_piece(pos, n - done));
            memcpy((char *)page_to_virt(*target) + (to->head & (PAGE_SIZE - 1)),
                   (char *)page_to_virt(*source) + (pos & (PAGE_SIZE - 1)), piece);
        }
        to->head += piece;
        pos += piece;
        done += piece;
        if (!keep)
            pipe_consume(from, piece);
        if (from->head == from->tail) /* positions began anew */
            break;
    }
    return done;
}

/* 0: both are locked, with data and room; 1: the end; or an error. */
static int lock_ready(struct pipe *from, struct pipe *to, bool nonblock)
{
    int r;

    for (;;) {
        r = lock_with_data(from, nonblock);
        if (r)
            return r;
        mutex_unlock(&from->mutex);
        r = lock_with_room(to, nonblock);
        if (r)
            return r;
        mutex_unlock(&to->mutex);
        lock_both(from, to);
        if (from->head != from->tail && pipe_space(to) && to->readers)
            return 0;
        unlock_both(from, to);
    }
}

static ssize_t pipe_to_pipe(struct pipe *from, struct pipe *to, size_t n, bool nonblock, bool keep)
{
    ssize_t r = from == to ? -EINVAL : lock_ready(from, to, nonblock);

    if (r)
        return r == 1 ? 0 : r;
    r = transfer(from, to, n, keep);
    unlock_both(from, to);
    if (r > 0) {
        wake_readers(to);
        if (!keep)
            wake_writers(from);
    }
    return r;
}

/* ---- the calls -------------------------------------------------------------------------------------------------- */

/* Where a file that is no pipe is read or written: an offset of the user's, or its own. */
static int place(struct file *file, loff_t __user *user, loff_t *offset, loff_t **pos)
{
    *pos = file->mode & FILE_STREAM ? NULL : &file->pos;
    if (!user)
        return 0;
    if (file->mode & FILE_STREAM)
        return -EINVAL;
    if (get_user(*offset, user))
        return -EFAULT;
    *pos = offset;
    return *offset < 0 ? -EINVAL : 0;
}

static ssize_t splice_file(struct file *file, loff_t __user *user, struct pipe *p, size_t n,
                           bool nonblock, bool to_pipe)
{
    loff_t offset, *pos;
    bool own;
    ssize_t r = place(file, user, &offset, &pos);

    if (r)
        return r;
    if (to_pipe ? !file->ops->read : (!file->ops->write || (file->flags & O_APPEND)))
        return -EINVAL;
    own = pos == &file->pos;
    if (own)
        mutex_lock(&file->pos_mutex);
    r = to_pipe ? file_to_pipe(file, pos, p, n, nonblock) : pipe_to_file(p, file, pos, n, nonblock);
    if (own)
        mutex_unlock(&file->pos_mutex);
    if (r > 0 && user && put_user(offset, user))
        return -EFAULT;
    return r;
}

static ssize_t do_splice(struct file *in, loff_t __user *in_offset, struct file *out,
                         loff_t __user *out_offset, size_t n, unsigned flags)
{
    struct pipe *from = pipe_of_file(in), *to = pipe_of_file(out);
    bool nonblock = flags & SPLICE_F_NONBLOCK;

    if (!(in->mode & FILE_READ) || !(out->mode & FILE_WRITE))
        return -EBADF;
    if ((from && in_offset) || (to && out_offset))
        return -ESPIPE;
    if (from && to)
        return pipe_to_pipe(from, to, n, nonblock || ((in->flags | out->flags) & O_NONBLOCK),
                            false);
    if (from)
        return splice_file(out, out_offset, from, n, nonblock || (in->flags & O_NONBLOCK), false);
    if (to)
        return splice_file(in, in_offset, to, n, nonblock || (out->flags & O_NONBLOCK), true);
    return -EINVAL;
}

SYSCALL_DEFINE6(splice, unsigned, in_fd, loff_t __user *, in_offset, unsigned, out_fd,
                loff_t __user *, out_offset, size_t, n, unsigned, flags)
{
    struct fd_ref in, out;
    ssize_t result = -EBADF;

    if (!n)
        return 0;
    if (flags & ~(unsigned)SPLICE_FLAGS)
        return -EINVAL;
    in = fd_get(in_fd);
    out = fd_get(out_fd);
    if (in.file && out.file)
        result = do_splice(in.file, in_offset, out.file, out_offset, min_t(size_t, n, MAX_RW_COUNT),
                           flags);
    fd_put(in);
    fd_put(out);
    return result;
}

static ssize_t do_tee(struct file *in, struct file *out, size_t n, unsigned flags)
{
    struct pipe *from = pipe_of_file(in), *to = pipe_of_file(out);

    if (!(in->mode & FILE_READ) || !(out->mode & FILE_WRITE))
        return -EBADF;
    if (!from || !to)
        return -EINVAL;
    return pipe_to_pipe(
        from, to, n, (flags & SPLICE_F_NONBLOCK) || ((in->flags | out->flags) & O_NONBLOCK), true);
}

SYSCALL_DEFINE4(tee, unsigned, in_fd, unsigned, out_fd, size_t, n, unsigned, flags)
{
    struct fd_ref in, out;
    ssize_t result = -EBADF;

    if (flags & ~(unsigned)SPLICE_FLAGS)
        return -EINVAL;
    if (!n)
        return 0;
    in = fd_get(in_fd);
    out = fd_get(out_fd);
    if (in.file && out.file)
        result = do_tee(in.file, out.file, min_t(size_t, n, MAX_RW_COUNT), flags);
    fd_put(in);
    fd_put(out);
    return result;
}

/* The bytes are copied, whatever SPLICE_F_GIFT offers: the caller may do with its pages what it likes. */
SYSCALL_DEFINE4(vmsplice, unsigned, fd, const struct iovec __user *, uiov, unsigned long, n,
                unsigned, flags)
{
    struct iovec fast[IOV_FAST], *iov = fast;
    struct fd_ref ref;
    struct iov_iter it;
    ssize_t result = -EBADF;
    bool write;

    if (flags & ~(unsigned)SPLICE_FLAGS)
        return -EINVAL;
    ref = fd_get(fd);
    if (!ref.file || !pipe_of_file(ref.file) || !(ref.file->mode & (FILE_READ | FILE_WRITE)))
        goto out;
    write = ref.file->mode & FILE_WRITE;
    result = iov_import(&it, uiov, n, fast, &iov);
    if (!result && it.count) {
        struct pipe *p = pipe_of_file(ref.file);
        u64 space = pipe_space(p);

        if ((flags & SPLICE_F_NONBLOCK) &&
            (write ? !space && p->readers : !pipe_used(p) && p->writers))
            result = -EAGAIN;
        if (write) /* it waits for some room, but not for the reader of all */
            it.count = min_t(size_t, it.count, space ? space : PAGE_SIZE);
    }
    if (!result && it.count)
        result = write ? ref.file->ops->write(ref.file, &it, NULL)
                       : ref.file->ops->read(ref.file, &it, NULL);
    if (iov != fast)
        kfree(iov);
out:
    fd_put(ref);
    return result;
}
