/* SPDX-License-Identifier: MIT */
/*
 * Collapse: the single pages of an aligned 2 MiB become a huge page.
 *
 * What a fault did not get, because there was no huge page, nobody had asked for one yet, or the first
 * touch was a read, can be had later: khugepaged goes looking for such memory, and a program asks for it
 * with madvise(MADV_COLLAPSE). It goes in three steps:
 *
 *     look       mm->lock read-held: count what stands in the 512 entries; is it worth it?
 *     prepare    no lock: get a huge page; bring back from swap what is there
 *     replace    mm->lock write-held: as follows
 *
 *      level 1        table                        level 1       the old table,
 *     [ table ] ---> 512 entries --> pages        [ leaf ]      kept for a split
 *                                       \             |
 *                                        copied  -->  huge page
 *
 * With mm->lock write-held nobody faults, forks, maps or looks. There remain:
 *
 *     running threads    The entry of level 1 is cleared, and all processors forget it, before the first
 *                        page is copied. Who touches the range then waits for mm->lock.
 *     reverse maps       They go from mm->table_lock to the table's lock. The entries are counted a last
 *                        time, and the way to them cut, under both: so none is at work in the table then,
 *                        none finds it any more, and it changes no more. Reclaim that has taken one of
 *                        the pages in hand finds that it cannot be unmapped, and puts it back.
 *     who holds a page   a reference that no entry and no cache explains: he may be writing to it. The
 *                        table is put back, and the answer is "not now".
 *
 * Pages that others map too are copied like all others; theirs stay as they are. So the new page is ours
 * alone, as the rule of huge.c wants it.
 */
#include "huge.h"
#include <vellum/error.h>
#include <vellum/lru.h>
#include <vellum/rmap.h>
#include <vellum/signal.h>
#include <vellum/string.h>
#include <vellum/sync.h>
#include <vellum/vmstat.h>

#define ATTEMPTS 3 /* pages may go back to swap while others are brought in */

/* One range on its way. */
struct collapsing {
    struct mm *mm;
    vaddr_t start;
    const struct collapse_limits *limits; /* NULL: MADV_COLLAPSE */
    struct page *page;                    /* the huge page that it shall be */
    struct page *table;                   /* detached: the entries that it was */
};

/* ---- which memory => mm->lock --------------------------------------------------------------------- */

bool huge_vma_allows(const struct vma *vma, int mode)
{
    return !vma->ops && vma->has_private &&
           huge_wanted(mode, vma->flags, READ_ONCE(vma->mm->no_huge_pages));
}

static struct vma *find_vma(const struct collapsing *c)
{
    struct vma *vma = vma_find_exact(c->mm, c->start);
    int mode = c->limits ? READ_ONCE(huge_settings.mode) : HUGE_ALWAYS;

    return vma && huge_vma_allows(vma, mode) && huge_fits(vma->start, vma->end, c->start) ? vma
                                                                                          : NULL;
}

/* ---- counting => table lock ----------------------------------------------------------------------- */

/* References beside that of the one entry: others', and those of who is at it just now. */
static int other_references(const struct page *page)
{
    return atomic_read(&page->refs) - (page->flags & PG_SWAP_CACHE ? 2 : 1);
}

static void count_page(struct collapse_census *census, const struct page *page, pte_t pte,
                       bool shared, bool may_write)
{
    bool others = other_references(page) > 0;

    if (!(page->flags & PG_ANON))
        census->foreign++;
    /* What may be written is ours alone: the other is somebody who is at it. */
    if ((page->flags & PG_LOCKED) || (!shared && others && pte_write(pte)))
        census->busy++;
    if (shared || others)
        census->shared++;
    if (!shared && (pte_write(pte) || (may_write && !others))) /* compaction takes the right away */
        census->writable++;
    if (pte_young(pte) || (page->flags & (PG_REFERENCED | PG_ACTIVE)))
        census->referenced++;
}

static void take_census(struct collapse_census *census, const struct vma *vma, const pte_t *entries,
                        const struct page *table)
{
    /* No address space may write through a table that others have too. */
    bool shared = (table->flags & PG_TABLE_SHARED) && atomic_read(&table->refs) > 1;

    *census = (struct collapse_census){0};
    for (unsigned i = 0; i < HUGE_PAGES; i++) {
        pte_t pte = pte_load(&entries[i]);

        if (pte_none(pte) || (pte_present(pte) && pte_special(pte)))
            census->none++;
        else if (pte_is_swap(pte))
            census->swapped++;
        else
            count_page(census, pfn_to_page(pte_pfn(pte)), pte, shared, vma->flags & VM_WRITE);
    }
}

/* What there is instead of a table. */
static enum collapse no_table(const pte_t *upper)
{
    return upper && pte_is_huge(pte_load(upper)) ? COLLAPSE_HUGE : COLLAPSE_NO_TABLE;
}

/* Is it worth it? *swapped: how many are to be brought back. => mm->lock not held */
static enum collapse look(const struct collapsing *c, unsigned *swapped)
{
    struct collapse_census census;
    enum collapse result = COLLAPSE_NO_VMA;
    struct page *table;
    struct vma *vma;
    pte_t *entries;

