/* SPDX-License-Identifier: MIT */
/*
 * Users: what the kernel counts for each real user id, so that limits hold for all of a user's
 * processes together (getrlimit(2): RLIMIT_NPROC, RLIMIT_SIGPENDING).
 */
#include <vellum/alloc.h>
#include <vellum/cred.h>
#include <vellum/hash.h>
#include <vellum/sync.h>

#define HASH_BITS 5

static DEFINE_SPINLOCK(user_lock); /* taken with interrupts off */
static struct hlist_head users[1 << HASH_BITS];

struct user root_user = {.refs = REFCOUNT_INIT(1)}; /* not in the table, never freed */

static struct user *lookup(uid_t uid)
{
    struct user *u;

    hlist_for_each_entry(u, &users[hash_u64(uid, HASH_BITS)], hash)
        if (u->uid == uid && atomic_inc_not_zero(&u->refs))
            return u;
    return NULL;
}

struct user *user_find(uid_t uid)
{
    struct user *u, *new;
    unsigned long flags;

    if (uid == 0) {
        ref_get(&root_user.refs);
        return &root_user;
    }
    new = kzalloc(sizeof(*new), ALLOC_KERNEL);
    flags = spin_lock_irqsave(&user_lock);
    u = lookup(uid);
    if (!u && new) {
        u = new;
        new = NULL;
        u->uid = uid;
        ref_init(&u->refs);
        hlist_add_head(&u->hash, &users[hash_u64(uid, HASH_BITS)]);
    }
    spin_unlock_irqrestore(&user_lock, flags);
    kfree(new);
    return u;
}

void user_put(struct user *u)
{
    unsigned long flags;

    if (!ref_put(&u->refs))
        return;
    flags = spin_lock_irqsave(&user_lock);
    hlist_del(&u->hash);
    spin_unlock_irqrestore(&user_lock, flags);
    kfree(u);
}
