/* SPDX-License-Identifier: MIT */
/* unit: kernel/mm/reclaim_policy.c kernel/mm/workingset.c */
/*
 * The policy of the LRU lists in a machine of arrays: pages of one file are touched, in this order or
 * that, and what had to be read is counted. The mechanism is as simple as can be; the decisions - which
 * list is short, what becomes of a page, whether a refault was near - are the kernel's.
 */
#include "kernel/mm/scan.h"
#include "unit.h"
#include <vellum/alloc.h>
#include <vellum/string.h>

#define FRAMES 1000u
#define PAGES  40000u

static struct {
    struct page page; /* flags alone are used */
    bool resident, young;
    u64 stamp; /* when it came to the head of its list */
} file[PAGES];

static struct list lists[LRU_LISTS];
static u64 lengths[4], free_frames, faults;

/* ---- what workingset.c asks of the kernel --------------------------------------------------------- */

u64 lru_count(enum lru_list list)
{
    return lengths[list];
}

void lru_note_cost(bool swap_backed, u64 pages)
{
}

bool reclaim_can_swap(void)
{
    return false;
}

u64 boot_memory_total(void)
{
    return FRAMES * PAGE_SIZE;
}

void *vmap_alloc(size_t size, unsigned flags)
{
    return calloc(1, size);
}

/* ---- the machine ------------------------------------------------------------------------------------ */

static u64 number_of(const struct page *page)
{
    return container_of(page, __typeof__(file[0]), page) - file;
}

static void put_in(struct page *page)
{
    list_add(&page->link, &lists[lru_list_of(page->flags)]);
    lengths[lru_list_of(page->flags)]++;
}

static void take_off(struct page *page)
{
    list_del(&page->link);
    lengths[lru_list_of(page->flags)]--;
}

static void evict(struct page *page)
{
    u64 n = number_of(page);

    workingset_evict(file, n, page);
    file[n].resident = file[n].young = false;
    page->flags = 0;
    free_frames++;
}

static void age_active(void)
{
    struct page *page = list_last_entry(&lists[LRU_ACTIVE_FILE], struct page, link);

    take_off(page);
    file[number_of(page)].young = false;
    page->flags = (page->flags & ~PG_ACTIVE) | PG_WORKINGSET;
    put_in(page);
}

static void age_inactive(void)
{
    struct page *page = list_last_entry(&lists[LRU_INACTIVE_FILE], struct page, link);
    u64 n = number_of(page);
    struct page_use use = {.young = file[n].young, .referenced = page->flags & PG_REFERENCED};

    take_off(page);
    file[n].young = false;
    switch (page_fate(&use)) {
    case FATE_RECLAIM:
        evict(page);
        return;
    case FATE_REFERENCED:
        page->flags |= PG_REFERENCED;
        break;
    case FATE_ACTIVATE:
        page->flags |= PG_ACTIVE;
        workingset_age(1);
    }
    put_in(page);
}

static void reclaim_one(void)
{
    while (!free_frames) {
        if (lengths[LRU_ACTIVE_FILE] &&
            inactive_is_low(lengths[LRU_INACTIVE_FILE], lengths[LRU_ACTIVE_FILE]))
            age_active();
        if (lengths[LRU_INACTIVE_FILE])
            age_inactive();
        else
            age_active();
    }
}

static void touch(u64 n)
{
    struct page *page = &file[n].page;

    if (!file[n].resident) {
        faults++;
        reclaim_one();
        free_frames--;
        file[n].resident = true;
        page->flags = 0;
        workingset_refault(file, n, page);
        put_in(page);
    }
    file[n].young = true;
}

static void power_on(void)
{
    memset(file, 0, sizeof(file));
    memset(lengths, 0, sizeof(lengths));
    for (unsigned l = 0; l < LRU_LISTS; l++)
        list_init(&lists[l]);
    free_frames = FRAMES;
    faults = 0;
    workingset_start();
    workingset_age(10 * FRAMES); /* what an earlier test has left is far away */
}

static u64 faults_of(void (*work)(unsigned), unsigned n)
{
    u64 before = faults;

    work(n);
    return faults - before;
}

/* ---- what must come of it ---------------------------------------------------------------------------- */

static unsigned hot_first, hot_size;
static u64 stream_at, stream_faults;

static void use_hot_set(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        touch(hot_first + unit_random_below(hot_size));
}

/* In between as many pages of a stream, each once. */
static void use_hot_set_beside_stream(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        u64 before = faults;

        touch(hot_first + unit_random_below(hot_size));
        stream_faults += faults - before;
        touch(10000 + stream_at++ % 30000);
    }
}

TEST(one_big_read_does_not_push_out_a_hot_set)
{
    power_on();
    hot_first = 0;
    hot_size = FRAMES * 4 / 10;
    use_hot_set(20 * hot_size);
    CHECK_EQ(faults_of(use_hot_set, 10 * hot_size), 0);
    stream_faults = 0;
    use_hot_set_beside_stream(30000);
    /* What had not been touched for the length of the inactive list went once, and came back active. */
    printf("# %llu of %u went at first\n", (unsigned long long)stream_faults, hot_size);
    CHECK(stream_faults <= 2 * hot_size);
    stream_faults = 0;
    use_hot_set_beside_stream(30000);
    printf("# %llu faults in 30000 touches then\n", (unsigned long long)stream_faults);
    CHECK(stream_faults <= 30000 / 100);
}

TEST(a_hot_set_that_is_found_in_a_stream_is_kept)
{
    power_on();
    hot_first = 0;
    hot_size = FRAMES * 5 / 10;
    use_hot_set_beside_stream(40000);
    stream_faults = 0;
    use_hot_set_beside_stream(20000);
    CHECK(stream_faults <= 20000 / 50);
}

TEST(a_new_working_set_replaces_the_old_one)
{
    power_on();
    hot_first = 0;
    hot_size = FRAMES * 8 / 10;
    use_hot_set(20 * hot_size);
    hot_first = 5000;
    use_hot_set(40 * hot_size);
    CHECK(faults_of(use_hot_set, 20 * hot_size) <= 20 * hot_size / 100);
}

TEST(random_touches_keep_the_books)
{
    power_on();
    for (unsigned i = 0; i < 200000; i++) {
        u64 resident = 0;

        touch(unit_random_below(unit_random_below(2) ? PAGES : FRAMES / 2));
        if (i % 5000)
            continue;
        for (unsigned n = 0; n < PAGES; n++)
            resident += file[n].resident;
        CHECK_EQ(resident, FRAMES - free_frames);
        CHECK_EQ(resident, lengths[LRU_INACTIVE_FILE] + lengths[LRU_ACTIVE_FILE]);
    }
}
