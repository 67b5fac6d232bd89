/* SPDX-License-Identifier: MIT */
/*
 * Write-back of one cache: its dirty pages become clean by being written to its device.
 *
 * A page is PG_DIRTY, or PG_WRITEBACK, or both: written to again while an older state of it is on its
 * way. The radix tree's tags lead to such pages without a look at the others:
 *
 *     DIRTY       exactly the pages with PG_DIRTY
 *     TOWRITE     those that somebody who waits (WRITE_SYNC) found dirty when he began. Pages that
 *                 become dirty behind him he need not write, so he comes to an end
 *     WRITEBACK   all pages with PG_WRITEBACK, and some without: the device is ready in an interrupt,
 *                 where the cache's lock cannot be taken; who looks next takes the tag away
 *
 * To be written, a page is locked, its mappings are made read-only (from here on a write through
 * them makes the page dirty again), PG_DIRTY turns into PG_WRITEBACK, and the page is unlocked. That
 * keeps it in the cache. Neighbours are gathered into a run before the device gets it. While a run is
 * being gathered nobody may be waited for, who may wait for the run: so a lock that is taken sends
 * the run off first.
 */
#include "cache.h"
#include <vellum/alloc.h>
#include <vellum/rmap.h>
#include <vellum/vmstat.h>

#define BATCH      16
#define WAKE_EVERY 32 /* pages written, until those are woken who wait for some to be */

/* ---- dirty ------------------------------------------------------------------------------------------ */

/* Pages of the cache become dirty after none was: the flusher must know. The list holds the inode. */
static void enlist(struct page_cache *cache)
{
    struct backing_device *device = cache->backing;
    bool first = false, held;

    spin_lock(&device->lock);
    cache->dirty_since = ktime_get();
    if (list_empty(&cache->dirty_link)) {
        first = list_empty(&device->dirty);
        held = page_cache_owner.get(cache->inode);
        assert(held);
        list_add_tail(&cache->dirty_link, &device->dirty);
    } else {
        list_move_tail(&cache->dirty_link, &device->dirty);
    }
    spin_unlock(&device->lock);
    if (first)
        flusher_has_work(device);
}

void page_set_dirty(struct page *page)
{
    struct page_cache *cache = READ_ONCE(page->cache);
    bool first;

    if (!cache || page_cache_in_memory_only(cache) || (page->flags & PG_DIRTY))
        return;
    assert(page->flags & PG_LOCKED);
    spin_lock(&cache->lock);
    first = !radix_tree_tagged(&cache->pages, RADIX_TAG_DIRTY);
    page_flag_set(page, PG_DIRTY);
    radix_tree_tag_set(&cache->pages, page->index, RADIX_TAG_DIRTY);
    spin_unlock(&cache->lock);
    if (!cache->backing)
        return;
    current->dirtied++;
    vm_event(nr_dirtied);
    vm_gauge_add(nr_dirty, 1);
    atomic_inc(&cache->backing->nr_dirty);
    if (first)
        enlist(cache);
}

static void count_clean(struct page_cache *cache)
{
    if (!cache->backing)
        return;
    vm_gauge_add(nr_dirty, -1);
    atomic_dec(&cache->backing->nr_dirty);
}

void page_forget_dirty(struct page_cache *cache, struct page *page)
{
    page_flag_clear(page, PG_DIRTY);
    count_clean(cache);
}

/* ---- one page ----------------------------------------------------------------------------------------- */

/* From dirty to being written. => page locked, PG_DIRTY, not PG_WRITEBACK */
static void begin_writing(struct page_cache *cache, struct page *page, struct rmap_flush *flush)
{
    if (!rb_empty(&cache->mappings.tree))
        rmap_clean(page, flush);
    spin_lock(&cache->lock);
    page_flag_clear(page, PG_DIRTY);
    page_flag_set(page, PG_WRITEBACK);
    radix_tree_tag_clear(&cache->pages, page->index, RADIX_TAG_DIRTY);
    radix_tree_tag_clear(&cache->pages, page->index, RADIX_TAG_TOWRITE);
    radix_tree_tag_set(&cache->pages, page->index, RADIX_TAG_WRITEBACK);
    spin_unlock(&cache->lock);
    count_clean(cache);
    if (!cache->backing)
        return;
    vm_gauge_add(nr_writeback, 1);
    atomic_inc(&cache->backing->nr_writeback);
}

void page_write_done(struct page *page, int error)
{
    struct page_cache *cache = page->cache; /* it stays in its cache until PG_WRITEBACK goes */
    struct backing_device *device = cache->backing;
    bool wake = false;

    if (unlikely(error))
        error_sequence_record(&cache->error, error);
    if (device) {
        vm_gauge_add(nr_writeback, -1);
        vm_event(nr_written);
        wake = atomic_inc_return(&device->nr_written) % WAKE_EVERY == 0;
        wake |= atomic_dec_return(&device->nr_writeback) == 0;
    }
    page_end_writeback(page);
    if (wake)
        wake_up_all(&device->written);
}

/* ---- runs ----------------------------------------------------------------------------------------------- */

struct run {
    struct page_cache *cache;
    bool sync;
    struct rmap_flush flush; /* of their mappings, made read-only */
    unsigned n;
    struct page *pages[PAGE_RUN]; /* with PG_WRITEBACK, of adjacent indices */
};

