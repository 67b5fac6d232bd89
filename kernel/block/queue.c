/* SPDX-License-Identifier: MIT */
/*
 * A request's way to the hardware and back.
 *
 *   block_submit()          plug          waiting        in flight        completed
 *   checked, made  ------> merged ------> merged ------> the driver, ---> done() in the disk's thread,
 *   relative to the        with the       while the      oldest first     or at once in the interrupt
 *   whole disk             last one       hardware is    timed            (BLOCK_DONE_ANYWHERE)
 *                                         full
 *
 * Neighbours are merged: a request that goes on where the last one ends is appended to it, and both
 * become one for the hardware. Only the last one is looked at. Those who have much to do (write-back,
 * read-ahead, swap) come in ascending order, so the last is the one that matters; a search would cost
 * every request something and would find next to nothing.
 *
 * There is no elevator. The hardware has dozens of requests at once, and the host behind it knows
 * what is near to what; the order here is that of arrival, so nobody starves. What comes while the
 * hardware is full waits in that order.
 *
 * Statistics and all lists are guarded by disk->lock, which is taken once for a batch.
 */
#include "internal.h"
#include <vellum/boot.h>
#include <vellum/vmstat.h>

#define PLUG_MAX        32 /* held back at the most */
#define TIMEOUT_DEFAULT 60 /* seconds; the parameter block.timeout=, 0: never */

static u64 timeout_ns; /* [i] */

/* ---- statistics => disk->lock --------------------------------------------------------------- */

static void stats_begin(struct block_stats *stats, unsigned operation, ktime_t now)
{
    if (stats->in_flight[0] + stats->in_flight[1] == 0)
        stats->busy_since = now;
    stats->in_flight[operation != BLOCK_READ]++;
}

static void stats_end(struct block_stats *stats, const struct block_request *r, ktime_t now)
{
    stats->requests[r->operation]++;
    stats->sectors[r->operation] += r->sectors;
    stats->time[r->operation] += now - r->submitted;
    stats->in_flight[r->operation != BLOCK_READ]--;
    if (stats->in_flight[0] + stats->in_flight[1] == 0)
        stats->busy += now - stats->busy_since;
}

static void account_begin(struct block_request *r, ktime_t now)
{
    struct disk *disk = r->device->disk;

    r->submitted = now;
    if (r->operation == BLOCK_READ)
        vm_events(pgpgin, r->sectors / 2);
    else if (r->operation == BLOCK_WRITE)
        vm_events(pgpgout, r->sectors / 2);
    stats_begin(&disk->whole.stats, r->operation, now);
    if (r->device != &disk->whole)
        stats_begin(&r->device->stats, r->operation, now);
}

static void account_end(struct block_request *r, ktime_t now)
{
    struct disk *disk = r->device->disk;

    stats_end(&disk->whole.stats, r, now);
    if (r->device != &disk->whole)
        stats_end(&r->device->stats, r, now);
}

static void account_merge(struct block_request *r)
{
    struct disk *disk = r->device->disk;

    disk->whole.stats.merges[r->operation]++;
    if (r->device != &disk->whole)
        r->device->stats.merges[r->operation]++;
}

void block_stats_read(struct block_device *device, struct block_stats *stats)
{
    unsigned long flags = spin_lock_irqsave(&device->disk->lock);

    *stats = device->stats;
    if (stats->in_flight[0] + stats->in_flight[1])
        stats->busy += ktime_get() - stats->busy_since;
    spin_unlock_irqrestore(&device->disk->lock, flags);
}

/* ---- merging ---------------------------------------------------------------------------------- */

static bool can_follow(const struct block_request *head, const struct block_request *r)
{
    const struct disk *disk = head->device->disk;

    return head->operation == r->operation && r->operation <= BLOCK_WRITE &&
           r->device->disk == disk && head->disk_sector + head->all_sectors == r->disk_sector &&
           head->all_sectors + r->all_sectors <= disk->limits.max_sectors &&
           head->all_segments + r->all_segments <= disk->limits.max_segments;
}

/* r, which is not in a list, and those merged into it become part of head. */
static void merge(struct block_request *head, struct block_request *r)
{
    struct block_request *part, *next;

    list_add_tail(&r->link, &head->merged);
    list_for_each_entry_safe(part, next, &r->merged, link) {
        list_del(&part->link);
        list_add_tail(&part->link, &head->merged);
    }
    head->all_sectors += r->all_sectors;
    head->all_segments += r->all_segments;
}

static struct block_request *last_of(struct list *list)
{
    return list_empty(list) ? NULL : container_of(list->prev, struct block_request, link);
}

struct block_segment *block_next_segment(struct block_request *head, struct block_request **r,
                                         unsigned *i)
{
    struct list *next;

    while (*i == (*r)->segment_count) {
        next = *r == head ? head->merged.next : (*r)->link.next;
        if (next == &head->merged)
            return NULL;
        *r = container_of(next, struct block_request, link);
        *i = 0;
    }
    return &(*r)->segments[(*i)++];
}

