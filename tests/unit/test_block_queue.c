/* SPDX-License-Identifier: MIT */
/* unit: kernel/block/queue.c kernel/block/request.c */
/*
 * Requests on their way, against an array: a disk of a few places that completes what it has in any
 * order, and plugs, merging, refusals and errors chosen at random.
 */
#include "shim/kmalloc.h"
#include "shim/pages.h"
#include "unit.h"
#include "kernel/block/internal.h"
#include <vellum/boot.h>

#define SECTORS 2000
#define OPEN    200 /* requests that are not done */
#define PLACES  7

static u8 medium[SECTORS * SECTOR_SIZE]; /* what the disk has */
static u8 model[SECTORS * SECTOR_SIZE];  /* what it should have */
static struct disk disk;
static struct block_device part;
static struct block_request *places[PLACES];
static unsigned in_hardware, started, done_count, submitted_count, merged;
static bool busy[SECTORS]; /* asked for by a request that is not done */
static ktime_t now;

ktime_t ktime_get(void)
{
    return now += 1000;
}

u64 boot_param_u64(const char *name, u64 fallback)
{
    return fallback;
}

struct thread *kthread_start(int (*fn)(void *), void *arg, const char *name, ...)
{
    return (struct thread *)8; /* what is for it is done below */
}

void timer_init(struct timer *t, void (*fn)(struct timer *))
{
}

void timer_start(struct timer *t, ktime_t expires)
{
}

void completion_init(struct completion *c)
{
    c->done = 0;
    wait_queue_init(&c->wait);
}

void complete(struct completion *c)
{
    c->done++;
}

void wait_for_completion(struct completion *c)
{
    CHECK(c->done > 0);
    c->done--;
}

/* ---- the disk -------------------------------------------------------------------------------------- */

static int hardware_start(struct disk *d, struct block_request *head)
{
    u32 sectors = 0, segments = 0;
    struct block_request *r = head;
    struct block_segment *s;
    unsigned i = 0;

    if (in_hardware == PLACES)
        return -EBUSY;
    while ((s = block_next_segment(head, &r, &i)) != NULL) {
        sectors += s->length / SECTOR_SIZE;
        segments++;
    }
    CHECK_EQ(segments, head->all_segments);
    if (head->operation <= BLOCK_WRITE)
        CHECK_EQ(sectors, head->all_sectors);
    CHECK(head->all_sectors <= disk.limits.max_sectors && segments <= disk.limits.max_segments);
    places[in_hardware++] = head;
    started++;
    return 0;
}

static bool hardware_kick(struct disk *d)
{
    CHECK(in_hardware > 0);
    return true;
}

static void hardware_notify(struct disk *d)
{
    CHECK(in_hardware > 0);
}

static const struct disk_ops ops = {
    .start = hardware_start,
    .kick = hardware_kick,
    .notify = hardware_notify,
};

static void move(struct block_request *head)
{
    u8 *at = medium + head->disk_sector * SECTOR_SIZE;
    struct block_request *r = head;
    struct block_segment *s;
    unsigned i = 0;

    if (head->operation > BLOCK_WRITE)
        return;
    while ((s = block_next_segment(head, &r, &i)) != NULL) {
        u8 *memory = (u8 *)page_to_virt(s->page) + s->offset;

        if (head->operation == BLOCK_READ)
            memcpy(memory, at, s->length);
        else
            memcpy(at, memory, s->length);
        at += s->length;
    }
}

/* Some of what it has, in any order; and done() of those that the thread would call. */
static void hardware_completes(void)
{
    unsigned long flags = block_complete_begin(&disk);

    for (unsigned n = unit_random_below(in_hardware + 1); n > 0; n--) {
        unsigned i = unit_random_below(in_hardware);
        struct block_request *r = places[i];

        places[i] = places[--in_hardware];
        merged += !list_empty(&r->merged);
        move(r);
        block_completed(r, 0);
    }
    block_complete_end(&disk, flags);
    while (!list_empty(&disk.completed)) {
        struct block_request *r = list_first_entry(&disk.completed, struct block_request, link);

        list_del(&r->link);
        r->done(r);
    }
}

/* ---- requests -------------------------------------------------------------------------------------- */

static u64 place_of(const struct block_request *r)
{
    return r->device->start + r->sector;
}

