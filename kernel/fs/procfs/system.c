/* SPDX-License-Identifier: MIT */
/*
 * The texts about the whole system: meminfo, stat, uptime, loadavg, cpuinfo ... (proc(5)).
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/boot.h>
#include <vellum/cpu.h>
#include <vellum/irq.h>
#include <vellum/version.h>

#define TICKS(ns) ((unsigned long long)((ns) / (NSEC_PER_SEC / HZ)))

static void show_kib(struct seq_file *m, const char *name, u64 pages)
{
    seq_printf(m, "%-16s%8llu kB\n", name, (unsigned long long)pages * (PAGE_SIZE / 1024));
}

int proc_show_meminfo(struct seq_file *m, struct proc_inode *pi)
{
    struct memory_counts c;

    memory_counts(&c);
    show_kib(m, "MemTotal:", c.total);
    show_kib(m, "MemFree:", c.free);
    show_kib(m, "MemAvailable:", c.free + c.slab_reclaimable);
    show_kib(m, "Buffers:", 0);
    show_kib(m, "Cached:", c.cached);
    show_kib(m, "SwapCached:", 0);
    show_kib(m, "SwapTotal:", 0);
    show_kib(m, "SwapFree:", 0);
    show_kib(m, "AnonPages:", c.anonymous);
    show_kib(m, "Mapped:", c.mapped);
    show_kib(m, "Shmem:", c.shared);
    show_kib(m, "Slab:", c.slab);
    show_kib(m, "SReclaimable:", c.slab_reclaimable);
    show_kib(m, "SUnreclaim:", c.slab - min(c.slab, c.slab_reclaimable));
    show_kib(m, "KernelStack:", c.kernel_stacks);
    show_kib(m, "PageTables:", c.tables);
    show_kib(m, "Committed_AS:", c.committed);
    show_kib(m, "VmallocTotal:", (VMAP_END - VMAP_BASE) / PAGE_SIZE);
    show_kib(m, "VmallocUsed:", c.vmap);
    return 0;
}

/* "cpu  user nice system idle iowait irq softirq steal guest guest_nice" */
static void show_cpu_times(struct seq_file *m, u64 user, u64 system, u64 idle)
{
    seq_printf(m, " %llu 0 %llu %llu 0 0 0 0 0 0\n", TICKS(user), TICKS(system), TICKS(idle));
}

static u64 total_forks(void)
{
    struct cpu *c;
    u64 n = 0;

    cpu_for_each(c)
        n += c->counters.forks;
    return n;
}

int proc_show_system_stat(struct seq_file *m, struct proc_inode *pi)
{
    u64 user = 0, system = 0, idle = 0, switches = 0;
    struct cpu *c;

    cpu_for_each(c) {
        user += c->counters.user;
        system += c->counters.system;
        idle += sched_idle_ns(c);
        switches += c->counters.switches;
    }
    seq_puts(m, "cpu ");
    show_cpu_times(m, user, system, idle);
    cpu_for_each(c) {
        if (!c->online)
            continue;
        seq_printf(m, "cpu%u", c->id);
        show_cpu_times(m, c->counters.user, c->counters.system, sched_idle_ns(c));
    }
    seq_printf(
        m, "intr %llu\nctxt %llu\nbtime %llu\nprocesses %llu\nprocs_running %u\nprocs_blocked 0\n",
        (unsigned long long)irq_total(), (unsigned long long)switches,
        (unsigned long long)(ktime_real_offset() / (s64)NSEC_PER_SEC),
        (unsigned long long)total_forks(), sched_running());
    return 0;
}

static void show_seconds(struct seq_file *m, u64 ns)
{
    seq_printf(m, "%llu.%02llu", (unsigned long long)(ns / NSEC_PER_SEC),
               (unsigned long long)(ns % NSEC_PER_SEC / 10000000));
}

int proc_show_uptime(struct seq_file *m, struct proc_inode *pi)
{
    struct cpu *c;
    u64 idle = 0;

    cpu_for_each(c)
        idle += sched_idle_ns(c);
    show_seconds(m, ktime_get());
    seq_putc(m, ' ');
    show_seconds(m, idle);
    seq_putc(m, '\n');
    return 0;
}

int proc_show_loadavg(struct seq_file *m, struct proc_inode *pi)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    struct process *p;
    unsigned threads = 0;
    pid_t last = 0;

    list_for_each_entry(p, &all_processes, all_link) {
        threads += p->thread_count;
        last = p->pid; /* in order of creation */
    }
    spin_unlock_irqrestore(&tree_lock, flags);
    for (int i = 0; i < 3; i++) {
        unsigned long load = load_average[i] + 2048 / 200;

        seq_printf(m, "%lu.%02lu ", load >> 11, ((load & 2047) * 100) >> 11);
    }
    seq_printf(m, "%u/%u %d\n", sched_running(), threads, last);
    return 0;
}

int proc_show_version(struct seq_file *m, struct proc_inode *pi)
{
    seq_printf(m, "%s version %s (%s) %s\n", KERNEL_NAME, KERNEL_RELEASE, ARCH_NAME,
               KERNEL_VERSION);
    return 0;
}

int proc_show_cpuinfo(struct seq_file *m, struct proc_inode *pi)
{
    struct cpu *c;

    cpu_for_each(c)
        if (c->online)
            arch_show_cpuinfo(m, c);
    return 0;
}

int proc_show_command_line(struct seq_file *m, struct proc_inode *pi)
{
    seq_printf(m, "%s\n", boot_info.command_line);
    return 0;
}

int proc_show_filesystems(struct seq_file *m, struct proc_inode *pi)
{
    fs_types_show(m);
    return 0;
}

int proc_show_interrupts(struct seq_file *m, struct proc_inode *pi)
{
    irq_show(m);
    return 0;
}

int proc_show_slabinfo(struct seq_file *m, struct proc_inode *pi)
{
    slab_show(m);
    return 0;
}

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
    seq_printf(m,
               "nr_free_pages %llu\nnr_anon_pages %llu\nnr_mapped %llu\nnr_file_pages "
               "%llu\nnr_shmem %llu\n",
               (unsigned long long)n.free, (unsigned long long)n.anonymous,
               (unsigned long long)n.mapped, (unsigned long long)n.cached,
               (unsigned long long)n.shared);
    seq_printf(m, "nr_page_table_pages %llu\npgfault %llu\npgmajfault %llu\n",
               (unsigned long long)n.tables, (unsigned long long)(minor + major),
               (unsigned long long)major);
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
