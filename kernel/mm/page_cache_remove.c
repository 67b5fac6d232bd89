/* SPDX-License-Identifier: MIT */
/*
 * How pages leave the page cache.
 *
 *     page_cache_drop()           reclaim has found a page that nobody uses
 *     page_cache_remove_range()   the file got a hole (fallocate(2), page_cache_truncate())
 *     page_cache_remove_reserved() there is not room for all that was to be set aside
 *     page_cache_invalidate()     what is clean and unused is not wanted any more (posix_fadvise(2))
 *     page_cache_direct_begin()   the device is to be read or written past the cache (O_DIRECT)
 *     page_cache_destroy()        the file is no more
 *
 * A page leaves under its own lock and that of the cache: who holds either can rely on what he sees.
 * It is taken out of the tree first and unmapped afterwards, for a fault that finds it in the tree
 * looks, under the lock of its page table, whether it is still there (page_is_gone(), fault.c).
 */
#include "cache.h"
#include <vellum/error.h>
#include <vellum/lru.h>
#include <vellum/string.h>

#define BATCH 32

/* ---- reclaim -------------------------------------------------------------------------------------- */

bool page_cache_drop(struct page *page)
{
    struct page_cache *cache = page->cache;
    bool unused;

    assert(page->flags & PG_LOCKED);
    spin_lock(&cache->lock);
    /* Who wants a reference takes it from the tree, under this lock; an entry that maps it has one. */
    unused = atomic_read(&page->refs) == 2 && !(page->flags & (PG_DIRTY | PG_WRITEBACK));
    if (unused) {
        radix_tree_delete(&cache->pages, page->index);
        WRITE_ONCE(page->cache, NULL);
        cache->nr_pages--;
        if (cache->ops->removed)
            cache->ops->removed(cache, 1);
    }
    spin_unlock(&cache->lock); /* it may go now: page_cache_destroy() waits for this lock */
    if (unused) {
        atomic_dec(&count_cached);
        page_put(page);
    }
    return unused;
}

/* ---- removing -------------------------------------------------------------------------------------- */

/* Which pages a removal takes. */
enum removal {
    REMOVE_ALL,
    REMOVE_CLEAN,    /* whatever a device has as well */
    REMOVE_UNUSED,   /* of these, those that nobody uses: not locked, not mapped */
    REMOVE_RESERVED, /* what has been reserved and not used since */
};

/* => cache->lock, our own reference and the page's lock */
static bool may_remove(const struct page *page, enum removal which)
{
    if (which == REMOVE_ALL)
        return true;
    if (page->flags & (which == REMOVE_RESERVED ? PG_UPTODATE : PG_DIRTY | PG_WRITEBACK))
        return false;
    return which == REMOVE_CLEAN || atomic_read(&page->refs) == 2; /* the tree's and ours */
}

/* Take pages, which we have references to, out of the tree. Returns how many were still in it. */
static unsigned remove_batch(struct page_cache *cache, struct page **pages, unsigned n,
                             enum removal which)
{
    unsigned removed = 0, shared = 0;

    spin_lock(&cache->lock);
    for (unsigned i = 0; i < n; i++) {
        struct page *page = pages[i];

        if (page->cache != cache || !may_remove(page, which))
            continue;
        if (page->flags & PG_DIRTY)
            page_forget_dirty(cache, page);
        radix_tree_delete(&cache->pages, page->index);
        WRITE_ONCE(page->cache, NULL);
        shared += page->flags & PG_SHMEM ? 1 : 0;
        pages[removed++] = page;
    }
    cache->nr_pages -= removed;
    spin_unlock(&cache->lock);
    atomic_sub(&count_cached, removed);
    atomic_sub(&count_shared, shared);
    if (removed && cache->ops && cache->ops->removed)
        cache->ops->removed(cache, removed);
    return removed;
}

/* Lock the pages. Those whose contents are being read or written back are waited for, unless only
 * unused ones are wanted: then they are put, and no longer among the n. Returns how many are.
 * Who holds a page's lock can rely on its file (rmap.c). */
static unsigned lock_batch(struct page **pages, unsigned n, enum removal which)
{
    unsigned locked = 0;

    for (unsigned i = 0; i < n; i++) {
        if (which != REMOVE_UNUSED) {
            page_lock(pages[i]);
            page_wait_written(pages[i]);
        } else if (!page_trylock(pages[i])) {
            page_put(pages[i]);
            continue;
        }
        pages[locked++] = pages[i];
    }
    return locked;
}

static void unlock_batch(struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        page_unlock(pages[i]);
}

