/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID: its list of files, the links to what the process uses, and the directory of its threads.
 */
#include "internal.h"
#include <vellum/error.h>
#include <vellum/mm.h>
#include <linux/fs.h>

/* ---- links to objects ------------------------------------------------------------------------------- */

static int exe_follow(struct proc_inode *pi, struct path *target)
{
    struct mm *mm = process_mm(pi->process);
    int r = -ENOENT;

    if (!mm)
        return r;
    read_lock(&mm->lock);
    if (mm->exe) {
        *target = mm->exe->path;
        path_get(target);
        r = 0;
    }
    read_unlock(&mm->lock);
    mm_put(mm);
    return r;
}

static int context_follow(struct proc_inode *pi, struct path *target, bool root)
{
    struct fs_context *fs = process_fs_context(pi->process);

    if (!fs)
        return -ENOENT;
    spin_lock(&fs->lock);
    *target = root ? fs->root : fs->cwd;
    path_get(target);
    spin_unlock(&fs->lock);
    fs_context_put(fs);
    return 0;
}

static int cwd_follow(struct proc_inode *pi, struct path *target)
{
    return context_follow(pi, target, false);
}

static int root_follow(struct proc_inode *pi, struct path *target)
{
    return context_follow(pi, target, true);
}

/* ---- task ------------------------------------------------------------------------------------------------ */

static const struct proc_entry thread_directory;

static struct inode *task_lookup(struct super_block *sb, struct proc_inode *dir, const char *name)
{
    int tid = proc_number(name);
    struct thread *t = tid > 0 ? thread_find(tid) : NULL;
    struct inode *inode = NULL;

    if (t && t->process == dir->process) {
        inode = proc_make(sb, &thread_directory, dir->process, t, -1);
        if (!inode)
            inode = err_ptr(-ENOMEM);
    }
    if (t)
        thread_put(t);
    return inode;
}

/* The least thread id >= from, or 0. */
static pid_t next_tid(struct process *p, pid_t from)
{
    unsigned long flags = spin_lock_irqsave(&p->lock);
    struct thread *t;
    pid_t best = 0;

    if (p->leader && p->leader->tid >= from) /* listed even if it has ended before the others */
        best = p->leader->tid;
    list_for_each_entry(t, &p->threads, thread_link)
        if (t->tid >= from && (best == 0 || t->tid < best))
            best = t->tid;
    spin_unlock_irqrestore(&p->lock, flags);
    return best;
}

static int task_read_dir(struct proc_inode *dir, struct dir_context *ctx)
{
    pid_t tid;

    while ((tid = next_tid(dir->process, ctx->pos - PROC_DYNAMIC)) != 0) {
        ctx->pos = PROC_DYNAMIC + tid;
        if (!proc_emit_number(ctx, tid, S_IFDIR >> 12))
            break;
        ctx->pos++;
    }
    return 0;
}

/* ---- the tables ---------------------------------------------------------------------------------------------- */

static int show_mounts(struct seq_file *m, struct proc_inode *pi)
{
    mounts_show(m);
    return 0;
}

static int show_mountinfo(struct seq_file *m, struct proc_inode *pi)
{
    mountinfo_show(m);
    return 0;
}

static int show_mountstats(struct seq_file *m, struct proc_inode *pi)
{
    mountstats_show(m);
    return 0;
}

static int mounts_open(struct inode *inode, struct file *file)
{
    mounts_opened(file);
    return proc_text_open(inode, file);
}

static const struct file_ops mounts_ops = {
    .open = mounts_open,
    .read = seq_read,
    .poll = mounts_poll,
    .seek = seek_cookie,
    .release = seq_release,
};

#define MOUNTS(n, fn)                                                                              \
    {                                                                                              \
        .name = n, .mode = S_IFREG | 0444, .show = fn, .file_ops = &mounts_ops                     \
    }
#define JUMP(n, fn)                                                                                \
    {                                                                                              \
        .name = n, .mode = S_IFLNK | 0777, .follow = fn, .private = true                           \
    }

