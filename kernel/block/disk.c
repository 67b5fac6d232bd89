/* SPDX-License-Identifier: MIT */
/*
 * Disks and partitions: how they become known, what they are called, who uses them.
 *
 * A partition is a block device of its own, whose requests are moved by its start (queue.c). When the
 * table is read anew a partition may vanish, but its structure stays, without sectors, and is used
 * again if its number comes back; so a pointer to a device is good for ever.
 *
 * Numbers are Linux's: a disk has a minor and those that follow for its first partitions (virtio: 15);
 * further ones are numbered as they come under the major 259, "blkext".
 */
#include "internal.h"
#include <vellum/sysfs.h>

DEFINE_MUTEX(disks_mutex);
struct list disks = LIST_INIT(disks);
static atomic_t extended_next = ATOMIC_INIT(-1); /* the last minor given away */

void disk_name(char *name, const char *prefix, unsigned index)
{
    char letters[8], *at = letters + sizeof(letters) - 1;

    *at = '\0';
    for (unsigned n = index + 1; n > 0; n = (n - 1) / 26)
        *--at = (char)('a' + (n - 1) % 26);
    snprintf(name, BLOCK_DEVICE_NAME, "%s%s", prefix, at);
}

/* ---- partitions => disk->mutex ---------------------------------------------------------------- */

struct block_device *partition_find(struct disk *disk, unsigned number)
{
    struct block_device *device;

    list_for_each_entry(device, &disk->devices, link)
        if (device->number == number)
            return device;
    return NULL;
}

static dev_id_t partition_id(const struct disk *disk, unsigned number)
{
    if (number < disk->minors)
        return dev_make(disk->major, disk->first_minor + number);
    return dev_make(EXTENDED_MAJOR, atomic_inc_return(&extended_next));
}

static struct block_device *partition_make(struct disk *disk, unsigned number)
{
    struct block_device *device = kzalloc(sizeof(*device), ALLOC_KERNEL), *before;
    size_t n = strlen(disk->whole.name);

    if (!device)
        return NULL;
    device->disk = disk;
    device->number = number;
    device->id = partition_id(disk, number);
    snprintf(device->name, sizeof(device->name), "%s%s%u", disk->whole.name,
             disk->whole.name[n - 1] >= '0' && disk->whole.name[n - 1] <= '9' ? "p" : "", number);
    list_for_each_entry_reverse(before, &disk->devices, link)
        if (before->number < number)
            break;
    list_add(&device->link, &before->link); /* the whole disk is number 0 */
    return device;
}

int partition_set(struct disk *disk, unsigned number, u64 start, u64 sectors)
{
    struct block_device *device = partition_find(disk, number);

    assert(mutex_held(&disk->mutex) && number > 0);
    if (sectors == 0 || start >= disk->whole.sectors || sectors > disk->whole.sectors - start)
        return -ERANGE;
    if (!device)
        device = partition_make(disk, number);
    if (!device)
        return -ENOMEM;
    device->start = start;
    device->sectors = sectors;
    device->read_only = disk->whole.read_only;
    device->present = true;
    partition_sysfs_add(device);
    devfs_add(device->name, S_IFBLK | 0600, device->id);
    return 0;
}

void partition_gone(struct block_device *device)
{
    assert(mutex_held(&device->disk->mutex) && device->openers == 0);
    device->present = false;
    device->sectors = 0;
    sysfs_hide(device->sysfs);
    devfs_remove(device->name);
}

/* ---- reading the table ------------------------------------------------------------------------- */

struct scan {
    struct disk *disk;
    char text[200]; /* " vda1 vda2" for the log */
    size_t length;
};

static void found(void *arg, unsigned number, u64 start, u64 sectors)
{
    struct scan *s = arg;
    int error = partition_set(s->disk, number, start, sectors);

    if (error) {
        pr_warn("%s: partition %u (%llu sectors from %llu) is not possible: error %d",
                s->disk->whole.name, number, (unsigned long long)sectors, (unsigned long long)start,
                -error);
        return;
    }
    if (s->length < sizeof(s->text))
        s->length += snprintf(s->text + s->length, sizeof(s->text) - s->length, " %s",
                              partition_find(s->disk, number)->name);
}

int disk_scan(struct disk *disk)
{
    struct scan s = {.disk = disk, .text = ""};
    struct block_device *device;
    int error = 0;

    mutex_lock(&disk->mutex);
    list_for_each_entry(device, &disk->devices, link)
        if (device->number && device->openers)
            error = -EBUSY;
    if (!error) {
        list_for_each_entry(device, &disk->devices, link)
            if (device->number && device->present)
                partition_gone(device);
        error = partitions_read(disk, found, &s);
    }
    mutex_unlock(&disk->mutex);
    if (s.length)
        pr_info("%s:%s", disk->whole.name, s.text);
    return error;
}

/* ---- changing them by hand (BLKPG) ------------------------------------------------------------------- */

/* Does another partition have some of these sectors? => disk->mutex */
static bool overlaps(struct disk *disk, unsigned number, u64 start, u64 sectors)
{
    const struct block_device *d;

    list_for_each_entry(d, &disk->devices, link)
        if (d->number && d->number != number && d->present && start < d->start + d->sectors &&
            d->start < start + sectors)
            return true;
    return false;
}

/* The partition if it is there, else NULL. => disk->mutex */
static struct block_device *find_present(struct disk *disk, unsigned number)
{
    struct block_device *device = partition_find(disk, number);

    return device && device->present ? device : NULL;
}

int disk_add_partition(struct disk *disk, unsigned number, u64 start, u64 sectors)
{
    int error;

    mutex_lock(&disk->mutex);
    if (find_present(disk, number) || overlaps(disk, number, start, sectors))
        error = -EBUSY;
    else
        error = partition_set(disk, number, start, sectors);
    mutex_unlock(&disk->mutex);
    return error;
}

