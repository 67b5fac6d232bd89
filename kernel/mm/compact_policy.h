/* SPDX-License-Identifier: MIT */
/*
 * When memory is compacted: arithmetic without side effects (kernel/mm/compact_policy.c).
 */
#ifndef VELLUM_MM_COMPACT_POLICY_H
#define VELLUM_MM_COMPACT_POLICY_H

#include <vellum/types.h>

/* What is free, as far as a block of a certain order is concerned. */
struct free_blocks {
    u64 frames;   /* in all */
    u64 blocks;   /* of whatever size */
    u64 suitable; /* blocks of that order that can be had, in whole or from larger ones */
};

#define SUITABLE_BLOCK (-1000)

/* Why does a request for a block of this order fail? Near 0: too little is free; near 1000: enough is,
 * but in pieces; SUITABLE_BLOCK: it does not fail. */
int fragmentation_index(unsigned order, const struct free_blocks *free);
/* The share of free memory, in percent, that is in blocks too small for this order. */
unsigned fragmentation_score(unsigned order, const struct free_blocks *free);

enum compact_suitability {
    COMPACT_NEEDLESS, /* there is a block */
    COMPACT_SKIPPED,  /* too little is free: pages would have to be reclaimed */
    COMPACT_CONTINUE,
};
/* low: frames that must stay free; threshold: vm.extfrag_threshold */
enum compact_suitability compact_suitability(unsigned order, const struct free_blocks *free,
                                             u64 low, int threshold);

/* vm.compaction_proactiveness, 0 to 100: compacting in the background begins above a score of *high
 * and goes on down to *low. */
void proactive_marks(unsigned proactiveness, unsigned *low, unsigned *high);

/* After failures it is tried ever less often: after 2^shift requests. */
struct compact_deferral {
    unsigned considered, shift; /* requests since the last failure; 2^shift of them to wait */
    int order_failed;           /* the lowest order that has failed */
};
#define COMPACT_MAX_SHIFT 6

/* Shall this request pass it by? Counts it. */
bool compact_deferred(struct compact_deferral *d, int order);
/* It has been tried in vain; it has succeeded. */
void compact_defer(struct compact_deferral *d, int order);
void compact_defer_reset(struct compact_deferral *d, int order);

#endif
