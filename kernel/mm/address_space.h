/* SPDX-License-Identifier: MIT */
/*
 * What the files of kernel/mm tell each other about address spaces.
 */
#ifndef VELLUM_MM_ADDRESS_SPACE_H
#define VELLUM_MM_ADDRESS_SPACE_H

#include "memory.h"
#include <vellum/mm.h>

#define STACK_GUARD (256 * PAGE_SIZE) /* kept free below a growing stack */

/* ---- vma.c: the set => mm->lock write-held (except for find) ---------------------------------- */

extern struct object_cache *vma_cache;

/* A VMA in no set, all else zero; or NULL. */
struct vma *vma_alloc(struct mm *mm, vaddr_t start, vaddr_t end, u32 flags);
void vma_insert(struct mm *mm, struct vma *vma);
/* Out of the set and of its file's mappings; the VMA is not freed. */
void vma_remove(struct mm *mm, struct vma *vma);
/* Close, drop the file and free a VMA that is in no set. => mm->lock as it is; may sleep */
void vma_free(struct vma *vma);
/* Move the boundaries of a VMA that is in the set; neighbours are not overlapped. */
void vma_resize(struct vma *vma, vaddr_t start, vaddr_t end);
/* Cut a VMA in two at `at`; the lower part stays `vma`. Returns the upper part, or NULL: no memory */
struct vma *vma_split(struct vma *vma, vaddr_t at);
/* Join a VMA with its equal neighbours. Returns the VMA that covers it now. */
struct vma *vma_merge(struct vma *vma);
/* Can anonymous memory [start, end) with these flags be had by making a neighbour longer? Does so,
 * and returns it; or NULL. => nothing is mapped there */
struct vma *vma_extend_anonymous(struct mm *mm, vaddr_t start, vaddr_t end, u32 flags);
/* The highest address at which `size` bytes fit into [low, high), or 0. */
vaddr_t vma_find_gap(struct mm *mm, u64 size, vaddr_t low, vaddr_t high);
/* Change the flags of a VMA that is in the set. */
void vma_set_flags(struct vma *vma, u32 flags);
/* Count `pages` more (or fewer) of a VMA with these flags. */
void vma_account(struct mm *mm, u32 flags, struct file *file, long pages);

/* Where a VMA begins, the gap below a stack included. */
static inline vaddr_t vma_guarded_start(const struct vma *vma)
{
    if (likely(!(vma->flags & VM_GROWSDOWN)))
        return vma->start;
    return vma->start > STACK_GUARD ? vma->start - STACK_GUARD : 0;
}

/* The first VMA with end > address; asks the current thread's hint first. => mm->lock */
struct vma *vma_find_hinted(struct mm *mm, vaddr_t address);

/* What the entries of a VMA may allow. Writing implies reading. */
static inline unsigned vma_prot(const struct vma *vma)
{
    unsigned prot = vma->flags & (VM_READ | VM_WRITE | VM_EXEC);

    return (prot & PTE_WRITE ? prot | PTE_READ : prot) | PTE_USER;
}

static inline bool vma_is_private(const struct vma *vma)
{
    return !(vma->flags & VM_SHARED);
}

/* The page of the file (or the number of the page of the address space) at an address. */
static inline u64 vma_index(const struct vma *vma, vaddr_t address)
{
    return vma->offset + ((address - vma->start) >> PAGE_SHIFT);
}

/* ---- page_table.c ------------------------------------------------------------------------------- */

/* Make the missing tables down to level 0 for an address. Returns the entry at level 0 and its table, or NULL: no memory. => mm->lock; may sleep */
pte_t *page_table_make(struct mm *mm, vaddr_t address, struct page **table);

/* The entry for an address if there are tables; else NULL. */
static inline pte_t *page_table_find(struct mm *mm, vaddr_t address, struct page **table)
{
    pte_t *entries = mm->page_table;
    pte_t pte;

    for (unsigned level = PT_LEVELS - 1;; level--) {
        pte = pte_load(&entries[pte_index(address, level)]);
        if (unlikely(pte_none(pte)))
            return NULL;
        entries = pte_table_of(pte);
        if (level == 1)
            break;
    }
    *table = pfn_to_page(pte_pfn(pte));
    return &entries[pte_index(address, 0)];
}

