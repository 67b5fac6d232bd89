/* SPDX-License-Identifier: MIT */
/* unit: kernel/mm/boot_memory.c kernel/boot/command_line.c lib/number.c */
#include "kernel/mm/memory.h"
#include "shim/memory.h"
#include "unit.h"
#include <vellum/boot.h>
#include <vellum/page_table.h>
#include <vellum/string.h>

#define PAGES 200

static bool ram[PAGES + 1], used[PAGES + 1];
static u64 given;

void frames_give(paddr_t start, paddr_t end)
{
    given += end - start;
}

void frames_give_reserved(paddr_t start, paddr_t end)
{
    frames_give(start, end);
}

pte_t *kernel_pte(vaddr_t va)
{
    return NULL;
}

static void random_range(u64 *start, u64 *size)
{
    *start = unit_random_below(PAGES * PAGE_SIZE);
    *size = unit_random_below(min(PAGES * PAGE_SIZE - *start, 20 * PAGE_SIZE));
}

/* RAM counts only as whole pages, what is in use as every page that it touches. */
static void add_or_reserve(void)
{
    u64 start, size;

    random_range(&start, &size);
    if (unit_random_below(2)) {
        boot_memory_add(start, size);
        for (u64 n = DIV_ROUND_UP(start, PAGE_SIZE); n < (start + size) / PAGE_SIZE; n++)
            ram[n] = true;
    } else {
        boot_memory_reserve(start, size);
        for (u64 n = start / PAGE_SIZE; size && n < DIV_ROUND_UP(start + size, PAGE_SIZE); n++)
            used[n] = true;
    }
}

static void check_ranges(void)
{
    struct boot_range range = {0, 0};
    u64 page = 0, total = 0;

    while (boot_memory_free_range(range.end, &range)) {
        CHECK(range.start < range.end);
        for (; page < range.start / PAGE_SIZE; page++)
            CHECK(!ram[page] || used[page]);
        for (; page < range.end / PAGE_SIZE; page++)
            CHECK(ram[page] && !used[page]);
    }
    for (; page < PAGES; page++)
        CHECK(!ram[page] || used[page]);
    for (page = 0; page < PAGES; page++) {
        CHECK_EQ(pfn_valid(page), ram[page]);
        total += ram[page];
    }
    CHECK_EQ(boot_memory_total(), total * PAGE_SIZE);
}

/* The lowest fit, cleared, and not at address 0. Returns false if there is none. */
static bool check_alloc(void)
{
    u64 pages = 1 + unit_random_below(4), align = 1 + unit_random_below(2), start, n;
    u8 *bytes;

    for (start = align; start + pages <= PAGES; start += align) {
        for (n = 0; n < pages && ram[start + n] && !used[start + n]; n++)
            ;
        if (n == pages)
            break;
    }
    if (start + pages > PAGES)
        return false;
    CHECK_EQ(boot_alloc(pages * PAGE_SIZE - 5, align * PAGE_SIZE), start * PAGE_SIZE);
    bytes = phys_to_virt(start * PAGE_SIZE);
    for (n = 0; n < pages * PAGE_SIZE; n++)
        CHECK_EQ(bytes[n], 0);
    memset(used + start, true, pages);
    return true;
}

static bool random_machine(u64 draws)
{
    shim_memory_init(PAGES * PAGE_SIZE);
    memset(phys_to_virt(0), 0xff, PAGES * PAGE_SIZE);
    while (draws--)
        unit_random(); /* another machine in each child */
    for (int op = 0; op < 25; op++) {
        add_or_reserve();
        check_ranges();
    }
    while (check_alloc())
        check_ranges();
    return true;
}

TEST(boot_memory_of_random_machines)
{
    for (int i = 0; i < 200; i++)
        CHECK_IN_CHILD(random_machine(i));
}

static bool limited(void)
{
    strlcpy(boot_info.command_line, "mem=1M", 32);
    boot_memory_add(0, 640 << 10);
    boot_memory_add(1 << 20, 64 << 20);
    CHECK_EQ(boot_memory_total(), 1 << 20);
    CHECK(pfn_valid(256) && !pfn_valid(256 + 96));
    boot_memory_add(1UL << 32, 1 << 20);
    CHECK_EQ(boot_memory_total(), 1 << 20);
    return true;
}

TEST(boot_memory_is_cut_off_by_mem)
{
    CHECK_IN_CHILD(limited());
}

static bool initrd_is_freed(void)
{
    shim_memory_init(PAGES * PAGE_SIZE);
    boot_memory_add(0, PAGES * PAGE_SIZE);
    boot_memory_reserve_initrd(PAGE_SIZE + 100, 2 * PAGE_SIZE);
    CHECK_EQ(boot_alloc(PAGE_SIZE, PAGE_SIZE), 4 * PAGE_SIZE); /* not the first page */
    boot_free_initrd(3 * PAGE_SIZE - 1);                       /* but for a part of a page */
    CHECK_EQ(given, PAGE_SIZE);
    boot_free_initrd(UINT64_MAX);
    CHECK_EQ(given, 3 * PAGE_SIZE);
    CHECK_PANICS(boot_alloc(PAGES * PAGE_SIZE, PAGE_SIZE));
    return true;
}

TEST(boot_memory_initrd)
{
    CHECK_IN_CHILD(initrd_is_freed());
}
