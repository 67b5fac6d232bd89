/* SPDX-License-Identifier: MIT */
/*
 * The texts about one process (proc(5)): stat, statm, status, limits, cmdline, environ, comm ...
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/string.h>
#include <vellum/tty.h>
#include <linux/sched.h>

#define TICKS(ns)  ((unsigned long long)((ns) / (NSEC_PER_SEC / HZ)))
#define KIB(pages) ((unsigned long long)(pages) * (PAGE_SIZE / 1024))

/* What stat and status have in common, gathered with the locks that it takes. */
struct snapshot {
    char comm[16];
    char state;
    pid_t pid, tgid, ppid, pgrp, session, foreground;
    u32 tty;
    struct usage usage, children;
    int priority, nice, policy, rt_priority, cpu, exit_signal, exit_code;
    unsigned threads;
    u64 start;
    u64 pending, shared_pending, blocked, ignored, caught;
    u64 total, resident, shared, anon, data, stack, text, locked, peak, peak_total, tables;
    vaddr_t code_start, code_end, stack_start;
};

static void snapshot_memory(struct snapshot *s, struct process *p)
{
    struct mm *mm = process_mm(p);

    if (!mm)
        return;
    read_lock(&mm->lock);
    s->total = mm->total_pages;
    s->anon = atomic_read(&mm->anon_pages);
    s->shared = atomic_read(&mm->file_pages) + atomic_read(&mm->shmem_pages);
    s->resident = s->anon + s->shared;
    s->data = mm->data_pages;
    s->stack = mm->stack_pages;
    s->text = mm->exec_pages;
    s->locked = mm->locked_pages;
    s->tables = atomic_read(&mm->table_pages);
    s->peak = max(mm->peak_resident, s->resident);
    s->peak_total = max(mm->peak_total, s->total);
    s->code_start = mm->code_start;
    s->code_end = mm->code_end;
    s->stack_start = mm->stack_start;
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
    s->cpu = t->cpu->id;
}

/* The thread that the files are about, with a reference; NULL: its process has been waited for. */
static struct thread *subject(struct proc_inode *pi)
{
    if (!pi->thread)
        return process_leader(pi->process);
    ref_get(&pi->thread->refs);
    return pi->thread;
}

static void take_snapshot(struct snapshot *s, struct process *p, struct thread *t)
{
    unsigned long flags;

    memset(s, 0, sizeof(*s));
    snapshot_thread(s, t);
    process_usage(p, &s->usage);
    s->state = process_state_letter(p);
    flags = spin_lock_irqsave(&tree_lock);
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
    s->start = p->start_time;
    spin_unlock_irqrestore(&tree_lock, flags);
    snapshot_signals(s, p, t);
    snapshot_memory(s, p);
}

int proc_show_stat(struct seq_file *m, struct proc_inode *pi)
{
    bool look = proc_may_look(pi->process);
    struct thread *t = subject(pi);
    struct snapshot s;

    if (!t)
        return -ESRCH;
    take_snapshot(&s, pi->process, t);
    thread_put(t);
    seq_printf(m, "%d (%s) %c %d %d %d %d %d 0 ", s.pid, s.comm, s.state, s.ppid, s.pgrp, s.session,
               (int)s.tty, s.foreground);
    seq_printf(m, "%llu %llu %llu %llu ", (unsigned long long)s.usage.minor_faults,
               (unsigned long long)s.children.minor_faults,
               (unsigned long long)s.usage.major_faults,
               (unsigned long long)s.children.major_faults);
    seq_printf(m, "%llu %llu %llu %llu ", TICKS(s.usage.user_ns), TICKS(s.usage.system_ns),
               TICKS(s.children.user_ns), TICKS(s.children.system_ns));
    seq_printf(m, "%d %d %u 0 %llu %llu %llu %llu ", s.priority, s.nice, s.threads, TICKS(s.start),
               (unsigned long long)s.total * PAGE_SIZE, (unsigned long long)s.resident,
               (unsigned long long)pi->process->limits[RLIMIT_RSS].rlim_cur);
    seq_printf(m, "%llu %llu %llu 0 0 ", look ? (unsigned long long)s.code_start : 1ULL,
               look ? (unsigned long long)s.code_end : 1ULL,
               look ? (unsigned long long)s.stack_start : 0ULL);
    seq_printf(m, "%llu %llu %llu %llu 0 0 0 ", (unsigned long long)(s.pending & INT32_MAX),
               (unsigned long long)(s.blocked & INT32_MAX),
               (unsigned long long)(s.ignored & INT32_MAX),
               (unsigned long long)(s.caught & INT32_MAX));
    seq_printf(m, "%d %d %d %d 0 0 0 0 0 0 0 0 0 0 %d\n", s.exit_signal, s.cpu, s.rt_priority,
               s.policy, look ? s.exit_code : 0);
    return 0;
}

