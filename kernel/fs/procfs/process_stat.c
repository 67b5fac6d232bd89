/* SPDX-License-Identifier: MIT */
/*
 * The figures about a process or a thread in one line (proc(5)): stat, statm, schedstat; and sched, io.
 *
 * In /proc/PID times and faults are the sums over all threads, the rest is the first thread's; in
 * /proc/PID/task/TID all is the thread's own.
 */
#include "snapshot.h"
#include <vellum/time.h>
#include <vellum/tty.h>

#define TICKS(ns) ((unsigned long long)((ns) / (NSEC_PER_SEC / HZ)))

/* Field 9, as far as ps and top know it. */
enum {
    FLAG_EXITING = 0x4,
    FLAG_NOT_EXECED = 0x40,
    FLAG_RANDOMIZED = 0x400000,
};

void snapshot_memory(struct snapshot *s, struct process *p)
{
    struct mm *mm = process_mm(p);
    struct mm_usage usage;

    if (!mm)
        return;
    mm_get_usage(mm, &usage, true);
    read_lock(&mm->lock);
    s->huge_pages = !mm->no_huge_pages;
    s->total = mm->total_pages;
    s->anon = usage.anonymous;
    s->file = usage.file;
    s->shmem = usage.shared;
    s->resident = s->anon + s->file + s->shmem;
    s->data = mm->data_pages;
    s->stack = mm->stack_pages;
    s->text = mm->exec_pages;
    s->locked = mm->locked_pages;
    s->tables = max(atomic_read(&mm->table_pages), 0L);
    s->swapped = usage.swapped;
    s->peak = max(mm->peak_resident, s->resident);
    s->peak_total = max(mm->peak_total, s->total);
    s->code_start = mm->code_start;
    s->code_end = mm->code_end;
    s->data_start = mm->data_start;
    s->data_end = mm->data_end;
    s->brk_start = mm->brk_start;
    s->stack_start = mm->stack_start;
    s->args_start = mm->args_start;
    s->args_end = mm->args_end;
    s->env_start = mm->env_start;
    s->env_end = mm->env_end;
    read_unlock(&mm->lock);
    mm_put(mm);
}

static void snapshot_signals(struct snapshot *s, struct process *p, struct thread *t)
{
    unsigned long flags;
    struct sighand *h = sighand_lock(p, &flags);

    s->pending = t->pending.set;
    s->shared_pending = p->pending.set;
    s->blocked = t->blocked;
    s->ignored = h->ignored;
    s->caught = h->caught;
    sighand_unlock(h, flags);
}

static void snapshot_thread(struct snapshot *s, struct thread *t)
{
    memcpy(s->comm, t->comm, sizeof(s->comm));
    s->comm[sizeof(s->comm) - 1] = '\0';
    s->pid = t->tid;
    s->nice = t->nice;
    s->policy = t->policy;
    s->rt_priority = t->rt_priority;
    s->priority = t->rt_priority ? -1 - t->rt_priority : 20 + t->nice;
    s->cpu = READ_ONCE(t->cpu)->id;
    s->start = t->start_time;
}

static void snapshot_process(struct snapshot *s, struct process *p)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);

    s->tgid = p->pid;
    s->ppid = p->parent_pid;
    s->pgrp = p->pgrp;
    s->session = p->session;
    s->tty = tty_number(p->tty);
    s->foreground = tty_foreground(p->tty);
    s->children = p->dead_children;
    s->exit_signal = p->exit_signal;
    s->exit_code = p->exit_code;
    s->threads = p->thread_count;
    s->flags = (p->has_execed ? 0 : FLAG_NOT_EXECED) | (s->threads ? 0 : FLAG_EXITING) |
               (aslr_enabled ? FLAG_RANDOMIZED : 0);
    spin_unlock_irqrestore(&tree_lock, flags);
}

void snapshot_take(struct snapshot *s, const struct proc_inode *pi, struct thread *t)
{
    memset(s, 0, sizeof(*s));
    snapshot_thread(s, t);
    snapshot_process(s, pi->process);
    snapshot_signals(s, pi->process, t);
    snapshot_memory(s, pi->process);
    if (pi->thread) {
        thread_usage(t, &s->usage);
        s->state = thread_state_letter(t);
        s->start = t->start_time;
    } else {
        process_usage(pi->process, &s->usage);
        s->state = process_state_letter(pi->process);
        s->start = pi->process->start_time;
    }
}

/* ---- stat ---------------------------------------------------------------------------------------------- */

static void show_u64(struct seq_file *m, u64 value)
{
    seq_printf(m, " %llu", (unsigned long long)value);
}

/* Fields 26 to 30, and 45 to 51: addresses are for those who may look. KSTKESP and KSTKEIP are told of
 * a process that dies only, and then it has none any more. */
static void show_first_addresses(struct seq_file *m, const struct snapshot *s, bool look)
{
    bool program = s->code_end != 0;

    show_u64(m, look ? s->code_start : program);
    show_u64(m, look ? s->code_end : program);
    show_u64(m, look ? s->stack_start : 0);
    seq_puts(m, " 0 0");
}

