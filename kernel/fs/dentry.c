/* SPDX-License-Identifier: MIT */
/*
 * The dentry cache: names that have been looked up, as a tree and as a hash table.
 *
 * A dentry says what a name in a directory means: an inode, or (negative) that there is none. It
 * holds references to its parent and its inode, so what is in use keeps the whole way up to the
 * root in memory. The hash table finds it by (parent, name); each bucket has a lock of its own,
 * under which names are compared and references are taken, so that lookups of different names do
 * not meet.
 *
 * Life of a dentry:
 *
 *     dentry_alloc -> (inode?) -> dentry_publish -> hashed, in use      refs > 0
 *                                   ^                 | last put
 *                                   | dentry_find     v
 *                                   +--------- hashed, on the LRU       refs = 0 -> shrinker: freed
 *
 *     dentry_unlink: not hashed any more; the last put frees it.
 *
 * The count goes to 0 only under d->lock, and HASHED changes only under d->lock: whoever brings it
 * to 0 knows whether anybody can still find the dentry. From 0 it rises only under the lock of its
 * bucket, which the shrinker takes to make sure that it stays 0.
 *
 * Where dentries are the directory's home (tmpfs) each holds a reference to itself until it is
 * unlinked (PINNED), so it never comes to the LRU, and a name that is not found does not exist.
 *
 * Locks, outermost first: rename_mutex, rename_lock, parent->lock, d->lock, buckets (lower address
 * first), lru_lock.
 */
#include "dentry.h"
#include <vellum/notify.h>

static struct object_cache *dentry_cache;
struct bucket *dentry_buckets;
u32 dentry_bucket_mask;

static DEFINE_SPINLOCK(lru_lock);
static struct list lru = LIST_INIT(lru); /* [lru_lock] longest unused first */
static u64 lru_count;                    /* [lru_lock] */
static DEFINE_MUTEX(shrink_mutex);       /* one shrinker, and none while a tree is destroyed */

static inline u64 load_word(const char *p)
{
    u64 word;

    __builtin_memcpy(&word, p, sizeof(word));
    return word;
}

/* Both are readable up to the next multiple of eight bytes. */
static inline bool names_equal(const char *a, const char *b, u32 length)
{
    for (; length > 8; a += 8, b += 8, length -= 8)
        if (load_word(a) != load_word(b))
            return false;
    return (load_word(a) ^ load_word(b)) << (64 - 8 * length) == 0;
}

struct dentry *dentry_find(struct dentry *parent, const struct name *name)
{
    struct bucket *b = bucket_of(name->hash);
    struct dentry *d;

    spin_lock(&b->lock);
    hlist_for_each_entry(d, &b->head, hash) {
        if (d->name.hash != name->hash || d->parent != parent || d->name.length != name->length ||
            !names_equal(d->name.text, name->text, name->length))
            continue;
        atomic_inc(&d->refs); /* from 0, perhaps: the bucket's lock keeps the shrinker away */
        break;
    }
    spin_unlock(&b->lock);
    return d;
}

/* ---- names -------------------------------------------------------------------------------------- */

/* Copy a name, padded with zeros to whole words. */
static int dentry_set_name(struct dentry *d, const struct name *name)
{
    size_t room = ALIGN_UP(name->length + 1, 8);
    char *text = d->inline_name;
    struct long_name *l;

    if (room > DENTRY_INLINE_NAME) {
        l = kmalloc(sizeof(*l) + room, ALLOC_KERNEL);
        if (!l)
            return -ENOMEM;
        ref_init(&l->refs);
        text = l->text;
    }
    memset(text + room - 8, 0, 8);
    memcpy(text, name->text, name->length);
    d->name = (struct name){.text = text, .length = name->length, .hash = name->hash};
    return 0;
}

void dentry_drop_name(struct dentry *d)
{
    if (!name_is_inline(d) && ref_put(&long_name_of(d)->refs))
        kfree(long_name_of(d));
}

/* ---- making ------------------------------------------------------------------------------------- */

struct dentry *dentry_alloc(struct dentry *parent, const struct name *name)
{
    struct dentry *d = object_alloc(dentry_cache, ALLOC_KERNEL);

    if (!d)
        return NULL;
    if (dentry_set_name(d, name)) {
        object_free(dentry_cache, d);
        return NULL;
    }
    ref_init(&d->refs);
    d->flags = 0;
    hlist_node_init(&d->hash);
    spin_init(&d->lock);
    list_init(&d->children);
    list_init(&d->sibling);
    d->inode = NULL;
    d->position = d->last_position = 0;
    d->private_data = NULL;
    d->parent = d;
    d->sb = NULL;
    if (parent) {
        d->parent = dentry_get(parent);
        d->sb = parent->sb;
    }
    return d;
}

struct dentry *dentry_make_root(struct super_block *sb, struct inode *inode)
{
    struct name name = {.text = "/\0\0\0\0\0\0", .length = 1};
    struct dentry *d = dentry_alloc(NULL, &name);

    if (!d) {
        inode_put(inode);
        return NULL;
    }
    d->sb = sb;
    d->inode = inode;
    return d;
}

