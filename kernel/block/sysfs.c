/* SPDX-License-Identifier: MIT */
/*
 * What programs are told of disks: their directories in /sys, /proc/partitions, /proc/diskstats, the
 * names of their majors. lsblk(8) and blkid(8) read these; fields and units are Linux's
 * (Documentation: block/stat, admin-guide/iostats, ABI/stable/sysfs-block).
 */
#include "internal.h"
#include <vellum/seq_file.h>
#include <vellum/sysfs.h>

/* ---- statistics ------------------------------------------------------------------------------------ */

static void show_group(struct seq_file *m, const struct block_stats *s, unsigned operation,
                       u64 more)
{
    seq_printf(m, " %llu %llu %llu %llu", (unsigned long long)(s->requests[operation] + more),
               (unsigned long long)s->merges[operation], (unsigned long long)s->sectors[operation],
               (unsigned long long)(s->time[operation] / NSEC_PER_MSEC));
}

/* The seventeen numbers. Writing zeros counts as writing. */
static void show_stats(struct seq_file *m, struct block_device *device)
{
    struct block_stats s;
    u64 time = 0;

    block_stats_read(device, &s);
    for (unsigned i = 0; i < BLOCK_OPERATIONS; i++)
        time += s.time[i];
    s.requests[BLOCK_WRITE] += s.requests[BLOCK_WRITE_ZEROES];
    s.sectors[BLOCK_WRITE] += s.sectors[BLOCK_WRITE_ZEROES];
    s.time[BLOCK_WRITE] += s.time[BLOCK_WRITE_ZEROES];
    show_group(m, &s, BLOCK_READ, 0);
    show_group(m, &s, BLOCK_WRITE, 0);
    seq_printf(m, " %u %llu %llu", s.in_flight[0] + s.in_flight[1],
               (unsigned long long)(s.busy / NSEC_PER_MSEC),
               (unsigned long long)(time / NSEC_PER_MSEC));
    show_group(m, &s, BLOCK_DISCARD, 0);
    seq_printf(m, " %llu %llu\n", (unsigned long long)s.requests[BLOCK_FLUSH],
               (unsigned long long)(s.time[BLOCK_FLUSH] / NSEC_PER_MSEC));
}

static void show_diskstats(struct block_device *device, void *arg)
{
    seq_printf(arg, "%4u %7u %s", dev_major(device->id), dev_minor(device->id), device->name);
    show_stats(arg, device);
}

void block_diskstats_show(struct seq_file *m)
{
    block_for_each(show_diskstats, m);
}

static void show_partition(struct block_device *device, void *arg)
{
    seq_printf(arg, "%4u  %7u %10llu %s\n", dev_major(device->id), dev_minor(device->id),
               (unsigned long long)device->sectors / 2, device->name);
}

void block_partitions_show(struct seq_file *m)
{
    size_t before;

    seq_puts(m, "major minor  #blocks  name\n\n");
    before = m->used;
    block_for_each(show_partition, m);
    if (m->used == before && !m->overflow)
        m->used = 0; /* without disks there is no heading either */
}

/* ---- files of a device ------------------------------------------------------------------------------- */

static void show_size(struct seq_file *m, void *data)
{
    seq_printf(m, "%llu\n", (unsigned long long)((struct block_device *)data)->sectors);
}

static void show_start(struct seq_file *m, void *data)
{
    seq_printf(m, "%llu\n", (unsigned long long)((struct block_device *)data)->start);
}

static void show_read_only(struct seq_file *m, void *data)
{
    seq_printf(m, "%d\n", ((struct block_device *)data)->read_only);
}

static void show_stat(struct seq_file *m, void *data)
{
    show_stats(m, data);
}

static void show_in_flight(struct seq_file *m, void *data)
{
    struct block_stats s;

    block_stats_read(data, &s);
    seq_printf(m, "%8u %8u\n", s.in_flight[0], s.in_flight[1]);
}

static void show_uevent(struct seq_file *m, void *data)
{
    const struct block_device *d = data;

    seq_printf(m, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\nDEVTYPE=%s\n", dev_major(d->id),
               dev_minor(d->id), d->name, d->number ? "partition" : "disk");
    if (d->number)
        seq_printf(m, "PARTN=%u\n", d->number);
}

