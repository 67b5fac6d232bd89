/* SPDX-License-Identifier: MIT */
/*
 * Robust futexes: locks that outlive their owner (set_robust_list(2), get_robust_list(2)).
 *
 * A thread keeps a list of the locks it holds in its own memory, and has told us where. When it ends,
 * or replaces its program, we walk the list: each word that still has its number gets
 * FUTEX_OWNER_DIED in its place, and one who waits is woken to find that out. Bit 0 of a pointer says
 * that the lock is one with priority inheritance, which is handed on by itself. An entry may be
 * between the list and the lock: that one is `list_op_pending`. Nothing of all that is trusted.
 */
#include "futex.h"
#include <vellum/mm.h>
#include <vellum/process.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>

#define ENTRIES_MAX 2048 /* looked at: a program may have made a loop */
#define IS_PI       1UL

/* A lock that the dying thread may hold. */
static int release(vaddr_t address, bool pi, bool pending)
{
    u32 word, seen;

    if (address % sizeof(u32) || get_user(word, (u32 __user *)address))
        return -EFAULT;
    /* It was released, but who waits for it has not been woken: nobody else will do that. */
    if (pending && !pi && word == 0) {
        futex_wake_address(address, 1);
        return 0;
    }
    for (;;) {
        if ((word & FUTEX_TID_MASK) != (u32)current->tid)
            return 0;
        if (!user_range_ok((void __user *)address, sizeof(u32)) ||
            arch_cmpxchg_user_32((u32 *)address, word, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED,
                                 &seen))
            return -EFAULT;
        if (seen == word)
            break;
        word = seen;
    }
    if (!pi && (word & FUTEX_WAITERS))
        futex_wake_address(address, 1);
    return 0;
}

static void walk_robust_list(vaddr_t list)
{
    struct robust_list_head head;
    vaddr_t entry, pending, next;

    if (copy_from_user(&head, (void __user *)list, sizeof(head)))
        return;
    entry = (vaddr_t)head.list.next;
    pending = (vaddr_t)head.list_op_pending;
    for (unsigned n = 0; n < ENTRIES_MAX && (entry & ~IS_PI) != list; n++) {
        /* Read before the word is changed: then the lock's memory may be freed. */
        bool bad = get_user(next, (vaddr_t __user *)(entry & ~IS_PI)) != 0;

        if ((entry & ~IS_PI) != (pending & ~IS_PI) &&
            release((entry & ~IS_PI) + head.futex_offset, entry & IS_PI, false) != 0)
            return;
        if (bad)
            return;
        entry = next;
    }
    if (pending & ~IS_PI)
        release((pending & ~IS_PI) + head.futex_offset, pending & IS_PI, true);
}

void futex_exit(void)
{
    struct thread *t = current;
    vaddr_t list = t->robust_list;

    t->robust_list = 0;
    if (list)
        walk_robust_list(list);
    futex_exit_pi(t);
}

SYSCALL_DEFINE2(set_robust_list, vaddr_t, head, size_t, size)
{
    if (size != sizeof(struct robust_list_head))
        return -EINVAL;
    current->robust_list = head;
    return 0;
}

/* Whose memory one may look into, its lists one may look at (ptrace(2), "Ptrace access mode checking"). */
static bool may_look_at(struct thread *t)
{
    const struct cred *me = current->cred, *them;
    unsigned long flags;
    bool same;

    if (t->process == current->process || capable(CAP_SYS_PTRACE))
        return true;
    flags = spin_lock_irqsave(&t->process->lock);
    them = cred_get(t->cred);
    same = t->mm && t->mm->dumpable == 1;
    spin_unlock_irqrestore(&t->process->lock, flags);
    same = same && me->uid == them->euid && me->uid == them->suid && me->uid == them->uid &&
           me->gid == them->egid && me->gid == them->sgid && me->gid == them->gid;
    cred_put(them);
    return same;
}

SYSCALL_DEFINE3(get_robust_list, pid_t, tid, vaddr_t __user *, head, size_t __user *, size)
{
    struct thread *t = tid ? thread_find(tid) : NULL;
    vaddr_t list;
    int error = 0;

    if (tid && !t)
        return -ESRCH;
    if (t && !may_look_at(t))
        error = -EPERM;
    list = t ? t->robust_list : current->robust_list;
    if (t)
        thread_put(t);
    if (error)
        return error;
    if (put_user(sizeof(struct robust_list_head), size))
        return -EFAULT;
    return put_user(list, head);
}
