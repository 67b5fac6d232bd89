/* SPDX-License-Identifier: MIT */
/*
 * kcmp(2): do two threads share a resource of the kernel's? Checkpointing programs and debuggers ask.
 *
 * What is compared are the addresses of the kernel's objects. The answer orders them, so that many can
 * be sorted, but must not give the addresses away: they are scrambled first, by a one-to-one function
 * with secret numbers, which are others for each type of object.
 */
#include "internal.h"
#include <vellum/cred.h>
#include <vellum/fs.h>
#include <vellum/io_context.h>
#include <vellum/ptrace.h>
#include <vellum/random.h>
#include <vellum/sync.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <linux/kcmp.h>

static struct secret {
    u64 mask, factor; /* an odd factor loses nothing modulo 2^64 */
} secrets[KCMP_TYPES];
static DEFINE_MUTEX(secrets_mutex);

static u64 scramble(const void *object, int type)
{
    struct secret *s = &secrets[type];

    mutex_lock(&secrets_mutex);
    if (!s->factor) {
        s->mask = random_u64();
        s->factor = random_u64() | 1;
    }
    mutex_unlock(&secrets_mutex);
    return ((u64)(uintptr_t)object ^ s->mask) * s->factor;
}

/* 0: the same; 1: the first is less; 2: it is greater. */
static int compare(const void *a, const void *b, int type)
{
    u64 x = scramble(a, type), y = scramble(b, type);

    return x == y ? 0 : x < y ? 1 : 2;
}

static const void *resource_of(struct thread *t, int type)
{
    struct process *p = t->process;
    unsigned long flags = spin_lock_irqsave(&p->lock);
    const void *object = NULL;

    switch (type) {
    case KCMP_VM:
        object = t->mm;
        break;
    case KCMP_FILES:
        object = t->files;
        break;
    case KCMP_FS:
        object = t->fs;
        break;
    case KCMP_SIGHAND:
        object = p->sighand;
        break;
    case KCMP_IO:
        object = t->io_context;
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return object;
}

/* The open file of another thread's descriptor, with a reference; or NULL. */
static struct file *file_of(struct thread *t, unsigned long fd)
{
    unsigned long flags = spin_lock_irqsave(&t->process->lock);
    struct files *files = t->files ? files_get(t->files) : NULL;
    struct file *file;

    spin_unlock_irqrestore(&t->process->lock, flags);
    if (!files)
        return NULL;
    file = files_lookup(files, (unsigned)fd);
    files_put(files);
    return file;
}

static int compare_files(struct thread *a, struct thread *b, unsigned long fd_a, unsigned long fd_b)
{
    struct file *x = file_of(a, fd_a), *y = file_of(b, fd_b);
    int result = x && y ? compare(x, y, KCMP_FILE) : -EBADF;

    if (x)
        file_put(x);
    if (y)
        file_put(y);
    return result;
}

/* A file of a against what an epoll of b watches. */
static int compare_watched(struct thread *a, struct thread *b, unsigned long fd,
                           const struct kcmp_epoll_slot __user *uslot)
{
    struct kcmp_epoll_slot slot;
    struct file *x, *epoll;
    const void *watched;
    int result = -EBADF;

    if (copy_from_user(&slot, uslot, sizeof(slot)))
        return -EFAULT;
    x = file_of(a, fd);
    if (!x)
        return -EBADF;
    epoll = file_of(b, slot.efd);
    if (epoll) {
        result = epoll_watched(epoll, slot.tfd, slot.toff, &watched);
        if (!result)
            result = compare(x, watched, KCMP_FILE);
        file_put(epoll);
    }
    file_put(x);
    return result;
}

static int compare_threads(struct thread *a, struct thread *b, int type, unsigned long i,
                           unsigned long j)
{
    int error = ptrace_may_access(a, false);

    if (!error)
        error = ptrace_may_access(b, false);
    if (error)
        return error;
    switch (type) {
    case KCMP_FILE:
        return compare_files(a, b, i, j);
    case KCMP_EPOLL_TFD:
        return compare_watched(a, b, i, (const struct kcmp_epoll_slot __user *)j);
    case KCMP_VM:
    case KCMP_FILES:
    case KCMP_FS:
    case KCMP_SIGHAND:
    case KCMP_IO:
        return compare(resource_of(a, type), resource_of(b, type), type);
    case KCMP_SYSVSEM: /* there are no such semaphores */
        return -EOPNOTSUPP;
    }
    return -EINVAL;
}

SYSCALL_DEFINE5(kcmp, pid_t, pid1, pid_t, pid2, int, type, unsigned long, i, unsigned long, j)
{
    struct thread *a = thread_find(pid1), *b = thread_find(pid2);
    int result = a && b ? compare_threads(a, b, type, i, j) : -ESRCH;

    if (a)
        thread_put(a);
    if (b)
        thread_put(b);
    return result;
}