void dentry_instantiate(struct dentry *d, struct inode *inode)
{
    assert(!d->inode);
    smp_store_release(&d->inode, inode);
}

void dentry_link_to_parent(struct dentry *d)
{
    struct dentry *parent = d->parent;

    spin_lock(&parent->lock);
    if (d->sb->flags & SB_DENTRIES_ARE_HOME)
        d->position = ++parent->last_position;
    list_add_tail(&d->sibling, &parent->children);
    spin_unlock(&parent->lock);
}

static void dentry_hash(struct dentry *d)
{
    struct bucket *b = bucket_of(d->name.hash);

    spin_lock_raw(&b->lock);
    hlist_add_head(&d->hash, &b->head);
    d->flags |= DENTRY_HASHED;
    spin_unlock_raw(&b->lock);
}

static void dentry_unhash(struct dentry *d)
{
    struct bucket *b = bucket_of(d->name.hash);

    spin_lock_raw(&b->lock);
    hlist_del(&d->hash);
    d->flags &= ~DENTRY_HASHED;
    spin_unlock_raw(&b->lock);
}

void dentry_publish(struct dentry *d)
{
    assert(!(d->flags & DENTRY_HASHED));
    dentry_link_to_parent(d);
    if (d->sb->flags & SB_DENTRIES_ARE_HOME) {
        d->flags |= DENTRY_PINNED;
        atomic_inc(&d->refs);
    }
    spin_lock(&d->lock);
    dentry_hash(d);
    spin_unlock(&d->lock);
}

struct dentry *dentry_add_child(struct dentry *parent, const char *text, struct inode *inode)
{
    struct name name;
    struct dentry *d;
    char padded[NAME_MAX + 1 + 8];

    strlcpy(padded, text, NAME_MAX + 1);
    name_set(&name, parent, padded, strlen(padded));
    d = dentry_alloc(parent, &name);
    if (!d) {
        inode_put(inode);
        return err_ptr(-ENOMEM);
    }
    dentry_instantiate(d, inode);
    dentry_publish(d);
    dentry_put(d); /* the pin stays */
    return d;
}

/* ---- references --------------------------------------------------------------------------------- */

struct dentry *dentry_get(struct dentry *d)
{
    ref_get(&d->refs);
    return d;
}

static void lru_add(struct dentry *d)
{
    spin_lock_raw(&lru_lock);
    if (d->flags & DENTRY_ON_LRU)
        list_move_tail(&d->lru, &lru);
    else {
        list_add_tail(&d->lru, &lru);
        d->flags |= DENTRY_ON_LRU;
        lru_count++;
    }
    spin_unlock_raw(&lru_lock);
}

/* => lru_lock */
static void lru_remove(struct dentry *d)
{
    if (!(d->flags & DENTRY_ON_LRU))
        return;
    list_del(&d->lru);
    d->flags &= ~DENTRY_ON_LRU;
    lru_count--;
}

/* Free a dentry that nobody can find or hold. Returns its parent, whose reference is the caller's
 * now, or NULL. */
static struct dentry *dentry_free(struct dentry *d)
{
    struct dentry *parent = d->parent != d ? d->parent : NULL;

    assert(atomic_read(&d->refs) == 0 && !(d->flags & DENTRY_HASHED));
    if (d->flags & DENTRY_ON_LRU) {
        spin_lock(&lru_lock);
        lru_remove(d);
        spin_unlock(&lru_lock);
    }
    if (parent && !list_empty(&d->sibling)) {
        spin_lock(&parent->lock);
        list_del(&d->sibling);
        spin_unlock(&parent->lock);
    }
    if (d->inode) {
        if (notify_wanted() && d->inode->nlink == 0)
            notify_gone(d->inode);
        inode_put(d->inode);
    }
    dentry_drop_name(d);
    object_free(dentry_cache, d);
    return parent;
}

static __noinline void dentry_put_last(struct dentry *d)
{
    while (d) {
        spin_lock(&d->lock);
        if (!atomic_dec_and_test(&d->refs)) {
            spin_unlock(&d->lock);
            return;
        }
        if (d->flags & DENTRY_HASHED) {
            lru_add(d);
            spin_unlock(&d->lock);
            return;
        }
        spin_unlock(&d->lock);
        d = dentry_free(d);
    }
}

