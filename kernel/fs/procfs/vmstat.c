/* SPDX-License-Identifier: MIT */
/*
 * What the memory management counts (vmstat.h), and the state of the frame allocator: vmstat,
 * buddyinfo, pagetypeinfo, zoneinfo, and the faults of one process (proc(5)).
 */
#include "internal.h"
#include <vellum/cpu.h>
#include <vellum/lru.h>
#include <vellum/mm.h>
#include <vellum/reclaim.h>
#include <vellum/thread.h>

static void show_line(struct seq_file *m, const char *name, u64 value)
{
    seq_printf(m, "%s %llu\n", name, (unsigned long long)value);
}

/* What others than vmstat.h count. */
static void show_frames(struct seq_file *m)
{
    struct memory_counts n;

    memory_counts(&n);
    show_line(m, "nr_free_pages", n.free);
    show_line(m, "nr_page_table_pages", n.tables);
    show_line(m, "nr_kernel_stack", n.kernel_stacks * (PAGE_SIZE / 1024));
    show_line(m, "nr_anon_pages", n.anonymous);
    show_line(m, "nr_mapped", proc_mapped_frames());
    show_line(m, "nr_file_pages", n.cached);
    show_line(m, "nr_shmem", n.shared);
    show_line(m, "nr_slab_reclaimable", n.slab_reclaimable);
    show_line(m, "nr_slab_unreclaimable", n.slab - min(n.slab, n.slab_reclaimable));
}

int proc_show_vmstat(struct seq_file *m, struct proc_inode *pi)
{
    lru_empty_all_batches();
    show_frames(m);
    for (unsigned i = 0; i < VM_COUNT; i++)
        show_line(m, vm_count_name(i), vm_count(i));
    return 0;
}

int proc_show_faults(struct seq_file *m, struct proc_inode *pi)
{
    struct usage u;

    if (pi->thread)
        thread_usage(pi->thread, &u);
    else
        process_usage(pi->process, &u);
    show_line(m, "minor", u.minor_faults);
    show_line(m, "major", u.major_faults);
    show_line(m, "invalid", u.invalid_faults);
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

static const char *const mobility_names[MOBILITIES] = {
    [MOBILITY_UNMOVABLE] = "Unmovable",
    [MOBILITY_MOVABLE] = "Movable",
};

int proc_show_pagetypeinfo(struct seq_file *m, struct proc_inode *pi)
{
    u64 sections[MOBILITIES];

    seq_printf(m, "Page block order: %u\nPages per block:  %lu\n\n", (unsigned)HUGE_PAGE_ORDER,
               HUGE_PAGES);
    seq_printf(m, "%-43s ", "Free pages count per migrate type at order");
    for (unsigned order = 0; order <= MAX_ORDER; order++)
        seq_printf(m, "%6u ", order);
    seq_putc(m, '\n');
    for (unsigned k = 0; k < MOBILITIES; k++) {
        seq_printf(m, "Node %4d, zone %8s, type %12s ", 0, "Normal", mobility_names[k]);
        for (unsigned order = 0; order <= MAX_ORDER; order++)
            seq_printf(m, "%6llu ", (unsigned long long)buddy_free_blocks_of(k, order));
        seq_putc(m, '\n');
    }
    buddy_count_sections(sections);
    seq_printf(m, "\n%-23s", "Number of blocks type ");
    for (unsigned k = 0; k < MOBILITIES; k++)
        seq_printf(m, "%12s ", mobility_names[k]);
    seq_printf(m, "\nNode %d, zone %8s ", 0, "Normal");
    for (unsigned k = 0; k < MOBILITIES; k++)
        seq_printf(m, "%12llu ", (unsigned long long)sections[k]);
    seq_putc(m, '\n');
    return 0;
}

/* From the first frame of memory to the last, and the holes in between. */
static void show_span(struct seq_file *m, u64 *first)
{
    u64 end = 0, size;
    paddr_t start;

    *first = 0;
    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++) {
        if (i == 0)
            *first = start >> PAGE_SHIFT;
        end = (start + size) >> PAGE_SHIFT;
    }
    seq_printf(m, "        spanned  %llu\n", (unsigned long long)(end - *first));
}

/* There is one node, with one zone. */
int proc_show_zoneinfo(struct seq_file *m, struct proc_inode *pi)
{
    struct watermarks marks = zone_watermarks();
    struct memory_counts c;
    u64 first;

    memory_counts(&c);
    seq_printf(m, "Node 0, zone %8s\n  per-node stats\n", "Normal");
    for (unsigned i = 0; i < VM_GAUGE_COUNT; i++)
        seq_printf(m, "      %-12s %llu\n", vm_count_name(i), (unsigned long long)vm_count(i));
    seq_printf(m, "  pages free     %llu\n        boost    0\n", (unsigned long long)c.free);
    seq_printf(m, "        min      %llu\n        low      %llu\n        high     %llu\n",
               (unsigned long long)marks.min, (unsigned long long)marks.low,
               (unsigned long long)marks.high);
    show_span(m, &first);
    seq_printf(m, "        present  %llu\n        managed  %llu\n", (unsigned long long)c.total,
               (unsigned long long)c.total);
    seq_printf(m, "        protection: (0, 0)\n      nr_free_pages %llu\n",
               (unsigned long long)c.free);
    seq_printf(m, "  node_unreclaimable:  0\n  start_pfn:           %llu\n",
               (unsigned long long)first);
    return 0;
}