    read_lock(&c->mm->lock);
    vma = find_vma(c);
    if (vma) {
        entries = page_table_lock_entry(c->mm, c->start, &table);
        if (entries) {
            take_census(&census, vma, entries, table);
            spin_unlock(&table->table_lock);
            *swapped = census.swapped;
            result = collapse_judge(&census, c->limits);
        } else {
            result = no_table(page_table_upper(c->mm, c->start));
        }
    }
    read_unlock(&c->mm->lock);
    return result;
}

/* ---- preparing => mm->lock not held --------------------------------------------------------------- */

/* The first address >= `address` in the range whose entry is one of swap, or its end. */
static vaddr_t next_swapped(const struct collapsing *c, vaddr_t address)
{
    vaddr_t end = c->start + HUGE_SIZE;
    struct page *table;
    pte_t *entry;

    read_lock(&c->mm->lock);
    entry = find_vma(c) ? page_table_lock_entry(c->mm, address, &table) : NULL;
    if (entry) {
        while (address < end && !pte_is_swap(pte_load(entry))) {
            address += PAGE_SIZE;
            entry++;
        }
        spin_unlock(&table->table_lock);
    }
    read_unlock(&c->mm->lock);
    return entry ? address : end;
}

static enum collapse swap_in(const struct collapsing *c)
{
    vaddr_t address = c->start, end = c->start + HUGE_SIZE;
    bool major;

    for (;; address += PAGE_SIZE) {
        if (address < end)
            address = next_swapped(c, address);
        if (address >= end)
            return COLLAPSE_DONE;
        if (mm_fault(c->mm, address, ACCESS_FORCE, &major) != FAULT_OK || fatal_signal_pending())
            return COLLAPSE_FAILED;
    }
}

/* ---- replacing => mm->lock write-held ------------------------------------------------------------- */

/* Cut the way to the table if it can be collapsed still. */
static enum collapse detach(struct collapsing *c, const struct vma *vma, pte_t *upper)
{
    struct collapse_census census;
    enum collapse result;
    pte_t pte;

    spin_lock(&c->mm->table_lock);
    pte = pte_load(upper);
    if (pte_is_table(pte)) {
        c->table = pfn_to_page(pte_pfn(pte));
        spin_lock(&c->table->table_lock);
        take_census(&census, vma, pte_table_of(pte), c->table);
        result = collapse_judge(&census, c->limits);
        if (result == COLLAPSE_DONE && census.swapped)
            result = COLLAPSE_BUSY;
        if (result == COLLAPSE_DONE)
            pte_store(upper, (pte_t){0});
        spin_unlock(&c->table->table_lock);
    } else {
        result = no_table(upper);
    }
    spin_unlock(&c->mm->table_lock);
    return result;
}

/* Has anybody a reference that is no entry's? A table that several share makes more of its pages' users
 * than they have references; they can only be reading. => the table is detached */
static bool somebody_is_at_it(const struct collapsing *c)
{
    const pte_t *entries = page_to_virt(c->table);

    for (unsigned i = 0; i < HUGE_PAGES; i++) {
        pte_t pte = pte_load(&entries[i]);
        struct page *page;
        int others;

        if (!pte_present(pte) || pte_special(pte))
            continue;
        page = pfn_to_page(pte_pfn(pte));
        others = other_references(page);
        if (others > 0 && (pte_write(pte) || others > (int)rmap_count(page)))
            return true;
    }
    return false;
}

static void copy_pages(const struct collapsing *c)
{
    const pte_t *entries = page_to_virt(c->table);

    for (unsigned i = 0; i < HUGE_PAGES; i++) {
        pte_t pte = pte_load(&entries[i]);
        void *part = page_to_virt(c->page + i);

        if (pte_present(pte) && !pte_special(pte))
            arch_copy_page(part, page_to_virt(pfn_to_page(pte_pfn(pte))));
        else
            arch_clear_page(part);
    }
}

/* The pages that have been copied, and what is counted for them. => the processors have forgotten them */
static void put_pages(const struct collapsing *c)
{
    const pte_t *entries = page_to_virt(c->table);
    struct tlb_batch batch;

    tlb_batch_begin(&batch, c->mm);
    for (unsigned i = 0; i < HUGE_PAGES; i++) {
        pte_t pte = pte_load(&entries[i]);
        struct page *page;

        if (!pte_present(pte) || pte_special(pte))
            continue;
        page = pfn_to_page(pte_pfn(pte));
        batch.swap_cached |= (page->flags & PG_SWAP_CACHE) != 0;
        batch.pages[batch.n++] = page;
        if (batch.n == TLB_BATCH)
            tlb_batch_flush(&batch);
    }
    tlb_batch_flush(&batch);
    atomic_sub(&c->mm->anon_pages, (long)c->table->private_pages);
    c->table->private_pages = 0;
}

/* The table goes back to its place. */
static void attach_again(const struct collapsing *c, pte_t *upper)
{
    spin_lock(&c->mm->table_lock);
    pte_publish(upper, pte_table(page_to_pfn(c->table)));
    spin_unlock(&c->mm->table_lock);
}

