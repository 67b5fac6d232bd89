/* SPDX-License-Identifier: MIT */
/*
 * What the files of the VFS share among themselves.
 */
#ifndef VELLUM_FS_INTERNAL_H
#define VELLUM_FS_INTERNAL_H

#include <vellum/alloc.h>
#include <vellum/format.h>
#include <vellum/fs.h>
#include <vellum/process.h>
#include <vellum/string.h>
#include <linux/fs.h>
#include <linux/mount.h>

/* linux/stat.h has these only for user space that has no C library. */
#define IS_DIR(inode)     (((inode)->mode & S_IFMT) == S_IFDIR)
#define IS_REGULAR(inode) (((inode)->mode & S_IFMT) == S_IFREG)
#define IS_SYMLINK(inode) (((inode)->mode & S_IFMT) == S_IFLNK)
#define IS_FIFO(inode)    (((inode)->mode & S_IFMT) == S_IFIFO)
#define IS_DEVICE(inode)                                                                           \
    (((inode)->mode & S_IFMT) == S_IFCHR || ((inode)->mode & S_IFMT) == S_IFBLK)

#define MODE_BITS      07777
#define MAX_LINK_JUMPS 40

/* ---- dentry.c ---------------------------------------------------------------------------------- */

void dentry_cache_init(void);

/* The names of a directory hash to different values under each parent. */
static inline void name_set(struct name *name, const struct dentry *parent, const char *text,
                            u32 length)
{
    name->text = text;
    name->length = length;
    name->hash = hash_bytes(text, length, (u64)parent);
}

/* The cached dentry of a name with a reference, or NULL. name->text is readable for 7 bytes beyond
 * its end. */
struct dentry *dentry_find(struct dentry *parent, const struct name *name);
/* Make a dentry that is complete (or negative) visible to lookups. => the directory's mutex */
void dentry_publish(struct dentry *d);
/* The name is gone: no lookup finds it. => the directory's mutex */
void dentry_unlink(struct dentry *d);
/* Before the name goes, if nothing is mounted there, nor will be from here on: 0 or -EBUSY. Undone by
 * dentry_keep() if it does not go after all. => the parent's mutex */
int dentry_begin_removal(struct dentry *d);
void dentry_keep(struct dentry *d);
/* `from` takes the place of `to`, which is unhashed if it was not already; or the two change places.
 * => the mutexes of both directories */
void dentry_move(struct dentry *from, struct dentry *to);
void dentry_exchange(struct dentry *a, struct dentry *b);
/* Forget everything below root, and root. => nobody uses the super block any more */
void dentry_destroy_tree(struct dentry *root);
/* Is `above` an ancestor of d, or d itself? => rename_mutex */
bool dentry_is_below(const struct dentry *d, const struct dentry *above);

/* Held over every change of a directory's place in the tree, so that two cannot make a loop. */
extern struct mutex rename_mutex;
/* Names and parents of dentries change only under it (besides the bucket and dentry locks): who
 * follows parents up to the root takes it. */
extern spinlock_t rename_lock;

/* ---- inode.c ----------------------------------------------------------------------------------- */

void inode_cache_init(void);
/* Sticky directories, permission to remove: 0, -EACCES, -EPERM. => dir->mutex */
int may_delete(struct mount *mount, struct inode *dir, struct dentry *victim, bool want_directory);
int may_create(struct mount *mount, struct inode *dir);
/* 0, or -EROFS for a change below this mount. */
static inline int mount_want_write(const struct mount *mount)
{
    return unlikely(mount_readonly(mount)) ? -EROFS : 0;
}
static inline bool is_owner_or_capable(const struct inode *inode)
{
    return current->cred->fsuid == inode->uid || capable(CAP_FOWNER);
}

/* The mode bits that matter to nobody's disadvantage answered at once. */
static inline int inode_search_permission(struct inode *dir)
{
    if (likely((dir->mode & 0111) == 0111 && !dir->ops->permission))
        return 0;
    return inode_permission(dir, MAY_EXEC);
}

/* Open for writing: 0 or -ETXTBSY; undone by inode_end_write(). */
int inode_begin_write(struct inode *inode);
void inode_end_write(struct inode *inode);
/* The rule of the mode bits alone, with other credentials or bits than usual (access(2)). */
int inode_mode_permission(const struct inode *inode, unsigned mask, const struct cred *cred,
                          unsigned bits);
int inode_set_attributes(struct inode *inode, const struct attributes *attr);
/* inode_change(), and those who watch the file are told. */
int path_change(const struct path *path, struct attributes *attr);

