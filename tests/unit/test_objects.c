/* SPDX-License-Identifier: MIT */
/* unit: kernel/mm/object_cache.c kernel/mm/kmalloc.c kernel/mm/vmap.c kernel/mm/shrink.c */
/* unit: kernel/mm/reclaim_policy.c kernel/mm/huge_frames.c */
/* unit: kernel/mm/tree_nodes.c kernel/mm/frames.c kernel/mm/buddy.c kernel/mm/kernel_map.c kernel/mm/boot_memory.c */
/* unit: kernel/boot/command_line.c lib/number.c lib/rbtree.c */
#include "shim/memory.h"
#include "unit.h"
#include <vellum/alloc.h>
#include <vellum/string.h>
#include <vellum/thread.h>

#define MEMORY (64UL << 20)
#define SLOTS  3000

static struct slot {
    u8 *bytes;
    size_t size;
    u8 fill;
} slots[SLOTS];

static void start(void)
{
    static bool started;

    if (started)
        return;
    shim_memory_init(MEMORY);
    boot_memory_add(0, MEMORY);
    frames_init();
    object_caches_init();
    started = true;
}

static u64 settled_free(void)
{
    object_caches_shrink();
    frames_drain_all();
    return frames_free();
}

/* Nobody else has written to the object: its bytes are what we filled it with. */
static void check_slot(const struct slot *slot)
{
    for (size_t i = 0; i < slot->size; i++)
        CHECK_EQ(slot->bytes[i], slot->fill);
}

static void fill_slot(struct slot *slot, void *object, size_t size)
{
    slot->bytes = object;
    slot->size = size;
    slot->fill = unit_random();
    memset(object, slot->fill, size);
}

static void free_slot(struct slot *slot, struct object_cache *cache)
{
    check_slot(slot);
    if (cache)
        object_free(cache, slot->bytes);
    else
        kfree(slot->bytes);
    slot->bytes = NULL;
}

static size_t random_size(void)
{
    switch (unit_random_below(4)) {
    case 0:
        return 1 + unit_random_below(KMALLOC_MAX);
    case 1:
        return 1UL << unit_random_below(14);
    default:
        return 1 + unit_random_below(300);
    }
}

TEST(kmalloc_a_million_random_objects)
{
    u64 free;

    start();
    free = settled_free();
    for (int op = 0; op < 1000000; op++) {
        struct slot *slot = &slots[unit_random_below(SLOTS)];
        bool growing = unit_random_below(100) < ((op / 50000) % 2 ? 25 : 75);
        size_t size = random_size();
        u8 *p;

        if (slot->bytes && !growing) {
            free_slot(slot, NULL);
        } else if (slot->bytes && unit_random_below(4) == 0) {
            p = krealloc(slot->bytes, size, ALLOC_ATOMIC);
            CHECK(p);
            slot->bytes = p;
            slot->size = min(slot->size, size);
            check_slot(slot);
            fill_slot(slot, p, size);
        } else if (!slot->bytes && growing) {
            unsigned zero = unit_random_below(2) ? ALLOC_ZERO : 0;

            p = kmalloc(size, ALLOC_ATOMIC | zero);
            CHECK(p);
            CHECK_EQ((unsigned long)p % 8, 0);
            if (IS_POWER_OF_2(size))
                CHECK_EQ((unsigned long)p % min(size, PAGE_SIZE), 0);
            for (size_t i = 0; zero && i < size; i++)
                CHECK_EQ(p[i], 0);
            fill_slot(slot, p, size);
        }
    }
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].bytes)
            free_slot(&slots[i], NULL);
    CHECK_EQ(settled_free(), free);
    CHECK(irqs_enabled());
    CHECK_EQ(current->preempt_count, 0);
}

static void objects_of(size_t size, size_t align)
{
    struct object_cache *cache = object_cache_create("test", size, align);

    CHECK(cache);
    for (int op = 0; op < 100000; op++) {
        struct slot *slot = &slots[unit_random_below(1000)];

        if (slot->bytes) {
            free_slot(slot, cache);
            continue;
        }
        fill_slot(slot, object_alloc(cache, ALLOC_ATOMIC), size);
        CHECK_EQ((unsigned long)slot->bytes % (align ? align : 8), 0);
    }
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].bytes)
            free_slot(&slots[i], cache);
    object_cache_destroy(cache);
}

