/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees whose nodes live inside the objects they order.
 *
 * The owner of a tree writes the search loop (it alone knows the order) and
 * leaves the balance to this code:
 *
 *     struct rb_node **slot = &root->node, *parent = NULL;
 *
 *     while (*slot) {
 *         parent = *slot;
 *         slot = key < key_of(parent) ? &parent->left : &parent->right;
 *     }
 *     rb_link(&object->rb, parent, slot);
 *     rb_insert_color(&object->rb, root);
 *
 * or gives rb_add() a comparison, which is inlined into the loop. A cached root
 * remembers its first node, for queues that mostly take the first.
 *
 * An augmented tree keeps in each node a value computed from the node itself
 * and its two children (the largest end of an interval below it, say). Its
 * owner supplies one function that computes it; see struct rb_augment.
 *
 * Nothing here locks or allocates.
 */
#ifndef VELLUM_RBTREE_H
#define VELLUM_RBTREE_H

#include <vellum/assert.h>

struct rb_node {
    unsigned long parent_color; /* the parent's address; bit 0 is set in a black node */
    union {
        struct {
            struct rb_node *left, *right;
        };
        struct rb_node *child[2];
    };
};

struct rb_root {
    struct rb_node *node;
};

struct rb_root_cached {
    struct rb_root root;
    struct rb_node *leftmost;
};

#define RB_ROOT        ((struct rb_root){NULL})
#define RB_ROOT_CACHED ((struct rb_root_cached){{NULL}, NULL})

#define rb_entry(node, type, member) container_of(node, type, member)
#define rb_entry_or_null(node, type, member)                                                       \
    ({                                                                                             \
        struct rb_node *_node = (node);                                                            \
        _node ? container_of(_node, type, member) : NULL;                                          \
    })

/* How an augmented tree keeps its nodes' values right. */
struct rb_augment {
    /* Compute the node's value from itself and its children. Returns whether it changed.
     * => what it computes from besides the children changes only outside of an insertion or removal,
     *    and rb_augment_propagate() is called then: one that finds a value up to date stops */
    bool (*update)(struct rb_node *node);
};

static inline bool rb_empty(const struct rb_root *root)
{
    return !root->node;
}

static inline struct rb_node *rb_parent(const struct rb_node *node)
{
    return (struct rb_node *)(node->parent_color & ~1UL);
}

/* Mark a node as being in no tree, so that rb_unlinked() tells. */
static inline void rb_node_init(struct rb_node *node)
{
    node->parent_color = (unsigned long)node;
}

static inline bool rb_unlinked(const struct rb_node *node)
{
    return node->parent_color == (unsigned long)node;
}

/* Hang a node into the empty slot that a search ended in: red, without children. */
static inline void rb_link(struct rb_node *node, struct rb_node *parent, struct rb_node **slot)
{
    assert(!*slot);
    node->parent_color = (unsigned long)parent;
    node->left = NULL;
    node->right = NULL;
    *slot = node;
}

/* Restore the balance after rb_link(). */
void rb_insert_color(struct rb_node *node, struct rb_root *root);

/* Remove a node that is in the tree. */
void rb_erase(struct rb_node *node, struct rb_root *root);

/* The same for augmented trees. => the new node's own value is set before the insertion */
void rb_insert_augmented(struct rb_node *node, struct rb_root *root, const struct rb_augment *aug);
void rb_erase_augmented(struct rb_node *node, struct rb_root *root, const struct rb_augment *aug);

/* A node's own part of its value has changed: bring it and its ancestors up to date. */
void rb_augment_propagate(struct rb_node *node, const struct rb_augment *aug);

/* The nodes in order; NULL at the end. */
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

#define rb_for_each_entry(pos, root, member)                                                       \
    for ((pos) = rb_entry_or_null(rb_first(root), __typeof__(*(pos)), member); (pos);              \
         (pos) = rb_entry_or_null(rb_next(&(pos)->member), __typeof__(*(pos)), member))

/* Insert behind all nodes that are not greater. `less(a, b)`: a comes before b. */
static __always_inline void rb_add(struct rb_node *node, struct rb_root *root,
                                   bool (*less)(const struct rb_node *, const struct rb_node *))
{
    struct rb_node **slot = &root->node, *parent = NULL;

    while (*slot) {
        parent = *slot;
        slot = less(node, parent) ? &parent->left : &parent->right;
    }
    rb_link(node, parent, slot);
    rb_insert_color(node, root);
}

/* Find a node with `compare(key, node)` == 0; < 0 means that the key lies to the left of it. */
static __always_inline struct rb_node *rb_find(const void *key, const struct rb_root *root,
                                               int (*compare)(const void *key,
                                                              const struct rb_node *node))
{
    struct rb_node *node = root->node;

    while (node) {
        int c = compare(key, node);

        if (c == 0)
            return node;
        node = c < 0 ? node->left : node->right;
    }
    return NULL;
}

static inline struct rb_node *rb_first_cached(const struct rb_root_cached *root)
{
    return root->leftmost;
}

/* rb_insert_color() for a cached root. `leftmost`: the search for the slot never went right. */
static inline void rb_insert_color_cached(struct rb_node *node, struct rb_root_cached *root,
                                          bool leftmost)
{
    if (leftmost)
        root->leftmost = node;
    rb_insert_color(node, &root->root);
}

static inline void rb_erase_cached(struct rb_node *node, struct rb_root_cached *root)
{
    if (root->leftmost == node)
        root->leftmost = rb_next(node);
    rb_erase(node, &root->root);
}

/* As rb_add(). Returns whether the node has become the first. */
static __always_inline bool rb_add_cached(struct rb_node *node, struct rb_root_cached *root,
                                          bool (*less)(const struct rb_node *,
                                                       const struct rb_node *))
{
    struct rb_node **slot = &root->root.node, *parent = NULL;
    bool leftmost = true;

    while (*slot) {
        parent = *slot;
        if (less(node, parent)) {
            slot = &parent->left;
        } else {
            slot = &parent->right;
            leftmost = false;
        }
    }
    rb_link(node, parent, slot);
    rb_insert_color_cached(node, root, leftmost);
    return leftmost;
}

#endif
