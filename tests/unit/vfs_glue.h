/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_VFS_GLUE_H
#define TESTS_UNIT_VFS_GLUE_H

/* A VFS with a tmpfs as its root, and a current thread that works there as root. Once a program. */
void vfs_start(void);
extern long glue_now;                /* what ktime_get() says, ns */
extern unsigned long glue_available; /* pages of memory that are free, as memory_counts() says */
/* Free all that the caches could give back. */
void vfs_shrink(void);

#endif
