/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/status: what stat says, and more, for people to read (proc(5)).
 */
#include "snapshot.h"
#include <vellum/bitmap.h>
#include <vellum/ptrace.h>

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

static void show_credentials(struct seq_file *m, const struct cred *c, unsigned descriptors)
{
    seq_printf(m, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid,
               c->fsuid, c->gid, c->egid, c->sgid, c->fsgid);
    seq_printf(m, "FDSize:\t%u\nGroups:\t", descriptors);
    for (unsigned i = 0; i < c->ngroups; i++)
        seq_printf(m, "%u ", c->groups[i]);
    seq_putc(m, '\n');
}

/* One name space of numbers: each is seen as it is. */
static void show_numbers(struct seq_file *m, const struct snapshot *s)
{
    seq_printf(m, "NStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", s->tgid, s->pid, s->pgrp,
               s->session);
}

static void show_capability(struct seq_file *m, const char *name, u64 set)
{
    seq_printf(m, "%s:\t%016llx\n", name, (unsigned long long)set);
}

static void show_capabilities(struct seq_file *m, const struct cred *c)
{
    show_capability(m, "CapInh", c->cap_inheritable);
    show_capability(m, "CapPrm", c->cap_permitted);
    show_capability(m, "CapEff", c->cap_effective);
    show_capability(m, "CapBnd", c->cap_bounding);
    show_capability(m, "CapAmb", c->cap_ambient);
}

static void show_kib(struct seq_file *m, const char *name, u64 pages)
{
    seq_printf(m, "%s:\t%8llu kB\n", name, (unsigned long long)pages * (PAGE_SIZE / 1024));
}

static void show_memory(struct seq_file *m, const struct snapshot *s)
{
    u64 code = snapshot_code_pages(s);

    if (s->total == 0)
        return;
    show_kib(m, "VmPeak", s->peak_total);
    show_kib(m, "VmSize", s->total);
    show_kib(m, "VmLck", s->locked);
    show_kib(m, "VmPin", 0);
    show_kib(m, "VmHWM", s->peak);
    show_kib(m, "VmRSS", s->resident);
    show_kib(m, "RssAnon", s->anon);
    show_kib(m, "RssFile", s->file);
    show_kib(m, "RssShmem", s->shmem);
    show_kib(m, "VmData", s->data);
    show_kib(m, "VmStk", s->stack);
    show_kib(m, "VmExe", code);
    show_kib(m, "VmLib", s->text - min(s->text, code));
    show_kib(m, "VmPTE", s->tables);
    show_kib(m, "VmSwap", s->swapped);
    seq_printf(m, "CoreDumping:\t0\nTHP_enabled:\t%d\n", s->huge_pages);
}

static void show_signals(struct seq_file *m, const struct snapshot *s)
{
    show_capability(m, "SigPnd", s->pending);
    show_capability(m, "ShdPnd", s->shared_pending);
    show_capability(m, "SigBlk", s->blocked);
    show_capability(m, "SigIgn", s->ignored);
    show_capability(m, "SigCgt", s->caught);
}

static void show_affinity(struct seq_file *m, struct thread *t)
{
    u64 all = cpu_count < 64 ? BIT(cpu_count) - 1 : ~0UL;

    seq_puts(m, "Cpus_allowed:\t");
    seq_mask(m, t->affinity.bits & all, cpu_count);
    seq_puts(m, "\nCpus_allowed_list:\t");
    seq_ranges(m, t->affinity.bits & all);
    seq_puts(m, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

static void show_head(struct seq_file *m, struct process *p, struct thread *t,
                      const struct snapshot *s)
{
    struct fs_context *fs = process_fs_context(p);

    seq_puts(m, "Name:\t");
    seq_escape(m, s->comm, "\n\\");
    if (fs) {
        seq_printf(m, "\nUmask:\t%04o", fs->umask);
        fs_context_put(fs);
    }
    seq_printf(m, "\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n",
               state_name(s->state), s->tgid, s->pid, s->ppid, ptrace_tracer(t));
}

static unsigned descriptor_slots(struct process *p)
{
    struct files *files = process_files(p);
    unsigned n = 0;

    if (files) {
        n = files->size;
        files_put(files);
    }
    return n;
}

int proc_show_status(struct seq_file *m, struct proc_inode *pi)
{
    struct process *p = pi->process;
    struct thread *t = proc_subject(pi);
    const struct cred *c;
    struct snapshot s;

    if (!t)
        return -ESRCH;
    c = pi->thread ? thread_cred(t) : process_cred(p);
    snapshot_take(&s, pi, t);
    show_head(m, p, t, &s);
    show_credentials(m, c, descriptor_slots(p));
    show_numbers(m, &s);
    show_memory(m, &s);
    seq_printf(m, "Threads:\t%u\nSigQ:\t%d/%llu\n", s.threads,
               atomic_read(&c->user->queued_signals),
               (unsigned long long)p->limits[RLIMIT_SIGPENDING].rlim_cur);
    show_signals(m, &s);
    show_capabilities(m, c);
    seq_printf(m, "NoNewPrivs:\t%d\nSeccomp:\t0\n", p->no_new_privileges);
    show_affinity(m, t);
    seq_printf(m, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
               (unsigned long long)t->voluntary_switches,
               (unsigned long long)t->involuntary_switches);
    cred_put(c);
    thread_put(t);
    return 0;
}