int proc_show_statm(struct seq_file *m, struct proc_inode *pi)
{
    struct snapshot s = {0};

    snapshot_memory(&s, pi->process);
    seq_printf(m, "%llu %llu %llu %llu 0 %llu 0\n", (unsigned long long)s.total,
               (unsigned long long)s.resident, (unsigned long long)s.shared,
               (unsigned long long)((s.code_end - s.code_start + PAGE_SIZE - 1) / PAGE_SIZE),
               (unsigned long long)(s.data + s.stack));
    return 0;
}

static const char *state_name(char state)
{
    switch (state) {
    case 'R':
        return "R (running)";
    case 'S':
        return "S (sleeping)";
    case 'D':
        return "D (disk sleep)";
    case 'T':
        return "T (stopped)";
    case 't':
        return "t (tracing stop)";
    case 'Z':
        return "Z (zombie)";
    default:
        return "X (dead)";
    }
}

static void show_credentials(struct seq_file *m, struct process *p)
{
    const struct cred *c = process_cred(p);

    if (!c)
        return;
    seq_printf(m, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid,
               c->fsuid, c->gid, c->egid, c->sgid, c->fsgid);
    cred_put(c);
}

static void show_capabilities(struct seq_file *m, struct process *p)
{
    const struct cred *c = process_cred(p);

    if (!c)
        return;
    seq_printf(m,
               "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%"
               "016llx\n",
               (unsigned long long)c->cap_inheritable, (unsigned long long)c->cap_permitted,
               (unsigned long long)c->cap_effective, (unsigned long long)c->cap_bounding,
               (unsigned long long)c->cap_ambient);
    cred_put(c);
}

static void show_groups(struct seq_file *m, struct process *p)
{
    const struct cred *c = process_cred(p);

    seq_puts(m, "Groups:\t");
    for (unsigned i = 0; c && i < c->ngroups; i++)
        seq_printf(m, "%u ", c->groups[i]);
    seq_putc(m, '\n');
    if (c)
        cred_put(c);
}

static void show_memory(struct seq_file *m, const struct snapshot *s)
{
    if (s->total == 0)
        return;
    seq_printf(m, "VmPeak:\t%8llu kB\nVmSize:\t%8llu kB\nVmLck:\t%8llu kB\nVmPin:\t       0 kB\n",
               KIB(s->peak_total), KIB(s->total), KIB(s->locked));
    seq_printf(m,
               "VmHWM:\t%8llu kB\nVmRSS:\t%8llu kB\nRssAnon:\t%8llu kB\nRssFile:\t%8llu "
               "kB\nRssShmem:\t       0 kB\n",
               KIB(s->peak), KIB(s->resident), KIB(s->anon), KIB(s->shared));
    seq_printf(
        m,
        "VmData:\t%8llu kB\nVmStk:\t%8llu kB\nVmExe:\t%8llu kB\nVmLib:\t%8llu kB\nVmPTE:\t%8llu "
        "kB\nVmSwap:\t       0 kB\n",
        KIB(s->data), KIB(s->stack), (unsigned long long)(s->code_end - s->code_start) / 1024,
        KIB(s->text) - min(KIB(s->text), (unsigned long long)(s->code_end - s->code_start) / 1024),
        KIB(s->tables));
}

static void show_affinity(struct seq_file *m, struct thread *t)
{
    u64 bits = t->affinity.bits;
    bool first = true;

    seq_printf(m, "Cpus_allowed:\t%llx\nCpus_allowed_list:\t", (unsigned long long)bits);
    for (unsigned i = 0; i < 64; i++) {
        unsigned j = i;

        if (!(bits & BIT(i)))
            continue;
        while (j + 1 < 64 && (bits & BIT(j + 1)))
            j++;
        seq_printf(m, j > i ? "%s%u-%u" : "%s%u", first ? "" : ",", i, j);
        first = false;
        i = j;
    }
    seq_putc(m, '\n');
}

int proc_show_status(struct seq_file *m, struct proc_inode *pi)
{
    struct process *p = pi->process;
    struct thread *t = subject(pi);
    struct fs_context *fs = process_fs_context(p);
    struct files *files = process_files(p);
    struct snapshot s;

    if (!t) /* then it has no files either */
        return -ESRCH;
    take_snapshot(&s, p, t);
    seq_puts(m, "Name:\t");
    seq_escape(m, s.comm, "\n\\");
    if (fs)
        seq_printf(m, "\nUmask:\t%04o", fs->umask);
    seq_printf(m, "\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
               state_name(s.state), s.tgid, s.pid, s.ppid);
    show_credentials(m, p);
    seq_printf(m, "FDSize:\t%u\n", files ? files->size : 0);
    show_groups(m, p);
    show_memory(m, &s);
    seq_printf(m, "Threads:\t%u\nSigQ:\t%d/%llu\n", s.threads, (int)0,
               (unsigned long long)p->limits[RLIMIT_SIGPENDING].rlim_cur);
    seq_printf(m,
               "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%"
               "016llx\n",
               (unsigned long long)s.pending, (unsigned long long)s.shared_pending,
               (unsigned long long)s.blocked, (unsigned long long)s.ignored,
               (unsigned long long)s.caught);
    show_capabilities(m, p);
    seq_printf(m, "NoNewPrivs:\t%d\n", p->no_new_privileges);
    show_affinity(m, t);
    seq_printf(m, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
               (unsigned long long)t->voluntary_switches,
               (unsigned long long)t->involuntary_switches);
    thread_put(t);
    if (fs)
        fs_context_put(fs);
    if (files)
        files_put(files);
    return 0;
}

