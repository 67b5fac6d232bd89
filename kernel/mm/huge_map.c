/* SPDX-License-Identifier: MIT */
/*
 * What is done to ranges of an address space (munmap, mprotect, fork, mremap), where it meets a huge
 * page: the whole of it is treated as one entry; a part of it has it split first.
 */
#include "huge.h"
#include <vellum/error.h>
#include <vellum/sync.h>

/* Lock the table if what is done to [start, stop) leaves the huge page there whole, and return its
 * entry. Else it is split. */
static pte_t *lock_whole(struct mm *mm, enum huge_change change, vaddr_t start, vaddr_t stop)
{
    pte_t *entry;

    if (!huge_survives(change, start, stop, start, true)) {
        split_huge_at(mm, start);
        return NULL;
    }
    spin_lock(&mm->table_lock);
    entry = huge_entry(mm, start);
    if (!entry)
        spin_unlock(&mm->table_lock);
    return entry;
}

bool huge_unmap_range(struct tlb_batch *batch, vaddr_t start, vaddr_t stop)
{
    struct mm *mm = batch->mm;
    pte_t *entry = lock_whole(mm, HUGE_UNMAPPED, start, stop);
    struct page *page, *table;

    if (!entry)
        return false;
    page = pfn_to_page(pte_pfn(pte_load(entry)));
    table = huge_unmap(mm, entry);
    if (atomic_read(&page->refs) == 1) {
        batch->start = min(batch->start, start);
        batch->end = max(batch->end, stop);
    } else {
        /* Others may split it from now on; our reference, which waits in the batch for the flush, will
         * be one to its first frame only. */
        tlb_flush_range(mm, start, start + PAGE_SIZE);
    }
    spin_unlock(&mm->table_lock);
    table_free(mm, table);
    batch->pages[batch->n++] = page;
    if (batch->n + batch->swapped >= TLB_BATCH)
        tlb_batch_flush(batch);
    return true;
}

bool huge_protect_range(struct mm *mm, vaddr_t start, vaddr_t stop, unsigned prot)
{
    pte_t *entry = lock_whole(mm, HUGE_PROTECTED, start, stop), pte;

    if (!entry)
        return false;
    pte = pte_load(entry);
    pte_tighten(entry, pte, prot);
    spin_unlock(&mm->table_lock);
    return true;
}

/* Share a huge page, read-only on both sides. => both table locks */
static void share_leaf(struct mm *child, pte_t *to, pte_t *from, struct page *table, bool *flush)
{
    pte_t pte = pte_load(from);

    page_get(pfn_to_page(pte_pfn(pte)));
    if (pte_write(pte)) {
        pte = pte_protect(from, pte);
        *flush = true;
    }
    huge_map(child, to, pte, table);
}

int huge_fork_range(struct mm *child, struct mm *parent, vaddr_t start, vaddr_t stop, bool *flush)
{
    struct page *table;
    pte_t *from, *to;

    if (!huge_survives(HUGE_FORKED, start, stop, start, false)) {
        split_huge_at(parent, start);
        return 0;
    }
    to = page_table_make_upper(child, start);
    table = to ? table_alloc(child, 0) : NULL;
    if (!table)
        return -ENOMEM;
    spin_lock(&parent->table_lock);
    spin_lock_nested(&child->table_lock, 1);
    from = huge_entry(parent, start);
    if (from)
        share_leaf(child, to, from, table, flush);
    spin_unlock(&child->table_lock);
    spin_unlock(&parent->table_lock);
    if (!from)
        table_free(child, table);
    return from != NULL;
}

int huge_move_range(struct tlb_batch *batch, vaddr_t start, vaddr_t stop, vaddr_t target)
{
    struct mm *mm = batch->mm;
    pte_t *from, *to = NULL, pte;
    struct page *page, *table;

    if (huge_survives(HUGE_MOVED, start, stop, target, true)) {
        to = page_table_make_upper(mm, target);
        if (!to)
            return -ENOMEM;
    }
    if (!to || !pte_none(pte_load(to))) {
        split_huge_at(mm, start);
        return 0;
    }
    from = lock_whole(mm, HUGE_MOVED, start, stop);
    if (!from)
        return 0;
    pte = pte_load(from);
    page = pfn_to_page(pte_pfn(pte));
    /* Nobody may find it, by address or otherwise, while its address changes. */
    if (!atomic_cmpxchg(&page->refs, 1, 0)) {
        spin_unlock(&mm->table_lock);
        split_huge_at(mm, start);
        return 0;
    }
    table = huge_unmap(mm, from);
    tlb_flush_range(mm, start, start + PAGE_SIZE);
    page->index = target >> PAGE_SHIFT;
    huge_map(mm, to, pte, table);
    ref_init(&page->refs);
    spin_unlock(&mm->table_lock);
    return 1;
}
