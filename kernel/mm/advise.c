/* SPDX-License-Identifier: MIT */
/*
 * madvise(2), mincore(2) and mlock(2) with its relatives.
 */
#include "address_space.h"
#include <vellum/cred.h>
#include <vellum/error.h>
#include <vellum/sync.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <linux/resource.h>

/* Do something to the part [start, end) of a VMA; *vma is the VMA that covers it afterwards. */
typedef int range_fn(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long arg);

/* Call fn for each VMA in the range. Holes are skipped, and -ENOMEM is returned in the end. */
static int for_each_part(struct mm *mm, vaddr_t start, vaddr_t end, range_fn *fn, unsigned long arg)
{
    struct vma *vma = vma_find(mm, start);
    bool hole = false;

    while (start < end) {
        vaddr_t stop;
        int error;

        if (!vma || vma->start >= end)
            return -ENOMEM;
        if (vma->start > start) {
            hole = true;
            start = vma->start;
        }
        stop = min(vma->end, end);
        error = fn(&vma, start, stop, arg);
        if (error)
            return error;
        start = stop;
        if (vma->end <= start)
            vma = vma_next(vma);
    }
    return hole ? -ENOMEM : 0;
}

/* ---- madvise --------------------------------------------------------------------------------------- */

static int forget(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long unused)
{
    struct tlb_batch batch;

    if ((*vma)->flags & (VM_LOCKED | VM_SPECIAL))
        return -EINVAL;
    mm_update_peaks((*vma)->mm);
    tlb_batch_begin(&batch, (*vma)->mm);
    unmap_pages(&batch, start, end, true);
    tlb_batch_flush(&batch);
    return 0;
}

/* MADV_FREE lets the kernel drop the contents when it needs the memory. It never does. */
static int check_free(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long unused)
{
    return (*vma)->ops || ((*vma)->flags & (VM_LOCKED | VM_SPECIAL)) ? -EINVAL : 0;
}

static int change_flag(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long advice)
{
    u32 flags = (*vma)->flags;

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
    }
    return vma_change_flags(vma, start, end, flags);
}

static int nothing(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long unused)
{
    return 0;
}

static int advise_write_locked(struct mm *mm, vaddr_t start, vaddr_t end, int advice)
{
    int error;

    write_lock(&mm->lock);
    error = for_each_part(mm, start, end, change_flag, advice);
    write_unlock(&mm->lock);
    return error;
}

static int advise_read_locked(struct mm *mm, vaddr_t start, vaddr_t end, range_fn *fn)
{
    int error;

    read_lock(&mm->lock);
    error = for_each_part(mm, start, end, fn, 0);
    read_unlock(&mm->lock);
    return error;
}

/* MADV_POPULATE_READ, MADV_POPULATE_WRITE: fault everything in, or say why not. */
static int advise_populate(struct mm *mm, vaddr_t start, vaddr_t end, u32 access)
{
    bool major;

    for (; start < end; start += PAGE_SIZE)
        switch (mm_fault(mm, start, ACCESS_USER | access, &major)) {
        case FAULT_OK:
            break;
        case FAULT_MAPERR:
        case FAULT_OOM:
            return -ENOMEM;
        case FAULT_ACCERR:
            return -EINVAL;
        default:
            return -EFAULT;
        }
    return 0;
}

static int advise(struct mm *mm, vaddr_t start, vaddr_t end, int advice)
{
    switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_COLD:
    case MADV_PAGEOUT:
        return advise_read_locked(mm, start, end, nothing);
    case MADV_DONTNEED:
        return advise_read_locked(mm, start, end, forget);
    case MADV_FREE:
        return advise_read_locked(mm, start, end, check_free);
    case MADV_POPULATE_READ:
        return advise_populate(mm, start, end, 0);
    case MADV_POPULATE_WRITE:
        return advise_populate(mm, start, end, ACCESS_WRITE);
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
    case MADV_FREE:
    case MADV_COLD:
    case MADV_PAGEOUT:
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_WIPEONFORK:
    case MADV_KEEPONFORK:
        return true;
    default:
        return false;
    }
}

SYSCALL_DEFINE3(madvise, unsigned long, start, size_t, length, int, advice)
{
    vaddr_t end = start + ALIGN_UP(length, PAGE_SIZE);

    if (!advice_known(advice) || !IS_ALIGNED(start, PAGE_SIZE) || end < start ||
        (length && end == start))
        return -EINVAL;
    return end == start ? 0 : advise(current->mm, start, end, advice);
}

/* ---- mincore --------------------------------------------------------------------------------------- */

/* Is the page at an address in memory: mapped, or in the file's cache? => mm->lock */
static bool in_core(struct vma *vma, vaddr_t address)
{
    struct page *table, *page;
    pte_t *entry = page_table_find(vma->mm, address, &table);
    u64 index = vma_index(vma, address);

    if (entry && pte_present(pte_load(entry)))
        return true;
    if (!vma->ops || !vma->ops->fault_around ||
        vma->ops->fault_around(vma, index, index, &page) == 0)
        return false;
    page_put(page);
    return true;
}

