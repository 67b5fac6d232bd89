/* SPDX-License-Identifier: MIT */
/*
 * System calls that change what is known of a file: mode, owner, times, size.
 */
#include "internal.h"
#include <vellum/notify.h>
#include <linux/falloc.h>
#include <linux/utime.h>
#include <vellum/syscall.h>

/* utimensat(2); the UAPI headers leave these to the C library. */
#define UTIME_NOW  ((1L << 30) - 1)
#define UTIME_OMIT ((1L << 30) - 2)

int path_change(const struct path *path, struct attributes *attr)
{
    unsigned asked = attr->valid;
    int error = inode_change(path->mount, path->dentry->inode, attr);

    if (!error)
        notify_attributes(path->dentry, asked);
    return error;
}

/* Walk to a name, or with an empty one (if that is allowed) to the descriptor, and change it. */
static long change_named(int dirfd, const char __user *name, unsigned lookup,
                         struct attributes *attr)
{
    struct user_walk u;
    int error = user_walk(&u, dirfd, name, lookup);

    if (!error)
        error = path_change(&u.walk.path, attr);
    user_walk_end(&u);
    return error;
}

static long change_file(unsigned fd, struct attributes *attr)
{
    struct fd_ref ref = fd_get(fd);
    int error;

    if (!ref.file)
        return -EBADF;
    error = path_change(&ref.file->path, attr);
    fd_put(ref);
    return error;
}

/* ---- mode and owner ---------------------------------------------------------------------------------- */

SYSCALL_DEFINE2(chmod, const char __user *, name, mode_t, mode)
{
    struct attributes attr = {.valid = ATTR_MODE, .mode = mode & MODE_BITS};

    return change_named(AT_FDCWD, name, LOOKUP_FOLLOW, &attr);
}

SYSCALL_DEFINE3(fchmodat, int, dirfd, const char __user *, name, mode_t, mode)
{
    struct attributes attr = {.valid = ATTR_MODE, .mode = mode & MODE_BITS};

    return change_named(dirfd, name, LOOKUP_FOLLOW, &attr);
}

SYSCALL_DEFINE2(fchmod, unsigned, fd, mode_t, mode)
{
    struct attributes attr = {.valid = ATTR_MODE, .mode = mode & MODE_BITS};

    return change_file(fd, &attr);
}

static struct attributes owner_attributes(uid_t uid, gid_t gid)
{
    struct attributes attr = {.valid = ATTR_OWNERSHIP, .uid = uid, .gid = gid};

    if (uid != (uid_t)-1)
        attr.valid |= ATTR_UID;
    if (gid != (gid_t)-1)
        attr.valid |= ATTR_GID;
    return attr;
}

