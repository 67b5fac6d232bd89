/* SPDX-License-Identifier: MIT */
/*
 * The texts about the machine's memory: meminfo, slabinfo, swaps (proc(5)). What is not counted here
 * is left out rather than told as zero.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/cpu.h>
#include <vellum/lru.h>
#include <vellum/mm.h>
#include <vellum/reclaim.h>

static void show_kib(struct seq_file *m, const char *name, u64 pages)
{
    seq_printf(m, "%-16s%8llu kB\n", name, (unsigned long long)pages * (PAGE_SIZE / 1024));
}

/* Pages of files that have a home elsewhere can go when they are clean; of the caches of objects as much
 * as Linux thinks: all but half, or what is kept free, whichever is less. */
static u64 reclaimable(const struct memory_counts *c)
{
    return c->cached - min(c->cached, c->shared) + c->slab_reclaimable -
           min(c->slab_reclaimable / 2, zone_watermarks().low);
}

static void show_lru(struct seq_file *m)
{
    u64 active_anon = vm_count(VM_nr_active_anon), active_file = vm_count(VM_nr_active_file);
    u64 inactive_anon = vm_count(VM_nr_inactive_anon);
    u64 inactive_file = vm_count(VM_nr_inactive_file);

    show_kib(m, "Active:", active_anon + active_file);
    show_kib(m, "Inactive:", inactive_anon + inactive_file);
    show_kib(m, "Active(anon):", active_anon);
    show_kib(m, "Inactive(anon):", inactive_anon);
    show_kib(m, "Active(file):", active_file);
    show_kib(m, "Inactive(file):", inactive_file);
    show_kib(m, "Unevictable:", vm_count(VM_nr_unevictable));
    show_kib(m, "Mlocked:", vm_count(VM_nr_mlock));
}

int proc_show_meminfo(struct seq_file *m, struct proc_inode *pi)
{
    struct memory_counts c;
    struct swap_counts swap;
    u64 buffers = block_pages();

    lru_empty_all_batches(); /* who has locked 100 pages is to see 100 */
    memory_counts(&c);
    swap_counts(&swap);
    show_kib(m, "MemTotal:", c.total);
    show_kib(m, "MemFree:", c.free);
    show_kib(m, "MemAvailable:", c.free + reclaimable(&c));
    show_kib(m, "Buffers:", buffers);
    show_kib(m, "Cached:", c.cached - min(c.cached, buffers));
    show_kib(m, "SwapCached:", swap.cached);
    show_lru(m);
    show_kib(m, "SwapTotal:", swap.total);
    show_kib(m, "SwapFree:", swap.free);
    show_kib(m, "Dirty:", vm_count(VM_nr_dirty));
    show_kib(m, "Writeback:", vm_count(VM_nr_writeback));
    show_kib(m, "AnonPages:", c.anonymous);
    show_kib(m, "Mapped:", proc_mapped_frames());
    show_kib(m, "Shmem:", c.shared);
    show_kib(m, "KReclaimable:", c.slab_reclaimable);
    show_kib(m, "Slab:", c.slab);
    show_kib(m, "SReclaimable:", c.slab_reclaimable);
    show_kib(m, "SUnreclaim:", c.slab - min(c.slab, c.slab_reclaimable));
    show_kib(m, "KernelStack:", c.kernel_stacks);
    show_kib(m, "PageTables:", c.tables);
    show_kib(m, "CommitLimit:", overcommit_limit());
    show_kib(m, "Committed_AS:", c.committed);
    show_kib(m, "VmallocTotal:", (VMAP_END - VMAP_BASE) / PAGE_SIZE);
    show_kib(m, "VmallocUsed:", c.vmap);
    show_kib(m, "AnonHugePages:", vm_count(VM_nr_anon_transparent_hugepages) << HUGE_PAGE_ORDER);
    return 0;
}

int proc_show_slabinfo(struct seq_file *m, struct proc_inode *pi)
{
    slab_show(m);
    return 0;
}

int proc_show_swaps(struct seq_file *m, struct proc_inode *pi)
{
    return swaps_show(m);
}
