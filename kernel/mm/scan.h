/* SPDX-License-Identifier: MIT */
/*
 * What the files of reclaim tell each other: lru.c, workingset.c, shrink.c, reclaim.c, kswapd.c.
 */
#ifndef VELLUM_MM_SCAN_H
#define VELLUM_MM_SCAN_H

#include "memory.h"
#include "reclaim_policy.h"
#include <vellum/lru.h>
#include <vellum/thread.h>

/* ---- lru.c ------------------------------------------------------------------------------------------ */

/* Up to n pages from the tail of a list, isolated. */
unsigned lru_isolate_tail(enum lru_list list, struct page **pages, unsigned n);
/* Up to n single pages among the frames [*next, end), isolated; *next goes on behind the last that was
 * looked at. => those in batches are passed over: lru_empty_all_batches() */
unsigned lru_isolate_frames(pfn_t *next, pfn_t end, struct page **pages, unsigned n);
/* An isolated page is about to be freed by its holder. */
void lru_isolated_free(struct page *page);
/* Bringing back pages of a kind has cost I/O for so many. */
void lru_note_cost(bool swap_backed, u64 pages);
struct lru_costs lru_costs(void);

/* ---- workingset.c ----------------------------------------------------------------------------------- */

/* Pages have been activated: the clock of refault distances goes on. */
void workingset_age(u64 pages);
/* The memory for what is remembered of evicted pages. => kswapd, once; may sleep */
void workingset_start(void);

/* ---- shrink.c --------------------------------------------------------------------------------------- */

/* Scan the caches of objects as the lists of pages are at this priority. Returns objects freed. */
u64 shrink_caches(unsigned priority);

/* ---- reclaim.c -------------------------------------------------------------------------------------- */

/* One attempt to get memory back. */
struct reclaim {
    u64 wanted;         /* pages */
    u64 freed, scanned; /* so far */
    u64 dirty, writing; /* found so: to come back later */
    unsigned priority;
    bool kswapd;
};

/* Scan a share of all lists and caches. => may sleep; current->reclaiming */
void reclaim_pass(struct reclaim *r);
/* Is there room in swap, or pages that have got there already? */
bool reclaim_can_swap(void);
/* Reclaim these isolated pages, whatever lists they come from (MADV_PAGEOUT). Returns how many. */
u64 reclaim_pages(struct page **pages, unsigned n);

/* ---- kswapd.c --------------------------------------------------------------------------------------- */

/* Free memory is below low: go to work. Any context without run queue locks. */
void kswapd_wake(void);
/* Pages are on their way to swap; so many have got there. Any context */
void reclaim_writes_begun(unsigned n);
void reclaim_writes_ended(unsigned n);
/* Below min: get some pages back. Returns whether any progress was made. => may sleep */
bool reclaim_direct(unsigned order);

#endif
