/* SPDX-License-Identifier: MIT */
/*
 * The user half of page tables: making, walking and freeing tables (page_table.h says which lock
 * guards what).
 */
#include "address_space.h"
#include "huge.h"
#include <vellum/error.h>
#include <vellum/list.h>

struct page *table_alloc(struct mm *mm, unsigned flags)
{
    struct page *page = page_alloc(flags);

    if (!page)
        return NULL;
    page->flags = PG_TABLE;
    page->private_data = 0;
    spin_init(&page->table_lock);
    list_init(&page->link); /* of level 1: tables for when its huge leaves are split (huge.c) */
    atomic_inc(&mm->table_pages);
    atomic_inc(&count_tables);
    return page;
}

void table_free(struct mm *mm, struct page *page)
{
    page->flags = 0;
    atomic_dec(&mm->table_pages);
    atomic_dec(&count_tables);
    page_put(page);
}

/* ---- walking ------------------------------------------------------------------------------------ */

/* Hang a new table under an entry, unless another thread was faster. */
static bool fill_entry(struct mm *mm, pte_t *entry)
{
    struct page *page = table_alloc(mm, ALLOC_ZERO);

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

pte_t *page_table_make_upper(struct mm *mm, vaddr_t address)
{
    pte_t *entries = mm->page_table;

    for (unsigned level = PT_LEVELS - 1; level > 1; level--) {
        pte_t *entry = &entries[pte_index(address, level)];

        if (pte_none(pte_load(entry)) && !fill_entry(mm, entry))
            return NULL;
        entries = pte_table_of(pte_load(entry));
    }
    return &entries[pte_index(address, 1)];
}

pte_t *page_table_make(struct mm *mm, vaddr_t address, struct page **table)
{
    pte_t *upper = page_table_make_upper(mm, address), pte;

    if (!upper)
        return NULL;
    while (!pte_is_table(pte = pte_load(upper)))
        if (unlikely(pte_is_huge(pte)))
            split_huge_at(mm, address);
        else if (pte_is_shared(pte) ? page_table_take_upper(mm, upper) : !fill_entry(mm, upper))
            return NULL;
    *table = pfn_to_page(pte_pfn(pte));
    return (pte_t *)pte_table_of(pte) + pte_index(address, 0);
}

/* The first address above `address`, whose entry is none, that another entry of this table serves, and
 * not none; or the end of the table's range. */
static vaddr_t skip_none(const pte_t *entry, vaddr_t address, unsigned level, vaddr_t end)
{
    u64 span = 1UL << PT_SHIFT(level);

    address = ALIGN_DOWN(address, span);
    do {
        address += span;
        entry++;
    } while (pte_index(address, level) != 0 && address < end && pte_none(pte_load(entry)));
    return address;
}

vaddr_t page_table_next_upper(struct mm *mm, vaddr_t address, vaddr_t end, pte_t **upper)
{
    while (address < end) {
        pte_t *entries = mm->page_table, *entry;
        unsigned level = PT_LEVELS - 1;

        for (;; level--) {
            entry = &entries[pte_index(address, level)];
            if (pte_none(pte_load(entry)))
                break;
            if (level == 1) {
                *upper = entry;
                return address;
            }
            entries = pte_table_of(pte_load(entry));
        }
        address = skip_none(entry, address, level, end);
    }
    return end;
}

vaddr_t page_table_next(struct mm *mm, vaddr_t address, vaddr_t end, pte_t **entry,
                        struct page **table)
{
    pte_t *upper, pte;

    for (;; address = table_end(address, end)) {
        address = page_table_next_upper(mm, address, end, &upper);
        if (address >= end)
            return end;
        pte = pte_load(upper);
        if (pte_is_table(pte))
            break;
        if (pte_is_huge(pte)) {
            *table = NULL;
            return address;
        }
    }
    *table = pfn_to_page(pte_pfn(pte));
    *entry = (pte_t *)pte_table_of(pte) + pte_index(address, 0);
    return address;
}

pte_t *page_table_lock_entry(struct mm *mm, vaddr_t address, struct page **table)
{
    pte_t *upper, *entry = NULL, pte = {0};

    spin_lock(&mm->table_lock);
    upper = page_table_upper(mm, address);
    if (upper)
        pte = pte_load(upper);
    if (pte_is_table(pte) || pte_is_shared(pte)) {
        *table = pfn_to_page(pte_pfn(pte));
        spin_lock(&(*table)->table_lock);
        entry = (pte_t *)pte_table_of(pte) + pte_index(address, 0);
    }
    spin_unlock(&mm->table_lock);
    return entry;
}

spinlock_t *page_table_lock_pte(struct mm *mm, vaddr_t address, pte_t *pte, struct page **table)
{
    for (;;) {
        pte_t *entry = page_table_lock_entry(mm, address, table);

        if (entry) {
            *pte = pte_load(entry);
            return &(*table)->table_lock;
        }
        *table = NULL;
        spin_lock(&mm->table_lock);
        entry = page_table_upper(mm, address);
        *pte = entry ? pte_load(entry) : (pte_t){0};
        if (pte_is_huge(*pte)) {
            *pte = huge_part(*pte, pte_index(address, 0));
            return &mm->table_lock;
        }
        spin_unlock(&mm->table_lock);
        if (pte_none(*pte))
            return NULL;
        /* It has been split meanwhile. */
    }
}

vaddr_t page_table_lock_next(struct mm *mm, vaddr_t address, vaddr_t end, pte_t **entry,
                             struct page **table)
{
    pte_t *upper;

    for (;; address = table_end(address, end)) {
        address = page_table_next_upper(mm, address, end, &upper);
        if (address >= end)
            return end;
        *entry = page_table_lock_entry(mm, address, table);
        if (*entry)
            return address;
        *table = NULL;
        if (pte_is_huge(pte_load(upper)))
            return address;
    }
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

    assert(list_empty(&page->link));
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

        if (!pte_is_table(pte))
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
