/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_VFS_GLUE_H
#define TESTS_UNIT_VFS_GLUE_H

/* A VFS with a tmpfs as its root, and a current thread that works there as root. Once a program. */
void vfs_start(void);
/* Free all that the caches could give back. */
void vfs_shrink(void);

#endif
