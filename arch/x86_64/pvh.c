/* SPDX-License-Identifier: MIT */
/*
 * The first C function: takes over what the PVH loader has left (struct hvm_start_info of Xen's
 * public interface, arch-x86/hvm/start_info.h: command line, modules, memory map, RSDP).
 *
 * All physical addresses here are checked to lie in the 4 GiB that the first page table maps.
 */
#include <arch/x86.h>
#include <vellum/boot.h>
#include <vellum/page.h>
#include <vellum/string.h>
#include <vellum/thread.h>

#define START_MAGIC 0x336ec578

struct start_info {
    u32 magic, version, flags, module_count;
    u64 modules, command_line, rsdp;
    u64 memory_map; /* from version 1 on */
    u32 memory_map_entries, reserved;
};

struct module {
    u64 address, size, command_line, reserved;
};

struct memory_entry {
    u64 address, size;
    u32 type, reserved;
};

enum { MEMORY_RAM = 1 };

extern char image_start[], image_end[], boot_stack[], boot_stack_guard[];

void x86_start(paddr_t start_info, u64 entry_cycles);

static __init const void *mapped(paddr_t p, u64 size)
{
    if (p == 0 || p >= BOOT_MAPPED || size > BOOT_MAPPED - p)
        return NULL;
    return phys_to_virt(p);
}

static __init void add_memory(const struct start_info *info)
{
    u64 size = (u64)info->memory_map_entries * sizeof(struct memory_entry);
    const struct memory_entry *entry = mapped(info->memory_map, size);

    if (info->version < 1 || !entry)
        panic("the loader gave no map of memory");
    for (u32 i = 0; i < info->memory_map_entries; i++)
        if (entry[i].type == MEMORY_RAM)
            boot_memory_add(entry[i].address, entry[i].size);
}

/* With many devices SeaBIOS says that some frames at memory's end are its own, and then the loader puts
 * the end of the initrd there all the same. So wherever the initrd is, is memory; only its last frame,
 * which may hold other things behind it, is not given back. */
static __init void take_initrd(const struct start_info *info)
{
    const struct module *module = mapped(info->modules, sizeof(*module));
    paddr_t start;

    if (info->module_count == 0 || !module || module->size == 0)
        return;
    boot_info.initrd_start = module->address;
    boot_info.initrd_end = module->address + module->size;
    start = ALIGN_DOWN(boot_info.initrd_start, PAGE_SIZE);
    boot_memory_add(start, ALIGN_UP(boot_info.initrd_end, PAGE_SIZE) - start);
    boot_memory_reserve(module->address, module->size);
    boot_memory_reserve_initrd(module->address, ALIGN_DOWN(module->size, PAGE_SIZE));
}

/* Page 0, which real mode's interrupt table is in, and what lies between there and the image: the
 * trampoline of other processors, and the firmware's data at the end of conventional memory. */
static __init void reserve_low_memory(void)
{
    boot_memory_reserve(0, PAGE_SIZE);
    boot_memory_reserve(TRAMPOLINE, PAGE_SIZE);
    boot_memory_reserve(0x9f000, 0x100000 - 0x9f000);
}

__init void x86_start(paddr_t start_info, u64 entry_cycles)
{
    const struct start_info *info = mapped(start_info, sizeof(*info));
    const char *command_line;

    boot_thread.stack = (vaddr_t)boot_stack;
    boot_info.entry_cycles = entry_cycles;
    x86_features_init();
    sort_exception_table();
    early_console();
    if (!info || info->magic != START_MAGIC)
        panic("not started by a PVH loader");
    command_line = mapped(info->command_line, 1);
    if (command_line)
        strlcpy(boot_info.command_line, command_line, sizeof(boot_info.command_line));
    boot_info.firmware_table = info->rsdp;
    reserve_low_memory();
    boot_memory_reserve(image_to_phys(image_start), image_end - image_start);
    take_initrd(info);
    add_memory(info);
    acpi_init(info->rsdp);
    kernel_main();
}
