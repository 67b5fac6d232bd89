/* SPDX-License-Identifier: MIT */
/*
 * Reading what vmstat.h counts.
 */
#include <vellum/cpu.h>
#include <vellum/lru.h>
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

    static_assert(VM_nr_inactive_anon == 0 && (int)VM_nr_unevictable == (int)LRU_UNEVICTABLE,
                  "the lists count themselves, under their lock");
    if (which <= VM_nr_unevictable)
        return lru_count((enum lru_list)which);
    if (which == VM_nr_mlock) /* nothing else is unevictable */
        return lru_count(LRU_UNEVICTABLE);
    cpu_for_each(cpu)
        n += vm_count_of(cpu, which);
    return which < VM_GAUGE_COUNT && (s64)n < 0 ? 0 : n; /* seen while it changed */
}

const char *vm_count_name(enum vm_count which)
{
    return names[which];
}
