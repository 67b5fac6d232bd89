/* SPDX-License-Identifier: MIT */
/*
 * A file system that is being set up, as a descriptor: fsopen(2), fsconfig(2), fsmount(2), fspick(2).
 *
 *     fsopen("ext3")                       PARAMETERS
 *     fsconfig(SET_STRING, "source" ...)   PARAMETERS       collected as the option text of mount(2)
 *     fsconfig(CMD_CREATE)                 CREATED          there is a super block now
 *     fsmount()                            MOUNTED          and a mount of it, as a descriptor
 *     fsconfig(SET_FLAG, "ro")             CHANGING         what is to become of it; fspick(2) begins here
 *     fsconfig(CMD_RECONFIGURE)            MOUNTED
 *
 * What fails leaves FAILED: nothing more can be done with it. The file system's own words on what was
 * wrong could be read from the descriptor; ours have none.
 */
#include "mount.h"
#include <vellum/syscall.h>

#define KEY_MAX 256

enum phase { PARAMETERS, CREATED, MOUNTED, CHANGING, FAILED };

struct mount_context {
    struct mutex mutex;
    enum phase phase;         /* [m] */
    struct fs_type *type;     /* [i] */
    struct super_block *sb;   /* [m] with a reference, from CREATED on */
    unsigned long set, clear; /* [m] MS_*: flags of the file system that were named */
    char *source;             /* [m] or NULL */
    char *options;            /* [m] or NULL: with commas between them */
};
/* [m] mutex  [i] constant */

/* ---- the descriptor ---------------------------------------------------------------------------------------- */

static ssize_t context_read(struct file *file, struct iov_iter *it, loff_t *pos)
{
    return -ENODATA; /* no messages */
}

static void forget_parameters(struct mount_context *c)
{
    kfree(c->source);
    kfree(c->options);
    c->source = c->options = NULL;
    c->set = c->clear = 0;
}

static void context_free(struct mount_context *c)
{
    forget_parameters(c);
    if (c->sb)
        super_put(c->sb);
    kfree(c);
}

static void context_release(struct file *file)
{
    context_free(file->private_data);
}

static const struct file_ops context_ops = {.read = context_read, .release = context_release};

/* sb: its reference is consumed. */
static long context_open(struct fs_type *type, struct super_block *sb, enum phase phase,
                         bool close_on_exec)
{
    struct mount_context *c = kzalloc(sizeof(*c), ALLOC_KERNEL);
    struct file *file;

    if (!c) {
        if (sb)
            super_put(sb);
        return -ENOMEM;
    }
    mutex_init(&c->mutex);
    c->type = type;
    c->sb = sb;
    c->phase = phase;
    file = file_object("anon_inode:[fscontext]", &context_ops, c, O_RDWR);
    if (is_err(file))
        context_free(c);
    return fd_for_file(file, close_on_exec);
}

SYSCALL_DEFINE2(fsopen, const char __user *, user_name, unsigned, flags)
{
    struct fs_type *type;
    char *name;

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned)FSOPEN_CLOEXEC)
        return -EINVAL;
    name = mount_string(user_name, PAGE_SIZE);
    if (is_err(name) || !name)
        return name ? ptr_err(name) : -EFAULT;
    type = fs_type_find(name);
    kfree(name);
    return type ? context_open(type, NULL, PARAMETERS, flags & FSOPEN_CLOEXEC) : -ENODEV;
}

#define PICK_FLAGS                                                                                 \
    (FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT | FSPICK_EMPTY_PATH)

SYSCALL_DEFINE3(fspick, int, dirfd, const char __user *, name, unsigned, flags)
{
    struct super_block *sb;
    struct path path;
    long result;

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned)PICK_FLAGS)
        return -EINVAL;
    result = path_lookup_user(dirfd, name,
                              (flags & FSPICK_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                                  (flags & FSPICK_EMPTY_PATH ? LOOKUP_EMPTY : 0),
                              &path);
    if (result)
        return result;
    sb = path.mount->sb;
    result = -EINVAL;
    if (path.dentry == path.mount->root) {
        ref_get(&sb->refs);
        result = context_open(sb->type, sb, CHANGING, flags & FSPICK_CLOEXEC);
    }
    path_put(&path);
    return result;
}

/* ---- parameters => c->mutex ------------------------------------------------------------------------------- */

/* Flags that every file system has. */
static bool common_flag(struct mount_context *c, const char *key)
{
    static const struct {
        const char *name;
        unsigned long set, clear;
    } names[] = {
        {"ro", MS_RDONLY, 0},           {"rw", 0, MS_RDONLY},       {"sync", MS_SYNCHRONOUS, 0},
        {"async", 0, MS_SYNCHRONOUS},   {"dirsync", MS_DIRSYNC, 0}, {"lazytime", MS_LAZYTIME, 0},
        {"nolazytime", 0, MS_LAZYTIME},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(names[i].name, key) != 0)
            continue;
        c->set = (c->set & ~names[i].clear) | names[i].set;
        c->clear = (c->clear & ~names[i].set) | names[i].clear;
        return true;
    }
    return false;
}

/* value NULL: a flag */
static int add_option(struct mount_context *c, const char *key, const char *value)
{
    size_t used = c->options ? strlen(c->options) : 0;
    size_t n = used + strlen(key) + (value ? strlen(value) : 0) + 3;
    char *text;

    if (strchr(key, ',') || (value && strchr(value, ',')) || n > PAGE_SIZE)
        return -EINVAL;
    text = kmalloc(n, ALLOC_KERNEL);
    if (!text)
        return -ENOMEM;
    snprintf(text, n, "%s%s%s%s%s", used ? c->options : "", used ? "," : "", key, value ? "=" : "",
             value ? value : "");
    kfree(c->options);
    c->options = text;
    return 0;
}

