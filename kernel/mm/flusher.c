/* SPDX-License-Identifier: MIT */
/*
 * Flushers: for each device a thread that writes what has been dirty for long, or what is too much.
 *
 * A cache with dirty pages stands in a list of its device, by the time at which the first of them
 * became dirty. The thread wakes up
 *
 *     every dirty_writeback_centisecs     and takes the caches that are dirty for longer than
 *                                         dirty_expire_centisecs,
 *     when more is dirty in all than the  and takes caches from the oldest on until that is no longer
 *     background share of memory          so,
 *     when reclaim wants pages clean      and takes caches from the oldest on until so many pages are
 *                                         on their way,
 *
 * and a chunk of each in turn, so that a large file does not hold up small ones. While nothing is
 * dirty it sleeps without a timer.
 *
 * It never waits for memory that only it could make free: it is a thread of the kernel, to which the
 * frame allocator gives the last frames.
 */
#include "cache.h"
#include <vellum/error.h>
#include <vellum/sched.h>
#include <vellum/string.h>

#define CHUNK 1024 /* pages of one cache, before the next has its turn */

static DEFINE_SPINLOCK(devices_lock);
static struct list devices = LIST_INIT(devices); /* [devices_lock] only grows */

void backing_for_each(bool (*fn)(struct backing_device *device, void *arg), void *arg)
{
    struct list *at;

    spin_lock(&devices_lock);
    at = devices.next;
    while (at != &devices) {
        spin_unlock(&devices_lock);
        if (!fn(list_entry(at, struct backing_device, link), arg))
            return;
        spin_lock(&devices_lock);
        at = at->next;
    }
    spin_unlock(&devices_lock);
}

/* ---- one device: what to write ------------------------------------------------------------------------ */

/* What dirty caches the flusher turns to: those since before `until`, as long as go_on(). */
struct flush {
    struct backing_device *device;
    u64 until;                          /* ns */
    bool (*go_on)(struct flush *flush); /* NULL: to the end */
};

/* Take what is old enough; it stays in order. => device->lock */
static void gather(struct backing_device *device, u64 until)
{
    while (!list_empty(&device->dirty)) {
        struct page_cache *cache = list_first_entry(&device->dirty, struct page_cache, dirty_link);

        if (cache->dirty_since > until)
            break;
        list_move_tail(&cache->dirty_link, &device->writing);
    }
}

/* Give back what is left, in front: it is older. => device->lock */
static void give_back(struct backing_device *device)
{
    while (!list_empty(&device->writing))
        list_move(device->writing.prev, &device->dirty);
}

static bool has_dirty(struct page_cache *cache)
{
    bool dirty;

    spin_lock(&cache->lock);
    dirty = radix_tree_tagged(&cache->pages, RADIX_TAG_DIRTY);
    spin_unlock(&cache->lock);
    return dirty;
}

/* A cache of which a chunk has been written, up to page `next`, 0: to its end. It may leave the lists,
 * go on in this round, or has become dirty anew; then its time begins now. */
static void settle(struct backing_device *device, struct page_cache *cache, bool whole)
{
    struct inode *clean = NULL;

    spin_lock(&device->lock);
    if (!has_dirty(cache)) { /* under device->lock: who dirties the next enlists it after us */
        list_del_init(&cache->dirty_link);
        clean = cache->inode;
    } else if (whole) {
        cache->dirty_since = ktime_get();
        list_move_tail(&cache->dirty_link, &device->dirty);
    } else {
        list_move_tail(&cache->dirty_link, &device->writing);
    }
    spin_unlock(&device->lock);
    if (clean)
        page_cache_owner.put(clean);
}

static void write_chunk(struct backing_device *device, struct page_cache *cache)
{
    u64 from = cache->write_next;

    cache->write_next = page_cache_write(cache, from, ~0UL, CHUNK, WRITE_BACKGROUND);
    settle(device, cache, from == 0 && cache->write_next == 0);
}

/* One round over what is dirty. Only the flusher of the device does this. */
static void flush_device(struct flush *flush)
{
    struct backing_device *device = flush->device;
    struct page_cache *cache;

    spin_lock(&device->lock);
    gather(device, flush->until);
    while (!list_empty(&device->writing) && (!flush->go_on || flush->go_on(flush))) {
        cache = list_first_entry(&device->writing, struct page_cache, dirty_link);
        spin_unlock(&device->lock); /* nobody but us takes it off the lists */
        write_chunk(device, cache);
        spin_lock(&device->lock);
    }
    give_back(device);
    spin_unlock(&device->lock);
}

/* ---- one device: when ----------------------------------------------------------------------------------- */

static u64 centisecs(int n)
{
    return (u64)n * (NSEC_PER_SEC / 100);
}

static bool above_background(struct flush *flush)
{
    return dirty_beyond_background();
}

static bool reclaim_wants_more(struct flush *flush)
{
    return atomic_read(&flush->device->asked) > 0;
}

