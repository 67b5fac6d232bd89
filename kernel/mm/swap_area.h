/* SPDX-License-Identifier: MIT */
/*
 * What the files of swap know of an area. Areas are never freed, so a stale entry can be asked about
 * at any time: under the lock it is found that there is no such slot.
 */
#ifndef VELLUM_MM_SWAP_AREA_H
#define VELLUM_MM_SWAP_AREA_H

#include "swap_slots.h"
#include <vellum/swap.h>
#include <vellum/sync.h>

enum {
    AREA_USED = 1,     /* its number is taken */
    AREA_READY = 2,    /* it has slots */
    AREA_WRITABLE = 4, /* slots may be taken: not while swapoff empties it */
};

struct swap_area {
    spinlock_t lock;                 /* > allocators */
    unsigned type;                   /* [i] */
    u32 flags;                       /* [l] AREA_* */
    int priority;                    /* [areas_lock] */
    struct swap_slots slots;         /* [l] */
    struct radix_tree cache;         /* [l] slot -> page, each with a reference */
    u64 cached;                      /* [l] pages in it */
    unsigned discarding;             /* [l] who is telling the device what has become free */
    struct swap_cursor *cursors;     /* [l] of each processor */
    struct list link;                /* [areas_lock] */
    const struct swap_area_ops *ops; /* constant while READY */
    void *private_data;
    const struct process *emptied_by; /* [a] only to compare with; NULL: nobody */
    u64 last_fault;  /* [a] slot of the last one that had to be read: see swap_in.c */
    unsigned window; /* [a] slots read for it */
    atomic_t hits;   /* pages read ahead that were used since then */
};
/* [l] area->lock */

extern struct swap_area swap_areas[SWAP_AREAS];

static inline struct swap_area *swap_area_of(swap_entry_t entry)
{
    return &swap_areas[swap_type(entry)];
}

/* ---- swap_area.c ------------------------------------------------------------------------------------ */

/* A free slot of the area to be used next: with the page in the swap cache. 0, -ENOSPC, -ENOMEM
 * => page lock, and a reference */
int swap_slot_take(struct page *page);
/* The free slots of the area have been `before`. => area->lock */
void swap_count_change(struct swap_area *area, u64 before);
/* Are slots of this area worth more than the writes that keeping them saves? If less than half are
 * free, or if it is to be emptied. */
bool swap_is_scarce(const struct swap_area *area);

/* ---- swap_cache.c ----------------------------------------------------------------------------------- */

/* Put a page, which is locked, into the cache, for a slot that is in use and has none. 0; -EEXIST: it
 * has one; -ENOENT: it is not in use; -ENOMEM */
int swap_cache_add(struct page *page, swap_entry_t entry);
/* The same for a slot that has just been taken. => area->lock; 0 or -ENOMEM */
int swap_cache_insert(struct swap_area *area, struct page *page, u64 slot);
/* Take the page out if it is clean and nobody has a reference but the cache and the caller: the slot
 * is its only home then. => page lock. Was it done? */
bool swap_cache_abandon(struct page *page);
/* Take it out, whoever uses the slot still. => page lock, not being written */
void swap_cache_remove(struct page *page);
/* Up to n pages of the area from slot *first on, each with a reference; *first goes on behind them. */
unsigned swap_cache_gang(struct swap_area *area, u64 *first, struct page **pages, unsigned n);

/* ---- swap_off.c ------------------------------------------------------------------------------------- */

/* Bring all of an area back. 0, -ENOMEM, -EIO, -EINTR => not WRITABLE */
int swap_empty(struct swap_area *area);

#endif
