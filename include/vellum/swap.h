/* SPDX-License-Identifier: MIT */
/*
 * Swap: where pages go whose only home is memory (anonymous pages, and those of tmpfs, memfd and
 * shared anonymous mappings) when there is not enough of it.
 *
 * A swap area is a device or a file that mkswap(8) has prepared: a row of slots of one page each. An
 * area's number and a slot's together are a swap entry. It stands in the place of the page wherever
 * that was named: in page-table entries (pte_is_swap), and in page caches whose home is memory.
 * Each such place is a user of the slot.
 *
 * The swap cache finds the page of a slot that is in memory and in the area at once: on its way out
 * until it has been written, on its way in, or back in and unchanged since. So all users of a slot
 * find one page, and a page that has not changed can go again without being written.
 *
 *     mapped  --swap_out()-->  in the swap cache, being written  -->  clean  --swap_out()-->  gone
 *        ^                              |                               |                      |
 *        +------------------------------+----------- fault -------------+------ read <---------+
 *
 * A page in the swap cache: PG_SWAP_CACHE is set, page->private_data is the entry, and the cache
 * holds one reference. PG_DIRTY: it is newer than its slot. All three change under the page lock.
 * An anonymous page keeps owner and index as long as it is mapped; while it is not they mean nothing
 * (read-around brings in pages before anybody knows whose they are), and the fault that maps it
 * again sets them.
 *
 * Locks: page lock > page-table lock, page cache lock > the lock of a swap area > allocators.
 */
#ifndef VELLUM_SWAP_H
#define VELLUM_SWAP_H

#include <vellum/page.h>

struct mm;
struct rmap_flush;
struct swap_area;
struct vm_fault;

/* ---- entries ------------------------------------------------------------------------------------ */

/* Number of an area, number of a slot in it; never 0. What /proc/PID/pagemap shows. */
typedef struct {
    u64 value;
} swap_entry_t;

#define SWAP_TYPE_BITS 5
#define SWAP_AREAS     (1U << SWAP_TYPE_BITS)

static inline swap_entry_t swap_entry(unsigned type, u64 slot)
{
    return (swap_entry_t){slot << SWAP_TYPE_BITS | type};
}

static inline unsigned swap_type(swap_entry_t entry)
{
    return entry.value % SWAP_AREAS;
}

static inline u64 swap_slot(swap_entry_t entry)
{
    return entry.value >> SWAP_TYPE_BITS;
}

static inline pte_t swap_to_pte(swap_entry_t entry)
{
    return pte_swap(entry.value);
}

static inline swap_entry_t swap_of_pte(pte_t pte)
{
    return (swap_entry_t){pte_swap_payload(pte)};
}

/* The slot of a page in the swap cache. => page lock, or the table's of an entry that maps it */
static inline swap_entry_t swap_of_page(const struct page *page)
{
    return (swap_entry_t){page->private_data};
}

/* ---- users of slots => any lock above the area's ------------------------------------------------ */

/* Another place names the slot, which one names already. 0, -ENOMEM */
int swap_duplicate(swap_entry_t entry);
/* One place less; the slot is free when nobody is left, and its page leaves the swap cache. */
void swap_free(swap_entry_t entry);
/* The same for n places; most lie together, and the areas' locks are taken once for many.
 * => no page lock */
void swap_free_many(const swap_entry_t *entries, unsigned n);
/* How many places name the slot. 0: it is free, or only the swap cache has it. */
unsigned swap_users(swap_entry_t entry);
/* n entries more (or fewer) in the page tables of mm: whoever stores or clears some calls this.
 * swapoff(2) looks only at address spaces that have had some. */
void mm_count_swapped(struct mm *mm, long n);
/* The end of an address space. */
void mm_forget_swapped(struct mm *mm);

/* ---- the swap cache ------------------------------------------------------------------------------- */

/* The page of a slot, with a new reference, whatever its state; or NULL. */
struct page *swap_cache_find(swap_entry_t entry);
/* If no place names the slot any more take the page out of the cache and free the slot: the page is
 * like one that never was in swap. Not while it is being written. => page lock. Was it done? */
bool swap_cache_release(struct page *page);
/* The same for those of n pages that are in the swap cache, are not locked, and that nobody but
 * the caller has a reference to. */
void swap_cache_release_unused(struct page **pages, unsigned n);

/* ---- faults (kernel/mm/swap_in.c) --------------------------------------------------------------- */

/* Bring in the page of fault->seen, a swap entry, and map it. FAULT_WAIT unless fault->waited.
 * => mm->lock read-held; may sleep */
int swap_fault(struct vm_fault *fault);
/* The page of a slot, up to date and locked, with a reference, in the swap cache; read, with its
 * neighbours, if need be. For a fault (else NULL) fault->major is set if the device has to be waited for,
 * which is left to the caller unless fault->waited: -EAGAIN, and fault->page is that page, with a reference.
 * err_ptr(): -ENOENT, the slot is not in use any more; -ENOMEM, -EIO; if `killable`, -ERESTARTSYS.
 * => may sleep */
