/* SPDX-License-Identifier: MIT */
/*
 * mmap(2), and what it asks about files. Where a mapping goes, and what it consists of afterwards,
 * is kernel/mm's.
 */
#include "internal.h"
#include <vellum/error.h>
#include <vellum/notify.h>
#include <vellum/mm.h>
#include <vellum/syscall.h>
#include <linux/falloc.h>
#include <linux/mount.h>
#include <linux/resource.h>

static void get_file(struct file *file)
{
    file_get(file);
}

static void will_need(struct file *file, u64 first, u64 last)
{
    page_cache_read_range(file->cache, first, last);
}

static int punch_hole(struct file *file, u64 start, u64 length)
{
    int error;

    if (!file->ops->fallocate)
        return -EOPNOTSUPP;
    error = file->ops->fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, length);
    if (!error)
        notify_file(file, IN_MODIFY);
    return error;
}

static bool may_look(struct file *file)
{
    return (file->mode & FILE_WRITE) || is_owner_or_capable(file->inode) ||
           inode_permission(file->inode, MAY_WRITE) == 0;
}

const struct mm_file_ops mm_file_ops = {
    .get = get_file,
    .put = file_put,
    .punch_hole = punch_hole,
    .may_look = may_look,
    .will_need = will_need,
};

static int attach_file(struct file *file, struct vma *vma)
{
    return file->ops->mmap(file, vma);
}

/* The flags that MAP_SHARED_VALIDATE knows. */
#define KNOWN_FLAGS                                                                                \
    (MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE |       \
     MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB |          \
     MAP_32BIT | MAP_HUGE_2MB | MAP_HUGE_1GB)

/* Permissions that a file mapping can have; also looks whether it has these. 0 or -errno */
static int check_file(struct file *file, u32 *vm_flags)
{
    bool shared = *vm_flags & VM_SHARED;

    if (!(file->mode & FILE_READ))
        return -EACCES;
    if (shared && !(file->mode & FILE_WRITE)) {
        if (*vm_flags & VM_WRITE)
            return -EACCES;
        *vm_flags &= ~VM_MAY_WRITE;
    }
    if (file->path.mount && (file->path.mount->flags & MS_NOEXEC)) {
        if (*vm_flags & VM_EXEC)
            return -EPERM;
        *vm_flags &= ~VM_MAY_EXEC;
    }
    if (!file->ops->mmap)
        return -ENODEV;
    return *vm_flags & VM_GROWSDOWN ? -EINVAL : 0;
}

/* VM_* for a request, or -errno. */
static long vm_flags_for(unsigned prot, unsigned flags)
{
    unsigned type = flags & MAP_TYPE;
    u32 vm = prot & (PROT_READ | PROT_WRITE | PROT_EXEC);

    vm |= VM_MAY_READ | VM_MAY_WRITE | VM_MAY_EXEC;
    if (type == MAP_SHARED_VALIDATE && (flags & ~KNOWN_FLAGS))
        return -EOPNOTSUPP;
    if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE)
        vm |= VM_SHARED;
    else if (type != MAP_PRIVATE)
        return -EINVAL;
    if (flags & MAP_HUGETLB)
        return -EINVAL; /* there is no pool of huge pages */
    if (flags & MAP_GROWSDOWN) {
        if (vm & VM_SHARED)
            return -EINVAL;
        vm |= VM_GROWSDOWN;
    }
    if (flags & MAP_LOCKED)
        vm |= VM_LOCKED;
    if ((flags & MAP_NORESERVE) && READ_ONCE(overcommit_mode) != 2)
        vm |= VM_NORESERVE;
    return vm;
}

/* file: NULL for private anonymous memory. */
static long map_checked(struct mm *mm, struct file *file, struct map_request *request)
{
    int error;

    if (file) {
        error = check_file(file, &request->vm_flags);
        if (error)
            return error;
        request->file = file;
        request->attach = attach_file;
    }
    return mm_map_request(mm, request);
}

/* Shared anonymous memory is a file without a name. */
static long map_shared_memory(struct mm *mm, struct map_request *request)
{
    struct file *file = shmem_file_create(request->length, !(request->vm_flags & VM_NORESERVE));
    long result;

    if (is_err(file))
        return ptr_err(file);
    result = map_checked(mm, file, request);
    file_put(file);
    return result;
}

long mm_map_in(struct mm *mm, struct file *file, vaddr_t hint, size_t length, unsigned prot,
               unsigned flags, u64 offset)
{
    struct map_request request = {.address = hint, .map_flags = flags};
    long vm = vm_flags_for(prot, flags);

    if (length == 0 || !IS_ALIGNED(offset, PAGE_SIZE))
        return -EINVAL;
    request.length = ALIGN_UP(length, PAGE_SIZE);
    if (request.length < length || request.length > USER_END)
        return -ENOMEM;
    request.offset = offset >> PAGE_SHIFT;
    if (file && request.offset + (request.length >> PAGE_SHIFT) > (u64)INT64_MAX >> PAGE_SHIFT)
        return -EOVERFLOW;
    if (vm < 0)
        return vm;
    request.vm_flags = vm;
    if ((vm & VM_LOCKED) && mm_limit(RLIMIT_MEMLOCK) == 0 && !capable(CAP_IPC_LOCK))
        return -EPERM;
    if (!file && (flags & MAP_TYPE) == MAP_SHARED_VALIDATE)
        return -EINVAL;
    if (!file && (vm & VM_SHARED)) {
        request.offset = 0;
        return map_shared_memory(mm, &request);
    }
    return map_checked(mm, file, &request);
}

