/* SPDX-License-Identifier: MIT */
/*
 * Mounts as descriptors: open_tree(2), move_mount(2), mount_setattr(2).
 *
 * A descriptor that fsmount(2) or open_tree(2) makes stands for mounts that are nowhere in the tree yet
 * (`floating`). One can walk in them from it, change them, and put them into the tree with move_mount(2).
 * If nobody has done that when the open file goes, so do they.
 */
#include "mount.h"
#include <vellum/syscall.h>

int mount_descriptor(struct mount *m, bool close_on_exec)
{
    struct path path = {.mount = m, .dentry = m->root};
    struct file *file;
    int fd = fd_reserve(0, close_on_exec);

    file = fd < 0 ? err_ptr(fd) : path_open(&path, O_PATH);
    mutex_lock(&mount_mutex);
    if (is_err(file))
        mount_remove_tree(m, false);
    else
        m->floating = true;
    mutex_unlock(&mount_mutex);
    if (is_err(file)) {
        if (fd >= 0)
            fd_cancel(fd);
        return ptr_err(file);
    }
    file->mode |= FILE_MOUNT_TREE;
    fd_install(fd, file);
    return fd;
}

void mount_tree_forget(struct mount *m)
{
    mutex_lock(&mount_mutex);
    if (m->floating) {
        m->floating = false;
        mount_remove_tree(m, false);
    }
    mutex_unlock(&mount_mutex);
}

/* In the tree, or floating: not what was unmounted while somebody was in it. => mount_mutex */
static bool is_mounted(const struct mount *m)
{
    m = mount_top(m);
    return m == root_mount || m->floating;
}

/* ---- open_tree(2) ---------------------------------------------------------------------------------------- */

static long clone_tree(const struct path *from, bool recursive, bool close_on_exec)
{
    struct mount *m;

    mutex_lock(&mount_mutex);
    if (from->mount->unbindable || !is_mounted(from->mount))
        m = err_ptr(-EINVAL);
    else
        m = mount_copy(from->mount, from->dentry, recursive);
    mutex_unlock(&mount_mutex);
    return is_err(m) ? ptr_err(m) : mount_descriptor(m, close_on_exec);
}

#define TREE_FLAGS                                                                                 \
    (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_RECURSIVE |        \
     AT_SYMLINK_NOFOLLOW)

SYSCALL_DEFINE3(open_tree, int, dirfd, const char __user *, name, unsigned, flags)
{
    unsigned lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                      (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct path path;
    long result;

    if ((flags & ~(unsigned)TREE_FLAGS) || ((flags & AT_RECURSIVE) && !(flags & OPEN_TREE_CLONE)))
        return -EINVAL;
    if ((flags & OPEN_TREE_CLONE) && !capable(CAP_SYS_ADMIN))
        return -EPERM;
    result = path_lookup_user(dirfd, name, lookup, &path);
    if (result)
        return result;
    if (flags & OPEN_TREE_CLONE)
        result = clone_tree(&path, flags & AT_RECURSIVE, flags & OPEN_TREE_CLOEXEC);
    else
        result = fd_for_file(path_open(&path, O_PATH), flags & OPEN_TREE_CLOEXEC);
    path_put(&path);
    return result;
}

/* ---- move_mount(2) ------------------------------------------------------------------------------------- */

#define MOVE_FLAGS                                                                                 \
    (MOVE_MOUNT_F_SYMLINKS | MOVE_MOUNT_F_AUTOMOUNTS | MOVE_MOUNT_F_EMPTY_PATH |                   \
     MOVE_MOUNT_T_SYMLINKS | MOVE_MOUNT_T_AUTOMOUNTS | MOVE_MOUNT_T_EMPTY_PATH |                   \
     MOVE_MOUNT_SET_GROUP)

/* `to`, which is private, gets into the group of `from`, of the same file system. => mount_mutex */
static int set_group(const struct path *from, const struct path *to)
{
    if (from->dentry != from->mount->root || to->dentry != to->mount->root ||
        !is_mounted(from->mount) || !is_mounted(to->mount))
        return -EINVAL;
    if (to->mount->group || to->mount->master || from->mount->sb != to->mount->sb ||
        !mount_shows(from->mount, to->mount->root))
        return -EINVAL;
    mount_join_peers(to->mount, from->mount);
    return 0;
}

SYSCALL_DEFINE5(move_mount, int, from_fd, const char __user *, from_name, int, to_fd,
                const char __user *, to_name, unsigned, flags)
{
    struct path from, to;
    int error;

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned)MOVE_FLAGS)
        return -EINVAL;
    error = path_lookup_user(from_fd, from_name,
                             (flags & MOVE_MOUNT_F_SYMLINKS ? LOOKUP_FOLLOW : 0) |
                                 (flags & MOVE_MOUNT_F_EMPTY_PATH ? LOOKUP_EMPTY : 0),
                             &from);
    if (error)
        return error;
    error = path_lookup_user(to_fd, to_name,
                             (flags & MOVE_MOUNT_T_SYMLINKS ? LOOKUP_FOLLOW : 0) |
                                 (flags & MOVE_MOUNT_T_EMPTY_PATH ? LOOKUP_EMPTY : 0),
                             &to);
    if (error)
        goto out;
    mutex_lock(&mount_mutex);
    if (flags & MOVE_MOUNT_SET_GROUP)
        error = set_group(&from, &to);
    else if (from.dentry != from.mount->root)
        error = -EINVAL;
    else
        error = mount_move_tree(from.mount, &to);
    mutex_unlock(&mount_mutex);
    path_put(&to);
