/* SPDX-License-Identifier: MIT */
/*
 * devfs: the tree of device nodes, on /dev. It is a tmpfs of which there is only one, so every mount
 * shows the same nodes, and a user may add names of their own; the drivers add theirs with
 * devfs_add() as they find devices.
 */
#include "../internal.h"
#include "../tmpfs/tmpfs.h"

static struct super_block *devfs;

static struct super_block *devfs_mount(struct fs_type *type, unsigned long flags,
                                       const char *source, const char *data)
{
    ref_get(&devfs->refs);
    return devfs;
}

static struct fs_type devtmpfs_type = {.name = "devtmpfs", .mount = devfs_mount};
static struct fs_type devfs_type = {.name = "devfs", .mount = devfs_mount};

/* Make one name in a directory; a directory that is there already is taken as it is. Returns it with a
 * reference, or err_ptr. */
static struct dentry *make_one(struct dentry *parent, const struct name *name, mode_t mode,
                               dev_id_t device, const char *target)
{
    struct inode *dir = parent->inode;
    struct dentry *d;
    int error;

    mutex_lock(&dir->mutex);
    d = dentry_find(parent, name);
    if (d) {
        error = IS_DIR(d->inode) && (mode & S_IFMT) == S_IFDIR ? 0 : -EEXIST;
    } else {
        d = dentry_alloc(parent, name);
        if (!d)
            error = -ENOMEM;
        else if (target)
            error = dir->ops->symlink(dir, d, target);
        else if ((mode & S_IFMT) == S_IFDIR)
            error = dir->ops->mkdir(dir, d, mode);
        else
            error = dir->ops->create(dir, d, mode, device);
        if (!error)
            dentry_created(d);
    }
    mutex_unlock(&dir->mutex);
    if (!error)
        return d;
    if (d)
        dentry_put(d);
    return err_ptr(error);
}

/* Make what `path` names, and the directories above it. */
static int make_path(const char *path, mode_t mode, dev_id_t device, const char *target)
{
    struct dentry *at = dentry_get(devfs->root), *next;
    char text[NAME_MAX + 1 + 8];
    struct name name;
    size_t n;

    for (; *path; path += n + (path[n] == '/')) {
        n = strcspn(path, "/");
        if (n == 0 || n > NAME_MAX) {
            dentry_put(at);
            return -EINVAL;
        }
        memcpy(text, path, n);
        name_set(&name, at, text, n);
        if (path[n])
            next = make_one(at, &name, S_IFDIR | 0755, 0, NULL);
        else
            next = make_one(at, &name, mode, device, target);
        dentry_put(at);
        if (is_err(next))
            return ptr_err(next);
        at = next;
    }
    dentry_put(at);
    return 0;
}

int devfs_add(const char *name, mode_t mode, dev_id_t device)
{
    if (!(mode & S_IFMT))
        mode |= S_IFCHR;
    return make_path(name, mode, device, NULL);
}

int devfs_add_link(const char *name, const char *target)
{
    return make_path(name, S_IFLNK, 0, target);
}

/* Remove a name at the top, if it is a device's. */
void devfs_remove(const char *text)
{
    struct dentry *parent = devfs->root, *d;
    struct inode *dir = parent->inode;
    char copy[NAME_MAX + 1 + 8];
    struct name name;

    snprintf(copy, sizeof(copy), "%s", text);
    name_set(&name, parent, copy, strlen(copy));
    mutex_lock(&dir->mutex);
    d = dentry_find(parent, &name);
    if (d && IS_DEVICE(d->inode) && dir->ops->unlink(dir, d) == 0)
        dentry_unlink(d);
    mutex_unlock(&dir->mutex);
    if (d)
        dentry_put(d);
}

void __init devfs_init(void)
{
    static const char *const links[][2] = {
        {"fd", "/proc/self/fd"},
        {"stdin", "/proc/self/fd/0"},
        {"stdout", "/proc/self/fd/1"},
        {"stderr", "/proc/self/fd/2"},
    };
    int error = 0;

    devfs = tmpfs_super(&devtmpfs_type, 0, "mode=0755");
    if (is_err(devfs))
        panic("no memory for devfs");
    fs_register(&devtmpfs_type);
    fs_register(&devfs_type);
    for (unsigned i = 0; i < ARRAY_SIZE(links) && !error; i++)
        error = devfs_add_link(links[i][0], links[i][1]);
    if (!error)
        error = make_path("shm", S_IFDIR | S_ISVTX | 0777, 0, NULL);
    if (error)
        panic("no memory for devfs");
}
