/* SPDX-License-Identifier: MIT */
/*
 * The virtual file system: super blocks, inodes, directory entries, mounts and open files.
 *
 * A path is walked entry by entry through the dentry cache; what is not cached is asked of the
 * directory's inode_ops. An absent name is cached too (a negative dentry: inode NULL). In a
 * file system whose dentries are its only directory (tmpfs, devfs: SB_DENTRIES_ARE_HOME) they stay as
 * long as the file exists, and a name that is not among them does not exist.
 */
#ifndef VELLUM_FS_H
#define VELLUM_FS_H

#include <vellum/cred.h>
#include <vellum/file.h>
#include <vellum/files.h>
#include <vellum/hash.h>
#include <vellum/page_cache.h>
#include <vellum/rbtree.h>
#include <vellum/time.h>
#include <linux/limits.h>

struct signal_owner;
struct super_block;
struct vma;
struct statfs_info;

/* ---- super block ------------------------------------------------------------------------------ */

struct fs_type {
    const char *name;
    /* Make (or find) the super block for a mount. data: option string or NULL. err_ptr on error. */
    struct super_block *(*mount)(struct fs_type *type, unsigned long flags, const char *source,
                                 const char *data);
    bool needs_device;
    struct list link;
};
void fs_register(struct fs_type *type);
void fs_types_show(struct seq_file *m); /* /proc/filesystems */
/* A new super block with one reference and a device number of its own, or NULL; super_put() ends it:
 * at the last one its tree goes, then put_super() is called. */
struct super_block *super_alloc(struct fs_type *type);
/* Call parse for each of the comma-separated options of mount(2), which may write to it, until one is
 * refused. text may be NULL. 0, -ENOMEM or what parse said */
int mount_options(const char *text, int (*parse)(void *arg, char *option), void *arg);
void super_put(struct super_block *sb);

struct super_ops {
    /* The last reference went: free private_data. The caches and the inode itself are the core's. */
    void (*free_inode)(struct inode *inode);
    int (*write_inode)(struct inode *inode);
    int (*statfs)(struct super_block *sb, struct statfs_info *info);
    int (*sync)(struct super_block *sb);
    int (*remount)(struct super_block *sb, unsigned long flags, const char *data);
    void (*put_super)(struct super_block *sb);
    void (*show_options)(struct super_block *sb, struct seq_file *m);
};

/* super_block->flags above the MS_* flags of mount(2) */
#define SB_DENTRIES_ARE_HOME                                                                       \
    0x100000000UL                    /* dentries are the directory; no lookup, no negative ones */
#define SB_NO_NEGATIVE 0x200000000UL /* absent names are not remembered (procfs) */
#define SB_INTERNAL    0x400000000UL /* cannot be mounted: pipes, shared memory */
#define SB_XATTRS      0x800000000UL /* extended attributes are kept with the inodes */

struct super_block {
    struct fs_type *type;
    const struct super_ops *ops;
    dev_id_t device; /* st_dev */
    u32 block_size;
    u32 magic;                 /* statfs f_type */
    unsigned long flags;       /* MS_RDONLY ..., SB_* */
    u64 max_size;              /* largest file, bytes */
    unsigned time_granularity; /* ns */
    struct dentry *root;
    refcount_t refs; /* mounts */
    atomic_long_t inodes;
    atomic_t writers;       /* inodes open for writing, each as often as it is */
    bool held;              /* [mount lock] super_make_readonly() looks for writers; others wait */
    struct rb_root handles; /* inodes that have a file handle: kernel/fs/handle.c */
    void *private_data;
    struct list link; /* [super list lock] */
};

/* ---- inode -------------------------------------------------------------------------------------- */

struct attributes { /* for inode_ops->set_attributes (chmod, chown, utimes, truncate) */
    unsigned valid; /* ATTR_* */
    mode_t mode;
    uid_t uid;
    gid_t gid;
    u64 size;
    s64 atime, mtime, ctime; /* ns since 1970 */
};
enum {
    ATTR_MODE = 1,
    ATTR_UID = 2,
    ATTR_GID = 4,
    ATTR_SIZE = 8,
    ATTR_ATIME = 16,
    ATTR_MTIME = 32,
    ATTR_CTIME = 64,
    ATTR_OWNERSHIP = 128 /* chown(2), whether anything changes or not: set-id bits go */
};

