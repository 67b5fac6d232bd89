/* SPDX-License-Identifier: MIT */
/*
 * Writing back: how dirty pages of caches reach their device.
 *
 *     write(2), mappings          fsync, sync, msync ...        reclaim
 *            |                             |                       |
 *      page_set_dirty                page_cache_write        flushers_wake
 *            |                             |                       |
 *      cache on the list   --age, share--> flusher thread  <-------+
 *      of its device                       of the device
 *            |                             |
 *      balance_dirty: who dirties faster   write_pages: runs of pages, PG_WRITEBACK
 *      than the device writes, sleeps
 */
#ifndef VELLUM_WRITEBACK_H
#define VELLUM_WRITEBACK_H

#include <vellum/page_cache.h>
#include <vellum/sync.h>
#include <vellum/time.h>

/* A device that caches are backed by: one for a disk with all of its partitions. */
struct backing_device {
    char name[16];                               /* [i] "254:0" */
    int (*flush)(struct backing_device *device); /* its own cache, to the medium; may be NULL */
    unsigned read_ahead; /* [a] pages to read at once, at most: BLKRASET, read_ahead_kb */

    spinlock_t lock;
    struct list caches;     /* [lock] page_cache->link */
    struct list dirty;      /* [lock] page_cache->dirty_link, oldest first; each holds its inode */
    struct list writing;    /* [lock] those of them that the flusher goes through now */
    struct list link;       /* among all devices; only grows */
    atomic_long_t nr_dirty; /* pages */
    atomic_long_t nr_writeback;
    atomic_long_t nr_written;        /* since the start */
    struct wait_queue work;          /* the flusher's */
    atomic_long_t asked;             /* pages that reclaim wants to be written */
    bool wanted;                     /* [a] the flusher has something to do */
    struct wait_queue written;       /* woken as pages become clean */
    atomic_t throttled;              /* writers that balance_dirty() has put to sleep */
    u64 speed;                       /* [lock] measured: pages in a second */
    u64 measured_at, measured_pages; /* [lock] time and nr_written of the last measurement */
};

#define READ_AHEAD_DEFAULT 32 /* pages: 128 KiB */

/* A device is there: starts its flusher. name: "major:minor". The caller has set flush. It stays for
 * ever. 0 or -ENOMEM => may sleep */
int backing_register(struct backing_device *device, const char *name);

/* All devices. fn: false ends it. => may sleep */
void backing_for_each(bool (*fn)(struct backing_device *device, void *arg), void *arg);
/* Pages of all devices that are dirty; that are being written. */
u64 pages_dirty(void);
u64 pages_in_writeback(void);

/* ---- one cache: kernel/mm/writeback.c => may sleep ---------------------------------------------- */

enum write_mode {
    WRITE_BACKGROUND, /* what is being written already is left alone */
    WRITE_SYNC, /* everything that is dirty now, also what is dirty again while being written */
};
/* Begin to write the dirty ones of pages first..last, at most `limit`. Returns the index to go on
 * with, or last + 1 (0 if that overflows) if all has been looked at. */
u64 page_cache_write(struct page_cache *cache, u64 first, u64 last, u64 limit,
                     enum write_mode mode);
/* Wait for those of first..last that are being written. */
void page_cache_wait_written(struct page_cache *cache, u64 first, u64 last);
/* Both, for bytes start..end inclusive; then the device's own cache. Errors are in cache->error. */
int page_cache_sync(struct page_cache *cache, loff_t start, loff_t end);

/* Forget the clean pages among first..last that nobody uses: not mapped, locked or being written.
 * Returns how many went. */
u64 page_cache_invalidate(struct page_cache *cache, u64 first, u64 last);
/* Before bytes [pos, pos + n) are read or written past the cache (O_DIRECT): what is dirty there is
 * written; before and after writing, pages and mappings go. 0, or -EIO. => inode mutex if writing */
int page_cache_direct_begin(struct page_cache *cache, loff_t pos, size_t n, bool write);
void page_cache_direct_end(struct page_cache *cache, loff_t pos, size_t n);

/* ---- all of a device, all devices: kernel/mm/flusher.c ------------------------------------------ */

/* All flushers: their settings have changed. */
void flushers_look(void);
/* sync(2), syncfs(2): what is dirty now is on the medium. => may sleep */
void backing_sync(struct backing_device *device);
void backing_sync_all(void);
/* drop_caches: clean pages that nobody uses. Returns how many went. => may sleep */
u64 backing_drop_caches(void);

/* For reclaim, which found dirty pages where it looked for clean ones: have about n pages written,
 * oldest first. Does not wait or allocate. => no cache lock */
void flushers_wake(u64 pages);
/* Sleep until some page has been written, or ns have passed; at once if nothing is dirty or being
 * written. */
void writeback_wait(u64 ns);

/* ---- throttling: kernel/mm/throttle.c ------------------------------------------------------------ */

/* vm.dirty_* (proc(5)); of each pair of ratio and bytes, one is 0. */
extern int dirty_ratio, dirty_background_ratio; /* percent of what may be dirty */
extern unsigned long dirty_bytes, dirty_background_bytes;
extern int dirty_writeback_centisecs, dirty_expire_centisecs; /* 0: no periodic writing */

/* After pages of the cache have been made dirty: sleep as long as the device needs to keep up.
 * => no lock that writing out takes: no page, no spinlock; a fatal signal ends it */
void balance_dirty_slow(struct backing_device *device);
#define DIRTY_CHECK 32 /* pages that a thread may make dirty between two looks */
/* Is it time for that? */
static inline bool dirty_is_due(const struct page_cache *cache)
{
    return unlikely(current->dirtied >= DIRTY_CHECK) && cache->backing;
}
static inline void balance_dirty(struct page_cache *cache)
{
    if (dirty_is_due(cache))
        balance_dirty_slow(cache->backing);
}
/* Is so much dirty that the flushers should write? */
bool dirty_beyond_background(void);

#endif
