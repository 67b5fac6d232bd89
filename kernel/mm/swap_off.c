/* SPDX-License-Identifier: MIT */
/*
 * Emptying a swap area: every page that is there comes back.
 *
 * Nothing tells who names a slot, so those who may are asked: each address space that has ever had
 * swap entries, once, from its first page-table entry to its last, and each page cache. While that
 * goes on new names only come from old ones (fork copies an entry, a child is visited after its
 * parent); so a second round, if one is needed at all, is short.
 */
#include "address_space.h"
#include "swap_area.h"
#include <vellum/error.h>
#include <vellum/sched.h>

#define PART 64 /* pages that are brought back under one lock */

static DEFINE_SPINLOCK(mms_lock);
static struct list mms = LIST_INIT(mms); /* [mms_lock] mm->swap_link */

void mm_count_swapped(struct mm *mm, long n)
{
    atomic_add(&mm->swap_pages, n);
    if (likely(READ_ONCE(mm->swap_link.next)))
        return;
    spin_lock(&mms_lock);
    if (!mm->swap_link.next)
        list_add_tail(&mm->swap_link, &mms);
    spin_unlock(&mms_lock);
}

void mm_forget_swapped(struct mm *mm)
{
    if (likely(!mm->swap_link.next))
        return;
    spin_lock(&mms_lock);
    list_del(&mm->swap_link);
    spin_unlock(&mms_lock);
}

/* ---- one address space -------------------------------------------------------------------------------- */

/* Bring back the page of an entry, if it is still one of the area. 0, -ENOMEM, -EIO, -EINTR
 * => mm->lock read-held */
static int bring_back(struct swap_area *area, struct vma *vma, vaddr_t address)
{
    struct vm_fault fault = {.vma = vma, .address = address, .waited = true};
    int result;

    do {
        fault.pte = page_table_make(vma->mm, address, &fault.table);
        if (!fault.pte)
            return -ENOMEM;
        fault.seen = pte_load(fault.pte);
        if (!pte_is_swap(fault.seen) || swap_area_of(swap_of_pte(fault.seen)) != area)
            return 0;
        result = swap_fault(&fault);
    } while (result == FAULT_RETRY);
    return result == FAULT_OK       ? 0
           : result == FAULT_OOM    ? -ENOMEM
           : result == FAULT_KILLED ? -EINTR
                                    : -EIO;
}

/* The first address >= `address` in the VMA whose entry is one of the area, or its end. */
static vaddr_t next_entry(struct swap_area *area, struct vma *vma, vaddr_t address)
{
    struct page *table;
    pte_t *entry;
    vaddr_t stop;

    for (;; address = stop) {
        address = page_table_lock_next(vma->mm, address, vma->end, &entry, &table);
        if (address >= vma->end)
            return address;
        stop = table_end(address, vma->end);
        if (!table) /* a huge page */
            continue;
        if (!table->swapped)
            address = stop;
        for (; address < stop; address += PAGE_SIZE, entry++)
            if (pte_is_swap(pte_load(entry)) && swap_area_of(swap_of_pte(pte_load(entry))) == area)
                break;
        spin_unlock(&table->table_lock);
        if (address < stop)
            return address;
    }
}

/* Bring back up to PART pages from *address on; *address is where to go on, USER_END at the end. */
static int empty_part(struct swap_area *area, struct mm *mm, vaddr_t *address)
{
    struct vma *vma = vma_find(mm, *address);
    int error = 0;

    if (!vma) {
        *address = USER_END;
        return 0;
    }
    *address = max(*address, vma->start);
    for (unsigned n = 0; !error && n < PART; n++) {
        *address = next_entry(area, vma, *address);
        if (*address >= vma->end)
            return 0;
        error = bring_back(area, vma, *address);
        *address += PAGE_SIZE;
    }
    return error;
}

/* The lock is not held for long at a time: the program goes on. */
static int empty_mm(struct swap_area *area, struct mm *mm)
{
    vaddr_t address = 0;
    int error = 0;

    while (!error && address < USER_END &&
           (atomic_read(&mm->swap_pages) > 0 || atomic_read(&mm->shared_tables) > 0)) {
        read_lock(&mm->lock);
        error = empty_part(area, mm, &address);
        read_unlock(&mm->lock);
        if (!error && (current->work & WORK_SIGNAL))
            error = -EINTR;
    }
    return error;
}

/* ---- all of them ---------------------------------------------------------------------------------------- */

/* The one after mm in the list, or the first, with a user reference; mm's is put. */
static struct mm *next_mm(struct mm *mm)
{
    struct list *link;
    struct mm *next = NULL;

    spin_lock(&mms_lock);
    for (link = mm ? mm->swap_link.next : mms.next; link != &mms; link = link->next) {
        struct mm *m = container_of(link, struct mm, swap_link);

        if (mm_get_not_zero(m)) {
            next = m;
            break;
        }
    }
    spin_unlock(&mms_lock);
    if (mm)
        mm_put(mm);
    return next;
}

static int empty_mms(struct swap_area *area)
{
    struct mm *mm = NULL;
    int error = 0;

    while ((mm = next_mm(mm))) {
        error = empty_mm(area, mm);
        if (error) {
            mm_put(mm);
            break;
        }
    }
    return error;
}

/* Pages that are in memory, and whose slots nobody names any more, need no slot. */
static void empty_cache(struct swap_area *area)
{
    struct page *pages[16];
    u64 next = 0;
    unsigned n;

    while ((n = swap_cache_gang(area, &next, pages, ARRAY_SIZE(pages))))
        for (unsigned i = 0; i < n; i++) {
            page_lock(pages[i]);
            page_wait_written(pages[i]);
            swap_cache_release(pages[i]);
            page_unlock(pages[i]);
            page_put(pages[i]);
        }
}

static bool is_empty(struct swap_area *area)
{
    bool empty;

    spin_lock(&area->lock);
    empty = area->slots.free == swap_slots_usable(&area->slots) && !area->discarding;
    spin_unlock(&area->lock);
    return empty;
}

int swap_empty(struct swap_area *area)
{
    int error = 0;

    while (!error && !is_empty(area)) {
        error = empty_mms(area);
        if (!error)
            error = page_caches_swap_in(area->type);
        if (!error) {
            empty_cache(area);
            sched_yield_current();
        }
        if (!error && (current->work & WORK_SIGNAL))
            error = -EINTR;
    }
    return error;
}
