/* SPDX-License-Identifier: MIT */
/* unit: lib/rbtree.c lib/interval_tree.c */
#include "unit.h"
#include <vellum/interval_tree.h>
#include <vellum/rbtree.h>

#define KEYS 512

struct item {
    int key;
    bool present;
    struct rb_node rb;
};

static struct item items[KEYS];

static bool less(const struct rb_node *a, const struct rb_node *b)
{
    return rb_entry((struct rb_node *)a, struct item, rb)->key <
           rb_entry((struct rb_node *)b, struct item, rb)->key;
}

static int compare(const void *key, const struct rb_node *node)
{
    return *(const int *)key - rb_entry((struct rb_node *)node, struct item, rb)->key;
}

/* Both rules and the parent pointers hold below `node`. Returns the number of black nodes on a
 * path; counts the nodes. */
static int check_subtree(const struct rb_node *node, const struct rb_node *parent, int *count)
{
    bool black;
    int left, right;

    if (!node)
        return 0;
    ++*count;
    black = node->parent_color & 1;
    CHECK(rb_parent(node) == parent);
    CHECK(black || (parent && parent->parent_color & 1));
    left = check_subtree(node->left, node, count);
    right = check_subtree(node->right, node, count);
    CHECK_EQ(left, right);
    return left + black;
}

static void check_tree(const struct rb_root *root, int expected)
{
    int count = 0;

    check_subtree(root->node, NULL, &count);
    CHECK_EQ(count, expected);
}

static void check_order(const struct rb_root *root)
{
    struct rb_node *node = rb_first(root);
    struct item *item;

    rb_for_each_entry(item, root, rb)
        CHECK(item->present);
    for (int i = 0; i < KEYS; i++)
        if (items[i].present) {
            CHECK(node == &items[i].rb);
            node = rb_next(node);
        }
    CHECK(!node);
    node = rb_last(root);
    for (int i = KEYS - 1; i >= 0; i--)
        if (items[i].present) {
            CHECK(node == &items[i].rb);
            node = rb_prev(node);
        }
    CHECK(!node);
}

static void reset(void)
{
    for (int i = 0; i < KEYS; i++)
        items[i] = (struct item){.key = i};
}

TEST(rbtree_a_million_random_insertions_and_removals)
{
    struct rb_root root = RB_ROOT;
    int count = 0;

    reset();
    for (int op = 0; op < 1000000; op++) {
        /* grow and shrink in turn, so that all sizes occur */
        bool grow = unit_random_below(100) < ((op / 3000) % 2 ? 60 : 40);
        struct item *item = &items[unit_random_below(KEYS)];

        if (item->present != grow) {
            if (grow)
                rb_add(&item->rb, &root, less);
            else
                rb_erase(&item->rb, &root);
            count += grow ? 1 : -1;
            item->present = grow;
        }
        CHECK((rb_find(&item->key, &root, compare) != NULL) == item->present);
        if (op % 64 == 0)
            check_tree(&root, count);
        if (op % 1024 == 0)
            check_order(&root);
    }
}

TEST(rbtree_ascending_descending_and_equal_keys)
{
    struct rb_root root = RB_ROOT;
    struct rb_node *node;

    reset();
    for (int i = 0; i < KEYS; i++)
        rb_add(&items[i].rb, &root, less);
    check_tree(&root, KEYS);
    for (int i = KEYS - 1; i >= 0; i--) {
        rb_erase(&items[i].rb, &root);
        check_tree(&root, i);
    }
    for (int i = 0; i < KEYS; i++) {
        items[i].key = 7; /* equal ones stay in the order of insertion */
        rb_add(&items[i].rb, &root, less);
    }
    node = rb_first(&root);
    for (int i = 0; i < KEYS; i++, node = rb_next(node))
        CHECK(node == &items[i].rb);
    CHECK(!node);
    rb_node_init(&items[0].rb);
    CHECK(rb_unlinked(&items[0].rb));
    CHECK(!rb_unlinked(&items[1].rb));
}

TEST(rbtree_cached_root_knows_the_first)
{
    struct rb_root_cached root = RB_ROOT_CACHED;

    reset();
    for (int op = 0; op < 200000; op++) {
        struct item *item = &items[unit_random_below(64)];

        if (item->present)
            rb_erase_cached(&item->rb, &root);
        else
            CHECK(rb_add_cached(&item->rb, &root, less) == (rb_first_cached(&root) == &item->rb));
        item->present = !item->present;
        CHECK(rb_first_cached(&root) == rb_first(&root.root));
    }
}

#define INTERVALS 200

static struct interval_node intervals[INTERVALS];
static bool interval_in[INTERVALS];

static u64 check_subtree_last(const struct rb_node *rb)
{
    const struct interval_node *node = container_of((struct rb_node *)rb, struct interval_node, rb);
    u64 last;

    if (!rb)
        return 0;
    last = max(node->last, max(check_subtree_last(rb->left), check_subtree_last(rb->right)));
    CHECK_EQ(node->subtree_last, last);
    return last;
}

/* The tree's answer is the set that a look at each interval gives, in order. */
static void check_query(const struct rb_root *root, u64 start, u64 last)
{
    struct interval_node *node, *before = NULL;
    int found = 0, expected = 0;

    for (int i = 0; i < INTERVALS; i++)
        expected += interval_in[i] && intervals[i].start <= last && intervals[i].last >= start;
    interval_for_each(node, root, start, last) {
        CHECK(node->start <= last && node->last >= start);
        CHECK(!before || before->start <= node->start);
        CHECK(node != before);
        before = node;
        found++;
    }
    CHECK_EQ(found, expected);
}

TEST(interval_tree_a_million_random_operations)
{
    struct rb_root root = RB_ROOT;

    for (int i = 0; i < INTERVALS; i++)
        interval_in[i] = false;
    for (int op = 0; op < 1000000; op++) {
        int i = unit_random_below((op / 10000) % 2 ? INTERVALS : 12);

        if (op % 8 == 0) {
            u64 start = unit_random_below(1000);

            check_query(&root, start, start + unit_random_below(op % 3 ? 4 : 400));
        } else if (interval_in[i]) {
            interval_remove(&intervals[i], &root);
            interval_in[i] = false;
        } else {
            intervals[i].start = unit_random_below(1000);
            intervals[i].last = intervals[i].start + unit_random_below(op % 5 ? 10 : 500);
            interval_insert(&intervals[i], &root);
            interval_in[i] = true;
        }
        if (op % 512 == 0) {
            int count = 0;

            check_subtree(root.node, NULL, &count);
            check_subtree_last(root.node);
        }
    }
}

TEST(interval_tree_whole_range_and_ends)
{
    struct rb_root root = RB_ROOT;
    struct interval_node all = {.start = 0, .last = UINT64_MAX},
                         end = {.start = UINT64_MAX, .last = UINT64_MAX};

    CHECK(!interval_first(&root, 0, UINT64_MAX));
    interval_insert(&all, &root);
    interval_insert(&end, &root);
    CHECK(interval_first(&root, 5, 5) == &all);
    CHECK(!interval_next(&all, 5, 5));
    CHECK(interval_next(&all, 5, UINT64_MAX) == &end);
    interval_remove(&all, &root);
    CHECK(!interval_first(&root, 0, 10));
}
