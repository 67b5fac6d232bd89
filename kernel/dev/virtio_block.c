/* SPDX-License-Identifier: MIT */
/*
 * Virtio disks (Virtual I/O Device specification 1.1, section 5.2).
 *
 * A request to the device is a chain: a header that says what to do and where, the memory, and a byte
 * into which the device writes how it went. The header and the byte lie in the block request itself;
 * the chain is a table of descriptors, so that with indirect descriptors each request takes one place
 * in the ring, and as many are in flight as the ring has places.
 *
 *   ring   [ . | # | . | . ]           table  [ header | memory | memory | ... | status ]
 *                |                       ^
 *                +-----------------------+
 *
 * Tables are allocated without sleeping. When that fails one that is kept for the purpose serves, so
 * that writing a page out never needs memory; while it is in use the others wait.
 *
 * The device is not trusted. A length or a status that cannot be makes the request fail, a chain that
 * it was not given makes the disk fail.
 */
#include <vellum/alloc.h>
#include <vellum/block.h>
#include <vellum/error.h>
#include <vellum/printk.h>
#include <vellum/string.h>
#include <vellum/virtio.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>

#define MAJOR            254 /* what Linux gives this driver, the first of those that are free */
#define MINORS           16  /* of a disk and its first partitions */
#define QUEUE_SIZE       256
#define MAX_SECTORS      2048 /* of a request: 1 MiB */
#define MAX_SEGMENTS     253  /* with header, range and status a table is a page at the most */
#define MAX_SEGMENT_SIZE (1U << 20)
#define CAPACITY_MAX     (1ULL << 54) /* sectors: positions in bytes fit a loff_t */
#define ID_PATIENCE      (5 * NSEC_PER_SEC)
#define NO_STATUS        0xff

#define FIELD(d, field)                                                                            \
    virtio_config(d, offsetof(struct virtio_blk_config, field),                                    \
                  sizeof(((struct virtio_blk_config *)0)->field))

struct virtio_disk {
    struct disk disk;
    struct virtio_device *virtio;
    struct virtqueue *queue;
    struct vring_desc *spare; /* a table for when there is no memory */
    bool spare_used;          /* [disk.lock] */
    struct {                  /* what probe() asks for the serial number with */
        struct virtio_blk_outhdr header;
        char text[VIRTIO_BLK_ID_BYTES];
        u8 status;
    } id;
    struct completion id_done;
};

/* In block_request->driver. */
struct parts {
    struct virtio_blk_outhdr header;
    struct virtio_blk_discard_write_zeroes range;
    struct vring_desc *table; /* NULL: the device has it in its ring */
    u8 status;                /* the device's */
};
static_assert(sizeof(struct parts) <= sizeof(((struct block_request *)0)->driver), "room");

static struct parts *parts_of(struct block_request *r)
{
    return (struct parts *)r->driver;
}

static struct virtio_disk *virtio_disk(struct disk *disk)
{
    return container_of(disk, struct virtio_disk, disk);
}

/* ---- starting => disk->lock ------------------------------------------------------------------------- */

static struct vring_desc *table_get(struct virtio_disk *v, unsigned n)
{
    struct vring_desc *table = kmalloc(n * sizeof(*table), ALLOC_ATOMIC);

    if (likely(table != NULL))
        return table;
    if (v->spare_used)
        return NULL;
    v->spare_used = true;
    return v->spare;
}

static void table_put(struct virtio_disk *v, struct vring_desc *table)
{
    if (unlikely(table == v->spare))
        v->spare_used = false;
    else
        kfree(table);
}

static struct vring_desc describe(const void *memory, size_t length)
{
    return (struct vring_desc){.addr = virt_to_phys(memory), .len = (u32)length};
}

static void fill_header(struct block_request *r)
{
    static const u32 types[] = {
        [BLOCK_READ] = VIRTIO_BLK_T_IN,
        [BLOCK_WRITE] = VIRTIO_BLK_T_OUT,
        [BLOCK_FLUSH] = VIRTIO_BLK_T_FLUSH,
        [BLOCK_DISCARD] = VIRTIO_BLK_T_DISCARD,
        [BLOCK_WRITE_ZEROES] = VIRTIO_BLK_T_WRITE_ZEROES,
    };
    struct parts *p = parts_of(r);

    p->header = (struct virtio_blk_outhdr){.type = types[r->operation]};
    if (r->operation <= BLOCK_WRITE)
        p->header.sector = r->disk_sector;
    p->range = (struct virtio_blk_discard_write_zeroes){
        .sector = r->disk_sector,
        .num_sectors = r->sectors,
        .flags = r->operation == BLOCK_WRITE_ZEROES ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0,
    };
    p->status = NO_STATUS;
}

