/* SPDX-License-Identifier: MIT */
/*
 * mremap(2): a mapping is made longer or shorter, in place or at another one.
 *
 *                     shorter            unmap the rest
 *     old range  -->  longer, room here  resize the VMA
 *                     else               a second VMA, to which the pages move; unmap the old range
 *
 * Only private pages have to move: those of files are found again by a fault. A private page is
 * known by its address in the family (page->index; see struct anon_family), so one that is ours alone
 * gets its new address, and one that is shared since a fork is copied, as a write to it would do. An
 * entry that stands for a page in swap just moves: the fault that brings the page back sees to it.
 */
#include "address_space.h"
#include "huge.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/lru.h>
#include <vellum/syscall.h>
#include <vellum/thread.h>

struct remap {
    vaddr_t old, new;
    u64 old_length, new_length; /* bytes, page aligned */
    unsigned long flags;        /* MREMAP_* */
};

/* ---- moving pages => mm->lock write-held, the mapping set too if there is one -------------------- */

/* Make a page that the entry maps ours alone by a copy, since it may be shared; so it can get another
 * index. One that may be written is ours alone, whoever else looks at it just now. Reclaim may be
 * faster and swap it out: then nothing is left to do. 0 or -ENOMEM */
static int own_page(struct tlb_batch *batch, const struct vma *vma, pte_t *from,
                    struct page *from_table, vaddr_t address)
{
    struct page *copy = page_alloc(ALLOC_USER | ALLOC_MOVABLE), *page = NULL;
    pte_t pte;

    if (!copy)
        return -ENOMEM;
    spin_lock(&from_table->table_lock);
    pte = pte_load(from);
    if (pte_present(pte) && !pte_write(pte)) {
        page = pfn_to_page(pte_pfn(pte));
        arch_copy_page(page_to_virt(copy), page_to_virt(page));
        copy->flags = PG_ANON | PG_UPTODATE | PG_SWAP_BACKED | (page->flags & PG_UNEVICTABLE);
        copy->family = page->family;
        copy->index = page->index;
        frames_count_anonymous(1);
        lru_add(copy);
        pte_publish(from, pte_clear_write(pte_leaf(page_to_pfn(copy), vma_prot(vma), 0)));
    }
    spin_unlock(&from_table->table_lock);
    if (!page) {
        page_put(copy);
        return 0;
    }
    batch->pages[batch->n++] = page;
    batch->swap_cached |= (page->flags & PG_SWAP_CACHE) != 0;
    batch->start = min(batch->start, address);
    batch->end = max(batch->end, address + PAGE_SIZE);
    return 0;
}

/* Move the private page of an entry, or the entry of one in swap, to another address. own: the page
 * may be shared. 0 or -ENOMEM */
static int move_page(struct tlb_batch *batch, const struct vma *vma, pte_t *from,
                     struct page *from_table, vaddr_t address, vaddr_t target, bool own)
{
    struct page *to_table;
    pte_t *to = page_table_make(batch->mm, target, &to_table), pte = pte_load(from);

    if (!to)
        return -ENOMEM;
    if (own && pte_present(pte) && !pte_write(pte) &&
        atomic_read(&pfn_to_page(pte_pfn(pte))->refs) > 1) {
        int error = own_page(batch, vma, from, from_table, address);

        if (error)
            return error;
    }
    spin_lock(&from_table->table_lock);
    pte = pte_exchange(from, (pte_t){0});
    if (pte_present(pte)) {
        pfn_to_page(pte_pfn(pte))->index = target >> PAGE_SHIFT;
        from_table->private_pages--;
    } else if (pte_is_swap(pte)) {
        from_table->swapped--;
    }
    spin_unlock(&from_table->table_lock);
    batch->start = mm_flush_is_due(batch->mm) ? 0 : min(batch->start, address);
    batch->end = mm_flush_is_due(batch->mm) ? USER_END : max(batch->end, address + PAGE_SIZE);
    if (pte_none(pte)) /* reclaim has dropped it meanwhile (MADV_FREE) */
        return 0;
    spin_lock(&to_table->table_lock);
    if (pte_present(pte))
        to_table->private_pages++;
    else
        to_table->swapped++;
    pte_publish(to, pte);
    spin_unlock(&to_table->table_lock);
    return 0;
}

static bool is_private_page(pte_t pte)
{
    if (!pte_present(pte))
        return pte_is_swap(pte);
    return !pte_special(pte) && (pfn_to_page(pte_pfn(pte))->flags & PG_ANON);
}

