/* SPDX-License-Identifier: MIT */
/*
 * What processes have used, and may use: getrusage(2), times(2), prlimit(2).
 */
#include "internal.h"
#include <vellum/mm.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>
#include <linux/times.h>

#define USER_HZ 100 /* of clock_t in user space */

/* ---- usage -------------------------------------------------------------------------------------------- */

static void ns_to_timeval(u64 ns, __kernel_old_time_t *sec, __kernel_suseconds_t *usec)
{
    *sec = ns / NSEC_PER_SEC;
    *usec = ns % NSEC_PER_SEC / NSEC_PER_USEC;
}

void usage_to_rusage(const struct usage *u, struct rusage *ru)
{
    memset(ru, 0, sizeof(*ru));
    ns_to_timeval(u->user_ns, &ru->ru_utime.tv_sec, &ru->ru_utime.tv_usec);
    ns_to_timeval(u->system_ns, &ru->ru_stime.tv_sec, &ru->ru_stime.tv_usec);
    ru->ru_maxrss = u->peak_resident * (PAGE_SIZE / 1024);
    ru->ru_minflt = u->minor_faults;
    ru->ru_majflt = u->major_faults;
    ru->ru_nvcsw = u->voluntary_switches;
    ru->ru_nivcsw = u->involuntary_switches;
}

static void children_usage(struct usage *u)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);

    *u = current->process->dead_children;
    spin_unlock_irqrestore(&tree_lock, flags);
}

SYSCALL_DEFINE2(getrusage, int, who, struct rusage __user *, uru)
{
    struct usage u;
    struct rusage ru;

    switch (who) {
    case RUSAGE_SELF:
        process_usage(current->process, &u);
        break;
    case RUSAGE_CHILDREN:
        children_usage(&u);
        break;
    case RUSAGE_THREAD:
        thread_usage(current, &u);
        u.peak_resident = mm_peak_resident(current->mm);
        break;
    default:
        return -EINVAL;
    }
    usage_to_rusage(&u, &ru);
    return copy_to_user(uru, &ru, sizeof(ru)) ? -EFAULT : 0;
}

SYSCALL_DEFINE1(times, struct tms __user *, utms)
{
    const u64 tick = NSEC_PER_SEC / USER_HZ;
    struct usage own, children;
    struct tms tms;

    if (utms) {
        process_usage(current->process, &own);
        children_usage(&children);
        tms = (struct tms){
            .tms_utime = own.user_ns / tick,
            .tms_stime = own.system_ns / tick,
            .tms_cutime = children.user_ns / tick,
            .tms_cstime = children.system_ns / tick,
        };
        if (copy_to_user(utms, &tms, sizeof(tms)))
            return -EFAULT;
    }
    return ktime_get() / tick;
}

/* ---- limits -------------------------------------------------------------------------------------------- */

/* Read and replace a limit of p; new, old: NULL if not wanted. 0, -EINVAL, -EPERM */
static int change_limit(struct process *p, unsigned resource, const struct rlimit64 *new,
                        struct rlimit64 *old)
{
    struct rlimit64 *limit = &p->limits[resource];
    unsigned long flags;
    int error = 0;

    if (new &&new->rlim_cur > new->rlim_max)
        return -EINVAL;
    if (new &&resource == RLIMIT_NOFILE &&new->rlim_max > NOFILE_MAX)
        return -EPERM;
    flags = spin_lock_irqsave(&p->lock);
    if (old)
        *old = *limit;
    if (new &&new->rlim_max > limit->rlim_max && !capable(CAP_SYS_RESOURCE))
        error = -EPERM;
    else if (new)
        *limit = *new;
    spin_unlock_irqrestore(&p->lock, flags);
    return error;
}

SYSCALL_DEFINE2(getrlimit, unsigned, resource, struct rlimit64 __user *, ulimit)
{
    struct rlimit64 limit;

    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    change_limit(current->process, resource, NULL, &limit);
    return copy_to_user(ulimit, &limit, sizeof(limit)) ? -EFAULT : 0;
}

SYSCALL_DEFINE2(setrlimit, unsigned, resource, const struct rlimit64 __user *, ulimit)
{
    struct rlimit64 limit;

    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    if (copy_from_user(&limit, ulimit, sizeof(limit)))
        return -EFAULT;
    return change_limit(current->process, resource, &limit, NULL);
}

/* Another process's limits belong to those who are wholly the same user (prlimit(2)). */
static int limit_permission(struct process *p)
{
    const struct cred *me = current->cred, *them;
    bool same;

    if (p == current->process || capable(CAP_SYS_RESOURCE))
        return 0;
    them = process_cred(p);
    same = me->uid == them->uid && me->uid == them->euid && me->uid == them->suid &&
           me->gid == them->gid && me->gid == them->egid && me->gid == them->sgid;
    cred_put(them);
    return same ? 0 : -EPERM;
}

SYSCALL_DEFINE4(prlimit64, pid_t, pid, unsigned, resource, const struct rlimit64 __user *, unew,
                struct rlimit64 __user *, uold)
{
    struct rlimit64 new, old;
    struct process *p;
    int error;

    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    if (unew && copy_from_user(&new, unew, sizeof(new)))
        return -EFAULT;
    p = pid ? process_find(pid) : NULL;
    if (pid && !p)
        return -ESRCH;
    error = limit_permission(p ? p : current->process);
    if (!error)
        error = change_limit(p ? p : current->process, resource, unew ? &new : NULL,
                             uold ? &old : NULL);
    if (p)
        process_put(p);
    if (!error && uold && copy_to_user(uold, &old, sizeof(old)))
        error = -EFAULT;
    return error;
}
