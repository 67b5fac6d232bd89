/* SPDX-License-Identifier: MIT */
/*
 * swapon(2), swapoff(2): what mkswap(8) has prepared becomes a swap area (include/vellum/swap.h).
 *
 * A page at the beginning describes the area; it is slot 0, which is never used:
 *
 *     0           1024     1028       1032            1036  1052   1068       1536       PAGE_SIZE - 10
 *     boot loader version  last page  bad pages: how  UUID  label  (unused)   bad pages  "SWAPSPACE2"
 *                 1                   many                                    u32 each
 *
 * Slot n of a device begins at its page n. A file lies on a device in pieces, extents, that its
 * file system tells once, at the beginning; from then on it may not move or change them, so the file
 * can not be written to as long as it is swapped to.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/block.h>
#include <vellum/cred.h>
#include <vellum/error.h>
#include <vellum/page_cache.h>
#include <vellum/printk.h>
#include <vellum/seq_file.h>
#include <vellum/string.h>
#include <vellum/swap.h>
#include <vellum/syscall.h>
#include <linux/capability.h>

/* swapon(2). They are in no header for programs. */
enum {
    SWAP_FLAG_PRIORITY = 0x7fff,
    SWAP_FLAG_PREFER = 0x8000,
    SWAP_FLAG_DISCARD = 0x10000,
    SWAP_FLAG_DISCARD_ONCE = 0x20000,  /* all of it, now */
    SWAP_FLAG_DISCARD_PAGES = 0x40000, /* what becomes free */
    SWAP_FLAGS = 0x7ffff,
};

#define SIGNATURE      "SWAPSPACE2"
#define SIGNATURE_SIZE 10
#define BAD_PAGES_MAX  ((PAGE_SIZE - SIGNATURE_SIZE - 1536) / sizeof(u32))

struct swap_header {
    char boot[1024];
    u32 version, last_page, bad_pages;
    u8 uuid[16];
    char label[16];
    u32 unused[117];
    u32 bad[];
};
static_assert(offsetof(struct swap_header, bad) == 1536, "mkswap's format");

struct extent {
    u64 slot, count; /* slots */
    u64 sector;
};

/* A device or a file that is swapped to. */
struct swap_file {
    struct file *file;
    struct block_device *device;
    bool write_denied;      /* to the file */
    struct extent *extents; /* ascending, without gaps */
    unsigned extent_count, extent_room;
    u64 pages; /* what fits */
};

static inline bool is_block(const struct inode *inode)
{
    return (inode->mode & S_IFMT) == S_IFBLK;
}

static DEFINE_MUTEX(swaps_mutex); /* areas do not change while somebody shows them */

/* ---- reading and writing ------------------------------------------------------------------------------ */

/* Where a slot lies; *run: how many lie there side by side, this one included. */
static u64 slot_sector(const struct swap_file *f, u64 slot, u64 *run)
{
    unsigned low = 0, high = f->extent_count;
    const struct extent *e;

    while (high - low > 1) {
        unsigned middle = low + (high - low) / 2;

        *(f->extents[middle].slot <= slot ? &low : &high) = middle;
    }
    e = &f->extents[low];
    assert(slot >= e->slot && slot - e->slot < e->count);
    *run = e->slot + e->count - slot;
    return e->sector + (slot - e->slot) * PAGE_SECTORS;
}

static void transferred(struct block_request *r)
{
    void (*done)(struct page * page, int error) =
        r->operation == BLOCK_READ ? swap_read_done : swap_write_done;
    int error = r->status ? -EIO : 0;

    for (unsigned i = 0; i < r->segment_count; i++) { /* each of a page, or of several in a row */
        const struct block_segment *s = &r->segments[i];

        for (unsigned n = 0; n < s->length / PAGE_SIZE; n++)
            done(s->page + n, error);
    }
    if (r->operation == BLOCK_WRITE)
        swap_writes_done(r->sectors / PAGE_SECTORS);
    block_request_free(r);
}

/* How many of the pages, up to `most`, have adjacent slots. */
static u64 run_length(struct page **pages, u64 most)
{
    u64 i = 1, first = swap_slot(swap_of_page(pages[0]));

    while (i < most && swap_slot(swap_of_page(pages[i])) == first + i)
        i++;
    return i;
}

