/* SPDX-License-Identifier: MIT */
/*
 * Reading before anybody asks: carries out what read_window.c plans.
 *
 * Pages that are missing are put into the cache, locked and empty, and given to read_pages in runs.
 * Who comes to one of them before the device is ready finds it locked, and waits for that.
 */
#include "internal.h"
#include <vellum/writeback.h>

/* ---- reading a range ------------------------------------------------------------------------------------ */

struct run {
    struct page_cache *cache;
    unsigned n;
    struct page *pages[PAGE_RUN];
};

static void run_send(struct run *run)
{
    struct page *pages[PAGE_RUN];
    unsigned n = run->n;

    if (!n)
        return;
    memcpy(pages, run->pages, n * sizeof(pages[0]));
    run->cache->ops->read_pages(run->cache, run->pages, n);
    pages_put(pages, n);
    run->n = 0;
}

/* Pages of the file, in its last one at least a byte. */
static u64 file_pages(const struct page_cache *cache)
{
    return DIV_ROUND_UP(READ_ONCE(cache->inode->size), PAGE_SIZE);
}

static bool is_cached(struct page_cache *cache, u64 index)
{
    void *page;

    spin_lock(&cache->lock);
    page = radix_tree_lookup(&cache->pages, index);
    spin_unlock(&cache->lock);
    return page != NULL;
}

/* Begin to read those of the plan's pages that are missing, up to the end of the file. */
static void read_plan(struct page_cache *cache, struct read_plan plan)
{
    u64 end = min(plan.start + plan.n, file_pages(cache));
    struct run run = {.cache = cache};

    for (u64 index = plan.start; index < end; index++) {
        struct page *page =
            is_cached(cache, index) ? err_ptr(-EEXIST) : page_cache_add_empty(cache, index);

        if (is_err(page)) {
            run_send(&run);
            if (ptr_err(page) != -EEXIST)
                return; /* nobody has asked for it yet: whoever does will be told */
            continue;
        }
        if (index == plan.start + plan.mark)
            page_flag_set(page, PG_READAHEAD);
        run.pages[run.n++] = page;
        if (run.n == PAGE_RUN)
            run_send(&run);
    }
    run_send(&run);
}

void page_cache_read_range(struct page_cache *cache, u64 first, u64 last)
{
    u64 pages = file_pages(cache);

    if (page_cache_in_memory_only(cache) || first >= pages)
        return;
    last = min(last, pages - 1);
    for (; first <= last && !fatal_signal_pending(); first += PAGE_RUN) {
        unsigned n = min(last - first + 1, (u64)PAGE_RUN);

        read_plan(cache, (struct read_plan){first, n, n});
    }
}

/* ---- by what is asked for --------------------------------------------------------------------------------- */

static unsigned device_max(const struct page_cache *cache)
{
    return cache->backing ? READ_ONCE(cache->backing->read_ahead) : READ_AHEAD_DEFAULT;
}

/* How many pages just before `index` are there, max at most. */
static unsigned cached_before(struct page_cache *cache, u64 index, unsigned max)
{
    unsigned n = 0;

    spin_lock(&cache->lock);
    while (n < max && n < index && radix_tree_lookup(&cache->pages, index - 1 - n))
        n++;
    spin_unlock(&cache->lock);
    return n;
}

static unsigned cached_after(struct page_cache *cache, u64 index, unsigned max)
{
    unsigned n = 0;

    spin_lock(&cache->lock);
    while (n < max && radix_tree_lookup(&cache->pages, index + 1 + n))
        n++;
    spin_unlock(&cache->lock);
    return n;
}

struct page *read_ahead_page(struct file *file, u64 index, unsigned wanted)
{
    struct page_cache *cache = file->cache;
    unsigned max = device_max(cache);

    if (!is_cached(cache, index)) {
        /* Threads that share the file work on copies: what they store is in one piece each. */
        struct read_ahead ra = file->read_ahead;

        read_plan(cache,
                  read_ahead_miss(&ra, index, wanted, max, cached_before(cache, index, max)));
        file->read_ahead = ra;
    }
    return page_cache_read(cache, index, NULL);
}

void read_ahead_mark(struct file *file, struct page *page)
{
    struct page_cache *cache = file->cache;
    unsigned max = device_max(cache);
    struct read_ahead ra = file->read_ahead;

    if (!(__atomic_fetch_and(&page->flags, ~PG_READAHEAD, __ATOMIC_RELAXED) & PG_READAHEAD))
        return; /* somebody was faster */
    read_plan(cache,
              read_ahead_marked(&ra, page->index, max, cached_after(cache, page->index, 2 * max)));
    file->read_ahead = ra;
}

struct page *read_ahead_for_fault(struct vm_fault *fault)
{
    struct vma *vma = fault->vma;
    struct file *file = vma->file;
    struct page_cache *cache = container_of(vma->mappings, struct page_cache, mappings);
    unsigned max = device_max(cache);
    enum read_advice advice = vma->flags & VM_RAND_READ  ? READ_RANDOM
                              : vma->flags & VM_SEQ_READ ? READ_SEQUENTIAL
                                                         : READ_NORMAL;

    if (!is_cached(cache, fault->index)) {
        struct read_ahead ra = file->read_ahead;

        read_plan(cache, read_ahead_fault(&ra, fault->index, max,
                                          cached_before(cache, fault->index, max), advice));
        file->read_ahead = ra;
    }
    return page_cache_read(cache, fault->index, fault);
}
