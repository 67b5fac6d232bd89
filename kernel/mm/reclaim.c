/* SPDX-License-Identifier: MIT */
/*
 * Reclaim: taking pages away from those who do not use them.
 *
 * One pass looks at a share of each list, from the old end:
 *
 *     active     the accessed bits are cleared and the page becomes inactive; only code that is in use
 *                stays. Nothing is lost by that: a page in use is marked again before it has come to
 *                the end of the inactive list.
 *     inactive   used since: active again (a file's page only at the second time)
 *                not used:   unmapped, written if need be, freed
 *
 *     page of a file      clean: leaves the page cache          dirty: left to the flushers
 *     lazily freed        not written since: just freed         written: anonymous memory again
 *     anonymous, tmpfs    to swap (swap.h), in steps: unmapped and being written; when it comes round
 *                         again, written: freed
 *
 * How large the share is tells the priority: from 1/4096 down to everything, as long as too little comes
 * of it. How anonymous and file pages are weighed against each other: reclaim_policy.c.
 *
 * All of this may run inside an allocation, under locks that its caller holds. So it waits for no lock
 * that may be held while memory is allocated: it tries and leaves the page for another time. And while
 * it works its own allocations use the reserve instead of reclaiming in turn (current->reclaiming).
 */
#include "scan.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/huge.h>
#include <vellum/page_cache.h>
#include <vellum/rmap.h>
#include <vellum/swap.h>
#include <vellum/sync.h>
#include <vellum/vmstat.h>
#include <vellum/writeback.h>

#define BATCH SWAP_BATCH

/* A batch of isolated pages on its way through. */
struct shrink {
    struct reclaim *r;
    bool force;              /* used or not (MADV_PAGEOUT) */
    struct rmap_flush flush; /* due before pages are freed */
    struct swap_out_batch swap;
    unsigned n_free, n_writing, n_keep;
    struct page **free; /* ours is the last reference; the caller's array, from its beginning */
    struct page *keep[BATCH];
};

/* ---- one page => page lock -------------------------------------------------------------------------- */

enum outcome { KEEP, ACTIVATE, WRITING, FREED };

/* How has it been used? false: it cannot be told now. */
static bool look_at_use(struct page *page, struct page_use *use)
{
    struct rmap_references references;

    if (page_referenced(page, &references))
        return false;
    if (references.vm_flags & VM_LOCKED) {
        page_flag_set(page, PG_UNEVICTABLE);
        vm_event(unevictable_pgs_culled);
        return false;
    }
    *use = (struct page_use){
        .young = references.young,
        .referenced = page->flags & PG_REFERENCED,
        .swap_backed = page->flags & PG_SWAP_BACKED,
        .executable = (references.vm_flags & VM_EXEC) && !(page->flags & PG_SWAP_BACKED),
    };
    return true;
}

/* The next step on the way to swap. */
static enum outcome evict_to_swap(struct shrink *s, struct page *page)
{
    switch (swap_out(&s->swap, page)) {
    case 0:
        return FREED;
    case -EINPROGRESS:
        s->r->writing++;
        vm_event(nr_vmscan_write);
        lru_note_cost(true, 1);
        return WRITING;
    case -ENOSPC:
        return ACTIVATE; /* look at others first */
    default:
        return KEEP;
    }
}

/* MADV_FREE has been called for it: has it been written since? */
static enum outcome drop_lazy_free(struct shrink *s, struct page *page)
{
    if (!(page->flags & PG_DIRTY) && rmap_drop_clean(page) && atomic_read(&page->refs) == 1) {
        vm_event(pglazyfreed);
        return FREED;
    }
    page_flag_set(page, PG_SWAP_BACKED);
    page_flag_clear(page, PG_LAZY_FREE);
    return ACTIVATE;
}

static enum outcome evict_file_page(struct shrink *s, struct page *page)
{
    struct page_cache *cache = page->cache;
    u64 index = page->index;