struct inode_ops {
    /* => dir->mutex held (for reading names: shared is not used; a mutex). Fill in the dentry with
     * dentry_instantiate(); leave it negative if there is no such name. 0 or -errno */
    int (*lookup)(struct inode *dir, struct dentry *dentry);
    int (*create)(struct inode *dir, struct dentry *dentry, mode_t mode,
                  dev_id_t device); /* regular, fifo, device, socket */
    int (*mkdir)(struct inode *dir, struct dentry *dentry, mode_t mode);
    int (*symlink)(struct inode *dir, struct dentry *dentry, const char *target);
    int (*link)(struct inode *dir, struct dentry *dentry, struct inode *inode);
    int (*unlink)(struct inode *dir, struct dentry *dentry);
    int (*rmdir)(struct inode *dir, struct dentry *dentry); /* -ENOTEMPTY */
    /* flags: RENAME_NOREPLACE, RENAME_EXCHANGE (linux/fs.h) */
    int (*rename)(struct inode *from_dir, struct dentry *from, struct inode *to_dir,
                  struct dentry *to, unsigned flags);
    int (*tmpfile)(struct inode *dir, struct inode **inode, mode_t mode);
    int (*set_attributes)(struct inode *inode, const struct attributes *attr);
    /* The target of a symbolic link, valid as long as the inode is and readable for 7 bytes after its
     * end; or err_ptr. A file system that computes it (procfs) answers -EAGAIN to a NULL buffer, and is
     * called again with one of PATH_MAX bytes. */
    const char *(*get_link)(struct inode *inode, char *buffer);
    /* Links that lead to an object rather than a name (/proc/PID/fd/N, exe, cwd): jump there. */
    int (*follow)(struct inode *inode, struct path *target);
    /* Own permission rule; NULL: the mode bits. mask: MAY_* */
    int (*permission)(struct inode *inode, unsigned mask);
    void (*refresh)(struct inode *inode); /* before stat: bring attributes up to date (procfs) */
    /* Where a page of a file lies that is to be swapped to: a device, and a sector on it. 0, -EINVAL (a
     * hole), -errno. From then on it stays there. NULL: cannot be swapped to */
    int (*map_page)(struct inode *inode, u64 index, dev_id_t *device, u64 *sector);
    /* Of the inode of a dentry with DENTRY_VOLATILE: does the name still mean this inode? If not it is
     * forgotten and looked up anew (procfs: the process has gone). May sleep. */
    bool (*still_valid)(struct inode *inode);
};

enum { MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4 };

struct inode {
    refcount_t refs;
    mode_t mode;                     /* [x] type and permission */
    uid_t uid;                       /* [x] */
    gid_t gid;                       /* [x] */
    u32 nlink;                       /* [x] */
    u64 ino;                         /* [i] */
    dev_id_t rdev;                   /* [i] of a device node */
    u64 size;                        /* [x] to write; read with READ_ONCE */
    u64 blocks;                      /* 512-byte units */
    s64 atime, mtime, ctime, btime;  /* ns since 1970 */
    struct super_block *sb;          /* [i] */
    const struct inode_ops *ops;     /* [i] */
    const struct file_ops *file_ops; /* [i] what open files start with */
    struct mutex mutex;              /* [x]: contents of a directory, size, attributes */
    struct page_cache cache;         /* contents */
    spinlock_t lock;                 /* locks, small things */
    void *pipe;                      /* [x] FIFO: its pipe; [lock] socket: its socket (ipc) */
    struct list *xattrs;             /* [x] extended attributes, or NULL: none yet */
    struct file_locks *locks;        /* record locks and flock(2); made at the first one, kept */
    atomic_t writers;                /* open for writing; negative: being executed (ETXTBSY) */
    bool linkable;                   /* [x] O_TMPFILE: has no name yet, may get one */
    bool has_handle;                 /* it is in sb->handles */
    u8 seals;                        /* [x] F_SEAL_*; kernel/fs/tmpfs/memfd.c */
    struct hlist_head watches;       /* [lock] struct watch: kernel/fs/notify.c */
    void *private_data;
};

