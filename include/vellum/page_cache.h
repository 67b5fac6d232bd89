/* SPDX-License-Identifier: MIT */
/*
 * The page cache: the pages of one file, by index. Every inode with contents has one; read, write
 * and mmap see the same frames.
 *
 * If the file's home is a device, a page goes round like this:
 *
 *      empty, locked ---read_pages---> up to date, clean <---page_write_done--- PG_WRITEBACK
 *        |                                 |                                      ^
 *        +--(overwritten as a whole)-+     | written: page_set_dirty              | write_pages
 *                                    v     v                                      |
 *                                   PG_DIRTY ------ flusher, fsync, sync ---------+
 *
 * Reading and writing are begun here and end when the device has done its part, in any context:
 * who wants to know waits for the page's lock, or for PG_WRITEBACK. Either keeps the page in its
 * cache: removal (truncate, reclaim) waits for both.
 *
 * A page that is mapped writable into some address space is PG_DIRTY: the first write through a
 * shared mapping makes it so (vm_ops->make_writable), and before a page is written out its mappings
 * are made read-only again.
 */
#ifndef VELLUM_PAGE_CACHE_H
#define VELLUM_PAGE_CACHE_H

#include <vellum/error_sequence.h>
#include <vellum/mm.h>
#include <vellum/radix_tree.h>

struct backing_device;
struct inode;
struct page_cache;

#define PAGE_RUN 64 /* pages that read_pages and write_pages get at most */

/* What the file system, or the driver of the device, does for a cache. Runs are of adjacent indices,
 * ascending, within what page_cache_attach() says of the cache. */
struct page_cache_ops {
    /* Begin to read n pages, each locked and not up to date. page_read_done() is due for each of them,
     * from any context, also if the error is known at once. Holes, and what lies beyond the end of
     * the file, become zeros. NULL: memory is the only home, new pages are zeros (tmpfs).
     * => may sleep */
    void (*read_pages)(struct page_cache *cache, struct page **pages, unsigned n);
    /* Begin to write n pages, each with PG_WRITEBACK, not locked. page_write_done() is due for each.
     * A file system that has put off the choice of blocks (delayed allocation) chooses them now, for
     * the run as a whole. sync: somebody waits for it. => may sleep, but must not depend on memory
     * that only writing out can make free; NULL: cannot be written */
    void (*write_pages)(struct page_cache *cache, struct page **pages, unsigned n, bool sync);
    /* Bytes [pos, pos + n), within a page, are about to change, by write(2) or through a mapping:
     * reserve space, begin a transaction. 0 or -errno. If it was 0, write_end() follows in any case.
     * => may sleep; no page is locked, so that a journal may write ordered data while we wait for
     * room in it. (In write_end() one may be: do not wait for it.) Both or none; NULL: nothing to do */
    int (*write_begin)(struct page_cache *cache, u64 pos, u64 n);
    void (*write_end)(struct page_cache *cache, u64 pos, u64 n);
    /* A page is about to be added (0 or -ENOSPC; undone with removed() if adding fails); n pages have
     * been removed. May be called under the cache's lock. NULL: nothing is counted (limits of tmpfs) */
    int (*adding)(struct page_cache *cache);
    void (*removed)(struct page_cache *cache, u64 n);
};

struct page_cache {
    spinlock_t lock;             /* irqs on; guards pages, nr_pages */
    struct radix_tree pages;     /* [lock] index -> struct page, each holding a reference */
    u64 nr_pages;                /* [lock] */
    struct radix_tree swapped;   /* [lock] index -> entry of a page in swap: page_cache_swap.c */
    u64 nr_swapped;              /* [lock] */
    struct list swap_link;       /* among those that have had some; next NULL: not yet */
    struct mapping_set mappings; /* VMAs that map the file */
    const struct page_cache_ops *ops; /* [i] */
    struct inode *inode;              /* [i] */
    /* Only with a device behind it: */
    struct backing_device *backing; /* [i] NULL: nothing is written back */
    struct list link;               /* [backing->lock] among all caches of the device */
    struct list dirty_link;         /* [backing->lock] among those with dirty pages */
    u64 dirty_since;                /* [backing->lock] when the first of them became dirty, ns */
    u64 write_next;                 /* where the flusher goes on; a hint */
    error_sequence_t error;         /* [a] writing out failed: each open file is told once */
};

/* What page caches ask of the room above: whose they are. Defined in kernel/fs/inode.c. */
struct page_cache_owner_ops {
    bool (*get)(struct inode *inode); /* false: its last user has gone already */
    void (*put)(struct inode *inode); /* => may sleep */
};
extern const struct page_cache_owner_ops page_cache_owner;

void page_cache_init(struct page_cache *cache, struct inode *inode,
                     const struct page_cache_ops *ops);
/* The home of this cache, which is empty yet, is a device. */
void page_cache_attach(struct page_cache *cache, const struct page_cache_ops *ops,
                       struct backing_device *backing);
