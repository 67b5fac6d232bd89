/* SPDX-License-Identifier: MIT */
/*
 * The inside of the dentry cache: for dentry.c, which tells the idea and the order of locks, and
 * dentry_move.c.
 */
#ifndef VELLUM_FS_DENTRY_H
#define VELLUM_FS_DENTRY_H

#include "internal.h"

struct bucket {
    spinlock_t lock;
    struct hlist_head head; /* [lock] */
};

/* A name that does not fit into its dentry. */
struct long_name {
    refcount_t refs;
    char text[];
};

extern struct bucket *dentry_buckets; /* the hash table */
extern u32 dentry_bucket_mask;        /* their number - 1 */

static inline struct bucket *bucket_of(u32 hash)
{
    return &dentry_buckets[hash & dentry_bucket_mask];
}

static inline struct long_name *long_name_of(const struct dentry *d)
{
    return (struct long_name *)(d->name.text - offsetof(struct long_name, text));
}

static inline bool name_is_inline(const struct dentry *d)
{
    return d->name.text == d->inline_name;
}

/* Its name goes, perhaps with its text. */
void dentry_drop_name(struct dentry *d);
/* The last of its parent's children, for who lists them. */
void dentry_link_to_parent(struct dentry *d);

#endif
