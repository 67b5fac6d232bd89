/* SPDX-License-Identifier: MIT */
/* unit: tests/unit/vfs_glue.c kernel/fs/tmpfs/tmpfs.c kernel/fs/tmpfs/contents.c kernel/fs/tmpfs/super.c kernel/fs/tmpfs/ramfs.c */
/* unit: kernel/fs/dentry.c kernel/fs/inode.c kernel/fs/handle.c kernel/fs/dentry_move.c */
/* unit: kernel/fs/mount.c kernel/fs/mount_calls.c kernel/fs/propagate.c kernel/fs/mount_fd.c kernel/fs/names.c */
/* unit: kernel/fs/path.c kernel/fs/super.c kernel/fs/walk.c kernel/fs/walk_link.c kernel/fs/init.c */
/* unit: kernel/fs/attributes.c kernel/fs/open.c kernel/fs/file.c kernel/fs/descriptor.c */
/* unit: kernel/fs/rename.c kernel/fs/stat.c kernel/fs/iov.c kernel/mm/page_cache.c kernel/mm/page_cache_remove.c kernel/mm/page_cache_swap.c */
/* unit: kernel/mm/writeback.c kernel/mm/flusher.c kernel/mm/throttle.c kernel/mm/dirty_policy.c */
/* unit: kernel/fs/read_ahead.c kernel/fs/read_window.c lib/error_sequence.c */
/* unit: kernel/fs/cached_file.c kernel/fs/locks.c kernel/fs/read_write.c kernel/fs/readdir.c */
/* unit: kernel/fs/char_device.c kernel/mm/page_lock.c kernel/mm/uaccess.c kernel/proc/cred.c kernel/proc/user.c lib/bitmap.c */
/* unit: lib/hash.c lib/radix_tree.c lib/number.c lib/rbtree.c lib/interval_tree.c */
/*
 * Write-back to a device that takes its time, completes in any order, and fails at times: what is
 * written by whom and when, what the counters say, and that in the end the device has what was written.
 */
#include "kernel/fs/internal.h"
#include "kernel/mm/cache.h"
#include "shim/pages.h"
#include "tests/unit/vfs_glue.h"
#include "unit.h"
#include <vellum/dirty_policy.h>
#include <vellum/vmstat.h>

#define PAGES 512U
#define FILES 3U

extern int (*shim_asleep)(ktime_t deadline);

/* ---- the device --------------------------------------------------------------------------------------- */

struct slot {
    struct page *page;
    bool write;
};

static struct backing_device device;
static struct slot queue[FILES * PAGES];
static unsigned queued, runs, fail_one_in;
static u64 flushes;

static struct {
    struct inode *inode;
    struct file *files[2];
    u8 medium[PAGES], model[PAGES];
    bool failed[PAGES]; /* the last writing: the medium may be anything older */
} f[FILES];

static unsigned file_of(const struct page_cache *cache)
{
    for (unsigned i = 0; i < FILES; i++)
        if (cache == &f[i].inode->cache)
            return i;
    panic("whose?");
}

static void submit(struct page **pages, unsigned n, bool write)
{
    CHECK(n > 0 && n <= PAGE_RUN);
    runs++;
    for (unsigned i = 0; i < n; i++) {
        CHECK_EQ(pages[i]->index, pages[0]->index + i);
        CHECK(write ? pages[i]->flags & PG_WRITEBACK : pages[i]->flags & PG_LOCKED);
        CHECK(queued < ARRAY_SIZE(queue));
        queue[queued++] = (struct slot){pages[i], write};
    }
}

static void read_pages(struct page_cache *cache, struct page **pages, unsigned n)
{
    submit(pages, n, false);
}

static void write_pages(struct page_cache *cache, struct page **pages, unsigned n, bool sync)
{
    submit(pages, n, true);
}

static const struct page_cache_ops ops = {.read_pages = read_pages, .write_pages = write_pages};

static int flush(struct backing_device *d)
{
    flushes++;
    return 0;
}