/* ---- completion => disk->lock ------------------------------------------------------------------- */

unsigned long block_complete_begin(struct disk *disk)
{
    return spin_lock_irqsave(&disk->lock);
}

static void complete_one(struct block_request *r, int status, ktime_t now)
{
    struct disk *disk = r->device->disk;

    r->status = status;
    account_end(r, now);
    list_add_tail(&r->link, r->flags & BLOCK_DONE_ANYWHERE ? &disk->anywhere : &disk->completed);
}

void block_completed(struct block_request *r, int status)
{
    struct block_request *part, *next;
    ktime_t now = ktime_get();

    assert(spin_held(&r->device->disk->lock));
    list_del(&r->link);
    list_for_each_entry_safe(part, next, &r->merged, link) {
        list_del(&part->link);
        complete_one(part, status, now);
    }
    complete_one(r, status, now);
}

static void watch(struct disk *disk, ktime_t started)
{
    if (timeout_ns && !disk->timer_runs) {
        disk->timer_runs = true;
        timer_start(&disk->timer, started + timeout_ns);
    }
}

/* Give the hardware what it can take. Does it have to be told? */
static bool run(struct disk *disk)
{
    ktime_t now = list_empty(&disk->waiting) ? 0 : ktime_get();
    unsigned started = 0;

    while (!list_empty(&disk->waiting)) {
        struct block_request *r = container_of(disk->waiting.next, struct block_request, link);
        int error = disk->dead ? -EIO : disk->ops->start(disk, r);

        if (error == -EBUSY && !list_empty(&disk->in_flight))
            break;
        if (error) {
            block_completed(r, error == -EBUSY ? -EIO : error);
            continue;
        }
        list_del(&r->link);
        list_add_tail(&r->link, &disk->in_flight);
        r->started = now;
        watch(disk, now);
        started++;
    }
    return started && disk->ops->kick(disk);
}

/* Call done() for all in the list, which is nobody else's. */
static void finish_list(struct list *list)
{
    while (!list_empty(list)) {
        struct block_request *r = container_of(list->next, struct block_request, link);

        list_del(&r->link);
        r->done(r);
    }
}

static void take_list(struct list *from, struct list *to)
{
    list_init(to);
    list_splice_tail_init(from, to);
}

void block_complete_end(struct disk *disk, unsigned long flags)
{
    struct list anywhere;
    bool wake, notify = run(disk);

    take_list(&disk->anywhere, &anywhere);
    wake = !list_empty(&disk->completed);
    spin_unlock_irqrestore(&disk->lock, flags);
    if (notify)
        disk->ops->notify(disk);
    if (wake)
        wake_up_all(&disk->work);
    finish_list(&anywhere);
}

/* ---- submission ----------------------------------------------------------------------------------- */

static void finish_now(struct block_request *r, int status)
{
    r->status = status;
    r->done(r);
}

/* May the device be asked for that? 0 or -errno */
static int check(const struct block_request *r)
{
    const struct block_device *device = r->device;
    const struct block_limits *limits = &device->disk->limits;
    u32 block = limits->logical_block_size >> SECTOR_SHIFT;
    u64 sectors = READ_ONCE(device->sectors);

    if (r->operation == BLOCK_FLUSH)
        return 0;
    if (r->sector > sectors || r->sectors > sectors - r->sector || r->sectors == 0)
        return -EIO;
    if ((r->sector | r->sectors) & (block - 1))
        return -EINVAL;
    if (r->operation != BLOCK_READ && READ_ONCE(device->read_only))
        return -EROFS;
    switch (r->operation) {
    case BLOCK_DISCARD:
        return limits->max_discard_sectors == 0           ? -EOPNOTSUPP
               : r->sectors > limits->max_discard_sectors ? -EINVAL
                                                          : 0;
    case BLOCK_WRITE_ZEROES:
        return limits->max_zeroes_sectors == 0           ? -EOPNOTSUPP
               : r->sectors > limits->max_zeroes_sectors ? -EINVAL
                                                         : 0;
    default:
        return r->sectors > limits->max_sectors || r->segment_count > limits->max_segments ? -EINVAL
                                                                                           : 0;
    }
}

/* A disk in memory: at once, by the one who asks. */
static void transfer_now(struct disk *disk, struct block_request *r)
{
    unsigned long flags = spin_lock_irqsave(&disk->lock);
    int status;

    account_begin(r, ktime_get());
    spin_unlock_irqrestore(&disk->lock, flags);
    status = disk->ops->transfer(disk, r);
    flags = spin_lock_irqsave(&disk->lock);
    account_end(r, ktime_get());
    spin_unlock_irqrestore(&disk->lock, flags);
    finish_now(r, status);
}

