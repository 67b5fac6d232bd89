/* SPDX-License-Identifier: MIT */
/*
 * /proc itself: the files about the whole system, and a directory for each process.
 */
#include "internal.h"
#include <vellum/block.h>
#include <vellum/error.h>
#include <vellum/format.h>
#include <vellum/provoke.h>

static const char *self_link(struct proc_inode *pi, char *buffer)
{
    snprintf(buffer, 32, "%d", current->process->pid);
    return buffer;
}

static const char *thread_self_link(struct proc_inode *pi, char *buffer)
{
    snprintf(buffer, 48, "%d/task/%d", current->process->pid, current->tid);
    return buffer;
}

static const char *mounts_link(struct proc_inode *pi, char *buffer)
{
    snprintf(buffer, 32, "self/mounts");
    return buffer;
}

static const char *net_link(struct proc_inode *pi, char *buffer)
{
    snprintf(buffer, 32, "self/net");
    return buffer;
}

static int proc_show_unix(struct seq_file *m, struct proc_inode *pi)
{
    unix_sockets_show(m);
    return 0;
}

const struct proc_entry proc_net_entries[] = {PROC_TEXT("unix", 0444, proc_show_unix), {0}};

static int proc_show_nothing(struct seq_file *m, struct proc_inode *pi)
{
    return 0;
}

static int show_provoke_crash(struct seq_file *m, struct proc_inode *pi)
{
    provoke_show(m);
    return 0;
}

static ssize_t write_provoke_crash(struct proc_inode *pi, char *text, size_t n)
{
    proc_trim_newline(text, n);
    return provoke_crash(text);
}

static int proc_show_execdomains(struct seq_file *m, struct proc_inode *pi)
{
    seq_puts(m, "0-0\tLinux           \t[kernel]\n");
    return 0;
}

static int proc_show_locks(struct seq_file *m, struct proc_inode *pi)
{
    locks_show(m);
    return 0;
}

static int proc_show_diskstats(struct seq_file *m, struct proc_inode *pi)
{
    block_diskstats_show(m);
    return 0;
}

static int proc_show_partitions(struct seq_file *m, struct proc_inode *pi)
{
    block_partitions_show(m);
    return 0;
}

static const struct proc_entry tty_entries[] = {
    PROC_TEXT("drivers", 0400, proc_show_tty_drivers),
    {0},
};

/* Without modules and devices of the kind "misc" their files are empty. */
const struct proc_entry root_entries[] = {
    PROC_LINK("self", self_link),
    PROC_LINK("thread-self", thread_self_link),
    PROC_LINK("mounts", mounts_link),
    PROC_LINK("net", net_link),
    PROC_DIRECTORY("sys", sys_entries),
    PROC_DIRECTORY("tty", tty_entries),
    PROC_TEXT("buddyinfo", 0444, proc_show_buddyinfo),
    PROC_TEXT("pagetypeinfo", 0400, proc_show_pagetypeinfo),
    PROC_TEXT("cmdline", 0444, proc_show_command_line),
    PROC_TEXT("consoles", 0444, proc_show_consoles),
    PROC_TEXT("cpuinfo", 0444, proc_show_cpuinfo),
    PROC_TEXT("devices", 0444, proc_show_devices),
    PROC_TEXT("diskstats", 0444, proc_show_diskstats),
    PROC_TEXT("execdomains", 0444, proc_show_execdomains),
    PROC_TEXT("filesystems", 0444, proc_show_filesystems),
    PROC_TEXT("interrupts", 0444, proc_show_interrupts),
    PROC_TEXT("iomem", 0444, proc_show_iomem),
    {.name = "kmsg", .mode = S_IFREG | 0400, .file_ops = &proc_kmsg_ops},
    {.name = "kpagecount", .mode = S_IFREG | 0400, .file_ops = &proc_kpagecount_ops},
    {.name = "kpageflags", .mode = S_IFREG | 0400, .file_ops = &proc_kpageflags_ops},
    PROC_TEXT("loadavg", 0444, proc_show_loadavg),
    PROC_TEXT("locks", 0444, proc_show_locks),
    PROC_TEXT("meminfo", 0444, proc_show_meminfo),
    PROC_TEXT("misc", 0444, proc_show_nothing),
    PROC_TEXT("modules", 0444, proc_show_nothing),
    PROC_TEXT("partitions", 0444, proc_show_partitions),
    {.name = "provoke_crash",
     .mode = S_IFREG | 0600,
     .show = show_provoke_crash,
     .write = write_provoke_crash},
    PROC_TEXT("slabinfo", 0400, proc_show_slabinfo),
    PROC_TEXT("stat", 0444, proc_show_system_stat),
    PROC_TEXT("swaps", 0444, proc_show_swaps),
    PROC_TEXT("uptime", 0444, proc_show_uptime),
    PROC_TEXT("version", 0444, proc_show_version),
    PROC_TEXT("vmstat", 0444, proc_show_vmstat),
    PROC_TEXT("zoneinfo", 0444, proc_show_zoneinfo),
    {0},
};

/* A thread that is not the first of its process is found as well, though not listed. */
struct inode *proc_root_lookup(struct super_block *sb, struct proc_inode *dir, const char *name)
{
    int tid = proc_number(name);
    struct thread *t = tid > 0 ? thread_find(tid) : NULL;
    struct inode *inode;

    if (!t)
        return NULL;
    inode = proc_make(sb, &process_directory, t->process, t->process->pid == tid ? NULL : t, -1);
    thread_put(t);
    return inode ? inode : err_ptr(-ENOMEM);
}

int proc_root_read_dir(struct proc_inode *dir, struct dir_context *ctx)
{
    struct process *p;

    while ((p = process_next(ctx->pos - PROC_DYNAMIC)) != NULL) {
        pid_t pid = p->pid;

        process_put(p);
        ctx->pos = PROC_DYNAMIC + pid;
        if (!proc_emit_number(ctx, pid, S_IFDIR >> 12))
            return 0;
        ctx->pos = PROC_DYNAMIC + pid + 1;
    }
    return 0;
}
