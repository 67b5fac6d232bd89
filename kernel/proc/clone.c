/* SPDX-License-Identifier: MIT */
/*
 * Making processes and threads: clone(2), clone3(2), fork(2), vfork(2).
 *
 * The child starts as a copy of the current thread's structure; then each resource is either shared
 * (one more reference) or copied, as the flags say. Nothing can see the child until it is published:
 * under tree_lock it gets its number and its place in the family, and from then on it can be found,
 * signalled and waited for. A signal that arrives before that makes the call start again after it
 * was handled, so that a signal to a process group reaches the parent and the child, or both of them
 * as one.
 */
#include "ptrace.h"
#include <vellum/alloc.h>
#include <vellum/io_context.h>
#include <vellum/mm.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <linux/sched.h>

#define CLONE_NAMESPACES                                                                           \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET | CLONE_NEWTIME)
#define CLONE_SUPPORTED                                                                            \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_VFORK | CLONE_PARENT |              \
     CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |    \
     CLONE_DETACHED | CLONE_UNTRACED | CLONE_CHILD_SETTID | CLONE_IO | CLONE_PTRACE |              \
     CLONE_CLEAR_SIGHAND | CLONE_PIDFD)

static int check_flags(const struct clone_args_k *args)
{
    u64 flags = args->flags;

    if (flags & CLONE_NAMESPACES)
        return capable(CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
    if (flags & ~CLONE_SUPPORTED)
        return -EINVAL;
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && (flags & CLONE_CLEAR_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_PARENT) && current->process == init_process)
        return -EINVAL;
    if ((flags & CLONE_PIDFD) &&
        ((flags & (CLONE_THREAD | CLONE_DETACHED)) ||
         ((flags & CLONE_PARENT_SETTID) && args->pidfd == args->parent_tid)))
        return -EINVAL;
    if (args->exit_signal < 0 || args->exit_signal > SIGNALS)
        return -EINVAL;
    return 0;
}

/* RLIMIT_NPROC counts the user's threads. 0 or -EAGAIN; counted on success. */
static int charge_user(void)
{
    struct user *user = current->cred->user;
    u64 n;

    if ((u64)atomic_read(&threads_alive) >= threads_max)
        return -EAGAIN;
    n = atomic_inc_return(&user->processes);
    if (n > process_limit(RLIMIT_NPROC) && user != &root_user && !capable(CAP_SYS_RESOURCE) &&
        !capable(CAP_SYS_ADMIN)) {
        atomic_dec(&user->processes);
        return -EAGAIN;
    }
    return 0;
}

/* ---- resources: each returns 0 or -errno -------------------------------------------------------------- */

static int take_memory(struct thread *child, u64 flags)
{
    struct mm *mm = current->mm;

    if (flags & CLONE_VM)
        mm_get(mm);
    else
        mm = mm_fork(mm);
    if (is_err(mm))
        return ptr_err(mm);
    child->mm = mm;
    if ((flags & (CLONE_VM | CLONE_VFORK)) ==
        CLONE_VM) { /* it has another stack: not ours to share */
        child->altstack = child->altstack_size = 0;
        child->altstack_flags = SS_DISABLE;
    }
    if (flags & CLONE_VM)
        child->rseq = 0;
    else if (child->rseq)
        child->work |= WORK_RSEQ; /* it may start on another processor */
    return 0;
}

static int take_files(struct thread *child, u64 flags)
{
    struct files *files = current->files;

    files = flags & CLONE_FILES ? files_get(files) : files_fork(files);
    if (is_err(files))
        return ptr_err(files);
    child->files = files;
    return 0;
}

static int take_fs(struct thread *child, u64 flags)
{
    struct fs_context *fs = current->fs;

    if (flags & CLONE_FS)
        ref_get(&fs->refs);
    else
        fs = fs_context_fork(fs);
    if (!fs || is_err(fs))
        return -ENOMEM;
    child->fs = fs;
    return 0;
}

static int take_handlers(struct process *p, u64 flags)
{
    struct sighand *from = current->process->sighand;

    if (flags & CLONE_SIGHAND) {
        ref_get(&from->refs);
        p->sighand = from;
    } else {
        p->sighand = sighand_copy(from);
    }
    if (!p->sighand)
        return -ENOMEM;
    if (flags & CLONE_CLEAR_SIGHAND)
        sighand_reset(p);
    return 0;
}

/* ---- publishing -------------------------------------------------------------------------------------------- */

static void join_family(struct process *p, struct thread *leader, const struct clone_args_k *args)
{
    struct process *self = current->process;
    struct process *parent = args->flags & CLONE_PARENT ? self->parent : self;

    p->pid = leader->tid;
    p->leader = leader;
    p->exit_signal = args->flags & CLONE_PARENT ? self->exit_signal : args->exit_signal;
    list_add(&leader->thread_link, &p->threads);
    p->thread_count = 1;
    p->parent = parent;
    p->parent_pid = parent->pid;
    p->maker = current->tid;
    list_add_tail(&p->sibling, &parent->children);
    list_add_tail(&p->all_link, &all_processes);
    groups_inherit(p, self);
    p->tty = self->tty;
}

