/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID: its list of files, the links to what the process uses, and the directories fd, fdinfo
 * and task.
 */
#include "internal.h"
#include <vellum/error.h>
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

/* The open file behind descriptor pi->fd, with a reference; or NULL. */
static struct file *open_file(struct proc_inode *pi)
{
    struct files *files = process_files(pi->process);
    struct file *f;

    if (!files)
        return NULL;
    f = files_lookup(files, pi->fd);
    files_put(files);
    return f;
}

static int fd_follow(struct proc_inode *pi, struct path *target)
{
    struct file *f = open_file(pi);

    if (!f)
        return -ENOENT;
    *target = f->path;
    path_get(target);
    file_put(f);
    return 0;
}

/* ---- fd, fdinfo --------------------------------------------------------------------------------------- */

static const struct proc_entry fd_entry = {
    .name = "", .mode = S_IFLNK | 0700, .follow = fd_follow, .private = true};
static const struct proc_entry fdinfo_entry = {
    .name = "", .mode = S_IFREG | 0444, .show = proc_show_fdinfo, .private = true};

static struct inode *descriptor_lookup(struct super_block *sb, struct proc_inode *dir,
                                       const char *name, const struct proc_entry *entry)
{
    struct proc_inode probe = {.process = dir->process, .fd = proc_number(name)};
    struct file *f = probe.fd >= 0 ? open_file(&probe) : NULL;
    struct inode *inode;

    if (!f)
        return NULL;
    inode = proc_make(sb, entry, dir->process, NULL, probe.fd);
    if (inode && S_ISLNK(entry->mode))
        inode->mode =
            S_IFLNK | (f->mode & FILE_READ ? 0500 : 0) | (f->mode & FILE_WRITE ? 0300 : 0);
    file_put(f);
    return inode ? inode : err_ptr(-ENOMEM);
}

static struct inode *fd_lookup(struct super_block *sb, struct proc_inode *dir, const char *name)
{
    return descriptor_lookup(sb, dir, name, &fd_entry);
}

static struct inode *fdinfo_lookup(struct super_block *sb, struct proc_inode *dir, const char *name)
{
    return descriptor_lookup(sb, dir, name, &fdinfo_entry);
}

static int fd_read_dir(struct proc_inode *dir, struct dir_context *ctx)
{
    struct files *files = process_files(dir->process);
    unsigned type = dir->entry->lookup == fd_lookup ? S_IFLNK >> 12 : S_IFREG >> 12;
    int fd;

    if (!files)
        return 0;
    while ((fd = files_next(files, ctx->pos - PROC_DYNAMIC)) >= 0) {
        ctx->pos = PROC_DYNAMIC + fd;
        if (!proc_emit_number(ctx, fd, type))
            break;
        ctx->pos++;
    }
    files_put(files);
    return 0;
}

int proc_show_fdinfo(struct seq_file *m, struct proc_inode *pi)
{
    struct file *f = open_file(pi);
    struct files *files = process_files(pi->process);
    bool cloexec = files && files_is_close_on_exec(files, pi->fd);

    if (files)
        files_put(files);
    if (!f)
        return -ENOENT;
    seq_printf(m, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%llu\n", (long long)f->pos,
               f->flags | (cloexec ? O_CLOEXEC : 0), f->path.mount ? f->path.mount->id : 0,
               (unsigned long long)f->inode->ino);
    if (f->ops->show_fdinfo)
        f->ops->show_fdinfo(f, m);
    file_put(f);
    return 0;
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

#define TEXT(n, m, fn)                                                                             \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = fn                                               \
    }
#define PRIVATE(n, m, fn)                                                                          \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = fn, .private = true                              \
    }
#define JUMP(n, fn)                                                                                \
    {                                                                                              \
        .name = n, .mode = S_IFLNK | 0777, .follow = fn, .private = true                           \
    }
#define COMMON                                                                                     \
    TEXT("cmdline", 0444, proc_show_cmdline),                                                      \
        {.name = "comm",                                                                           \
         .mode = S_IFREG | 0644,                                                                   \
         .show = proc_show_comm,                                                                   \
         .write = proc_write_comm},                                                                \
        JUMP("cwd", cwd_follow), PRIVATE("environ", 0400, proc_show_environ),                      \
        JUMP("exe", exe_follow), PRIVATE("auxv", 0400, proc_show_auxv),                            \
        {.name = "fd",                                                                             \
         .mode = S_IFDIR | 0500,                                                                   \
         .lookup = fd_lookup,                                                                      \
         .read_dir = fd_read_dir,                                                                  \
         .private = true},                                                                         \
        {.name = "fdinfo",                                                                         \
         .mode = S_IFDIR | 0555,                                                                   \
         .lookup = fdinfo_lookup,                                                                  \
         .read_dir = fd_read_dir,                                                                  \
         .private = true},                                                                         \
        TEXT("limits", 0444, proc_show_limits), PRIVATE("maps", 0444, proc_show_maps),             \
        TEXT("mountinfo", 0444, show_mountinfo), TEXT("mounts", 0444, show_mounts),                \
        {.name = "oom_score_adj",                                                                  \
         .mode = S_IFREG | 0644,                                                                   \
         .show = proc_show_oom_score_adj,                                                          \
         .write = proc_write_oom_score_adj},                                                       \
        JUMP("root", root_follow), TEXT("stat", 0444, proc_show_stat),                             \
        TEXT("statm", 0444, proc_show_statm), TEXT("status", 0444, proc_show_status)

static const struct proc_entry thread_entries[] = {COMMON, {0}};
static const struct proc_entry thread_directory = {
    .name = "", .mode = S_IFDIR | 0555, .children = thread_entries};

static const struct proc_entry process_entries[] = {
    COMMON,
    {.name = "task", .mode = S_IFDIR | 0555, .lookup = task_lookup, .read_dir = task_read_dir},
    {0},
};
const struct proc_entry process_directory = {
    .name = "", .mode = S_IFDIR | 0555, .children = process_entries};
