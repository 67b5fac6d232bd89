/* SPDX-License-Identifier: MIT */
/*
 * Local APIC and IO-APIC (Intel SDM volume 3, chapter 11; 82093AA data sheet).
 *
 * The local APIC is reached through model-specific registers if the processor has x2APIC mode, else
 * through a page of registers: register r is MSR 0x800 + r / 16, or at offset r.
 */
#include <arch/x86.h>
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/printk.h>
#include <vellum/sync.h>

enum {
    LAPIC_ID = 0x20,
    LAPIC_TPR = 0x80,
    LAPIC_EOI = 0xb0,
    LAPIC_SPURIOUS = 0xf0,
    LAPIC_ESR = 0x280,
    LAPIC_COMMAND = 0x300,
    LAPIC_COMMAND_HIGH = 0x310,
    LAPIC_LVT_TIMER = 0x320,
    LAPIC_LVT_LINT0 = 0x350,
    LAPIC_LVT_LINT1 = 0x360,
    LAPIC_LVT_ERROR = 0x370,
    LAPIC_TIMER_INITIAL = 0x380,
    LAPIC_TIMER_CURRENT = 0x390,
    LAPIC_TIMER_DIVIDE = 0x3e0,
};

#define LVT_MASKED       0x10000
#define LVT_NMI          0x400
#define LVT_TSC_DEADLINE 0x40000
#define APIC_ENABLED     BIT(11)
#define APIC_X2          BIT(10)

static volatile u32 *registers; /* [i] NULL: x2APIC mode */

static u32 lapic_read(u32 reg)
{
    return registers ? registers[reg / 4] : (u32)rdmsr(MSR_X2APIC + reg / 16);
}

static void lapic_write(u32 reg, u32 value)
{
    if (registers)
        registers[reg / 4] = value;
    else
        wrmsr(MSR_X2APIC + reg / 16, value);
}

/* Find the way to the registers. Firmware may have turned x2APIC mode on already. */
__init void lapic_init(void)
{
    if (x86.x2apic)
        return;
    registers = vmap_device(acpi.lapic_address, PAGE_SIZE);
    if (!registers)
        panic("no room to map the local APIC");
}

void lapic_cpu_init(void)
{
    u64 base = rdmsr(MSR_APIC_BASE) | APIC_ENABLED;

    wrmsr(MSR_APIC_BASE, base);
    if (!registers)
        wrmsr(MSR_APIC_BASE, base | APIC_X2);
    lapic_write(LAPIC_TPR, 0);
    lapic_write(LAPIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
    lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
    lapic_write(LAPIC_LVT_LINT1, this_cpu() == &boot_cpu ? LVT_NMI : LVT_MASKED);
    lapic_write(LAPIC_LVT_ERROR, LVT_MASKED);
    lapic_write(LAPIC_ESR, 0);
    lapic_write(LAPIC_EOI, 0);
}

u32 lapic_id(void)
{
    u32 id = lapic_read(LAPIC_ID);

    return registers ? id >> 24 : id;
}

void lapic_eoi(void)
{
    lapic_write(LAPIC_EOI, 0);
}

/* => interrupts off in xAPIC mode: two registers make one command */
void lapic_send(u32 apic_id, u32 command)
{
    if (!registers) {
        /* Unlike other writes, those to x2APIC registers may overtake stores to memory. */
        __asm__ volatile("mfence; lfence" : : : "memory");
        wrmsr(MSR_X2APIC + LAPIC_COMMAND / 16, (u64)apic_id << 32 | command);
        return;
    }
    while (lapic_read(LAPIC_COMMAND) & 0x1000) /* the last one is still being delivered */
        cpu_relax();
    lapic_write(LAPIC_COMMAND_HIGH, apic_id << 24);
    lapic_write(LAPIC_COMMAND, command);
}

void arch_ipi_send(unsigned cpu, enum ipi kind)
{
    unsigned long flags = irq_save();

    lapic_send((u32)cpus[cpu]->hardware_id, VECTOR_IPI + kind);
    irq_restore(flags);
}

/* ---- timer: counts down from what is written, at the bus's rate or, with a deadline, by the TSC ---- */

void lapic_timer_mode(bool deadline)
{
    lapic_write(LAPIC_TIMER_DIVIDE, 0xb); /* by 1 */
    lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER | (deadline ? LVT_TSC_DEADLINE : 0));
    if (deadline)
        __asm__ volatile("mfence" : : : "memory"); /* before the first deadline is written */
}