/* Fill the table's middle. Returns how many descriptors it took. */
static unsigned fill_memory(struct block_request *r, struct vring_desc *table)
{
    struct block_request *part = r;
    struct block_segment *s;
    unsigned n = 0, i = 0;

    if (r->operation == BLOCK_DISCARD || r->operation == BLOCK_WRITE_ZEROES)
        table[n++] = describe(&parts_of(r)->range, sizeof(parts_of(r)->range));
    if (r->operation <= BLOCK_WRITE)
        while ((s = block_next_segment(r, &part, &i)) != NULL)
            table[n++] = (struct vring_desc){page_to_phys(s->page) + s->offset, s->length, 0, 0};
    return n;
}

static int start(struct disk *disk, struct block_request *r)
{
    struct virtio_disk *v = virtio_disk(disk);
    struct parts *p = parts_of(r);
    struct vring_desc *table = table_get(v, r->all_segments + 3);
    unsigned n;
    int error;

    if (!table)
        return -EBUSY;
    fill_header(r);
    table[0] = describe(&p->header, sizeof(p->header));
    n = 1 + fill_memory(r, table + 1);
    table[n++] = describe(&p->status, sizeof(p->status));
    error = r->operation == BLOCK_READ ? virtqueue_add_table(v->queue, table, 1, n - 1, r)
                                       : virtqueue_add_table(v->queue, table, n - 1, 1, r);
    p->table = table;
    if (error || !v->queue->indirect) {
        table_put(v, table);
        p->table = NULL;
    }
    return error == -ENOSPC ? -EBUSY : error;
}

static bool kick(struct disk *disk)
{
    return virtqueue_kick_is_due(virtio_disk(disk)->queue);
}

static void notify(struct disk *disk)
{
    virtqueue_notify(virtio_disk(disk)->queue);
}

static void stop(struct disk *disk)
{
    virtio_reset(virtio_disk(disk)->virtio);
}

static const struct disk_ops virtio_disk_ops = {
    .start = start,
    .kick = kick,
    .notify = notify,
    .stop = stop,
};

/* ---- completion ----------------------------------------------------------------------------------------- */

static int status_of(struct block_request *r, u32 written)
{
    switch (READ_ONCE(parts_of(r)->status)) {
    case VIRTIO_BLK_S_OK:
        /* Memory that it has not filled is not for anybody to see. */
        if (r->operation == BLOCK_READ && written < (u64)r->all_sectors << SECTOR_SHIFT)
            return -EIO;
        return 0;
    case VIRTIO_BLK_S_UNSUPP:
        return -EOPNOTSUPP;
    default:
        return -EIO;
    }
}

static void used(struct virtqueue *q)
{
    struct virtio_disk *v = q->driver_data;
    unsigned long flags = block_complete_begin(&v->disk);
    struct block_request *r;
    u32 written;

    do {
        virtqueue_hush(q);
        while ((r = virtqueue_get(q, &written)) != NULL) {
            if ((void *)r == v) {
                complete(&v->id_done);
                continue;
            }
            if (parts_of(r)->table)
                table_put(v, parts_of(r)->table);
            block_completed(r, status_of(r, written));
        }
    } while (virtqueue_rearm(q));
    if (unlikely(q->broken))
        disk_fail(&v->disk, "it returns what it was not given");
    block_complete_end(&v->disk, flags);
}

/* ---- start ------------------------------------------------------------------------------------------------ */

/* The serial number, if the device has one. The structure is the device's until it answers. */
static void ask_id(struct virtio_disk *v)
{
    struct virtio_buffer buffers[] = {{&v->id.header, sizeof(v->id.header)},
                                      {v->id.text, sizeof(v->id.text)},
                                      {&v->id.status, sizeof(v->id.status)}};
    int error;

    v->id.header.type = VIRTIO_BLK_T_GET_ID;
    v->id.status = NO_STATUS;
    completion_init(&v->id_done);
    if (virtqueue_add(v->queue, buffers, 1, 2, v) != 0)
        return;
    virtqueue_kick(v->queue);
    error = wait_event_state(&v->id_done.wait, READ_ONCE(v->id_done.done), TASK_UNINTERRUPTIBLE,
                             ktime_after(ID_PATIENCE), false);
    if (error || v->id.status != VIRTIO_BLK_S_OK)
        return;
    for (unsigned i = 0; i < VIRTIO_BLK_ID_BYTES && v->id.text[i] > ' ' && v->id.text[i] < 127; i++)
        v->disk.serial[i] = v->id.text[i];
}

static u32 at_most(u32 value, u32 most)
{
    return value == 0 || value > most ? most : value;
}

