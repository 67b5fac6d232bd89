/* SPDX-License-Identifier: MIT */
/*
 * open(2): walk to the name, make the file if asked to, check, and turn the result into an open file.
 */
#include "internal.h"
#include <vellum/notify.h>
#include <vellum/syscall.h>
#include <linux/openat2.h>

/* Flags that concern opening only and are not kept (F_GETFL). */
#define OPEN_ONLY (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC)

struct open_request {
    unsigned flags;
    mode_t mode;
    unsigned access; /* MAY_* */
    unsigned lookup; /* LOOKUP_* besides those that follow from the flags */
};

static int request_init(struct open_request *r, unsigned flags, mode_t mode)
{
    static const u8 access[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};

    if (flags & O_PATH)
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
        return -EINVAL;
    r->flags = flags;
    r->lookup = 0;
    r->mode = mode & MODE_BITS & ~current->fs->umask;
    r->access = access[flags & O_ACCMODE];
    if (flags & O_TRUNC)
        r->access |= MAY_WRITE;
    if ((flags & __O_TMPFILE) &&
        ((flags & O_TMPFILE) != O_TMPFILE || !(flags & (O_WRONLY | O_RDWR))))
        return -EINVAL;
    return 0;
}

static int may_open(const struct walk *w, const struct open_request *r)
{
    struct inode *inode = w->path.dentry->inode;
    int error;

    if (unlikely(!IS_REGULAR(inode))) {
        if (IS_SYMLINK(inode))
            return -ELOOP;
        if (IS_DIR(inode) && (r->access & MAY_WRITE))
            return -EISDIR;
        if (IS_DEVICE(inode) && ((w->path.mount->flags | inode->sb->flags) & MS_NODEV))
            return -EACCES;
    } else if ((r->access & MAY_WRITE) && mount_readonly(w->path.mount)) {
        return -EROFS;
    }
    error = inode_permission(inode, r->access);
    if (!error && (r->flags & O_NOATIME) && !is_owner_or_capable(inode))
        error = -EPERM;
    return error;
}

/* The dentry and mount are taken from the walk. */
static struct file *open_result(struct walk *w, const struct open_request *r)
{
    struct file *file = file_alloc();
    int error = 0;

    if (is_err(file))
        return file;
    walk_take(w, &file->path);
    file_set_inode(file, file->path.dentry->inode);
    file->flags = r->flags;
    if (r->flags & O_PATH) {
        file->flags &= ~(unsigned)OPEN_ONLY;
        file->mode = FILE_PATH;
        file->ops = &bad_file_ops;
        return file;
    }
    file->flags |= O_LARGEFILE;
    file->mode = file_mode_of(r->flags);
    if ((file->mode & FILE_WRITE) && IS_REGULAR(file->inode)) {
        error = file_begin_write(file);
        if (error)
            goto fail;
    }
    file_set_ops(file, file->inode->file_ops);
    if (file->ops->open)
        error = file->ops->open(file->inode, file);
    file->flags &= ~(unsigned)OPEN_ONLY;
    if (!error) {
        notify_file(file, IN_OPEN);
        return file;
    }
    if (file->mode & FILE_COUNTED_WRITER)
        file_end_write(file);
fail:
    path_put(&file->path);
    file_free(file);
    return err_ptr(error);
}

/* O_TRUNC, which is a write even where the file is opened for reading only. */
static int open_truncate(struct file *file)
{
    struct attributes attr = {.valid = ATTR_SIZE};
    int error = inode_begin_write(file->inode);

    if (error)
        return error;
    error = path_change(&file->path, &attr);
    inode_end_write(file->inode);
    return error;
}

static struct file *open_checked(struct walk *w, const struct open_request *r, bool created)
{
    struct file *file;
    int error;

    if ((r->flags & O_DIRECTORY) && !IS_DIR(w->path.dentry->inode))
        return err_ptr(-ENOTDIR);
    if (!created && !(r->flags & O_PATH)) {
        error = may_open(w, r);
        if (error)
            return err_ptr(error);
    }
    file = open_result(w, r);
    if (is_err(file) || created || !(r->flags & O_TRUNC) || !IS_REGULAR(file->inode))
        return file;
    error = open_truncate(file);
    if (!error)
        return file;
    file_put(file);
    return err_ptr(error);
}

