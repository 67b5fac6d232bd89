/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes (xattr(7)) of file systems that keep them in memory, with the inode.
 *
 * As tmpfs of Linux 6.1 has it there are two kinds, security.* and trusted.*; user.* and
 * system.* (POSIX ACLs) are EOPNOTSUPP.
 */
#include "internal.h"
#include <vellum/notify.h>
#include <linux/xattr.h>
#include <vellum/syscall.h>

struct xattr {
    struct list link; /* [inode mutex] */
    size_t size;
    char *value;
    char name[];
};

struct xattr_name {
    char text[XATTR_NAME_MAX + 1];
};

void xattrs_free(struct inode *inode)
{
    struct xattr *x, *next;

    list_for_each_entry_safe(x, next, inode->xattrs, link) {
        kfree(x->value);
        kfree(x);
    }
    kfree(inode->xattrs);
}

/* => inode mutex */
static struct xattr *find(struct inode *inode, const char *name)
{
    struct xattr *x;

    if (!inode->xattrs)
        return NULL;
    list_for_each_entry(x, inode->xattrs, link)
        if (strcmp(x->name, name) == 0)
            return x;
    return NULL;
}

/* ---- who may, and what ------------------------------------------------------------------------------------ */

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int permission(struct inode *inode, const char *name, unsigned mask)
{
    bool write = mask == MAY_WRITE;

    if (has_prefix(name, XATTR_SECURITY_PREFIX)) {
        if (!write)
            return 0;
        return capable(strcmp(name, XATTR_NAME_CAPS) == 0 ? CAP_SETFCAP : CAP_SYS_ADMIN) ? 0
                                                                                         : -EPERM;
    }
    if (has_prefix(name, XATTR_SYSTEM_PREFIX))
        return 0;
    if (has_prefix(name, XATTR_TRUSTED_PREFIX))
        return capable(CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
    if (has_prefix(name, XATTR_USER_PREFIX)) {
        if (!IS_REGULAR(inode) && !IS_DIR(inode))
            return write ? -EPERM : -ENODATA;
        if (write && IS_DIR(inode) && (inode->mode & S_ISVTX) && !is_owner_or_capable(inode))
            return -EPERM;
    }
    return inode_permission(inode, mask);
}

/* Is there such a kind of attribute here? */
static int supported(const struct inode *inode, const char *name)
{
    const char *rest;

    if (!(inode->sb->flags & SB_XATTRS))
        return -EOPNOTSUPP;
    if (has_prefix(name, XATTR_SECURITY_PREFIX))
        rest = name + XATTR_SECURITY_PREFIX_LEN;
    else if (has_prefix(name, XATTR_TRUSTED_PREFIX))
        rest = name + XATTR_TRUSTED_PREFIX_LEN;
    else
        return -EOPNOTSUPP;
    return *rest ? 0 : -EINVAL;
}

static int name_get(struct xattr_name *name, const char __user *user)
{
    ssize_t n = copy_user_string(name->text, user, sizeof(name->text));

    if (n < 0)
        return n;
    return n == 0 || n > XATTR_NAME_MAX ? -ERANGE : 0;
}

/* ---- set, get, list, remove ---------------------------------------------------------------------------------- */

static struct xattr *make(const char *name, char *value, size_t size)
{
    size_t n = strlen(name) + 1;
    struct xattr *x = kmalloc(sizeof(*x) + n, ALLOC_KERNEL);

    if (!x)
        return NULL;
    memcpy(x->name, name, n);
    x->value = value;
    x->size = size;
    return x;
}

/* => inode mutex. Consumes value if it succeeds. */
static int store(struct inode *inode, const char *name, char *value, size_t size, int flags)
{
    struct xattr *old = find(inode, name), *x;

    if (old && (flags & XATTR_CREATE))
        return -EEXIST;
    if (!old && (flags & XATTR_REPLACE))
        return -ENODATA;
    if (old) {
        kfree(old->value);
        old->value = value;
        old->size = size;
        return 0;
    }
    if (!inode->xattrs) {
        struct list *head = kmalloc(sizeof(*head), ALLOC_KERNEL);

        if (!head)
            return -ENOMEM;
        list_init(head);
        inode->xattrs = head;
    }
    x = make(name, value, size);
    if (!x)
        return -ENOMEM;
    list_add(&x->link, inode->xattrs);
    return 0;
}

static int do_set(const struct path *path, const char *name, char *value, size_t size, int flags)
{
    struct inode *inode = path->dentry->inode;
    int error = mount_want_write(path->mount);

    if (!error)
        error = permission(inode, name, MAY_WRITE);
    if (!error)
        error = supported(inode, name);
    if (error)
        return error;
    mutex_lock(&inode->mutex);
    error = store(inode, name, value, size, flags);
    if (!error)
        inode_touch(inode, ATTR_CTIME);
    mutex_unlock(&inode->mutex);
    if (!error)
        notify_dentry(path->dentry, IN_ATTRIB);
    return error;
}

static int set_xattr(const struct path *path, const char __user *user_name, const void __user *user,
                     size_t size, int flags)
{
    struct xattr_name name;
    char *value = NULL;
    int error;

    if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    error = name_get(&name, user_name);
    if (error)
        return error;
    if (size > XATTR_SIZE_MAX)
        return -E2BIG;
    if (size) {
        value = kmalloc(size, ALLOC_KERNEL);
        if (!value)
            return -ENOMEM;
        if (copy_from_user(value, user, size)) {
            kfree(value);
            return -EFAULT;
        }
    }
    error = do_set(path, name.text, value, size, flags);
    if (error)
        kfree(value);
    return error;
}

static ssize_t get_xattr(const struct path *path, const char __user *user_name, void __user *user,
                         size_t size)
{
    struct inode *inode = path->dentry->inode;
    struct xattr_name name;
    struct xattr *x;
    ssize_t result = name_get(&name, user_name);

    if (!result)
        result = permission(inode, name.text, MAY_READ);
    if (!result)
        result = supported(inode, name.text);
    if (result)
        return result;
    mutex_lock(&inode->mutex);
    x = find(inode, name.text);
    if (!x)
        result = -ENODATA;
    else if (size && size < x->size)
        result = -ERANGE;
    else
        result = size && copy_to_user(user, x->value, x->size) ? -EFAULT : (ssize_t)x->size;
    mutex_unlock(&inode->mutex);
    return result;
}

static ssize_t list_xattrs(const struct path *path, char __user *user, size_t size)
{
    struct inode *inode = path->dentry->inode;
    struct xattr *x;
    ssize_t total = 0;
    size_t n;

    mutex_lock(&inode->mutex);
    if (!inode->xattrs)
        goto out;
    list_for_each_entry(x, inode->xattrs, link) {
        if (has_prefix(x->name, XATTR_TRUSTED_PREFIX) && !capable(CAP_SYS_ADMIN))
            continue;
        n = strlen(x->name) + 1;
        if (size && total + n > size)
            total = -ERANGE;
        else if (size && copy_to_user(user + total, x->name, n))
            total = -EFAULT;
        if (total < 0)
            break;
        total += n;
    }
out:
    mutex_unlock(&inode->mutex);
    return total;
}

static int remove_xattr(const struct path *path, const char __user *user_name)
{
    struct inode *inode = path->dentry->inode;
    struct xattr_name name;
    struct xattr *x;
    int error = name_get(&name, user_name);

    if (!error)
        error = mount_want_write(path->mount);
    if (!error)
        error = permission(inode, name.text, MAY_WRITE);
    if (!error)
        error = supported(inode, name.text);
    if (error)
        return error;
    mutex_lock(&inode->mutex);
    x = find(inode, name.text);
    if (x) {
        list_del(&x->link);
        inode_touch(inode, ATTR_CTIME);
    }
    mutex_unlock(&inode->mutex);
    if (!x)
        return -ENODATA;
    kfree(x->value);
    kfree(x);
    notify_dentry(path->dentry, IN_ATTRIB);
    return 0;
}

/* ---- the calls: by path, by path without following the last link, by descriptor ------------------------------ */

/* Run `call` with `path` being what the name or descriptor means. */
#define BY_NAME(user_name, lookup, call)                                                           \
    ({                                                                                             \
        struct path path;                                                                          \
        long _result = path_lookup_user(AT_FDCWD, user_name, lookup, &path);                       \
        if (!_result) {                                                                            \
            _result = call;                                                                        \
            path_put(&path);                                                                       \
        }                                                                                          \
        _result;                                                                                   \
    })
#define BY_FD(fd, call)                                                                            \
    ({                                                                                             \
        struct fd_ref _ref = fd_get(fd);                                                           \
        struct path path;                                                                          \
        long _result = -EBADF;                                                                     \
        if (_ref.file) {                                                                           \
            path = _ref.file->path;                                                                \
            _result = call;                                                                        \
            fd_put(_ref);                                                                          \
        }                                                                                          \
        _result;                                                                                   \
    })

SYSCALL_DEFINE5(setxattr, const char __user *, name, const char __user *, key, const void __user *,
                value, size_t, size, int, flags)
{
    return BY_NAME(name, LOOKUP_FOLLOW, set_xattr(&path, key, value, size, flags));
}

SYSCALL_DEFINE5(lsetxattr, const char __user *, name, const char __user *, key, const void __user *,
                value, size_t, size, int, flags)
{
    return BY_NAME(name, 0, set_xattr(&path, key, value, size, flags));
}

SYSCALL_DEFINE5(fsetxattr, unsigned, fd, const char __user *, key, const void __user *, value,
                size_t, size, int, flags)
{
    return BY_FD(fd, set_xattr(&path, key, value, size, flags));
}

SYSCALL_DEFINE4(getxattr, const char __user *, name, const char __user *, key, void __user *, value,
                size_t, size)
{
    return BY_NAME(name, LOOKUP_FOLLOW, get_xattr(&path, key, value, size));
}

SYSCALL_DEFINE4(lgetxattr, const char __user *, name, const char __user *, key, void __user *,
                value, size_t, size)
{
    return BY_NAME(name, 0, get_xattr(&path, key, value, size));
}

SYSCALL_DEFINE4(fgetxattr, unsigned, fd, const char __user *, key, void __user *, value, size_t,
                size)
{
    return BY_FD(fd, get_xattr(&path, key, value, size));
}

SYSCALL_DEFINE3(listxattr, const char __user *, name, char __user *, list, size_t, size)
{
    return BY_NAME(name, LOOKUP_FOLLOW, list_xattrs(&path, list, size));
}

SYSCALL_DEFINE3(llistxattr, const char __user *, name, char __user *, list, size_t, size)
{
    return BY_NAME(name, 0, list_xattrs(&path, list, size));
}

SYSCALL_DEFINE3(flistxattr, unsigned, fd, char __user *, list, size_t, size)
{
    return BY_FD(fd, list_xattrs(&path, list, size));
}

SYSCALL_DEFINE2(removexattr, const char __user *, name, const char __user *, key)
{
    return BY_NAME(name, LOOKUP_FOLLOW, remove_xattr(&path, key));
}

SYSCALL_DEFINE2(lremovexattr, const char __user *, name, const char __user *, key)
{
    return BY_NAME(name, 0, remove_xattr(&path, key));
}

SYSCALL_DEFINE2(fremovexattr, unsigned, fd, const char __user *, key)
{
    return BY_FD(fd, remove_xattr(&path, key));
}
