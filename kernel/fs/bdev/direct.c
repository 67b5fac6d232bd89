/* SPDX-License-Identifier: MIT */
/*
 * O_DIRECT on a block device: reading and writing past the page cache.
 *
 * What the cache has of the range is written out before and, for a write, forgotten afterwards. The
 * bytes go through pages of ours rather than straight to the user's: those may be copied on write,
 * moved or unmapped while the device works on them, and pinning them would burden every one of these
 * mechanisms. What O_DIRECT promises, that the device has been asked when the call returns and
 * that the cache is left alone, holds; the copy is the price.
 */
#include "internal.h"
#include <vellum/writeback.h>

#define CHUNK_PAGES 64

/* Position, length and every buffer are multiples of the block size. */
static int check_alignment(const struct block_device *device, const struct iov_iter *iter,
                           loff_t pos)
{
    u64 mask = device->disk->limits.logical_block_size - 1;
    u64 bits = (u64)pos | iter->length | ((u64)iter->base & (SECTOR_SIZE - 1));
    size_t rest = iter->count - min(iter->count, iter->length);
    const struct iovec *v = iter->next;

    for (; rest; v++) {
        bits |= v->iov_len | ((u64)v->iov_base & (SECTOR_SIZE - 1));
        rest -= min(rest, v->iov_len);
    }
    return (bits | iter->count) & mask ? -EINVAL : 0;
}

static unsigned get_pages(struct page **pages, unsigned n)
{
    unsigned got = 0;

    while (got < n && (pages[got] = page_alloc(ALLOC_USER)) != NULL)
        got++;
    return got;
}

/* Copy between pages and the user's memory. Returns bytes copied. */
static size_t copy_chunk(struct page **pages, size_t n, struct iov_iter *iter, bool write)
{
    size_t done = 0;

    for (unsigned i = 0; done < n; i++) {
        size_t bytes = min(n - done, PAGE_SIZE), copied;

        copied = write ? copy_from_iter(iter, page_to_virt(pages[i]), bytes)
                       : copy_to_iter(iter, page_to_virt(pages[i]), bytes);
        done += copied;
        if (copied < bytes)
            break;
    }
    return done;
}

/* One chunk: returns bytes, or -errno if none. */
static ssize_t move_chunk(struct block_device *device, struct iov_iter *iter, loff_t pos,
                          size_t bytes, struct page **pages, bool write)
{
    u64 sector = (u64)pos >> SECTOR_SHIFT;
    size_t mask = device->disk->limits.logical_block_size - 1, copied;
    int error;

    if (write) {
        bytes = copy_chunk(pages, bytes, iter, true) & ~mask;
        if (bytes == 0)
            return -EFAULT;
        error = block_transfer(device, BLOCK_WRITE, sector, pages, bytes);
        return error ? error : (ssize_t)bytes;
    }
    error = block_transfer(device, BLOCK_READ, sector, pages, bytes);
    if (error)
        return error;
    copied = copy_chunk(pages, bytes, iter, false);
    return copied ? (ssize_t)copied : -EFAULT;
}

static ssize_t move(struct file *file, struct iov_iter *iter, loff_t pos, bool write)
{
    struct block_device *device = device_of(file);
    unsigned n = min_t(u64, DIV_ROUND_UP(iter->count, PAGE_SIZE), CHUNK_PAGES);
    struct page **pages = kmalloc_array(n, sizeof(*pages), ALLOC_KERNEL);
    ssize_t done = 0, moved = 0;

    if (!pages)
        return -ENOMEM;
    n = get_pages(pages, n);
    moved = n ? 0 : -ENOMEM;
    while (n && iter->count > 0) {
        size_t bytes = min_t(size_t, iter->count, n * PAGE_SIZE);

        moved = move_chunk(device, iter, pos + done, bytes, pages, write);
        if (moved > 0)
            done += moved;
        if (moved != (ssize_t)bytes)
            break;
    }
    pages_put(pages, n);
    kfree(pages);
    return done ? done : moved;
}

ssize_t direct_read(struct file *file, struct iov_iter *iter, loff_t pos)
{
    int error = check_alignment(device_of(file), iter, pos);

    if (!error)
        error = page_cache_direct_begin(file->cache, pos, iter->count, false);
    return error ? error : move(file, iter, pos, false);
}

ssize_t direct_write(struct file *file, struct iov_iter *iter, loff_t pos)
{
    int error = check_alignment(device_of(file), iter, pos);
    struct inode *inode = file->cache->inode;
    size_t count = iter->count;
    ssize_t n;

    if (error)
        return error;
    mutex_lock(&inode->mutex);
    n = page_cache_direct_begin(file->cache, pos, count, true);
    if (n == 0) {
        n = move(file, iter, pos, true);
        page_cache_direct_end(file->cache, pos, count);
    }
    mutex_unlock(&inode->mutex);
    return n;
}
