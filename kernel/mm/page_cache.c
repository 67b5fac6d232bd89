/* SPDX-License-Identifier: MIT */
/*
 * The page cache: the pages of a file by index, in a radix tree under a spinlock.
 *
 * The tree holds one reference to each page; who finds a page gets one of his own under the lock, so
 * a page cannot go away under anybody. Whether it still belongs to the file is another question:
 * page->cache is NULL once it has been removed.
 *
 * There are two kinds of caches. If the file's home is a device (ops->read_pages), a page is put into
 * the tree locked and empty, and read under its lock; who finds it meanwhile waits for the lock. If
 * memory is its only home, a page goes into the tree with its contents, and PG_SHMEM marks it. Bytes
 * beyond the end of the file, in its last page, are zero.
 *
 * Here pages are found, added and removed. How they are written back is told in writeback.c, when
 * they are read before anybody asks in kernel/fs/read_ahead.c.
 */
#include "cache.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/lru.h>
#include <vellum/string.h>

#define BATCH 32

void page_cache_init(struct page_cache *cache, struct inode *inode,
                     const struct page_cache_ops *ops)
{
    spin_init(&cache->lock);
    radix_tree_init(&cache->pages);
    cache->nr_pages = 0;
    radix_tree_init(&cache->swapped);
    cache->nr_swapped = 0;
    cache->swap_link.next = NULL;
    mapping_set_init(&cache->mappings);
    cache->ops = ops;
    cache->inode = inode;
    cache->backing = NULL;
    list_init(&cache->link);
    list_init(&cache->dirty_link);
    cache->write_next = 0;
    cache->error = 0;
}

void page_cache_attach(struct page_cache *cache, const struct page_cache_ops *ops,
                       struct backing_device *backing)
{
    assert(!cache->backing && !cache->nr_pages);
    cache->ops = ops;
    cache->backing = backing;
    spin_lock(&backing->lock);
    list_add_tail(&cache->link, &backing->caches);
    spin_unlock(&backing->lock);
}

/* ---- finding -------------------------------------------------------------------------------------- */

/* With a reference, whatever its state. */
static struct page *find_any(struct page_cache *cache, u64 index)
{
    struct page *page;

    spin_lock(&cache->lock);
    page = radix_tree_lookup(&cache->pages, index);
    if (page)
        page_get(page);
    spin_unlock(&cache->lock);
    return page;
}

struct page *page_cache_find(struct page_cache *cache, u64 index)
{
    struct page *page;

    spin_lock(&cache->lock);
    page = radix_tree_lookup(&cache->pages, index);
    if (page && likely(page->flags & PG_UPTODATE))
        page_get(page);
    else
        page = NULL;
    spin_unlock(&cache->lock);
    return page;
}

unsigned page_cache_gang(struct page_cache *cache, u64 first, struct page **pages, unsigned n)
{
    spin_lock(&cache->lock);
    n = radix_tree_gang_lookup(&cache->pages, (void **)pages, first, n);
    for (unsigned i = 0; i < n; i++)
        page_get(pages[i]);
    spin_unlock(&cache->lock);
    return n;
}

unsigned page_cache_gang_ready(struct page_cache *cache, u64 first, u64 last, u32 without,
                               struct page **pages)
{
    unsigned n, kept = 0;

    spin_lock(&cache->lock);
    n = radix_tree_gang_lookup(&cache->pages, (void **)pages, first, last - first + 1);
    for (unsigned i = 0; i < n && pages[i]->index <= last; i++)
        if (likely((pages[i]->flags & (PG_UPTODATE | without)) == PG_UPTODATE)) {
            page_get(pages[i]);
            pages[kept++] = pages[i];
        }
    spin_unlock(&cache->lock);
    return kept;
}

/* ---- adding ---------------------------------------------------------------------------------------- */

/* Put a new page into the tree, which takes a reference. 0, -EEXIST, -ENOMEM, or what adding() says. */
static int add(struct page_cache *cache, struct page *page, u64 index)
{
    int error = cache->ops && cache->ops->adding ? cache->ops->adding(cache) : 0;

    if (error)
        return error;
    page->flags |= PG_FILE;
    page->cache = cache;
    page->index = index;
    spin_lock(&cache->lock);
    if (unlikely(cache->nr_swapped && radix_tree_lookup(&cache->swapped, index)))
        error = -EEXIST;
    else
        error = radix_tree_insert(&cache->pages, index, page);
    if (!error) {
        page_get(page);
        cache->nr_pages++;
    }
    spin_unlock(&cache->lock);
    if (error) {
        page->cache = NULL;
        if (cache->ops && cache->ops->removed)
            cache->ops->removed(cache, 1);
        return error;
    }
    atomic_inc(&count_cached);
    if (page->flags & PG_SHMEM)
        atomic_inc(&count_shared);
    else
        workingset_refault(cache, index, page);
    lru_add(page);
    return 0;
}

/* A page of zeros in a cache whose only home is memory. */
static struct page *add_memory_page(struct page_cache *cache, u64 index)
{
    struct page *page = page_alloc(ALLOC_USER | ALLOC_MOVABLE | ALLOC_ZERO);
    int error;