struct inode *inode_alloc(struct super_block *sb); /* one reference; times = now; or NULL */
static inline struct inode *inode_get(struct inode *inode)
{
    ref_get(&inode->refs);
    return inode;
}
void inode_put(struct inode *inode); /* => may sleep */
void inode_touch(struct inode *inode, unsigned which /* ATTR_ATIME|ATTR_MTIME|ATTR_CTIME */);
/* Write access against execution: 0 or -ETXTBSY. */
int inode_deny_write(struct inode *inode); /* exec */
void inode_allow_write(struct inode *inode);
/* Mode bits, owner, groups, capabilities: 0 or -EACCES. */
int inode_permission(struct inode *inode, unsigned mask);
/* For inode_ops->set_attributes: copy what is valid, except the size, into the inode. */
void attributes_copy(struct inode *inode, const struct attributes *attr);
/* A number for a new inode of a file system in memory; unique. */
u64 inode_next_number(void);
/* chmod/chown/truncate through here: permission checks, set-id clearing, ops->set_attributes. */
int inode_change(struct mount *mount, struct inode *inode,
                 struct attributes *attr); /* takes inode->mutex */

/* ---- dentry --------------------------------------------------------------------------------------- */

#define DENTRY_INLINE_NAME 32

struct name {
    const char *text; /* not terminated necessarily */
    u32 length;
    u32 hash;
};

struct dentry {
    refcount_t refs;        /* 0: kept in the cache only, on the LRU */
    u32 flags;              /* [lock] DENTRY_* */
    struct hlist_node hash; /* [bucket lock] */
    struct dentry *parent;  /* [rename lock + parent->lock]; holds a reference; itself at a root */
    struct name name;       /* [as parent] */
    struct inode *inode;    /* [lock] holds a reference; NULL: negative */
    spinlock_t lock;
    struct super_block *sb; /* [i] */
    struct list children;   /* [lock] */
    struct list sibling;    /* [parent->lock] */
    struct list lru;        /* [lru lock] */
    u64 position;      /* [parent's inode mutex] cookie for readdir of dentry-homed directories */
    u64 last_position; /* [inode mutex] the last cookie given to a child */
    void *private_data;
    char inline_name[DENTRY_INLINE_NAME];
};
enum {
    DENTRY_MOUNTED = 1, /* something is mounted here */
    DENTRY_HASHED = 2,
    DENTRY_ON_LRU = 4,
    DENTRY_PINNED = 8, /* holds a reference to itself until it is unlinked */
    DENTRY_VOLATILE =
        16, /* ask inode_ops->still_valid at each lookup; set it before dentry_instantiate() */
    DENTRY_HAS_HANDLE = 32, /* sb->handles leads to it */
    DENTRY_DYING = 64,      /* its name is about to go: nothing gets mounted here */
};

void path_get(const struct path *p);
void path_put(const struct path *p);

struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
struct dentry *dentry_alloc(struct dentry *parent, const struct name *name); /* or NULL */
/* Attach an inode (consumes its reference) to a new, hashed-or-not dentry. */
void dentry_instantiate(struct dentry *d, struct inode *inode);
/* For file systems that build their tree themselves (devfs): make a child with an inode, whose
 * reference is consumed even on failure. Returns it without a reference (it is pinned), or err_ptr. */
struct dentry *dentry_add_child(struct dentry *parent, const char *name, struct inode *inode);
struct dentry *dentry_make_root(struct super_block *sb, struct inode *inode);
/* Unhash it and what is below (procfs: the process is gone). */
void dentry_invalidate(struct dentry *d);

/* ---- mounts ------------------------------------------------------------------------------------------ */

