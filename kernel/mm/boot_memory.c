/* SPDX-License-Identifier: MIT */
/*
 * Memory before there is an allocator.
 *
 * The machine tells what is RAM and what of it is in use. Both are kept as sorted lists of ranges
 * that do not touch each other; boot_alloc() takes the lowest gap that is in the first list and not
 * in the second, and adds it to the second. What is left in the end is given, block by block, to
 * the frame allocator.
 */
#include "memory.h"
#include <vellum/boot.h>
#include <vellum/page_table.h>
#include <vellum/string.h>

/* Firmware of a large machine reports some dozens of ranges. */
#define MAX_RANGES 128

struct range_list {
    unsigned n;
    struct boot_range range[MAX_RANGES];
};

static __initdata struct range_list reserved;
static struct range_list ram;
static u64 ram_total;
static paddr_t initrd_start, initrd_end;

/* Remove the ranges from `first` up to, not including, `last`; put one in their place. */
static void replace_ranges(struct range_list *list, unsigned first, unsigned last,
                           struct boot_range range)
{
    if (first == last && list->n == MAX_RANGES)
        panic("more than %d ranges of memory", MAX_RANGES);
    memmove(&list->range[first + 1], &list->range[last],
            (list->n - last) * sizeof(struct boot_range));
    list->range[first] = range;
    list->n = list->n - (last - first) + 1;
}

/* Add [start, end), joined with all that it touches. */
static void add_range(struct range_list *list, paddr_t start, paddr_t end)
{
    unsigned first = 0, last;

    while (first < list->n && list->range[first].end < start)
        first++;
    for (last = first; last < list->n && list->range[last].start <= end; last++) {
        start = min(start, list->range[last].start);
        end = max(end, list->range[last].end);
    }
    replace_ranges(list, first, last, (struct boot_range){start, end});
}

/* `mem=` cuts memory off above that much; it may be asked for at any time after the start. */
static u64 memory_limit(void)
{
    static u64 limit;

    if (!limit)
        limit = boot_param_u64("mem", UINT64_MAX);
    return limit;
}

void boot_memory_add(paddr_t start, u64 size)
{
    paddr_t end = ALIGN_DOWN(start + size, PAGE_SIZE);

    start = ALIGN_UP(start, PAGE_SIZE);
    if (start < end && end - start > memory_limit() - min(ram_total, memory_limit()))
        end = start + ALIGN_DOWN(memory_limit() - min(ram_total, memory_limit()), PAGE_SIZE);
    if (start >= end)
        return;
    add_range(&ram, start, end);
    if (start == 0)
        add_range(&reserved, 0, PAGE_SIZE); /* address 0 means none: frame 0 is nobody's */
    ram_total = 0;
    for (unsigned i = 0; i < ram.n; i++)
        ram_total += ram.range[i].end - ram.range[i].start;
}

void boot_memory_reserve(paddr_t start, u64 size)
{
    if (size)
        add_range(&reserved, ALIGN_DOWN(start, PAGE_SIZE), ALIGN_UP(start + size, PAGE_SIZE));
}

void boot_memory_reserve_initrd(paddr_t start, u64 size)
{
    initrd_start = ALIGN_DOWN(start, PAGE_SIZE);
    initrd_end = ALIGN_UP(start + size, PAGE_SIZE);
    boot_memory_reserve(start, size);
}

bool boot_memory_range(unsigned i, paddr_t *start, u64 *size)
{
    if (i >= ram.n)
        return false;
    *start = ram.range[i].start;
    *size = ram.range[i].end - ram.range[i].start;
    return true;
}

u64 boot_memory_total(void)
{
    return ram_total;
}

bool pfn_valid(pfn_t pfn)
{
    unsigned low = 0, high = ram.n;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (pfn << PAGE_SHIFT < ram.range[middle].start)
            high = middle;
        else if (pfn << PAGE_SHIFT >= ram.range[middle].end)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

__init bool boot_memory_free_range(paddr_t from, struct boot_range *range)
{
    unsigned r = 0;

    for (unsigned m = 0; m < ram.n; m++) {
        paddr_t start = max(ram.range[m].start, from);

        for (; start < ram.range[m].end; start = reserved.range[r].end) {
            while (r < reserved.n && reserved.range[r].end <= start)
                r++;
            range->start = start;
            range->end = ram.range[m].end;
            if (r == reserved.n || reserved.range[r].start >= range->end)
                return true;
            range->end = reserved.range[r].start;
            if (range->start < range->end)
                return true;
        }
    }
    return false;
}

__init paddr_t boot_alloc(u64 size, u64 align)
{
    struct boot_range gap = {0, 0};

    size = ALIGN_UP(size, PAGE_SIZE);
    align = max_t(u64, align, PAGE_SIZE);
    while (boot_memory_free_range(gap.end, &gap)) {
        paddr_t start = ALIGN_UP(gap.start, align);

        if (start < gap.end && gap.end - start >= size) {
            add_range(&reserved, start, start + size);
            memset(phys_to_virt(start), 0, size);
            return start;
        }
    }
    panic("no room for %llu KiB at the start", (unsigned long long)size / 1024);
}

void boot_free_initrd(paddr_t end)
{
    end = min(ALIGN_DOWN(end, PAGE_SIZE), initrd_end);
    if (end > initrd_start) {
        frames_give_reserved(initrd_start, end);
        initrd_start = end;
    }
}

struct page *boot_take_initrd_page(paddr_t address)
{
    struct page *page = phys_to_page(address);

    assert(initrd_start <= address && address < initrd_end && page->flags == PG_RESERVED);
    page->flags = 0;
    return page;
}

/* The symbols are the linker script's: code and data marked __init. */
extern char init_start[], init_end[];

void boot_free_init_memory(void)
{
    /* The frames will hold other things: nothing may be executed there any more. */
    for (char *p = init_start; p < init_end; p += PAGE_SIZE) {
        pte_t *entry = kernel_pte((vaddr_t)p);

        if (entry)
            pte_store(entry, (pte_t){0});
    }
    arch_tlb_flush_all();
    frames_give(image_to_phys(init_start), image_to_phys(init_start) + (init_end - init_start));
}
