/* SPDX-License-Identifier: MIT */
/*
 * Inodes, directories, files and links of the process file system, driven by struct proc_entry.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/format.h>
#include <vellum/printk.h>
#include <vellum/string.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mount.h>

#define WRITE_MAX 4095

struct proc_inode *proc_inode(struct inode *inode)
{
    return inode->private_data;
}

int proc_number(const char *name)
{
    u64 n;

    if (name[0] < '0' || name[0] > '9' || (name[0] == '0' && name[1]) || strchr(name, '\n') ||
        str_to_u64(name, 10, &n) != 0 || n > INT32_MAX)
        return -1;
    return n;
}

int proc_parse(char *text, s64 min, s64 max, s64 *value)
{
    char *word = text + strspn(text, " \t\n");

    word[strcspn(word, " \t\n")] = '\0';
    if (str_to_s64(word, 0, value) != 0 || *value < min || *value > max)
        return -EINVAL;
    return 0;
}

int proc_show_value(struct seq_file *m, struct proc_inode *pi)
{
    seq_printf(m, "%d\n", READ_ONCE(*pi->entry->value));
    return 0;
}

ssize_t proc_write_value(struct proc_inode *pi, char *text, size_t n)
{
    s64 value;
    int error = proc_parse(text, pi->entry->min, pi->entry->max, &value);

    if (!error)
        WRITE_ONCE(*pi->entry->value, value);
    return error;
}

/* ---- who may look into a process --------------------------------------------------------------------- */

bool proc_may_look(struct process *p)
{
    const struct cred *me = current->cred, *c;
    bool same;

    if (p == current->process || capable(CAP_SYS_PTRACE))
        return true;
    c = process_cred(p);
    same = me->fsuid == c->uid && me->fsuid == c->euid && me->fsuid == c->suid &&
           me->fsgid == c->gid && me->fsgid == c->egid && me->fsgid == c->sgid &&
           !(c->cap_permitted & ~me->cap_effective);
    cred_put(c);
    return same && process_dumpable(p) != 0;
}

struct thread *proc_subject(const struct proc_inode *pi)
{
    if (!pi->thread)
        return process_leader(pi->process);
    ref_get(&pi->thread->refs);
    return pi->thread;
}

/* ---- validity and ownership -------------------------------------------------------------------------- */

static bool is_gone(const struct proc_inode *pi)
{
    return (pi->process && READ_ONCE(pi->process->state) == PROCESS_REAPED) ||
           (pi->thread && READ_ONCE(pi->thread->state) == TASK_DEAD &&
            pi->thread != READ_ONCE(pi->process->leader));
}

/* Files of a process belong to its effective user; but if it keeps secrets, to root, except for the
 * directories that all may read. */
static void take_owner(struct inode *inode)
{
    struct proc_inode *pi = proc_inode(inode);
    const struct cred *c;
    bool open_directory = inode->mode == (S_IFDIR | 0555);

    if (!pi->process)
        return;
    c = pi->thread ? thread_cred(pi->thread) : process_cred(pi->process);
    if (!open_directory && process_dumpable(pi->process) == 0)
        c = (cred_put(c), cred_get(&root_cred));
    inode->uid = c->euid;
    inode->gid = c->egid;
    cred_put(c);
}

static bool still_valid(struct inode *inode)
{
    struct proc_inode *pi = proc_inode(inode);

    if (is_gone(pi) || (pi->fd >= 0 && !proc_fd_valid(pi, inode->mode)) ||
        (pi->range[1] && !proc_map_valid(pi)))
        return false;
    take_owner(inode);
    return true;
}

/* May the current thread open it or look inside? */
static int check_access(const struct proc_inode *pi)
{
    if (is_gone(pi))
        return -ESRCH;
    return pi->entry->private && !proc_may_look(pi->process) ? -EACCES : 0;
}

/* ---- files ---------------------------------------------------------------------------------------------- */

static int show(struct seq_file *m, void *arg)
{
    struct proc_inode *pi = arg;

    if (is_gone(pi))
        return -ESRCH;
    return pi->entry->show(m, pi);
}

int proc_text_open(struct inode *inode, struct file *file)
{
    return seq_open(file, show, proc_inode(inode));
}

static int file_open_entry(struct inode *inode, struct file *file)
{
    struct proc_inode *pi = proc_inode(inode);
    int error = check_access(pi);

    if (error)
        return error;
    if (pi->entry->file_ops) {
        file_set_ops(file, pi->entry->file_ops);
        return file->ops->open ? file->ops->open(inode, file) : 0;
    }
    if ((!pi->entry->show && (file->mode & FILE_READ)) ||
        (!pi->entry->write && (file->mode & FILE_WRITE)))
        return -EACCES; /* even for who is above permissions */
    return proc_text_open(inode, file);
}

