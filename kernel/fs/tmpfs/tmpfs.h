/* SPDX-License-Identifier: MIT */
#ifndef VELLUM_TMPFS_H
#define VELLUM_TMPFS_H

#include <vellum/error.h>
#include <vellum/fs.h>

/* What a super block's private_data is. */
struct tmpfs {
    u64 max_pages, max_inodes; /* 0: no limit */
    bool promised;             /* files are committed memory by their size, not page by page */
    atomic_long_t pages;
    uid_t uid;
    gid_t gid;
    mode_t mode;
};

static inline struct tmpfs *tmpfs_of(const struct super_block *sb)
{
    return sb->private_data;
}

/* A new inode, one of dir's if that is not NULL; it has no name yet. One reference; -ENOSPC, -ENOMEM */
struct inode *tmpfs_inode(struct super_block *sb, const struct inode *dir, mode_t mode,
                          dev_id_t device);

/* A new, empty tree with these mount options (NULL: none). One reference; or err_ptr. */
struct super_block *tmpfs_super(struct fs_type *type, unsigned long flags, const char *options);

extern const struct file_ops tmpfs_file_ops;
loff_t tmpfs_seek(struct file *file, loff_t offset, int whence);
int tmpfs_fsync(struct file *file, loff_t start, loff_t end, bool data_only);
long tmpfs_fallocate(struct file *file, int mode, loff_t offset, loff_t length);

/* A file of `size` bytes without a name in any directory; `name` is what /proc shows. One reference;
 * or err_ptr. */
struct file *tmpfs_unnamed(const char *name, u64 size, const struct file_ops *ops);

/* May the file get this size? 0 or -EPERM. => inode mutex */
static inline int seals_allow_size(const struct inode *inode, u64 size)
{
    if ((inode->seals & F_SEAL_SHRINK) && size < inode->size)
        return -EPERM;
    return (inode->seals & F_SEAL_GROW) && size > inode->size ? -EPERM : 0;
}

#endif
