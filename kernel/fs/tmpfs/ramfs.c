/* SPDX-License-Identifier: MIT */
/*
 * ramfs: a tmpfs without limits. Of its options it knows "mode"; as with Linux, others are passed over.
 */
#include "../internal.h"
#include "tmpfs.h"
#include <linux/magic.h>

static int parse_option(void *arg, char *option)
{
    u64 *mode = arg;

    if (strncmp(option, "mode=", 5) != 0)
        return 0;
    return str_to_u64(option + 5, 8, mode) ? -EINVAL : 0;
}

static struct super_block *ramfs_mount(struct fs_type *type, unsigned long flags,
                                       const char *source, const char *data)
{
    struct super_block *sb;
    char options[64];
    u64 mode = 0755;
    int error = mount_options(data, parse_option, &mode);

    if (error)
        return err_ptr(error);
    snprintf(options, sizeof(options), "size=0,nr_inodes=0,mode=%o", (unsigned)mode & MODE_BITS);
    sb = tmpfs_super(type, flags, options);
    if (!is_err(sb))
        sb->magic = RAMFS_MAGIC;
    return sb;
}

static struct fs_type ramfs_type = {.name = "ramfs", .mount = ramfs_mount};

void __init ramfs_init(void)
{
    fs_register(&ramfs_type);
}
