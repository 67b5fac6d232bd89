/* SPDX-License-Identifier: MIT */
/*
 * Page tables, the same on every machine: PT_LEVELS levels of PT_ENTRIES entries, the root at level
 * PT_LEVELS - 1, base pages mapped by entries of tables at level 0.
 *
 * Entries of a table at level 0 change under the lock in its struct page. Upper entries change
 * under mm->table_lock. Where they point to a table, they do so until the last VMA in their range
 * is gone; so a walk needs no lock as long as a VMA there cannot go away (mm->lock, or the file's
 * mapping lock). There are two exceptions, in private anonymous memory: fork, with mm->lock
 * write-held, may make an entry of level 1 a shared table (kernel/mm/shared_table.c), which becomes
 * a table again at the first touch; and it may be a huge leaf, which comes, goes, and becomes a
 * table under mm->table_lock (kernel/mm/huge.c).
 *
 * A walk from outside, which has none of these, goes from lock to lock: mm->table_lock, then that of
 * the table at level 0, then it lets the first go (page_table_lock_entry). Who takes a table away cuts
 * the way to it under mm->table_lock and then waits until the table's own lock is free.
 */
#ifndef VELLUM_PAGE_TABLE_H
#define VELLUM_PAGE_TABLE_H

#include <vellum/page.h>

/* Store an entry; what was written before (a cleared page, a table) is seen by whoever sees it. */
static inline void pte_publish(pte_t *entry, pte_t pte)
{
    __atomic_store_n(&entry->value, pte.value, __ATOMIC_RELEASE);
}

/* Change an entry that the processor may be marking young or dirty, if it is still `old`. */
static inline bool pte_replace(pte_t *entry, pte_t old, pte_t new)
{
    return __atomic_compare_exchange_n(&entry->value, &old.value, new.value, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Let an entry, seen as `pte`, allow no more than prot, and not more than before. As long as it is clean
 * and writable (MADV_FREE) the processor may mark it dirty at any moment: that must not be lost. Returns
 * what it is now. => the lock that guards it */
static inline pte_t pte_tighten(pte_t *entry, pte_t pte, unsigned prot)
{
    for (;;) {
        pte_t new = pte_set_prot(pte, pte_write(pte) ? prot : prot & ~PTE_WRITE);

        if (likely(pte_dirty(pte) || !pte_write(pte))) {
            pte_store(entry, new);
            return new;
        }
        if (pte_replace(entry, pte, new))
            return new;
        pte = pte_load(entry);
    }
}

/* The same: it is not writable any more. */
static inline pte_t pte_protect(pte_t *entry, pte_t pte)
{
    while (unlikely(!pte_dirty(pte) && pte_write(pte))) {
        if (pte_replace(entry, pte, pte_clear_write(pte)))
            return pte_clear_write(pte);
        pte = pte_load(entry);
    }
    pte = pte_clear_write(pte);
    pte_store(entry, pte);
    return pte;
}

static inline unsigned pte_index(vaddr_t va, unsigned level)
{
    return (va >> PT_SHIFT(level)) % PT_ENTRIES;
}

/* Is an entry of level 1 a huge page (accessible or not)? */
static inline bool pte_is_huge(pte_t pte)
{
    return pte_present(pte) && pte_is_leaf(pte);
}

/* The table that an entry of an upper level points to. */
static inline pte_t *pte_table_of(pte_t pte)
{
    return phys_to_virt(pte_pfn(pte) << PAGE_SHIFT);
}

/* ---- the kernel's half: kernel/mm/kernel_map.c ----------------------------------------------- */

/* Map size bytes at va to physical address phys in base pages, or in huge pages wherever both
 * addresses and what is left allow it. Nothing may be mapped there. Tables come from boot_alloc()
 * until the frame allocator works. 0 or -ENOMEM (a part may be mapped then). prot: PTE_* */
int kernel_map(vaddr_t va, paddr_t phys, u64 size, unsigned prot);
/* The entry at level 0 for va, or NULL. */
pte_t *kernel_pte(vaddr_t va);
/* Like kernel_pte(), but makes the tables. NULL: no memory. */
pte_t *kernel_pte_alloc(vaddr_t va);

#endif
