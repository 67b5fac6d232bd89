/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees: binary search trees in which
 *   1. a red node has no red child, and
 *   2. every path from the root down to an empty slot passes equally many black nodes,
 * so that no path is more than twice as long as another. (Guibas and Sedgewick
 * 1978; the case analysis is that of Cormen et al., chapter 13.)
 *
 * Insertion may break rule 1, at one node; removal rule 2, along one path. Both
 * are mended from there upwards. Left and right are the indices 0 and 1 of
 * `child`, so each mirrored pair of cases is one piece of code, which the
 * compiler is made to expand for both sides. In the drawings capitals are black.
 *
 * The augmented variants are the same code with a pointer to the update
 * function; in the plain ones it is the constant NULL and leaves no trace.
 */
#include <vellum/rbtree.h>

#define BLACK 1UL

static __always_inline bool is_black(const struct rb_node *node)
{
    return node->parent_color & BLACK;
}

/* An empty slot counts as black. */
static __always_inline bool is_red(const struct rb_node *node)
{
    return node && !is_black(node);
}

static __always_inline void set_parent(struct rb_node *node, struct rb_node *parent)
{
    node->parent_color = (unsigned long)parent | (node->parent_color & BLACK);
}

static __always_inline void set_black(struct rb_node *node)
{
    node->parent_color |= BLACK;
}

static __always_inline void set_red(struct rb_node *node)
{
    node->parent_color &= ~BLACK;
}

/* Make whatever pointed to `old`, a child of `parent` or the root, point to `new`. */
static __always_inline void replace_child(struct rb_node *old, struct rb_node *new,
                                          struct rb_node *parent, struct rb_root *root)
{
    if (!parent)
        root->node = new;
    else
        parent->child[parent->right == old] = new;
}

/*
 * Sink `top` to the given side and lift its other child into its place and
 * color. For side 0 (left):
 *
 *        top               up
 *       /   \             /  \
 *      a     up    =>   top   c
 *           /  \       /   \
 *          b    c     a     b
 */
static __always_inline struct rb_node *rotate(struct rb_node *top, const int side,
                                              struct rb_root *root, const struct rb_augment *aug)
{
    struct rb_node *up = top->child[!side];
    struct rb_node *inner = up->child[side];
    struct rb_node *parent = rb_parent(top);

    top->child[!side] = inner;
    if (inner)
        set_parent(inner, top);
    up->child[side] = top;
    replace_child(top, up, parent, root);
    up->parent_color = top->parent_color;
    top->parent_color = (unsigned long)up; /* red */
    if (aug) {
        aug->update(top);
        aug->update(up);
    }
    return up;
}

/*
 * `node` and its parent are red, the parent is the child of `grand` on `side`.
 * Returns the node where the same must be looked at again, or NULL: mended.
 */
static __always_inline struct rb_node *mend_red(struct rb_node *node, struct rb_node *parent,
                                                struct rb_node *grand, const int side,
                                                struct rb_root *root, const struct rb_augment *aug)
{
    struct rb_node *uncle = grand->child[!side];

    if (is_red(uncle)) { /* push the black of grand down to both; grand may now offend */
        set_black(parent);
        set_black(uncle);
        set_red(grand);
        return grand;
    }
    if (parent->child[!side] == node) { /* bent: make it a straight line first */
        parent->child[!side] = node->child[side];
        if (node->child[side])
            node->child[side]->parent_color = (unsigned long)parent | BLACK;
        node->child[side] = parent;
        parent->parent_color = (unsigned long)node;
        grand->child[side] = node;
        node->parent_color = (unsigned long)grand;
        if (aug)
            aug->update(parent);
    }
    rotate(grand, !side, root, aug);
    return NULL;
}

static __always_inline void insert_color(struct rb_node *node, struct rb_root *root,
                                         const struct rb_augment *aug)
{
    while (node) {
        struct rb_node *parent = rb_parent(node), *grand;

        if (!parent) {
            set_black(node);
            return;
        }
        if (is_black(parent))
            return;
        grand = rb_parent(parent); /* there is one: the root is black */
        if (grand->left == parent)
            node = mend_red(node, parent, grand, 0, root, aug);
        else
            node = mend_red(node, parent, grand, 1, root, aug);
    }
}

void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
    insert_color(node, root, NULL);
}

/*
 * Paths through the child of `parent` on `side` have one black node too few.
 * Returns the node whose own paths are now short, or NULL: mended.
 */
