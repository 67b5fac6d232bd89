/* SPDX-License-Identifier: MIT */
#include "reclaim_policy.h"
#include <vellum/lru.h>

static u64 square_root(u64 n)
{
    u64 root = 0;

    for (u64 bit = 1UL << 31; bit; bit >>= 1)
        if ((root | bit) * (root | bit) <= n)
            root |= bit;
    return root;
}

/* ---- watermarks ------------------------------------------------------------------------------------ */

#define MIN_FREE_KIB 128UL
#define MAX_FREE_KIB 262144UL

u64 watermark_default_min(u64 memory_kib)
{
    return clamp(square_root(memory_kib * 16), MIN_FREE_KIB, MAX_FREE_KIB);
}

struct watermarks watermarks_make(u64 min_free_kib, u64 managed_pages, unsigned scale)
{
    u64 min = min_free_kib / (PAGE_SIZE / 1024);
    u64 step = max(min / 4, managed_pages / 10000 * scale + managed_pages % 10000 * scale / 10000);

    return (struct watermarks){min, min + step, min + 2 * step};
}

/* ---- how much to scan -------------------------------------------------------------------------------- */

bool inactive_is_low(u64 inactive, u64 active)
{
    u64 gib = (inactive + active) >> (30 - PAGE_SHIFT);
    u64 ratio = gib ? square_root(10 * gib) : 1;

    return inactive * ratio < active;
}

void lru_costs_add(struct lru_costs *costs, bool swap_backed, u64 pages, const u64 lists[4])
{
    u64 all = lists[0] + lists[1] + lists[2] + lists[3];

    *(swap_backed ? &costs->anon : &costs->file) += pages;
    while (costs->anon + costs->file > all / 4 + 1) {
        costs->anon /= 2;
        costs->file /= 2;
    }
}

/* The weights of anonymous and file pages: swappiness says how costly it is held to be to bring back
 * one kind or the other, experience says how often it had to be done. */
static void weigh(const struct scan_input *in, u64 *anon, u64 *file)
{
    u64 total = in->costs.anon + in->costs.file;

    *anon = in->swappiness * (total + 1) / (total + in->costs.anon + 1);
    *file = (SWAPPINESS_MAX - in->swappiness) * (total + 1) / (total + in->costs.file + 1);
}

unsigned scan_priority(unsigned priority, const u64 lists[4], unsigned batch)
{
    u64 longest = max(max(lists[0], lists[1]), max(lists[2], lists[3]));

    while (priority > 1 && longest >> priority < batch)
        priority--;
    return priority;
}

void scan_balance(const struct scan_input *in, u64 scan[4])
{
    u64 files = in->lists[LRU_INACTIVE_FILE] + in->lists[LRU_ACTIVE_FILE];
    u64 anon = 0, file = 1;

    if (!in->swap || (in->swappiness == 0 && in->priority > 0))
        ;
    else if (in->priority == 0)
        anon = file;
    else if (files + in->free <= in->high)
        anon = 1, file = 0; /* almost no file pages: to thrash them does not help */
    else if (in->lists[LRU_INACTIVE_FILE] >> in->priority &&
             !inactive_is_low(in->lists[LRU_INACTIVE_FILE], in->lists[LRU_ACTIVE_FILE]))
        ; /* enough that were used but once */
    else
        weigh(in, &anon, &file);
    for (unsigned l = 0; l < 4; l++) {
        u64 share = l < LRU_INACTIVE_FILE ? anon : file;

        scan[l] = (in->lists[l] >> in->priority) * share / (anon + file);
    }
}

/* ---- what becomes of a page -------------------------------------------------------------------------- */

/* A page that has been mapped and used is used again as a rule, an anonymous page all the more: it
 * would have gone through swap. A page of a file shows by a second use that it is not part of a stream;
 * code is needed by whoever runs it. */
enum page_fate page_fate(const struct page_use *use)
{
    if (!use->young)
        return FATE_RECLAIM;
    if (use->swap_backed || use->referenced || use->young > 1 || use->executable)
        return FATE_ACTIVATE;
    return FATE_REFERENCED;
}

/* ---- working set ------------------------------------------------------------------------------------- */

/* The inactive list was too short by `distance`. What it could have grown by: the active lists of both
 * kinds, and what the other kind has inactive, as far as that can be reclaimed at all. */
bool refault_was_near(u64 distance, bool swap_backed, const u64 lists[4], bool swap)
{
    u64 room = lists[LRU_ACTIVE_FILE];

    if (swap_backed)
        room += lists[LRU_INACTIVE_FILE];
    if (swap) {
        room += lists[LRU_ACTIVE_ANON];
        if (!swap_backed)
            room += lists[LRU_INACTIVE_ANON];
    }
    return distance <= room;
}

/* ---- shrinkers --------------------------------------------------------------------------------------- */

/* In proportion to their number, as pages are. A few objects are not worth the locks: they are left for
 * the next time. */
u64 shrinker_share(u64 count, unsigned priority, unsigned pressure, u64 *deferred)
{
    u64 wanted = (count * 2 * pressure / 100 >> priority) + *deferred;

    wanted = min(wanted, count);
    *deferred = 0;
    if (wanted < SHRINK_BATCH && priority > 0) {
        *deferred = wanted;
        return 0;
    }
    return wanted;
}
