/* SPDX-License-Identifier: MIT */
/*
 * The texts about the machine's memory: meminfo, vmstat, buddyinfo, zoneinfo, slabinfo (proc(5)).
 * What is not counted here is left out rather than told as zero.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/cpu.h>
#include <vellum/mm.h>

static void show_kib(struct seq_file *m, const char *name, u64 pages)
{
    seq_printf(m, "%-16s%8llu kB\n", name, (unsigned long long)pages * (PAGE_SIZE / 1024));
}

/* Pages of files that have a home elsewhere can go when they are clean. */
static u64 reclaimable(const struct memory_counts *c)
{
    return c->cached - min(c->cached, c->shared) + min(c->slab, c->slab_reclaimable);
}

int proc_show_meminfo(struct seq_file *m, struct proc_inode *pi)
{
    struct memory_counts c;

    memory_counts(&c);
    show_kib(m, "MemTotal:", c.total);
    show_kib(m, "MemFree:", c.free);
    show_kib(m, "MemAvailable:", c.free + reclaimable(&c));
    show_kib(m, "Buffers:", 0);
    show_kib(m, "Cached:", c.cached);
    show_kib(m, "SwapCached:", 0);
    show_kib(m, "SwapTotal:", 0);
    show_kib(m, "SwapFree:", 0);
    show_kib(m, "Dirty:", 0);
    show_kib(m, "Writeback:", 0);
    show_kib(m, "AnonPages:", c.anonymous);
    show_kib(m, "Shmem:", c.shared);
    show_kib(m, "KReclaimable:", min(c.slab, c.slab_reclaimable));
    show_kib(m, "Slab:", c.slab);
    show_kib(m, "SReclaimable:", min(c.slab, c.slab_reclaimable));
    show_kib(m, "SUnreclaim:", c.slab - min(c.slab, c.slab_reclaimable));
    show_kib(m, "KernelStack:", c.kernel_stacks);
    show_kib(m, "PageTables:", c.tables);
    show_kib(m, "CommitLimit:", overcommit_limit());
    show_kib(m, "Committed_AS:", c.committed);
    show_kib(m, "VmallocTotal:", (VMAP_END - VMAP_BASE) / PAGE_SIZE);
    show_kib(m, "VmallocUsed:", c.vmap);
    return 0;
}

static void show_line(struct seq_file *m, const char *name, u64 value)
{
    seq_printf(m, "%s %llu\n", name, (unsigned long long)value);
}

/* Nothing is read from disks or swapped yet. */
int proc_show_vmstat(struct seq_file *m, struct proc_inode *pi)
{
    struct memory_counts n;
    u64 minor = 0, major = 0;
    struct cpu *c;

    memory_counts(&n);
    cpu_for_each(c) {
        minor += c->counters.minor_faults;
        major += c->counters.major_faults;
    }
    show_line(m, "nr_free_pages", n.free);
    show_line(m, "nr_page_table_pages", n.tables);
    show_line(m, "nr_anon_pages", n.anonymous);
    show_line(m, "nr_file_pages", n.cached);
    show_line(m, "nr_dirty", 0);
    show_line(m, "nr_writeback", 0);
    show_line(m, "nr_slab_reclaimable", min(n.slab, n.slab_reclaimable));
    show_line(m, "nr_slab_unreclaimable", n.slab - min(n.slab, n.slab_reclaimable));
    show_line(m, "nr_kernel_stack", n.kernel_stacks * (PAGE_SIZE / 1024));
    show_line(m, "nr_shmem", n.shared);
    show_line(m, "pgpgin", 0);
    show_line(m, "pgpgout", 0);
    show_line(m, "pswpin", 0);
    show_line(m, "pswpout", 0);
    show_line(m, "pgfault", minor + major);
    show_line(m, "pgmajfault", major);
    return 0;
}

int proc_show_buddyinfo(struct seq_file *m, struct proc_inode *pi)
{
    seq_printf(m, "Node 0, zone %8s ", "Normal");
    for (unsigned order = 0; order <= MAX_ORDER; order++)
        seq_printf(m, "%6llu ", (unsigned long long)buddy_free_blocks(order));
    seq_putc(m, '\n');
    return 0;
}

int proc_show_zoneinfo(struct seq_file *m, struct proc_inode *pi)
{
    struct memory_counts c;

    memory_counts(&c);
    seq_printf(m, "Node 0, zone %8s\n  pages free     %llu\n", "Normal",
               (unsigned long long)c.free);
    seq_printf(m, "        min      %llu\n        present  %llu\n        managed  %llu\n",
               (unsigned long long)frames_reserve(), (unsigned long long)c.total,
               (unsigned long long)c.total);
    seq_puts(m, "  start_pfn:           0\n");
    return 0;
}

int proc_show_slabinfo(struct seq_file *m, struct proc_inode *pi)
{
    slab_show(m);
    return 0;
}

int proc_show_swaps(struct seq_file *m, struct proc_inode *pi)
{
    seq_puts(m, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    return 0;
}
