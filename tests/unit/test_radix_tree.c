/* SPDX-License-Identifier: MIT */
/* unit: lib/radix_tree.c */
#include "shim/nodes.h"
#include "unit.h"
#include <vellum/error.h>
#include <vellum/radix_tree.h>

#define KEYS 4096

/* The model: an array of keys that can occur, ascending, and for each what the tree should say. */
static struct model {
    unsigned long key;
    void *item;
    bool tags[RADIX_TAGS];
} model[KEYS];

static int compare_models(const void *a, const void *b)
{
    unsigned long x = ((const struct model *)a)->key, y = ((const struct model *)b)->key;

    return x < y ? -1 : x > y;
}

/* Keys of all sizes: runs from 0 on, runs somewhere, the very last ones, and anything. */
static void choose_keys(int dense)
{
    unsigned long base = unit_random();

    for (int i = 0; i < KEYS; i++) {
        unsigned long key = i < dense ? (unsigned long)i : unit_random() >> unit_random_below(64);

        if (i >= dense && i % 3 == 0)
            key = base + i;
        if (i >= dense && i % 101 == 0)
            key = ~0UL - i / 101;
        model[i] = (struct model){.key = key};
    }
    qsort(model, KEYS, sizeof(model[0]), compare_models);
    for (int i = 1; i < KEYS; i++) /* equal ones are moved apart */
        if (model[i].key <= model[i - 1].key)
            model[i].key = model[i - 1].key + 1;
}

static struct model *random_model(int span)
{
    return &model[unit_random_below(span)];
}

/* Gang lookup from a random point on, against the model. */
static void check_gang(struct radix_tree *tree, int tag)
{
    void *results[70];
    unsigned max = unit_random_below(ARRAY_SIZE(results)), count, expected = 0;
    int from = unit_random_below(KEYS);
    unsigned long first = model[from].key;

    count = tag < 0 ? radix_tree_gang_lookup(tree, results, first, max)
                    : radix_tree_gang_lookup_tag(tree, results, first, max, tag);
    for (int i = from; i < KEYS && expected < max; i++) {
        if (!model[i].item || (tag >= 0 && !model[i].tags[tag]))
            continue;
        CHECK(expected < count);
        CHECK(results[expected] == model[i].item);
        expected++;
    }
    CHECK_EQ(count, expected);
}

static void check_everything(struct radix_tree *tree)
{
    bool any[RADIX_TAGS] = {0};
    unsigned long key = 0;
    void *item = radix_tree_next(tree, &key);

    for (int i = 0; i < KEYS; i++) {
        CHECK(radix_tree_lookup(tree, model[i].key) == model[i].item);
        for (int tag = 0; tag < RADIX_TAGS; tag++) {
            CHECK_EQ(radix_tree_tag_get(tree, model[i].key, tag), model[i].tags[tag]);
            any[tag] |= model[i].tags[tag];
        }
        if (!model[i].item)
            continue;
        CHECK(item == model[i].item);
        CHECK_EQ(key, model[i].key);
        item = key++ == ~0UL ? NULL : radix_tree_next(tree, &key);
    }
    CHECK(!item);
    for (int tag = 0; tag < RADIX_TAGS; tag++)
        CHECK_EQ(radix_tree_tagged(tree, tag), any[tag]);
}

static void change_item(struct radix_tree *tree, struct model *m, bool insert)
{
    void *item = (void *)(unit_random() | 1);
    int error;

    if (!insert) {
        CHECK(radix_tree_delete(tree, m->key) == m->item);
        *m = (struct model){.key = m->key};
        return;
    }
    error = radix_tree_insert(tree, m->key, item);
    if (m->item) {
        CHECK(error == -EEXIST || (error == -ENOMEM && nodes_fail_one_in));
    } else if (error == 0) {
        m->item = item;
    } else {
        CHECK_EQ(error, -ENOMEM);
        CHECK(nodes_fail_one_in);
    }
}

