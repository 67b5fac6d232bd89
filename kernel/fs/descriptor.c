/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables.
 *
 * A table changes only under its lock. Its owner may read it without the lock as long as nobody else
 * holds the table (refs == 1): only threads that share it could close what is being looked at, and a
 * thread that does not exist yet is made by this one. Such a reader needs no reference to the file
 * either. With a shared table, a lookup takes the lock and a reference.
 */
#include "internal.h"
#include <vellum/bitmap.h>
#include <vellum/syscall.h>
#include <linux/close_range.h>

#define INLINE_SLOTS 32
#define SLOTS_MAX    (1U << 20)

static struct object_cache *files_cache;

void __init files_cache_init(void)
{
    files_cache = object_cache_create("files", sizeof(struct files), CACHE_LINE);
    if (!files_cache)
        panic("no memory for descriptor tables");
}

struct files *files_create(void)
{
    struct files *f = object_alloc(files_cache, ALLOC_KERNEL | ALLOC_ZERO);

    if (!f)
        return NULL;
    ref_init(&f->refs);
    spin_init(&f->lock);
    f->table = f->inline_table;
    f->open = &f->inline_bits[0];
    f->close_on_exec = &f->inline_bits[1];
    f->size = INLINE_SLOTS;
    return f;
}

/* A table with its bit maps in one block: slots, open, close_on_exec. */
static struct file **table_alloc(unsigned size)
{
    return kzalloc(size * sizeof(struct file *) + 2 * (size / 8), ALLOC_KERNEL);
}

/* Make room for at least `size` slots. => f->lock, which is dropped meanwhile */
static int files_grow(struct files *f, unsigned size)
{
    struct file **table, **old;
    unsigned long *bits;
    int error = 0;

    size = max(1U << log2_ceil(size), 64U);
    spin_unlock(&f->lock);
    table = size <= SLOTS_MAX ? table_alloc(size) : NULL;
    spin_lock(&f->lock);
    if (!table)
        return size <= SLOTS_MAX ? -ENOMEM : -EMFILE;
    if (f->size >= size) { /* another thread was faster */
        kfree(table);
        return error;
    }
    bits = (unsigned long *)(table + size);
    memcpy(table, f->table, f->size * sizeof(*table));
    memcpy(bits, f->open, DIV_ROUND_UP(f->size, 8));
    memcpy(bits + size / BITS_PER_WORD, f->close_on_exec, DIV_ROUND_UP(f->size, 8));
    old = f->table;
    f->table = table;
    f->open = bits;
    f->close_on_exec = bits + size / BITS_PER_WORD;
    f->size = size;
    if (old != f->inline_table)
        kfree(old);
    return error;
}

/* One past the highest slot in use. */
static unsigned files_top(const struct files *f)
{
    for (unsigned i = DIV_ROUND_UP(f->size, BITS_PER_WORD); i-- > 0;)
        if (f->open[i])
            return i * BITS_PER_WORD + log2_floor(f->open[i]) + 1;
    return 0;
}

struct files *files_fork(struct files *parent)
{
    struct files *f = files_create();
    unsigned top, fd;
    int error;

    if (!f)
        return err_ptr(-ENOMEM);
    spin_lock(&parent->lock);
    while ((top = files_top(parent)) > f->size) {
        spin_unlock(&parent->lock);
        spin_lock(&f->lock);
        error = files_grow(f, top);
        spin_unlock(&f->lock);
        if (error) {
            files_put(f);
            return err_ptr(error);
        }
        spin_lock(&parent->lock);
    }
    bitmap_for_each_set(fd, parent->open, top) {
        if (!parent->table[fd])
            continue; /* reserved by another thread, not installed yet */
        f->table[fd] = file_get(parent->table[fd]);
        bitmap_set(f->open, fd);
        if (bitmap_test(parent->close_on_exec, fd))
            bitmap_set(f->close_on_exec, fd);
    }
    spin_unlock(&parent->lock);
    return f;
}

static void file_close(struct file *file, struct files *f)
{
    if (file->ops->flush)
        file->ops->flush(file);
    if (unlikely(file->inode->locks))
        locks_close(file, f);
    file_put(file);
}

