/* SPDX-License-Identifier: MIT */
/*
 * ioctl(2) on block devices: what <linux/fs.h>, <linux/blkpg.h> and <linux/hdreg.h> name.
 *
 * Sizes in 512-byte units are `unsigned long`; what Linux declares as int is int, whatever its
 * _IOR() macro says.
 */
#include "internal.h"
#include <vellum/writeback.h>
#include <linux/blkpg.h>
#include <linux/hdreg.h>

static long put_int(unsigned long arg, int value)
{
    return put_user(value, (int __user *)arg);
}

static long put_long(unsigned long arg, u64 value)
{
    return put_user((unsigned long)value, (unsigned long __user *)arg);
}

static long put_u64(unsigned long arg, u64 value)
{
    return put_user(value, (u64 __user *)arg);
}

/* ---- changing ------------------------------------------------------------------------------------ */

/* Write out what the cache has, and forget it. */
static long flush_buffers(struct file *file)
{
    int error;

    if (!capable(CAP_SYS_ADMIN))
        return -EACCES;
    error = page_cache_sync(file->cache, 0, INT64_MAX);
    page_cache_invalidate(file->cache, 0, ~0UL);
    return error;
}

static long set_read_only(struct block_device *device, unsigned long arg)
{
    int value;

    if (!capable(CAP_SYS_ADMIN))
        return -EACCES;
    if (get_user(value, (int __user *)arg))
        return -EFAULT;
    return block_set_read_only(device, value != 0);
}

/* The block size that the cache works with is a page here: others are accepted if they are possible. */
static long set_block_size(struct block_device *device, unsigned long arg)
{
    int size;

    if (!capable(CAP_SYS_ADMIN))
        return -EACCES;
    if (get_user(size, (int __user *)arg))
        return -EFAULT;
    return size < 512 || size > (int)PAGE_SIZE || !IS_POWER_OF_2(size) ||
                   size < (int)device->disk->limits.logical_block_size
               ? -EINVAL
               : 0;
}

static long set_read_ahead(struct file *file, unsigned long sectors)
{
    if (!capable(CAP_SYS_ADMIN))
        return -EACCES;
    WRITE_ONCE(file->cache->backing->read_ahead,
               (unsigned)(min(sectors, (unsigned long)INT32_MAX) / PAGE_SECTORS));
    return 0;
}

static long erase_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    u64 range[2];

    if (!(file->mode & FILE_WRITE))
        return -EBADF;
    if (copy_from_user(range, (void __user *)arg, sizeof(range)))
        return -EFAULT;
    return erase_range(file, command == BLKDISCARD ? ERASE_DISCARD : ERASE_ZERO, range[0],
                       range[1]);
}

/* ---- partitions ------------------------------------------------------------------------------------ */

static long reread_partitions(struct file *file)
{
    struct block_device *device = device_of(file);
    int error;

    if (!capable(CAP_SYS_ADMIN))
        return -EACCES;
    if (device->number)
        return -EINVAL;
    error = page_cache_sync(file->cache, 0, INT64_MAX); /* the table may be in the cache only */
    return error ? error : disk_scan(device->disk);
}

static long change_partition(struct block_device *whole, const struct blkpg_ioctl_arg *a,
                             const struct blkpg_partition *p)
{
    u64 block = whole->disk->limits.logical_block_size;

    if (p->pno <= 0)
        return -EINVAL;
    if (a->op == BLKPG_DEL_PARTITION)
        return disk_delete_partition(whole->disk, (unsigned)p->pno);
    if (p->start < 0 || p->length <= 0 || (((u64)p->start | (u64)p->length) & (block - 1)))
        return -EINVAL;
    if (a->op == BLKPG_ADD_PARTITION)
        return disk_add_partition(whole->disk, (unsigned)p->pno, (u64)p->start >> SECTOR_SHIFT,
                                  (u64)p->length >> SECTOR_SHIFT);
    if (a->op == BLKPG_RESIZE_PARTITION)
        return disk_resize_partition(whole->disk, (unsigned)p->pno, (u64)p->start >> SECTOR_SHIFT,
                                     (u64)p->length >> SECTOR_SHIFT);
    return -EINVAL;
}

static long partition_ioctl(struct block_device *device, unsigned long arg)
{
    struct blkpg_ioctl_arg a;
    struct blkpg_partition p;

    if (!capable(CAP_SYS_ADMIN))
        return -EACCES;
    if (copy_from_user(&a, (void __user *)arg, sizeof(a)) ||
        copy_from_user(&p, (void __user *)a.data, sizeof(p)))
        return -EFAULT;
    return device->number ? -EINVAL : change_partition(device, &a, &p);
}

/* A geometry that old programs find plausible, as Linux's virtio driver makes one up. */
static long get_geometry(struct block_device *device, unsigned long arg)
{
    struct hd_geometry g = {.heads = 16, .sectors = 63, .start = device->start};

    g.cylinders = (unsigned short)(device->disk->whole.sectors / (16 * 63));
    return copy_to_user((void __user *)arg, &g, sizeof(g)) ? -EFAULT : 0;
}

/* ---- all --------------------------------------------------------------------------------------------- */

static long get_limit(struct file *file, unsigned command, unsigned long arg)
{
    struct block_device *device = device_of(file);
    const struct block_limits *l = &device->disk->limits;

    switch (command) {
    case BLKGETSIZE:
        return put_long(arg, device->sectors);
    case BLKGETSIZE64:
        return put_u64(arg, block_device_size(device));
    case BLKSSZGET:
        return put_int(arg, (int)l->logical_block_size);
    case BLKPBSZGET:
        return put_int(arg, (int)l->physical_block_size);
    case BLKBSZGET:
        return put_int(arg, PAGE_SIZE);
    case BLKIOMIN:
        return put_int(arg, (int)l->io_min);
    case BLKIOOPT:
        return put_int(arg, (int)l->io_opt);
    case BLKALIGNOFF:
        return put_int(arg, (int)l->alignment_offset);
    case BLKDISCARDZEROES:
        return put_int(arg, 0);
    case BLKROTATIONAL:
        return put_user((unsigned short)device->disk->rotational, (unsigned short __user *)arg);
    case BLKSECTGET:
        return put_user((unsigned short)min(l->max_sectors, 65535u), (unsigned short __user *)arg);
    case BLKROGET:
        return put_int(arg, device->read_only);
    case BLKRAGET:
    case BLKFRAGET:
        return put_long(arg, (u64)READ_ONCE(file->cache->backing->read_ahead) * PAGE_SECTORS);
    case HDIO_GETGEO:
        return get_geometry(device, arg);
    default:
        return -ENOTTY;
    }
}

long block_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    switch (command) {
    case BLKFLSBUF:
        return flush_buffers(file);
    case BLKROSET:
        return set_read_only(device_of(file), arg);
    case BLKBSZSET:
        return set_block_size(device_of(file), arg);
    case BLKRASET:
    case BLKFRASET:
        return set_read_ahead(file, arg);
    case BLKDISCARD:
    case BLKZEROOUT:
        return erase_ioctl(file, command, arg);
    case BLKSECDISCARD:
        return -EOPNOTSUPP; /* no disk of ours can erase what it keeps elsewhere */
    case BLKRRPART:
        return reread_partitions(file);
    case BLKPG:
        return partition_ioctl(device_of(file), arg);
    default:
        return get_limit(file, command, arg);
    }
}
