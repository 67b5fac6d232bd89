/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page table: each part of the image with just the rights it needs, and all of memory in
 * the largest pages, neither executable nor, where the image's code and constants are, writable.
 *
 * The kernel's half is shared by all address spaces below the top level: the entries of the top
 * level that it uses are made here, once, and copied into each new table.
 */
#include <arch/x86.h>
#include <vellum/page.h>
#include <vellum/printk.h>
#include <vellum/string.h>

extern char image_start[], image_end[], text_start[], text_end[], rodata_start[], rodata_end[];
extern char init_text_start[], init_text_end[], data_end[], boot_stack[], boot_stack_guard[];

#define KERNEL_SLOTS 256 /* upper half of the top-level table */

static pte_t *kernel_table; /* [i] */
static paddr_t kernel_table_phys;
static u16 used_slots[KERNEL_SLOTS]; /* [i] entries of the top level that the kernel uses */
static unsigned used_slot_count;

paddr_t image_to_phys(const void *v)
{
    return (paddr_t)v - IMAGE_BASE;
}

static __init pte_t *next_table(pte_t *entry)
{
    if (pte_none(*entry))
        pte_store(entry, pte_table(boot_alloc(PAGE_SIZE, PAGE_SIZE) >> PAGE_SHIFT));
    return phys_to_virt(pte_pfn(*entry) << PAGE_SHIFT);
}

static __init pte_t *entry_at(vaddr_t va, unsigned level)
{
    pte_t *table = kernel_table;

    for (unsigned l = PT_LEVELS - 1; l > level; l--)
        table = next_table(&table[va >> PT_SHIFT(l) & (PT_ENTRIES - 1)]);
    return &table[va >> PT_SHIFT(level) & (PT_ENTRIES - 1)];
}

static __init void map(vaddr_t va, paddr_t phys, u64 size, unsigned prot)
{
    unsigned largest = x86.gigabyte_pages ? 2 : 1;

    while (size > 0) {
        unsigned level = largest;

        while (level > 0 &&
               (!IS_ALIGNED(va | phys, 1UL << PT_SHIFT(level)) || size < 1UL << PT_SHIFT(level)))
            level--;
        pte_store(entry_at(va, level), pte_leaf(phys >> PAGE_SHIFT, prot | PTE_GLOBAL, level));
        va += 1UL << PT_SHIFT(level);
        phys += 1UL << PT_SHIFT(level);
        size -= 1UL << PT_SHIFT(level);
    }
}

static __init void map_image(const char *start, const char *end, unsigned prot)
{
    map((vaddr_t)start, image_to_phys(start), end - start, prot);
}

static __init void map_direct(paddr_t start, paddr_t end, unsigned prot)
{
    if (start < end)
        map((vaddr_t)phys_to_virt(start), start, end - start, prot);
}

/* Memory of one range; code and constants of the image are not writable here either. */
static __init void map_memory(paddr_t start, paddr_t end)
{
    paddr_t fixed_start = image_to_phys(text_start), fixed_end = image_to_phys(rodata_end);

    if (end <= fixed_start || start >= fixed_end) {
        map_direct(start, end, PTE_READ | PTE_WRITE);
        return;
    }
    map_direct(start, fixed_start, PTE_READ | PTE_WRITE);
    map_direct(max(start, fixed_start), min(end, fixed_end), PTE_READ);
    map_direct(fixed_end, end, PTE_READ | PTE_WRITE);
}

__init void arch_paging_init(void)
{
    paddr_t start;
    u64 size;

    kernel_table_phys = boot_alloc(PAGE_SIZE, PAGE_SIZE);
    kernel_table = phys_to_virt(kernel_table_phys);
    map_image(text_start, text_end, PTE_READ | PTE_EXEC);
    map_image(rodata_start, rodata_end, PTE_READ);
    map_image(init_text_start, init_text_end, PTE_READ | PTE_EXEC);
    map_image(init_text_end, boot_stack_guard, PTE_READ | PTE_WRITE);
    map_image(boot_stack, data_end, PTE_READ | PTE_WRITE);
    map_image(data_end, image_end, PTE_READ);
    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++)
        map_memory(start, start + size);
    next_table(&kernel_table[VMAP_BASE >> PT_SHIFT(3) & (PT_ENTRIES - 1)]);
    next_table(&kernel_table[VMEMMAP_BASE >> PT_SHIFT(3) & (PT_ENTRIES - 1)]);
    for (unsigned i = PT_ENTRIES - KERNEL_SLOTS; i < PT_ENTRIES; i++)
        if (!pte_none(kernel_table[i]))
            used_slots[used_slot_count++] = (u16)i;
    write_cr3(kernel_table_phys);
}

paddr_t arch_kernel_page_table(void)
{
    return kernel_table_phys;
}

void arch_page_table_init(pte_t *root)
{
    for (unsigned i = 0; i < used_slot_count; i++)
        root[used_slots[i]] = kernel_table[used_slots[i]];
}

void arch_page_table_load(paddr_t root)
{
    write_cr3(root);
}

void arch_tlb_flush_page(vaddr_t va)
{
    __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

void arch_tlb_flush_user(void)
{
    write_cr3(read_cr3());
}

/* A change of CR4.PGE drops global translations too. */
void arch_tlb_flush_all(void)
{
    unsigned long flags = irq_save();
    u64 cr4 = read_cr4();

    write_cr4(cr4 & ~CR4_PGE);
    write_cr4(cr4);
    irq_restore(flags);
}
