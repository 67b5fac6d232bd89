/* SPDX-License-Identifier: MIT */
/*
 * The page cache: the pages of a file by index, in a radix tree under a spinlock.
 *
 * The tree holds one reference to each page; who finds a page gets one of his own under the lock, so
 * a page cannot go away under anybody. Whether it still belongs to the file is another question:
 * page->cache is NULL once it has been removed.
 *
 * There are two kinds of caches. If the file's home is a device (ops->read_page), a page is put into
 * the tree locked and empty, and read under its lock; who finds it meanwhile waits for the lock. If
 * memory is its only home, a page goes into the tree with its contents, and PG_SHMEM marks it. Bytes
 * beyond the end of the file, in its last page, are zero.
 */
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/page_cache.h>
#include <vellum/string.h>
#include <vellum/sync.h>

#define BATCH 32

static inline bool in_memory_only(const struct page_cache *cache)
{
    return !cache->ops || !cache->ops->read_page;
}

void page_cache_init(struct page_cache *cache, struct inode *inode,
                     const struct page_cache_ops *ops)
{
    spin_init(&cache->lock);
    radix_tree_init(&cache->pages);
    cache->nr_pages = 0;
    mapping_set_init(&cache->mappings);
    cache->ops = ops;
    cache->inode = inode;
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

unsigned page_cache_gang_ready(struct page_cache *cache, u64 first, u64 last, struct page **pages)
{
    unsigned n, kept = 0;

    spin_lock(&cache->lock);
    n = radix_tree_gang_lookup(&cache->pages, (void **)pages, first, last - first + 1);
    for (unsigned i = 0; i < n && pages[i]->index <= last; i++)
        if (likely(pages[i]->flags & PG_UPTODATE)) {
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
    return 0;
}

/* A page of zeros in a cache whose only home is memory. */
static struct page *add_memory_page(struct page_cache *cache, u64 index)
{
    struct page *page = page_alloc(ALLOC_USER | ALLOC_ZERO);
    int error;

    if (!page)
        return err_ptr(-ENOMEM);
    page->flags = PG_UPTODATE | PG_SHMEM;
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

    page->flags = PG_UPTODATE | PG_SHMEM;
    error = add(cache, page, index);
    if (error)
        page->flags = 0;
    return error;
}

/* Add an empty page, locked. */
static struct page *add_empty_page(struct page_cache *cache, u64 index)
{
    struct page *page = page_alloc(ALLOC_USER);
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

        if (!page) {
            page = add_empty_page(cache, index);
            if (ptr_err(page) != -EEXIST)
                return page;
            continue;
        }
        page_lock(page);
        if (page->cache == cache)
            return page;
        page_unlock(page); /* removed while we waited */
        page_put(page);
    }
}

static int read_locked(struct page_cache *cache, struct page *page)
{
    int error = cache->ops->read_page(cache, page);

    if (error)
        page_flag_set(page, PG_ERROR);
    return error;
}

struct page *page_cache_read(struct page_cache *cache, u64 index, bool *major)
{
    struct page *page = page_cache_find(cache, index);
    int error = 0;

    if (likely(page))
        return page;
    if (in_memory_only(cache)) {
        do {
            page = add_memory_page(cache, index);
            if (ptr_err(page) != -EEXIST)
                return page;
            page = page_cache_find(cache, index);
        } while (!page);
        return page;
    }
    page = lock_page(cache, index);
    if (is_err(page))
        return page;
    if (!(page->flags & PG_UPTODATE)) {
        if (major)
            *major = true;
        error = read_locked(cache, page);
    }
    page_unlock(page);
    if (error) {
        page_put(page);
        return err_ptr(error);
    }
    return page;
}

struct page *page_cache_grab(struct page_cache *cache, u64 index, bool whole)
{
    struct page *page;
    int error;

    if (in_memory_only(cache)) {
        page = page_cache_read(cache, index, NULL);
        if (!is_err(page))
            page_lock(page);
        return page;
    }
    page = lock_page(cache, index);
    if (is_err(page) || whole || (page->flags & PG_UPTODATE))
        return page;
    error = read_locked(cache, page);
    if (error) {
        page_unlock(page);
        page_put(page);
        return err_ptr(error);
    }
    return page;
}

void page_set_dirty(struct page *page)
{
    struct page_cache *cache = READ_ONCE(page->cache);

    if (!cache || in_memory_only(cache) || (page->flags & PG_DIRTY))
        return;
    spin_lock(&cache->lock);
    if (page->cache == cache) {
        page_flag_set(page, PG_DIRTY);
        radix_tree_tag_set(&cache->pages, page->index, RADIX_TAG_DIRTY);
    }
    spin_unlock(&cache->lock);
}

/* ---- removing -------------------------------------------------------------------------------------- */

/* Take pages, which we have references to, out of the tree. Returns how many were still in it. */
static unsigned remove_batch(struct page_cache *cache, struct page **pages, unsigned n)
{
    unsigned removed = 0, shared = 0;

    spin_lock(&cache->lock);
    for (unsigned i = 0; i < n; i++) {
        struct page *page = pages[i];

        if (page->cache != cache)
            continue;
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

/* Pages whose contents are being read or written back are waited for; and who holds a page's lock can
 * rely on its file (rmap.c). */
static void lock_batch(struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        page_lock(pages[i]);
}

static void unlock_batch(struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        page_unlock(pages[i]);
}

static void remove_pages(struct page_cache *cache, u64 first, u64 last)
{
    struct page *pages[BATCH], *found[BATCH];
    u64 next = first;
    unsigned n, removed;

    while (cache->nr_pages && next <= last) {
        n = page_cache_gang(cache, next, found, BATCH);
        while (n > 0 && found[n - 1]->index > last)
            page_put(found[--n]);
        if (n == 0)
            break;
        next = found[n - 1]->index + 1;
        lock_batch(found, n);
        memcpy(pages, found, n * sizeof(pages[0]));
        removed = remove_batch(cache, pages, n);
        unlock_batch(found, n);
        pages_put(pages, removed); /* the tree's */
        pages_put(found, n);       /* ours */
        if (next == 0)
            break;
    }
}

void page_cache_remove_range(struct page_cache *cache, u64 first, u64 last)
{
    remove_pages(cache, first, last);
    mm_unmap_file_range(&cache->mappings, first, last, false); /* after the removal: see fault.c */
}

void page_cache_truncate(struct page_cache *cache, u64 size)
{
    u64 first = DIV_ROUND_UP(size, PAGE_SIZE), rest = size % PAGE_SIZE;
    struct page *page = NULL;

    remove_pages(cache, first, ~0UL);
    mm_unmap_file_range(&cache->mappings, first, ~0UL, true);
    if (rest)
        page = page_cache_find(cache, size / PAGE_SIZE);
    if (!page)
        return;
    page_lock(page);
    memset((char *)page_to_virt(page) + rest, 0, PAGE_SIZE - rest);
    page_unlock(page);
    page_set_dirty(page);
    page_put(page);
}

void page_cache_destroy(struct page_cache *cache)
{
    assert(rb_empty(&cache->mappings.tree));
    remove_pages(cache, 0, ~0UL);
    assert(radix_tree_empty(&cache->pages));
}

/* ---- holes ------------------------------------------------------------------------------------------ */

/* The first index >= index without a page. => cache->lock */
static u64 skip_data(struct page_cache *cache, u64 index)
{
    while (radix_tree_lookup(&cache->pages, index))
        index++;
    return index;
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
        found = radix_tree_next(&cache->pages, &index) != NULL;
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
