/* SPDX-License-Identifier: MIT */
/*
 * The path walk (path_resolution(7)).
 *
 * A path is taken apart name by name. For each name: the directory must be one that may be searched,
 * the dentry cache is asked, and only if it does not know is the file system. What is found may be
 * covered by a mount (go to its root) or be a symbolic link (its text is walked next, then the rest
 * of the path). Nothing is allocated on the way, except for a link in the middle of a path.
 *
 *     walk_path("a/b/c")            start -> a -> b -> c             result: c
 *     walk_path(.., LOOKUP_PARENT)  start -> a -> b, last = "c"      result: b; walk_last() goes on
 *
 * One reference is held at each moment: the child's, which keeps its parent. The start is borrowed
 * where only the current thread could change it (fs_context and file table not shared).
 */
#include "internal.h"

void path_get(const struct path *p)
{
    mount_get(p->mount);
    dentry_get(p->dentry);
}

void path_put(const struct path *p)
{
    dentry_put(p->dentry);
    mount_put(p->mount);
}

/* ---- where we are ------------------------------------------------------------------------------- */

static inline void walk_put_dentry(struct walk *w)
{
    if (w->dentry_counted)
        dentry_put(w->path.dentry);
}

/* Go to d, whose reference is ours, on the same mount. */
void walk_to(struct walk *w, struct dentry *d)
{
    walk_put_dentry(w);
    w->path.dentry = d;
    w->dentry_counted = true;
}

void walk_jump(struct walk *w, const struct path *path)
{
    walk_put_dentry(w);
    if (w->mount_counted)
        mount_put(w->path.mount);
    w->path = *path;
    w->mount_counted = w->dentry_counted = true;
}

/* While something is mounted here, go to its root. The mount keeps that. */
static __noinline int walk_into_mounts(struct walk *w)
{
    struct mount *m;

    while ((w->path.dentry->flags & DENTRY_MOUNTED) &&
           (m = mount_find(w->path.mount, w->path.dentry)) != NULL) {
        if (unlikely(w->flags & LOOKUP_NO_XDEV)) {
            mount_put(m);
            return -EXDEV;
        }
        walk_put_dentry(w);
        if (w->mount_counted)
            mount_put(w->path.mount);
        w->path = (struct path){.mount = m, .dentry = m->root};
        w->mount_counted = true;
        w->dentry_counted = false;
    }
    return 0;
}

static int walk_dot_dot(struct walk *w)
{
    struct dentry *d, *parent;
    struct path up;

    for (;;) {
        d = w->path.dentry;
        if (d == w->root.dentry && w->path.mount == w->root.mount)
            return w->flags & LOOKUP_BENEATH ? -EXDEV : 0;
        if (d != w->path.mount->root)
            break;
        up = w->path;
        path_get(&up);
        if (!mount_go_up(&up)) {
            path_put(&up);
            return 0;
        }
        if (unlikely(w->flags & LOOKUP_NO_XDEV)) {
            path_put(&up);
            return -EXDEV;
        }
        walk_jump(w, &up);
    }
    spin_lock(&d->lock);
    parent = dentry_get(d->parent);
    spin_unlock(&d->lock);
    walk_to(w, parent);
    return walk_into_mounts(w);
}

/* ---- one name ------------------------------------------------------------------------------------ */

struct dentry *lookup_one(struct dentry *parent, const struct name *name, bool locked)
{
    struct inode *dir = parent->inode;
    struct dentry *d = dentry_find(parent, name);
    int error;

    if (d || (parent->sb->flags & SB_DENTRIES_ARE_HOME))
        return d;
    if (!locked) {
        mutex_lock(&dir->mutex);
        d = dentry_find(parent, name); /* another may have looked it up meanwhile */
        if (d)
            goto out;
    }
    d = dentry_alloc(parent, name);
    error = !d ? -ENOMEM : dir->nlink == 0 ? -ENOENT : dir->ops->lookup(dir, d);
    if (error) {
        if (d)
            dentry_put(d);
        d = err_ptr(error);
    } else if (d->inode || !(d->sb->flags & SB_NO_NEGATIVE)) {
        dentry_publish(d);
    } else {
        dentry_put(d);
        d = NULL;
    }
out:
    if (!locked)
        mutex_unlock(&dir->mutex);
    return d;
}

