/* SPDX-License-Identifier: MIT */
/*
 * /proc itself: the files about the whole system, and a directory for each process.
 */
#include "internal.h"
#include <vellum/error.h>
#include <vellum/format.h>

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

#define DIRECTORY(n, c)                                                                            \
    {                                                                                              \
        .name = n, .mode = S_IFDIR | 0555, .children = c                                           \
    }
#define LINK(n, fn)                                                                                \
    {                                                                                              \
        .name = n, .mode = S_IFLNK | 0777, .link = fn                                              \
    }
#define TEXT(n, m, fn)                                                                             \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = fn                                               \
    }

const struct proc_entry root_entries[] = {
    LINK("self", self_link),
    LINK("thread-self", thread_self_link),
    LINK("mounts", mounts_link),
    DIRECTORY("sys", sys_entries),
    TEXT("buddyinfo", 0444, proc_show_buddyinfo),
    TEXT("cmdline", 0444, proc_show_command_line),
    TEXT("cpuinfo", 0444, proc_show_cpuinfo),
    TEXT("filesystems", 0444, proc_show_filesystems),
    TEXT("interrupts", 0444, proc_show_interrupts),
    TEXT("loadavg", 0444, proc_show_loadavg),
    TEXT("meminfo", 0444, proc_show_meminfo),
    TEXT("slabinfo", 0400, proc_show_slabinfo),
    TEXT("stat", 0444, proc_show_system_stat),
    TEXT("uptime", 0444, proc_show_uptime),
    TEXT("version", 0444, proc_show_version),
    TEXT("vmstat", 0444, proc_show_vmstat),
    {0},
};

struct inode *proc_root_lookup(struct super_block *sb, struct proc_inode *dir, const char *name)
{
    int pid = proc_number(name);
    struct process *p = pid > 0 ? process_find(pid) : NULL;
    struct inode *inode;

    if (!p)
        return NULL;
    inode = proc_make(sb, &process_directory, p, NULL, -1);
    process_put(p);
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
