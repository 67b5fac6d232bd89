/* SPDX-License-Identifier: MIT */
/* unit: kernel/fs/read_window.c */
/*
 * What read-ahead plans, for readers of all kinds: what they need is read once, in few requests if
 * they go forward, and nothing else is if they jump about.
 */
#include "unit.h"
#include <vellum/compiler.h>
#include <vellum/read_ahead.h>
#include <vellum/string.h>

#define FILE_PAGES 20000U
#define MAX        32U

static struct {
    bool cached[FILE_PAGES], marked[FILE_PAGES];
    unsigned max;
    u64 requests, pages; /* that the device has seen */
    u64 misses;          /* pages that were waited for */
    struct read_ahead ra;
} sim;

static void sim_start(void)
{
    memset(&sim, 0, sizeof(sim));
    sim.max = MAX;
}

static void carry_out(struct read_plan plan)
{
    bool run = false;

    CHECK(plan.n <= max(4 * sim.max, 1U));
    for (u64 i = plan.start; i < min(plan.start + plan.n, (u64)FILE_PAGES); i++) {
        bool missing = !sim.cached[i];

        sim.requests += missing && !run;
        sim.pages += missing;
        run = missing;
        if (missing) {
            sim.cached[i] = true;
            sim.marked[i] = i == plan.start + plan.mark;
        }
    }
}

static unsigned before(u64 index)
{
    unsigned n = 0;

    while (n < sim.max && n < index && sim.cached[index - 1 - n])
        n++;
    return n;
}

static unsigned after(u64 index)
{
    unsigned n = 0;

    while (n < 2 * sim.max && index + 1 + n < FILE_PAGES && sim.cached[index + 1 + n])
        n++;
    return n;
}

static void pass_mark(u64 index)
{
    if (!sim.marked[index])
        return;
    sim.marked[index] = false;
    carry_out(read_ahead_marked(&sim.ra, index, sim.max, after(index)));
}

/* read(2) of n pages. */
static void sim_read(u64 index, unsigned n)
{
    for (u64 i = index; i < min(index + n, (u64)FILE_PAGES); i++) {
        if (!sim.cached[i]) {
            sim.misses++;
            carry_out(read_ahead_miss(&sim.ra, i, index + n - i, sim.max, before(i)));
        }
        CHECK(sim.cached[i]);
        pass_mark(i);
    }
}

static void sim_fault(u64 index, enum read_advice advice)
{
    if (!sim.cached[index]) {
        sim.misses++;
        carry_out(read_ahead_fault(&sim.ra, index, sim.max, before(index), advice));
    } else {
        read_ahead_fault_hit(&sim.ra);
    }
    CHECK(sim.cached[index]);
    pass_mark(index);
}

TEST(sequential_reading_takes_few_large_requests)
{
    for (unsigned n = 1; n <= 100; n += n < 8 ? 1 : 13) {
        sim_start();
        for (u64 i = 0; i < FILE_PAGES; i += n)
            sim_read(i, n);
        CHECK_EQ(sim.pages, FILE_PAGES);
        CHECK(sim.requests <= FILE_PAGES / MAX + 8);
        CHECK(n > MAX || sim.misses <= 2); /* always ahead of who reads */
    }
}

TEST(a_stream_may_begin_anywhere)
{
    sim_start();
    for (u64 i = 777; i < FILE_PAGES; i++)
        sim_read(i, 1);
    CHECK_EQ(sim.pages, FILE_PAGES - 777);
    CHECK(sim.requests <= FILE_PAGES / MAX + 8);
    CHECK(sim.misses <= 4);
}

TEST(random_reading_reads_what_is_asked_for)
{
    u64 wanted = 0;

    sim_start();
    for (unsigned i = 0; i < 500; i++) {
        u64 index = 2 + unit_random_below(FILE_PAGES / 4 - 4) * 4; /* never neighbours */
        unsigned n = 1 + index / 4 % 2; /* always as many: no reading goes on where another ended */

        for (unsigned k = 0; k < n; k++)
            wanted += !sim.cached[index + k];
        sim_read(index, n);
    }
    CHECK_EQ(sim.pages, wanted);
}

