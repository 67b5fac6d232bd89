/* SPDX-License-Identifier: MIT */
/*
 * Making mappings: the part of mmap(2) that does not know what a file is (that is
 * kernel/fs/file_map.c), the heap, and the growth of stacks.
 */
#include "address_space.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/sync.h>
#include <vellum/syscall.h>
#include <vellum/thread.h>
#include <linux/resource.h>

/* ---- limits => mm->lock write-held ---------------------------------------------------------------- */

int overcommit_mode, overcommit_ratio = 50;

u64 overcommit_limit(void)
{
    return (boot_memory_total() >> PAGE_SHIFT) * READ_ONCE(overcommit_ratio) / 100;
}

/* 0: a single request that the machine could never satisfy is refused. 1: none is. 2: all that has been
 * promised stays below the limit. */
bool overcommit_allows(u64 pages)
{
    switch (READ_ONCE(overcommit_mode)) {
    case 1:
        return true;
    case 2:
        return atomic_read(&count_committed) + pages <= overcommit_limit();
    default:
        return pages <= boot_memory_total() >> PAGE_SHIFT;
    }
}

static bool is_data(u32 flags)
{
    return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE;
}

bool limits_allow(struct mm *mm, u32 flags, u64 pages)
{
    if (mm->total_pages + pages > mm_limit(RLIMIT_AS) >> PAGE_SHIFT)
        return false;
    if (is_data(flags) && mm->data_pages + pages > mm_limit(RLIMIT_DATA) >> PAGE_SHIFT)
        return false;
    return !(flags & VM_ACCOUNT) || overcommit_allows(pages);
}

/* ---- a place -------------------------------------------------------------------------------------- */

static bool is_free(struct mm *mm, vaddr_t start, u64 length)
{
    struct vma *next;

    if (start < USER_START || start > USER_END || length > USER_END - start)
        return false;
    next = vma_find(mm, start);
    return !next || start + length <= vma_guarded_start(next);
}

static long place_fixed(struct mm *mm, const struct map_request *r)
{
    struct vma *next;

    if (r->length > USER_END || r->address > USER_END - r->length)
        return -ENOMEM;
    if (!IS_ALIGNED(r->address, PAGE_SIZE))
        return -EINVAL;
    if (r->address < USER_START)
        return -EPERM;
    if (r->map_flags & MAP_FIXED_NOREPLACE) {
        next = vma_find(mm, r->address);
        if (next && next->start < r->address + r->length)
            return -EEXIST;
    }
    return r->address;
}

