/* SPDX-License-Identifier: MIT */
/*
 * Memory without reclaim: no lists, nothing remembered, nothing to get back but what caches hold.
 */
#include "kernel/mm/scan.h"
#include <vellum/alloc.h>

int min_free_kbytes, watermark_scale_factor, swappiness, vfs_cache_pressure;

void watermarks_update(void)
{
    frames_set_watermarks(&(struct watermarks){.min = 110});
}

u64 watermark_default_min(u64 memory_kib)
{
    return 0;
}

void kswapd_wake(void)
{
}

bool reclaim_direct(unsigned order)
{
    shrink_all();
    return object_caches_shrink() != 0;
}

void lru_init(void)
{
}

void lru_add(struct page *page)
{
}

void lru_empty_batch(struct frame_cache *cache)
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
