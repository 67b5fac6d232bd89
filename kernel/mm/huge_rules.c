/* SPDX-License-Identifier: MIT */
/*
 * When memory gets huge pages, keeps them, and is collapsed into them: the decisions, without side
 * effects.
 */
#include <vellum/error.h>
#include <vellum/huge.h>

/* ---- which memory ------------------------------------------------------------------------------- */

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

bool huge_fits_somewhere(vaddr_t start, vaddr_t end)
{
    return huge_fits(start, end, ALIGN_UP(start, HUGE_SIZE));
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

/* ---- staying huge ------------------------------------------------------------------------------- */

bool huge_survives(enum huge_change change, vaddr_t start, vaddr_t stop, vaddr_t target, bool ours)
{
    bool whole = IS_ALIGNED(start, HUGE_SIZE) && stop - start == HUGE_SIZE;

    switch (change) {
    case HUGE_UNMAPPED:
    case HUGE_PROTECTED:
    case HUGE_FORKED:
        return whole;
    case HUGE_MOVED:
        return whole && IS_ALIGNED(target, HUGE_SIZE) && ours;
    case HUGE_WRITTEN:
        return ours;
    }
    return false;
}

/* ---- becoming huge ------------------------------------------------------------------------------ */

enum collapse collapse_judge(const struct collapse_census *c, const struct collapse_limits *limits)
{
    if (c->foreign)
        return COLLAPSE_FOREIGN;
    if (c->busy)
        return COLLAPSE_BUSY;
    if (limits) {
        if (c->none > limits->none)
            return COLLAPSE_TOO_EMPTY;
        if (c->swapped > limits->swapped)
            return COLLAPSE_TOO_SWAPPED;
        if (c->shared > limits->shared)
            return COLLAPSE_TOO_SHARED;
    }
    if (!c->writable)
        return COLLAPSE_READ_ONLY;
    if (limits && (!c->referenced || (c->swapped && c->referenced < HUGE_PAGES / 2)))
        return COLLAPSE_UNUSED;
    return COLLAPSE_DONE;
}

bool collapse_may_go_on(enum collapse result)
{
    switch (result) {
    case COLLAPSE_NO_VMA:
    case COLLAPSE_NO_MEMORY:
    case COLLAPSE_FAILED:
    case COLLAPSE_FOREIGN:
        return false;
    default:
        return true;
    }
}

int collapse_error(enum collapse result)
{
    switch (result) {
    case COLLAPSE_DONE:
    case COLLAPSE_HUGE:
        return 0;
    case COLLAPSE_NO_MEMORY:
        return -ENOMEM;
    case COLLAPSE_BUSY:
        return -EAGAIN;
    default:
        return -EINVAL;
    }
}
