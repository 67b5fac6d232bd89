/* SPDX-License-Identifier: MIT */
/*
 * Telling those who watch files what happens to them (inotify(7)): the side of the file system.
 * While nobody watches anything, each call costs one test. => may be called under an inode mutex
 */
#ifndef VELLUM_NOTIFY_H
#define VELLUM_NOTIFY_H

#include <vellum/fs.h>
#include <linux/inotify.h>

extern atomic_t notify_watches; /* in the machine */

static inline bool notify_wanted(void)
{
    return unlikely(atomic_read(&notify_watches) != 0);
}

/* mask: one IN_* event. The watchers of the file are told, and with its name those of its directory. */
void notify_dentry_slow(struct dentry *d, u32 mask);
static inline void notify_dentry(struct dentry *d, u32 mask)
{
    if (notify_wanted())
        notify_dentry_slow(d, mask);
}
static inline void notify_file(struct file *file, u32 mask)
{
    notify_dentry(file->path.dentry, mask);
}
/* The file alone. */
void notify_inode(struct inode *inode, u32 mask);
/* Something happened to a name in dir. => what the name refers to is `is_dir` */
void notify_name(struct inode *dir, u32 mask, const struct name *name, bool is_dir, u32 cookie);
/* What a change of these attributes (ATTR_*) looks like to watchers. */
void notify_attributes(struct dentry *d, unsigned valid);
u32 notify_cookie(void); /* of a rename */

/* The last name of a file is gone, and nobody uses it any more: its watches end. */
void notify_gone(struct inode *inode);
/* The file system is being unmounted: all watches on it end. */
void notify_unmounted(struct super_block *sb);

extern int inotify_max_user_instances, inotify_max_user_watches, inotify_max_queued_events;

#endif