static void transfer(const struct swap_file *f, enum block_operation operation, struct page **pages,
                     unsigned n)
{
    struct block_plug plug;

    block_plug_start(&plug);
    while (n > 0) {
        u64 run, sector = slot_sector(f, swap_slot(swap_of_page(pages[0])), &run);
        struct block_request *r;
        unsigned i = 0;

        run = run_length(pages, min_t(u64, run, n));
        r = block_request_alloc(f->device, operation, sector, run, &plug);
        while (i < run && block_request_add(r, pages[i], 0, PAGE_SIZE))
            i++;
        r->flags |= BLOCK_DONE_ANYWHERE;
        r->done = transferred;
        block_submit(r, &plug);
        pages += i;
        n -= i;
    }
    block_plug_finish(&plug);
}

static void swap_file_read(struct swap_area *area, struct page **pages, unsigned n)
{
    transfer(swap_area_data(area), BLOCK_READ, pages, n);
}

static void swap_file_write(struct swap_area *area, struct page **pages, unsigned n)
{
    transfer(swap_area_data(area), BLOCK_WRITE, pages, n);
}

/* A device that does not do it after all loses nothing. */
static void discard(const struct swap_file *f, u64 slot, u64 n)
{
    while (n > 0) {
        u64 run, sector = slot_sector(f, slot, &run);

        run = min(run, n);
        block_erase(f->device, BLOCK_DISCARD, sector, run * PAGE_SECTORS);
        slot += run;
        n -= run;
    }
}

static void swap_file_discard(struct swap_area *area, u64 slot, u64 n)
{
    discard(swap_area_data(area), slot, n);
}

static const struct swap_area_ops plain_ops = {.read = swap_file_read, .write = swap_file_write};
static const struct swap_area_ops discarding_ops = {
    .read = swap_file_read,
    .write = swap_file_write,
    .discard = swap_file_discard,
};

/* ---- where it lies ------------------------------------------------------------------------------------ */

static int add_extent(struct swap_file *f, u64 slot, u64 count, u64 sector)
{
    struct extent *last = f->extent_count ? &f->extents[f->extent_count - 1] : NULL;

    if (last && last->sector + last->count * PAGE_SECTORS == sector) {
        last->count += count;
        return 0;
    }
    if (f->extent_count == f->extent_room) {
        unsigned room = f->extent_room ? 2 * f->extent_room : 1;
        struct extent *more = krealloc(f->extents, room * sizeof(*more), ALLOC_KERNEL);

        if (!more)
            return -ENOMEM;
        f->extents = more;
        f->extent_room = room;
    }
    f->extents[f->extent_count++] = (struct extent){slot, count, sector};
    return 0;
}

static int claim_device(struct swap_file *f)
{
    f->device = block_device_open(f->file->inode->rdev, true, f);
    if (is_err(f->device)) {
        int error = ptr_err(f->device);

        f->device = NULL;
        return error;
    }
    f->pages = block_device_size(f->device) >> PAGE_SHIFT;
    return add_extent(f, 0, f->pages, 0);
}

/* The file was opened for writing, to see whether that is allowed; from now on nobody may. */
static int deny_writing(struct swap_file *f)
{
    struct file *file = path_open(&f->file->path, O_RDONLY | O_LARGEFILE);

    if (is_err(file))
        return ptr_err(file);
    file_put(f->file);
    f->file = file;
    if (inode_deny_write(file->inode))
        return -EBUSY;
    f->write_denied = true;
    return 0;
}

static int claim_file(struct swap_file *f)
{
    struct inode *inode = f->file->inode;
    int error;

    if (!inode->ops->map_page)
        return -EINVAL; /* its file system cannot say where it lies: tmpfs, for one */
    error = deny_writing(f);
    f->pages = READ_ONCE(inode->size) >> PAGE_SHIFT;
    for (u64 i = 0; !error && i < f->pages; i++) {
        dev_id_t device;
        u64 sector;

        error = inode->ops->map_page(inode, i, &device, &sector);
        if (!error && !f->device) {
            f->device = block_device_open(device, true, NULL);
            if (is_err(f->device)) {
                error = ptr_err(f->device);
                f->device = NULL;
            }
        }
        if (!error)
            error = add_extent(f, i, 1, sector);
    }
    return error;
}

static int claim(struct swap_file *f)
{
    if (is_block(f->file->inode))
        return claim_device(f);
    return IS_REGULAR(f->file->inode) ? claim_file(f) : -EINVAL;
}

