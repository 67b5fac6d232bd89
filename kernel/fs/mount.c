/* SPDX-License-Identifier: MIT */
/*
 * Mounts: the tree of file systems.
 *
 * A mount shows a file system, from one of its directories on, at a directory of another mount. A
 * walk that comes to a dentry with DENTRY_MOUNTED looks here for (mount, dentry) in a hash table
 * with a lock for each bucket. The tree itself changes under mount_mutex, and its pointers under
 * mount_lock as well, for those who only follow them.
 *
 * What is mounted below a shared mount is mounted below its peers and slaves as well: propagate.c.
 * The calls are in mount_calls.c, and in mount_context.c and mount_fd.c.
 *
 * References: the tree holds one, each child mount one, each path one. A mount without children of
 * which only the tree's is left can be unmounted; a detached one goes with its last user.
 */
#include "mount.h"
#include <linux/eventpoll.h>

#define MOUNT_BITS 7

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
    list_init(&m->pass_link);
    return m;
}

/* ---- the tree => mount_mutex ------------------------------------------------------------------------ */

static void mountpoint_mark(struct dentry *d)
{
    spin_lock(&d->lock);
    d->flags |= DENTRY_MOUNTED;
    spin_unlock(&d->lock);
}

int mountpoint_claim(struct dentry *d)
{
    bool dying;

    spin_lock(&d->lock);
    dying = d->flags & DENTRY_DYING;
    if (!dying)
        d->flags |= DENTRY_MOUNTED;
    spin_unlock(&d->lock);
    return dying ? -ENOENT : 0;
}

void mountpoint_release(struct dentry *d)
{
    const struct mount *m;

    list_for_each_entry(m, &all_mounts, all)
        if (m->mountpoint == d)
            return;
    spin_lock(&d->lock);
    d->flags &= ~DENTRY_MOUNTED;
    spin_unlock(&d->lock);
}

/* ---- who watches /proc/PID/mounts (proc(5)) --------------------------------------------------------------- */

static DEFINE_WAIT_QUEUE(mounts_wait);
static unsigned long mounts_version; /* [a] */

static void mounts_changed(void)
{
    __atomic_add_fetch(&mounts_version, 1, __ATOMIC_RELEASE);
    wake_up_poll(&mounts_wait, EPOLLERR | EPOLLPRI);
}

void mounts_opened(struct file *file)
{
    file->version = __atomic_load_n(&mounts_version, __ATOMIC_ACQUIRE);
}

unsigned mounts_poll(struct file *file, struct poll_table *table)
{
    unsigned long now;

    poll_wait(file, &mounts_wait, table);
    now = __atomic_load_n(&mounts_version, __ATOMIC_ACQUIRE);
    if (__atomic_exchange_n(&file->version, now, __ATOMIC_RELAXED) == now)
        return EPOLLIN | EPOLLRDNORM;
    return EPOLLIN | EPOLLRDNORM | EPOLLERR | EPOLLPRI;
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
    mountpoint_mark(where->dentry);
    mounts_changed();
}

struct path mount_unhook(struct mount *m)
{
    struct path where = {.mount = m->parent, .dentry = m->mountpoint};
    struct mount_bucket *b = bucket_of(m->parent, m->mountpoint);

    spin_lock(&mount_lock);
    spin_lock(&b->lock);
    hlist_del(&m->hash);
    spin_unlock(&b->lock);
    list_del_init(&m->sibling);
    m->parent = NULL;
    m->mountpoint = NULL;
    spin_unlock(&mount_lock);
    mounts_changed();
    return where;
}

void mount_detach(struct mount *m)
{
    struct path where = mount_unhook(m);

    mountpoint_release(where.dentry);
    path_put(&where);
}

void mount_remove(struct mount *m)
{
    if (m->parent)
        mount_detach(m);
    mount_make_private(m);
    list_del_init(&m->pass_link);
    list_del_init(&m->all);
    mount_put(m);
}

const struct mount *mount_top(const struct mount *m)
{
    while (m->parent)
        m = m->parent;
    return m;
}

bool mount_is_in_tree(const struct mount *m)
{
    return mount_top(m) == root_mount;
}

