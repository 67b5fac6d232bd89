/* SPDX-License-Identifier: MIT */
/*
 * The other processors: how they are started, and how their translations are flushed.
 *
 * A processor is woken by INIT and STARTUP messages (Intel SDM volume 3, 9.4) and begins in real
 * mode in a page below 1 MiB (trampoline.S). They are started one after the other: boot.S's
 * secondary_entry takes what `secondary_cpu` and its companions say, once.
 */
#include <arch/x86.h>
#include <vellum/alloc.h>
#include <vellum/boot.h>
#include <vellum/error.h>
#include <vellum/page.h>
#include <vellum/printk.h>
#include <vellum/sched.h>
#include <vellum/smp.h>
#include <vellum/string.h>
#include <vellum/time.h>

extern char trampoline_start[], trampoline_end[], trampoline_gdt_base[], trampoline_jump32[];
extern char trampoline_jump64[];

struct cpu *secondary_cpu;
vaddr_t secondary_stack;
paddr_t secondary_page_table;

/* ---- start ---------------------------------------------------------------------------------------- */

static __init void add_cpu(u32 apic_id)
{
    struct cpu *cpu = kzalloc(sizeof(*cpu), ALLOC_KERNEL);
    struct arch_cpu *arch = kzalloc(sizeof(*arch), ALLOC_KERNEL);
    struct page *stacks = pages_alloc(2, ALLOC_KERNEL);

    if (!cpu || !arch || !stacks)
        panic("no memory for processor %u", cpu_count);
    static_assert((IST_COUNT - 1) * IST_STACK_SIZE <= PAGE_SIZE << 2, "IST stacks fit");
    arch->ist_stacks = page_to_virt(stacks);
    cpu->id = cpu_count;
    cpu->self = cpu;
    cpu->hardware_id = apic_id;
    cpu->arch = arch;
    cpus[cpu_count] = cpu;
    sched_cpu_init(cpu);
    time_cpu_init(cpu);
    cpu_count++;
}

__init unsigned arch_smp_discover(void)
{
    unsigned wanted = (unsigned)min_t(u64, boot_param_u64("maxcpus", MAX_CPUS), MAX_CPUS);

    for (unsigned i = 0; i < acpi.cpu_count && cpu_count < wanted; i++)
        if (acpi.apic_ids[i] != boot_cpu.hardware_id)
            add_cpu(acpi.apic_ids[i]);
    return cpu_count;
}

/* The trampoline with its page's address added where it must be. */
static __init void place_trampoline(void)
{
    char *page = phys_to_virt(TRAMPOLINE);

    memcpy(page, trampoline_start, trampoline_end - trampoline_start);
    *(u32 *)(page + (trampoline_gdt_base - trampoline_start)) += TRAMPOLINE;
    *(u32 *)(page + (trampoline_jump32 - trampoline_start)) += TRAMPOLINE;
    *(u32 *)(page + (trampoline_jump64 - trampoline_start)) += TRAMPOLINE;
}

static __init bool taken(u64 wait_us)
{
    for (u64 waited = 0; waited < wait_us; waited += 10) {
        if (!__atomic_load_n(&secondary_cpu, __ATOMIC_ACQUIRE))
            return true;
        delay_us(10);
    }
    return false;
}

__init int arch_smp_start(struct cpu *cpu)
{
    static bool placed;
    u32 id = (u32)cpu->hardware_id;
    unsigned long flags;

    if (!placed)
        place_trampoline();
    placed = true;
    cpu->kernel_stack = cpu->arch->tss.rsp[0] = (vaddr_t)syscall_gate(cpu->idle);
    secondary_stack = (vaddr_t)thread_frame(cpu->idle);
    secondary_page_table = arch_kernel_page_table();
    __atomic_store_n(&secondary_cpu, cpu, __ATOMIC_RELEASE);
    flags = irq_save();
    lapic_send(id, LAPIC_INIT);
    delay_us(10);
    lapic_send(id, LAPIC_STARTUP | TRAMPOLINE >> PAGE_SHIFT);
    irq_restore(flags);
    if (taken(300))
        return 0;
    /* A second STARTUP is ignored by a processor that has heard the first. */
    flags = irq_save();
    lapic_send(id, LAPIC_STARTUP | TRAMPOLINE >> PAGE_SHIFT);
    irq_restore(flags);
    if (taken(10 * 1000 * 1000))
        return 0;
    return __atomic_exchange_n(&secondary_cpu, NULL, __ATOMIC_ACQ_REL) ? -EIO : 0;
}

/* ---- translations ------------------------------------------------------------------------------------ */

/* More pages than this are flushed all at once. */
#define FLUSH_ALL_FROM 33

static void flush_here(vaddr_t start, vaddr_t end)
{
    if (end - start >= FLUSH_ALL_FROM * PAGE_SIZE)
        arch_tlb_flush_user();
    else
        for (vaddr_t va = start; va < end; va += PAGE_SIZE)
            arch_tlb_flush_page(va);
}

/* Do what other processors have asked of this one. => interrupts off */
void tlb_serve(void)
{
    struct cpu *cpu = this_cpu();
    u64 from = __atomic_exchange_n(&cpu->arch->tlb_pending, 0, __ATOMIC_ACQUIRE);

    for (; from; from &= from - 1) {
        struct tlb_request *request = &cpus[__builtin_ctzll(from)]->arch->tlb;

        flush_here(request->start, request->end);
        __atomic_fetch_and(&request->waiting_for, ~BIT(cpu->id), __ATOMIC_RELEASE);
    }
}

/* While this processor waits, with interrupts off, it serves the flushes and calls that others ask of
 * it: two that wait for each other both get on. */
void arch_tlb_flush_remote(const cpumask_t *mask, vaddr_t start, vaddr_t end)
{
    unsigned long flags = irq_save();
    struct cpu *cpu = this_cpu();
    struct tlb_request *request = &cpu->arch->tlb;
    u64 targets = mask->bits & cpus_online.bits & ~BIT(cpu->id);

    assert(request->waiting_for == 0);
    request->start = start;
    request->end = end;
    __atomic_store_n(&request->waiting_for, targets, __ATOMIC_RELAXED);
    for (u64 rest = targets; rest; rest &= rest - 1) {
        struct cpu *target = cpus[__builtin_ctzll(rest)];

        /* One that has requests pending has been sent the interrupt already. */
        if (__atomic_fetch_or(&target->arch->tlb_pending, BIT(cpu->id), __ATOMIC_ACQ_REL) == 0)
            lapic_send((u32)target->hardware_id, VECTOR_TLB);
    }
    while (__atomic_load_n(&request->waiting_for, __ATOMIC_ACQUIRE)) {
        tlb_serve();
        smp_serve_calls();
        cpu_relax();
    }
    irq_restore(flags);
}
