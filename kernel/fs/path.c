/* SPDX-License-Identifier: MIT */
/*
 * Paths as strings: copied from user space, resolved for callers outside the VFS, and made from a
 * dentry; and the directories a process works in.
 */
#include "internal.h"
#include <vellum/syscall.h>

static struct object_cache *name_cache;
static struct object_cache *fs_context_cache;

void __init name_cache_init(void)
{
    name_cache = object_cache_create("path", PATH_MAX + 8, 8);
    fs_context_cache = object_cache_create("fs_context", sizeof(struct fs_context), 8);
    if (!name_cache || !fs_context_cache)
        panic("no memory for the path caches");
}

char *name_alloc(void)
{
    return object_alloc(name_cache, ALLOC_KERNEL);
}

void name_free(char *name)
{
    object_free(name_cache, name);
}

char *name_from_user(const char __user *name)
{
    char *text = name_alloc();
    ssize_t n;

    if (!text)
        return err_ptr(-ENOMEM);
    n = copy_user_string(text, name, PATH_MAX);
    if (n < 0 || n == PATH_MAX) {
        name_free(text);
        return err_ptr(n < 0 ? n : -ENAMETOOLONG);
    }
    return text;
}

int user_path_get_slow(struct user_path *p, const char __user *name)
{
    char *text = name_from_user(name);

    if (is_err(text))
        return ptr_err(text);
    p->text = text;
    return 0;
}

int kernel_path_get(struct user_path *p, const char *name)
{
    p->text = p->small;
    if (strlcpy(p->small, name, SHORT_PATH) < SHORT_PATH)
        return 0;
    p->text = name_alloc();
    if (p->text && strlcpy(p->text, name, PATH_MAX) < PATH_MAX)
        return 0;
    if (p->text)
        name_free(p->text);
    p->text = p->small;
    return -ENAMETOOLONG;
}

int path_lookup_user(int dirfd, const char __user *name, unsigned flags, struct path *path)
{
    struct user_walk u;
    int error = user_walk(&u, dirfd, name, flags);

    if (!error)
        walk_take(&u.walk, path);
    user_walk_end(&u);
    return error;
}

int path_lookup(int dirfd, const char *name, unsigned flags, struct path *path)
{
    struct user_path text; /* the caller's may end right before the end of memory */
    struct walk w;
    int error = kernel_path_get(&text, name);

    if (error)
        return error;
    error = walk_path(&w, dirfd, text.text, flags);
    if (!error)
        walk_take(&w, path);
    walk_end(&w);
    user_path_put(&text);
    return error;
}

/* ---- names of dentries ---------------------------------------------------------------------------- */

static bool prepend(char **at, char *start, const char *text, size_t n)
{
    if ((size_t)(*at - start) < n)
        return false;
    *at -= n;
    memcpy(*at, text, n);
    return true;
}

/* Objects of the anonymous file system: "pipe:" gets its inode's number, others are as they are. */
static char *anonymous_name(const struct dentry *d, char *buffer, size_t size)
{
    const struct name *name = &d->name;
    int n;

    if (name->text[name->length - 1] == ':')
        n = snprintf(buffer, size, "%.*s[%lu]", (int)name->length, name->text,
                     (unsigned long)d->inode->ino);
    else
        n = snprintf(buffer, size, "%.*s", (int)name->length, name->text);
    return n < (int)size ? buffer : err_ptr(-ENAMETOOLONG);
}

/* => mount_lock, rename_lock. *reached: root was met on the way (not in another tree) */
static char *path_name_locked(const struct path *path, const struct path *root, char *buffer,
                              size_t size, bool *reached)
{
    struct mount *m = path->mount;
    struct dentry *d = path->dentry;
    char *at = buffer + size - 1;
    bool gone = d != d->parent && !(d->flags & DENTRY_HASHED);

    *reached = true;
    *at = 0;
    if (gone && !prepend(&at, buffer, " (deleted)", 10))
        return err_ptr(-ENAMETOOLONG);
    for (;;) {
        if (d == root->dentry && m == root->mount)
            break;
        if (d == m->root || d == d->parent) {
            if (d != m->root || !m->parent) {
                *reached = false;
                break;
            }
            d = m->mountpoint;
            m = m->parent;
            continue;
        }
        if (!prepend(&at, buffer, d->name.text, d->name.length) || !prepend(&at, buffer, "/", 1))
            return err_ptr(-ENAMETOOLONG);
        d = d->parent;
    }
    if (*at != '/' && !prepend(&at, buffer, "/", 1))
        return err_ptr(-ENAMETOOLONG);
    return at;
}

static char *path_name_from(const struct path *path, char *buffer, size_t size, bool *reached)
{
    struct fs_context *fs = current->fs;
    struct path root = {.mount = root_mount, .dentry = root_mount->root};
    char *name;

    *reached = true;
    if (path->dentry == path->dentry->parent && path->mount == anonymous_mount)
        return anonymous_name(path->dentry, buffer, size);
    if (fs) {
        spin_lock(&fs->lock);
        root = fs->root;
        path_get(&root);
        spin_unlock(&fs->lock);
    }
    spin_lock(&mount_lock);
    spin_lock(&rename_lock);
    name = path_name_locked(path, &root, buffer, size, reached);
    spin_unlock(&rename_lock);
    spin_unlock(&mount_lock);
    if (fs)
        path_put(&root);
    return name;
}

