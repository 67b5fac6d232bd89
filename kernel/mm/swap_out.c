/* SPDX-License-Identifier: MIT */
/*
 * Sending pages to swap, a step at a time. Reclaim calls swap_out() for a page it would like to be
 * rid of, and again later for the same page if it was told to:
 *
 *     anonymous: a slot; each entry that maps it becomes a swap entry  \
 *                                                                        >  written  -->  freed
 *     of a file: unmapped; a slot; its place in the file's cache too    /
 *
 * Throughout the page is in the swap cache and locked. A fault that meets one of the new swap entries
 * finds the page there and waits for the lock, and then maps it again: then it is in use and stays.
 * Until the frame is given up everything can be taken back like that.
 *
 * The page may be mapped, and written to, while it is on its way to the device. What arrives there
 * is worth nothing then, but the entry is dirty and the page will be written again.
 */
#include "scan.h"
#include "swap_area.h"
#include <vellum/error.h>
#include <vellum/lru.h>
#include <vellum/mm.h>
#include <vellum/printk.h>
#include <vellum/rmap.h>
#include <vellum/vmstat.h>

/* ---- slots -------------------------------------------------------------------------------------------- */

/* Tell the device of clusters that have become empty, and make them free again. */
static bool discard_some(struct swap_area *area)
{
    unsigned n;
    u64 first;

    spin_lock(&area->lock);
    first = area->flags & AREA_WRITABLE ? swap_slots_begin_discard(&area->slots, &n) : 0;
    area->discarding += first != 0; /* swapoff(2) waits for that */
    spin_unlock(&area->lock);
    if (!first)
        return false;
    area->ops->discard(area, first, n);
    spin_lock(&area->lock);
    swap_slots_end_discard(&area->slots, first);
    area->discarding--;
    spin_unlock(&area->lock);
    return true;
}

static int take_slot(struct page *page)
{
    int error = swap_slot_take(page);
    bool more = false;

    if (error != -ENOSPC || !swap_has_room())
        return error;
    for (unsigned i = 0; i < SWAP_AREAS; i++)
        more |= discard_some(&swap_areas[i]);
    return more ? swap_slot_take(page) : error;
}

/* ---- into the swap cache ------------------------------------------------------------------------------ */

/* The references that are left when nobody uses the page: the cache's, and the caller's. */
static inline bool is_alone(const struct page *page)
{
    return atomic_read(&page->refs) == 2;
}

/* Somebody uses the page after all. If the slot has not been given to anybody yet it is not needed. */
static int in_use(struct page *page)
{
    swap_cache_release(page);
    return -EBUSY;
}

static int anonymous_out(struct swap_out_batch *batch, struct page *page)
{
    int error;

    if (!(page->flags & PG_SWAP_CACHE)) {
        error = take_slot(page);
        if (error)
            return error;
        page_flag_set(page, PG_DIRTY);
    }
    if (!is_alone(page))
        rmap_unmap(page, swap_to_pte(swap_of_page(page)), batch->flush);
    return is_alone(page) ? 0 : in_use(page);
}

static int file_page_out(struct swap_out_batch *batch, struct page *page)
{
    swap_entry_t entry;
    int error;

    if (!is_alone(page))
        rmap_unmap(page, (pte_t){0}, batch->flush);
    if (!is_alone(page))
        return -EBUSY;
    error = take_slot(page);
    if (error)
        return error;
    entry = swap_of_page(page);
    error = swap_duplicate(entry);
    if (!error) {
        error = page_cache_swap_out(page, entry);
        if (error)
            swap_free(entry);
    }
    if (error) {
        swap_cache_release(page);
        return error;
    }
    page_flag_set(page, PG_DIRTY);
    return 0;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

void swap_write_done(struct page *page, int error)
{
    if (error) {
        page_flag_set(page, PG_DIRTY); /* it stays, and will be tried again */
        pr_err("swap: writing a page failed: error %d", error);
    }
    page_end_writeback(page);
    lru_rotate(page); /* it is looked at next */
}

void swap_writes_done(unsigned n)
{
    reclaim_writes_ended(n);
}

/* How many pages, from the first on, are of its area. */
static unsigned same_area(struct page **pages, unsigned n)
{
    unsigned i = 1;

    while (i < n && swap_type(swap_of_page(pages[i])) == swap_type(swap_of_page(pages[0])))
        i++;
    return i;
}

void swap_out_finish(struct swap_out_batch *batch)
{
    struct swap_area *area = NULL;

    if (!batch->n)
        return;
    rmap_flush(batch->flush);
    vm_events(pswpout, batch->n);
    reclaim_writes_begun(batch->n);
    for (unsigned i = 0, n; i < batch->n; i += n) {
        area = swap_area_of(swap_of_page(batch->pages[i]));
        n = same_area(batch->pages + i, batch->n - i);
        area->ops->write(area, batch->pages + i, n);
    }
    batch->n = 0;
    discard_some(area);
}

static void gather(struct swap_out_batch *batch, struct page *page)
{
    page_flag_clear(page, PG_DIRTY);
    page_flag_set(page, PG_WRITEBACK);
    batch->pages[batch->n++] = page;
    if (batch->n == SWAP_BATCH)
        swap_out_finish(batch);
}

/* ---- all of it ---------------------------------------------------------------------------------------- */

int swap_out(struct swap_out_batch *batch, struct page *page)
{
    int error = 0;

    assert(page->flags & PG_LOCKED);
    if (page->flags & PG_WRITEBACK)
        return -EINPROGRESS;
    if (atomic_read(&page->refs) == 1)
        return 0; /* everybody else has gone meanwhile */
    if (page->flags & PG_ANON)
        error = anonymous_out(batch, page);
    else if (!(page->flags & PG_SWAP_CACHE))
        error = file_page_out(batch, page);
    if (error)
        return error;
    if (swap_cache_release(page)) /* nobody wants its contents any more */
        return atomic_read(&page->refs) == 1 ? 0 : -EBUSY;
    if (page->flags & PG_DIRTY) {
        gather(batch, page);
        return -EINPROGRESS;
    }
    return swap_cache_abandon(page) ? 0 : -EBUSY;
}
