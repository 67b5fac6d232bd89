/* SPDX-License-Identifier: MIT */
/*
 * Disks in memory: /dev/ram0 ..., as many as `rd_nr=` says (1) of `ramdisk_size=` KiB each; none
 * without the latter. A frame is taken when a page of the disk is first written, and given back when
 * it is discarded; what has none reads as zeros. Requests are done at once by those who make them, so
 * that the cost of everything above, page cache and file systems, can be measured by itself.
 */
#include "internal.h"
#include <vellum/boot.h>
#include <vellum/radix_tree.h>
#include <linux/major.h>

#define COUNT_MAX 16

struct ram_disk {
    struct disk disk;
    spinlock_t lock;         /* interrupts off */
    struct radix_tree pages; /* [lock] by sector / PAGE_SECTORS; each with a reference */
};

static struct ram_disk *ram_disk(struct disk *disk)
{
    return container_of(disk, struct ram_disk, disk);
}

/* The page of an index with a reference, or NULL. */
static struct page *find(struct ram_disk *ram, u64 index)
{
    unsigned long flags = spin_lock_irqsave(&ram->lock);
    struct page *page = radix_tree_lookup(&ram->pages, index);

    if (page)
        page_get(page);
    spin_unlock_irqrestore(&ram->lock, flags);
    return page;
}

/* The same; one of zeros if there was none. NULL: no memory. */
static struct page *find_or_make(struct ram_disk *ram, u64 index)
{
    struct page *page = find(ram, index);
    unsigned long flags;
    int error;

    while (!page) {
        page = frames_are_short() ? NULL : page_alloc(ALLOC_ATOMIC | ALLOC_ZERO);
        if (!page)
            return NULL;
        page_get(page);
        flags = spin_lock_irqsave(&ram->lock);
        error = radix_tree_insert(&ram->pages, index, page);
        spin_unlock_irqrestore(&ram->lock, flags);
        if (!error)
            break;
        page_put(page);
        page_put(page);
        if (error != -EEXIST)
            return NULL;
        page = find(ram, index);
    }
    return page;
}

static void forget(struct ram_disk *ram, u64 index)
{
    unsigned long flags = spin_lock_irqsave(&ram->lock);
    struct page *page = radix_tree_delete(&ram->pages, index);

    spin_unlock_irqrestore(&ram->lock, flags);
    if (page)
        page_put(page);
}

/* n bytes within a page of the disk, from or to memory; NULL: zeros are written. */
static int move(struct ram_disk *ram, u64 byte, char *memory, size_t n, bool write)
{
    struct page *page = write ? find_or_make(ram, byte / PAGE_SIZE) : find(ram, byte / PAGE_SIZE);
    char *at = page ? (char *)page_to_virt(page) + byte % PAGE_SIZE : NULL;

    if (write && !page)
        return -ENOSPC;
    if (!write && page)
        memcpy(memory, at, n);
    else if (!write)
        memset(memory, 0, n);
    else if (memory)
        memcpy(at, memory, n);
    else
        memset(at, 0, n);
    if (page)
        page_put(page);
    return 0;
}

static int move_segments(struct ram_disk *ram, struct block_request *r)
{
    u64 byte = r->disk_sector << SECTOR_SHIFT;
    int error = 0;

    for (unsigned i = 0; i < r->segment_count; i++) {
        struct block_segment *s = &r->segments[i];
        char *memory = (char *)page_to_virt(s->page) + s->offset;

        for (u32 done = 0, n; done < s->length && !error; done += n, byte += n) {
            n = min(s->length - done, (u32)(PAGE_SIZE - byte % PAGE_SIZE));
            error = move(ram, byte, memory + done, n, r->operation == BLOCK_WRITE);
        }
    }
    return error;
}

/* Whole pages are given back, parts of pages become zeros. */
static int erase(struct ram_disk *ram, struct block_request *r)
{
    u64 byte = r->disk_sector << SECTOR_SHIFT, end = byte + ((u64)r->sectors << SECTOR_SHIFT);
    int error = 0;

    while (byte < end && !error) {
        u64 n = min(end - byte, PAGE_SIZE - byte % PAGE_SIZE);

        if (n == PAGE_SIZE)
            forget(ram, byte / PAGE_SIZE);
        else
            error = move(ram, byte, NULL, n, true);
        byte += n;
    }
    return error;
}

static int transfer(struct disk *disk, struct block_request *r)
{
    return r->operation <= BLOCK_WRITE ? move_segments(ram_disk(disk), r)
                                       : erase(ram_disk(disk), r);
}

static const struct disk_ops ram_disk_ops = {.transfer = transfer};

static int make(unsigned index, u64 sectors)
{
    struct ram_disk *ram = kzalloc(sizeof(*ram), ALLOC_KERNEL);
    struct disk *disk = &ram->disk;
    int error;

    if (!ram)
        return -ENOMEM;
    spin_init(&ram->lock);
    radix_tree_init(&ram->pages);
    disk->ops = &ram_disk_ops;
    disk->major = RAMDISK_MAJOR;
    disk->major_name = "ramdisk";
    disk->first_minor = index;
    disk->minors = 1;
    disk->limits = (struct block_limits){
        .logical_block_size = SECTOR_SIZE,
        .physical_block_size = PAGE_SIZE,
        .io_min = PAGE_SIZE,
        .max_sectors = 2048,
        .max_segment_size = 1U << 20,
        .max_segments = BLOCK_SEGMENTS_MAX,
        .max_discard_sectors = 1U << 22,
        .discard_granularity = PAGE_SIZE,
        .max_zeroes_sectors = 1U << 22,
    };
    disk->whole.sectors = sectors;
    snprintf(disk->whole.name, sizeof(disk->whole.name), "ram%u", index);
    error = disk_init(disk);
    return error ? error : disk_add(disk);
}

void __init ram_disks_init(void)
{
    u64 kib = boot_param_u64("ramdisk_size", 0), n = boot_param_u64("rd_nr", 1);

    for (unsigned i = 0; kib && i < min(n, (u64)COUNT_MAX); i++) {
        int error = make(i, kib * 2);

        if (error)
            pr_err("ram%u: error %d", i, -error);
    }
}