/* One of the pages, whichever, is done. */
static void device_step(void)
{
    unsigned i = unit_random_below(queued);
    struct slot slot = queue[i];
    unsigned who = file_of(slot.page->cache);
    u8 *bytes = page_to_virt(slot.page);
    u64 index = slot.page->index;
    bool fails = fail_one_in && unit_random_below(fail_one_in) == 0;

    queue[i] = queue[--queued];
    if (!slot.write) {
        memset(bytes, f[who].medium[index], PAGE_SIZE);
        page_read_done(slot.page, 0);
        return;
    }
    CHECK_EQ(bytes[0], bytes[PAGE_SIZE - 1]);
    f[who].failed[index] = fails;
    if (!fails)
        f[who].medium[index] = bytes[0];
    page_write_done(slot.page, fails ? -EIO : 0);
}

static int asleep(ktime_t deadline)
{
    glue_now += NSEC_PER_MSEC;
    if (device.wanted) {
        device.wanted = false;
        flusher_round(&device);
    }
    if (queued)
        device_step();
    else if (deadline != KTIME_MAX)
        glue_now = max(glue_now, (long)deadline);
    else
        CHECK(device.wanted);
    return glue_now >= (long)deadline ? -ETIME : 0;
}

static void drain(void)
{
    while (queued)
        device_step();
}

/* ---- files ---------------------------------------------------------------------------------------------- */

static const struct file_ops file_ops = {.read = cached_file_read,
                                         .write = cached_file_write,
                                         .seek = seek_generic,
                                         .fsync = cached_file_fsync};
static const struct inode_ops inode_ops;

static void start(void)
{
    static bool started;

    if (!started) {
        vfs_start();
        device.flush = flush;
        backing_init(&device, "1:1");
    }
    started = true;
    shim_asleep = asleep;
    fail_one_in = 0;
    glue_available = 1UL << 40;
    for (unsigned i = 0; i < FILES; i++) {
        f[i].inode = inode_alloc(anonymous_mount->sb);
        f[i].inode->mode = S_IFREG | 0600;
        f[i].inode->ops = &inode_ops;
        f[i].inode->size = PAGES * PAGE_SIZE;
        page_cache_attach(&f[i].inode->cache, &ops, &device);
        for (unsigned k = 0; k < 2; k++)
            f[i].files[k] = file_anonymous(inode_get(f[i].inode), &file_ops, O_RDWR, "file");
        memset(f[i].medium, 0x11, sizeof(f[i].medium));
        memset(f[i].model, 0x11, sizeof(f[i].model));
        memset(f[i].failed, 0, sizeof(f[i].failed));
    }
}

static void finish(void)
{
    fail_one_in = 0;
    backing_sync_all();
    for (unsigned i = 0; i < FILES; i++) {
        for (unsigned k = 0; k < PAGES; k++)
            CHECK(f[i].failed[k] || f[i].medium[k] == f[i].model[k]);
        for (unsigned k = 0; k < 2; k++)
            file_put(f[i].files[k]);
    }
    glue_now += 1000 * NSEC_PER_SEC;
    flusher_round(&device); /* takes what is clean off its list */
    CHECK(list_empty(&device.dirty) && list_empty(&device.writing));
    for (unsigned i = 0; i < FILES; i++) {
        CHECK_EQ(atomic_read(&f[i].inode->refs), 1);
        inode_put(f[i].inode);
    }
    CHECK(list_empty(&device.caches));
}

static void write_page_of(unsigned who, u64 index)
{
    u8 bytes[PAGE_SIZE];
    loff_t pos = index * PAGE_SIZE;
    struct iov_iter it;

    f[who].model[index] = unit_random();
    memset(bytes, f[who].model[index], PAGE_SIZE);
    iov_kernel(&it, bytes, PAGE_SIZE);
    CHECK_EQ(cached_file_write(f[who].files[0], &it, &pos), PAGE_SIZE);
}

