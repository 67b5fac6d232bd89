/* SPDX-License-Identifier: MIT */
/*
 * System calls that make, remove and move names.
 *
 * All begin with a walk to the directory, take its mutex, and look the last name up once more under
 * it: from there on nobody else changes the directory. Checks come in the order that decides which
 * error is seen.
 */
#include "internal.h"
#include <vellum/notify.h>
#include <vellum/syscall.h>

#define NLINK_MAX 65000

struct dentry *dentry_for_create(struct dentry *parent, const struct name *name)
{
    struct dentry *d = lookup_one(parent, name, true);

    if (!d) { /* absent, and the file system does not keep negative dentries */
        if (parent->inode->nlink == 0)
            return err_ptr(-ENOENT);
        d = dentry_alloc(parent, name);
        return d ? d : err_ptr(-ENOMEM);
    }
    if (is_err(d) || !d->inode)
        return d;
    dentry_put(d);
    return err_ptr(-EEXIST);
}

void dentry_created(struct dentry *d)
{
    assert(d->inode);
    if (!(d->flags & DENTRY_HASHED))
        dentry_publish(d);
}

/* ---- making ------------------------------------------------------------------------------------------ */

struct creation {
    struct user_walk walk;
    struct dentry *dentry; /* negative */
    struct inode *dir;     /* its mutex is held */
};

/* Walk to the place of the new name c->walk.name. On success the directory is locked, and
 * creation_end() is due. */
static int creation_begin(struct creation *c, int dirfd, bool directory)
{
    struct walk *w = &c->walk.walk;
    int error = walk_path(w, dirfd, c->walk.name.text, LOOKUP_PARENT);

    if (error)
        goto fail;
    error = -EEXIST;
    if (w->last_type != LAST_NAME)
        goto fail;
    c->dir = w->path.dentry->inode;
    mutex_lock(&c->dir->mutex);
    c->dentry = dentry_for_create(w->path.dentry, &w->last);
    error = is_err(c->dentry) ? ptr_err(c->dentry) : 0;
    if (error)
        goto fail_unlock;
    error = w->trailing_slash && !directory ? -ENOENT : may_create(w->path.mount, c->dir);
    if (!error)
        return 0;
    dentry_put(c->dentry);
fail_unlock:
    mutex_unlock(&c->dir->mutex);
fail:
    user_walk_end(&c->walk);
    return error;
}

static int creation_end(struct creation *c, int error)
{
    if (!error) {
        dentry_created(c->dentry);
        notify_name(c->dir, IN_CREATE, &c->dentry->name, IS_DIR(c->dentry->inode), 0);
    }
    mutex_unlock(&c->dir->mutex);
    dentry_put(c->dentry);
    user_walk_end(&c->walk);
    return error;
}

/* These consume c->walk.name. */

static long do_mkdir(struct creation *c, int dirfd, mode_t mode)
{
    int error = creation_begin(c, dirfd, true);

    if (error)
        return error;
    mode &= (0777 | S_ISVTX) & ~current->fs->umask;
    if (!c->dir->ops->mkdir)
        error = -EPERM;
    else if (c->dir->nlink >= NLINK_MAX)
        error = -EMLINK;
    else
        error = c->dir->ops->mkdir(c->dir, c->dentry, S_IFDIR | mode);
    return creation_end(c, error);
}

/* A character device 0:0 is nothing but a whiteout of an overlay: anybody may make one. */
static bool may_make_device(mode_t mode, dev_id_t device)
{
    mode &= S_IFMT;
    return (mode != S_IFCHR && mode != S_IFBLK) || (mode == S_IFCHR && !device) ||
           capable(CAP_MKNOD);
}

static long do_mknod(struct creation *c, int dirfd, mode_t mode, dev_id_t device)
{
    int error = creation_begin(c, dirfd, false);

    if (error)
        return error;
    if (!may_make_device(mode, device))
        return creation_end(c, -EPERM);
    mode &= S_IFMT | (MODE_BITS & ~current->fs->umask);
    error = c->dir->ops->create ? c->dir->ops->create(c->dir, c->dentry, mode, device) : -EPERM;
    return creation_end(c, error);
}

static long do_symlink(struct creation *c, int dirfd, const char *target)
{
    int error = creation_begin(c, dirfd, false);

    if (error)
        return error;
    error = c->dir->ops->symlink ? c->dir->ops->symlink(c->dir, c->dentry, target) : -EPERM;
    return creation_end(c, error);
}

