/* SPDX-License-Identifier: MIT */
/*
 * What the files of kernel/mm tell each other about huge pages.
 */
#ifndef VELLUM_MM_HUGE_H
#define VELLUM_MM_HUGE_H

#include "address_space.h"
#include <vellum/huge.h>

/* ---- huge_frames.c ------------------------------------------------------------------------------ */

/* Frames for a huge page, its parts prepared, not cleared unless the flags say so; or NULL. */
struct page *huge_page_alloc(unsigned flags);
/* The last reference is gone: back to the frame allocator. */
void huge_page_free(struct page *page);

/* From now on the parts are pages of their own, each with the reference that it had as a part. */
void huge_page_separate(struct page *page);
/* Put those. */
void huge_page_put_parts(struct page *page);

/* ---- huge_zero.c => may sleep ------------------------------------------------------------------- */

/* The huge page of zeros with a reference for a leaf, or NULL. flags: 0 or ALLOC_COMPACT */
struct page *huge_zero_get(unsigned flags);
void huge_zero_init(void);

/* ---- huge.c ------------------------------------------------------------------------------------- */

/* Is [start, stop) a whole huge page? */
static inline bool huge_whole(vaddr_t start, vaddr_t stop)
{
    return IS_ALIGNED(start, HUGE_SIZE) && stop - start == HUGE_SIZE;
}

/* The entry of level 1 for an address if a huge page is mapped there; else NULL. => mm->table_lock */
pte_t *huge_entry(struct mm *mm, vaddr_t address);
/* Store the leaf, special for zeros, for a huge page with its reference, and keep `table`, not attached, for its split.
 * => mm->table_lock; the entry is none */
void huge_map(struct mm *mm, pte_t *entry, pte_t leaf, struct page *table);
/* Clear the leaf. Returns the table that was kept for it. => mm->table_lock */
struct page *huge_unmap(struct mm *mm, pte_t *entry);

/* If a huge page is mapped at an address, put a table in its place. Needs no memory.
 * => mm->lock; no table lock */
void split_huge_at(struct mm *mm, vaddr_t address);
/* The same, unless `at` is a boundary between huge pages: a VMA will end there. */
static inline void split_huge_boundary(struct mm *mm, vaddr_t at)
{
    if (!IS_ALIGNED(at, HUGE_SIZE))
        split_huge_at(mm, at);
}

/* ---- huge_map.c: operations on [start, stop), within one huge page, as their neighbours do them on
 * tables. false: no huge page is there any more, or it has been split; look again => mm->lock -------- */

bool huge_unmap_range(struct tlb_batch *batch, vaddr_t start, vaddr_t stop);
bool huge_protect_range(struct mm *mm, vaddr_t start, vaddr_t stop, unsigned prot);
/* *flush is set if the parent's entry has become read-only. 1: done, 0: look again, or -ENOMEM */
int huge_fork_range(struct mm *child, struct mm *parent, vaddr_t start, vaddr_t stop, bool *flush);
/* Move a whole huge page that is ours alone to `target`. Else it is split. 1, 0, -ENOMEM */
int huge_move_range(struct tlb_batch *batch, vaddr_t start, vaddr_t stop, vaddr_t target);

/* ---- huge_fault.c ----------------------------------------------------------------------------------- */

#define FAULT_SMALL (-1) /* no huge page here: go on with tables */

/* A fault in private anonymous memory where no table is. => as fault handlers: fault.c */
int fault_huge(struct vm_fault *fault);

/* ---- huge_collapse.c => mm->lock not held; may sleep ------------------------------------------------ */

/* May khugepaged (mode: the system's), or MADV_COLLAPSE (HUGE_ALWAYS), collapse memory of the VMA?
 * => mm->lock */
bool huge_vma_allows(const struct vma *vma, int mode);
/* Make the aligned range from `start` on a huge page. limits: khugepaged's, or NULL; flags: ALLOC_NORETRY,
 * or 0: work for the frames. => the mm stays */
enum collapse huge_collapse(struct mm *mm, vaddr_t start, const struct collapse_limits *limits,
                            unsigned flags);
/* MADV_COLLAPSE of [start, end). 0 or -errno as madvise(2) has it */
int advise_collapse(struct mm *mm, vaddr_t start, vaddr_t end);

#endif
