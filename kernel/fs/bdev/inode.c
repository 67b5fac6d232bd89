/* SPDX-License-Identifier: MIT */
/*
 * A block device's contents as a page cache.
 *
 * Each device has an inode of its own, which no name leads to: the nodes in /dev (and elsewhere) only
 * say its number, and every file that is opened through any of them uses the one inode's cache. A
 * disk and its partitions have different caches, as on Linux; so what was written to one is seen
 * in the other when it has been written out, which the last close of a device does.
 */
#include "internal.h"
#include <vellum/sysfs.h>
#include <vellum/writeback.h>

struct disk_backing {
    struct backing_device backing;
    struct disk *disk;
};

static struct super_block *super;
static const struct inode_ops device_inode_ops = {0};

/* ---- reading and writing pages ---------------------------------------------------------------------- */

/* The pages of a request, which may have been joined to longer segments. */
static void for_each_page(struct block_request *r, void (*fn)(struct page *page, int error))
{
    for (unsigned i = 0; i < r->segment_count; i++) {
        struct block_segment *s = &r->segments[i];

        for (unsigned k = 0; k < DIV_ROUND_UP(s->length, PAGE_SIZE); k++)
            fn(s->page + k, r->status);
    }
}

static void pages_read(struct block_request *r)
{
    for_each_page(r, page_read_done);
    block_request_free(r);
}

static void pages_written(struct block_request *r)
{
    for_each_page(r, page_write_done);
    block_request_free(r);
}

/* How many bytes of a page are on the device; the last one may be there in part only. */
static u32 bytes_of(const struct block_device *device, const struct page *page)
{
    u64 size = block_device_size(device), pos = page->index * PAGE_SIZE;

    return pos >= size ? 0 : (u32)min(size - pos, (u64)PAGE_SIZE);
}

static void send(struct block_device *device, enum block_operation operation, struct page **pages,
                 unsigned n, void (*done)(struct block_request *r))
{
    for (unsigned i = 0; i < n;) {
        struct block_request *r =
            block_request_alloc(device, operation, pages[i]->index * PAGE_SECTORS, n - i, NULL);

        r->done = done;
        r->flags |= BLOCK_DONE_ANYWHERE;
        while (i < n && block_request_add(r, pages[i], 0, bytes_of(device, pages[i])))
            i++;
        block_submit(r, NULL);
    }
}

/* Those at the end that the device has nothing of, since it has become smaller. */
static unsigned without_end(const struct block_device *device, struct page **pages, unsigned n)
{
    while (n > 0 && bytes_of(device, pages[n - 1]) == 0)
        n--;
    return n;
}

static void read_pages(struct page_cache *cache, struct page **pages, unsigned n)
{
    struct block_device *device = cache->inode->private_data;
    unsigned there = without_end(device, pages, n);

    for (unsigned i = there; i < n; i++)
        page_read_done(pages[i], -EIO);
    if (there && bytes_of(device, pages[there - 1]) < PAGE_SIZE)
        memset(page_to_virt(pages[there - 1]), 0, PAGE_SIZE);
    send(device, BLOCK_READ, pages, there, pages_read);
}

static void write_pages(struct page_cache *cache, struct page **pages, unsigned n, bool sync)
{
    struct block_device *device = cache->inode->private_data;
    unsigned there = without_end(device, pages, n);

    for (unsigned i = there; i < n; i++)
        page_write_done(pages[i], -EIO);
    send(device, BLOCK_WRITE, pages, there, pages_written);
}

static const struct page_cache_ops device_cache_ops = {
    .read_pages = read_pages,
    .write_pages = write_pages,
};

/* ---- disks -------------------------------------------------------------------------------------------- */

static int flush(struct backing_device *backing)
{
    struct disk *disk = container_of(backing, struct disk_backing, backing)->disk;

    return block_flush(&disk->whole);
}

static void show_read_ahead(struct seq_file *m, void *data)
{
    struct disk_backing *b = data;

    seq_printf(m, "%u\n", READ_ONCE(b->backing.read_ahead) * (unsigned)(PAGE_SIZE / 1024));
}

static int store_read_ahead(void *data, char *text, size_t n)
{
    struct disk_backing *b = data;
    u64 kib = 0;

    if (n == 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9' || kib > UINT32_MAX)
            return -EINVAL;
        kib = kib * 10 + (u64)(text[i] - '0');
    }
    WRITE_ONCE(b->backing.read_ahead, (unsigned)min(kib, (u64)INT32_MAX) / (PAGE_SIZE / 1024));
    return 0;
}

/* The disk of this inode has something that writes its dirty pages. => disk->mutex */
static struct backing_device *backing_of(struct disk *disk)
{
    struct disk_backing *b = disk->backing;
    char name[16];

    if (b)
        return &b->backing;
    b = kzalloc(sizeof(*b), ALLOC_KERNEL);
    if (!b)
        return NULL;
    b->disk = disk;
    b->backing.flush = flush;
    snprintf(name, sizeof(name), "%u:%u", dev_major(disk->whole.id), dev_minor(disk->whole.id));
    if (backing_register(&b->backing, name) != 0)
        return NULL; /* b stays: it is in the list */
    disk->backing = b;
    sysfs_knob(sysfs_directory(disk->whole.sysfs, "queue"), "read_ahead_kb", show_read_ahead,
               store_read_ahead, b);
    return &b->backing;
}

/* => disk->mutex */
static struct inode *make_inode(struct block_device *device)
{
    struct backing_device *backing = backing_of(device->disk);
    struct inode *inode = backing ? inode_alloc(super) : NULL;

    if (!inode)
        return NULL;
    inode->mode = S_IFBLK | 0600;
    inode->ino = inode_next_number();
    inode->rdev = device->id;
    inode->ops = &device_inode_ops;
    inode->file_ops = &no_device_file_ops;
    inode->private_data = device;
    page_cache_attach(&inode->cache, &device_cache_ops, backing);
    return inode;
}

/* => disk->mutex */
static void set_size(struct block_device *device)
{
    WRITE_ONCE(device->inode->size, block_device_size(device));
}

struct inode *block_inode(struct block_device *device)
{
    struct inode *inode;

    mutex_lock(&device->disk->mutex);
    if (!device->inode) {
        device->inode = make_inode(device);
        device->resized = device->inode ? set_size : NULL;
    }
    inode = device->inode;
    if (inode)
        set_size(device);
    mutex_unlock(&device->disk->mutex);
    return inode;
}

static void add_pages(struct block_device *device, void *sum)
{
    mutex_lock(&device->disk->mutex);
    if (device->inode)
        *(u64 *)sum += READ_ONCE(device->inode->cache.nr_pages);
    mutex_unlock(&device->disk->mutex);
}

u64 block_pages(void)
{
    u64 sum = 0;

    block_for_each(add_pages, &sum);
    return sum;
}

/* ---- start ------------------------------------------------------------------------------------------- */

static const struct super_ops super_ops = {0};
static struct fs_type type = {.name = "bdev"};

void __init block_files_init(void)
{
    super = super_alloc(&type);
    if (!super)
        panic("no memory for block special files");
    super->ops = &super_ops;
    super->flags = SB_INTERNAL | MS_NOATIME;
    fs_register(&type);
}
