/* SPDX-License-Identifier: MIT */
/*
 * System calls of scheduling: policies, priorities, affinity (sched(7), setpriority(2)).
 */
#include "run_queue.h"
#include <vellum/process.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>
#include <linux/sched.h>
#include <linux/sched/types.h>

#define NICE_MIN (-20)
#define NICE_MAX 19

/* The thread with a reference, 0: the current one. -ESRCH, -EINVAL as err_ptr. */
static struct thread *thread_of(pid_t tid)
{
    struct thread *t;

    if (tid < 0)
        return err_ptr(-EINVAL);
    if (tid == 0) {
        ref_get(&current->refs);
        return current;
    }
    t = thread_find(tid);
    return t ? t : err_ptr(-ESRCH);
}

static bool is_own(struct thread *t)
{
    const struct cred *me = current->cred, *them;
    unsigned long flags;
    bool own;

    flags = spin_lock_irqsave(&t->process->lock);
    them = cred_get(t->cred);
    spin_unlock_irqrestore(&t->process->lock, flags);
    own = me->euid == them->uid || me->euid == them->euid;
    cred_put(them);
    return own;
}

SYSCALL_DEFINE0(sched_yield)
{
    sched_yield_current();
    return 0;
}

/* ---- affinity -------------------------------------------------------------------------------------------- */

SYSCALL_DEFINE3(sched_setaffinity, pid_t, tid, unsigned, size, const void __user *, umask)
{
    cpumask_t mask = {};
    struct thread *t;
    int error;

    if (copy_from_user(&mask, umask, min_t(size_t, size, sizeof(mask))))
        return -EFAULT;
    t = thread_of(tid);
    if (is_err(t))
        return -ESRCH;
    error = is_own(t) || capable(CAP_SYS_NICE) ? sched_set_affinity(t, &mask) : -EPERM;
    thread_put(t);
    return error;
}

SYSCALL_DEFINE3(sched_getaffinity, pid_t, tid, unsigned, size, void __user *, umask)
{
    cpumask_t mask;
    struct thread *t;

    if (size < sizeof(mask) || size % sizeof(unsigned long))
        return -EINVAL;
    t = thread_of(tid);
    if (is_err(t))
        return -ESRCH;
    mask.bits = READ_ONCE(t->affinity.bits) & cpus_online.bits;
    thread_put(t);
    return copy_to_user(umask, &mask, sizeof(mask)) ? -EFAULT : (long)sizeof(mask);
}

/* ---- policies --------------------------------------------------------------------------------------------- */

struct policy {
    int policy, nice, rt_priority;
    bool reset_on_fork;
};

