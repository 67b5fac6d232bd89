/* SPDX-License-Identifier: MIT */
/* unit: kernel/block/partition.c */
/*
 * Partition tables: made at random, and read back; then damaged at random, and read without harm.
 */
#include "shim/pages.h"
#include "unit.h"
#include "kernel/block/internal.h"

#define SECTORS 4096
#define MOST    1100

static u8 disk_bytes[SECTORS * SECTOR_SIZE];
static struct disk disk = {.whole = {.disk = &disk, .sectors = SECTORS, .name = "vda"}};
static unsigned reads;

struct part {
    unsigned number;
    u64 start, sectors;
};
static struct part found[MOST], made[MOST];
static unsigned found_count, made_count;

/* The disk. What is not on it must never be asked for. */
int block_transfer(struct block_device *device, enum block_operation operation, u64 sector,
                   struct page **pages, size_t bytes)
{
    u32 block = disk.limits.logical_block_size;

    CHECK(device == &disk.whole && operation == BLOCK_READ);
    CHECK(bytes > 0 && bytes <= PAGE_SIZE && bytes % block == 0);
    CHECK(sector * SECTOR_SIZE % block == 0);
    CHECK(sector < SECTORS && bytes / SECTOR_SIZE <= SECTORS - sector);
    CHECK(++reads < 20000);
    memcpy(page_to_virt(pages[0]), disk_bytes + sector * SECTOR_SIZE, bytes);
    return 0;
}

static void report(void *arg, unsigned number, u64 start, u64 sectors)
{
    CHECK(arg == &disk && number > 0);
    if (found_count < MOST)
        found[found_count++] = (struct part){number, start, sectors};
}

static void read_table(void)
{
    found_count = 0;
    reads = 0;
    CHECK_EQ(partitions_read(&disk, report, &disk), 0);
    CHECK_EQ(shim_frames_in_use, 0);
}

static void begin(u32 block_size)
{
    shim_pages_init(16 * PAGE_SIZE);
    memset(disk_bytes, 0, sizeof(disk_bytes));
    disk.limits.logical_block_size = block_size;
    made_count = 0;
}

static void put(u64 at, u64 value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        disk_bytes[at + i] = (u8)(value >> 8 * i);
}

static void make(unsigned number, u64 start, u64 sectors)
{
    made[made_count++] = (struct part){number, start, sectors};
}

static void check_found(void)
{
    CHECK_EQ(found_count, made_count);
    for (unsigned i = 0; i < made_count; i++) {
        CHECK_EQ(found[i].number, made[i].number);
        CHECK_EQ(found[i].start, made[i].start);
        CHECK_EQ(found[i].sectors, made[i].sectors);
    }
}

/* ---- MBR ------------------------------------------------------------------------------------------ */

static void mbr_entry(u64 sector, unsigned i, u8 type, u64 start, u64 sectors)
{
    u64 at = sector * SECTOR_SIZE + 446 + 16 * i;

    put(at + 4, type, 1);
    put(at + 8, start, 4);
    put(at + 12, sectors, 4);
    put(sector * SECTOR_SIZE + 510, 0xaa55, 2);
}

/* Primary ones, of which one may be extended; then so many in its chain. */
static void make_mbr(unsigned primaries, unsigned logical)
{
    u64 at = 1;

    for (unsigned i = 0; i < primaries; i++, at += 50) {
        mbr_entry(0, i, 0x83, at, 50);
        make(i + 1, at, 50);
    }
    if (primaries == 4)
        return;
    mbr_entry(0, primaries, 0x05, 1000, 3000);
    make(primaries + 1, 1000, 2);
    for (unsigned i = 0; i < logical; i++) {
        u64 sector = 1000 + 20 * i, n = 1 + unit_random_below(18);

        mbr_entry(sector, 0, 0x83, 1, n);
        if (i + 1 < logical)
            mbr_entry(sector, 1, 0x05, 20 * (i + 1), 20);
        make(5 + i, sector + 1, n);
    }
}

TEST(mbr_with_logical_partitions)
{
    for (unsigned round = 0; round < 200; round++) {
        begin(512);
        make_mbr(unit_random_below(5), 1 + unit_random_below(100));
        read_table();
        check_found();
    }
}