/* 0, or -ENOMEM with some of the pages moved; not if the pages are known to be ours (!own). */
static int move_pages(const struct vma *vma, vaddr_t start, u64 length, vaddr_t target, bool own)
{
    vaddr_t address = start, end = start + length, stop;
    struct tlb_batch batch;
    struct page *table;
    pte_t *entry;
    int error = 0;

    tlb_batch_begin(&batch, vma->mm);
    while (!error) {
        address = page_table_next(vma->mm, address, end, &entry, &table);
        if (address >= end)
            break;
        stop = table_end(address, end);
        if (unlikely(!table)) {
            error = huge_move_range(&batch, address, stop, address - start + target);
            if (error > 0)
                address = stop;
            error = min(error, 0);
            continue;
        }
        for (; !error && address < stop; address += PAGE_SIZE, entry++) {
            if (is_private_page(pte_load(entry)))
                error =
                    move_page(&batch, vma, entry, table, address, address - start + target, own);
            if (batch.n == TLB_BATCH)
                tlb_batch_flush(&batch);
        }
    }
    tlb_batch_flush(&batch);
    return error;
}

/* All or nothing. Truncation, which visits one VMA after the other, must not miss a page. */
static int move_all_pages(const struct vma *vma, vaddr_t start, u64 length, vaddr_t target)
{
    int error;

    if (!vma->has_private || !length)
        return 0;
    if (vma->mappings)
        write_lock(&vma->mappings->lock);
    error = move_pages(vma, start, length, target, true);
    if (error) /* back to where the tables are, and all ours by now: this does not fail */
        move_pages(vma, target, length, start, false);
    if (vma->mappings)
        write_unlock(&vma->mappings->lock);
    return error;
}

/* ---- VMAs => mm->lock write-held ------------------------------------------------------------------ */

/* So that unmapping [start, end), which is in one VMA, will need no memory. *vma: what covers it */
static int isolate(struct vma **vma, vaddr_t start, vaddr_t end)
{
    struct vma *upper;

    if ((*vma)->start < start) {
        upper = vma_split(*vma, start);
        if (!upper)
            return -ENOMEM;
        *vma = upper;
    }
    return (*vma)->end > end && !vma_split(*vma, end) ? -ENOMEM : 0;
}

/* A VMA like this one, for what is at r->old, at `target`. */
static struct vma *second_vma(const struct vma *vma, const struct remap *r, vaddr_t target)
{
    struct vma *copy = object_alloc(vma_cache, ALLOC_KERNEL);

    if (!copy)
        return NULL;
    *copy = *vma;
    copy->start = target;
    copy->end = target + r->new_length;
    copy->offset = vma->file || vma->ops ? vma_index(vma, r->old) : target >> PAGE_SHIFT;
    if (copy->file)
        mm_file_ops.get(copy->file);
    if (copy->ops && copy->ops->open)
        copy->ops->open(copy);
    vma_insert(copy->mm, copy);
    vma_account(copy->mm, copy->flags, copy->file, r->new_length >> PAGE_SHIFT);
    return copy;
}

/* What has not been unmapped (MREMAP_DONTUNMAP) is empty now, and its lock has gone with the pages.
 * [start, end) is whole VMAs, if it was locked: this does not fail. */
static void unlock_old(struct vma *vma, vaddr_t start, vaddr_t end)
{
    if (vma->flags & VM_LOCKED)
        (void)vma_change_flags(&vma, start, end, vma->flags & ~(VM_LOCKED | VM_LOCK_ON_FAULT));
    vma_merge(vma);
}

/* Returns the new address or -errno, with all as it was. */
static long move_mapping(struct mm *mm, struct vma *vma, const struct remap *r)
{
    struct map_request request = {
        .address = r->new,
        .length = r->new_length,
        .map_flags = r->flags &MREMAP_FIXED ? MAP_FIXED : 0,
    };
    u64 length = min(r->old_length, r->new_length);
    bool unmap = !(r->flags & MREMAP_DONTUNMAP);
    struct vma *copy;
    long target;
    int error = 0;

    target = place_mapping(mm, &request);
    if (target < 0)
        return target;
    if (mm->vma_count + 3 > (unsigned)READ_ONCE(max_map_count))
        return -ENOMEM;
    if (page_table_take(mm, r->old, r->old + length))
        return -ENOMEM;
    if (length && (unmap || (vma->flags & VM_LOCKED)))
        error = isolate(&vma, r->old, r->old + length);
    copy = error ? NULL : second_vma(vma, r, target);
    if (!copy) {
        vma_merge(vma);
        return -ENOMEM;
    }
    error = move_all_pages(copy, r->old, length, target);
    if (error)
        unmap_locked(mm, target, target + r->new_length);
    else if (unmap && length)
        unmap_locked(mm, r->old, r->old + length);
    else if (!unmap)
        unlock_old(vma, r->old, r->old + length);
    if (!error && r->old && mm->vdso == r->old) /* signal frames lead there (RISC-V) */
        WRITE_ONCE(mm->vdso, target);
    vma_merge(vma_find_exact(mm, error ? r->old : (vaddr_t)target));
    return error ? error : target;
}

