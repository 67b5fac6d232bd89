/* SPDX-License-Identifier: MIT */
/*
 * Block special files: /dev/vda and its like, opened.
 *
 * They are read, written and mapped through the device's page cache (inode.c), with O_DIRECT past it
 * (direct.c). What Linux does at the edges is done here too: reading ends at the device's end,
 * writing beyond it is ENOSPC, and the last close writes out what is dirty and forgets the cache.
 */
#include "internal.h"
#include <vellum/writeback.h>
#include <linux/falloc.h>

static int open_device(struct inode *inode, struct file *file)
{
    const void *holder = file->flags & O_EXCL ? file : NULL;
    struct open_device *o = kzalloc(sizeof(*o), ALLOC_KERNEL);
    struct inode *contents;
    int error;

    if (!o)
        return -ENOMEM;
    o->holder = holder;
    o->device = block_device_open(inode->rdev, false, holder);
    if (is_err(o->device)) {
        error = ptr_err(o->device);
        goto fail;
    }
    contents = block_inode(o->device);
    if (!contents) {
        block_device_close(o->device, holder);
        error = -ENOMEM;
        goto fail;
    }
    file_set_cache(file, &contents->cache);
    file->private_data = o;
    return 0;
fail:
    kfree(o);
    return error;
}

static void release(struct file *file)
{
    struct open_device *o = file->private_data;

    if (block_device_closing(o->device)) {
        page_cache_sync(file->cache, 0, INT64_MAX);
        page_cache_invalidate(file->cache, 0, ~0UL);
    }
    block_device_close(o->device, o->holder);
    kfree(o);
}

/* What of a transfer lies on the device. */
static void limit(struct iov_iter *iter, u64 size, loff_t pos)
{
    if (iter->count > size - (u64)pos) {
        iter->count = size - (u64)pos;
        iter->length = min(iter->length, iter->count);
    }
}

static ssize_t block_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    u64 size = block_device_size(device_of(file));
    ssize_t n;

    if ((u64)*pos >= size || iter->count == 0)
        return 0;
    if (likely(!(file->flags & O_DIRECT)))
        return cached_file_read(file, iter, pos);
    limit(iter, size, *pos);
    n = direct_read(file, iter, *pos);
    if (n > 0)
        *pos += n;
    return n;
}

static ssize_t block_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct block_device *device = device_of(file);
    u64 size = block_device_size(device);
    ssize_t n;

    if (READ_ONCE(device->read_only))
        return -EPERM;
    if (iter->count == 0)
        return 0;
    if ((u64)*pos >= size)
        return -ENOSPC;
    limit(iter, size, *pos);
    if (likely(!(file->flags & O_DIRECT)))
        return cached_file_write_at(file, iter, pos);
    n = direct_write(file, iter, *pos);
    if (n > 0 && (file->flags & O_DSYNC)) {
        int error = block_flush(device);

        n = error ? error : n;
    }
    if (n > 0)
        *pos += n;
    return n;
}

static loff_t block_seek(struct file *file, loff_t offset, int whence)
{
    loff_t size = (loff_t)block_device_size(device_of(file)), at;

    switch (whence) {
    case SEEK_SET:
        at = offset;
        break;
    case SEEK_CUR:
        at = (loff_t)((u64)file->pos + (u64)offset);
        break;
    case SEEK_END:
        at = (loff_t)((u64)size + (u64)offset);
        break;
    default:
        return -EINVAL; /* a device has no holes to seek */
    }
    if (at < 0 || at > size)
        return -EINVAL;
    return file->pos = at;
}

static int block_mmap(struct file *file, struct vma *vma)
{
    if (READ_ONCE(device_of(file)->read_only)) {
        if ((vma->flags & (VM_SHARED | VM_WRITE)) == (VM_SHARED | VM_WRITE))
            return -EPERM;
        if (vma->flags & VM_SHARED)
            vma->flags &= ~VM_MAY_WRITE;
    }
    return cached_file_mmap(file, vma);
}

/* ---- erasing ------------------------------------------------------------------------------------------ */

/* Zeros, written. */
static int write_zeros(struct block_device *device, u64 sector, u64 bytes)
{
    struct page *pages[32];
    int error = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
        pages[i] = zero_page;
    while (bytes > 0 && !error) {
        size_t n = min_t(u64, bytes, sizeof(pages) / sizeof(pages[0]) * PAGE_SIZE);

        error = block_transfer(device, BLOCK_WRITE, sector, pages, n);
        sector += n >> SECTOR_SHIFT;
        bytes -= n;
        if (current->work & WORK_KILLED)
            error = -EINTR;
    }
    return error;
}

static int erase(struct block_device *device, enum erase_kind kind, u64 start, u64 n)
{
    u64 sector = start >> SECTOR_SHIFT;
    int error;

    error = block_erase(device, kind == ERASE_DISCARD ? BLOCK_DISCARD : BLOCK_WRITE_ZEROES, sector,
                        n >> SECTOR_SHIFT);
    return error == -EOPNOTSUPP && kind == ERASE_ZERO ? write_zeros(device, sector, n) : error;
}

int erase_range(struct file *file, enum erase_kind kind, u64 start, u64 n)
{
    struct block_device *device = device_of(file);
    struct inode *inode = file->cache->inode;
    u64 size = block_device_size(device), block = device->disk->limits.logical_block_size;
    int error;

    if (READ_ONCE(device->read_only))
        return -EPERM;
    if (((start | n) & (block - 1)) || n == 0 || start >= size || n > size - start)
        return -EINVAL;
    mutex_lock(&inode->mutex);
    error = page_cache_direct_begin(file->cache, (loff_t)start, n, true);
    if (!error) {
        error = erase(device, kind, start, n);
        page_cache_direct_end(file->cache, (loff_t)start, n);
    }
    mutex_unlock(&inode->mutex);
    return error;
}

/* A range that goes beyond the end is cut, if the size is to be kept. */
static long block_fallocate(struct file *file, int mode, loff_t offset, loff_t length)
{
    u64 size = block_device_size(device_of(file));

    if ((u64)offset >= size)
        return -EINVAL;
    if ((u64)length > size - (u64)offset) {
        if (!(mode & FALLOC_FL_KEEP_SIZE))
            return -EINVAL;
        length = (loff_t)(size - (u64)offset);
    }
    switch (mode) {
    case FALLOC_FL_ZERO_RANGE:
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
        return erase_range(file, ERASE_ZERO, (u64)offset, (u64)length);
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
        return erase_range(file, ERASE_ZERO_OFFLOAD, (u64)offset, (u64)length);
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE | FALLOC_FL_NO_HIDE_STALE:
        return erase_range(file, ERASE_DISCARD, (u64)offset, (u64)length);
    default:
        return -EOPNOTSUPP;
    }
}

/* ---- operations ------------------------------------------------------------------------------------------ */

static const struct file_ops block_ops = {
    .open = open_device,
    .release = release,
    .read = block_read,
    .write = block_write,
    .seek = block_seek,
    .mmap = block_mmap,
    .fsync = cached_file_fsync,
    .ioctl = block_ioctl,
    .fallocate = block_fallocate,
};

/* Who opens the node gets these operations at once; without a device, no file. */
static int open_node(struct inode *inode, struct file *file)
{
    file_set_ops(file, &block_ops);
    return block_ops.open(inode, file);
}

const struct file_ops block_device_file_ops = {.open = open_node};