struct mount {
    refcount_t refs;
    struct super_block *sb;    /* [i] */
    struct dentry *root;       /* [i] */
    struct mount *parent;      /* [mount lock] */
    struct dentry *mountpoint; /* [mount lock] */
    unsigned flags;            /* MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME ... */
    struct list children, sibling, all;
    struct hlist_node hash; /* [mount lock] by (parent, mountpoint) */
    char *source;           /* "tmpfs", "/dev/vda" */
    int id;
    atomic_t writers;       /* files open for writing; no change to read-only meanwhile */
    bool held;              /* [mount lock] mount_make_readonly() looks for writers; others wait */
    bool expiring;          /* [mount mutex] umount2(MNT_EXPIRE) was here once */
    bool unbindable;        /* [mount mutex] MS_UNBINDABLE */
    bool floating;          /* [mount mutex] stands nowhere yet; a descriptor owns its tree */
    unsigned pass;          /* [mount mutex] of propagate.c: when it was visited last */
    int group;              /* [mount mutex] number of its peer group; 0: not shared */
    struct list peers;      /* [mount mutex] ring of the group's mounts, by this */
    struct mount *master;   /* [mount mutex] some mount of the group it is a slave of; NULL: none */
    struct list slaves;     /* [mount mutex] its slaves, by slave_link */
    struct list slave_link; /* [mount mutex] */
    struct list pass_link;  /* [mount mutex] of propagate.c: those whose turn will come */
    struct mount *pass_from; /* [mount mutex] the copy that is to be copied then */
};
extern struct mount *root_mount;
/* The mount table as /proc/mounts and /proc/PID/mountinfo show it, from the current root on. */
void mounts_show(struct seq_file *m);
void mountinfo_show(struct seq_file *m);
void mountstats_show(struct seq_file *m);
/* For poll(2) of these: EPOLLERR | EPOLLPRI once after each change since the file was opened (proc(5)). */
void mounts_opened(struct file *file);
unsigned mounts_poll(struct file *file, struct poll_table *table);
/* Open for execution what the path means: no permission is looked at. Nobody can write to it until the
 * file's last reference goes. A file or err_ptr (-ETXTBSY). */
struct file *path_open_exec(const struct path *path);
/* mount(2) in the kernel. */
int mount_at(const char *source, const char *directory, const char *type, unsigned long flags,
             const char *data);
bool mount_readonly(const struct mount *m);

/* ---- paths ---------------------------------------------------------------------------------------------- */

enum lookup_flags {
    LOOKUP_FOLLOW = 1,    /* follow a symbolic link at the end */
    LOOKUP_DIRECTORY = 2, /* -ENOTDIR otherwise */
    LOOKUP_EMPTY = 4,     /* "" is allowed: the start itself (AT_EMPTY_PATH) */
    LOOKUP_PARENT = 8,
    /* openat2(2), RESOLVE_*: -ELOOP, -EXDEV or -EAGAIN where the walk would do that */
    LOOKUP_NO_SYMLINKS = 16,
    LOOKUP_NO_MAGIC_LINKS = 32,
    LOOKUP_NO_XDEV = 64,  /* to another mount */
    LOOKUP_BENEATH = 128, /* out of the start */
    LOOKUP_IN_ROOT = 256, /* the start is the root */
    LOOKUP_CACHED = 512,  /* ask a file system */
    LOOKUP_SCOPED = LOOKUP_BENEATH | LOOKUP_IN_ROOT,
};
/* Resolve a user's or a kernel's path string from dirfd (AT_FDCWD: working directory). On success
 * *path holds references. -ENOENT -ENOTDIR -EACCES -ELOOP -ENAMETOOLONG -EFAULT -EBADF */
int path_lookup_user(int dirfd, const char __user *name, unsigned flags, struct path *path);
int path_lookup(int dirfd, const char *name, unsigned flags, struct path *path);
/* A path string as getcwd(2) and /proc show it, at the end of buffer; returns its start or err_ptr. */
char *path_name(const struct path *path, char *buffer, size_t size);
/* Copy a path string from user space: buffer of PATH_MAX from an object cache. err_ptr on error. */
char *name_from_user(const char __user *name);
void name_free(char *name);

/* Where a process is in the tree: from where its paths begin. */
struct fs_context {
    refcount_t refs;
    spinlock_t lock;
    mode_t umask;          /* [lock] */
    struct path root, cwd; /* [lock] */
};
struct fs_context *fs_context_fork(struct fs_context *parent);
void fs_context_put(struct fs_context *fs);
void fs_context_init_first(struct fs_context *fs); /* root and cwd at root_mount */
struct fs_context *fs_context_create(void);        /* the same in new memory, or NULL */

