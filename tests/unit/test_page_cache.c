/* SPDX-License-Identifier: MIT */
/* unit: tests/unit/vfs_glue.c kernel/fs/tmpfs/tmpfs.c kernel/fs/tmpfs/contents.c kernel/fs/tmpfs/super.c kernel/fs/tmpfs/ramfs.c */
/* unit: kernel/fs/dentry.c kernel/fs/inode.c kernel/fs/handle.c kernel/fs/dentry_move.c */
/* unit: kernel/fs/mount.c kernel/fs/mount_calls.c kernel/fs/propagate.c kernel/fs/mount_fd.c kernel/fs/names.c */
/* unit: kernel/fs/path.c kernel/fs/super.c kernel/fs/walk.c kernel/fs/walk_link.c kernel/fs/init.c */
/* unit: kernel/fs/attributes.c kernel/fs/open.c kernel/fs/file.c kernel/fs/descriptor.c */
/* unit: kernel/fs/rename.c kernel/fs/stat.c kernel/fs/iov.c kernel/mm/page_cache.c kernel/mm/page_cache_remove.c kernel/mm/page_cache_swap.c */
/* unit: kernel/fs/cached_file.c kernel/fs/locks.c kernel/fs/read_write.c kernel/fs/readdir.c */
/* unit: kernel/mm/writeback.c kernel/mm/flusher.c kernel/mm/throttle.c kernel/mm/dirty_policy.c */
/* unit: kernel/fs/read_ahead.c kernel/fs/read_window.c lib/error_sequence.c */
/* unit: kernel/fs/char_device.c kernel/mm/page_lock.c kernel/mm/uaccess.c kernel/proc/cred.c kernel/proc/user.c lib/bitmap.c */
/* unit: lib/hash.c lib/radix_tree.c lib/number.c lib/rbtree.c lib/interval_tree.c */
/*
 * The page cache against arrays of bytes: first alone, with a device behind it or
 * with none, then as the contents of a tmpfs file, through the system calls.
 */
#include "shim/kmalloc.h"
#include "shim/pages.h"
#include "tests/unit/vfs_glue.h"
#include "unit.h"
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <vellum/error.h>
#include <vellum/fs.h>
#include <vellum/string.h>
#include <vellum/syscall.h>

#define PAGES 600UL

static void start(void)
{
    static bool started;

    if (!started)
        vfs_start();
    started = true;
}

/* ---- the cache --------------------------------------------------------------------- */

/* What should be in the cache: for each page a byte that fills it. */
static struct {
    bool present, dirty;
    u8 byte;
} model[PAGES];

static u8 device[PAGES]; /* what read_page() finds */
static bool device_fails;

static void read_pages(struct page_cache *cache, struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        CHECK(pages[i]->flags & PG_LOCKED);
        CHECK(!(pages[i]->flags & PG_UPTODATE));
        CHECK_EQ(pages[i]->index, pages[0]->index + i);
        if (!device_fails)
            memset(page_to_virt(pages[i]), device[pages[i]->index], PAGE_SIZE);
        page_read_done(pages[i], device_fails ? -EIO : 0);
    }
}

static long counted; /* by adding() and removed() */

static int adding(struct page_cache *cache)
{
    counted++;
    return 0;
}

static void removed(struct page_cache *cache, u64 n)
{
    counted -= n;
}

static const struct page_cache_ops device_ops = {
    .read_pages = read_pages, .adding = adding, .removed = removed};
static const struct page_cache_ops memory_ops = {.adding = adding, .removed = removed};

/* => the caller has a reference */
static void check_page(struct page_cache *cache, struct page *page, u64 index)
{
    u8 *bytes = page_to_virt(page);

    CHECK(page->cache == cache);
    CHECK_EQ(page->index, index);
    CHECK_EQ(atomic_read(&page->refs), 2); /* the cache's and ours */
    CHECK(page->flags & PG_UPTODATE);
    CHECK_EQ(bytes[0], model[index].byte);
    CHECK_EQ(bytes[PAGE_SIZE - 1], model[index].byte);
    CHECK_EQ((page->flags & PG_DIRTY) != 0, model[index].dirty);
}

