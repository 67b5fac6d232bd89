/* SPDX-License-Identifier: MIT */
/*
 * The calls about the way between the page cache and what is behind it: write files out, read them
 * before they are asked for, forget them. A file whose only home is memory has no such way: there,
 * writing out is done as soon as it is begun, and advice is checked and then has nothing to do.
 */
#include "internal.h"
#include <linux/fadvise.h>
#include <linux/fs.h>
#include <vellum/syscall.h>

static long do_fsync(unsigned fd, bool data_only)
{
    struct fd_ref ref = fd_get(fd);
    int error = -EINVAL;

    if (!ref.file)
        return -EBADF;
    if (ref.file->ops->fsync)
        error = ref.file->ops->fsync(ref.file, 0, INT64_MAX, data_only);
    fd_put(ref);
    return error;
}

SYSCALL_DEFINE1(fsync, unsigned, fd)
{
    return do_fsync(fd, false);
}

SYSCALL_DEFINE1(fdatasync, unsigned, fd)
{
    return do_fsync(fd, true);
}

static void sync_one(struct super_block *sb)
{
    if (sb->ops->sync)
        sb->ops->sync(sb);
}

SYSCALL_DEFINE0(sync)
{
    super_for_each(sync_one);
    return 0;
}

SYSCALL_DEFINE1(syncfs, unsigned, fd)
{
    struct fd_ref ref = fd_get(fd);
    int error = 0;

    if (!ref.file)
        return -EBADF;
    if (ref.file->inode->sb->ops->sync)
        error = ref.file->inode->sb->ops->sync(ref.file->inode->sb);
    fd_put(ref);
    return error;
}

/* ---- sync_file_range(2) -------------------------------------------------------------------------------- */

#define SYNC_RANGE_FLAGS                                                                           \
    (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)

/* Does more than is asked for: what fdatasync(2) does, on the range. */
static long sync_range(struct file *file, loff_t offset, loff_t length, unsigned flags)
{
    const struct inode *inode = file->inode;

    if ((flags & ~SYNC_RANGE_FLAGS) || offset < 0 || length < 0 || length > INT64_MAX - offset)
        return -EINVAL;
    if (!IS_REGULAR(inode) && !IS_DIR(inode) && !IS_SYMLINK(inode) &&
        (inode->mode & S_IFMT) != S_IFBLK)
        return -ESPIPE;
    if (!flags || !file->ops->fsync)
        return 0;
    return file->ops->fsync(file, offset, length ? offset + length : INT64_MAX, true);
}

SYSCALL_DEFINE4(sync_file_range, unsigned, fd, loff_t, offset, loff_t, length, unsigned, flags)
{
    struct fd_ref ref = fd_get(fd);
    long error;

    if (!ref.file)
        return -EBADF;
    error = sync_range(ref.file, offset, length, flags);
    fd_put(ref);
    return error;
}

/* ---- advice -------------------------------------------------------------------------------------------- */

static bool advice_is_known(int advice)
{
    switch (advice) {
    case POSIX_FADV_NORMAL:
    case POSIX_FADV_RANDOM:
    case POSIX_FADV_SEQUENTIAL:
    case POSIX_FADV_WILLNEED:
    case POSIX_FADV_DONTNEED:
    case POSIX_FADV_NOREUSE:
        return true;
    default:
        return false;
    }
}

SYSCALL_DEFINE4(fadvise64, unsigned, fd, loff_t, offset, loff_t, length, int, advice)
{
    struct fd_ref ref = fd_get(fd);
    long error = 0;

    if (!ref.file)
        return -EBADF;
    if ((ref.file->inode->mode & S_IFMT) == S_IFIFO)
        error = -ESPIPE;
    else if (length < 0 || !advice_is_known(advice))
        error = -EINVAL;
    fd_put(ref);
    return error;
}

/* readahead(2): there is nothing to wait for where memory is the only home. */
SYSCALL_DEFINE3(readahead, unsigned, fd, loff_t, offset, size_t, n)
{
    struct fd_ref ref = fd_get(fd);
    long error = -EBADF;

    if (ref.file && (ref.file->mode & FILE_READ)) {
        error = -EINVAL;
        if ((ref.file->inode->mode & S_IFMT) == S_IFREG)
            error = 0;
    }
    if (ref.file)
        fd_put(ref);
    return error;
}
