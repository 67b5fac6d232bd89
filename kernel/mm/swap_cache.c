/* SPDX-License-Identifier: MIT */
/*
 * The swap cache: from a slot to the page that has its contents (include/vellum/swap.h).
 *
 * A page enters and leaves it under the page lock, so who holds that lock knows where the page stands.
 * The tree is looked at under the lock of the area alone: a page that is found may have left the
 * cache when its lock has been taken, and whoever needs to know looks again.
 */
#include "swap_area.h"
#include <vellum/error.h>
#include <vellum/lru.h>
#include <vellum/vmstat.h>

struct page *swap_cache_find(swap_entry_t entry)
{
    struct swap_area *area = swap_area_of(entry);
    struct page *page;

    spin_lock(&area->lock);
    page = area->cached ? radix_tree_lookup(&area->cache, swap_slot(entry)) : NULL;
    if (page)
        page_get(page);
    spin_unlock(&area->lock);
    return page;
}

unsigned swap_cache_gang(struct swap_area *area, u64 *first, struct page **pages, unsigned n)
{
    spin_lock(&area->lock);
    n = radix_tree_gang_lookup(&area->cache, (void **)pages, *first, n);
    for (unsigned i = 0; i < n; i++)
        page_get(pages[i]);
    if (n)
        *first = swap_slot(swap_of_page(pages[n - 1])) + 1;
    spin_unlock(&area->lock);
    return n;
}

/* ---- in --------------------------------------------------------------------------------------------- */

int swap_cache_insert(struct swap_area *area, struct page *page, u64 slot)
{
    int error = radix_tree_insert(&area->cache, slot, page);

    assert((page->flags & PG_LOCKED) && !(page->flags & PG_SWAP_CACHE) && error != -EEXIST);
    if (error)
        return error;
    page_get(page);
    page->private_data = swap_entry(area->type, slot).value;
    page_flag_set(page, PG_SWAP_CACHE);
    area->cached++;
    vm_gauge_add(nr_swapcached, 1);
    return 0;
}

int swap_cache_add(struct page *page, swap_entry_t entry)
{
    struct swap_area *area = swap_area_of(entry);
    u64 slot = swap_slot(entry);
    int error;

    spin_lock(&area->lock);
    if (!swap_slots_in_use(&area->slots, slot))
        error = -ENOENT;
    else if (swap_slots_cached(&area->slots, slot))
        error = -EEXIST;
    else
        error = swap_cache_insert(area, page, slot);
    if (!error)
        swap_slots_cache(&area->slots, slot);
    spin_unlock(&area->lock);
    return error;
}

/* ---- out -------------------------------------------------------------------------------------------- */

/* The caller gets the cache's reference. => area->lock, page lock */
static void leave(struct swap_area *area, struct page *page)
{
    u64 slot = swap_slot(swap_of_page(page));
    u64 before = area->slots.free;
    void *deleted = radix_tree_delete(&area->cache, slot);

    assert(deleted == page && !(page->flags & PG_WRITEBACK));
    page_flag_clear(page, PG_SWAP_CACHE);
    page->private_data = 0;
    area->cached--;
    vm_gauge_add(nr_swapcached, -1);
    swap_slots_uncache(&area->slots, slot);
    swap_count_change(area, before);
}

bool swap_cache_release(struct page *page)
{
    struct swap_area *area = swap_area_of(swap_of_page(page));
    bool unused = false;

    assert(page->flags & PG_LOCKED);
    if ((page->flags & (PG_SWAP_CACHE | PG_WRITEBACK)) != PG_SWAP_CACHE)
        return false;
    spin_lock(&area->lock);
    if (!swap_slots_users(&area->slots, swap_slot(swap_of_page(page)))) {
        leave(area, page);
        unused = true;
    }
    spin_unlock(&area->lock);
    if (unused) {
        page_flag_set(page, PG_DIRTY); /* nothing else has its contents any more */
        page_put(page);
    }
    return unused;
}

void swap_cache_release_unused(struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct page *page = pages[i];

        if (!(page->flags & PG_SWAP_CACHE) || atomic_read(&page->refs) != 2 || !page_trylock(page))
            continue;
        swap_cache_release(page);
        page_unlock(page);
    }
}

bool swap_cache_abandon(struct page *page)
{
    struct swap_area *area = swap_area_of(swap_of_page(page));
    u64 slot = swap_slot(swap_of_page(page));
    bool alone;

    assert((page->flags & PG_LOCKED) && (page->flags & PG_SWAP_CACHE));
    spin_lock(&area->lock);
    /* References are taken from the cache under its lock, and from entries that map the page only
     * while there are such: two means that there is nobody else. */
    alone = atomic_read(&page->refs) == 2 && !(page->flags & (PG_DIRTY | PG_WRITEBACK));
    if (alone)
        leave(area, page);
    spin_unlock(&area->lock);
    if (alone) {
        workingset_evict(area, slot, page);
        page_put(page);
    }
    return alone;
}

void swap_cache_remove(struct page *page)
{
    struct swap_area *area = swap_area_of(swap_of_page(page));

    assert((page->flags & PG_LOCKED) && (page->flags & PG_SWAP_CACHE));
    spin_lock(&area->lock);
    leave(area, page);
    spin_unlock(&area->lock);
    page_put(page);
}