/* mkdir(2) and the like in the kernel: relative to the working directory, with its umask. */
int kernel_mkdir(const char *name, mode_t mode);
int kernel_mknod(const char *name, mode_t mode, dev_id_t device);
/* The same, and *made is what was made, with references. */
int kernel_mknod_path(const char *name, mode_t mode, struct path *made);
int kernel_symlink(const char *target, const char *name);
int kernel_link(const char *old_name, const char *name);
int kernel_unlink(const char *name);

/* ---- open files ----------------------------------------------------------------------------------------- */

/* An open file without a name for kernel objects (pipes, eventfd ...): a dentry on the anonymous
 * super block. name "pipe:" is shown as "pipe:[inode number]", others as they are. Takes over the
 * inode's reference on success. Returns a file with one reference, or err_ptr. */
struct file *file_anonymous(struct inode *inode, const struct file_ops *ops, unsigned flags,
                            const char *name);
/* Another open file on the same object (the other end of a pipe). */
struct file *file_anonymous_again(struct file *first, const struct file_ops *ops, unsigned flags);
/* An open file on a kernel object without an inode of its own (eventfd, epoll ...). name is what
 * /proc/PID/fd shows: "anon_inode:[eventfd]". err_ptr on error: the object is still the caller's. */
struct file *file_object(const char *name, const struct file_ops *ops, void *object,
                         unsigned flags);
/* Other contents than the inode's, from file_ops->open: a device's. */
static inline void file_set_cache(struct file *file, struct page_cache *cache)
{
    file->cache = cache;
    file->error_seen = error_sequence_sample(&cache->error);
}
/* Other operations than the inode's, from file_ops->open. */
void file_set_ops(struct file *file, const struct file_ops *ops);
u64 file_count(void); /* open files in the machine */
u64 file_max(void);   /* most of them, but for those with CAP_SYS_ADMIN (ENFILE) */
/* An inode on the anonymous super block. */
struct inode *inode_anonymous(mode_t mode);

/* ---- files with a page cache: kernel/fs/cached_file.c ---------------------------------------------------- */

/* Bodies for file_ops->read/write of cached files: copy, extend the size, update times. */
ssize_t cached_file_read(struct file *file, struct iov_iter *iter, loff_t *pos);
ssize_t cached_file_write(struct file *file, struct iov_iter *iter, loff_t *pos);
/* The same without O_APPEND and limits, for a file that does not grow: all lies within it. */
ssize_t cached_file_write_at(struct file *file, struct iov_iter *iter, loff_t *pos);
/* file_ops->mmap of cached files, and the vm_ops it installs. */
int cached_file_mmap(struct file *file, struct vma *vma);
extern const struct vm_ops cached_file_vm_ops;
int cached_fault(struct vm_fault *fault);
unsigned cached_fault_around(struct vma *vma, u64 first, u64 last, struct page **pages);
/* file_ops->fsync of files whose metadata needs nothing else: page_cache_sync(), and tells the file
 * of errors it has not been told of: -EIO, -ENOSPC, once. */
int cached_file_fsync(struct file *file, loff_t start, loff_t end, bool data_only);
/* The errors alone. */
int file_check_written(struct file *file);

/* For file_ops->read of files with an access time, after the copy: relatime, noatime. */
void file_accessed(struct file *file);
/* For file_ops->write of files with contents, before the copy: clears set-id bits unless the writer
 * may keep them, sets mtime and ctime. => inode mutex */
int file_modified(struct file *file);
/* How many of n bytes may be written at pos: RLIMIT_FSIZE (SIGXFSZ, -EFBIG) and sb->max_size. */
ssize_t file_write_limit(struct file *file, loff_t pos, size_t n);
/* file_ops->seek where a position is a cookie, without relation to an end: directories, texts made on
 * demand. */
loff_t seek_cookie(struct file *file, loff_t offset, int whence);
/* For file_ops->read_dir: "." and "..", then ctx->pos is 2. False: the buffer is full. */
bool dir_emit_dots(struct file *file, struct dir_context *ctx);
/* file_ops of directories whose dentries are their home. */
extern const struct file_ops dentry_directory_ops;

