/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: which vector belongs to which line, and what is done when one arrives.
 *
 * Lines 0 to N - 1 are the inputs of the IO-APICs (global system interrupts); those from N on are
 * message-signalled, one vector each. Vectors are the same on all processors. Each vector's line stands
 * in a table that the entry reads without a lock.
 */
#include <arch/x86.h>
#include <vellum/error.h>
#include <vellum/irq.h>
#include <vellum/printk.h>
#include <vellum/sched.h>
#include <vellum/smp.h>
#include <vellum/sync.h>
#include <vellum/time.h>

static u32 vector_line[256]; /* [vector_lock] to write; line + 1, or 0 */
static unsigned msi_next;    /* [vector_lock] */
static DEFINE_SPINLOCK(vector_lock);

/* => vector_lock. The vector of a line, found or made; 0: none is left. */
static unsigned vector_of(unsigned line, bool make)
{
    unsigned unused = 0;

    for (unsigned v = VECTOR_DEVICE_FIRST; v <= VECTOR_DEVICE_LAST; v++) {
        if (vector_line[v] == line + 1)
            return v;
        if (vector_line[v] == 0 && !unused)
            unused = v;
    }
    if (make && unused)
        WRITE_ONCE(vector_line[unused], line + 1);
    return make ? unused : 0;
}

int arch_irq_enable(unsigned line, bool level_triggered, bool active_low)
{
    unsigned long flags;
    unsigned vector;
    int error;

    if (line >= ioapic_gsi_count())
        return 0; /* message-signalled: enabled in the device */
    flags = spin_lock_irqsave(&vector_lock);
    vector = vector_of(line, true);
    error = vector
                ? ioapic_route(line, vector, (u32)boot_cpu.hardware_id, level_triggered, active_low)
                : -ENOSPC;
    spin_unlock_irqrestore(&vector_lock, flags);
    return error;
}

void arch_irq_disable(unsigned line)
{
    if (line < ioapic_gsi_count())
        ioapic_mask(line);
}

/* The address means the boot processor's local APIC, the data the vector, edge-triggered (Intel SDM
 * volume 3, 11.11). Its destination has 8 bits. */
int arch_msi_alloc(u64 *address, u32 *data)
{
    unsigned long flags;
    unsigned line, vector;

    if (boot_cpu.hardware_id > 0xff)
        return -ENOSYS;
    flags = spin_lock_irqsave(&vector_lock);
    line = ioapic_gsi_count() + msi_next;
    vector = vector_of(line, true);
    if (vector)
        msi_next++;
    spin_unlock_irqrestore(&vector_lock, flags);
    if (!vector)
        return -ENOSYS;
    *address = 0xfee00000UL | boot_cpu.hardware_id << 12;
    *data = vector;
    return (int)line;
}

static void device_interrupt(unsigned vector)
{
    u32 line = READ_ONCE(vector_line[vector]);

    if (likely(line))
        irq_dispatch(line - 1);
    lapic_eoi();
}

void handle_interrupt(unsigned vector, struct trap_frame *frame)
{
    irq_enter();
    switch (vector) {
    case VECTOR_TIMER:
        lapic_eoi();
        timer_vector(frame);
        break;
    case VECTOR_TLB:
        lapic_eoi();
        tlb_serve();
        break;
    case VECTOR_IPI ... VECTOR_IPI + IPI_COUNT - 1:
        lapic_eoi();
        ipi_handle(vector - VECTOR_IPI);
        break;
    case VECTOR_SPURIOUS:
        break; /* is not acknowledged */
    default:
        if (vector >= VECTOR_DEVICE_FIRST)
            device_interrupt(vector);
        /* else a spurious one of the old controllers */
    }
    irq_exit();
    if (!frame_is_user(frame))
        preempt_irq();
}

/* Legacy line of ISA -> GSI, as the firmware's overrides have it. */
unsigned isa_irq_to_gsi(unsigned irq, bool *level, bool *low)
{
    *level = acpi.isa[irq].level;
    *low = acpi.isa[irq].low;
    return acpi.isa[irq].gsi;
}

/* The old controllers, with all their lines masked and their vectors out of the exceptions' way. */
static __init void pic_disable(void)
{
    out8(0x20, 0x11);
    out8(0xa0, 0x11);
    out8(0x21, 0x20);
    out8(0xa1, 0x28);
    out8(0x21, 4);
    out8(0xa1, 2);
    out8(0x21, 1);
    out8(0xa1, 1);
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
}

__init void arch_irq_init(void)
{
    pic_disable();
    lapic_init();
    lapic_cpu_init();
    boot_cpu.hardware_id = lapic_id();
    ioapic_init();
    timer_calibrate();
    timer_cpu_init();
}
