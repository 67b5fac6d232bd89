/* SPDX-License-Identifier: MIT */
/*
 * fcntl(2) and ioctl(2): what is asked of a descriptor besides reading and writing.
 */
#include "async.h"
#include <asm/ioctls.h>
#include <vellum/bitmap.h>
#include <vellum/syscall.h>

/* What F_SETFL may change. */
#define SETTABLE (O_APPEND | O_NONBLOCK | O_NOATIME)

static void set_close_on_exec(unsigned fd, bool on)
{
    struct files *f = current->files;

    spin_lock(&f->lock);
    if (fd < f->size && f->table[fd]) {
        if (on)
            bitmap_set(f->close_on_exec, fd);
        else
            bitmap_clear(f->close_on_exec, fd);
    }
    spin_unlock(&f->lock);
}

static long set_flags(unsigned fd, struct file *file, unsigned flags)
{
    int error = 0;

    if ((flags & O_NOATIME) && !(file->flags & O_NOATIME) && !is_owner_or_capable(file->inode))
        return -EPERM;
    if ((flags ^ file->flags) & FASYNC)
        error = async_switch(file, fd, flags & FASYNC);
    if (error)
        return error;
    spin_lock(&file->lock);
    file->flags = (file->flags & ~(unsigned)SETTABLE) | (flags & SETTABLE);
    spin_unlock(&file->lock);
    return 0;
}

static bool allowed_on_path(unsigned command)
{
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC || command == F_GETFD ||
           command == F_SETFD || command == F_GETFL;
}

static long do_fcntl(unsigned fd, struct file *file, unsigned command, unsigned long arg)
{
    switch (command) {
    case F_DUPFD:
        return fd_duplicate(fd, arg, false);
    case F_DUPFD_CLOEXEC:
        return fd_duplicate(fd, arg, true);
    case F_GETFD:
        return files_is_close_on_exec(current->files, fd) ? FD_CLOEXEC : 0;
    case F_SETFD:
        set_close_on_exec(fd, arg & FD_CLOEXEC);
        return 0;
    case F_GETFL:
        return file->flags;
    case F_SETFL:
        return set_flags(fd, file, arg);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return locks_fcntl(fd, file, command, (struct flock __user *)arg);
    case F_GETOWN:
    case F_SETOWN:
    case F_GETOWN_EX:
    case F_SETOWN_EX:
    case F_GETOWNER_UIDS:
    case F_GETSIG:
    case F_SETSIG:
        return async_fcntl(file, command, arg);
    case F_GETPIPE_SZ:
    case F_SETPIPE_SZ:
        return pipe_fcntl(file, command, arg);
    case F_ADD_SEALS:
    case F_GET_SEALS:
        return seals_fcntl(file, command, arg);
    default:
        return -EINVAL;
    }
}

SYSCALL_DEFINE3(fcntl, unsigned, fd, unsigned, command, unsigned long, arg)
{
    struct fd_ref ref = fd_get_any(fd);
    long result = -EBADF;

    if (!ref.file)
        return -EBADF;
    if (!(ref.file->mode & FILE_PATH) || allowed_on_path(command))
        result = do_fcntl(fd, ref.file, command, arg);
    fd_put(ref);
    return result;
}

/* ---- ioctl(2): what is the same for all files ---------------------------------------------------------- */

static long bytes_left(struct file *file, int __user *result)
{
    loff_t left = READ_ONCE(file->inode->size) - file->pos;

    return put_user((int)left, result);
}

static long do_ioctl(unsigned fd, struct file *file, unsigned command, unsigned long arg)
{
    int on;

    switch (command) {
    case FIOCLEX:
    case FIONCLEX:
        set_close_on_exec(fd, command == FIOCLEX);
        return 0;
    case FIONBIO:
        if (get_user(on, (int __user *)arg))
            return -EFAULT;
        return set_flags(fd, file, on ? file->flags | O_NONBLOCK : file->flags & ~O_NONBLOCK);
    case FIOASYNC:
        if (get_user(on, (int __user *)arg))
            return -EFAULT;
        return async_ioctl(file, fd, on);
    case FIONREAD:
        if (IS_REGULAR(file->inode))
            return bytes_left(file, (int __user *)arg);
        break;
    }
    return file->ops->ioctl ? file->ops->ioctl(file, command, arg) : -ENOTTY;
}

SYSCALL_DEFINE3(ioctl, unsigned, fd, unsigned, command, unsigned long, arg)
{
    struct fd_ref ref = fd_get(fd);
    long result;

    if (!ref.file)
        return -EBADF;
    result = do_ioctl(fd, ref.file, command, arg);
    fd_put(ref);
    return result;
}
