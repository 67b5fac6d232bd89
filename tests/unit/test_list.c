/* SPDX-License-Identifier: MIT */
// unit:
#include "unit.h"
#include <vellum/list.h>

struct item {
    int value;
    struct list link;
    struct hlist_node hash;
};

static struct item items[8];

static void fill(struct list *head, int from, int to)
{
    list_init(head);
    for (int i = from; i < to; i++) {
        items[i].value = i;
        list_add_tail(&items[i].link, head);
    }
}

/* The list holds exactly the digits of `expected`, in both directions. */
static void check_list(struct list *head, const char *expected)
{
    char forward[16] = "", backward[16] = "";
    struct item *item;
    int n = 0, length = 0;

    list_for_each_entry(item, head, link)
        forward[length++] = '0' + item->value;
    list_for_each_entry_reverse(item, head, link)
        backward[length - ++n] = '0' + item->value;
    CHECK_STR(forward, expected);
    CHECK_STR(backward, expected);
}

TEST(list_adds_in_front_and_behind)
{
    static struct list head = LIST_INIT(head);

    CHECK(list_empty(&head));
    for (int i = 0; i < 4; i++)
        items[i].value = i;
    list_add(&items[1].link, &head);
    CHECK(list_is_singular(&head));
    list_add(&items[0].link, &head);
    list_add_tail(&items[3].link, &head);
    list_add(&items[2].link, &items[1].link);
    check_list(&head, "0123");
    CHECK(!list_is_singular(&head));
    CHECK_EQ(list_first_entry(&head, struct item, link)->value, 0);
    CHECK_EQ(list_last_entry(&head, struct item, link)->value, 3);
    CHECK_EQ(list_next_entry(&items[1], link)->value, 2);
    CHECK_EQ(list_prev_entry(&items[1], link)->value, 0);
}

TEST(list_moves_and_removes)
{
    struct list a, b;
    struct item *item, *next;

    fill(&a, 0, 4);
    list_init(&b);
    list_move(&items[2].link, &a);
    check_list(&a, "2013");
    list_move_tail(&items[0].link, &b);
    list_move_tail(&items[3].link, &b);
    check_list(&a, "21");
    check_list(&b, "03");
    list_del_init(&items[1].link);
    CHECK(list_empty(&items[1].link));
    list_for_each_entry_safe(item, next, &b, link)
        list_del(&item->link);
    CHECK(list_empty(&b));
    CHECK(!list_first_entry_or_null(&b, struct item, link));
    CHECK(list_first_entry_or_null(&a, struct item, link) == &items[2]);
}

TEST(list_splices)
{
    struct list a, b, empty = LIST_INIT(empty);

    fill(&a, 0, 2);
    fill(&b, 2, 4);
    list_splice_init(&b, &a);
    check_list(&a, "2301");
    CHECK(list_empty(&b));
    list_splice_init(&empty, &a);
    list_splice_tail_init(&empty, &a);
    check_list(&a, "2301");
    fill(&b, 4, 6);
    list_splice_tail_init(&b, &a);
    check_list(&a, "230145");
    list_splice(&a, &empty);
    check_list(&empty, "230145");
}

TEST(list_misuse_is_caught)
{
    struct list a, b;

    fill(&a, 0, 3);
    CHECK_PANICS(list_add(&items[0].link, &a)); /* is the neighbour already */
    list_init(&b);
    CHECK_PANICS(items[1].link.next = &b; list_del(&items[1].link)); /* links do not agree */
}

TEST(hlist_adds_walks_and_removes)
{
    struct hlist_head head = HLIST_INIT;
    struct hlist_node *next;
    struct item *item;
    int sum = 0, count = 0;

    CHECK(hlist_empty(&head));
    for (int i = 0; i < 5; i++) {
        items[i].value = i;
        hlist_node_init(&items[i].hash);
        CHECK(hlist_unhashed(&items[i].hash));
        hlist_add_head(&items[i].hash, &head);
    }
    hlist_del(&items[4].hash); /* first, middle, last */
    hlist_del(&items[2].hash);
    hlist_del(&items[0].hash);
    CHECK(hlist_unhashed(&items[2].hash));
    hlist_for_each_entry(item, &head, hash)
        sum = 10 * sum + item->value;
    CHECK_EQ(sum, 31);
    hlist_for_each_entry_safe(item, next, &head, hash) {
        hlist_del(&item->hash);
        count++;
    }
    CHECK_EQ(count, 2);
    CHECK(hlist_empty(&head));
    CHECK_PANICS(hlist_del(&items[1].hash));
}
