/* SPDX-License-Identifier: MIT */
/*
 * tmpfs: files whose only home is memory (tmpfs(5)).
 *
 * There is nothing below the caches: a directory is its dentries, which are pinned; the contents of
 * a file are the pages in its page cache. So lookup, read, write and mmap are those of the VFS, and
 * what is left to do here is to make and unmake inodes, to count links, and to keep to the limits
 * that were set at mount time (super.c). contents.c is about holes.
 */
#include "tmpfs.h"
#include "../internal.h"

#define DIRENT_SIZE 20 /* what a name adds to the size of its directory, as Linux shows it */

static const struct inode_ops directory_ops, file_inode_ops, link_ops;
/* ---- limits ------------------------------------------------------------------------------------------ */

static void pages_removed(struct page_cache *cache, u64 n)
{
    struct tmpfs *fs = tmpfs_of(cache->inode->sb);

    atomic_sub(&fs->pages, (long)n);
    if (!fs->promised)
        overcommit_uncharge(n);
}

static int page_adding(struct page_cache *cache)
{
    struct tmpfs *fs = tmpfs_of(cache->inode->sb);

    if (!fs->promised && !overcommit_charge(1))
        return -ENOSPC;
    if (atomic_add_return(&fs->pages, 1) <= (long)fs->max_pages || !fs->max_pages)
        return 0;
    pages_removed(cache, 1);
    return -ENOSPC;
}

static const struct page_cache_ops cache_ops = {
    .adding = page_adding,
    .removed = pages_removed,
};

/* ---- inodes ------------------------------------------------------------------------------------------ */

/* Who owns a new file in dir, and with which mode (open(2), mkdir(2)). */
static void set_owner(struct inode *inode, const struct inode *dir, mode_t mode)
{
    const struct cred *cred = current->cred;

    inode->uid = cred->fsuid;
    inode->gid = cred->fsgid;
    if (dir && (dir->mode & S_ISGID)) {
        inode->gid = dir->gid;
        if ((mode & S_IFMT) == S_IFDIR)
            mode |= S_ISGID;
        else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
                 !cred_in_group(cred, dir->gid) && !capable(CAP_FSETID))
            mode &= ~S_ISGID;
    }
    inode->mode = mode;
}

struct inode *tmpfs_inode(struct super_block *sb, const struct inode *dir, mode_t mode,
                          dev_id_t device)
{
    struct tmpfs *fs = tmpfs_of(sb);
    struct inode *inode;

    if (fs->max_inodes && (u64)atomic_read(&sb->inodes) >= fs->max_inodes)
        return err_ptr(-ENOSPC);
    inode = inode_alloc(sb);
    if (!inode)
        return err_ptr(-ENOMEM);
    set_owner(inode, dir, mode);
    inode->ino = inode_next_number();
    inode->cache.ops = &cache_ops;
    inode->ops = &file_inode_ops;
    switch (mode & S_IFMT) {
    case S_IFREG:
        inode->file_ops = &tmpfs_file_ops;
        inode->seals = F_SEAL_SEAL;
        break;
    case S_IFDIR:
        inode->ops = &directory_ops;
        inode->file_ops = &dentry_directory_ops;
        inode->nlink = 2;
        inode->size = 2 * DIRENT_SIZE;
        break;
    case S_IFLNK:
        inode->ops = &link_ops;
        inode->file_ops = &bad_file_ops;
        break;
    default:
        inode_init_special(inode, mode, device);
    }
    return inode;
}

/* ---- names => dir->mutex ------------------------------------------------------------------------------- */

static void directory_changed(struct inode *dir, int names)
{
    dir->size += names * DIRENT_SIZE;
    inode_touch(dir, ATTR_MTIME | ATTR_CTIME);
}

static int tmpfs_create(struct inode *dir, struct dentry *d, mode_t mode, dev_id_t device)
{
    struct inode *inode = tmpfs_inode(dir->sb, dir, mode, device);

    if (is_err(inode))
        return ptr_err(inode);
    dentry_instantiate(d, inode);
    dir->size += DIRENT_SIZE;
    dir->mtime = dir->ctime = inode->ctime;
    return 0;
}

static int tmpfs_mkdir(struct inode *dir, struct dentry *d, mode_t mode)
{
    int error = tmpfs_create(dir, d, mode, 0);

    if (!error)
        dir->nlink++;
    return error;
}

