/* SPDX-License-Identifier: MIT */
/*
 * membarrier(2): a memory barrier on all processors that run threads of this process (or of any), so
 * that the threads themselves need none where they are fast.
 *
 * A processor that runs a thread of an address space has set its bit in mm->cpus, with a full fence
 * behind it (tlb.c): a fence here, an interrupt to all whose bit is set, and a fence there is all that
 * it takes. One that is just switching to the process passes such a fence by itself.
 */
#include "internal.h"
#include <vellum/mm.h>
#include <vellum/smp.h>
#include <vellum/syscall.h>
#include <linux/membarrier.h>

#define CORE_COMMANDS                                                                              \
    (MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE |                                                  \
     MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)
#define COMMANDS                                                                                   \
    (MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |                                     \
     MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED |                 \
     MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ |           \
     MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ |                                              \
     (ARCH_INTERRUPT_SYNCS_CORE ? CORE_COMMANDS : 0))

/* The interrupt itself and its return do the rest: on machines that say so (ARCH_INTERRUPT_SYNCS_CORE)
 * they also make the processor forget what it has fetched. */
static void fence(void *unused)
{
    smp_fence();
}

static void restart_sequence(void *mm)
{
    smp_fence();
    if (current->mm == mm && current->rseq)
        __atomic_fetch_or(&current->work, WORK_RSEQ, __ATOMIC_RELAXED);
}

static void call(cpumask_t cpus, void (*fn)(void *), struct mm *mm)
{
    smp_fence();
    preempt_disable();
    smp_call(&cpus, fn, mm);
    preempt_enable();
    smp_fence();
}

/* registration: the bit of the command that must have been given before. */
static int private_barrier(u32 registration, void (*fn)(void *), int cpu)
{
    struct mm *mm = current->mm;
    cpumask_t cpus;

    if (!(READ_ONCE(mm->membarrier) & registration))
        return -EPERM;
    smp_fence();
    cpus.bits = __atomic_load_n(&mm->cpus.bits, __ATOMIC_RELAXED);
    if (cpu >= 0)
        cpus.bits &= cpu < MAX_CPUS ? BIT(cpu) : 0;
    if (atomic_read(&mm->users) > 1 && cpus.bits)
        call(cpus, fn, mm);
    return 0;
}

SYSCALL_DEFINE3(membarrier, int, command, unsigned, flags, int, cpu)
{
    bool one_cpu = flags == MEMBARRIER_CMD_FLAG_CPU;

    if (flags && !(one_cpu && command == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ))
        return -EINVAL;
    if (command == MEMBARRIER_CMD_QUERY)
        return COMMANDS;
    if (!(command & COMMANDS))
        return -EINVAL;
    switch (command) {
    case MEMBARRIER_CMD_GLOBAL:
    case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
        call(cpus_online, fence, NULL);
        return 0;
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
        return private_barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, fence, -1);
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
        return private_barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, fence, -1);
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ:
        return private_barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, restart_sequence,
                               one_cpu ? max(cpu, 0) : -1);
    case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ:
        __atomic_fetch_or(&current->mm->membarrier, (u32)command, __ATOMIC_SEQ_CST);
        return 0;
    }
    return -EINVAL;
}
