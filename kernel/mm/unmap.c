/* SPDX-License-Identifier: MIT */
/*
 * Taking mappings away: munmap(2), MADV_DONTNEED, truncation of a mapped file, the end of an address
 * space. Entries are cleared table by table, under one lock for each table; frames and tables go
 * in batches, after one flush for each batch.
 */
#include "address_space.h"
#include "huge.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/sync.h>

/* Clear entries of one table from `address` on, up to `stop` or until the batch is full. Returns
 * where it stopped. */
static vaddr_t unmap_table(struct tlb_batch *b, pte_t *entry, struct page *table, vaddr_t address,
                           vaddr_t stop, bool anonymous_too)
{
    long counts[3] = {0, 0, 0};
    vaddr_t start = address;
    long swapped = 0;
    bool any = false;

    spin_lock(&table->table_lock);
    for (; address < stop && b->n + b->swapped < TLB_BATCH; address += PAGE_SIZE, entry++) {
        pte_t pte = pte_load(entry);
        struct page *page;

        if (pte_none(pte)) {
            unsigned none = none_lines(entry, (stop - address) >> PAGE_SHIFT);

            if (none) {
                entry += none - 1;
                address += (none - 1) * PAGE_SIZE;
            }
            continue;
        }
        if (unlikely(pte_is_swap(pte))) {
            if (anonymous_too) {
                b->entries[b->swapped++] = swap_of_pte(pte);
                pte_store(entry, (pte_t){0});
                swapped++;
            }
            continue;
        }
        if (!pte_special(pte)) {
            page = pfn_to_page(pte_pfn(pte));
            if (unlikely(!anonymous_too) && (page->flags & PG_ANON))
                continue;
            counts[page_kind(page)]++;
            b->swap_cached |= (page->flags & PG_SWAP_CACHE) != 0;
            b->pages[b->n++] = page;
        }
        pte_store(entry, (pte_t){0});
        any = true;
    }
    table->private_pages -= counts[1];
    table->swapped -= swapped;
    if (any) {
        b->start = min(b->start, start);
        b->end = max(b->end, address);
    }
    if (mm_flush_is_due(b->mm)) {
        b->start = 0;
        b->end = USER_END;
    }
    spin_unlock(&table->table_lock);
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
        if (counts[i])
            atomic_sub(&b->mm->resident[i], counts[i]);
    if (unlikely(swapped))
        mm_count_swapped(b->mm, -swapped);
    return address;
}

void unmap_pages(struct tlb_batch *batch, vaddr_t start, vaddr_t end, bool anonymous_too)
{
    struct page *table;
    pte_t *entry;

    for (;;) {
        start = page_table_next(batch->mm, start, end, &entry, &table);
        if (start >= end)
            return;
        if (unlikely(!table)) {
            if (huge_unmap_range(batch, start, table_end(start, end)))
                start = table_end(start, end);
            continue;
        }
        start = unmap_table(batch, entry, table, start, table_end(start, end), anonymous_too);
        if (batch->n + batch->swapped >= TLB_BATCH) /* more: tables were added to swap entries */
            tlb_batch_flush(batch);
    }
}

/* ---- munmap ------------------------------------------------------------------------------------- */

/* Where the neighbours of [start, end) end and begin, once nothing is in between. */
static vaddr_t low_bound(struct vma *prev)
{
    return prev ? prev->end : 0;
}

static vaddr_t high_bound(struct vma *next)
{
    return next ? next->start : ~0UL;
}

/* One end of a VMA goes: no split, nothing to free. */
static void trim(struct tlb_batch *batch, struct vma *vma, vaddr_t start, vaddr_t end)
{
    struct mm *mm = vma->mm;

    if (unlikely(vma->flags & VM_LOCKED))
        mark_locked(vma, start, end, false);
    unmap_pages(batch, start, end, true);
    vma_account(mm, vma->flags, vma->file, -(long)((end - start) >> PAGE_SHIFT));
    if (start == vma->start) {
        vma_resize(vma, end, vma->end);
        page_table_free(batch, start, end, low_bound(vma_prev(vma)), end);
    } else {
        vma_resize(vma, vma->start, start);
        page_table_free(batch, start, end, start, high_bound(vma_next(vma)));
    }
}

/* Split so that VMAs begin at start and end at end. 0 or -ENOMEM */
static int isolate(struct mm *mm, struct vma *first, vaddr_t start, vaddr_t end)
{
    struct vma *last;

    if (first->start < start && first->end > end &&
        mm->vma_count >= (unsigned)READ_ONCE(max_map_count))
        return -ENOMEM;
    if (first->start < start && !vma_split(first, start))
        return -ENOMEM;
    last = vma_find_exact(mm, end - 1);
    if (last && last->end > end && !vma_split(last, end)) {
        if (first->start < start)
            vma_merge(first);
        return -ENOMEM;
    }
    return 0;
}

