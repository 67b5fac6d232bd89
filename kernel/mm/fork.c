/* SPDX-License-Identifier: MIT */
/*
 * Copying an address space for fork.
 *
 * The VMAs are copied; of the page tables only what could not be found again by a fault: the private
 * pages. They are shared from now on, mapped read-only on both sides, and the first write copies
 * one (fault.c: break_copy_on_write). Pages of files and of shared memory the child faults in itself.
 */
#include "address_space.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/sync.h>

/* Copy the entries of one table that map private pages. Returns whether entries of the parent have
 * been made read-only. => both tables locked */
static bool copy_entries(struct mm *child, pte_t *to, pte_t *from, unsigned n)
{
    bool protected = false;
    long pages = 0;

    for (; n > 0; n--, from++, to++) {
        pte_t pte = pte_load(from);

        if (pte_none(pte))
            continue;
        if (!pte_special(pte)) {
            struct page *page = pfn_to_page(pte_pfn(pte));

            if (!(page->flags & PG_ANON))
                continue;
            page_get(page);
            pages++;
            if (pte_write(pte)) {
                pte = pte_clear_write(pte);
                pte_store(from, pte);
                protected = true;
            }
        }
        pte_store(to, pte);
    }
    atomic_add(&child->anon_pages, pages);
    return protected;
}

/* 0 or -ENOMEM; *flush: the parent's translations are stale */
static int copy_pages(struct mm *child, struct vma *vma, bool *flush)
{
    vaddr_t address = vma->start, stop;
    struct page *from_table, *to_table;
    pte_t *from, *to;

    for (;; address = stop) {
        address = page_table_next(vma->mm, address, vma->end, &from, &from_table);
        if (address >= vma->end)
            return 0;
        stop = table_end(address, vma->end);
        to = page_table_make(child, address, &to_table);
        if (!to)
            return -ENOMEM;
        spin_lock(&from_table->table_lock);
        spin_lock_nested(&to_table->table_lock, 1);
        *flush |= copy_entries(child, to, from, (stop - address) >> PAGE_SHIFT);
        spin_unlock(&to_table->table_lock);
        spin_unlock(&from_table->table_lock);
    }
}

static int fork_vma(struct mm *child, struct vma *vma, bool *flush)
{
    u64 pages = (vma->end - vma->start) >> PAGE_SHIFT;
    struct vma *copy;

    if ((vma->flags & VM_ACCOUNT) && !overcommit_allows(vma->mm, pages))
        return -ENOMEM;
    copy = object_alloc(vma_cache, ALLOC_KERNEL);
    if (!copy)
        return -ENOMEM;
    *copy = *vma;
    copy->mm = child;
    copy->flags &= ~(VM_LOCKED | VM_LOCK_ON_FAULT);
    if (copy->file)
        mm_file_ops.get(copy->file);
    if (copy->ops && copy->ops->open)
        copy->ops->open(copy);
    if (vma->flags & VM_WIPEONFORK)
        copy->has_private = false;
    vma_insert(child, copy);
    vma_account(child, copy->flags, copy->file, pages);
    return copy->has_private ? copy_pages(child, vma, flush) : 0;
}

int fork_vmas(struct mm *child, struct mm *parent)
{
    struct vma *vma;
    bool flush = false;
    int error = 0;

    write_lock_nested(&child->lock, 1);
    list_for_each_entry(vma, &parent->vma_list, link) {
        if (vma->flags & VM_DONTCOPY)
            continue;
        error = fork_vma(child, vma, &flush);
        if (error)
            break;
    }
    write_unlock(&child->lock);
    if (flush || mm_flush_is_due(parent))
        tlb_flush_range(parent, 0, USER_END);
    return error;
}
