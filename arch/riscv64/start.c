/* SPDX-License-Identifier: MIT */
/*
 * What the device tree says of memory and of how we were started. boot.S calls boot_start() on the
 * boot hart with all of physical memory mapped.
 */
#include "machine.h"
#include <vellum/boot.h>
#include <vellum/page.h>
#include <vellum/printk.h>
#include <vellum/string.h>
#include <vellum/thread.h>

#define FDT_LIMIT (4UL << 20) /* a larger device tree is taken for garbage */

struct fdt device_tree;
struct arch_cpu boot_arch_cpu;
paddr_t boot_image_base;

static u64 random_seed[8]; /* what of chosen/rng-seed has not been used yet */
static unsigned random_left;

int boot_cpu_node(u64 hart)
{
    int node = fdt_first_child(&device_tree, fdt_find_path(&device_tree, "/cpus"));
    u32 length;

    for (; node != FDT_NONE; node = fdt_next_sibling(&device_tree, node)) {
        const void *reg = fdt_property(&device_tree, node, "reg", &length);

        if (reg && (length == 4 || length == 8) && fdt_cells(reg, length / 4) == hart)
            break;
    }
    return node;
}

/* ---- memory ------------------------------------------------------------------------------------- */

/* The index-th range that memory must not be used of: reservations, and children of
 * /reserved-memory. no_map: it must not be mapped either (firmware protects it). */
static bool __init reserved_range(unsigned index, paddr_t *start, u64 *size, bool *no_map)
{
    int parent = fdt_find_path(&device_tree, "/reserved-memory"), node;

    *no_map = false;
    if (fdt_reservation(&device_tree, index, start, size))
        return true;
    for (unsigned i = 0; fdt_reservation(&device_tree, i, start, size); i++)
        index--;
    for (node = fdt_first_child(&device_tree, parent); node != FDT_NONE;
         node = fdt_next_sibling(&device_tree, node))
        for (unsigned i = 0; fdt_reg(&device_tree, node, i, start, size); i++)
            if (index-- == 0) {
                *no_map = fdt_property(&device_tree, node, "no-map", NULL);
                return true;
            }
    return false;
}

/* [start, end) is memory but for ranges that must not be mapped, from the index-th on. */
static void __init add_memory(paddr_t start, paddr_t end, unsigned index)
{
    paddr_t hole;
    u64 size;
    bool no_map;

    end = min(end, (paddr_t)DIRECT_MAP_SIZE - (1UL << PT_SHIFT(2)));
    for (; start < end && reserved_range(index, &hole, &size, &no_map); index++) {
        if (!no_map || size == 0 || hole >= end || hole + size <= start)
            continue;
        if (start < hole)
            add_memory(start, hole, index + 1);
        start = hole + size;
    }
    if (start < end)
        boot_memory_add(start, end - start);
}

static void __init find_memory(paddr_t fdt)
{
    int node = FDT_NONE;
    paddr_t start;
    bool no_map;
    u64 size;

    while ((node = fdt_next(&device_tree, node)) != FDT_NONE) {
        const char *type = fdt_string(&device_tree, node, "device_type");

        if (!type || strcmp(type, "memory") != 0 || !fdt_is_enabled(&device_tree, node))
            continue;
        for (unsigned i = 0; fdt_reg(&device_tree, node, i, &start, &size); i++)
            add_memory(start, start + size, 0);
    }
    for (unsigned i = 0; reserved_range(i, &start, &size, &no_map); i++)
        boot_memory_reserve(start, size);
    boot_memory_reserve(boot_image_base, (u64)(image_end - image_start));
    boot_memory_reserve(machine_range[0], machine_range[1] - machine_range[0]);
    boot_memory_reserve(fdt, device_tree.total_size);
}

/* ---- /chosen --------------------------------------------------------------------------------------- */

static void __init read_chosen(void)
{
    int chosen = fdt_find_path(&device_tree, "/chosen");
    const char *arguments = fdt_string(&device_tree, chosen, "bootargs");
    u32 length;
    const u8 *seed = fdt_property(&device_tree, chosen, "rng-seed", &length);

    if (arguments)
        strlcpy(boot_info.command_line, arguments, sizeof(boot_info.command_line));
    boot_info.initrd_start = fdt_number(&device_tree, chosen, "linux,initrd-start", 0);
    boot_info.initrd_end = fdt_number(&device_tree, chosen, "linux,initrd-end", 0);
    if (boot_info.initrd_end <= boot_info.initrd_start)
        boot_info.initrd_start = boot_info.initrd_end = 0;
    else
        boot_memory_reserve_initrd(boot_info.initrd_start,
                                   boot_info.initrd_end - boot_info.initrd_start);
    if (seed) {
        random_left = min_t(unsigned, length / 8, ARRAY_SIZE(random_seed));
        memcpy(random_seed, seed, 8 * random_left);
        memset((void *)seed, 0, length); /* nobody is to read it from there */
    }
}

/* Will the final direct map reach it? Not what lies above the limit that mem= sets. */
static bool __init in_memory(paddr_t start, u64 size)
{
    paddr_t range;
    u64 range_size;

    for (unsigned i = 0; boot_memory_range(i, &range, &range_size); i++)
        if (start >= range && start - range < range_size && size <= range_size - (start - range))
            return true;
    return false;
}

/* We read the device tree as long as we run, and the initrd once. */
static void __init keep_reachable(paddr_t fdt)
{
    u32 size = device_tree.total_size;

    if (!in_memory(fdt, size)) {
        boot_info.firmware_table = boot_alloc(size, PAGE_SIZE);
        memcpy(phys_to_virt(boot_info.firmware_table), phys_to_virt(fdt), size);
        if (fdt_open(&device_tree, phys_to_virt(boot_info.firmware_table), size) != 0)
            panic("the device tree has changed under our eyes");
    }
    if (boot_info.initrd_end &&
        !in_memory(boot_info.initrd_start, boot_info.initrd_end - boot_info.initrd_start)) {
        pr_err("the initrd lies outside of the memory that is used: ignored");
        boot_info.initrd_start = boot_info.initrd_end = 0;
    }
}

bool arch_random(u64 *out)
{
    if (random_left == 0)
        return false;
    *out = random_seed[--random_left];
    random_seed[random_left] = 0;
    return true;
}

void boot_start(u64 hart, paddr_t fdt, u64 entry_cycles)
{
    boot_image_base = csr_read(satp)
                      << PAGE_SHIFT; /* boot.S's first table is a part of the image */
    boot_image_base -= (vaddr_t)boot_page_table - (vaddr_t)image_start;
    boot_info.entry_cycles = entry_cycles;
    boot_info.firmware_table = fdt;
    boot_thread.cpu = &boot_cpu;
    boot_thread.stack = (vaddr_t)boot_stack;
    boot_cpu.hardware_id = hart;
    boot_cpu.arch = &boot_arch_cpu;
    boot_arch_cpu.overflow_stack = (vaddr_t)boot_overflow_stack + OVERFLOW_STACK_SIZE;

    if (fdt_open(&device_tree, phys_to_virt(fdt), FDT_LIMIT) != 0) {
        sbi_console_write("Kernel panic: a1 does not point to a device tree\r\n");
        sbi_reset(SBI_SHUTDOWN);
        arch_halt();
    }
    boot_arch_cpu.node = boot_cpu_node(hart);
    isa_discover();
    read_chosen();
    early_uart_init();
    find_memory(fdt);
    keep_reachable(fdt);
    kernel_main();
}