static void read_page_of(unsigned who, u64 index)
{
    u8 bytes[PAGE_SIZE];
    loff_t pos = index * PAGE_SIZE;
    struct iov_iter it;

    iov_kernel(&it, bytes, PAGE_SIZE);
    CHECK_EQ(cached_file_read(f[who].files[0], &it, &pos), PAGE_SIZE);
    CHECK_EQ(bytes[0], f[who].model[index]);
    CHECK_EQ(bytes[PAGE_SIZE - 1], f[who].model[index]);
}

static u64 count_pages(u32 flag)
{
    struct page *pages[PAGES];
    u64 sum = 0;

    for (unsigned i = 0; i < FILES; i++) {
        unsigned n = page_cache_gang(&f[i].inode->cache, 0, pages, PAGES);

        for (unsigned k = 0; k < n; k++)
            sum += (pages[k]->flags & flag) != 0;
        pages_put(pages, n);
    }
    return sum;
}

static void check_counts(void)
{
    CHECK_EQ(count_pages(PG_DIRTY), pages_dirty());
    CHECK_EQ(count_pages(PG_WRITEBACK), pages_in_writeback());
}

/* ---- tests ------------------------------------------------------------------------------------------------ */

TEST(fsync_writes_what_is_dirty_in_runs)
{
    start();
    for (u64 i = 100; i < 100 + 2 * PAGE_RUN; i++)
        write_page_of(0, i);
    write_page_of(1, 7);
    CHECK_EQ(pages_dirty(), 2 * PAGE_RUN + 1);
    runs = 0;
    flushes = 0;
    CHECK_EQ(cached_file_fsync(f[0].files[0], 0, INT64_MAX, false), 0);
    CHECK_EQ(runs, 2);
    CHECK_EQ(flushes, 1);
    CHECK_EQ(pages_dirty(), 1); /* the other file's */
    CHECK_EQ(queued, 0);
    for (u64 i = 100; i < 100 + 2 * PAGE_RUN; i++)
        CHECK_EQ(f[0].medium[i], f[0].model[i]);
    /* A range alone. */
    for (u64 i = 0; i < 40; i++)
        write_page_of(0, i);
    CHECK_EQ(cached_file_fsync(f[0].files[0], 10 * PAGE_SIZE, 20 * PAGE_SIZE - 1, true), 0);
    CHECK_EQ(pages_dirty(), 31);
    finish();
}

TEST(whole_pages_are_not_read_before_they_are_written)
{
    start();
    runs = 0;
    for (u64 i = 0; i < 20; i++)
        write_page_of(0, i);
    CHECK_EQ(runs, 0);
    finish();
}

TEST(old_pages_are_written_and_young_ones_stay)
{
    start();
    write_page_of(0, 1);
    glue_now += 20 * NSEC_PER_SEC;
    write_page_of(1, 1);
    flusher_round(&device);
    CHECK_EQ(queued, 0);
    glue_now += 15 * NSEC_PER_SEC;
    flusher_round(&device);
    CHECK_EQ(queued, 1);
    CHECK_EQ(pages_dirty(), 1);
    drain();
    CHECK_EQ(f[0].medium[1], f[0].model[1]);
    write_page_of(0, 2); /* its time begins anew */
    glue_now += 20 * NSEC_PER_SEC;
    flusher_round(&device);
    CHECK_EQ(queued, 1);
    CHECK_EQ(pages_dirty(), 1);
    drain();
    CHECK_EQ(f[1].medium[1], f[1].model[1]);
    finish();
}

TEST(more_than_the_background_share_is_written_oldest_first)
{
    start();
    for (unsigned i = 0; i < FILES; i++) {
        for (u64 k = 0; k < 100; k++)
            write_page_of(i, k);
        glue_now += NSEC_PER_MSEC;
    }
    flusher_round(&device);
    CHECK_EQ(queued, 0);
    glue_available = 2500; /* a tenth: 250 */
    flusher_round(&device);
    drain();
    CHECK_EQ(pages_dirty(), 200);
    for (u64 k = 0; k < 100; k++)
        CHECK_EQ(f[0].medium[k], f[0].model[k]);
    glue_available = 1UL << 40;
    flushers_wake(150); /* reclaim */
    flusher_round(&device);
    drain();
    CHECK_EQ(pages_dirty(), 0); /* whole chunks */
    finish();
}

