/* SPDX-License-Identifier: MIT */
/*
 * The buddy allocator (Knuth, The Art of Computer Programming, 2.5).
 *
 * Free memory is kept as blocks of 2^order frames, aligned to their size, one list for each order.
 * A larger block is halved until it fits; a freed block is joined with its buddy - the other half of
 * the block it came from, whose frame number differs in bit `order` - as long as that is free and
 * whole. Descriptors exist for whole blocks of the largest order, so a buddy's can be looked at
 * without asking whether there is memory behind it.
 *
 * One frame that cannot be moved spoils 2 MiB for ever. So those are kept together: each 2 MiB of
 * memory has a mobility, movable to begin with, and each order has a list for either kind:
 *
 *     movable      user space's pages: they can be moved, or evicted
 *     unmovable    page tables, the kernel's objects, stacks ...
 *
 * Whoever finds nothing of his kind takes the largest block of the other: if it is 2 MiB it changes its
 * mobility; if it is smaller, and he wants frames that will not move, he takes all that is free in its
 * 2 MiB, so that the next of his kind come here too, and if that is most of it, it is of his kind from
 * now on. Who wants movable frames takes no more than he needs, and leaves the rest to its kind.
 */
#include "buddy.h"
#include "scan.h"
#include <vellum/compaction.h>
#include <vellum/string.h>
#include <vellum/sync.h>

#define SECTION       HUGE_PAGES /* frames that have one mobility */
#define SECTION_ORDER HUGE_PAGE_ORDER

static struct {
    spinlock_t lock; /* taken with interrupts off */
    u64 free;        /* [lock] frames in the lists */
    /* [lock] page->link of the first frame of each free block, whose page->index is its mobility */
    struct list blocks[MOBILITIES][MAX_ORDER + 1];
    u64 count[MOBILITIES][MAX_ORDER + 1]; /* [lock] their lengths */
    u8 *sections;                         /* [lock] enum mobility, by frame number / SECTION */
    struct watermarks marks;              /* [a] min: below it requests of user space stop */
} buddy;

/* ---- blocks => buddy.lock ----------------------------------------------------------------------- */

static inline enum mobility mobility_of(pfn_t pfn)
{
    return buddy.sections[pfn / SECTION];
}

static void block_insert(struct page *page, unsigned order, enum mobility mobility)
{
    page->flags = PG_BUDDY;
    page->order = order;
    page->index = mobility;
    list_add(&page->link, &buddy.blocks[mobility][order]);
    buddy.count[mobility][order]++;
}

static void block_remove(struct page *page, unsigned order)
{
    assert(page->flags == PG_BUDDY && page->order == order);
    list_del(&page->link);
    page->flags = 0;
    buddy.count[page->index][order]--;
}

static void give(struct page *page, unsigned order)
{
    pfn_t pfn = page_to_pfn(page);

    assert(IS_ALIGNED(pfn, 1UL << order));
    buddy.free += 1UL << order;
    for (; order < MAX_ORDER; order++) {
        struct page *other = pfn_to_page(pfn ^ (1UL << order));

        if (other->flags != PG_BUDDY || other->order != order)
            break;
        block_remove(other, order);
        pfn &= ~(1UL << order);
    }
    block_insert(pfn_to_page(pfn), order, mobility_of(pfn));
}

/* Take a block of `order`, from a block of `from` that is known to exist; give the rest back. */
static struct page *split(struct list *blocks, unsigned from, unsigned order)
{
    struct page *page = list_first_entry(&blocks[from], struct page, link);
    enum mobility mobility = page->index;

    block_remove(page, from);
    while (from > order) {
        from--;
        block_insert(page + (1UL << from), from, mobility);
    }
    buddy.free -= 1UL << order;
    return page;
}

/* The lowest order >= `order` that has a free block of this kind, or -1. */
static int lowest(enum mobility mobility, unsigned order)
{
    for (; order <= MAX_ORDER; order++)
        if (buddy.count[mobility][order])
            return order;
    return -1;
}

static int highest(enum mobility mobility, unsigned order)
{
    for (int o = MAX_ORDER; o >= (int)order; o--)
        if (buddy.count[mobility][o])
            return o;
    return -1;
}

