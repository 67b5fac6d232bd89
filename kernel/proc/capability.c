/* SPDX-License-Identifier: MIT */
/*
 * capget(2) and capset(2): the privileges of root, one by one (capabilities(7)).
 */
#include "internal.h"
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>

/* How many 32-bit words each set has in this version of the call; on an unknown version the caller is
 * told the newest. 0: there is nothing more to do. */
static int check_version(struct __user_cap_header_struct __user *header, unsigned *words)
{
    u32 version;

    if (get_user(version, &header->version))
        return -EFAULT;
    switch (version) {
    case _LINUX_CAPABILITY_VERSION_1:
        *words = _LINUX_CAPABILITY_U32S_1;
        return 0;
    case _LINUX_CAPABILITY_VERSION_2:
    case _LINUX_CAPABILITY_VERSION_3:
        *words = _LINUX_CAPABILITY_U32S_3;
        return 0;
    }
    if (put_user((u32)_LINUX_CAPABILITY_VERSION_3, &header->version))
        return -EFAULT;
    return -EINVAL;
}

static int cred_of(pid_t pid, const struct cred **cred)
{
    struct thread *t;
    unsigned long flags;

    if (pid < 0)
        return -EINVAL;
    if (pid == 0 || pid == current->tid) {
        *cred = cred_get(current->cred);
        return 0;
    }
    t = thread_find(pid);
    if (!t)
        return -ESRCH;
    flags = spin_lock_irqsave(&t->process->lock);
    *cred = cred_get(t->cred);
    spin_unlock_irqrestore(&t->process->lock, flags);
    thread_put(t);
    return 0;
}

SYSCALL_DEFINE2(capget, struct __user_cap_header_struct __user *, header,
                struct __user_cap_data_struct __user *, data)
{
    struct __user_cap_data_struct sets[2];
    const struct cred *c;
    unsigned words;
    pid_t pid;
    int error = check_version(header, &words);

    if (error)
        return error == -EINVAL && !data ? 0 : error;
    if (get_user(pid, &header->pid))
        return -EFAULT;
    error = cred_of(pid, &c);
    if (error)
        return error;
    for (unsigned i = 0; i < 2; i++)
        sets[i] = (struct __user_cap_data_struct){
            .effective = c->cap_effective >> (32 * i),
            .permitted = c->cap_permitted >> (32 * i),
            .inheritable = c->cap_inheritable >> (32 * i),
        };
    cred_put(c);
    if (data && copy_to_user(data, sets, words * sizeof(sets[0])))
        return -EFAULT;
    return 0;
}

SYSCALL_DEFINE2(capset, struct __user_cap_header_struct __user *, header,
                const struct __user_cap_data_struct __user *, data)
{
    const u64 all = BIT(CAP_LAST_CAP + 1) - 1;
    struct __user_cap_data_struct sets[2] = {};
    const struct cred *old = current->cred;
    u64 effective, permitted, inheritable;
    struct cred *new;
    unsigned words;
    pid_t pid;
    int error = check_version(header, &words);

    if (error)
        return error;
    if (get_user(pid, &header->pid))
        return -EFAULT;
    if (pid != 0 && pid != current->tid)
        return -EPERM;
    if (copy_from_user(sets, data, words * sizeof(sets[0])))
        return -EFAULT;
    effective = (sets[0].effective | (u64)sets[1].effective << 32) & all;
    permitted = (sets[0].permitted | (u64)sets[1].permitted << 32) & all;
    inheritable = (sets[0].inheritable | (u64)sets[1].inheritable << 32) & all;
    if ((permitted & ~old->cap_permitted) || (effective & ~permitted) ||
        (inheritable & ~(old->cap_inheritable | old->cap_bounding)) ||
        (!capable(CAP_SETPCAP) && (inheritable & ~(old->cap_inheritable | old->cap_permitted))))
        return -EPERM;
    new = cred_copy(old, old->ngroups);
    if (!new)
        return -ENOMEM;
    new->cap_effective = effective;
    new->cap_permitted = permitted;
    new->cap_inheritable = inheritable;
    new->cap_ambient &= permitted &inheritable;
    cred_commit(new);
    return 0;
}
