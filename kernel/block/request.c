/* SPDX-License-Identifier: MIT */
/*
 * Making requests, and waiting for them.
 *
 * Memory is written to disks because it is short, so a request must be had when there is no memory
 * left. Each comes from the object caches, without reclaim, if that works; else from a reserve of a
 * few requests, which come back as the disk completes them. So whoever has nothing unsubmitted may
 * wait for one of these, and will get it: block_request_alloc() submits the caller's plug first.
 */
#include "internal.h"

#define POOL_REQUESTS 8
#define POOL_SEGMENTS 32

static DEFINE_SPINLOCK(pool_lock);         /* interrupts off */
static struct list pool = LIST_INIT(pool); /* [pool_lock] free requests */
static DEFINE_WAIT_QUEUE(pool_wait);

static struct block_request *allocate(unsigned segments, unsigned flags)
{
    struct block_request *r = kmalloc(sizeof(*r) + segments * sizeof(struct block_segment), flags);

    if (r) {
        r->flags = 0;
        r->segment_max = segments;
    }
    return r;
}

int block_pool_init(void)
{
    static unsigned have; /* the disks come one after the other */

    for (; have < POOL_REQUESTS; have++) {
        struct block_request *r = allocate(POOL_SEGMENTS, ALLOC_KERNEL);

        if (!r)
            return -ENOMEM;
        r->flags = BLOCK_FROM_POOL;
        block_request_free(r);
    }
    return 0;
}

static struct block_request *pool_take(void)
{
    struct block_request *r = NULL;
    unsigned long flags = spin_lock_irqsave(&pool_lock);

    if (!list_empty(&pool)) {
        r = container_of(pool.next, struct block_request, link);
        list_del(&r->link);
        r->flags = BLOCK_FROM_POOL;
        r->segment_max = POOL_SEGMENTS;
    }
    spin_unlock_irqrestore(&pool_lock, flags);
    return r;
}

static void set_up(struct block_request *r, struct block_device *device, unsigned operation,
                   u64 sector)
{
    r->device = device;
    r->operation = operation;
    r->sector = sector;
    r->sectors = 0;
    r->segment_count = 0;
    r->segment_max = min_t(unsigned, r->segment_max, device->disk->limits.max_segments);
    r->status = 0;
    r->done = NULL;
    r->private_data = NULL;
}

struct block_request *block_request_try_alloc(struct block_device *device,
                                              enum block_operation operation, u64 sector,
                                              unsigned segments)
{
    struct block_request *r = allocate(min(segments, BLOCK_SEGMENTS_MAX), ALLOC_ATOMIC);

    if (r)
        set_up(r, device, operation, sector);
    return r;
}

struct block_request *block_request_alloc(struct block_device *device,
                                          enum block_operation operation, u64 sector,
                                          unsigned segments, struct block_plug *plug)
{
    struct block_request *r = block_request_try_alloc(device, operation, sector, segments);

    assert_may_sleep();
    if (likely(r != NULL))
        return r;
    if (plug)
        block_plug_finish(plug);
    wait_event(&pool_wait, (r = pool_take()) != NULL);
    set_up(r, device, operation, sector);
    return r;
}

void block_request_free(struct block_request *r)
{
    unsigned long flags;

    if (likely(!(r->flags & BLOCK_FROM_POOL))) {
        kfree(r);
        return;
    }
    flags = spin_lock_irqsave(&pool_lock);
    list_add(&r->link, &pool);
    spin_unlock_irqrestore(&pool_lock, flags);
    wake_up_one(&pool_wait);
}

