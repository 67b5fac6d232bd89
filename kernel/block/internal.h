/* SPDX-License-Identifier: MIT */
/*
 * What the files of the block layer share among themselves.
 */
#ifndef VELLUM_BLOCK_INTERNAL_H
#define VELLUM_BLOCK_INTERNAL_H

#include <vellum/alloc.h>
#include <vellum/block.h>
#include <vellum/error.h>
#include <vellum/format.h>
#include <vellum/file.h>
#include <vellum/printk.h>
#include <vellum/string.h>

/* request.c: have the reserve. 0 or -ENOMEM */
int block_pool_init(void);

/* queue.c: start what works for a disk. 0 or -ENOMEM */
int disk_queue_init(struct disk *disk);

/* disk.c */
#define EXTENDED_MAJOR 259
extern struct mutex disks_mutex;
extern struct list disks; /* [disks_mutex] only grows */
/* Partition `number` is these sectors from now on. 0, -ENOMEM, -ERANGE. => disk->mutex */
int partition_set(struct disk *disk, unsigned number, u64 start, u64 sectors);
void partition_gone(struct block_device *device); /* => disk->mutex; it has no openers */
struct block_device *partition_find(struct disk *disk,
                                    unsigned number); /* => disk->mutex; or NULL */

/* partition.c: a table entry as it is found. */
typedef void partition_fn(void *arg, unsigned number, u64 start, u64 sectors);
/* Read the disk's table and call fn for each partition. 0, or an error of the device; a disk without a
 * table that we know has none. => may sleep */
int partitions_read(struct disk *disk, partition_fn *fn, void *arg);

/* sysfs.c */
void disk_sysfs_add(struct disk *disk);
void partition_sysfs_add(struct block_device *device);

#endif