out:
    path_put(&from);
    return error;
}

/* ---- mount_setattr(2) ------------------------------------------------------------------------------------ */

#define PLAIN_ATTRIBUTES                                                                           \
    (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |                \
     MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW)

int mount_attributes(u64 attributes, unsigned long *flags)
{
    if (attributes & ~(u64)(PLAIN_ATTRIBUTES | MOUNT_ATTR__ATIME))
        return -EINVAL;
    *flags = (attributes & MOUNT_ATTR_RDONLY ? MS_RDONLY : 0) |
             (attributes & MOUNT_ATTR_NOSUID ? MS_NOSUID : 0) |
             (attributes & MOUNT_ATTR_NODEV ? MS_NODEV : 0) |
             (attributes & MOUNT_ATTR_NOEXEC ? MS_NOEXEC : 0) |
             (attributes & MOUNT_ATTR_NODIRATIME ? MS_NODIRATIME : 0) |
             (attributes & MOUNT_ATTR_NOSYMFOLLOW ? MS_NOSYMFOLLOW : 0);
    switch (attributes & MOUNT_ATTR__ATIME) {
    case MOUNT_ATTR_RELATIME:
        *flags |= MS_RELATIME;
        return 0;
    case MOUNT_ATTR_NOATIME:
        *flags |= MS_NOATIME;
        return 0;
    case MOUNT_ATTR_STRICTATIME:
        *flags |= MS_STRICTATIME;
        return 0;
    default:
        return -EINVAL;
    }
}

#define ATIME_FLAGS (MS_NOATIME | MS_RELATIME | MS_STRICTATIME)

struct change {
    unsigned long set, clear; /* MS_* */
    unsigned long propagation;
};

/* How access times are kept is one of three values: it is set only with all of the old one cleared. */
static int change_from_attr(struct change *c, const struct mount_attr *a)
{
    bool atime = a->attr_clr & MOUNT_ATTR__ATIME;

    if ((a->propagation & ~(u64)MOUNT_PROPAGATION) ||
        (a->propagation && !IS_POWER_OF_2(a->propagation)))
        return -EINVAL;
    if (atime ? (a->attr_clr & MOUNT_ATTR__ATIME) != MOUNT_ATTR__ATIME
              : (a->attr_set & MOUNT_ATTR__ATIME) != 0)
        return -EINVAL;
    if (mount_attributes(a->attr_set, &c->set) ||
        mount_attributes(a->attr_clr & ~(u64)MOUNT_ATTR__ATIME, &c->clear))
        return -EINVAL;
    c->clear = (c->clear & ~(unsigned long)MS_RELATIME) | (atime ? ATIME_FLAGS : 0);
    if (!atime)
        c->set &= ~(unsigned long)ATIME_FLAGS;
    c->propagation = a->propagation;
    return 0;
}

/* => mount_mutex */
static int change_mounts(const struct path *path, const struct change *c, bool recursive)
{
    struct mount *m = path->mount;
    int error;

    if (path->dentry != m->root || !is_mounted(m))
        return -EINVAL;
    error = c->set & MS_RDONLY ? mount_make_readonly(m, recursive) : 0;
    if (error)
        return error;
    for (struct mount *at = m; at; at = recursive ? mount_next_below(at, m) : NULL)
        WRITE_ONCE(at->flags, (at->flags & ~c->clear) | c->set);
    if (c->propagation)
        mount_set_propagation(m, c->propagation, recursive);
    return 0;
}

#define SETATTR_FLAGS (AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)

SYSCALL_DEFINE5(mount_setattr, int, dirfd, const char __user *, name, unsigned, flags,
                const struct mount_attr __user *, user, size_t, size)
{
    unsigned lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                      (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct mount_attr attr;
    struct change change = {};
    struct path path;
    int error;

    if (flags & ~(unsigned)SETATTR_FLAGS)
        return -EINVAL;
    if (size < MOUNT_ATTR_SIZE_VER0)
        return -EINVAL;
    error = copy_struct_from_user(&attr, sizeof(attr), user, size);
    if (error)
        return error;
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (!attr.attr_set && !attr.attr_clr && !attr.propagation)
        return 0;
    error = change_from_attr(&change, &attr);
    if (!error)
        error = path_lookup_user(dirfd, name, lookup, &path);
    if (error)
        return error;
    mutex_lock(&mount_mutex);
    error = change_mounts(&path, &change, flags & AT_RECURSIVE);
    mutex_unlock(&mount_mutex);
    path_put(&path);
    return error;
}