void lapic_timer_start(u32 count)
{
    lapic_write(LAPIC_TIMER_INITIAL, count);
}

u32 lapic_timer_count(void)
{
    return lapic_read(LAPIC_TIMER_CURRENT);
}

/* ---- IO-APIC --------------------------------------------------------------------------------------------- */

#define REDIRECTION_MASKED BIT(16)
#define REDIRECTION_LEVEL  BIT(15)
#define REDIRECTION_LOW    BIT(13)

static DEFINE_SPINLOCK(ioapic_lock); /* register select and data belong together */
static unsigned gsi_count;           /* [i] */

static u32 ioapic_read(struct ioapic *io, u32 reg)
{
    io->registers[0] = reg;
    return io->registers[4];
}

static void ioapic_write(struct ioapic *io, u32 reg, u32 value)
{
    io->registers[0] = reg;
    io->registers[4] = value;
}

static struct ioapic *ioapic_of(unsigned gsi)
{
    for (unsigned i = 0; i < acpi.ioapic_count; i++) {
        struct ioapic *io = &acpi.ioapics[i];

        if (io->registers && gsi >= io->gsi_base && gsi - io->gsi_base < io->inputs)
            return io;
    }
    return NULL;
}

static void redirect(struct ioapic *io, unsigned gsi, u32 low, u32 apic_id)
{
    unsigned reg = 0x10 + 2 * (gsi - io->gsi_base);

    ioapic_write(io, reg, REDIRECTION_MASKED);
    ioapic_write(io, reg + 1, apic_id << 24);
    ioapic_write(io, reg, low);
}

__init void ioapic_init(void)
{
    for (unsigned i = 0; i < acpi.ioapic_count; i++) {
        struct ioapic *io = &acpi.ioapics[i];

        io->registers = vmap_device(io->address, PAGE_SIZE);
        if (!io->registers) {
            pr_err("ioapic: no room to map the one at %llx", (unsigned long long)io->address);
            continue;
        }
        io->inputs = (ioapic_read(io, 1) >> 16 & 0xff) + 1;
        for (unsigned n = 0; n < io->inputs; n++)
            redirect(io, io->gsi_base + n, REDIRECTION_MASKED, 0);
        gsi_count = max(gsi_count, io->gsi_base + io->inputs);
    }
    if (gsi_count == 0)
        pr_warn("ioapic: none found; devices can only send messages");
}

unsigned ioapic_gsi_count(void)
{
    return gsi_count;
}

int ioapic_route(unsigned gsi, unsigned vector, u32 apic_id, bool level, bool low)
{
    struct ioapic *io = ioapic_of(gsi);
    unsigned long flags;

    if (!io || apic_id > 0xff)
        return -ENODEV;
    flags = spin_lock_irqsave(&ioapic_lock);
    redirect(io, gsi, vector | (level ? REDIRECTION_LEVEL : 0) | (low ? REDIRECTION_LOW : 0),
             apic_id);
    spin_unlock_irqrestore(&ioapic_lock, flags);
    return 0;
}

void ioapic_mask(unsigned gsi)
{
    struct ioapic *io = ioapic_of(gsi);
    unsigned long flags = spin_lock_irqsave(&ioapic_lock);

    if (io)
        redirect(io, gsi, REDIRECTION_MASKED, 0);
    spin_unlock_irqrestore(&ioapic_lock, flags);
}