/* Put a head into the queue. => disk->lock */
static void enqueue(struct disk *disk, struct block_request *r, ktime_t now)
{
    struct block_request *last = last_of(&disk->waiting), *part;

    account_begin(r, now);
    list_for_each_entry(part, &r->merged, link) {
        account_begin(part, now);
        account_merge(part);
    }
    if (last && can_follow(last, r)) {
        account_merge(r);
        merge(last, r);
    } else {
        list_add_tail(&r->link, &disk->waiting);
    }
}

/* Queue those at the front of the list that are for its first one's disk. */
static void dispatch(struct list *list)
{
    struct disk *disk = container_of(list->next, struct block_request, link)->device->disk;
    unsigned long flags = spin_lock_irqsave(&disk->lock);
    ktime_t now = ktime_get();

    while (!list_empty(list)) {
        struct block_request *r = container_of(list->next, struct block_request, link);

        if (r->device->disk != disk)
            break;
        list_del(&r->link);
        enqueue(disk, r, now);
    }
    block_complete_end(disk, flags); /* what the driver refused is done already */
}

void block_plug_finish(struct block_plug *plug)
{
    while (!list_empty(&plug->requests))
        dispatch(&plug->requests);
    plug->count = 0;
}

static void add_to_plug(struct block_plug *plug, struct block_request *r)
{
    struct block_request *last = last_of(&plug->requests);

    if (last && can_follow(last, r)) {
        merge(last, r);
        return;
    }
    if (plug->count == PLUG_MAX)
        block_plug_finish(plug);
    list_add_tail(&r->link, &plug->requests);
    plug->count++;
}

void block_submit(struct block_request *r, struct block_plug *plug)
{
    struct disk *disk = r->device->disk;
    struct list list;
    int error = check(r);

    assert(r->done);
    if (error) {
        finish_now(r, error);
        return;
    }
    list_init(&r->merged);
    r->disk_sector = r->device->start + r->sector;
    r->all_sectors = r->sectors;
    r->all_segments = r->segment_count;
    if (r->operation == BLOCK_FLUSH && !disk->write_cache) {
        finish_now(r, 0);
    } else if (disk->ops->transfer) {
        transfer_now(disk, r);
    } else if (plug) {
        add_to_plug(plug, r);
    } else {
        list_init(&list);
        list_add(&r->link, &list);
        dispatch(&list);
    }
}

/* ---- the disk's thread: done() of what was completed, and requests that nobody answers ---------------- */

void disk_fail(struct disk *disk, const char *why)
{
    assert(spin_held(&disk->lock));
    if (disk->dead || disk->failure)
        return;
    disk->failure = why;
    wake_up_all(&disk->work);
}

static void timer_fired(struct timer *timer)
{
    struct disk *disk = container_of(timer, struct disk, timer);
    unsigned long flags = spin_lock_irqsave(&disk->lock);
    struct block_request *oldest = NULL;
    ktime_t now = ktime_get();

    disk->timer_runs = false;
    if (!list_empty(&disk->in_flight))
        oldest = container_of(disk->in_flight.next, struct block_request, link);
    if (oldest && oldest->started + timeout_ns > now)
        watch(disk, oldest->started);
    else if (oldest)
        disk_fail(disk, "there is no answer");
    spin_unlock_irqrestore(&disk->lock, flags);
}

/* From now on there is no such disk. */
static void give_up(struct disk *disk)
{
    unsigned long flags;

    pr_err("%s: %s: the disk is given up", disk->whole.name, disk->failure);
    flags = spin_lock_irqsave(&disk->lock);
    disk->dead = true;
    disk->failure = NULL;
    spin_unlock_irqrestore(&disk->lock, flags);
    disk->ops->stop(disk);
    flags = block_complete_begin(disk);
    while (!list_empty(&disk->in_flight))
        block_completed(container_of(disk->in_flight.next, struct block_request, link), -EIO);
    block_complete_end(disk, flags); /* fails those that wait, too */
}

static bool has_work(struct disk *disk)
{
    return !list_empty(&disk->completed) || READ_ONCE(disk->failure);
}

static int disk_thread(void *arg)
{
    struct disk *disk = arg;

    for (;;) {
        struct list list;
        unsigned long flags;

        wait_event(&disk->work, has_work(disk));
        if (disk->failure)
            give_up(disk);
        flags = spin_lock_irqsave(&disk->lock);
        take_list(&disk->completed, &list);
        spin_unlock_irqrestore(&disk->lock, flags);
        finish_list(&list);
    }
    return 0;
}

int disk_queue_init(struct disk *disk)
{
    struct thread *t;

    timeout_ns = boot_param_u64("block.timeout", TIMEOUT_DEFAULT) * NSEC_PER_SEC;
    spin_init(&disk->lock);
    list_init(&disk->waiting);
    list_init(&disk->in_flight);
    list_init(&disk->completed);
    list_init(&disk->anywhere);
    wait_queue_init(&disk->work);
    timer_init(&disk->timer, timer_fired);
    if (disk->ops->transfer)
        return 0; /* nothing ever waits */
    t = kthread_start(disk_thread, disk, "block/%s", disk->whole.name);
    return is_err(t) ? ptr_err(t) : 0;
}
