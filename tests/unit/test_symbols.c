/* SPDX-License-Identifier: MIT */
/* unit: kernel/trace/symbols.c */
#include "unit.h"
#include <vellum/symbols.h>

extern const unsigned char symbol_table[];

/* What tools/mksymbols.sh makes of: 1000 start, 1010 middle, 1100 (data), 2000 last, 2080 (data) */
const struct {
    u64 base;
    u32 count, offset[5];
    char names[32];
} table __asm__("symbol_table") = {
    0xffffffff80001000, 5, {0, 0x10, 0x100, 0x1000, 0x1080}, "start\0middle\0\0last\0"};

static void check_lookup(vaddr_t address, const char *name, u64 expected)
{
    u64 offset = 0;
    const char *found = symbol_lookup(0xffffffff80000000 + address, &offset);

    CHECK_STR(found ? found : "none", name);
    CHECK_EQ(offset, expected);
}

TEST(symbols_are_found_by_address)
{
    check_lookup(0x1000, "start", 0);
    check_lookup(0x100f, "start", 15);
    check_lookup(0x1010, "middle", 0);
    check_lookup(0x10ff, "middle", 0xef);
    check_lookup(0x2000, "last", 0);
    check_lookup(0x207f, "last", 0x7f);
}

TEST(symbols_do_not_claim_what_is_no_code)
{
    check_lookup(0x0fff, "none", 0);
    check_lookup(0x1100, "none", 0);
    check_lookup(0x1fff, "none", 0);
    check_lookup(0x2080, "none", 0);
    check_lookup(-0x80000000UL, "none", 0);
}
