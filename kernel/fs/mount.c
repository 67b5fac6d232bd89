/* SPDX-License-Identifier: MIT */
/*
 * Mounts: the tree of file systems (mount(2), umount2(2)).
 *
 * A mount shows a file system, from one of its directories on, at a directory of another mount. A
 * walk that comes to a dentry with DENTRY_MOUNTED looks here for (mount, dentry) in a hash table
 * with a lock for each bucket. The tree itself changes under mount_mutex, and its pointers under
 * mount_lock as well, for those who only follow them.
 *
 * What is mounted below a shared mount is mounted below its peers and slaves as well: propagate.c.
 *
 * References: the tree holds one, each child mount one, each path one. A mount without children of
 * which only the tree's is left can be unmounted; a detached one goes with its last user.
 */
#include "mount.h"
#include <vellum/syscall.h>

#define MOUNT_BITS 7

/* umount(2); the UAPI headers leave these to the C library. */
enum { MNT_FORCE = 1, MNT_DETACH = 2, MNT_EXPIRE = 4, UMOUNT_NOFOLLOW = 8 };

struct mount_bucket {
    spinlock_t lock;
    struct hlist_head head; /* [lock] */
};

DEFINE_SPINLOCK(mount_lock);
DEFINE_MUTEX(mount_mutex);
static struct mount_bucket buckets[1 << MOUNT_BITS];
struct list all_mounts = LIST_INIT(all_mounts);
static int next_id = 1; /* [mount_mutex] */
struct mount *root_mount;

#define MOUNT_ACTIONS                                                                              \
    (MS_REMOUNT | MS_BIND | MS_REC | MS_MOVE | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)
#define MOUNT_IGNORED                                                                              \
    (MS_SILENT | MS_SYNCHRONOUS | MS_DIRSYNC | MS_LAZYTIME | MS_I_VERSION | MS_POSIXACL)

static struct mount_bucket *bucket_of(const struct mount *m, const struct dentry *d)
{
    return &buckets[hash_u64((u64)m ^ ((u64)d >> 3), MOUNT_BITS)];
}

bool mount_readonly(const struct mount *m)
{
    return (m->flags | m->sb->flags) & MS_RDONLY;
}

struct mount *mount_find(struct mount *parent, struct dentry *d)
{
    struct mount_bucket *b = bucket_of(parent, d);
    struct mount *m;

    spin_lock(&b->lock);
    hlist_for_each_entry(m, &b->head, hash) {
        if (m->parent != parent || m->mountpoint != d)
            continue;
        mount_get(m);
        break;
    }
    spin_unlock(&b->lock);
    return m;
}

bool mount_go_up(struct path *path)
{
    struct mount *m = path->mount;
    struct path up = {0};

    spin_lock(&mount_lock);
    if (m->parent) {
        up = (struct path){.mount = m->parent, .dentry = m->mountpoint};
        path_get(&up);
    }
    spin_unlock(&mount_lock);
    if (!up.mount)
        return false;
    path_put(path);
    *path = up;
    return true;
}

void mount_put(struct mount *m)
{
    if (likely(!ref_put(&m->refs)))
        return;
    dentry_put(m->root);
    super_put(m->sb);
    kfree(m->source);
    kfree(m);
}

struct mount *mount_alloc(struct super_block *sb, struct dentry *root, unsigned flags,
                          const char *source)
{
    struct mount *m = kzalloc(sizeof(*m), ALLOC_KERNEL);

    if (m)
        m->source = kstrdup(source, ALLOC_KERNEL);
    if (!m || !m->source) {
        kfree(m);
        super_put(sb);
        return NULL;
    }
    ref_init(&m->refs);
    m->sb = sb;
    m->root = dentry_get(root);
    m->flags = flags;
    list_init(&m->children);
    list_init(&m->sibling);
    list_init(&m->all);
    list_init(&m->peers);
    list_init(&m->slaves);
    list_init(&m->slave_link);
    return m;
}

/* ---- the tree => mount_mutex ------------------------------------------------------------------------ */

static void mountpoint_mark(struct dentry *d, bool mounted)
{
    spin_lock(&d->lock);
    if (mounted)
        d->flags |= DENTRY_MOUNTED;
    else
        d->flags &= ~DENTRY_MOUNTED;
    spin_unlock(&d->lock);
}

void mount_attach(struct mount *m, const struct path *where)
{
    struct mount_bucket *b = bucket_of(where->mount, where->dentry);

    path_get(where);
    if (!m->id)
        m->id = next_id++;
    if (list_empty(&m->all))
        list_add_tail(&m->all, &all_mounts);
    spin_lock(&mount_lock);
    m->parent = where->mount;
    m->mountpoint = where->dentry;
    list_add_tail(&m->sibling, &where->mount->children);
    spin_lock(&b->lock);
    hlist_add_head(&m->hash, &b->head);
    spin_unlock(&b->lock);
    spin_unlock(&mount_lock);
    mountpoint_mark(where->dentry, true);
}