static void change_tag(struct radix_tree *tree, struct model *m)
{
    int tag = unit_random_below(RADIX_TAGS);

    if (unit_random_below(2)) {
        CHECK(radix_tree_tag_set(tree, m->key, tag) == m->item);
        m->tags[tag] = m->item != NULL;
    } else {
        CHECK(radix_tree_tag_clear(tree, m->key, tag) == m->item);
        m->tags[tag] = false;
    }
}

static void random_operations(struct radix_tree *tree, int operations, int span)
{
    for (int op = 0; op < operations; op++) {
        struct model *m = random_model(span);
        bool growing = unit_random_below(100) < ((op / 20000) % 2 ? 30 : 70);

        switch (unit_random_below(10)) {
        case 0 ... 4:
            change_item(tree, m, growing);
            break;
        case 5 ... 6:
            change_tag(tree, m);
            break;
        case 7: {
            void *item = (void *)(unit_random() | 1);

            CHECK(radix_tree_replace(tree, m->key, item) == m->item);
            if (m->item)
                m->item = item;
            break;
        }
        case 8:
            CHECK(radix_tree_lookup(tree, m->key) == m->item);
            CHECK(radix_tree_lookup(tree, unit_random() | 1UL << 63) == NULL || span == KEYS);
            break;
        case 9:
            check_gang(tree, (int)unit_random_below(RADIX_TAGS + 1) - 1);
            break;
        }
        if (op % 5000 == 0)
            check_everything(tree);
    }
    for (int i = 0; i < KEYS; i++)
        CHECK(radix_tree_delete(tree, model[i].key) == model[i].item);
    CHECK(radix_tree_empty(tree));
    CHECK_EQ(tree->height, 0);
    CHECK_EQ(nodes_in_use, 0);
}

TEST(radix_tree_a_million_operations_on_a_file_of_pages)
{
    struct radix_tree tree = RADIX_TREE_INIT;

    nodes_fail_one_in = 0;
    choose_keys(KEYS);
    random_operations(&tree, 1000000, 700);
}

TEST(radix_tree_a_million_operations_on_keys_of_all_sizes)
{
    struct radix_tree tree = RADIX_TREE_INIT;

    nodes_fail_one_in = 0;
    choose_keys(1000);
    random_operations(&tree, 1000000, KEYS);
}

TEST(radix_tree_survives_lack_of_memory)
{
    struct radix_tree tree = RADIX_TREE_INIT;

    nodes_fail_one_in = 3;
    choose_keys(1000);
    random_operations(&tree, 500000, KEYS);
    nodes_fail_one_in = 0;
}

TEST(radix_tree_one_page_needs_no_node_and_height_follows)
{
    struct radix_tree tree = RADIX_TREE_INIT;
    int x, y;

    nodes_fail_one_in = 0;
    CHECK_EQ(radix_tree_insert(&tree, 0, &x), 0);
    CHECK_EQ(nodes_in_use, 0);
    CHECK(radix_tree_tag_set(&tree, 0, RADIX_TAG_WRITEBACK) == &x);
    CHECK_EQ(radix_tree_insert(&tree, 64, &y), 0);
    CHECK_EQ(tree.height, 2);
    CHECK(radix_tree_tag_get(&tree, 0, RADIX_TAG_WRITEBACK));
    CHECK(!radix_tree_tag_get(&tree, 64, RADIX_TAG_WRITEBACK));
    CHECK(!radix_tree_tag_get(&tree, 0, RADIX_TAG_DIRTY));
    CHECK(radix_tree_delete(&tree, 64) == &y);
    CHECK_EQ(tree.height, 0);
    CHECK_EQ(nodes_in_use, 0);
    CHECK(radix_tree_tag_get(&tree, 0, RADIX_TAG_WRITEBACK));
    CHECK(!radix_tree_lookup(&tree, 1));
    CHECK_EQ(radix_tree_insert(&tree, ~0UL, &y), 0);
    CHECK_EQ(tree.height, 11);
    CHECK(radix_tree_lookup(&tree, ~0UL) == &y);
    CHECK(radix_tree_delete(&tree, 0) == &x);
    CHECK(radix_tree_delete(&tree, ~0UL) == &y);
    CHECK_EQ(nodes_in_use, 0);
}
