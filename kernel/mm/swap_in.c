/* SPDX-License-Identifier: MIT */
/*
 * Bringing pages back from swap.
 *
 * A fault at a swap entry looks for the page in the swap cache, and if it is not there reads it, and
 * then maps it under the page lock:
 *
 *     nobody else names the slot      the access writes: ours alone, writable; it leaves the cache
 *     nor has the page                it reads: read-only, and the slot is kept: if the page is not
 *                                     written to, it can go again without being written out
 *     somebody else does              read-only; a write copies it (fault.c)
 *
 * Slots that lie together were mostly written together, and are likely to be wanted together. So the
 * neighbours within an aligned window are read at once. How large the window is depends on how many
 * of the pages that were read ahead last time have been used since: from one page, for somebody who
 * jumps about, to 2^vm.page-cluster.
 *
 * Who has used such a window to the full is held to go through what lies behind it in order, up to the
 * end of the cluster that was written in one go (swap_slots.h). He gets more started than he waits for:
 *
 *      | window, | read ahead:   | read ahead when slot * is used   |   ...
 *      | waited  | *             | *                                |
 *      | for     |               |                                  |
 *
 * An anonymous page is known by its family and its address there (rmap.c). A page that has just been
 * read belongs to nobody; who maps it first says whose it is. mremap(2) may have moved the entry of
 * one address space, while another that shares the slot has it where it was: a page can be in one
 * place alone, so who comes second gets a copy.
 */
#include "fault.h"
#include "memory.h"
#include "swap_area.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/lru.h>
#include <vellum/vmstat.h>

#define WINDOW_MAX 32 /* slots */
#define AHEAD_MAX  64 /* slots that are read ahead at once */

int swap_page_cluster = 3;

/* ---- reading ------------------------------------------------------------------------------------------ */

void swap_read_done(struct page *page, int error)
{
    page_flag_set(page, error ? PG_ERROR : PG_UPTODATE);
    page_unlock(page);
}

/* The largest window. */
static unsigned window_max(void)
{
    return min(1U << min(READ_ONCE(swap_page_cluster), 5), (unsigned)WINDOW_MAX);
}

/* How many slots to read for a fault at this one: a power of two. *stream: as many as the largest
 * window has, at least, have been used since the last one: it is worth to go on behind it. */
static unsigned window_size(struct swap_area *area, u64 slot, unsigned most, bool *stream)
{
    u64 last = __atomic_exchange_n(&area->last_fault, slot, __ATOMIC_RELAXED);
    unsigned hits = atomic_xchg(&area->hits, 0), size, before = READ_ONCE(area->window);

    if (hits)
        size = 1U << (log2_floor(hits + 1) + 1);
    else
        size = slot == last + 1 || slot + 1 == last ? 2 : 1;
    size = min(max(size, before / 2), most); /* one that jumps about is not believed at once */
    WRITE_ONCE(area->window, size);
    *stream = most > 1 && hits >= most - 1;
    return size;
}

/* An empty page in the swap cache for the slot, locked; wanted, or read ahead. err_ptr: as
 * swap_cache_add() */
static struct page *new_page(swap_entry_t entry, bool wanted)
{
    struct page *page = page_alloc(ALLOC_USER | ALLOC_MOVABLE | (wanted ? 0 : ALLOC_NORETRY));
    int error;

    if (!page)
        return err_ptr(-ENOMEM);
    page->flags = PG_LOCKED | PG_SWAP_BACKED | (wanted ? 0 : PG_READAHEAD);
    page->owner = NULL;
    page->index = 0;
    error = swap_cache_add(page, entry);
    if (error) {
        page->flags = 0;
        page_put(page);
        return err_ptr(error);
    }
    if (wanted)
        workingset_refault(swap_area_of(entry), swap_slot(entry), page);
    else
        vm_event(swap_ra);
    lru_add(page);
    return page;
}

/* Is there something in the slot that is not in memory? */
static bool worth_reading(struct swap_area *area, u64 slot)
{
    bool worth;

    spin_lock(&area->lock);
    worth = swap_slots_in_use(&area->slots, slot) && !swap_slots_cached(&area->slots, slot);
    spin_unlock(&area->lock);
    return worth;
}

