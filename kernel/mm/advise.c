/* SPDX-License-Identifier: MIT */
/*
 * madvise(2) and mincore(2).
 */
#include "address_space.h"
#include "huge.h"
#include <vellum/error.h>
#include <vellum/khugepaged.h>
#include <vellum/sync.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>

/* ---- madvise --------------------------------------------------------------------------------------- */

/* Shared tables: the copy of one at the ends, or let go of what is in between. */
static int forget_shared(struct vma *vma, vaddr_t start, vaddr_t end)
{
    vaddr_t low = free_below_range(vma, start), high = free_above_range(vma->mm, end);

    if (page_table_take_ends(vma->mm, start, end, low, high))
        return -EAGAIN;
    page_table_give_up(vma->mm, start, end, low, high);
    return 0;
}

static int forget(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long advice)
{
    u32 spared = VM_SPECIAL | (advice == MADV_DONTNEED_LOCKED ? 0 : VM_LOCKED);
    struct tlb_batch batch;

    if ((*vma)->flags & spared)
        return -EINVAL;
    if (atomic_read(&(*vma)->mm->shared_tables) && forget_shared(*vma, start, end))
        return -EAGAIN;
    mm_update_peaks((*vma)->mm);
    tlb_batch_begin(&batch, (*vma)->mm);
    unmap_pages(&batch, start, end, true);
    tlb_batch_flush(&batch);
    return 0;
}

static int make_free(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long unused)
{
    if ((*vma)->ops || ((*vma)->flags & (VM_LOCKED | VM_SPECIAL)))
        return -EINVAL;
    advise_free(*vma, start, end);
    return 0;
}

static int make_cold(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long unused)
{
    if ((*vma)->flags & (VM_LOCKED | VM_SPECIAL))
        return -EINVAL;
    advise_cold(*vma, start, end);
    return 0;
}

static int page_out(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long unused)
{
    if ((*vma)->flags & (VM_LOCKED | VM_SPECIAL))
        return -EINVAL;
    advise_pageout(*vma, start, end);
    return 0;
}

static int change_flag(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long advice)
{
    u32 flags = (*vma)->flags;
    int error;

    switch (advice) {
    case MADV_DONTFORK:
        flags |= VM_DONTCOPY;
        break;
    case MADV_DOFORK:
        if (flags & VM_SPECIAL)
            return -EINVAL;
        flags &= ~VM_DONTCOPY;
        break;
    case MADV_WIPEONFORK:
        if ((*vma)->ops || (flags & (VM_SHARED | VM_SPECIAL)))
            return -EINVAL;
        flags |= VM_WIPEONFORK;
        break;
    case MADV_KEEPONFORK:
        flags &= ~VM_WIPEONFORK;
        break;
    case MADV_NORMAL:
        flags &= ~(VM_SEQ_READ | VM_RAND_READ);
        break;
    case MADV_RANDOM:
        flags = (flags & ~VM_SEQ_READ) | VM_RAND_READ;
        break;
    case MADV_SEQUENTIAL:
        flags = (flags & ~VM_RAND_READ) | VM_SEQ_READ;
        break;
    case MADV_DONTDUMP:
        flags |= VM_DONTDUMP;
        break;
    case MADV_DODUMP:
        if (flags & (VM_SPECIAL | VM_DONTEXPAND))
            return -EINVAL;
        flags &= ~VM_DONTDUMP;
        break;
    case MADV_HUGEPAGE:
        if (flags & VM_SPECIAL)
            return -EINVAL;
        flags = (flags & ~VM_NOHUGEPAGE) | VM_HUGEPAGE;
        break;
    case MADV_NOHUGEPAGE:
        if (flags & VM_SPECIAL)
            return -EINVAL;
        flags = (flags & ~VM_HUGEPAGE) | VM_NOHUGEPAGE;
        break;
    }
    error = vma_change_flags(vma, start, end, flags);
    if (!error && advice == MADV_HUGEPAGE && huge_possible(*vma))
        khugepaged_enter((*vma)->mm);
    return error;
}

/* MADV_WILLNEED: begin to read what of the file is not in memory. */
static int will_need(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long unused)
{
    if ((*vma)->file)
        mm_file_ops.will_need((*vma)->file, vma_index(*vma, start), vma_index(*vma, end - 1));
    return 0;
}

static int advise_write_locked(struct mm *mm, vaddr_t start, vaddr_t end, int advice)
{
    int error;

    write_lock(&mm->lock);
    error = vma_for_each_part(mm, start, end, true, change_flag, advice);
    write_unlock(&mm->lock);
    return error;
}

static int advise_read_locked(struct mm *mm, vaddr_t start, vaddr_t end, vma_part_fn *fn,
                              int advice)
{
    int error;

    read_lock(&mm->lock);
    error = vma_for_each_part(mm, start, end, true, fn, advice);
    read_unlock(&mm->lock);
    return error;
}

/* Punch a hole into the file behind `start`, as long as the VMA there goes on. Returns where that ends,
 * or -errno. */
