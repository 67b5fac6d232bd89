/* SPDX-License-Identifier: MIT */
/*
 * sysfs as a file system: inodes for the nodes of the tree (tree.c). There is one tree; every mount
 * shows it. A file's text is made when it is read from its start, and has at most a page on Linux: so
 * stat(2) tells the size of a page.
 */
#include "internal.h"
#include "../internal.h"
#include <linux/magic.h>

#define WRITE_MAX (PAGE_SIZE - 1)

static struct sysfs_node *node_of(const struct inode *inode)
{
    return inode->private_data;
}

/* ---- files ---------------------------------------------------------------------------------------------- */

static int show(struct seq_file *m, void *arg)
{
    struct sysfs_node *n = arg;

    if (n->show)
        n->show(m, n->data);
    else
        seq_write(m, n->data, n->size);
    return 0;
}

static int file_open_node(struct inode *inode, struct file *file)
{
    if ((file->mode & FILE_WRITE) && !node_of(inode)->store)
        return -EACCES; /* even for who is above permissions */
    return seq_open(file, show, node_of(inode));
}

static ssize_t write_node(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct sysfs_node *n = node_of(file->inode);
    size_t length = iter->count;
    char *text;
    int error;

    if (length > WRITE_MAX)
        return -EINVAL;
    text = kmalloc(length + 1, ALLOC_KERNEL);
    if (!text)
        return -ENOMEM;
    error = copy_from_iter(iter, text, length) == length ? 0 : -EFAULT;
    if (!error) {
        text[length] = '\0';
        text[strcspn(text, "\n")] = '\0';
        error = n->store(n->data, text, strlen(text));
    }
    kfree(text);
    return error ? error : (ssize_t)length;
}

static const struct file_ops text_ops = {
    .open = file_open_node,
    .read = seq_read,
    .write = write_node,
    .seek = seek_cookie,
    .release = seq_release,
};

/* ---- links ------------------------------------------------------------------------------------------------ */

static unsigned depth_of(const struct sysfs_node *n)
{
    unsigned depth = 0;

    for (; n != &sysfs_root; n = n->parent)
        depth++;
    return depth;
}

static char *prepend(char *at, const char *start, const char *text)
{
    size_t n = strlen(text);

    if (!at || (size_t)(at - start) < n + 1)
        return NULL;
    at -= n;
    memcpy(at, text, n);
    *--at = '/';
    return at;
}

/* "../../devices/...": up to the nearest directory that holds both, and down from there. */
static const char *get_link(struct inode *inode, char *buffer)
{
    const struct sysfs_node *from = node_of(inode)->parent, *to = node_of(inode)->target;
    unsigned from_depth = depth_of(from), to_depth = depth_of(to), ups = 0;
    char *at = buffer + PATH_MAX - 9;

    if (!buffer)
        return err_ptr(-EAGAIN);
    *at = '\0';
    for (; from != to;) {
        if (from_depth >= to_depth) {
            from = from->parent;
            from_depth--;
            ups++;
        } else {
            at = prepend(at, buffer, to->name);
            to = to->parent;
            to_depth--;
        }
    }
    while (ups--)
        at = prepend(at, buffer, "..");
    return at ? at + 1 : err_ptr(-ENAMETOOLONG);
}

/* ---- directories -------------------------------------------------------------------------------------------- */

static struct inode *make_inode(struct super_block *sb, struct sysfs_node *n);

static int lookup(struct inode *dir, struct dentry *dentry)
{
    struct sysfs_node *n;
    struct inode *inode;

    spin_lock(&sysfs_lock);
    n = sysfs_find(node_of(dir), dentry->name.text, dentry->name.length);
    spin_unlock(&sysfs_lock);
    if (!n || !sysfs_visible(n))
        return 0;
    inode = make_inode(dir->sb, n);
    if (!inode)
        return -ENOMEM;
    if (!S_ISREG(n->mode))
        dentry->flags |= DENTRY_VOLATILE; /* it may be hidden */
    dentry_instantiate(dentry, inode);
    return 0;
}

/* The first child at or after a cookie. */
static struct sysfs_node *child_from(struct sysfs_node *parent, u64 position)
{
    struct sysfs_node *n, *found = NULL;

    spin_lock(&sysfs_lock);
    list_for_each_entry(n, &parent->children, sibling)
        if (n->position >= position && sysfs_visible(n)) {
            found = n;
            break;
        }
    spin_unlock(&sysfs_lock);
    return found;
}

