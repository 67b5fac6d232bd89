/* SPDX-License-Identifier: MIT */
/*
 * Faults that a huge page resolves. resolve() (fault.c) asks here when an address of private anonymous
 * memory has no table of level 0:
 *
 *     entry of level 1     touched by   handler
 *     none                 read         map_zeros  \  if a whole huge page fits, is wanted and
 *                          write        map_huge   /  is free
 *     huge, not writable   write        ours alone: refresh; else split, and on with single pages
 *     huge                 any          refresh
 *
 * In all other cases the answer is FAULT_SMALL. The huge page of zeros is nobody's alone (huge_zero.c).
 */
#include "huge.h"
#include <vellum/compaction.h>
#include <vellum/khugepaged.h>
#include <vellum/lru.h>
#include <vellum/sync.h>
#include <vellum/vmstat.h>

/* The entry is still as it was seen, and its lock ours. */
static bool lock_leaf(struct mm *mm, const pte_t *entry, pte_t seen)
{
    spin_lock(&mm->table_lock);
    if (likely(pte_load(entry).value == seen.value))
        return true;
    spin_unlock(&mm->table_lock);
    return false;
}

/* May the search for a huge page compact memory? */
static unsigned compact_flag(const struct vma *vma)
{
    return huge_compacts(READ_ONCE(huge_settings.defrag), vma->flags) ? ALLOC_COMPACT : 0;
}

/* There is no huge page. */
static int fall_back(const struct vma *vma)
{
    if (huge_defers(READ_ONCE(huge_settings.defrag), vma->flags))
        kcompactd_wake(HUGE_PAGE_ORDER);
    vm_event(thp_fault_fallback);
    return FAULT_SMALL;
}

/* Get ready to map `page`, a huge one or NULL: *table is the table that goes with it (split_huge_at() will
 * fill it in). FAULT_OK: the entry is empty, and => mm->table_lock. Else the page was given back. */
static int begin_map(const struct vma *vma, pte_t *entry, struct page *page, struct page **table)
{
    if (!page)
        return fall_back(vma);
    *table = table_alloc(vma->mm, 0);
    if (!*table) {
        page_put(page);
        return FAULT_OOM;
    }
    if (lock_leaf(vma->mm, entry, (pte_t){0}))
        return FAULT_OK;
    table_free(vma->mm, *table);
    page_put(page);
    return FAULT_RETRY;
}

static int map_zeros(struct vm_fault *fault, pte_t *entry)
{
    struct vma *vma = fault->vma;
    struct mm *mm = vma->mm;
    struct page *table, *page = huge_zero_get(compact_flag(vma));
    int result = begin_map(vma, entry, page, &table);
    pte_t leaf;

    if (result != FAULT_OK)
        return result;
    leaf = pte_leaf(page_to_pfn(page), vma_prot(vma) & ~PTE_WRITE, 1);
    huge_map(mm, entry, pte_set_special(pte_set_young(leaf)), table);
    spin_unlock(&mm->table_lock);
    return FAULT_OK;
}

static int map_huge(struct vm_fault *fault, pte_t *entry)
{
    struct vma *vma = fault->vma;
    struct mm *mm = vma->mm;
    unsigned flags = ALLOC_USER | ALLOC_ZERO | ALLOC_NORETRY | compact_flag(vma);
    struct page *table, *page = huge_page_alloc(flags);
    int result = begin_map(vma, entry, page, &table);
    pte_t leaf;

    if (result != FAULT_OK)
        return result;
    page->family = mm->family;
    page->index = (fault->address & HUGE_MASK) >> PAGE_SHIFT;
    leaf = pte_leaf(page_to_pfn(page), vma_prot(vma), 1);
    if (!vma->has_private)
        vma->has_private = true;
    if (unlikely(vma->flags & VM_LOCKED))
        page->flags |= PG_UNEVICTABLE;
    lru_add(page);
    huge_map(mm, entry, pte_set_dirty(pte_set_young(leaf)), table);
    spin_unlock(&mm->table_lock);
    vm_event(thp_fault_alloc);
    return FAULT_OK;
}

/* A huge page is there, and the access is one that the VMA allows. */
static int refresh_huge(struct vm_fault *fault, pte_t *entry, pte_t pte)
{
    struct vma *vma = fault->vma;
    unsigned prot = vma_prot(vma);
    bool write = fault->access & ACCESS_WRITE, ours;

    if (!lock_leaf(vma->mm, entry, pte))
        return FAULT_RETRY;
    ours =
        pte_write(pte) || (!pte_special(pte) && atomic_read(&pfn_to_page(pte_pfn(pte))->refs) == 1);
    if (write && !huge_survives(HUGE_WRITTEN, fault->address, fault->address + 1, 0, ours)) {
        spin_unlock(&vma->mm->table_lock);
        split_huge_at(vma->mm, fault->address);
        return FAULT_SMALL;
    }
    /* Like refresh() and break_copy_on_write(), for which the small page would do. */
    if (!write && !pte_write(pte))
        prot &= ~PTE_WRITE;
    pte = pte_set_young(pte_set_prot(pte, prot));
    pte_publish(entry, write ? pte_set_dirty(pte) : pte);
    spin_unlock(&vma->mm->table_lock);
    arch_tlb_flush_page(fault->address);
    return FAULT_OK;
}

bool huge_possible(const struct vma *vma)
{
    return !vma->ops && huge_fits_somewhere(vma->start, vma->end) &&
           huge_wanted(READ_ONCE(huge_settings.mode), vma->flags, vma->mm->no_huge_pages);
}

int fault_huge(struct vm_fault *fault)
{
    struct vma *vma = fault->vma;
    pte_t *entry = page_table_make_upper(vma->mm, fault->address), pte;

    if (unlikely(!entry))
        return FAULT_OOM;
    pte = pte_load(entry);
    if (pte_is_huge(pte))
        return refresh_huge(fault, entry, pte);
    if (!pte_none(pte) ||
        !huge_wanted(READ_ONCE(huge_settings.mode), vma->flags, vma->mm->no_huge_pages) ||
        !huge_fits(vma->start, vma->end, fault->address))
        return FAULT_SMALL;
    khugepaged_enter(vma->mm);
    return (fault->access & ACCESS_WRITE) || !READ_ONCE(huge_settings.use_zero_page)
               ? map_huge(fault, entry)
               : map_zeros(fault, entry);
}