/* What the name in w->path.dentry means, with a reference; never negative. err_ptr */
static inline struct dentry *walk_find(struct walk *w, const struct name *name)
{
    struct dentry *parent = w->path.dentry, *d = dentry_find(parent, name);

    if (unlikely(d && (d->flags & DENTRY_VOLATILE) && d->inode &&
                 !d->inode->ops->still_valid(d->inode))) {
        dentry_invalidate(d);
        dentry_put(d);
        d = NULL;
    }
    if (unlikely(!d)) {
        if (parent->sb->flags & SB_DENTRIES_ARE_HOME)
            return err_ptr(-ENOENT);
        if (unlikely(w->flags & LOOKUP_CACHED))
            return err_ptr(-EAGAIN);
        d = lookup_one(parent, name, false);
        if (!d)
            return err_ptr(-ENOENT);
        if (is_err(d))
            return d;
    }
    if (unlikely(!d->inode)) {
        dentry_put(d);
        return err_ptr(-ENOENT);
    }
    return d;
}

/* Is the text used up? Sets *dots to 1 or 2 if the name is "." or "..". */
static inline unsigned count_dots(const char *s, u32 length)
{
    if (likely(s[0] != '.' || length > 2))
        return 0;
    return length == 1 ? 1 : s[1] == '.' ? 2 : 0;
}

/* Walk what is left of the path. With LOOKUP_PARENT stop before the last name. */
static int walk_rest(struct walk *w)
{
    struct dentry *d;
    struct name name;
    const char *s;
    unsigned dots;
    bool last;
    u64 hash;
    int error;

    for (;;) {
        s = w->rest;
        while (*s == '/')
            s++;
        if (!*s) {
            if (!w->depth)
                return 0;
            walk_pop(w);
            continue;
        }
        d = w->path.dentry;
        if (unlikely(!IS_DIR(d->inode)))
            return -ENOTDIR;
        error = inode_search_permission(d->inode);
        if (unlikely(error))
            return error;
        name.length = hash_component(s, (u64)d, &hash);
        if (unlikely(name.length > NAME_MAX))
            return -ENAMETOOLONG;
        name.text = s;
        name.hash = hash;
        dots = count_dots(s, name.length);
        s += name.length;
        w->trailing_slash = *s == '/';
        while (*s == '/')
            s++;
        w->rest = s;
        last = !*s && !w->depth;
        if (last && (w->flags & LOOKUP_PARENT)) {
            w->last = name;
            w->last_type = dots == 0 ? LAST_NAME : dots == 1 ? LAST_DOT : LAST_DOT_DOT;
            return 0;
        }
        if (unlikely(dots)) {
            error = dots == 2 ? walk_dot_dot(w) : 0;
            if (error)
                return error;
            continue;
        }
        d = walk_find(w, &name);
        if (unlikely(is_err(d)))
            return ptr_err(d);
        if (unlikely(IS_SYMLINK(d->inode)) &&
            (!last || w->trailing_slash || (w->flags & LOOKUP_FOLLOW))) {
            if (last && w->trailing_slash)
                w->flags |= LOOKUP_DIRECTORY | LOOKUP_FOLLOW; /* links in its text, too */
            error = walk_follow(w, d);
            if (error)
                return error;
            continue;
        }
        walk_to(w, d);
        if (unlikely(d->flags & DENTRY_MOUNTED)) {
            error = walk_into_mounts(w);
            if (error)
                return error;
        }
    }
}

