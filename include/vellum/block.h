/* SPDX-License-Identifier: MIT */
/*
 * Block devices: disks, their partitions, and requests to them (docs/block.md has the whole way).
 *
 * Who wants something of a device makes a request, adds pieces of memory to it, and submits it. Some
 * time later done() is called with the request's status. A device has many requests in flight and
 * completes them in any order: who needs an order waits for done() before submitting what must come
 * later. A completed write is safe from a loss of power once a FLUSH that was submitted after its
 * completion has completed too.
 *
 * Requests that a thread submits with a plug are held back until block_plug_finish(), so that
 * neighbours can be merged into one for the hardware.
 *
 *     struct block_plug plug;
 *     block_plug_start(&plug);
 *     ... r = block_request_alloc(device, BLOCK_WRITE, sector, n, &plug);
 *         block_request_add(r, page, 0, PAGE_SIZE); ...
 *         r->done = written;
 *         block_submit(r, &plug);
 *     block_plug_finish(&plug);
 */
#ifndef VELLUM_BLOCK_H
#define VELLUM_BLOCK_H

#include <vellum/list.h>
#include <vellum/page.h>
#include <vellum/sync.h>
#include <vellum/time.h>

struct block_device;
struct disk;
struct inode;
struct seq_file;
struct sysfs_node;

#define SECTOR_SHIFT 9
#define SECTOR_SIZE                                                                                \
    (1U << SECTOR_SHIFT) /* the unit of positions, whatever the device's blocks are */
#define PAGE_SECTORS       (PAGE_SIZE >> SECTOR_SHIFT)
#define BLOCK_DEVICE_NAME  32
#define BLOCK_SEGMENTS_MAX 256 /* of one request */

/* ---- requests ------------------------------------------------------------------------------- */

enum block_operation {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,        /* what has been written is to survive a loss of power */
    BLOCK_DISCARD,      /* the contents are not needed any more; undefined afterwards */
    BLOCK_WRITE_ZEROES, /* the range reads as zeros afterwards */
    BLOCK_OPERATIONS,
};

/* request->flags */
enum {
    /* done() may be called in an interrupt: it takes only locks that are taken with interrupts off,
     * and is short. Without it: in the disk's own thread, where it may take any spinlock. */
    BLOCK_DONE_ANYWHERE = 1,
    BLOCK_FROM_POOL = 0x80, /* the block layer's */
};

/* Memory in the direct map: `length` bytes from `offset` on in the frame, or in a run of frames. */
struct block_segment {
    struct page *page;
    u32 offset, length; /* multiples of 512 */
};

struct block_request {
    struct block_device *device; /* [i] */
    u64 sector;                  /* first one, from the device's start */
    u32 sectors;  /* read, write: the sum of the segments; others: set by the owner */
    u8 operation; /* [i] enum block_operation */
    u8 flags;     /* BLOCK_* */
    u16 segment_count, segment_max;
    int status; /* valid in done(): 0, -EIO, -EOPNOTSUPP, -EINVAL, -EROFS, -ENOSPC */
    /* Called once, even if the submission fails at once (then from block_submit()). It, or someone
     * later, frees the request. Must not sleep. */
    void (*done)(struct block_request *request);
    void *private_data; /* the owner's */

    /* The block layer's and the driver's, from block_submit() to done(). */
    struct list link;   /* in a plug, or in a queue: waiting, in flight, completed */
    struct list merged; /* requests that go on where this one ends, in order; each by its link */
    u64 disk_sector;    /* of the whole disk */
    u32 all_sectors;    /* with those merged */
    u32 all_segments;
    ktime_t submitted, started;
    u64 driver[6]; /* aligned, in the direct map */

    struct block_segment segments[];
};

struct block_plug {
    struct list requests; /* heads, in the order of submission */
    unsigned count;
};

static inline void block_plug_start(struct block_plug *plug)
{
    list_init(&plug->requests);
    plug->count = 0;
}
/* Let everything go that is held back. Any context. */
void block_plug_finish(struct block_plug *plug);

/* A request with room for up to `segments` (it may get less: look at block_request_add()'s result).
 * Never fails, and never waits for memory to be reclaimed: if none is free it waits for one of a few
 * requests kept in reserve, having submitted what `plug` (may be NULL) holds back.
 * => may sleep; the caller has no request that is not submitted, but for those in the plug */
struct block_request *block_request_alloc(struct block_device *device,
                                          enum block_operation operation, u64 sector,
                                          unsigned segments, struct block_plug *plug);
