/* SPDX-License-Identifier: MIT */
#ifndef VELLUM_SYSFS_INTERNAL_H
#define VELLUM_SYSFS_INTERNAL_H

#include <vellum/sysfs.h>
#include <vellum/sync.h>

struct sysfs_node {
    struct sysfs_node *parent; /* [i] the root: itself */
    struct list children;      /* [sysfs_lock] in order of creation; never shrinks */
    struct list sibling;       /* [sysfs_lock] */
    u64 position;              /* [i] cookie in the parent's listing */
    u64 last_position;         /* [sysfs_lock] the last one given to a child */
    u64 ino;                   /* [i] */
    mode_t mode;               /* [inode mutex] chmod(2) and chown(2) are kept here */
    uid_t uid;                 /* [inode mutex] */
    gid_t gid;                 /* [inode mutex] */
    sysfs_show_fn *show;       /* [i] */
    sysfs_store_fn *store;     /* [i] */
    void *data;                /* [i] */
    size_t size;               /* [i] of data, if there are bytes rather than show */
    struct sysfs_node *target; /* [i] of a link */
    bool hidden;               /* [sysfs_lock] sysfs_hide() */
    char name[];               /* [i] */
};

extern struct sysfs_node sysfs_root;
extern spinlock_t sysfs_lock;

/* Is it, or a link's target, there? */
static inline bool sysfs_visible(const struct sysfs_node *n)
{
    return !READ_ONCE(n->hidden) && !(n->target && READ_ONCE(n->target->hidden));
}

/* => sysfs_lock. NULL: none. Hidden ones are found too. */
struct sysfs_node *sysfs_find(struct sysfs_node *parent, const char *name, size_t length);

#endif