int mount_may_attach(const struct path *where, const struct dentry *root)
{
    struct dentry *d = where->dentry;

    if (!mount_is_in_tree(where->mount))
        return -EINVAL; /* nobody could ever name what is mounted there */
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

bool mount_shows(const struct mount *m, const struct dentry *d)
{
    bool shows;

    mutex_lock(&rename_mutex);
    shows = dentry_is_below(d, m->root);
    mutex_unlock(&rename_mutex);
    return shows;
}

bool mount_is_below(const struct mount *m, const struct mount *above)
{
    for (; m; m = m->parent)
        if (m == above)
            return true;
    return false;
}

/* ---- read-only => mount_mutex ------------------------------------------------------------------------- */

static struct mount *next_of(struct mount *m, struct mount *top, bool recursive)
{
    return recursive ? mount_next_below(m, top) : NULL;
}

/* Both sides write first, then fence, then read (mount_begin_write()): either we see the writer, or he sees
 * that the mount is held, and waits for mount_lock to learn what became of it. */
int mount_make_readonly(struct mount *top, bool recursive)
{
    struct mount *m;
    bool busy = false;

    spin_lock(&mount_lock);
    for (m = top; m; m = next_of(m, top, recursive))
        WRITE_ONCE(m->held, !(m->flags & MS_RDONLY));
    smp_fence();
    for (m = top; m; m = next_of(m, top, recursive))
        busy |= m->held && atomic_read(&m->writers);
    for (m = top; m; m = next_of(m, top, recursive)) {
        if (!busy)
            WRITE_ONCE(m->flags, m->flags | MS_RDONLY);
        smp_store_release(&m->held, false);
    }
    spin_unlock(&mount_lock);
    return busy ? -EBUSY : 0;
}

int super_make_readonly(struct super_block *sb)
{
    bool busy;

    spin_lock(&mount_lock);
    WRITE_ONCE(sb->held, true);
    smp_fence();
    busy = atomic_read(&sb->writers);
    if (!busy)
        WRITE_ONCE(sb->flags, sb->flags | MS_RDONLY);
    smp_store_release(&sb->held, false);
    spin_unlock(&mount_lock);
    return busy ? -EBUSY : 0;
}

int mount_begin_write(struct mount *m)
{
    atomic_inc(&m->writers);
    smp_fence();
    if (unlikely(smp_load_acquire(&m->held) || smp_load_acquire(&m->sb->held))) {
        spin_lock(&mount_lock);
        spin_unlock(&mount_lock);
    }
    if (likely(!mount_readonly(m)))
        return 0;
    atomic_dec(&m->writers);
    return -EROFS;
}

void mount_end_write(struct mount *m)
{
    assert(atomic_read(&m->writers) > 0);
    atomic_dec(&m->writers);
}

/* ---- trees of mounts => mount_mutex ------------------------------------------------------------------ */

static struct mount *mount_clone(struct mount *m, struct dentry *root)
{
    struct mount *copy;

    ref_get(&m->sb->refs);
    copy = mount_alloc(m->sb, root, m->flags, m->source);
    if (copy)
        mount_join_peers(copy, m);
    return copy;
}

/* Of the children of `from`, beginning with that at a place in their list, the first that `to` gets a
 * copy of; or NULL. */
static struct mount *next_to_copy(struct mount *from, struct list *at, const struct mount *to)
{
    for (; at != &from->children; at = at->next) {
        struct mount *child = container_of(at, struct mount, sibling);

        if (!child->unbindable && mount_shows(to, child->mountpoint))
            return child;
    }
    return NULL;
}

/* Show the mounts below `top`, as far as `to` has their places, below `to` as well. Down and up again
 * without recursion: they may be nested as deep as somebody likes. */
static int mount_clone_children(struct mount *top, struct mount *to)
{
    struct mount *from = top, *child = next_to_copy(from, from->children.next, to), *copy;
    struct list *behind;
    struct path where;

    while (child || from != top) {
        if (child) {
            copy = mount_clone(child, child->root);
            if (!copy)
                return -ENOMEM;
            where = (struct path){.mount = to, .dentry = child->mountpoint};
            mount_attach(copy, &where);
            from = child;
            to = copy;
            behind = from->children.next;
        } else {
            behind = from->sibling.next;
            from = from->parent;
            to = to->parent;
        }
        child = next_to_copy(from, behind, to);
    }
    return 0;
}

struct mount *mount_copy(struct mount *m, struct dentry *root, bool recursive)
{
    struct mount *copy = mount_clone(m, root);
    int error;

    if (!copy)
        return err_ptr(-ENOMEM);
    error = recursive ? mount_clone_children(m, copy) : 0;
    if (!error)
        return copy;
    mount_remove_tree(copy, false);
    return err_ptr(error);
}

void mount_remove_tree(struct mount *m, bool told)
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

int mount_attach_tree(struct mount *m, const struct path *where)
{
    int error = mountpoint_claim(where->dentry);

    if (error)
        return error;
    m->floating = false;
    if (where->mount->group)
        error = mount_propagate(m, where);
    else
        mount_attach(m, where);
    if (error)
        mountpoint_release(where->dentry);
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
    if (old.mount)
        old = mount_unhook(m);
    error = mount_attach_tree(m, where);
    if (error && old.mount)
        mount_attach(m, &old);
    else if (error)
        m->floating = true;
    if (old.mount) {
        mountpoint_release(old.dentry);
        path_put(&old);
    }
    return error;
}

/* ---- start ------------------------------------------------------------------------------------------- */

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
