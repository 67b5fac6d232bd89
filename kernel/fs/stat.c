/* SPDX-License-Identifier: MIT */
/*
 * stat(2) and its relatives, statfs(2), readlink(2), access(2): what a file is, and who may use it.
 */
#include "internal.h"
#include <asm/stat.h>
#include <asm/statfs.h>
#include <vellum/syscall.h>
#include <linux/magic.h>

/* Seconds and the nanoseconds within them, also before 1970. */
static inline s64 time_split(s64 ns, s64 *sec)
{
    s64 s = ns / (s64)NSEC_PER_SEC, rest = ns - s * (s64)NSEC_PER_SEC;

    if (unlikely(rest < 0)) {
        s--;
        rest += NSEC_PER_SEC;
    }
    *sec = s;
    return rest;
}

static u64 inode_blocks(const struct inode *inode)
{
    if (inode->sb->flags & SB_DENTRIES_ARE_HOME)
        return (READ_ONCE(inode->cache.nr_pages) + READ_ONCE(inode->cache.nr_swapped)) *
               (PAGE_SIZE / 512);
    return inode->blocks;
}

static inline void inode_refresh(struct inode *inode)
{
    if (unlikely(inode->ops->refresh != NULL))
        inode->ops->refresh(inode);
}

static int stat_copy(struct inode *inode, struct stat __user *buffer)
{
    struct stat st = {0};
    s64 sec;

    inode_refresh(inode);
    st.st_dev = inode->sb->device;
    st.st_ino = inode->ino;
    st.st_mode = inode->mode;
    st.st_nlink = inode->nlink;
    st.st_uid = inode->uid;
    st.st_gid = inode->gid;
    st.st_rdev = inode->rdev;
    st.st_size = READ_ONCE(inode->size);
    st.st_blksize = inode->sb->block_size;
    st.st_blocks = inode_blocks(inode);
    st.st_atime_nsec = time_split(READ_ONCE(inode->atime), &sec);
    st.st_atime = sec;
    st.st_mtime_nsec = time_split(READ_ONCE(inode->mtime), &sec);
    st.st_mtime = sec;
    st.st_ctime_nsec = time_split(READ_ONCE(inode->ctime), &sec);
    st.st_ctime = sec;
    return copy_to_user(buffer, &st, sizeof(st)) ? -EFAULT : 0;
}

static long do_stat(int dirfd, const char __user *name, unsigned lookup, struct stat __user *buffer)
{
    struct user_walk u;
    int error = user_walk(&u, dirfd, name, lookup);

    if (likely(!error))
        error = stat_copy(u.walk.path.dentry->inode, buffer);
    user_walk_end(&u);
    return error;
}

SYSCALL_DEFINE2(fstat, unsigned, fd, struct stat __user *, buffer)
{
    struct fd_ref ref = fd_get_any(fd);
    int error;

    if (unlikely(!ref.file))
        return -EBADF;
    error = stat_copy(ref.file->inode, buffer);
    fd_put(ref);
    return error;
}

SYSCALL_DEFINE2(stat, const char __user *, name, struct stat __user *, buffer)
{
    return do_stat(AT_FDCWD, name, LOOKUP_FOLLOW, buffer);
}

SYSCALL_DEFINE2(lstat, const char __user *, name, struct stat __user *, buffer)
{
    return do_stat(AT_FDCWD, name, 0, buffer);
}

