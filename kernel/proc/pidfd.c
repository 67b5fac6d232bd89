/* SPDX-License-Identifier: MIT */
/*
 * Process descriptors: pidfd_open(2), and what can be done with one.
 *
 * A pidfd holds the process structure, so it goes on meaning the same process when the number has
 * been given to another one. It can be polled: it is readable from the end of the last thread on.
 */
#include "internal.h"
#include <vellum/cred.h>
#include <vellum/fs.h>
#include <vellum/ptrace.h>
#include <vellum/seq_file.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <linux/eventpoll.h>
#include <linux/pidfd.h>

static unsigned pidfd_poll(struct file *file, struct poll_table *table)
{
    struct process *p = file->private_data;

    poll_wait(file, &p->exit_wait, table);
    return READ_ONCE(p->state) != PROCESS_LIVE ? EPOLLIN | EPOLLRDNORM : 0;
}

static void pidfd_release(struct file *file)
{
    process_put(file->private_data);
}

static void pidfd_show(struct file *file, struct seq_file *m)
{
    struct process *p = file->private_data;
    pid_t pid = READ_ONCE(p->state) == PROCESS_REAPED ? -1 : p->pid;

    seq_printf(m, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static const struct file_ops pidfd_ops = {
    .poll = pidfd_poll,
    .release = pidfd_release,
    .show_fdinfo = pidfd_show,
};

struct file *pidfd_file(struct process *p, unsigned flags)
{
    struct file *file = file_object("anon_inode:[pidfd]", &pidfd_ops, p, O_RDWR | flags);

    if (!is_err(file))
        process_get(p);
    return file;
}

struct process *pidfd_process(unsigned fd, bool *nonblock)
{
    struct fd_ref ref = fd_get(fd);
    struct process *p = err_ptr(-EBADF);

    if (ref.file && ref.file->ops == &pidfd_ops) {
        p = ref.file->private_data;
        process_get(p);
        *nonblock = ref.file->flags & O_NONBLOCK;
    }
    fd_put(ref);
    return p;
}

SYSCALL_DEFINE2(pidfd_open, pid_t, pid, unsigned, flags)
{
    struct process *p;
    struct thread *t;
    int fd;

    if ((flags & ~(unsigned)PIDFD_NONBLOCK) || pid <= 0)
        return -EINVAL;
    p = process_find(pid);
    if (!p) { /* a thread that is not the first of its process has none */
        t = thread_find(pid);
        if (t)
            thread_put(t);
        return t ? -EINVAL : -ESRCH;
    }
    fd = fd_for_file(pidfd_file(p, flags), true);
    process_put(p);
    return fd;
}

/* ---- signals -------------------------------------------------------------------------------------------- */

static int send(struct process *p, int signo, const siginfo_t __user *uinfo)
{
    siginfo_t info;
    int error;

    if (uinfo) {
        if (copy_from_user(&info, uinfo, sizeof(info)))
            return -EFAULT;
        if (info.si_signo != signo)
            return -EINVAL;
        if (p != current->process && (info.si_code >= 0 || info.si_code == SI_TKILL))
            return -EPERM; /* nobody passes for the kernel or for kill(2) */
    } else {
        signal_info_user(&info, signo, SI_USER);
    }
    if (READ_ONCE(p->state) == PROCESS_REAPED)
        return -ESRCH;
    error = signal_permission(p, signo, &info);
    return error || signo == 0 ? error : signal_send_process(p, signo, &info);
}

/* Signals may be sent through a directory /proc/PID as well (pidfd_send_signal(2)). */
static struct process *signal_target(int fd)
{
    bool nonblock;
    struct process *p = pidfd_process(fd, &nonblock), *named = NULL;
    struct fd_ref ref;

    if (!is_err(p))
        return p;
    ref = fd_get(fd);
    if (ref.file)
        named = process_of_directory(ref.file);
    fd_put(ref);
    return named ? named : p;
}

SYSCALL_DEFINE4(pidfd_send_signal, int, fd, int, signo, const siginfo_t __user *, uinfo, unsigned,
                flags)
{
    struct process *p;
    int error;

    if (flags)
        return -EINVAL;
    p = signal_target(fd);
    if (is_err(p))
        return ptr_err(p);
    error = signo < 0 || signo > SIGNALS ? -EINVAL : send(p, signo, uinfo);
    process_put(p);
    return error;
}

/* ---- files ---------------------------------------------------------------------------------------------- */

static int may_take_from(struct process *p)
{
    struct thread *t = process_leader(p);
    int error = -ESRCH;

    if (t) {
        error = ptrace_may_access(t, false);
        thread_put(t);
    }
    return error;
}

/* The file first, then the permission: what it has opened as another program, after an exec, is not
 * given away because of what it was before. */
static int take_file(struct process *p, unsigned fd)
{
    struct files *files = process_files(p);
    struct file *file;
    int error;

    if (!files)
        return -ESRCH;
    file = files_lookup(files, fd);
    files_put(files);
    error = may_take_from(p);
    if (!error && !file)
        error = -EBADF;
    if (error && file)
        file_put(file);
    return error ? error : fd_for_file(file, true);
}

SYSCALL_DEFINE3(pidfd_getfd, int, pidfd, int, fd, unsigned, flags)
{
    struct process *p;
    bool nonblock;
    int result;

    if (flags)
        return -EINVAL;
    p = pidfd_process(pidfd, &nonblock);
    if (is_err(p))
        return ptr_err(p);
    result = take_file(p, fd);
    process_put(p);
    return result;
}
