/* SPDX-License-Identifier: MIT */
/*
 * Partition tables: where a disk's partitions begin and how long they are.
 *
 * MBR: the first sector ends in four entries. One of an "extended" type holds a chain of further
 * sectors like it, each with the place of one logical partition (from that sector on) and of the next
 * sector in the chain (from the extended partition's start on). Logical ones are numbered from 5.
 *
 * GPT (UEFI specification 2.8, section 5.3): a header in block 1, with the CRC of itself and of the
 * table of entries; and a copy of both at the disk's end, for the case that the first is damaged. The
 * MBR then has one entry of type 0xee that covers everything.
 *
 * All of it comes from the disk and may be anything: sums are checked, chains are bounded, and what
 * does not lie on the disk is refused by partition_set().
 */
#include "internal.h"

#define MBR_SIGNATURE 0xaa55
#define MBR_ENTRIES   446
#define MBR_PRIMARY   4
#define LOGICAL_FIRST 5
#define LOGICAL_MAX   256

#define GPT_SIGNATURE   0x5452415020494645ULL /* "EFI PART" */
#define GPT_ENTRIES_MAX 1024
#define GPT_ENTRY_MAX   4096

struct mbr_entry {
    u8 status, chs_first[3];
    u8 type;
    u8 chs_last[3];
    u32 start, sectors; /* blocks */
} __packed;

struct gpt_header {
    u64 signature;
    u32 revision, header_size, header_crc, reserved;
    u64 this_block, other_block;
    u64 first_usable, last_usable;
    u8 disk_guid[16];
    u64 entries_block;
    u32 entry_count, entry_size, entries_crc;
} __packed;

struct gpt_entry {
    u8 type[16], guid[16];
    u64 first, last; /* blocks; last is part of it */
    u64 attributes;
    u16 name[36];
} __packed;

/* What a search works with. Blocks are the disk's logical ones. */
struct table {
    struct disk *disk;
    struct page *page; /* of blocks first .. first + count - 1 */
    u64 first;
    u32 count;
    u32 block_sectors; /* 512-byte sectors in a block */
    u64 blocks;
    partition_fn *fn;
    void *arg;
};

/* Fill the page with blocks from this one on. */
static int read_blocks(struct table *t, u64 block)
{
    size_t block_size = t->block_sectors << SECTOR_SHIFT;
    u32 n = (u32)min(PAGE_SIZE / block_size, t->blocks - block);
    int error = block_transfer(&t->disk->whole, BLOCK_READ, block * t->block_sectors, &t->page,
                               n * block_size);

    t->first = block;
    t->count = error ? 0 : n;
    return error;
}

/* The contents of a block, until another one is read; or err_ptr. */
static void *read_block(struct table *t, u64 block)
{
    int error;

    if (block >= t->blocks)
        return err_ptr(-ERANGE);
    if (block - t->first >= t->count && (error = read_blocks(t, block)) != 0)
        return err_ptr(error);
    return (char *)page_to_virt(t->page) + (block - t->first) * (t->block_sectors << SECTOR_SHIFT);
}

static void report(struct table *t, unsigned number, u64 start, u64 blocks)
{
    t->fn(t->arg, number, start * t->block_sectors, blocks * t->block_sectors);
}

/* ---- MBR ------------------------------------------------------------------------------------------ */

static bool is_extended(const struct mbr_entry *e)
{
    return e->type == 0x05 || e->type == 0x0f || e->type == 0x85;
}

/* The four entries, if the block ends as one with a table does. */
static bool mbr_entries(const u8 *block, struct mbr_entry entries[MBR_PRIMARY])
{
    memcpy(entries, block + MBR_ENTRIES, MBR_PRIMARY * sizeof(*entries));
    return block[510] == (MBR_SIGNATURE & 0xff) && block[511] == MBR_SIGNATURE >> 8;
}

/* The first sector of a FAT or NTFS file system has the signature too; its "entries" are rubbish. */
static bool mbr_is_plausible(const struct mbr_entry entries[MBR_PRIMARY])
{
    for (unsigned i = 0; i < MBR_PRIMARY; i++)
        if (entries[i].status != 0 && entries[i].status != 0x80)
            return false;
    return true;
}

/* The logical partitions of an extended one. */
static int read_chain(struct table *t, u64 extended)
{
    unsigned number = LOGICAL_FIRST;
    u64 at = extended;

    for (unsigned n = 0; n < LOGICAL_MAX; n++) {
        struct mbr_entry entries[MBR_PRIMARY];
        const u8 *block = read_block(t, at);
        u64 next = 0;

        if (is_err(block))
            return ptr_err(block) == -ERANGE ? 0 : ptr_err(block);
        if (!mbr_entries(block, entries))
            return 0;
        for (unsigned i = 0; i < 2; i++) {
            if (is_extended(&entries[i]))
                next = extended + entries[i].start;
            else if (entries[i].sectors)
                report(t, number++, at + entries[i].start, entries[i].sectors);
        }
        if (next <= at) /* the end; or a loop */
            return 0;
        at = next;
    }
    return 0;
}