static void run_send(struct run *run)
{
    struct backing_device *device = run->cache->backing;

    if (!run->n)
        return;
    if (device && !run->sync)
        atomic_sub(&device->asked, (long)run->n);
    rmap_flush(&run->flush);
    run->cache->ops->write_pages(run->cache, run->pages, run->n, run->sync);
    run->n = 0;
}

/* The lock, and if somebody waits, the end of an earlier writing; the run is sent off before it comes
 * to waiting. Is the page to be written still? Then it is locked. */
static bool lock_for_writing(struct run *run, struct page *page)
{
    if (!page_trylock(page)) {
        run_send(run);
        page_lock(page);
    }
    if (page->cache == run->cache && (page->flags & PG_WRITEBACK) && run->sync) {
        run_send(run);
        page_wait_written(page);
    }
    if (page->cache == run->cache && (page->flags & (PG_DIRTY | PG_WRITEBACK)) == PG_DIRTY)
        return true;
    page_unlock(page);
    return false;
}

static bool write_one(struct run *run, struct page *page)
{
    if (!lock_for_writing(run, page))
        return false;
    if (run->n == PAGE_RUN || (run->n && run->pages[run->n - 1]->index + 1 != page->index))
        run_send(run);
    begin_writing(run->cache, page, &run->flush);
    run->pages[run->n++] = page;
    page_unlock(page);
    return true;
}

/* ---- ranges --------------------------------------------------------------------------------------------- */

/* Up to BATCH tagged pages of first..last, each with a reference. */
static unsigned gang_tagged(struct page_cache *cache, u64 first, u64 last, struct page **pages,
                            enum radix_tag tag)
{
    unsigned n, kept = 0;

    spin_lock(&cache->lock);
    n = radix_tree_gang_lookup_tag(&cache->pages, (void **)pages, first, BATCH, tag);
    while (kept < n && pages[kept]->index <= last)
        page_get(pages[kept++]);
    spin_unlock(&cache->lock);
    return kept;
}

/* What is dirty now gets TOWRITE. */
static void tag_dirty(struct page_cache *cache, u64 first, u64 last)
{
    struct page *pages[BATCH];
    unsigned n;

    do {
        spin_lock(&cache->lock);
        n = radix_tree_gang_lookup_tag(&cache->pages, (void **)pages, first, BATCH,
                                       RADIX_TAG_DIRTY);
        while (n && pages[n - 1]->index > last)
            n--;
        for (unsigned i = 0; i < n; i++)
            radix_tree_tag_set(&cache->pages, pages[i]->index, RADIX_TAG_TOWRITE);
        if (n)
            first = pages[n - 1]->index + 1;
        spin_unlock(&cache->lock);
    } while (n && first && first <= last);
}

u64 page_cache_write(struct page_cache *cache, u64 first, u64 last, u64 limit, enum write_mode mode)
{
    struct run run = {.cache = cache, .sync = mode == WRITE_SYNC};
    enum radix_tag tag = run.sync ? RADIX_TAG_TOWRITE : RADIX_TAG_DIRTY;
    struct page *pages[BATCH];
    unsigned n;

    if (!cache->ops || !cache->ops->write_pages)
        return last + 1;
    if (run.sync)
        tag_dirty(cache, first, last);
    while (limit && (n = gang_tagged(cache, first, last, pages, tag)) != 0) {
        unsigned i = 0;

        for (; i < n && limit; i++) {
            first = pages[i]->index + 1;
            limit -= write_one(&run, pages[i]);
        }
        pages_put(pages, n);
        if (first == 0 || first > last)
            break;
    }
    run_send(&run);
    return limit ? last + 1 : first;
}

/* The tags of pages whose writing has ended. */
static void drop_stale_tags(struct page_cache *cache, struct page **pages, unsigned n)
{
    spin_lock(&cache->lock);
    for (unsigned i = 0; i < n; i++)
        if (pages[i]->cache == cache && !(pages[i]->flags & PG_WRITEBACK))
            radix_tree_tag_clear(&cache->pages, pages[i]->index, RADIX_TAG_WRITEBACK);
    spin_unlock(&cache->lock);
}

void page_cache_wait_written(struct page_cache *cache, u64 first, u64 last)
{
    struct page *pages[BATCH];
    unsigned n;

    while ((n = gang_tagged(cache, first, last, pages, RADIX_TAG_WRITEBACK)) != 0) {
        for (unsigned i = 0; i < n; i++)
            page_wait_written(pages[i]);
        drop_stale_tags(cache, pages, n);
        first = pages[n - 1]->index + 1;
        pages_put(pages, n);
        if (first == 0 || first > last)
            break;
    }
}

int page_cache_sync(struct page_cache *cache, loff_t start, loff_t end)
{
    u64 first = (u64)start >> PAGE_SHIFT, last = (u64)end >> PAGE_SHIFT;
    struct backing_device *device = cache->backing;

    if (page_cache_in_memory_only(cache) || end < start)
        return 0;
    page_cache_write(cache, first, last, ~0UL, WRITE_SYNC);
    page_cache_wait_written(cache, first, last);
    return device && device->flush ? device->flush(device) : 0;
}