/* One more thread of the current process; => tree_lock held. */
static int join_threads(struct thread *t)
{
    struct process *p = t->process;
    unsigned long flags;
    struct sighand *s = sighand_lock(p, &flags);
    int error = -EINTR;

    if (!p->group_exiting && !p->exec_thread) {
        spin_lock(&p->lock);
        list_add_tail(&t->thread_link, &p->threads);
        p->thread_count++;
        spin_unlock(&p->lock);
        if (p->group_stop_signal)
            p->stop_pending++;
        signal_recalc(t);
        error = 0;
    }
    sighand_unlock(s, flags);
    return error;
}

static int publish(struct thread *t, const struct clone_args_k *args)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    int error;

    if (signal_pending()) {
        error = -ERESTARTNOINTR;
        goto out;
    }
    error = tid_attach(t, args->wanted_tid);
    if (error)
        goto out;
    if (args->flags & CLONE_THREAD) {
        error = join_threads(t);
        if (error)
            tid_detach(t);
    } else {
        ref_get(&t->refs); /* the process's */
        join_family(t->process, t, args);
    }
    if (!error) {
        this_cpu()->counters.forks++;
        if (unlikely(t->tracee))
            ptrace_inherit(t);
    }
out:
    spin_unlock_irqrestore(&tree_lock, flags);
    return error;
}

/* ---- the call ------------------------------------------------------------------------------------------------ */

/* A thread with everything it needs, not yet published; or err_ptr. */
static struct thread *make_child(const struct clone_args_k *args, const struct trap_frame *frame)
{
    u64 flags = args->flags;
    struct process *self = current->process;
    struct process *p = flags & CLONE_THREAD ? self : process_alloc(self);
    struct thread *t;
    int error = -ENOMEM;

    if (!p)
        return err_ptr(-ENOMEM);
    t = thread_copy(p);
    if (!t)
        goto no_thread;
    if (p != self && (error = take_handlers(p, flags)) != 0)
        goto no_handlers;
    if (unlikely(current->io_context) && (error = io_context_fork(t, flags)) != 0)
        goto no_handlers;
    if ((error = take_files(t, flags)) != 0)
        goto no_handlers;
    if ((error = take_fs(t, flags)) != 0)
        goto no_fs;
    if ((error = take_memory(t, flags)) != 0)
        goto no_memory;
    error = arch_thread_fork(t, current, frame, args->stack, flags & CLONE_SETTLS, args->tls);
    if (error)
        goto no_registers;
    sched_fork(t, current);
    return t;

no_registers:
    mm_put(t->mm);
no_memory:
    fs_context_put(t->fs);
no_fs:
    files_put(t->files);
no_handlers:
    thread_free(t);
no_thread:
    if (p != self)
        process_put(p);
    return err_ptr(error);
}

static void discard_child(struct thread *t)
{
    struct process *p = t->process;

    mm_put(t->mm);
    fs_context_put(t->fs);
    files_put(t->files);
    thread_free(t);
    if (p != current->process)
        process_put(p);
}

/* Until the child has left our memory. If we are killed it goes on without us. */
static void wait_for_vfork(struct thread *child, struct completion *done)
{
    pid_t tid = child->tid;
    unsigned long flags;

    if (wait_for_completion_killable(done) != 0) {
        flags = spin_lock_irqsave(&child->process->lock);
        child->vfork_done = NULL;
        spin_unlock_irqrestore(&child->process->lock, flags);
    } else if (unlikely(current->tracee)) {
        ptrace_event(PTRACE_EVENT_VFORK_DONE, tid);
    }
    thread_put(child);
}

/* A new thread is stepped and watched, if at all, by its own tracer. *event: what ours is told. */
static int prepare_tracing(struct thread *child, const struct clone_args_k *args, int *event)
{
    u64 flags = args->flags;

    arch_forget_stepping(child);
    if (!(flags & CLONE_UNTRACED))
        *event = flags & CLONE_VFORK            ? PTRACE_EVENT_VFORK
                 : args->exit_signal != SIGCHLD ? PTRACE_EVENT_CLONE
                                                : PTRACE_EVENT_FORK;
    if (!ptrace_wants_event(*event))
        *event = 0;
    return *event || (flags & CLONE_PTRACE) ? tracee_make(child) : 0;
}

/* A descriptor for the child, told to the caller but not installed yet; or -errno. */
static int pidfd_prepare(struct process *p, vaddr_t where, struct file **file)
{
    int fd = fd_reserve(0, true);

    if (fd < 0)
        return fd;
    if (put_user(fd, (int __user *)where)) {
        fd_cancel(fd);
        return -EFAULT;
    }
    *file = pidfd_file(p, 0);
    if (is_err(*file)) {
        fd_cancel(fd);
        return ptr_err(*file);
    }
    return fd;
}