/* Start reading slots of [first, end) as far as that makes sense, `most` at the most; `wanted`, if it is
 * not NULL, has been put into the cache for one of them. Returns the first that is read, or 0. The area
 * stays as long as one of its pages is in the cache and locked. */
static u64 read_slots(struct swap_area *area, u64 first, u64 end, unsigned most,
                      struct page *wanted)
{
    struct page *pages[AHEAD_MAX];
    unsigned n = 0;

    assert(most <= AHEAD_MAX);
    for (u64 slot = first; slot < end && n < most; slot++) {
        swap_entry_t entry = swap_entry(area->type, slot);

        if (wanted && entry.value == wanted->private_data) {
            page_get(wanted);
            pages[n++] = wanted;
        } else if (worth_reading(area, slot)) {
            struct page *page = new_page(entry, false);

            if (!is_err(page))
                pages[n++] = page;
        }
    }
    if (!n)
        return 0;
    first = swap_slot(swap_of_page(pages[0]));
    vm_events(pswpin, n);
    area->ops->read(area, pages, n);
    pages_put(pages, n);
    return first;
}

/* Start reading more behind what is wanted now, within the cluster. */
static void read_ahead(struct swap_area *area, u64 from, unsigned most)
{
    u64 end = min(ALIGN_UP(from, (u64)SWAP_CLUSTER), READ_ONCE(area->slots.count));
    u64 first = read_slots(area, from, end, most, NULL);

    if (!first)
        return;
    spin_lock(&area->lock);
    swap_slots_set_mark(&area->slots, first);
    spin_unlock(&area->lock);
}

/* A page that was read ahead is used. */
static void note_hit(swap_entry_t entry)
{
    struct swap_area *area = swap_area_of(entry);
    u64 slot = swap_slot(entry);
    bool marked;

    atomic_inc(&area->hits);
    vm_event(swap_ra_hit);
    spin_lock(&area->lock);
    marked = swap_slots_take_mark(&area->slots, slot);
    spin_unlock(&area->lock);
    if (marked)
        read_ahead(area, slot, AHEAD_MAX);
}

/* The slot's page is not in the cache: put one there, and start reading. Returns it with a reference;
 * err_ptr: -EEXIST, somebody else was faster; -ENOENT, -ENOMEM */
static struct page *start_reading(swap_entry_t entry)
{
    struct swap_area *area = swap_area_of(entry);
    struct page *page = new_page(entry, true);
    u64 slot = swap_slot(entry), first;
    unsigned size;
    bool stream;

    if (is_err(page))
        return page;
    size = window_size(area, slot, window_max(), &stream);
    first = ALIGN_DOWN(slot, (u64)size);
    read_slots(area, max(first, 1UL), min(first + size, READ_ONCE(area->slots.count)), size, page);
    if (stream)
        read_ahead(area, first + size, 2 * size);
    return page;
}

static struct page *find_or_read(swap_entry_t entry, struct vm_fault *fault)
{
    struct page *page = swap_cache_find(entry);

    if (!page) {
        page = start_reading(entry);
        if (!is_err(page) && fault)
            fault->major = true;
    } else if (page->flags & PG_READAHEAD) {
        page_flag_clear(page, PG_READAHEAD);
        note_hit(entry);
    }
    return page;
}

/* 0, -ERESTARTSYS and the reference is put, or -EAGAIN and it goes to the fault: see swap_read(). */
static int lock_for(struct vm_fault *fault, struct page *page, bool killable)
{
    int error = 0;

    if (fault && !fault->waited) {
        if (likely(page_trylock(page)))
            return 0;
        fault->page = page;
        return -EAGAIN;
    }
    if (killable)
        error = page_lock_killable(page);
    else
        page_lock(page);
    if (unlikely(error))
        page_put(page);
    return error;
}