bool block_request_add(struct block_request *r, struct page *page, unsigned offset, unsigned length)
{
    const struct block_limits *limits = &r->device->disk->limits;
    struct block_segment *last = r->segment_count ? &r->segments[r->segment_count - 1] : NULL;

    assert(((offset | length) & (SECTOR_SIZE - 1)) == 0 && length > 0);
    if (r->sectors + (length >> SECTOR_SHIFT) > limits->max_sectors)
        return false;
    if (last &&
        page_to_phys(last->page) + last->offset + last->length == page_to_phys(page) + offset &&
        length <= limits->max_segment_size - last->length) {
        last->length += length;
    } else {
        if (r->segment_count == r->segment_max || length > limits->max_segment_size)
            return false;
        r->segments[r->segment_count++] = (struct block_segment){page, offset, length};
    }
    r->sectors += length >> SECTOR_SHIFT;
    return true;
}

/* ---- waiting ------------------------------------------------------------------------------------ */

static void wake_waiter(struct block_request *r)
{
    complete(r->private_data);
}

int block_submit_wait(struct block_request *r)
{
    struct completion done;

    completion_init(&done);
    r->done = wake_waiter;
    r->private_data = &done;
    r->flags |= BLOCK_DONE_ANYWHERE;
    block_submit(r, NULL);
    wait_for_completion(&done);
    return r->status;
}

/* Several requests that one thread waits for. */
struct batch {
    atomic_t left; /* requests, and one for the submitter */
    atomic_t error;
    struct completion done;
};

static void batch_put(struct batch *b)
{
    if (atomic_dec_and_test(&b->left))
        complete(&b->done);
}

static void batch_done(struct block_request *r)
{
    struct batch *b = r->private_data;

    if (r->status)
        atomic_set(&b->error, r->status);
    block_request_free(r);
    batch_put(b);
}

static void batch_init(struct batch *b)
{
    atomic_set(&b->left, 1);
    atomic_set(&b->error, 0);
    completion_init(&b->done);
}

static void batch_submit(struct batch *b, struct block_request *r, struct block_plug *plug)
{
    atomic_inc(&b->left);
    r->done = batch_done;
    r->private_data = b;
    r->flags |= BLOCK_DONE_ANYWHERE;
    block_submit(r, plug);
}

static int batch_wait(struct batch *b, struct block_plug *plug)
{
    block_plug_finish(plug);
    batch_put(b);
    wait_for_completion(&b->done);
    return atomic_read(&b->error);
}

int block_transfer(struct block_device *device, enum block_operation operation, u64 sector,
                   struct page **pages, size_t bytes)
{
    unsigned n = DIV_ROUND_UP(bytes, PAGE_SIZE), i = 0;
    struct block_plug plug;
    struct batch batch;

    batch_init(&batch);
    block_plug_start(&plug);
    while (i < n) {
        struct block_request *r =
            block_request_alloc(device, operation, sector + i * PAGE_SECTORS, n - i, &plug);
        unsigned before = i;

        while (i < n && block_request_add(r, pages[i], 0, min(bytes - i * PAGE_SIZE, PAGE_SIZE)))
            i++;
        assert(i > before);
        batch_submit(&batch, r, &plug);
    }
    return batch_wait(&batch, &plug);
}

int block_flush(struct block_device *device)
{
    struct block_request *r = block_request_alloc(device, BLOCK_FLUSH, 0, 0, NULL);
    int error = block_submit_wait(r);

    block_request_free(r);
    return error;
}

int block_erase(struct block_device *device, enum block_operation operation, u64 sector,
                u64 sectors)
{
    const struct block_limits *limits = &device->disk->limits;
    u32 most =
        operation == BLOCK_DISCARD ? limits->max_discard_sectors : limits->max_zeroes_sectors;
    struct block_plug plug;
    struct batch batch;

    most &= ~((limits->logical_block_size >> SECTOR_SHIFT) - 1);
    if (most == 0)
        return -EOPNOTSUPP;
    batch_init(&batch);
    block_plug_start(&plug);
    while (sectors > 0) {
        struct block_request *r = block_request_alloc(device, operation, sector, 0, &plug);

        r->sectors = min_t(u64, sectors, most);
        sector += r->sectors;
        sectors -= r->sectors;
        batch_submit(&batch, r, &plug);
    }
    return batch_wait(&batch, &plug);
}
