/* SPDX-License-Identifier: MIT */
/*
 * File handles: name_to_handle_at(2), open_by_handle_at(2).
 *
 * A handle names a file by its inode number, which is never given out twice, instead of by a path. File
 * systems in memory have no table of their inodes; so those of which somebody has asked for a handle are
 * remembered in a tree of their super block:
 *
 *     handle (ino) --> sb->handles --> inode     until that is freed (inode->has_handle)
 *                                      dentry    until that is unlinked (DENTRY_HAS_HANDLE)
 *
 * Neither is held by a reference. A directory that has lost its dentry is gone. Another file may live on,
 * open or under another name: it is then opened without a name.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/rbtree.h>
#include <vellum/syscall.h>

struct handle_target {
    struct rb_node node; /* in sb->handles, by inode->ino */
    struct inode *inode;
    struct dentry *dentry; /* it is pinned; NULL: unlinked */
};

static DEFINE_SPINLOCK(handles_lock); /* the trees, and what is in them */

#define HANDLE_MAX  128 /* bytes, of the longest that any file system has */
#define HANDLE_TYPE 1   /* what follows is a u64: the inode's number */

/* struct file_handle of the user's: the part before the handle itself. */
struct handle_head {
    u32 bytes;
    s32 type;
};

static bool has_handles(const struct super_block *sb)
{
    return (sb->flags & SB_DENTRIES_ARE_HOME) && !(sb->flags & SB_INTERNAL);
}

/* ---- the tree => handles_lock ------------------------------------------------------------------------- */

/* The target of that number; or NULL, and if wanted the place to link it to. */
static struct handle_target *find(struct super_block *sb, u64 ino, struct rb_node **parent,
                                  struct rb_node ***slot)
{
    struct rb_node **at = &sb->handles.node, *above = NULL;

    while (*at) {
        struct handle_target *t = rb_entry(*at, struct handle_target, node);

        if (t->inode->ino == ino)
            return t;
        above = *at;
        at = ino < t->inode->ino ? &above->left : &above->right;
    }
    if (parent) {
        *parent = above;
        *slot = at;
    }
    return NULL;
}

void handle_unlinked(struct dentry *d)
{
    struct handle_target *t;

    assert(spin_held(&d->lock));
    spin_lock(&handles_lock);
    t = find(d->sb, d->inode->ino, NULL, NULL);
    if (t && t->dentry == d)
        t->dentry = NULL;
    spin_unlock(&handles_lock);
    d->flags &= ~(u32)DENTRY_HAS_HANDLE;
}

void handle_forget(struct inode *inode)
{
    struct handle_target *t;

    spin_lock(&handles_lock);
    t = find(inode->sb, inode->ino, NULL, NULL);
    rb_erase(&t->node, &inode->sb->handles);
    spin_unlock(&handles_lock);
    kfree(t);
}

/* From now on the file is found by its number. 0 or -ENOMEM */
static int remember(struct dentry *d)
{
    struct handle_target *spare = kzalloc(sizeof(*spare), ALLOC_KERNEL), *t;
    struct inode *inode = d->inode;
    struct rb_node *parent, **slot;

    if (!spare)
        return -ENOMEM;
    spin_lock(&d->lock);
    spin_lock(&handles_lock);
    t = find(inode->sb, inode->ino, &parent, &slot);
    if (!t) {
        t = spare;
        spare = NULL;
        t->inode = inode;
        inode->has_handle = true;
        rb_link(&t->node, parent, slot);
        rb_insert_color(&t->node, &inode->sb->handles);
    }
    if (!t->dentry && (d->flags & DENTRY_PINNED)) {
        t->dentry = d;
        d->flags |= DENTRY_HAS_HANDLE;
    }
    spin_unlock(&handles_lock);
    spin_unlock(&d->lock);
    kfree(spare);
    return 0;
}

/* ---- back to a file --------------------------------------------------------------------------------------- */

/* A dentry for a file that no name leads to any more. Consumes the inode's reference. */
static struct dentry *nameless(struct inode *inode)
{
    struct name name = {.text = "#handle\0\0\0\0\0\0\0", .length = 7};
    struct dentry *d = IS_DIR(inode) ? err_ptr(-ESTALE) : dentry_alloc(inode->sb->root, &name);

    if (!d || is_err(d)) {
        inode_put(inode);
        return d ? d : err_ptr(-ENOMEM);
    }
    dentry_instantiate(d, inode);
    return d;
}