/* All pages go; => no mapping and no user left */
void page_cache_destroy(struct page_cache *cache);

static inline bool page_cache_in_memory_only(const struct page_cache *cache)
{
    return !cache->ops || !cache->ops->read_pages;
}

/* ---- for those who implement page_cache_ops: any context --------------------------------------- */

/* A page of read_pages: it has its contents (error 0: PG_UPTODATE) or not (PG_ERROR). Unlocks it; it
 * may be gone afterwards. */
void page_read_done(struct page *page, int error);
/* A page of write_pages is on the device, or error is why not: fsync(2) will tell. Clears
 * PG_WRITEBACK; the page may be gone afterwards. */
void page_write_done(struct page *page, int error);

/* The page with a new reference if it is there and up to date, else NULL. Does not sleep. */
struct page *page_cache_find(struct page_cache *cache, u64 index);
/* The same; if it is not there it is read (or made of zeros). err_ptr(-ENOMEM, -EIO; -ERESTARTSYS: a
 * fatal signal came first; -EAGAIN). => may sleep. For a fault (else NULL) fault->major is set if the device
 * has to be waited for, which is left to the caller unless fault->waited: -EAGAIN, and fault->page is the
 * page that is being read, with a reference. */
struct page *page_cache_read(struct page_cache *cache, u64 index, struct vm_fault *fault);
/* A new page, locked and empty, with a reference for the caller; err_ptr(-EEXIST, -ENOMEM ...). */
struct page *page_cache_add_empty(struct page_cache *cache, u64 index);
/* Find or create the page for writing: locked, with a reference; not necessarily up to date if
 * `whole` (the caller overwrites all of it). err_ptr on error. */
struct page *page_cache_grab(struct page_cache *cache, u64 index, bool whole);
/* Add a page of zeros if there is none, in a cache whose only home is memory. It takes its room, but does
 * not count as data (not PG_UPTODATE) until somebody asks for it. 0, -ENOMEM, -ENOSPC => may sleep */
int page_cache_reserve(struct page_cache *cache, u64 index);
/* Remove what has been reserved of pages first..last, and not used since. */
void page_cache_remove_reserved(struct page_cache *cache, u64 first, u64 last);
/* Up to n pages that are in the cache from `first` on, in order, each with a reference. */
unsigned page_cache_gang(struct page_cache *cache, u64 first, struct page **pages, unsigned n);
/* Those of first..last (at most as many as `pages` has room for) that are up to date, and have none of
 * the flags `without`, the same way. */
unsigned page_cache_gang_ready(struct page_cache *cache, u64 first, u64 last, u32 without,
                               struct page **pages);
/* Add a page that has its contents to a cache whose only home is memory; the caller keeps his
 * reference. 0, -EEXIST, -ENOMEM, -ENOSPC */
int page_cache_add_memory(struct page_cache *cache, struct page *page, u64 index);
/* The contents are newer than what the device has. Nothing to do where there is no device.
 * => page locked */
void page_set_dirty(struct page *page);
/* Remove what lies beyond `size` bytes: pages, their mappings, and the rest of the last page is
 * zeroed. The caller has set the inode's size already (so that new faults fail). => inode mutex */
void page_cache_truncate(struct page_cache *cache, u64 size);
/* Remove whole pages first..last (hole punching, invalidation); private copies stay mapped. */
void page_cache_remove_range(struct page_cache *cache, u64 first, u64 last);
/* Reclaim: take a clean page that nobody else uses out of its cache, which has a device. The caller's
 * reference is the last one then. => page lock, one reference. Was it done? */
bool page_cache_drop(struct page *page);
/* SEEK_DATA / SEEK_HOLE for files whose pages are their only home: the next byte offset >= start
 * within size, or -ENXIO. */
loff_t page_cache_seek(struct page_cache *cache, loff_t start, loff_t size, bool data);

/* In caches whose home is memory: the page at an index, brought back if it is in swap, with a
 * reference; NULL: it has none; err_ptr(-ENOMEM, -EIO; if `killable`, -ERESTARTSYS). fault: as above.
 * => may sleep */
struct page *page_cache_swap_in(struct page_cache *cache, u64 index, bool killable,
                                struct vm_fault *fault);
/* The same, for those who expect it to be in memory. */
static inline struct page *page_cache_find_data(struct page_cache *cache, u64 index, bool killable)
{
    struct page *page = page_cache_find(cache, index);

    if (likely(page || !READ_ONCE(cache->swap_link.next)))
        return page;
    return page_cache_swap_in(cache, index, killable, NULL);
}
/* Forget what is in swap of first..last. Was there anything? */
bool page_cache_remove_swapped(struct page_cache *cache, u64 first, u64 last);
/* The first index >= *index and < end that is in swap; false: there is none. */
bool page_cache_next_swapped(struct page_cache *cache, u64 *index, u64 end);
void page_cache_leave_swap(struct page_cache *cache); /* the end: nothing is left */

#endif
