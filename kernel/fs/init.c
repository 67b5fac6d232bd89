/* SPDX-License-Identifier: MIT */
/*
 * The order in which the VFS comes up.
 */
#include "async.h"

void __init vfs_init(void)
{
    name_cache_init();
    inode_cache_init();
    dentry_cache_init();
    file_cache_init();
    files_cache_init();
    async_init();
    anonymous_fs_init();
    tmpfs_init();
    ramfs_init();
    mount_init();
    /* The first thread, which runs this, begins at the root and without files. */
    current->fs = fs_context_create();
    current->files = files_create();
    if (!current->fs || !current->files)
        panic("no memory for the first process");
}
