/* SPDX-License-Identifier: MIT */
/*
 * What a program knows better than the LRU lists: that it will not use pages for a while (MADV_COLD),
 * not for a long time (MADV_PAGEOUT), never in this form (MADV_FREE); or that they must stay (mlock).
 *
 * Each walks the entries of a range and gathers the pages it is about, with references; what is done
 * to them is done without a lock of the page table. Pages that others use too are left alone: it is not
 * for one of the users to say.
 */
#include "huge.h"
#include "scan.h"
#include <vellum/rmap.h>
#include <vellum/string.h>
#include <vellum/sync.h>
#include <vellum/vmstat.h>

#define GATHER 32

/* Pages of a range that are to be treated alike. */
struct gathering {
    bool (*pick)(struct page *page, pte_t *entry);  /* => table lock; it may change the entry */
    void (*treat)(struct page **pages, unsigned n); /* puts the references */
    bool flush;                                     /* pick() changes entries */
    unsigned n;
    struct page *pages[GATHER];
};

/* Entries of one table. Returns where it stopped. */
static vaddr_t gather_table(struct gathering *g, pte_t *entry, struct page *table, vaddr_t address,
                            vaddr_t stop)
{
    spin_lock(&table->table_lock);
    for (; address < stop && g->n < GATHER; address += PAGE_SIZE, entry++) {
        pte_t pte = pte_load(entry);
        struct page *page;

        if (!pte_present(pte) || pte_special(pte))
            continue;
        page = pfn_to_page(pte_pfn(pte));
        if (!g->pick(page, entry))
            continue;
        page_get(page);
        g->pages[g->n++] = page;
    }
    spin_unlock(&table->table_lock);
    return address;
}

/* A huge page: as one, or it is split. Returns where it stopped. */
static vaddr_t gather_huge(struct gathering *g, struct mm *mm, vaddr_t address, vaddr_t stop)
{
    struct page *page;
    pte_t *entry;

    if (!huge_whole(address, stop)) {
        split_huge_at(mm, address);
        return address;
    }
    spin_lock(&mm->table_lock);
    entry = huge_entry(mm, address);
    if (entry && !pte_special(pte_load(entry))) {
        page = pfn_to_page(pte_pfn(pte_load(entry)));
        if (g->pick(page, entry)) {
            page_get(page);
            g->pages[g->n++] = page;
        }
    }
    spin_unlock(&mm->table_lock);
    return entry ? stop : address;
}

/* => mm->lock */
static void for_each_batch(struct gathering *g, struct mm *mm, vaddr_t start, vaddr_t end)
{
    vaddr_t address = start;
    struct page *table;
    pte_t *entry;

    for (;;) {
        vaddr_t from = address;

        g->n = 0;
        while (g->n < GATHER) {
            address = page_table_next(mm, address, end, &entry, &table);
            if (address >= end)
                break;
            if (unlikely(!table))
                address = gather_huge(g, mm, address, table_end(address, end));
            else
                address = gather_table(g, entry, table, address, table_end(address, end));
        }
        if (!g->n)
            return;
        if (g->flush)
            tlb_flush_entries(mm, from, address);
        g->treat(g->pages, g->n);
    }
}

/* Is the entry that leads to the page the only one? */
static bool is_sole_user(const struct page *page)
{
    int caches = page->flags & PG_ANON ? 0 : 1;

    return atomic_read(&page->refs) == 1 + caches + (page->flags & PG_SWAP_CACHE ? 1 : 0);
}

/* ---- MADV_COLD, MADV_PAGEOUT ---------------------------------------------------------------------- */

static bool pick_cold(struct page *page, pte_t *entry)
{
    pte_t pte;

    if (!is_sole_user(page) || (page->flags & PG_UNEVICTABLE))
        return false;
    do
        pte = pte_load(entry);
    while (!pte_replace(entry, pte, pte_clear_young(pte)));
    return true;
}

static void make_cold(struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        lru_deactivate(pages[i]);
    pages_put(pages, n);
}

void advise_cold(struct vma *vma, vaddr_t start, vaddr_t end)
{
    struct gathering g = {.pick = pick_cold, .treat = make_cold, .flush = true};

    for_each_batch(&g, vma->mm, start, end);
}

static void page_out(struct page **pages, unsigned n)
{
    unsigned isolated = 0;

    for (unsigned i = 0; i < n; i++) {
        struct page *page = pages[i];
        bool ours = lru_isolate(page);

        page_put(page); /* lru_isolate() has taken one of its own */
        if (ours)
            pages[isolated++] = page;
    }
    reclaim_pages(pages, isolated);
}

void advise_pageout(struct vma *vma, vaddr_t start, vaddr_t end)
{
    struct gathering g = {.pick = pick_cold, .treat = page_out, .flush = true};

    for_each_batch(&g, vma->mm, start, end);
}

/* ---- MADV_FREE ------------------------------------------------------------------------------------ */

/* From now on the entry's dirty bit tells whether the page has been written since. */
static bool pick_free(struct page *page, pte_t *entry)
{
    pte_t pte;

    if (!(page->flags & PG_ANON) || !is_sole_user(page) ||
        (page->flags & (PG_SWAP_CACHE | PG_UNEVICTABLE)))
        return false;
    do
        pte = pte_load(entry);
    while (!pte_replace(entry, pte, pte_clear_dirty(pte_clear_young(pte))));
    page_flag_clear(page, PG_DIRTY);
    return true;
}

static void make_free(struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        lru_make_lazy_free(pages[i]);
    pages_put(pages, n);
}

void advise_free(struct vma *vma, vaddr_t start, vaddr_t end)
{
    struct gathering g = {.pick = pick_free, .treat = make_free, .flush = true};

    for_each_batch(&g, vma->mm, start, end);
}

/* ---- mlock ---------------------------------------------------------------------------------------- */

static bool pick_any(struct page *page, pte_t *entry)
{
    return true;
}

static void lock_pages(struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        lru_set_unevictable(pages[i], true);
    vm_events(unevictable_pgs_mlocked, n);
    pages_put(pages, n);
}

static void unlock_pages(struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        lru_set_unevictable(pages[i], false);
    vm_events(unevictable_pgs_munlocked, n);
    pages_put(pages, n);
}

/* A file's page that is locked by another mapping too comes back when reclaim has looked at it. */
void mark_locked(struct vma *vma, vaddr_t start, vaddr_t end, bool locked)
{
    struct gathering g = {.pick = pick_any, .treat = locked ? lock_pages : unlock_pages};

    if (!(vma->flags & VM_SPECIAL))
        for_each_batch(&g, vma->mm, start, end);
}