/* The first address >= `address` and < `end` whose table at level 0 exists (with the entry and
 * table), or `end`. */
vaddr_t page_table_next(struct mm *mm, vaddr_t address, vaddr_t end, pte_t **entry,
                        struct page **table);

/* The entry for an address, its table's lock held; NULL if there is no table. From outside: no lock
 * but one that keeps the mm is needed (its family's, or that of a mapping set with a VMA of it). */
pte_t *page_table_lock_entry(struct mm *mm, vaddr_t address, struct page **table);

/* Take away the tables for [start, end) that serve only addresses in [low, high), where nothing is
 * mapped any more. Their frames go with the batch. => mm->lock write-held, or the last user gone */
void page_table_free(struct tlb_batch *batch, vaddr_t start, vaddr_t end, vaddr_t low,
                     vaddr_t high);

/* End of the range of the level-0 table that covers address, but at most `end`. */
static inline vaddr_t table_end(vaddr_t address, vaddr_t end)
{
    return min(ALIGN_DOWN(address, 1UL << PT_SHIFT(1)) + (1UL << PT_SHIFT(1)), end);
}

/* ---- unmap.c ------------------------------------------------------------------------------------ */

/* Unmap the pages of [start, end). anonymous_too: false leaves private copies.
 * => mm->lock (read is enough), or the lock of the mapping set of the VMA */
void unmap_pages(struct tlb_batch *batch, vaddr_t start, vaddr_t end, bool anonymous_too);
/* munmap => mm->lock write-held. 0 or -ENOMEM */
int unmap_locked(struct mm *mm, vaddr_t start, vaddr_t end);
/* All of it, when the last user has gone. => no CPU has it loaded */
void unmap_all(struct mm *mm);

/* ---- protect.c ---------------------------------------------------------------------------------- */

/* Give the part [start, end) of *vma other flags; *vma is the VMA that covers it then. 0 or -ENOMEM
 * => mm->lock write-held */
int vma_change_flags(struct vma **vma, vaddr_t start, vaddr_t end, u32 flags);

/* ---- fork.c ------------------------------------------------------------------------------------- */

int fork_vmas(struct mm *child, struct mm *parent);

/* ---- mmap.c ------------------------------------------------------------------------------------- */

/* Make a stack longer, down to address. FAULT_OK, or FAULT_MAPERR. => mm->lock not held */
int grow_stack(struct mm *mm, vaddr_t address);
/* The address for a new mapping, or -errno. => mm->lock */
long place_mapping(struct mm *mm, const struct map_request *request);
/* May the address space have `pages` more with these flags? 0; -EAGAIN: not so many may be locked;
 * -ENOMEM => mm->lock write-held */
int check_limits(struct mm *mm, u32 flags, u64 pages);
/* Does RLIMIT_DATA allow it that so many pages change their flags? => mm->lock */
bool data_limit_allows(struct mm *mm, u32 old, u32 new, u64 pages);

/* ---- overcommit.c ------------------------------------------------------------------------------- */

/* May `pages` more be promised to an address space (NULL: to none)? */
bool overcommit_allows(const struct mm *mm, u64 pages);

/* ---- populate.c => mm->lock not held ------------------------------------------------------------- */

/* Touch all of the VMAs in [start, end) as their programs would. Strictly: 0, -EINTR, -EFAULT or
 * -ENOMEM, at the first that cannot be; else as much as can be, 0 or -EINTR. */
int populate(struct mm *mm, vaddr_t start, vaddr_t end, bool strict);
/* Touch every page of [start, end) for reading, or writing (ACCESS_WRITE). 0; -ENOMEM: a hole, or no
 * memory; -EINVAL: not allowed; -EFAULT: beyond the end of the file; -EINTR */
int populate_for(struct mm *mm, vaddr_t start, vaddr_t end, u32 access);

#endif
