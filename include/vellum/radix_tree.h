/* SPDX-License-Identifier: MIT */
/*
 * A map from unsigned long to pointers, made for dense runs of keys: the index
 * of the page cache. Each node is an array of 64 slots that the next six bits
 * of the key choose from, so a lookup costs one load per level and a file of
 * 256 KiB has a single node; a file of one page has none.
 *
 * Items carry tags. A node knows for each tag which of its slots lead to a
 * tagged item, so all dirty pages of a large file are found without a look at
 * the clean ones.
 *
 * Callers hold a lock of their own around every call: any reader excludes
 * writers. Items are not NULL.
 */
#ifndef VELLUM_RADIX_TREE_H
#define VELLUM_RADIX_TREE_H

#include <vellum/assert.h>

#define RADIX_BITS  6
#define RADIX_SLOTS (1U << RADIX_BITS)

enum radix_tag {
    RADIX_TAG_DIRTY,
    RADIX_TAG_WRITEBACK,
    RADIX_TAG_TOWRITE,
    RADIX_TAGS,
};

struct radix_node {
    struct radix_node *parent; /* NULL in the root */
    u8 shift;                  /* the slot of a key is (key >> shift) % RADIX_SLOTS */
    u8 offset;                 /* which slot of the parent this is */
    u64 tags[RADIX_TAGS];      /* slots with an item of that tag in or below them */
    u64 present;               /* slots that are not NULL */
    void *slots[RADIX_SLOTS];  /* nodes, or items where shift is 0 */
};

struct radix_tree {
    void *root;      /* a node; with height 0 the item of key 0, or NULL */
    unsigned height; /* levels of nodes */
    unsigned tags;   /* with height 0: a bit for each tag of the item */
};

#define RADIX_TREE_INIT                                                                            \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

static inline void radix_tree_init(struct radix_tree *tree)
{
    tree->root = NULL;
    tree->height = 0;
    tree->tags = 0;
}

static inline bool radix_tree_empty(const struct radix_tree *tree)
{
    return !tree->root;
}

/* The item of `key`, or NULL. */
static inline void *radix_tree_lookup(const struct radix_tree *tree, unsigned long key)
{
    void *item = tree->root;
    unsigned shift;
    unsigned long slot;

    if (tree->height == 0)
        return key == 0 ? item : NULL;
    shift = (tree->height - 1) * RADIX_BITS;
    slot = key >> shift;
    if (slot >= RADIX_SLOTS)
        return NULL;
    for (;;) {
        item = ((struct radix_node *)item)->slots[slot];
        if (!item || shift == 0)
            return item;
        shift -= RADIX_BITS;
        slot = (key >> shift) % RADIX_SLOTS;
    }
}

/* Add an item without tags. Returns 0, -EEXIST if the key has one, or -ENOMEM (nothing changed). */
int __must_check radix_tree_insert(struct radix_tree *tree, unsigned long key, void *item);

/* Remove the item of `key` with its tags. Returns it, or NULL. */
void *radix_tree_delete(struct radix_tree *tree, unsigned long key);

/* Put `item` in the place of the present one, tags unchanged. Returns the old item, or NULL if
 * there was none; then nothing has changed. */
void *radix_tree_replace(struct radix_tree *tree, unsigned long key, void *item);

/* Fill `results` with up to `max` items whose keys are >= first, ascending. Returns how many. */
unsigned radix_tree_gang_lookup(const struct radix_tree *tree, void **results, unsigned long first,
                                unsigned max);

/* The same for items that have the tag. */
unsigned radix_tree_gang_lookup_tag(const struct radix_tree *tree, void **results,
                                    unsigned long first, unsigned max, enum radix_tag tag);

/* The first item whose key is >= *key; *key becomes its key. NULL if there is none. */
void *radix_tree_next(const struct radix_tree *tree, unsigned long *key);

/* Set or clear a tag. Return the item, or NULL if the key has none. */
void *radix_tree_tag_set(struct radix_tree *tree, unsigned long key, enum radix_tag tag);
void *radix_tree_tag_clear(struct radix_tree *tree, unsigned long key, enum radix_tag tag);

/* Does the item of `key` have the tag? */
bool radix_tree_tag_get(const struct radix_tree *tree, unsigned long key, enum radix_tag tag);

/* Does any item? */
bool radix_tree_tagged(const struct radix_tree *tree, enum radix_tag tag);

/* The memory of nodes, supplied by the kernel (the host's tests use malloc). The caller of
 * radix_tree_insert() may hold a spinlock, so the allocation may not sleep; it returns a node of
 * any contents or NULL. */
struct radix_node *radix_node_alloc(void);
void radix_node_free(struct radix_node *node);

#endif
