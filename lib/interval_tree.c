/* SPDX-License-Identifier: MIT */
/*
 * Interval trees (Cormen et al., 14.3): a red-black tree ordered by `start`
 * whose nodes also know the greatest `last` below them. A subtree whose
 * greatest `last` lies before the range asked for cannot meet it and is
 * skipped as a whole; so is everything right of a start beyond the range.
 */
#include <vellum/interval_tree.h>

static inline struct interval_node *interval_of(const struct rb_node *rb)
{
    return rb_entry((struct rb_node *)rb, struct interval_node, rb);
}

static bool interval_update(struct rb_node *rb)
{
    struct interval_node *node = interval_of(rb);
    u64 last = node->last;
    bool changed;

    if (rb->left)
        last = max(last, interval_of(rb->left)->subtree_last);
    if (rb->right)
        last = max(last, interval_of(rb->right)->subtree_last);
    changed = last != node->subtree_last;
    node->subtree_last = last;
    return changed;
}

static const struct rb_augment interval_augment = {.update = interval_update};

void interval_insert(struct interval_node *node, struct rb_root *root)
{
    struct rb_node **slot = &root->node, *parent = NULL;

    assert(node->start <= node->last);
    while (*slot) {
        parent = *slot;
        slot = node->start < interval_of(parent)->start ? &parent->left : &parent->right;
    }
    rb_link(&node->rb, parent, slot);
    rb_insert_augmented(&node->rb, root, &interval_augment);
}

void interval_remove(struct interval_node *node, struct rb_root *root)
{
    rb_erase_augmented(&node->rb, root, &interval_augment);
}

/*
 * The first match in the subtree of `rb`. => its subtree_last >= start
 * If the left subtree reaches `start`, either it holds the first match, or the
 * interval in it that does begins behind `last`, and so does all to its right.
 */
static struct interval_node *first_below(const struct rb_node *rb, u64 start, u64 last)
{
    for (;;) {
        struct interval_node *node = interval_of(rb);

        if (rb->left && interval_of(rb->left)->subtree_last >= start) {
            rb = rb->left;
            continue;
        }
        if (node->start > last)
            return NULL;
        if (node->last >= start)
            return node;
        if (!rb->right || interval_of(rb->right)->subtree_last < start)
            return NULL;
        rb = rb->right;
    }
}

struct interval_node *interval_first(const struct rb_root *root, u64 start, u64 last)
{
    if (!root->node || interval_of(root->node)->subtree_last < start)
        return NULL;
    return first_below(root->node, start, last);
}

struct interval_node *interval_next(const struct interval_node *node, u64 start, u64 last)
{
    const struct rb_node *rb = &node->rb;

    for (;;) {
        const struct rb_node *from;

        if (rb->right && interval_of(rb->right)->subtree_last >= start)
            return first_below(rb->right, start, last);
        do { /* up to the first node of which this is in the left subtree */
            from = rb;
            rb = rb_parent(rb);
            if (!rb)
                return NULL;
        } while (rb->right == from);
        if (interval_of(rb)->start > last)
            return NULL;
        if (interval_of(rb)->last >= start)
            return interval_of(rb);
    }
}
