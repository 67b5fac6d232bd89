/* SPDX-License-Identifier: MIT */
/*
 * unshare(2): what a thread shares becomes its own. setns(2) is here to say that there are no
 * namespaces that one could enter: all processes are in one of each kind.
 */
#include "internal.h"
#include <vellum/mm.h>
#include <vellum/syscall.h>
#include <linux/sched.h>

#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET | CLONE_NEWTIME)
#define ALONE (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM) /* only if nobody shares it anyway */

static bool is_alone(unsigned long flags)
{
    struct process *p = current->process;

    return p->thread_count == 1 &&
           (!(flags & (CLONE_SIGHAND | CLONE_VM)) || atomic_read(&p->sighand->refs) == 1) &&
           (!(flags & CLONE_VM) || atomic_read(&current->mm->users) == 1);
}

int thread_unshare_files(struct thread *t)
{
    struct files *files;
    unsigned long flags;

    if (!t->files || atomic_read(&t->files->refs) == 1)
        return 0;
    files = files_fork(t->files);
    if (is_err(files))
        return ptr_err(files);
    flags = spin_lock_irqsave(&t->process->lock);
    SWAP(t->files, files);
    spin_unlock_irqrestore(&t->process->lock, flags);
    files_put(files);
    return 0;
}

static int unshare_fs(struct thread *t)
{
    struct fs_context *fs;
    unsigned long flags;

    if (atomic_read(&t->fs->refs) == 1)
        return 0;
    fs = fs_context_fork(t->fs);
    if (!fs || is_err(fs))
        return -ENOMEM;
    flags = spin_lock_irqsave(&t->process->lock);
    SWAP(t->fs, fs);
    spin_unlock_irqrestore(&t->process->lock, flags);
    fs_context_put(fs);
    return 0;
}

SYSCALL_DEFINE1(unshare, unsigned long, flags)
{
    int error = 0;

    if (flags & ~(unsigned long)(NAMESPACES | ALONE | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM))
        return -EINVAL;
    if ((flags & ALONE) && !is_alone(flags))
        return -EINVAL;
    if (flags & NAMESPACES)
        return capable(CAP_SYS_ADMIN) || !(flags & NAMESPACES & ~CLONE_NEWUSER) ? -EINVAL : -EPERM;
    if (flags & CLONE_FS)
        error = unshare_fs(current);
    if (!error && (flags & CLONE_FILES))
        error = thread_unshare_files(current);
    return error;
}

SYSCALL_DEFINE2(setns, int, fd, int, type)
{
    struct fd_ref ref = fd_get_any(fd);

    if (!ref.file)
        return -EBADF;
    fd_put(ref);
    return -EINVAL; /* it is no namespace */
}
