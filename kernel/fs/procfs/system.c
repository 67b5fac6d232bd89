/* SPDX-License-Identifier: MIT */
/*
 * The texts about the whole system: stat, uptime, loadavg, cpuinfo ... (proc(5)).
 */
#include "internal.h"
#include <vellum/boot.h>
#include <vellum/cpu.h>
#include <vellum/irq.h>
#include <vellum/version.h>

#define TICKS(ns) ((unsigned long long)((ns) / (NSEC_PER_SEC / HZ)))

struct cpu_times { /* ns */
    u64 user, nice, system, idle;
};

static void add_times(struct cpu_times *t, struct cpu *c)
{
    t->user += c->counters.user;
    t->nice += c->counters.nice;
    t->system += c->counters.system;
    t->idle += sched_idle_ns(c);
}

/* user nice system idle iowait irq softirq steal guest guest_nice */
static void show_times(struct seq_file *m, const struct cpu_times *t)
{
    seq_printf(m, " %llu %llu %llu %llu 0 0 0 0 0 0\n", TICKS(t->user), TICKS(t->nice),
               TICKS(t->system), TICKS(t->idle));
}

static u64 total_forks(void)
{
    struct cpu *c;
    u64 n = 0;

    cpu_for_each(c)
        n += c->counters.forks;
    return n;
}

static void show_all_times(struct seq_file *m)
{
    struct cpu_times all = {0};
    struct cpu *c;

    cpu_for_each(c)
        add_times(&all, c);
    seq_puts(m, "cpu ");
    show_times(m, &all);
    cpu_for_each(c) {
        struct cpu_times one = {0};

        if (!c->online)
            continue;
        add_times(&one, c);
        seq_printf(m, "cpu%u", c->id);
        show_times(m, &one);
    }
}

/* Nothing waits for a disk, so procs_blocked is zero. */
int proc_show_system_stat(struct seq_file *m, struct proc_inode *pi)
{
    u64 switches = 0;
    struct cpu *c;

    cpu_for_each(c)
        switches += c->counters.switches;
    show_all_times(m);
    seq_puts(m, "intr ");
    irq_show_counts(m);
    seq_printf(m, "\nctxt %llu\nbtime %llu\nprocesses %llu\nprocs_running %u\nprocs_blocked 0\n",
               (unsigned long long)switches,
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
    unsigned long flags = spin_lock_irqsave(&tree_lock), loads[3];
    struct process *p;
    unsigned threads = 0;

    list_for_each_entry(p, &all_processes, all_link)
        threads += p->thread_count;
    spin_unlock_irqrestore(&tree_lock, flags);
    load_averages(loads);
    for (unsigned i = 0; i < ARRAY_SIZE(loads); i++) {
        unsigned long load = loads[i] + (1 << LOAD_SHIFT) / 200; /* rounded */

        seq_printf(m, "%lu.%02lu ", load >> LOAD_SHIFT,
                   ((load & ((1 << LOAD_SHIFT) - 1)) * 100) >> LOAD_SHIFT);
    }
    seq_printf(m, "%u/%u %d\n", sched_running(), threads, pid_last());
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