/* ---- file.c ------------------------------------------------------------------------------------ */

/* A file that is being opened for writing counts for its inode and its mount: 0, -ETXTBSY, -EROFS. Undone by
 * file_end_write() if FILE_COUNTED_WRITER is set. */
int file_begin_write(struct file *file);
void file_end_write(struct file *file);

/* ---- mount.c ----------------------------------------------------------------------------------- */

void mount_init(void);
/* Before a file is opened for writing: 0 or -EROFS; undone by mount_end_write(). */
int mount_begin_write(struct mount *m);
void mount_end_write(struct mount *m);
extern spinlock_t mount_lock;
/* What is mounted at (mount, dentry), with a reference; or NULL. */
struct mount *mount_find(struct mount *mount, struct dentry *dentry);
/* Move *path (references held) from a mount's root to its mountpoint. False at the top. */
bool mount_go_up(struct path *path);
void mount_put(struct mount *m);
extern struct mutex mount_mutex; /* the tree of mounts changes under it */
/* The open file that owned m's tree goes: so does the tree, if nobody has moved it. */
void mount_tree_forget(struct mount *m);
/* Put m, whose tree reference is the caller's, at `where`. => mount_mutex */
void mount_attach(struct mount *m, const struct path *where);
/* Take m out of the tree; its children stay below it. The tree's reference is the caller's now.
 * => mount_mutex */
void mount_detach(struct mount *m);
/* The same, but the directory that it leaves, of which the references are the caller's now, stays claimed. */
struct path mount_unhook(struct mount *m);
/* Nobody takes away the name of d from here on, so that something can be mounted there: 0, or -ENOENT, it is
 * going already. mountpoint_release() ends that if nothing is. => mount_mutex */
int mountpoint_claim(struct dentry *d);
void mountpoint_release(struct dentry *d);
static inline void mount_get(struct mount *m)
{
    ref_get(&m->refs);
}

/* ---- read_ahead.c => may sleep --------------------------------------------------------------------- */

/* Page `index` of the file's cache, whose home is a device, and which was not ready, for somebody who
 * reads `wanted` pages from it on: with a reference, or err_ptr; what comes next may be begun. */
struct page *read_ahead_page(struct file *file, u64 index, unsigned wanted);
/* The page, which had PG_READAHEAD, was asked for: begin the next window. */
void read_ahead_mark(struct file *file, struct page *page);
/* read_ahead_page() for a fault in a mapping of the file. */
struct page *read_ahead_for_fault(struct vm_fault *fault);
/* Begin to read what is missing among pages first..last. */
void page_cache_read_range(struct page_cache *cache, u64 first, u64 last);

/* ---- super.c ----------------------------------------------------------------------------------- */

struct fs_type *fs_type_find(const char *name);
extern struct wait_queue super_emptied; /* some super block has no inode any more */
void super_for_each(void (*fn)(struct super_block *sb));
void anonymous_fs_init(void);
extern struct mount *anonymous_mount;
extern struct inode *object_inode; /* of all files made by file_object() */

/* ---- handle.c ---------------------------------------------------------------------------------- */

void handle_unlinked(struct dentry *d);  /* one with DENTRY_HAS_HANDLE loses its name. => d->lock */
void handle_forget(struct inode *inode); /* one with has_handle, without references, is freed */

/* ---- walk.c ------------------------------------------------------------------------------------ */

/*
 * A walk in progress and its result. References to the start (working directory, root) are not
 * taken when nobody else could change them meanwhile; `counted` says what walk_end() has to put.
 */
struct walk {
    struct path path;
    bool mount_counted, dentry_counted;
    bool root_counted;
    bool trailing_slash; /* the last name was followed by one */
    u8 last_type;        /* with LOOKUP_PARENT: LAST_* */
    u8 jumps;            /* symbolic links followed */
    u8 depth;            /* saved places in use */
    unsigned flags;      /* LOOKUP_* */
    struct path root;
    struct name last;          /* with LOOKUP_PARENT: the name in path.dentry, hashed */
    const char *rest;          /* of the path, not walked yet */
    struct walk_place *places; /* where to go on when a symbolic link's text is used up */
    struct dentry *link;       /* holds the text that `rest` points into */
    char *link_buffer;         /* or this does */
};
enum { LAST_NAME, LAST_DOT, LAST_DOT_DOT, LAST_ROOT };