int walk_last(struct walk *w)
{
    struct dentry *d;
    int error;

    while (w->last_type == LAST_NAME) {
        if (w->trailing_slash)
            return -EISDIR;
        d = walk_find(w, &w->last);
        if (is_err(d))
            return ptr_err(d);
        if (!IS_SYMLINK(d->inode) || !(w->flags & LOOKUP_FOLLOW)) {
            walk_to(w, d);
            return walk_into_mounts(w);
        }
        w->last_type = LAST_ROOT;
        error = walk_follow(w, d);
        if (!error)
            error = walk_rest(w);
        if (error)
            return error;
    }
    return w->last_type == LAST_DOT_DOT ? walk_dot_dot(w) : 0;
}

/* ---- begin and end ------------------------------------------------------------------------------- */

/* Start at the directory of an open file. */
static int walk_start_at_file(struct walk *w, int dirfd, const char *name)
{
    struct fd_ref ref = fd_get_any(dirfd);

    if (!ref.file)
        return -EBADF;
    if (*name && !IS_DIR(ref.file->inode)) {
        fd_put(ref);
        return -ENOTDIR;
    }
    w->path = ref.file->path;
    if (ref.counted) {
        path_get(&w->path);
        w->mount_counted = w->dentry_counted = true;
        fd_put(ref);
    }
    return 0;
}

static int walk_start(struct walk *w, int dirfd, const char *name)
{
    struct fs_context *fs = current->fs;

    if (likely(atomic_read(&fs->refs) == 1)) {
        w->root = fs->root;
        if (*name == '/')
            w->path = fs->root;
        else if (dirfd == AT_FDCWD)
            w->path = fs->cwd;
        else
            return walk_start_at_file(w, dirfd, name);
        return 0;
    }
    spin_lock(&fs->lock);
    w->root = fs->root;
    path_get(&w->root);
    w->root_counted = true;
    w->path = *name == '/' ? fs->root : fs->cwd;
    if (*name == '/' || dirfd == AT_FDCWD) {
        path_get(&w->path);
        w->mount_counted = w->dentry_counted = true;
    }
    spin_unlock(&fs->lock);
    return w->mount_counted ? 0 : walk_start_at_file(w, dirfd, name);
}

/* The same where the start is the border of the walk (RESOLVE_BENEATH, RESOLVE_IN_ROOT). */
static __noinline int walk_start_scoped(struct walk *w, int dirfd, const char *name)
{
    int error;

    if (*name == '/' && (w->flags & LOOKUP_BENEATH))
        return -EXDEV;
    error = walk_start(w, dirfd, *name == '/' ? "." : name);
    if (error)
        return error;
    if (w->root_counted)
        path_put(&w->root);
    w->root = w->path;
    path_get(&w->root);
    w->root_counted = true;
    return 0;
}

int walk_path(struct walk *w, int dirfd, const char *name, unsigned flags)
{
    int error;

    w->mount_counted = w->dentry_counted = w->root_counted = w->trailing_slash = false;
    w->last_type = LAST_ROOT;
    w->jumps = w->depth = 0;
    w->flags = flags;
    w->rest = name;
    w->places = NULL;
    w->link = NULL;
    w->link_buffer = NULL;
    if (unlikely(!*name && !(flags & LOOKUP_EMPTY)))
        return -ENOENT;
    error = unlikely(flags & LOOKUP_SCOPED) ? walk_start_scoped(w, dirfd, name)
                                            : walk_start(w, dirfd, name);
    if (unlikely(error))
        return error;
    error = walk_rest(w);
    if (unlikely(error))
        return error;
    if (((w->flags & LOOKUP_DIRECTORY) || w->trailing_slash) && !(flags & LOOKUP_PARENT) &&
        !IS_DIR(w->path.dentry->inode))
        return -ENOTDIR;
    return 0;
}

void walk_end(struct walk *w)
{
    if (unlikely(w->jumps))
        walk_end_links(w);
    walk_put_dentry(w);
    if (w->mount_counted)
        mount_put(w->path.mount);
    if (unlikely(w->root_counted))
        path_put(&w->root);
}

void walk_take(struct walk *w, struct path *path)
{
    *path = w->path;
    if (!w->mount_counted)
        mount_get(path->mount);
    if (!w->dentry_counted)
        dentry_get(path->dentry);
    w->mount_counted = w->dentry_counted = false;
}