    if (!cache || !cache->ops || !cache->ops->read_pages)
        return ACTIVATE; /* memory is its only home, or it is about to go anyway */
    if (page->flags & PG_DIRTY) {
        s->r->dirty++;
        vm_event(nr_vmscan_immediate_reclaim);
        return KEEP;
    }
    if (!rmap_unmap(page, (pte_t){0}, &s->flush) || !page_cache_drop(page))
        return KEEP;
    workingset_evict(cache, index, page);
    return FREED;
}

static enum outcome shrink_locked(struct shrink *s, struct page *page)
{
    struct page_use use;

    if (page->flags & PG_UNEVICTABLE)
        return KEEP;
    if (page->flags & PG_WRITEBACK) {
        s->r->writing++;
        return KEEP;
    }
    if (!s->force) {
        if (!look_at_use(page, &use))
            return KEEP;
        switch (page_fate(&use)) {
        case FATE_ACTIVATE:
            return ACTIVATE;
        case FATE_REFERENCED:
            page_flag_set(page, PG_REFERENCED);
            return KEEP;
        case FATE_RECLAIM:
            page_flag_clear(page, PG_REFERENCED);
        }
    }
    if ((page->flags & PG_HUGE) && split_huge_page(page))
        return KEEP;
    if (page->flags & PG_LAZY_FREE)
        return drop_lazy_free(s, page);
    return page->flags & PG_SWAP_BACKED ? evict_to_swap(s, page) : evict_file_page(s, page);
}

static void shrink_page(struct shrink *s, struct page *page)
{
    enum outcome outcome = KEEP;

    if (atomic_read(&page->refs) == 1) {
        outcome = FREED; /* its last user has gone meanwhile */
    } else if (page_trylock(page)) {
        outcome = shrink_locked(s, page);
        page_unlock(page);
    }
    if (outcome == ACTIVATE) {
        page_flag_set(page, PG_ACTIVE);
        vm_event(pgactivate);
        workingset_age(1);
    }
    if (outcome == FREED)
        s->free[s->n_free++] = page;
    else if (outcome == WRITING)
        s->n_writing++; /* it is in the batch for swap */
    else
        s->keep[s->n_keep++] = page;
}

/* ---- batches ---------------------------------------------------------------------------------------- */

/* Pages that are on their way to swap. Those that have arrived already have not found themselves in a
 * list to be rotated in. */
static void put_back_written(struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        page_get(pages[i]);
    lru_putback(pages, n);
    for (unsigned i = 0; i < n; i++)
        if (!(pages[i]->flags & PG_WRITEBACK))
            lru_rotate(pages[i]);
    pages_put(pages, n);
}

/* At most BATCH isolated pages. The array is used up. Returns how many became free. */
static unsigned shrink_batch(struct reclaim *r, struct page **pages, unsigned n, bool force)
{
    struct shrink s;

    s.r = r;
    s.force = force;
    s.flush = (struct rmap_flush){0};
    s.n_free = s.n_writing = s.n_keep = 0;
    s.free = pages;
    swap_out_begin(&s.swap, &s.flush);
    for (unsigned i = 0; i < n; i++)
        shrink_page(&s, pages[i]);
    swap_out_finish(&s.swap);
    rmap_flush(&s.flush);
    for (unsigned i = 0; i < s.n_free; i++)
        lru_isolated_free(s.free[i]);
    pages_put(s.free, s.n_free);
    lru_putback(s.keep, s.n_keep);
    put_back_written(s.swap.pages, s.n_writing);
    return s.n_free;
}

static void shrink_inactive(struct reclaim *r, enum lru_list list, unsigned n)
{
    struct page *pages[BATCH];
    unsigned freed;

    n = lru_isolate_tail(list, pages, n);
    freed = shrink_batch(r, pages, n, false);
    r->scanned += n;
    r->freed += freed;
    vm_count_add(r->kswapd ? VM_pgscan_kswapd : VM_pgscan_direct, n);
    vm_count_add(r->kswapd ? VM_pgsteal_kswapd : VM_pgsteal_direct, freed);
    vm_count_add(list < LRU_INACTIVE_FILE ? VM_pgscan_anon : VM_pgscan_file, n);
    vm_count_add(list < LRU_INACTIVE_FILE ? VM_pgsteal_anon : VM_pgsteal_file, freed);
}