void mount_detach(struct mount *m)
{
    struct path where = {.mount = m->parent, .dentry = m->mountpoint};
    struct mount_bucket *b = bucket_of(m->parent, m->mountpoint);
    struct mount *other;
    bool still = false;

    spin_lock(&mount_lock);
    spin_lock(&b->lock);
    hlist_del(&m->hash);
    spin_unlock(&b->lock);
    list_del_init(&m->sibling);
    m->parent = NULL;
    m->mountpoint = NULL;
    spin_unlock(&mount_lock);
    list_for_each_entry(other, &all_mounts, all)
        still |= other->mountpoint == where.dentry;
    if (!still)
        mountpoint_mark(where.dentry, false);
    path_put(&where);
}

void mount_remove(struct mount *m)
{
    if (m->parent)
        mount_detach(m);
    mount_make_private(m);
    list_del_init(&m->all);
    mount_put(m);
}

int mount_may_attach(const struct path *where, const struct dentry *root)
{
    struct dentry *d = where->dentry;

    if (d != d->parent && !(d->flags & DENTRY_HASHED))
        return -ENOENT;
    if (IS_DIR(d->inode) != IS_DIR(root->inode))
        return -ENOTDIR;
    return 0;
}

struct mount *mount_next_below(const struct mount *m, const struct mount *top)
{
    const struct list *next;

    if (!list_empty(&m->children))
        return list_first_entry(&m->children, struct mount, sibling);
    for (; m != top; m = m->parent) {
        next = m->sibling.next;
        if (next != &m->parent->children)
            return container_of(next, struct mount, sibling);
    }
    return NULL;
}

bool mount_is_below(const struct mount *m, const struct mount *above)
{
    for (; m; m = m->parent)
        if (m == above)
            return true;
    return false;
}

/* ---- what mount(2) does -------------------------------------------------------------------------------- */

static int mount_new(const struct path *where, const char *source, const char *type_name,
                     unsigned long flags, const char *data)
{
    struct fs_type *type = fs_type_find(type_name);
    struct super_block *sb;
    struct mount *m;
    int error;

    if (!type)
        return -ENODEV;
    sb = type->mount(type, flags & (MS_RDONLY | MS_SILENT), source, data);
    if (is_err(sb))
        return ptr_err(sb);
    m = mount_alloc(sb, sb->root, flags & MOUNT_FLAGS & ~MS_RDONLY, source);
    if (!m)
        return -ENOMEM;
    mutex_lock(&mount_mutex);
    error = mount_may_attach(where, m->root);
    if (!error && where->mount->sb == sb && where->mount->root == where->dentry)
        error = -EBUSY; /* the same once more on top of itself */
    if (!error)
        error = mount_attach_tree(m, where);
    if (error)
        mount_remove(m);
    mutex_unlock(&mount_mutex);
    return error;
}

static struct mount *mount_clone(struct mount *m, struct dentry *root)
{
    struct mount *copy;

    ref_get(&m->sb->refs);
    copy = mount_alloc(m->sb, root, m->flags, m->source);
    if (copy)
        mount_join_peers(copy, m);
    return copy;
}

/* Show the mounts below `from` (those under root) below `to` as well. */
static int mount_clone_children(struct mount *from, struct dentry *root, struct mount *to)
{
    struct mount *child, *copy;
    struct path where;
    int error;

    list_for_each_entry(child, &from->children, sibling) {
        if (child == to || child->unbindable || !dentry_is_below(child->mountpoint, root))
            continue;
        copy = mount_clone(child, child->root);
        if (!copy)
            return -ENOMEM;
        where = (struct path){.mount = to, .dentry = child->mountpoint};
        mount_attach(copy, &where);
        error = mount_clone_children(child, child->root, copy);
        if (error)
            return error;
    }
    return 0;
}

struct mount *mount_copy(struct mount *m, struct dentry *root, bool recursive)
{
    struct mount *copy = mount_clone(m, root);
    int error;

    if (!copy)
        return err_ptr(-ENOMEM);
    error = recursive ? mount_clone_children(m, root, copy) : 0;
    if (!error)
        return copy;
    mount_remove_tree(copy);
    return err_ptr(error);
}

