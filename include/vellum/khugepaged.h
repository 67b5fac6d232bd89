/* SPDX-License-Identifier: MIT */
/*
 * The thread that makes huge pages of single ones: kernel/mm/khugepaged.c and docs/huge_pages.md.
 */
#ifndef VELLUM_KHUGEPAGED_H
#define VELLUM_KHUGEPAGED_H

#include <vellum/huge.h>

/* /sys/kernel/mm/transparent_hugepage/khugepaged */
struct khugepaged_settings {
    unsigned defrag; /* 1: it may compact memory for a huge page */
    unsigned pages_to_scan, scan_sleep_millisecs, alloc_sleep_millisecs;
    struct collapse_limits limits; /* max_ptes_none, max_ptes_swap, max_ptes_shared */
};
extern struct khugepaged_settings khugepaged_settings;

struct khugepaged_counts {
    unsigned pages_collapsed, full_scans;
};
extern struct khugepaged_counts khugepaged_counts;

/* An address space has memory for huge pages; its end. => no spinlock */
void khugepaged_enter(struct mm *mm);
void khugepaged_leave(struct mm *mm);
/* A setting has changed: do not sleep on. */
void khugepaged_kick(void);
/* Start it. */
void khugepaged_init(void);

#endif
