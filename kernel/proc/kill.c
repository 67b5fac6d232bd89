/* SPDX-License-Identifier: MIT */
/*
 * System calls that send signals, and who may (kill(2), credentials(7)).
 */
#include "internal.h"
#include <vellum/cred.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>

int signal_permission(struct process *p, int signo, const siginfo_t *info)
{
    const struct cred *me = current->cred, *them;
    bool ok;

    if (p == current->process || capable(CAP_KILL))
        return 0;
    them = process_cred(p);
    ok = me->euid == them->suid || me->euid == them->uid || me->uid == them->suid ||
         me->uid == them->uid;
    cred_put(them);
    if (ok || (signo == SIGCONT && READ_ONCE(p->session) == READ_ONCE(current->process->session)))
        return 0;
    return -EPERM;
}

static bool signal_number_ok(int signo)
{
    return signo >= 0 && signo <= SIGNALS;
}

void signal_info_user(siginfo_t *info, int signo, int code)
{
    memset(info, 0, sizeof(*info));
    info->si_signo = signo;
    info->si_code = code;
    info->si_pid = current->process->pid;
    info->si_uid = current->cred->uid;
}

/* signo 0: only ask */
static int send(struct process *p, int signo, const siginfo_t *info)
{
    int error = signal_permission(p, signo, info);

    return error || signo == 0 ? error : signal_send_process(p, signo, info);
}

static int kill_one(pid_t pid, int signo, const siginfo_t *info)
{
    struct process *p;
    int error;

    if (pid == current->process->pid)
        return send(current->process, signo, info);
    p = process_find(pid);
    if (!p)
        return -ESRCH;
    error = send(p, signo, info);
    process_put(p);
    return error;
}

/* Success if one member could be signalled, else the last error. => tree_lock held */
static int kill_group(struct process_group *g, int signo, const siginfo_t *info)
{
    int result = -ESRCH;
    struct process *p;

    if (!g)
        return -ESRCH;
    list_for_each_entry(p, &g->members, pgrp_link) {
        int error = send(p, signo, info);

        if (result != 0)
            result = error;
    }
    return result;
}

/* Those that may not be signalled are passed over in silence. => tree_lock held */
static int kill_all(int signo, const siginfo_t *info)
{
    int result = -ESRCH;
    struct process *p;

    list_for_each_entry(p, &all_processes, all_link) {
        int error;

        if (p == init_process || p == current->process)
            continue;
        error = send(p, signo, info);
        if (result == -ESRCH || error != -EPERM)
            result = error == -EPERM ? 0 : error;
    }
    return result;
}

SYSCALL_DEFINE2(kill, pid_t, pid, int, signo)
{
    unsigned long flags;
    siginfo_t info;
    int error;

    if (!signal_number_ok(signo))
        return -EINVAL;
    signal_info_user(&info, signo, SI_USER);
    if (pid > 0)
        return kill_one(pid, signo, &info);
    if (pid == INT32_MIN)
        return -ESRCH;
    flags = spin_lock_irqsave(&tree_lock);
    if (pid == -1)
        error = kill_all(signo, &info);
    else
        error = kill_group(pid == 0 ? current->process->group : group_lookup(-pid), signo, &info);
    spin_unlock_irqrestore(&tree_lock, flags);
    return error;
}

/* To one thread. tgid: it must be of this process, 0: any. */
static int kill_thread(pid_t tgid, pid_t tid, int signo, const siginfo_t *info)
{
    struct thread *t = thread_find(tid);
    int error = -ESRCH;

    if (!t)
        return -ESRCH;
    if (tgid == 0 || t->process->pid == tgid) {
        error = signal_permission(t->process, signo, info);
        if (!error && signo)
            error = signal_send_thread(t, signo, info);
    }
    thread_put(t);
    return error;
}

SYSCALL_DEFINE3(tgkill, pid_t, tgid, pid_t, tid, int, signo)
{
    siginfo_t info;

    if (tgid <= 0 || tid <= 0 || !signal_number_ok(signo))
        return -EINVAL;
    signal_info_user(&info, signo, SI_TKILL);
    return kill_thread(tgid, tid, signo, &info);
}

SYSCALL_DEFINE2(tkill, pid_t, tid, int, signo)
{
    siginfo_t info;

    if (tid <= 0 || !signal_number_ok(signo))
        return -EINVAL;
    signal_info_user(&info, signo, SI_TKILL);
    return kill_thread(0, tid, signo, &info);
}

/* ---- with a value ---------------------------------------------------------------------------------------- */

/* A program may claim anything of a signal but that the kernel or kill(2) sent it to others. */
static int info_from_user(siginfo_t *info, const siginfo_t __user *uinfo, int signo, bool self)
{
    if (copy_from_user(info, uinfo, sizeof(*info)))
        return -EFAULT;
    info->si_signo = signo;
    if ((info->si_code >= 0 || info->si_code == SI_TKILL) && !self)
        return -EPERM;
    return 0;
}

SYSCALL_DEFINE3(rt_sigqueueinfo, pid_t, pid, int, signo, const siginfo_t __user *, uinfo)
{
    siginfo_t info;
    int error = info_from_user(&info, uinfo, signo, pid == current->process->pid);

    if (error)
        return error;
    if (!signal_number_ok(signo))
        return -EINVAL;
    return pid > 0 ? kill_one(pid, signo, &info) : -ESRCH;
}

SYSCALL_DEFINE4(rt_tgsigqueueinfo, pid_t, tgid, pid_t, tid, int, signo, const siginfo_t __user *,
                uinfo)
{
    siginfo_t info;
    int error;

    if (tgid <= 0 || tid <= 0)
        return -EINVAL;
    error = info_from_user(&info, uinfo, signo, tgid == current->process->pid);
    if (error)
        return error;
    if (!signal_number_ok(signo))
        return -EINVAL;
    return kill_thread(tgid, tid, signo, &info);
}
