/* SPDX-License-Identifier: MIT */
/*
 * Lists of the pages that can be reclaimed, roughly by the time of their last use.
 *
 *                          referenced again
 *     new page --> inactive --------------> active
 *                  |  ^                       |
 *         reclaim  |  +-----------------------+   when the active list has grown too long
 *                  v
 *
 * There is a pair of lists for pages whose home is swap (anonymous memory, tmpfs: PG_SWAP_BACKED) and
 * one for pages of files, and a list for pages that cannot be reclaimed at all. The lists hold no
 * reference: a page that is freed leaves its list (kernel/mm/frames.c). New pages wait in small
 * batches, one for each processor, until they are put into their lists together; so the path of a
 * fault takes no lock.
 *
 * PG_ON_LRU    in a list, or in a batch (PG_LRU_PENDING)
 * PG_ISOLATED  taken out by somebody who has a reference and will put it back
 *
 * Which list a page belongs to its flags say: PG_UNEVICTABLE, PG_SWAP_BACKED, PG_ACTIVE; they change
 * under the lists' lock, or before a page is added, or while it is isolated.
 */
#ifndef VELLUM_LRU_H
#define VELLUM_LRU_H

#include <vellum/page.h>

enum lru_list {
    LRU_INACTIVE_ANON,
    LRU_ACTIVE_ANON,
    LRU_INACTIVE_FILE,
    LRU_ACTIVE_FILE,
    LRU_UNEVICTABLE,
    LRU_LISTS,
};

static inline enum lru_list lru_list_of(u32 flags)
{
    if (flags & PG_UNEVICTABLE)
        return LRU_UNEVICTABLE;
    return (flags & PG_SWAP_BACKED ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE) +
           (flags & PG_ACTIVE ? 1 : 0);
}

/* Frames that a list's entry stands for: a huge page is one entry. */
static inline long lru_frames(const struct page *page)
{
    return page->flags & PG_HEAD ? 1L << page->order : 1;
}

/* Frames in a list, without those in batches. */
u64 lru_count(enum lru_list list);
/* Put all processors' batches into the lists. */
void lru_empty_all_batches(void);

/* A new page, which others may know already; what decides its list is set. => a reference */
void lru_add(struct page *page);

/* Take a page out, for as long as the caller likes, and with a reference. false: it is in no list (any
 * more); nothing has changed. Any context */
bool lru_isolate(struct page *page);
/* Put isolated pages back, at the head of the list that their flags name now, and put the references. */
void lru_putback(struct page **pages, unsigned n);

/* It has been used, by read(2): the second time makes it active. */
void page_use_noted(struct page *page);
static inline void page_mark_accessed(struct page *page)
{
    u32 both = PG_REFERENCED | PG_ACTIVE;

    if (unlikely((page->flags & both) != both))
        page_use_noted(page);
}

/* Move it to the head of the active list; to the head of the inactive list; to its tail, where it is
 * looked at next (its contents have been written: any context). Nothing if it is in no list. */
void lru_activate(struct page *page);
void lru_deactivate(struct page *page);
void lru_rotate(struct page *page);
/* It is mapped locked, or is not any more: off the scan and back. */
void lru_set_unevictable(struct page *page, bool unevictable);
/* A huge page becomes n single ones, page[0] to page[n - 1], all but the first new: it is marked as one,
 * and the others join its list. => nobody adds or frees them meanwhile */
void lru_split(struct page *page, unsigned n);
/* MADV_FREE: an anonymous page that need not be written anywhere. Among the inactive file pages. */
void lru_make_lazy_free(struct page *page);

/* ---- working sets (kernel/mm/workingset.c) ---------------------------------------------------------- */

/* A page has been evicted from where `owner` and `index` say (a page cache and the page's number; a
 * swap area's entry). => any context without locks below the page cache's */
void workingset_evict(const void *owner, u64 index, const struct page *page);
/* It comes back: if it was gone so shortly that it would have stayed had it been active, it becomes so
 * (before lru_add). */
void workingset_refault(const void *owner, u64 index, struct page *page);

#endif