static void swap_file_free(struct swap_file *f)
{
    if (f->write_denied)
        inode_allow_write(f->file->inode);
    if (f->device)
        block_device_close(f->device, is_block(f->file->inode) ? f : NULL);
    file_put(f->file);
    kfree(f->extents);
    kfree(f);
}

/* With the file open; nothing is claimed yet. err_ptr */
static struct swap_file *swap_file_open(const char __user *user_name)
{
    char *name = name_from_user(user_name);
    struct swap_file *f;
    struct file *file;

    if (is_err(name))
        return (void *)name;
    file = file_open(name, O_RDWR | O_LARGEFILE, 0);
    name_free(name);
    if (is_err(file))
        return (void *)file;
    f = kzalloc(sizeof(*f), ALLOC_KERNEL);
    if (!f) {
        file_put(file);
        return err_ptr(-ENOMEM);
    }
    f->file = file;
    return f;
}

/* ---- the header --------------------------------------------------------------------------------------- */

/* Is that a header, and of an area that fits here? 0 or -EINVAL; *slots: with the header's */
static int check_header(const struct swap_file *f, const struct swap_header *h, u64 *slots)
{
    if (memcmp((const char *)h + PAGE_SIZE - SIGNATURE_SIZE, SIGNATURE, SIGNATURE_SIZE)) {
        pr_err("swap: there is no signature");
        return -EINVAL;
    }
    if (h->version != 1) {
        pr_warn("swap: header version %u is not known", h->version);
        return -EINVAL;
    }
    *slots = (u64)h->last_page + 1;
    if (h->last_page == 0) {
        pr_warn("swap: the area is empty");
        return -EINVAL;
    }
    if (*slots > f->pages) {
        pr_warn("swap: the area is shorter than its signature says");
        return -EINVAL;
    }
    if (h->bad_pages > BAD_PAGES_MAX || (h->bad_pages && IS_REGULAR(f->file->inode)))
        return -EINVAL;
    for (unsigned i = 0; i < h->bad_pages; i++)
        if (h->bad[i] == 0 || h->bad[i] > h->last_page)
            return -EINVAL;
    return 0;
}

static int read_header(const struct swap_file *f, struct page *page)
{
    struct file *file = f->file;
    u64 run;
    int error = 0;

    if (!f->pages)
        return -EINVAL;
    if (file->ops->fsync) /* what mkswap has just written may not be on the device yet */
        error = file->ops->fsync(file, 0, PAGE_SIZE - 1, false);
    if (error)
        return error;
    return block_transfer(f->device, BLOCK_READ, slot_sector(f, 0, &run), &page, PAGE_SIZE);
}

/* ---- swapon(2) ---------------------------------------------------------------------------------------- */

/* Which discards the flags ask for, as far as the device can do it: SWAP_FLAG_DISCARD_ONCE, _PAGES. Who
 * names none of them wants both; who names both gets the first (as in Linux). */
static unsigned discards(const struct swap_file *f, unsigned flags)
{
    if (!(flags & SWAP_FLAG_DISCARD) || !f->device->disk->limits.max_discard_sectors)
        return 0;
    if (flags & SWAP_FLAG_DISCARD_ONCE)
        return SWAP_FLAG_DISCARD_ONCE;
    if (flags & SWAP_FLAG_DISCARD_PAGES)
        return SWAP_FLAG_DISCARD_PAGES;
    return SWAP_FLAG_DISCARD_ONCE | SWAP_FLAG_DISCARD_PAGES;
}

static void announce(const struct swap_file *f, unsigned type, unsigned kinds)
{
    char *buffer = kmalloc(PATH_MAX, ALLOC_KERNEL), *name = NULL;
    struct swap_area_info info;

    if (buffer)
        name = path_name(&f->file->path, buffer, PATH_MAX);
    if (swap_area_info(type, &info))
        pr_info("Adding %lluk swap on %s.  Priority:%d extents:%u across:%lluk%s",
                (unsigned long long)info.slots * (PAGE_SIZE / 1024),
                name && !is_err(name) ? name : f->device->name, info.priority, f->extent_count,
                (unsigned long long)f->pages * (PAGE_SIZE / 1024), kinds ? " D" : "");
    kfree(buffer);
}