/* ---- taking from the other kind => buddy.lock ------------------------------------------------------ */

static void move_block(struct page *page, unsigned order, enum mobility mobility)
{
    block_remove(page, order);
    block_insert(page, order, mobility);
}

/* All that is free in the section that begins here. */
static void claim_section(pfn_t first, enum mobility mobility)
{
    unsigned free = 0;

    for (pfn_t pfn = first; pfn < first + SECTION;) {
        struct page *page = pfn_to_page(pfn);
        unsigned order = page->flags == PG_BUDDY ? page->order : 0;

        if (page->flags == PG_BUDDY) {
            move_block(page, order, mobility);
            free += 1U << order;
        }
        pfn += 1UL << order;
    }
    if (free >= SECTION / 2)
        buddy.sections[first / SECTION] = mobility;
}

/* There is no block of this kind. Returns the kind that has one, the caller's own if something has been
 * claimed, and in *from the order at which it is; or *from is -1. */
static enum mobility fall_back(enum mobility mobility, unsigned order, int *from)
{
    enum mobility other = !mobility;
    struct page *page;

    *from = highest(other, order);
    if (*from < 0)
        return other;
    if (*from < (int)SECTION_ORDER && mobility == MOBILITY_MOVABLE) {
        *from = lowest(other, order);
        return other;
    }
    page = list_first_entry(&buddy.blocks[other][*from], struct page, link);
    if (*from >= (int)SECTION_ORDER) {
        for (pfn_t pfn = page_to_pfn(page); pfn < page_to_pfn(page) + (1UL << *from);
             pfn += SECTION)
            buddy.sections[pfn / SECTION] = mobility;
        move_block(page, *from, mobility);
    } else {
        claim_section(ALIGN_DOWN(page_to_pfn(page), SECTION), mobility);
    }
    return mobility;
}

/* A block of at most `order`, and at least `least`; *order becomes what it is. */
static struct page *take(unsigned *order, unsigned least, enum mobility mobility, int *from)
{
    *from = lowest(mobility, least);
    if (unlikely(*from < 0))
        mobility = fall_back(mobility, least, from);
    if (unlikely(*from < 0))
        return NULL;
    *order = min(*order, (unsigned)*from);
    return split(buddy.blocks[mobility], *from, *order);
}

/* ---- allocation ------------------------------------------------------------------------------------ */

/* How many frames must stay free for others than the caller. */
static u64 kept_back(unsigned flags)
{
    if (flags & ALLOC_ATOMIC)
        return 0;
    return flags & ALLOC_USER ? buddy.marks.min : buddy.marks.min / 2;
}

/* Who should hear that a block of order `from` has been taken? */
static inline void tell(int from, unsigned order)
{
    if (unlikely(from >= (int)HUGE_PAGE_ORDER) && order < HUGE_PAGE_ORDER)
        kcompactd_note_cut();
    if (unlikely(READ_ONCE(buddy.free) < buddy.marks.low))
        kswapd_wake();
}

struct page *buddy_alloc(unsigned order, unsigned flags)
{
    unsigned long irq = spin_lock_irqsave(&buddy.lock);
    struct page *page = NULL;
    unsigned got = order;
    int from = -1;

    if (buddy.free >= (1UL << order) + kept_back(flags))
        page = take(&got, order, mobility_wanted(flags), &from);
    spin_unlock_irqrestore(&buddy.lock, irq);
    tell(from, order);
    return page;
}

unsigned buddy_alloc_frames(struct page **frames, unsigned n, unsigned flags)
{
    unsigned done = 0;
    int largest = -1;

    preempt_disable();
    spin_lock_raw(&buddy.lock);
    if (unlikely(buddy.free < kept_back(flags) + n))
        n = buddy.free > kept_back(flags);
    while (done < n) { /* in as large pieces as there are */
        unsigned order = log2_floor(n - done);
        int from;
        struct page *page = take(&order, 0, mobility_wanted(flags), &from);

        if (!page)
            break;
        largest = max(largest, from);
        for (unsigned i = 1U << order; i-- > 0;)
            frames[done++] = page + i;
    }
    spin_unlock_raw(&buddy.lock);
    tell(largest, 0);
    preempt_enable_no_resched();
    return done;
}