void files_put(struct files *f)
{
    unsigned fd;

    if (!ref_put(&f->refs))
        return;
    bitmap_for_each_set(fd, f->open, f->size)
        if (f->table[fd])
            file_close(f->table[fd], f);
    if (f->table != f->inline_table)
        kfree(f->table);
    object_free(files_cache, f);
}

void files_close_on_exec(struct files *f)
{
    unsigned fd;

    bitmap_for_each_set(fd, f->close_on_exec, f->size)
        fd_close(fd);
}

/* ---- from numbers to files ------------------------------------------------------------------------- */

struct fd_ref fd_get_shared(unsigned fd, bool any)
{
    struct file *file = files_lookup(current->files, fd);

    if (file && !any && (file->mode & FILE_PATH)) {
        file_put(file);
        file = NULL;
    }
    return (struct fd_ref){.file = file, .counted = file};
}

struct file *fd_file(unsigned fd)
{
    struct fd_ref ref = fd_get(fd);

    if (ref.file && !ref.counted)
        file_get(ref.file);
    return ref.file;
}

struct file *files_lookup(struct files *f, unsigned fd)
{
    struct file *file = NULL;

    spin_lock(&f->lock);
    if (fd < f->size && f->table[fd])
        file = file_get(f->table[fd]);
    spin_unlock(&f->lock);
    return file;
}

int files_next(struct files *f, unsigned from)
{
    int fd = -1;

    spin_lock(&f->lock);
    for (; from < f->size; from++) {
        from = bitmap_find_next_set(f->open, f->size, from);
        if (from < f->size && f->table[from]) {
            fd = from;
            break;
        }
    }
    spin_unlock(&f->lock);
    return fd;
}

bool files_is_close_on_exec(struct files *f, unsigned fd)
{
    bool set;

    spin_lock(&f->lock);
    set = fd < f->size && bitmap_test(f->close_on_exec, fd);
    spin_unlock(&f->lock);
    return set;
}

/* => f->lock */
static void slot_take(struct files *f, unsigned fd, bool close_on_exec)
{
    bitmap_set(f->open, fd);
    if (close_on_exec)
        bitmap_set(f->close_on_exec, fd);
    else
        bitmap_clear(f->close_on_exec, fd);
}

/* => f->lock */
static void slot_free(struct files *f, unsigned fd)
{
    f->table[fd] = NULL;
    bitmap_clear(f->open, fd);
    bitmap_clear(f->close_on_exec, fd);
    if (fd < f->next)
        f->next = fd;
}

int fd_reserve(unsigned min, bool close_on_exec)
{
    struct files *f = current->files;
    u64 limit = process_limit(RLIMIT_NOFILE);
    unsigned fd;
    int error = 0;

    spin_lock(&f->lock);
    for (;;) {
        fd = max(min, f->next);
        if (fd < f->size)
            fd = bitmap_find_next_zero(f->open, f->size, fd);
        if (fd >= limit) {
            error = -EMFILE;
            break;
        }
        if (fd < f->size)
            break;
        error = files_grow(f, fd + 1);
        if (error)
            break;
    }
    if (!error) {
        slot_take(f, fd, close_on_exec);
        if (min <= f->next)
            f->next = fd + 1;
    }
    spin_unlock(&f->lock);
    return error ? error : (int)fd;
}

void fd_install(int fd, struct file *file)
{
    struct files *f = current->files;

    spin_lock(&f->lock);
    assert(!f->table[fd] && bitmap_test(f->open, fd));
    f->table[fd] = file;
    spin_unlock(&f->lock);
}

void fd_cancel(int fd)
{
    struct files *f = current->files;

    spin_lock(&f->lock);
    slot_free(f, fd);
    spin_unlock(&f->lock);
}

int fd_for_file(struct file *file, bool close_on_exec)
{
    int fd;

    if (is_err(file))
        return ptr_err(file);
    fd = fd_reserve(0, close_on_exec);
    if (fd < 0)
        file_put(file);
    else
        fd_install(fd, file);
    return fd;
}

int fd_pair_for_files(struct file *files[2], bool close_on_exec, int __user *result)
{
    int fd[2], error;

    error = fd[0] = fd_reserve(0, close_on_exec);
    if (error < 0)
        goto fail_files;
    error = fd[1] = fd_reserve(0, close_on_exec);
    if (error < 0)
        goto fail_first;
    error = -EFAULT;
    if (copy_to_user(result, fd, sizeof(fd)))
        goto fail_second;
    fd_install(fd[0], files[0]);
    fd_install(fd[1], files[1]);
    return 0;
fail_second:
    fd_cancel(fd[1]);
fail_first:
    fd_cancel(fd[0]);
fail_files:
    file_put(files[0]);
    file_put(files[1]);
    return error;
}

