/* SPDX-License-Identifier: MIT */
/*
 * Watches on inodes, and what happens to files (inotify(7)).
 *
 * A watch stands in the list of its inode, where events find it, and in the tree of its instance,
 * where its number is looked up. It lives until one of three ends it: inotify_rm_watch(2) or the end
 * of the instance, the end of the file, IN_ONESHOT. Whoever takes it out of the inode's list, under
 * inode->lock, ends it; events are queued under that lock, so a watch that is in the list has an
 * instance.
 *
 * Locks: rename_lock, inode->lock, instance lock, all_lock, the instance's wait queue.
 */
#include "inotify.h"
#include <linux/fcntl.h>

atomic_t notify_watches;

static DEFINE_SPINLOCK(all_lock);
static struct list all_watches = LIST_INIT(all_watches); /* [all_lock] */

#define SELF_ENDS (IN_DELETE_SELF | IN_MOVE_SELF)

/* Out of all lists, with a last event. The references of inode and lists are still to be put.
 * => inode->lock, w->alive */
static void kill_watch(struct watch *w)
{
    struct inotify *in = w->instance;

    assert(w->alive && spin_held(&w->inode->lock));
    w->alive = false;
    hlist_del(&w->of_inode);
    atomic_dec(&notify_watches);
    spin_lock(&in->lock);
    rb_erase(&w->node, &in->watches);
    event_queue(in, w->wd, IN_IGNORED, 0, NULL, 0);
    atomic_dec(&in->user->inotify_watches);
    spin_unlock(&in->lock);
    spin_lock(&all_lock);
    list_del(&w->all);
    spin_unlock(&all_lock);
}

struct watch *watch_get(struct watch *w)
{
    inode_get(w->inode);
    ref_get(&w->refs);
    return w;
}

void watch_put(struct watch *w)
{
    inode_put(w->inode);
    if (ref_put(&w->refs))
        kfree(w);
}

bool watch_end(struct watch *w, u32 mask)
{
    bool alive;

    spin_lock(&w->inode->lock);
    alive = w->alive;
    if (alive && mask) {
        spin_lock(&w->instance->lock);
        event_queue(w->instance, w->wd, mask, 0, NULL, 0);
        spin_unlock(&w->instance->lock);
    }
    if (alive)
        kill_watch(w);
    spin_unlock(&w->inode->lock);
    if (alive)
        watch_put(w);
    return alive;
}

/* ---- events ------------------------------------------------------------------------------------------- */

/* Tell the inode's watchers. gone: of a name that is not in the directory any more. */
static void deliver(struct inode *inode, u32 mask, u32 cookie, const struct name *name, bool gone)
{
    struct watch *w, *dead = NULL;
    struct hlist_node *next;

    if (hlist_empty(&inode->watches))
        return;
    spin_lock(&inode->lock);
    hlist_for_each_entry_safe(w, next, &inode->watches, of_inode) {
        if (!(mask & w->mask & IN_ALL_EVENTS) || (gone && (w->mask & IN_EXCL_UNLINK)))
            continue;
        spin_lock(&w->instance->lock);
        event_queue(w->instance, w->wd, mask, cookie, name ? name->text : NULL,
                    name ? name->length : 0);
        spin_unlock(&w->instance->lock);
        if (!(w->mask & IN_ONESHOT))
            continue;
        kill_watch(w);
        w->next_dead = dead;
        dead = w;
    }
    spin_unlock(&inode->lock);
    while ((w = dead) != NULL) {
        dead = w->next_dead;
        watch_put(w);
    }
}

void notify_inode(struct inode *inode, u32 mask)
{
    if (IS_DIR(inode) && !(mask & SELF_ENDS))
        mask |= IN_ISDIR;
    deliver(inode, mask, 0, NULL, false);
}

/* The name cannot change under rename_lock. A watch on the directory that ends now may hold its last
 * reference but one: the dentry's. */
void notify_dentry_slow(struct dentry *d, u32 mask)
{
    struct inode *inode = d->inode;
    u32 flags = IS_DIR(inode) ? IN_ISDIR : 0;

    spin_lock(&rename_lock);
    if (d->parent != d && d->parent->inode)
        deliver(d->parent->inode, mask | flags, 0, &d->name, !(d->flags & DENTRY_HASHED));
    spin_unlock(&rename_lock);
    deliver(inode, mask | flags, 0, NULL, false);
}

void notify_name(struct inode *dir, u32 mask, const struct name *name, bool is_dir, u32 cookie)
{
    if (notify_wanted())
        deliver(dir, mask | (is_dir ? IN_ISDIR : 0), cookie, name, false);
}