static bool is_realtime(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* May nice be lowered this far without a capability? RLIMIT_NICE counts from 1 (19) to 40 (-20). */
static bool nice_allowed(struct thread *t, int nice)
{
    return nice >= t->nice ||
           (u64)(20 - nice) <= READ_ONCE(t->process->limits[RLIMIT_NICE].rlim_cur) ||
           capable(CAP_SYS_NICE);
}

static int policy_permission(struct thread *t, const struct policy *p)
{
    if (capable(CAP_SYS_NICE))
        return 0;
    if (is_realtime(p->policy)) {
        u64 limit = READ_ONCE(t->process->limits[RLIMIT_RTPRIO].rlim_cur);

        if (p->policy != t->policy && limit == 0)
            return -EPERM;
        if (p->rt_priority > t->rt_priority && (u64)p->rt_priority > limit)
            return -EPERM;
    } else if (!nice_allowed(t, p->nice)) {
        return -EPERM;
    }
    if (t->reset_on_fork && !p->reset_on_fork)
        return -EPERM;
    if (t->policy == SCHED_IDLE && p->policy != SCHED_IDLE && !nice_allowed(t, t->nice - 1))
        return -EPERM;
    return is_own(t) ? 0 : -EPERM;
}

static int set_policy(pid_t tid, const struct policy *p)
{
    struct thread *t;
    int error;

    if (p->policy != SCHED_NORMAL && p->policy != SCHED_BATCH && p->policy != SCHED_IDLE &&
        !is_realtime(p->policy))
        return -EINVAL;
    if (is_realtime(p->policy) ? p->rt_priority < 1 || p->rt_priority > 99 : p->rt_priority != 0)
        return -EINVAL;
    t = thread_of(tid);
    if (is_err(t))
        return ptr_err(t);
    error = policy_permission(t, p);
    if (!error)
        error = sched_set_policy(t, p->policy, p->nice, p->rt_priority);
    if (!error)
        t->reset_on_fork = p->reset_on_fork;
    thread_put(t);
    return error;
}

static int nice_of(pid_t tid)
{
    struct thread *t = thread_of(tid);
    int nice = 0;

    if (!is_err(t)) {
        nice = t->nice;
        thread_put(t);
    }
    return nice;
}

SYSCALL_DEFINE3(sched_setscheduler, pid_t, tid, int, policy, const struct sched_param __user *,
                uparam)
{
    struct policy p = {
        .policy = policy & ~SCHED_RESET_ON_FORK,
        .reset_on_fork = policy & SCHED_RESET_ON_FORK,
    };

    if (!uparam || tid < 0 || policy < 0)
        return -EINVAL;
    if (get_user(p.rt_priority, (const int __user *)uparam))
        return -EFAULT;
    p.nice = nice_of(tid);
    return set_policy(tid, &p);
}

SYSCALL_DEFINE2(sched_setparam, pid_t, tid, const struct sched_param __user *, uparam)
{
    struct policy p;
    struct thread *t;

    if (!uparam || tid < 0)
        return -EINVAL;
    if (get_user(p.rt_priority, (const int __user *)uparam))
        return -EFAULT;
    t = thread_of(tid);
    if (is_err(t))
        return ptr_err(t);
    p.policy = t->policy;
    p.nice = t->nice;
    p.reset_on_fork = t->reset_on_fork;
    thread_put(t);
    return set_policy(tid, &p);
}

SYSCALL_DEFINE1(sched_getscheduler, pid_t, tid)
{
    struct thread *t = thread_of(tid);
    int policy;

    if (is_err(t))
        return ptr_err(t);
    policy = t->policy | (t->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
    thread_put(t);
    return policy;
}

SYSCALL_DEFINE2(sched_getparam, pid_t, tid, struct sched_param __user *, uparam)
{
    struct thread *t;
    int priority;

    if (!uparam)
        return -EINVAL;
    t = thread_of(tid);
    if (is_err(t))
        return ptr_err(t);
    priority = t->rt_priority;
    thread_put(t);
    return put_user(priority, (int __user *)uparam);
}

static int attr_from_user(struct sched_attr *attr, struct sched_attr __user *uattr)
{
    int error = -E2BIG;
    u32 size;

    if (get_user(size, &uattr->size))
        return -EFAULT;
    if (size == 0)
        size = SCHED_ATTR_SIZE_VER0;
    if (size >= SCHED_ATTR_SIZE_VER0)
        error = copy_struct_from_user(attr, sizeof(*attr), uattr, size);
    if (error == -E2BIG)
        (void)put_user((u32)sizeof(*attr), &uattr->size);
    return error;
}

#define SETATTR_FLAGS (SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_KEEP_POLICY | SCHED_FLAG_KEEP_PARAMS)

SYSCALL_DEFINE3(sched_setattr, pid_t, tid, struct sched_attr __user *, uattr, unsigned, flags)
{
    struct sched_attr attr;
    struct thread *t;
    struct policy p;
    int error;

    if (!uattr || tid < 0 || flags)
        return -EINVAL;
    error = attr_from_user(&attr, uattr);
    if (error)
        return error;
    if ((attr.sched_flags & ~SETATTR_FLAGS) || (int)attr.sched_policy < 0)
        return -EINVAL;
    t = thread_of(tid);
    if (is_err(t))
        return ptr_err(t);
    p = (struct policy){
        .policy = attr.sched_policy,
        .nice = clamp(attr.sched_nice, NICE_MIN, NICE_MAX),
        .rt_priority = attr.sched_priority,
        .reset_on_fork = attr.sched_flags & SCHED_FLAG_RESET_ON_FORK,
    };
    if (attr.sched_flags & SCHED_FLAG_KEEP_POLICY) {
        p.policy = t->policy;
        p.reset_on_fork = t->reset_on_fork;
    }
    if (attr.sched_flags & SCHED_FLAG_KEEP_PARAMS)
        p.rt_priority = t->rt_priority;
    if (is_realtime(p.policy) || (attr.sched_flags & SCHED_FLAG_KEEP_PARAMS))
        p.nice = t->nice;
    thread_put(t);
    return set_policy(tid, &p);
}

SYSCALL_DEFINE4(sched_getattr, pid_t, tid, struct sched_attr __user *, uattr, unsigned, size,
                unsigned, flags)
{
    struct sched_attr attr = {};
    struct thread *t;

    if (!uattr || tid < 0 || size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE || flags)
        return -EINVAL;
    t = thread_of(tid);
    if (is_err(t))
        return ptr_err(t);
    attr.size = min_t(size_t, size, sizeof(attr));
    attr.sched_policy = t->policy;
    attr.sched_flags = t->reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0;
    attr.sched_priority = t->rt_priority;
    attr.sched_nice = is_realtime(t->policy) ? 0 : t->nice;
    thread_put(t);
    return copy_to_user(uattr, &attr, attr.size) ? -EFAULT : 0;
}

SYSCALL_DEFINE1(sched_get_priority_max, int, policy)
{
    if (is_realtime(policy))
        return 99;
    return sched_class_of(policy) || policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

SYSCALL_DEFINE1(sched_get_priority_min, int, policy)
{
    if (is_realtime(policy))
        return 1;
    return sched_class_of(policy) || policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

SYSCALL_DEFINE2(sched_rr_get_interval, pid_t, tid, struct __kernel_timespec __user *, uts)
{
    struct thread *t = thread_of(tid);
    u64 ns;

    if (is_err(t))
        return ptr_err(t);
    ns = t->policy == SCHED_FIFO ? 0 : t->policy == SCHED_RR ? ROUND_ROBIN_NS : SLICE_NS;
    thread_put(t);
    return timespec_to_user(uts, ns);
}

/* ---- nice values -------------------------------------------------------------------------------------------- */

/* Whom getpriority(2) and setpriority(2) mean: fn for the first thread of each; => fn may sleep not */
struct nice_walk {
    int which;
    uid_t uid;
    pid_t pgrp;
    bool found;
    int error; /* of setpriority */
    int nice;  /* wanted; or the lowest found */
    void (*fn)(struct nice_walk *w, struct thread *t);
};

static bool matches(const struct nice_walk *w, struct process *p)
{
    if (w->which == PRIO_PGRP)
        return p->pgrp == w->pgrp;
    return p->leader->cred->uid == w->uid;
}

static int walk(struct nice_walk *w, int which, pid_t who)
{
    unsigned long flags;
    struct process *p;
    struct thread *t;

    w->which = which;
    switch (which) {
    case PRIO_PROCESS:
        t = thread_of(who);
        if (is_err(t))
            return -ESRCH;
        w->found = true;
        w->fn(w, t);
        thread_put(t);
        return 0;
    case PRIO_PGRP:
        w->pgrp = who ? who : current->process->pgrp;
        break;
    case PRIO_USER:
        w->uid = who ? (uid_t)who : current->cred->uid;
        break;
    default:
        return -EINVAL;
    }
    flags = spin_lock_irqsave(&tree_lock);
    list_for_each_entry(p, &all_processes, all_link)
        if (p->state == PROCESS_LIVE && matches(w, p)) {
            w->found = true;
            w->fn(w, p->leader);
        }
    spin_unlock_irqrestore(&tree_lock, flags);
    return w->found ? 0 : -ESRCH;
}

static void find_lowest(struct nice_walk *w, struct thread *t)
{
    w->nice = min(w->nice, t->nice);
}

SYSCALL_DEFINE2(getpriority, int, which, pid_t, who)
{
    struct nice_walk w = {.fn = find_lowest, .nice = NICE_MAX};
    int error = walk(&w, which, who);

    return error ? error : 20 - w.nice; /* so that no result looks like an error */
}

static void set_nice(struct nice_walk *w, struct thread *t)
{
    if (!is_own(t) && !capable(CAP_SYS_NICE))
        w->error = -EPERM;
    else if (!nice_allowed(t, w->nice))
        w->error = -EACCES;
    else
        (void)sched_set_policy(t, t->policy, w->nice, t->rt_priority);
}

SYSCALL_DEFINE3(setpriority, int, which, pid_t, who, int, nice)
{
    struct nice_walk w = {.fn = set_nice, .nice = clamp(nice, NICE_MIN, NICE_MAX)};
    int error = walk(&w, which, who);

    return error ? error : w.error;
}
