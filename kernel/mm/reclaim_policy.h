/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of reclaim: what is scanned, how much of it, and what becomes of a page. No state, no
 * locks; tests/unit/test_lru.c and test_watermark.c run it against models.
 */
#ifndef VELLUM_MM_RECLAIM_POLICY_H
#define VELLUM_MM_RECLAIM_POLICY_H

#include <vellum/reclaim.h>

/* ---- watermarks ------------------------------------------------------------------------------------ */

/* vm.min_free_kbytes for so much memory, in KiB: grows with the square root, because what has to be
 * kept ready grows with the number of processors and devices, not with the memory. */
u64 watermark_default_min(u64 memory_kib);
/* scale: vm.watermark_scale_factor, the distance between the marks in 1/10,000 of the memory. */
struct watermarks watermarks_make(u64 min_free_kib, u64 managed_pages, unsigned scale);

/* ---- how much to scan -------------------------------------------------------------------------------- */

#define RECLAIM_PRIORITY 12 /* to begin with: 1/4096 of each list */
#define SWAPPINESS_MAX   200

/* What bringing back pages of each kind has cost lately, in pages. */
struct lru_costs {
    u64 anon, file;
};
/* The lists' lengths say how far back `lately` goes. */
void lru_costs_add(struct lru_costs *costs, bool swap_backed, u64 pages, const u64 lists[4]);

struct scan_input {
    u64 lists[4]; /* pages, by enum lru_list */
    struct lru_costs costs;
    u64 free, high;      /* free pages, and the high watermark */
    unsigned swappiness; /* 0 .. 200 */
    unsigned priority;   /* RECLAIM_PRIORITY .. 0: each step doubles the share */
    bool swap;           /* there is room in swap */
};

/* The priority at which the longest list's share is `batch` pages at least, if `priority` is too
 * gentle for that: a few pages are not worth a flush of translations or a request to a disk. The
 * last, 0, at which all is scanned whatever it is, stays the last. */
unsigned scan_priority(unsigned priority, const u64 lists[4], unsigned batch);
/* Pages to scan of each list. */
void scan_balance(const struct scan_input *in, u64 scan[4]);
/* Is the inactive list too short beside the active one? Pages must have time to be used again. */
bool inactive_is_low(u64 inactive, u64 active);

/* ---- what becomes of a page -------------------------------------------------------------------------- */

enum page_fate {
    FATE_RECLAIM,    /* not used */
    FATE_REFERENCED, /* used once: stays inactive; if it has been again the next time, it is active */
    FATE_ACTIVATE,
};

struct page_use {
    unsigned young;  /* entries that had been touched */
    bool referenced; /* PG_REFERENCED: noticed the last time */
    bool swap_backed;
    bool executable; /* a file's page that is mapped executable */
};

/* For a page at the end of an inactive list. */
enum page_fate page_fate(const struct page_use *use);

/* ---- working set ------------------------------------------------------------------------------------- */

/* A page comes back after `distance` evictions and activations of others. Had it been there if the
 * active pages had been as many fewer? */
bool refault_was_near(u64 distance, bool swap_backed, const u64 lists[4], bool swap);

/* ---- shrinkers --------------------------------------------------------------------------------------- */

#define SHRINK_BATCH 32

/* How many objects of a cache of `count` to scan. pressure: vm.vfs_cache_pressure, 100: twice as large
 * a share as of pages. *deferred is carried from one call to the next. */
u64 shrinker_share(u64 count, unsigned priority, unsigned pressure, u64 *deferred);

#endif
