/* SPDX-License-Identifier: MIT */
/*
 * Compaction: moving pages together so that free memory is in large blocks. How: kernel/mm/compaction.c
 * and docs/compaction.md.
 */
#ifndef VELLUM_COMPACTION_H
#define VELLUM_COMPACTION_H

#include <vellum/types.h>

/* All of memory, as far as its pages can be moved (vm.compact_memory). => may sleep */
void compact_memory(void);

#endif