static ssize_t file_write_entry(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct proc_inode *pi = proc_inode(file->inode);
    size_t n = iter->count;
    ssize_t r = -EFAULT;
    char *text;

    if (!pi->entry->write || n > WRITE_MAX)
        return -EINVAL;
    text = kmalloc(n + 1, ALLOC_KERNEL);
    if (!text)
        return -ENOMEM;
    if (copy_from_iter(iter, text, n) == n) {
        text[n] = '\0';
        r = is_gone(pi) ? -ESRCH : pi->entry->write(pi, text, n);
    }
    kfree(text);
    return r < 0 ? r : (ssize_t)n;
}

static const struct file_ops text_ops = {
    .open = file_open_entry,
    .read = seq_read,
    .write = file_write_entry,
    .seek = seek_cookie,
    .release = seq_release,
};

static int no_attributes(struct inode *inode, const struct attributes *attr)
{
    return attr->valid & (ATTR_MODE | ATTR_UID | ATTR_GID) ? -EPERM : 0; /* O_TRUNC is no matter */
}

/* ---- links ------------------------------------------------------------------------------------------------ */

static const char *get_link(struct inode *inode, char *buffer)
{
    struct proc_inode *pi = proc_inode(inode);
    struct path target;
    const char *name;
    size_t n;
    int r;

    if (!buffer)
        return err_ptr(-EAGAIN);
    if (pi->entry->link)
        return pi->entry->link(pi, buffer);
    if (!proc_may_look(pi->process))
        return err_ptr(-EACCES);
    r = pi->entry->follow(pi, &target);
    if (r)
        return err_ptr(r);
    name = path_name(&target, buffer, PATH_MAX - 8);
    path_put(&target);
    if (is_err(name))
        return name;
    n = strlen(name);
    memmove(buffer, name, n + 1); /* the caller wants it readable for a word beyond its end */
    return buffer;
}

static int follow(struct inode *inode, struct path *target)
{
    struct proc_inode *pi = proc_inode(inode);

    if (!proc_may_look(pi->process))
        return -EACCES;
    if (pi->entry->follow_privileged && !capable(CAP_SYS_ADMIN))
        return -EPERM;
    return pi->entry->follow(pi, target);
}

/* ---- directories --------------------------------------------------------------------------------------------- */

static int lookup(struct inode *dir, struct dentry *dentry)
{
    struct proc_inode *pi = proc_inode(dir);
    struct super_block *sb = dir->sb;
    struct inode *inode = NULL;
    char name[NAME_MAX + 1];
    const struct proc_entry *e = pi->entry->children;
    int error;

    if ((error = check_access(pi)) != 0)
        return error == -ESRCH ? -ENOENT : error;
    memcpy(name, dentry->name.text, dentry->name.length);
    name[dentry->name.length] = '\0';
    while (e && e->name && strcmp(e->name, name) != 0)
        e++;
    if (e && e->name) {
        inode = proc_make(sb, e, pi->process, pi->thread, -1);
        if (!inode)
            return -ENOMEM;
    } else if (pi->entry->lookup) {
        inode = pi->entry->lookup(sb, pi, name);
        if (is_err(inode))
            return ptr_err(inode);
    }
    if (inode) {
        dentry->flags |= DENTRY_VOLATILE;
        dentry_instantiate(dentry, inode);
    }
    return 0;
}

bool proc_emit_number(struct dir_context *ctx, u64 number, unsigned type)
{
    char name[24];
    unsigned n = snprintf(name, sizeof(name), "%llu", (unsigned long long)number);

    return ctx->emit(ctx, name, n, number + PROC_DYNAMIC, type);
}

static int read_dir(struct file *file, struct dir_context *ctx)
{
    struct proc_inode *pi = proc_inode(file->inode);
    struct inode *parent = file->path.dentry->parent->inode;
    int error = check_access(pi);

    if (error)
        return error == -ESRCH ? -ENOENT : error;
    if (ctx->pos == 0) {
        if (!ctx->emit(ctx, ".", 1, file->inode->ino, S_IFDIR >> 12))
            return 0;
        ctx->pos = 1;
    }
    if (ctx->pos == 1) {
        if (!ctx->emit(ctx, "..", 2, parent->ino, S_IFDIR >> 12))
            return 0;
        ctx->pos = 2;
    }
    if (ctx->pos < PROC_DYNAMIC) {
        const struct proc_entry *e = pi->entry->children;

        for (loff_t i = 2; e && e->name; e++, i++) {
            if (i < ctx->pos)
                continue;
            if (!ctx->emit(ctx, e->name, strlen(e->name), (u64)(vaddr_t)e & INT32_MAX,
                           e->mode >> 12))
                return 0;
            ctx->pos = i + 1;
        }
        ctx->pos = PROC_DYNAMIC;
    }
    return pi->entry->read_dir ? pi->entry->read_dir(pi, ctx) : 0;
}

