/* SPDX-License-Identifier: MIT */
/*
 * What the handlers of faults have in common: see fault.c.
 */
#ifndef VELLUM_MM_FAULT_H
#define VELLUM_MM_FAULT_H

#include "address_space.h"
#include <vellum/sync.h>

/* The entry for a page of the VMA as it is after this access; `write`: if it may be written. */
static inline pte_t make_entry(const struct vm_fault *fault, struct page *page, bool write)
{
    unsigned prot = vma_prot(fault->vma);
    pte_t pte;

    if (!write)
        prot &= ~PTE_WRITE;
    pte = pte_set_young(pte_leaf(page_to_pfn(page), prot, 0));
    return write ? pte_set_dirty(pte) : pte;
}

/* Lock the table and look whether the entry is still as it was seen. */
static inline bool lock_entry(const struct vm_fault *fault)
{
    spin_lock(&fault->table->table_lock);
    if (likely(pte_load(fault->pte).value == fault->seen.value))
        return true;
    spin_unlock(&fault->table->table_lock);
    return false;
}

static inline void unlock_entry(const struct vm_fault *fault)
{
    spin_unlock(&fault->table->table_lock);
}

#endif
