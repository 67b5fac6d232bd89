/* SPDX-License-Identifier: MIT */
/* unit: kernel/mm/swap_slots.c lib/radix_tree.c */
/*
 * The slots of a swap area against an array of numbers: taken, used by many, cached, freed and
 * discarded at random; and what order they are handed out in.
 */
#include "kernel/mm/swap_slots.h"
#include "unit.h"
#include <vellum/error.h>
#include <vellum/string.h>

#define SLOTS   1500UL /* the last cluster is not whole */
#define CURSORS 3

static struct {
    bool bad, cached, busy; /* busy: being discarded */
    u64 users;
} model[SLOTS];

static struct swap_slots slots;
static struct swap_cursor cursors[CURSORS];
static u64 usable;

static bool model_free(u64 slot)
{
    return !model[slot].bad && !model[slot].cached && !model[slot].users;
}

static void check_slot(u64 slot)
{
    CHECK_EQ(swap_slots_in_use(&slots, slot), !model[slot].bad && !model_free(slot));
    if (model[slot].bad)
        return;
    CHECK_EQ(swap_slots_cached(&slots, slot), model[slot].cached);
    CHECK_EQ(swap_slots_users(&slots, slot), model[slot].users);
}

static void check_all(void)
{
    u64 free = 0, next = 0;

    for (u64 i = SLOTS; i-- > 0;) {
        check_slot(i);
        free += model_free(i);
        if (!model[i].bad && !model_free(i))
            next = i;
        CHECK_EQ(swap_slots_next(&slots, i), next);
    }
    CHECK_EQ(slots.free, free);
    CHECK_EQ(swap_slots_usable(&slots), usable);
}

static void start(bool discard, unsigned n_bad)
{
    memset(model, 0, sizeof(model));
    memset(cursors, 0, sizeof(cursors));
    CHECK_EQ(swap_slots_init(&slots, SLOTS, discard), 0);
    model[0].bad = true;
    usable = SLOTS - 1;
    CHECK(!swap_slots_mark_bad(&slots, SLOTS));
    while (n_bad-- > 0) {
        u64 slot = unit_random_below(SLOTS);

        CHECK(swap_slots_mark_bad(&slots, slot));
        usable -= !model[slot].bad;
        model[slot].bad = true;
    }
    check_all();
}

static u64 do_take(unsigned cursor)
{
    u64 slot = swap_slots_take(&slots, &cursors[cursor]);

    if (slot) {
        CHECK(slot < SLOTS && model_free(slot) && !model[slot].busy);
        model[slot].cached = true;
    }
    return slot;
}

static void do_get(u64 slot)
{
    int error = swap_slots_get(&slots, slot);

    CHECK_EQ(error, model[slot].bad || model_free(slot) ? -ENOENT : 0);
    if (!error)
        model[slot].users++;
}

static void do_put(u64 slot)
{
    if (model[slot].bad || !model[slot].users)
        return;
    CHECK_EQ(swap_slots_put(&slots, slot), --model[slot].users);
}

static void do_cache(u64 slot)
{
    if (model[slot].bad || model_free(slot))
        return;
    if (model[slot].cached)
        swap_slots_uncache(&slots, slot);
    else
        swap_slots_cache(&slots, slot);
    model[slot].cached = !model[slot].cached;
}

/* A cluster has one mark at the most, which is found once. */
static void do_mark(void)
{
    u64 slot = 1 + unit_random_below(SLOTS - 1), other = unit_random_below(SLOTS + 1);

    if (slot % SWAP_CLUSTER == 0)
        return;
    swap_slots_set_mark(&slots, slot);
    CHECK(other == slot || !swap_slots_take_mark(&slots, other));
    CHECK(swap_slots_take_mark(&slots, slot));
    CHECK(!swap_slots_take_mark(&slots, slot));
}

static void do_discard(void)
{
    unsigned n;
    u64 first = swap_slots_begin_discard(&slots, &n);

    if (!first)
        return;
    for (u64 i = first; i < first + n; i++) {
        CHECK(model_free(i) || model[i].bad);
        model[i].busy = true;
    }
    for (int i = 0; i < 20; i++)
        do_take(unit_random_below(CURSORS));
    swap_slots_end_discard(&slots, first);
    for (u64 i = first; i < first + n; i++)
        model[i].busy = false;
}

static void finish(void)
{
    for (u64 i = 1; i < SLOTS; i++) {
        while (model[i].users)
            do_put(i);
        if (model[i].cached)
            do_cache(i);
    }
    check_all();
    CHECK_EQ(slots.free, usable);
    swap_slots_destroy(&slots);
}

static void random_run(bool discard, unsigned take)
{
    start(discard, unit_random_below(40));
    for (int i = 0; i < 60000; i++) {
        u64 slot = 1 + unit_random_below(SLOTS - 1);
        unsigned what = unit_random_below(100);

        if (what < take) {
            if (!do_take(unit_random_below(CURSORS)) && !discard)
                for (u64 s = 0; s < SLOTS; s++)
                    CHECK(!model_free(s));
        } else if (what < take + 20) {
            do_get(slot);
        } else if (what < take + 50) {
            do_put(slot);
        } else if (what < 98) {
            do_cache(slot);
        } else {
            do_mark();
            if (discard)
                do_discard();
        }
        if (i % 3000 == 0)
            check_all();
    }
    finish();
}

TEST(random_few)
{
    random_run(false, 15);
}

TEST(random_many)
{
    random_run(false, 40);
}

TEST(random_discard)
{
    random_run(true, 25);
}

/* What one processor takes lies together, and two do not get in each other's way. */
TEST(runs)
{
    u64 last[2] = {0, 0};
    unsigned jumps = 0;

    start(false, 0);
    for (unsigned i = 0; i < 1200; i++) {
        unsigned cursor = unit_random_below(2);
        u64 slot = do_take(cursor);

        CHECK(slot);
        jumps += slot != last[cursor] + 1;
        last[cursor] = slot;
    }
    CHECK(jumps <= 7); /* as many as there are clusters, and one */
    finish();
}

/* A page shared by more than fit into the byte. */
TEST(many_users)
{
    u64 slot;

    start(false, 0);
    slot = do_take(0);
    for (int i = 0; i < 1000; i++) {
        do_get(slot);
        check_slot(slot);
    }
    do_cache(slot);
    for (int i = 0; i < 999; i++) {
        do_put(slot);
        check_slot(slot);
    }
    CHECK(!radix_tree_lookup(&slots.more, slot));
    do_put(slot);
    CHECK(!swap_slots_in_use(&slots, slot));
    finish();
}

/* Every slot can be had, the last one too, and then no more. */
TEST(all)
{
    start(false, 100);
    for (u64 i = 0; i < usable; i++)
        CHECK(do_take(unit_random_below(CURSORS)));
    CHECK(!do_take(0));
    CHECK_EQ(slots.free, 0);
    finish();
}
