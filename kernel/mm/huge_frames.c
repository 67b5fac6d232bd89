/* SPDX-License-Identifier: MIT */
/*
 * The frames of a huge page (huge.c tells what becomes of them).
 */
#include "huge.h"
#include <vellum/lru.h>
#include <vellum/sync.h>
#include <vellum/vmstat.h>

/* Of the head, what its parts inherit when they are pages of their own. */
#define INHERITED                                                                                  \
    (PG_ANON | PG_UPTODATE | PG_DIRTY | PG_REFERENCED | PG_ACTIVE | PG_SWAP_BACKED |               \
     PG_WORKINGSET | PG_UNEVICTABLE | PG_LAZY_FREE)

struct page *huge_page_alloc(unsigned flags)
{
    struct page *page = pages_alloc(HUGE_PAGE_ORDER, flags | ALLOC_MOVABLE);

    if (!page)
        return NULL;
    page->flags = PG_HEAD | PG_HUGE | PG_ANON | PG_UPTODATE | PG_SWAP_BACKED;
    for (unsigned i = 1; i < HUGE_PAGES; i++) {
        page[i].flags = PG_TAIL | PG_ANON | PG_UPTODATE;
        ref_init(&page[i].refs);
    }
    vm_gauge_add(nr_anon_transparent_hugepages, 1);
    preempt_disable();
    frames_count_anonymous(HUGE_PAGES);
    preempt_enable();
    return page;
}

/* Does somebody still look at one of the parts? => nobody can begin to */
static bool parts_are_used(struct page *page)
{
    for (unsigned i = 1; i < HUGE_PAGES; i++)
        if (atomic_read(&page[i].refs) != 1)
            return true;
    return false;
}

void huge_page_separate(struct page *page)
{
    u32 flags = READ_ONCE(page->flags) & INHERITED;

    for (unsigned i = 1; i < HUGE_PAGES; i++) {
        struct page *part = page + i;

        part->order = 0;
        part->family = page->family;
        part->index = page->index + i;
        smp_store_release(&part->flags, flags);
    }
    lru_split(page, HUGE_PAGES);
}

void huge_page_put_parts(struct page *page)
{
    struct page *pages[32];

    for (unsigned i = 0; i < HUGE_PAGES; i += ARRAY_SIZE(pages)) {
        for (unsigned k = 0; k < ARRAY_SIZE(pages); k++)
            pages[k] = page + i + k;
        pages_put(pages + !i, ARRAY_SIZE(pages) - !i);
    }
}

void huge_page_free(struct page *page)
{
    vm_gauge_add(nr_anon_transparent_hugepages, -1);
    if (unlikely(parts_are_used(page))) {
        huge_page_separate(page);
        huge_page_put_parts(page);
        pages_free(page, 0);
        return;
    }
    for (unsigned i = 1; i < HUGE_PAGES; i++) {
        atomic_set(&page[i].refs, 0);
    }
    pages_free(page, HUGE_PAGE_ORDER);
}
