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
 * Who runs it: whoever needs a large block and may wait (compact_direct); kcompactd0, for those who may
 * not, or when memory has become too fragmented; and vm.compact_memory. One makes a block at a time, takes
 * it before the next begins, and does not wait for those who go through all of memory. If it is in
 * vain, those who ask are passed by for a while, ever more of them (compact_policy.c).
 *
 * A frame belongs to one of these kinds, as its descriptor tells at a glance: free in the buddy
 * allocator, of which the migrate scanner jumps over the whole block; on the lists of reclaimable
 * pages, and so movable; all else stays where it is. Descriptors are read without a lock; what they say is
 * true at the moment at which a page is isolated, under the lists' lock, or taken from the buddy
 * allocator, under that one's.
 */
#include "buddy.h"
#include "compact_policy.h"
#include "migrate.h"
#include "scan.h"
#include <vellum/boot.h>
#include <vellum/compaction.h>
#include <vellum/error.h>
#include <vellum/signal.h>
#include <vellum/sync.h>
#include <vellum/time.h>
#include <vellum/vmstat.h>

#define BLOCK     HUGE_PAGES /* frames that the scanners treat together */
#define TAKE_FREE 64

struct compaction {
    int order;                 /* a free block of 2^order frames is wanted; -1: as many as can be */
    unsigned until_score;      /* not 0: go on until free memory is no more fragmented than that */
    pfn_t migrate;             /* the scanners: the first frame of the next block */
    pfn_t free;                /* the first frame behind the next block, downwards */
    pfn_t free_next, free_end; /* what is left of the block from which free frames are taken */
    struct list taken;         /* free frames */
    unsigned n_taken;
    struct page *pages[MIGRATE_BATCH]; /* isolated, to be moved together */
    unsigned n_pages;
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

/* Move what has been isolated. Returns whether there were frames for all of it. */
static bool move_pages(struct compaction *c)
{
    struct page *frames[MIGRATE_BATCH];
    unsigned n = c->n_pages, room = n ? min(take_free(c, n), n) : 0;

    for (unsigned i = 0; i < room; i++)
        frames[i] = frames_use_taken(&c->taken);
    c->n_taken -= room;
    c->n_pages = 0;
    if (room)
        migrate_pages(c->pages, frames, room);
    for (unsigned i = 0; i < room; i++)
        if (frames[i])
            page_put(frames[i]);
    if (room < n)
        lru_putback(c->pages + room, n - room);
    return room == n;
}

/* More pages that can be moved, from *next on. */
static void isolate(struct compaction *c, pfn_t *next, pfn_t end)
{
    pfn_t from = *next;
    unsigned n = lru_isolate_frames(next, end, c->pages + c->n_pages, MIGRATE_BATCH - c->n_pages);

    c->n_pages += n;
    vm_events(compact_migrate_scanned, *next - from);
    vm_events(compact_isolated, n);
}

/* Is it free as a whole? Then there is nothing to do. */
static bool block_is_free(pfn_t block)
{
    const struct page *page = pfn_to_page(block);

    return READ_ONCE(page->flags) == PG_BUDDY && READ_ONCE(page->order) >= HUGE_PAGE_ORDER;
}

/* Returns whether to go on with the next block. The last pages may wait for those of the next, to share
 * flushes with them, unless a single block is wanted. */
static bool empty_block(struct compaction *c, pfn_t block)
{
    pfn_t next = block, end = block + BLOCK;

    while (next < end) {
        isolate(c, &next, end);
        if (c->n_pages == MIGRATE_BATCH && !move_pages(c))
            return false;
    }
    if (c->order >= 0 && !move_pages(c))
        return false;
    frames_drain_here(); /* what has been emptied joins its neighbours */
    return true;
}

/* Does it hold frames that stay where they are? */
static bool block_is_stuck(pfn_t block)
{
    for (pfn_t pfn = block; pfn < block + BLOCK; pfn++) {
        u32 flags = READ_ONCE(pfn_to_page(pfn)->flags);

        if (flags == PG_BUDDY)
            pfn += (1UL << min(READ_ONCE(pfn_to_page(pfn)->order), MAX_ORDER)) - 1;
        else if (flags && !(flags & (PG_ON_LRU | PG_ISOLATED)))
            return true;
    }
    return false;
}

/* Is there something to gain from emptying the block? A large block needs all of it. */
static bool is_worthwhile(const struct compaction *c, pfn_t block)
{
    if (!block_exists(block) || block_is_free(block))
        return false;
    return c->order < (int)HUGE_PAGE_ORDER || !block_is_stuck(block);
}

/* ---- a run ----------------------------------------------------------------------------------------- */

static DEFINE_MUTEX(busy);     /* with a block that somebody wants */
static DEFINE_MUTEX(sweeping); /* all of memory */
static struct compact_deferral deferral = {.order_failed = MAX_ORDER + 1}; /* [busy] */
static pfn_t resume_migrate, resume_free; /* [busy] where the last run has ended; 0: at the ends */

int extfrag_threshold = 500, compaction_proactiveness = 20;

static struct free_blocks free_blocks(unsigned order)
{
    struct free_blocks free = {0};