static void do_read(struct page_cache *cache, u64 index)
{
    bool from_memory = cache->ops == &memory_ops;
    struct vm_fault fault = {.waited = true};
    struct page *page;

    device_fails = unit_random_below(10) == 0;
    page = page_cache_read(cache, index, &fault);
    if (is_err(page)) {
        CHECK(device_fails && !from_memory && !model[index].present);
        CHECK_EQ(ptr_err(page), -EIO);
        return;
    }
    CHECK_EQ(fault.major, !model[index].present && !from_memory);
    if (!model[index].present) {
        model[index].present = true;
        model[index].byte = from_memory ? 0 : device[index];
    }
    check_page(cache, page, index);
    page_put(page);
}

static void do_write(struct page_cache *cache, u64 index)
{
    struct page *page;

    device_fails = false;
    page = page_cache_grab(cache, index, true);
    CHECK(!is_err(page));
    CHECK(page->flags & PG_LOCKED);
    model[index].present = true;
    model[index].byte = unit_random();
    memset(page_to_virt(page), model[index].byte, PAGE_SIZE);
    page_flag_set(page, PG_UPTODATE);
    page_set_dirty(page);
    model[index].dirty = cache->ops == &device_ops;
    page_unlock(page);
    check_page(cache, page, index);
    page_put(page);
}

static void do_gang(struct page_cache *cache, u64 first)
{
    struct page *pages[40];
    unsigned n = 1 + unit_random_below(ARRAY_SIZE(pages)), i = 0;
    unsigned count = page_cache_gang(cache, first, pages, n);

    for (u64 index = first; index < PAGES && i < n; index++) {
        if (!model[index].present)
            continue;
        CHECK(i < count);
        CHECK_EQ(pages[i++]->index, index);
    }
    CHECK_EQ(count, i);
    pages_put(pages, count);
}

static void forget(u64 first, u64 last)
{
    for (u64 index = first; index <= last && index < PAGES; index++) {
        if (model[index].dirty) /* thrown away */
            device[index] = unit_random();
        model[index].present = model[index].dirty = false;
    }
}

/* Only whole pages here; the rest of the last one is the file test's. */
static void do_remove(struct page_cache *cache, u64 first)
{
    u64 last = first + unit_random_below(unit_random_below(4) ? 8 : PAGES);

    if (unit_random_below(8)) {
        page_cache_remove_range(cache, first, last);
        forget(first, last);
    } else {
        page_cache_truncate(cache, first * PAGE_SIZE);
        forget(first, PAGES);
    }
}

static void do_seek(struct page_cache *cache, u64 start_page)
{
    u64 start = start_page * PAGE_SIZE + unit_random_below(PAGE_SIZE), expected = start;
    loff_t size = start + 1 + unit_random_below(PAGES * PAGE_SIZE - start);
    bool data = unit_random_below(2);

    for (u64 index = start_page; index < PAGES && model[index].present != data; index++)
        expected = (index + 1) * PAGE_SIZE;
    if (data && (expected >= size || expected >= PAGES * PAGE_SIZE))
        CHECK_EQ(page_cache_seek(cache, start, size, true), -ENXIO);
    else
        CHECK_EQ(page_cache_seek(cache, start, size, data), min(expected, (u64)size));
}

static void check_count(struct page_cache *cache)
{
    u64 present = 0, dirty = 0;
    void *found[PAGES];

    for (u64 i = 0; i < PAGES; i++) {
        present += model[i].present;
        dirty += model[i].dirty;
    }
    /* after a failed read an empty page stays, and is read again by the next one who asks */
    CHECK(cache->nr_pages >= present);
    CHECK_EQ(cache->nr_pages, counted);
    CHECK_EQ(radix_tree_gang_lookup_tag(&cache->pages, found, 0, PAGES, RADIX_TAG_DIRTY), dirty);
}