void dentry_put(struct dentry *d)
{
    int n = atomic_read(&d->refs);

    assert(n > 0);
    while (n > 1)
        if (__atomic_compare_exchange_n(&d->refs.value, &n, n - 1, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
            return;
    dentry_put_last(d);
}

/* ---- removing ------------------------------------------------------------------------ */

void dentry_unlink(struct dentry *d)
{
    struct dentry *parent = d->parent;
    bool pinned;

    spin_lock(&parent->lock);
    list_del_init(&d->sibling);
    spin_lock_nested(&d->lock, 1);
    if (d->flags & DENTRY_HASHED)
        dentry_unhash(d);
    pinned = d->flags & DENTRY_PINNED;
    d->flags &= ~DENTRY_PINNED;
    if (unlikely(d->flags & DENTRY_HAS_HANDLE))
        handle_unlinked(d);
    spin_unlock(&d->lock);
    spin_unlock(&parent->lock);
    if (pinned)
        dentry_put(d);
}

int dentry_begin_removal(struct dentry *d)
{
    bool mounted;

    spin_lock(&d->lock);
    mounted = d->flags & DENTRY_MOUNTED;
    if (!mounted)
        d->flags |= DENTRY_DYING;
    spin_unlock(&d->lock);
    return mounted ? -EBUSY : 0;
}

void dentry_keep(struct dentry *d)
{
    spin_lock(&d->lock);
    d->flags &= ~DENTRY_DYING;
    spin_unlock(&d->lock);
}

/* The next child of d behind `after` (NULL: the first) that can still be found, with a reference. */
static struct dentry *next_hashed_child(struct dentry *d)
{
    struct dentry *child;

    spin_lock(&d->lock);
    list_for_each_entry(child, &d->children, sibling) {
        spin_lock_nested(&child->lock, 1);
        if (child->flags & DENTRY_HASHED) {
            atomic_inc(&child->refs);
            dentry_unhash(child);
            spin_unlock(&child->lock);
            spin_unlock(&d->lock);
            return child;
        }
        spin_unlock(&child->lock);
    }
    spin_unlock(&d->lock);
    return NULL;
}

/* Depth first without recursion: the way back up is the parent pointers. */
void dentry_invalidate(struct dentry *top)
{
    struct dentry *d = top, *child;

    spin_lock(&top->lock);
    if (top->flags & DENTRY_HASHED)
        dentry_unhash(top);
    spin_unlock(&top->lock);
    for (;;) {
        child = next_hashed_child(d);
        if (child) {
            d = child;
            continue;
        }
        if (d == top)
            return;
        child = d;
        d = d->parent;
        dentry_put(child); /* top, and so d, stays: the caller's reference */
    }
}

void dentry_destroy_tree(struct dentry *root)
{
    struct dentry *d = root, *parent;

    mutex_lock(&shrink_mutex);
    for (;;) {
        while (!list_empty(&d->children))
            d = list_first_entry(&d->children, struct dentry, sibling);
        spin_lock(&d->lock);
        if (d->flags & DENTRY_HASHED)
            dentry_unhash(d);
        spin_unlock(&d->lock);
        atomic_set(&d->refs, 0);
        parent = dentry_free(d);
        if (!parent)
            break;
        atomic_dec(&parent->refs);
        d = parent;
    }
    mutex_unlock(&shrink_mutex);
}

/* ---- giving memory back ------------------------------------------------------------------------- */

static u64 dentry_count_unused(void)
{
    return lru_count;
}

/* Take the dentry that has been unused for longest out of the cache; NULL: none can be. A dentry that
 * is in use again leaves the LRU here. One that is neither in use nor hashed is being freed by
 * another, who waits for lru_lock. */
static struct dentry *lru_take(void)
{
    struct dentry *d, *next;
    struct bucket *b;

    spin_lock(&lru_lock);
    list_for_each_entry_safe(d, next, &lru, lru) {
        if (!spin_trylock(&d->lock)) /* the order is d->lock, lru_lock: do not wait */
            continue;
        b = bucket_of(d->name.hash);
        spin_lock_raw(&b->lock);
        if (atomic_read(&d->refs) == 0 && (d->flags & DENTRY_HASHED)) {
            hlist_del(&d->hash);
            d->flags &= ~DENTRY_HASHED;
            lru_remove(d);
            spin_unlock_raw(&b->lock);
            spin_unlock(&d->lock);
            spin_unlock(&lru_lock);
            return d;
        }
        if (atomic_read(&d->refs) != 0)
            lru_remove(d);
        spin_unlock_raw(&b->lock);
        spin_unlock(&d->lock);
    }
    spin_unlock(&lru_lock);
    return NULL;
}

static u64 dentry_shrink(u64 n)
{
    struct dentry *d, *parent;
    u64 freed = 0;

    if (!mutex_trylock(&shrink_mutex))
        return 0;
    while (freed < n && (d = lru_take()) != NULL) {
        parent = dentry_free(d);
        if (parent)
            dentry_put(parent);
        freed++;
    }
    mutex_unlock(&shrink_mutex);
    return freed;
}

static struct shrinker dentry_shrinker = {
    .name = "dentry",
    .count = dentry_count_unused,
    .scan = dentry_shrink,
};

/* One bucket for each 16 KiB of memory: half as many as the dentries that would fill 2% of it. */
void __init dentry_cache_init(void)
{
    u64 n = 1UL << clamp(log2_floor(boot_memory_total() >> 14), 8u, 20u);

    dentry_cache = object_cache_create("dentry", sizeof(struct dentry), CACHE_LINE);
    dentry_buckets = vmap_alloc(n * sizeof(*dentry_buckets), ALLOC_ZERO);
    if (!dentry_cache || !dentry_buckets)
        panic("no memory for the dentry cache");
    object_cache_set_reclaimable(dentry_cache);
    dentry_bucket_mask = n - 1;
    for (u64 i = 0; i < n; i++)
        spin_init(&dentry_buckets[i].lock);
    shrinker_register(&dentry_shrinker);
}