struct page *swap_read(swap_entry_t entry, bool killable, struct vm_fault *fault)
{
    for (;;) {
        struct page *page = find_or_read(entry, fault);
        int error;

        if (is_err(page)) {
            if (ptr_err(page) == -EEXIST)
                continue;
            return page;
        }
        error = lock_for(fault, page, killable);
        if (unlikely(error))
            return err_ptr(error);
        if (likely((page->flags & (PG_SWAP_CACHE | PG_UPTODATE)) == (PG_SWAP_CACHE | PG_UPTODATE) &&
                   swap_of_page(page).value == entry.value))
            return page;
        if ((page->flags & (PG_SWAP_CACHE | PG_ERROR)) == (PG_SWAP_CACHE | PG_ERROR) &&
            swap_of_page(page).value == entry.value) {
            swap_cache_remove(page); /* the next one who wants it tries again */
            page_unlock(page);
            page_put(page);
            return err_ptr(-EIO);
        }
        page_unlock(page); /* it has left the cache while we waited */
        page_put(page);
    }
}

/* ---- mapping => page lock ----------------------------------------------------------------------------- */

/* Is the page the one that belongs at the fault's address, or can it be? Not if it is mapped at
 * another one. */
static bool claim(struct vm_fault *fault, struct page *page)
{
    struct anon_family *family = fault->vma->mm->family;
    u64 index = fault->address >> PAGE_SHIFT;

    if ((page->flags & PG_ANON) && page->family == family && page->index == index)
        return true;
    if ((page->flags & PG_ANON) && atomic_read(&page->refs) > 2) /* the cache's and ours */
        return false;
    page->family = family;
    page->index = index;
    if (!(page->flags & PG_ANON)) {
        __atomic_fetch_or(&page->flags, PG_ANON, __ATOMIC_RELEASE); /* it has an owner now */
        preempt_disable();
        frames_count_anonymous(1);
        preempt_enable();
    }
    return true;
}

/* Replace the swap entry by one for the page, whose reference goes to it. */
static bool map_page(struct vm_fault *fault, struct page *page, bool write)
{
    struct mm *mm = fault->vma->mm;

    if (!lock_entry(fault))
        return false;
    atomic_inc(&mm->anon_pages);
    fault->table->private_pages++;
    fault->table->swapped--;
    pte_publish(fault->pte, make_entry(fault, page, write && (fault->vma->flags & VM_WRITE)));
    unlock_entry(fault);
    mm_count_swapped(mm, -1);
    return true;
}

/* A private copy for one who finds the page mapped elsewhere in his family. */
static int map_copy(struct vm_fault *fault, struct page *page)
{
    struct page *copy = page_alloc(ALLOC_USER | ALLOC_MOVABLE);

    if (!copy)
        return FAULT_OOM;
    arch_copy_page(page_to_virt(copy), page_to_virt(page));
    copy->flags = PG_ANON | PG_UPTODATE | PG_SWAP_BACKED;
    copy->family = fault->vma->mm->family;
    copy->index = fault->address >> PAGE_SHIFT;
    preempt_disable();
    frames_count_anonymous(1);
    preempt_enable();
    lru_add(copy);
    if (map_page(fault, copy, true)) {
        swap_free(swap_of_pte(fault->seen));
        return FAULT_OK;
    }
    page_put(copy);
    return FAULT_RETRY;
}

/* Map the page of the fault's slot, which is locked; the caller's reference is his still. */
static int map_swapped(struct vm_fault *fault, struct page *page)
{
    swap_entry_t entry = swap_of_pte(fault->seen);
    bool write = fault->access & ACCESS_WRITE;
    bool alone;

    if (unlikely(!claim(fault, page)))
        return map_copy(fault, page);
    alone = swap_users(entry) == 1 && atomic_read(&page->refs) == 2;
    page_get(page);
    if (!map_page(fault, page, write && alone)) {
        page_put(page);
        return FAULT_RETRY;
    }
    if (unlikely(fault->vma->flags & VM_LOCKED))
        lru_set_unevictable(page, true);
    swap_free(entry);
    if (write || swap_is_scarce(swap_area_of(entry)) || (fault->vma->flags & VM_LOCKED))
        swap_cache_release(page);
    return write && !alone ? FAULT_RETRY : FAULT_OK; /* to be copied */
}

int swap_fault(struct vm_fault *fault)
{
    struct page *page = swap_read(swap_of_pte(fault->seen), true, fault);
    int result;

    if (is_err(page)) /* not in use any more: then the entry has changed too */
        return ptr_err(page) == -ENOENT ? FAULT_RETRY : fault_error(ptr_err(page));
    result = map_swapped(fault, page);
    page_unlock(page);
    page_put(page);
    return result;
}