/* Take all VMAs in [start, end), which are whole, out of the set, with what is mapped. */
static void remove_vmas(struct tlb_batch *batch, struct vma *vma, vaddr_t end, struct list *removed)
{
    struct mm *mm = batch->mm;
    vaddr_t low = low_bound(vma_prev(vma));

    while (vma && vma->start < end) {
        struct vma *next = vma_next(vma);

        if (unlikely(vma->flags & VM_LOCKED))
            mark_locked(vma, vma->start, vma->end, false);
        unmap_pages(batch, vma->start, vma->end, true);
        vma_account(mm, vma->flags, vma->file, -(long)((vma->end - vma->start) >> PAGE_SHIFT));
        vma_remove(mm, vma);
        page_table_free(batch, vma->start, vma->end, low, high_bound(next));
        list_add_tail(&vma->link, removed);
        vma = next;
    }
}

static void free_vmas(struct list *removed)
{
    while (!list_empty(removed)) {
        struct vma *vma = list_first_entry(removed, struct vma, link);

        list_del(&vma->link);
        vma_free(vma);
    }
}

vaddr_t free_below_range(struct vma *vma, vaddr_t start)
{
    return start > vma->start ? start : low_bound(vma_prev(vma));
}

vaddr_t free_above_range(struct mm *mm, vaddr_t end)
{
    struct vma *next = vma_find(mm, end);

    return next && next->start < end ? end : high_bound(next);
}

int unmap_locked(struct mm *mm, vaddr_t start, vaddr_t end)
{
    struct vma *first = vma_find(mm, start);
    struct list removed = LIST_INIT(removed);
    struct tlb_batch batch;
    bool shared = atomic_read(&mm->shared_tables);
    vaddr_t low = 0, high = 0;
    int error;

    assert(rwlock_write_held(&mm->lock));
    if (!first || first->start >= end)
        return 0;
    if (unlikely(shared)) {
        low = free_below_range(first, start);
        high = free_above_range(mm, end);
        if (page_table_take_ends(mm, start, end, low, high))
            return -ENOMEM;
    }
    mm_update_peaks(mm);
    tlb_batch_begin(&batch, mm);
    if (first->start <= start && first->end >= end &&
        (first->start == start) != (first->end == end)) {
        if (shared)
            page_table_give_up(mm, start, end, low, high);
        trim(&batch, first, start, end);
    } else {
        error = isolate(mm, first, start, end);
        if (error)
            return error;
        if (shared)
            page_table_give_up(mm, start, end, low, high);
        first = vma_find(mm, start);
        if (first && first->start < end)
            remove_vmas(&batch, first, end, &removed);
    }
    tlb_batch_flush(&batch);
    free_vmas(&removed);
    return 0;
}

int mm_unmap_private(struct mm *mm)
{
    struct vma *vma, *next;
    int error = 0;

    write_lock(&mm->lock);
    for (vma = vma_first(mm); vma && !error; vma = next) {
        next = vma_next(vma);
        if (vma_is_private(vma))
            error = unmap_locked(mm, vma->start, vma->end);
    }
    write_unlock(&mm->lock);
    return error;
}

int mm_unmap(struct mm *mm, vaddr_t start, size_t length)
{
    int error;

    if (!IS_ALIGNED(start, PAGE_SIZE) || length == 0 || start > USER_END ||
        length > USER_END - start)
        return -EINVAL;
    write_lock(&mm->lock);
    error = unmap_locked(mm, start, start + ALIGN_UP(length, PAGE_SIZE));
    write_unlock(&mm->lock);
    return error;
}

void unmap_all(struct mm *mm)
{
    struct list removed = LIST_INIT(removed);
    struct vma *first = vma_first(mm), *vma;
    struct tlb_batch batch;

    write_lock(&mm->lock); /* nobody is left to wait for; reverse maps may still look in */
    tlb_batch_begin(&batch, mm);
    list_for_each_entry(vma, &mm->vma_list, link)
        page_table_give_up(mm, vma->start, vma->end, 0, ~0UL);
    if (first)
        remove_vmas(&batch, first, USER_END, &removed);
    tlb_batch_flush(&batch);
    write_unlock(&mm->lock);
    free_vmas(&removed);
}

/* ---- files ---------------------------------------------------------------------------------------- */

void mm_unmap_file_range(struct mapping_set *set, u64 first, u64 last, bool even_private_copies)
{
    struct interval_node *node;
    struct tlb_batch batch;

    smp_fence(); /* the pages' removal from the cache, before the entries are looked at: fault.c */
    if (rb_empty(&set->tree))
        return;
    write_lock(&set->lock);
    interval_for_each(node, &set->tree, first, last) {
        struct vma *vma = container_of(node, struct vma, file_node);
        u64 from = max(first, node->start) - node->start;
        u64 to = min(last, node->last) - node->start + 1;

        tlb_batch_begin(&batch, vma->mm);
        unmap_pages(&batch, vma->start + (from << PAGE_SHIFT), vma->start + (to << PAGE_SHIFT),
                    even_private_copies);
        tlb_batch_flush(&batch);
    }
    write_unlock(&set->lock);
}