TEST(errors_are_told_once_to_each_who_has_the_file_open)
{
    struct file *late;

    start();
    fail_one_in = 1;
    write_page_of(0, 3);
    CHECK_EQ(cached_file_fsync(f[0].files[0], 0, INT64_MAX, false), -EIO);
    CHECK_EQ(cached_file_fsync(f[0].files[0], 0, INT64_MAX, false), 0);
    CHECK_EQ(cached_file_fsync(f[1].files[0], 0, INT64_MAX, false), 0);
    CHECK_EQ(cached_file_fsync(f[0].files[1], 0, INT64_MAX, false), -EIO);
    CHECK_EQ(cached_file_fsync(f[0].files[1], 0, INT64_MAX, false), 0);
    late = file_anonymous(inode_get(f[0].inode), &file_ops, O_RDWR, "late");
    CHECK_EQ(cached_file_fsync(late, 0, INT64_MAX, false), 0);
    /* One that nobody has been told of is told to who opens the file after it. */
    write_page_of(0, 4);
    glue_now += 100 * NSEC_PER_SEC;
    flusher_round(&device);
    drain();
    file_put(late);
    late = file_anonymous(inode_get(f[0].inode), &file_ops, O_RDWR, "late");
    CHECK_EQ(cached_file_fsync(late, 0, INT64_MAX, false), -EIO);
    CHECK_EQ(cached_file_fsync(f[0].files[0], 0, INT64_MAX, false), -EIO);
    CHECK_EQ(cached_file_fsync(f[0].files[0], 0, INT64_MAX, false), 0);
    file_put(late);
    finish();
}

TEST(writers_are_stopped_before_too_much_is_dirty)
{
    u64 most = 0, before = glue_now, throttled;
    struct dirty_limits limits;

    start();
    glue_available = 800;
    limits = dirty_limits(glue_available, 0, dirty_background_ratio, 0, dirty_ratio);
    throttled = this_cpu()->vm_counts[VM_dirty_throttled];
    for (unsigned i = 0; i < 20000; i++) {
        write_page_of(i % FILES, unit_random_below(PAGES));
        most = max(most, pages_dirty() + pages_in_writeback());
    }
    CHECK(most <= limits.limit + DIRTY_CHECK);
    CHECK(most > limits.background);
    CHECK(this_cpu()->vm_counts[VM_dirty_throttled] > throttled);
    CHECK(glue_now > (long)before);
    glue_available = 1UL << 40;
    finish();
}

TEST(sequential_reading_is_a_few_large_requests)
{
    start();
    runs = 0;
    for (u64 i = 0; i < PAGES; i++)
        read_page_of(0, i);
    CHECK(runs <= PAGES / READ_AHEAD_DEFAULT + 6);
    runs = 0;
    for (u64 i = 0; i < 20; i++)
        read_page_of(1, 5 + 20 * i);
    CHECK_EQ(runs, 20);
    CHECK_EQ(f[1].inode->cache.nr_pages, 20);
    drain();
    finish();
}

/* O_DIRECT, and what is to forget pages, beside pages that are dirty or on their way. */
TEST(past_the_cache)
{
    start();
    for (u64 i = 0; i < 64; i++)
        write_page_of(0, i);
    page_cache_write(&f[0].inode->cache, 0, 31, ~0UL, WRITE_BACKGROUND);
    for (u64 i = 0; i < 8; i++)
        write_page_of(0, i); /* dirty while they are written */
    CHECK_EQ(page_cache_invalidate(&f[0].inode->cache, 0, ~0UL), 0);
    CHECK_EQ(page_cache_direct_begin(&f[0].inode->cache, 0, 16 * PAGE_SIZE, true), 0);
    CHECK_EQ(f[0].inode->cache.nr_pages, 48);
    for (u64 i = 0; i < 16; i++) {
        CHECK_EQ(f[0].medium[i], f[0].model[i]);
        f[0].medium[i] = f[0].model[i] = unit_random();
    }
    page_cache_direct_end(&f[0].inode->cache, 0, 16 * PAGE_SIZE);
    for (u64 i = 0; i < 64; i++)
        read_page_of(0, i);
    backing_sync(&device);
    CHECK_EQ(backing_drop_caches(), 64);
    finish();
}

