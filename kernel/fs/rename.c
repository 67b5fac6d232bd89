/* SPDX-License-Identifier: MIT */
/*
 * rename(2).
 *
 * Two directories are locked, the ancestor first if one is above the other. A directory that moves
 * could become its own ancestor if another moved at the same time, so moves between directories
 * are made one after the other (rename_mutex). The name that is replaced, if a directory, is locked
 * last, so that it stays empty.
 *
 * RENAME_WHITEOUT leaves a device 0:0 under the old name: to an overlay, a name that is not there. It is
 * made before the move, which nothing can undo, and found by others only after it.
 */
#include "internal.h"
#include <vellum/notify.h>
#include <vellum/syscall.h>

struct move {
    struct walk *from_walk, *to_walk;
    struct dentry *from_parent, *to_parent;
    struct dentry *from, *to;
    unsigned flags;
};

/* The child of `above` on the way down to d, or NULL if d is not below it. => rename_mutex */
static struct dentry *child_towards(struct dentry *above, struct dentry *d)
{
    for (; d != d->parent; d = d->parent)
        if (d->parent == above)
            return d;
    return NULL;
}

static void lock_both(struct dentry *a, struct dentry *b)
{
    struct mutex *first = &a->inode->mutex, *second = &b->inode->mutex;

    if (a == b) {
        mutex_lock(first);
        return;
    }
    mutex_lock(&rename_mutex);
    if (child_towards(b, a) || (!child_towards(a, b) && first > second))
        SWAP(first, second);
    mutex_lock(first);
    mutex_lock_nested(second, 1);
}

static void unlock_both(struct dentry *a, struct dentry *b)
{
    mutex_unlock(&a->inode->mutex);
    if (a == b)
        return;
    mutex_unlock(&b->inode->mutex);
    mutex_unlock(&rename_mutex);
}

/* What may not be, whoever asks. */
static int move_check_shape(const struct move *m)
{
    bool exchange = m->flags & RENAME_EXCHANGE;

    if (m->to->inode && (m->flags & RENAME_NOREPLACE))
        return -EEXIST;
    if (exchange && !m->to->inode)
        return -ENOENT;
    if (exchange && !IS_DIR(m->to->inode) && m->to_walk->trailing_slash)
        return -ENOTDIR;
    if (!IS_DIR(m->from->inode)) {
        if (m->from_walk->trailing_slash || (!exchange && m->to_walk->trailing_slash))
            return -ENOTDIR;
    }
    if (m->from_parent == m->to_parent)
        return 0;
    if (dentry_is_below(m->to_parent, m->from))
        return -EINVAL; /* into itself */
    if (m->to->inode && dentry_is_below(m->from_parent, m->to))
        return exchange ? -EINVAL : -ENOTEMPTY;
    return 0;
}

static int move_check_permission(const struct move *m)
{
    struct mount *mount = m->from_walk->path.mount;
    struct inode *from_dir = m->from_parent->inode, *to_dir = m->to_parent->inode;
    bool is_dir = IS_DIR(m->from->inode);
    int error = may_delete(mount, from_dir, m->from, is_dir);

    if (!error && !m->to->inode)
        error = may_create(mount, to_dir);
    else if (!error)
        error = may_delete(mount, to_dir, m->to,
                           m->flags & RENAME_EXCHANGE ? IS_DIR(m->to->inode) : is_dir);
    if (error || from_dir == to_dir)
        return error;
    if (is_dir) /* its ".." changes */
        error = inode_permission(m->from->inode, MAY_WRITE);
    if (!error && (m->flags & RENAME_EXCHANGE) && IS_DIR(m->to->inode))
        error = inode_permission(m->to->inode, MAY_WRITE);
    return error;
}

static void tell_move(const struct walk *from, const struct walk *to, struct inode *moved)
{
    u32 cookie = notify_cookie();

    notify_name(from->path.dentry->inode, IN_MOVED_FROM, &from->last, IS_DIR(moved), cookie);
    notify_name(to->path.dentry->inode, IN_MOVED_TO, &to->last, IS_DIR(moved), cookie);
    notify_inode(moved, IN_MOVE_SELF);
}

static void tell_watchers(const struct move *m, struct inode *replaced)
{
    tell_move(m->from_walk, m->to_walk, m->from->inode);
    if (m->flags & RENAME_EXCHANGE)
        tell_move(m->to_walk, m->from_walk, replaced);
    else if (replaced)
        notify_inode(replaced, IN_ATTRIB); /* one name less */
}

/* What stays under the old name, not to be found yet; NULL: nothing. err_ptr */
static struct dentry *make_whiteout(const struct move *m)
{
    struct inode *dir = m->from_parent->inode;
    struct dentry *d;
    int error;

    if (!(m->flags & RENAME_WHITEOUT))
        return NULL;
    if (!(dir->sb->flags & SB_DENTRIES_ARE_HOME) || !dir->ops->create)
        return err_ptr(-EINVAL);
    d = dentry_alloc(m->from_parent, &m->from->name);
    if (!d)
        return err_ptr(-ENOMEM);
    error = dir->ops->create(dir, d, S_IFCHR, 0);
    if (!error)
        return d;
    dentry_put(d);
    return err_ptr(error);
}

