/* SPDX-License-Identifier: MIT */
/*
 * A processor. `this_cpu()` is the one that runs us; it stays so only while preemption or
 * interrupts are off.
 */
#ifndef VELLUM_CPU_H
#define VELLUM_CPU_H

#include <vellum/arch.h>
#include <vellum/list.h>
#include <vellum/vmstat.h>

struct run_queue;
struct page_cache_list;

struct cpu {
    /* Known to arch/ARCH/entry.S through gen/offsets.h. */
    struct thread *thread;    /* [c] the thread that runs here */
    vaddr_t kernel_stack;     /* [c] top of its kernel stack */
    unsigned long scratch[4]; /* [c] for the entry code */

    unsigned id;                 /* [i] 0 .. cpu_count - 1 */
    u64 hardware_id;             /* [i] APIC id, hart id */
    struct cpu *self;            /* [i] */
    bool online;                 /* [a] runs threads */
    unsigned irq_depth;          /* [c] nesting of interrupts */
    bool in_idle;                /* [c], read by others as a hint */
    struct thread *idle;         /* [i] */
    struct run_queue *run_queue; /* [i] */
    struct mm *active_mm;        /* [c] whose page table is loaded; kernel threads borrow it */
    bool lazy_mm;                /* [a] a kernel thread borrows it: kernel/mm/tlb.c */
    bool lazy_flush;             /* [a] to be flushed before it is used again */
    void *timer_queue;           /* [i] kernel/time's */
    void *call_queue;            /* [i] kernel/sched/smp.c's */
    void *frame_cache;           /* [i] kernel/mm's lists of free frames */
    void *stack_cache;           /* [i] kernel/proc's cached kernel stacks */
    struct {
        u64 user, nice, system; /* ns; sampled by the tick */
        u64 timer_interrupts, ipis[IPI_COUNT];
        u64 interrupts, switches, forks;
    } counters;              /* [c] read by others without a lock */
    u64 vm_counts[VM_COUNT]; /* [c] added to with arch_cpu_add(); read by others without a lock */
    struct arch_cpu *arch;   /* [i] the machine's own */
} __cacheline_aligned;
/* [i] set before the CPU starts, then constant  [c] this CPU only  [a] atomic */

/* The processor and thread that the machine's entry code starts with: it makes them current (with
 * boot_thread.cpu = &boot_cpu, boot_cpu.thread = &boot_thread) before the first line of C. They
 * become CPU 0 and its idle thread. Defined, statically initialised, in kernel/sched/core.c. */
extern struct cpu boot_cpu;
extern struct thread boot_thread;

extern struct cpu *cpus[MAX_CPUS]; /* [i] valid up to cpu_count */
extern unsigned cpu_count;         /* [i] processors that may come online */
extern cpumask_t cpus_online;

#define cpu_for_each(c) for (unsigned _i = 0; _i < cpu_count && ((c) = cpus[_i], true); _i++)

#endif