SYSCALL_DEFINE5(fchownat, int, dirfd, const char __user *, name, uid_t, uid, gid_t, gid, int, flags)
{
    struct attributes attr = owner_attributes(uid, gid);

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return change_named(dirfd, name,
                        (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                            (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0),
                        &attr);
}

SYSCALL_DEFINE3(chown, const char __user *, name, uid_t, uid, gid_t, gid)
{
    struct attributes attr = owner_attributes(uid, gid);

    return change_named(AT_FDCWD, name, LOOKUP_FOLLOW, &attr);
}

SYSCALL_DEFINE3(lchown, const char __user *, name, uid_t, uid, gid_t, gid)
{
    struct attributes attr = owner_attributes(uid, gid);

    return change_named(AT_FDCWD, name, 0, &attr);
}

SYSCALL_DEFINE3(fchown, unsigned, fd, uid_t, uid, gid_t, gid)
{
    struct attributes attr = owner_attributes(uid, gid);

    return change_file(fd, &attr);
}

/* ---- times ------------------------------------------------------------------------------------------- */

/* A time of day in nanoseconds: it reaches from 1677 to 2262. */
static s64 time_from(const struct __kernel_timespec *t)
{
    s64 limit = INT64_MAX / (s64)NSEC_PER_SEC - 1;

    return clamp(t->tv_sec, -limit, limit) * (s64)NSEC_PER_SEC + t->tv_nsec;
}

/* Times as utimensat(2) takes them; NULL: both now. */
static int set_times(struct path *path, const struct __kernel_timespec *times)
{
    struct inode *inode = path->dentry->inode;
    s64 now = ktime_real(), value[2] = {now, now};
    struct attributes attr = {.valid = ATTR_ATIME | ATTR_MTIME};
    bool all_now = true;
    int error = mount_want_write(path->mount);

    if (error)
        return error;
    for (unsigned i = 0; times && i < 2; i++) {
        if (times[i].tv_nsec == UTIME_OMIT)
            attr.valid &= ~(i ? ATTR_MTIME : ATTR_ATIME);
        else if (times[i].tv_nsec != UTIME_NOW)
            value[i] = time_from(&times[i]);
        all_now &= times[i].tv_nsec == UTIME_NOW;
    }
    if (!is_owner_or_capable(inode)) {
        if (!all_now)
            return -EPERM;
        error = inode_permission(inode, MAY_WRITE);
        if (error)
            return error;
    }
    attr.atime = value[0];
    attr.mtime = value[1];
    return path_change(path, &attr);
}

static int times_check(const struct __kernel_timespec *t)
{
    for (unsigned i = 0; i < 2; i++)
        if (t[i].tv_nsec != UTIME_NOW && t[i].tv_nsec != UTIME_OMIT &&
            (u64)t[i].tv_nsec >= NSEC_PER_SEC)
            return -EINVAL;
    return 0;
}

static long set_times_named(int dirfd, const char __user *name,
                            const struct __kernel_timespec *times, int flags)
{
    struct user_walk u;
    struct fd_ref ref;
    int error;

    if (times && times_check(times))
        return -EINVAL;
    if (times && times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
        return 0;
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (!name && dirfd != AT_FDCWD) { /* futimens(3) */
        if (flags)
            return -EINVAL;
        ref = fd_get(dirfd);
        if (!ref.file)
            return -EBADF;
        error = set_times(&ref.file->path, times);
        fd_put(ref);
        return error;
    }
    error = user_walk(&u, dirfd, name,
                      (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                          (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0));
    if (!error)
        error = set_times(&u.walk.path, times);
    user_walk_end(&u);
    return error;
}

SYSCALL_DEFINE4(utimensat, int, dirfd, const char __user *, name,
                const struct __kernel_timespec __user *, utimes, int, flags)
{
    struct __kernel_timespec times[2];

    if (utimes && copy_from_user(times, utimes, sizeof(times)))
        return -EFAULT;
    return set_times_named(dirfd, name, utimes ? times : NULL, flags);
}

static long set_times_us(int dirfd, const char __user *name,
                         const struct __kernel_old_timeval __user *utimes)
{
    struct __kernel_old_timeval tv[2];
    struct __kernel_timespec times[2];

    if (!utimes)
        return set_times_named(dirfd, name, NULL, 0);
    if (copy_from_user(tv, utimes, sizeof(tv)))
        return -EFAULT;
    for (unsigned i = 0; i < 2; i++) {
        if ((u64)tv[i].tv_usec >= 1000000)
            return -EINVAL;
        times[i].tv_sec = tv[i].tv_sec;
        times[i].tv_nsec = tv[i].tv_usec * 1000;
    }
    return set_times_named(dirfd, name, times, 0);
}

SYSCALL_DEFINE2(utimes, const char __user *, name, const struct __kernel_old_timeval __user *, tv)
{
    return set_times_us(AT_FDCWD, name, tv);
}

SYSCALL_DEFINE3(futimesat, int, dirfd, const char __user *, name,
                const struct __kernel_old_timeval __user *, tv)
{
    return set_times_us(dirfd, name, tv);
}

SYSCALL_DEFINE2(utime, const char __user *, name, const struct utimbuf __user *, ut)
{
    struct __kernel_timespec times[2] = {0};
    struct utimbuf t;

    if (!ut)
        return set_times_named(AT_FDCWD, name, NULL, 0);
    if (copy_from_user(&t, ut, sizeof(t)))
        return -EFAULT;
    times[0].tv_sec = t.actime;
    times[1].tv_sec = t.modtime;
    return set_times_named(AT_FDCWD, name, times, 0);
}

/* ---- size -------------------------------------------------------------------------------------------- */

static int truncate_limit(u64 size, const struct inode *inode)
{
    if (size <= READ_ONCE(inode->size))
        return 0;
    if (size > process_limit(RLIMIT_FSIZE)) {
        signal_send_thread(current, SIGXFSZ, NULL);
        return -EFBIG;
    }
    return size > inode->sb->max_size ? -EFBIG : 0;
}

static int truncate_path(struct path *path, loff_t size)
{
    struct attributes attr = {.valid = ATTR_SIZE, .size = size};
    struct inode *inode = path->dentry->inode;
    int error;

    if (IS_DIR(inode))
        return -EISDIR;
    if (!IS_REGULAR(inode))
        return -EINVAL;
    error = mount_want_write(path->mount);
    if (!error)
        error = inode_permission(inode, MAY_WRITE);
    if (!error)
        error = inode_begin_write(inode);
    if (error)
        return error;
    error = truncate_limit(size, inode);
    if (!error)
        error = path_change(path, &attr);
    inode_end_write(inode);
    return error;
}

SYSCALL_DEFINE2(truncate, const char __user *, name, loff_t, size)
{
    struct user_walk u;
    int error;

    if (size < 0)
        return -EINVAL;
    error = user_walk(&u, AT_FDCWD, name, LOOKUP_FOLLOW);
    if (!error)
        error = truncate_path(&u.walk.path, size);
    user_walk_end(&u);
    return error;
}

SYSCALL_DEFINE2(ftruncate, unsigned, fd, loff_t, size)
{
    struct attributes attr = {.valid = ATTR_SIZE, .size = size};
    struct fd_ref ref;
    int error;

    if (size < 0)
        return -EINVAL;
    ref = fd_get(fd);
    if (!ref.file)
        return -EBADF;
    error = -EINVAL;
    if (IS_REGULAR(ref.file->inode) && (ref.file->mode & FILE_WRITE))
        error = truncate_limit(size, ref.file->inode);
    if (!error)
        error = path_change(&ref.file->path, &attr);
    fd_put(ref);
    return error;
}

/* What fallocate(2) can do to block devices besides. */
#define BLOCK_MODES (FALLOC_FL_ZERO_RANGE | FALLOC_FL_NO_HIDE_STALE)

static int fallocate_check(const struct file *file, int mode, loff_t offset, loff_t length)
{
    const struct inode *inode = file->inode;
    bool block = (inode->mode & S_IFMT) == S_IFBLK;

    if (offset < 0 || length <= 0)
        return -EINVAL;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | (block ? BLOCK_MODES : 0)))
        return -EOPNOTSUPP;
    if ((mode & FALLOC_FL_PUNCH_HOLE) &&
        (!(mode & FALLOC_FL_KEEP_SIZE) || (mode & FALLOC_FL_ZERO_RANGE)))
        return -EOPNOTSUPP; /* only together with KEEP_SIZE */
    if (!(file->mode & FILE_WRITE))
        return -EBADF;
    if (IS_FIFO(inode) || (inode->mode & S_IFMT) == S_IFSOCK)
        return -ESPIPE;
    if (IS_DIR(inode))
        return -EISDIR;
    if (!IS_REGULAR(inode) && !block)
        return -ENODEV;
    if ((u64)offset + length > inode->sb->max_size)
        return -EFBIG;
    return file->ops->fallocate ? 0 : -EOPNOTSUPP;
}

SYSCALL_DEFINE4(fallocate, unsigned, fd, int, mode, loff_t, offset, loff_t, length)
{
    struct fd_ref ref = fd_get(fd);
    long error;

    if (!ref.file)
        return -EBADF;
    error = fallocate_check(ref.file, mode, offset, length);
    if (!error && !(mode & FALLOC_FL_KEEP_SIZE))
        error = truncate_limit(offset + length, ref.file->inode);
    if (!error)
        error = ref.file->ops->fallocate(ref.file, mode, offset, length);
    if (!error)
        notify_file(ref.file, IN_MODIFY);
    fd_put(ref);
    return error;
}
