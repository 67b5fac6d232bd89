/* SPDX-License-Identifier: MIT */
/* Memory without reclaim: nothing can be got back but what caches hold. */
#include "kernel/mm/scan.h"
#include <vellum/alloc.h>
#include <vellum/compaction.h>

int min_free_kbytes, watermark_scale_factor, swappiness, vfs_cache_pressure;

void watermarks_update(void)
{
    frames_set_watermarks(&(struct watermarks){.min = 128});
}

void kswapd_wake(void)
{
}

bool reclaim_direct(unsigned order)
{
    shrink_all();
    return object_caches_shrink() != 0;
}

struct page *compact_direct(unsigned order, unsigned flags)
{
    return NULL;
}

void kcompactd_wake(unsigned order)
{
}

void kcompactd_note_cut(void)
{
}