char *path_name(const struct path *path, char *buffer, size_t size)
{
    bool reached;

    return path_name_from(path, buffer, size, &reached);
}

bool path_reachable(const struct path *path, char *buffer, size_t size, char **name)
{
    bool reached;

    *name = path_name_from(path, buffer, size, &reached);
    return reached && !is_err(*name);
}

/* ---- root, working directory, umask --------------------------------------------------------------- */

struct fs_context *fs_context_fork(struct fs_context *parent)
{
    struct fs_context *fs = object_alloc(fs_context_cache, ALLOC_KERNEL);

    if (!fs)
        return err_ptr(-ENOMEM);
    ref_init(&fs->refs);
    spin_init(&fs->lock);
    spin_lock(&parent->lock);
    fs->umask = parent->umask;
    fs->root = parent->root;
    fs->cwd = parent->cwd;
    path_get(&fs->root);
    path_get(&fs->cwd);
    spin_unlock(&parent->lock);
    return fs;
}

void fs_context_put(struct fs_context *fs)
{
    if (!ref_put(&fs->refs))
        return;
    path_put(&fs->root);
    path_put(&fs->cwd);
    object_free(fs_context_cache, fs);
}

struct fs_context *fs_context_create(void)
{
    struct fs_context *fs = object_alloc(fs_context_cache, ALLOC_KERNEL);

    if (fs)
        fs_context_init_first(fs);
    return fs;
}

void fs_context_init_first(struct fs_context *fs)
{
    ref_init(&fs->refs);
    spin_init(&fs->lock);
    fs->umask = 022;
    fs->root = fs->cwd = (struct path){.mount = root_mount, .dentry = root_mount->root};
    path_get(&fs->root);
    path_get(&fs->cwd);
}

/* Consumes the references of path. */
static void set_path(struct path *slot, const struct path *path)
{
    struct fs_context *fs = current->fs;
    struct path old;

    spin_lock(&fs->lock);
    old = *slot;
    *slot = *path;
    spin_unlock(&fs->lock);
    path_put(&old);
}

SYSCALL_DEFINE1(chdir, const char __user *, name)
{
    struct path path;
    int error = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);

    if (error)
        return error;
    error = inode_permission(path.dentry->inode, MAY_EXEC);
    if (error)
        path_put(&path);
    else
        set_path(&current->fs->cwd, &path);
    return error;
}

SYSCALL_DEFINE1(fchdir, unsigned, fd)
{
    struct fd_ref ref = fd_get_any(fd);
    struct path path;
    int error;

    if (!ref.file)
        return -EBADF;
    error = -ENOTDIR;
    if (IS_DIR(ref.file->inode))
        error = inode_permission(ref.file->inode, MAY_EXEC);
    if (!error) {
        path = ref.file->path;
        path_get(&path);
        set_path(&current->fs->cwd, &path);
    }
    fd_put(ref);
    return error;
}

SYSCALL_DEFINE1(chroot, const char __user *, name)
{
    struct path path;
    int error = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);

    if (error)
        return error;
    error = inode_permission(path.dentry->inode, MAY_EXEC);
    if (!error && !capable(CAP_SYS_CHROOT))
        error = -EPERM;
    if (error)
        path_put(&path);
    else
        set_path(&current->fs->root, &path);
    return error;
}

SYSCALL_DEFINE2(getcwd, char __user *, buffer, unsigned long, size)
{
    struct fs_context *fs = current->fs;
    char *text = name_alloc(), *name;
    struct path cwd;
    bool reached;
    long result;

    if (!text)
        return -ENOMEM;
    spin_lock(&fs->lock);
    cwd = fs->cwd;
    path_get(&cwd);
    spin_unlock(&fs->lock);
    name = path_name_from(&cwd, text, PATH_MAX, &reached);
    result = is_err(name) ? ptr_err(name) : 0;
    if (!result && cwd.dentry != cwd.dentry->parent && !(cwd.dentry->flags & DENTRY_HASHED))
        result = -ENOENT;
    if (!result && !reached) {
        static const char prefix[] = "(unreachable)";

        if (!prepend(&name, text, prefix, sizeof(prefix) - 1))
            result = -ENAMETOOLONG;
    }
    if (!result) {
        result = text + PATH_MAX - name;
        if (result > (long)size)
            result = -ERANGE;
        else if (copy_to_user(buffer, name, result))
            result = -EFAULT;
    }
    path_put(&cwd);
    name_free(text);
    return result;
}

SYSCALL_DEFINE1(umask, unsigned, mask)
{
    struct fs_context *fs = current->fs;
    mode_t old;

    spin_lock(&fs->lock);
    old = fs->umask;
    fs->umask = mask & 0777;
    spin_unlock(&fs->lock);
    return old;
}