static void random_step(void)
{
    unsigned who = unit_random_below(FILES);
    u64 index = unit_random_below(PAGES), last = min(index + unit_random_below(60), PAGES - 1UL);
    struct page_cache *cache = &f[who].inode->cache;

    switch (unit_random_below(16)) {
    case 0 ... 4:
        write_page_of(who, index);
        break;
    case 5 ... 7:
        read_page_of(who, index);
        break;
    case 8 ... 9:
        if (queued)
            device_step();
        break;
    case 10:
        glue_now += unit_random_below(10 * NSEC_PER_SEC);
        flusher_round(&device);
        break;
    case 11:
        cached_file_fsync(f[who].files[1], index * PAGE_SIZE, (last + 1) * PAGE_SIZE - 1, true);
        for (u64 i = index; i <= last; i++)
            CHECK(f[who].failed[i] || f[who].medium[i] == f[who].model[i]);
        break;
    case 12:
        page_cache_write(cache, index, last, 1 + unit_random_below(64), WRITE_BACKGROUND);
        break;
    case 13:
        if (!fail_one_in)
            page_cache_invalidate(cache, index, last);
        break;
    case 14: /* throw away a range: what it holds then is what the medium has */
        page_cache_remove_range(cache, index, last);
        for (u64 i = index; i <= last; i++) {
            f[who].model[i] = f[who].medium[i];
            f[who].failed[i] = false;
        }
        break;
    case 15:
        if (unit_random_below(20) == 0)
            backing_sync(&device);
        break;
    }
}

TEST(everything_at_once)
{
    for (unsigned round = 0; round < 4; round++) {
        start();
        fail_one_in = round % 2 ? 50 : 0;
        glue_available = round / 2 ? 1500 : 1UL << 40;
        for (unsigned i = 0; i < 30000; i++) {
            random_step();
            if (i % 512 == 0)
                check_counts();
        }
        glue_available = 1UL << 40;
        finish();
    }
}

TEST(policy_of_throttling)
{
    struct dirty_limits l = dirty_limits(10000, 0, 10, 0, 20);
    u64 last = 0;

    CHECK_EQ(l.background, 1000);
    CHECK_EQ(l.limit, 2000);
    l = dirty_limits(10000, 1, 0, 8 * PAGE_SIZE, 0);
    CHECK_EQ(l.background, 1);
    CHECK_EQ(l.limit, 8);
    l = dirty_limits(10000, 0, 30, 0, 20); /* background above the limit */
    CHECK_EQ(l.background, 1000);
    l = dirty_limits(10000, 0, 0, 0, 0);
    CHECK_EQ(l.limit, 1);
    l = dirty_limits(10000, 0, 10, 0, 20);
    for (u64 dirty = 0; dirty <= 2100; dirty++) {
        u64 pause = dirty_pause(&l, dirty, 32000, 1, 32);

        CHECK_EQ(pause == 0, dirty <= 1500);
        CHECK(pause >= last);
        last = pause;
    }
    CHECK_EQ(last, DIRTY_PAUSE_MAX);
    /* In the middle each of n writers makes dirty what the device writes, divided by n. */
    CHECK_EQ(dirty_pause(&l, 1750, 32000, 1, 32), NSEC_PER_SEC / 1000);
    CHECK_EQ(dirty_pause(&l, 1750, 32000, 4, 32), 4 * NSEC_PER_SEC / 1000);
    CHECK_EQ(dirty_speed(0, 1000, NSEC_PER_SEC), 1000);
    CHECK_EQ(dirty_speed(1000, 0, NSEC_PER_SEC), 1000);
    CHECK_EQ(dirty_speed(1000, 2000, NSEC_PER_SEC), 1250);
}
