/* SPDX-License-Identifier: MIT */
/*
 * What the files of the mounts share: mount.c (the tree), mount_calls.c (mount(2), umount2(2)),
 * propagate.c (peers and slaves), mount_fd.c and mount_context.c (mounts as descriptors), mount_show.c.
 */
#ifndef VELLUM_FS_MOUNT_H
#define VELLUM_FS_MOUNT_H

#include "internal.h"

/* Flags of a mount rather than of the file system. */
#define MOUNT_FLAGS                                                                                \
    (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME |     \
     MS_STRICTATIME | MS_NOSYMFOLLOW)
#define MOUNT_PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)

extern struct list all_mounts; /* [mount_mutex] in order of mounting */

/* A mount that stands nowhere yet, with one reference; or NULL. Consumes the reference to sb in any case. */
struct mount *mount_alloc(struct super_block *sb, struct dentry *root, unsigned flags,
                          const char *source);
/* m's tree with `root` for its top, or (not recursive) that mount alone: detached, with the same peers and
 * masters. Mounts that cannot be bound are left out. err_ptr(-ENOMEM). => mount_mutex */
struct mount *mount_copy(struct mount *m, struct dentry *root, bool recursive);
/* Take m, or m and all below it from the leaves up, out of the tree and out of its peer group; the tree's
 * references go. m may stand nowhere. told: what was propagated from it goes as well. => mount_mutex */
void mount_remove(struct mount *m);
void mount_remove_tree(struct mount *m, bool told);
bool mount_is_below(const struct mount *m, const struct mount *above); /* or is it */
/* Is d in the part of its file system that m shows? => mount_mutex */
bool mount_shows(const struct mount *m, const struct dentry *d);
/* The mount after m in the tree below `top`, in order from above; NULL: no more. */
struct mount *mount_next_below(const struct mount *m, const struct mount *top);
/* What m's tree begins with, in which it may be alone. => mount_mutex */
const struct mount *mount_top(const struct mount *m);
/* Is it part of the tree that begins at root_mount? What umount2(MNT_DETACH) took out, or a descriptor
 * owns, is not. => mount_mutex */
bool mount_is_in_tree(const struct mount *m);
/* Make m, or m and all below it, read-only; or nothing, if a file is open for writing on one of them:
 * -EBUSY. => mount_mutex */
int mount_make_readonly(struct mount *m, bool recursive);
int super_make_readonly(struct super_block *sb); /* the same for all that shows this file system */
/* Something may be mounted at `where`: that is in the tree, still has its name, and is a directory iff root
 * is. 0, -EINVAL, -ENOENT, -ENOTDIR. => mount_mutex */
int mount_may_attach(const struct path *where, const struct dentry *root);
/* mount_attach() for a tree that is new there, also wherever the peers and slaves of where->mount show that
 * place. 0 or -ENOMEM: nothing has changed. => mount_mutex */
int mount_attach_tree(struct mount *m, const struct path *where);
/* m, which stands somewhere, to another place; references from `from` are the caller's. 0, -EINVAL, -ELOOP,
 * -ENOENT ... => mount_mutex */
int mount_move_tree(struct mount *m, const struct path *where);
/* Remount as far as the mount itself goes, or the file system too. => mount_mutex */
int super_reconfigure(struct super_block *sb, unsigned long flags, const char *data);

/* A text of the user's, at most max - 1 long; NULL of NULL; err_ptr (-EINVAL: too long). kfree() */
char *mount_string(const char __user *text, size_t max);

/* ---- mount_fd.c -------------------------------------------------------------------------------- */

/* MOUNT_ATTR_* as MOUNT_FLAGS: 0 or -EINVAL. */
int mount_attributes(u64 attributes, unsigned long *flags);
/* A descriptor of m, which stands nowhere and goes with the open file unless it is moved. Consumes the
 * reference. => mount_mutex not held. -errno */
int mount_descriptor(struct mount *m, bool close_on_exec);

/* ---- propagate.c => mount_mutex --------------------------------------------------------------- */

void mount_make_private(struct mount *m);
/* One of MOUNT_PROPAGATION, for m or for all below it as well. */
void mount_set_propagation(struct mount *m, unsigned long type, bool recursive);
/* A copy of `from` gets into its peer group and under its master. */
void mount_join_peers(struct mount *copy, struct mount *from);
/* Copies of the detached tree m for all places that see `where`, which is shared: attached, m shared. */
int mount_propagate(struct mount *m, const struct path *where);
/* What was propagated when m was mounted: is one of them in use? Then: they go. */
bool mount_copies_busy(struct mount *m);
void mount_remove_copies(struct mount *m);

#endif
