/* SPDX-License-Identifier: MIT */
/* unit: kernel/mm/reclaim_policy.c */
/*
 * Watermarks, and how much of each list is scanned: known values, and what must hold for all.
 */
#include "kernel/mm/reclaim_policy.h"
#include "unit.h"
#include <vellum/lru.h>

#define MIB 1024UL /* in KiB */

static struct watermarks marks_of(u64 kib, unsigned scale)
{
    return watermarks_make(watermark_default_min(kib), kib / 4, scale);
}

TEST(min_free_grows_with_the_square_root)
{
    CHECK_EQ(watermark_default_min(64 * MIB), 1024);
    CHECK_EQ(watermark_default_min(256 * MIB), 2048);
    CHECK_EQ(watermark_default_min(1024 * MIB), 4096);
    CHECK_EQ(watermark_default_min(16384 * MIB), 16384);
    CHECK_EQ(watermark_default_min(16), 128);
    CHECK_EQ(watermark_default_min(1UL << 40), 262144);
}

TEST(marks_of_machines_that_are_known)
{
    struct watermarks m = marks_of(64 * MIB, 10);

    CHECK_EQ(m.min, 256);
    CHECK_EQ(m.low, 320);
    CHECK_EQ(m.high, 384);
    m = marks_of(16384 * MIB, 10); /* here the scale counts for more than a quarter of min */
    CHECK_EQ(m.min, 4096);
    CHECK_EQ(m.low, 4096 + 4194);
    CHECK_EQ(m.high, 4096 + 2 * 4194);
}

TEST(marks_are_in_order_and_grow_with_everything)
{
    for (int i = 0; i < 20000; i++) {
        u64 kib = 1024 + unit_random_below(1UL << (10 + unit_random_below(26)));
        unsigned scale = 1 + unit_random_below(1000);
        struct watermarks m = marks_of(kib, scale), more = marks_of(kib + kib / 8, scale),
                          wider = marks_of(kib, scale * 2);

        CHECK(m.min < m.low && m.low < m.high);
        CHECK_EQ(m.high - m.low, m.low - m.min);
        CHECK(more.min >= m.min && more.high >= m.high);
        CHECK(wider.min == m.min && wider.low >= m.low);
        CHECK(m.low - m.min >= m.min / 4);
    }
}

/* ---- scanning ------------------------------------------------------------------------------------ */

static struct scan_input some_input(void)
{
    struct scan_input in = {
        .costs = {unit_random_below(5000), unit_random_below(5000)},
        .free = unit_random_below(1000),
        .high = unit_random_below(1000),
        .swappiness = unit_random_below(SWAPPINESS_MAX + 1),
        .priority = unit_random_below(RECLAIM_PRIORITY + 1),
        .swap = unit_random_below(4) != 0,
    };

    for (unsigned l = 0; l < 4; l++)
        in.lists[l] = unit_random_below(1UL << unit_random_below(22));
    return in;
}

TEST(never_more_than_there_is_and_all_of_it_in_the_end)
{
    for (int i = 0; i < 50000; i++) {
        struct scan_input in = some_input();
        u64 scan[4], share = 0;

        scan_balance(&in, scan);
        for (unsigned l = 0; l < 4; l++) {
            CHECK(scan[l] <= in.lists[l] >> in.priority);
            share += scan[l];
        }
        if (!in.swap)
            CHECK_EQ(scan[LRU_INACTIVE_ANON] + scan[LRU_ACTIVE_ANON], 0);
        if (in.priority == 0)
            CHECK(scan[LRU_INACTIVE_FILE] == in.lists[LRU_INACTIVE_FILE] ||
                  (in.swap && 2 * scan[LRU_INACTIVE_FILE] + 1 >= in.lists[LRU_INACTIVE_FILE]));
    }
}

TEST(a_share_is_worth_the_effort)
{
    for (int i = 0; i < 20000; i++) {
        struct scan_input in = some_input();
        unsigned batch = 1 + unit_random_below(256);
        unsigned priority = scan_priority(in.priority, in.lists, batch);
        u64 longest = 0;

        for (unsigned l = 0; l < 4; l++)
            longest = max(longest, in.lists[l]);
        CHECK(priority <= in.priority && (priority == 0) == (in.priority == 0));
        CHECK(priority <= 1 || longest >> priority >= batch);
        /* and no more than is needed for that */
        CHECK(priority == in.priority || longest >> (priority + 1) < batch);
    }
}

TEST(dear_pages_are_spared)
{
    for (int i = 0; i < 20000; i++) {
        struct scan_input in = some_input(), dearer;
        u64 scan[4], less[4];

        in.swap = true;
        dearer = in;
        dearer.costs.anon += 1 + unit_random_below(5000);
        scan_balance(&in, scan);
        scan_balance(&dearer, less);
        CHECK(less[LRU_INACTIVE_ANON] <= scan[LRU_INACTIVE_ANON]);
        CHECK(less[LRU_INACTIVE_FILE] >= scan[LRU_INACTIVE_FILE]);
    }
}

TEST(swappiness_is_followed)
{
    for (int i = 0; i < 20000; i++) {
        struct scan_input in = some_input(), more;
        u64 scan[4], swappier[4];

        in.swap = true;
        in.swappiness = unit_random_below(SWAPPINESS_MAX);
        more = in;
        more.swappiness++;
        scan_balance(&in, scan);
        scan_balance(&more, swappier);
        CHECK(swappier[LRU_INACTIVE_ANON] >= scan[LRU_INACTIVE_ANON]);
        if (in.swappiness == 0 && in.priority > 0)
            CHECK_EQ(scan[LRU_INACTIVE_ANON], 0);
    }
}

TEST(costs_are_forgotten)
{
    u64 lists[4] = {1000, 1000, 1000, 1000};
    struct lru_costs costs = {0, 0};

    for (int i = 0; i < 10000; i++) {
        lru_costs_add(&costs, true, 1, lists);
        CHECK(costs.anon + costs.file <= 1001);
    }
    for (int i = 0; i < 10000; i++)
        lru_costs_add(&costs, false, 1, lists);
    CHECK(costs.anon < 2 && costs.file > 400);
}

/* ---- shrinkers ----------------------------------------------------------------------------------- */

TEST(shrinkers_give_in_proportion_and_lose_nothing)
{
    for (int i = 0; i < 20000; i++) {
        u64 count = unit_random_below(1UL << unit_random_below(24)), deferred = 0, total = 0,
            exact = 0;
        unsigned pressure = unit_random_below(400), priority = 1 + unit_random_below(12);

        for (int pass = 0; pass < 40; pass++) {
            u64 n = shrinker_share(count, priority, pressure, &deferred);

            CHECK(n <= count && (n == 0 || n >= SHRINK_BATCH));
            total += n;
            exact += min(count, count * 2 * pressure / 100 >> priority);
        }
        CHECK(total + deferred <= exact);
        if (count >= SHRINK_BATCH)
            CHECK(total + deferred + 40 * SHRINK_BATCH >= exact);
        CHECK(deferred < SHRINK_BATCH);
    }
}

TEST(under_the_greatest_pressure_everything_goes)
{
    u64 deferred = 0;

    CHECK_EQ(shrinker_share(7, 0, 100, &deferred), 7);
    CHECK_EQ(shrinker_share(100000, 0, 100, &deferred), 100000);
    CHECK_EQ(shrinker_share(100000, 0, 0, &deferred), 0);
}
