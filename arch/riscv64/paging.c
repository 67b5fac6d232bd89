/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page table, Sv39.
 *
 * The root has 512 entries of 1 GiB each; the upper 256 are the kernel's. Those that will ever hold
 * something get their table (or 1 GiB leaf) here, before the first address space is made, and never
 * change: every other root has a copy of them, and what is mapped later is seen through all.
 *
 * The image is mapped in base pages, each section as it may be used; so is the part of the direct
 * map behind its code and constants, read-only, so that nothing is both writable and executable.
 */
#include "machine.h"
#include <vellum/mm.h>
#include <vellum/page.h>
#include <vellum/printk.h>
#include <vellum/string.h>
#include <vellum/thread.h>

#define ROOT_INDEX(va) (((va) >> PT_SHIFT(2)) & (PT_ENTRIES - 1))
#define KERNEL_RW      (PTE_READ | PTE_WRITE | PTE_GLOBAL)
#define KERNEL_RO      (PTE_READ | PTE_GLOBAL)
#define KERNEL_RX      (PTE_READ | PTE_EXEC | PTE_GLOBAL)

static pte_t kernel_root[PT_ENTRIES] __aligned(4096);
static bool accessed_by_hardware; /* [i] the harts set A and D themselves */

/* Ranges of root entries in use, for arch_page_table_init(). */
static struct {
    u16 first, count;
} root_ranges[4];

paddr_t image_to_phys(const void *v)
{
    return (vaddr_t)v - (vaddr_t)image_start + boot_image_base;
}

paddr_t arch_kernel_page_table(void)
{
    return image_to_phys(kernel_root);
}

/* The table below an entry; made if there is none. */
static pte_t *table_below(pte_t *entry)
{
    if (pte_none(*entry))
        pte_store(entry, pte_table(boot_alloc(PAGE_SIZE, PAGE_SIZE) >> PAGE_SHIFT));
    return phys_to_virt(pte_pfn(*entry) << PAGE_SHIFT);
}

/* Map [va, va + size) to pa, in the largest pages that fit. */
static void __init map_range(vaddr_t va, paddr_t pa, u64 size, unsigned prot)
{
    while (size) {
        unsigned level = PT_LEVELS - 1;
        pte_t *table = kernel_root;

        for (; level > 0; level--) {
            u64 span = 1UL << PT_SHIFT(level);
            pte_t *entry = &table[(va >> PT_SHIFT(level)) & (PT_ENTRIES - 1)];

            if (IS_ALIGNED(va | pa, span) && size >= span && pte_none(*entry))
                break;
            table = table_below(entry);
        }
        pte_store(&table[(va >> PT_SHIFT(level)) & (PT_ENTRIES - 1)],
                  pte_leaf(pa >> PAGE_SHIFT, prot, level));
        va += 1UL << PT_SHIFT(level);
        pa += 1UL << PT_SHIFT(level);
        size -= 1UL << PT_SHIFT(level);
    }
}

static void __init map_image(const char *start, const char *end, unsigned prot)
{
    map_range((vaddr_t)start, image_to_phys(start), (u64)(end - start), prot);
}

static void __init map_direct(paddr_t start, paddr_t end, unsigned prot)
{
    if (start < end)
        map_range(DIRECT_MAP_BASE + start, start, end - start, prot);
}

/* RAM, but for what of it is code and constants of the image. */
static void __init map_memory(void)
{
    paddr_t read_only = image_to_phys(image_start), writable = image_to_phys(rodata_end), start;
    u64 size;

    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++) {
        paddr_t end = start + size;

        map_direct(start, min(end, read_only), KERNEL_RW);
        map_direct(max(start, read_only), min(end, writable), KERNEL_RO);
        map_direct(max(start, writable), end, KERNEL_RW);
    }
}

/* Note that the root entries for [start, end) are in use; each gets a table if it has nothing. */
static void __init keep_root_entries(unsigned range, vaddr_t start, vaddr_t end)
{
    root_ranges[range].first = (u16)ROOT_INDEX(start);
    root_ranges[range].count = (u16)(ROOT_INDEX(end - 1) - ROOT_INDEX(start) + 1);
    for (unsigned i = 0; i < root_ranges[range].count; i++)
        table_below(&kernel_root[root_ranges[range].first + i]);
}

static void __init keep_shared_entries(void)
{
    paddr_t first = UINT64_MAX, last = 0, start;
    u64 size;

    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++) {
        first = min(first, start);
        last = max(last, start + size);
    }
    root_ranges[0].first = (u16)ROOT_INDEX(DIRECT_MAP_BASE + first);
    root_ranges[0].count = (u16)(ROOT_INDEX(DIRECT_MAP_BASE + last - 1) - root_ranges[0].first + 1);
    keep_root_entries(1, (vaddr_t)pfn_to_page(first >> PAGE_SHIFT),
                      (vaddr_t)pfn_to_page(DIV_ROUND_UP(last, PAGE_SIZE)));
    keep_root_entries(2, VMAP_BASE, VMAP_END);
    keep_root_entries(3, KERNEL_BASE, (vaddr_t)image_end);
}

