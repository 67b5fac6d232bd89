/* SPDX-License-Identifier: MIT */
/*
 * Compaction: moving pages together so that free memory is in large blocks. How: kernel/mm/compaction.c
 * and docs/compaction.md.
 */
#ifndef VELLUM_COMPACTION_H
#define VELLUM_COMPACTION_H

#include <vellum/types.h>

/* vm.extfrag_threshold, vm.compaction_proactiveness */
extern int extfrag_threshold, compaction_proactiveness;

/* All of memory, as far as its pages can be moved (vm.compact_memory). => may sleep */
void compact_memory(void);
/* Try to have a free block of 2^order frames, unless that has failed lately. Returns whether there is one.
 * => may sleep; any sleeping locks may be held */
bool compact_direct(unsigned order);
/* The same, by kcompactd, later. Any context without run queue locks */
void kcompactd_wake(unsigned order);
/* A block of the size of a huge page has been cut up: the score may have changed. The same */
void kcompactd_note_cut(void);

/* Start kcompactd0. */
void compaction_init(void);

#endif
