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

static bool has_uid(uid_t uid)
{
    const struct cred *c = current->cred;

    return uid == c->uid || uid == c->euid || uid == c->suid;
}

SYSCALL_DEFINE1(setuid, uid_t, uid)
{
    const struct cred *old = current->cred;
    struct cred *new;

    if (uid == KEEP)
        return -EINVAL;
    if (!capable(CAP_SETUID) && uid != old->uid && uid != old->suid)
        return -EPERM;
    new = cred_copy(old, old->ngroups);
    if (!new)
        return -ENOMEM;
    if (capable(CAP_SETUID))
        new->uid = new->suid = uid;
    new->euid = new->fsuid = uid;
    return commit_users(new);
}

SYSCALL_DEFINE2(setreuid, uid_t, ruid, uid_t, euid)
{
    const struct cred *old = current->cred;
    struct cred *new;

    if (!capable(CAP_SETUID)) {
        if (ruid != KEEP && ruid != old->uid && ruid != old->euid)
            return -EPERM;
        if (euid != KEEP && !has_uid(euid))
            return -EPERM;
    }
    new = cred_copy(old, old->ngroups);
    if (!new)
        return -ENOMEM;
    if (ruid != KEEP)
        new->uid = ruid;
    if (euid != KEEP)
        new->euid = euid;
    if (ruid != KEEP || (euid != KEEP && euid != old->uid))
        new->suid = new->euid;
    new->fsuid = new->euid;
    return commit_users(new);
}

SYSCALL_DEFINE3(setresuid, uid_t, ruid, uid_t, euid, uid_t, suid)
{
    const struct cred *old = current->cred;
    struct cred *new;

    if (!capable(CAP_SETUID) &&
        ((ruid != KEEP && !has_uid(ruid)) || (euid != KEEP && !has_uid(euid)) ||
         (suid != KEEP && !has_uid(suid))))
        return -EPERM;
    new = cred_copy(old, old->ngroups);
    if (!new)
        return -ENOMEM;
    if (ruid != KEEP)
        new->uid = ruid;
    if (euid != KEEP)
        new->euid = euid;
    if (suid != KEEP)
        new->suid = suid;
    new->fsuid = new->euid;
    return commit_users(new);
}

/* What only matters for files (capabilities(7)). */
#define FILE_CAPABILITIES                                                                          \
    (BIT(CAP_CHOWN) | BIT(CAP_MKNOD) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) |          \
     BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_LINUX_IMMUTABLE) | BIT(CAP_MAC_OVERRIDE))

SYSCALL_DEFINE1(setfsuid, uid_t, uid)
{
    const struct cred *old = current->cred;
    uid_t before = old->fsuid;
    struct cred *new;

    if (uid == KEEP || uid == before || (!has_uid(uid) && !capable(CAP_SETUID)))
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

static bool has_gid(gid_t gid)
{
    const struct cred *c = current->cred;

    return gid == c->gid || gid == c->egid || gid == c->sgid;
}

SYSCALL_DEFINE1(setgid, gid_t, gid)
{
    const struct cred *old = current->cred;
    struct cred *new;

    if (gid == KEEP)
        return -EINVAL;
    if (!capable(CAP_SETGID) && gid != old->gid && gid != old->sgid)
        return -EPERM;
    new = cred_copy(old, old->ngroups);
    if (!new)
        return -ENOMEM;
    if (capable(CAP_SETGID))
        new->gid = new->sgid = gid;
    new->egid = new->fsgid = gid;
    cred_commit(new);
    return 0;
}

SYSCALL_DEFINE2(setregid, gid_t, rgid, gid_t, egid)
{
    const struct cred *old = current->cred;
    struct cred *new;

    if (!capable(CAP_SETGID)) {
        if (rgid != KEEP && rgid != old->gid && rgid != old->egid)
            return -EPERM;
        if (egid != KEEP && !has_gid(egid))
            return -EPERM;
    }
    new = cred_copy(old, old->ngroups);
    if (!new)
        return -ENOMEM;
    if (rgid != KEEP)
        new->gid = rgid;
    if (egid != KEEP)
        new->egid = egid;
    if (rgid != KEEP || (egid != KEEP && egid != old->gid))
        new->sgid = new->egid;
    new->fsgid = new->egid;
    cred_commit(new);
    return 0;
}

SYSCALL_DEFINE3(setresgid, gid_t, rgid, gid_t, egid, gid_t, sgid)
{
    const struct cred *old = current->cred;
    struct cred *new;

    if (!capable(CAP_SETGID) &&
        ((rgid != KEEP && !has_gid(rgid)) || (egid != KEEP && !has_gid(egid)) ||
         (sgid != KEEP && !has_gid(sgid))))
        return -EPERM;
    new = cred_copy(old, old->ngroups);
    if (!new)
        return -ENOMEM;
    if (rgid != KEEP)
        new->gid = rgid;
    if (egid != KEEP)
        new->egid = egid;
    if (sgid != KEEP)
        new->sgid = sgid;
    new->fsgid = new->egid;
    cred_commit(new);
    return 0;
}

SYSCALL_DEFINE1(setfsgid, gid_t, gid)
{
    const struct cred *old = current->cred;
    gid_t before = old->fsgid;
    struct cred *new;

    if (gid == KEEP || gid == before || (!has_gid(gid) && !capable(CAP_SETGID)))
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
