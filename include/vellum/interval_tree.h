/* SPDX-License-Identifier: MIT */
/*
 * Intervals of integers, both ends included, in a tree that answers "which of
 * them touch [start, last]?" without looking at the others. Used to find the
 * mappings of a range of a file.
 */
#ifndef VELLUM_INTERVAL_TREE_H
#define VELLUM_INTERVAL_TREE_H

#include <vellum/rbtree.h>

struct interval_node {
    struct rb_node rb;
    u64 start, last;  /* start <= last; unchanged while in a tree */
    u64 subtree_last; /* the greatest `last` in the subtree below this node */
};

/* Insert; intervals may overlap and be equal. => the caller holds the tree's lock, in all calls */
void interval_insert(struct interval_node *node, struct rb_root *root);
void interval_remove(struct interval_node *node, struct rb_root *root);

/* The first interval, in order of `start`, that shares a point with [start, last]; or NULL. */
struct interval_node *interval_first(const struct rb_root *root, u64 start, u64 last);

/* The next one that does, after `node`; or NULL. */
struct interval_node *interval_next(const struct interval_node *node, u64 start, u64 last);

#define interval_for_each(node, root, start, last)                                                 \
    for ((node) = interval_first(root, start, last); (node);                                       \
         (node) = interval_next(node, start, last))

#endif
