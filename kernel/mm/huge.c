/* SPDX-License-Identifier: MIT */
/*
 * Huge pages.
 *
 * An entry of level 1 of the page table can map 2 MiB at once: one fault, one entry of the TLB, one
 * reference, where there were 512. Private anonymous memory gets such pages by itself wherever a
 * whole aligned 2 MiB lies in one VMA (huge_fault.c), and keeps them as long as everything happens to
 * them as a whole. When it does not (half of it is unmapped or protected, a page of it is written
 * after fork, it is to be swapped out) it is split into single pages.
 *
 *      level 1 entry                               level 1 entry
 *     +-------------+                             +-------------+
 *     | huge leaf   |----+                        | table       |---> 512 entries ---> 512 pages
 *     +-------------+    |         split          +-------------+
 *       table, kept      v        ------->          the table that was kept
 *       aside        512 frames, one reference
 *
 * One rule keeps this simple: a huge page is mapped huge by all who map it, or by none. Its head has
 * a reference for each leaf; so who holds the only one may do as he likes. Each of the other frames
 * (PG_TAIL) has one reference that is the huge page's own, and more if somebody looks at that frame
 * just now; those stay right when the page is split, so a split never has to wait or to fail.
 *
 * A split needs no memory either: every leaf came with a table, which waits in a list of its
 * level-1 table until it is needed (any of them serves any leaf of that table).
 *
 * While the leaf is being replaced it stays present, but nobody can access it. So whoever looks at
 * the entry without a lock sees a huge page or a table, never nothing; and who finds a huge page, or
 * faults, asks again under mm->table_lock.
 *
 * Splitting a page that others map too (they descend from the same exec: struct anon_family) goes
 * from one address space to the next, under family->lock. fork adds the child at the end of that list
 * before it copies entries, so no leaf is missed.
 */
#include "huge.h"
#include <vellum/error.h>
#include <vellum/list.h>
#include <vellum/sync.h>
#include <vellum/vmstat.h>

struct huge_settings huge_settings = {
    .mode = HUGE_MADVISE,
    .defrag = HUGE_DEFRAG_MADVISE,
    .use_zero_page = 1,
};

/* ---- leaves => mm->table_lock ------------------------------------------------------------------------ */

pte_t *huge_entry(struct mm *mm, vaddr_t address)
{
    pte_t *entry = page_table_upper(mm, address);

    assert(spin_held(&mm->table_lock));
    return entry && pte_is_huge(pte_load(entry)) ? entry : NULL;
}

/* Where the level-1 table of an entry keeps the tables of its leaves. */
static struct list *kept_tables(const pte_t *entry)
{
    return &virt_to_page(entry)->link;
}

void huge_map(struct mm *mm, pte_t *entry, pte_t leaf, struct page *table)
{
    assert(spin_held(&mm->table_lock) && pte_none(pte_load(entry)));
    list_add(&table->link, kept_tables(entry));
    if (!pte_special(leaf))
        atomic_add(&mm->anon_pages, HUGE_PAGES);
    pte_publish(entry, leaf);
}

static struct page *take_table(pte_t *entry)
{
    struct page *table = list_first_entry(kept_tables(entry), struct page, link);

    assert(!list_empty(kept_tables(entry)));
    list_del(&table->link);
    list_init(&table->link);
    return table;
}

struct page *huge_unmap(struct mm *mm, pte_t *entry)
{
    pte_t leaf = pte_load(entry);

    assert(spin_held(&mm->table_lock) && pte_is_huge(leaf));
    pte_store(entry, (pte_t){0});
    if (!pte_special(leaf))
        atomic_sub(&mm->anon_pages, HUGE_PAGES);
    return take_table(entry);
}