/* => swaps_mutex. 0 or -errno; then the swap_file is the caller's still */
static int start(struct swap_file *f, const struct swap_header *h, unsigned flags)
{
    int priority = flags & SWAP_FLAG_PREFER ? (int)(flags & SWAP_FLAG_PRIORITY) : -1;
    unsigned kinds = discards(f, flags);
    u64 slots;
    int type = check_header(f, h, &slots);

    if (type)
        return type;
    if (kinds & SWAP_FLAG_DISCARD_ONCE)
        discard(f, 1, slots - 1);
    type = swap_area_add(slots, h->bad, h->bad_pages, priority,
                         kinds & SWAP_FLAG_DISCARD_PAGES ? &discarding_ops : &plain_ops, f);
    if (type < 0)
        return type;
    announce(f, type, kinds);
    return 0;
}

SYSCALL_DEFINE2(swapon, const char __user *, name, int, flags)
{
    struct page *page;
    struct swap_file *f;
    int error = -ENOMEM;

    if (flags & ~SWAP_FLAGS)
        return -EINVAL;
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    f = swap_file_open(name);
    if (is_err(f))
        return ptr_err(f);
    mutex_lock(&swaps_mutex);
    page = page_alloc(ALLOC_KERNEL);
    if (page) {
        error = claim(f);
        if (!error)
            error = read_header(f, page);
        if (!error)
            error = start(f, page_to_virt(page), flags);
        page_put(page);
    }
    if (error)
        swap_file_free(f);
    mutex_unlock(&swaps_mutex);
    return error;
}

/* ---- swapoff(2) --------------------------------------------------------------------------------------- */

static bool is_same(const struct inode *a, const struct inode *b)
{
    return a == b || (is_block(a) && is_block(b) && a->rdev == b->rdev);
}

/* The number of the area that is on the file, or -EINVAL. */
static int find_area(const struct inode *inode, struct swap_file **f)
{
    struct swap_area_info info;
    int found = -EINVAL;

    mutex_lock(&swaps_mutex);
    for (unsigned type = 0; type < SWAP_AREAS && found < 0; type++)
        if (swap_area_info(type, &info)) {
            *f = info.private_data;
            if (is_same((*f)->file->inode, inode))
                found = type;
        }
    mutex_unlock(&swaps_mutex);
    return found;
}

SYSCALL_DEFINE1(swapoff, const char __user *, user_name)
{
    struct swap_file *f;
    struct path path;
    int type, error;

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    error = path_lookup_user(AT_FDCWD, user_name, LOOKUP_FOLLOW, &path);
    if (error)
        return error;
    type = find_area(path.dentry->inode, &f);
    path_put(&path);
    if (type < 0)
        return type;
    error = swap_area_remove(type, f);
    if (error)
        return error;
    mutex_lock(&swaps_mutex);
    swap_file_free(f);
    mutex_unlock(&swaps_mutex);
    return 0;
}

/* ---- /proc/swaps -------------------------------------------------------------------------------------- */

static void show_area(struct seq_file *m, const struct swap_area_info *info, char *buffer)
{
    const struct swap_file *f = info->private_data;
    unsigned long long size = info->slots * (PAGE_SIZE / 1024);
    unsigned long long used = info->used * (PAGE_SIZE / 1024);
    const char *name = path_name(&f->file->path, buffer, PATH_MAX);
    int n;

    if (is_err(name))
        name = f->device->name;
    seq_escape(m, name, " \t\n\\");
    n = strlen(name);
    seq_printf(m, "%*s%s\t%llu\t%s%llu\t%s%d\n", n < 40 ? 40 - n : 1, " ",
               is_block(f->file->inode) ? "partition" : "file\t", size, size < 10000000 ? "\t" : "",
               used, used < 10000000 ? "\t" : "", info->priority);
}

int swaps_show(struct seq_file *m)
{
    char *buffer = kmalloc(PATH_MAX, ALLOC_KERNEL);
    struct swap_area_info info;

    if (!buffer)
        return -ENOMEM;
    seq_puts(m, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    mutex_lock(&swaps_mutex);
    for (unsigned type = 0; type < SWAP_AREAS; type++)
        if (swap_area_info(type, &info))
            show_area(m, &info, buffer);
    mutex_unlock(&swaps_mutex);
    kfree(buffer);
    return 0;
}
