/* SPDX-License-Identifier: MIT */
/*
 * One processor with one thread: the state of the machine that
 * shim/include/arch/machine.h makes believe.
 */
#include <vellum/sched.h>
#include <vellum/smp.h>
#include <vellum/string.h>

static struct cpu shim_cpu = {.self = &shim_cpu, .online = true};
static struct thread shim_thread = {.cpu = &shim_cpu, .comm = "unit"};

bool shim_irqs_off;
struct thread *shim_current = &shim_thread;
u64 shim_cycles = 1;

struct cpu *cpus[MAX_CPUS] = {&shim_cpu};
unsigned cpu_count = 1;
cpumask_t cpus_online = {1};

void preempt_schedule(void)
{
}

void smp_call(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
}

size_t arch_copy_user(void *to, const void *from, size_t n)
{
    if (shim_user_faults(to) || shim_user_faults(from))
        return n;
    memcpy(to, from, n);
    return 0;
}

size_t arch_clear_user(void *to, size_t n)
{
    if (shim_user_faults(to))
        return n;
    memset(to, 0, n);
    return 0;
}

ssize_t arch_copy_user_string(char *to, const char *from, size_t n)
{
    size_t length;

    if (shim_user_faults(from))
        return -14;
    length = strnlen(from, n);
    memcpy(to, from, length < n ? length + 1 : n);
    return length;
}

void arch_clear_page(void *page)
{
    memset(page, 0, PAGE_SIZE);
}

void arch_copy_page(void *to, const void *from)
{
    memcpy(to, from, PAGE_SIZE);
}

void arch_tlb_flush_page(vaddr_t va)
{
}

void arch_tlb_flush_user(void)
{
}

void arch_tlb_flush_all(void)
{
}

void arch_tlb_flush_remote(const cpumask_t *mask, vaddr_t start, vaddr_t end)
{
}

void arch_page_table_init(pte_t *root)
{
}

void arch_page_table_load(paddr_t root)
{
}

void arch_icache_sync(void)
{
}