static void attach_huge(const struct collapsing *c, const struct vma *vma, pte_t *upper)
{
    struct page *page = c->page;
    pte_t leaf = pte_leaf(page_to_pfn(page), vma_prot(vma), 1);

    page->family = c->mm->family;
    page->index = c->start >> PAGE_SHIFT;
    if (vma->flags & VM_LOCKED)
        page->flags |= PG_UNEVICTABLE;
    if (vma->flags & VM_EXEC)
        arch_icache_sync();
    spin_lock(&c->mm->table_lock);
    lru_add(page);
    huge_map(c->mm, upper, pte_set_dirty(pte_set_young(leaf)), c->table);
    spin_unlock(&c->mm->table_lock);
}

static enum collapse replace(struct collapsing *c)
{
    struct vma *vma = find_vma(c);
    struct tlb_batch batch;
    enum collapse result;
    pte_t *upper;

    if (!vma)
        return COLLAPSE_NO_VMA;
    upper = page_table_upper(c->mm, c->start);
    if (!upper)
        return COLLAPSE_NO_TABLE;
    if (pte_is_shared(pte_load(upper)) && page_table_take_upper(c->mm, upper))
        return COLLAPSE_NO_MEMORY;
    result = detach(c, vma, upper);
    if (result != COLLAPSE_DONE)
        return result;
    tlb_batch_begin(&batch, c->mm);
    batch.start = 0; /* entries of upper levels are only forgotten when all are */
    batch.end = USER_END;
    tlb_batch_flush(&batch);
    if (somebody_is_at_it(c)) {
        attach_again(c, upper);
        return COLLAPSE_BUSY;
    }
    copy_pages(c);
    put_pages(c);
    attach_huge(c, vma, upper);
    return COLLAPSE_DONE;
}

/* ---- all of it -------------------------------------------------------------------------------------- */

static void count_refusal(enum collapse result)
{
    if (result == COLLAPSE_TOO_EMPTY)
        vm_event(thp_scan_exceed_none_pte);
    if (result == COLLAPSE_TOO_SWAPPED)
        vm_event(thp_scan_exceed_swap_pte);
    if (result == COLLAPSE_TOO_SHARED)
        vm_event(thp_scan_exceed_share_pte);
}

enum collapse huge_collapse(struct mm *mm, vaddr_t start, const struct collapse_limits *limits,
                            unsigned flags)
{
    struct collapsing c = {.mm = mm, .start = start, .limits = limits};
    unsigned swapped = 0;
    enum collapse result = look(&c, &swapped);

    if (result != COLLAPSE_DONE) {
        count_refusal(result);
        return result;
    }
    c.page = huge_page_alloc(ALLOC_USER | flags);
    if (!c.page) {
        vm_event(thp_collapse_alloc_failed);
        return COLLAPSE_NO_MEMORY;
    }
    vm_event(thp_collapse_alloc);
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (swapped)
            result = swap_in(&c);
        if (result != COLLAPSE_DONE && result != COLLAPSE_BUSY)
            break;
        write_lock(&mm->lock);
        result = replace(&c);
        write_unlock(&mm->lock);
        if (result != COLLAPSE_BUSY)
            break;
        swapped = 1; /* perhaps it was this */
    }
    if (result != COLLAPSE_DONE)
        page_put(c.page);
    return result;
}

/* ---- MADV_COLLAPSE => mm->lock not held --------------------------------------------------------------- */

/* The huge pages within [start, end), which lies in one VMA. 0 or -errno */
static int collapse_part(struct mm *mm, vaddr_t start, vaddr_t end)
{
    vaddr_t first = ALIGN_UP(start, HUGE_SIZE), last = end & HUGE_MASK;
    enum collapse result, failed = first > last ? COLLAPSE_NO_VMA : COLLAPSE_DONE;

    for (vaddr_t address = first; address < last; address += HUGE_SIZE) {
        if (fatal_signal_pending())
            return -EINTR;
        result = huge_collapse(mm, address, NULL, 0);
        if (collapse_error(result))
            failed = result;
        if (!collapse_may_go_on(result))
            break;
    }
    return collapse_error(failed);
}

int advise_collapse(struct mm *mm, vaddr_t start, vaddr_t end)
{
    bool hole = false;
    int error = 0;

    while (start < end && !error) {
        struct vma *vma;
        vaddr_t stop;

        read_lock(&mm->lock);
        vma = vma_find(mm, start);
        if (!vma || vma->start >= end) {
            error = -ENOMEM;
        } else {
            hole |= vma->start > start;
            start = max(start, vma->start);
            stop = min(end, vma->end);
            if (!huge_vma_allows(vma, HUGE_ALWAYS) || !huge_fits_somewhere(vma->start, vma->end))
                error = -EINVAL;
        }
        read_unlock(&mm->lock);
        if (!error) {
            error = collapse_part(mm, start, stop);
            start = stop;
        }
    }
    return error ? error : hole ? -ENOMEM : 0;
}
