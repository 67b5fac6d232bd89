/* SPDX-License-Identifier: MIT */
/* unit: lib/bitmap.c lib/id_map.c lib/libcalls.c */
#include "shim/nodes.h"
#include "unit.h"
#include <vellum/bitmap.h>
#include <vellum/error.h>
#include <vellum/id_map.h>
#include <vellum/string.h>

#define BITS 300

static size_t model_next(const bool *model, size_t from, bool wanted)
{
    while (from < BITS && model[from] != wanted)
        from++;
    return min(from, (size_t)BITS);
}

TEST(bitmap_agrees_with_an_array_of_bool)
{
    BITMAP(map, BITS);
    bool model[BITS] = {0};

    memset(map, 0, sizeof(map));
    map[BITMAP_WORDS(BITS) - 1] = ~0UL << (BITS % 64); /* junk beyond the end is to be ignored */
    for (int op = 0; op < 1000000; op++) {
        size_t bit = unit_random_below(BITS), count, weight = 0, i;
        bool old = model[bit];

        switch (unit_random_below(10)) {
        case 0:
            bitmap_set(map, bit);
            model[bit] = true;
            break;
        case 1:
            bitmap_clear(map, bit);
            model[bit] = false;
            break;
        case 2:
            CHECK_EQ(bitmap_test_and_set(map, bit), old);
            model[bit] = true;
            break;
        case 3:
            CHECK_EQ(bitmap_test_and_clear_atomic(map, bit), old);
            model[bit] = false;
            break;
        case 4:
            CHECK_EQ(bitmap_test_and_set_atomic(map, bit), old);
            model[bit] = true;
            break;
        case 5:
            CHECK_EQ(bitmap_test_and_clear(map, bit), old);
            model[bit] = false;
            break;
        case 6:
            count = unit_random_below(BITS - bit + 1);
            old = unit_random_below(2);
            (old ? bitmap_set_range : bitmap_clear_range)(map, bit, count);
            for (i = 0; i < count; i++)
                model[bit + i] = old;
            break;
        case 7:
            for (i = 0; i < BITS; i++)
                weight += model[i];
            CHECK_EQ(bitmap_weight(map, BITS), weight);
            bitmap_for_each_set(i, map, BITS) {
                CHECK(model[i]);
                weight--;
            }
            CHECK_EQ(weight, 0);
            break;
        }
        CHECK_EQ(bitmap_test(map, bit), model[bit]);
        CHECK_EQ(bitmap_find_next_set(map, BITS, bit), model_next(model, bit, true));
        CHECK_EQ(bitmap_find_next_zero(map, BITS, bit), model_next(model, bit, false));
        CHECK_EQ(bitmap_find_first_zero(map, BITS), model_next(model, 0, false));
    }
    bitmap_set_range(map, 0, BITS);
    CHECK_EQ(bitmap_find_first_zero(map, BITS), BITS);
    CHECK_EQ(bitmap_find_next_set(map, BITS, BITS), BITS);
    bitmap_zero(map, BITS);
    CHECK(bitmap_empty(map, BITS));
}

int __popcountdi2(u64 x);
int __ctzdi2(u64 x);
int __clzdi2(u64 x);
int __ffsdi2(u64 x);
u32 __bswapsi2(u32 x);
u64 __bswapdi2(u64 x);

TEST(compiler_calls_agree_with_the_builtins)
{
    for (int i = 0; i < 100000; i++) {
        u64 x = i < 64 ? 1UL << i : unit_random() >> unit_random_below(64) << unit_random_below(64);

        CHECK_EQ(__popcountdi2(x), __builtin_popcountll(x));
        CHECK_EQ(__bswapdi2(x), __builtin_bswap64(x));
        CHECK_EQ(__bswapsi2(x), __builtin_bswap32(x));
        CHECK_EQ(__ffsdi2(x), __builtin_ffsll(x));
        if (!x)
            continue;
        CHECK_EQ(__ctzdi2(x), __builtin_ctzll(x));
        CHECK_EQ(__clzdi2(x), __builtin_clzll(x));
    }
    CHECK_EQ(__ffsdi2(0), 0);
}

