/* SPDX-License-Identifier: MIT */
/*
 * Slots of a swap area: which are free, who uses the others, and which to take next. Pure: knows
 * neither pages nor devices; the caller holds a lock of his own around every call.
 */
#ifndef VELLUM_MM_SWAP_SLOTS_H
#define VELLUM_MM_SWAP_SLOTS_H

#include <vellum/list.h>
#include <vellum/radix_tree.h>

#define SWAP_CLUSTER 256 /* slots */

struct swap_cluster {
    struct list link;
    u16 used; /* slots that are not free, those that cannot be used included */
    u16 bad;  /* of those */
    u8 state;
    u8 mark; /* swap_slots_set_mark(): which of them; 0: none */
};

struct swap_slots {
    u64 count; /* all slots; 0 is the header's */
    u64 free;
    u8 *uses;               /* a byte for each slot: swap_slots.c */
    struct radix_tree more; /* slot -> users that do not fit into the byte */
    struct swap_cluster *clusters;
    u64 cluster_count;
    struct list empty, partial, dirty; /* clusters; dirty: empty, and to be discarded first */
    bool discard;                      /* clusters that have become empty are dirty */
};

/* Where somebody goes on taking slots, so that what he writes lies together. Begins zeroed. */
struct swap_cursor {
    u64 next; /* the slot to try first; 0: none yet */
};

/* 0 or -ENOMEM. Slot 0 is bad from the start. => may sleep */
int swap_slots_init(struct swap_slots *slots, u64 count, bool discard);
void swap_slots_destroy(struct swap_slots *slots);
/* => before anything is taken. False: there is no such slot */
bool swap_slots_mark_bad(struct swap_slots *slots, u64 slot);
/* Slots that can be used. */
u64 swap_slots_usable(const struct swap_slots *slots);

/* Take a free slot: no users, but cached. 0: there is none (or only in clusters to be discarded). */
u64 swap_slots_take(struct swap_slots *slots, struct swap_cursor *cursor);
/* Is somebody using it, or is it cached? */
bool swap_slots_in_use(const struct swap_slots *slots, u64 slot);
bool swap_slots_cached(const struct swap_slots *slots, u64 slot);
u64 swap_slots_users(const struct swap_slots *slots, u64 slot);
/* A user more, of a slot in use. 0, -ENOENT (it is free), -ENOMEM */
int swap_slots_get(struct swap_slots *slots, u64 slot);
/* A user less. How many are left; with none, and not cached, it is free. */
u64 swap_slots_put(struct swap_slots *slots, u64 slot);
/* => it is in use, and not cached; then: cached */
void swap_slots_cache(struct swap_slots *slots, u64 slot);
/* Not cached any more. Without users it is free. */
void swap_slots_uncache(struct swap_slots *slots, u64 slot);
/* Mark a slot, and no other of its cluster; is it the marked one? Then it is not any more. */
void swap_slots_set_mark(struct swap_slots *slots, u64 slot);
bool swap_slots_take_mark(struct swap_slots *slots, u64 slot);
/* The first slot >= slot that is in use, or 0. */
u64 swap_slots_next(const struct swap_slots *slots, u64 slot);

/* A cluster to be discarded, taken out of use: its first slot, and how many; or 0. */
u64 swap_slots_begin_discard(struct swap_slots *slots, unsigned *n);
void swap_slots_end_discard(struct swap_slots *slots, u64 first);

#endif