/* Code that runs stays: the next to need it would wait for the disk in the midst of its work. */
static bool stays_active(struct page *page, const struct rmap_references *references)
{
    return references->young && (references->vm_flags & VM_EXEC) && !(page->flags & PG_SWAP_BACKED);
}

static void shrink_active(enum lru_list list, unsigned n)
{
    struct rmap_references references;
    struct page *pages[BATCH];
    unsigned cold = 0;

    n = lru_isolate_tail(list, pages, n);
    for (unsigned i = 0; i < n; i++) {
        struct page *page = pages[i];
        bool locked = !(page->flags & PG_ANON) && page_trylock(page);

        if ((locked || (page->flags & PG_ANON)) && page_referenced(page, &references) == 0 &&
            !stays_active(page, &references)) {
            page_flag_clear(page, PG_ACTIVE);
            page_flag_set(page, PG_WORKINGSET);
            cold++;
        }
        if (locked)
            page_unlock(page);
    }
    vm_events(pgrefill, n);
    vm_events(pgdeactivate, cold);
    lru_putback(pages, n);
}

u64 reclaim_pages(struct page **pages, unsigned n)
{
    struct reclaim r = {.wanted = n};
    bool nested = current->reclaiming;
    u64 freed = 0;

    current->reclaiming = true;
    for (unsigned done = 0, part; done < n; done += part) {
        part = min(n - done, (unsigned)BATCH);
        freed += shrink_batch(&r, pages + done, part, true);
    }
    current->reclaiming = nested;
    return freed;
}

bool reclaim_can_swap(void)
{
    return swap_has_room() || vm_count(VM_nr_swapcached);
}

/* ---- a pass ----------------------------------------------------------------------------------------- */

static void plan(const struct reclaim *r, u64 scan[4])
{
    struct scan_input in = {
        .costs = lru_costs(),
        .free = frames_free(),
        .high = zone_watermarks().high,
        .swappiness = swappiness,
        .swap = reclaim_can_swap(),
    };

    for (unsigned l = 0; l < 4; l++)
        in.lists[l] = lru_count(l);
    in.priority = scan_priority(r->priority, in.lists, BATCH);
    scan_balance(&in, scan);
    /* Anonymous pages grow old although nobody takes them away. */
    if (in.swap && !scan[LRU_ACTIVE_ANON] &&
        inactive_is_low(in.lists[LRU_INACTIVE_ANON], in.lists[LRU_ACTIVE_ANON]))
        scan[LRU_ACTIVE_ANON] = BATCH;
}

static void scan_list(struct reclaim *r, enum lru_list list, unsigned n)
{
    if (list == LRU_ACTIVE_ANON || list == LRU_ACTIVE_FILE) {
        if (inactive_is_low(lru_count(list - 1), lru_count(list)))
            shrink_active(list, n);
    } else {
        shrink_inactive(r, list, n);
    }
}

void reclaim_pass(struct reclaim *r)
{
    u64 scan[4], left;

    assert(current->reclaiming);
    lru_empty_all_batches();
    plan(r, scan);
    do { /* a batch of each list in turn, so that all of them are worn down alike */
        left = 0;
        for (unsigned l = 0; l < 4; l++) {
            unsigned n = min(scan[l], (u64)BATCH);

            if (n)
                scan_list(r, l, n);
            scan[l] -= n;
            left += scan[l];
        }
    } while (left && r->freed < r->wanted);
    if (shrink_caches(r->priority) || r->priority == 0)
        r->freed += object_caches_shrink();
    if (r->dirty)
        flushers_wake(r->dirty);
}