/* The same in any context, without the reserve; NULL: no memory. */
struct block_request *block_request_try_alloc(struct block_device *device,
                                              enum block_operation operation, u64 sector,
                                              unsigned segments);
void block_request_free(struct block_request *request); /* any context */

/* Add memory at the end. False, and nothing changed: the request is full, or would be more than the
 * device takes at once. The page must stay (its reference is the owner's) until done(). */
bool block_request_add(struct block_request *request, struct page *page, unsigned offset,
                       unsigned length);

/* Hand over a request; with a plug it may wait there. Does not sleep. Any context. */
void block_submit(struct block_request *request, struct block_plug *plug);
/* Submit, wait, return the status. The request stays the caller's. => may sleep */
int block_submit_wait(struct block_request *request);

/* Read or write `bytes`, a multiple of the device's block size, from sector on; they fill one page after
 * the other. Several requests at once if need be. 0 or -errno. => may sleep */
int block_transfer(struct block_device *device, enum block_operation operation, u64 sector,
                   struct page **pages, size_t bytes);
int block_flush(struct block_device *device);
/* DISCARD or WRITE_ZEROES of a range of any size. -EOPNOTSUPP where the device cannot. */
int block_erase(struct block_device *device, enum block_operation operation, u64 sector,
                u64 sectors);

/* ---- devices ---------------------------------------------------------------------------------- */

struct block_limits {
    u32 logical_block_size;  /* bytes; requests are multiples of it */
    u32 physical_block_size; /* bytes */
    u32 io_min, io_opt;      /* bytes; 0: not known */
    u32 alignment_offset;    /* bytes */
    u32 max_sectors;         /* of a read or write */
    u32 max_segment_size;    /* bytes */
    u32 max_segments;
    u32 max_discard_sectors; /* 0: no discard */
    u32 discard_granularity; /* bytes */
    u32 max_zeroes_sectors;  /* 0: no write zeroes */
};

/* Of a device since start; as /proc/diskstats tells them. By operation, flush included. */
struct block_stats {
    u64 requests[BLOCK_OPERATIONS], merges[BLOCK_OPERATIONS], sectors[BLOCK_OPERATIONS];
    u64 time[BLOCK_OPERATIONS]; /* ns, sums */
    u64 busy;                   /* ns with something in flight */
    ktime_t busy_since;         /* something has been in flight since then */
    u32 in_flight[2];           /* reads, others */
};

/* A disk, or a partition of one. Once made it stays for ever; a partition that is gone has no sectors. */
struct block_device {
    struct disk *disk;            /* [i] */
    dev_id_t id;                  /* [i] */
    unsigned number;              /* [i] of the partition; 0: the whole disk */
    char name[BLOCK_DEVICE_NAME]; /* [i] "vda1" */
    u64 start, sectors;           /* [m] to write */
    bool read_only;               /* [m] to write */
    bool present;                 /* [m] it can be opened */
    struct block_stats stats;     /* [d] */
    unsigned openers;             /* [m] */
    unsigned closing;             /* [m] of those, who are on their way out */
    unsigned holders;             /* [m] how often `holder` has it */
    const void *holder;           /* [m] who has it for himself, or NULL */
    struct inode *inode; /* [m] to write: its page cache is the device's contents; NULL: not yet */
    void (*resized)(struct block_device *device); /* [m] set with it: `sectors` has changed */
    struct sysfs_node *sysfs;                     /* [i] */
    struct list link;                             /* [m] in disk->devices, by number */
};

/* What a driver does. */
struct disk_ops {
    /* Give a request, with those merged into it, to the hardware. 0, or -EBUSY: again when one of those
     * in flight, of which there is at least one, has completed; another error: it fails.
     * => disk->lock, interrupts off */
    int (*start)(struct disk *disk, struct block_request *request);
    /* Requests have been started: does the hardware have to be told? => disk->lock. Then notify()
     * tells it, without the lock: a register of an emulated or virtual device may take its time. */
    bool (*kick)(struct disk *disk);
    void (*notify)(struct disk *disk);
    /* A request has had no answer for long. Stop the hardware, so that it touches no memory any more:
     * then all that is in flight fails. => may sleep; disk->dead is set */
    void (*stop)(struct disk *disk);
    /* Disks in memory have this instead: do it all, and return the status. Any context */
    int (*transfer)(struct disk *disk, struct block_request *request);
};