static int tmpfs_symlink(struct inode *dir, struct dentry *d, const char *target)
{
    size_t n = strlen(target);
    char *text = kmalloc(n + 8, ALLOC_KERNEL); /* a walk reads up to 7 bytes beyond the end */
    int error;

    if (!text)
        return -ENOMEM;
    memset(text + n, 0, 8);
    memcpy(text, target, n);
    error = tmpfs_create(dir, d, S_IFLNK | 0777, 0);
    if (error) {
        kfree(text);
        return error;
    }
    d->inode->private_data = text;
    d->inode->size = n;
    return 0;
}

static const char *tmpfs_get_link(struct inode *inode, char *buffer)
{
    return inode->private_data;
}

static int tmpfs_link(struct inode *dir, struct dentry *d, struct inode *inode)
{
    inode->nlink++;
    inode->linkable = false;
    inode_touch(inode, ATTR_CTIME);
    directory_changed(dir, 1);
    dentry_instantiate(d, inode_get(inode));
    return 0;
}

static int tmpfs_unlink(struct inode *dir, struct dentry *d)
{
    d->inode->nlink--;
    directory_changed(dir, -1);
    d->inode->ctime = dir->ctime;
    return 0;
}

static int tmpfs_rmdir(struct inode *dir, struct dentry *d)
{
    if (!list_empty(&d->children))
        return -ENOTEMPTY;
    d->inode->nlink = 1; /* and 0 after unlink: the directory is dead */
    dir->nlink--;
    return tmpfs_unlink(dir, d);
}

/* The link counts of two directories between which `inode` moves. */
static void move_directory(struct inode *from_dir, struct inode *to_dir, const struct inode *inode)
{
    if (!IS_DIR(inode))
        return;
    from_dir->nlink--;
    to_dir->nlink++;
}

static int tmpfs_rename(struct inode *from_dir, struct dentry *from, struct inode *to_dir,
                        struct dentry *to, unsigned flags)
{
    int error = 0;

    if (flags & RENAME_EXCHANGE) {
        move_directory(to_dir, from_dir, to->inode);
        move_directory(from_dir, to_dir, from->inode);
        directory_changed(from_dir, 0);
        directory_changed(to_dir, 0);
        inode_touch(to->inode, ATTR_CTIME);
    } else {
        if (to->inode)
            error = IS_DIR(to->inode) ? tmpfs_rmdir(to_dir, to) : tmpfs_unlink(to_dir, to);
        if (error)
            return error;
        move_directory(from_dir, to_dir, from->inode);
        directory_changed(from_dir, -1);
        directory_changed(to_dir, 1);
    }
    inode_touch(from->inode, ATTR_CTIME);
    return 0;
}

static int tmpfs_tmpfile(struct inode *dir, struct inode **result, mode_t mode)
{
    struct inode *inode = tmpfs_inode(dir->sb, dir, mode, 0);

    if (is_err(inode))
        return ptr_err(inode);
    inode->nlink = 0;
    *result = inode;
    return 0;
}

/* What follows the new end in its page becomes zeros. The page is brought back from swap before anything
 * has changed, since that can fail, and held. */
static int change_size(struct inode *inode, u64 size)
{
    struct page *last = NULL;
    u64 old = inode->size;

    if (size < old && size % PAGE_SIZE) {
        last = page_cache_find_data(&inode->cache, size >> PAGE_SHIFT, true);
        if (is_err(last))
            return ptr_err(last);
    }
    WRITE_ONCE(inode->size, size);
    if (size < old)
        page_cache_truncate(&inode->cache, size);
    if (last)
        page_put(last);
    return 0;
}

static int tmpfs_set_attributes(struct inode *inode, const struct attributes *attr)
{
    int error = 0;

    if (attr->valid & ATTR_SIZE)
        error = seals_allow_size(inode, attr->size) ? -EPERM : change_size(inode, attr->size);
    if (!error)
        attributes_copy(inode, attr);
    return error;
}

static const struct inode_ops directory_ops = {
    .create = tmpfs_create,
    .mkdir = tmpfs_mkdir,
    .symlink = tmpfs_symlink,
    .link = tmpfs_link,
    .unlink = tmpfs_unlink,
    .rmdir = tmpfs_rmdir,
    .rename = tmpfs_rename,
    .tmpfile = tmpfs_tmpfile,
    .set_attributes = tmpfs_set_attributes,
};
static const struct inode_ops file_inode_ops = {.set_attributes = tmpfs_set_attributes};
static const struct inode_ops link_ops = {
    .get_link = tmpfs_get_link,
    .set_attributes = tmpfs_set_attributes,
};
