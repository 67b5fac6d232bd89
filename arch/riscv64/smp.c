/* SPDX-License-Identifier: MIT */
/*
 * Harts: counted from the device tree, started through the firmware's hart state management, and
 * interrupted by its IPIs. One software interrupt serves all kinds: the sender leaves a bit.
 */
#include "machine.h"
#include <vellum/alloc.h>
#include <vellum/boot.h>
#include <vellum/error.h>
#include <vellum/page.h>
#include <vellum/printk.h>
#include <vellum/sched.h>
#include <vellum/smp.h>
#include <vellum/string.h>
#include <vellum/sync.h>
#include <vellum/time.h>

struct secondary_start secondary_starts[MAX_CPUS]; /* [i] once its hart is started */

static bool is_usable_cpu(int node)
{
    const char *type = fdt_string(&device_tree, node, "device_type");

    return type && strcmp(type, "cpu") == 0 && fdt_is_enabled(&device_tree, node);
}

/* Memory for one more processor; NULL if there is none. */
static struct cpu *cpu_create(unsigned id, u64 hart, int node)
{
    struct cpu *cpu = kzalloc(sizeof(*cpu), ALLOC_KERNEL);
    struct arch_cpu *arch = kzalloc(sizeof(*arch), ALLOC_KERNEL);
    struct page *stack = pages_alloc(OVERFLOW_STACK_ORDER, ALLOC_KERNEL);

    if (!cpu || !arch || !stack) {
        kfree(cpu);
        kfree(arch);
        if (stack)
            page_put(stack);
        return NULL;
    }
    cpu->id = id;
    cpu->self = cpu;
    cpu->hardware_id = hart;
    cpu->arch = arch;
    arch->node = node;
    arch->overflow_stack = (vaddr_t)page_to_virt(stack) + OVERFLOW_STACK_SIZE;
    irq_cpu_add(cpu);
    sched_cpu_init(cpu);
    time_cpu_init(cpu);
    return cpu;
}

unsigned arch_smp_discover(void)
{
    u64 limit = boot_param_u64("maxcpus", MAX_CPUS), hart;
    int parent = fdt_find_path(&device_tree, "/cpus"), node;
    unsigned present = 0;
    u32 length;

    for (node = fdt_first_child(&device_tree, parent); node != FDT_NONE;
         node = fdt_next_sibling(&device_tree, node)) {
        const void *reg = fdt_property(&device_tree, node, "reg", &length);

        if (!is_usable_cpu(node) || !reg || length == 0 || length > 8)
            continue;
        hart = fdt_cells(reg, length / 4);
        present++;
        if (hart == boot_cpu.hardware_id || cpu_count >= MAX_CPUS || cpu_count >= limit)
            continue;
        cpus[cpu_count] = cpu_create(cpu_count, hart, node);
        if (!cpus[cpu_count])
            break;
        cpu_count++;
    }
    if (cpu_count < present)
        pr_info("smp: %u of %u harts are used", cpu_count, present);
    return cpu_count;
}

int arch_smp_start(struct cpu *cpu)
{
    struct secondary_start *start = &secondary_starts[cpu->id];
    int error;

    *start = (struct secondary_start){
        .satp = SATP_SV39 | arch_kernel_page_table() >> PAGE_SHIFT,
        .entry = (vaddr_t)secondary_in_virtual_memory,
        .stack = (vaddr_t)thread_frame(cpu->idle),
        .thread = cpu->idle,
        .hart = cpu->hardware_id,
    };
    thread_frame(cpu->idle)->thread = cpu->idle;
    cpu->idle->cpu = cpu;
    error = sbi_hart_start(cpu->hardware_id, image_to_phys(secondary_entry), 0);
    return error ? -EIO : 0;
}

/* From boot.S, on the idle thread's stack and in virtual memory. */
void secondary_start(struct cpu *cpu)
{
    arch_cpu_init(cpu);
    secondary_main(cpu);
}

void arch_ipi_send(unsigned cpu, enum ipi kind)
{
    cpumask_t mask = {1UL << cpu};

    __atomic_fetch_or(&cpus[cpu]->arch->ipis, 1u << kind, __ATOMIC_RELEASE);
    smp_fence();
    sbi_send_ipi(&mask);
}

void ipi_received(void)
{
    u32 kinds;

    csr_clear(sip, SIE_SSIE);
    kinds = __atomic_exchange_n(&this_cpu()->arch->ipis, 0, __ATOMIC_ACQUIRE);
    for (unsigned kind = 0; kind < IPI_COUNT; kind++)
        if (kinds & 1u << kind)
            ipi_handle(kind);
}

void arch_tlb_flush_remote(const cpumask_t *mask, vaddr_t start, vaddr_t end)
{
    sbi_remote_sfence(mask, start, end - start);
}

/* On every hart: fence.i orders only the instruction fetches of its own. */
void arch_icache_sync(void)
{
    cpumask_t others;

    smp_fence();
    preempt_disable();
    __asm__ volatile("fence.i" : : : "memory");
    others.bits = __atomic_load_n(&cpus_online.bits, __ATOMIC_ACQUIRE) & ~(1UL << this_cpu()->id);
    if (others.bits)
        sbi_remote_fence_i(&others);
    preempt_enable();
}
