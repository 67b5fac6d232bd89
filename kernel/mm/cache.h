/* SPDX-License-Identifier: MIT */
/*
 * What the files of the page cache tell each other: page_cache.c, writeback.c, flusher.c, throttle.c.
 */
#ifndef VELLUM_MM_CACHE_H
#define VELLUM_MM_CACHE_H

#include <vellum/writeback.h>

/* A dirty page is about to be removed from its cache. => cache->lock */
void page_forget_dirty(struct page_cache *cache, struct page *page);
/* Wake the flusher: something became dirty after nothing was, or too much is. => no device lock */
void flusher_has_work(struct backing_device *device);
/* Parts of backing_register() and of the thread, for tests without threads. */
void backing_init(struct backing_device *device, const char *name);
void flusher_round(struct backing_device *device);

#endif
