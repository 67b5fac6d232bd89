/* SPDX-License-Identifier: MIT */
/*
 * Names that move: the dentry cache's side of rename(2).
 *
 * A dentry takes the place of another (name, parent, place in the hash table), or two change places.
 * A lookup that goes on at the same time must see the old state or the new one, never neither: so both
 * buckets are locked while anything changes. Who follows parents upwards (getcwd(2), d_path) holds
 * rename_lock; who asks whether one directory lies below another, rename_mutex, which is held over the
 * whole of a rename between directories.
 */
#include "dentry.h"

DEFINE_MUTEX(rename_mutex);
DEFINE_SPINLOCK(rename_lock);

static void buckets_lock(struct bucket *a, struct bucket *b)
{
    if (a > b)
        SWAP(a, b);
    spin_lock(&a->lock);
    if (a != b)
        spin_lock_raw_nested(&b->lock, 1);
}

static void buckets_unlock(struct bucket *a, struct bucket *b)
{
    if (a != b)
        spin_unlock_raw(&b->lock);
    spin_unlock(&a->lock);
}

/* Give d the name of `like`, which keeps it. */
static void dentry_share_name(struct dentry *d, const struct dentry *like)
{
    dentry_drop_name(d);
    d->name = like->name;
    if (!name_is_inline(like)) {
        ref_get(&long_name_of(like)->refs);
        return;
    }
    memcpy(d->inline_name, like->inline_name, DENTRY_INLINE_NAME);
    d->name.text = d->inline_name;
}

static void dentry_leave_parent(struct dentry *d)
{
    spin_lock(&d->parent->lock);
    list_del_init(&d->sibling);
    spin_unlock(&d->parent->lock);
}

/* Both directories' mutexes are held: that the dentry is on no list of children for a moment is seen
 * by nobody. Lookups see the old name or the new one, since both buckets are locked. */
void dentry_move(struct dentry *from, struct dentry *to)
{
    struct dentry *old_parent = from->parent;
    struct bucket *a, *b;

    dentry_leave_parent(from);
    spin_lock(&rename_lock);
    spin_lock_raw(&from->lock);
    spin_lock_raw_nested(&to->lock, 1);
    a = bucket_of(from->name.hash);
    b = bucket_of(to->name.hash);
    buckets_lock(a, b);
    hlist_del(&from->hash);
    dentry_share_name(from, to);
    from->parent = dentry_get(to->parent);
    hlist_add_head(&from->hash, &b->head);
    if (to->flags & DENTRY_HASHED) {
        hlist_del(&to->hash);
        to->flags &= ~DENTRY_HASHED;
    }
    buckets_unlock(a, b);
    spin_unlock_raw(&to->lock);
    spin_unlock_raw(&from->lock);
    spin_unlock(&rename_lock);
    dentry_link_to_parent(from);
    dentry_unlink(to);
    dentry_put(old_parent);
}

static void dentry_swap_names(struct dentry *x, struct dentry *y)
{
    bool x_inline = name_is_inline(x), y_inline = name_is_inline(y);
    char text[DENTRY_INLINE_NAME];

    memcpy(text, x->inline_name, DENTRY_INLINE_NAME);
    memcpy(x->inline_name, y->inline_name, DENTRY_INLINE_NAME);
    memcpy(y->inline_name, text, DENTRY_INLINE_NAME);
    SWAP(x->name, y->name);
    if (y_inline)
        x->name.text = x->inline_name;
    if (x_inline)
        y->name.text = y->inline_name;
}

void dentry_exchange(struct dentry *x, struct dentry *y)
{
    struct bucket *a = bucket_of(x->name.hash), *b = bucket_of(y->name.hash);

    dentry_leave_parent(x);
    dentry_leave_parent(y);
    spin_lock(&rename_lock);
    spin_lock_raw(&x->lock);
    spin_lock_raw_nested(&y->lock, 1);
    buckets_lock(a, b);
    hlist_del(&x->hash);
    hlist_del(&y->hash);
    dentry_swap_names(x, y);
    SWAP(x->parent, y->parent); /* and the references to them */
    hlist_add_head(&x->hash, &b->head);
    hlist_add_head(&y->hash, &a->head);
    buckets_unlock(a, b);
    spin_unlock_raw(&y->lock);
    spin_unlock_raw(&x->lock);
    spin_unlock(&rename_lock);
    dentry_link_to_parent(x);
    dentry_link_to_parent(y);
}

bool dentry_is_below(const struct dentry *d, const struct dentry *above)
{
    for (;; d = d->parent) {
        if (d == above)
            return true;
        if (d == d->parent)
            return false;
    }
}
