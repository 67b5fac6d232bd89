/* SPDX-License-Identifier: MIT */
/*
 * Page caches whose only home is memory, and swap (include/vellum/swap.h).
 *
 * What has been swapped out stands in a second tree of the cache, by index, as an odd number: so
 * those who look for pages never meet it, and a cache that has nothing in swap pays nothing.
 * A page is in one of the trees or in the other; it goes over under the cache's lock:
 *
 *     pages[index]  --page_cache_swap_out()-->  swapped[index] + swap cache  -->  swapped[index] + area
 *          ^                                                 |                           |
 *          +------------- page_cache_swap_in() --------------+------ swap_read() --------+
 *
 * Once it is in `pages` again it has left the swap cache, and its slot is free.
 */
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/page_cache.h>
#include <vellum/sync.h>

#define BATCH 32

static DEFINE_SPINLOCK(caches_lock);
static struct list caches = LIST_INIT(caches); /* [caches_lock] those that have had pages in swap */

static void *item_of(swap_entry_t entry)
{
    return (void *)(uintptr_t)(entry.value << 1 | 1);
}

static swap_entry_t entry_of(const void *item)
{
    return (swap_entry_t){(u64)(uintptr_t)item >> 1};
}

static void join(struct page_cache *cache)
{
    if (likely(READ_ONCE(cache->swap_link.next)))
        return;
    spin_lock(&caches_lock);
    if (!cache->swap_link.next)
        list_add_tail(&cache->swap_link, &caches);
    spin_unlock(&caches_lock);
}

void page_cache_leave_swap(struct page_cache *cache)
{
    assert(radix_tree_empty(&cache->swapped));
    if (likely(!cache->swap_link.next))
        return;
    spin_lock(&caches_lock);
    list_del(&cache->swap_link);
    cache->swap_link.next = NULL;
    spin_unlock(&caches_lock);
}

/* ---- out -------------------------------------------------------------------------------------------- */

/* => cache->lock. The caller gets the cache's reference. 0, -EBUSY, -ENOMEM */
static int move_out(struct page_cache *cache, struct page *page, swap_entry_t entry)
{
    int error;

    /* The cache's reference, the swap cache's and the caller's; more are given out under this lock. */
    if (page->cache != cache || atomic_read(&page->refs) != 3)
        return -EBUSY;
    error = radix_tree_insert(&cache->swapped, page->index, item_of(entry));
    if (error)
        return error;
    page_flag_set(page, PG_UPTODATE); /* zeros, if it was only reserved */
    radix_tree_delete(&cache->pages, page->index);
    cache->nr_pages--;
    cache->nr_swapped++;
    WRITE_ONCE(page->cache, NULL);
    return 0;
}

int page_cache_swap_out(struct page *page, swap_entry_t entry)
{
    struct page_cache *cache = READ_ONCE(page->cache);
    int error;

    assert((page->flags & (PG_LOCKED | PG_SHMEM)) == (PG_LOCKED | PG_SHMEM));
    if (!cache)
        return -EBUSY;
    join(cache);
    spin_lock(&cache->lock);
    error = move_out(cache, page, entry);
    spin_unlock(&cache->lock);
    if (error)
        return error;
    atomic_dec(&count_cached);
    atomic_dec(&count_shared);
    page_put(page);
    return 0;
}

/* ---- in --------------------------------------------------------------------------------------------- */

/* The entry at an index; value 0: there is none, and *page is the page that is there, or NULL. */
static swap_entry_t find_entry(struct page_cache *cache, u64 index, struct page **page)
{
    void *item;

    *page = NULL;
    spin_lock(&cache->lock);
    item = radix_tree_lookup(&cache->swapped, index);
    if (!item && (*page = radix_tree_lookup(&cache->pages, index)))
        page_get(*page);
    spin_unlock(&cache->lock);
    return item ? entry_of(item) : (swap_entry_t){0};
}

/* The page takes its entry's place again. => page lock. 0, -ENOENT (not there any more), -ENOMEM */
static int move_in(struct page_cache *cache, struct page *page, swap_entry_t entry, u64 index)
{
    int error = -ENOENT;

    spin_lock(&cache->lock);
    if (radix_tree_lookup(&cache->swapped, index) == item_of(entry))
        error = radix_tree_insert(&cache->pages, index, page);
    if (!error) {
        radix_tree_delete(&cache->swapped, index);
        cache->nr_swapped--;
        cache->nr_pages++;
        page->index = index;
        WRITE_ONCE(page->cache, cache);
        page_flag_set(page, PG_SHMEM | PG_FILE);
        page_get(page);
    }
    spin_unlock(&cache->lock);
    if (error)
        return error;
    atomic_inc(&count_cached);
    atomic_inc(&count_shared);
    return 0;
}

