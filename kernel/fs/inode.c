/* SPDX-License-Identifier: MIT */
/*
 * Inodes: a file apart from its names. Who may do what to it, and how its attributes change.
 */
#include "internal.h"

#define DAY_NS (86400 * NSEC_PER_SEC)

static struct object_cache *inode_cache;

void __init inode_cache_init(void)
{
    inode_cache = object_cache_create("inode", sizeof(struct inode), CACHE_LINE);
    if (!inode_cache)
        panic("no memory for the inode cache");
    object_cache_set_reclaimable(inode_cache); /* an inode goes with its last dentry */
}

struct inode *inode_alloc(struct super_block *sb)
{
    struct inode *inode = object_alloc(inode_cache, ALLOC_KERNEL | ALLOC_ZERO);

    if (!inode)
        return NULL;
    ref_init(&inode->refs);
    inode->sb = sb;
    inode->nlink = 1;
    inode->atime = inode->mtime = inode->ctime = inode->btime = ktime_real();
    mutex_init(&inode->mutex);
    spin_init(&inode->lock);
    page_cache_init(&inode->cache, inode, NULL);
    atomic_inc(&sb->inodes);
    return inode;
}

void inode_put(struct inode *inode)
{
    struct super_block *sb = inode->sb;

    if (likely(!ref_put(&inode->refs)))
        return;
    if (unlikely(inode->has_handle))
        handle_forget(inode);
    page_cache_destroy(&inode->cache);
    if (sb->ops->free_inode)
        sb->ops->free_inode(inode);
    if (inode->locks)
        locks_free(inode);
    if (inode->xattrs)
        xattrs_free(inode);
    if (unlikely(atomic_add_return(&sb->inodes, -1) == 0)) /* sb may be gone with it */
        wake_up_all(&super_emptied);
    object_free(inode_cache, inode);
}

static bool get_owner(struct inode *inode)
{
    return atomic_inc_not_zero(&inode->refs);
}

const struct page_cache_owner_ops page_cache_owner = {.get = get_owner, .put = inode_put};

/* ---- times ---------------------------------------------------------------------------------------- */

void inode_touch(struct inode *inode, unsigned which)
{
    s64 now = ktime_real();

    if (which & ATTR_ATIME)
        WRITE_ONCE(inode->atime, now);
    if (which & ATTR_MTIME)
        WRITE_ONCE(inode->mtime, now);
    if (which & ATTR_CTIME)
        WRITE_ONCE(inode->ctime, now);
}

/* relatime (mount(8)): only if the file changed since it was last read, or once a day. */
void inode_accessed(struct mount *mount, struct inode *inode)
{
    s64 now;

    if (((mount->flags | inode->sb->flags) & (MS_NOATIME | MS_RDONLY)) ||
        (IS_DIR(inode) && (mount->flags & MS_NODIRATIME)))
        return;
    now = ktime_real();
    if ((mount->flags & MS_STRICTATIME) || inode->atime <= inode->mtime ||
        inode->atime <= inode->ctime || now - inode->atime >= (s64)DAY_NS)
        WRITE_ONCE(inode->atime, now);
}

void file_accessed(struct file *file)
{
    if (!(file->flags & O_NOATIME))
        inode_accessed(file->path.mount, file->inode);
}

/* What a change of owner, or of contents by one without CAP_FSETID, leaves of the mode. */
static mode_t mode_without_set_id(const struct inode *inode)
{
    mode_t mode = inode->mode & ~S_ISUID;

    if ((mode & S_IXGRP) || (!cred_in_group(current->cred, inode->gid) && !capable(CAP_FSETID)))
        mode &= ~S_ISGID;
    return mode;
}

int file_modified(struct file *file)
{
    struct inode *inode = file->inode;
    struct attributes attr = {.valid = ATTR_MODE};

    inode_touch(inode, ATTR_MTIME | ATTR_CTIME);
    if (likely(!(inode->mode & (S_ISUID | S_ISGID))) || !IS_REGULAR(inode) || capable(CAP_FSETID))
        return 0;
    attr.mode = mode_without_set_id(inode);
    return attr.mode == inode->mode ? 0 : inode_set_attributes(inode, &attr);
}

/* ---- writing against executing ---------------------------------------------------------------------- */

