/* SPDX-License-Identifier: MIT */
/*
 * Numbers: of threads, processes, process groups and sessions, all from one range.
 *
 * A thread's number is handed out when it starts; that of the first thread is the process's. Group
 * and session numbers are those of the process that founded them, and may outlive it: a number is
 * free again when no thread, no group and no session has it.
 *
 *     id_map ids          which numbers are in use
 *     threads_by_tid[]    hash of the threads (the first one of a process stays until it is reaped)
 *     groups_by_id[]      hash of the groups and sessions
 *
 * All of it is guarded by tree_lock: whoever starts or ends a process holds that anyway.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/hash.h>
#include <vellum/id_map.h>

#define PID_RESERVED 300 /* once the numbers have gone round, lower ones are not handed out */
#define HASH_BITS    10

static struct id_map ids = ID_MAP_INIT;
static struct hlist_head threads_by_tid[1 << HASH_BITS];
static struct hlist_head groups_by_id[1 << (HASH_BITS - 3)];
static struct object_cache *group_cache;

static struct hlist_head *group_bucket(pid_t id)
{
    return &groups_by_id[hash_u64(id, HASH_BITS - 3)];
}

static struct hlist_head *thread_bucket(pid_t tid)
{
    return &threads_by_tid[hash_u64(tid, HASH_BITS)];
}

static pid_t last; /* [tree_lock] the number handed out most recently */

/* A certain number, asked for with clone3(2). */
static int tid_attach_wanted(struct thread *t, pid_t wanted)
{
    int id = id_map_take(&ids, wanted);

    if (id < 0)
        return id == -ENOSPC ? -EEXIST : id;
    t->tid = id;
    hlist_add_head(&t->tid_hash, thread_bucket(id));
    return 0;
}

int tid_attach(struct thread *t, pid_t wanted)
{
    static bool gone_round;
    int id;

    assert(spin_held(&tree_lock));
    if (unlikely(wanted))
        return tid_attach_wanted(t, wanted);
    id = id_map_alloc(&ids, gone_round ? PID_RESERVED : 1, PID_MAX - 1, true);
    if (id < 0)
        return id == -ENOSPC ? -EAGAIN : id;
    gone_round |= id < last;
    last = id;
    t->tid = id;
    hlist_add_head(&t->tid_hash, thread_bucket(id));
    return 0;
}

pid_t pid_last(void)
{
    return READ_ONCE(last);
}

/* A number nobody finds anything under any more. */
static void id_release(pid_t id)
{
    if (id != 0 && !group_lookup(id) && !tid_lookup(id))
        id_map_free(&ids, id);
}

void tid_detach(struct thread *t)
{
    assert(spin_held(&tree_lock));
    hlist_del(&t->tid_hash);
    id_release(t->tid);
}

void tid_take_over(struct thread *to, struct thread *from)
{
    pid_t own = to->tid;

    assert(spin_held(&tree_lock));
    hlist_del(&from->tid_hash);
    hlist_del(&to->tid_hash);
    to->tid = from->tid;
    from->tid = own;
    hlist_add_head(&to->tid_hash, thread_bucket(to->tid));
    id_release(own);
}

struct thread *tid_lookup(pid_t tid)
{
    struct thread *t;

    assert(spin_held(&tree_lock));
    hlist_for_each_entry(t, thread_bucket(tid), tid_hash)
        if (t->tid == tid)
            return t;
    return NULL;
}

struct process *pid_lookup(pid_t pid)
{
    struct thread *t = tid_lookup(pid);

    return t && t->process->pid == pid ? t->process : NULL;
}

struct process *process_find(pid_t pid)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    struct process *p = pid_lookup(pid);

    if (p)
        process_get(p);
    spin_unlock_irqrestore(&tree_lock, flags);
    return p;
}

struct thread *thread_find(pid_t tid)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    struct thread *t = tid_lookup(tid);

    if (t)
        ref_get(&t->refs);
    spin_unlock_irqrestore(&tree_lock, flags);
    return t;
}

struct process *process_next(pid_t from)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    struct process *p = NULL;
    int id = from > 0 ? from : 1;

    while ((id = id_map_next_used(&ids, id)) > 0 && !(p = pid_lookup(id)))
        id++;
    if (p)
        process_get(p);
    spin_unlock_irqrestore(&tree_lock, flags);
    return p;
}

/* ---- groups and sessions --------------------------------------------------------------------------- */

struct process_group *group_alloc(void)
{
    return object_alloc(group_cache, ALLOC_KERNEL);
}

void group_free(struct process_group *g)
{
    if (g)
        object_free(group_cache, g);
}

struct process_group *group_lookup(pid_t id)
{
    struct process_group *g;

    assert(spin_held(&tree_lock));
    hlist_for_each_entry(g, group_bucket(id), hash)
        if (g->id == id)
            return g;
    return NULL;
}

static struct process_group *group_find_or_add(pid_t id, struct process_group **spare)
{
    static u64 groups_made;
    struct process_group *g = group_lookup(id);

    if (g)
        return g;
    g = *spare;
    *spare = NULL;
    g->id = id;
    g->serial = ++groups_made;
    g->session_members = 0;
    list_init(&g->members);
    hlist_add_head(&g->hash, group_bucket(id));
    return g;
}

/* A member has left. */
static void group_release(struct process_group *g)
{
    if (!list_empty(&g->members) || g->session_members)
        return;
    hlist_del(&g->hash);
    id_release(g->id);
    group_free(g);
}

void group_join(struct process *p, pid_t id, struct process_group **spare)
{
    struct process_group *old = p->group;

    assert(spin_held(&tree_lock));
    p->group = group_find_or_add(id, spare);
    WRITE_ONCE(p->pgrp, id);
    if (old)
        list_del(&p->pgrp_link);
    list_add_tail(&p->pgrp_link, &p->group->members);
    if (old)
        group_release(old);
}

void session_join(struct process *p, pid_t id, struct process_group **spare)
{
    struct process_group *old = p->session_group;

    assert(spin_held(&tree_lock));
    p->session_group = group_find_or_add(id, spare);
    WRITE_ONCE(p->session, id);
    p->session_group->session_members++;
    if (old) {
        old->session_members--;
        group_release(old);
    }
}

void groups_inherit(struct process *child, struct process *parent)
{
    assert(spin_held(&tree_lock));
    child->group = parent->group;
    child->pgrp = parent->pgrp;
    list_add_tail(&child->pgrp_link, &child->group->members);
    child->session_group = parent->session_group;
    child->session = parent->session;
    child->session_group->session_members++;
}

void groups_leave(struct process *p)
{
    struct process_group *group = p->group, *session = p->session_group;

    assert(spin_held(&tree_lock));
    list_del(&p->pgrp_link);
    session->session_members--;
    group_release(group);
    if (session != group)
        group_release(session);
}

void pid_init(void)
{
    group_cache = object_cache_create("process_group", sizeof(struct process_group), 0);
}
