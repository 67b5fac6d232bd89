/* SPDX-License-Identifier: MIT */
/*
 * prctl(2), personality(2): small properties of threads and processes.
 */
#include "internal.h"
#include <vellum/mm.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <linux/prctl.h>
#include <linux/personality.h>
#include <linux/securebits.h>

static long set_name(const char __user *name)
{
    char comm[sizeof(current->comm)] = "";
    ssize_t n = copy_user_string(comm, name, sizeof(comm));

    if (n < 0)
        return n;
    comm[sizeof(comm) - 1] = '\0';
    memset(current->comm, 0, sizeof(current->comm));
    strlcpy(current->comm, comm, sizeof(current->comm));
    return 0;
}

static long get_name(char __user *name)
{
    return copy_to_user(name, current->comm, sizeof(current->comm)) ? -EFAULT : 0;
}

static long drop_bounding(unsigned long cap)
{
    struct cred *new;

    if (!capable(CAP_SETPCAP))
        return -EPERM;
    if (cap > CAP_LAST_CAP)
        return -EINVAL;
    new = cred_copy(current->cred, current->cred->ngroups);
    if (!new)
        return -ENOMEM;
    new->cap_bounding &= ~BIT(cap);
    cred_commit(new);
    return 0;
}

static long change_ambient(unsigned long what, unsigned long cap)
{
    const struct cred *old = current->cred;
    struct cred *new;
    u64 ambient = old->cap_ambient;

    if (what == PR_CAP_AMBIENT_CLEAR_ALL ? cap != 0 : cap > CAP_LAST_CAP)
        return -EINVAL;
    switch (what) {
    case PR_CAP_AMBIENT_IS_SET:
        return !!(ambient & BIT(cap));
    case PR_CAP_AMBIENT_RAISE:
        if (!(old->cap_permitted & old->cap_inheritable & BIT(cap)) ||
            (old->securebits & SECBIT_NO_CAP_AMBIENT_RAISE))
            return -EPERM;
        ambient |= BIT(cap);
        break;
    case PR_CAP_AMBIENT_LOWER:
        ambient &= ~BIT(cap);
        break;
    case PR_CAP_AMBIENT_CLEAR_ALL:
        ambient = 0;
        break;
    default:
        return -EINVAL;
    }
    new = cred_copy(old, old->ngroups);
    if (!new)
        return -ENOMEM;
    new->cap_ambient = ambient;
    cred_commit(new);
    return 0;
}

static long set_death_signal(unsigned long signo)
{
    if (signo > SIGNALS)
        return -EINVAL;
    current->process->death_signal = signo;
    return 0;
}

static long set_securebits(u32 bits)
{
    struct cred *new = cred_copy(current->cred, current->cred->ngroups);

    if (!new)
        return -ENOMEM;
    new->securebits = bits;
    cred_commit(new);
    return 0;
}

/* Each bit has another one, the next, that locks it. */
static bool securebits_allowed(u32 old, unsigned long new)
{
    u32 locked = (old & SECURE_ALL_LOCKS) >> 1;

    return !(new & ~(unsigned long)(SECURE_ALL_BITS | SECURE_ALL_LOCKS)) &&
           !((old ^ new) & locked) && !(old & SECURE_ALL_LOCKS & ~new) && capable(CAP_SETPCAP);
}

/* What concerns capabilities and privileges. */
static long privilege_option(int option, unsigned long a, unsigned long b, unsigned long c,
                             unsigned long d)
{
    struct process *p = current->process;
    u32 bits = current->cred->securebits;

    switch (option) {
    case PR_GET_KEEPCAPS:
        return !!(bits & SECBIT_KEEP_CAPS);
    case PR_SET_KEEPCAPS:
        if (a > 1)
            return -EINVAL;
        if (bits & SECBIT_KEEP_CAPS_LOCKED)
            return -EPERM;
        return set_securebits(a ? bits | SECBIT_KEEP_CAPS : bits & ~SECBIT_KEEP_CAPS);
    case PR_GET_SECUREBITS:
        return bits;
    case PR_SET_SECUREBITS:
        return securebits_allowed(bits, a) ? set_securebits(a) : -EPERM;
    case PR_CAPBSET_READ:
        return a > CAP_LAST_CAP ? -EINVAL : !!(current->cred->cap_bounding & BIT(a));
    case PR_CAPBSET_DROP:
        return drop_bounding(a);
    case PR_CAP_AMBIENT:
        return c || d ? -EINVAL : change_ambient(a, b);
    case PR_GET_NO_NEW_PRIVS:
        return a || b || c || d ? -EINVAL : p->no_new_privileges;
    case PR_SET_NO_NEW_PRIVS:
        if (a != 1 || b || c || d)
            return -EINVAL;
        p->no_new_privileges = true;
        return 0;
    }
    return -EINVAL;
}

SYSCALL_DEFINE5(prctl, int, option, unsigned long, a, unsigned long, b, unsigned long, c,
                unsigned long, d)
{
    struct thread *t = current;
    struct process *p = t->process;

    switch (option) {
    case PR_SET_NAME:
        return set_name((const char __user *)a);
    case PR_GET_NAME:
        return get_name((char __user *)a);
    case PR_SET_PDEATHSIG:
        return set_death_signal(a);
    case PR_GET_PDEATHSIG:
        return put_user(p->death_signal, (int __user *)a);
    case PR_GET_DUMPABLE:
        return t->mm->dumpable;
    case PR_SET_DUMPABLE:
        if (a > 1)
            return -EINVAL;
        t->mm->dumpable = a;
        return 0;
    case PR_SET_CHILD_SUBREAPER:
        p->is_subreaper = a != 0;
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        return put_user((int)p->is_subreaper, (int __user *)a);
    case PR_SET_TIMERSLACK:
        t->timer_slack = (long)a <= 0 ? TIMER_SLACK_DEFAULT : a;
        return 0;
    case PR_GET_TIMERSLACK:
        return t->timer_slack;
    case PR_GET_TID_ADDRESS:
        return put_user(t->clear_child_tid, (vaddr_t __user *)a);
    case PR_SET_MM: /* nothing of it may be changed */
        return capable(CAP_SYS_RESOURCE) ? -EINVAL : -EPERM;
    case PR_SET_THP_DISABLE:
        if (b || c || d)
            return -EINVAL;
        WRITE_ONCE(t->mm->no_huge_pages, a != 0);
        return 0;
    case PR_GET_THP_DISABLE:
        return a || b || c || d ? -EINVAL : t->mm->no_huge_pages;
    case PR_GET_TIMING:
        return PR_TIMING_STATISTICAL;
    case PR_SET_TIMING:
        return a == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
    }
    return privilege_option(option, a, b, c, d);
}

SYSCALL_DEFINE1(personality, unsigned, persona)
{
    struct process *p = current->process;
    unsigned long before = p->personality;

    if (persona != 0xffffffff) {
        if ((persona & PER_MASK) != PER_LINUX && (persona & PER_MASK) != PER_LINUX32)
            return -EINVAL;
        p->personality = persona;
    }
    return before;
}