#define IDS 20000

static bool taken[IDS];

static int model_alloc(unsigned from, unsigned max)
{
    while (from <= max && taken[from])
        from++;
    return from <= max ? (int)from : -ENOSPC;
}

static void random_ids(struct id_map *map, int operations, unsigned span)
{
    unsigned next = map->next;

    for (int op = 0; op < operations; op++) {
        unsigned id = unit_random_below(span), min, max;
        bool cyclic = unit_random_below(2);
        int got, expected;

        if (unit_random_below(100) < ((op / 20000) % 2 ? 30 : 70)) {
            min = unit_random_below(4) ? 0 : id;
            max = unit_random_below(4) ? span - 1 : min + unit_random_below(span - min);
            expected = -ENOSPC;
            if (cyclic && next > min && next <= max)
                expected = model_alloc(next, max);
            if (expected < 0)
                expected = model_alloc(min, max);
            got = id_map_alloc(map, min, max, cyclic);
            if (got == -ENOMEM && nodes_fail_one_in)
                continue;
            CHECK_EQ(got, expected);
            if (got >= 0) {
                taken[got] = true;
                next = got + 1;
            }
        } else if (unit_random_below(8) == 0) {
            got = id_map_take(map, id);
            if (got == -ENOMEM && nodes_fail_one_in)
                continue;
            CHECK_EQ(got, taken[id] ? -ENOSPC : (int)id);
            taken[id] = true;
        } else if (taken[id]) {
            id_map_free(map, id);
            taken[id] = false;
        }
        id = unit_random_below(span);
        CHECK_EQ(id_map_test(map, id), taken[id]);
        if (op % 16 == 0) {
            for (expected = id; expected < (int)span && !taken[expected];)
                expected++;
            CHECK_EQ(id_map_next_used(map, id), expected < (int)span ? expected : -1);
        }
    }
    for (unsigned id = 0; id < span; id++)
        if (taken[id])
            id_map_free(map, id);
    memset(taken, 0, sizeof(taken));
    CHECK_EQ(nodes_in_use, 0);
    CHECK_EQ(id_map_next_used(map, 0), -1);
}

TEST(id_map_of_one_word_needs_no_node)
{
    struct id_map map = ID_MAP_INIT;

    nodes_fail_one_in = 0;
    for (int i = 0; i < 64; i++)
        CHECK_EQ(id_map_alloc(&map, 0, 1000, false), i);
    CHECK_EQ(nodes_in_use, 0);
    CHECK_EQ(id_map_alloc(&map, 0, 1000, false), 64);
    CHECK_EQ(id_map_alloc(&map, 3, 1, false), -ENOSPC);
    for (int i = 0; i < 65; i++)
        id_map_free(&map, i);
    CHECK_EQ(nodes_in_use, 0);
    CHECK_PANICS(id_map_free(&map, 5));
}

TEST(id_map_random_operations)
{
    struct id_map map = ID_MAP_INIT;

    nodes_fail_one_in = 0;
    random_ids(&map, 300000, 60);
    random_ids(&map, 300000, 3000);
    random_ids(&map, 300000, IDS);
}

TEST(id_map_survives_lack_of_memory)
{
    struct id_map map = ID_MAP_INIT;

    nodes_fail_one_in = 3;
    random_ids(&map, 300000, IDS);
    nodes_fail_one_in = 0;
}

TEST(id_map_the_greatest_number)
{
    struct id_map map = ID_MAP_INIT;

    CHECK_EQ(id_map_alloc(&map, ID_MAX, ID_MAX, true), ID_MAX);
    CHECK_EQ(id_map_alloc(&map, ID_MAX, ID_MAX, true), -ENOSPC);
    CHECK_EQ(id_map_alloc(&map, ID_MAX - 1, ID_MAX, true), ID_MAX - 1);
    CHECK_EQ(id_map_next_used(&map, 0), ID_MAX - 1);
    id_map_free(&map, ID_MAX);
    id_map_free(&map, ID_MAX - 1);
    CHECK_EQ(nodes_in_use, 0);
}
