/* SPDX-License-Identifier: MIT */
/* Switching off and resetting, in every way that the machine may know, the proper ones first. */
#include <arch/x86.h>
#include <vellum/alloc.h>
#include <vellum/printk.h>

enum { GAS_MEMORY, GAS_PORT };

/* Registers in memory, mapped beforehand: at the end nobody can be waited for. NULL: there is none. */
static volatile u8 *sleep_register, *reset_register; /* [i] */

static __init volatile u8 *gas_map(const struct acpi_gas *gas)
{
    volatile u8 *page;

    if (gas->space != GAS_MEMORY || !gas->address)
        return NULL;
    page = vmap_device(gas->address & PAGE_MASK, PAGE_SIZE);
    return page ? page + (gas->address & ~PAGE_MASK) : NULL;
}

__init void power_init(void)
{
    if (acpi.sleep_known && acpi.hardware_reduced)
        sleep_register = gas_map(&acpi.sleep_control);
    if (acpi.reset_known)
        reset_register = gas_map(&acpi.reset);
}

/* mapped: where the register is in memory, if it is there */
static void gas_write8(const struct acpi_gas *gas, volatile u8 *mapped, u8 value)
{
    if (gas->space == GAS_PORT && gas->address)
        out8((u16)gas->address, value);
    else if (mapped)
        *mapped = value;
}

#define SLEEP_ENABLE BIT(13)

void arch_power_off(void)
{
    irq_disable();
    if (acpi.sleep_known && acpi.hardware_reduced)
        gas_write8(&acpi.sleep_control, sleep_register, (u8)(acpi.sleep_a << 2 | 0x20));
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
        gas_write8(&acpi.reset, reset_register, acpi.reset_value);
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
