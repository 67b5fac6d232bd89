/* SPDX-License-Identifier: MIT */
/*
 * What the files of block special files share among themselves.
 */
#ifndef VELLUM_BDEV_INTERNAL_H
#define VELLUM_BDEV_INTERNAL_H

#include "../internal.h"
#include <vellum/block.h>

/* An open block special file, in file->private_data. */
struct open_device {
    struct block_device *device;
    const void *holder; /* the file, if it was opened with O_EXCL */
};

static inline struct block_device *device_of(const struct file *file)
{
    return ((struct open_device *)file->private_data)->device;
}

/* inode.c: the inode whose cache holds the device's contents, its size up to date; NULL: no memory.
 * => the device is open; may sleep */
struct inode *block_inode(struct block_device *device);

/* direct.c: O_DIRECT. Bytes moved (all of them, or as many as before an error), or -errno. */
ssize_t direct_read(struct file *file, struct iov_iter *iter, loff_t pos);
ssize_t direct_write(struct file *file, struct iov_iter *iter, loff_t pos);

/* file.c: make a range, in bytes, read as zeros (by writing them, if need be; or only if the device
 * does it itself), or let its contents go. -EINVAL: not whole blocks of the device. -EOPNOTSUPP */
enum erase_kind { ERASE_ZERO, ERASE_ZERO_OFFLOAD, ERASE_DISCARD };
int erase_range(struct file *file, enum erase_kind kind, u64 start, u64 n);

/* ioctl.c */
long block_ioctl(struct file *file, unsigned command, unsigned long arg);

#endif
