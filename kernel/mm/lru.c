/* SPDX-License-Identifier: MIT */
/*
 * The lists of reclaimable pages (lru.h says what they mean).
 *
 * A page that has just been made goes into a batch of the processor: an array of slots. The page knows
 * its slot. Only the processor itself fills slots, without a lock; whoever holds the lists' lock may
 * empty them. So a page that is freed or isolated before its batch is full is simply taken out of its
 * slot, by whatever processor, and who wants to see all pages empties everybody's batches:
 *
 *     fault -> slot 3 of CPU 1 ---(16 at once, or one who looks for it)---> list
 *                 |
 *                 +---(freed before)---> slot empty
 *
 * The lock is taken with interrupts off, since pages are freed in interrupts too.
 */
#include "scan.h"
#include <vellum/string.h>
#include <vellum/sync.h>
#include <vellum/vmstat.h>

static struct {
    spinlock_t lock;              /* interrupts off; below tables' and page caches' locks */
    struct list lists[LRU_LISTS]; /* [lock] page->link; the head is the youngest */
    u64 frames[LRU_LISTS];        /* [lock] in the lists */
    struct lru_costs costs;       /* [lock] */
} lru;

/* ---- lists => lru.lock ---------------------------------------------------------------------------- */

static void link_page(struct page *page, bool at_tail)
{
    enum lru_list list = lru_list_of(page->flags);

    if (at_tail)
        list_add_tail(&page->link, &lru.lists[list]);
    else
        list_add(&page->link, &lru.lists[list]);
    lru.frames[list] += lru_frames(page);
}

static void unlink_page(struct page *page)
{
    list_del(&page->link);
    lru.frames[lru_list_of(page->flags)] -= lru_frames(page);
}

/* The slot of a page in a batch. */
static inline struct page **slot_of(struct page *page)
{
    return (struct page **)page->link.next;
}

/* Out of its list or batch. */
static void take_out(struct page *page)
{
    if (page->flags & PG_LRU_PENDING)
        WRITE_ONCE(*slot_of(page), NULL);
    else
        unlink_page(page);
}

/* From the batches of a processor into the lists. */
static void empty_slots(struct frame_cache *cache, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct page *page = smp_load_acquire(&cache->lru_slots[i]);

        if (!page)
            continue;
        cache->lru_slots[i] = NULL;
        page_flag_clear(page, PG_LRU_PENDING);
        link_page(page, false);
    }
}

static inline unsigned long lock_lists(void)
{
    return spin_lock_irqsave(&lru.lock);
}

static inline void unlock_lists(unsigned long irq)
{
    spin_unlock_irqrestore(&lru.lock, irq);
}

/* ---- adding --------------------------------------------------------------------------------------- */

void lru_empty_batch(struct frame_cache *cache)
{
    unsigned long irq = lock_lists();

    empty_slots(cache, cache->lru_count);
    cache->lru_count = 0;
    unlock_lists(irq);
}

void lru_empty_all_batches(void)
{
    unsigned long irq = lock_lists();
    struct cpu *cpu;

    cpu_for_each(cpu)
        if (cpu->frame_cache)
            empty_slots(cpu->frame_cache, LRU_SLOTS);
    unlock_lists(irq);
}

void lru_add(struct page *page)
{
    if (page->flags & (PG_ON_LRU | PG_ISOLATED))
        return; /* it comes from another cache */
    preempt_disable();
    page_flag_set(page, PG_ON_LRU | PG_LRU_PENDING);
    lru_push(page);
    preempt_enable();
}

/* ---- taking out ----------------------------------------------------------------------------------- */

void lru_lock_for_free(void)
{
    spin_lock_raw(&lru.lock);
}

void lru_unlock_for_free(void)
{
    spin_unlock_raw(&lru.lock);
}

void lru_forget(struct page *page)
{
    assert(spin_held(&lru.lock));
    take_out(page);
}

/* => lru.lock, and a reference, which goes along */
static void mark_as_isolated(struct page *page)
{
    take_out(page);
    page_flag_set(page, PG_ISOLATED); /* at every moment one of the two is set */
    page_flag_clear(page, PG_ON_LRU | PG_LRU_PENDING);
}

/* => lru.lock; its last reference may be gone, and whoever put it waits for the lock */
static bool isolate(struct page *page)
{
    if (!(page->flags & PG_ON_LRU) || !atomic_inc_not_zero(&page->refs))
        return false;
    mark_as_isolated(page);
    return true;
}

static void count_isolated(const struct page *page, long sign)
{
    if (page->flags & PG_SWAP_BACKED)
        vm_gauge_add(nr_isolated_anon, sign * lru_frames(page));
    else
        vm_gauge_add(nr_isolated_file, sign * lru_frames(page));
}

bool lru_isolate(struct page *page)
{
    unsigned long irq = lock_lists();
    bool done = isolate(page);

    if (done)
        count_isolated(page, 1);
    unlock_lists(irq);
    return done;
}

unsigned lru_isolate_tail(enum lru_list list, struct page **pages, unsigned n)
{
    unsigned long irq = lock_lists();
    struct list *link = lru.lists[list].prev, *before;
    unsigned found = 0;

    for (; found < n && link != &lru.lists[list]; link = before) {
        struct page *page = container_of(link, struct page, link);

        before = link->prev;
        if (!isolate(page))
            continue;
        count_isolated(page, 1);
        pages[found++] = page;
    }
    unlock_lists(irq);
    return found;
}

/* A single page that is in a list? One that is marked for a batch may not have got there yet. */
static inline bool is_listed(const struct page *page)
{
    return (READ_ONCE(page->flags) & (PG_ON_LRU | PG_LRU_PENDING | PG_HEAD)) == PG_ON_LRU;
}