static void random_operations(const struct page_cache_ops *ops)
{
    u64 frames, nodes;
    struct page_cache cache;
    struct inode inode = {.size = PAGES * PAGE_SIZE};

    start();
    frames = shim_frames_in_use;
    nodes = kmalloc_in_use;
    memset(model, 0, sizeof(model));
    page_cache_init(&cache, &inode, ops);
    for (int op = 0; op < 400000; op++) {
        u64 index = unit_random_below(unit_random_below(3) ? 80 : PAGES);

        switch (unit_random_below(16)) {
        case 0 ... 5:
            do_read(&cache, index);
            break;
        case 6 ... 9:
            do_write(&cache, index);
            break;
        case 10 ... 11:
            if (ops == &memory_ops)
                do_seek(&cache, index);
            break;
        case 12 ... 13: {
            struct page *page = page_cache_find(&cache, index);

            CHECK_EQ(page != NULL, model[index].present);
            if (page) {
                check_page(&cache, page, index);
                page_put(page);
            }
            break;
        }
        case 14:
            if (ops ==
                &memory_ops) /* with a device, pages that could not be read may be among them */
                do_gang(&cache, index);
            break;
        case 15:
            if (unit_random_below(8) == 0)
                do_remove(&cache, index);
            break;
        }
        if (op % 4096 == 0)
            check_count(&cache);
    }
    page_cache_destroy(&cache);
    CHECK_EQ(counted, 0);
    CHECK_EQ(shim_frames_in_use, frames);
    CHECK_EQ(kmalloc_in_use, nodes);
}

TEST(page_cache_of_a_device)
{
    random_operations(&device_ops);
}

TEST(page_cache_of_memory_alone)
{
    random_operations(&memory_ops);
}

/* ---- a file ------------------------------------------------------------------------ */

#define CALL(name)                                                                                 \
    long sys_##name(unsigned long, unsigned long, unsigned long, unsigned long, unsigned long,     \
                    unsigned long)
CALL(openat);
CALL(close);
CALL(unlinkat);
CALL(pread64);
CALL(pwrite64);
CALL(read);
CALL(write);
CALL(lseek);
CALL(ftruncate);
CALL(fallocate);
CALL(copy_file_range);

#define P(pointer) ((unsigned long)(pointer))
#define MAX_SIZE   (40 * PAGE_SIZE)

static u8 contents[MAX_SIZE], buffer[MAX_SIZE];
static bool allocated[MAX_SIZE / PAGE_SIZE]; /* pages that are no hole */
static u64 size;

static void mark_allocated(u64 offset, u64 n)
{
    for (u64 page = offset / PAGE_SIZE; n && page <= (offset + n - 1) / PAGE_SIZE; page++)
        allocated[page] = true;
}

static void write_at(long fd, u64 offset, u64 n)
{
    for (u64 i = 0; i < n; i++)
        buffer[i] = unit_random();
    if (unit_random_below(2)) {
        CHECK_EQ(sys_pwrite64(fd, P(buffer), n, offset, 0, 0), n);
    } else {
        CHECK_EQ(sys_lseek(fd, offset, SEEK_SET, 0, 0, 0), offset);
        CHECK_EQ(sys_write(fd, P(buffer), n, 0, 0, 0), n);
        CHECK_EQ(sys_lseek(fd, 0, SEEK_CUR, 0, 0, 0), offset + n);
    }
    memcpy(contents + offset, buffer, n);
    mark_allocated(offset, n);
    size = n ? max(size, offset + n) : size;
}

/* Reading a hole makes a page of zeros in the cache of a tmpfs or not: both are right, so holes are
 * compared only as bytes. */
static void read_at(long fd, u64 offset, u64 n)
{
    u64 expected = offset < size ? min(n, size - offset) : 0;

    memset(buffer, 0xee, n + 1);
    if (unit_random_below(2)) {
        CHECK_EQ(sys_pread64(fd, P(buffer), n, offset, 0, 0), expected);
    } else {
        CHECK_EQ(sys_lseek(fd, offset, SEEK_SET, 0, 0, 0), offset);
        CHECK_EQ(sys_read(fd, P(buffer), n, 0, 0, 0), expected);
    }
    CHECK_EQ(memcmp(buffer, contents + offset, expected), 0);
    CHECK_EQ(buffer[expected], 0xee); /* and nothing more */
}

