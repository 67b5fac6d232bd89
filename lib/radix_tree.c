/* SPDX-License-Identifier: MIT */
/*
 * The radix tree behind the page cache (include/vellum/radix_tree.h).
 *
 *     tree, height 2        shift 6                 shift 0
 *     root ------------> slots[0..63] --[3]--> slots[0..63] --[5]--> item of 3 * 64 + 5
 *
 * The height is what the greatest key asked for so far needs, and shrinks again
 * as items go. A node without items does not exist. Each node has masks of 64
 * bits, one bit per slot: `present`, and one for each tag. In an inner node a
 * bit says that there is at least one such item below the slot, so a bit is
 * carried upwards when a mask becomes non-zero and taken away when it becomes zero.
 */
#include <vellum/error.h>
#include <vellum/radix_tree.h>

static inline unsigned slot_of(const struct radix_node *node, unsigned long key)
{
    return (key >> node->shift) % RADIX_SLOTS;
}

static bool reaches(const struct radix_tree *tree, unsigned long key)
{
    if (tree->height == 0)
        return key == 0;
    return key >> ((tree->height - 1) * RADIX_BITS) < RADIX_SLOTS;
}

/* The lowest node on the way to `key`, or NULL if the way ends before. => height > 0 */
static struct radix_node *find_leaf(const struct radix_tree *tree, unsigned long key)
{
    struct radix_node *node = tree->root;

    if (!reaches(tree, key))
        return NULL;
    while (node && node->shift)
        node = node->slots[slot_of(node, key)];
    return node;
}

static struct radix_node *new_node(struct radix_node *parent, unsigned offset, unsigned shift)
{
    struct radix_node *node = radix_node_alloc();

    if (!node)
        return NULL;
    *node = (struct radix_node){.parent = parent, .offset = offset, .shift = shift};
    return node;
}

/* Put a new root above the present one. */
static int grow(struct radix_tree *tree)
{
    struct radix_node *node = new_node(NULL, 0, tree->height * RADIX_BITS);
    struct radix_node *below = tree->root;

    if (!node)
        return -ENOMEM;
    node->slots[0] = below;
    node->present = 1;
    for (int tag = 0; tag < RADIX_TAGS; tag++)
        node->tags[tag] = tree->height ? below->tags[tag] != 0 : (tree->tags >> tag) & 1;
    if (tree->height) {
        below->parent = node;
        below->offset = 0;
    }
    tree->tags = 0;
    tree->root = node;
    tree->height++;
    return 0;
}

/* Remove roots in which only slot 0 is in use. */
static void shrink(struct radix_tree *tree)
{
    while (tree->height) {
        struct radix_node *node = tree->root;
        struct radix_node *below = node->slots[0];

        if (node->present != 1)
            return;
        if (node->shift) {
            below->parent = NULL;
        } else {
            for (int tag = 0; tag < RADIX_TAGS; tag++)
                tree->tags |= (node->tags[tag] & 1) << tag;
        }
        tree->root = below;
        tree->height--;
        radix_node_free(node);
    }
}

/* Free `node` and its ancestors as far as they are empty. */
static void prune(struct radix_tree *tree, struct radix_node *node)
{
    while (node && !node->present) {
        struct radix_node *parent = node->parent;

        if (parent) {
            parent->slots[node->offset] = NULL;
            parent->present &= ~(1UL << node->offset);
        } else {
            tree->root = NULL;
            tree->height = 0;
        }
        radix_node_free(node);
        node = parent;
    }
    shrink(tree);
}

/* An empty tree gets its first node at the right height at once. */
static int plant(struct radix_tree *tree, unsigned long key)
{
    unsigned height = 1;
    struct radix_node *node;

    while (height * RADIX_BITS < 64 && key >> (height * RADIX_BITS))
        height++;
    node = new_node(NULL, 0, (height - 1) * RADIX_BITS);
    if (!node)
        return -ENOMEM;
    tree->root = node;
    tree->height = height;
    return 0;
}

