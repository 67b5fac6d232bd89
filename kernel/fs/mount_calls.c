/* SPDX-License-Identifier: MIT */
/*
 * mount(2) and umount2(2).
 *
 * mount(2) is six calls in one, told apart by their flags, in this order:
 *
 *     MS_REMOUNT                   other flags and options for the file system, or (MS_BIND too) only for
 *                                  this mount
 *     MS_BIND                      what is at `source` is seen here as well; MS_REC: with all below it
 *     MS_SHARED, MS_PRIVATE, ...   who sees what is mounted below (propagate.c)
 *     MS_MOVE                      what is mounted at `source` is mounted here instead
 *     none of these                a file system of this type, from this source
 */
#include "mount.h"
#include <vellum/syscall.h>

/* umount(2); the UAPI headers leave these to the C library. */
enum { MNT_FORCE = 1, MNT_DETACH = 2, MNT_EXPIRE = 4, UMOUNT_NOFOLLOW = 8 };

#define MOUNT_ACTIONS                                                                              \
    (MS_REMOUNT | MS_BIND | MS_REC | MS_MOVE | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)
#define MOUNT_IGNORED                                                                              \
    (MS_SILENT | MS_SYNCHRONOUS | MS_DIRSYNC | MS_LAZYTIME | MS_I_VERSION | MS_POSIXACL)

/* ---- what mount(2) does -------------------------------------------------------------------------------- */

static int mount_new(const struct path *where, const char *source, const char *type_name,
                     unsigned long flags, const char *data)
{
    struct fs_type *type = fs_type_find(type_name);
    struct super_block *sb;
    struct mount *m;
    int error;

    if (!type)
        return -ENODEV;
    sb = type->mount(type, flags & (MS_RDONLY | MS_SILENT), source, data);
    if (is_err(sb))
        return ptr_err(sb);
    m = mount_alloc(sb, sb->root, flags & MOUNT_FLAGS & ~MS_RDONLY, source);
    if (!m)
        return -ENOMEM;
    mutex_lock(&mount_mutex);
    error = mount_may_attach(where, m->root);
    if (!error && where->mount->sb == sb && where->mount->root == where->dentry)
        error = -EBUSY; /* the same once more on top of itself */
    if (!error)
        error = mount_attach_tree(m, where);
    if (error)
        mount_remove(m);
    mutex_unlock(&mount_mutex);
    return error;
}

static int mount_bind(const struct path *where, const char __user *source, bool recursive)
{
    struct path from;
    struct mount *m = NULL;
    int error = path_lookup_user(AT_FDCWD, source, LOOKUP_FOLLOW, &from);

    if (error)
        return error;
    mutex_lock(&mount_mutex);
    error = from.mount->unbindable || !mount_is_in_tree(from.mount)
                ? -EINVAL
                : mount_may_attach(where, from.dentry);
    if (!error) {
        m = mount_copy(from.mount, from.dentry, recursive);
        error = is_err(m) ? (int)ptr_err(m) : mount_attach_tree(m, where);
        if (error && !is_err(m))
            mount_remove_tree(m, false);
    }
    mutex_unlock(&mount_mutex);
    path_put(&from);
    return error;
}

static int mount_move(const struct path *where, const char __user *source)
{
    struct path from;
    int error = path_lookup_user(AT_FDCWD, source, LOOKUP_FOLLOW, &from);

    if (error)
        return error;
    mutex_lock(&mount_mutex);
    error = from.dentry == from.mount->root ? mount_move_tree(from.mount, where) : -EINVAL;
    mutex_unlock(&mount_mutex);
    path_put(&from);
    return error;
}

int super_reconfigure(struct super_block *sb, unsigned long flags, const char *data)
{
    unsigned long old = sb->flags, others = old & ~(unsigned long)MS_RDONLY;
    int error = 0;

    if (flags & ~old & MS_RDONLY)
        error = super_make_readonly(sb);
    if (!error && sb->ops->remount)
        error = sb->ops->remount(sb, flags & MS_RDONLY, data);
    WRITE_ONCE(sb->flags, error ? old : others | (flags & MS_RDONLY));
    return error;
}

static int mount_remount(const struct path *where, unsigned long flags, const char *data)
{
    struct mount *m = where->mount;
    int error = 0;

    if (where->dentry != m->root)
        return -EINVAL;
    mutex_lock(&mount_mutex);
    if (!mount_is_in_tree(m))
        error = -EINVAL;
    else if (!(flags & MS_BIND))
        error = super_reconfigure(m->sb, flags, data);
    else if (flags & MS_RDONLY)
        error = mount_make_readonly(m, false);
    if (!error)
        WRITE_ONCE(m->flags,
                   flags & MOUNT_FLAGS & (flags & MS_BIND ? ~0UL : ~(unsigned long)MS_RDONLY));
    mutex_unlock(&mount_mutex);
    return error;
}

