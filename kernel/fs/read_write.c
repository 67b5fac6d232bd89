/* SPDX-License-Identifier: MIT */
/*
 * read(2), write(2) and their relatives: descriptor to file, buffer to iterator, position to offset;
 * the rest is the file's operations.
 */
#include "internal.h"
#include <vellum/notify.h>
#include <vellum/syscall.h>
#include <linux/fs.h>

typedef ssize_t transfer_fn(struct file *file, struct iov_iter *it, loff_t *pos);

static transfer_fn *read_method(const struct file *file, ssize_t *error)
{
    if (likely((file->mode & FILE_READ) && file->ops->read))
        return file->ops->read;
    *error = !(file->mode & FILE_READ) ? -EBADF : IS_DIR(file->inode) ? -EISDIR : -EINVAL;
    return NULL;
}

static transfer_fn *write_method(const struct file *file, ssize_t *error)
{
    if (likely((file->mode & FILE_WRITE) && file->ops->write))
        return file->ops->write;
    *error = file->mode & FILE_WRITE ? -EINVAL : -EBADF;
    return NULL;
}

/* For /proc/PID/io. */
static inline ssize_t count_read(ssize_t result)
{
    struct io_counts *io = &current->io;

    io->reads++;
    if (likely(result > 0))
        io->read_bytes += result;
    return result;
}

static inline ssize_t count_write(ssize_t result)
{
    struct io_counts *io = &current->io;

    io->writes++;
    if (likely(result > 0))
        io->written_bytes += result;
    return result;
}

static inline bool beyond_all_files(loff_t pos, size_t n)
{
    return unlikely((loff_t)((u64)pos + n) < 0);
}

/* At the file's own position, which threads and processes that share the file take turns at. */
static inline ssize_t transfer(transfer_fn *fn, struct file *file, struct iov_iter *it)
{
    ssize_t result;

    if (file->mode & FILE_STREAM)
        return fn(file, it, NULL);
    if (likely(atomic_read(&file->refs) == 1))
        return beyond_all_files(file->pos, it->count) ? -EINVAL : fn(file, it, &file->pos);
    mutex_lock(&file->pos_mutex);
    result = beyond_all_files(file->pos, it->count) ? -EINVAL : fn(file, it, &file->pos);
    mutex_unlock(&file->pos_mutex);
    return result;
}

/* At a position of the caller's. */
static ssize_t transfer_at(transfer_fn *fn, struct file *file, struct iov_iter *it, loff_t pos)
{
    if (file->mode & FILE_STREAM)
        return -ESPIPE;
    if (pos < 0 || beyond_all_files(pos, it->count))
        return -EINVAL;
    return fn(file, it, &pos);
}

SYSCALL_DEFINE3(read, unsigned, fd, char __user *, buffer, size_t, n)
{
    struct fd_ref ref = fd_get(fd);
    struct iov_iter it;
    transfer_fn *fn;
    ssize_t result;

    if (unlikely(!ref.file))
        return -EBADF;
    fn = read_method(ref.file, &result);
    if (likely(fn != NULL)) {
        result = -EFAULT;
        if (likely(user_range_ok(buffer, n))) {
            iov_single(&it, buffer, min_t(size_t, n, MAX_RW_COUNT));
            result = likely(n) ? transfer(fn, ref.file, &it) : 0;
            if (notify_wanted() && result > 0)
                notify_file(ref.file, IN_ACCESS);
        }
    }
    fd_put(ref);
    return count_read(result);
}

SYSCALL_DEFINE3(write, unsigned, fd, const char __user *, buffer, size_t, n)
{
    struct fd_ref ref = fd_get(fd);
    struct iov_iter it;
    transfer_fn *fn;
    ssize_t result;

    if (unlikely(!ref.file))
        return -EBADF;
    fn = write_method(ref.file, &result);
    if (likely(fn != NULL)) {
        result = -EFAULT;
        if (likely(user_range_ok(buffer, n))) {
            iov_single(&it, (char __user *)buffer, min_t(size_t, n, MAX_RW_COUNT));
            result = likely(n) ? transfer(fn, ref.file, &it) : 0;
            if (notify_wanted() && result > 0)
                notify_file(ref.file, IN_MODIFY);
        }
    }
    fd_put(ref);
    return count_write(result);
}

