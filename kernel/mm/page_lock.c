/* SPDX-License-Identifier: MIT */
/*
 * The lock of a page: a bit in its flags. Who finds it taken sleeps in one of a few wait queues,
 * chosen by the page's address; pages are rarely waited for, so strangers in a queue do no harm.
 * Who waits for the end of writing back sleeps there too, behind the same flag: whatever ends wakes
 * all, and those for whom it was not the right thing announce themselves anew.
 */
#include "memory.h"
#include <vellum/sync.h>
#include <vellum/wait.h>

#define QUEUES 32

static struct wait_queue queues[QUEUES];

static struct wait_queue *queue_of(const struct page *page)
{
    return &queues[page_to_pfn(page) % QUEUES];
}

__init void page_lock_init(void)
{
    for (unsigned i = 0; i < QUEUES; i++)
        wait_queue_init(&queues[i]);
}

bool page_trylock(struct page *page)
{
    return !(__atomic_fetch_or(&page->flags, PG_LOCKED, __ATOMIC_ACQUIRE) & PG_LOCKED);
}

/* For the condition of a sleeper: announces it, then tries. */
static bool trylock_or_announce(struct page *page)
{
    u32 old = __atomic_fetch_or(&page->flags, PG_LOCKED | PG_WAITERS, __ATOMIC_ACQ_REL);

    return !(old & PG_LOCKED);
}

void page_lock(struct page *page)
{
    assert_may_sleep();
    if (unlikely(!page_trylock(page)))
        wait_event(queue_of(page), trylock_or_announce(page));
}

int page_lock_killable(struct page *page)
{
    assert_may_sleep();
    return page_trylock(page) ? 0 : wait_event_killable(queue_of(page), trylock_or_announce(page));
}

static bool unlocked_or_announce(struct page *page)
{
    return !(__atomic_fetch_or(&page->flags, PG_WAITERS, __ATOMIC_ACQ_REL) & PG_LOCKED);
}

int page_wait_unlocked_killable(struct page *page)
{
    assert_may_sleep();
    if (!(__atomic_load_n(&page->flags, __ATOMIC_ACQUIRE) & PG_LOCKED))
        return 0;
    return wait_event_killable(queue_of(page), unlocked_or_announce(page));
}

static bool written_or_announce(struct page *page)
{
    return !(__atomic_fetch_or(&page->flags, PG_WAITERS, __ATOMIC_ACQ_REL) & PG_WRITEBACK);
}

void page_wait_written(struct page *page)
{
    assert_may_sleep();
    if (unlikely(__atomic_load_n(&page->flags, __ATOMIC_ACQUIRE) & PG_WRITEBACK))
        wait_event(queue_of(page), written_or_announce(page));
}

void page_end_writeback(struct page *page)
{
    struct wait_queue *queue = queue_of(page);
    u32 old = __atomic_fetch_and(&page->flags, ~(PG_WRITEBACK | PG_WAITERS), __ATOMIC_RELEASE);

    assert(old & PG_WRITEBACK);
    if (unlikely(old & PG_WAITERS))
        wake_up(queue, ~0u, 0);
}

void page_unlock(struct page *page)
{
    u32 old = __atomic_fetch_and(&page->flags, ~(PG_LOCKED | PG_WAITERS), __ATOMIC_RELEASE);

    assert(old & PG_LOCKED);
    if (unlikely(old & PG_WAITERS))
        wake_up(queue_of(page), ~0u, 0);
}