static int mount_propagation(const struct path *where, unsigned long type, bool recursive)
{
    if ((type & ~(unsigned long)MOUNT_PROPAGATION) || !IS_POWER_OF_2(type))
        return -EINVAL;
    if (where->dentry != where->mount->root)
        return -EINVAL;
    mutex_lock(&mount_mutex);
    mount_set_propagation(where->mount, type, recursive);
    mutex_unlock(&mount_mutex);
    return 0;
}

char *mount_string(const char __user *text, size_t max)
{
    char *copy;
    ssize_t n;

    if (!text)
        return NULL;
    copy = kmalloc(max, ALLOC_KERNEL);
    if (!copy)
        return err_ptr(-ENOMEM);
    n = copy_user_string(copy, text, max);
    if (n >= 0 && n < (ssize_t)max)
        return copy;
    kfree(copy);
    return err_ptr(n < 0 ? n : -EINVAL);
}

static int mount_do(const char __user *source, const struct path *where, const char *type,
                    unsigned long flags, const char *data)
{
    char *name;
    int error;

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned long)(MOUNT_FLAGS | MOUNT_ACTIONS | MOUNT_IGNORED))
        return -EINVAL;
    if (flags & MS_REMOUNT)
        return mount_remount(where, flags, data);
    if (flags & MS_BIND)
        return mount_bind(where, source, flags & MS_REC);
    if (flags & MOUNT_PROPAGATION)
        return mount_propagation(where, flags & ~(unsigned long)(MS_REC | MS_SILENT),
                                 flags & MS_REC);
    if (flags & MS_MOVE)
        return mount_move(where, source);
    if (!type)
        return -EINVAL;
    name = mount_string(source, PATH_MAX);
    if (is_err(name))
        return ptr_err(name);
    error = mount_new(where, name ? name : "none", type, flags, data);
    kfree(name);
    return error;
}

/* Options are text, ended by a zero or by the page. */
static char *options_from_user(const char __user *data)
{
    char *page;
    ssize_t n;

    if (!data)
        return NULL;
    page = kmalloc(PAGE_SIZE, ALLOC_KERNEL);
    if (!page)
        return err_ptr(-ENOMEM);
    n = copy_user_string(page, data, PAGE_SIZE);
    if (n < 0) {
        kfree(page);
        return err_ptr(-EFAULT);
    }
    page[min_t(size_t, n, PAGE_SIZE - 1)] = 0;
    return page;
}

SYSCALL_DEFINE5(mount, const char __user *, source, const char __user *, target,
                const char __user *, type, unsigned long, flags, const char __user *, data)
{
    char *type_name, *options;
    struct path where;
    int error;

    if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
        flags &= ~(unsigned long)MS_MGC_MSK;
    type_name = mount_string(type, PAGE_SIZE);
    if (is_err(type_name))
        return ptr_err(type_name);
    options = options_from_user(data);
    error = is_err(options) ? ptr_err(options) : 0;
    if (error)
        goto out_type;
    error = path_lookup_user(AT_FDCWD, target, LOOKUP_FOLLOW, &where);
    if (error)
        goto out_options;
    error = mount_do(source, &where, type_name, flags, options);
    path_put(&where);
out_options:
    kfree(options);
out_type:
    kfree(type_name);
    return error;
}

int mount_at(const char *source, const char *directory, const char *type, unsigned long flags,
             const char *data)
{
    struct path where;
    int error = path_lookup(AT_FDCWD, directory, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &where);

    if (error)
        return error;
    error = mount_new(&where, source, type, flags, data);
    path_put(&where);
    return error;
}

/* ---- umount2(2) ------------------------------------------------------------------------------------------ */

static int umount_do(const struct path *path, int flags)
{
    struct mount *m = path->mount;

    if (path->dentry != m->root)
        return -EINVAL;
    if (!m->parent) /* the root, or detached already */
        return m == root_mount ? -EBUSY : -EINVAL;
    if (flags & MNT_DETACH) {
        mount_remove_tree(m, true);
        return 0;
    }
    if (!list_empty(&m->children) || atomic_read(&m->refs) > 2) /* the tree's and the path's */
        return -EBUSY;
    if ((flags & MNT_EXPIRE) && !m->expiring) {
        m->expiring = true;
        return -EAGAIN;
    }
    if (mount_copies_busy(m))
        return -EBUSY;
    mount_remove_copies(m);
    mount_remove(m);
    return 0;
}

SYSCALL_DEFINE2(umount2, const char __user *, name, int, flags)
{
    struct path path;
    int error;

    if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
        return -EINVAL;
    if ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH)))
        return -EINVAL;
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    error = path_lookup_user(AT_FDCWD, name, flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &path);
    if (error)
        return error;
    mutex_lock(&mount_mutex);
    error = umount_do(&path, flags);
    mutex_unlock(&mount_mutex);
    path_put(&path);
    return error;
}
