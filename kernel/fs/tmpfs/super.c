/* SPDX-License-Identifier: MIT */
/*
 * tmpfs as a whole: its options (tmpfs(5)), its limits, and the two trees that nobody mounts, for files
 * without a name.
 */
#include "tmpfs.h"
#include "../internal.h"
#include <linux/magic.h>
#include <vellum/seq_file.h>

/* For files without a name; for those whose size has been promised (overcommit). */
static struct super_block *shared_memory, *promised_memory;

static void tmpfs_free_inode(struct inode *inode)
{
    if (tmpfs_of(inode->sb)->promised && IS_REGULAR(inode))
        overcommit_uncharge(DIV_ROUND_UP(inode->size, PAGE_SIZE));
    if (IS_SYMLINK(inode) || IS_REGULAR(inode))
        kfree(inode->private_data); /* a link's text; what memfd.c keeps */
}

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
