/* SPDX-License-Identifier: MIT */
/*
 * The reverse map: from a page to the page-table entries that map it.
 *
 *     page of a file        page->cache->mappings: the VMAs that map the file, by page index
 *     anonymous page        page->family->mms: in each of them, if at all, at page->index
 *
 * An entry can be found and changed without mm->lock: the walk takes the lock of its table, and a
 * table is not freed before that lock has been free once after the way to it was cut (page_table.c).
 * So all of this may be called by one who holds the lock of any address space.
 *
 * A page that is not locked may get new mappings, and lose some, at any time. What a walk has found
 * is a hint for those who look, and the truth for those who hold the page lock and count: when all
 * entries have been cleared and the only references left are the caches' and the caller's, nobody
 * maps it.
 */
#ifndef VELLUM_RMAP_H
#define VELLUM_RMAP_H

#include <vellum/mm.h>

/* One entry that maps a page. */
struct rmap_place {
    struct mm *mm;
    struct vma *vma; /* pages of files: it cannot change; anonymous pages: NULL */
    vaddr_t address; /* page aligned */
    pte_t *entry;    /* at level 0; the leaf of a huge page */
    struct page
        *table; /* its table, whose lock is held; NULL: a huge page, mm->table_lock is held */
};

/* Called at each place: false ends the walk. => table lock held; must not sleep */
typedef bool rmap_fn(struct page *page, struct rmap_place *place, void *arg);

enum {
    RMAP_WAIT = 1, /* wait for the file's mapping lock; without: -EAGAIN if it is not free */
    RMAP_ALL = 2,  /* every place where the page belongs, whatever its entry says */
};

/* Call fn for each entry that maps the page. 0 or -EAGAIN.
 * => we have a reference; a page of a file is locked, unless its file is known to stay; with
 * RMAP_WAIT no mm->lock that is taken inside a mapping set's lock, and may sleep */
int rmap_walk(struct page *page, unsigned flags, rmap_fn *fn, void *arg);

/* How many entries map the page; looks at each. => as rmap_walk() without RMAP_WAIT */
unsigned rmap_count(struct page *page);
static inline bool rmap_is_mapped(struct page *page)
{
    return rmap_count(page) != 0;
}

/* How many address spaces map the page, those that share a table counted each. For onlookers: as it
 * may change meanwhile it is a hint, but no reference is needed. => no table lock */
unsigned rmap_mappings(const struct page *page);

/* ---- forgetting translations ---------------------------------------------------------------------- */

/* Processors that may still know entries which have been cleared or tightened: one flush serves many
 * pages. Zeroed to begin with.
 *
 * Meanwhile a thread may go on using the frame where the entry is gone already. That is harmless as
 * long as the next fault there finds the same frame (in the swap cache, in the page cache); where it
 * would find another, rmap_unmap() flushes at once. And who takes away what he finds unmapped already
 * (munmap), or puts a copy there, looks whether a flush is due: mm_flush_is_due(). */
struct rmap_flush {
    cpumask_t cpus;
};

/* An entry of the mm has been changed: who may know what it was? => its table's lock */
void rmap_note_stale(struct rmap_flush *flush, struct mm *mm);
/* Make them forget. Before this, pages that were unmapped must not be freed, their contents neither
 * copied nor written to their store. => no lock that is taken with interrupts off */
void rmap_flush(struct rmap_flush *flush);

/* ---- what reclaim and its relatives ask ------------------------------------------------------------ */

struct rmap_references {
    unsigned mappings; /* entries that map it */
    unsigned young;    /* of those had been touched since the last time */
    u32 vm_flags;      /* of the VMAs of a file's page, all or-ed; 0 for anonymous pages */
};

/* Test and clear the accessed bits. No flush: a processor that remembers a bit as set tells later.
 * 0, or -EAGAIN: could not be told now. => as rmap_walk() */
int page_referenced(struct page *page, struct rmap_references *references);

/* Take all mappings of the page away; an anonymous page's entries become `replacement` (a swap
 * entry, each with a count of its own of the slot: see swap.h; or none). A dirty entry makes the
 * page dirty: page_set_dirty() for files, PG_DIRTY for anonymous memory. Each entry's reference is
 * put and its address space's counters adjusted. Returns whether no entry is left. => page lock */
bool rmap_unmap(struct page *page, pte_t replacement, struct rmap_flush *flush);

/* Take the mappings of an anonymous page away as long as they have not been written to since
 * MADV_FREE: it need not be kept. Returns false, with those left that had been. => page lock */
bool rmap_drop_clean(struct page *page);

/* Write-protect the shared mappings of a file's page, so that the next write is noticed
 * (vm_ops->make_writable). Returns whether one of them had been written to. The flush must come
 * before the page's contents are read. => page lock; no mm->lock; may sleep */
bool rmap_clean(struct page *page, struct rmap_flush *flush);

#endif
