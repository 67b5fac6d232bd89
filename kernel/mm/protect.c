/* SPDX-License-Identifier: MIT */
/*
 * mprotect(2), and the flags of VMAs that other calls change in the same way: a range is cut out,
 * changed, and merged with neighbours that have become equal.
 *
 * Where a permission is taken away, the entries of the page table lose it at once. One that is given they
 * get at once if the page is this address space's alone and has been written: then a fault would find
 * nothing to do but that. All others are left to their next fault (fault.c: refresh, break_copy_on_write),
 * and so are pages that become executable, whose code may have to be brought to instruction fetch first.
 */
#include "address_space.h"
#include "huge.h"
#include <vellum/error.h>
#include <vellum/sync.h>
#include <vellum/syscall.h>

/* Nobody else has the page, and it is dirty: may its process do with it all that the VMA allows? The entry's
 * own reference is the only one, as in break_copy_on_write(). => table lock */
static bool is_ours_alone(pte_t pte)
{
    const struct page *page = pfn_to_page(pte_pfn(pte));

    return pte_dirty(pte) && !pte_special(pte) && (page->flags & PG_ANON) &&
           atomic_read(&page->refs) == 1;
}

/* Adapt the entries of [start, end) to prot, which allows less than before (tighter), more (looser), or
 * both. */
static void adapt_entries(struct mm *mm, vaddr_t start, vaddr_t end, unsigned prot, bool tighter,
                          bool looser)
{
    vaddr_t address = start, stop;
    struct page *table;
    pte_t *entry;

    for (;; address = stop) {
        address = page_table_next(mm, address, end, &entry, &table);
        if (address >= end)
            break;
        stop = table_end(address, end);
        if (unlikely(!table)) {
            if (tighter && !huge_protect_range(mm, address, stop, prot))
                stop = address;
            continue;
        }
        spin_lock(&table->table_lock);
        for (; address < stop; address += PAGE_SIZE, entry++) {
            pte_t pte = pte_load(entry);

            if (!pte_present(pte))
                continue; /* nothing, or swapped out: it comes back as the VMA says */
            if (tighter)
                pte = pte_tighten(entry, pte, prot);
            if (looser && is_ours_alone(pte))
                pte_replace(entry, pte, pte_set_prot(pte, prot)); /* else a fault will */
        }
        spin_unlock(&table->table_lock);
    }
    if (tighter)
        tlb_flush_entries(mm, start, end);
}

int vma_change_flags(struct vma **vma, vaddr_t start, vaddr_t end, u32 flags)
{
    struct vma *v = *vma;
    u32 lost = v->flags & ~flags & (VM_READ | VM_WRITE | VM_EXEC);
    u32 given = flags & ~v->flags & (VM_READ | VM_WRITE | VM_EXEC);
    bool looser = given && !(given & VM_EXEC) && v->has_private;
    long pages = (end - start) >> PAGE_SHIFT;

    if (v->flags == flags)
        return 0;
    if ((v->start < start) + (v->end > end) + v->mm->vma_count >
            (unsigned)READ_ONCE(max_map_count) &&
        (v->start < start || v->end > end))
        return -ENOMEM;
    if (lost && page_table_take(v->mm, start, end))
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
    if (lost || looser)
        adapt_entries(v->mm, start, end, vma_prot(v), lost, looser);
    *vma = vma_merge(v);
    return 0;
}

/* The flags that a VMA gets by a new protection, or -errno. */
static long protected_flags(const struct vma *vma, unsigned prot, u64 pages)
{
    u32 flags = (vma->flags & ~(VM_READ | VM_WRITE | VM_EXEC)) | prot;

    if (prot & ~(vma->flags >> 4) & (VM_READ | VM_WRITE | VM_EXEC))
        return -EACCES;
    if (!data_limit_allows(vma->mm, vma->flags, flags, pages))
        return -ENOMEM;
    if ((flags & (VM_WRITE | VM_SHARED | VM_NORESERVE | VM_ACCOUNT)) == VM_WRITE) {
        if (!overcommit_allows(vma->mm, pages))
            return -ENOMEM;
        flags |= VM_ACCOUNT;
    } else if (!(flags & VM_WRITE) && !vma->file && !vma->has_private) {
        flags &= ~VM_ACCOUNT; /* nothing has been written yet: the promise can be taken back */
    }
    return flags;
}

static int protect_part(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long prot)
{
    long flags = protected_flags(*vma, prot, (end - start) >> PAGE_SHIFT);

    return flags < 0 ? (int)flags : vma_change_flags(vma, start, end, flags);
}

/* => mm->lock write-held */
static int protect_range(struct mm *mm, vaddr_t start, vaddr_t end, unsigned prot)
{
    return vma_for_each_part(mm, start, end, false, protect_part, prot);
}

/* PROT_GROWSDOWN: from the bottom of the stack on. Nothing grows upwards on these machines.
 * => mm->lock write-held */
static int protect_stack(struct mm *mm, vaddr_t start, vaddr_t end, unsigned prot, bool down)
{
    struct vma *vma = vma_find(mm, start);

    if (!vma || (down ? vma->start >= end : vma->start > start))
        return -ENOMEM;
    if (!down || !(vma->flags & VM_GROWSDOWN))
        return -EINVAL;
    return protect_range(mm, vma->start, end, prot);
}

/* prot: PROT_*, with PROT_GROWSDOWN or PROT_GROWSUP */
static int protect(struct mm *mm, vaddr_t start, size_t length, unsigned long prot)
{
    unsigned long grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
    vaddr_t end = start + ALIGN_UP(length, PAGE_SIZE);
    int error;

    prot &= ~(grows | PROT_SEM);
    if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || !IS_ALIGNED(start, PAGE_SIZE))
        return -EINVAL;
    if (length == 0)
        return 0;
    if (end <= start || end > USER_END)
        return -ENOMEM;
    if (prot & ~(unsigned long)(PROT_READ | PROT_WRITE | PROT_EXEC))
        return -EINVAL;
    write_lock(&mm->lock);
    error = grows ? protect_stack(mm, start, end, prot, grows == PROT_GROWSDOWN)
                  : protect_range(mm, start, end, prot);
    write_unlock(&mm->lock);
    return error;
}

int mm_protect(struct mm *mm, vaddr_t start, size_t length, unsigned prot)
{
    return protect(mm, start, length, prot);
}

SYSCALL_DEFINE3(mprotect, unsigned long, start, size_t, length, unsigned long, prot)
{
    return protect(current->mm, start, length, prot);
}
