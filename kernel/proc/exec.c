/* SPDX-License-Identifier: MIT */
/*
 * Replacing the program of a process: execve(2), execveat(2).
 *
 *     open, check permission          exec_open()
 *     copy argv and envp              exec_args_copy()
 *     script? take its interpreter    script_load(), and again
 *     build a new address space       elf_load()
 *     -------------------------------------------------------- up to here an error is returned
 *     other threads die
 *     the new address space and credentials take the place of the old; handlers, descriptors
 *     marked close-on-exec, alternate stack ... go
 *     fill in the stack, start        exec_args_store()
 *
 * After the line there is no program left to return an error to: what goes wrong there kills.
 */
#include "exec.h"
#include "ptrace.h"
#include <vellum/alloc.h>
#include <vellum/format.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <linux/mount.h>

/* ---- the file -------------------------------------------------------------------------------------------- */

static int may_exec(const struct path *path)
{
    struct inode *inode = path->dentry->inode;

    if ((inode->mode & S_IFMT) != S_IFREG)
        return (inode->mode & S_IFMT) == S_IFLNK ? -ELOOP : -EACCES;
    if ((path->mount->flags | inode->sb->flags) & MS_NOEXEC)
        return -EACCES;
    return inode_permission(inode, MAY_EXEC);
}

struct file *exec_open(int dirfd, const char *name, unsigned lookup)
{
    struct file *file;
    struct path path;
    int error = path_lookup(dirfd, name, lookup, &path);

    if (error)
        return err_ptr(error);
    error = may_exec(&path);
    file = error ? err_ptr(error) : path_open_exec(&path);
    path_put(&path);
    return file;
}

/* An interpreter may be written to while it is mapped, unlike the program. */
void exec_close(struct file *file)
{
    file->mode &= ~FILE_DENIES_WRITERS;
    inode_allow_write(file->inode);
    file_put(file);
}

int exec_read_head(struct exec *e)
{
    ssize_t n = file_read_kernel(e->file, e->head, EXEC_HEAD, 0);

    if (n < 0)
        return n;
    memset(e->head + n, 0, EXEC_HEAD - n);
    return 0;
}

/* ---- the point of no return -------------------------------------------------------------------------------- */

/* What exec must have for itself alone; this may fail. */
static int unshare(struct process *p)
{
    int error = sighand_unshare(p);

    return error ? error : thread_unshare_files(current);
}

/* The only thread left is the process's first one from now on. */
static void become_leader(struct process *p)
{
    struct thread *t = current, *old = p->leader;
    unsigned long flags;

    if (t == old)
        return;
    flags = spin_lock_irqsave(&tree_lock);
    tid_take_over(t, old);
    if (unlikely(old->tracee))
        ptrace_forget(old);
    ref_get(&t->refs);
    spin_lock(&p->lock);
    p->leader = t;
    spin_unlock(&p->lock);
    spin_unlock_irqrestore(&tree_lock, flags);
    atomic_dec(&old->cred->user->processes);
    thread_put(old);
}

static void switch_memory(struct process *p, struct exec *e)
{
    struct thread *t = current;
    struct mm *old = t->mm;
    unsigned long flags;

    if (old) {
        thread_leave_memory(t);
        e->mm->no_huge_pages = old->no_huge_pages;
    }
    e->mm->exe = e->program.file; /* which keeps writers out until the mm goes */
    e->file = NULL;
    e->mm->dumpable = e->secure ? suid_dumpable : 1; /* before anybody can look into it */
    flags = spin_lock_irqsave(&p->lock);
    p->exec_count++; /* with the memory: /proc/PID/mem */
    mm_activate(e->mm);
    spin_unlock_irqrestore(&p->lock, flags);
    e->mm = NULL;
    if (!old)
        return;
    p->dead_threads.peak_resident = max(p->dead_threads.peak_resident, mm_peak_resident(old));
    mm_put(old);
}

static void set_comm(const char *name)
{
    const char *slash = strrchr(name, '/');

    memset(current->comm, 0, sizeof(current->comm));
    strlcpy(current->comm, slash ? slash + 1 : name, sizeof(current->comm));
}

/* All that the old program had set up and the new one must not see (execve(2), "Effect on process
 * attributes"). */
static void reset_attributes(struct process *p, struct exec *e)
{
    struct thread *t = current;

    posix_timers_end(p);
    sighand_reset(p);
    t->altstack = t->altstack_size = 0;
    t->altstack_flags = SS_DISABLE;
    t->pi_closed = false;
    t->rseq = 0;
    t->restart.fn = NULL;
    files_close_on_exec(t->files);
    set_comm(e->name);
    p->has_execed = true;
    p->exit_signal = SIGCHLD;
    cred_commit(e->cred);
    e->cred = NULL;
    t->mm->dumpable = e->secure ? suid_dumpable : 1;
    if (e->secure)
        p->death_signal = 0;
}

/* Privileges are not for a program that another process controls. load() has looked whether one does;
 * from here on nobody gets control. 0 or -ENOMEM */
static int keep_tracers_out(struct process *p, struct exec *e)
{
    unsigned long flags;
    struct sighand *s;
    bool too_late;

    if (likely(!e->secure))
        return 0;
    s = sighand_lock(p, &flags);
    too_late = ptrace_is_unsafe();
    p->gains_privileges = !too_late;
    sighand_unlock(s, flags);
    if (!too_late)
        return 0;
    cred_put(e->cred);
    e->cred = cred_for_exec(e->file->inode, true, &e->secure);
    if (!is_err(e->cred))
        return 0;
    e->cred = NULL;
    return -ENOMEM;
}