/* Make the file w->last in w->path. -EEXIST: another was faster. */
static int create_last(struct walk *w, const struct open_request *r)
{
    struct dentry *parent = w->path.dentry, *d;
    struct inode *dir = parent->inode;
    int error;

    mutex_lock(&dir->mutex);
    d = dentry_for_create(parent, &w->last);
    error = is_err(d) ? ptr_err(d) : 0;
    if (error)
        goto out;
    error = may_create(w->path.mount, dir);
    if (!error)
        error = dir->ops->create ? dir->ops->create(dir, d, S_IFREG | r->mode, 0) : -EACCES;
    if (error) {
        dentry_put(d);
        goto out;
    }
    dentry_created(d);
    notify_name(dir, IN_CREATE, &d->name, false, 0);
    walk_to(w, d);
out:
    mutex_unlock(&dir->mutex);
    return error;
}

/* With O_CREAT, after a walk to the parent. */
static struct file *open_create(struct walk *w, const struct open_request *r)
{
    int error;

    for (;;) {
        if (w->last_type != LAST_NAME)
            return err_ptr(r->flags & O_EXCL ? -EEXIST : -EISDIR);
        error = walk_last(w);
        if (!error) {
            if (r->flags & O_EXCL)
                return err_ptr(-EEXIST);
            if (IS_DIR(w->path.dentry->inode))
                return err_ptr(-EISDIR);
            return open_checked(w, r, false);
        }
        if (error != -ENOENT || w->last_type != LAST_NAME)
            return err_ptr(error);
        error = create_last(w, r);
        if (!error)
            return open_checked(w, r, true);
        if (error != -EEXIST)
            return err_ptr(error);
    }
}

/* O_TMPFILE: a file without a name in the directory the walk led to. */
static struct file *open_tmpfile(struct walk *w, const struct open_request *r)
{
    struct name name = {.text = "#tmpfile\0\0\0\0\0\0\0", .length = 8};
    struct dentry *parent = w->path.dentry, *d;
    struct inode *dir = parent->inode, *inode;
    int error = may_create(w->path.mount, dir);

    if (!error && !dir->ops->tmpfile)
        error = -EOPNOTSUPP;
    if (error)
        return err_ptr(error);
    d = dentry_alloc(parent, &name);
    if (!d)
        return err_ptr(-ENOMEM);
    error = dir->ops->tmpfile(dir, &inode, S_IFREG | r->mode);
    if (error) {
        dentry_put(d);
        return err_ptr(error);
    }
    inode->linkable = !(r->flags & O_EXCL);
    dentry_instantiate(d, inode);
    walk_to(w, d);
    return open_result(w, r);
}

static struct file *open_walk(struct walk *w, int dirfd, const char *name, struct open_request *r)
{
    unsigned lookup = r->lookup;
    int error;

    if (!(r->flags & O_NOFOLLOW) && (r->flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL))
        lookup |= LOOKUP_FOLLOW;
    if (r->flags & O_CREAT)
        lookup |= LOOKUP_PARENT;
    if (r->flags & O_DIRECTORY)
        lookup |= LOOKUP_DIRECTORY;
    error = walk_path(w, dirfd, name, lookup);
    if (error)
        return err_ptr(error);
    if (r->flags & O_CREAT)
        return open_create(w, r);
    if (r->flags & __O_TMPFILE)
        return open_tmpfile(w, r);
    return open_checked(w, r, false);
}

/* name: readable for 7 bytes beyond its end. */
static struct file *open_name(int dirfd, const char *name, struct open_request *r)
{
    struct walk w;
    struct file *file = open_walk(&w, dirfd, name, r);

    walk_end(&w);
    return file;
}

struct file *file_open_at(int dirfd, const char *name, int flags, mode_t mode)
{
    struct user_path text;
    struct open_request r;
    struct file *file;
    int error = request_init(&r, flags, mode);

    if (!error)
        error = kernel_path_get(&text, name);
    if (error)
        return err_ptr(error);
    file = open_name(dirfd, text.text, &r);
    user_path_put(&text);
    return file;
}

struct file *file_open(const char *name, int flags, mode_t mode)
{
    return file_open_at(AT_FDCWD, name, flags, mode);
}

struct file *path_open(const struct path *path, int flags)
{
    struct walk w = {.path = *path};
    struct open_request r;
    int error = request_init(&r, flags, 0);

    return error ? err_ptr(error) : open_checked(&w, &r, false);
}

