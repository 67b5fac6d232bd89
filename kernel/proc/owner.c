/* SPDX-License-Identifier: MIT */
/*
 * Owners of open files: who is told by signals of what happens to them (fcntl(2), F_SETOWN).
 *
 * An owner is a number, and when what had it began: it holds nothing, and who gets the number later is
 * not told. Whether a signal may be sent is a question of the credentials of who named the owner.
 */
#include "internal.h"
#include <vellum/cred.h>

/* When the thread, process or group of this number began; 0: there is none. => tree_lock */
static u64 born(int type, pid_t id)
{
    struct process_group *g;
    struct process *p;
    struct thread *t;

    switch (type) {
    case F_OWNER_TID:
        t = tid_lookup(id);
        return t ? t->start_time + 1 : 0;
    case F_OWNER_PID:
        p = pid_lookup(id);
        return p ? p->start_time + 1 : 0;
    default:
        g = group_lookup(id);
        return g ? g->serial : 0;
    }
}

int signal_owner_set(struct signal_owner *o, int type, pid_t id)
{
    struct signal_owner new = {.type = type, .id = id};
    const struct cred *c = current->cred;
    unsigned long flags;
    bool used;

    if (type != F_OWNER_TID && type != F_OWNER_PID && type != F_OWNER_PGRP)
        return -EINVAL;
    flags = spin_lock_irqsave(&tree_lock);
    used = !id || tid_lookup(id) || group_lookup(id);
    if (id)
        new.born = born(type, id);
    spin_unlock_irqrestore(&tree_lock, flags);
    if (!used)
        return -ESRCH;
    new.uid = c->uid;
    new.euid = c->euid;
    *o = new;
    return 0;
}

pid_t signal_owner_id(const struct signal_owner *o)
{
    unsigned long flags;
    bool there;

    if (!o->id)
        return 0;
    flags = spin_lock_irqsave(&tree_lock);
    there = o->born && born(o->type, o->id) == o->born;
    spin_unlock_irqrestore(&tree_lock, flags);
    return there ? o->id : 0;
}

static bool permitted(const struct signal_owner *o, struct process *p)
{
    const struct cred *them = process_cred(p);
    bool ok = o->euid == 0 || o->euid == them->suid || o->euid == them->uid ||
              o->uid == them->suid || o->uid == them->uid;

    cred_put(them);
    return ok;
}

/* When its queue is full of signals with something to tell, one without says that there were more. */
static void tell(const struct signal_owner *o, struct process *p, struct thread *t, int signo,
                 const siginfo_t *info)
{
    int error;

    if (!permitted(o, p))
        return;
    error = t ? signal_send_thread(t, signo, info) : signal_send_process(p, signo, info);
    if (error && t)
        signal_send_thread(t, SIGIO, NULL);
    else if (error)
        signal_send_process(p, SIGIO, NULL);
}

void signal_owner_send(const struct signal_owner *o, int signo, const siginfo_t *info)
{
    unsigned long flags;
    struct process *p;
    struct thread *t;

    if (!o->id || !o->born)
        return;
    flags = spin_lock_irqsave(&tree_lock);
    if (born(o->type, o->id) == o->born) {
        t = o->type == F_OWNER_TID ? tid_lookup(o->id) : NULL;
        if (o->type == F_OWNER_PGRP) {
            list_for_each_entry(p, &group_lookup(o->id)->members, pgrp_link)
                tell(o, p, NULL, signo, info);
        } else {
            p = t ? t->process : pid_lookup(o->id);
            tell(o, p, t, signo, info);
        }
    }
    spin_unlock_irqrestore(&tree_lock, flags);
}