void buddy_free(struct page *page, unsigned order)
{
    unsigned long irq = spin_lock_irqsave(&buddy.lock);

    give(page, order);
    spin_unlock_irqrestore(&buddy.lock, irq);
}

void buddy_free_frames(struct page **frames, unsigned n)
{
    preempt_disable();
    spin_lock_raw(&buddy.lock);
    for (unsigned i = 0; i < n; i++)
        give(frames[i], 0);
    spin_unlock_raw(&buddy.lock);
    preempt_enable_no_resched();
}

/* ---- frames for compaction -------------------------------------------------------------------------- */

unsigned frames_take_free(pfn_t *next, pfn_t end, unsigned n, struct list *taken)
{
    unsigned long irq = spin_lock_irqsave(&buddy.lock);
    unsigned found = 0;

    while (*next < end && found < n && buddy.free > buddy.marks.min) {
        struct page *page = pfn_to_page(*next);
        unsigned order = page->flags == PG_BUDDY ? page->order : 0;

        if (mobility_of(*next) != MOBILITY_MOVABLE) {
            *next = ALIGN_DOWN(*next, SECTION) + SECTION;
            continue;
        }
        *next += 1UL << order;
        if (page->flags != PG_BUDDY || order >= HUGE_PAGE_ORDER)
            continue;
        block_remove(page, order);
        buddy.free -= 1UL << order;
        for (unsigned i = 0; i < 1U << order; i++)
            list_add_tail(&page[i].link, taken);
        found += 1U << order;
    }
    spin_unlock_irqrestore(&buddy.lock, irq);
    return found;
}

struct page *frames_use_taken(struct list *taken)
{
    struct page *page;

    assert(!list_empty(taken));
    page = list_first_entry(taken, struct page, link);
    list_del(&page->link);
    assert(atomic_read(&page->refs) == 0 && page->flags == 0);
    frame_debug_allocate(page);
    page->order = 0;
    ref_init(&page->refs);
    return page;
}

void frames_return_taken(struct list *taken)
{
    unsigned long irq = spin_lock_irqsave(&buddy.lock);

    while (!list_empty(taken)) {
        struct page *page = list_first_entry(taken, struct page, link);

        list_del(&page->link);
        give(page, 0);
    }
    spin_unlock_irqrestore(&buddy.lock, irq);
}

/* ---- counting ----------------------------------------------------------------------------------------- */

u64 frames_in_buddy(void)
{
    return READ_ONCE(buddy.free);
}

void frames_set_watermarks(const struct watermarks *marks)
{
    buddy.marks = *marks;
}

bool frames_are_short(void)
{
    return READ_ONCE(buddy.free) < buddy.marks.low;
}

u64 frames_reserve(void)
{
    return buddy.marks.min;
}

u64 buddy_free_blocks_of(enum mobility mobility, unsigned order)
{
    return READ_ONCE(buddy.count[mobility][order]);
}

u64 buddy_free_blocks(unsigned order)
{
    u64 n = 0;

    for (unsigned m = 0; m < MOBILITIES && order <= MAX_ORDER; m++)
        n += buddy_free_blocks_of(m, order);
    return n;
}

void buddy_count_sections(u64 count[MOBILITIES])
{
    paddr_t start;
    u64 size;

    memset(count, 0, MOBILITIES * sizeof(count[0]));
    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++) {
        pfn_t last = ((start + size) >> PAGE_SHIFT) - 1;

        for (pfn_t n = (start >> PAGE_SHIFT) / SECTION; n <= last / SECTION; n++)
            count[READ_ONCE(buddy.sections[n])]++;
    }
}

__init void buddy_init(pfn_t end)
{
    for (unsigned m = 0; m < MOBILITIES; m++)
        for (unsigned order = 0; order <= MAX_ORDER; order++)
            list_init(&buddy.blocks[m][order]);
    buddy.sections = phys_to_virt(boot_alloc(DIV_ROUND_UP(end, SECTION), 8));
    memset(buddy.sections, MOBILITY_MOVABLE, DIV_ROUND_UP(end, SECTION));
}
