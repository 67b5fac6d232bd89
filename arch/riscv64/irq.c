/* SPDX-License-Identifier: MIT */
/*
 * The platform-level interrupt controller (PLIC specification 1.0.0): a line is a source, 1 to
 * riscv,ndev. Each hart has a context for supervisor mode, which the order of the node's
 * interrupts-extended tells. A source has a priority; a context, an enable bit for each source, and
 * one register to claim the highest pending one and later to complete it.
 *
 * Every line is enabled in one context, that of a CPU chosen in turn, so that an interrupt wakes one
 * hart. Message-signalled interrupts need an IMSIC, which the machines we know do not have.
 */
#include "machine.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/irq.h>
#include <vellum/printk.h>
#include <vellum/sync.h>

enum {
    PLIC_PRIORITY = 0,    /* + 4 * source */
    PLIC_ENABLE = 0x2000, /* + 0x80 * context, a bit for each source */
    PLIC_ENABLE_STEP = 0x80,
    PLIC_CONTEXT = 0x200000, /* + 0x1000 * context */
    PLIC_CONTEXT_STEP = 0x1000,
    CONTEXT_THRESHOLD = 0,
    CONTEXT_CLAIM = 4,
};

static DEFINE_SPINLOCK(plic_lock); /* enable bits */
static int plic;                   /* [i] its node */
static paddr_t plic_base;          /* [i] */
static u8 *plic_low;               /* [i] priorities and enable bits; NULL: no PLIC */
static unsigned line_count;        /* [i] */

static u32 mmio_read(const volatile void *p)
{
    u32 value = *(const volatile u32 *)p;

    __asm__ volatile("fence i, ir" : : : "memory");
    return value;
}

static void mmio_write(volatile void *p, u32 value)
{
    __asm__ volatile("fence w, o" : : : "memory");
    *(volatile u32 *)p = value;
}

/* The context of a hart's supervisor mode: the index of the pair (its interrupt controller, 9). */
static int plic_context_of(int cpu_node)
{
    int controller = fdt_first_child(&device_tree, cpu_node);
    u32 phandle = fdt_cell(&device_tree, controller, "phandle", 0, 0), length;
    const u8 *pairs = fdt_property(&device_tree, plic, "interrupts-extended", &length);

    for (u32 at = 0; pairs && at + 8 <= length; at += 8)
        if (fdt_cells(pairs + at, 1) == phandle &&
            fdt_cells(pairs + at + 4, 1) == INTERRUPT_EXTERNAL)
            return (int)(at / 8);
    return -ENOENT;
}

static int map_context(struct cpu *cpu)
{
    int context = plic_context_of(cpu->arch->node);

    if (context < 0)
        return context;
    cpu->arch->plic_context =
        vmap_device(plic_base + PLIC_CONTEXT + (u64)context * PLIC_CONTEXT_STEP, PAGE_SIZE);
    if (!cpu->arch->plic_context)
        return -ENOMEM;
    cpu->arch->plic_enable = (u32 *)(plic_low + PLIC_ENABLE + (u64)context * PLIC_ENABLE_STEP);
    for (unsigned word = 0; word <= line_count / 32; word++)
        mmio_write(&cpu->arch->plic_enable[word], 0);
    return 0;
}

/* On the hart itself: firmware that starts a hart resets its threshold. */
void irq_cpu_init(struct cpu *cpu)
{
    if (cpu->arch->plic_context)
        mmio_write(cpu->arch->plic_context + CONTEXT_THRESHOLD, 0);
}

void irq_cpu_add(struct cpu *cpu)
{
    int error = plic_low ? map_context(cpu) : 0;

    if (error)
        pr_warn("interrupt controller: cpu %u has no context (error %d)", cpu->id, -error);
}

void arch_irq_init(void)
{
    u64 size;

    plic = fdt_find_compatible(&device_tree, FDT_NONE, "sifive,plic-1.0.0");
    if (plic == FDT_NONE)
        plic = fdt_find_compatible(&device_tree, FDT_NONE, "riscv,plic0");
    if (plic == FDT_NONE || !fdt_reg(&device_tree, plic, 0, &plic_base, &size)) {
        pr_warn("no interrupt controller that we know: devices will not interrupt");
        return;
    }
    plic_low = vmap_device(plic_base, PLIC_ENABLE + 2 * MAX_CPUS * PLIC_ENABLE_STEP);
    if (!plic_low)
        panic("no memory for the interrupt controller");
    line_count = fdt_cell(&device_tree, plic, "riscv,ndev", 0, 0);
    for (unsigned line = 1; line <= line_count; line++)
        mmio_write(plic_low + PLIC_PRIORITY + 4 * line, 0);
    irq_cpu_add(&boot_cpu);
    irq_cpu_init(&boot_cpu);
}

static struct cpu *cpu_for_line(unsigned line)
{
    for (unsigned i = 0; i < cpu_count; i++) {
        struct cpu *cpu = cpus[(line + i) % cpu_count];

        if (cpu->arch->plic_enable && (cpu->online || cpu == this_cpu()))
            return cpu;
    }
    return NULL;
}

int arch_irq_enable(unsigned line, bool level_triggered, bool active_low)
{
    unsigned long flags;
    struct cpu *cpu;
    u32 *word;

    if (!plic_low || line == 0 || line > line_count)
        return -EINVAL;
    flags = spin_lock_irqsave(&plic_lock);
    cpu = cpu_for_line(line);
    if (cpu) {
        word = &cpu->arch->plic_enable[line / 32];
        mmio_write(plic_low + PLIC_PRIORITY + 4 * line, 1);
        mmio_write(word, mmio_read(word) | 1u << line % 32);
    }
    spin_unlock_irqrestore(&plic_lock, flags);
    return cpu ? 0 : -EINVAL;
}

void arch_irq_disable(unsigned line)
{
    unsigned long flags;
    struct cpu *cpu;

    if (!plic_low || line == 0 || line > line_count)
        return;
    flags = spin_lock_irqsave(&plic_lock);
    mmio_write(plic_low + PLIC_PRIORITY + 4 * line, 0);
    cpu_for_each(cpu) {
        u32 *word = cpu->arch->plic_enable ? &cpu->arch->plic_enable[line / 32] : NULL;

        if (word)
            mmio_write(word, mmio_read(word) & ~(1u << line % 32));
    }
    spin_unlock_irqrestore(&plic_lock, flags);
}

int arch_msi_alloc(u64 *address, u32 *data)
{
    return -ENOSYS;
}

/* Until nothing is pending: one trap may serve several lines. => interrupts off */
void irq_external(void)
{
    void *context = this_cpu()->arch->plic_context;
    u32 line;

    while ((line = mmio_read(context + CONTEXT_CLAIM)) != 0) {
        irq_dispatch(line);
        mmio_write(context + CONTEXT_CLAIM, line);
    }
}
