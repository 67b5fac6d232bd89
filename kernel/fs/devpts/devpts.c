/* SPDX-License-Identifier: MIT */
/*
 * devpts: the names of pseudo-terminals, on /dev/pts (pts(4)).
 *
 * A name appears when its master is opened and goes when that is closed. As with devfs there is one
 * tree, which every mount shows; options given at a mount hold for the names made from then on. Users
 * can neither make nor remove names here.
 */
#include "../internal.h"
#include <linux/magic.h>
#include <linux/major.h>
#include <vellum/seq_file.h>

#define NAME_SIZE 16

static struct options {
    uid_t uid;
    gid_t gid;
    bool has_uid, has_gid;
    mode_t mode, ptmx_mode;
} options = {.mode = 0600}; /* [option_lock] */

static DEFINE_SPINLOCK(option_lock);
static struct super_block *devpts;
static struct inode *ptmx;

static const struct inode_ops devpts_inode_ops = {0};

static struct inode *devpts_inode(mode_t mode, dev_id_t device)
{
    struct inode *inode = inode_alloc(devpts);

    if (!inode)
        return NULL;
    inode->mode = mode;
    inode->ino = inode_next_number();
    inode->ops = &devpts_inode_ops;
    inode_init_special(inode, mode, device);
    return inode;
}

/* ---- what pty.c calls ---------------------------------------------------------------------------- */

int devpts_add(unsigned index, dev_id_t device, void *terminal)
{
    struct inode *dir = devpts->root->inode, *inode = devpts_inode(S_IFCHR, device);
    struct options o;
    struct dentry *d;
    char name[NAME_SIZE];

    if (!inode)
        return -ENOMEM;
    spin_lock(&option_lock);
    o = options;
    spin_unlock(&option_lock);
    inode->mode = S_IFCHR | o.mode;
    inode->uid = o.has_uid ? o.uid : current->cred->fsuid;
    inode->gid = o.has_gid ? o.gid : current->cred->fsgid;
    inode->private_data = terminal;
    snprintf(name, sizeof(name), "%u", index);
    mutex_lock(&dir->mutex);
    d = dentry_add_child(devpts->root, name, inode);
    mutex_unlock(&dir->mutex);
    return is_err(d) ? ptr_err(d) : 0;
}

static struct dentry *find(unsigned index)
{
    char text[NAME_SIZE + 8];
    struct name name;

    snprintf(text, sizeof(text), "%u", index);
    name_set(&name, devpts->root, text, strlen(text));
    return dentry_find(devpts->root, &name);
}

void devpts_remove(unsigned index)
{
    struct inode *dir = devpts->root->inode, *inode;
    struct dentry *d;

    mutex_lock(&dir->mutex);
    d = find(index);
    assert(d);
    inode = d->inode;
    spin_lock(&inode->lock);
    inode->private_data = NULL;
    spin_unlock(&inode->lock);
    inode->nlink = 0;
    dentry_unlink(d);
    mutex_unlock(&dir->mutex);
    dentry_put(d);
}

bool is_devpts(const struct inode *inode)
{
    return inode->sb == devpts;
}

/* ---- mounting ------------------------------------------------------------------------------------- */

static int parse_option(void *arg, char *text)
{
    struct options *o = arg;
    char *value = strchr(text, '=');
    u64 n;

    if (!value) /* all are new, in a way */
        return strcmp(text, "newinstance") == 0 ? 0 : -EINVAL;
    *value++ = 0;
    if (str_to_u64(value, strstr(text, "mode") ? 8 : 10, &n))
        return -EINVAL;
    if (strcmp(text, "uid") == 0) {
        o->uid = n;
        o->has_uid = true;
    } else if (strcmp(text, "gid") == 0) {
        o->gid = n;
        o->has_gid = true;
    } else if (strcmp(text, "mode") == 0) {
        o->mode = n & 0777;
    } else if (strcmp(text, "ptmxmode") == 0) {
        o->ptmx_mode = n & 0777;
    } else {
        return strcmp(text, "max") == 0 ? 0 : -EINVAL;
    }
    return 0;
}

/* Comma-separated; nothing is changed unless all are right. */
static int set_options(const char *text)
{
    struct options parsed = {.mode = 0600};
    int error = mount_options(text, parse_option, &parsed);

    if (error || !text)
        return error;
    spin_lock(&option_lock);
    options = parsed;
    spin_unlock(&option_lock);
    ptmx->mode = S_IFCHR | parsed.ptmx_mode;
    return 0;
}

static int devpts_remount(struct super_block *sb, unsigned long flags, const char *data)
{
    return set_options(data);
}

static void devpts_show_options(struct super_block *sb, struct seq_file *m)
{
    struct options o = options;

    if (o.has_uid)
        seq_printf(m, ",uid=%u", o.uid);
    if (o.has_gid)
        seq_printf(m, ",gid=%u", o.gid);
    seq_printf(m, ",mode=%03o,ptmxmode=%03o", o.mode, o.ptmx_mode);
}

static const struct super_ops devpts_super_ops = {
    .remount = devpts_remount,
    .show_options = devpts_show_options,
};

static struct super_block *devpts_mount(struct fs_type *type, unsigned long flags,
                                        const char *source, const char *data)
{
    int error = set_options(data);

    if (error)
        return err_ptr(error);
    ref_get(&devpts->refs);
    return devpts;
}

static struct fs_type devpts_type = {.name = "devpts", .mount = devpts_mount};

void __init devpts_init(void)
{
    struct inode *root;

    devpts = super_alloc(&devpts_type);
    if (!devpts)
        panic("no memory for devpts");
    devpts->ops = &devpts_super_ops;
    devpts->magic = DEVPTS_SUPER_MAGIC;
    devpts->flags = SB_DENTRIES_ARE_HOME;
    root = devpts_inode(S_IFDIR | 0755, 0);
    if (root) {
        root->file_ops = &dentry_directory_ops;
        root->nlink = 2;
        devpts->root = dentry_make_root(devpts, root);
    }
    ptmx = devpts_inode(S_IFCHR, dev_make(TTYAUX_MAJOR, 2));
    if (!root || !devpts->root || !ptmx || is_err(dentry_add_child(devpts->root, "ptmx", ptmx)))
        panic("no memory for devpts");
    fs_register(&devpts_type);
}
