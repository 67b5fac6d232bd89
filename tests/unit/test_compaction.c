/* SPDX-License-Identifier: MIT */
/* unit: kernel/mm/compact_policy.c */
/*
 * When memory is compacted: known values, what must hold for all, and the pace at which failures make
 * it rarer.
 */
#include "kernel/mm/compact_policy.h"
#include "unit.h"

/* Free memory of blocks of one order alone. */
static struct free_blocks pieces(unsigned of, u64 n, unsigned wanted)
{
    return (struct free_blocks){n << of, n, of >= wanted ? n << (of - wanted) : 0};
}

TEST(index_tells_too_little_from_too_fragmented)
{
    struct free_blocks few = pieces(8, 1, 9), many = pieces(0, 100000, 9), one = pieces(9, 1, 9);
    struct free_blocks none = {0};

    CHECK_EQ(fragmentation_index(9, &none), 0);
    CHECK_EQ(fragmentation_index(9, &one), SUITABLE_BLOCK);
    CHECK(fragmentation_index(9, &few) < 0); /* one block, nothing to put together */
    CHECK(fragmentation_index(9, &many) > 990);
    for (int i = 0; i < 10000; i++) {
        unsigned of = unit_random_below(9);
        u64 n = 1 + unit_random_below(100000);
        struct free_blocks free = pieces(of, n, 9), more = pieces(of, n + 1, 9);
        int index = fragmentation_index(9, &free);

        CHECK(index <= 1000 && fragmentation_index(9, &more) >= index);
    }
}

TEST(suitability)
{
    struct free_blocks free = pieces(0, 5000, 9);

    CHECK_EQ(compact_suitability(9, &free, 1000, 500), COMPACT_CONTINUE);
    CHECK_EQ(compact_suitability(9, &free, 4500, 500), COMPACT_SKIPPED);
    free = pieces(8, 20, 9); /* in pieces, but they are large */
    CHECK_EQ(compact_suitability(9, &free, 1000, 500), COMPACT_SKIPPED);
    CHECK_EQ(compact_suitability(9, &free, 1000, 400), COMPACT_CONTINUE);
    free = pieces(10, 4, 9);
    CHECK_EQ(compact_suitability(9, &free, 1000, 500), COMPACT_NEEDLESS);
    CHECK_EQ(compact_suitability(9, &free, 4000, 500), COMPACT_SKIPPED);
}

TEST(score)
{
    struct free_blocks free = {1000, 0, 1};

    CHECK_EQ(fragmentation_score(9, &free), 48);
    free.suitable = 0;
    CHECK_EQ(fragmentation_score(9, &free), 100);
    free = pieces(10, 7, 9);
    CHECK_EQ(fragmentation_score(9, &free), 0);
}

TEST(marks_of_proactiveness)
{
    unsigned low, high;

    proactive_marks(20, &low, &high); /* the default */
    CHECK_EQ(low, 80);
    CHECK_EQ(high, 90);
    proactive_marks(0, &low, &high);
    CHECK(low == 100 && high == 100);
    proactive_marks(100, &low, &high);
    CHECK(low == 5 && high == 15);
    for (unsigned p = 1; p <= 100; p++) {
        proactive_marks(p, &low, &high);
        CHECK(low < high && high <= 100 && low >= 5);
    }
}

/* How many requests are passed by until the next is tried. */
static unsigned passed_by(struct compact_deferral *d, int order)
{
    unsigned n = 0;

    while (compact_deferred(d, order))
        n++;
    return n;
}

TEST(failures_make_it_rare)
{
    struct compact_deferral d = {.order_failed = 0};

    for (unsigned i = 1; i < 20; i++) {
        compact_defer(&d, 9);
        CHECK_EQ(passed_by(&d, 9), (1U << (i < COMPACT_MAX_SHIFT ? i : COMPACT_MAX_SHIFT)) - 1);
        CHECK(!compact_deferred(&d, 9)); /* until that one has failed as well */
    }
    compact_defer_reset(&d, 9);
    CHECK_EQ(passed_by(&d, 9), 0);
}

TEST(smaller_blocks_are_another_matter)
{
    struct compact_deferral d = {.order_failed = 10};

    compact_defer(&d, 9);
    CHECK_EQ(passed_by(&d, 3), 0);
    CHECK_EQ(passed_by(&d, 9), 1);
    compact_defer(&d, 3);
    CHECK(passed_by(&d, 3) > 0);
    compact_defer_reset(&d, 9);
    CHECK_EQ(passed_by(&d, 9), 0);
    CHECK_EQ(d.order_failed, 10);
}
