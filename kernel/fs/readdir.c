/* SPDX-License-Identifier: MIT */
/*
 * getdents64(2), and the reading of directories that are made of dentries.
 *
 * In such a directory every name has a position that grows with each new one and never changes; the
 * children stand in that order. The file remembers the child behind which it stopped; if that is gone
 * meanwhile the place is searched for from the front. So a name that is there all the time is
 * reported exactly once, whatever comes and goes beside it.
 */
#include "internal.h"
#include <vellum/notify.h>
#include <vellum/syscall.h>
#include <linux/types.h>

/* <dirent.h>'s; UAPI headers have them nowhere. */
enum { DT_UNKNOWN = 0 };
static inline unsigned type_of_mode(mode_t mode)
{
    return (mode & S_IFMT) >> 12;
}

/* linux/dirent.h is not exported: the layouts are those of getdents(2). */
struct dirent64 {
    u64 ino;
    s64 offset;
    u16 length;
    u8 type;
    char name[];
};

struct dirent_old {
    unsigned long ino;
    unsigned long offset;
    u16 length;
    char name[]; /* then the type, in the last byte of the record */
};

struct user_dir_context {
    struct dir_context ctx;
    char __user *at;
    size_t room;
    loff_t __user *last_offset; /* of the previous record: it gets the position of the next entry */
    int error;
    bool old;
};

/* A record is built here and copied in one go. */
static bool emit_to_user(struct dir_context *ctx, const char *name, unsigned length, u64 ino,
                         unsigned type)
{
    struct user_dir_context *u = container_of(ctx, struct user_dir_context, ctx);
    size_t header = u->old ? offsetof(struct dirent_old, name) : offsetof(struct dirent64, name);
    size_t size = ALIGN_UP(header + length + 1 + (u->old ? 1 : 0), 8);
    char record[ALIGN_UP(sizeof(struct dirent64) + NAME_MAX + 2, 8) + 8] __aligned(8);
    struct dirent64 *d = (struct dirent64 *)record;

    u->error = -EINVAL; /* if not even one fits */
    if (size > u->room)
        return false;
    *(u64 *)(record + size - 8) = 0;
    d->ino = ino;
    d->offset = 0;
    d->length = size;
    memcpy(record + header, name, length);
    record[header + length] = 0;
    if (u->old)
        record[size - 1] = type;
    else
        d->type = type;
    u->error = -EFAULT;
    if (u->last_offset && put_user(ctx->pos, u->last_offset))
        return false;
    if (copy_to_user(u->at, record, size))
        return false;
    u->last_offset = (loff_t __user *)(u->at + offsetof(struct dirent64, offset));
    u->at += size;
    u->room -= size;
    return true;
}

static long do_getdents(unsigned fd, char __user *buffer, unsigned size, bool old)
{
    struct fd_ref ref = fd_get(fd);
    struct user_dir_context u = {.ctx.emit = emit_to_user, .at = buffer, .room = size, .old = old};
    struct file *file = ref.file;
    struct inode *inode;
    long result;

    if (!file)
        return -EBADF;
    inode = file->inode;
    result = -ENOTDIR;
    if (!file->ops->read_dir)
        goto out;
    mutex_lock(&file->pos_mutex);
    mutex_lock(&inode->mutex);
    u.ctx.pos = file->pos;
    result = -ENOENT;
    if (inode->nlink) { /* it was not removed */
        result = file->ops->read_dir(file, &u.ctx);
        file->pos = u.ctx.pos;
    }
    mutex_unlock(&inode->mutex);
    mutex_unlock(&file->pos_mutex);
    file_accessed(file);
    notify_file(file, IN_ACCESS);
    if (!result && u.last_offset) {
        result = size - u.room;
        if (put_user(u.ctx.pos, u.last_offset))
            result = -EFAULT;
    } else if (!result) {
        result = u.error;
    }
out:
    fd_put(ref);
    return result;
}

SYSCALL_DEFINE3(getdents64, unsigned, fd, char __user *, buffer, unsigned, size)
{
    return do_getdents(fd, buffer, size, false);
}

SYSCALL_DEFINE3(getdents, unsigned, fd, char __user *, buffer, unsigned, size)
{
    return do_getdents(fd, buffer, size, true);
}

/* A rename may give the directory another parent at any time, and the old one may be removed then. */
static u64 parent_number(struct dentry *d)
{
    u64 ino;

    spin_lock(&d->lock);
    ino = d->parent->inode->ino;
    spin_unlock(&d->lock);
    return ino;
}

bool dir_emit_dots(struct file *file, struct dir_context *ctx)
{
    struct dentry *d = file->path.dentry;

    if (ctx->pos == 0) {
        if (!ctx->emit(ctx, ".", 1, d->inode->ino, type_of_mode(S_IFDIR)))
            return false;
        ctx->pos = 1;
    }
    if (ctx->pos == 1) {
        if (!ctx->emit(ctx, "..", 2, parent_number(d), type_of_mode(S_IFDIR)))
            return false;
        ctx->pos = 2;
    }
    return true;
}

/* ---- directories made of dentries ---------------------------------------------------------------------- */

/* Cookies of children begin behind those of the dots. */
#define FIRST_COOKIE 2
static inline loff_t cookie_of(const struct dentry *d)
{
    return d->position + FIRST_COOKIE - 1;
}

/* The first child at or behind pos. => directory's mutex */
static struct dentry *child_at(struct file *file, loff_t pos)
{
    struct dentry *dir = file->path.dentry, *last = file->private_data, *d;

    if (last && last->parent == dir && !list_empty(&last->sibling) && cookie_of(last) == pos - 1) {
        return last->sibling.next == &dir->children ? NULL : list_next_entry(last, sibling);
    }
    list_for_each_entry(d, &dir->children, sibling)
        if (cookie_of(d) >= pos)
            return d;
    return NULL;
}

static void remember(struct file *file, struct dentry *d)
{
    struct dentry *old = file->private_data;

    if (old == d)
        return;
    file->private_data = d ? dentry_get(d) : NULL;
    if (old)
        dentry_put(old);
}

static int dentry_read_dir(struct file *file, struct dir_context *ctx)
{
    struct dentry *dir = file->path.dentry, *d, *last = NULL;

    if (!dir_emit_dots(file, ctx))
        return 0;
    for (d = child_at(file, ctx->pos); d; d = list_next_entry(d, sibling)) {
        if (!ctx->emit(ctx, d->name.text, d->name.length, d->inode->ino,
                       type_of_mode(d->inode->mode)))
            break;
        ctx->pos = cookie_of(d) + 1;
        last = d;
        if (d->sibling.next == &dir->children)
            break;
    }
    if (last)
        remember(file, last);
    return 0;
}

static void dentry_directory_release(struct file *file)
{
    remember(file, NULL);
}

static int fsync_nothing(struct file *file, loff_t start, loff_t end, bool data_only)
{
    return 0;
}

const struct file_ops dentry_directory_ops = {
    .seek = seek_cookie,
    .read_dir = dentry_read_dir,
    .release = dentry_directory_release,
    .fsync = fsync_nothing,
};
