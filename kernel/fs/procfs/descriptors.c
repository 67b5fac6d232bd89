/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/fd, fdinfo and map_files: what a process has open and mapped, as links that lead there.
 */
#include "internal.h"
#include <vellum/error.h>
#include <vellum/format.h>
#include <vellum/mm.h>
#include <vellum/string.h>
#include <linux/fs.h>

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

static int show_fdinfo(struct seq_file *m, struct proc_inode *pi)
{
    struct files *files = process_files(pi->process);
    struct file *f = files ? files_lookup(files, pi->fd) : NULL;

    if (f) {
        bool cloexec = files_is_close_on_exec(files, pi->fd);

        seq_printf(m, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%llu\n", (long long)f->pos,
                   f->flags | (cloexec ? O_CLOEXEC : 0), f->path.mount ? f->path.mount->id : 0,
                   (unsigned long long)f->inode->ino);
        locks_show_file(m, f, files);
        if (f->ops->show_fdinfo)
            f->ops->show_fdinfo(f, m);
        file_put(f);
    }
    if (files)
        files_put(files);
    return f ? 0 : -ENOENT;
}

static const struct proc_entry fd_entry = {
    .name = "", .mode = S_IFLNK | 0700, .follow = fd_follow, .private = true};
static const struct proc_entry fdinfo_entry = {

    .name = "", .mode = S_IFREG | 0444, .show = show_fdinfo, .private = true};

static mode_t link_mode(const struct file *f)
{
    return S_IFLNK | (f->mode & FILE_READ ? 0500 : 0) | (f->mode & FILE_WRITE ? 0300 : 0);
}

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
        inode->mode = link_mode(f);
    file_put(f);
    return inode ? inode : err_ptr(-ENOMEM);
}

struct inode *proc_fd_lookup(struct super_block *sb, struct proc_inode *dir, const char *name)
{
    return descriptor_lookup(sb, dir, name, &fd_entry);
}

struct inode *proc_fdinfo_lookup(struct super_block *sb, struct proc_inode *dir, const char *name)
{
    return descriptor_lookup(sb, dir, name, &fdinfo_entry);
}

int proc_fd_read_dir(struct proc_inode *dir, struct dir_context *ctx)
{
    struct files *files = process_files(dir->process);
    unsigned type = dir->entry->lookup == proc_fd_lookup ? S_IFLNK >> 12 : S_IFREG >> 12;
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

/* Is the descriptor still open as what the inode says (and with the same mode)? */
bool proc_fd_valid(struct proc_inode *pi, mode_t mode)
{
    struct file *f = open_file(pi);
    bool valid = f && (!S_ISLNK(mode) || mode == link_mode(f));

    if (f)
        file_put(f);
    return valid;
}

/* ---- map_files ---------------------------------------------------------------------------------------- */

/* "start-end" in hexadecimal, without leading zeros. */
static int parse_range(const char *name, vaddr_t range[2])
{
    char text[40], *dash;

    if (strlcpy(text, name, sizeof(text)) >= sizeof(text))
        return -ENOENT;
    dash = strchr(text, '-');
    if (!dash || strchr(text, '\n'))
        return -ENOENT;
    *dash = '\0';
    for (unsigned i = 0; i < 2; i++) {
        const char *number = i ? dash + 1 : text;

        if (*number == '0' || *number == '+' || str_to_u64(number, 16, &range[i]) != 0)
            return -ENOENT;
    }
    return 0;
}

static struct vma *find_file_vma(struct mm *mm, vaddr_t start, vaddr_t end)
{
    struct vma *vma = vma_find_exact(mm, start);

    return vma && vma->file && vma->start == start && vma->end == end ? vma : NULL;
}

/* What is mapped at pi->range: 0 with its path in *target, or -ENOENT. */
static int map_target(struct proc_inode *pi, struct path *target)
{
    struct mm *mm = process_mm(pi->process);
    struct vma *vma;

    if (!mm)
        return -ENOENT;
    read_lock(&mm->lock);
    vma = find_file_vma(mm, pi->range[0], pi->range[1]);
    if (vma) {
        *target = vma->file->path;
        path_get(target);
    }
    read_unlock(&mm->lock);
    mm_put(mm);
    return vma ? 0 : -ENOENT;
}

static const struct proc_entry map_entry = {.name = "",
                                            .mode = S_IFLNK | 0400,
                                            .follow = map_target,
                                            .private = true,
                                            .follow_privileged = true};

struct inode *proc_map_lookup(struct super_block *sb, struct proc_inode *dir, const char *name)
{
    struct proc_inode probe = {.process = dir->process};
    struct path target;
    struct inode *inode;

    if (parse_range(name, probe.range) || map_target(&probe, &target))
        return NULL;
    path_put(&target);
    inode = proc_make(sb, &map_entry, dir->process, NULL, -1);
    if (!inode)
        return err_ptr(-ENOMEM);
    memcpy(proc_inode(inode)->range, probe.range, sizeof(probe.range));
    return inode;
}

/* Cookies are page numbers. */
int proc_map_read_dir(struct proc_inode *dir, struct dir_context *ctx)
{
    struct mm *mm = process_mm(dir->process);
    struct vma *vma;
    bool more = true;

    while (mm && more) {
        vaddr_t start = 0, end;

        read_lock(&mm->lock);
        vma = vma_find(mm, (vaddr_t)(ctx->pos - PROC_DYNAMIC) << PAGE_SHIFT);
        while (vma && !vma->file)
            vma = vma_next(vma);
        more = vma != NULL;
        if (more) {
            start = vma->start;
            end = vma->end;
        }
        read_unlock(&mm->lock);
        if (more) { /* the user's buffer may lie in this address space: not under its lock */
            char name[40];
            unsigned n = snprintf(name, sizeof(name), "%lx-%lx", start, end);

            more = ctx->emit(ctx, name, n, start >> PAGE_SHIFT, S_IFLNK >> 12);
            if (more)
                ctx->pos = PROC_DYNAMIC + (end >> PAGE_SHIFT);
        }
    }
    if (mm)
        mm_put(mm);
    return 0;
}

bool proc_map_valid(struct proc_inode *pi)
{
    struct path target;

    if (map_target(pi, &target))
        return false;
    path_put(&target);
    return true;
}
