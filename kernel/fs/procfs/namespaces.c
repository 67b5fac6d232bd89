/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/ns (namespaces(7)). There is one namespace of each kind, in which all processes are. A link
 * leads to an object without a name that stands for it: its inode number is the same for all.
 */
#include "internal.h"
#include <vellum/error.h>
#include <vellum/uaccess.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/sched.h>

static long ns_ioctl(struct file *file, unsigned command, unsigned long arg);

static const struct file_ops ns_ops = {.ioctl = ns_ioctl};

/* The numbers are those of Linux's first namespaces. */
static struct namespace
{
    const char *link; /* what readlink(2) shows */
    unsigned ino;
    int kind;
    struct file *file; /* keeps the object */
}
namespaces[] = {
    {"cgroup:[4026531835]", 4026531835, CLONE_NEWCGROUP, NULL},
    {"ipc:[4026531839]", 4026531839, CLONE_NEWIPC, NULL},
    {"mnt:[4026531841]", 4026531841, CLONE_NEWNS, NULL},
    {"net:[4026531840]", 4026531840, CLONE_NEWNET, NULL},
    {"pid:[4026531836]", 4026531836, CLONE_NEWPID, NULL},
    {"user:[4026531837]", 4026531837, CLONE_NEWUSER, NULL},
    {"uts:[4026531838]", 4026531838, CLONE_NEWUTS, NULL},
};

static struct namespace *namespace_of(int kind)
{
    for (unsigned i = 0; i < ARRAY_SIZE(namespaces); i++)
        if (namespaces[i].kind == kind)
            return &namespaces[i];
    return NULL;
}

/* A descriptor for the user namespace, which owns the others. */
static long open_owner(void)
{
    struct file *f = path_open(&namespace_of(CLONE_NEWUSER)->file->path, O_RDONLY | O_CLOEXEC);
    int fd;

    if (is_err(f))
        return ptr_err(f);
    fd = fd_reserve(0, true);
    if (fd < 0)
        file_put(f);
    else
        fd_install(fd, f);
    return fd;
}

static long ns_ioctl(struct file *file, unsigned command, unsigned long arg)
{
    int kind = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(namespaces); i++)
        if (namespaces[i].ino == file->inode->ino)
            kind = namespaces[i].kind;
    switch (command) {
    case NS_GET_NSTYPE:
        return kind;
    case NS_GET_USERNS:
        return kind == CLONE_NEWUSER ? -EPERM : open_owner();
    case NS_GET_PARENT: /* the first one's is out of reach */
        return kind == CLONE_NEWUSER || kind == CLONE_NEWPID ? -EPERM : -EINVAL;
    case NS_GET_OWNER_UID:
        return kind == CLONE_NEWUSER ? put_user(0, (uid_t __user *)arg) : -EINVAL;
    default:
        return -ENOTTY;
    }
}

static int follow(int kind, struct path *target)
{
    struct namespace *n = namespace_of(kind);

    if (!n->file)
        return -ENOENT;
    *target = n->file->path;
    path_get(target);
    return 0;
}

#define FOLLOW(name, kind)                                                                         \
    static int follow_##name(struct proc_inode *pi, struct path *target)                           \
    {                                                                                              \
        return follow(kind, target);                                                               \
    }
FOLLOW(cgroup, CLONE_NEWCGROUP)
FOLLOW(ipc, CLONE_NEWIPC)
FOLLOW(mnt, CLONE_NEWNS)
FOLLOW(net, CLONE_NEWNET)
FOLLOW(pid, CLONE_NEWPID)
FOLLOW(user, CLONE_NEWUSER)
FOLLOW(uts, CLONE_NEWUTS)

#define ENTRY(n)                                                                                   \
    {                                                                                              \
        .name = #n, .mode = S_IFLNK | 0777, .follow = follow_##n, .private = true                  \
    }

const struct proc_entry proc_ns_entries[] = {
    ENTRY(cgroup), ENTRY(ipc), ENTRY(mnt), ENTRY(net), ENTRY(pid), ENTRY(user), ENTRY(uts), {0},
};

/* A file system of their own, by whose number programs know them. */
static struct super_block *ns_super(void)
{
    static const struct super_ops ops = {0};
    static struct fs_type type = {.name = "nsfs"};
    struct super_block *sb = super_alloc(&type);

    if (sb) {
        sb->ops = &ops;
        sb->magic = NSFS_MAGIC;
        sb->flags |= SB_INTERNAL;
    }
    return sb;
}

void __init proc_namespaces_init(void)
{
    static const struct inode_ops inode_ops = {0};
    struct super_block *sb = ns_super();

    if (!sb)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(namespaces); i++) {
        struct inode *inode = inode_alloc(sb);
        struct file *f;

        if (!inode)
            return;
        inode->mode = S_IFREG | 0444;
        inode->nlink = 1;
        inode->ops = &inode_ops;
        inode->ino = namespaces[i].ino;
        inode->file_ops = &ns_ops;
        f = file_anonymous(inode, &ns_ops, O_RDONLY, namespaces[i].link);
        if (is_err(f)) {
            inode_put(inode);
            return;
        }
        namespaces[i].file = f;
    }
}