/* With a reference; or -ESTALE, -ENOMEM. => the super block is mounted */
static struct dentry *dentry_of(struct super_block *sb, u64 ino)
{
    struct dentry *d = err_ptr(-ESTALE);
    struct inode *inode = NULL;
    struct handle_target *t;

    if (ino == sb->root->inode->ino)
        return dentry_get(sb->root);
    spin_lock(&handles_lock);
    t = find(sb, ino, NULL, NULL);
    if (t && t->dentry)
        d = dentry_get(t->dentry);
    else if (t && atomic_inc_not_zero(&t->inode->refs))
        inode = t->inode;
    spin_unlock(&handles_lock);
    return inode ? nameless(inode) : d;
}

/* ---- calls -------------------------------------------------------------------------------------------------- */

static int handle_write(const struct path *path, struct handle_head __user *uhandle,
                        int __user *umount_id)
{
    struct handle_head head;
    u64 ino = path->dentry->inode->ino;
    bool fits;
    int error;

    if (!has_handles(path->dentry->sb))
        return -EOPNOTSUPP;
    if (copy_from_user(&head, uhandle, sizeof(head)))
        return -EFAULT;
    if (head.bytes > HANDLE_MAX)
        return -EINVAL;
    fits = head.bytes >= sizeof(ino);
    error = fits ? remember(path->dentry) : 0;
    if (error)
        return error;
    head = (struct handle_head){.bytes = sizeof(ino), .type = HANDLE_TYPE};
    if (put_user(path->mount->id, umount_id) || copy_to_user(uhandle, &head, sizeof(head)))
        return -EFAULT;
    if (!fits)
        return -EOVERFLOW;
    return copy_to_user((char __user *)uhandle + sizeof(head), &ino, sizeof(ino)) ? -EFAULT : 0;
}

SYSCALL_DEFINE5(name_to_handle_at, int, dirfd, const char __user *, name,
                struct handle_head __user *, uhandle, int __user *, umount_id, int, flags)
{
    unsigned lookup = flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0;
    struct path path;
    int error;

    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    error =
        path_lookup_user(dirfd, name, lookup | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &path);
    if (error)
        return error;
    error = handle_write(&path, uhandle, umount_id);
    path_put(&path);
    return error;
}

/* Where a descriptor is. 0 or -EBADF */
static int path_of_fd(int fd, struct path *path)
{
    struct fd_ref ref;

    if (fd == AT_FDCWD)
        return path_lookup(fd, ".", 0, path);
    ref = fd_get(fd);
    if (!ref.file)
        return -EBADF;
    *path = ref.file->path;
    path_get(path);
    fd_put(ref);
    return 0;
}

/* The handle's file, reached through the mount that a descriptor is in. */
static int path_of_handle(int mount_fd, const struct handle_head __user *uhandle, struct path *path)
{
    struct handle_head head;
    struct path base;
    u64 ino = 0;
    int error;

    if (copy_from_user(&head, uhandle, sizeof(head)))
        return -EFAULT;
    if (head.bytes == 0 || head.bytes > HANDLE_MAX)
        return -EINVAL;
    error = path_of_fd(mount_fd, &base);
    if (error)
        return error;
    if (copy_from_user(&ino, (const char __user *)uhandle + sizeof(head),
                       min_t(size_t, head.bytes, sizeof(ino))))
        error = -EFAULT;
    else if (head.type != HANDLE_TYPE || head.bytes != sizeof(ino) || !has_handles(base.mount->sb))
        error = -ESTALE;
    if (!error) {
        path->dentry = dentry_of(base.mount->sb, ino);
        error = is_err(path->dentry) ? ptr_err(path->dentry) : 0;
    }
    if (error) {
        path_put(&base);
        return error;
    }
    path->mount = base.mount;
    dentry_put(base.dentry);
    return 0;
}

SYSCALL_DEFINE3(open_by_handle_at, int, mount_fd, const struct handle_head __user *, uhandle, int,
                flags)
{
    struct path path;
    int error, fd;

    if (!capable(CAP_DAC_READ_SEARCH))
        return -EPERM;
    if (flags & (O_CREAT | __O_TMPFILE))
        return -EINVAL;
    error = path_of_handle(mount_fd, uhandle, &path);
    if (error)
        return error;
    fd = fd_for_file(path_open(&path, flags), flags & O_CLOEXEC);
    path_put(&path);
    return fd;
}
