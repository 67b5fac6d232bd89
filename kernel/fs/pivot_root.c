/* SPDX-License-Identifier: MIT */
/*
 * pivot_root(2): another mount becomes the root, and the old root is found below it.
 *
 *     before:  P --at x--> root --...--> new          after:  P --at x--> new --...--> root
 *
 * Processes whose root or working directory was the old root's top move along.
 */
#include "internal.h"
#include <vellum/syscall.h>

/* Is `path` at or below `top` in the tree of mounts? => mount_mutex */
static bool is_reachable(const struct path *path, const struct path *top)
{
    struct path at = *path;

    while (at.mount != top->mount) {
        if (!at.mount->parent)
            return false;
        at = (struct path){.mount = at.mount->parent, .dentry = at.mount->mountpoint};
    }
    return dentry_is_below(at.dentry, top->dentry);
}

/* => mount_mutex */
static int may_pivot(const struct path *root, const struct path *new, const struct path *old)
{
    struct dentry *d = new->dentry;

    if (d != d->parent && !(d->flags & DENTRY_HASHED))
        return -ENOENT;
    if (new->mount == root->mount || old->mount == root->mount)
        return -EBUSY;
    if (root->dentry != root->mount->root || !root->mount->parent)
        return -EINVAL;
    if (new->dentry != new->mount->root || !new->mount->parent)
        return -EINVAL;
    if (old->mount->group || new->mount->parent->group || root->mount->parent->group)
        return -EINVAL; /* what happens in a shared mount would happen elsewhere */
    if (!is_reachable(old, new) || !is_reachable(new, root))
        return -EINVAL;
    return 0;
}

static void replace(struct path *slot, const struct path *from, const struct path *to,
                    unsigned *replaced)
{
    if (slot->mount != from->mount || slot->dentry != from->dentry)
        return;
    path_get(to);
    *slot = *to;
    ++*replaced;
}

/* One that is walking a path right now may go on from the old root: that stays mounted. */
static void move_processes(const struct path *from, const struct path *to)
{
    struct fs_context *fs;
    struct process *p;
    unsigned replaced;

    for (pid_t pid = 1; (p = process_next(pid)) != NULL; pid = p->pid + 1, process_put(p)) {
        fs = process_fs_context(p);
        if (!fs)
            continue;
        replaced = 0;
        spin_lock(&fs->lock);
        replace(&fs->root, from, to, &replaced);
        replace(&fs->cwd, from, to, &replaced);
        spin_unlock(&fs->lock);
        while (replaced--)
            path_put(from);
        fs_context_put(fs);
    }
}

static int do_pivot(const struct path *root, const struct path *new, const struct path *old)
{
    struct path where, from;
    int error;

    mutex_lock(&mount_mutex);
    mutex_lock(&rename_mutex);
    error = may_pivot(root, new, old);
    mutex_unlock(&rename_mutex);
    if (!error)
        error = mountpoint_claim(old->dentry);
    if (!error) {
        from = mount_unhook(new->mount);
        where = mount_unhook(root->mount);
        mount_attach(root->mount, old);
        mount_attach(new->mount, &where);
        mountpoint_release(from.dentry);
        path_put(&from);
        path_put(&where);
    }
    mutex_unlock(&mount_mutex);
    if (!error)
        move_processes(root, new);
    return error;
}

static void current_root(struct path *root)
{
    struct fs_context *fs = current->fs;

    spin_lock(&fs->lock);
    *root = fs->root;
    path_get(root);
    spin_unlock(&fs->lock);
}

SYSCALL_DEFINE2(pivot_root, const char __user *, new_name, const char __user *, old_name)
{
    struct path root, new, old;
    int error;

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    error = path_lookup_user(AT_FDCWD, new_name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &new);
    if (error)
        return error;
    error = path_lookup_user(AT_FDCWD, old_name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &old);
    if (error)
        goto out_new;
    current_root(&root);
    error = do_pivot(&root, &new, &old);
    path_put(&root);
    path_put(&old);
out_new:
    path_put(&new);
    return error;
}