struct page *page_cache_swap_in(struct page_cache *cache, u64 index, bool killable,
                                struct vm_fault *fault)
{
    for (;;) {
        struct page *page;
        swap_entry_t entry = find_entry(cache, index, &page);
        int error;

        if (!entry.value)
            return page;
        page = swap_read(entry, killable, fault);
        if (is_err(page)) {
            if (ptr_err(page) == -ENOENT)
                continue; /* the entry has gone meanwhile */
            return page;
        }
        page_wait_written(page); /* it leaves its slot */
        error = move_in(cache, page, entry, index);
        if (!error) {
            swap_free(entry);
            swap_cache_release(page);
        }
        page_unlock(page);
        if (!error)
            return page;
        page_put(page);
        if (error != -ENOENT)
            return err_ptr(error);
    }
}

/* ---- removal ------------------------------------------------------------------------------------------ */

/* Take up to n entries of first..last out; *first goes on behind them. */
static unsigned take_entries(struct page_cache *cache, u64 *first, u64 last, swap_entry_t *entries,
                             unsigned max)
{
    unsigned long index = *first;
    unsigned n = 0;
    void *item;

    spin_lock(&cache->lock);
    while (n < max && (item = radix_tree_next(&cache->swapped, &index)) && index <= last) {
        radix_tree_delete(&cache->swapped, index);
        entries[n++] = entry_of(item);
        *first = index + 1;
    }
    cache->nr_swapped -= n;
    spin_unlock(&cache->lock);
    return n;
}

bool page_cache_remove_swapped(struct page_cache *cache, u64 first, u64 last)
{
    swap_entry_t entries[BATCH];
    bool any = false;
    unsigned n;

    while (READ_ONCE(cache->nr_swapped) &&
           (n = take_entries(cache, &first, last, entries, BATCH))) {
        swap_free_many(entries, n);
        if (cache->ops && cache->ops->removed)
            cache->ops->removed(cache, n);
        any = true;
    }
    return any;
}

bool page_cache_next_swapped(struct page_cache *cache, u64 *index, u64 end)
{
    unsigned long next = *index;
    bool found;

    spin_lock(&cache->lock);
    found = radix_tree_next(&cache->swapped, &next) && next < end;
    spin_unlock(&cache->lock);
    *index = next;
    return found;
}

/* ---- swapoff ------------------------------------------------------------------------------------------ */

/* The first index >= *index that is in the area. */
static bool next_in_area(struct page_cache *cache, unsigned type, u64 *index)
{
    unsigned long i = *index;
    void *item;

    spin_lock(&cache->lock);
    while ((item = radix_tree_next(&cache->swapped, &i)) && swap_type(entry_of(item)) != type)
        i++;
    spin_unlock(&cache->lock);
    *index = i;
    return item != NULL;
}

static int empty_page_cache(struct page_cache *cache, unsigned type)
{
    for (u64 index = 0; next_in_area(cache, type, &index); index++) {
        struct page *page = page_cache_swap_in(cache, index, false, NULL);

        if (is_err(page))
            return ptr_err(page);
        if (page)
            page_put(page);
        if (current->work & WORK_SIGNAL)
            return -EINTR;
    }
    return 0;
}

/* The one after `cache` in the list, or the first, its inode held; that of `cache` is put. */
static struct page_cache *next_cache(struct page_cache *cache)
{
    struct page_cache *next = NULL;
    struct list *link;

    spin_lock(&caches_lock);
    for (link = cache ? cache->swap_link.next : caches.next; link != &caches; link = link->next) {
        struct page_cache *c = container_of(link, struct page_cache, swap_link);

        if (page_cache_owner.get(c->inode)) {
            next = c;
            break;
        }
    }
    spin_unlock(&caches_lock);
    if (cache)
        page_cache_owner.put(cache->inode);
    return next;
}

int page_caches_swap_in(unsigned type)
{
    struct page_cache *cache = NULL;
    int error = 0;

    while (!error && (cache = next_cache(cache)))
        error = empty_page_cache(cache, type);
    if (cache)
        page_cache_owner.put(cache->inode);
    return error;
}