TEST(streams_side_by_side)
{
    u64 at[4] = {0, 5000, 10000, 15000};

    sim_start();
    for (unsigned step = 0; step < 4 * 4000; step++) {
        unsigned s = unit_random_below(4);

        if (at[s] < s * 5000 + 4000)
            sim_read(at[s]++, 1);
    }
    CHECK(sim.requests <= sim.pages / (MAX / 4));
}

TEST(a_stray_read_does_not_end_a_stream)
{
    sim_start();
    for (u64 i = 0; i < FILE_PAGES / 2; i++) {
        sim_read(i, 1);
        if (unit_random_below(20) == 0)
            sim_read(FILE_PAGES / 2 + 64 + unit_random_below(FILE_PAGES / 2 - 64), 1);
    }
    CHECK(sim.misses <= FILE_PAGES / 2 / 10 + 10); /* the stray ones */
}

TEST(advice)
{
    sim_start();
    sim.ra.advice = READ_RANDOM;
    for (u64 i = 0; i < 1000; i++)
        sim_read(i, 1);
    CHECK_EQ(sim.pages, 1000);
    CHECK_EQ(sim.requests, 1000);
    sim_start();
    sim.ra.advice = READ_SEQUENTIAL;
    for (u64 i = 0; i < FILE_PAGES; i++)
        sim_read(i, 1);
    CHECK(sim.requests <= FILE_PAGES / (2 * MAX) + 8);
}

TEST(read_ahead_switched_off)
{
    for (unsigned max = 0; max < 2; max++) {
        sim_start();
        sim.max = max;
        for (u64 i = 0; i < 500; i++)
            sim_read(i, 1);
        for (u64 i = 500; i < 1000; i++)
            sim_fault(i, READ_NORMAL);
        CHECK_EQ(sim.pages, 1000);
    }
}

TEST(faults_read_around_until_that_is_in_vain)
{
    sim_start();
    for (u64 i = 0; i < 5000; i++)
        sim_fault(i, READ_NORMAL);
    CHECK(sim.requests <= 5000 / (MAX / 2) + 8);
    sim_start();
    for (u64 i = 0; i < 5000; i++)
        sim_fault(i, READ_SEQUENTIAL);
    CHECK(sim.misses <= 4);
    sim_start();
    for (unsigned i = 0; i < 2000; i++)
        sim_fault(unit_random_below(FILE_PAGES), READ_RANDOM);
    CHECK_EQ(sim.pages, sim.misses);
    /* Far apart: the first hundred read around, the others do not. */
    sim_start();
    for (u64 i = 0; i < 300; i++)
        sim_fault((i * 61) % FILE_PAGES, READ_NORMAL);
    CHECK(sim.pages <= 101 * MAX + 200);
}

TEST(confused_numbers_are_safe)
{
    for (unsigned i = 0; i < 200000; i++) {
        u64 index = unit_random_below(FILE_PAGES);
        struct read_plan plan;

        sim_start();
        sim.max = unit_random_below(65);
        sim.ra = (struct read_ahead){
            .start = unit_random_below(4) ? index - unit_random_below(64) : unit_random(),
            .size = unit_random_below(4) ? unit_random_below(64) : unit_random(),
            .ahead = unit_random_below(4) ? unit_random_below(64) : unit_random(),
            .next = index + unit_random_below(3),
            .misses = unit_random_below(200),
            .advice = unit_random_below(3),
        };
        plan = read_ahead_miss(&sim.ra, index, unit_random_below(100), sim.max,
                               unit_random_below(sim.max + 1));
        CHECK(plan.start <= index && index < plan.start + plan.n);
        CHECK(plan.n <= max(2 * sim.max, 1U));
        plan = read_ahead_fault(&sim.ra, index, sim.max, unit_random_below(sim.max + 1),
                                unit_random_below(3));
        CHECK(plan.start <= index && index < plan.start + plan.n);
        CHECK(plan.n <= max(2 * sim.max, 1U));
        plan = read_ahead_marked(&sim.ra, index, sim.max, unit_random_below(2 * sim.max + 1));
        CHECK(plan.n <= 2 * sim.max);
    }
}
