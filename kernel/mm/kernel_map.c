/* SPDX-License-Identifier: MIT */
/*
 * Mappings in the kernel's half of the address space.
 *
 * All address spaces share the tables below the level that arch_paging_init() has made, so a mapping
 * made here in the kernel's own table is seen everywhere. Tables made here are never freed.
 */
#include "memory.h"
#include <vellum/error.h>
#include <vellum/page_table.h>
#include <vellum/sync.h>

static DEFINE_SPINLOCK(
    map_lock); /* upper entries of the kernel's half; taken with interrupts off */

static paddr_t table_alloc(void)
{
    struct page *page;

    if (!frames_ready)
        return boot_alloc(PAGE_SIZE, PAGE_SIZE);
    page = page_alloc(ALLOC_ATOMIC | ALLOC_ZERO);
    if (!page)
        return 0;
    page->flags = PG_TABLE;
    spin_init(&page->table_lock);
    atomic_inc(&count_tables);
    return page_to_phys(page);
}

/* The entry for va at `level`; tables above are made if `make`. NULL if there is none. */
static pte_t *walk(vaddr_t va, unsigned level, bool make)
{
    pte_t *table = phys_to_virt(arch_kernel_page_table());

    for (unsigned l = PT_LEVELS - 1; l > level; l--) {
        pte_t *entry = &table[pte_index(va, l)];

        if (pte_none(pte_load(entry))) {
            paddr_t below = make ? table_alloc() : 0;

            if (!below)
                return NULL;
            pte_publish(entry, pte_table(below >> PAGE_SHIFT));
        } else if (pte_is_leaf(pte_load(entry))) {
            return NULL;
        }
        table = pte_table_of(pte_load(entry));
    }
    return &table[pte_index(va, level)];
}

pte_t *kernel_pte(vaddr_t va)
{
    return walk(va, 0, false);
}

pte_t *kernel_pte_alloc(vaddr_t va)
{
    unsigned long irq = spin_lock_irqsave(&map_lock);
    pte_t *entry = walk(va, 0, true);

    spin_unlock_irqrestore(&map_lock, irq);
    return entry;
}

int kernel_map(vaddr_t va, paddr_t phys, u64 size, unsigned prot)
{
    unsigned long irq = spin_lock_irqsave(&map_lock);
    int error = 0;

    assert(IS_ALIGNED(va | phys | size, PAGE_SIZE));
    while (size) {
        unsigned level = IS_ALIGNED(va | phys, HUGE_PAGE_SIZE) && size >= HUGE_PAGE_SIZE;
        pte_t *entry = walk(va, level, true);
        u64 step = 1UL << PT_SHIFT(level);

        if (!entry) {
            error = -ENOMEM;
            break;
        }
        assert(pte_none(pte_load(entry)));
        pte_publish(entry, pte_set_dirty(pte_set_young(pte_leaf(phys >> PAGE_SHIFT, prot, level))));
        va += step;
        phys += step;
        size -= step;
    }
    spin_unlock_irqrestore(&map_lock, irq);
    return error;
}