    if (!page)
        return err_ptr(-ENOMEM);
    page->flags = PG_UPTODATE | PG_SHMEM | PG_SWAP_BACKED;
    error = add(cache, page, index);
    if (error) {
        page->flags = 0;
        page_put(page);
        return err_ptr(error);
    }
    return page;
}

int page_cache_add_memory(struct page_cache *cache, struct page *page, u64 index)
{
    int error;

    page->flags = PG_UPTODATE | PG_SHMEM | PG_SWAP_BACKED;
    error = add(cache, page, index);
    if (error)
        page->flags = 0;
    return error;
}

struct page *page_cache_add_empty(struct page_cache *cache, u64 index)
{
    struct page *page = page_alloc(ALLOC_USER | ALLOC_MOVABLE);
    int error;

    if (!page)
        return err_ptr(-ENOMEM);
    page->flags = PG_LOCKED;
    error = add(cache, page, index);
    if (error) {
        page->flags = 0;
        page_put(page);
        return err_ptr(error);
    }
    return page;
}

/* Find the page or add it, locked. With a reference. */
static struct page *lock_page(struct page_cache *cache, u64 index)
{
    for (;;) {
        struct page *page = find_any(cache, index);
        int error;

        if (!page) {
            page = page_cache_add_empty(cache, index);
            if (ptr_err(page) != -EEXIST)
                return page;
            continue;
        }
        error = page_lock_killable(page);
        if (!error && page->cache == cache)
            return page;
        if (!error)
            page_unlock(page); /* removed while we waited */
        page_put(page);
        if (error)
            return err_ptr(error);
    }
}

/* The page, read if need be, locked. A page that somebody else has tried to read in vain is tried
 * once more. */
static struct page *read_locked(struct page_cache *cache, u64 index)
{
    for (bool tried = false;; tried = true) {
        struct page *page = lock_page(cache, index);

        if (is_err(page) || (page->flags & PG_UPTODATE))
            return page;
        if (tried) {
            page_unlock(page);
            page_put(page);
            return err_ptr(-EIO);
        }
        page_flag_clear(page, PG_ERROR);
        cache->ops->read_pages(cache, &page, 1); /* unlocks it in the end; we wait for that */
        page_put(page);
    }
}

struct page *page_cache_read(struct page_cache *cache, u64 index, bool *major)
{
    struct page *page = page_cache_find(cache, index);

    if (likely(page))
        return page;
    if (page_cache_in_memory_only(cache)) {
        do {
            page = page_cache_swap_in(cache, index, true, major);
            if (page)
                return page;
            page = add_memory_page(cache, index);
            if (ptr_err(page) != -EEXIST)
                return page;
            page = page_cache_find(cache, index);
        } while (!page);
        return page;
    }
    if (major)
        *major = true;
    page = read_locked(cache, index);
    if (!is_err(page))
        page_unlock(page);
    return page;
}

struct page *page_cache_grab(struct page_cache *cache, u64 index, bool whole)
{
    struct page *page;

    if (page_cache_in_memory_only(cache)) {
        page = page_cache_read(cache, index, NULL);
        if (!is_err(page))
            page_lock(page);
        return page;
    }
    return whole ? lock_page(cache, index) : read_locked(cache, index);
}

void page_read_done(struct page *page, int error)
{
    assert((page->flags & (PG_LOCKED | PG_UPTODATE)) == PG_LOCKED);
    page_flag_set(page, error ? PG_ERROR : PG_UPTODATE);
    page_unlock(page);
}

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
    REMOVE_CLEAN,  /* whatever a device has as well */
    REMOVE_UNUSED, /* of these, those that nobody uses: not locked, not mapped */
};

/* => cache->lock, our own reference and the page's lock */
static bool may_remove(const struct page *page, enum removal which)
{
    if (which == REMOVE_ALL)
        return true;
    if (page->flags & (PG_DIRTY | PG_WRITEBACK))
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

/* ---- holes ------------------------------------------------------------------------------------------ */

/* The first index >= index without a page, in memory or in swap. => cache->lock */
static u64 skip_data(struct page_cache *cache, u64 index)
{
    while (radix_tree_lookup(&cache->pages, index) || radix_tree_lookup(&cache->swapped, index))
        index++;
    return index;
}

/* *index becomes the first one >= it that has a page. Is there one? => cache->lock */
static bool skip_hole(struct page_cache *cache, unsigned long *index)
{
    unsigned long swapped = *index;
    bool found = radix_tree_next(&cache->pages, index) != NULL;

    if (cache->nr_swapped && radix_tree_next(&cache->swapped, &swapped)) {
        *index = found ? min(*index, swapped) : swapped;
        found = true;
    }
    return found;
}

loff_t page_cache_seek(struct page_cache *cache, loff_t start, loff_t size, bool data)
{
    unsigned long index = (u64)start >> PAGE_SHIFT, first = index;
    bool found = true;
    loff_t offset;

    if (start < 0 || start >= size)
        return -ENXIO;
    spin_lock(&cache->lock);
    if (data)
        found = skip_hole(cache, &index);
    else
        index = skip_data(cache, index);
    spin_unlock(&cache->lock);
    if (!found)
        return -ENXIO;
    offset = index == first ? start : (loff_t)(index << PAGE_SHIFT);
    if (offset < size)
        return offset;
    return data ? -ENXIO : size;
}
