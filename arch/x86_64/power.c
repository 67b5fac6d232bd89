/* SPDX-License-Identifier: MIT */
/* Switching off and resetting, in every way that the machine may know, the proper ones first. */
#include <arch/x86.h>
#include <vellum/alloc.h>
#include <vellum/printk.h>

enum { GAS_MEMORY, GAS_PORT };

static void gas_write8(const struct acpi_gas *gas, u8 value)
{
    if (gas->space == GAS_PORT && gas->address)
        out8((u16)gas->address, value);
    else if (gas->space == GAS_MEMORY && gas->address) {
        volatile u8 *p = vmap_device(gas->address & PAGE_MASK, PAGE_SIZE);

        if (p)
            p[gas->address & ~PAGE_MASK] = value;
    }
}

#define SLEEP_ENABLE BIT(13)

void arch_power_off(void)
{
    irq_disable();
    if (acpi.sleep_known && acpi.hardware_reduced)
        gas_write8(&acpi.sleep_control, (u8)(acpi.sleep_a << 2 | 0x20));
    if (acpi.sleep_known && acpi.pm1a_control) {
        out16(acpi.pm1a_control, (u16)(acpi.sleep_a << 10 | SLEEP_ENABLE));
        if (acpi.pm1b_control)
            out16(acpi.pm1b_control, (u16)(acpi.sleep_b << 10 | SLEEP_ENABLE));
    }
    delay_us(1000000); /* the machine may take a moment to obey */
    pr_info("It is now safe to switch off");
    arch_halt();
}

void arch_reset(void)
{
    struct {
        u16 limit;
        u64 base;
    } __packed nothing = {0, 0};

    irq_disable();
    if (acpi.reset_known)
        gas_write8(&acpi.reset, acpi.reset_value);
    delay_us(10000);
    out8(0xcf9, 2); /* the chipset's register: hard reset */
    out8(0xcf9, 6);
    delay_us(10000);
    for (unsigned i = 0; i < 10000 && (in8(0x64) & 2); i++)
        delay_us(1);
    out8(0x64, 0xfe); /* the keyboard controller's line */
    delay_us(10000);
    __asm__ volatile("lidt %0; int3" : : "m"(nothing)); /* triple fault */
    arch_halt();
}
