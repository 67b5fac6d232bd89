/* SPDX-License-Identifier: MIT */
/*
 * Touching pages before the program does: MAP_POPULATE, mlock(2), MADV_POPULATE_READ and _WRITE.
 *
 * The faults are those that a touch would take, one after the other, without mm->lock in between. So
 * the mappings may change meanwhile, and each VMA is looked up when its turn comes.
 */
#include "address_space.h"
#include <vellum/error.h>
#include <vellum/signal.h>
#include <vellum/sync.h>

/* A VMA, as it was when it was looked at. */
struct area {
    vaddr_t start, end;
    u32 flags;
};

/* The first VMA that ends above the address; false: there is none. */
static bool find_area(struct mm *mm, vaddr_t address, struct area *area)
{
    struct vma *vma;

    read_lock(&mm->lock);
    vma = vma_find(mm, address);
    if (vma)
        *area = (struct area){vma->start, vma->end, vma->flags};
    read_unlock(&mm->lock);
    return vma;
}

/* The first address from `start` on where a touch would fault, or `end`. */
static vaddr_t skip_present(struct mm *mm, vaddr_t start, vaddr_t end, bool write)
{
    struct page *table;
    pte_t *entry, pte;

    read_lock(&mm->lock);
    for (; start < end; start += PAGE_SIZE) {
        entry = page_table_find(mm, start, &table);
        if (!entry)
            entry = page_table_find_huge(mm, start);
        pte = entry ? pte_load(entry) : (pte_t){0};
        if (!pte_present(pte) || (write && !pte_write(pte)))
            break;
    }
    read_unlock(&mm->lock);
    return start;
}

/* Touch all of [start, end), a part of one VMA. 0, -EINTR, -EFAULT (no access, or the end of the
 * file), -ENOMEM (no memory, or no longer mapped) */
static int touch(struct mm *mm, vaddr_t start, vaddr_t end, u32 access)
{
    bool major;

    while ((start = skip_present(mm, start, end, access & ACCESS_WRITE)) < end) {
        if (fatal_signal_pending())
            return -EINTR;
        switch (mm_fault(mm, start, ACCESS_USER | access, &major)) {
        case FAULT_OK:
            break;
        case FAULT_MAPERR:
        case FAULT_OOM:
            return -ENOMEM;
        case FAULT_KILLED:
            return -EINTR;
        default:
            return -EFAULT;
        }
        start += PAGE_SIZE;
    }
    return 0;
}

/* As the program would touch it: write what is private, so that it need not be copied later; read
 * what is shared, so that nothing becomes dirty. */
static u32 best_access(u32 flags)
{
    return ACCESS_FORCE | ((flags & (VM_WRITE | VM_SHARED)) == VM_WRITE ? ACCESS_WRITE : 0);
}

int populate(struct mm *mm, vaddr_t start, vaddr_t end, bool strict)
{
    struct area area;
    int error;

    for (; start < end && find_area(mm, start, &area) && area.start < end; start = area.end) {
        if (area.flags & (VM_LOCK_ON_FAULT | VM_SPECIAL))
            continue;
        error = -EFAULT; /* no access, even if pages are there from before */
        if (area.flags & (VM_READ | VM_WRITE | VM_EXEC))
            error = touch(mm, max(start, area.start), min(area.end, end), best_access(area.flags));
        if (error && (strict || error == -EINTR))
            return error;
    }
    return 0;
}

int populate_for(struct mm *mm, vaddr_t start, vaddr_t end, u32 access)
{
    struct area area;
    u32 needed = access & ACCESS_WRITE ? VM_WRITE : VM_READ; /* whatever else the machine reads */
    int error;

    for (; start < end; start = area.end) {
        if (!find_area(mm, start, &area) || area.start > start)
            return -ENOMEM;
        if ((area.flags & VM_SPECIAL) || !(area.flags & needed))
            return -EINVAL;
        error = touch(mm, start, min(area.end, end), access);
        if (error)
            return error;
    }
    return 0;
}
