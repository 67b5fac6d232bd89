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

/* direct.c: O_DIRECT. Bytes moved (all of them, or as many as before an error), or -errno. */
ssize_t direct_read(struct file *file, struct iov_iter *iter, loff_t pos);
ssize_t direct_write(struct file *file, struct iov_iter *iter, loff_t pos);

/* ioctl.c */
long block_ioctl(struct file *file, unsigned command, unsigned long arg);

#endif
