/* SPDX-License-Identifier: MIT */
/*
 * Compaction. Memory may be free and yet in pieces too small for a huge page. Then pages are moved
 * (migrate.c), so that the holes come together. Two scanners go towards each other, block of 2 MiB by
 * block of 2 MiB:
 *
 *     first frame                                                             last frame
 *     |                                                                                |
 *     | # . # # . . # | . # . . # # . |  ...      ...  | # . . # . # . | # # # . # # # |
 *       migrate ---->                                                   <---- free
 *       takes pages that can be moved                        takes free frames for them
 *
 *     |   free        |   free        |  ...      ...  | # # # # # # # | # # # # # # # |
 *
 * Where they meet it is done, if it has not ended before because a block of the wanted size is there.
 * Mel Gorman described it in "Memory compaction", 2010 (Linux 2.6.35).
 *
 * A frame belongs to one of these kinds, as its descriptor tells at a glance: free in the buddy
 * allocator, of which the migrate scanner jumps over the whole block; on the lists of reclaimable
 * pages, and so movable; all else stays where it is. Descriptors are read without a lock; what they say is
 * true at the moment at which a page is isolated, under the lists' lock, or taken from the buddy
 * allocator, under that one's.
 */
#include "migrate.h"
#include "scan.h"
#include <vellum/compaction.h>
#include <vellum/signal.h>
#include <vellum/sync.h>
#include <vellum/vmstat.h>

#define BLOCK     HUGE_PAGES /* frames that the scanners treat together */
#define TAKE_FREE 64

struct compaction {
    int order;                 /* a free block of 2^order frames is wanted; -1: as many as can be */
    pfn_t migrate;             /* the scanners: the first frame of the next block */
    pfn_t free;                /* the first frame behind the next block, downwards */
    pfn_t free_next, free_end; /* what is left of the block from which free frames are taken */
    struct list taken;         /* free frames */
    unsigned n_taken;
};

/* ---- where memory is ------------------------------------------------------------------------------- */

static void memory_span(pfn_t *first, pfn_t *end)
{
    paddr_t start;
    u64 size;

    *first = *end = 0;
    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++) {
        if (i == 0)
            *first = ALIGN_DOWN(start >> PAGE_SHIFT, BLOCK);
        *end = ALIGN_UP((start + size) >> PAGE_SHIFT, BLOCK);
    }
}

/* Is there memory in a block, and so a descriptor for each of its frames? */
static bool block_exists(pfn_t block)
{
    paddr_t start;
    u64 size;

    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++)
        if (start >> PAGE_SHIFT < block + BLOCK && (start + size) >> PAGE_SHIFT > block)
            return true;
    return false;
}

/* ---- the free scanner ------------------------------------------------------------------------------ */

/* Go on to the next block downwards. Returns whether there is one above the other scanner's. */
static bool next_free_block(struct compaction *c)
{
    do {
        if (c->free < c->migrate + 2 * BLOCK)
            return false;
        c->free -= BLOCK;
    } while (!block_exists(c->free));
    c->free_next = c->free;
    c->free_end = c->free + BLOCK;
    return true;
}

/* Have n free frames at hand. Returns how many there are. */
static unsigned take_free(struct compaction *c, unsigned n)
{
    while (c->n_taken < n) {
        pfn_t from = c->free_next;

        if (from >= c->free_end) {
            if (!next_free_block(c))
                break;
            continue;
        }
        c->n_taken += frames_take_free(&c->free_next, c->free_end, TAKE_FREE, &c->taken);
        vm_events(compact_free_scanned, c->free_next - from);
        if (c->free_next == from) /* memory is short */
            break;
    }
    return c->n_taken;
}

/* ---- the migrate scanner --------------------------------------------------------------------------- */

/* Move these isolated pages. Returns whether there were frames for all of them. */
static bool move_pages(struct compaction *c, struct page **pages, unsigned n)
{
    struct page *frames[MIGRATE_BATCH];
    unsigned room = min(take_free(c, n), n);

    for (unsigned i = 0; i < room; i++)
        frames[i] = frames_use_taken(&c->taken);
    c->n_taken -= room;
    migrate_pages(pages, frames, room);
    for (unsigned i = 0; i < room; i++)
        if (frames[i])
            page_put(frames[i]);
    lru_putback(pages + room, n - room);
    return room == n;
}

/* Pages of a block that can be moved, from *next on. */
static unsigned isolate(pfn_t *next, pfn_t end, struct page **pages)
{
    pfn_t from = *next;
    unsigned n = lru_isolate_frames(next, end, pages, MIGRATE_BATCH);

    vm_events(compact_migrate_scanned, *next - from);
    vm_events(compact_isolated, n);
    return n;
}

/* Is it free as a whole? Then there is nothing to do. */
static bool block_is_free(pfn_t block)
{
    const struct page *page = pfn_to_page(block);

    return READ_ONCE(page->flags) == PG_BUDDY && READ_ONCE(page->order) >= HUGE_PAGE_ORDER;
}

/* Returns whether to go on with the next block. */
static bool empty_block(struct compaction *c, pfn_t block)
{
    struct page *pages[MIGRATE_BATCH];
    pfn_t next = block, end = block + BLOCK;
    unsigned n;

    while (next < end) {
        n = isolate(&next, end, pages);
        if (n && !move_pages(c, pages, n))
            return false;
    }
    frames_drain_here(); /* what has been emptied joins its neighbours */
    return true;
}

/* ---- a run ----------------------------------------------------------------------------------------- */

static void compact(struct compaction *c)
{
    list_init(&c->taken);
    lru_empty_all_batches();
    frames_drain_all();
    for (; c->migrate + BLOCK < c->free && !fatal_signal_pending(); c->migrate += BLOCK)
        if (block_exists(c->migrate) && !block_is_free(c->migrate) && !empty_block(c, c->migrate))
            break;
    frames_return_taken(&c->taken);
}

void compact_memory(void)
{
    struct compaction c = {.order = -1};

    memory_span(&c.migrate, &c.free);
    compact(&c);
}
