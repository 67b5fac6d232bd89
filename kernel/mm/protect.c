/* SPDX-License-Identifier: MIT */
/*
 * mprotect(2), and the flags of VMAs that other calls change in the same way: a range is cut out,
 * changed, and merged with neighbours that have become equal.
 *
 * Entries of the page table are only touched where a permission is taken away. One that is given
 * is left to the next fault, which finds the entry tighter than the VMA and loosens it: most pages
 * are never touched again before the permission goes.
 */
#include "address_space.h"
#include <vellum/error.h>
#include <vellum/sync.h>
#include <vellum/syscall.h>

/* Tighten the entries of [start, end) to prot. */
static void tighten_entries(struct mm *mm, vaddr_t start, vaddr_t end, unsigned prot)
{
    vaddr_t address = start, stop;
    struct page *table;
    pte_t *entry;

    for (;; address = stop) {
        address = page_table_next(mm, address, end, &entry, &table);
        if (address >= end)
            break;
        stop = table_end(address, end);
        spin_lock(&table->table_lock);
        for (; address < stop; address += PAGE_SIZE, entry++) {
            pte_t pte = pte_load(entry);

            if (pte_none(pte))
                continue;
            pte_store(entry, pte_set_prot(pte, pte_write(pte) ? prot : prot & ~PTE_WRITE));
        }
        spin_unlock(&table->table_lock);
    }
    tlb_flush_range(mm, start, end);
}

int vma_change_flags(struct vma **vma, vaddr_t start, vaddr_t end, u32 flags)
{
    struct vma *v = *vma;
    u32 lost = v->flags & ~flags & (VM_READ | VM_WRITE | VM_EXEC);
    long pages = (end - start) >> PAGE_SHIFT;

    if (v->flags == flags)
        return 0;
    if ((v->start < start) + (v->end > end) + v->mm->vma_count > MAX_MAP_COUNT)
        return -ENOMEM;
    if (v->start < start) {
        v = vma_split(v, start);
        if (!v)
            return -ENOMEM;
    }
    if (v->end > end && !vma_split(v, end)) {
        *vma = vma_merge(v);
        return -ENOMEM;
    }
    vma_account(v->mm, v->flags, v->file, -pages);
    vma_set_flags(v, flags);
    vma_account(v->mm, v->flags, v->file, pages);
    if (lost)
        tighten_entries(v->mm, start, end, vma_prot(v));
    *vma = vma_merge(v);
    return 0;
}

/* The flags that a VMA gets by a new protection, or -errno. */
static long protected_flags(const struct vma *vma, unsigned prot, u64 pages)
{
    u32 flags = (vma->flags & ~(VM_READ | VM_WRITE | VM_EXEC)) | prot;

    if (prot & ~(vma->flags >> 4) & (VM_READ | VM_WRITE | VM_EXEC))
        return -EACCES;
    if ((flags & (VM_WRITE | VM_SHARED | VM_NORESERVE | VM_ACCOUNT)) == VM_WRITE) {
        if (!overcommit_allows(pages))
            return -ENOMEM;
        flags |= VM_ACCOUNT;
    }
    return flags;
}

/* => mm->lock write-held */
static int protect_range(struct mm *mm, vaddr_t start, vaddr_t end, unsigned prot)
{
    struct vma *vma = vma_find(mm, start);

    while (start < end) {
        vaddr_t stop;
        long flags;
        int error;

        if (!vma || vma->start > start)
            return -ENOMEM;
        stop = min(vma->end, end);
        flags = protected_flags(vma, prot, (stop - start) >> PAGE_SHIFT);
        if (flags < 0)
            return flags;
        error = vma_change_flags(&vma, start, stop, flags);
        if (error)
            return error;
        start = stop;
        if (vma->end <= start)
            vma = vma_next(vma);
    }
    return 0;
}

static int protect(struct mm *mm, vaddr_t start, size_t length, unsigned prot, bool grows)
{
    vaddr_t end = start + ALIGN_UP(length, PAGE_SIZE);
    struct vma *vma;
    int error;

    if (!IS_ALIGNED(start, PAGE_SIZE))
        return -EINVAL;
    if (length == 0)
        return 0;
    if (end <= start || end > USER_END)
        return -ENOMEM;
    write_lock(&mm->lock);
    if (grows) { /* PROT_GROWSDOWN: from the bottom of the stack on */
        vma = vma_find(mm, start);
        if (!vma || vma->start >= end) {
            write_unlock(&mm->lock);
            return -ENOMEM;
        }
        if (!(vma->flags & VM_GROWSDOWN)) {
            write_unlock(&mm->lock);
            return -EINVAL;
        }
        start = vma->start;
    }
    error = protect_range(mm, start, end, prot);
    write_unlock(&mm->lock);
    return error;
}

int mm_protect(struct mm *mm, vaddr_t start, size_t length, unsigned prot)
{
    return protect(mm, start, length, prot, false);
}

SYSCALL_DEFINE3(mprotect, unsigned long, start, size_t, length, unsigned long, prot)
{
    bool grows = prot & PROT_GROWSDOWN;

    prot &= ~(unsigned long)(PROT_GROWSDOWN | PROT_SEM);
    if (prot & ~(unsigned long)(PROT_READ | PROT_WRITE | PROT_EXEC))
        return -EINVAL;
    return protect(current->mm, start, length, prot, grows);
}