struct disk {
    struct block_device whole;
    struct mutex mutex;     /* [m] partitions and who uses them */
    spinlock_t lock;        /* [d] interrupts off */
    struct list devices;    /* [m] the whole one and its partitions; only grows */
    struct list waiting;    /* [d] requests that the hardware has not got yet, oldest first */
    struct list in_flight;  /* [d] those it has, oldest first */
    struct list completed;  /* [d] those whose done() the thread is to call */
    struct list anywhere;   /* [d] those whose done() block_complete_end() calls */
    struct wait_queue work; /* the thread's */
    struct timer timer;     /* looks after the oldest in flight */
    bool timer_runs;        /* [d] */
    const char *failure;    /* [d] why the thread is to give the disk up; NULL: it works */
    bool dead;              /* [d] it did not answer: whatever comes is -EIO */

    /* Set by the driver before disk_add(). */
    struct block_limits limits;
    const struct disk_ops *ops;
    unsigned major, first_minor, minors; /* `minors` numbers, for it and its first partitions */
    bool write_cache;                    /* BLOCK_FLUSH does something */
    bool never_writable;                 /* whatever BLKROSET says */
    bool rotational;
    char serial[24];
    const char *major_name;    /* in /proc/devices */
    struct sysfs_node *parent; /* the device it belongs to; NULL: none */
    void *driver_data;

    void *backing;    /* [m] what writes its dirty pages: kernel/fs/bdev/inode.c */
    struct list link; /* [disks_mutex] */
};
/* [i] constant once the device can be found  [m] disk->mutex  [d] disk->lock */

/* The driver has filled in a zeroed structure: the group above, and of `whole` name, sectors and
 * read_only. It stays for ever. disk_init() makes its locks and its thread: then completions may come.
 * disk_add() makes it known: reads its partition table, makes nodes in /dev and /sys. 0 or -ENOMEM.
 * => may sleep */
int disk_init(struct disk *disk);
int disk_add(struct disk *disk);
/* "vd" and 0, 1, ... 25, 26: "vda", "vdb", ... "vdz", "vdaa" */
void disk_name(char *name, const char *prefix, unsigned index);

/* A driver tells what has been completed: begin (returns the state of interrupts), for each request
 * block_completed(), end. In between disk->lock is held. Any context. */
/* A disk that breaks the rules is given up: stopped, and what it has fails. => disk->lock */
void disk_fail(struct disk *disk, const char *why);
unsigned long block_complete_begin(struct disk *disk);
void block_completed(struct block_request *request, int status);
void block_complete_end(struct disk *disk, unsigned long flags);
/* Walk a started request's memory: all segments of it and of those merged into it.
 *     struct block_segment *s; struct block_request *r = head; unsigned i = 0;
 *     while ((s = block_next_segment(head, &r, &i)) != NULL) */
struct block_segment *block_next_segment(struct block_request *head, struct block_request **r,
                                         unsigned *i);

/* Use of a device. The one with that number, which cannot go away while it is open. With a holder
 * (any address) it is his alone: nobody else gets it with a holder, nor the disk it is a part of, nor
 * a part of it. err_ptr: -ENXIO, -EBUSY, -EROFS (writable). => may sleep */
struct block_device *block_device_open(dev_id_t id, bool writable, const void *holder);
void block_device_close(struct block_device *device, const void *holder); /* => may sleep */
/* About to be closed: is this the last user? Of several who close at once, one is. => may sleep */
bool block_device_closing(struct block_device *device);

static inline u64 block_device_size(const struct block_device *device) /* bytes */
{
    return READ_ONCE(device->sectors) << SECTOR_SHIFT;
}

void ram_disks_init(void); /* /dev/ram*, if the command line asks for them */
/* Read the partition table anew. -EBUSY: a partition is in use. => may sleep */
int disk_scan(struct disk *disk);
/* Change the partitions without the table (BLKPG). -EBUSY: it is there, or in use, or others overlap;
 * -ENXIO: it is not there; -ERANGE: not on the disk; -EINVAL: resizing does not move. => may sleep */
int disk_add_partition(struct disk *disk, unsigned number, u64 start, u64 sectors);
int disk_delete_partition(struct disk *disk, unsigned number);
int disk_resize_partition(struct disk *disk, unsigned number, u64 start, u64 sectors);
/* BLKROSET. -EACCES: the hardware is read-only. => may sleep */
int block_set_read_only(struct block_device *device, bool read_only);
/* Visit every device that can be opened, disks with their partitions. => may sleep; fn may too */
void block_for_each(void (*fn)(struct block_device *device, void *arg), void *arg);
/* Lines of /proc/devices; /proc/diskstats; /proc/partitions */
void block_majors_show(struct seq_file *m);
void block_diskstats_show(struct seq_file *m);
void block_partitions_show(struct seq_file *m);
void block_stats_read(struct block_device *device, struct block_stats *stats);

#endif