/* The leaf for `key`, with the nodes that are missing on the way; NULL: no memory. */
static struct radix_node *make_leaf(struct radix_tree *tree, unsigned long key)
{
    struct radix_node *node = tree->root;

    while (node->shift) {
        unsigned slot = slot_of(node, key);
        struct radix_node *below = node->slots[slot];

        if (!below) {
            below = new_node(node, slot, node->shift - RADIX_BITS);
            if (!below) {
                prune(tree, node);
                return NULL;
            }
            node->slots[slot] = below;
            node->present |= 1UL << slot;
        }
        node = below;
    }
    return node;
}

int radix_tree_insert(struct radix_tree *tree, unsigned long key, void *item)
{
    struct radix_node *node;
    unsigned slot;
    int error = 0;

    assert(item);
    if (!tree->root) {
        if (key == 0) {
            tree->root = item;
            return 0;
        }
        error = plant(tree, key);
    }
    while (!error && !reaches(tree, key))
        error = grow(tree);
    if (error) {
        shrink(tree);
        return error;
    }
    if (tree->height == 0)
        return -EEXIST;
    node = make_leaf(tree, key);
    if (!node)
        return -ENOMEM;
    slot = slot_of(node, key);
    if (node->slots[slot])
        return -EEXIST;
    node->slots[slot] = item;
    node->present |= 1UL << slot;
    return 0;
}

/* Clear a tag's bit at `slot`, and above as far as no other item below has the tag. */
static void clear_tag(struct radix_node *node, unsigned slot, enum radix_tag tag)
{
    while (node) {
        node->tags[tag] &= ~(1UL << slot);
        if (node->tags[tag])
            return;
        slot = node->offset;
        node = node->parent;
    }
}

void *radix_tree_delete(struct radix_tree *tree, unsigned long key)
{
    struct radix_node *node;
    unsigned slot;
    void *item;

    if (tree->height == 0) {
        if (key != 0)
            return NULL;
        item = tree->root;
        radix_tree_init(tree);
        return item;
    }
    node = find_leaf(tree, key);
    if (!node)
        return NULL;
    slot = slot_of(node, key);
    item = node->slots[slot];
    if (!item)
        return NULL;
    for (int tag = 0; tag < RADIX_TAGS; tag++)
        if (node->tags[tag] & (1UL << slot))
            clear_tag(node, slot, tag);
    node->slots[slot] = NULL;
    node->present &= ~(1UL << slot);
    if (!node->present)
        prune(tree, node);
    else if (!node->parent)
        shrink(tree);
    return item;
}

void *radix_tree_replace(struct radix_tree *tree, unsigned long key, void *item)
{
    struct radix_node *node;
    void **place, *old;

    assert(item);
    if (tree->height == 0) {
        if (key != 0)
            return NULL;
        place = &tree->root;
    } else {
        node = find_leaf(tree, key);
        if (!node)
            return NULL;
        place = &node->slots[slot_of(node, key)];
    }
    old = *place;
    if (old)
        *place = item;
    return old;
}

void *radix_tree_tag_set(struct radix_tree *tree, unsigned long key, enum radix_tag tag)
{
    struct radix_node *node;
    unsigned slot;
    void *item;

    if (tree->height == 0) {
        if (key != 0 || !tree->root)
            return NULL;
        tree->tags |= 1U << tag;
        return tree->root;
    }
    node = find_leaf(tree, key);
    if (!node)
        return NULL;
    slot = slot_of(node, key);
    item = node->slots[slot];
    if (!item)
        return NULL;
    while (node && !(node->tags[tag] & (1UL << slot))) {
        node->tags[tag] |= 1UL << slot;
        slot = node->offset;
        node = node->parent;
    }
    return item;
}