/* Put a table in the place of a leaf. => mm->table_lock */
static void replace_leaf(struct mm *mm, pte_t *entry, vaddr_t address)
{
    struct page *table = take_table(entry);
    pte_t *entries = page_to_virt(table), leaf = pte_load(entry), last;

    /* Nobody can get at it, or remembers how, while it changes its size. What the processor has
     * noted in it up to now is carried over. */
    last = pte_exchange(entry, pte_set_prot(leaf, PTE_USER));
    tlb_flush_range(mm, address, address + PAGE_SIZE);
    if (pte_young(last))
        leaf = pte_set_young(leaf);
    if (pte_dirty(last))
        leaf = pte_set_dirty(leaf);
    for (unsigned i = 0; i < HUGE_PAGES; i++)
        pte_store(&entries[i], huge_part(leaf, i));
    table->private_pages = pte_special(leaf) ? 0 : HUGE_PAGES;
    pte_publish(entry, pte_table(page_to_pfn(table)));
    vm_event(thp_split_pmd);
}

/* ---- splitting ---------------------------------------------------------------------------------------- */

/* Split the leaf of one address space, if it has one for this page; the parts get a reference each. */
static bool split_leaf(struct mm *mm, struct page *page)
{
    vaddr_t address = page->index << PAGE_SHIFT;
    pte_t *entry;
    bool found;

    spin_lock(&mm->table_lock);
    entry = huge_entry(mm, address);
    found = entry && pte_pfn(pte_load(entry)) == page_to_pfn(page);
    if (found) {
        for (unsigned i = 1; i < HUGE_PAGES; i++)
            page_get(page + i);
        replace_leaf(mm, entry, address);
    }
    spin_unlock(&mm->table_lock);
    return found;
}

int split_huge_page(struct page *page)
{
    struct anon_family *family = page->family;
    unsigned mapped = 0;
    struct mm *mm;

    spin_lock(&family->lock);
    if (!(READ_ONCE(page->flags) & PG_HUGE)) {
        spin_unlock(&family->lock);
        return 0;
    }
    /* Entries for the parts appear one address space after the other. Until all are there, each part
     * has more references than entries, so nobody takes one for his own. */
    for (unsigned i = 1; i < HUGE_PAGES; i++) {
        page[i].family = family;
        page[i].index = page->index + i;
    }
    list_for_each_entry(mm, &family->mms, family_link)
        mapped += split_leaf(mm, page);
    if (mapped)
        huge_page_separate(page);
    spin_unlock(&family->lock);
    if (!mapped)
        return -EAGAIN;
    vm_gauge_add(nr_anon_transparent_hugepages, -1);
    vm_event(thp_split_page);
    huge_page_put_parts(page);
    return 0;
}

/* The only reference is the leaf's: the parts' own become those of their entries. Nobody gets a
 * reference meanwhile: not through the leaf, whose lock we hold, nor in another way, as there is none.
 * => mm->table_lock */
static bool split_exclusive(struct mm *mm, pte_t *entry, struct page *page)
{
    if (!atomic_cmpxchg(&page->refs, 1, 0))
        return false;
    huge_page_separate(page);
    replace_leaf(mm, entry, page->index << PAGE_SHIFT);
    ref_init(&page->refs);
    vm_gauge_add(nr_anon_transparent_hugepages, -1);
    vm_event(thp_split_page);
    return true;
}

void split_huge_at(struct mm *mm, vaddr_t address)
{
    struct page *page = NULL;
    bool zeros = false;
    pte_t *entry;

    spin_lock(&mm->table_lock);
    entry = huge_entry(mm, address);
    if (entry) {
        page = pfn_to_page(pte_pfn(pte_load(entry)));
        zeros = pte_special(pte_load(entry));
        if (zeros)
            replace_leaf(mm, entry, address & HUGE_MASK); /* its reference is ours now */
        else if (split_exclusive(mm, entry, page))
            page = NULL;
        else
            page_get(page);
    }
    spin_unlock(&mm->table_lock);
    if (page) {
        if (!zeros)
            split_huge_page(page);
        page_put(page);
    }
}