unsigned lru_isolate_frames(pfn_t *next, pfn_t end, struct page **pages, unsigned n)
{
    unsigned long irq = lock_lists();
    struct page *other = NULL;
    unsigned found = 0;

    for (; *next < end && found < n && !other; ++*next) {
        struct page *page = pfn_to_page(*next);

        if (!is_listed(page) || !atomic_inc_not_zero(&page->refs))
            continue;
        if (is_listed(page)) {
            mark_as_isolated(page);
            count_isolated(page, 1);
            pages[found++] = page;
        } else {
            other = page; /* it was freed and is somebody's again, since we have looked at it */
        }
    }
    unlock_lists(irq);
    if (other)
        page_put(other);
    return found;
}

void lru_putback(struct page **pages, unsigned n)
{
    unsigned long irq = lock_lists();

    for (unsigned i = 0; i < n; i++) {
        assert(pages[i]->flags & PG_ISOLATED);
        count_isolated(pages[i], -1);
        page_flag_set(pages[i], PG_ON_LRU);
        page_flag_clear(pages[i], PG_ISOLATED);
        link_page(pages[i], false);
    }
    unlock_lists(irq);
    pages_put(pages, n);
}

void lru_isolated_free(struct page *page)
{
    unsigned long irq = irq_save();

    count_isolated(page, -1);
    irq_restore(irq);
    page_flag_clear(page, PG_ISOLATED);
}

void lru_split(struct page *page, unsigned n)
{
    unsigned long irq = lock_lists();
    bool isolated = page->flags & PG_ISOLATED;

    if ((page->flags & (PG_ON_LRU | PG_LRU_PENDING)) == PG_ON_LRU)
        lru.frames[lru_list_of(page->flags)] -= n - 1;
    if (isolated)
        count_isolated(page, -1);
    page->order = 0;
    page_flag_clear(page, PG_HEAD | PG_HUGE);
    if (isolated)
        count_isolated(page, 1);
    for (unsigned i = 1; i < n; i++) {
        page_flag_set(page + i, PG_ON_LRU);
        link_page(page + i, isolated); /* by reclaim: they are its next */
    }
    unlock_lists(irq);
}

/* ---- moving about --------------------------------------------------------------------------------- */

/* Change flags of a page that is in a list or batch; it goes to the head of the list they name. */
static bool change(struct page *page, u32 clear, u32 set)
{
    unsigned long irq = lock_lists();
    bool on = page->flags & PG_ON_LRU;

    if (on) {
        bool pending = page->flags & PG_LRU_PENDING;

        if (!pending)
            unlink_page(page);
        page_flag_clear(page, clear);
        page_flag_set(page, set);
        if (!pending)
            link_page(page, false);
    }
    unlock_lists(irq);
    return on;
}

void lru_activate(struct page *page)
{
    if ((page->flags & (PG_ACTIVE | PG_UNEVICTABLE)) || !change(page, PG_REFERENCED, PG_ACTIVE))
        return;
    vm_events(pgactivate, lru_frames(page));
    workingset_age(lru_frames(page));
}

void lru_deactivate(struct page *page)
{
    if (page->flags & PG_ACTIVE)
        vm_events(pgdeactivate, lru_frames(page));
    change(page, PG_ACTIVE | PG_REFERENCED, 0);
}

void lru_rotate(struct page *page)
{
    unsigned long irq = lock_lists();

    if ((page->flags & (PG_ON_LRU | PG_LRU_PENDING | PG_ACTIVE | PG_UNEVICTABLE)) == PG_ON_LRU) {
        list_move_tail(&page->link, &lru.lists[lru_list_of(page->flags)]);
        vm_event(pgrotated);
    }
    unlock_lists(irq);
}

/* Whoever has isolated it puts it into the list that its flags name then. */
static bool mark_isolated(struct page *page, bool unevictable)
{
    unsigned long irq = lock_lists();
    bool isolated = page->flags & PG_ISOLATED;

    if (isolated && unevictable)
        page_flag_set(page, PG_UNEVICTABLE);
    else if (isolated)
        page_flag_clear(page, PG_UNEVICTABLE);
    unlock_lists(irq);
    return isolated;
}

void lru_set_unevictable(struct page *page, bool unevictable)
{
    if (unevictable == !!(page->flags & PG_UNEVICTABLE) || mark_isolated(page, unevictable))
        return;
    if (unevictable)
        change(page, PG_ACTIVE, PG_UNEVICTABLE);
    else if (change(page, PG_UNEVICTABLE, 0))
        vm_event(unevictable_pgs_rescued);
}

void lru_make_lazy_free(struct page *page)
{
    if (change(page, PG_ACTIVE | PG_REFERENCED | PG_SWAP_BACKED, PG_LAZY_FREE))
        vm_events(pglazyfree, lru_frames(page));
}

void page_use_noted(struct page *page)
{
    if (!(page->flags & PG_REFERENCED))
        page_flag_set(page, PG_REFERENCED);
    else if (!(page->flags & PG_ACTIVE))
        lru_activate(page);
}

/* ---- counting ------------------------------------------------------------------------------------- */

u64 lru_count(enum lru_list list)
{
    return READ_ONCE(lru.frames[list]);
}

void lru_note_cost(bool swap_backed, u64 pages)
{
    unsigned long irq = lock_lists();

    lru_costs_add(&lru.costs, swap_backed, pages, lru.frames);
    unlock_lists(irq);
}

struct lru_costs lru_costs(void)
{
    return lru.costs;
}

__init void lru_init(void)
{
    for (unsigned i = 0; i < LRU_LISTS; i++)
        list_init(&lru.lists[i]);
}
