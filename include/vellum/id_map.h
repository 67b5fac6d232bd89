/* SPDX-License-Identifier: MIT */
/*
 * Small numbers to hand out and take back: process ids, minor numbers.
 *
 * A tree of 64-way nodes with a word of bits at each leaf. Every node knows
 * which of its subtrees are full and which are in use at all, so the lowest
 * free number of a range, and the next number in use, are found in one step per
 * level. The tree grows with the numbers used; up to 64 of them need no node.
 */
#ifndef VELLUM_ID_MAP_H
#define VELLUM_ID_MAP_H

#include <vellum/assert.h>

#define ID_MAX 0x7fffffffU /* the greatest number that can be handed out */

struct id_node {
    u64 full; /* slots in which no number is free */
    u64 used; /* slots in which some number is handed out */
    union {
        u64 words[64]; /* in the lowest level: a bit per number */
        struct id_node *children[64];
    };
};

struct id_map {
    union {
        u64 word; /* with height 0 */
        struct id_node *root;
    };
    unsigned height; /* levels of nodes: 64 << (6 * height) numbers fit */
    unsigned next;   /* where a cyclic search begins */
};

#define ID_MAP_INIT                                                                                \
    {                                                                                              \
        {0}, 0, 0                                                                                  \
    }

/* Hand out the lowest free number in [min, max]; if `cyclic`, the lowest one after that handed out
 * last, so that a number does not return soon. Returns it, or -ENOSPC, or -ENOMEM.
 * => max <= ID_MAX; the caller holds the map's lock, in all calls */
int __must_check id_map_alloc(struct id_map *map, unsigned min, unsigned max, bool cyclic);

/* Hand out this number. Returns it, or -ENOSPC: it is in use, or -ENOMEM. => id <= ID_MAX */
int __must_check id_map_take(struct id_map *map, unsigned id);

/* Take back a number that was handed out. */
void id_map_free(struct id_map *map, unsigned id);

bool id_map_test(const struct id_map *map, unsigned id);

/* The lowest number handed out that is >= from, or -1. */
int id_map_next_used(const struct id_map *map, unsigned from);

/* The memory of nodes, as for radix_node_alloc(). */
struct id_node *id_node_alloc(void);
void id_node_free(struct id_node *node);

#endif