    for (unsigned o = 0; o <= MAX_ORDER; o++) {
        u64 n = buddy_free_blocks(o);

        free.blocks += n;
        free.frames += n << o;
        if (o >= order)
            free.suitable += n << (o - order);
    }
    return free;
}

static enum compact_suitability suitability(unsigned order)
{
    struct free_blocks free = free_blocks(order);

    return compact_suitability(order, &free, zone_watermarks().low, READ_ONCE(extfrag_threshold));
}

static unsigned score(void)
{
    struct free_blocks free = free_blocks(HUGE_PAGE_ORDER);

    return fragmentation_score(HUGE_PAGE_ORDER, &free);
}

/* Is what is wanted there? */
static bool is_satisfied(const struct compaction *c)
{
    if (c->until_score)
        return score() <= c->until_score;
    return c->order >= 0 && suitability(c->order) == COMPACT_NEEDLESS;
}

/* Returns whether the scanners have met. */
static bool compact(struct compaction *c)
{
    bool more = true;

    list_init(&c->taken);
    c->n_taken = c->n_pages = 0;
    c->free_next = c->free_end = 0;
    lru_empty_all_batches();
    frames_drain_all();
    for (; more && c->migrate + BLOCK < c->free; c->migrate += BLOCK) {
        if (is_satisfied(c) || fatal_signal_pending())
            break;
        if (is_worthwhile(c, c->migrate))
            more = empty_block(c, c->migrate);
    }
    more &= move_pages(c);
    frames_return_taken(&c->taken);
    frames_drain_all();
    return c->migrate + BLOCK >= c->free || !more;
}

/* Go on where the last run ended, and from the ends once more if it ended in the middle. => busy */
static void compact_for(struct compaction *c)
{
    bool resumed = resume_migrate;

    for (;;) {
        bool met;

        memory_span(&c->migrate, &c->free);
        if (resumed) {
            c->migrate = resume_migrate;
            c->free = resume_free;
        }
        met = compact(c);
        resume_migrate = met ? 0 : c->migrate;
        resume_free = c->free;
        if (!met || !resumed || is_satisfied(c))
            return;
        resumed = false;
    }
}

/* From the ends, as far as *c wants. => busy not held */
static void sweep(struct compaction *c)
{
    mutex_lock(&sweeping);
    memory_span(&c->migrate, &c->free);
    compact(c);
    mutex_unlock(&sweeping);
}

void compact_memory(void)
{
    sweep(&(struct compaction){.order = -1});
}

/* ---- on demand ------------------------------------------------------------------------------------- */

/* One attempt to have a block. Returns whether there is one now. => busy */
static bool try_to_have(unsigned order)
{
    struct compaction c = {.order = order};

    compact_for(&c);
    if (is_satisfied(&c)) {
        compact_defer_reset(&deferral, order);
        return true;
    }
    if (!fatal_signal_pending()) /* else it has not been tried to its end */
        compact_defer(&deferral, order);
    return false;
}

/* Compact, and have what comes of it before anybody else has. => busy */
static struct page *make_block(unsigned order, unsigned flags)
{
    struct page *page = NULL;