static void change_size(long fd, u64 new_size)
{
    CHECK_EQ(sys_ftruncate(fd, new_size, 0, 0, 0, 0), 0);
    if (new_size < size)
        memset(contents + new_size, 0, size - new_size);
    for (u64 page = DIV_ROUND_UP(new_size, PAGE_SIZE); page < MAX_SIZE / PAGE_SIZE; page++)
        allocated[page] = false;
    size = new_size;
}

static void allocate(long fd, u64 offset, u64 n)
{
    bool keep = unit_random_below(2), punch = unit_random_below(2);
    unsigned mode =
        punch ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : (keep ? FALLOC_FL_KEEP_SIZE : 0);

    if (n == 0) {
        CHECK_EQ(sys_fallocate(fd, mode, offset, n, 0, 0), -EINVAL);
        return;
    }
    CHECK_EQ(sys_fallocate(fd, mode, offset, n, 0, 0), 0);
    if (punch) {
        memset(contents + offset, 0, n);
        for (u64 page = DIV_ROUND_UP(offset, PAGE_SIZE); page < (offset + n) / PAGE_SIZE; page++)
            allocated[page] = false;
    } else if (!keep) {
        size = max(size, offset + n);
    }
}

/* What is written is data, and what is a hole reads as zeros; SEEK_DATA never skips what was
 * written, SEEK_HOLE never ends in it. */
static void seek(long fd, u64 offset)
{
    long data = sys_lseek(fd, offset, SEEK_DATA, 0, 0, 0);
    long hole = sys_lseek(fd, offset, SEEK_HOLE, 0, 0, 0);
    u64 end = data < 0 ? size : (u64)data;

    if (offset >= size) {
        CHECK_EQ(data, -ENXIO);
        CHECK_EQ(hole, -ENXIO);
        return;
    }
    CHECK(data >= 0 || data == -ENXIO);
    CHECK(end >= offset && end <= size);
    for (u64 at = offset; at < end; at++)
        CHECK_EQ(contents[at], 0);
    for (u64 page = offset / PAGE_SIZE; page < end / PAGE_SIZE; page++)
        CHECK(!allocated[page]);
    CHECK(hole >= (long)offset && hole <= (long)size);
    CHECK((u64)hole == size || !allocated[hole / PAGE_SIZE]);
}

TEST(file_contents_against_an_array)
{
    u64 objects, frames;
    long fd;

    start();
    vfs_shrink();
    objects = kmalloc_in_use;
    frames = shim_frames_in_use;
    fd = sys_openat((unsigned long)AT_FDCWD, P("/file"), O_CREAT | O_RDWR, 0600, 0, 0);
    CHECK(fd >= 0);
    for (int op = 0; op < 60000; op++) {
        u64 offset = unit_random_below(MAX_SIZE - 1);
        u64 n =
            unit_random_below(min(MAX_SIZE - 1 - offset, unit_random_below(4) ? 300UL : 20000UL));

        switch (unit_random_below(12)) {
        case 0 ... 3:
            write_at(fd, offset, n);
            break;
        case 4 ... 7:
            read_at(fd, offset, n);
            break;
        case 8:
            if (unit_random_below(4) == 0)
                change_size(fd, unit_random_below(MAX_SIZE));
            break;
        case 9:
            allocate(fd, offset, n);
            break;
        default:
            seek(fd, offset);
        }
        CHECK_EQ(sys_lseek(fd, 0, SEEK_END, 0, 0, 0), size);
    }
    CHECK_EQ(sys_close(fd, 0, 0, 0, 0, 0), 0);
    CHECK_EQ(sys_unlinkat((unsigned long)AT_FDCWD, P("/file"), 0, 0, 0, 0), 0);
    vfs_shrink();
    CHECK_EQ(shim_frames_in_use, frames);
    CHECK_EQ(kmalloc_in_use, objects);
}
