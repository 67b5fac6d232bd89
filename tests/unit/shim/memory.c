/* SPDX-License-Identifier: MIT */
#include "shim/memory.h"
#include "unit.h"
#include <vellum/string.h>

unsigned long shim_direct_map, shim_vmemmap;
u64 shim_memory_size;

void shim_memory_init(u64 size)
{
    u64 frames;

    size = ALIGN_UP(size, PAGE_SIZE << MAX_ORDER);
    frames = size / PAGE_SIZE;

    free((void *)shim_direct_map);
    free((void *)shim_vmemmap);
    shim_memory_size = size;
    /* aligned so that blocks of every order are aligned in the direct map, too */
    shim_direct_map = (unsigned long)aligned_alloc(PAGE_SIZE << MAX_ORDER, size);
    shim_vmemmap = (unsigned long)aligned_alloc(
        PAGE_SIZE << MAX_ORDER, ALIGN_UP(frames * sizeof(struct page), PAGE_SIZE << MAX_ORDER));
    memset((void *)shim_vmemmap, 0, frames * sizeof(struct page));
}

/* The kernel's page table lies outside the arena, so that nobody can allocate it. */
paddr_t arch_kernel_page_table(void)
{
    static pte_t root[PT_ENTRIES] __aligned(PAGE_SIZE);

    return virt_to_phys(root);
}

/* No start-up code that could be given back. */
char init_start[1], init_end[1];

paddr_t image_to_phys(const void *v)
{
    return 0;
}