long process_clone(const struct clone_args_k *args, const struct trap_frame *frame)
{
    struct completion vfork_done;
    struct file *child_file = NULL;
    struct thread *child;
    pid_t tid;
    int error = check_flags(args), event = 0, pidfd = -1;

    if (error || (error = charge_user()) != 0)
        return error;
    child = make_child(args, frame);
    if (is_err(child)) {
        error = ptr_err(child);
        goto uncharge;
    }
    if (unlikely(current->tracee) && (error = prepare_tracing(child, args, &event)) != 0) {
        discard_child(child);
        goto uncharge;
    }
    if (args->flags & CLONE_CHILD_SETTID) {
        child->child_tid = args->child_tid;
        child->work |= WORK_CHILD_TID;
    }
    if (args->flags & CLONE_CHILD_CLEARTID)
        child->clear_child_tid = args->child_tid;
    if (unlikely(args->flags & CLONE_PIDFD)) {
        error = pidfd = pidfd_prepare(child->process, args->pidfd, &child_file);
        if (pidfd < 0)
            goto no_pidfd;
    }
    if (args->flags & CLONE_VFORK) {
        completion_init(&vfork_done);
        child->vfork_done = &vfork_done;
        ref_get(&child->refs);
    }
    error = publish(child, args);
    if (error)
        goto discard;
    tid = child->tid;
    if (unlikely(pidfd >= 0))
        fd_install(pidfd, child_file);
    if (args->flags & CLONE_PARENT_SETTID) /* too late to fail, and Linux does not tell either */
        (void)put_user(tid, (pid_t __user *)args->parent_tid);
    wake_new_thread(child);
    if (unlikely(event))
        ptrace_event(event, tid);
    if (args->flags & CLONE_VFORK)
        wait_for_vfork(child, &vfork_done);
    return tid;

discard:
    if (args->flags & CLONE_VFORK)
        thread_put(child);
    if (pidfd >= 0) {
        fd_cancel(pidfd);
        file_put(child_file);
    }
no_pidfd:
    discard_child(child);
uncharge:
    atomic_dec(&current->cred->user->processes);
    return error;
}

/* ---- system calls ---------------------------------------------------------------------------------------------- */

static long clone_legacy(unsigned long flags, vaddr_t stack, vaddr_t parent_tid, vaddr_t child_tid,
                         vaddr_t tls)
{
    struct clone_args_k args = {
        .flags = (u32)flags & ~(u32)CSIGNAL,
        .exit_signal = flags & CSIGNAL,
        .stack = stack,
        .tls = tls,
        .parent_tid = parent_tid,
        .child_tid = child_tid,
        .pidfd = parent_tid,
    };

    return process_clone(&args, thread_frame(current));
}

SYSCALL_DEFINE5(clone, unsigned long, flags, vaddr_t, stack, vaddr_t, parent_tid, vaddr_t, fourth,
                vaddr_t, fifth)
{
    if (ARCH_CLONE_TLS_FIRST)
        return clone_legacy(flags, stack, parent_tid, fifth, fourth);
    return clone_legacy(flags, stack, parent_tid, fourth, fifth);
}

SYSCALL_DEFINE0(fork)
{
    return clone_legacy(SIGCHLD, 0, 0, 0, 0);
}

SYSCALL_DEFINE0(vfork)
{
    return clone_legacy(CLONE_VFORK | CLONE_VM | SIGCHLD, 0, 0, 0, 0);
}

/* The number that the child is to have. There is one name space of them, so a list has one member. */
static int wanted_tid(const struct clone_args *args, pid_t *tid)
{
    *tid = 0;
    if (!args->set_tid && !args->set_tid_size)
        return 0;
    if (!args->set_tid || args->set_tid_size != 1)
        return -EINVAL;
    if (get_user(*tid, (const pid_t __user *)args->set_tid))
        return -EFAULT;
    if (*tid < 1 || *tid >= PID_MAX)
        return -EINVAL;
    return capable(CAP_SYS_ADMIN) || capable(CAP_CHECKPOINT_RESTORE) ? 0 : -EPERM;
}

SYSCALL_DEFINE2(clone3, const struct clone_args __user *, uargs, size_t, size)
{
    struct clone_args a;
    struct clone_args_k args;
    int error;
    pid_t tid;

    if (size < CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    error = copy_struct_from_user(&a, sizeof(a), uargs, size);
    if (error)
        return error;
    if ((a.flags & (CSIGNAL | CLONE_DETACHED | CLONE_INTO_CGROUP)) || a.exit_signal > SIGNALS ||
        (a.stack == 0) != (a.stack_size == 0) ||
        ((a.flags & (CLONE_THREAD | CLONE_PARENT)) && a.exit_signal))
        return -EINVAL;
    if (a.stack_size && !user_range_ok((void __user *)a.stack, a.stack_size))
        return -EINVAL;
    error = wanted_tid(&a, &tid);
    if (error)
        return error;
    args = (struct clone_args_k){
        .flags = a.flags,
        .wanted_tid = tid,
        .exit_signal = a.exit_signal,
        .stack = a.stack + a.stack_size,
        .tls = a.tls,
        .parent_tid = a.parent_tid,
        .child_tid = a.child_tid,
        .pidfd = a.pidfd,
    };
    return process_clone(&args, thread_frame(current));
}

SYSCALL_DEFINE1(set_tid_address, vaddr_t, address)
{
    current->clear_child_tid = address;
    return current->tid;
}
