/* SPDX-License-Identifier: MIT */
/*
 * The huge page of zeros: what 2 MiB of untouched memory that may have huge pages is mapped to when they
 * are read. One for all address spaces, mapped read-only by a special leaf: like the small page of zeros
 * it counts for nobody, and no reverse map leads to it.
 *
 *      read: leaf --> 512 frames of zeros      write, or a change of a part: 512 entries --> zero_page
 *
 * It is made when it is needed for the first time. Its reference count is the number of leaves and one
 * that is ours; when there are no leaves it goes back if memory is short (a shrinker).
 */
#include "huge.h"
#include <vellum/alloc.h>
#include <vellum/sync.h>
#include <vellum/vmstat.h>

struct page *huge_zero_page; /* [lock] */
static DEFINE_SPINLOCK(lock);

/* The page with a reference more, if there is one. */
static struct page *get(void)
{
    struct page *page;

    spin_lock(&lock);
    page = huge_zero_page;
    if (page)
        page_get(page);
    spin_unlock(&lock);
    return page;
}

struct page *huge_zero_get(unsigned flags)
{
    struct page *page = get(), *made;

    if (page)
        return page;
    made = pages_alloc(HUGE_PAGE_ORDER, flags | ALLOC_USER | ALLOC_ZERO | ALLOC_NORETRY);
    if (!made) {
        vm_event(thp_zero_page_alloc_failed);
        return NULL;
    }
    spin_lock(&lock);
    page = huge_zero_page;
    if (!page) {
        page = made;
        made = NULL;
        WRITE_ONCE(huge_zero_page, page);
        vm_event(thp_zero_page_alloc);
    }
    page_get(page);
    spin_unlock(&lock);
    if (made) /* somebody else was faster */
        page_put(made);
    return page;
}

/* ---- giving it back ----------------------------------------------------------------------------- */

static u64 count(void)
{
    u64 n = 0;

    spin_lock(&lock);
    if (huge_zero_page && atomic_read(&huge_zero_page->refs) == 1)
        n = HUGE_PAGES;
    spin_unlock(&lock);
    return n;
}

static u64 scan(u64 n)
{
    struct page *page = NULL;

    spin_lock(&lock);
    /* References are taken under the lock, or by who has one: fork. */
    if (huge_zero_page && atomic_read(&huge_zero_page->refs) == 1) {
        page = huge_zero_page;
        WRITE_ONCE(huge_zero_page, NULL);
    }
    spin_unlock(&lock);
    if (!page)
        return 0;
    page_put(page);
    return HUGE_PAGES;
}

static struct shrinker shrinker = {.name = "huge zero page", .count = count, .scan = scan};

void huge_zero_init(void)
{
    shrinker_register(&shrinker);
}
