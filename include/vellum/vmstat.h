/* SPDX-License-Identifier: MIT */
/*
 * What the memory management counts, under Linux's names (/proc/vmstat).
 *
 * Each processor has a counter of its own for each name. Adding to it takes two or three
 * instructions, no lock, and any context; the sum over all processors is exact at every moment at
 * which nobody adds. There are two kinds:
 *
 *     events   things that have happened: only grow           vm_event(pgmajfault)
 *     gauges   how many there are now: grow and shrink        vm_gauge_add(nr_dirty, -1)
 *
 * A gauge of one processor may be negative (what it has added, another may take away); the sum is
 * not. A new name is one line below; a name that nobody counts is no name.
 */
#ifndef VELLUM_VMSTAT_H
#define VELLUM_VMSTAT_H

#include <vellum/compiler.h>

/* Pages, if nothing else is said. */
#define VM_GAUGES(X)                                                                               \
    X(nr_inactive_anon)                                                                            \
    X(nr_active_anon)                                                                              \
    X(nr_inactive_file)                                                                            \
    X(nr_active_file)                                                                              \
    X(nr_unevictable)                                                                              \
    X(nr_mlock)                                                                                    \
    X(nr_isolated_anon)                                                                            \
    X(nr_isolated_file)                                                                            \
    X(nr_dirty)                                                                                    \
    X(nr_writeback)                                                                                \
    X(nr_swapcached)                                                                               \
    X(nr_anon_transparent_hugepages) /* blocks of 2 MiB */

#define VM_EVENTS(X)                                                                               \
    X(workingset_refault_anon)                                                                     \
    X(workingset_refault_file)                                                                     \
    X(workingset_activate_anon)                                                                    \
    X(workingset_activate_file)                                                                    \
    X(workingset_restore_anon)                                                                     \
    X(workingset_restore_file)                                                                     \
    X(nr_vmscan_write)                                                                             \
    X(nr_vmscan_immediate_reclaim)                                                                 \
    X(nr_dirtied)                                                                                  \
    X(nr_written)                                                                                  \
    X(pgpgin)  /* KiB read from block devices */                                                   \
    X(pgpgout) /* KiB written */                                                                   \
    X(pswpin)                                                                                      \
    X(pswpout)                                                                                     \
    X(allocstall_normal)                                                                           \
    X(pgactivate)                                                                                  \
    X(pgdeactivate)                                                                                \
    X(pglazyfree)                                                                                  \
    X(pgfault)    /* those that found memory that may be accessed so; major ones included */       \
    X(pgmajfault) /* those that waited for a device */                                             \
    X(pglazyfreed)                                                                                 \
    X(pgrefill)                                                                                    \
    X(pgreuse) /* writes to a page shared once, whose other users have gone: not copied */         \
    X(pgsteal_kswapd)                                                                              \
    X(pgsteal_direct)                                                                              \
    X(pgscan_kswapd)                                                                               \
    X(pgscan_direct)                                                                               \
    X(pgscan_anon)                                                                                 \
    X(pgscan_file)                                                                                 \
    X(pgsteal_anon)                                                                                \
    X(pgsteal_file)                                                                                \
    X(slabs_scanned)                                                                               \
    X(pageoutrun)                                                                                  \
    X(pgrotated)                                                                                   \
    X(drop_pagecache)                                                                              \
    X(drop_slab)                                                                                   \
    X(oom_kill)                                                                                    \
    X(pgmigrate_success)                                                                           \
    X(pgmigrate_fail)                                                                              \
    X(compact_migrate_scanned)                                                                     \
    X(compact_free_scanned)                                                                        \
    X(compact_isolated)                                                                            \
    X(compact_stall)                                                                               \
    X(compact_fail)                                                                                \
    X(compact_success)                                                                             \
    X(compact_daemon_wake)                                                                         \
    X(unevictable_pgs_culled)                                                                      \
    X(unevictable_pgs_rescued)                                                                     \
    X(unevictable_pgs_mlocked)                                                                     \
    X(unevictable_pgs_munlocked)                                                                   \
    X(thp_fault_alloc)                                                                             \
    X(thp_fault_fallback)                                                                          \
    X(thp_collapse_alloc)                                                                          \
    X(thp_collapse_alloc_failed)                                                                   \
    X(thp_scan_exceed_none_pte) /* ranges that khugepaged did not collapse for this */             \
    X(thp_scan_exceed_swap_pte)                                                                    \
    X(thp_scan_exceed_share_pte)                                                                   \
    X(thp_split_page)                                                                              \
    X(thp_split_pmd)                                                                               \
    X(thp_zero_page_alloc)                                                                         \
    X(thp_zero_page_alloc_failed)                                                                  \
    X(nr_tlb_remote_flush)                                                                         \
    X(swap_ra)                                                                                     \
    X(swap_ra_hit)                                                                                 \
    /* Not Linux's: */                                                                             \
    X(dirty_throttled) /* sleeps of writers who were faster than their device */                   \
    X(pgfault_invalid) /* faults that ended in SIGSEGV or SIGBUS, or EFAULT */                     \
    X(pgfault_copy)    /* that copied a page shared copy-on-write, or a file's */

enum vm_count {
#define X(name) VM_##name,
    VM_GAUGES(X) VM_GAUGE_COUNT,
    VM_LAST_GAUGE = VM_GAUGE_COUNT - 1,
    VM_EVENTS(X) VM_COUNT
#undef X
};

/* Users include <vellum/thread.h>. */
#define vm_events(name, n)    arch_cpu_add(vm_counts[VM_##name], n)
#define vm_event(name)        vm_events(name, 1)
#define vm_gauge_add(name, n) vm_events(name, n)
/* The same where it is found out at run time which one: an enum vm_count. */
#define vm_count_add(which, n) arch_cpu_add(vm_counts[which], n)

/* The sum over all processors; what one processor has counted (a gauge: as a signed number). */
u64 vm_count(enum vm_count which);
struct cpu;
u64 vm_count_of(const struct cpu *cpu, enum vm_count which);
const char *vm_count_name(enum vm_count which);

#endif
