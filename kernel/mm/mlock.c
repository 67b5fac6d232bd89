/* SPDX-License-Identifier: MIT */
/*
 * mlock(2) and its relatives: memory that stays in memory.
 *
 * VM_LOCKED says so of a VMA, and the calls then fault all of it in. With VM_LOCK_ON_FAULT besides,
 * pages stay once they have been touched (MLOCK_ONFAULT). mm->lock_future has the flags that new
 * mappings get (MCL_FUTURE). What is locked counts against RLIMIT_MEMLOCK by its size, whether it
 * is there yet or not; CAP_IPC_LOCK lifts the limit. A child of fork() inherits no locks.
 */
#include "address_space.h"
#include <vellum/cred.h>
#include <vellum/error.h>
#include <vellum/sync.h>
#include <vellum/syscall.h>
#include <vellum/thread.h>
#include <linux/resource.h>

#define LOCK_FLAGS (VM_LOCKED | VM_LOCK_ON_FAULT)

static bool may_lock_at_all(void)
{
    return mm_limit(RLIMIT_MEMLOCK) != 0 || capable(CAP_IPC_LOCK);
}

static bool within_limit(u64 pages)
{
    return pages <= mm_limit(RLIMIT_MEMLOCK) >> PAGE_SHIFT || capable(CAP_IPC_LOCK);
}

/* Pages of [start, end) that are locked already. => mm->lock */
static u64 count_locked(struct mm *mm, vaddr_t start, vaddr_t end)
{
    u64 bytes = 0;

    for (struct vma *vma = vma_find(mm, start); vma && vma->start < end; vma = vma_next(vma))
        if (vma->flags & VM_LOCKED)
            bytes += min(vma->end, end) - max(vma->start, start);
    return bytes >> PAGE_SHIFT;
}

/* Give the part [start, end) of a VMA these LOCK_FLAGS. */
static int set_locked(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long lock)
{
    u32 before = (*vma)->flags;
    int error;

    if (before & (VM_SPECIAL | VM_DONTEXPAND))
        return 0;
    error = vma_change_flags(vma, start, end, (before & ~LOCK_FLAGS) | lock);
    if (!error && ((before ^ lock) & VM_LOCKED))
        mark_locked(*vma, start, end, lock & VM_LOCKED);
    return error;
}

/* The pages that [start, start + length) touches; false: it wraps. */
static bool round_out(vaddr_t *start, vaddr_t *end, size_t length)
{
    length = ALIGN_UP(length + *start % PAGE_SIZE, PAGE_SIZE);
    *start = ALIGN_DOWN(*start, PAGE_SIZE);
    *end = *start + length;
    return *end >= *start;
}

static int lock_range(vaddr_t start, size_t length, u32 lock)
{
    struct mm *mm = current->mm;
    int error = -ENOMEM;
    u64 pages;
    vaddr_t end;

    if (!may_lock_at_all())
        return -EPERM;
    if (!round_out(&start, &end, length))
        return -EINVAL;
    write_lock(&mm->lock);
    pages = mm->locked_pages + ((end - start) >> PAGE_SHIFT);
    if (within_limit(pages) || within_limit(pages - count_locked(mm, start, end)))
        error = vma_for_each_part(mm, start, end, false, set_locked, lock);
    write_unlock(&mm->lock);
    if (error)
        return error;
    error = populate(mm, start, end, true);
    return error == -EFAULT ? -ENOMEM : error == -ENOMEM ? -EAGAIN : error;
}

SYSCALL_DEFINE2(mlock, unsigned long, start, size_t, length)
{
    return lock_range(start, length, VM_LOCKED);
}

SYSCALL_DEFINE3(mlock2, unsigned long, start, size_t, length, int, flags)
{
    if (flags & ~MLOCK_ONFAULT)
        return -EINVAL;
    return lock_range(start, length, flags & MLOCK_ONFAULT ? LOCK_FLAGS : VM_LOCKED);
}

SYSCALL_DEFINE2(munlock, unsigned long, start, size_t, length)
{
    struct mm *mm = current->mm;
    vaddr_t end;
    int error;

    if (!round_out(&start, &end, length))
        return -EINVAL;
    write_lock(&mm->lock);
    error = vma_for_each_part(mm, start, end, false, set_locked, 0);
    write_unlock(&mm->lock);
    return error;
}

/* Every VMA, as far as that is possible. => mm->lock write-held */
static void set_all(struct mm *mm, u32 lock)
{
    struct vma *vma = vma_first(mm);

    while (vma) {
        set_locked(&vma, vma->start, vma->end, lock);
        vma = vma_next(vma);
    }
}

SYSCALL_DEFINE1(mlockall, int, flags)
{
    struct mm *mm = current->mm;
    u32 lock = flags & MCL_ONFAULT ? LOCK_FLAGS : VM_LOCKED;
    bool now = flags & MCL_CURRENT;

    if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
        return -EINVAL;
    if (!may_lock_at_all())
        return -EPERM;
    write_lock(&mm->lock);
    if (now && !within_limit(mm->total_pages)) {
        write_unlock(&mm->lock);
        return -ENOMEM;
    }
    mm->lock_future = flags & MCL_FUTURE ? lock : 0;
    if (now)
        set_all(mm, lock);
    write_unlock(&mm->lock);
    return now ? populate(mm, 0, USER_END, false) : 0;
}

SYSCALL_DEFINE0(munlockall)
{
    struct mm *mm = current->mm;

    write_lock(&mm->lock);
    mm->lock_future = 0;
    set_all(mm, 0);
    write_unlock(&mm->lock);
    return 0;
}
