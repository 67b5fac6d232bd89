/* SPDX-License-Identifier: MIT */
/*
 * What tmpfs does with the contents of a file that other file systems leave to the page cache: holes are
 * found, punched and filled, and nothing has to be written out.
 */
#include "tmpfs.h"
#include "../internal.h"
#include <linux/falloc.h>

loff_t tmpfs_seek(struct file *file, loff_t offset, int whence)
{
    loff_t size = READ_ONCE(file->inode->size), pos;

    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return seek_generic(file, offset, whence);
    if (offset < 0 || offset >= size)
        return -ENXIO;
    pos = page_cache_seek(&file->inode->cache, offset, size, whence == SEEK_DATA);
    if (pos >= 0)
        file->pos = pos;
    return pos;
}

int tmpfs_fsync(struct file *file, loff_t start, loff_t end, bool data_only)
{
    return 0; /* memory is where it belongs */
}

/* Zero bytes [start, end) of one page, if it is there. 0 or -errno */
static int zero_part(struct page_cache *cache, loff_t start, loff_t end)
{
    struct page *page;

    if (start >= end)
        return 0;
    page = page_cache_find_data(cache, start >> PAGE_SHIFT, true);
    if (!page || is_err(page))
        return ptr_err(page);
    page_lock(page);
    memset((char *)page_to_virt(page) + (start & ~PAGE_MASK), 0, end - start);
    page_unlock(page);
    page_put(page);
    return 0;
}

/* => inode mutex */
static int punch_hole(struct inode *inode, loff_t start, loff_t end)
{
    loff_t first, last = ALIGN_DOWN(end, (loff_t)PAGE_SIZE);
    int error;

    if (start >> PAGE_SHIFT == end >> PAGE_SHIFT) /* within one page */
        return zero_part(&inode->cache, start, end);
    first = ALIGN_UP(start, (loff_t)PAGE_SIZE);
    error = zero_part(&inode->cache, start, first);
    if (!error)
        error = zero_part(&inode->cache, last, end);
    if (!error && first < last)
        page_cache_remove_range(&inode->cache, first >> PAGE_SHIFT, (last >> PAGE_SHIFT) - 1);
    return error;
}

/* => inode mutex */
static long reserve(struct inode *inode, loff_t start, loff_t end)
{
    struct tmpfs *fs = tmpfs_of(inode->sb);
    u64 first = start >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT, i;
    int error = 0;

    if (fs->max_pages && last - first >= fs->max_pages)
        return -ENOSPC;
    for (i = first; i <= last && !error; i++) {
        error = page_cache_reserve(&inode->cache, i);
        if (!error && fatal_signal_pending())
            error = -EINTR;
    }
    if (error)
        page_cache_remove_reserved(&inode->cache, first, i - 1);
    return error;
}

long tmpfs_fallocate(struct file *file, int mode, loff_t offset, loff_t length)
{
    struct inode *inode = file->inode;
    loff_t end = offset + length;
    long error = 0;

    mutex_lock(&inode->mutex);
    if (seals_allow_size(inode, max((u64)end, inode->size)) ||
        ((mode & FALLOC_FL_PUNCH_HOLE) && (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))))
        error = -EPERM;
    else if (mode & FALLOC_FL_PUNCH_HOLE)
        error = punch_hole(inode, offset, end);
    else
        error = reserve(inode, offset, end);
    if (!error && !(mode & FALLOC_FL_KEEP_SIZE) && (u64)end > inode->size)
        WRITE_ONCE(inode->size, end);
    if (!error)
        error = file_modified(file);
    mutex_unlock(&inode->mutex);
    return error;
}

const struct file_ops tmpfs_file_ops = {
    .can_nowait = true,
    .read = cached_file_read,
    .write = cached_file_write,
    .seek = tmpfs_seek,
    .mmap = cached_file_mmap,
    .fsync = tmpfs_fsync,
    .fallocate = tmpfs_fallocate,
};