static void show_last_addresses(struct seq_file *m, const struct snapshot *s, bool look)
{
    const vaddr_t addresses[] = {s->data_start, s->data_end,  s->brk_start, s->args_start,
                                 s->args_end,   s->env_start, s->env_end};

    for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++)
        show_u64(m, look ? addresses[i] : 0);
}

static void show_usage(struct seq_file *m, const struct snapshot *s)
{
    const struct usage *own = &s->usage, *children = &s->children;

    show_u64(m, own->minor_faults);
    show_u64(m, children->minor_faults);
    show_u64(m, own->major_faults);
    show_u64(m, children->major_faults);
    show_u64(m, TICKS(own->user_ns));
    show_u64(m, TICKS(own->system_ns));
    show_u64(m, TICKS(children->user_ns));
    show_u64(m, TICKS(children->system_ns));
}

int proc_show_stat(struct seq_file *m, struct proc_inode *pi)
{
    bool look = proc_may_look(pi->process);
    struct thread *t = proc_subject(pi);
    struct snapshot s;

    if (!t)
        return -ESRCH;
    snapshot_take(&s, pi, t);
    seq_printf(m, "%d (%s) %c %d %d %d %d %d %u", s.pid, s.comm, s.state, s.ppid, s.pgrp, s.session,
               (int)s.tty, s.foreground, s.flags);
    show_usage(m, &s);
    seq_printf(m, " %d %d %u 0 %llu %llu %llu %llu", s.priority, s.nice, s.threads, TICKS(s.start),
               (unsigned long long)s.total * PAGE_SIZE, (unsigned long long)s.resident,
               (unsigned long long)pi->process->limits[RLIMIT_RSS].rlim_cur);
    show_first_addresses(m, &s, look);
    show_u64(m, s.pending & INT32_MAX);
    show_u64(m, s.blocked & INT32_MAX);
    show_u64(m, s.ignored & INT32_MAX);
    show_u64(m, s.caught & INT32_MAX);
    seq_printf(m, " %d 0 0 %d %d %d %d 0 0 0", look && proc_is_asleep(pi->process, t),
               s.exit_signal, s.cpu, s.rt_priority, s.policy);
    show_last_addresses(m, &s, look);
    seq_printf(m, " %d\n", look ? s.exit_code : 0);
    thread_put(t);
    return 0;
}

int proc_show_statm(struct seq_file *m, struct proc_inode *pi)
{
    struct snapshot s = {0};

    snapshot_memory(&s, pi->process);
    seq_printf(m, "%llu %llu %llu %llu 0 %llu 0\n", (unsigned long long)s.total,
               (unsigned long long)s.resident, (unsigned long long)(s.file + s.shmem),
               (unsigned long long)snapshot_code_pages(&s), (unsigned long long)(s.data + s.stack));
    return 0;
}

/* ---- scheduling, reading and writing ------------------------------------------------------------------- */

int proc_show_schedstat(struct seq_file *m, struct proc_inode *pi)
{
    struct thread *t = proc_subject(pi);

    if (!t)
        return -ESRCH;
    seq_printf(m, "%llu %llu %llu\n", (unsigned long long)thread_run_time(t),
               (unsigned long long)cycles_to_ns(t->wait_cycles),
               (unsigned long long)(t->voluntary_switches + t->involuntary_switches));
    thread_put(t);
    return 0;
}

static void show_ms(struct seq_file *m, const char *name, u64 ns)
{
    seq_printf(m, "%-45s:%14llu.%06llu\n", name, (unsigned long long)(ns / NSEC_PER_MSEC),
               (unsigned long long)(ns % NSEC_PER_MSEC));
}

static void show_count(struct seq_file *m, const char *name, s64 value)
{
    seq_printf(m, "%-45s:%21lld\n", name, (long long)value);
}

int proc_show_sched(struct seq_file *m, struct proc_inode *pi)
{
    struct thread *t = proc_subject(pi);
    struct snapshot s;

    if (!t)
        return -ESRCH;
    snapshot_take(&s, pi, t);
    seq_printf(m, "%s (%d, #threads: %u)\n", s.comm, s.pid, s.threads);
    seq_puts(m, "-------------------------------------------------------------------\n");
    show_ms(m, "se.sum_exec_runtime", thread_run_time(t));
    show_ms(m, "run_delay", cycles_to_ns(t->wait_cycles));
    show_count(m, "nr_switches", t->voluntary_switches + t->involuntary_switches);
    show_count(m, "nr_voluntary_switches", t->voluntary_switches);
    show_count(m, "nr_involuntary_switches", t->involuntary_switches);
    show_count(m, "policy", s.policy);
    show_count(m, "prio", s.rt_priority ? 99 - s.rt_priority : 120 + s.nice);
    thread_put(t);
    return 0;
}

/* No system call reads a disk yet, and memory has no device behind it: those bytes are none. */
int proc_show_io(struct seq_file *m, struct proc_inode *pi)
{
    struct usage u;

    if (!proc_may_look(pi->process))
        return -EACCES;
    if (pi->thread)
        thread_usage(pi->thread, &u);
    else
        process_usage(pi->process, &u);
    seq_printf(m, "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\n",
               (unsigned long long)u.io.read_bytes, (unsigned long long)u.io.written_bytes,
               (unsigned long long)u.io.reads, (unsigned long long)u.io.writes);
    seq_puts(m, "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
    return 0;
}
