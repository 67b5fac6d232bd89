/* SPDX-License-Identifier: MIT */
/*
 * Block special files: /dev/vda and its like, opened.
 */
#include "internal.h"

static int open_device(struct inode *inode, struct file *file)
{
    const void *holder = file->flags & O_EXCL ? file : NULL;
    struct open_device *o = kzalloc(sizeof(*o), ALLOC_KERNEL);

    if (!o)
        return -ENOMEM;
    o->device = block_device_open(inode->rdev, false, holder);
    if (is_err(o->device)) {
        int error = ptr_err(o->device);

        kfree(o);
        return error;
    }
    o->holder = holder;
    file->private_data = o;
    return 0;
}

static void release(struct file *file)
{
    struct open_device *o = file->private_data;

    block_device_close(o->device, o->holder);
    kfree(o);
}

/* What of a transfer lies on the device. */
static void limit(struct iov_iter *iter, u64 size, loff_t pos)
{
    if (iter->count > size - pos) {
        iter->count = size - pos;
        iter->length = min(iter->length, iter->count);
    }
}

static ssize_t block_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    u64 size = block_device_size(device_of(file));
    ssize_t n;

    if ((u64)*pos >= size || iter->count == 0)
        return 0;
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
    n = direct_write(file, iter, *pos);
    if (n > 0)
        *pos += n;
    return n;
}

static int block_fsync(struct file *file, loff_t start, loff_t end, bool data_only)
{
    return block_flush(device_of(file));
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
        return -EINVAL;
    }
    if (at < 0 || at > size)
        return -EINVAL;
    return file->pos = at;
}

static const struct file_ops block_ops = {
    .open = open_device,
    .release = release,
    .read = block_read,
    .write = block_write,
    .seek = block_seek,
    .fsync = block_fsync,
};

/* Who opens the node gets these operations at once; without a device, no file. */
static int open_node(struct inode *inode, struct file *file)
{
    file_set_ops(file, &block_ops);
    return block_ops.open(inode, file);
}

const struct file_ops block_device_file_ops = {.open = open_node};