static int read_dir(struct file *file, struct dir_context *ctx)
{
    struct sysfs_node *n;

    if (!dir_emit_dots(file, ctx))
        return 0;
    while ((n = child_from(node_of(file->inode), ctx->pos)) != NULL) {
        ctx->pos = n->position;
        if (!ctx->emit(ctx, n->name, strlen(n->name), n->ino, n->mode >> 12))
            break;
        ctx->pos = n->position + 1;
    }
    return 0;
}

static const struct file_ops directory_ops = {.read_dir = read_dir, .seek = seek_generic};

/* ---- inodes --------------------------------------------------------------------------------------------------- */

/* Owner and mode can be changed and are remembered; the rest is not up to the user (O_TRUNC is let pass). */
static int set_attributes(struct inode *inode, const struct attributes *attr)
{
    struct sysfs_node *n = node_of(inode);

    attributes_copy(inode, attr);
    n->mode = inode->mode;
    n->uid = inode->uid;
    n->gid = inode->gid;
    return 0;
}

/* A link for each directory in it, which names it "..", besides its name and its own ".". */
static void count_links(struct inode *inode)
{
    struct sysfs_node *n;
    u32 links = 2;

    spin_lock(&sysfs_lock);
    list_for_each_entry(n, &node_of(inode)->children, sibling)
        links += S_ISDIR(n->mode) && !n->hidden;
    spin_unlock(&sysfs_lock);
    inode->nlink = links;
}

static bool still_valid(struct inode *inode)
{
    return sysfs_visible(node_of(inode));
}

static const struct inode_ops directory_inode_ops = {.lookup = lookup,
                                                     .refresh = count_links,
                                                     .set_attributes = set_attributes,
                                                     .still_valid = still_valid};
static const struct inode_ops file_inode_ops = {.set_attributes = set_attributes};
static const struct inode_ops link_inode_ops = {.get_link = get_link, .still_valid = still_valid};

static struct inode *make_inode(struct super_block *sb, struct sysfs_node *n)
{
    struct inode *inode = inode_alloc(sb);

    if (!inode)
        return NULL;
    inode->private_data = n;
    inode->ino = n->ino;
    inode->mode = n->mode;
    inode->uid = n->uid;
    inode->gid = n->gid;
    inode->nlink = 1;
    if (S_ISDIR(n->mode)) {
        inode->ops = &directory_inode_ops;
        inode->file_ops = &directory_ops;
        inode->nlink = 2;
    } else if (S_ISLNK(n->mode)) {
        inode->ops = &link_inode_ops;
    } else {
        inode->ops = &file_inode_ops;
        inode->file_ops = &text_ops;
        inode->size = n->size ? n->size : PAGE_SIZE;
    }
    return inode;
}

static int sysfs_statfs(struct super_block *sb, struct statfs_info *info)
{
    info->block_size = PAGE_SIZE;
    info->name_max = NAME_MAX;
    return 0;
}

static const struct super_ops super_ops = {.statfs = sysfs_statfs};

static struct super_block *sysfs_mount(struct fs_type *type, unsigned long flags,
                                       const char *source, const char *data)
{
    static struct super_block *the_one;
    static DEFINE_MUTEX(lock);
    struct super_block *sb;
    struct inode *inode;

    mutex_lock(&lock);
    if (!the_one) {
        sb = super_alloc(type);
        inode = sb ? make_inode(sb, &sysfs_root) : NULL;
        if (inode) {
            sb->ops = &super_ops;
            sb->magic = SYSFS_MAGIC;
            sb->flags |= SB_NO_NEGATIVE; /* nodes may yet come */
            sb->root = dentry_make_root(sb, inode);
        }
        if (sb && sb->root)
            the_one = sb;
        else if (sb)
            super_put(sb);
    }
    sb = the_one;
    if (sb)
        ref_get(&sb->refs);
    mutex_unlock(&lock);
    return sb ? sb : err_ptr(-ENOMEM);
}

static struct fs_type sysfs_type = {.name = "sysfs", .mount = sysfs_mount};

void __init sysfs_init(void)
{
    static const char *const usual[] = {
        "block", "bus",       "class",  "dev/block",       "dev/char", "devices",    "firmware",
        "fs",    "kernel/mm", "module", "devices/virtual", "power",    "class/block"};

    for (unsigned i = 0; i < ARRAY_SIZE(usual); i++)
        sysfs_directory(NULL, "%s", usual[i]);
    fs_register(&sysfs_type);
    sysfs_cpu_init();
    sysfs_huge_init();
}
