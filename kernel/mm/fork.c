/* SPDX-License-Identifier: MIT */
/*
 * Copying an address space for fork.
 *
 * The VMAs are copied; of the page tables only what could not be found again by a fault: the private
 * pages. They are shared from now on, mapped read-only on both sides, and the first write copies
 * one (fault.c: break_copy_on_write). Pages of files and of shared memory the child faults in itself.
 *
 * Tables that are full of private pages are not even copied now, but shared as they are
 * (shared_table.c).
 */
#include "address_space.h"
#include "huge.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/sync.h>

/* What goes from one VMA to the next. */
struct fork {
    struct mm *child, *parent;
    vaddr_t shared_to; /* below this address nothing is left to do */
    vaddr_t copied_to; /* below this one tables cannot be shared */
    bool flush;        /* the parent's translations are stale */
};

/* Take back what was copied to the n entries before `to`. The original keeps all of it alive. */
static void uncopy_entries(pte_t *to, unsigned n)
{
    while (n-- > 0) {
        pte_t pte = pte_load(--to);

        pte_store(to, (pte_t){0});
        if (pte_is_swap(pte))
            swap_free(swap_of_pte(pte));
        else if (pte_present(pte) && !pte_special(pte))
            page_put(pfn_to_page(pte_pfn(pte)));
    }
}

int copy_entries(pte_t *to, pte_t *from, unsigned n, struct copied *copied)
{
    *copied = (struct copied){0};
    for (unsigned i = 0; i < n; i++, from++, to++) {
        pte_t pte = pte_load(from);

        if (pte_none(pte)) {
            unsigned none = none_lines(from, n - i);

            if (none) {
                i += none - 1;
                from += none - 1;
                to += none - 1;
            }
            continue;
        }
        if (unlikely(pte_is_swap(pte))) {
            if (swap_duplicate(swap_of_pte(pte))) {
                uncopy_entries(to, i);
                copied->pages = copied->swapped = 0;
                return -ENOMEM;
            }
            copied->swapped++;
        } else if (!pte_special(pte)) {
            struct page *page = pfn_to_page(pte_pfn(pte));

            if (!(page->flags & PG_ANON))
                continue;
            page_get(page);
            copied->pages++;
            if (pte_write(pte)) {
                pte = pte_protect(from, pte);
                copied->protected = true;
            }
        }
        pte_store(to, pte);
    }
    return 0;
}

/* The entries of [address, stop), which the table of one entry of level 1 serves. 0 or -ENOMEM */
static int copy_table(struct fork *fork, pte_t *upper, vaddr_t address, vaddr_t stop)
{
    struct page *from_table, *to_table;
    struct copied copied;
    pte_t *from, *to;
    int error;

    if (pte_is_shared(pte_load(upper)) && page_table_take_upper(fork->parent, upper))
        return -ENOMEM;
    from_table = pfn_to_page(pte_pfn(pte_load(upper)));
    from = (pte_t *)pte_table_of(pte_load(upper)) + pte_index(address, 0);
    to = page_table_make(fork->child, address, &to_table);
    if (!to)
        return -ENOMEM;
    spin_lock(&from_table->table_lock);
    spin_lock_nested(&to_table->table_lock, 1);
    error = copy_entries(to, from, (stop - address) >> PAGE_SHIFT, &copied);
    to_table->private_pages += copied.pages;
    to_table->swapped += copied.swapped;
    spin_unlock(&to_table->table_lock);
    spin_unlock(&from_table->table_lock);
    atomic_add(&fork->child->anon_pages, (long)copied.pages);
    if (unlikely(copied.swapped))
        mm_count_swapped(fork->child, copied.swapped);
    fork->flush |= copied.protected;
    return error;
}

/* What one entry of level 1 says about [address, stop). 0 or -ENOMEM */
static int copy_one(struct fork *fork, pte_t *upper, vaddr_t address, vaddr_t stop)
{
    int done = 0;

    while (!done && unlikely(pte_is_huge(pte_load(upper))))
        done = huge_fork_range(fork->child, fork->parent, address, stop, &fork->flush);
    return done ? min(done, 0) : copy_table(fork, upper, address, stop);
}

/* Private anonymous memory that the child inherits as it is. (Not locked: who locks memory wants no
 * faults.) */
static bool is_shareable(const struct vma *vma)
{
    return !vma->ops && !vma->file &&
           !(vma->flags & (VM_SHARED | VM_SPECIAL | VM_DONTCOPY | VM_WIPEONFORK | VM_LOCKED));
}

/* Is there nothing else in [low, high), of which `vma` is a part? */
static bool all_shareable(struct vma *vma, vaddr_t low, vaddr_t high)
{
    struct vma *other;

    if (!is_shareable(vma))
        return false;
    for (other = vma; other->start > low;) {
        other = vma_prev(other);
        if (!other || other->end <= low)
            break;
        if (!is_shareable(other))
            return false;
    }
    for (other = vma; other->end < high;) {
        other = vma_next(other);
        if (!other || other->start >= high)
            break;
        if (!is_shareable(other))
            return false;
    }
    return true;
}

/* Share the tables from that of `address` on, as far as the VMA alone uses them. Returns where it
 * stopped, which is not beyond `address` if that is not possible; or -ENOMEM. */
static __noinline long share_tables(struct fork *fork, struct vma *vma, vaddr_t address)
{
    vaddr_t low = ALIGN_DOWN(address, TABLE_SPAN), high = low + TABLE_SPAN;
    vaddr_t last = ALIGN_DOWN(address, TABLE_SPAN * PT_ENTRIES) + TABLE_SPAN * PT_ENTRIES;

    if (!all_shareable(vma, low, high)) {
        fork->copied_to = high;
        return low;
    }
    high = max(high, min(ALIGN_DOWN(vma->end, TABLE_SPAN), last));
    return page_table_share(fork->child, fork->parent, low, high, &fork->flush);
}

/* 0 or -ENOMEM */
static int copy_pages(struct fork *fork, struct vma *vma)
{
    vaddr_t address = max(vma->start, fork->shared_to), stop;
    pte_t *upper;
    long result;

    for (; address < vma->end; address = stop) {
        address = page_table_next_upper(fork->parent, address, vma->end, &upper);
        if (address >= vma->end)
            break;
        stop = table_end(address, vma->end);
        if (address >= fork->copied_to && page_table_worth_sharing(pte_load(upper))) {
            result = share_tables(fork, vma, address);
            if (result < 0)
                return result;
            if ((vaddr_t)result > address) {
                fork->shared_to = stop = result;
                continue;
            }
        }
        result = copy_one(fork, upper, address, stop);
        if (result)
            return result;
    }
    return 0;
}

static int fork_vma(struct fork *fork, struct vma *vma)
{
    struct mm *child = fork->child;
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
    return copy->has_private ? copy_pages(fork, vma) : 0;
}

int fork_vmas(struct mm *child, struct mm *parent)
{
    struct fork fork = {.child = child, .parent = parent};
    struct vma *vma;
    int error = 0;

    write_lock_nested(&child->lock, 1);
    list_for_each_entry(vma, &parent->vma_list, link) {
        if (vma->flags & VM_DONTCOPY)
            continue;
        error = fork_vma(&fork, vma);
        if (error)
            break;
    }
    write_unlock(&child->lock);
    if (fork.flush || mm_flush_is_due(parent))
        tlb_flush_entries(parent, 0, USER_END);
    return error;
}