/* 0 if flags are among `allowed`, with *lookup set; -EINVAL. */
static int at_flags(int flags, int allowed, unsigned *lookup)
{
    if (flags & ~allowed)
        return -EINVAL;
    *lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
              (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    return 0;
}

SYSCALL_DEFINE4(newfstatat, int, dirfd, const char __user *, name, struct stat __user *, buffer,
                int, flags)
{
    unsigned lookup;
    int error = at_flags(flags, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH, &lookup);

    return error ? error : do_stat(dirfd, name, lookup, buffer);
}

/* ---- statx(2) ---------------------------------------------------------------------------------------- */

static struct statx_timestamp statx_time(s64 ns)
{
    struct statx_timestamp t = {0};
    s64 sec;

    t.tv_nsec = time_split(ns, &sec);
    t.tv_sec = sec;
    return t;
}

static int statx_copy(struct path *path, unsigned mask, struct statx __user *buffer)
{
    struct inode *inode = path->dentry->inode;
    struct statx st = {0};

    inode_refresh(inode);
    st.stx_mask = STATX_BASIC_STATS | STATX_MNT_ID;
    st.stx_blksize = inode->sb->block_size;
    st.stx_nlink = inode->nlink;
    st.stx_uid = inode->uid;
    st.stx_gid = inode->gid;
    st.stx_mode = inode->mode;
    st.stx_ino = inode->ino;
    st.stx_size = READ_ONCE(inode->size);
    st.stx_blocks = inode_blocks(inode);
    st.stx_atime = statx_time(inode->atime);
    if ((mask & STATX_BTIME) && (inode->sb->flags & SB_DENTRIES_ARE_HOME)) {
        st.stx_mask |= STATX_BTIME;
        st.stx_btime = statx_time(inode->btime);
    }
    st.stx_ctime = statx_time(inode->ctime);
    st.stx_mtime = statx_time(inode->mtime);
    st.stx_rdev_major = dev_major(inode->rdev);
    st.stx_rdev_minor = dev_minor(inode->rdev);
    st.stx_dev_major = dev_major(inode->sb->device);
    st.stx_dev_minor = dev_minor(inode->sb->device);
    st.stx_mnt_id = path->mount->id;
    st.stx_attributes_mask = STATX_ATTR_MOUNT_ROOT | STATX_ATTR_AUTOMOUNT | STATX_ATTR_DAX;
    if (path->dentry == path->mount->root)
        st.stx_attributes = STATX_ATTR_MOUNT_ROOT;
    return copy_to_user(buffer, &st, sizeof(st)) ? -EFAULT : 0;
}

SYSCALL_DEFINE5(statx, int, dirfd, const char __user *, name, unsigned, flags, unsigned, mask,
                struct statx __user *, buffer)
{
    struct user_walk u;
    unsigned lookup;
    int error;

    if ((mask & STATX__RESERVED) || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
        return -EINVAL;
    error = at_flags(flags & ~AT_STATX_SYNC_TYPE,
                     AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH, &lookup);
    if (error)
        return error;
    error = user_walk(&u, dirfd, name, lookup);
    if (!error)
        error = statx_copy(&u.walk.path, mask, buffer);
    user_walk_end(&u);
    return error;
}

/* ---- readlink(2) ------------------------------------------------------------------------------------- */

static long readlink_magic(struct inode *inode, char __user *buffer, int size)
{
    struct path target;
    char *text, *name;
    long n = inode->ops->follow(inode, &target);

    if (n)
        return n;
    text = name_alloc();
    n = -ENOMEM;
    if (text) {
        name = path_name(&target, text, PATH_MAX);
        if (is_err(name)) {
            n = ptr_err(name);
        } else {
            n = min_t(long, strlen(name), size);
            if (copy_to_user(buffer, name, n))
                n = -EFAULT;
        }
        name_free(text);
    }
    path_put(&target);
    return n;
}

static long readlink_text(struct inode *inode, char __user *buffer, int size)
{
    char *own = NULL;
    const char *text = inode->ops->get_link(inode, NULL);
    long n;

    if (text == err_ptr(-EAGAIN)) {
        own = name_alloc();
        text = own ? inode->ops->get_link(inode, own) : err_ptr(-ENOMEM);
    }
    n = ptr_err(text);
    if (!is_err(text)) {
        n = min_t(long, strlen(text), size);
        if (copy_to_user(buffer, text, n))
            n = -EFAULT;
    }
    if (own)
        name_free(own);
    return n;
}

static long do_readlink(int dirfd, const char __user *name, char __user *buffer, int size)
{
    struct user_walk u;
    struct inode *inode;
    long n;

    if (size <= 0)
        return -EINVAL;
    n = user_walk(&u, dirfd, name, LOOKUP_EMPTY);
    if (!n) {
        inode = u.walk.path.dentry->inode;
        if (!IS_SYMLINK(inode))
            n = *u.name.text ? -EINVAL : -ENOENT;
        else if (inode->ops->follow)
            n = readlink_magic(inode, buffer, size);
        else
            n = readlink_text(inode, buffer, size);
        if (n >= 0)
            inode_accessed(u.walk.path.mount, inode);
    }
    user_walk_end(&u);
    return n;
}

SYSCALL_DEFINE4(readlinkat, int, dirfd, const char __user *, name, char __user *, buffer, int, size)
{
    return do_readlink(dirfd, name, buffer, size);
}

SYSCALL_DEFINE3(readlink, const char __user *, name, char __user *, buffer, int, size)
{
    return do_readlink(AT_FDCWD, name, buffer, size);
}

/* ---- access(2) --------------------------------------------------------------------------------------- */

/* The real ids in the place of the effective ones; root's capabilities go with the real user. */
static const struct cred *cred_of_real_ids(void)
{
    const struct cred *now = current->cred;
    struct cred *c = cred_copy(now, now->ngroups);

    if (!c)
        return NULL;
    c->fsuid = c->uid;
    c->fsgid = c->gid;
    c->cap_effective = c->uid == 0 ? c->cap_permitted : 0;
    return c;
}

static int access_check(struct path *path, unsigned mask)
{
    struct inode *inode = path->dentry->inode;
    int error;

    if ((mask & MAY_EXEC) && IS_REGULAR(inode) && (path->mount->flags & MS_NOEXEC))
        return -EACCES;
    error = inode_permission(inode, mask);
    if (!error && (mask & MAY_WRITE) && !IS_DEVICE(inode) && !IS_FIFO(inode))
        error = mount_want_write(path->mount);
    return error;
}

static long do_access(int dirfd, const char __user *name, unsigned mode, int flags)
{
    const struct cred *saved = current->cred, *real = NULL;
    struct user_walk u;
    unsigned lookup;
    int error = at_flags(flags & ~AT_EACCESS, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &lookup);

    if (error || (mode & ~7u))
        return -EINVAL;
    if (!(flags & AT_EACCESS) &&
        (saved->uid != saved->fsuid || saved->gid != saved->fsgid ||
         (saved->uid != 0 && saved->cap_effective) ||
         (saved->uid == 0 && saved->cap_effective != saved->cap_permitted))) {
        real = cred_of_real_ids();
        if (!real)
            return -ENOMEM;
        current->cred =
            real; /* for this walk; what others see of us for so long is the same user */
    }
    error = user_walk(&u, dirfd, name, lookup);
    if (!error)
        error = access_check(&u.walk.path, mode);
    user_walk_end(&u);
    if (real) {
        current->cred = saved;
        cred_put(real);
    }
    return error;
}

SYSCALL_DEFINE2(access, const char __user *, name, unsigned, mode)
{
    return do_access(AT_FDCWD, name, mode, 0);
}

SYSCALL_DEFINE3(faccessat, int, dirfd, const char __user *, name, unsigned, mode)
{
    return do_access(dirfd, name, mode, 0);
}

SYSCALL_DEFINE4(faccessat2, int, dirfd, const char __user *, name, unsigned, mode, int, flags)
{
    return do_access(dirfd, name, mode, flags);
}

/* ---- statfs(2) --------------------------------------------------------------------------------------- */

/* f_flags as statfs(2) lists them; UAPI headers leave these to the C library. */
enum {
    ST_VALID = 0x20,
    ST_NOATIME = 0x400,
    ST_NODIRATIME = 0x800,
    ST_RELATIME = 0x1000,
    ST_NOSYMFOLLOW = 0x2000
};

/* Objects without a name share one file system here; Linux has one for each of these kinds. */
static u32 magic_of(const struct inode *inode)
{
    if (inode->sb->magic != ANON_INODE_FS_MAGIC)
        return inode->sb->magic;
    return IS_FIFO(inode)                       ? PIPEFS_MAGIC
           : (inode->mode & S_IFMT) == S_IFSOCK ? SOCKFS_MAGIC
                                                : ANON_INODE_FS_MAGIC;
}

static int statfs_copy(const struct path *path, struct statfs __user *buffer)
{
    struct super_block *sb = path->dentry->sb;
    struct statfs_info info = {.block_size = sb->block_size, .name_max = NAME_MAX};
    struct statfs st = {0};
    unsigned flags = path->mount->flags;
    int error;

    if (sb->ops->statfs) {
        error = sb->ops->statfs(sb, &info);
        if (error)
            return error;
    }
    st.f_type = magic_of(path->dentry->inode);
    st.f_bsize = st.f_frsize = info.block_size;
    st.f_blocks = info.blocks;
    st.f_bfree = info.blocks_free;
    st.f_bavail = info.blocks_available;
    st.f_files = info.files;
    st.f_ffree = info.files_free;
    st.f_fsid.val[0] = sb->device;
    st.f_namelen = info.name_max;
    st.f_flags = ST_VALID | (flags & (MS_NOSUID | MS_NODEV | MS_NOEXEC)) |
                 (mount_readonly(path->mount) ? MS_RDONLY : 0) |
                 (flags & MS_NOATIME ? ST_NOATIME : 0) |
                 (flags & MS_NODIRATIME ? ST_NODIRATIME : 0) |
                 (flags & (MS_NOATIME | MS_STRICTATIME) ? 0 : ST_RELATIME) |
                 (flags & MS_NOSYMFOLLOW ? ST_NOSYMFOLLOW : 0);
    return copy_to_user(buffer, &st, sizeof(st)) ? -EFAULT : 0;
}

SYSCALL_DEFINE2(statfs, const char __user *, name, struct statfs __user *, buffer)
{
    struct user_walk u;
    int error = user_walk(&u, AT_FDCWD, name, LOOKUP_FOLLOW);

    if (!error)
        error = statfs_copy(&u.walk.path, buffer);
    user_walk_end(&u);
    return error;
}

SYSCALL_DEFINE2(fstatfs, unsigned, fd, struct statfs __user *, buffer)
{
    struct fd_ref ref = fd_get_any(fd);
    int error;

    if (!ref.file)
        return -EBADF;
    error = statfs_copy(&ref.file->path, buffer);
    fd_put(ref);
    return error;
}