SYSCALL_DEFINE4(pread64, unsigned, fd, char __user *, buffer, size_t, n, loff_t, pos)
{
    struct fd_ref ref = fd_get(fd);
    struct iov_iter it;
    transfer_fn *fn;
    ssize_t result = pos < 0 ? -EINVAL : -EBADF;

    if (unlikely(!ref.file || pos < 0))
        goto out;
    fn = read_method(ref.file, &result);
    if (fn) {
        iov_single(&it, buffer, min_t(size_t, n, MAX_RW_COUNT));
        result = user_range_ok(buffer, n) ? transfer_at(fn, ref.file, &it, pos) : -EFAULT;
        if (notify_wanted() && result > 0)
            notify_file(ref.file, IN_ACCESS);
    }
out:
    fd_put(ref);
    return count_read(result);
}

SYSCALL_DEFINE4(pwrite64, unsigned, fd, const char __user *, buffer, size_t, n, loff_t, pos)
{
    struct fd_ref ref = fd_get(fd);
    struct iov_iter it;
    transfer_fn *fn;
    ssize_t result = pos < 0 ? -EINVAL : -EBADF;

    if (unlikely(!ref.file || pos < 0))
        goto out;
    fn = write_method(ref.file, &result);
    if (fn) {
        iov_single(&it, (char __user *)buffer, min_t(size_t, n, MAX_RW_COUNT));
        result = user_range_ok(buffer, n) ? transfer_at(fn, ref.file, &it, pos) : -EFAULT;
        if (notify_wanted() && result > 0)
            notify_file(ref.file, IN_MODIFY);
    }
out:
    fd_put(ref);
    return count_write(result);
}

/* ---- several buffers --------------------------------------------------------------------------------- */

#define AT_FILE_POSITION ((loff_t)-1)