/* Open by path in the kernel (exec, init's console). Returns a file or err_ptr. */
struct file *file_open(const char *name, int flags, mode_t mode);
struct file *file_open_at(int dirfd, const char *name, int flags, mode_t mode);
struct file *path_open(const struct path *path, int flags); /* what the path means already */
/* Read into kernel memory at an offset; returns bytes or -errno. */
ssize_t file_read_kernel(struct file *f, void *buffer, size_t n, loff_t pos);
ssize_t file_write_kernel(struct file *f, const void *buffer, size_t n, loff_t pos);

/* ---- locks ------------------------------------------------------------------------------------------------ */

/* Lines of /proc/locks; and of fdinfo, for the locks that an open file and a table of descriptors have. */
void locks_show(struct seq_file *m);
void locks_show_file(struct seq_file *m, const struct file *file, const struct files *files);

/* ---- polling --------------------------------------------------------------------------------------------- */

/* Signal-driven input and output: kernel/fs/async.c. Send what has come up, before the return to user
 * mode with WORK_ASYNC. */
void async_tell_before_return(void);
unsigned async_events_input(struct file *file, unsigned long events); /* file_ops: EPOLLIN alone */
/* F_SETOWN and F_GETOWN: a process, - a group, 0 nobody. 0, -ESRCH, -EINVAL, -ENOMEM */
long async_set_owner(struct file *file, int id);
int async_owner(struct file *file);
struct signal_owner
async_owner_copy(struct file *file); /* any context; the file is not freed meanwhile */

/* The last reference to a file that was added to an epoll is gone: kernel/ipc/epoll_ctl.c. */
void epoll_forget(struct file *file);
/* *watched: which file an epoll watches as descriptor fd, the nth of them (from 0); not to be used, just
 * to be compared. 0, -EINVAL (no epoll), -ENOENT */
int epoll_watched(struct file *epoll, unsigned fd, unsigned nth, const void **watched);
u64 epoll_max_watches(void); /* of one user */

/* ---- devices and simple file systems ------------------------------------------------------------------------ */

bool char_device_exists(dev_id_t id); /* has it a driver? */
/* net.core.somaxconn: how many connections a listener may keep waiting; net.unix.max_dgram_qlen: how
 * many datagrams may wait in the queue of a socket that is made from now on. */
extern int socket_backlog_max, socket_queue_depth;
void unix_sockets_show(struct seq_file *m);         /* /proc/net/unix: kernel/ipc/unix_name.c */
void char_devices_show(struct seq_file *m);         /* lines of /proc/devices */
extern const struct file_ops block_device_file_ops; /* kernel/fs/bdev */
void block_files_init(void);
/* Pages in the caches of block devices: what is read past file systems. => may sleep */
u64 block_pages(void);
extern const struct file_ops fifo_file_ops; /* kernel/ipc/pipe.c */
extern int pipe_max_size;                   /* bytes, without CAP_SYS_RESOURCE */
/* Two open files on a new pipe, to read and to write. flags: O_NONBLOCK or 0. 0, -ENOMEM */
int pipe_create(struct file *ends[2], unsigned flags);
/* No more will be written to this end: its readers see that. Wait until there are none. 0, -ERESTARTSYS */
int pipe_finish(struct file *end);
/* F_GETPIPE_SZ, F_SETPIPE_SZ */
long pipe_fcntl(struct file *file, unsigned command, unsigned long arg);
/* Let an inode of type S_IFCHR, S_IFBLK, S_IFIFO or S_IFSOCK open as what it is. */
void inode_init_special(struct inode *inode, mode_t mode, dev_id_t device);
/* The name of a pseudo-terminal's slave, in devpts; its inode's private_data is `terminal`, read under
 * inode->lock, until the name is removed. 0 or -ENOMEM */
int devpts_add(unsigned index, dev_id_t device, void *terminal);
void devpts_remove(unsigned index);
bool is_devpts(const struct inode *inode);
/* F_ADD_SEALS, F_GET_SEALS */
long seals_fcntl(struct file *file, unsigned command, unsigned long arg);

void vfs_init(void); /* caches, root tmpfs, anonymous super block */
void devfs_init(void);
void devpts_init(void);
void procfs_init(void);

/* statfs(2) as a file system fills it in. */
struct statfs_info {
    u64 blocks, blocks_free, blocks_available, files, files_free;
    u32 block_size, name_max;
};

#endif
