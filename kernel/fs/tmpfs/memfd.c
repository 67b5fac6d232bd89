/* SPDX-License-Identifier: MIT */
/*
 * memfd_create(2): files without a name, and seals (fcntl(2)).
 *
 * A seal forbids a kind of change for ever, so that a process may trust what another one gave it.
 * F_SEAL_WRITE needs to know that no shared mapping can write any more: such mappings of a file that
 * can be sealed are counted. Files that were not made to be sealed have F_SEAL_SEAL from the start.
 *
 * Seals change under the inode's mutex, which also guards size and writing, and under inode->lock,
 * under which mappings are counted.
 */
#include "tmpfs.h"
#include "../internal.h"
#include <vellum/mm.h>
#include <vellum/syscall.h>
#include <linux/memfd.h>

#define SEALS_ALL    (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
#define PREFIX       "/memfd:"
#define SUFFIX       " (deleted)"
#define NAME_LONGEST (NAME_MAX - 6) /* with "memfd:" it would be a file's name */

/* inode->private_data of a file that can be sealed. */
struct sealable {
    unsigned writable_mappings; /* [inode->lock] shared ones */
};

static const struct file_ops memfd_ops;

/* ---- mappings ----------------------------------------------------------------------------------------- */

static bool may_write_file(const struct vma *vma)
{
    return (vma->flags & (VM_SHARED | VM_MAY_WRITE)) == (VM_SHARED | VM_MAY_WRITE);
}

static void count_mapping(struct vma *vma, int step)
{
    struct inode *inode = vma->file->inode;
    struct sealable *s = inode->private_data;

    if (!may_write_file(vma))
        return;
    spin_lock(&inode->lock);
    s->writable_mappings += step;
    spin_unlock(&inode->lock);
}

static void memfd_vma_open(struct vma *vma)
{
    count_mapping(vma, 1);
}

static void memfd_vma_close(struct vma *vma)
{
    count_mapping(vma, -1);
}

static const struct vm_ops memfd_vm_ops = {
    .open = memfd_vma_open,
    .close = memfd_vma_close,
    .fault = cached_fault,
    .fault_around = cached_fault_around,
};

static int memfd_mmap(struct file *file, struct vma *vma)
{
    struct inode *inode = file->inode;
    struct sealable *s = inode->private_data;
    int error = 0;

    spin_lock(&inode->lock);
    if (may_write_file(vma) && (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))) {
        if (vma->flags & VM_WRITE)
            error = -EPERM;
        vma->flags &= ~VM_MAY_WRITE;
    } else if (may_write_file(vma)) {
        s->writable_mappings++;
    }
    spin_unlock(&inode->lock);
    if (error)
        return error;
    error = cached_file_mmap(file, vma);
    vma->ops = &memfd_vm_ops;
    return error;
}

/* ---- seals => inode mutex ------------------------------------------------------------------------------ */

static long add_seals(struct file *file, unsigned seals)
{
    struct inode *inode = file->inode;
    struct sealable *s = inode->private_data;
    long error = 0;

    if (!(file->mode & FILE_WRITE))
        return -EPERM;
    if (seals & ~(unsigned)SEALS_ALL)
        return -EINVAL;
    mutex_lock(&inode->mutex);
    spin_lock(&inode->lock);
    if (inode->seals & F_SEAL_SEAL)
        error = -EPERM;
    else if ((seals & F_SEAL_WRITE) && s->writable_mappings)
        error = -EBUSY;
    else
        inode->seals |= seals;
    spin_unlock(&inode->lock);
    mutex_unlock(&inode->mutex);
    return error;
}

long seals_fcntl(struct file *file, unsigned command, unsigned long arg)
{
    if (file->inode->file_ops != &memfd_ops && file->inode->file_ops != &tmpfs_file_ops)
        return -EINVAL;
    if (command == F_GET_SEALS) /* whatever the argument is: callers pass none */
        return (long)READ_ONCE(file->inode->seals);
    return arg > UINT32_MAX ? -EINVAL : add_seals(file, arg);
}

/* ---- memfd_create(2) ------------------------------------------------------------------------------------- */

static const struct file_ops memfd_ops = {
    .can_nowait = true,
    .read = cached_file_read,
    .write = cached_file_write,
    .seek = tmpfs_seek,
    .mmap = memfd_mmap,
    .fsync = tmpfs_fsync,
    .fallocate = tmpfs_fallocate,
};

static struct file *memfd_file(const char *name, bool can_be_sealed)
{
    struct sealable *s = NULL;
    struct file *file;

    if (can_be_sealed) {
        s = kzalloc(sizeof(*s), ALLOC_KERNEL);
        if (!s)
            return err_ptr(-ENOMEM);
    }
    file = tmpfs_unnamed(name, 0, s ? &memfd_ops : &tmpfs_file_ops);
    if (is_err(file)) {
        kfree(s);
        return file;
    }
    file->inode->private_data = s;
    if (s)
        file->inode->seals = 0;
    file->flags |= O_LARGEFILE;
    return file;
}

SYSCALL_DEFINE2(memfd_create, const char __user *, uname, unsigned, flags)
{
    char name[sizeof(PREFIX) + NAME_LONGEST + sizeof(SUFFIX)] = PREFIX;
    char *text = name + strlen(PREFIX);
    ssize_t n;

    if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING)) /* nor are there huge pages */
        return -EINVAL;
    n = copy_user_string(text, uname, NAME_LONGEST + 1);
    if (n < 0)
        return n;
    if (n > NAME_LONGEST)
        return -EINVAL;
    strlcpy(text + n, SUFFIX, sizeof(SUFFIX));
    return fd_for_file(memfd_file(name, flags & MFD_ALLOW_SEALING), flags & MFD_CLOEXEC);
}