static int flags_check(const struct file *file, int flags)
{
    if (flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
        return -EOPNOTSUPP;
    return (flags & RWF_NOWAIT) && !file->ops->can_nowait ? -EOPNOTSUPP : 0;
}

/* RWF_APPEND for one call. */
static ssize_t transfer_append(transfer_fn *fn, struct file *file, struct iov_iter *it)
{
    loff_t pos = READ_ONCE(file->inode->size);

    return fn(file, it, file->mode & FILE_STREAM ? NULL : &pos);
}

static ssize_t transfer_vector(unsigned fd, const struct iovec __user *uiov, unsigned long n,
                               loff_t pos, int flags, bool write)
{
    struct fd_ref ref = fd_get(fd);
    struct iovec fast[IOV_FAST], *iov = fast;
    struct iov_iter it;
    transfer_fn *fn;
    ssize_t result;

    if (!ref.file)
        return -EBADF;
    fn = write ? write_method(ref.file, &result) : read_method(ref.file, &result);
    if (!fn)
        goto out;
    result = flags_check(ref.file, flags);
    if (!result)
        result = iov_import(&it, uiov, n, fast, &iov);
    it.nowait = flags & RWF_NOWAIT;
    if (!result && (it.count || pos != AT_FILE_POSITION)) {
        if (write && (flags & RWF_APPEND))
            result = transfer_append(fn, ref.file, &it);
        else if (pos == AT_FILE_POSITION)
            result = transfer(fn, ref.file, &it);
        else
            result = transfer_at(fn, ref.file, &it, pos);
    }
    if (notify_wanted() && result > 0)
        notify_file(ref.file, write ? IN_MODIFY : IN_ACCESS);
    if (result > 0 && (flags & (RWF_DSYNC | RWF_SYNC)) && write && ref.file->ops->fsync) {
        int error = ref.file->ops->fsync(ref.file, 0, INT64_MAX, !(flags & RWF_SYNC));

        result = error ? error : result;
    }
    if (iov != fast)
        kfree(iov);
out:
    fd_put(ref);
    return count_write(result);
}

SYSCALL_DEFINE3(readv, unsigned, fd, const struct iovec __user *, iov, unsigned long, n)
{
    return transfer_vector(fd, iov, n, AT_FILE_POSITION, 0, false);
}

SYSCALL_DEFINE3(writev, unsigned, fd, const struct iovec __user *, iov, unsigned long, n)
{
    return transfer_vector(fd, iov, n, AT_FILE_POSITION, 0, true);
}

SYSCALL_DEFINE4(preadv, unsigned, fd, const struct iovec __user *, iov, unsigned long, n, loff_t,
                pos)
{
    return pos < 0 ? -EINVAL : transfer_vector(fd, iov, n, pos, 0, false);
}

SYSCALL_DEFINE4(pwritev, unsigned, fd, const struct iovec __user *, iov, unsigned long, n, loff_t,
                pos)
{
    return pos < 0 ? -EINVAL : transfer_vector(fd, iov, n, pos, 0, true);
}

SYSCALL_DEFINE6(preadv2, unsigned, fd, const struct iovec __user *, iov, unsigned long, n, loff_t,
                pos, unsigned long, high, int, flags)
{
    return pos < -1 ? -EINVAL : transfer_vector(fd, iov, n, pos, flags, false);
}

SYSCALL_DEFINE6(pwritev2, unsigned, fd, const struct iovec __user *, iov, unsigned long, n, loff_t,
                pos, unsigned long, high, int, flags)
{
    return pos < -1 ? -EINVAL : transfer_vector(fd, iov, n, pos, flags, true);
}

/* ---- positions --------------------------------------------------------------------------------------- */

loff_t seek_generic(struct file *file, loff_t offset, int whence)
{
    loff_t size = READ_ONCE(file->inode->size), pos;

    switch (whence) {
    case SEEK_SET:
        pos = offset;
        break;
    case SEEK_CUR:
        pos = (loff_t)((u64)file->pos + offset);
        break;
    case SEEK_END:
        pos = (loff_t)((u64)size + offset);
        break;
    case SEEK_DATA:
        if (offset < 0 || offset >= size)
            return -ENXIO;
        pos = offset;
        break;
    case SEEK_HOLE:
        if (offset < 0 || offset >= size)
            return -ENXIO;
        pos = size;
        break;
    default:
        return -EINVAL;
    }
    if (pos < 0 || (u64)pos > file->inode->sb->max_size)
        return -EINVAL;
    if (pos != file->pos) {
        file->pos = pos;
        file->version++;
    }
    return pos;
}

loff_t seek_nothing(struct file *file, loff_t offset, int whence)
{
    return file->pos = 0;
}

loff_t seek_cookie(struct file *file, loff_t offset, int whence)
{
    if (whence == SEEK_CUR)
        offset = (loff_t)((u64)offset + (u64)file->pos);
    else if (whence != SEEK_SET)
        return -EINVAL;
    if (offset < 0)
        return -EINVAL;
    return file->pos = offset;
}

SYSCALL_DEFINE3(lseek, unsigned, fd, loff_t, offset, unsigned, whence)
{
    struct fd_ref ref = fd_get(fd);
    loff_t pos = -ESPIPE;

    if (!ref.file)
        return -EBADF;
    if (whence > SEEK_MAX)
        pos = -EINVAL;
    else if (ref.file->ops->seek) {
        mutex_lock(&ref.file->pos_mutex);
        pos = ref.file->ops->seek(ref.file, offset, whence);
        mutex_unlock(&ref.file->pos_mutex);
    } else if (ref.file->ops->seek_ignored) {
        pos = 0;
    }
    fd_put(ref);
    return pos;
}

ssize_t file_write_limit(struct file *file, loff_t pos, size_t n)
{
    u64 limit = process_limit(RLIMIT_FSIZE), max = file->inode->sb->max_size;

    if (unlikely((u64)pos >= limit) && n) {
        signal_send_thread(current, SIGXFSZ, NULL);
        return -EFBIG;
    }
    if (unlikely((u64)pos >= max) && n)
        return -EFBIG;
    return min_t(u64, n, min(limit, max) - pos);
}