long mm_map(struct file *file, vaddr_t hint, size_t length, unsigned prot, unsigned flags,
            u64 offset)
{
    return mm_map_in(current->mm, file, hint, length, prot, flags, offset);
}

SYSCALL_DEFINE6(mmap, unsigned long, address, size_t, length, unsigned long, prot, unsigned long,
                flags, unsigned long, fd, unsigned long, offset)
{
    struct fd_ref ref;
    long result;

    if (!IS_ALIGNED(offset, PAGE_SIZE))
        return -EINVAL;
    if (flags & MAP_ANONYMOUS)
        return mm_map(NULL, address, length, prot, flags, offset);
    ref = fd_get(fd);
    if (!ref.file)
        return -EBADF;
    result = mm_map(ref.file, address, length, prot, flags, offset);
    fd_put(ref);
    return result;
}

/* ---- remap_file_pages(2) ------------------------------------------------------------------------------ */

/* The file behind [start, end), all of it one shared mapping, with a reference; NULL: it is not. */
static struct file *shared_file(struct mm *mm, vaddr_t start, vaddr_t end, u32 *flags)
{
    struct file *file = NULL;
    struct vma *vma;

    read_lock(&mm->lock);
    vma = vma_find_exact(mm, start);
    if (vma && (vma->flags & VM_SHARED) && vma->file && end <= vma->end) {
        file = file_get(vma->file);
        *flags = vma->flags;
    }
    read_unlock(&mm->lock);
    return file;
}

/* Show other pages of the file in a part of a mapping: an mmap() over it, as Linux does it today. */
SYSCALL_DEFINE5(remap_file_pages, unsigned long, start, size_t, length, unsigned long, prot,
                unsigned long, offset, unsigned long, flags)
{
    unsigned long map = MAP_SHARED | MAP_FIXED | MAP_POPULATE | (flags & MAP_NONBLOCK);
    struct file *file;
    u32 vm = 0;
    long result;

    start = ALIGN_DOWN(start, PAGE_SIZE);
    length = ALIGN_DOWN(length, PAGE_SIZE);
    if (prot || start + length <= start || offset + (length >> PAGE_SHIFT) < offset ||
        offset > UINT64_MAX >> PAGE_SHIFT)
        return -EINVAL;
    file = shared_file(current->mm, start, start + length, &vm);
    if (!file)
        return -EINVAL;
    if (vm & VM_LOCKED)
        map |= MAP_LOCKED;
    result =
        mm_map(file, start, length, vm & (VM_READ | VM_WRITE | VM_EXEC), map, offset << PAGE_SHIFT);
    file_put(file);
    return result < 0 ? result : 0;
}

/* ---- msync(2) ------------------------------------------------------------------------------------------ */

/* Write back what of [start, end) the VMA maps. => mm->lock read-held; released for the writing and
 * taken again */
static int sync_vma(struct mm *mm, struct vma *vma, vaddr_t start, vaddr_t end)
{
    struct file *file = vma->file;
    loff_t first = (vma->offset << PAGE_SHIFT) + (max(start, vma->start) - vma->start);
    loff_t last = (vma->offset << PAGE_SHIFT) + (min(end, vma->end) - vma->start) - 1;
    int error;

    if (!file || !(vma->flags & VM_SHARED) || !file->ops->fsync)
        return 0;
    file_get(file);
    read_unlock(&mm->lock);
    error = file->ops->fsync(file, first, last, true);
    file_put(file);
    read_lock(&mm->lock);
    return error;
}

SYSCALL_DEFINE3(msync, unsigned long, start, size_t, length, int, flags)
{
    struct mm *mm = current->mm;
    vaddr_t end = start + ALIGN_UP(length, PAGE_SIZE);
    int error = 0;
    bool hole = false;

    if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || !IS_ALIGNED(start, PAGE_SIZE) ||
        ((flags & MS_ASYNC) && (flags & MS_SYNC)))
        return -EINVAL;
    if (end < start)
        return -ENOMEM;
    read_lock(&mm->lock);
    while (start < end && !error) {
        struct vma *vma = vma_find(mm, start);
        vaddr_t next;

        if (!vma || vma->start >= end) {
            hole = true;
            break;
        }
        hole |= vma->start > start;
        next = min(vma->end, end);
        if ((flags & MS_INVALIDATE) && (vma->flags & VM_LOCKED))
            error = -EBUSY;
        else if (flags & MS_SYNC)
            error = sync_vma(mm, vma, start, end);
        start = next;
    }
    read_unlock(&mm->lock);
    return error ? error : hole ? -ENOMEM : 0;
}