    vm_event(compact_stall);
    if (try_to_have(order))
        page = buddy_alloc(order, flags);
    if (page)
        vm_event(compact_success);
    else
        vm_event(compact_fail);
    return page;
}

struct page *compact_direct(unsigned order, unsigned flags)
{
    struct page *page;

    /* Who gets memory back has no time for this. */
    if (current->reclaiming || suitability(order) == COMPACT_SKIPPED)
        return NULL;
    if (flags & ALLOC_COMPACT)
        mutex_lock(&busy);
    else if (!mutex_trylock(&busy)) /* it may be a lock of ours that they wait for */
        return NULL;
    page = buddy_alloc(order, flags); /* of what others have left meanwhile */
    if (!page && !compact_deferred(&deferral, order))
        page = make_block(order, flags);
    mutex_unlock(&busy);
    return page;
}

/* ---- in the background ----------------------------------------------------------------------------- */

static DEFINE_WAIT_QUEUE(kcompactd_queue);
static unsigned wanted_order; /* [a] the largest that somebody would have liked; 0: none */
static bool large_block_cut;  /* [a] since kcompactd has looked at the score */

#define PROACTIVE_PAUSE (500 * NSEC_PER_MSEC)

void kcompactd_wake(unsigned order)
{
    if (READ_ONCE(wanted_order) >= order)
        return;
    WRITE_ONCE(wanted_order, order);
    wake_up_one(&kcompactd_queue);
}

void kcompactd_note_cut(void)
{
    if (READ_ONCE(large_block_cut) || !READ_ONCE(compaction_proactiveness))
        return;
    WRITE_ONCE(large_block_cut, true);
    wake_up_one(&kcompactd_queue);
}

/* Somebody has gone without a large block: have one for the next. */
static void serve(unsigned order)
{
    vm_event(compact_daemon_wake);
    mutex_lock(&busy);
    if (suitability(order) == COMPACT_CONTINUE && !compact_deferred(&deferral, order))
        try_to_have(order);
    mutex_unlock(&busy);
}

/* Before anybody asks. If it has been of no use, it is not tried again until much has changed. */
static void be_proactive(unsigned *pause)
{
    unsigned low, high, before = score();
    struct compaction c = {.order = HUGE_PAGE_ORDER};

    proactive_marks(READ_ONCE(compaction_proactiveness), &low, &high);
    if (*pause && --*pause)
        return;
    if (before <= high || frames_in_buddy() < zone_watermarks().high)
        return;
    vm_event(compact_daemon_wake);
    c.until_score = low;
    sweep(&c);
    *pause = score() < before ? 0 : 1U << COMPACT_MAX_SHIFT;
}

static int kcompactd(void *unused)
{
    unsigned pause = 0;

    for (;;) {
        unsigned order;

        wait_event(&kcompactd_queue, READ_ONCE(wanted_order) || READ_ONCE(large_block_cut));
        order = READ_ONCE(wanted_order);
        if (order)
            serve(order);
        WRITE_ONCE(wanted_order, 0);
        (void)wait_event_state(&kcompactd_queue, READ_ONCE(wanted_order), TASK_UNINTERRUPTIBLE,
                               ktime_get() + PROACTIVE_PAUSE, false);
        if (READ_ONCE(large_block_cut)) {
            WRITE_ONCE(large_block_cut, false);
            be_proactive(&pause);
        }
    }
    return 0;
}

void __init compaction_init(void)
{
    if (is_err(kthread_start(kcompactd, NULL, "kcompactd0")))
        panic("no memory for kcompactd");
}