/* What a disk and a partition have in common; and the ways to it. */
static void add_common(struct block_device *device)
{
    struct sysfs_node *dir = device->sysfs, *by_name = sysfs_directory(NULL, "class/block");
    unsigned major = dev_major(device->id), minor = dev_minor(device->id);
    char number[24];

    sysfs_text(dir, "dev", "%u:%u", major, minor);
    sysfs_file(dir, "size", show_size, device);
    sysfs_file(dir, "ro", show_read_only, device);
    sysfs_file(dir, "stat", show_stat, device);
    sysfs_file(dir, "inflight", show_in_flight, device);
    sysfs_file(dir, "uevent", show_uevent, device);
    sysfs_text(dir, "alignment_offset", "%u", device->disk->limits.alignment_offset);
    sysfs_text(dir, "discard_alignment", "0");
    sysfs_directory(dir, "holders");
    sysfs_link(dir, "subsystem", by_name);
    sysfs_link(by_name, device->name, dir);
    snprintf(number, sizeof(number), "%u:%u", major, minor);
    sysfs_link(sysfs_directory(NULL, "dev/block"), number, dir);
}

void partition_sysfs_add(struct block_device *device)
{
    struct sysfs_node *parent = device->disk->whole.sysfs;

    device->sysfs = parent ? sysfs_directory(parent, "%s", device->name) : NULL;
    if (!device->sysfs)
        return;
    add_common(device);
    sysfs_text(device->sysfs, "partition", "%u", device->number);
    sysfs_file(device->sysfs, "start", show_start, device);
}

/* ---- the queue of a disk ------------------------------------------------------------------------------- */

static void add_queue(struct disk *disk)
{
    struct sysfs_node *dir = sysfs_directory(disk->whole.sysfs, "queue");
    const struct block_limits *l = &disk->limits;

    sysfs_text(dir, "logical_block_size", "%u", l->logical_block_size);
    sysfs_text(dir, "hw_sector_size", "%u", l->logical_block_size);
    sysfs_text(dir, "physical_block_size", "%u", l->physical_block_size);
    sysfs_text(dir, "minimum_io_size", "%u", l->io_min);
    sysfs_text(dir, "optimal_io_size", "%u", l->io_opt);
    sysfs_text(dir, "max_sectors_kb", "%u", l->max_sectors / 2);
    sysfs_text(dir, "max_hw_sectors_kb", "%u", l->max_sectors / 2);
    sysfs_text(dir, "max_segments", "%u", l->max_segments);
    sysfs_text(dir, "max_segment_size", "%u", l->max_segment_size);
    sysfs_text(dir, "discard_granularity", "%u", l->discard_granularity);
    sysfs_text(dir, "discard_max_bytes", "%llu",
               (unsigned long long)l->max_discard_sectors << SECTOR_SHIFT);
    sysfs_text(dir, "discard_max_hw_bytes", "%llu",
               (unsigned long long)l->max_discard_sectors << SECTOR_SHIFT);
    sysfs_text(dir, "discard_zeroes_data", "0");
    sysfs_text(dir, "write_zeroes_max_bytes", "%llu",
               (unsigned long long)l->max_zeroes_sectors << SECTOR_SHIFT);
    sysfs_text(dir, "write_same_max_bytes", "0");
    sysfs_text(dir, "rotational", "%d", disk->rotational);
    sysfs_text(dir, "scheduler", "[none]");
    sysfs_text(dir, "write_cache", "%s", disk->write_cache ? "write back" : "write through");
    sysfs_text(dir, "zoned", "none");
    sysfs_text(dir, "dax", "0");
    sysfs_text(dir, "fua", "0");
}

void disk_sysfs_add(struct disk *disk)
{
    struct block_device *whole = &disk->whole;
    struct sysfs_node *dir;

    if (disk->parent)
        dir = sysfs_directory(disk->parent, "block/%s", whole->name);
    else
        dir = sysfs_directory(NULL, "devices/virtual/block/%s", whole->name);
    whole->sysfs = dir;
    if (!dir)
        return;
    add_common(whole);
    sysfs_link(sysfs_directory(NULL, "block"), whole->name, dir);
    sysfs_link(dir, "device", disk->parent);
    sysfs_text(dir, "range", "%u", disk->minors);
    sysfs_text(dir, "ext_range", "256");
    sysfs_text(dir, "removable", "0");
    sysfs_text(dir, "hidden", "0");
    sysfs_text(dir, "capability", "0");
    if (disk->serial[0])
        sysfs_text(dir, "serial", "%s", disk->serial);
    sysfs_directory(dir, "slaves");
    add_queue(disk);
}

/* ---- /proc/devices -------------------------------------------------------------------------------------- */

void block_majors_show(struct seq_file *m)
{
    struct disk *disk, *before;

    mutex_lock(&disks_mutex);
    list_for_each_entry(disk, &disks, link) {
        list_for_each_entry(before, &disks, link)
            if (before->major == disk->major)
                break;
        if (before == disk)
            seq_printf(m, "%3u %s\n", disk->major, disk->major_name);
    }
    if (!list_empty(&disks))
        seq_printf(m, "%3u blkext\n", EXTENDED_MAJOR);
    mutex_unlock(&disks_mutex);
}
