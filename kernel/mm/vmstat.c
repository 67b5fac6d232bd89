/* SPDX-License-Identifier: MIT */
/*
 * Reading what vmstat.h counts.
 */
#include <vellum/cpu.h>
#include <vellum/thread.h>

static const char *const names[VM_COUNT] = {
#define X(name) [VM_##name] = #name,
    VM_GAUGES(X) VM_EVENTS(X)
#undef X
};

u64 vm_count_of(const struct cpu *cpu, enum vm_count which)
{
    return READ_ONCE(cpu->vm_counts[which]);
}

u64 vm_count(enum vm_count which)
{
    struct cpu *cpu;
    u64 n = 0;

    cpu_for_each(cpu)
        n += vm_count_of(cpu, which);
    return which < VM_GAUGE_COUNT && (s64)n < 0 ? 0 : n; /* seen while it changed */
}

const char *vm_count_name(enum vm_count which)
{
    return names[which];
}