static void let_tracers_ask(struct process *p)
{
    unsigned long flags;
    struct sighand *s;

    if (likely(!p->gains_privileges))
        return;
    s = sighand_lock(p, &flags);
    p->gains_privileges = false;
    sighand_unlock(s, flags);
}

/* 0, or an error: while there still is a program to return it to, or with SIGSEGV pending. */
static int replace_program(struct exec *e)
{
    struct process *p = current->process;
    struct trap_frame *frame = thread_frame(current);
    vaddr_t sp, entry = elf_entry(e);
    pid_t old_tid = current->tid;
    int error = unshare(p);

    if (!error)
        error = threads_kill_others();
    if (!error)
        error = keep_tracers_out(p, e);
    if (error)
        return error;
    become_leader(p);
    switch_memory(p, e);
    reset_attributes(p, e);
    let_tracers_ask(p);
    sp = exec_args_store(e);
    if (!sp || elf_clear_tails(&e->program) ||
        (e->interpreter.file && elf_clear_tails(&e->interpreter))) {
        signal_fault(SIGSEGV, SI_KERNEL, 0); /* of no handler any more: it ends on its way out */
        return -EFAULT;
    }
    arch_exec_start(frame, entry, sp);
    if (unlikely(current->tracee))
        ptrace_exec_event(old_tid);
    return 0;
}

/* ---- the call ---------------------------------------------------------------------------------------------- */

static int load(struct exec *e)
{
    bool nosuid;
    int error = exec_read_head(e);

    while (!error && (error = script_load(e)) == 0)
        ;
    if (error == -ENOEXEC)
        error = elf_load(e);
    if (error)
        return error;
    nosuid = (e->file->path.mount->flags | e->file->inode->sb->flags) & MS_NOSUID;
    if (unlikely(current->tracee) && ptrace_is_unsafe())
        nosuid = true;
    e->cred = cred_for_exec(e->file->inode, nosuid, &e->secure);
    if (is_err(e->cred)) {
        e->cred = NULL;
        return -ENOMEM;
    }
    return 0;
}

/* Has set*id(2) made one process too many of this user's (RLIMIT_NPROC)? */
static bool user_is_full(void)
{
    struct thread *t = current;

    if (likely(!t->user_is_full))
        return false;
    t->user_is_full = (u64)atomic_read(&t->cred->user->processes) > process_limit(RLIMIT_NPROC);
    return t->user_is_full;
}

/* The file is given back whatever happens. */
static int do_exec(struct file *file, const char *name, bool name_is_closed,
                   const struct exec_strings *argv, const struct exec_strings *envp)
{
    struct exec *e = kzalloc(sizeof(*e), ALLOC_KERNEL);
    int error = -ENOMEM;

    if (!e) {
        exec_close(file);
        return -ENOMEM;
    }
    e->name = name;
    e->name_is_closed = name_is_closed;
    e->file = file;
    list_init(&e->args.pages);
    error = user_is_full() ? -EAGAIN : exec_args_copy(&e->args, argv, envp);
    if (!error)
        error = load(e);
    if (!error)
        error = replace_program(e);
    elf_images_free(e);
    exec_args_free(&e->args);
    if (e->file)
        exec_close(e->file);
    if (e->mm)
        mm_put(e->mm);
    if (e->cred)
        cred_put(e->cred);
    kfree(e);
    return error;
}

int exec_kernel(const char *path, char *const argv[], char *const envp[])
{
    struct exec_strings args = {.kernel = argv}, env = {.kernel = envp};
    struct file *file = exec_open(AT_FDCWD, path, LOOKUP_FOLLOW);

    return is_err(file) ? (int)ptr_err(file) : do_exec(file, path, false, &args, &env);
}

SYSCALL_DEFINE3(execve, const char __user *, uname, const vaddr_t __user *, argv,
                const vaddr_t __user *, envp)
{
    struct exec_strings args = {.user = argv}, env = {.user = envp};
    char *name = name_from_user(uname);
    struct file *file;
    int error;

    if (is_err(name))
        return ptr_err(name);
    file = exec_open(AT_FDCWD, name, LOOKUP_FOLLOW);
    error = is_err(file) ? (int)ptr_err(file) : do_exec(file, name, false, &args, &env);
    name_free(name);
    return error;
}

/* A name for what is found from a descriptor, for AT_EXECFN and for scripts' interpreters. */
static char *name_from_descriptor(int dirfd, const char *name)
{
    char *shown = kmalloc(PATH_MAX, ALLOC_KERNEL);

    if (shown)
        snprintf(shown, PATH_MAX, *name ? "/dev/fd/%d/%s" : "/dev/fd/%d", dirfd, name);
    return shown;
}

SYSCALL_DEFINE5(execveat, int, dirfd, const char __user *, uname, const vaddr_t __user *, argv,
                const vaddr_t __user *, envp, int, flags)
{
    struct exec_strings args = {.user = argv}, env = {.user = envp};
    unsigned lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                      (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    bool by_descriptor;
    char *name, *shown;
    struct file *file;
    int error;

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    name = name_from_user(uname);
    if (is_err(name))
        return ptr_err(name);
    by_descriptor = dirfd != AT_FDCWD && *name != '/';
    shown = by_descriptor ? name_from_descriptor(dirfd, name) : name;
    if (!shown) {
        error = -ENOMEM;
        goto out;
    }
    file = exec_open(dirfd, name, lookup);
    if (is_err(file))
        error = ptr_err(file);
    else
        error = do_exec(file, shown, by_descriptor && files_is_close_on_exec(current->files, dirfd),
                        &args, &env);
    if (by_descriptor)
        kfree(shown);
out:
    name_free(name);
    return error;
}