/* From the leaves up; told: where it was propagated to it goes as well. */
static void remove_tree(struct mount *m, bool told)
{
    struct mount *at = m, *parent;

    for (;;) {
        while (!list_empty(&at->children))
            at = list_first_entry(&at->children, struct mount, sibling);
        parent = at->parent;
        if (told && parent)
            mount_remove_copies(at);
        mount_remove(at);
        if (at == m)
            return;
        at = parent;
    }
}

void mount_remove_tree(struct mount *m)
{
    remove_tree(m, false);
}

int mount_attach_tree(struct mount *m, const struct path *where)
{
    m->floating = false;
    if (where->mount->group)
        return mount_propagate(m, where);
    mount_attach(m, where);
    return 0;
}

static int mount_bind(const struct path *where, const char __user *source, bool recursive)
{
    struct path from;
    struct mount *m = NULL;
    int error = path_lookup_user(AT_FDCWD, source, LOOKUP_FOLLOW, &from);

    if (error)
        return error;
    mutex_lock(&mount_mutex);
    error = from.mount->unbindable ? -EINVAL : mount_may_attach(where, from.dentry);
    if (!error) {
        m = mount_copy(from.mount, from.dentry, recursive);
        error = is_err(m) ? (int)ptr_err(m) : mount_attach_tree(m, where);
        if (error && !is_err(m))
            mount_remove_tree(m);
    }
    mutex_unlock(&mount_mutex);
    path_put(&from);
    return error;
}

static bool has_unbindable(struct mount *m)
{
    for (struct mount *at = m; at; at = mount_next_below(at, m))
        if (at->unbindable)
            return true;
    return false;
}

/* A mount that its parent shares cannot leave it: the copies would stay. */
int mount_move_tree(struct mount *m, const struct path *where)
{
    struct path old = {.mount = m->parent, .dentry = m->mountpoint};
    bool floating = m->floating;
    int error = mount_may_attach(where, m->root);

    if (!old.mount && !floating)
        return -EINVAL;
    if ((old.mount && old.mount->group) || (where->mount->group && has_unbindable(m)))
        return -EINVAL;
    if (mount_is_below(where->mount, m))
        return -ELOOP;
    if (error)
        return error;
    if (old.mount) {
        path_get(&old);
        mount_detach(m);
    }
    error = mount_attach_tree(m, where);
    if (error && old.mount)
        mount_attach(m, &old);
    else if (error)
        m->floating = true;
    if (old.mount)
        path_put(&old);
    return error;
}

static int mount_move(const struct path *where, const char __user *source)
{
    struct path from;
    int error = path_lookup_user(AT_FDCWD, source, LOOKUP_FOLLOW, &from);

    if (error)
        return error;
    mutex_lock(&mount_mutex);
    error = from.dentry == from.mount->root ? mount_move_tree(from.mount, where) : -EINVAL;
    mutex_unlock(&mount_mutex);
    path_put(&from);
    return error;
}

int super_reconfigure(struct super_block *sb, unsigned long flags, const char *data)
{
    int error = 0;

    if ((flags & ~sb->flags & MS_RDONLY) && atomic_read(&sb->writers))
        return -EBUSY;
    if (sb->ops->remount)
        error = sb->ops->remount(sb, flags & MS_RDONLY, data);
    if (!error)
        WRITE_ONCE(sb->flags, (sb->flags & ~(unsigned long)MS_RDONLY) | (flags & MS_RDONLY));
    return error;
}

static int mount_remount(const struct path *where, unsigned long flags, const char *data)
{
    struct mount *m = where->mount;
    int error = 0;

    if (where->dentry != m->root)
        return -EINVAL;
    mutex_lock(&mount_mutex);
    if (flags & MS_BIND) {
        WRITE_ONCE(m->flags, flags & MOUNT_FLAGS);
    } else {
        error = super_reconfigure(m->sb, flags, data);
        if (!error)
            WRITE_ONCE(m->flags, flags & MOUNT_FLAGS & ~MS_RDONLY);
    }
    mutex_unlock(&mount_mutex);
    return error;
}

static int mount_propagation(const struct path *where, unsigned long type, bool recursive)
{
    if ((type & ~(unsigned long)MOUNT_PROPAGATION) || !IS_POWER_OF_2(type))
        return -EINVAL;
    if (where->dentry != where->mount->root)
        return -EINVAL;
    mutex_lock(&mount_mutex);
    mount_set_propagation(where->mount, type, recursive);
    mutex_unlock(&mount_mutex);
    return 0;
}

char *mount_string(const char __user *text, size_t max)
{
    char *copy;
    ssize_t n;

    if (!text)
        return NULL;
    copy = kmalloc(max, ALLOC_KERNEL);
    if (!copy)
        return err_ptr(-ENOMEM);
    n = copy_user_string(copy, text, max);
    if (n >= 0 && n < (ssize_t)max)
        return copy;
    kfree(copy);
    return err_ptr(n < 0 ? n : -EINVAL);
}