static int read_mbr(struct table *t, const struct mbr_entry entries[MBR_PRIMARY])
{
    int error = 0;

    for (unsigned i = 0; i < MBR_PRIMARY && !error; i++) {
        const struct mbr_entry *e = &entries[i];

        if (e->sectors == 0)
            continue;
        if (!is_extended(e)) {
            report(t, i + 1, e->start, e->sectors);
            continue;
        }
        report(t, i + 1, e->start, min(e->sectors, 2u)); /* only what a boot loader may use */
        error = read_chain(t, e->start);
    }
    return error;
}

/* ---- GPT -------------------------------------------------------------------------------------------- */

/* The CRC-32 of IEEE 802.3, continued from crc (0 at first). */
static u32 crc32(u32 crc, const void *data, size_t n)
{
    const u8 *p = data;

    crc = ~crc;
    while (n--) {
        crc ^= *p++;
        for (unsigned i = 0; i < 8; i++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* Is there a sound header in this block? Then *h is it. An error of the device is an error. */
static int read_header(struct table *t, u64 block, struct gpt_header *h)
{
    u8 *data = read_block(t, block);
    u32 crc, size = t->block_sectors << SECTOR_SHIFT;

    if (is_err(data))
        return ptr_err(data);
    memcpy(h, data, sizeof(*h));
    if (h->signature != GPT_SIGNATURE || h->header_size < sizeof(*h) || h->header_size > size)
        return -ENOENT;
    memset(data + offsetof(struct gpt_header, header_crc), 0, sizeof(h->header_crc));
    crc = crc32(0, data, h->header_size);
    t->count = 0; /* what is in the page is not what is on the disk */
    if (crc != h->header_crc || h->this_block != block || h->last_usable >= t->blocks ||
        h->first_usable > h->last_usable || h->entry_size < sizeof(struct gpt_entry) ||
        h->entry_size > GPT_ENTRY_MAX || !IS_POWER_OF_2(h->entry_size) ||
        h->entry_count > GPT_ENTRIES_MAX)
        return -ENOENT;
    return 0;
}

/* Go through the entries: the first time for their CRC, the second time to report them. */
static int read_entries(struct table *t, const struct gpt_header *h, bool look)
{
    u32 block_size = t->block_sectors << SECTOR_SHIFT, crc = 0;
    u64 size = (u64)h->entry_count * h->entry_size;

    for (u64 at = 0; at < size; at += block_size) {
        u8 *data = read_block(t, h->entries_block + at / block_size);
        u32 n = min_t(u64, block_size, size - at);

        if (is_err(data))
            return ptr_err(data);
        crc = crc32(crc, data, n);
        for (u32 i = 0; look && i < n; i += h->entry_size) {
            struct gpt_entry e;
            static const u8 unused[sizeof(e.type)];

            memcpy(&e, data + i, sizeof(e));
            if (memcmp(e.type, unused, sizeof(unused)) != 0 && e.first >= h->first_usable &&
                e.last <= h->last_usable && e.first <= e.last)
                report(t, (at + i) / h->entry_size + 1, e.first, e.last - e.first + 1);
        }
    }
    return look || crc == h->entries_crc ? 0 : -ENOENT;
}

/* A header and entries that are sound, from the header in this block on. 0, -ENOENT, -errno */
static int read_gpt_at(struct table *t, u64 block)
{
    struct gpt_header h;
    int error = read_header(t, block, &h);

    if (!error && h.entry_size > t->block_sectors << SECTOR_SHIFT)
        error = -ENOENT;
    if (!error)
        error = read_entries(t, &h, false);
    return error ? error : read_entries(t, &h, true);
}

static int read_gpt(struct table *t)
{
    int error = read_gpt_at(t, 1);

    if (!error)
        return 0;
    pr_warn("%s: the GPT is damaged, its copy is looked at", t->disk->whole.name);
    error = read_gpt_at(t, t->blocks - 1);
    if (error == -ENOENT || error == -ERANGE)
        pr_warn("%s: the GPT's copy is damaged too", t->disk->whole.name);
    return error == -ENOENT || error == -ERANGE ? 0 : error;
}

/* ---- both --------------------------------------------------------------------------------------------- */

static int read_table(struct table *t)
{
    struct mbr_entry entries[MBR_PRIMARY];
    const u8 *block = read_block(t, 0);

    if (is_err(block))
        return ptr_err(block);
    if (!mbr_entries(block, entries) || !mbr_is_plausible(entries))
        return 0;
    for (unsigned i = 0; i < MBR_PRIMARY; i++)
        if (entries[i].type == 0xee)
            return read_gpt(t);
    return read_mbr(t, entries);
}

int partitions_read(struct disk *disk, partition_fn *fn, void *arg)
{
    struct table t = {.disk = disk, .fn = fn, .arg = arg};
    int error;

    t.block_sectors = disk->limits.logical_block_size >> SECTOR_SHIFT;
    t.blocks = disk->whole.sectors / t.block_sectors;
    if (t.blocks < 2)
        return 0;
    t.page = page_alloc(ALLOC_KERNEL);
    if (!t.page)
        return -ENOMEM;
    error = read_table(&t);
    page_put(t.page);
    return error;
}