static __always_inline struct rb_node *mend_black(struct rb_node *parent, const int side,
                                                  struct rb_root *root,
                                                  const struct rb_augment *aug)
{
    struct rb_node *sibling = parent->child[!side]; /* not empty, or its paths were short too */

    if (!is_black(sibling)) { /* get a black sibling; parent becomes red */
        rotate(parent, side, root, aug);
        sibling = parent->child[!side];
    }
    if (!is_red(sibling->child[!side])) {
        if (!is_red(sibling->child[side])) { /* take a black from the sibling's paths as well */
            set_red(sibling);
            if (is_black(parent))
                return parent;
            set_black(parent);
            return NULL;
        }
        sibling = rotate(sibling, !side, root, aug); /* bring the red one to the outside */
    }
    /* parent goes down black on the short side, the outer red nephew becomes black */
    set_black(sibling->child[!side]);
    rotate(parent, side, root, aug);
    set_black(parent);
    return NULL;
}

static __always_inline void erase_color(struct rb_node *parent, struct rb_root *root,
                                        const struct rb_augment *aug)
{
    struct rb_node *node = NULL; /* the empty slot where a black node was taken out */

    while (parent) {
        if (parent->left == node)
            node = mend_black(parent, 0, root, aug);
        else
            node = mend_black(parent, 1, root, aug);
        if (!node)
            return;
        parent = rb_parent(node);
    }
}

/* Bring the values up to date from `node` up to but not including `stop`, or as far as they
 * change. */
static __always_inline void propagate(struct rb_node *node, struct rb_node *stop,
                                      const struct rb_augment *aug)
{
    while (node != stop && aug->update(node))
        node = rb_parent(node);
}

/*
 * Put `next`, the leftmost node in the right subtree, in the place of `node`,
 * which has two children. Returns the parent of the slot that `next` left.
 */
static __always_inline struct rb_node *take_place(struct rb_node *node, struct rb_node *next,
                                                  struct rb_root *root)
{
    struct rb_node *parent = rb_parent(next);

    if (parent == node) {
        parent = next;
    } else {
        parent->left = next->right;
        if (next->right)
            set_parent(next->right, parent);
        next->right = node->right;
        set_parent(node->right, next);
    }
    next->left = node->left;
    set_parent(node->left, next);
    replace_child(node, next, rb_parent(node), root);
    next->parent_color = node->parent_color;
    return parent;
}

static __always_inline void erase(struct rb_node *node, struct rb_root *root,
                                  const struct rb_augment *aug)
{
    struct rb_node *child, *parent;
    bool short_of_black;

    if (node->left && node->right) {
        struct rb_node *next = node->right;

        while (next->left)
            next = next->left;
        child = next->right;
        short_of_black = is_black(next);
        parent = take_place(node, next, root);
        if (aug) {
            propagate(parent, next, aug);
            aug->update(next);
            propagate(rb_parent(next), NULL, aug);
        }
    } else {
        child = node->left ? node->left : node->right;
        short_of_black = is_black(node);
        parent = rb_parent(node);
        replace_child(node, child, parent, root);
        if (child)
            set_parent(child, parent);
        if (aug)
            propagate(parent, NULL, aug);
    }
    if (!short_of_black)
        return;
    if (child) /* an only child is red, by rule 2: it takes over the black */
        set_black(child);
    else
        erase_color(parent, root, aug);
}

void rb_erase(struct rb_node *node, struct rb_root *root)
{
    erase(node, root, NULL);
}

void rb_insert_augmented(struct rb_node *node, struct rb_root *root, const struct rb_augment *aug)
{
    aug->update(node);
    propagate(rb_parent(node), NULL, aug);
    insert_color(node, root, aug);
}

void rb_erase_augmented(struct rb_node *node, struct rb_root *root, const struct rb_augment *aug)
{
    erase(node, root, aug);
}

void rb_augment_propagate(struct rb_node *node, const struct rb_augment *aug)
{
    propagate(node, NULL, aug);
}

struct rb_node *rb_first(const struct rb_root *root)
{
    struct rb_node *node = root->node;

    while (node && node->left)
        node = node->left;
    return node;
}

struct rb_node *rb_last(const struct rb_root *root)
{
    struct rb_node *node = root->node;

    while (node && node->right)
        node = node->right;
    return node;
}

/* The neighbour on `side` in the order. */
static __always_inline struct rb_node *neighbour(const struct rb_node *node, const int side)
{
    struct rb_node *other = node->child[side];

    if (other) {
        while (other->child[!side])
            other = other->child[!side];
        return other;
    }
    for (other = rb_parent(node); other && other->child[side] == node; other = rb_parent(other))
        node = other;
    return other;
}

struct rb_node *rb_next(const struct rb_node *node)
{
    return neighbour(node, 1);
}

struct rb_node *rb_prev(const struct rb_node *node)
{
    return neighbour(node, 0);
}
