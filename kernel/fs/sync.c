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
#include <vellum/writeback.h>

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
    backing_sync_all();
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

/* Pages alone: neither metadata nor the device's own cache. */
static long sync_pages(struct file *file, u64 first, u64 last, unsigned flags)
{
    struct page_cache *cache = file->cache;
    bool all = (flags & SYNC_RANGE_FLAGS) == SYNC_RANGE_FLAGS;
    long error = 0;

    if (flags & SYNC_FILE_RANGE_WAIT_BEFORE) {
        page_cache_wait_written(cache, first, last);
        error = file_check_written(file);
    }
    if (!error && (flags & SYNC_FILE_RANGE_WRITE))
        page_cache_write(cache, first, last, ~0UL, all ? WRITE_SYNC : WRITE_BACKGROUND);
    if (!error && (flags & SYNC_FILE_RANGE_WAIT_AFTER)) {
        page_cache_wait_written(cache, first, last);
        error = file_check_written(file);
    }
    return error;
}

static long sync_range(struct file *file, loff_t offset, loff_t length, unsigned flags)
{
    const struct inode *inode = file->inode;
    loff_t end = INT64_MAX;

    if ((flags & ~SYNC_RANGE_FLAGS) || offset < 0 || length < 0 || length > INT64_MAX - offset)
        return -EINVAL;
    if (length)
        end = offset + length - 1;
    if (!IS_REGULAR(inode) && !IS_DIR(inode) && !IS_SYMLINK(inode) &&
        (inode->mode & S_IFMT) != S_IFBLK)
        return -ESPIPE;
    if (page_cache_in_memory_only(file->cache))
        return 0;
    return sync_pages(file, (u64)offset >> PAGE_SHIFT, (u64)end >> PAGE_SHIFT, flags);
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

/* Forget what is clean and in whole pages within the range; what is dirty is written, so that it can be
 * forgotten next time. */
static void dont_need(struct page_cache *cache, u64 start, u64 end)
{
    u64 first = DIV_ROUND_UP(start, PAGE_SIZE), last = end >> PAGE_SHIFT;
    bool to_the_end = end >= READ_ONCE(cache->inode->size);

    if (page_cache_in_memory_only(cache))
        return;
    page_cache_write(cache, first, last, ~0UL, WRITE_BACKGROUND);
    if (!to_the_end && (end + 1) % PAGE_SIZE) {
        if (last == 0)
            return;
        last--;
    }
    if (first <= last)
        page_cache_invalidate(cache, first, last);
}

/* Bytes start..end inclusive. */
static long advise_file(struct file *file, u64 start, u64 end, int advice)
{
    struct read_ahead *ra = &file->read_ahead;

    switch (advice) {
    case POSIX_FADV_NORMAL:
        ra->advice = READ_NORMAL;
        return 0;
    case POSIX_FADV_RANDOM:
        ra->advice = READ_RANDOM;
        return 0;
    case POSIX_FADV_SEQUENTIAL:
        ra->advice = READ_SEQUENTIAL;
        return 0;
    case POSIX_FADV_WILLNEED:
        page_cache_read_range(file->cache, start >> PAGE_SHIFT, end >> PAGE_SHIFT);
        return 0;
    case POSIX_FADV_DONTNEED:
        dont_need(file->cache, start, end);
        return 0;
    case POSIX_FADV_NOREUSE: /* the lists tell by themselves what is used once (reclaim) */
        return 0;
    default:
        return -EINVAL;
    }
}

SYSCALL_DEFINE4(fadvise64, unsigned, fd, loff_t, offset, loff_t, length, int, advice)
{
    struct fd_ref ref = fd_get(fd);
    u64 end = (u64)offset + (u64)length;
    long error;

    if (!ref.file)
        return -EBADF;
    if (length == 0 || end < (u64)length || end > INT64_MAX)
        end = INT64_MAX;
    if ((ref.file->inode->mode & S_IFMT) == S_IFIFO)
        error = -ESPIPE;
    else if (length < 0)
        error = -EINVAL;
    else
        error = advise_file(ref.file, max(offset, (loff_t)0), length ? end - 1 : end, advice);
    fd_put(ref);
    return error;
}

SYSCALL_DEFINE3(readahead, unsigned, fd, loff_t, offset, size_t, n)
{
    struct fd_ref ref = fd_get(fd);
    long error = -EBADF;

    if (ref.file && (ref.file->mode & FILE_READ)) {
        mode_t type = ref.file->inode->mode & S_IFMT;

        error = type == S_IFREG || type == S_IFBLK ? 0 : -EINVAL;
    }
    if (!error && n && offset >= 0)
        page_cache_read_range(ref.file->cache, (u64)offset >> PAGE_SHIFT,
                              ((u64)offset + n - 1) >> PAGE_SHIFT);
    if (ref.file)
        fd_put(ref);
    return error;
}
