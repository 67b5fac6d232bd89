/* SPDX-License-Identifier: MIT */
/*
 * System calls that tell and change who a process is: user and group ids.
 *
 * The rule for all of the set*id calls: with CAP_SETUID (CAP_SETGID) any id may be taken, without it
 * only one that the process has already (setuid(2), setreuid(2), setresuid(2), setfsuid(2)).
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <linux/securebits.h>

#define KEEP ((uid_t)-1) /* "do not change" */

SYSCALL_DEFINE0(getuid)
{
    return current->cred->uid;
}

SYSCALL_DEFINE0(geteuid)
{
    return current->cred->euid;
}

SYSCALL_DEFINE0(getgid)
{
    return current->cred->gid;
}

SYSCALL_DEFINE0(getegid)
{
    return current->cred->egid;
}

static int put_three(uid_t __user *a, uid_t __user *b, uid_t __user *c, uid_t x, uid_t y, uid_t z)
{
    return put_user(x, a) || put_user(y, b) || put_user(z, c) ? -EFAULT : 0;
}

SYSCALL_DEFINE3(getresuid, uid_t __user *, ruid, uid_t __user *, euid, uid_t __user *, suid)
{
    const struct cred *c = current->cred;

    return put_three(ruid, euid, suid, c->uid, c->euid, c->suid);
}

SYSCALL_DEFINE3(getresgid, gid_t __user *, rgid, gid_t __user *, egid, gid_t __user *, sgid)
{
    const struct cred *c = current->cred;

    return put_three(rgid, egid, sgid, c->gid, c->egid, c->sgid);
}

/* ---- the rules, the same for users and groups ------------------------------------------------------------- */

struct ids {
    u32 real, effective, saved, files;
};

/* free: there is the capability for any id. */
static bool ids_may_take(const struct ids *ids, bool free, u32 id)
{
    return free || id == ids->real || id == ids->effective || id == ids->saved;
}

static int ids_set(struct ids *ids, bool free, u32 id)
{
    if (id == KEEP)
        return -EINVAL;
    if (!free && id != ids->real && id != ids->saved)
        return -EPERM;
    if (free)
        ids->real = ids->saved = id;
    ids->effective = ids->files = id;
    return 0;
}

static int ids_set_two(struct ids *ids, bool free, u32 real, u32 effective)
{
    u32 old_real = ids->real;

    if (!free && real != KEEP && real != ids->real && real != ids->effective)
        return -EPERM;
    if (effective != KEEP && !ids_may_take(ids, free, effective))
        return -EPERM;
    if (real != KEEP)
        ids->real = real;
    if (effective != KEEP)
        ids->effective = effective;
    if (real != KEEP || (effective != KEEP && effective != old_real))
        ids->saved = ids->effective;
    ids->files = ids->effective;
    return 0;
}

static int ids_set_three(struct ids *ids, bool free, u32 real, u32 effective, u32 saved)
{
    if ((real != KEEP && !ids_may_take(ids, free, real)) ||
        (effective != KEEP && !ids_may_take(ids, free, effective)) ||
        (saved != KEEP && !ids_may_take(ids, free, saved)))
        return -EPERM;
    if (real != KEEP)
        ids->real = real;
    if (effective != KEEP)
        ids->effective = effective;
    if (saved != KEEP)
        ids->saved = saved;
    ids->files = ids->effective;
    return 0;
}

/* ---- users ------------------------------------------------------------------------------------------ */

/* Capabilities follow when the ids become or cease to be those of root (capabilities(7), "Effect of
 * user ID changes on capabilities"). */
static void follow_users(struct cred *new, const struct cred *old)
{
    bool was_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
    bool is_root = new->uid == 0 || new->euid == 0 || new->suid == 0;

    if (old->securebits & SECBIT_NO_SETUID_FIXUP)
        return;
    if (was_root && !is_root && !(old->securebits & SECBIT_KEEP_CAPS))
        new->cap_permitted = new->cap_effective = 0;
    if (was_root && !is_root)
        new->cap_ambient = 0;
    if (old->euid == 0 && new->euid != 0)
        new->cap_effective = 0;
    if (old->euid != 0 && new->euid == 0)
        new->cap_effective = new->cap_permitted;
}

/* Finish a change of user ids: new is consumed. */
static int commit_users(struct cred *new)
{
    const struct cred *old = current->cred;

    if (new->uid != old->uid) {
        struct user *user = user_find(new->uid);

        if (!user) {
            cred_put(new);
            return -EAGAIN;
        }
        user_put(new->user);
        new->user = user;
    }
    follow_users(new, old);
    /* The call cannot fail for that, lest programs go on as root; a later exec does (execve(2)). */
    current->user_is_full = new->uid != 0 && new->user != old->user &&
                            (u64)atomic_read(&new->user->processes) > process_limit(RLIMIT_NPROC);
    cred_commit(new);
    return 0;
}

static struct ids users_of(const struct cred *c)
{
    return (struct ids){c->uid, c->euid, c->suid, c->fsuid};
}

/* error, or take these ids. */
static int set_users(const struct ids *ids, int error)
{
    const struct cred *old = current->cred;
    struct cred *new = error ? NULL : cred_copy(old, old->ngroups);

    if (!new)
        return error ? error : -ENOMEM;
    new->uid = ids->real;
    new->euid = ids->effective;
    new->suid = ids->saved;
    new->fsuid = ids->files;
    return commit_users(new);
}

