/* SPDX-License-Identifier: MIT */
/*
 * When memory gets huge pages: the decisions, without side effects.
 */
#include <vellum/huge.h>

bool huge_wanted(int mode, u32 vm_flags, bool refused)
{
    if (refused || mode == HUGE_NEVER || (vm_flags & (VM_NOHUGEPAGE | VM_SPECIAL | VM_SHARED)))
        return false;
    return mode == HUGE_ALWAYS || (vm_flags & VM_HUGEPAGE);
}

bool huge_fits(vaddr_t start, vaddr_t end, vaddr_t address)
{
    vaddr_t first = address & HUGE_MASK;

    return first >= start && end >= HUGE_SIZE && first <= end - HUGE_SIZE;
}

bool huge_compacts(int defrag, u32 vm_flags)
{
    if (defrag == HUGE_DEFRAG_MADVISE || defrag == HUGE_DEFRAG_DEFER_MADVISE)
        return vm_flags & VM_HUGEPAGE;
    return defrag == HUGE_DEFRAG_ALWAYS;
}

bool huge_defers(int defrag, u32 vm_flags)
{
    return defrag == HUGE_DEFRAG_DEFER ||
           (defrag == HUGE_DEFRAG_DEFER_MADVISE && !(vm_flags & VM_HUGEPAGE));
}
