/* SPDX-License-Identifier: MIT */
/*
 * Off and on again: by the firmware if it has the reset extension, else by the system controller
 * that the device tree names (syscon-poweroff, syscon-reboot: write `value` at `offset` of the
 * registers of node `regmap`).
 */
#include "machine.h"
#include <vellum/alloc.h>
#include <vellum/printk.h>

static struct syscon {
    volatile u32 *at; /* [i] NULL: there is none */
    u32 value;
} poweroff, reboot;

static void find_syscon(const char *compatible, struct syscon *s)
{
    int node = fdt_find_compatible(&device_tree, FDT_NONE, compatible);
    int registers = fdt_find_phandle(&device_tree, fdt_cell(&device_tree, node, "regmap", 0, 0));
    paddr_t base;
    u64 size;

    if (node == FDT_NONE || registers == FDT_NONE ||
        !fdt_reg(&device_tree, registers, 0, &base, &size))
        return;
    s->value = fdt_cell(&device_tree, node, "value", 0, 0);
    s->at = vmap_device(base + fdt_cell(&device_tree, node, "offset", 0, 0), sizeof(u32));
}

void power_init(void)
{
    find_syscon("syscon-poweroff", &poweroff);
    find_syscon("syscon-reboot", &reboot);
}

static void write_syscon(const struct syscon *s)
{
    if (s->at)
        *s->at = s->value;
}

void arch_power_off(void)
{
    irq_disable();
    sbi_reset(SBI_SHUTDOWN);
    write_syscon(&poweroff);
    pr_err("the machine cannot be switched off");
    arch_halt();
}

void arch_reset(void)
{
    irq_disable();
    sbi_reset(SBI_REBOOT);
    write_syscon(&reboot);
    pr_err("the machine cannot be reset");
    arch_halt();
}