/* Is there room behind the VMA, whose end is that of the old range? */
static bool extend_in_place(struct mm *mm, struct vma *vma, const struct remap *r)
{
    u64 more = r->new_length - r->old_length;
    struct vma *next = vma_next(vma);

    if (vma->end != r->old + r->old_length || more > USER_END - vma->end ||
        (next && vma->end + more > vma_guarded_start(next)))
        return false;
    vma_account(mm, vma->flags, vma->file, more >> PAGE_SHIFT);
    vma_resize(vma, vma->start, vma->end + more);
    vma_merge(vma);
    return true;
}

/* ---- the call ------------------------------------------------------------------------------------- */

/* Can what is at r->old be had in the new length? */
static int check_vma(struct mm *mm, const struct vma *vma, const struct remap *r)
{
    u64 more = r->new_length - min(r->old_length, r->new_length);

    if (!vma)
        return -EFAULT;
    if (!r->old_length && !(vma->flags & VM_SHARED))
        return -EINVAL;
    if ((r->flags & MREMAP_DONTUNMAP) && (vma->flags & (VM_DONTEXPAND | VM_SPECIAL)))
        return -EINVAL;
    if (min(r->old_length, r->new_length) > vma->end - r->old)
        return -EFAULT;
    if (more && (vma->flags & VM_DONTEXPAND))
        return -EFAULT;
    if ((vma->flags & VM_SPECIAL) && /* the vDSO and its data move as wholes */
        (r->old != vma->start || r->old + r->new_length != vma->end))
        return -EINVAL;
    if (!more && !(r->flags & MREMAP_DONTUNMAP))
        return 0;
    if (r->flags & MREMAP_DONTUNMAP) /* the lock goes along */
        return check_limits(mm, vma->flags & ~VM_LOCKED, r->new_length >> PAGE_SHIFT);
    return check_limits(mm, vma->flags, more >> PAGE_SHIFT);
}

/* => mm->lock write-held; returns the address or -errno. *grown: there is more than before */
static long remap_locked(struct mm *mm, const struct remap *r, bool *locked)
{
    bool choose = r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
    struct vma *vma;
    int error = 0;

    if (!vma_find_exact(mm, r->old))
        return -EFAULT;
    if (r->old_length > USER_END - r->old)
        return -EINVAL;
    if (r->flags & MREMAP_FIXED)
        error = unmap_locked(mm, r->new, r->new + r->new_length);
    if (!error && r->new_length < r->old_length)
        error = unmap_locked(mm, r->old + r->new_length, r->old + r->old_length);
    if (error || (!choose && r->new_length <= r->old_length && r->old_length))
        return error ? error : (long)r->old;
    vma = vma_find_exact(mm, r->old);
    error = check_vma(mm, vma, r);
    if (error)
        return error;
    *locked = vma->flags & VM_LOCKED;
    if (!choose && r->old_length && extend_in_place(mm, vma, r))
        return r->old;
    return r->flags & MREMAP_MAYMOVE ? move_mapping(mm, vma, r) : -ENOMEM;
}

static bool is_valid(const struct remap *r)
{
    unsigned long move = MREMAP_FIXED | MREMAP_DONTUNMAP;

    if (r->flags & ~(MREMAP_MAYMOVE | move) || !IS_ALIGNED(r->old, PAGE_SIZE) || !r->new_length)
        return false;
    if ((r->flags & move) && !(r->flags & MREMAP_MAYMOVE))
        return false;
    if ((r->flags & MREMAP_DONTUNMAP) && r->old_length != r->new_length)
        return false;
    if (!(r->flags & MREMAP_FIXED))
        return true;
    return IS_ALIGNED(r->new, PAGE_SIZE) && r->new_length <= USER_END &&
           r->new <= USER_END - r->new_length &&
           (r->new + r->new_length <= r->old || r->old + r->old_length <= r->new);
}

SYSCALL_DEFINE5(mremap, unsigned long, old, size_t, old_length, size_t, new_length, unsigned long,
                flags, unsigned long, new)
{
    struct remap r = {
        .old = old,
        .old_length = ALIGN_UP(old_length, PAGE_SIZE),
        .new_length = ALIGN_UP(new_length, PAGE_SIZE),
        .flags = flags,
        .new = flags &(MREMAP_FIXED | MREMAP_DONTUNMAP) ? new : 0,
    };
    struct mm *mm = current->mm;
    bool locked = false;
    long result;

    if (!is_valid(&r))
        return -EINVAL;
    write_lock(&mm->lock);
    result = remap_locked(mm, &r, &locked);
    write_unlock(&mm->lock);
    if (result >= 0 && locked)
        populate(mm, result, result + r.new_length, false);
    return result;
}
