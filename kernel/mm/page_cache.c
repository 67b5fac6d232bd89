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
 * Here pages are found, added and read. How they leave is told in page_cache_remove.c, how they are
 * written back in writeback.c, when they are read before anybody asks in kernel/fs/read_ahead.c.
 */
#include "cache.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/lru.h>
#include <vellum/string.h>

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

#define MEMORY_PAGE (PG_UPTODATE | PG_SHMEM | PG_SWAP_BACKED) /* its home is memory */

/* Put a page into the tree, which takes a reference. 0, -EEXIST, -ENOMEM, or what adding() says; then
 * the page has no flags. */
static int add(struct page_cache *cache, struct page *page, u64 index, u32 flags)
{
    int error = cache->ops && cache->ops->adding ? cache->ops->adding(cache) : 0;

    page->flags = error ? 0 : flags | PG_FILE;
    if (error)
        return error;
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
        page->flags = 0;
        page->cache = NULL;
        if (cache->ops && cache->ops->removed)
            cache->ops->removed(cache, 1);
        return error;
    }
    atomic_inc(&count_cached);
    if (flags & PG_SHMEM)
        atomic_inc(&count_shared);
    else
        workingset_refault(cache, index, page);
    lru_add(page);
    return 0;
}

/* A new page in the tree, with a reference for the caller. */
static struct page *add_new(struct page_cache *cache, u64 index, unsigned how, u32 flags)
{
    struct page *page = page_alloc(ALLOC_USER | ALLOC_MOVABLE | how);
    int error;

    if (!page)
        return err_ptr(-ENOMEM);
    error = add(cache, page, index, flags);
    if (!error)
        return page;
    page_put(page);
    return err_ptr(error);
}

int page_cache_add_memory(struct page_cache *cache, struct page *page, u64 index)
{
    return add(cache, page, index, MEMORY_PAGE);
}

struct page *page_cache_add_empty(struct page_cache *cache, u64 index)
{
    return add_new(cache, index, 0, PG_LOCKED);
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

/* The page if somebody has it locked, in order to read it, say; with a reference. */
static struct page *find_locked(struct page_cache *cache, u64 index)
{
    struct page *page = find_any(cache, index);

    if (page && !(READ_ONCE(page->flags) & PG_LOCKED)) {
        page_put(page);
        page = NULL;
    }
    return page;
}

struct page *page_cache_read(struct page_cache *cache, u64 index, struct vm_fault *fault)
{
    struct page *page = page_cache_find(cache, index);

    if (likely(page))
        return page;
    if (page_cache_in_memory_only(cache)) {
        do {
            page = page_cache_swap_in(cache, index, true, fault);
            if (page && !is_err(page))
                page_flag_set(page, PG_UPTODATE); /* it may only have been reserved */
            if (page)
                return page;
            page = add_new(cache, index, ALLOC_ZERO, MEMORY_PAGE);
            if (ptr_err(page) != -EEXIST)
                return page;
            page = page_cache_find(cache, index);
        } while (!page);
        return page;
    }
    if (fault) {
        fault->major = true;
        fault->page = fault->waited ? NULL : find_locked(cache, index);
        if (fault->page)
            return err_ptr(-EAGAIN);
    }
    page = read_locked(cache, index);
    if (!is_err(page))
        page_unlock(page);
    return page;
}

int page_cache_reserve(struct page_cache *cache, u64 index)
{
    struct page *page = find_any(cache, index);

    if (!page)
        page = add_new(cache, index, ALLOC_ZERO, MEMORY_PAGE & ~PG_UPTODATE);
    if (is_err(page)) /* it may be in swap, or a fault has made one meanwhile */
        return ptr_err(page) == -EEXIST ? 0 : ptr_err(page);
    page_put(page);
    return 0;
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

/* ---- holes ------------------------------------------------------------------------------------------ */

/* What has only been reserved is a hole still. Looked at are so many pages at once; then others get the lock. */
#define SEEK_BATCH 512

enum seek { SEEK_FOUND, SEEK_NONE, SEEK_ON };

/* *index becomes the first one >= it without a page, in memory or in swap. => cache->lock */
static enum seek skip_data(struct page_cache *cache, unsigned long *index)
{
    for (unsigned n = 0; n < SEEK_BATCH; n++, ++*index) {
        const struct page *page = radix_tree_lookup(&cache->pages, *index);

        if (page ? !(page->flags & PG_UPTODATE) : !radix_tree_lookup(&cache->swapped, *index))
            return SEEK_FOUND;
    }
    return SEEK_ON;
}

/* *index becomes the first one >= it that has a page. => cache->lock */
static enum seek skip_hole(struct page_cache *cache, unsigned long *index)
{
    unsigned long swapped = *index;
    bool in_swap = cache->nr_swapped && radix_tree_next(&cache->swapped, &swapped);
    const struct page *page;

    for (unsigned n = 0; n < SEEK_BATCH; n++, ++*index) {
        page = radix_tree_next(&cache->pages, index);
        if (in_swap && (!page || swapped < *index)) {
            *index = swapped;
            return SEEK_FOUND;
        }
        if (!page)
            return SEEK_NONE;
        if (page->flags & PG_UPTODATE)
            return SEEK_FOUND;
    }
    return SEEK_ON;
}

loff_t page_cache_seek(struct page_cache *cache, loff_t start, loff_t size, bool data)
{
    unsigned long index = (u64)start >> PAGE_SHIFT, first = index;
    unsigned long end = DIV_ROUND_UP((u64)size, PAGE_SIZE);
    enum seek result;
    loff_t offset;

    if (start < 0 || start >= size)
        return -ENXIO;
    do {
        spin_lock(&cache->lock);
        result = data ? skip_hole(cache, &index) : skip_data(cache, &index);
        spin_unlock(&cache->lock);
    } while (result == SEEK_ON && index < end);
    if (data && result != SEEK_FOUND)
        return -ENXIO;
    offset = index == first ? start : (loff_t)(index << PAGE_SHIFT);
    if (offset < size)
        return offset;
    return data ? -ENXIO : size;
}