/* Returns how many were removed. */
static u64 remove_resident(struct page_cache *cache, u64 first, u64 last, enum removal which)
{
    struct page *pages[BATCH], *found[BATCH];
    u64 next = first, total = 0;
    unsigned n, removed;

    while (cache->nr_pages && next <= last) {
        n = page_cache_gang(cache, next, found, BATCH);
        while (n > 0 && found[n - 1]->index > last)
            page_put(found[--n]);
        if (n == 0)
            break;
        next = found[n - 1]->index + 1;
        n = lock_batch(found, n, which);
        memcpy(pages, found, n * sizeof(pages[0]));
        removed = remove_batch(cache, pages, n, which);
        total += removed;
        unlock_batch(found, n);
        pages_put(pages, removed); /* the tree's */
        pages_put(found, n);       /* ours */
        if (next == 0)
            break;
    }
    return total;
}

/* The same, with what is in swap. A page may go over from one tree to the other meanwhile, but into
 * `pages` only before it has been looked for in `swapped`, and then it is found there. */
static u64 remove_pages(struct page_cache *cache, u64 first, u64 last, enum removal which)
{
    u64 removed = 0;

    do {
        if (which == REMOVE_ALL)
            page_cache_remove_swapped(cache, first, last);
        removed += remove_resident(cache, first, last, which);
    } while (which == REMOVE_ALL && page_cache_remove_swapped(cache, first, last));
    return removed;
}

void page_cache_remove_range(struct page_cache *cache, u64 first, u64 last)
{
    remove_pages(cache, first, last, REMOVE_ALL);
    mm_unmap_file_range(&cache->mappings, first, last, false); /* after the removal: see fault.c */
}

void page_cache_remove_reserved(struct page_cache *cache, u64 first, u64 last)
{
    remove_pages(cache, first, last, REMOVE_RESERVED);
}

u64 page_cache_invalidate(struct page_cache *cache, u64 first, u64 last)
{
    return page_cache_in_memory_only(cache) ? 0 : remove_pages(cache, first, last, REMOVE_UNUSED);
}

/* ---- past the cache ----------------------------------------------------------------------------------- */

/* What is still mapped of a page that has been removed is unmapped afterwards. A write that comes
 * through a mapping in between makes the page dirty, and it stays. */
static void remove_clean(struct page_cache *cache, loff_t pos, size_t n)
{
    u64 first = (u64)pos >> PAGE_SHIFT, last = (u64)(pos + n - 1) >> PAGE_SHIFT;

    if (remove_pages(cache, first, last, REMOVE_CLEAN))
        mm_unmap_file_range(&cache->mappings, first, last, false);
}

int page_cache_direct_begin(struct page_cache *cache, loff_t pos, size_t n, bool write)
{
    u64 first = (u64)pos >> PAGE_SHIFT, last = (u64)(pos + n - 1) >> PAGE_SHIFT;
    error_sequence_t seen = READ_ONCE(cache->error);

    if (n == 0 || !READ_ONCE(cache->nr_pages))
        return 0;
    page_cache_write(cache, first, last, ~0UL, WRITE_SYNC);
    page_cache_wait_written(cache, first, last);
    if (unlikely(READ_ONCE(cache->error) != seen))
        return -EIO;
    if (write)
        remove_clean(cache, pos, n);
    return 0;
}

void page_cache_direct_end(struct page_cache *cache, loff_t pos, size_t n)
{
    if (n && READ_ONCE(cache->nr_pages))
        remove_clean(cache, pos, n);
}

void page_cache_truncate(struct page_cache *cache, u64 size)
{
    u64 first = DIV_ROUND_UP(size, PAGE_SIZE), rest = size % PAGE_SIZE;
    struct page *page = NULL;

    remove_pages(cache, first, ~0UL, REMOVE_ALL);
    mm_unmap_file_range(&cache->mappings, first, ~0UL, true);
    if (rest)
        page = page_cache_find_data(cache, size / PAGE_SIZE, false);
    if (!page || is_err(page))
        return;
    page_lock(page);
    memset((char *)page_to_virt(page) + rest, 0, PAGE_SIZE - rest);
    page_set_dirty(page);
    page_unlock(page);
    page_put(page);
}

void page_cache_destroy(struct page_cache *cache)
{
    assert(rb_empty(&cache->mappings.tree));
    remove_pages(cache, 0, ~0UL, REMOVE_ALL);
    spin_lock(&cache->lock); /* reclaim may have taken the last page: let it get out */
    spin_unlock(&cache->lock);
    assert(radix_tree_empty(&cache->pages) && list_empty(&cache->dirty_link));
    page_cache_leave_swap(cache);
    if (cache->backing) {
        spin_lock(&cache->backing->lock);
        list_del_init(&cache->link);
        spin_unlock(&cache->backing->lock);
    }
}