struct file *path_open_exec(const struct path *path)
{
    struct walk w = {.path = *path};
    struct open_request r = {.flags = O_RDONLY};
    struct file *file = open_result(&w, &r);

    if (is_err(file))
        return file;
    if (inode_deny_write(file->inode) != 0) {
        file_put(file);
        return err_ptr(-ETXTBSY);
    }
    file->mode |= FILE_DENIES_WRITERS;
    return file;
}

static long open_user(int dirfd, const char __user *user_name, struct open_request *r)
{
    struct user_path name;
    struct file *file;
    int error = user_path_get(&name, user_name), fd;

    if (unlikely(error))
        return error;
    fd = fd_reserve(0, r->flags & O_CLOEXEC);
    if (likely(fd >= 0)) {
        file = open_name(dirfd, name.text, r);
        if (likely(!is_err(file))) {
            fd_install(fd, file);
        } else {
            fd_cancel(fd);
            fd = ptr_err(file);
        }
    }
    user_path_put(&name);
    return fd;
}

static inline long do_open(int dirfd, const char __user *name, unsigned flags, mode_t mode)
{
    struct open_request r;
    int error = request_init(&r, flags, mode);

    return unlikely(error) ? error : open_user(dirfd, name, &r);
}

SYSCALL_DEFINE3(open, const char __user *, name, int, flags, mode_t, mode)
{
    return do_open(AT_FDCWD, name, flags, mode);
}

SYSCALL_DEFINE4(openat, int, dirfd, const char __user *, name, int, flags, mode_t, mode)
{
    return do_open(dirfd, name, flags, mode);
}

SYSCALL_DEFINE2(creat, const char __user *, name, mode_t, mode)
{
    return do_open(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* ---- openat2(2): all that is not known is refused --------------------------------------------------------- */

#define PATH_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)
#define KNOWN_FLAGS                                                                                \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |          \
     O_DSYNC | FASYNC | O_DIRECT | O_LARGEFILE | O_NOATIME | __O_TMPFILE | PATH_FLAGS)
#define KNOWN_RESOLVE                                                                              \
    (RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH |             \
     RESOLVE_IN_ROOT | RESOLVE_CACHED)

static unsigned lookup_of(u64 resolve)
{
    static const struct {
        u64 resolve;
        unsigned lookup;
    } flags[] = {
        {RESOLVE_NO_XDEV, LOOKUP_NO_XDEV},         {RESOLVE_NO_MAGICLINKS, LOOKUP_NO_MAGIC_LINKS},
        {RESOLVE_NO_SYMLINKS, LOOKUP_NO_SYMLINKS}, {RESOLVE_BENEATH, LOOKUP_BENEATH},
        {RESOLVE_IN_ROOT, LOOKUP_IN_ROOT},         {RESOLVE_CACHED, LOOKUP_CACHED},
    };
    unsigned lookup = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(flags); i++)
        if (resolve & flags[i].resolve)
            lookup |= flags[i].lookup;
    return lookup;
}

static int how_check(const struct open_how *how)
{
    bool makes = how->flags & (O_CREAT | __O_TMPFILE);

    if ((how->flags & ~(u64)KNOWN_FLAGS) || (how->resolve & ~(u64)KNOWN_RESOLVE))
        return -EINVAL;
    if ((how->resolve & RESOLVE_BENEATH) && (how->resolve & RESOLVE_IN_ROOT))
        return -EINVAL;
    if (how->mode & ~(u64)(makes ? MODE_BITS : 0))
        return -EINVAL;
    if ((how->flags & O_PATH) && (how->flags & ~(u64)PATH_FLAGS))
        return -EINVAL;
    if ((how->resolve & RESOLVE_CACHED) && (how->flags & (O_TRUNC | O_CREAT | __O_TMPFILE)))
        return -EAGAIN;
    return 0;
}

SYSCALL_DEFINE4(openat2, int, dirfd, const char __user *, name, const struct open_how __user *,
                user, size_t, size)
{
    struct open_request r;
    struct open_how how;
    int error;

    if (size < sizeof(how))
        return -EINVAL;
    error = copy_struct_from_user(&how, sizeof(how), user, size);
    if (!error)
        error = how_check(&how);
    if (!error)
        error = request_init(&r, how.flags, how.mode);
    if (error)
        return error;
    r.lookup = lookup_of(how.resolve);
    return open_user(dirfd, name, &r);
}