static void show_limit(struct seq_file *m, u64 value)
{
    if (value == RLIM64_INFINITY)
        seq_printf(m, "%-20s ", "unlimited");
    else
        seq_printf(m, "%-20llu ", (unsigned long long)value);
}

int proc_show_limits(struct seq_file *m, struct proc_inode *pi)
{
    static const struct {
        const char *name, *unit;
    } names[RLIM_NLIMITS] = {
        [RLIMIT_CPU] = {"Max cpu time", "seconds"},
        [RLIMIT_FSIZE] = {"Max file size", "bytes"},
        [RLIMIT_DATA] = {"Max data size", "bytes"},
        [RLIMIT_STACK] = {"Max stack size", "bytes"},
        [RLIMIT_CORE] = {"Max core file size", "bytes"},
        [RLIMIT_RSS] = {"Max resident set", "bytes"},
        [RLIMIT_NPROC] = {"Max processes", "processes"},
        [RLIMIT_NOFILE] = {"Max open files", "files"},
        [RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
        [RLIMIT_AS] = {"Max address space", "bytes"},
        [RLIMIT_LOCKS] = {"Max file locks", "locks"},
        [RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
        [RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
        [RLIMIT_NICE] = {"Max nice priority", ""},
        [RLIMIT_RTPRIO] = {"Max realtime priority", ""},
        [RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
    };

    seq_printf(m, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned i = 0; i < RLIM_NLIMITS; i++) {
        seq_printf(m, "%-25s ", names[i].name);
        show_limit(m, pi->process->limits[i].rlim_cur);
        show_limit(m, pi->process->limits[i].rlim_max);
        seq_printf(m, names[i].unit[0] ? "%-10s\n" : "\n", names[i].unit);
    }
    return 0;
}

/* Copy a range of the process's memory into the text, page by page. */
static int show_memory_range(struct seq_file *m, struct mm *mm, vaddr_t start, vaddr_t end)
{
    char *page = kmalloc(PAGE_SIZE, ALLOC_KERNEL);

    if (!page)
        return -ENOMEM;
    while (start < end) {
        size_t want = min_t(size_t, end - start, PAGE_SIZE),
               n = mm_access(mm, start, page, want, false, true);

        seq_write(m, page, n);
        if (n < want)
            break;
        start += n;
    }
    kfree(page);
    return 0;
}

static int show_strings(struct seq_file *m, struct process *p, bool environment)
{
    struct mm *mm = process_mm(p);
    int r;

    if (!mm)
        return 0;
    r = environment ? show_memory_range(m, mm, mm->env_start, mm->env_end)
                    : show_memory_range(m, mm, mm->args_start, mm->args_end);
    mm_put(mm);
    return r;
}

int proc_show_cmdline(struct seq_file *m, struct proc_inode *pi)
{
    return show_strings(m, pi->process, false);
}

int proc_show_environ(struct seq_file *m, struct proc_inode *pi)
{
    return show_strings(m, pi->process, true);
}

int proc_show_auxv(struct seq_file *m, struct proc_inode *pi)
{
    struct mm *mm = process_mm(pi->process);

    if (!mm)
        return 0;
    seq_write(m, mm->auxv, mm->auxv_words * sizeof(mm->auxv[0]));
    mm_put(mm);
    return 0;
}

int proc_show_comm(struct seq_file *m, struct proc_inode *pi)
{
    struct thread *t = subject(pi);

    if (!t)
        return -ESRCH;
    seq_printf(m, "%.15s\n", t->comm);
    thread_put(t);
    return 0;
}

ssize_t proc_write_comm(struct proc_inode *pi, char *text, size_t n)
{
    struct thread *t;

    if (current->process != pi->process)
        return -EINVAL;
    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = '\0';
    t = subject(pi);
    if (!t)
        return -ESRCH;
    strlcpy(t->comm, text, sizeof(t->comm));
    thread_put(t);
    return 0;
}

int proc_show_oom_score_adj(struct seq_file *m, struct proc_inode *pi)
{
    seq_printf(m, "%d\n", pi->process->oom_score_adj);
    return 0;
}

ssize_t proc_write_oom_score_adj(struct proc_inode *pi, char *text, size_t n)
{
    s64 value;

    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = '\0';
    if (str_to_s64(text, 10, &value) != 0 || value < -1000 || value > 1000)
        return -EINVAL;
    if (value < pi->process->oom_score_adj && !capable(CAP_SYS_RESOURCE))
        return -EACCES;
    WRITE_ONCE(pi->process->oom_score_adj, value);
    return 0;
}