static const struct file_ops directory_ops = {.read_dir = read_dir, .seek = seek_generic};

/* ---- making inodes ---------------------------------------------------------------------------------------------- */

static const struct inode_ops directory_inode_ops = {
    .lookup = lookup,
    .set_attributes = no_attributes,
    .still_valid = still_valid,
    .refresh = take_owner,
};
static const struct inode_ops file_inode_ops = {
    .set_attributes = no_attributes,
    .still_valid = still_valid,
    .refresh = take_owner,
};
static const struct inode_ops link_inode_ops = {
    .get_link = get_link,
    .still_valid = still_valid,
    .refresh = take_owner,
};
static const struct inode_ops object_link_inode_ops = {
    .get_link = get_link,
    .follow = follow,
    .still_valid = still_valid,
    .refresh = take_owner,
};

struct process *process_of_directory(const struct file *file)
{
    struct proc_inode *pi = file->ops == &directory_ops ? proc_inode(file->inode) : NULL;

    if (!pi || pi->entry != &process_directory || pi->thread)
        return NULL;
    process_get(pi->process);
    return pi->process;
}

static void free_inode(struct inode *inode)
{
    struct proc_inode *pi = proc_inode(inode);

    if (!pi)
        return;
    if (pi->thread)
        thread_put(pi->thread);
    if (pi->process)
        process_put(pi->process);
    kfree(pi);
}

static void set_operations(struct inode *inode, const struct proc_entry *entry)
{
    if (S_ISDIR(entry->mode)) {
        inode->ops = &directory_inode_ops;
        inode->file_ops = &directory_ops;
        inode->nlink = 2;
    } else if (S_ISLNK(entry->mode)) {
        inode->ops = entry->follow ? &object_link_inode_ops : &link_inode_ops;
    } else {
        inode->ops = &file_inode_ops;
        inode->file_ops = &text_ops;
    }
}

struct inode *proc_make(struct super_block *sb, const struct proc_entry *entry,
                        struct process *process, struct thread *thread, int fd)
{
    struct proc_inode *pi = kzalloc(sizeof(*pi), ALLOC_KERNEL);
    struct inode *inode = pi ? inode_alloc(sb) : NULL;

    if (!inode) {
        kfree(pi);
        return NULL;
    }
    *pi = (struct proc_inode){.entry = entry, .process = process, .thread = thread, .fd = fd};
    if (process)
        process_get(process);
    if (thread)
        ref_get(&thread->refs);
    inode->private_data = pi;
    inode->mode = entry->mode;
    inode->ino = inode_next_number();
    inode->nlink = 1;
    set_operations(inode, entry);
    take_owner(inode);
    return inode;
}

/* ---- the file system ----------------------------------------------------------------------------------------------- */

static int proc_statfs(struct super_block *sb, struct statfs_info *info)
{
    info->block_size = PAGE_SIZE;
    info->name_max = NAME_MAX;
    return 0;
}

static const struct super_ops super_ops = {.free_inode = free_inode, .statfs = proc_statfs};

static struct super_block *mount_proc(struct fs_type *type, unsigned long flags, const char *source,
                                      const char *data);
static struct fs_type proc_type = {.name = "proc", .mount = mount_proc};

/* One tree, made at the first mount and kept. */
static struct super_block *mount_proc(struct fs_type *type, unsigned long flags, const char *source,
                                      const char *data)
{
    static const struct proc_entry root = {.name = "",
                                           .mode = S_IFDIR | 0555,
                                           .children = root_entries,
                                           .lookup = proc_root_lookup,
                                           .read_dir = proc_root_read_dir};
    static struct super_block *the_one;
    static DEFINE_MUTEX(lock);
    struct super_block *sb;
    struct inode *inode;

    mutex_lock(&lock);
    sb = the_one;
    if (!sb) {
        sb = super_alloc(type);
        inode = sb ? proc_make(sb, &root, NULL, NULL, -1) : NULL;
        if (inode) {
            sb->ops = &super_ops;
            sb->magic = PROC_SUPER_MAGIC;
            sb->block_size = 1024; /* what stat(2) tells there; statfs(2) says a page */
            sb->max_size = INT64_MAX;
            sb->flags |= SB_NO_NEGATIVE;
            sb->root = dentry_make_root(sb, inode);
        }
        if (sb && sb->root)
            the_one = sb;
        else if (sb)
            super_put(sb);
    }
    if (the_one)
        ref_get(&the_one->refs);
    mutex_unlock(&lock);
    return the_one ? the_one : err_ptr(-ENOMEM);
}

void procfs_init(void)
{
    fs_register(&proc_type);
    proc_namespaces_init();
}
