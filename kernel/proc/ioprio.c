/* SPDX-License-Identifier: MIT */
/*
 * I/O priorities: ioprio_get(2), ioprio_set(2). They are kept, inherited and told; the queues of disks
 * serve requests in the order in which they come.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/cred.h>
#include <vellum/io_context.h>
#include <vellum/syscall.h>
#include <linux/ioprio.h>
#include <linux/sched.h>

#define IOPRIO_UNSET IOPRIO_PRIO_VALUE(IOPRIO_CLASS_NONE, 0)

/* ---- contexts ---------------------------------------------------------------------------------------- */

static struct io_context *io_context_alloc(int priority, unsigned how)
{
    struct io_context *io = kmalloc(sizeof(*io), how);

    if (io) {
        ref_init(&io->refs);
        io->priority = priority;
    }
    return io;
}

void io_context_put(struct io_context *io)
{
    if (ref_put(&io->refs))
        kfree(io);
}

int io_context_fork(struct thread *child, u64 flags)
{
    struct io_context *io = READ_ONCE(current->io_context); /* once there, it stays */
    int priority;

    if (!io)
        return 0;
    if (flags & CLONE_IO) {
        ref_get(&io->refs);
        child->io_context = io;
        return 0;
    }
    priority = READ_ONCE(io->priority);
    if (priority == IOPRIO_UNSET)
        return 0;
    child->io_context = io_context_alloc(priority, ALLOC_KERNEL);
    return child->io_context ? 0 : -ENOMEM;
}

/* ---- one thread => p->lock of its process ---------------------------------------------------------------- */

static int priority_get(const struct thread *t)
{
    return t->io_context ? READ_ONCE(t->io_context->priority) : IOPRIO_UNSET;
}

/* What it comes to: without one of its own a thread has that of its scheduling. */
static int priority_effective(const struct thread *t)
{
    int priority = priority_get(t), class = IOPRIO_CLASS_BE;

    if (IOPRIO_PRIO_CLASS(priority) != IOPRIO_CLASS_NONE)
        return priority;
    if (t->policy == SCHED_IDLE)
        class = IOPRIO_CLASS_IDLE;
    else if (t->policy == SCHED_FIFO || t->policy == SCHED_RR)
        class = IOPRIO_CLASS_RT;
    return IOPRIO_PRIO_VALUE(class, (t->nice + 20) / 5);
}

static int priority_set(struct thread *t, int priority)
{
    const struct cred *me = current->cred;
    uid_t uid = t->cred->uid;

    if (uid != me->euid && uid != me->uid && !capable(CAP_SYS_NICE))
        return -EPERM;
    if (!t->io_context)
        t->io_context = io_context_alloc(priority, ALLOC_ATOMIC);
    else
        WRITE_ONCE(t->io_context->priority, priority);
    return t->io_context ? 0 : -ENOMEM;
}

/* ---- whom a call means ------------------------------------------------------------------------------------ */

struct ioprio_walk {
    int priority; /* to set; or the best found, -1: none yet */
    int error;
    bool found;
    void (*fn)(struct ioprio_walk *w, struct thread *t); /* => p->lock of its process */
};

static void visit_process(struct ioprio_walk *w, struct process *p)
{
    struct thread *t;

    spin_lock(&p->lock);
    list_for_each_entry(t, &p->threads, thread_link)
        if (!w->error) {
            w->found = true;
            w->fn(w, t);
        }
    spin_unlock(&p->lock);
}

static int visit_thread(struct ioprio_walk *w, pid_t tid)
{
    struct thread *t = thread_find(tid ? tid : current->tid);
    unsigned long flags;

    if (!t)
        return -ESRCH;
    flags = spin_lock_irqsave(&t->process->lock);
    w->fn(w, t);
    spin_unlock_irqrestore(&t->process->lock, flags);
    thread_put(t);
    return w->error;
}

static bool is_meant(struct process *p, int which, int who)
{
    return which == IOPRIO_WHO_PGRP ? p->pgrp == who : p->leader->cred->uid == (uid_t)who;
}

static int visit_all(struct ioprio_walk *w, int which, int who)
{
    unsigned long flags;
    struct process *p;

    if (!who)
        who = which == IOPRIO_WHO_PGRP ? current->process->pgrp : (int)current->cred->uid;
    flags = spin_lock_irqsave(&tree_lock);
    list_for_each_entry(p, &all_processes, all_link)
        if (p->state == PROCESS_LIVE && is_meant(p, which, who))
            visit_process(w, p);
    spin_unlock_irqrestore(&tree_lock, flags);
    return w->found ? w->error : -ESRCH;
}

static int visit(struct ioprio_walk *w, int which, int who)
{
    switch (which) {
    case IOPRIO_WHO_PROCESS:
        return visit_thread(w, who);
    case IOPRIO_WHO_PGRP:
    case IOPRIO_WHO_USER:
        return visit_all(w, which, who);
    }
    return -EINVAL;
}

/* ---- calls ------------------------------------------------------------------------------------------------- */

static int priority_check(int priority)
{
    int class = IOPRIO_PRIO_CLASS(priority);

    if (class == IOPRIO_CLASS_RT && !capable(CAP_SYS_ADMIN) && !capable(CAP_SYS_NICE))
        return -EPERM;
    switch (class) {
    case IOPRIO_CLASS_RT:
    case IOPRIO_CLASS_BE:
        return IOPRIO_PRIO_DATA(priority) < IOPRIO_NR_LEVELS ? 0 : -EINVAL;
    case IOPRIO_CLASS_IDLE:
        return 0;
    case IOPRIO_CLASS_NONE:
        return IOPRIO_PRIO_DATA(priority) ? -EINVAL : 0;
    }
    return -EINVAL;
}

static void set_one(struct ioprio_walk *w, struct thread *t)
{
    w->error = priority_set(t, w->priority);
}

SYSCALL_DEFINE3(ioprio_set, int, which, int, who, int, priority)
{
    struct ioprio_walk w = {.fn = set_one, .priority = priority};
    int error = priority_check(priority);

    return error ? error : visit(&w, which, who);
}

static void get_one(struct ioprio_walk *w, struct thread *t)
{
    w->priority = priority_get(t);
}

/* The lower the number, the more urgent. */
static void get_best(struct ioprio_walk *w, struct thread *t)
{
    int priority = priority_effective(t);

    if (w->priority < 0 || priority < w->priority)
        w->priority = priority;
}

SYSCALL_DEFINE2(ioprio_get, int, which, int, who)
{
    struct ioprio_walk w = {.fn = which == IOPRIO_WHO_PROCESS ? get_one : get_best, .priority = -1};
    int error = visit(&w, which, who);

    return error ? error : w.priority;
}