struct page *swap_read(swap_entry_t entry, bool killable, struct vm_fault *fault);

/* ---- reclaim (kernel/mm/swap_out.c) ------------------------------------------------------------- */

#define SWAP_BATCH 64

/* Pages on their way out: gathered, so that one flush of translations serves many, and that pages
 * whose slots lie side by side are written by one request. */
struct swap_out_batch {
    struct rmap_flush *flush; /* the caller's */
    unsigned n;
    struct page *pages[SWAP_BATCH]; /* unmapped, PG_WRITEBACK, not written yet */
};

static inline void swap_out_begin(struct swap_out_batch *batch, struct rmap_flush *flush)
{
    batch->flush = flush;
    batch->n = 0;
}

/* Take the next step towards freeing the frame of an anonymous page or one with PG_SHMEM: give it a
 * slot, unmap it, write it, take it out of the swap cache.
 * => page locked, on no list, and the caller holds one reference; all stays so; may sleep for I/O
 *    0             the caller's reference is the last, and the page in no cache: after rmap_flush()
 *                  of batch->flush it may be dropped, and the frame is free
 *    -EINPROGRESS  it is being written; call again when PG_WRITEBACK is gone
 *    -EBUSY        in use: somebody else has a reference, or mapped it again
 *    -ENOSPC       no slot is free
 *    -ENOMEM       no memory for the swap cache's own needs */
int swap_out(struct swap_out_batch *batch, struct page *page);
/* Flush, and write what has been gathered. => may sleep for I/O, but not for memory */
void swap_out_finish(struct swap_out_batch *batch);
/* Is there room in swap, so that it makes sense to look for anonymous pages? */
bool swap_has_room(void);

/* ---- counting ------------------------------------------------------------------------------------- */

struct swap_counts {
    u64 total, free; /* slots */
    u64 cached;      /* pages in the swap cache */
};
void swap_counts(struct swap_counts *counts);

/* Read-around takes aligned windows of up to 2^this pages (vm.page-cluster). */
extern int swap_page_cluster;

/* ---- what mm asks of page caches (kernel/mm/page_cache_swap.c) ------------------------------------- */

/* A page of a cache whose home is memory, not mapped and in the swap cache too, leaves it: `entry`
 * takes its place (the caller has counted it as a user of the slot). 0; -EBUSY: somebody else than the
 * caches and the caller has a reference; -ENOMEM => page lock */
int page_cache_swap_out(struct page *page, swap_entry_t entry);
/* Bring back what page caches have in an area. 0, -ENOMEM, -EIO, -EINTR */
int page_caches_swap_in(unsigned type);

/* ---- areas (kernel/mm/swap_area.c; made by kernel/fs/swapon.c) -------------------------------------- */

struct swap_area_ops {
    /* Start to read (write) n pages of the swap cache from (to) their slots: what lies together goes
     * together. swap_read_done() or swap_write_done() tells the end for each page, perhaps before
     * this returns; after those of a request swap_writes_done() is called once.
     * => may sleep for requests in flight, but not for memory */
    void (*read)(struct swap_area *area, struct page **pages, unsigned n);
    void (*write)(struct swap_area *area, struct page **pages, unsigned n);
    /* Tell the device that n slots hold nothing. NULL: not wanted. => may sleep */
    void (*discard)(struct swap_area *area, u64 slot, u64 n);
};

/* Any context. error: 0 or -EIO */
void swap_read_done(struct page *page, int error);
void swap_write_done(struct page *page, int error);
void swap_writes_done(unsigned n);

struct swap_area_info {
    u64 slots, used; /* that can be used; that are */
    int priority;
    void *private_data;
};

/* A new area of `slots` slots, the header's included; 0 is never used, nor are the `n_bad` others in
 * the list. priority -1: the lowest so far, less one. Returns its number, or -EPERM (there are too
 * many), -ENOMEM. It is in use at once. */
int swap_area_add(u64 slots, const u32 *bad, unsigned n_bad, int priority,
                  const struct swap_area_ops *ops, void *private_data);
void *swap_area_data(const struct swap_area *area);
/* Bring everything back and end the area that has this private data. 0; -EINVAL: there is none, or
 * somebody else is at it; -ENOMEM, -EIO or -EINTR, and it is in use as before. */
int swap_area_remove(unsigned type, const void *private_data);
/* Facts about the area with that number. Is there one? */
bool swap_area_info(unsigned type, struct swap_area_info *info);

void swap_init(void);

struct seq_file;
int swaps_show(struct seq_file *m); /* /proc/swaps; 0 or -ENOMEM */

#endif