static long punch(struct mm *mm, vaddr_t start, vaddr_t end, bool *hole)
{
    struct file *file = NULL;
    struct vma *vma;
    u64 offset = 0;
    int error = 0;

    read_lock(&mm->lock);
    vma = vma_find(mm, start);
    if (!vma || vma->start >= end) {
        error = -ENOMEM;
    } else if ((vma->flags & VM_LOCKED) || !vma->file) {
        error = -EINVAL;
    } else if ((vma->flags & (VM_SHARED | VM_WRITE)) != (VM_SHARED | VM_WRITE)) {
        error = -EACCES;
    } else {
        *hole |= vma->start > start;
        start = max(vma->start, start);
        end = min(vma->end, end);
        offset = vma_index(vma, start) << PAGE_SHIFT;
        file = vma->file;
        mm_file_ops.get(file);
    }
    read_unlock(&mm->lock);
    if (error)
        return error;
    error = mm_file_ops.punch_hole(file, offset, end - start);
    mm_file_ops.put(file);
    return error ? error : (long)end;
}

/* MADV_REMOVE: free the memory, and what the file has there. */
static int advise_remove(struct mm *mm, vaddr_t start, vaddr_t end)
{
    bool hole = false;

    while (start < end) {
        long done = punch(mm, start, end, &hole);

        if (done < 0)
            return done;
        start = done;
    }
    return hole ? -ENOMEM : 0;
}

static int advise(struct mm *mm, vaddr_t start, vaddr_t end, int advice)
{
    switch (advice) {
    case MADV_WILLNEED:
        return advise_read_locked(mm, start, end, will_need, advice);
    case MADV_COLD:
        return advise_read_locked(mm, start, end, make_cold, advice);
    case MADV_PAGEOUT:
        return advise_read_locked(mm, start, end, page_out, advice);
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
        return advise_read_locked(mm, start, end, forget, advice);
    case MADV_FREE:
        return advise_read_locked(mm, start, end, make_free, advice);
    case MADV_REMOVE:
        return advise_remove(mm, start, end);
    case MADV_POPULATE_READ:
        return populate_for(mm, start, end, 0);
    case MADV_POPULATE_WRITE:
        return populate_for(mm, start, end, ACCESS_WRITE);
    case MADV_COLLAPSE:
        return advise_collapse(mm, start, end);
    default:
        return advise_write_locked(mm, start, end, advice);
    }
}

static bool advice_known(int advice)
{
    switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
    case MADV_FREE:
    case MADV_REMOVE:
    case MADV_COLD:
    case MADV_PAGEOUT:
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_WIPEONFORK:
    case MADV_KEEPONFORK:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_COLLAPSE:
        return true;
    default:
        return false;
    }
}

int mm_advise(struct mm *mm, vaddr_t start, size_t length, int advice)
{
    vaddr_t end = start + ALIGN_UP(length, PAGE_SIZE);

    if (!advice_known(advice) || !IS_ALIGNED(start, PAGE_SIZE) || end < start ||
        (length && end == start))
        return -EINVAL;
    return end == start ? 0 : advise(mm, start, end, advice);
}

SYSCALL_DEFINE3(madvise, unsigned long, start, size_t, length, int, advice)
{
    return mm_advise(current->mm, start, length, advice);
}

/* ---- mincore --------------------------------------------------------------------------------------- */

static bool in_swap_cache(swap_entry_t entry)
{
    struct page *page = swap_cache_find(entry);
    bool ready = page && (page->flags & PG_UPTODATE);

    if (page)
        page_put(page);
    return ready;
}

/* Is the page at an address in memory: mapped, or in the file's cache? => mm->lock */
static bool in_core(struct vma *vma, vaddr_t address)
{
    u64 index = vma_index(vma, address);
    struct page *table, *page;
    pte_t pte = {0};
    spinlock_t *lock = page_table_lock_pte(vma->mm, address, &pte, &table);

    if (lock)
        spin_unlock(lock);
    if (vma->file && !mm_file_ops.may_look(vma->file)) /* others' reading is none of our business */
        return true;
    if (pte_present(pte))
        return true;
    if (pte_is_swap(pte))
        return in_swap_cache(swap_of_pte(pte));
    if (!vma->ops || !vma->ops->fault_around ||
        vma->ops->fault_around(vma, index, index, &page) == 0)
        return false;
    page_put(page);
    return true;
}

/* One byte for each of n pages. Returns how many there are: fewer, if some are not mapped. */
static unsigned core_map(struct mm *mm, vaddr_t start, unsigned n, u8 *map)
{
    struct vma *vma;
    unsigned i;

    read_lock(&mm->lock);
    vma = vma_find(mm, start);
    for (i = 0; i < n; i++, start += PAGE_SIZE) {
        if (vma && vma->end <= start)
            vma = vma_next(vma);
        if (!vma || vma->start > start)
            break;
        map[i] = in_core(vma, start);
    }
    read_unlock(&mm->lock);
    return i;
}

SYSCALL_DEFINE3(mincore, unsigned long, start, size_t, length, u8 *, vector)
{
    u64 pages = DIV_ROUND_UP(length, PAGE_SIZE);
    u8 map[256];

    if (!IS_ALIGNED(start, PAGE_SIZE))
        return -EINVAL;
    if (start > USER_END || length > USER_END - start)
        return -ENOMEM;
    if (!user_range_ok(vector, pages))
        return -EFAULT;
    for (u64 done = 0; done < pages;) {
        unsigned n = min_t(u64, pages - done, sizeof(map));
        unsigned found = core_map(current->mm, start + done * PAGE_SIZE, n, map);

        if (copy_to_user(vector + done, map, found))
            return -EFAULT;
        if (found < n)
            return -ENOMEM;
        done += n;
    }
    return 0;
}
