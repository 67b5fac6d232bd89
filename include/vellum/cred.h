/* SPDX-License-Identifier: MIT */
/*
 * Who a thread is: user, groups, capabilities. Never changed once published: set*id(2) makes a copy
 * and replaces the thread's pointer (credentials(7), capabilities(7)).
 */
#ifndef VELLUM_CRED_H
#define VELLUM_CRED_H

#include <vellum/atomic.h>
#include <vellum/thread.h>
#include <linux/capability.h>

/* What all processes of one real user have in common. */
struct user {
    uid_t uid; /* [i] */
    refcount_t refs;
    struct hlist_node hash;  /* [user lock] */
    atomic_t processes;      /* threads, against RLIMIT_NPROC */
    atomic_t queued_signals; /* against RLIMIT_SIGPENDING */
    atomic_long_t epoll_watches;
    atomic_t inotify_instances, inotify_watches;
    atomic_t files_in_flight; /* sent through sockets and not received, against RLIMIT_NOFILE */
};
struct user *user_find(uid_t uid); /* found or made, with a reference; NULL: no memory */
void user_put(struct user *u);
extern struct user root_user;

struct cred {
    refcount_t refs;
    struct user *user; /* of uid; holds a reference */
    uid_t uid, euid, suid, fsuid;
    gid_t gid, egid, sgid, fsgid;
    u32 securebits; /* SECBIT_* */
    u64 cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
    unsigned ngroups;
    gid_t groups[]; /* supplementary, ascending */
};

static inline const struct cred *cred_get(const struct cred *c)
{
    ref_get((refcount_t *)&c->refs);
    return c;
}
void cred_put(const struct cred *c);
/* A private copy with one reference, or NULL; room for ngroups groups (the first are copied). */
struct cred *cred_copy(const struct cred *c, unsigned ngroups);
/* The current thread takes c (consumes the reference). */
void cred_commit(const struct cred *c);
extern struct cred root_cred; /* never changed but for its count */

static inline bool capable(unsigned cap) /* CAP_* */
{
    return current->cred->cap_effective & BIT(cap);
}
bool cred_in_group(const struct cred *c, gid_t gid); /* fsgid or supplementary */

#endif