/* What a process and each of its threads have. */
#define COMMON                                                                                     \
    PROC_PRIVATE("auxv", 0400, proc_show_auxv), PROC_TEXT("cgroup", 0444, proc_show_cgroup),       \
        PROC_TEXT("cmdline", 0444, proc_show_cmdline),                                             \
        PROC_KNOB("comm", 0644, proc_show_comm, proc_write_comm), JUMP("cwd", cwd_follow),         \
        PROC_PRIVATE("environ", 0400, proc_show_environ), JUMP("exe", exe_follow),                 \
        PROC_TEXT("faults", 0444, proc_show_faults), PROC_TEXT("io", 0400, proc_show_io),          \
        PROC_TEXT("limits", 0444, proc_show_limits), PROC_PRIVATE("maps", 0444, proc_show_maps),   \
        {.name = "mem", .mode = S_IFREG | 0600, .file_ops = &proc_mem_ops, .private = true},       \
        MOUNTS("mountinfo", show_mountinfo), MOUNTS("mounts", show_mounts),                        \
        PROC_DIRECTORY("net", proc_net_entries),                                                   \
        PROC_TEXT("oom_score", 0444, proc_show_oom_score),                                         \
        PROC_KNOB("oom_score_adj", 0644, proc_show_oom_score_adj, proc_write_oom_score_adj),       \
        {.name = "pagemap",                                                                        \
         .mode = S_IFREG | 0400,                                                                   \
         .file_ops = &proc_pagemap_ops,                                                            \
         .private = true},                                                                         \
        PROC_TEXT("personality", 0400, proc_show_personality), JUMP("root", root_follow),          \
        PROC_TEXT("sched", 0444, proc_show_sched),                                                 \
        PROC_TEXT("schedstat", 0444, proc_show_schedstat),                                         \
        PROC_PRIVATE("smaps", 0444, proc_show_smaps),                                              \
        PROC_PRIVATE("smaps_rollup", 0444, proc_show_smaps_rollup),                                \
        PROC_TEXT("stack", 0400, proc_show_stack), PROC_TEXT("stat", 0444, proc_show_stat),        \
        PROC_TEXT("statm", 0444, proc_show_statm), PROC_TEXT("status", 0444, proc_show_status),    \
        PROC_TEXT("syscall", 0400, proc_show_syscall), PROC_TEXT("wchan", 0444, proc_show_wchan)

#define PRIVATE_DIRECTORY(n, m, l, r)                                                              \
    {                                                                                              \
        .name = n, .mode = S_IFDIR | (m), .lookup = l, .read_dir = r, .private = true              \
    }
#define NAMESPACES                                                                                 \
    {                                                                                              \
        .name = "ns", .mode = S_IFDIR | 0511, .children = proc_ns_entries, .private = true         \
    }
#define DESCRIPTORS                                                                                \
    PRIVATE_DIRECTORY("fd", 0500, proc_fd_lookup, proc_fd_read_dir),                               \
        PRIVATE_DIRECTORY("fdinfo", 0555, proc_fdinfo_lookup, proc_fd_read_dir)

static const struct proc_entry thread_entries[] = {COMMON, DESCRIPTORS, NAMESPACES, {0}};
static const struct proc_entry thread_directory = {
    .name = "", .mode = S_IFDIR | 0555, .children = thread_entries};

static const struct proc_entry process_entries[] = {
    COMMON,
    DESCRIPTORS,
    NAMESPACES,
    PROC_KNOB("coredump_filter", 0644, proc_show_core_filter, proc_write_core_filter),
    {.name = "clear_refs", .mode = S_IFREG | 0200, .write = proc_write_clear_refs},
    PRIVATE_DIRECTORY("map_files", 0500, proc_map_lookup, proc_map_read_dir),
    PROC_TEXT("mountstats", 0400, show_mountstats),
    {.name = "task", .mode = S_IFDIR | 0555, .lookup = task_lookup, .read_dir = task_read_dir},
    PROC_KNOB("timerslack_ns", 0666, proc_show_timer_slack, proc_write_timer_slack),
    {0},
};
const struct proc_entry process_directory = {
    .name = "", .mode = S_IFDIR | 0555, .children = process_entries};