static void read_limits(struct virtio_disk *v)
{
    struct virtio_device *d = v->virtio;
    struct block_limits *l = &v->disk.limits;
    u64 has = d->features;
    u32 block;

    l->logical_block_size = has & BIT(VIRTIO_BLK_F_BLK_SIZE) ? FIELD(d, blk_size) : SECTOR_SIZE;
    block = l->logical_block_size;
    l->physical_block_size = block;
    l->io_min = block;
    if (has & BIT(VIRTIO_BLK_F_TOPOLOGY)) {
        l->physical_block_size = block << min(FIELD(d, physical_block_exp), 8u);
        l->alignment_offset = block * FIELD(d, alignment_offset);
        l->io_min = max(block * FIELD(d, min_io_size), l->physical_block_size);
        l->io_opt = block * FIELD(d, opt_io_size);
    }
    l->max_sectors = MAX_SECTORS;
    l->max_segments = 1;
    if (has & BIT(VIRTIO_BLK_F_SEG_MAX))
        l->max_segments = clamp(FIELD(d, seg_max), 1u, (u32)MAX_SEGMENTS);
    l->max_segments = min(l->max_segments, v->queue->size - 2);
    l->max_segment_size = MAX_SEGMENT_SIZE;
    if (has & BIT(VIRTIO_BLK_F_SIZE_MAX))
        l->max_segment_size =
            ALIGN_DOWN(at_most(FIELD(d, size_max), MAX_SEGMENT_SIZE), SECTOR_SIZE);
    if (has & BIT(VIRTIO_BLK_F_DISCARD)) {
        l->max_discard_sectors = at_most(FIELD(d, max_discard_sectors), 1u << 22);
        l->discard_granularity =
            max(at_most(FIELD(d, discard_sector_alignment), 1u << 16) << SECTOR_SHIFT, block);
        if (FIELD(d, discard_sector_alignment) == 0)
            l->discard_granularity = block;
    }
    if (has & BIT(VIRTIO_BLK_F_WRITE_ZEROES))
        l->max_zeroes_sectors = at_most(FIELD(d, max_write_zeroes_sectors), 1u << 22);
}

static void read_config(struct virtio_disk *v)
{
    struct virtio_device *d = v->virtio;
    struct disk *disk = &v->disk;
    size_t capacity = offsetof(struct virtio_blk_config, capacity);
    u8 generation;

    do { /* until all of it was of one time */
        generation = virtio_config_generation(d);
        disk->whole.sectors = virtio_config(d, capacity, 4) | (u64)virtio_config(d, capacity + 4, 4)
                                                                  << 32;
        read_limits(v);
        disk->write_cache = d->features & BIT(VIRTIO_BLK_F_FLUSH);
        if (d->features & BIT(VIRTIO_BLK_F_CONFIG_WCE))
            disk->write_cache = FIELD(d, wce) != 0;
    } while (virtio_config_generation(d) != generation);
    disk->never_writable = d->features & BIT(VIRTIO_BLK_F_RO);
    disk->whole.read_only = disk->never_writable;
}

/* Can we work with what the device says? */
static bool config_is_sound(struct virtio_disk *v)
{
    const struct block_limits *l = &v->disk.limits;
    u64 *sectors = &v->disk.whole.sectors;

    if (!IS_POWER_OF_2(l->logical_block_size) || l->logical_block_size < SECTOR_SIZE ||
        l->logical_block_size > PAGE_SIZE || l->max_segment_size < PAGE_SIZE)
        return false;
    *sectors = ALIGN_DOWN(min(*sectors, CAPACITY_MAX), l->logical_block_size >> SECTOR_SHIFT);
    return true;
}

static int probe(struct virtio_device *virtio)
{
    static unsigned found;
    struct virtio_disk *v = kzalloc(sizeof(*v), ALLOC_KERNEL);
    int error;

    if (!v)
        return -ENOMEM;
    v->virtio = virtio;
    v->disk.ops = &virtio_disk_ops;
    v->disk.major = MAJOR;
    v->disk.major_name = "virtblk";
    v->disk.minors = MINORS;
    v->queue = virtqueue_create(virtio, 0, QUEUE_SIZE, used, v);
    if (is_err(v->queue))
        return ptr_err(v->queue); /* v stays: the queue may refer to it */
    if (v->queue->size < 4)
        return -ENODEV;
    read_config(v);
    if (!config_is_sound(v)) {
        pr_err("virtio-blk: blocks of %u bytes, segments of %u: not possible",
               v->disk.limits.logical_block_size, v->disk.limits.max_segment_size);
        return -ENODEV;
    }
    v->spare = kmalloc((v->disk.limits.max_segments + 3) * sizeof(*v->spare), ALLOC_KERNEL);
    if (!v->spare)
        return -ENOMEM;
    v->disk.first_minor = found * MINORS;
    disk_name(v->disk.whole.name, "vd", found);
    v->disk.parent = virtio_sysfs(virtio);
    error = disk_init(&v->disk);
    if (error)
        return error;
    found++;
    virtio_ready(virtio);
    ask_id(v);
    return disk_add(&v->disk);
}

static const struct virtio_driver block_driver = {
    .name = "virtio-blk",
    .type = VIRTIO_ID_BLOCK,
    .features = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_RO) |
                BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_TOPOLOGY) |
                BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_DISCARD) |
                BIT(VIRTIO_BLK_F_WRITE_ZEROES) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
                BIT(VIRTIO_RING_F_EVENT_IDX),
    .probe = probe,
};

void virtio_block_init(void)
{
    virtio_driver_register(&block_driver);
}