/* The move did not come about, and the whiteout goes. */
static void drop_whiteout(const struct move *m, struct dentry *d)
{
    struct inode *dir = m->from_parent->inode;

    dir->ops->unlink(dir, d);
    dentry_put(d);
}

static int rename_plainly(const struct move *m)
{
    struct inode *dir = m->from_parent->inode;

    return dir->ops->rename(dir, m->from, m->to_parent->inode, m->to, m->flags);
}

/* What had the new name goes. */
static int rename_over(const struct move *m)
{
    struct inode *replaced = m->to->inode;
    int error = dentry_begin_removal(m->to);

    if (error)
        return error;
    if (IS_DIR(replaced))
        mutex_lock_nested(&replaced->mutex, 2);
    error = rename_plainly(m);
    if (IS_DIR(replaced))
        mutex_unlock(&replaced->mutex);
    if (error)
        dentry_keep(m->to);
    return error;
}

/* => both directories locked, m->from and m->to looked up */
static int move_do(struct move *m)
{
    struct inode *from_dir = m->from_parent->inode;
    struct inode *replaced = m->to->inode;
    bool exchange = m->flags & RENAME_EXCHANGE;
    struct dentry *whiteout;
    int error = move_check_shape(m);

    if (error)
        return error;
    if (m->from->inode == replaced) /* two names of one file: nothing to do */
        return 0;
    error = move_check_permission(m);
    if (error)
        return error;
    if ((m->from->flags | m->to->flags) & DENTRY_MOUNTED)
        return -EBUSY;
    if (!from_dir->ops->rename)
        return -EPERM;
    whiteout = make_whiteout(m);
    if (is_err(whiteout))
        return ptr_err(whiteout);
    error = replaced && !exchange ? rename_over(m) : rename_plainly(m);
    if (error) {
        if (whiteout)
            drop_whiteout(m, whiteout);
        return error;
    }
    if (exchange)
        dentry_exchange(m->from, m->to);
    else
        dentry_move(m->from, m->to);
    if (whiteout) {
        dentry_created(whiteout);
        dentry_put(whiteout);
    }
    if (notify_wanted())
        tell_watchers(m, replaced);
    return 0;
}

static int move_lookup(struct move *m)
{
    m->from = lookup_one(m->from_parent, &m->from_walk->last, true);
    if (!m->from || is_err(m->from))
        return m->from ? ptr_err(m->from) : -ENOENT;
    m->to = lookup_one(m->to_parent, &m->to_walk->last, true);
    if (!m->to) {
        if (m->to_parent->inode->nlink == 0)
            m->to = err_ptr(-ENOENT);
        else
            m->to = dentry_alloc(m->to_parent, &m->to_walk->last);
    }
    if (!m->to || is_err(m->to)) {
        dentry_put(m->from);
        return m->to ? ptr_err(m->to) : -ENOMEM;
    }
    return 0;
}

static int rename_walked(struct walk *from, struct walk *to, unsigned flags)
{
    struct move m = {.from_walk = from,
                     .to_walk = to,
                     .from_parent = from->path.dentry,
                     .to_parent = to->path.dentry,
                     .flags = flags};
    int error;

    if (from->path.mount != to->path.mount)
        return -EXDEV;
    if (from->last_type != LAST_NAME)
        return -EBUSY;
    if (to->last_type != LAST_NAME)
        return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    error = mount_want_write(from->path.mount);
    if (error)
        return error;
    lock_both(m.from_parent, m.to_parent);
    error = move_lookup(&m);
    if (!error)
        error = m.from->inode ? move_do(&m) : -ENOENT;
    else
        m.from = m.to = NULL;
    unlock_both(m.from_parent, m.to_parent);
    if (m.from) {
        dentry_put(m.from);
        dentry_put(m.to);
    }
    return error;
}

static long do_rename(int from_dirfd, const char __user *from, int to_dirfd, const char __user *to,
                      unsigned flags)
{
    struct user_walk f, t;
    int error;

    if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
        return -EINVAL;
    if ((flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) && (flags & RENAME_EXCHANGE))
        return -EINVAL;
    error = user_walk(&f, from_dirfd, from, LOOKUP_PARENT);
    if (!error) {
        error = user_walk(&t, to_dirfd, to, LOOKUP_PARENT);
        if (!error)
            error = rename_walked(&f.walk, &t.walk, flags);
        user_walk_end(&t);
    }
    user_walk_end(&f);
    return error;
}

SYSCALL_DEFINE2(rename, const char __user *, from, const char __user *, to)
{
    return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}

SYSCALL_DEFINE4(renameat, int, from_dirfd, const char __user *, from, int, to_dirfd,
                const char __user *, to)
{
    return do_rename(from_dirfd, from, to_dirfd, to, 0);
}

SYSCALL_DEFINE5(renameat2, int, from_dirfd, const char __user *, from, int, to_dirfd,
                const char __user *, to, unsigned, flags)
{
    return do_rename(from_dirfd, from, to_dirfd, to, flags);
}
