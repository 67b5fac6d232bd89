/* SPDX-License-Identifier: MIT */
/*
 * tmpfs: files whose only home is memory (tmpfs(5)).
 *
 * There is nothing below the caches: a directory is its dentries, which are pinned; the contents of
 * a file are the pages in its page cache. So lookup, read, write and mmap are those of the VFS, and
 * what is left to do here is to make and unmake inodes, to count links, and to keep to the limits
 * that were set at mount time.
 */
#include "tmpfs.h"
#include "../internal.h"
#include <linux/falloc.h>
#include <linux/magic.h>
#include <vellum/seq_file.h>

#define DIRENT_SIZE 20 /* what a name adds to the size of its directory, as Linux shows it */

struct tmpfs {
    u64 max_pages, max_inodes; /* 0: no limit */
    bool promised;             /* files are committed memory by their size, not page by page */
    atomic_long_t pages;
    uid_t uid;
    gid_t gid;
    mode_t mode;
};

static const struct inode_ops directory_ops, file_inode_ops, link_ops;
/* For files without a name; for those whose size has been promised (overcommit). */
static struct super_block *shared_memory, *promised_memory;

static struct tmpfs *tmpfs_of(const struct super_block *sb)
{
    return sb->private_data;
}

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

static struct inode *tmpfs_inode(struct super_block *sb, const struct inode *dir, mode_t mode,
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

static void tmpfs_free_inode(struct inode *inode)
{
    if (tmpfs_of(inode->sb)->promised && IS_REGULAR(inode))
        overcommit_uncharge(DIV_ROUND_UP(inode->size, PAGE_SIZE));
    if (IS_SYMLINK(inode) || IS_REGULAR(inode))
        kfree(inode->private_data); /* a link's text; what memfd.c keeps */
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
    inode->linkable = true;
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

/* ---- contents ---------------------------------------------------------------------------------------- */

loff_t tmpfs_seek(struct file *file, loff_t offset, int whence)
{
    loff_t size = READ_ONCE(file->inode->size), pos;

    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return seek_generic(file, offset, whence);
    if (offset < 0 || offset >= size)
        return -ENXIO;
    pos = page_cache_seek(&file->inode->cache, offset, size, whence == SEEK_DATA);
    if (pos >= 0)
        file->pos = pos;
    return pos;
}

int tmpfs_fsync(struct file *file, loff_t start, loff_t end, bool data_only)
{
    return 0; /* memory is where it belongs */
}

/* Zero bytes [start, end) of one page, if it is there. 0 or -errno */
static int zero_part(struct page_cache *cache, loff_t start, loff_t end)
{
    struct page *page;

    if (start >= end)
        return 0;
    page = page_cache_find_data(cache, start >> PAGE_SHIFT, true);
    if (!page || is_err(page))
        return ptr_err(page);
    page_lock(page);
    memset((char *)page_to_virt(page) + (start & ~PAGE_MASK), 0, end - start);
    page_unlock(page);
    page_put(page);
    return 0;
}

/* => inode mutex */
static int punch_hole(struct inode *inode, loff_t start, loff_t end)
{
    loff_t first, last = ALIGN_DOWN(end, (loff_t)PAGE_SIZE);
    int error;

    if (start >> PAGE_SHIFT == end >> PAGE_SHIFT) /* within one page */
        return zero_part(&inode->cache, start, end);
    first = ALIGN_UP(start, (loff_t)PAGE_SIZE);
    error = zero_part(&inode->cache, start, first);
    if (!error)
        error = zero_part(&inode->cache, last, end);
    if (!error && first < last)
        page_cache_remove_range(&inode->cache, first >> PAGE_SHIFT, (last >> PAGE_SHIFT) - 1);
    return error;
}

/* => inode mutex */
static long reserve(struct inode *inode, loff_t start, loff_t end)
{
    struct tmpfs *fs = tmpfs_of(inode->sb);
    u64 first = start >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT, i;
    int error = 0;

    if (fs->max_pages && last - first >= fs->max_pages)
        return -ENOSPC;
    for (i = first; i <= last && !error; i++) {
        error = page_cache_reserve(&inode->cache, i);
        if (!error && fatal_signal_pending())
            error = -EINTR;
    }
    if (error)
        page_cache_remove_reserved(&inode->cache, first, i - 1);
    return error;
}

long tmpfs_fallocate(struct file *file, int mode, loff_t offset, loff_t length)
{
    struct inode *inode = file->inode;
    loff_t end = offset + length;
    long error = 0;

    mutex_lock(&inode->mutex);
    if (seals_allow_size(inode, max((u64)end, inode->size)) ||
        ((mode & FALLOC_FL_PUNCH_HOLE) && (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))))
        error = -EPERM;
    else if (mode & FALLOC_FL_PUNCH_HOLE)
        error = punch_hole(inode, offset, end);
    else
        error = reserve(inode, offset, end);
    if (!error && !(mode & FALLOC_FL_KEEP_SIZE) && (u64)end > inode->size)
        WRITE_ONCE(inode->size, end);
    if (!error)
        inode_touch(inode, ATTR_MTIME | ATTR_CTIME);
    mutex_unlock(&inode->mutex);
    return error;
}

const struct file_ops tmpfs_file_ops = {
    .can_nowait = true,
    .read = cached_file_read,
    .write = cached_file_write,
    .seek = tmpfs_seek,
    .mmap = cached_file_mmap,
    .fsync = tmpfs_fsync,
    .fallocate = tmpfs_fallocate,
};

/* ---- the super block ----------------------------------------------------------------------------------- */

static int tmpfs_statfs(struct super_block *sb, struct statfs_info *info)
{
    struct tmpfs *fs = tmpfs_of(sb);
    u64 pages = atomic_read(&fs->pages), inodes = atomic_read(&sb->inodes);

    if (fs->max_pages) {
        info->blocks = fs->max_pages;
        info->blocks_free = info->blocks_available = fs->max_pages - min(pages, fs->max_pages);
    }
    if (fs->max_inodes) {
        info->files = fs->max_inodes;
        info->files_free = fs->max_inodes - min(inodes, fs->max_inodes);
    }
    return 0;
}

/* "50%" of memory or bytes with a suffix, in pages; rounded up. */
static int parse_size(const char *text, u64 *pages)
{
    const char *end;
    u64 n;

    if (str_to_size(text, &end, &n))
        return -EINVAL;
    if (end[0] == '%' && !end[1]) {
        *pages = boot_memory_total() / 100 * n >> PAGE_SHIFT;
        return 0;
    }
    *pages = DIV_ROUND_UP(n, PAGE_SIZE);
    return *end ? -EINVAL : 0;
}

static int parse_option(void *arg, char *option)
{
    struct tmpfs *fs = arg;
    char *value = strchr(option, '=');
    int error;
    u64 n;

    if (!value)
        return -EINVAL;
    *value++ = 0;
    if (strcmp(option, "size") == 0)
        return parse_size(value, &fs->max_pages);
    if (strcmp(option, "nr_blocks") == 0)
        return str_to_size(value, NULL, &fs->max_pages);
    if (strcmp(option, "nr_inodes") == 0)
        return str_to_size(value, NULL, &fs->max_inodes);
    error = str_to_u64(value, strcmp(option, "mode") == 0 ? 8 : 10, &n);
    if (error)
        return -EINVAL;
    if (strcmp(option, "mode") == 0)
        fs->mode = n & MODE_BITS;
    else if (strcmp(option, "uid") == 0)
        fs->uid = n;
    else if (strcmp(option, "gid") == 0)
        fs->gid = n;
    else
        return -EINVAL;
    return 0;
}

/* Comma-separated; *fs is changed only if all are right. */
static int parse_options(struct tmpfs *fs, const char *text)
{
    struct tmpfs parsed = *fs;
    int error = mount_options(text, parse_option, &parsed);

    if (error || !text)
        return error;
    fs->max_pages = parsed.max_pages;
    fs->max_inodes = parsed.max_inodes;
    fs->mode = parsed.mode;
    fs->uid = parsed.uid;
    fs->gid = parsed.gid;
    return 0;
}

static int tmpfs_remount(struct super_block *sb, unsigned long flags, const char *data)
{
    struct tmpfs *fs = tmpfs_of(sb), wanted = *fs;
    int error = parse_options(&wanted, data);

    if (error)
        return error;
    if (wanted.max_pages && wanted.max_pages < (u64)atomic_read(&fs->pages))
        return -EINVAL;
    if (wanted.max_inodes && wanted.max_inodes < (u64)atomic_read(&sb->inodes))
        return -EINVAL;
    fs->max_pages = wanted.max_pages;
    fs->max_inodes = wanted.max_inodes;
    return 0;
}

static void tmpfs_show_options(struct super_block *sb, struct seq_file *m)
{
    struct tmpfs *fs = tmpfs_of(sb);

    if (fs->max_pages)
        seq_printf(m, ",size=%luk", (unsigned long)(fs->max_pages * (PAGE_SIZE / 1024)));
    if (fs->max_inodes)
        seq_printf(m, ",nr_inodes=%lu", (unsigned long)fs->max_inodes);
    if (fs->mode != (S_ISVTX | 0777))
        seq_printf(m, ",mode=%03o", fs->mode);
    if (fs->uid)
        seq_printf(m, ",uid=%u", fs->uid);
    if (fs->gid)
        seq_printf(m, ",gid=%u", fs->gid);
}

static void tmpfs_put_super(struct super_block *sb)
{
    kfree(tmpfs_of(sb));
}

static const struct super_ops tmpfs_super_ops = {
    .free_inode = tmpfs_free_inode,
    .statfs = tmpfs_statfs,
    .remount = tmpfs_remount,
    .put_super = tmpfs_put_super,
    .show_options = tmpfs_show_options,
};

struct super_block *tmpfs_super(struct fs_type *type, unsigned long flags, const char *options)
{
    struct tmpfs *fs = kzalloc(sizeof(*fs), ALLOC_KERNEL);
    struct super_block *sb;
    struct inode *root;
    int error = -ENOMEM;

    if (!fs)
        return err_ptr(-ENOMEM);
    fs->max_pages = fs->max_inodes = boot_memory_total() >> (PAGE_SHIFT + 1);
    fs->mode = S_ISVTX | 0777;
    fs->uid = current->cred->fsuid;
    fs->gid = current->cred->fsgid;
    error = parse_options(fs, options);
    sb = error ? NULL : super_alloc(type);
    if (!sb) {
        kfree(fs);
        return err_ptr(error ? error : -ENOMEM);
    }
    sb->private_data = fs;
    sb->ops = &tmpfs_super_ops;
    sb->magic = TMPFS_MAGIC;
    sb->flags = SB_DENTRIES_ARE_HOME | SB_XATTRS | (flags & MS_RDONLY);
    root = tmpfs_inode(sb, NULL, S_IFDIR | fs->mode, 0);
    error = is_err(root) ? ptr_err(root) : 0;
    if (!error) {
        root->uid = fs->uid;
        root->gid = fs->gid;
        sb->root = dentry_make_root(sb, root);
        error = sb->root ? 0 : -ENOMEM;
    }
    if (!error)
        return sb;
    super_put(sb);
    return err_ptr(error);
}

static struct super_block *tmpfs_mount(struct fs_type *type, unsigned long flags,
                                       const char *source, const char *data)
{
    return tmpfs_super(type, flags, data);
}

static struct fs_type tmpfs_type = {.name = "tmpfs", .mount = tmpfs_mount};

static struct file *unnamed_in(struct super_block *sb, const char *name, u64 size,
                               const struct file_ops *ops)
{
    struct inode *inode = tmpfs_inode(sb, NULL, S_IFREG | 0777, 0);
    struct file *file;

    if (is_err(inode))
        return (struct file *)inode;
    inode->nlink = 0;
    inode->file_ops = ops;
    file = file_anonymous(inode, ops, O_RDWR, name);
    if (is_err(file))
        inode_put(inode);
    else
        inode->size = size;
    return file;
}

struct file *tmpfs_unnamed(const char *name, u64 size, const struct file_ops *ops)
{
    return unnamed_in(shared_memory, name, size, ops);
}

struct file *shmem_file_create(u64 size, bool promise)
{
    static const char name[] = "/dev/zero (deleted)";
    u64 pages = DIV_ROUND_UP(size, PAGE_SIZE);
    struct file *file;

    if (!promise)
        return tmpfs_unnamed(name, size, &tmpfs_file_ops);
    if (!overcommit_charge(pages))
        return err_ptr(-ENOMEM);
    file = unnamed_in(promised_memory, name, size, &tmpfs_file_ops);
    if (is_err(file))
        overcommit_uncharge(pages);
    else
        file->inode->seals |= F_SEAL_GROW | F_SEAL_SHRINK; /* what was promised is what it has */
    return file;
}

void __init tmpfs_init(void)
{
    fs_register(&tmpfs_type);
    shared_memory = tmpfs_super(&tmpfs_type, 0, "size=0,nr_inodes=0");
    promised_memory = tmpfs_super(&tmpfs_type, 0, "size=0,nr_inodes=0");
    if (is_err(shared_memory) || is_err(promised_memory))
        panic("no memory for tmpfs");
    shared_memory->flags |= SB_INTERNAL;
    promised_memory->flags |= SB_INTERNAL;
    tmpfs_of(promised_memory)->promised = true;
}