void *radix_tree_tag_clear(struct radix_tree *tree, unsigned long key, enum radix_tag tag)
{
    struct radix_node *node;
    unsigned slot;

    if (tree->height == 0) {
        if (key != 0)
            return NULL;
        tree->tags &= ~(1U << tag);
        return tree->root;
    }
    node = find_leaf(tree, key);
    if (!node)
        return NULL;
    slot = slot_of(node, key);
    if (node->tags[tag] & (1UL << slot))
        clear_tag(node, slot, tag);
    return node->slots[slot];
}

bool radix_tree_tag_get(const struct radix_tree *tree, unsigned long key, enum radix_tag tag)
{
    const struct radix_node *node;

    if (tree->height == 0)
        return key == 0 && (tree->tags >> tag) & 1;
    node = find_leaf(tree, key);
    return node && (node->tags[tag] >> slot_of(node, key)) & 1;
}

bool radix_tree_tagged(const struct radix_tree *tree, enum radix_tag tag)
{
    if (tree->height == 0)
        return (tree->tags >> tag) & 1;
    return ((struct radix_node *)tree->root)->tags[tag] != 0;
}

/* The mask of a node that a walk follows: a tag's, or with tag -1 that of all items. */
static inline u64 mask_of(const struct radix_node *node, int tag)
{
    return tag < 0 ? node->present : node->tags[tag];
}

/*
 * Walk to the leaf that holds the first item at or after *key, starting in
 * `node`, whose range holds *key, and climbing where there is none left below.
 * *key becomes the item's key. NULL if there is none.
 */
static struct radix_node *seek(struct radix_node *node, unsigned long *key, int tag)
{
    unsigned slot = slot_of(node, *key);

    for (;;) {
        u64 left = slot < RADIX_SLOTS ? mask_of(node, tag) >> slot : 0;
        unsigned found;

        if (!left) {
            slot = node->offset + 1;
            node = node->parent;
            if (!node)
                return NULL;
            continue;
        }
        found = slot + __builtin_ctzl(left);
        if (found != slot_of(node, *key)) { /* a later slot: begin at its first key */
            unsigned long below = (1UL << node->shift) - 1;

            *key &= ~(below | (RADIX_SLOTS - 1UL) << node->shift);
            *key |= (unsigned long)found << node->shift;
        }
        if (node->shift == 0)
            return node;
        node = node->slots[found];
        slot = slot_of(node, *key);
    }
}

static unsigned gang_lookup(const struct radix_tree *tree, void **results, unsigned long first,
                            unsigned max, int tag)
{
    unsigned count = 0;

    if (max == 0 || !reaches(tree, first))
        return 0;
    if (tree->height == 0) {
        if (!tree->root || (tag >= 0 && !((tree->tags >> tag) & 1)))
            return 0;
        results[0] = tree->root;
        return 1;
    }
    do {
        struct radix_node *leaf = seek(tree->root, &first, tag);
        u64 left;

        if (!leaf)
            break;
        left = mask_of(leaf, tag) & (~0UL << (first % RADIX_SLOTS));
        for (; left && count < max; left &= left - 1)
            results[count++] = leaf->slots[__builtin_ctzl(left)];
        first = (first | (RADIX_SLOTS - 1)) + 1; /* the next leaf; 0 behind the last key of all */
    } while (count < max && first != 0 && reaches(tree, first));
    return count;
}

unsigned radix_tree_gang_lookup(const struct radix_tree *tree, void **results, unsigned long first,
                                unsigned max)
{
    return gang_lookup(tree, results, first, max, -1);
}

unsigned radix_tree_gang_lookup_tag(const struct radix_tree *tree, void **results,
                                    unsigned long first, unsigned max, enum radix_tag tag)
{
    return gang_lookup(tree, results, first, max, tag);
}

void *radix_tree_next(const struct radix_tree *tree, unsigned long *key)
{
    struct radix_node *node;

    if (tree->height == 0)
        return *key == 0 ? tree->root : NULL;
    if (!reaches(tree, *key))
        return NULL;
    node = seek(tree->root, key, -1);
    return node ? node->slots[slot_of(node, *key)] : NULL;
}
