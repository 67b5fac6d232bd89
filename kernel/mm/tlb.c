/* SPDX-License-Identifier: MIT */
/*
 * Making processors forget translations.
 *
 * A processor that loads an address space sets its bit in mm->cpus first. Whoever takes a mapping
 * away clears the entry first and then reads the mask; both have a full fence between the two
 * steps. So either the mask shows the processor, or the processor sees the cleared entry.
 *
 * What is unmapped is freed only after the flush: a tlb_batch gathers the frames meanwhile.
 *
 * A kernel thread, or idle, runs with the address space that was loaded before, and does not touch it.
 * A processor that does so need not be interrupted because of single entries (with whole tables it is
 * different: it may look into these any time): it is left a note, and flushes before it goes back to
 * the address space. Both sides write first, then fence, then read: so if the note comes too late,
 * whoever left it sees that, and interrupts.
 */
#include "address_space.h"
#include <vellum/smp.h>
#include <vellum/sync.h>
#include <vellum/vmstat.h>

#define FLUSH_SINGLY 16 /* more pages than that: forget everything */

void tlb_end_lazy(struct cpu *cpu)
{
    WRITE_ONCE(cpu->lazy_mm, false);
    smp_fence();
    if (READ_ONCE(cpu->lazy_flush)) {
        WRITE_ONCE(cpu->lazy_flush, false);
        arch_tlb_flush_user();
    }
}

/* Those of them that have to be interrupted. */
static u64 leave_notes(u64 others)
{
    u64 busy = others;

    for (u64 rest = others; rest; rest &= rest - 1) {
        struct cpu *cpu = cpus[__builtin_ctzll(rest)];

        if (!READ_ONCE(cpu->lazy_mm))
            continue;
        WRITE_ONCE(cpu->lazy_flush, true);
        smp_fence();
        if (READ_ONCE(cpu->lazy_mm))
            busy &= ~(rest & -rest);
    }
    return busy;
}

/* => preemption off */
static void flush_here(vaddr_t start, vaddr_t end)
{
    if (end - start > FLUSH_SINGLY * PAGE_SIZE)
        arch_tlb_flush_user();
    else
        for (vaddr_t va = start; va < end; va += PAGE_SIZE)
            arch_tlb_flush_page(va);
}

static void flush(const cpumask_t *mask, vaddr_t start, vaddr_t end, bool only_entries)
{
    cpumask_t others;
    u64 self;

    smp_fence();
    preempt_disable();
    self = BIT(this_cpu()->id);
    others.bits = __atomic_load_n(&mask->bits, __ATOMIC_RELAXED);
    if (others.bits & self)
        flush_here(start, end);
    others.bits &= ~self;
    if (only_entries)
        others.bits = leave_notes(others.bits);
    if (others.bits) {
        vm_event(nr_tlb_remote_flush);
        arch_tlb_flush_remote(&others, start, end);
    }
    preempt_enable();
}

void tlb_flush_range(struct mm *mm, vaddr_t start, vaddr_t end)
{
    flush(&mm->cpus, start, end, false);
}

void tlb_flush_entries(struct mm *mm, vaddr_t start, vaddr_t end)
{
    flush(&mm->cpus, start, end, true);
}

void tlb_flush_cpus(const cpumask_t *mask)
{
    flush(mask, 0, USER_END, true);
}

void tlb_batch_flush(struct tlb_batch *b)
{
    u32 wanted = READ_ONCE(b->mm->flush_wanted);

    if (b->start < b->end)
        tlb_flush_range(b->mm, b->start, b->end);
    if (b->start == 0 && b->end == USER_END)
        WRITE_ONCE(b->mm->flush_done, wanted); /* smaller than another's: one flush too many */
    if (unlikely(b->swap_cached))
        swap_cache_release_unused(b->pages, b->n);
    if (b->n)
        pages_put(b->pages, b->n);
    if (unlikely(b->swapped))
        swap_free_many(b->entries, b->swapped);
    tlb_batch_begin(b, b->mm);
}