TEST(object_caches_of_many_sizes_and_alignments)
{
    u64 free;

    start();
    free = settled_free();
    objects_of(8, 0);
    objects_of(24, 0);
    objects_of(64, 64);
    objects_of(100, 16);
    objects_of(560, 0);
    objects_of(1024, 64);
    objects_of(3000, 0);
    objects_of(PAGE_SIZE, PAGE_SIZE);
    CHECK_EQ(settled_free(), free);
}

TEST(kmalloc_edges)
{
    u64 free;
    char *s;

    start();
    free = settled_free();
    kfree(NULL);
    CHECK(!kmalloc_array(1UL << 33, 1UL << 33, ALLOC_ATOMIC));
    CHECK(!kmalloc_array(~0UL, 2, ALLOC_ATOMIC));
    s = kstrdup("a string", ALLOC_ATOMIC);
    CHECK_STR(s, "a string");
    kfree(s);
    s = krealloc(NULL, 10, ALLOC_ATOMIC);
    CHECK(s);
    kfree(s);
    CHECK_EQ(settled_free(), free);
}

TEST(objects_until_memory_is_gone)
{
    struct list all = LIST_INIT(all), *link;
    struct object_cache *cache;
    u64 free, count = 0;

    start();
    free = settled_free();
    cache = object_cache_create("all", 200, 0);
    while ((link = object_alloc(cache, ALLOC_ATOMIC))) {
        list_add(link, &all);
        count++;
    }
    CHECK(count * 200 > free * PAGE_SIZE / 10 * 9);
    while (!list_empty(&all)) {
        link = all.next;
        list_del(link);
        object_free(cache, link);
    }
    object_cache_destroy(cache);
    CHECK_EQ(settled_free(), free);
}

/* Areas do not overlap, a page without a frame lies between them, and every page has one frame. */
static void check_areas(const struct slot *areas, int n)
{
    for (int i = 0; i < n; i++) {
        vaddr_t start = (vaddr_t)areas[i].bytes, end = start + ALIGN_UP(areas[i].size, PAGE_SIZE);

        if (!areas[i].bytes)
            continue;
        CHECK(start >= VMAP_BASE && end < VMAP_END);
        for (vaddr_t va = start; va < end; va += PAGE_SIZE) {
            struct page *page = vmap_to_page((void *)va);

            CHECK(page);
            CHECK_EQ(atomic_read(&page->refs), 1);
        }
        CHECK(!vmap_to_page((void *)end));
        for (int j = 0; j < i; j++)
            CHECK(!areas[j].bytes || (vaddr_t)areas[j].bytes >= end + PAGE_SIZE ||
                  (vaddr_t)areas[j].bytes + ALIGN_UP(areas[j].size, PAGE_SIZE) + PAGE_SIZE <=
                      start);
    }
}

TEST(vmap_random_areas)
{
    static struct slot areas[40];
    u64 free = 0, held = 0;

    start();
    for (int op = 0; op < 30000; op++) {
        struct slot *area = &areas[unit_random_below(ARRAY_SIZE(areas))];

        if (area->bytes) {
            vmap_free(area->bytes);
            held -= DIV_ROUND_UP(area->size, PAGE_SIZE);
            area->bytes = NULL;
        } else {
            area->size = 1 + unit_random_below(20 * PAGE_SIZE);
            area->bytes = vmap_alloc(area->size, 0);
            CHECK(area->bytes);
            held += DIV_ROUND_UP(area->size, PAGE_SIZE);
        }
        CHECK_EQ(atomic_read(&count_vmap), held);
        if (op % 64 == 0)
            check_areas(areas, ARRAY_SIZE(areas));
        if (op == 10000) /* tables that were made by now are not freed */
            free = settled_free() + held;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(areas); i++)
        vmap_free(areas[i].bytes);
    CHECK(settled_free() + 16 >= free); /* areas that wait for the next flush have nodes */
    CHECK(!vmap_alloc(0, 0));
    CHECK(!vmap_alloc(2 * MEMORY, 0));
}
