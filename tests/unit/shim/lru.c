/* SPDX-License-Identifier: MIT */
/* No lists of pages, and nothing remembered of them. */
#include "kernel/mm/address_space.h"
#include "kernel/mm/scan.h"

void lru_init(void)
{
}

void lru_add(struct page *page)
{
}

void lru_empty_batch(struct frame_cache *cache)
{
    cache->lru_count = 0;
}

void page_use_noted(struct page *page)
{
}

void lru_lock_for_free(void)
{
}

void lru_forget(struct page *page)
{
}

void lru_unlock_for_free(void)
{
}

void workingset_refault(const void *owner, u64 index, struct page *page)
{
}

void mark_locked(struct vma *vma, vaddr_t start, vaddr_t end, bool locked)
{
}

void lru_set_unevictable(struct page *page, bool unevictable)
{
}

void workingset_evict(const void *owner, u64 index, const struct page *page)
{
}

void lru_split(struct page *page, unsigned n)
{
    page->order = 0;
    page->flags &= ~(PG_HEAD | PG_HUGE);
}
