/* SPDX-License-Identifier: MIT */
/* unit: kernel/mm/object_cache.c kernel/mm/kmalloc.c kernel/mm/vmap.c kernel/mm/shrink.c */
/* unit: kernel/mm/reclaim_policy.c kernel/mm/huge_frames.c */
/* unit: kernel/mm/tree_nodes.c kernel/mm/frames.c kernel/mm/buddy.c kernel/mm/kernel_map.c kernel/mm/boot_memory.c */
/* unit: kernel/boot/command_line.c lib/number.c lib/rbtree.c */
#include "shim/memory.h"
#include "unit.h"
#include <vellum/string.h>
#include <vellum/thread.h>

#define MEMORY (64UL << 20)
#define FRAMES (MEMORY / PAGE_SIZE)
#define BLOCKS 4096

/* The model: who owns a frame (the block's number + 1), and the blocks that are handed out. */
static u16 owner[FRAMES];
static struct block {
    struct page *page;
    unsigned order;
} blocks[BLOCKS];

static void take_block(int i, struct page *page, unsigned order)
{
    pfn_t pfn = page_to_pfn(page);

    CHECK(pfn + (1UL << order) <= FRAMES);
    CHECK_EQ(pfn % (1UL << order), 0);
    CHECK_EQ(atomic_read(&page->refs), 1);
    for (pfn_t n = pfn; n < pfn + (1UL << order); n++) {
        CHECK_EQ(owner[n], 0);
        owner[n] = i + 1;
    }
    blocks[i] = (struct block){page, order};
}

static void give_block(int i)
{
    pfn_t pfn = page_to_pfn(blocks[i].page);

    for (pfn_t n = pfn; n < pfn + (1UL << blocks[i].order); n++) {
        CHECK_EQ(owner[n], i + 1);
        owner[n] = 0;
    }
    if (blocks[i].order == 0) {
        page_put(blocks[i].page);
    } else {
        CHECK(ref_put(&blocks[i].page->refs));
        pages_free(blocks[i].page, blocks[i].order);
    }
    blocks[i].page = NULL;
}

static u64 frames_in_blocks(void)
{
    u64 frames = 0;

    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i].page)
            frames += 1UL << blocks[i].order;
    return frames;
}

/* Give everything back: the blocks must have merged to what they were. */
static void check_all_merged(const u64 *free_blocks, u64 free)
{
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i].page)
            give_block(i);
    frames_drain_all();
    CHECK_EQ(frames_free(), free);
    for (unsigned order = 0; order <= MAX_ORDER; order++)
        CHECK_EQ(buddy_free_blocks(order), free_blocks[order]);
}

static void start(u64 *free_blocks, u64 *free)
{
    static bool started;

    if (!started) {
        shim_memory_init(MEMORY);
        boot_memory_add(0, MEMORY);
        boot_memory_reserve(3 * PAGE_SIZE, 5 * PAGE_SIZE + 1);
        frames_init();
        started = true;
    }
    memset(owner, 0, sizeof(owner));
    memset(blocks, 0, sizeof(blocks));
    for (pfn_t n = 3; n < 9; n++)
        owner[n] = 0xffff; /* what is reserved is never handed out */
    frames_drain_all();
    *free = frames_free();
    for (unsigned order = 0; order <= MAX_ORDER; order++)
        free_blocks[order] = buddy_free_blocks(order);
}

TEST(frames_a_million_random_blocks)
{
    u64 free_blocks[MAX_ORDER + 1], free;

    start(free_blocks, &free);
    for (int op = 0; op < 1000000; op++) {
        int i = unit_random_below(BLOCKS);
        bool growing = unit_random_below(100) < ((op / 50000) % 2 ? 25 : 75);
        unsigned order = unit_random_below(4) ? 0 : unit_random_below(MAX_ORDER + 1);
        struct page *page;

        if (blocks[i].page) {
            if (!growing)
                give_block(i);
        } else if (growing) {
            page = pages_alloc(order, ALLOC_ATOMIC);
            if (page)
                take_block(i, page, order);
        }
        if (op % 10000 == 0)
            CHECK_EQ(frames_free() + frames_in_blocks(), free);
    }
    check_all_merged(free_blocks, free);
    CHECK(irqs_enabled());
    CHECK_EQ(current->preempt_count, 0);
}

TEST(frames_all_of_memory_and_not_one_more)
{
    u64 free_blocks[MAX_ORDER + 1], free, n = 0;
    static struct page *pages[FRAMES];

    start(free_blocks, &free);
    while ((pages[n] = page_alloc(ALLOC_ATOMIC))) {
        CHECK_EQ(owner[page_to_pfn(pages[n])], 0);
        owner[page_to_pfn(pages[n++])] = 1;
    }
    CHECK_EQ(n, free);
    CHECK_EQ(frames_free(), 0);
    CHECK(!pages_alloc(3, ALLOC_ATOMIC));
    for (u64 i = 0; i < n; i += 64)
        pages_put(pages + i, min(n - i, 64UL));
    check_all_merged(free_blocks, free);
}

TEST(frames_cleared_on_demand)
{
    u64 free_blocks[MAX_ORDER + 1], free;
    struct page *page;
    u8 *bytes;

    start(free_blocks, &free);
    for (unsigned order = 0; order <= 3; order++) {
        page = pages_alloc(order, ALLOC_ATOMIC);
        memset(page_to_virt(page), 0xff, PAGE_SIZE << order);
        take_block(0, page, order);
        give_block(0);
        page = pages_alloc(order, ALLOC_ATOMIC | ALLOC_ZERO);
        bytes = page_to_virt(page);
        for (u64 n = 0; n < PAGE_SIZE << order; n++)
            CHECK_EQ(bytes[n], 0);
        take_block(0, page, order);
        give_block(0);
    }
    check_all_merged(free_blocks, free);
}
