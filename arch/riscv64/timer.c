/* SPDX-License-Identifier: MIT */
/*
 * The timer interrupt, one shot. A hart with Sstc has a compare register of its own for supervisor
 * mode; else the firmware is asked to set one (a call into machine mode and back).
 */
#include "machine.h"
#include <vellum/printk.h>
#include <vellum/thread.h>
#include <vellum/time.h>

#define STIMECMP "0x14d"

static u64 timebase_hz;   /* [i] */
static bool has_stimecmp; /* [i] */

/* Firmware must have let us use it (menvcfg.STCE): try. */
static bool try_stimecmp(void)
{
    __asm__ goto("1:\tcsrw " STIMECMP ", %0\n\t" USER_FIXUP("1b", "%l[fault]")
                 :
                 : "r"(-1UL)
                 : "memory"
                 : fault);
    return true;
fault:
    return false;
}

/* => each hart, interrupts off */
void timer_cpu_init(void)
{
    if (this_cpu() == &boot_cpu)
        has_stimecmp = isa_has("sstc") && try_stimecmp();
    csr_clear(sie, SIE_STIE);
    if (has_stimecmp)
        csr_write(0x14d, -1UL);
}

/* The interrupt stays pending until the deadline is moved; do not look until somebody does. */
void timer_disarm(void)
{
    csr_clear(sie, SIE_STIE);
}

void arch_timer_set(u64 deadline)
{
    if (deadline == UINT64_MAX) {
        csr_clear(sie, SIE_STIE);
        return;
    }
    if (has_stimecmp)
        csr_write(0x14d, deadline);
    else
        sbi_set_timer(deadline);
    csr_set(sie, SIE_STIE);
}

u64 arch_cycles_hz(void)
{
    if (timebase_hz == 0) {
        timebase_hz =
            fdt_number(&device_tree, fdt_find_path(&device_tree, "/cpus"), "timebase-frequency", 0);
        if (timebase_hz == 0)
            panic("the device tree does not tell the timebase frequency");
    }
    return timebase_hz;
}