/* mode gets its type; 0, -EPERM, -EINVAL. */
static int mknod_check(mode_t *mode)
{
    switch (*mode & S_IFMT) {
    case 0:
        *mode |= S_IFREG;
        return 0;
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
        return 0;
    case S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
}

static int link_to(struct creation *c, const struct path *old)
{
    struct inode *inode = old->dentry->inode;
    int error;

    if (old->mount != c->walk.walk.path.mount)
        return -EXDEV;
    if (IS_DIR(inode) || !c->dir->ops->link)
        return -EPERM;
    mutex_lock_nested(&inode->mutex, 1);
    if (inode->nlink == 0 && !inode->linkable)
        error = -ENOENT;
    else if (inode->nlink >= NLINK_MAX)
        error = -EMLINK;
    else
        error = c->dir->ops->link(c->dir, c->dentry, inode);
    if (!error)
        notify_inode(inode, IN_ATTRIB);
    mutex_unlock(&inode->mutex);
    return error;
}

static long do_link(struct creation *c, int dirfd, const struct path *old)
{
    int error = creation_begin(c, dirfd, false);

    return error ? error : creation_end(c, link_to(c, old));
}

SYSCALL_DEFINE5(linkat, int, old_dirfd, const char __user *, old_name, int, dirfd,
                const char __user *, name, int, flags)
{
    unsigned lookup = flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0;
    struct creation c;
    struct path old;
    int error;

    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (flags & AT_EMPTY_PATH) {
        if (!capable(CAP_DAC_READ_SEARCH))
            return -ENOENT;
        lookup |= LOOKUP_EMPTY;
    }
    error = path_lookup_user(old_dirfd, old_name, lookup, &old);
    if (error)
        return error;
    error = user_path_get(&c.walk.name, name);
    if (!error)
        error = do_link(&c, dirfd, &old);
    path_put(&old);
    return error;
}

/* ---- removing ---------------------------------------------------------------------------------------- */

/* => dir mutex */
static int remove_directory(struct inode *dir, struct dentry *victim)
{
    struct inode *inode = victim->inode;
    int error = -EPERM;

    mutex_lock_nested(&inode->mutex, 1); /* nobody makes a name in it meanwhile */
    if (dir->ops->rmdir)
        error = dir->ops->rmdir(dir, victim);
    mutex_unlock(&inode->mutex);
    return error;
}

/* d, which may be removed, is. => dir mutex */
static int remove_name(struct inode *dir, struct dentry *d, bool directory)
{
    int error = dentry_begin_removal(d);

    if (error)
        return error;
    if (directory)
        error = remove_directory(dir, d);
    else
        error = dir->ops->unlink ? dir->ops->unlink(dir, d) : -EPERM;
    if (error)
        dentry_keep(d);
    else
        dentry_unlink(d);
    return error;
}

static int remove_last(struct walk *w, bool directory)
{
    struct inode *dir = w->path.dentry->inode;
    struct dentry *d;
    int error;

    error = mount_want_write(w->path.mount);
    if (error)
        return error;
    mutex_lock(&dir->mutex);
    d = lookup_one(w->path.dentry, &w->last, true);
    error = !d ? -ENOENT : is_err(d) ? ptr_err(d) : 0;
    if (error)
        goto out_unlock;
    if (!d->inode)
        error = -ENOENT;
    else if (!directory && w->trailing_slash)
        error = IS_DIR(d->inode) ? -EISDIR : -ENOTDIR;
    else
        error = may_delete(w->path.mount, dir, d, directory);
    if (!error)
        error = remove_name(dir, d, directory);
    if (!error && !directory)
        notify_inode(d->inode, IN_ATTRIB);
    mutex_unlock(&dir->mutex);
    dentry_put(d); /* a large file is freed here, with the directory open for others */
    if (!error)
        notify_name(dir, IN_DELETE, &w->last, directory, 0);
    return error;
out_unlock:
    mutex_unlock(&dir->mutex);
    return error;
}

static long do_unlink(struct user_walk *u, int dirfd)
{
    int error = walk_path(&u->walk, dirfd, u->name.text, LOOKUP_PARENT);

    if (!error)
        error = u->walk.last_type != LAST_NAME ? -EISDIR : remove_last(&u->walk, false);
    user_walk_end(u);
    return error;
}

static long unlink_user(int dirfd, const char __user *name)
{
    struct user_walk u;
    int error = user_path_get(&u.name, name);

    return error ? error : do_unlink(&u, dirfd);
}

static long do_rmdir(int dirfd, const char __user *name)
{
    static const int errors[] = {
        [LAST_DOT] = -EINVAL, [LAST_DOT_DOT] = -ENOTEMPTY, [LAST_ROOT] = -EBUSY};
    struct user_walk u;
    int error = user_walk(&u, dirfd, name, LOOKUP_PARENT);

    if (!error) {
        error = errors[u.walk.last_type];
        if (u.walk.last_type == LAST_NAME)
            error = remove_last(&u.walk, true);
    }
    user_walk_end(&u);
    return error;
}

SYSCALL_DEFINE3(unlinkat, int, dirfd, const char __user *, name, int, flags)
{
    if (flags & ~AT_REMOVEDIR)
        return -EINVAL;
    return flags & AT_REMOVEDIR ? do_rmdir(dirfd, name) : unlink_user(dirfd, name);
}

/* ---- the system calls --------------------------------------------------------------------------------- */

static long mkdir_user(int dirfd, const char __user *name, mode_t mode)
{
    struct creation c;
    int error = user_path_get(&c.walk.name, name);

    return error ? error : do_mkdir(&c, dirfd, mode);
}

SYSCALL_DEFINE3(mkdirat, int, dirfd, const char __user *, name, mode_t, mode)
{
    return mkdir_user(dirfd, name, mode);
}

SYSCALL_DEFINE2(mkdir, const char __user *, name, mode_t, mode)
{
    return mkdir_user(AT_FDCWD, name, mode);
}

static long mknod_user(int dirfd, const char __user *name, mode_t mode, u32 device)
{
    struct creation c;
    int error = mknod_check(&mode);

    if (!error)
        error = user_path_get(&c.walk.name, name);
    return error ? error : do_mknod(&c, dirfd, mode, device);
}

SYSCALL_DEFINE4(mknodat, int, dirfd, const char __user *, name, mode_t, mode, unsigned, device)
{
    return mknod_user(dirfd, name, mode, device);
}

SYSCALL_DEFINE3(mknod, const char __user *, name, mode_t, mode, unsigned, device)
{
    return mknod_user(AT_FDCWD, name, mode, device);
}

static long symlink_user(const char __user *target, int dirfd, const char __user *name)
{
    struct user_path text;
    struct creation c;
    int error = user_path_get(&text, target);

    if (error)
        return error;
    error = *text.text ? user_path_get(&c.walk.name, name) : -ENOENT;
    if (!error)
        error = do_symlink(&c, dirfd, text.text);
    user_path_put(&text);
    return error;
}

SYSCALL_DEFINE3(symlinkat, const char __user *, target, int, dirfd, const char __user *, name)
{
    return symlink_user(target, dirfd, name);
}

SYSCALL_DEFINE2(symlink, const char __user *, target, const char __user *, name)
{
    return symlink_user(target, AT_FDCWD, name);
}

SYSCALL_DEFINE2(link, const char __user *, old, const char __user *, new)
{
    return sys_linkat(AT_FDCWD, (unsigned long)old, AT_FDCWD, (unsigned long)new, 0, 0);
}

SYSCALL_DEFINE1(unlink, const char __user *, name)
{
    return unlink_user(AT_FDCWD, name);
}

SYSCALL_DEFINE1(rmdir, const char __user *, name)
{
    return do_rmdir(AT_FDCWD, name);
}

/* ---- the same for the kernel --------------------------------------------------------------------------- */

int kernel_mkdir(const char *name, mode_t mode)
{
    struct creation c;
    int error = kernel_path_get(&c.walk.name, name);

    return error ? error : do_mkdir(&c, AT_FDCWD, mode);
}

int kernel_mknod(const char *name, mode_t mode, dev_id_t device)
{
    struct creation c;
    int error = kernel_path_get(&c.walk.name, name);

    return error ? error : do_mknod(&c, AT_FDCWD, mode, device);
}

int kernel_mknod_path(const char *name, mode_t mode, struct path *made)
{
    struct creation c;
    int error = kernel_path_get(&c.walk.name, name);

    if (!error)
        error = creation_begin(&c, AT_FDCWD, false);
    if (error)
        return error;
    mode &= S_IFMT | (MODE_BITS & ~current->fs->umask);
    error = c.dir->ops->create ? c.dir->ops->create(c.dir, c.dentry, mode, 0) : -EPERM;
    if (!error) {
        *made = (struct path){.mount = c.walk.walk.path.mount, .dentry = c.dentry};
        path_get(made);
    }
    return creation_end(&c, error);
}

int kernel_symlink(const char *target, const char *name)
{
    struct creation c;
    int error = kernel_path_get(&c.walk.name, name);

    return error ? error : do_symlink(&c, AT_FDCWD, target);
}

int kernel_link(const char *old_name, const char *name)
{
    struct creation c;
    struct path old;
    int error = path_lookup(AT_FDCWD, old_name, 0, &old);

    if (error)
        return error;
    error = kernel_path_get(&c.walk.name, name);
    if (!error)
        error = do_link(&c, AT_FDCWD, &old);
    path_put(&old);
    return error;
}

int kernel_unlink(const char *name)
{
    struct user_walk u;
    int error = kernel_path_get(&u.name, name);

    return error ? error : do_unlink(&u, AT_FDCWD);
}