int disk_delete_partition(struct disk *disk, unsigned number)
{
    struct block_device *device;
    int error = 0;

    mutex_lock(&disk->mutex);
    device = find_present(disk, number);
    if (!device)
        error = -ENXIO;
    else if (device->openers)
        error = -EBUSY;
    else
        partition_gone(device);
    mutex_unlock(&disk->mutex);
    return error;
}

int disk_resize_partition(struct disk *disk, unsigned number, u64 start, u64 sectors)
{
    struct block_device *device;
    int error = 0;

    mutex_lock(&disk->mutex);
    device = find_present(disk, number);
    if (!device)
        error = -ENXIO;
    else if (start != device->start)
        error = -EINVAL;
    else if (overlaps(disk, number, start, sectors))
        error = -EBUSY;
    else if (sectors > disk->whole.sectors - start)
        error = -ERANGE;
    else
        WRITE_ONCE(device->sectors, sectors);
    if (!error && device->resized)
        device->resized(device);
    mutex_unlock(&disk->mutex);
    return error;
}

/* ---- start ---------------------------------------------------------------------------------------------- */

int disk_init(struct disk *disk)
{
    struct block_device *whole = &disk->whole;

    whole->disk = disk;
    whole->id = dev_make(disk->major, disk->first_minor);
    whole->present = true;
    mutex_init(&disk->mutex);
    list_init(&disk->devices);
    list_add(&whole->link, &disk->devices);
    return block_pool_init() ? -ENOMEM : disk_queue_init(disk);
}

int disk_add(struct disk *disk)
{
    struct block_device *whole = &disk->whole;
    int error;

    mutex_lock(&disks_mutex);
    list_add_tail(&disk->link, &disks);
    mutex_unlock(&disks_mutex);
    disk_sysfs_add(disk);
    devfs_add(whole->name, S_IFBLK | 0600, whole->id);
    pr_info("%s: %llu MiB, blocks of %u bytes%s%s", whole->name,
            (unsigned long long)whole->sectors >> (20 - SECTOR_SHIFT),
            disk->limits.logical_block_size, whole->read_only ? ", read-only" : "",
            disk->write_cache ? ", write-back cache" : "");
    error = disk_scan(disk);
    if (error)
        pr_warn("%s: the partition table cannot be read (error %d)", whole->name, -error);
    return 0;
}

/* ---- use ------------------------------------------------------------------------------------------ */

/* The device with a number, its disk's mutex held; or NULL. */
static struct block_device *find_locked(dev_id_t id)
{
    struct block_device *device;
    struct disk *disk;

    mutex_lock(&disks_mutex);
    list_for_each_entry(disk, &disks, link) {
        mutex_lock(&disk->mutex);
        list_for_each_entry(device, &disk->devices, link)
            if (device->id == id && device->present) {
                mutex_unlock(&disks_mutex);
                return device;
            }
        mutex_unlock(&disk->mutex);
    }
    mutex_unlock(&disks_mutex);
    return NULL;
}

/* Does somebody else have it, or the whole disk, or (of a whole disk) a part? => disk->mutex */
static bool held_by_another(const struct block_device *device, const void *holder)
{
    const struct block_device *other;

    if (device->holder)
        return device->holder != holder;
    list_for_each_entry(other, &device->disk->devices, link)
        if (other != device && other->holder && (device->number == 0 || other->number == 0))
            return true;
    return false;
}

struct block_device *block_device_open(dev_id_t id, bool writable, const void *holder)
{
    struct block_device *device = find_locked(id);
    int error = 0;

    if (!device)
        return err_ptr(-ENXIO);
    if (writable && device->read_only)
        error = -EROFS;
    else if (holder && held_by_another(device, holder))
        error = -EBUSY;
    if (!error) {
        device->openers++;
        if (holder) {
            device->holder = holder;
            device->holders++;
        }
    }
    mutex_unlock(&device->disk->mutex);
    return error ? err_ptr(error) : device;
}

void block_device_close(struct block_device *device, const void *holder)
{
    mutex_lock(&device->disk->mutex);
    assert(device->openers > 0);
    device->openers--;
    device->closing -= min(device->closing, 1u);
    if (holder) {
        assert(device->holder == holder && device->holders > 0);
        if (--device->holders == 0)
            device->holder = NULL;
    }
    mutex_unlock(&device->disk->mutex);
}

bool block_device_closing(struct block_device *device)
{
    bool last;

    mutex_lock(&device->disk->mutex);
    last = ++device->closing >= device->openers;
    mutex_unlock(&device->disk->mutex);
    return last;
}

int block_set_read_only(struct block_device *device, bool read_only)
{
    struct disk *disk = device->disk;
    int error = 0;

    mutex_lock(&disk->mutex);
    if (!read_only && disk->never_writable)
        error = -EACCES;
    else
        WRITE_ONCE(device->read_only, read_only);
    mutex_unlock(&disk->mutex);
    return error;
}

void block_for_each(void (*fn)(struct block_device *device, void *arg), void *arg)
{
    struct block_device *device;
    struct disk *disk;

    /* Neither list ever loses anything, so a walk may go on after the mutex was released. */
    mutex_lock(&disks_mutex);
    list_for_each_entry(disk, &disks, link) {
        mutex_unlock(&disks_mutex);
        mutex_lock(&disk->mutex);
        list_for_each_entry(device, &disk->devices, link) {
            if (!device->present)
                continue;
            mutex_unlock(&disk->mutex);
            fn(device, arg);
            mutex_lock(&disk->mutex);
        }
        mutex_unlock(&disk->mutex);
        mutex_lock(&disks_mutex);
    }
    mutex_unlock(&disks_mutex);
}