/* Store to a page whose entry has neither A nor D set: does the hart set them, or fault? */
static bool __init probe_accessed_bits(void)
{
    vaddr_t va = DIRECT_MAP_BASE + DIRECT_MAP_SIZE - (1UL << PT_SHIFT(2));
    pte_t leaf = pte_leaf(image_to_phys(data_start) >> PT_SHIFT(2) << (PT_SHIFT(2) - PAGE_SHIFT),
                          KERNEL_RW, 2);
    pte_t *entry = &kernel_root[ROOT_INDEX(va)];
    u64 *word = (u64 *)(va + (image_to_phys(data_start) & ((1UL << PT_SHIFT(2)) - 1)));
    bool set;

    leaf.value &= ~(u64)(PTE_BIT_A | PTE_BIT_D);
    pte_store(entry, leaf);
    arch_tlb_flush_all();
    set = arch_put_user_64(*(u64 *)data_start, word) == 0;
    pte_store(entry, (pte_t){0});
    arch_tlb_flush_all();
    return set;
}

void arch_paging_init(void)
{
    vaddr_t uart = (vaddr_t)image_end + PAGE_SIZE;

    map_image(image_start, text_end, KERNEL_RX);
    map_image(rodata_start, rodata_end, KERNEL_RO);
    map_image(init_text_start, init_text_end, KERNEL_RX);
    map_image(init_text_end, boot_stack_guard, KERNEL_RW);
    map_image(boot_stack_guard + PAGE_SIZE, symbols_start, KERNEL_RW);
    map_image(symbols_start, image_end, KERNEL_RO);
    map_memory();
    if (early_uart_registers)
        map_range(uart, early_uart_registers, PAGE_SIZE, KERNEL_RW | PTE_DEVICE);
    keep_shared_entries();
    if (early_uart_registers)
        early_uart_map(uart);
    arch_page_table_load(arch_kernel_page_table());
    arch_tlb_flush_all();
    accessed_by_hardware = probe_accessed_bits();
}

void arch_page_table_init(pte_t *root)
{
    for (unsigned i = 0; i < ARRAY_SIZE(root_ranges); i++)
        for (unsigned k = root_ranges[i].first; k < root_ranges[i].first + root_ranges[i].count;
             k++)
            root[k] = kernel_root[k];
}

/* ---- the processor's side ------------------------------------------------------------------------- */

void arch_page_table_load(paddr_t root)
{
    csr_write(satp, SATP_SV39 | root >> PAGE_SHIFT);
    arch_tlb_flush_user();
}

void arch_tlb_flush_page(vaddr_t va)
{
    __asm__ volatile("sfence.vma %0" : : "r"(va) : "memory");
}

/* Naming an address-space identifier (ours is always 0) leaves global entries alone. */
void arch_tlb_flush_user(void)
{
    __asm__ volatile("sfence.vma zero, %0" : : "r"(0) : "memory");
}

void arch_tlb_flush_all(void)
{
    __asm__ volatile("sfence.vma" : : : "memory");
}

/* Is there an entry that allows the access, and that has faulted only for want of A or D? Then set
 * them, in one atomic step that leaves an entry that has changed meanwhile alone. */
static bool set_accessed(pte_t *slot, u32 access)
{
    pte_t old = pte_load(slot), new = pte_set_young(old);
    u64 wanted = access & ACCESS_WRITE ? PTE_BIT_W : access & ACCESS_EXEC ? PTE_BIT_X : PTE_BIT_R;

    if (!(old.value & wanted))
        return false;
    if (access & ACCESS_WRITE)
        new = pte_set_dirty(new);
    return new.value != old.value &&__atomic_compare_exchange_n(&slot->value, &old.value, new.value,
                                                                false, __ATOMIC_RELAXED,
                                                                __ATOMIC_RELAXED);
}

/* The entry that translates a user address of the current process; NULL: none. => mm->lock held, so
 * that tables stay */
static pte_t *user_entry(vaddr_t address)
{
    pte_t *table = current->mm->page_table;

    for (unsigned level = PT_LEVELS - 1;; level--) {
        pte_t *slot = &table[(address >> PT_SHIFT(level)) & (PT_ENTRIES - 1)];
        pte_t pte = pte_load(slot);

        if (!(pte.value & PTE_BIT_V))
            return NULL;
        if (level == 0 || pte_is_leaf(pte))
            return slot;
        table = phys_to_virt(pte_pfn(pte) << PAGE_SHIFT);
    }
}

bool paging_fix_accessed(vaddr_t address, u32 access)
{
    bool done = false;
    pte_t *slot;

    if (likely(accessed_by_hardware) || address >= USER_END || !current->mm || !irqs_enabled() ||
        current->preempt_count || current->nofault)
        return false;
    read_lock(&current->mm->lock);
    slot = user_entry(address);
    if (slot)
        done = set_accessed(slot, access);
    read_unlock(&current->mm->lock);
    if (done)
        arch_tlb_flush_page(address);
    return done;
}
