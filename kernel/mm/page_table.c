/* SPDX-License-Identifier: MIT */
/*
 * The user half of page tables: making, walking and freeing tables (page_table.h says which lock
 * guards what).
 */
#include "address_space.h"
#include <vellum/error.h>

static struct page *table_alloc(struct mm *mm)
{
    struct page *page = page_alloc(ALLOC_ZERO);

    if (!page)
        return NULL;
    page->flags = PG_TABLE;
    spin_init(&page->table_lock);
    atomic_inc(&mm->table_pages);
    atomic_inc(&count_tables);
    return page;
}

static void table_free(struct mm *mm, struct page *page)
{
    page->flags = 0;
    atomic_dec(&mm->table_pages);
    atomic_dec(&count_tables);
    page_put(page);
}

/* Hang a new table under an entry, unless another thread was faster. */
static bool fill_entry(struct mm *mm, pte_t *entry)
{
    struct page *page = table_alloc(mm);

    if (!page)
        return false;
    spin_lock(&mm->table_lock);
    if (pte_none(pte_load(entry))) {
        pte_publish(entry, pte_table(page_to_pfn(page)));
        page = NULL;
    }
    spin_unlock(&mm->table_lock);
    if (page)
        table_free(mm, page);
    /* Against unmap_pages(): what is mapped through the new table is checked after this (fault.c). */
    smp_fence();
    return true;
}

pte_t *page_table_make(struct mm *mm, vaddr_t address, struct page **table)
{
    pte_t *entries = mm->page_table, pte = {0};

    for (unsigned level = PT_LEVELS - 1; level > 0; level--) {
        pte_t *entry = &entries[pte_index(address, level)];

        pte = pte_load(entry);
        if (pte_none(pte)) {
            if (!fill_entry(mm, entry))
                return NULL;
            pte = pte_load(entry);
        }
        entries = pte_table_of(pte);
    }
    *table = pfn_to_page(pte_pfn(pte));
    return &entries[pte_index(address, 0)];
}

vaddr_t page_table_next(struct mm *mm, vaddr_t address, vaddr_t end, pte_t **entry,
                        struct page **table)
{
    while (address < end) {
        pte_t *entries = mm->page_table;
        unsigned level = PT_LEVELS - 1;
        pte_t pte;

        for (;; level--) {
            pte = pte_load(&entries[pte_index(address, level)]);
            if (pte_none(pte))
                break;
            entries = pte_table_of(pte);
            if (level == 1) {
                *table = pfn_to_page(pte_pfn(pte));
                *entry = &entries[pte_index(address, 0)];
                return address;
            }
        }
        address = ALIGN_DOWN(address, 1UL << PT_SHIFT(level)) + (1UL << PT_SHIFT(level));
    }
    return end;
}

pte_t *page_table_lock_entry(struct mm *mm, vaddr_t address, struct page **table)
{
    pte_t *entry;

    spin_lock(&mm->table_lock);
    entry = page_table_find(mm, address, table);
    if (entry)
        spin_lock(&(*table)->table_lock);
    spin_unlock(&mm->table_lock);
    return entry;
}

/* ---- freeing ------------------------------------------------------------------------------------ */

/* A range of addresses whose tables may go. */
struct free_range {
    struct tlb_batch *batch;
    vaddr_t start, end; /* visit only entries for these */
    vaddr_t low, high;  /* nothing is mapped in here */
};

/* A reverse map that found the table before the way to it was cut may be at work in it. */
static inline void wait_for_walkers(const struct page *table)
{
    while (unlikely(__atomic_load_n(&table->table_lock.locked, __ATOMIC_ACQUIRE)))
        cpu_relax();
}

/* Take a table away from an entry. Its frame is freed after the flush: until then a processor may
 * remember the way to it. => mm->table_lock, which is let go for a while if the batch is full */
static void drop_table(struct tlb_batch *batch, pte_t *entry, pte_t pte)
{
    struct page *page = pfn_to_page(pte_pfn(pte));

    pte_store(entry, (pte_t){0});
    wait_for_walkers(page);
    page->flags = 0;
    atomic_dec(&batch->mm->table_pages);
    atomic_dec(&count_tables);
    batch->start = 0; /* upper entries are only forgotten when all are */
    batch->end = USER_END;
    batch->pages[batch->n++] = page;
    if (batch->n == TLB_BATCH) {
        spin_unlock(&batch->mm->table_lock);
        tlb_batch_flush(batch);
        spin_lock(&batch->mm->table_lock);
    }
}

/* The tables below `entries`, a table of `level`; base: the first address that it serves. */
static void free_below(const struct free_range *r, pte_t *entries, unsigned level, vaddr_t base)
{
    u64 span = 1UL << PT_SHIFT(level);
    vaddr_t from = r->start > base ? ALIGN_DOWN(r->start, span) : base;
    vaddr_t stop = min(r->end, base + span * PT_ENTRIES);

    for (; from < stop; from += span) {
        pte_t *entry = &entries[pte_index(from, level)];
        pte_t pte = pte_load(entry);

        if (pte_none(pte))
            continue;
        if (level > 1)
            free_below(r, pte_table_of(pte), level - 1, from);
        if (from >= r->low && from + span <= r->high)
            drop_table(r->batch, entry, pte);
    }
}

void page_table_free(struct tlb_batch *batch, vaddr_t start, vaddr_t end, vaddr_t low, vaddr_t high)
{
    struct free_range range = {batch, start, end, low, high};
    u64 span = 1UL << PT_SHIFT(1);
    vaddr_t first = ALIGN_DOWN(start, span);

    if (first < low)
        first += span;
    if (first >= end || first + span > high)
        return;
    spin_lock(&batch->mm->table_lock);
    free_below(&range, batch->mm->page_table, PT_LEVELS - 1, 0);
    spin_unlock(&batch->mm->table_lock);
}
