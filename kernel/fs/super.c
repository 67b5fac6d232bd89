/* SPDX-License-Identifier: MIT */
/*
 * File system types and super blocks, and the file system of objects that have no name: pipes,
 * eventfds, sockets.
 */
#include "internal.h"
#include <vellum/notify.h>
#include <vellum/seq_file.h>
#include <linux/magic.h>

static DEFINE_SPINLOCK(super_lock);
static struct list types = LIST_INIT(types);   /* [super_lock] never shrinks */
static struct list supers = LIST_INIT(supers); /* [super_lock] */
DEFINE_WAIT_QUEUE(super_emptied);
static atomic_t next_device = ATOMIC_INIT(0);
static atomic_long_t next_ino = {1};

struct mount *anonymous_mount;
struct inode *object_inode;

void fs_register(struct fs_type *type)
{
    spin_lock(&super_lock);
    list_add_tail(&type->link, &types);
    spin_unlock(&super_lock);
}

struct fs_type *fs_type_find(const char *name)
{
    struct fs_type *type, *found = NULL;

    spin_lock(&super_lock);
    list_for_each_entry(type, &types, link)
        if (strcmp(type->name, name) == 0)
            found = type;
    spin_unlock(&super_lock);
    return found;
}

void fs_types_show(struct seq_file *m)
{
    struct fs_type *type;

    list_for_each_entry(type, &types, link)
        seq_printf(m, "%s\t%s\n", type->needs_device ? "" : "nodev", type->name);
}

int mount_options(const char *text, int (*parse)(void *arg, char *option), void *arg)
{
    char *copy, *option, *next;
    int error = 0;

    if (!text)
        return 0;
    copy = kstrdup(text, ALLOC_KERNEL);
    if (!copy)
        return -ENOMEM;
    for (option = copy; option && !error; option = next) {
        next = strchr(option, ',');
        if (next)
            *next++ = 0;
        if (*option)
            error = parse(arg, option);
    }
    kfree(copy);
    return error;
}

struct super_block *super_alloc(struct fs_type *type)
{
    struct super_block *sb = kzalloc(sizeof(*sb), ALLOC_KERNEL);

    if (!sb)
        return NULL;
    sb->type = type;
    sb->block_size = PAGE_SIZE;
    sb->max_size = INT64_MAX;
    sb->time_granularity = 1;
    sb->device = dev_make(0, atomic_inc_return(&next_device));
    ref_init(&sb->refs);
    spin_lock(&super_lock);
    list_add_tail(&sb->link, &supers);
    spin_unlock(&super_lock);
    return sb;
}

void super_put(struct super_block *sb)
{
    if (!ref_put(&sb->refs))
        return;
    spin_lock(&super_lock);
    list_del(&sb->link);
    spin_unlock(&super_lock);
    if (sb->ops && sb->ops->sync)
        sb->ops->sync(sb);
    notify_unmounted(sb);
    if (sb->root)
        dentry_destroy_tree(sb->root);
    /* Who writes back, reclaims or ends a watch may hold an inode for a moment longer. */
    wait_event(&super_emptied, atomic_read(&sb->inodes) == 0);
    if (sb->ops && sb->ops->put_super)
        sb->ops->put_super(sb);
    kfree(sb);
}

/* The list may change while fn runs: it is held by a reference to the one we are at. */
void super_for_each(void (*fn)(struct super_block *sb))
{
    struct super_block *sb, *held = NULL;

    spin_lock(&super_lock);
    list_for_each_entry(sb, &supers, link) {
        if (!atomic_inc_not_zero(&sb->refs))
            continue;
        spin_unlock(&super_lock);
        if (held)
            super_put(held);
        fn(sb);
        held = sb;
        spin_lock(&super_lock);
    }
    spin_unlock(&super_lock);
    if (held)
        super_put(held);
}

u64 inode_next_number(void)
{
    return atomic_add_return(&next_ino, 1);
}

/* ---- objects without a name ------------------------------------------------------------------------ */

static const struct inode_ops anonymous_inode_ops = {0};
static const struct super_ops anonymous_super_ops = {0};
static struct fs_type anonymous_fs_type = {.name = "anonfs"};

struct inode *inode_anonymous(mode_t mode)
{
    struct inode *inode = inode_alloc(anonymous_mount->sb);

    if (!inode)
        return NULL;
    inode->mode = mode;
    inode->uid = current->cred->fsuid;
    inode->gid = current->cred->fsgid;
    inode->ino = inode_next_number();
    inode->ops = &anonymous_inode_ops;
    inode->file_ops = &no_device_file_ops;
    return inode;
}

void __init anonymous_fs_init(void)
{
    struct super_block *sb = super_alloc(&anonymous_fs_type);
    struct mount *m = kzalloc(sizeof(*m), ALLOC_KERNEL);
    struct inode *inode;

    if (!sb || !m)
        panic("no memory for the anonymous file system");
    sb->ops = &anonymous_super_ops;
    sb->magic = ANON_INODE_FS_MAGIC;
    sb->flags = SB_INTERNAL | MS_NOATIME;
    ref_init(&m->refs);
    m->sb = sb;
    m->flags = MS_NOATIME;
    anonymous_mount = m;
    inode = inode_alloc(sb);
    if (inode) {
        inode->mode = S_IFDIR | 0500;
        inode->ops = &anonymous_inode_ops;
        sb->root = dentry_make_root(sb, inode);
    }
    if (!sb->root || !(object_inode = inode_anonymous(0600)))
        panic("no memory for the anonymous file system");
    m->root = dentry_get(sb->root);
}
