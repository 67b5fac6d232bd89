/* SPDX-License-Identifier: MIT */
/*
 * Open files: what descriptors refer to. dup(2) and fork(2) share one; open(2) makes one.
 */
#include "async.h"
#include <vellum/notify.h>

static struct object_cache *file_cache;
static atomic_long_t files_open;

void __init file_cache_init(void)
{
    file_cache = object_cache_create("file", sizeof(struct file), CACHE_LINE);
    if (!file_cache)
        panic("no memory for the file cache");
}

u64 file_count(void)
{
    return atomic_read(&files_open);
}

/* A kilobyte each may take a tenth of memory, as on Linux. */
u64 file_max(void)
{
    return max(boot_memory_total() / 1024 / 10, 8192UL);
}

struct file *file_alloc(void)
{
    struct file *file;

    if (unlikely(file_count() >= file_max()) && !capable(CAP_SYS_ADMIN))
        return err_ptr(-ENFILE);
    file = object_alloc(file_cache, ALLOC_KERNEL | ALLOC_ZERO);
    if (!file)
        return err_ptr(-ENOMEM);
    ref_init(&file->refs);
    mutex_init(&file->pos_mutex);
    spin_init(&file->lock);
    list_init(&file->epoll_links);
    file->cred = cred_get(current->cred);
    atomic_inc(&files_open);
    return file;
}

void file_free(struct file *file)
{
    cred_put(file->cred);
    atomic_dec(&files_open);
    object_free(file_cache, file);
}

int file_begin_write(struct file *file)
{
    int error = inode_begin_write(file->inode);

    if (error)
        return error;
    error = mount_begin_write(file->path.mount);
    if (error)
        inode_end_write(file->inode);
    else
        file->mode |= FILE_COUNTED_WRITER;
    return error;
}

void file_end_write(struct file *file)
{
    mount_end_write(file->path.mount);
    inode_end_write(file->inode);
}

static __noinline void file_release(struct file *file)
{
    if (!(file->mode & FILE_PATH))
        notify_file(file, file->mode & FILE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
    if (unlikely(file->epolled))
        epoll_forget(file);
    if (unlikely(file->async != NULL))
        async_forget(file);
    if (file->inode->locks)
        locks_release(file);
    if (file->ops->release)
        file->ops->release(file);
    if (file->mode & FILE_COUNTED_WRITER)
        file_end_write(file);
    if (file->mode & FILE_DENIES_WRITERS)
        inode_allow_write(file->inode);
    if (unlikely(file->mode & FILE_MOUNT_TREE))
        mount_tree_forget(file->path.mount);
    path_put(&file->path);
    file_free(file);
}

void file_put(struct file *file)
{
    if (ref_put(&file->refs))
        file_release(file);
}

unsigned file_mode_of(unsigned flags)
{
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return FILE_READ;
    case O_WRONLY:
        return FILE_WRITE;
    case O_RDWR:
        return FILE_READ | FILE_WRITE;
    default:
        return 0; /* for ioctl only */
    }
}

/* What the operations allow decides how positions are treated. */
void file_set_ops(struct file *file, const struct file_ops *ops)
{
    file->ops = ops;
    file->mode &= ~(FILE_SEEK | FILE_STREAM | FILE_REGULAR_POS);
    if (!ops->seek)
        file->mode |= FILE_STREAM;
    else
        file->mode |= FILE_SEEK | FILE_REGULAR_POS;
}

struct file *file_anonymous(struct inode *inode, const struct file_ops *ops, unsigned flags,
                            const char *text)
{
    struct name name = {.text = text, .length = strlen(text)};
    struct file *file = file_alloc();
    struct dentry *d;

    if (is_err(file))
        return file;
    d = dentry_alloc(NULL, &name);
    if (!d) {
        file_free(file);
        return err_ptr(-ENOMEM);
    }
    d->sb = inode->sb;
    dentry_instantiate(d, inode);
    mount_get(anonymous_mount);
    file->path = (struct path){.mount = anonymous_mount, .dentry = d};
    file_set_inode(file, inode);
    file->flags = flags;
    file->mode = file_mode_of(flags);
    file_set_ops(file, ops);
    return file;
}

/* Another open file on the same object (the other end of a pipe). */
struct file *file_anonymous_again(struct file *first, const struct file_ops *ops, unsigned flags)
{
    struct file *file = file_alloc();

    if (is_err(file))
        return file;
    file->path = first->path;
    path_get(&file->path);
    file_set_inode(file, first->inode);
    file->flags = flags;
    file->mode = file_mode_of(flags);
    file_set_ops(file, ops);
    return file;
}

struct file *file_object(const char *name, const struct file_ops *ops, void *object, unsigned flags)
{
    struct file *file = file_anonymous(inode_get(object_inode), ops, flags, name);

    if (is_err(file))
        inode_put(object_inode);
    else
        file->private_data = object;
    return file;
}

ssize_t file_read_kernel(struct file *f, void *buffer, size_t n, loff_t pos)
{
    struct iov_iter it;

    if (!f->ops->read)
        return IS_DIR(f->inode) ? -EISDIR : -EINVAL;
    iov_kernel(&it, buffer, n);
    return f->ops->read(f, &it, f->mode & FILE_STREAM ? NULL : &pos);
}

ssize_t file_write_kernel(struct file *f, const void *buffer, size_t n, loff_t pos)
{
    struct iov_iter it;

    if (!f->ops->write)
        return -EINVAL;
    iov_kernel(&it, (void *)buffer, n);
    return f->ops->write(f, &it, f->mode & FILE_STREAM ? NULL : &pos);
}