TEST(a_chain_that_is_a_loop_ends)
{
    begin(512);
    mbr_entry(0, 0, 0x05, 1000, 3000);
    mbr_entry(1000, 0, 0x83, 1, 5);
    mbr_entry(1000, 1, 0x05, 20, 20);
    mbr_entry(1020, 0, 0x83, 1, 5);
    mbr_entry(1020, 1, 0x05, 0, 20);
    read_table();
    CHECK_EQ(found_count, 3);
}

TEST(no_table)
{
    begin(512);
    read_table();
    CHECK_EQ(found_count, 0);
    disk_bytes[510] = 0x55;
    disk_bytes[511] = 0xaa;
    memset(disk_bytes + 446, 0x41, 64); /* a boot sector, with text there */
    read_table();
    CHECK_EQ(found_count, 0);
}

/* ---- GPT -------------------------------------------------------------------------------------------- */

static u32 slow_crc(const u8 *p, size_t n)
{
    u32 crc = ~0u;

    for (size_t bit = 0; bit < 8 * n; bit++) {
        u32 low = (crc ^ p[bit / 8] >> bit % 8) & 1;

        crc = crc >> 1 ^ (low ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void gpt_header(u32 block, u64 here, u64 other, u64 entries, u32 count, u32 size)
{
    u64 at = here * block, last = SECTORS / (block / SECTOR_SIZE) - 1;

    put(at, 0x5452415020494645ULL, 8);
    put(at + 8, 0x10000, 4);
    put(at + 12, 92, 4);
    put(at + 24, here, 8);
    put(at + 32, other, 8);
    put(at + 40, 40, 8);        /* first usable */
    put(at + 48, last - 40, 8); /* last usable */
    put(at + 72, entries, 8);
    put(at + 80, count, 4);
    put(at + 84, size, 4);
    put(at + 88, slow_crc(disk_bytes + entries * block, count * size), 4);
    put(at + 16, 0, 4);
    put(at + 16, slow_crc(disk_bytes + at, 92), 4);
}

static void make_gpt(u32 block)
{
    u32 sectors = block / SECTOR_SIZE, size = 128 << unit_random_below(3);
    u32 count = 1 + unit_random_below(32 * block / size);
    u64 last = SECTORS / sectors - 1, second = last - 32;

    mbr_entry(0, 0, 0xee, 1, SECTORS - 1);
    for (u32 i = 0; i < count; i++) {
        u64 at = 2 * block + i * size, first = 40 + unit_random_below(last - 100);
        u64 n = 1 + unit_random_below(last - 40 - first);

        if (unit_random_below(3) == 0)
            continue;
        put(at, unit_random() | 1, 8);
        put(at + 32, first, 8);
        put(at + 40, first + n - 1, 8);
        make(i + 1, first * sectors, n * sectors);
    }
    memcpy(disk_bytes + second * block, disk_bytes + 2 * block, count * size);
    gpt_header(block, 1, last, 2, count, size);
    gpt_header(block, last, 1, second, count, size);
}

TEST(gpt_and_its_copy)
{
    for (unsigned round = 0; round < 200; round++) {
        u32 block = 512 << 3 * unit_random_below(2);

        begin(block);
        make_gpt(block);
        read_table();
        check_found();
        disk_bytes[block + unit_random_below(92)] ^= 1 << unit_random_below(8);
        read_table(); /* the first header is damaged */
        check_found();
    }
}

TEST(gpt_entries_of_which_the_first_copy_is_damaged)
{
    begin(512);
    make_gpt(512);
    disk_bytes[1024 + 5] ^= 0x10;
    read_table();
    check_found();
}

/* Whatever stands there: it ends, and asks only for what is on the disk (block_transfer). */
TEST(damage_does_no_harm)
{
    for (unsigned round = 0; round < 1000; round++) {
        u32 block = 512 << 3 * unit_random_below(2);

        begin(block);
        if (unit_random_below(2))
            make_gpt(block);
        else
            make_mbr(unit_random_below(4), 1 + unit_random_below(60));
        for (unsigned n = 1 + unit_random_below(30); n > 0; n--) {
            u64 at = unit_random_below(2) ? unit_random_below(4 * block)
                                          : unit_random_below(sizeof(disk_bytes));

            disk_bytes[at] = unit_random_below(2) ? 0xff : (u8)unit_random();
        }
        put(510, 0xaa55, 2);
        if (unit_random_below(2)) /* with sums that are right nevertheless */
            put(block + 16, 0, 4), put(block + 16, slow_crc(disk_bytes + block, 92), 4);
        read_table();
    }
}
