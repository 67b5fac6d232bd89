/* SPDX-License-Identifier: MIT */
/*
 * Making mappings: the part of mmap(2) that does not know what a file is (that is
 * kernel/fs/file_map.c), the heap, and the growth of stacks.
 */
#include "address_space.h"
#include <vellum/alloc.h>
#include <vellum/cred.h>
#include <vellum/error.h>
#include <vellum/sync.h>
#include <vellum/syscall.h>
#include <vellum/thread.h>
#include <linux/resource.h>

/* ---- limits => mm->lock write-held ---------------------------------------------------------------- */

int max_map_count = 65530;

static bool is_data(u32 flags)
{
    return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE;
}

bool data_limit_allows(struct mm *mm, u32 old, u32 new, u64 pages)
{
    return !is_data(new) || is_data(old) ||
           mm->data_pages + pages <= mm_limit(RLIMIT_DATA) >> PAGE_SHIFT;
}

static bool lock_limit_allows(struct mm *mm, u64 pages)
{
    return mm->locked_pages + pages <= mm_limit(RLIMIT_MEMLOCK) >> PAGE_SHIFT ||
           capable(CAP_IPC_LOCK);
}

/* `pages` more, `gone` fewer; of those, `returned` have been promised before. */
static int check_exchange(struct mm *mm, u32 flags, u64 pages, u64 gone, u64 returned)
{
    if ((flags & VM_LOCKED) && !lock_limit_allows(mm, pages))
        return -EAGAIN;
    if (mm->total_pages + pages - gone > mm_limit(RLIMIT_AS) >> PAGE_SHIFT)
        return -ENOMEM;
    if (is_data(flags) && mm->data_pages + pages - gone > mm_limit(RLIMIT_DATA) >> PAGE_SHIFT)
        return -ENOMEM;
    return (flags & VM_ACCOUNT) && !overcommit_allows(mm, pages - min(pages, returned)) ? -ENOMEM
                                                                                        : 0;
}

int check_limits(struct mm *mm, u32 flags, u64 pages)
{
    return check_exchange(mm, flags, pages, 0, 0);
}

/* The same where what is in [start, end) goes first. */
static int check_limits_replacing(struct mm *mm, u32 flags, vaddr_t start, vaddr_t end)
{
    u64 gone = 0, returned = 0;

    for (struct vma *vma = vma_find(mm, start); vma && vma->start < end; vma = vma_next(vma)) {
        u64 pages = (min(vma->end, end) - max(vma->start, start)) >> PAGE_SHIFT;

        gone += pages;
        if (vma->flags & VM_ACCOUNT)
            returned += pages;
    }
    return check_exchange(mm, flags, (end - start) >> PAGE_SHIFT, gone, returned);
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

/* MAP_32BIT: in the first 2 GiB; unless the caller says where, above its programs. */
static long place_low(struct mm *mm, const struct map_request *r, vaddr_t hint)
{
    vaddr_t high = 1UL << 31, address;

    if (hint && r->length <= high && hint <= high - r->length && is_free(mm, hint, r->length))
        return hint;
    address = vma_find_gap(mm, r->length, 1UL << 30, high);
    return address ? (long)address : -ENOMEM;
}

long place_mapping(struct mm *mm, const struct map_request *r)
{
    vaddr_t hint = ALIGN_DOWN(r->address, PAGE_SIZE), address;

    if (r->map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
        return place_fixed(mm, r);
    if (r->map_flags & MAP_32BIT)
        return place_low(mm, r, hint);
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
    if (mm->vma_count > (unsigned)READ_ONCE(max_map_count))
        return -ENOMEM;
    error = check_limits(mm, flags, pages);
    if (error == -ENOMEM && (r->map_flags & MAP_FIXED))
        error = check_limits_replacing(mm, flags, start, start + r->length);
    if (!error && (r->map_flags & MAP_FIXED))
        error = unmap_locked(mm, start, start + r->length);
    if (error)
        return error;
    if (!r->attach && !r->ops && !(flags & (VM_SPECIAL | VM_GROWSDOWN)) &&
        vma_extend_anonymous(mm, start, start + r->length, flags)) {
        vma_account(mm, flags, NULL, pages);
        return start;
    }
    error = add_vma(mm, r, start, flags);
    return error ? error : start;
}

long mm_map_request(struct mm *mm, const struct map_request *r)
{
    u32 flags = r->vm_flags;
    long start;

    assert(r->length && IS_ALIGNED(r->length, PAGE_SIZE));
    write_lock(&mm->lock);
    if (!(flags & VM_SPECIAL))
        flags |= mm->lock_future;
    start = map_locked(mm, r, flags);
    write_unlock(&mm->lock);
    if (start >= 0 &&
        ((flags & VM_LOCKED) || (r->map_flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE))
        populate(mm, start, start + r->length, false);
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
        populate(mm, ALIGN_UP(old, PAGE_SIZE), ALIGN_UP(result, PAGE_SIZE), false);
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
    return check_limits(mm, vma->flags, pages) == 0;
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
        vma_merge(vma);
        result = FAULT_OK;
    }
    write_unlock(&mm->lock);
    return result;
}
