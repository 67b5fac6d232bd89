/* SPDX-License-Identifier: MIT */
/*
 * Compaction: moving pages together so that free memory is in large blocks. How: kernel/mm/compaction.c
 * and docs/compaction.md.
 */
#ifndef VELLUM_COMPACTION_H
#define VELLUM_COMPACTION_H

#include <vellum/types.h>

struct page;

/* vm.extfrag_threshold, vm.compaction_proactiveness */
extern int extfrag_threshold, compaction_proactiveness;

/* All of memory, as far as its pages can be moved (vm.compact_memory). => may sleep */
void compact_memory(void);
/* 2^order frames as from the buddy allocator (flags: ALLOC_*), of memory that is compacted unless that has
 * failed lately; or NULL. ALLOC_COMPACT: waits for others who are at it, else goes without.
 * => may sleep; with ALLOC_COMPACT no sleeping lock is held but mm->lock, else any */
struct page *compact_direct(unsigned order, unsigned flags);
/* See to it that there is such a block later. kcompactd does it. Any context without run queue locks */
void kcompactd_wake(unsigned order);
/* A block of the size of a huge page has been cut up: the score may have changed. The same */
void kcompactd_note_cut(void);

/* Start kcompactd0. */
void compaction_init(void);

#endif
