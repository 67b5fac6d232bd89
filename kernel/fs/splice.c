/* SPDX-License-Identifier: MIT */
/*
 * Copies between files inside the kernel: sendfile(2), copy_file_range(2).
 */
#include "internal.h"
#include <vellum/notify.h>
#include <vellum/syscall.h>

#define COPY_BUFFER (2 * PAGE_SIZE)

/* Where one side of the copy stands: its own offset, or the file's position. */
struct side {
    struct file *file;
    loff_t offset, *pos;
};

/* Copy up to n bytes. What was read and could not be written is not lost: the read position goes back
 * to what was written. */
static ssize_t copy_between(struct side *in, struct side *out, size_t n)
{
    char *buffer = kmalloc(COPY_BUFFER, ALLOC_KERNEL);
    struct iov_iter it;
    ssize_t total = 0, got, put = 0;

    if (!buffer)
        return -ENOMEM;
    while (total < (ssize_t)n) {
        loff_t from = *in->pos;

        iov_kernel(&it, buffer, min_t(size_t, n - total, COPY_BUFFER));
        got = in->file->ops->read(in->file, &it, in->pos);
        if (got <= 0) {
            put = got;
            break;
        }
        iov_kernel(&it, buffer, got);
        put = out->file->ops->write(out->file, &it, out->pos);
        if (put < got)
            *in->pos = from + max(put, 0);
        if (put <= 0)
            break;
        total += put;
        if (put < got || signal_pending())
            break;
    }
    kfree(buffer);
    return total ? total : put;
}

/* An offset given by pointer, or the file's position under its mutex. */
static int side_begin(struct side *s, struct file *file, const loff_t __user *offset)
{
    s->file = file;
    if (!offset) {
        s->pos = file->mode & FILE_STREAM ? NULL : &file->pos;
        return 0;
    }
    if (file->mode & FILE_STREAM)
        return -ESPIPE;
    if (get_user(s->offset, offset))
        return -EFAULT;
    s->pos = &s->offset;
    return s->offset < 0 ? -EINVAL : 0;
}

static ssize_t copy_files(struct file *in, loff_t __user *in_offset, struct file *out,
                          loff_t __user *out_offset, size_t n)
{
    struct side from = {0}, to = {0};
    ssize_t result = side_begin(&from, in, in_offset);

    if (!result)
        result = side_begin(&to, out, out_offset);
    if (result)
        return result;
    if (!from.pos)
        return -EINVAL;
    result = copy_between(&from, &to, min_t(size_t, n, MAX_RW_COUNT));
    if (result > 0) {
        notify_file(in, IN_ACCESS);
        notify_file(out, IN_MODIFY);
    }
    if (in_offset && put_user(from.offset, in_offset))
        return -EFAULT;
    if (out_offset && put_user(to.offset, out_offset))
        return -EFAULT;
    return result;
}

SYSCALL_DEFINE4(sendfile, unsigned, out_fd, unsigned, in_fd, loff_t __user *, offset, size_t, n)
{
    struct fd_ref in = fd_get(in_fd), out = fd_get(out_fd);
    ssize_t result = -EBADF;

    if (!in.file || !out.file || !(in.file->mode & FILE_READ) || !(out.file->mode & FILE_WRITE))
        goto out;
    result = -EINVAL;
    if (!in.file->ops->read || !out.file->ops->write || (out.file->flags & O_APPEND) ||
        (!IS_REGULAR(in.file->inode) && !IS_DEVICE(in.file->inode)))
        goto out;
    result = copy_files(in.file, offset, out.file, NULL, n);
out:
    fd_put(in);
    fd_put(out);
    return result;
}

static int copy_range_check(const struct file *in, const struct file *out)
{
    if (IS_DIR(in->inode) || IS_DIR(out->inode))
        return -EISDIR;
    if (!IS_REGULAR(in->inode) || !IS_REGULAR(out->inode))
        return -EINVAL;
    if (!(in->mode & FILE_READ) || !(out->mode & FILE_WRITE) || (out->flags & O_APPEND))
        return -EBADF;
    if (!in->ops->read || !out->ops->write)
        return -EINVAL;
    return in->inode->sb == out->inode->sb ? 0 : -EXDEV;
}

static int copy_range_starts(const struct file *file, const loff_t __user *offset, loff_t *start)
{
    *start = file->pos;
    return offset && get_user(*start, offset) ? -EFAULT : 0;
}

/* May the two ranges be what they are? Within one file *n becomes what there is to copy now, lest the copy
 * be copied as well. */
static int check_ranges(const struct inode *in, const struct inode *out, u64 from, u64 to,
                        size_t *n)
{
    u64 size = READ_ONCE(in->size);

    if (from + *n < from || to + *n < to)
        return -EOVERFLOW;
    if ((loff_t)from < 0 || (loff_t)to < 0)
        return -EINVAL;
    if (in != out)
        return 0;
    *n = from < size ? min(*n, size - from) : 0;
    return *n && from < to + *n && to < from + *n ? -EINVAL : 0;
}

SYSCALL_DEFINE6(copy_file_range, unsigned, in_fd, loff_t __user *, in_offset, unsigned, out_fd,
                loff_t __user *, out_offset, size_t, n, unsigned, flags)
{
    struct fd_ref in = fd_get(in_fd), out = fd_get(out_fd);
    loff_t from, to;
    ssize_t result = -EBADF;

    if (!in.file || !out.file)
        goto out;
    result = flags ? -EINVAL : copy_range_check(in.file, out.file);
    if (result)
        goto out;
    result = copy_range_starts(in.file, in_offset, &from);
    if (!result)
        result = copy_range_starts(out.file, out_offset, &to);
    if (!result)
        result = check_ranges(in.file->inode, out.file->inode, from, to, &n);
    if (result)
        goto out;
    result = n ? copy_files(in.file, in_offset, out.file, out_offset, n) : 0;
out:
    fd_put(in);
    fd_put(out);
    return result;
}