int fd_close(unsigned fd)
{
    struct files *f = current->files;
    struct file *file = NULL;

    spin_lock(&f->lock);
    if (fd < f->size && (file = f->table[fd]) != NULL)
        slot_free(f, fd);
    spin_unlock(&f->lock);
    if (!file)
        return -EBADF;
    file_close(file, f);
    return 0;
}

/* ---- system calls ------------------------------------------------------------------------------------ */

SYSCALL_DEFINE1(close, unsigned, fd)
{
    return fd_close(fd);
}

static int files_unshare(void)
{
    struct files *f = current->files, *copy;
    unsigned long flags;

    if (atomic_read(&f->refs) == 1)
        return 0;
    copy = files_fork(f);
    if (is_err(copy))
        return ptr_err(copy);
    flags = spin_lock_irqsave(&current->process->lock);
    current->files = copy;
    spin_unlock_irqrestore(&current->process->lock, flags);
    files_put(f);
    return 0;
}

SYSCALL_DEFINE3(close_range, unsigned, first, unsigned, last, unsigned, flags)
{
    struct files *f;
    int error;

    if ((flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) || first > last)
        return -EINVAL;
    if (flags & CLOSE_RANGE_UNSHARE) {
        error = files_unshare();
        if (error)
            return error;
    }
    f = current->files;
    for (unsigned fd = first; fd <= last && fd < READ_ONCE(f->size); fd++) {
        if (!(flags & CLOSE_RANGE_CLOEXEC)) {
            fd_close(fd);
            continue;
        }
        spin_lock(&f->lock);
        if (f->table[fd])
            bitmap_set(f->close_on_exec, fd);
        spin_unlock(&f->lock);
    }
    return 0;
}

int fd_duplicate(unsigned fd, unsigned min, bool close_on_exec)
{
    struct fd_ref ref = fd_get_any(fd);
    int new;

    if (!ref.file)
        return -EBADF;
    if (min >= process_limit(RLIMIT_NOFILE)) {
        fd_put(ref);
        return -EINVAL;
    }
    new = fd_reserve(min, close_on_exec);
    if (new >= 0)
        fd_install(new, file_get(ref.file));
    fd_put(ref);
    return new;
}

SYSCALL_DEFINE1(dup, unsigned, fd)
{
    struct fd_ref ref = fd_get_any(fd);
    int new;

    if (!ref.file)
        return -EBADF;
    new = fd_reserve(0, false);
    if (new >= 0)
        fd_install(new, file_get(ref.file));
    fd_put(ref);
    return new;
}

static long dup_to(unsigned fd, unsigned new, bool close_on_exec)
{
    struct files *f = current->files;
    struct file *file, *old;
    int error = 0;

    if (new >= process_limit(RLIMIT_NOFILE))
        return -EBADF;
    spin_lock(&f->lock);
    while (new >= f->size && !error)
        error = files_grow(f, new + 1);
    if (!error && (fd >= f->size || !f->table[fd]))
        error = -EBADF;
    if (!error && !f->table[new] && bitmap_test(f->open, new))
        error = -EBUSY; /* another thread is about to open it */
    if (error) {
        spin_unlock(&f->lock);
        return error;
    }
    file = file_get(f->table[fd]);
    old = f->table[new];
    f->table[new] = file;
    slot_take(f, new, close_on_exec);
    spin_unlock(&f->lock);
    if (old)
        file_close(old, f);
    return new;
}

SYSCALL_DEFINE3(dup3, unsigned, fd, unsigned, new, int, flags)
{
    if ((flags & ~O_CLOEXEC) || fd == new)
        return -EINVAL;
    return dup_to(fd, new, flags & O_CLOEXEC);
}

SYSCALL_DEFINE2(dup2, unsigned, fd, unsigned, new)
{
    struct fd_ref ref;

    if (fd != new)
        return dup_to(fd, new, false);
    ref = fd_get_any(fd);
    if (!ref.file)
        return -EBADF;
    fd_put(ref);
    return new;
}
