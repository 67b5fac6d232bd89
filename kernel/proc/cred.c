/* SPDX-License-Identifier: MIT */
/*
 * Credentials as values: made, shared, replaced (credentials(7)).
 *
 * A struct cred never changes once a thread has it. A change makes a copy, changes that, and puts it
 * in the place of the old one; whoever holds a reference to the old one goes on seeing what it was.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/cred.h>
#include <vellum/string.h>
#include <vellum/sync.h>
#include <linux/securebits.h>

#define ALL_CAPABILITIES (BIT(CAP_LAST_CAP + 1) - 1)

struct cred root_cred = {
    .refs = REFCOUNT_INIT(1),
    .user = &root_user,
    .cap_effective = ALL_CAPABILITIES,
    .cap_permitted = ALL_CAPABILITIES,
    .cap_bounding = ALL_CAPABILITIES,
};

void cred_put(const struct cred *c)
{
    if (!ref_put((refcount_t *)&c->refs))
        return;
    user_put(c->user);
    kfree(c);
}

struct cred *cred_copy(const struct cred *c, unsigned ngroups)
{
    struct cred *new = kmalloc(sizeof(*new) + ngroups * sizeof(gid_t), ALLOC_KERNEL);
    unsigned kept = min(ngroups, c->ngroups);

    if (!new)
        return NULL;
    memcpy(new, c, sizeof(*new));
    memcpy(new->groups, c->groups, kept * sizeof(gid_t));
    new->ngroups = ngroups;
    ref_init(&new->refs);
    ref_get(&new->user->refs);
    return new;
}

/* Programs that lose or gain privileges must not be looked into by those that they were started by. */
static bool privileges_changed(const struct cred *old, const struct cred *new)
{
    return old->euid != new->euid || old->egid != new->egid || old->fsuid != new->fsuid ||
           old->fsgid != new->fsgid || (new->cap_permitted & ~old->cap_permitted);
}

void cred_commit(const struct cred *c)
{
    struct thread *t = current;
    const struct cred *old = t->cred;
    unsigned long flags;

    if (t->mm && privileges_changed(old, c)) {
        t->mm->dumpable = suid_dumpable;
        t->process->death_signal = 0;
    }
    if (c->user != old->user) {
        atomic_inc(&c->user->processes);
        atomic_dec(&old->user->processes);
    }
    flags = spin_lock_irqsave(&t->process->lock);
    t->cred = c;
    spin_unlock_irqrestore(&t->process->lock, flags);
    cred_put(old);
}

bool cred_in_group(const struct cred *c, gid_t gid)
{
    unsigned low = 0, high = c->ngroups;

    if (c->fsgid == gid)
        return true;
    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (c->groups[middle] == gid)
            return true;
        if (c->groups[middle] < gid)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* ---- at exec (capabilities(7), "Transformation of capabilities during execve()") ------------------- */

/* Without capabilities in files there are only the rules for user 0. */
static void exec_capabilities(struct cred *new, const struct cred *old, bool set_id)
{
    if (set_id)
        new->cap_ambient = 0;
    new->securebits &= ~SECBIT_KEEP_CAPS;
    if (!(new->securebits &SECBIT_NOROOT) && (new->uid == 0 || new->euid == 0)) {
        new->cap_permitted = new->cap_inheritable | new->cap_bounding;
        new->cap_effective = new->euid == 0 ? new->cap_permitted : new->cap_ambient;
    } else {
        new->cap_permitted = new->cap_effective = new->cap_ambient;
    }
}

struct cred *cred_for_exec(const struct inode *inode, bool nosuid, bool *secure)
{
    const struct cred *old = current->cred;
    struct cred *new = cred_copy(old, old->ngroups);
    bool set_id = false;

    if (!new)
        return err_ptr(-ENOMEM);
    if (!nosuid && !current->process->no_new_privileges) {
        if (inode->mode & S_ISUID)
            new->euid = inode->uid;
        if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
            new->egid = inode->gid;
        set_id = new->euid != old->euid || new->egid != old->egid;
    }
    new->suid = new->fsuid = new->euid;
    new->sgid = new->fsgid = new->egid;
    exec_capabilities(new, old, set_id);
    *secure = new->uid != new->euid || new->gid != new->egid ||
              (new->uid != 0 && (new->cap_permitted & ~new->cap_ambient));
    return new;
}
