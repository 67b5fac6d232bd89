/* SPDX-License-Identifier: MIT */
/*
 * Smaller texts about one process (proc(5)): limits, cmdline, environ, comm, oom_score_adj ...
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/string.h>

#define OOM_NEVER (-1000) /* oom_score_adj of a process that is not to be killed */

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
    struct thread *t = proc_subject(pi);

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
    t = proc_subject(pi);
    if (!t)
        return -ESRCH;
    strlcpy(t->comm, text, sizeof(t->comm));
    thread_put(t);
    return 0;
}

/* ---- who goes first when memory runs out ----------------------------------------------------------- */

int proc_show_oom_score(struct seq_file *m, struct proc_inode *pi)
{
    seq_printf(m, "%d\n", process_oom_score(pi->process));
    return 0;
}

/* Which memory a core dump shows, as bits (core(5)). */
int proc_show_core_filter(struct seq_file *m, struct proc_inode *pi)
{
    seq_printf(m, "%08x\n", pi->process->core_filter);
    return 0;
}

ssize_t proc_write_core_filter(struct proc_inode *pi, char *text, size_t n)
{
    s64 value;
    int error = proc_parse(text, 0, UINT32_MAX, &value);

    if (!error)
        WRITE_ONCE(pi->process->core_filter, value & 0x1ff); /* nine kinds of memory are known */
    return error;
}

int proc_show_oom_score_adj(struct seq_file *m, struct proc_inode *pi)
{
    seq_printf(m, "%d\n", pi->process->oom_score_adj);
    return 0;
}

ssize_t proc_write_oom_score_adj(struct proc_inode *pi, char *text, size_t n)
{
    s64 value;
    int error = proc_parse(text, OOM_NEVER, -OOM_NEVER, &value);

    if (error)
        return error;
    if (value < pi->process->oom_score_adj && !capable(CAP_SYS_RESOURCE))
        return -EACCES;
    WRITE_ONCE(pi->process->oom_score_adj, value);
    return 0;
}

/* ---- smaller still ---------------------------------------------------------------------------------- */

int proc_show_personality(struct seq_file *m, struct proc_inode *pi)
{
    if (!proc_may_look(pi->process))
        return -EACCES;
    seq_printf(m, "%08lx\n", pi->process->personality);
    return 0;
}

/* There are no control groups but the one that holds all. */
int proc_show_cgroup(struct seq_file *m, struct proc_inode *pi)
{
    seq_puts(m, "0::/\n");
    return 0;
}

/* Another's slack is for those who may control it (CAP_SYS_NICE). */
static bool may_change_slack(struct proc_inode *pi)
{
    return pi->process == current->process || capable(CAP_SYS_NICE);
}

int proc_show_timer_slack(struct seq_file *m, struct proc_inode *pi)
{
    struct thread *t;

    if (!may_change_slack(pi))
        return -EPERM;
    t = proc_subject(pi);
    if (!t)
        return -ESRCH;
    seq_printf(m, "%llu\n", (unsigned long long)t->timer_slack);
    thread_put(t);
    return 0;
}

ssize_t proc_write_timer_slack(struct proc_inode *pi, char *text, size_t n)
{
    struct thread *t;
    u64 value;

    text[strcspn(text, " \t\n")] = '\0';
    if (str_to_u64(text, 10, &value) != 0)
        return -EINVAL;
    if (!may_change_slack(pi))
        return -EPERM;
    t = proc_subject(pi);
    if (!t)
        return -ESRCH;
    WRITE_ONCE(t->timer_slack, value ? value : TIMER_SLACK_DEFAULT);
    thread_put(t);
    return 0;
}
