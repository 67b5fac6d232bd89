/* SPDX-License-Identifier: MIT */
/*
 * process_vm_readv(2), process_vm_writev(2): copy between our memory and that of a process which we
 * might trace, without stopping it. Unlike a debugger's, these accesses respect its protections.
 * process_madvise(2): advice about such a process's memory.
 */
#include "ptrace.h"
#include <vellum/alloc.h>
#include <vellum/iov.h>
#include <vellum/mm.h>
#include <vellum/syscall.h>

/* The memory of a thread (whose reference is consumed) if we may look into it; or err_ptr. */
static struct mm *memory_of(struct thread *t)
{
    struct mm *mm;
    int error;

    if (!t)
        return err_ptr(-ESRCH);
    mm = process_mm(t->process); /* first: exec may give it another, which we may not look into */
    error = ptrace_may_access(t, false);
    thread_put(t);
    if (error && mm)
        mm_put(mm);
    return error ? err_ptr(error) : mm ? mm : err_ptr(-ESRCH);
}

/* One piece of remote memory, as far as there is room locally. Returns bytes done; less than could be
 * if an address is bad: *error. */
static size_t copy_piece(struct mm *mm, vaddr_t remote, size_t n, struct iov_iter *local,
                         char *page, bool write, int *error)
{
    size_t done = 0;

    n = min(n, local->count);
    while (done < n && !*error) {
        size_t want = min(n - done, PAGE_SIZE - (remote + done) % PAGE_SIZE), got;

        if (write && copy_from_iter(local, page, want) != want) {
            *error = -EFAULT;
            break;
        }
        got = mm_access(mm, remote + done, page, want, write, false);
        if (got < want)
            *error = -EFAULT;
        if (!write && copy_to_iter(local, page, got) != got) {
            *error = -EFAULT;
            break;
        }
        done += got;
    }
    return done;
}

static ssize_t copy(pid_t pid, struct iov_iter *local, const struct iovec *remote, unsigned long n,
                    bool write)
{
    struct mm *mm = memory_of(thread_find(pid));
    char *page = kmalloc(PAGE_SIZE, ALLOC_KERNEL);
    ssize_t done = 0;
    int error = 0;

    if (is_err(mm)) {
        kfree(page);
        return ptr_err(mm);
    }
    if (!page)
        error = -ENOMEM;
    for (unsigned long i = 0; i < n && local->count && !error; i++)
        done += copy_piece(mm, (vaddr_t)remote[i].iov_base, remote[i].iov_len, local, page, write,
                           &error);
    kfree(page);
    mm_put(mm);
    return done ? done : error;
}

/* The remote array is addresses of another process: only its size and lengths are checked here. */
static struct iovec *import_remote(const struct iovec __user *uiov, unsigned long n)
{
    struct iovec *iov;
    size_t total = 0;

    if (n > UIO_MAXIOV)
        return err_ptr(-EINVAL);
    iov = kmalloc_array(max(n, 1UL), sizeof(*iov), ALLOC_KERNEL);
    if (!iov)
        return err_ptr(-ENOMEM);
    if (copy_from_user(iov, uiov, n * sizeof(*iov))) {
        kfree(iov);
        return err_ptr(-EFAULT);
    }
    for (unsigned long i = 0; i < n; i++) {
        if ((ssize_t)iov[i].iov_len < 0) {
            kfree(iov);
            return err_ptr(-EINVAL);
        }
        iov[i].iov_len = min(iov[i].iov_len, MAX_RW_COUNT - total);
        total += iov[i].iov_len;
    }
    return iov;
}

static ssize_t transfer(pid_t pid, const struct iovec __user *ulocal, unsigned long nlocal,
                        const struct iovec __user *uremote, unsigned long nremote,
                        unsigned long flags, bool write)
{
    struct iovec fast[IOV_FAST], *local = fast, *remote;
    struct iov_iter iter;
    ssize_t result;

    if (flags)
        return -EINVAL;
    result = iov_import(&iter, ulocal, nlocal, fast, &local);
    if (result < 0 || iter.count == 0)
        goto out;
    remote = import_remote(uremote, nremote);
    if (is_err(remote)) {
        result = ptr_err(remote);
        goto out;
    }
    result = copy(pid, &iter, remote, nremote, write);
    kfree(remote);
out:
    if (local != fast)
        kfree(local);
    return result;
}

SYSCALL_DEFINE6(process_vm_readv, pid_t, pid, const struct iovec __user *, local, unsigned long,
                nlocal, const struct iovec __user *, remote, unsigned long, nremote, unsigned long,
                flags)
{
    return transfer(pid, local, nlocal, remote, nremote, flags, false);
}

SYSCALL_DEFINE6(process_vm_writev, pid_t, pid, const struct iovec __user *, local, unsigned long,
                nlocal, const struct iovec __user *, remote, unsigned long, nremote, unsigned long,
                flags)
{
    return transfer(pid, local, nlocal, remote, nremote, flags, true);
}

/* ---- process_madvise(2) ------------------------------------------------------------------------------- */

/* Only what changes nothing that the process could see. */
static bool may_advise_others(int advice)
{
    return advice == MADV_COLD || advice == MADV_PAGEOUT || advice == MADV_WILLNEED ||
           advice == MADV_COLLAPSE;
}

/* The memory of the process behind a pidfd if we may give it advice; or err_ptr. */
static struct mm *advised_memory(int pidfd, int advice)
{
    bool nonblock;
    struct process *p = pidfd_process(pidfd, &nonblock);
    struct mm *mm;

    if (is_err(p))
        return (struct mm *)p;
    mm = may_advise_others(advice) ? memory_of(process_leader(p)) : err_ptr(-EINVAL);
    process_put(p);
    if (!is_err(mm) && !capable(CAP_SYS_NICE)) {
        mm_put(mm);
        mm = err_ptr(-EPERM);
    }
    return mm;
}

SYSCALL_DEFINE5(process_madvise, int, pidfd, const struct iovec __user *, uiov, size_t, n, int,
                advice, unsigned, flags)
{
    struct iovec fast[IOV_FAST], *iov = fast;
    struct iov_iter iter;
    struct mm *mm;
    ssize_t result, done = 0;

    if (flags)
        return -EINVAL;
    result = iov_import(&iter, uiov, n, fast, &iov);
    mm = result < 0 ? err_ptr(result) : advised_memory(pidfd, advice);
    result = is_err(mm) ? ptr_err(mm) : 0;
    for (size_t i = 0; i < n && !result; i++) {
        result = mm_advise(mm, (vaddr_t)iov[i].iov_base, iov[i].iov_len, advice);
        if (!result)
            done += iov[i].iov_len;
    }
    if (!is_err(mm))
        mm_put(mm);
    if (iov != fast)
        kfree(iov);
    return done ? done : result;
}