void notify_attributes(struct dentry *d, unsigned valid)
{
    u32 mask = 0;

    if (!notify_wanted())
        return;
    if (valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
        mask |= IN_ATTRIB;
    if (valid & ATTR_SIZE)
        mask |= IN_MODIFY;
    else if ((valid & (ATTR_ATIME | ATTR_MTIME)) == (ATTR_ATIME | ATTR_MTIME))
        mask |= IN_ATTRIB;
    else if (valid & ATTR_ATIME)
        mask |= IN_ACCESS;
    else if (valid & ATTR_MTIME)
        mask |= IN_MODIFY;
    if (mask)
        notify_dentry_slow(d, mask);
}

u32 notify_cookie(void)
{
    static atomic_t last;

    return atomic_inc_return(&last);
}

/* ---- the end of files ------------------------------------------------------------------------------------ */

/* Some watch of the inode with a reference, or NULL. */
static struct watch *any_watch(struct inode *inode)
{
    struct watch *w = NULL;

    spin_lock(&inode->lock);
    if (!hlist_empty(&inode->watches))
        w = watch_get(container_of(inode->watches.first, struct watch, of_inode));
    spin_unlock(&inode->lock);
    return w;
}

void notify_gone(struct inode *inode)
{
    struct watch *w;

    deliver(inode, IN_DELETE_SELF, 0, NULL, false);
    while ((w = any_watch(inode)) != NULL) {
        watch_end(w, 0);
        watch_put(w);
    }
}

static struct watch *watch_on(const struct super_block *sb)
{
    struct watch *w, *found = NULL;

    spin_lock(&all_lock);
    list_for_each_entry(w, &all_watches, all) {
        if (w->inode->sb != sb)
            continue;
        found = watch_get(w);
        break;
    }
    spin_unlock(&all_lock);
    return found;
}

void notify_unmounted(struct super_block *sb)
{
    struct watch *w;

    while (notify_wanted() && (w = watch_on(sb)) != NULL) {
        watch_end(w, IN_UNMOUNT | (IS_DIR(w->inode) ? IN_ISDIR : 0));
        watch_put(w);
    }
}

/* ---- watches of an instance ------------------------------------------------------------------------------ */

/* => in->lock */
static struct watch *lookup(struct inotify *in, int wd)
{
    struct rb_node *node = in->watches.node;

    while (node) {
        struct watch *w = rb_entry(node, struct watch, node);

        if (w->wd == wd)
            return w;
        node = wd < w->wd ? node->left : node->right;
    }
    return NULL;
}

struct watch *watch_find(struct inotify *in, int wd)
{
    struct watch *w;

    spin_lock(&in->lock);
    w = lookup(in, wd);
    if (w)
        watch_get(w);
    spin_unlock(&in->lock);
    return w;
}

static bool wd_less(const struct rb_node *a, const struct rb_node *b)
{
    return rb_entry(a, struct watch, node)->wd < rb_entry(b, struct watch, node)->wd;
}

#define KEPT (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK) /* of a mask */

/* The number of the watch that is there, with its mask changed; 0: none; or -EEXIST. */
static int watch_change(struct inotify *in, struct inode *inode, u32 mask)
{
    struct watch *w;
    int wd = 0;

    spin_lock(&inode->lock);
    hlist_for_each_entry(w, &inode->watches, of_inode) {
        if (w->instance != in)
            continue;
        wd = w->wd;
        if (mask & IN_MASK_CREATE)
            wd = -EEXIST;
        else if (mask & IN_MASK_ADD)
            w->mask |= mask & KEPT;
        else
            w->mask = mask & KEPT;
        break;
    }
    spin_unlock(&inode->lock);
    return wd;
}

/* Numbers go up, so that one that has ended does not soon mean another. => in->lock */
static void choose_number(struct inotify *in, struct watch *w)
{
    do
        w->wd = in->last_wd = in->last_wd == INT32_MAX ? 1 : in->last_wd + 1;
    while (lookup(in, w->wd));
}

int watch_add(struct inotify *in, struct inode *inode, u32 mask)
{
    int wd = watch_change(in, inode, mask);
    struct watch *w;

    assert(mutex_held(&in->mutex));
    if (wd)
        return wd;
    if (atomic_inc_return(&in->user->inotify_watches) > READ_ONCE(inotify_max_user_watches)) {
        atomic_dec(&in->user->inotify_watches);
        return -ENOSPC;
    }
    w = kzalloc(sizeof(*w), ALLOC_KERNEL);
    if (!w) {
        atomic_dec(&in->user->inotify_watches);
        return -ENOMEM;
    }
    ref_init(&w->refs);
    w->instance = in;
    w->inode = inode_get(inode);
    w->mask = mask & KEPT;
    w->alive = true;
    spin_lock(&inode->lock);
    hlist_add_head(&w->of_inode, &inode->watches);
    atomic_inc(&notify_watches);
    spin_lock(&in->lock);
    choose_number(in, w);
    rb_add(&w->node, &in->watches, wd_less);
    wd = w->wd;
    spin_unlock(&in->lock);
    spin_lock(&all_lock);
    list_add(&w->all, &all_watches);
    spin_unlock(&all_lock);
    spin_unlock(&inode->lock);
    return wd;
}