static int set_source(struct mount_context *c, const char *value)
{
    if (c->source || c->phase != PARAMETERS)
        return -EINVAL;
    c->source = kstrdup(value, ALLOC_KERNEL);
    return c->source ? 0 : -ENOMEM;
}

static int set_parameter(struct mount_context *c, const char *key, const char *value)
{
    if (c->phase == MOUNTED) /* a new round */
        c->phase = CHANGING;
    if (c->phase != PARAMETERS && c->phase != CHANGING)
        return -EBUSY;
    if (!value && common_flag(c, key))
        return 0;
    return value && strcmp(key, "source") == 0 ? set_source(c, value) : add_option(c, key, value);
}

/* ---- commands => c->mutex ---------------------------------------------------------------------------------- */

static int create(struct mount_context *c)
{
    struct super_block *sb;

    if (c->phase != PARAMETERS)
        return -EBUSY;
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    sb = c->type->mount(c->type, c->set & MS_RDONLY, c->source ? c->source : "none", c->options);
    c->phase = is_err(sb) ? FAILED : CREATED;
    if (is_err(sb))
        return ptr_err(sb);
    c->sb = sb;
    return 0;
}

static int reconfigure(struct mount_context *c)
{
    int error;

    if (c->phase == MOUNTED)
        c->phase = CHANGING;
    if (c->phase != CHANGING)
        return -EBUSY;
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    mutex_lock(&mount_mutex);
    error = super_reconfigure(c->sb, (c->sb->flags & ~c->clear) | c->set, c->options);
    mutex_unlock(&mount_mutex);
    forget_parameters(c);
    c->phase = error ? FAILED : MOUNTED;
    return error;
}

/* Which of the arguments a command takes: -EINVAL for others. */
static int check_arguments(unsigned command, bool key, bool value, int aux)
{
    switch (command) {
    case FSCONFIG_SET_FLAG:
        return key && !value && !aux ? 0 : -EINVAL;
    case FSCONFIG_SET_STRING:
        return key && value && !aux ? 0 : -EINVAL;
    case FSCONFIG_SET_BINARY:
        return key && value && aux > 0 && aux <= 1 << 20 ? -EOPNOTSUPP : -EINVAL;
    case FSCONFIG_SET_PATH:
    case FSCONFIG_SET_PATH_EMPTY:
        return key && value && (aux == AT_FDCWD || aux >= 0) ? -EOPNOTSUPP : -EINVAL;
    case FSCONFIG_SET_FD:
        return key && !value && aux >= 0 ? -EOPNOTSUPP : -EINVAL;
    case FSCONFIG_CMD_CREATE:
    case FSCONFIG_CMD_RECONFIGURE:
        return key || value || aux ? -EINVAL : 0;
    default:
        return -EOPNOTSUPP;
    }
}

static int configure(struct mount_context *c, unsigned command, const char *key, const char *value)
{
    int error;

    mutex_lock(&c->mutex);
    switch (command) {
    case FSCONFIG_CMD_CREATE:
        error = create(c);
        break;
    case FSCONFIG_CMD_RECONFIGURE:
        error = reconfigure(c);
        break;
    default:
        error = set_parameter(c, key, value);
    }
    mutex_unlock(&c->mutex);
    return error;
}

SYSCALL_DEFINE5(fsconfig, int, fd, unsigned, command, const char __user *, user_key,
                const void __user *, user_value, int, aux)
{
    struct fd_ref ref = {};
    char *key = NULL, *value = NULL;
    int error = fd < 0 ? -EINVAL : check_arguments(command, user_key, user_value, aux);

    if (error)
        return error;
    ref = fd_get(fd);
    if (!ref.file)
        return -EBADF;
    error = -EINVAL;
    if (ref.file->ops != &context_ops)
        goto out;
    key = mount_string(user_key, KEY_MAX);
    value = is_err(key) ? NULL : mount_string(user_value, KEY_MAX);
    error = is_err(key) ? ptr_err(key) : is_err(value) ? ptr_err(value) : 0;
    if (!error)
        error = configure(ref.file->private_data, command, key, value);
    if (!is_err(value))
        kfree(value);
    if (!is_err(key))
        kfree(key);
out:
    fd_put(ref);
    return error;
}

/* ---- fsmount(2) --------------------------------------------------------------------------------------------- */

/* A mount of what was created. => c->mutex. err_ptr */
static struct mount *make_mount(struct mount_context *c, unsigned long flags)
{
    struct mount *m;

    if (!c->sb)
        return err_ptr(-EINVAL);
    if (c->phase != CREATED)
        return err_ptr(-EBUSY);
    ref_get(&c->sb->refs);
    m = mount_alloc(c->sb, c->sb->root, flags, c->source ? c->source : "none");
    if (!m)
        return err_ptr(-ENOMEM);
    forget_parameters(c);
    c->phase = MOUNTED;
    return m;
}

SYSCALL_DEFINE3(fsmount, int, fd, unsigned, flags, unsigned, attributes)
{
    struct mount_context *c;
    unsigned long mount_flags;
    struct mount *m;
    struct fd_ref ref;

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if ((flags & ~(unsigned)FSMOUNT_CLOEXEC) || mount_attributes(attributes, &mount_flags))
        return -EINVAL;
    ref = fd_get(fd);
    if (!ref.file)
        return -EBADF;
    m = err_ptr(-EINVAL);
    if (ref.file->ops == &context_ops) {
        c = ref.file->private_data;
        mutex_lock(&c->mutex);
        m = make_mount(c, mount_flags);
        mutex_unlock(&c->mutex);
    }
    fd_put(ref);
    return is_err(m) ? ptr_err(m) : mount_descriptor(m, flags & FSMOUNT_CLOEXEC);
}