static void done(struct block_request *r)
{
    u8 *expected = model + place_of(r) * SECTOR_SIZE;

    CHECK_EQ(r->status, 0);
    done_count++;
    for (unsigned i = 0; i < r->segment_count; i++) {
        struct block_segment *s = &r->segments[i];

        if (r->operation == BLOCK_READ)
            CHECK(memcmp(page_to_virt(s->page), expected, s->length) == 0);
        expected += s->length;
        for (u32 k = 0; k < s->length; k += PAGE_SIZE)
            page_put(s->page + k / PAGE_SIZE);
    }
    if (r->operation <= BLOCK_WRITE)
        memset(busy + place_of(r), 0, r->sectors);
    block_request_free(r);
}

static void refused(struct block_request *r)
{
    CHECK(r->status < 0);
    done_count++;
    block_request_free(r);
}

/* As many sectors from `sector` on as nobody has asked for, but at most n. */
static u32 room(u64 sector, u32 n)
{
    u32 got = 0;

    while (got < n && sector + got < SECTORS && !busy[sector + got])
        got++;
    return got;
}

static struct block_request *make(struct block_device *device, u64 sector, u32 sectors)
{
    bool write = unit_random_below(2);
    struct block_request *r = block_request_try_alloc(device, write ? BLOCK_WRITE : BLOCK_READ,
                                                      sector, 1 + unit_random_below(6));

    while (sectors > 0) {
        u32 n = min(sectors, (u32)(1 + unit_random_below(PAGE_SECTORS)));
        struct page *page = page_alloc(ALLOC_KERNEL);

        for (u32 i = 0; i < n * SECTOR_SIZE; i++)
            ((u8 *)page_to_virt(page))[i] = (u8)unit_random();
        if (!block_request_add(r, page, 0, n * SECTOR_SIZE)) {
            page_put(page);
            break;
        }
        if (write)
            memcpy(model + (place_of(r) + r->sectors - n) * SECTOR_SIZE, page_to_virt(page),
                   n * SECTOR_SIZE);
        sectors -= n;
    }
    memset(busy + place_of(r), 1, r->sectors);
    r->flags |= unit_random_below(2) ? BLOCK_DONE_ANYWHERE : 0;
    r->done = done;
    return r;
}

static void begin(void)
{
    static bool begun;

    shim_pages_init(4096 * PAGE_SIZE);
    memset(&disk, 0, sizeof(disk));
    disk.ops = &ops;
    disk.write_cache = true;
    disk.limits = (struct block_limits){.logical_block_size = 512,
                                        .max_sectors = 64,
                                        .max_segments = 9,
                                        .max_segment_size = 2 * PAGE_SIZE,
                                        .max_discard_sectors = 100};
    disk.whole = (struct block_device){.disk = &disk, .sectors = SECTORS, .present = true};
    part = (struct block_device){.disk = &disk, .number = 1, .start = 700, .sectors = 500};
    CHECK_EQ(disk_queue_init(&disk), 0);
    if (!begun)
        CHECK_EQ(block_pool_init(), 0);
    begun = true;
    for (unsigned i = 0; i < sizeof(medium); i++)
        model[i] = medium[i] = (u8)unit_random();
    memset(busy, 0, sizeof(busy));
    in_hardware = started = done_count = submitted_count = merged = 0;
}

static void drain(struct block_plug *plug)
{
    block_plug_finish(plug);
    while (done_count < submitted_count)
        hardware_completes();
    CHECK_EQ(in_hardware, 0);
    CHECK(list_empty(&disk.waiting) && list_empty(&disk.in_flight));
    CHECK_EQ(shim_frames_in_use, 0);
    CHECK(memcmp(medium, model, sizeof(medium)) == 0);
}

