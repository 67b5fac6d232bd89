/* SPDX-License-Identifier: MIT */
/*
 * Page frames without the buddy allocator, for tests of what stands above it:
 * frames in the order of a free list, single ones only.
 */
#include "shim/pages.h"
#include "shim/memory.h"
#include "unit.h"
#include <vellum/string.h>

static struct list free_frames = LIST_INIT(free_frames);
u64 shim_frames_in_use;

void shim_pages_init(u64 size)
{
    shim_memory_init(size);
    list_init(&free_frames);
    shim_frames_in_use = 0;
    for (pfn_t pfn = 0; pfn < size / PAGE_SIZE; pfn++)
        list_add_tail(&pfn_to_page(pfn)->link, &free_frames);
}

struct page *pages_alloc(unsigned order, unsigned flags)
{
    struct page *page = list_first_entry_or_null(&free_frames, struct page, link);

    assert(order == 0);
    if (!page)
        return NULL;
    list_del(&page->link);
    *page = (struct page){0};
    ref_init(&page->refs);
    memset(page_to_virt(page), flags & ALLOC_ZERO ? 0 : 0xa5, PAGE_SIZE);
    shim_frames_in_use++;
    return page;
}

void pages_free(struct page *page, unsigned order)
{
    list_add(&page->link, &free_frames);
    shim_frames_in_use--;
}

void page_free_last(struct page *page)
{
    pages_free(page, 0);
}

void pages_put(struct page **pages, unsigned n)
{
    while (n--)
        page_put(pages[n]);
}