long place_mapping(struct mm *mm, const struct map_request *r)
{
    vaddr_t hint = ALIGN_DOWN(r->address, PAGE_SIZE), address;

    if (r->map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
        return place_fixed(mm, r);
    if (hint && is_free(mm, max(hint, USER_START), r->length))
        return max(hint, USER_START);
    address = vma_find_gap(mm, r->length, USER_START, mm->mmap_top);
    if (!address)
        address = vma_find_gap(mm, r->length, mm->mmap_top, USER_END);
    return address ? (long)address : -ENOMEM;
}

/* ---- a mapping ------------------------------------------------------------------------------------ */

/* A VMA of its own at `start`, where nothing is mapped. 0 or -errno */
static int add_vma(struct mm *mm, const struct map_request *r, vaddr_t start, u32 flags)
{
    struct vma *vma = vma_alloc(mm, start, start + r->length, flags);
    int error;

    if (!vma)
        return -ENOMEM;
    vma->private_data = r->private_data;
    vma->ops = r->ops;
    if (r->ops || r->attach || (flags & VM_SPECIAL))
        vma->offset = r->offset;
    if (r->attach) {
        vma->file = r->file;
        mm_file_ops.get(vma->file);
        error = r->attach(r->file, vma);
        if (error) {
            vma->ops = NULL; /* nothing was opened */
            vma_free(vma);
            return error;
        }
    }
    vma_insert(mm, vma);
    vma_account(mm, vma->flags, vma->file, r->length >> PAGE_SHIFT);
    vma_merge(vma);
    return 0;
}

/* => mm->lock write-held */
static long map_locked(struct mm *mm, const struct map_request *r, u32 flags)
{
    long start = place_mapping(mm, r);
    u64 pages = r->length >> PAGE_SHIFT;
    int error;

    if (start < 0)
        return start;
    if ((flags & (VM_WRITE | VM_SHARED | VM_NORESERVE)) == VM_WRITE)
        flags |= VM_ACCOUNT;
    if (mm->vma_count >= MAX_MAP_COUNT || !limits_allow(mm, flags, pages))
        return -ENOMEM;
    if (r->map_flags & MAP_FIXED) {
        error = unmap_locked(mm, start, start + r->length);
        if (error)
            return error;
    }
    if (!r->attach && !r->ops && !(flags & (VM_SPECIAL | VM_GROWSDOWN)) &&
        vma_extend_anonymous(mm, start, start + r->length, flags)) {
        vma_account(mm, flags, NULL, pages);
        return start;
    }
    error = add_vma(mm, r, start, flags);
    return error ? error : start;
}

void populate(struct mm *mm, vaddr_t start, vaddr_t end)
{
    struct vma *vma;
    u32 flags = 0;
    bool major;

    for (vaddr_t va = start; va < end; va += PAGE_SIZE) {
        read_lock(&mm->lock);
        vma = vma_find_exact(mm, va);
        if (vma)
            flags = vma->flags;
        read_unlock(&mm->lock);
        if (!vma || mm_fault(mm, va,
                             ACCESS_USER |
                                 ((flags & (VM_WRITE | VM_SHARED)) == VM_WRITE ? ACCESS_WRITE : 0),
                             &major) != FAULT_OK)
            return;
    }
}

long mm_map_request(struct mm *mm, const struct map_request *r)
{
    u32 flags = r->vm_flags | mm->lock_future;
    long start;

    assert(r->length && IS_ALIGNED(r->length, PAGE_SIZE));
    write_lock(&mm->lock);
    start = map_locked(mm, r, flags);
    write_unlock(&mm->lock);
    if (start >= 0 &&
        ((flags & VM_LOCKED) || (r->map_flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE))
        populate(mm, start, start + r->length);
    return start;
}

long mm_map_special(struct mm *mm, vaddr_t hint, struct page **pages, unsigned n, unsigned prot,
                    const struct vm_ops *ops)
{
    struct map_request request = {
        .address = hint,
        .length = n * PAGE_SIZE,
        .vm_flags = prot | prot << 4 | VM_SPECIAL | VM_DONTEXPAND,
        .private_data = pages,
        .ops = ops,
    };

    return mm_map_request(mm, &request);
}

SYSCALL_DEFINE2(munmap, unsigned long, address, size_t, length)
{
    return mm_unmap(current->mm, address, length);
}

/* ---- the heap ------------------------------------------------------------------------------------- */

void mm_set_brk(struct mm *mm, vaddr_t start)
{
    mm->brk_start = start;
    mm->brk = start;
}

#define HEAP_FLAGS (VM_READ | VM_WRITE | VM_MAY_READ | VM_MAY_WRITE | VM_MAY_EXEC | VM_ACCOUNT)

/* => mm->lock write-held; 0 or -ENOMEM */
static int grow_heap(struct mm *mm, vaddr_t start, vaddr_t end)
{
    struct map_request request = {
        .address = start,
        .length = end - start,
        .map_flags = MAP_FIXED_NOREPLACE,
    };
    struct vma *next = vma_find(mm, start);
    long result;

    if (next && end > vma_guarded_start(next))
        return -ENOMEM;
    result = map_locked(mm, &request, HEAP_FLAGS | mm->lock_future);
    return result < 0 ? result : 0;
}

static bool heap_limit_allows(struct mm *mm, vaddr_t brk)
{
    u64 limit = mm_limit(RLIMIT_DATA);

    return limit == RLIM64_INFINITY ||
           brk - mm->brk_start + (mm->data_end - mm->data_start) <= limit;
}

/* => mm->lock write-held */
static void set_brk(struct mm *mm, vaddr_t brk)
{
    vaddr_t old_end = ALIGN_UP(mm->brk, PAGE_SIZE), new_end;

    if (brk < mm->brk_start || brk > USER_END)
        return;
    new_end = ALIGN_UP(brk, PAGE_SIZE);
    if (new_end < old_end) {
        if (unmap_locked(mm, new_end, old_end))
            return;
    } else if (new_end > old_end) {
        if (!heap_limit_allows(mm, brk) || grow_heap(mm, old_end, new_end))
            return;
    }
    mm->brk = brk;
}

SYSCALL_DEFINE1(brk, unsigned long, brk)
{
    struct mm *mm = current->mm;
    vaddr_t result, old;
    bool locked;

    write_lock(&mm->lock);
    old = mm->brk;
    set_brk(mm, brk);
    result = mm->brk;
    locked = mm->lock_future;
    write_unlock(&mm->lock);
    if (locked && result > old)
        populate(mm, ALIGN_UP(old, PAGE_SIZE), ALIGN_UP(result, PAGE_SIZE));
    return result;
}

/* ---- stacks ---------------------------------------------------------------------------------------- */

/* => mm->lock write-held */
static bool may_grow(struct mm *mm, struct vma *vma, vaddr_t start)
{
    struct vma *prev = vma_prev(vma);
    u64 pages = (vma->start - start) >> PAGE_SHIFT;

    if (start < USER_START || vma->end - start > mm_limit(RLIMIT_STACK))
        return false;
    if (prev && prev->end > start)
        return false;
    /* The gap; not towards a guard page that the program has made, nor another part of the stack. */
    if (prev && !(prev->flags & VM_GROWSDOWN) && (prev->flags & (VM_READ | VM_WRITE | VM_EXEC)) &&
        start - prev->end < STACK_GUARD)
        return false;
    return limits_allow(mm, vma->flags, pages);
}

int grow_stack(struct mm *mm, vaddr_t address)
{
    vaddr_t start = ALIGN_DOWN(address, PAGE_SIZE);
    int result = FAULT_MAPERR;
    struct vma *vma;

    write_lock(&mm->lock);
    vma = vma_find(mm, start);
    if (vma && vma->start <= start) {
        result = FAULT_OK; /* another thread was faster */
    } else if (vma && (vma->flags & VM_GROWSDOWN) && may_grow(mm, vma, start)) {
        vma_account(mm, vma->flags, vma->file, (vma->start - start) >> PAGE_SHIFT);
        vma_resize(vma, start, vma->end);
        result = FAULT_OK;
    }
    write_unlock(&mm->lock);
    return result;
}