/* What all is to be done now. */
void flusher_round(struct backing_device *device)
{
    struct flush flush = {.device = device, .until = KTIME_MAX};
    u64 now = ktime_get(), age = centisecs(READ_ONCE(dirty_expire_centisecs));

    if (atomic_read(&device->asked) > 0) {
        flush.go_on = reclaim_wants_more;
        flush_device(&flush);
        atomic_set(&device->asked, 0);
    }
    if (dirty_beyond_background()) {
        flush.go_on = above_background;
        flush_device(&flush);
    }
    if (READ_ONCE(dirty_writeback_centisecs) && now >= age) {
        flush.go_on = NULL;
        flush.until = now - age;
        flush_device(&flush);
    }
}

static ktime_t next_round(struct backing_device *device)
{
    int interval = READ_ONCE(dirty_writeback_centisecs);

    return interval && !list_empty(&device->dirty) ? ktime_after(centisecs(interval)) : KTIME_MAX;
}

static int flusher_thread(void *arg)
{
    struct backing_device *device = arg;

    for (;;) {
        ktime_t deadline = next_round(device);

        wait_event_state(&device->work, READ_ONCE(device->wanted), TASK_INTERRUPTIBLE, deadline,
                         false);
        WRITE_ONCE(device->wanted, false);
        smp_fence(); /* whoever sets it again from now on has us look again */
        flusher_round(device);
    }
    return 0;
}

void flusher_has_work(struct backing_device *device)
{
    WRITE_ONCE(device->wanted, true);
    wake_up_one(&device->work);
}

static bool wake_one(struct backing_device *device, void *pages)
{
    if (!list_empty(&device->dirty) || !list_empty(&device->writing)) {
        atomic_set(&device->asked, *(u64 *)pages);
        flusher_has_work(device);
    }
    return true;
}

void flushers_wake(u64 pages)
{
    backing_for_each(wake_one, &pages);
}

static bool wake_plainly(struct backing_device *device, void *unused)
{
    flusher_has_work(device);
    return true;
}

void flushers_look(void)
{
    backing_for_each(wake_plainly, NULL);
}

/* ---- sync ------------------------------------------------------------------------------------------------- */

/* Call fn for each cache of the device; the inode of the one we are at is held. */
static void for_each_cache(struct backing_device *device,
                           void (*fn)(struct page_cache *cache, void *arg), void *arg)
{
    struct page_cache *cache;
    struct inode *held = NULL;

    spin_lock(&device->lock);
    list_for_each_entry(cache, &device->caches, link) {
        struct inode *before = held;

        if (!READ_ONCE(cache->nr_pages) || !page_cache_owner.get(cache->inode))
            continue;
        held = cache->inode;
        spin_unlock(&device->lock);
        if (before)
            page_cache_owner.put(before);
        fn(cache, arg);
        spin_lock(&device->lock);
    }
    spin_unlock(&device->lock);
    if (held)
        page_cache_owner.put(held);
}

static void begin_cache(struct page_cache *cache, void *unused)
{
    if (has_dirty(cache))
        page_cache_write(cache, 0, ~0UL, ~0UL, WRITE_SYNC);
}

static void wait_cache(struct page_cache *cache, void *unused)
{
    page_cache_wait_written(cache, 0, ~0UL);
}

void backing_sync(struct backing_device *device)
{
    for_each_cache(device, begin_cache, NULL);
    for_each_cache(device, wait_cache, NULL);
    if (device->flush)
        device->flush(device);
}

static bool sync_one(struct backing_device *device, void *unused)
{
    backing_sync(device);
    return true;
}

void backing_sync_all(void)
{
    backing_for_each(sync_one, NULL);
}

/* ---- dropping ----------------------------------------------------------------------------------------------- */

static void drop_cache(struct page_cache *cache, void *dropped)
{
    *(u64 *)dropped += page_cache_invalidate(cache, 0, ~0UL);
}

static bool drop_one(struct backing_device *device, void *dropped)
{
    for_each_cache(device, drop_cache, dropped);
    return true;
}

u64 backing_drop_caches(void)
{
    u64 dropped = 0;

    backing_for_each(drop_one, &dropped);
    return dropped;
}

/* ---- devices -------------------------------------------------------------------------------------------------- */

void backing_init(struct backing_device *device, const char *name)
{
    strlcpy(device->name, name, sizeof(device->name));
    if (!device->read_ahead)
        device->read_ahead = READ_AHEAD_DEFAULT;
    spin_init(&device->lock);
    list_init(&device->caches);
    list_init(&device->dirty);
    list_init(&device->writing);
    wait_queue_init(&device->work);
    wait_queue_init(&device->written);
    spin_lock(&devices_lock);
    list_add_tail(&device->link, &devices);
    spin_unlock(&devices_lock);
}

int backing_register(struct backing_device *device, const char *name)
{
    struct thread *thread;

    backing_init(device, name);
    thread = kthread_start(flusher_thread, device, "flush-%s", device->name);
    return is_err(thread) ? ptr_err(thread) : 0;
}