/* Walk `name` (kernel memory, readable for 7 bytes after its end). Success or not: walk_end(). */
int walk_path(struct walk *w, int dirfd, const char *name, unsigned flags);
/* After LOOKUP_PARENT: look the last name up; on success w->path is what it means. Symbolic links
 * are followed if flags & LOOKUP_FOLLOW. A missing name: -ENOENT with w->path still the directory.
 * A slash behind it: -EISDIR, as for open(2) with O_CREAT. */
int walk_last(struct walk *w);
void walk_end(struct walk *w);
void walk_to(struct walk *w, struct dentry *d); /* go to d, whose reference is taken over */
void walk_jump(struct walk *w, const struct path *path); /* the same with a path */
/* The result as a path that owns its references; walk_end() is still due. */
void walk_take(struct walk *w, struct path *path);
/* walk_link.c. d, whose reference is taken over, is a symbolic link that was found in w->path; w->rest is what
 * follows it. Go where it leads, or make its text what is walked next. 0 or -errno */
int walk_follow(struct walk *w, struct dentry *d);
void walk_pop(struct walk *w); /* the text is used up: on behind its link. => w->depth > 0 */
void walk_end_links(struct walk *w);

/* The dentry of a name in a directory with a reference, possibly negative; NULL if there is none
 * and the file system does not remember that; or err_ptr. => dir mutex held iff `locked` */
struct dentry *lookup_one(struct dentry *parent, const struct name *name, bool locked);

/* A path string of the user: on the stack if it is short. */
#define SHORT_PATH 128
struct user_path {
    char *text;
    char small[SHORT_PATH + 8];
};
int user_path_get_slow(struct user_path *p, const char __user *name);
static inline int user_path_get(struct user_path *p, const char __user *name)
{
    ssize_t n = copy_user_string(p->small, name, SHORT_PATH);

    p->text = p->small;
    if (likely((size_t)n < SHORT_PATH))
        return 0;
    return n < 0 ? n : user_path_get_slow(p, name);
}
static inline void user_path_put(struct user_path *p)
{
    if (unlikely(p->text != p->small))
        name_free(p->text);
}

int kernel_path_get(struct user_path *p, const char *name); /* the same of a kernel string */

/* Copy the path and walk it: user_walk_end() is due in any case. */
struct user_walk {
    struct walk walk;
    struct user_path name;
};
static inline int user_walk(struct user_walk *u, int dirfd, const char __user *name, unsigned flags)
{
    int error = user_path_get(&u->name, name);

    u->walk.flags = ~0u;
    return unlikely(error) ? error : walk_path(&u->walk, dirfd, u->name.text, flags);
}
static inline void user_walk_end(struct user_walk *u)
{
    if (u->walk.flags != ~0u)
        walk_end(&u->walk);
    user_path_put(&u->name);
}

/* ---- file.c, open.c ---------------------------------------------------------------------------- */

void file_cache_init(void);
/* One reference, cred taken, the rest zero; or err_ptr (-ENOMEM, -ENFILE). */
struct file *file_alloc(void);
void file_free(struct file *file); /* one that was never opened */
static inline void file_set_inode(struct file *file, struct inode *inode)
{
    file->inode = inode;
    file_set_cache(file, &inode->cache);
}
unsigned file_mode_of(unsigned flags); /* FILE_READ, FILE_WRITE by O_ACCMODE */
int fd_duplicate(unsigned fd, unsigned min, bool close_on_exec);
void files_cache_init(void);

/* ---- others ------------------------------------------------------------------------------------ */

void name_cache_init(void);
char *name_alloc(void); /* PATH_MAX + 8 bytes, name_free(); or NULL */
/* Can it be named from the current root? Then *name is that, at the end of buffer. */
bool path_reachable(const struct path *path, char *buffer, size_t size, char **name);
/* The access time of an inode reached through mount: relatime, noatime. */
void inode_accessed(struct mount *mount, struct inode *inode);
/* ---- names.c */
/* A negative dentry for a name that is to be made, with a reference; -EEXIST. => dir mutex */
struct dentry *dentry_for_create(struct dentry *parent, const struct name *name);
void dentry_created(struct dentry *d); /* it has its inode now: let lookups find it */
extern const struct file_ops bad_file_ops;
extern const struct file_ops no_device_file_ops; /* opening it: -ENXIO */
void tmpfs_init(void);
void ramfs_init(void);
long locks_fcntl(unsigned fd, struct file *file, unsigned command, struct flock __user *ufl);
void locks_release(struct file *file); /* flock of a file that goes */
void locks_close(struct file *file,
                 struct files *files); /* POSIX locks of a table that closes it */
void locks_free(struct inode *inode);
void xattrs_free(struct inode *inode);

#endif