SYSCALL_DEFINE1(setuid, uid_t, uid)
{
    struct ids ids = users_of(current->cred);

    return set_users(&ids, ids_set(&ids, capable(CAP_SETUID), uid));
}

SYSCALL_DEFINE2(setreuid, uid_t, ruid, uid_t, euid)
{
    struct ids ids = users_of(current->cred);

    return set_users(&ids, ids_set_two(&ids, capable(CAP_SETUID), ruid, euid));
}

SYSCALL_DEFINE3(setresuid, uid_t, ruid, uid_t, euid, uid_t, suid)
{
    struct ids ids = users_of(current->cred);

    return set_users(&ids, ids_set_three(&ids, capable(CAP_SETUID), ruid, euid, suid));
}

/* What only matters for files (capabilities(7)). */
#define FILE_CAPABILITIES                                                                          \
    (BIT(CAP_CHOWN) | BIT(CAP_MKNOD) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) |          \
     BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_LINUX_IMMUTABLE) | BIT(CAP_MAC_OVERRIDE))

SYSCALL_DEFINE1(setfsuid, uid_t, uid)
{
    const struct cred *old = current->cred;
    struct ids ids = users_of(old);
    uid_t before = old->fsuid;
    struct cred *new;

    if (uid == KEEP || uid == before || !ids_may_take(&ids, capable(CAP_SETUID), uid))
        return before;
    new = cred_copy(old, old->ngroups);
    if (!new)
        return before;
    new->fsuid = uid;
    if (old->securebits & SECBIT_NO_SETUID_FIXUP)
        ;
    else if (before == 0)
        new->cap_effective &= ~FILE_CAPABILITIES;
    else if (uid == 0)
        new->cap_effective |= new->cap_permitted &FILE_CAPABILITIES;
    cred_commit(new);
    return before;
}

/* ---- groups ------------------------------------------------------------------------------------------ */

static struct ids groups_of(const struct cred *c)
{
    return (struct ids){c->gid, c->egid, c->sgid, c->fsgid};
}

/* error, or take these ids. */
static int set_groups(const struct ids *ids, int error)
{
    const struct cred *old = current->cred;
    struct cred *new = error ? NULL : cred_copy(old, old->ngroups);

    if (!new)
        return error ? error : -ENOMEM;
    new->gid = ids->real;
    new->egid = ids->effective;
    new->sgid = ids->saved;
    new->fsgid = ids->files;
    cred_commit(new);
    return 0;
}

SYSCALL_DEFINE1(setgid, gid_t, gid)
{
    struct ids ids = groups_of(current->cred);

    return set_groups(&ids, ids_set(&ids, capable(CAP_SETGID), gid));
}

SYSCALL_DEFINE2(setregid, gid_t, rgid, gid_t, egid)
{
    struct ids ids = groups_of(current->cred);

    return set_groups(&ids, ids_set_two(&ids, capable(CAP_SETGID), rgid, egid));
}

SYSCALL_DEFINE3(setresgid, gid_t, rgid, gid_t, egid, gid_t, sgid)
{
    struct ids ids = groups_of(current->cred);

    return set_groups(&ids, ids_set_three(&ids, capable(CAP_SETGID), rgid, egid, sgid));
}

SYSCALL_DEFINE1(setfsgid, gid_t, gid)
{
    const struct cred *old = current->cred;
    struct ids ids = groups_of(old);
    gid_t before = old->fsgid;
    struct cred *new;

    if (gid == KEEP || gid == before || !ids_may_take(&ids, capable(CAP_SETGID), gid))
        return before;
    new = cred_copy(old, old->ngroups);
    if (!new)
        return before;
    new->fsgid = gid;
    cred_commit(new);
    return before;
}

/* ---- supplementary groups ------------------------------------------------------------------------------- */

#define NGROUPS_LIMIT 65536

SYSCALL_DEFINE2(getgroups, int, size, gid_t __user *, list)
{
    const struct cred *c = current->cred;

    if (size < 0)
        return -EINVAL;
    if (size == 0)
        return c->ngroups;
    if (size < (int)c->ngroups)
        return -EINVAL;
    return copy_to_user(list, c->groups, c->ngroups * sizeof(gid_t)) ? -EFAULT : (long)c->ngroups;
}

static void sift_down(gid_t *groups, unsigned root, unsigned n)
{
    for (unsigned child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && groups[child] < groups[child + 1])
            child++;
        if (groups[root] >= groups[child])
            return;
        SWAP(groups[root], groups[child]);
    }
}

static void sort_groups(gid_t *groups, unsigned n) /* heap sort */
{
    for (unsigned i = n / 2; i-- > 0;)
        sift_down(groups, i, n);
    for (unsigned i = n; i-- > 1;) {
        SWAP(groups[0], groups[i]);
        sift_down(groups, 0, i);
    }
}

SYSCALL_DEFINE2(setgroups, int, size, const gid_t __user *, list)
{
    struct cred *new;

    if (!capable(CAP_SETGID))
        return -EPERM;
    if (size < 0 || size > NGROUPS_LIMIT)
        return -EINVAL;
    new = cred_copy(current->cred, size);
    if (!new)
        return -ENOMEM;
    if (copy_from_user(new->groups, list, size * sizeof(gid_t))) {
        cred_put(new);
        return -EFAULT;
    }
    sort_groups(new->groups, size);
    cred_commit(new);
    return 0;
}
