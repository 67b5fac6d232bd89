/* SPDX-License-Identifier: MIT */
/*
 * Moving pages to other frames, and making large free blocks that way: migrate.c, compaction.c.
 */
#ifndef VELLUM_MM_MIGRATE_H
#define VELLUM_MM_MIGRATE_H

#include <vellum/page.h>

#define MIGRATE_BATCH 32

/* Move n isolated pages, at most MIGRATE_BATCH, to the frames to[], which are as page_alloc() returns
 * them. Those that cannot be moved now stay what they are. All of from[] are put back or freed; to[i]
 * becomes NULL where it has been used, the others are the caller's still. Returns how many have moved.
 * => interrupts on, no spinlock; waits for nobody, and needs no memory */
unsigned migrate_pages(struct page **from, struct page **to, unsigned n);

#endif
