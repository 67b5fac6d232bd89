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
    int mode;               /* enum huge_mode */
    int defrag;             /* enum huge_defrag */
    unsigned use_zero_page; /* reads of what was not touched yet map a huge page of zeros */
};
extern struct huge_settings huge_settings;

/* That page, to compare with; or NULL. */
extern struct page *huge_zero_page;

/* Turn a huge page into single pages, each with as many references as have mapped it. Needs no
 * memory. 0, or -EAGAIN: it is mapped nowhere any more. Nothing happens if it is not huge (any more).
 * => a reference to the page (the head); its family stays; no mm->table_lock, no table locked */
int split_huge_page(struct page *page);

/* May the VMA have huge pages as it is? (THPeligible in smaps.) => mm->lock */
bool huge_possible(const struct vma *vma);

/* ---- huge_rules.c: decisions, without side effects ------------------------------------------------ */

/* Does memory of a VMA with these flags get huge pages? refused: by prctl(PR_SET_THP_DISABLE) */
bool huge_wanted(int mode, u32 vm_flags, bool refused);
/* Does the aligned huge page around an address lie within [start, end)? Does any? */
bool huge_fits(vaddr_t start, vaddr_t end, vaddr_t address);
bool huge_fits_somewhere(vaddr_t start, vaddr_t end);

/* A fault in a VMA with these flags finds no block: shall it compact memory at once; wake kcompactd? */
bool huge_compacts(int defrag, u32 vm_flags);
bool huge_defers(int defrag, u32 vm_flags);

/* What happens to a part [start, stop), or all, of a huge page. */
enum huge_change { HUGE_UNMAPPED, HUGE_PROTECTED, HUGE_FORKED, HUGE_MOVED, HUGE_WRITTEN };
/* Does it stay huge then? target: where it moves; ours: nobody else maps it, or has a reference. */
bool huge_survives(enum huge_change change, vaddr_t start, vaddr_t stop, vaddr_t target, bool ours);

/* What the entries of an aligned range of 2 MiB say, counted. */
struct collapse_census {
    unsigned none;       /* nothing, or the page of zeros */
    unsigned swapped;    /* in swap */
    unsigned shared;     /* mapped by others as well */
    unsigned referenced; /* touched lately */
    unsigned writable;
    unsigned busy;    /* locked, or somebody is at it just now */
    unsigned foreign; /* not anonymous memory */
};

/* How many of a kind khugepaged puts up with. */
struct collapse_limits {
    unsigned none, swapped, shared;
};

/* What comes of an attempt to collapse a range; the entries alone can tell those in the middle. */
enum collapse {
    COLLAPSE_DONE,
    COLLAPSE_HUGE,   /* it is a huge page already */
    COLLAPSE_NO_VMA, /* it is not in one VMA that may have huge pages */
    COLLAPSE_NO_TABLE,
    COLLAPSE_FOREIGN, /* not all of it is anonymous memory */
    COLLAPSE_BUSY,    /* somebody is at one of the pages: not now */
    COLLAPSE_TOO_EMPTY,
    COLLAPSE_TOO_SWAPPED,
    COLLAPSE_TOO_SHARED,
    COLLAPSE_READ_ONLY, /* nothing of it can be written: then nothing has been lately */
    COLLAPSE_UNUSED,    /* it is not in use, or not enough to read it from swap */
    COLLAPSE_NO_MEMORY,
    COLLAPSE_FAILED, /* to bring a page back from swap */
};

/* Shall the range be collapsed? COLLAPSE_DONE: yes. limits NULL: the program itself asks for it */
enum collapse collapse_judge(const struct collapse_census *c, const struct collapse_limits *limits);
/* After this, does it make sense to try the next range of the same VMA? */
bool collapse_may_go_on(enum collapse result);
/* What madvise(2) returns for it: 0 or -errno */
int collapse_error(enum collapse result);

#endif
