/* SPDX-License-Identifier: MIT */
/*
 * File descriptors: a table of open files for each process, which threads may share (CLONE_FILES).
 *
 * A file is found through the table without a lock and without taking a reference as long as nobody shares
 * it: fd_get(). A new descriptor is reserved first, then gets its file, so that nobody sees it half made.
 */
#ifndef VELLUM_FILES_H
#define VELLUM_FILES_H

#include <vellum/file.h>

#define NOFILE_MAX 1048576 /* the largest RLIMIT_NOFILE: fs.nr_open */

struct files {
    refcount_t refs;
    spinlock_t lock;
    struct file **table;                 /* [lock]; read without it after files_borrow's rules */
    unsigned long *open, *close_on_exec; /* [lock] bitmaps */
    unsigned size;                       /* [lock] slots */
    unsigned next;                       /* [lock] no free slot below */
    struct file *inline_table[32];
    unsigned long inline_bits[2];
};
struct files *files_create(void);
struct files *files_fork(struct files *parent); /* a copy; err_ptr */
static inline struct files *files_get(struct files *f)
{
    ref_get(&f->refs);
    return f;
}
void files_put(struct files *f);
void files_close_on_exec(struct files *f);
/* The open file of a descriptor of the current thread. If the table is not shared no reference is
 * taken: `borrowed` says so, and the caller must call fd_put() on the same thread, having neither
 * closed the descriptor nor stored the pointer. file NULL: -EBADF. O_PATH files are not returned
 * unless asked for by fd_get_any(). */
struct fd_ref {
    struct file *file;
    bool counted;
};
struct fd_ref fd_get_shared(unsigned fd, bool any); /* of a table that others use too */
static __always_inline struct fd_ref fd_get_if(unsigned fd, bool any)
{
    struct files *f = current->files;
    struct file *file = NULL;

    if (unlikely(atomic_read(&f->refs) != 1))
        return fd_get_shared(fd, any);
    if (likely(fd < f->size))
        file = f->table[fd];
    if (unlikely(file && !any && (file->mode & FILE_PATH)))
        file = NULL;
    return (struct fd_ref){.file = file};
}
static inline struct fd_ref fd_get(unsigned fd)
{
    return fd_get_if(fd, false);
}
static inline struct fd_ref fd_get_any(unsigned fd)
{
    return fd_get_if(fd, true);
}
static inline void fd_put(struct fd_ref ref)
{
    if (ref.counted)
        file_put(ref.file);
}
struct file *fd_file(unsigned fd); /* with a reference, or NULL */
/* Reserve a descriptor >= min below RLIMIT_NOFILE; then install (consumes the file's reference), or
 * fd_cancel(). -EMFILE, -ENOMEM */
int fd_reserve(unsigned min, bool close_on_exec);
void fd_install(int fd, struct file *file);
void fd_cancel(int fd);
int fd_close(unsigned fd);
/* The lowest free descriptor for a file, whose reference is consumed even on failure. file may be an
 * err_ptr, which is returned. */
int fd_for_file(struct file *file, bool close_on_exec);
/* The two lowest for a pair, told to user space before anything is installed. The references are
 * consumed even on failure. 0, -EMFILE, -ENOMEM, -EFAULT */
int fd_pair_for_files(struct file *files[2], bool close_on_exec, int __user *result);
/* Of any table, for /proc/PID/fd: the file with a reference, or NULL; the first descriptor >= from,
 * or -1. */
struct file *files_lookup(struct files *f, unsigned fd);
int files_next(struct files *f, unsigned from);
bool files_is_close_on_exec(struct files *f, unsigned fd);

#endif