static int mount_do(const char __user *source, const struct path *where, const char *type,
                    unsigned long flags, const char *data)
{
    char *name;
    int error;

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned long)(MOUNT_FLAGS | MOUNT_ACTIONS | MOUNT_IGNORED))
        return -EINVAL;
    if (flags & MS_REMOUNT)
        return mount_remount(where, flags, data);
    if (flags & MS_BIND)
        return mount_bind(where, source, flags & MS_REC);
    if (flags & MOUNT_PROPAGATION)
        return mount_propagation(where, flags & ~(unsigned long)(MS_REC | MS_SILENT),
                                 flags & MS_REC);
    if (flags & MS_MOVE)
        return mount_move(where, source);
    if (!type)
        return -EINVAL;
    name = mount_string(source, PATH_MAX);
    if (is_err(name))
        return ptr_err(name);
    error = mount_new(where, name ? name : "none", type, flags, data);
    kfree(name);
    return error;
}

/* Options are text, ended by a zero or by the page. */
static char *options_from_user(const char __user *data)
{
    char *page;
    ssize_t n;

    if (!data)
        return NULL;
    page = kmalloc(PAGE_SIZE, ALLOC_KERNEL);
    if (!page)
        return err_ptr(-ENOMEM);
    n = copy_user_string(page, data, PAGE_SIZE);
    if (n < 0) {
        kfree(page);
        return err_ptr(-EFAULT);
    }
    page[min_t(size_t, n, PAGE_SIZE - 1)] = 0;
    return page;
}

SYSCALL_DEFINE5(mount, const char __user *, source, const char __user *, target,
                const char __user *, type, unsigned long, flags, const char __user *, data)
{
    char *type_name, *options;
    struct path where;
    int error;

    if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
        flags &= ~(unsigned long)MS_MGC_MSK;
    type_name = mount_string(type, PAGE_SIZE);
    if (is_err(type_name))
        return ptr_err(type_name);
    options = options_from_user(data);
    error = is_err(options) ? ptr_err(options) : 0;
    if (error)
        goto out_type;
    error = path_lookup_user(AT_FDCWD, target, LOOKUP_FOLLOW, &where);
    if (error)
        goto out_options;
    error = mount_do(source, &where, type_name, flags, options);
    path_put(&where);
out_options:
    kfree(options);
out_type:
    kfree(type_name);
    return error;
}

int mount_at(const char *source, const char *directory, const char *type, unsigned long flags,
             const char *data)
{
    struct path where;
    int error = path_lookup(AT_FDCWD, directory, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &where);

    if (error)
        return error;
    error = mount_new(&where, source, type, flags, data);
    path_put(&where);
    return error;
}

/* ---- umount2(2) ------------------------------------------------------------------------------------------ */

static int umount_do(const struct path *path, int flags)
{
    struct mount *m = path->mount;

    if (path->dentry != m->root)
        return -EINVAL;
    if (!m->parent) /* the root, or detached already */
        return m == root_mount ? -EBUSY : -EINVAL;
    if (flags & MNT_DETACH) {
        remove_tree(m, true);
        return 0;
    }
    if (!list_empty(&m->children) || atomic_read(&m->refs) > 2) /* the tree's and the path's */
        return -EBUSY;
    if ((flags & MNT_EXPIRE) && !m->expiring) {
        m->expiring = true;
        return -EAGAIN;
    }
    if (mount_copies_busy(m))
        return -EBUSY;
    mount_remove_copies(m);
    mount_remove(m);
    return 0;
}

SYSCALL_DEFINE2(umount2, const char __user *, name, int, flags)
{
    struct path path;
    int error;

    if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
        return -EINVAL;
    if ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH)))
        return -EINVAL;
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    error = path_lookup_user(AT_FDCWD, name, flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &path);
    if (error)
        return error;
    mutex_lock(&mount_mutex);
    error = umount_do(&path, flags);
    mutex_unlock(&mount_mutex);
    path_put(&path);
    return error;
}

/* The root: a tmpfs. */
void __init mount_init(void)
{
    struct fs_type *type = fs_type_find("tmpfs");
    struct super_block *sb = type->mount(type, 0, "tmpfs", "mode=0755");

    if (!is_err(sb))
        root_mount = mount_alloc(sb, sb->root, 0, "tmpfs");
    if (!root_mount)
        panic("no memory for the root file system");
    root_mount->id = next_id++;
    list_add_tail(&root_mount->all, &all_mounts);
}