/* One byte for each of n pages. 0 or -ENOMEM */
static int core_map(struct mm *mm, vaddr_t start, unsigned n, u8 *map)
{
    struct vma *vma;
    int error = 0;

    read_lock(&mm->lock);
    vma = vma_find(mm, start);
    for (unsigned i = 0; i < n && !error; i++, start += PAGE_SIZE) {
        if (vma && vma->end <= start)
            vma = vma_next(vma);
        if (vma && vma->start <= start)
            map[i] = in_core(vma, start);
        else
            error = -ENOMEM;
    }
    read_unlock(&mm->lock);
    return error;
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
        int error = core_map(current->mm, start + done * PAGE_SIZE, n, map);

        if (error)
            return error;
        if (copy_to_user(vector + done, map, n))
            return -EFAULT;
        done += n;
    }
    return 0;
}

/* ---- mlock: nothing is ever swapped out, so locking is to fault in, and to count ---------------------- */

static int set_locked(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long lock)
{
    u32 flags = (*vma)->flags;

    if (flags & VM_SPECIAL)
        return 0;
    return vma_change_flags(vma, start, end, lock ? flags | VM_LOCKED : flags & ~VM_LOCKED);
}

static bool may_lock(struct mm *mm, u64 pages)
{
    return capable(CAP_IPC_LOCK) || pages <= mm_limit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
}

static int lock_range(unsigned long start, size_t length, bool lock)
{
    struct mm *mm = current->mm;
    vaddr_t end = ALIGN_UP(start + length, PAGE_SIZE);
    int error;

    start = ALIGN_DOWN(start, PAGE_SIZE);
    if (end < start)
        return -EINVAL;
    if (lock && !capable(CAP_IPC_LOCK) && mm_limit(RLIMIT_MEMLOCK) == 0)
        return -EPERM;
    write_lock(&mm->lock);
    if (lock && !may_lock(mm, mm->locked_pages + ((end - start) >> PAGE_SHIFT)))
        error = -ENOMEM;
    else
        error = end == start ? 0 : for_each_part(mm, start, end, set_locked, lock);
    write_unlock(&mm->lock);
    return error;
}

SYSCALL_DEFINE3(mlock2, unsigned long, start, size_t, length, int, flags)
{
    int error;

    if (flags & ~MLOCK_ONFAULT)
        return -EINVAL;
    error = lock_range(start, length, true);
    if (!error && !(flags & MLOCK_ONFAULT))
        populate(current->mm, ALIGN_DOWN(start, PAGE_SIZE), ALIGN_UP(start + length, PAGE_SIZE));
    return error;
}

SYSCALL_DEFINE2(mlock, unsigned long, start, size_t, length)
{
    int error = lock_range(start, length, true);

    if (!error)
        populate(current->mm, ALIGN_DOWN(start, PAGE_SIZE), ALIGN_UP(start + length, PAGE_SIZE));
    return error;
}

SYSCALL_DEFINE2(munlock, unsigned long, start, size_t, length)
{
    return lock_range(start, length, false);
}

static int lock_all(struct mm *mm, bool lock)
{
    int error = for_each_part(mm, 0, USER_END, set_locked, lock);

    return error == -ENOMEM ? 0 : error; /* there are holes, of course */
}

SYSCALL_DEFINE1(mlockall, int, flags)
{
    struct mm *mm = current->mm;
    struct vma *vma;
    vaddr_t next = 0;
    int error = 0;

    if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
        return -EINVAL;
    if (!capable(CAP_IPC_LOCK) && mm_limit(RLIMIT_MEMLOCK) == 0)
        return -EPERM;
    write_lock(&mm->lock);
    if ((flags & MCL_CURRENT) && !may_lock(mm, mm->total_pages))
        error = -ENOMEM;
    if (!error) {
        mm->lock_future = flags & MCL_FUTURE ? VM_LOCKED : 0;
        error = flags & MCL_CURRENT ? lock_all(mm, true) : 0;
    }
    write_unlock(&mm->lock);
    while (!error && (flags & MCL_CURRENT) && !(flags & MCL_ONFAULT)) {
        vaddr_t start;

        read_lock(&mm->lock);
        vma = vma_find(mm, next);
        start = vma ? vma->start : 0;
        next = vma ? vma->end : 0;
        read_unlock(&mm->lock);
        if (!vma)
            break;
        populate(mm, start, next);
    }
    return error;
}

SYSCALL_DEFINE0(munlockall)
{
    struct mm *mm = current->mm;
    int error;

    write_lock(&mm->lock);
    mm->lock_future = 0;
    error = lock_all(mm, false);
    write_unlock(&mm->lock);
    return error;
}