TEST(every_request_is_done_once_with_the_right_bytes)
{
    u64 at = 0, memory;
    struct block_plug plug;
    struct block_stats stats;

    begin();
    memory = kmalloc_in_use;
    block_plug_start(&plug);
    for (unsigned step = 0; step < 20000; step++) {
        bool in_part = unit_random_below(4) == 0;
        struct block_device *device = in_part ? &part : &disk.whole;
        u32 n;

        if (unit_random_below(3)) /* where the last one ended, or anywhere */
            at = unit_random_below(SECTORS);
        if (in_part)
            at = 700 + at % 500;
        n = room(at, min(1 + unit_random_below(40), (u64)(in_part ? 1200 : SECTORS) - at));
        if (n && submitted_count - done_count < OPEN) {
            struct block_request *r = make(device, at - device->start, n);

            at = (at + r->sectors) % SECTORS;
            submitted_count++;
            block_submit(r, unit_random_below(5) ? &plug : NULL);
        }
        if (unit_random_below(20) == 0)
            block_plug_finish(&plug);
        if (unit_random_below(10) == 0)
            hardware_completes();
        if (unit_random_below(500) == 0)
            drain(&plug);
    }
    drain(&plug);
    CHECK(merged > 100 && started < submitted_count);
    CHECK_EQ(kmalloc_in_use, memory);
    block_stats_read(&disk.whole, &stats);
    CHECK_EQ(stats.requests[BLOCK_READ] + stats.requests[BLOCK_WRITE], submitted_count);
    CHECK_EQ(stats.merges[BLOCK_READ] + stats.merges[BLOCK_WRITE], submitted_count - started);
    CHECK_EQ(stats.in_flight[0] + stats.in_flight[1], 0);
}

TEST(what_is_not_on_the_device_is_refused)
{
    struct block_request *r;

    begin();
    for (unsigned i = 0; i < 1000; i++) {
        struct block_device *device = unit_random_below(2) ? &part : &disk.whole;
        u64 sector = device->sectors - unit_random_below(4);
        struct page *page = page_alloc(ALLOC_KERNEL);

        r = block_request_try_alloc(device, BLOCK_READ, sector, 1);
        block_request_add(r, page, 0, 4 * SECTOR_SIZE);
        r->done = refused;
        block_submit(r, NULL);
        page_put(page);
    }
    CHECK_EQ(done_count, 1000);
    disk.whole.read_only = true;
    r = block_request_try_alloc(&disk.whole, BLOCK_DISCARD, 0, 0);
    r->sectors = 10;
    r->done = refused;
    block_submit(r, NULL); /* -EROFS */
    r = block_request_try_alloc(&disk.whole, BLOCK_WRITE_ZEROES, 0, 0);
    r->sectors = 10;
    r->done = refused;
    block_submit(r, NULL); /* -EROFS, and not there */
    CHECK_EQ(done_count, 1002);
    CHECK_EQ(started, 0);
}

TEST(pieces_that_lie_side_by_side_are_one_segment)
{
    struct block_request *r;

    begin();
    r = block_request_try_alloc(&disk.whole, BLOCK_READ, 0, 8);
    CHECK(block_request_add(r, pfn_to_page(10), 0, PAGE_SIZE));
    CHECK(block_request_add(r, pfn_to_page(11), 0, PAGE_SIZE));
    CHECK_EQ(r->segment_count, 1);
    CHECK(block_request_add(r, pfn_to_page(12), 0, PAGE_SIZE)); /* more than a segment takes */
    CHECK_EQ(r->segment_count, 2);
    CHECK(block_request_add(r, pfn_to_page(20), 512, 1024));
    CHECK(block_request_add(r, pfn_to_page(20), 1536, 512));
    CHECK_EQ(r->segment_count, 3);
    CHECK_EQ(r->sectors, 27);
    for (unsigned i = 0; i < 4; i++)
        CHECK(block_request_add(r, pfn_to_page(30 + 2 * i), 0, PAGE_SIZE));
    CHECK(!block_request_add(r, pfn_to_page(50), 0, PAGE_SIZE)); /* 67 sectors of 64 */
    CHECK_EQ(r->sectors, 59);
    block_request_free(r);
}

TEST(the_reserve_serves_when_there_is_no_memory)
{
    struct block_request *r[8];

    begin();
    kmalloc_fail_one_in = 1;
    for (unsigned i = 0; i < 8; i++) {
        CHECK(!block_request_try_alloc(&disk.whole, BLOCK_READ, 0, 4));
        r[i] = block_request_alloc(&disk.whole, BLOCK_READ, 0, 4, NULL);
        CHECK(r[i]->flags & BLOCK_FROM_POOL);
    }
    kmalloc_fail_one_in = 0;
    for (unsigned i = 0; i < 8; i++)
        block_request_free(r[i]);
}
