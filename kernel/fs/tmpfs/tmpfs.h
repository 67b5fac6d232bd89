/* SPDX-License-Identifier: MIT */
#ifndef VELLUM_TMPFS_H
#define VELLUM_TMPFS_H

#include <vellum/fs.h>

/* A new, empty tree with these mount options (NULL: none). One reference; or err_ptr. */
struct super_block *tmpfs_super(struct fs_type *type, unsigned long flags, const char *options);

#endif
