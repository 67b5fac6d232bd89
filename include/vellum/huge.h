/* SPDX-License-Identifier: MIT */
/*
 * Transparent huge pages: 2 MiB of private anonymous memory behind one entry of the page table.
 * How they work: kernel/mm/huge.c and docs/huge_pages.md.
 */
#ifndef VELLUM_HUGE_H
#define VELLUM_HUGE_H

#include <vellum/mm.h>

#define HUGE_SIZE (HUGE_PAGES * PAGE_SIZE)
#define HUGE_MASK (~(HUGE_SIZE - 1))

/* Which memory gets huge pages. */
enum huge_mode {
    HUGE_NEVER,
    HUGE_MADVISE, /* where madvise(MADV_HUGEPAGE) asked for it */
    HUGE_ALWAYS,  /* unless madvise(MADV_NOHUGEPAGE) refused it */
};

/* What a fault does when no block for a huge page is free. */
enum huge_defrag {
    HUGE_DEFRAG_NEVER,
    HUGE_DEFRAG_MADVISE, /* compact memory where madvise(MADV_HUGEPAGE) asked for huge pages */
    HUGE_DEFRAG_DEFER_MADVISE, /* the same; for others let kcompactd do it */
    HUGE_DEFRAG_DEFER,         /* let kcompactd do it */
    HUGE_DEFRAG_ALWAYS,        /* compact memory */
};

/* /sys/kernel/mm/transparent_hugepage */
struct huge_settings {
    int mode;   /* enum huge_mode */
    int defrag; /* enum huge_defrag */
};
extern struct huge_settings huge_settings;

/* Turn a huge page into single pages, each with as many references as have mapped it. Needs no
 * memory. 0, or -EAGAIN: it is mapped nowhere any more. Nothing happens if it is not huge (any more).
 * => a reference to the page (the head); its family stays; no mm->table_lock, no table locked */
int split_huge_page(struct page *page);

/* ---- huge_rules.c: decisions, without side effects ------------------------------------------------ */

/* Does memory of a VMA with these flags get huge pages? refused: by prctl(PR_SET_THP_DISABLE) */
bool huge_wanted(int mode, u32 vm_flags, bool refused);
/* Does the aligned huge page around an address lie within [start, end)? */
bool huge_fits(vaddr_t start, vaddr_t end, vaddr_t address);

/* A fault in a VMA with these flags finds no block: shall it compact memory at once; wake kcompactd? */
bool huge_compacts(int defrag, u32 vm_flags);
bool huge_defers(int defrag, u32 vm_flags);

/* May the VMA have huge pages as it is? (THPeligible in smaps.) => mm->lock */
bool huge_possible(const struct vma *vma);

#endif