/* Move `writers` one step in a direction unless it stands on the other side of 0. */
static bool writers_step(struct inode *inode, int step)
{
    int n = atomic_read(&inode->writers);

    do {
        if (step > 0 ? n < 0 : n > 0)
            return false;
    } while (!__atomic_compare_exchange_n(&inode->writers.value, &n, n + step, true,
                                          __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    return true;
}

int inode_deny_write(struct inode *inode)
{
    return writers_step(inode, -1) ? 0 : -ETXTBSY;
}

void inode_allow_write(struct inode *inode)
{
    assert(atomic_read(&inode->writers) < 0);
    atomic_inc(&inode->writers);
}

int inode_begin_write(struct inode *inode)
{
    if (!writers_step(inode, 1))
        return -ETXTBSY;
    atomic_inc(&inode->sb->writers);
    return 0;
}

void inode_end_write(struct inode *inode)
{
    assert(atomic_read(&inode->writers) > 0);
    atomic_dec(&inode->sb->writers);
    atomic_dec(&inode->writers);
}

/* ---- permission -------------------------------------------------------------------------------------- */

/* What the mode bits do not give, a capability may. */
static int capability_permission(const struct inode *inode, unsigned mask)
{
    if (IS_DIR(inode)) {
        if (!(mask & MAY_WRITE) && capable(CAP_DAC_READ_SEARCH))
            return 0;
        return capable(CAP_DAC_OVERRIDE) ? 0 : -EACCES;
    }
    if (mask == MAY_READ && capable(CAP_DAC_READ_SEARCH))
        return 0;
    if ((!(mask & MAY_EXEC) || (inode->mode & 0111)) && capable(CAP_DAC_OVERRIDE))
        return 0;
    return -EACCES;
}

int inode_permission(struct inode *inode, unsigned mask)
{
    const struct cred *cred = current->cred;
    unsigned bits = inode->mode;

    if ((mask & MAY_WRITE) && (inode->sb->flags & MS_RDONLY) && !IS_DEVICE(inode) &&
        !IS_FIFO(inode))
        return -EROFS;
    if (unlikely(inode->ops->permission != NULL))
        return inode->ops->permission(inode, mask);
    return inode_mode_permission(inode, mask, cred, bits);
}

int inode_mode_permission(const struct inode *inode, unsigned mask, const struct cred *cred,
                          unsigned bits)
{
    if (cred->fsuid == inode->uid)
        bits >>= 6;
    else if (((bits >> 3) & 7) != (bits & 7) && cred_in_group(cred, inode->gid))
        bits >>= 3; /* the groups are looked at only if it matters */
    if (likely((mask & ~bits) == 0))
        return 0;
    return capability_permission(inode, mask);
}

int may_create(struct mount *mount, struct inode *dir)
{
    if (dir->nlink == 0) /* it was removed while we were on the way */
        return -ENOENT;
    if (mount_readonly(mount))
        return -EROFS;
    return inode_permission(dir, MAY_WRITE | MAY_EXEC);
}

int may_delete(struct mount *mount, struct inode *dir, struct dentry *victim, bool want_directory)
{
    struct inode *inode = victim->inode;
    int error = inode_permission(dir, MAY_WRITE | MAY_EXEC);

    if (error)
        return error;
    if ((dir->mode & S_ISVTX) && current->cred->fsuid != inode->uid &&
        current->cred->fsuid != dir->uid && !capable(CAP_FOWNER))
        return -EPERM;
    if (want_directory && !IS_DIR(inode))
        return -ENOTDIR;
    if (!want_directory && IS_DIR(inode))
        return -EISDIR;
    if (dir->nlink == 0)
        return -ENOENT;
    return 0;
}

/* ---- changing attributes -------------------------------------------------------------------------------- */

void attributes_copy(struct inode *inode, const struct attributes *attr)
{
    if (attr->valid & ATTR_UID)
        inode->uid = attr->uid;
    if (attr->valid & ATTR_GID)
        inode->gid = attr->gid;
    if (attr->valid & ATTR_MODE)
        inode->mode = (inode->mode & S_IFMT) | (attr->mode & MODE_BITS);
    if (attr->valid & ATTR_ATIME)
        inode->atime = attr->atime;
    if (attr->valid & ATTR_MTIME)
        inode->mtime = attr->mtime;
    if (attr->valid & ATTR_CTIME)
        inode->ctime = attr->ctime;
}

int inode_set_attributes(struct inode *inode, const struct attributes *attr)
{
    assert(mutex_held(&inode->mutex));
    if (inode->ops->set_attributes)
        return inode->ops->set_attributes(inode, attr);
    if (attr->valid & ATTR_SIZE)
        return -EINVAL;
    attributes_copy(inode, attr);
    return 0;
}

/* chown(2): the owner may give the file to a group of theirs; all else asks for CAP_CHOWN. */
static int may_chown(const struct inode *inode, const struct attributes *attr)
{
    const struct cred *cred = current->cred;
    bool owner = cred->fsuid == inode->uid;

    if (capable(CAP_CHOWN))
        return 0;
    if ((attr->valid & ATTR_UID) && !(owner && attr->uid == inode->uid))
        return -EPERM;
    if ((attr->valid & ATTR_GID) &&
        !(owner && (attr->gid == inode->gid || cred_in_group(cred, attr->gid))))
        return -EPERM;
    return 0;
}

static void drop_set_id(const struct inode *inode, struct attributes *attr)
{
    mode_t mode = mode_without_set_id(inode);

    if (mode == inode->mode)
        return;
    attr->valid |= ATTR_MODE;
    attr->mode = mode;
}

static int prepare_change(const struct inode *inode, struct attributes *attr)
{
    gid_t gid = attr->valid & ATTR_GID ? attr->gid : inode->gid;
    int error = 0;

    if (attr->valid & (ATTR_UID | ATTR_GID))
        error = may_chown(inode, attr);
    if (!error && (attr->valid & ATTR_MODE)) {
        if (!is_owner_or_capable(inode))
            return -EPERM;
        if (!cred_in_group(current->cred, gid) && !capable(CAP_FSETID))
            attr->mode &= ~S_ISGID;
    }
    if (error)
        return error;
    if ((attr->valid & ATTR_OWNERSHIP) && !IS_DIR(inode))
        drop_set_id(inode, attr);
    if ((attr->valid & ATTR_SIZE) && !capable(CAP_FSETID))
        drop_set_id(inode, attr);
    return 0;
}

int inode_change(struct mount *mount, struct inode *inode, struct attributes *attr)
{
    int error = mount_want_write(mount);

    if (error)
        return error;
    mutex_lock(&inode->mutex);
    error = prepare_change(inode, attr);
    if (!error) {
        if (!(attr->valid & ATTR_CTIME)) {
            attr->ctime = ktime_real();
            attr->valid |= ATTR_CTIME;
        }
        if (attr->valid & ATTR_SIZE) {
            attr->mtime = attr->ctime;
            attr->valid |= ATTR_MTIME;
        }
        error = inode_set_attributes(inode, attr);
    }
    mutex_unlock(&inode->mutex);
    return error;
}
