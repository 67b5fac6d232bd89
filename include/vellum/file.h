/* SPDX-License-Identifier: MIT */
/*
 * An open file, as those see it who implement one: drivers above all, which stand below the file
 * system. They fill in struct file_ops and register it for a device number, and a node for the
 * number in /dev; opening the node leads to them. What paths, inodes and mounts are is fs.h's.
 */
#ifndef VELLUM_FILE_H
#define VELLUM_FILE_H

#include <vellum/error_sequence.h>
#include <vellum/iov.h>
#include <vellum/read_ahead.h>
#include <vellum/sync.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

struct dentry;
struct file;
struct inode;
struct mount;
struct page_cache;
struct poll_table;
struct seq_file;
struct vma;

/* ---- device numbers ------------------------------------------------------------------------- */
static inline dev_id_t dev_make(unsigned major, unsigned minor)
{
    return ((u64)(major & 0xfffff000) << 32) | ((u64)(major & 0xfff) << 8) | (minor & 0xff) |
           ((u64)(minor & ~0xffu) << 12);
}
static inline unsigned dev_major(dev_id_t d)
{
    return ((d >> 8) & 0xfff) | ((d >> 32) & ~0xfffu);
}
static inline unsigned dev_minor(dev_id_t d)
{
    return (d & 0xff) | ((d >> 12) & ~0xffu);
}

/* ---- open files -------------------------------------------------------------------------------- */

struct path {
    struct mount *mount;
    struct dentry *dentry;
};

struct dir_context;
/* Called for each entry; returns false to stop (buffer full). */
typedef bool dir_emit_fn(struct dir_context *ctx, const char *name, unsigned length, u64 ino,
                         unsigned type /* DT_* */);
struct dir_context {
    dir_emit_fn *emit;
    loff_t pos; /* opaque cookie, file->pos; 0, 1: "." and ".." */
};

struct file_ops {
    bool can_nowait;   /* read and write honour iter->nowait */
    bool seek_ignored; /* a stream whose position lseek(2) says is 0, whatever is asked */
    ssize_t (*read)(struct file *file, struct iov_iter *iter, loff_t *pos); /* pos NULL: stream */
    ssize_t (*write)(struct file *file, struct iov_iter *iter, loff_t *pos);
    loff_t (*seek)(struct file *file, loff_t offset, int whence); /* NULL: -ESPIPE */
    int (*read_dir)(struct file *file, struct dir_context *ctx);
    unsigned (*poll)(struct file *file,
                     struct poll_table *table); /* EPOLL* mask; NULL: always ready */
    /* Which of the events that its queues are woken with an O_ASYNC file tells its owner of: EPOLLIN,
     * EPOLLOUT, EPOLLPRI, EPOLLHUP, EPOLLERR. NULL: none, ever. => a queue's lock, any context */
    unsigned (*async_events)(struct file *file, unsigned long events);
    pid_t (*async_owner)(struct file *file); /* if none was set: a process, or - a group */
    long (*ioctl)(struct file *file, unsigned command, unsigned long arg); /* NULL: -ENOTTY */
    int (*mmap)(struct file *file, struct vma *vma);                       /* NULL: -ENODEV */
    int (*open)(struct inode *inode, struct file *file);
    void (*flush)(struct file *file);   /* each close(2) */
    void (*release)(struct file *file); /* the last one */
    int (*fsync)(struct file *file, loff_t start, loff_t end, bool data_only);
    long (*fallocate)(struct file *file, int mode, loff_t offset, loff_t length);
    void (*show_fdinfo)(struct file *file, struct seq_file *m);
};

struct file {
    refcount_t refs;
    unsigned flags;             /* O_*; O_APPEND, O_NONBLOCK, ... change under lock */
    unsigned mode;              /* [i] FILE_* */
    const struct file_ops *ops; /* [i] after open */
    loff_t pos;                 /* [pos_mutex] */
    struct mutex pos_mutex;     /* taken for seekable files shared by threads or fork */
    struct path path;           /* [i] */
    struct inode *inode;        /* [i] = path.dentry->inode */
    spinlock_t lock;
    struct file_async *async; /* [lock] to set: F_SETOWN, F_SETSIG, O_ASYNC; kernel/fs/async.c */
    const struct cred *cred;  /* [i] who opened it */
    void *private_data;
    u64 version;              /* readdir, seq_file */
    struct list epoll_links;  /* epoll items that watch it: kernel/ipc/epoll.c */
    bool epolled;             /* [a] some item does or did */
    struct page_cache *cache; /* [i] contents: the inode's own, or a device's */
    struct read_ahead read_ahead;
    error_sequence_t error_seen; /* [lock] of cache->error */
};
enum {
    FILE_READ = 1,
    FILE_WRITE = 2,
    FILE_SEEK = 4,
    FILE_PATH = 8 /* O_PATH */,
    FILE_STREAM = 16,
    FILE_COUNTED_WRITER = 32 /* in the writers of inode and mount */,
    FILE_REGULAR_POS = 64 /* pos_mutex is needed */,
    FILE_DENIES_WRITERS = 128 /* a program: its last reference allows writing again */,
    FILE_MOUNT_TREE = 256 /* of mounts that stand nowhere: they go with it (fsmount(2)) */,
};

static inline struct file *file_get(struct file *f)
{
    ref_get(&f->refs);
    return f;
}
void file_put(struct file *f); /* => may sleep */
/* The number of the device node that is opened. */
dev_id_t inode_device(const struct inode *inode);

/* file_ops->seek bodies: any offset up to the largest file (SEEK_DATA, SEEK_HOLE: no holes), and
 * that of a device without positions, which answers 0. */
loff_t seek_generic(struct file *file, loff_t offset, int whence);
loff_t seek_nothing(struct file *file, loff_t offset, int whence);

/* Unnamed memory that is shared through its pages: MAP_SHARED|MAP_ANONYMOUS. `promise`: all of it
 * counts as committed at once (overcommit), not what is touched. Returns a file of `size` bytes with
 * one reference, or err_ptr. */
struct file *shmem_file_create(u64 size, bool promise);

/* ---- polling ----------------------------------------------------------------------------------- */

/* poll() methods call poll_wait() on each queue that will be woken (with wake_up_poll) when something
 * changes, and return the events true now. table NULL: only asking. */
struct wait_queue;
struct poll_table {
    void (*queue)(struct poll_table *table, struct file *file, struct wait_queue *q);
    unsigned long events; /* the caller's interest */
};
static inline void poll_wait(struct file *file, struct wait_queue *q, struct poll_table *table)
{
    if (table)
        table->queue(table, file, q);
}

/* What async_events() says of bytes and room. Room is told of only to who was once short of it: a write
 * that found none has set *short_of_room. */
static inline unsigned async_events_stream(unsigned long events, u32 *short_of_room)
{
    if ((events & EPOLLOUT) && __atomic_exchange_n(short_of_room, 0, __ATOMIC_ACQ_REL))
        return EPOLLOUT;
    return events & EPOLLIN;
}

/* ---- devices ----------------------------------------------------------------------------------- */

/* Character device drivers: the node's major number chooses; minors [first, first+n). */
int char_device_register(unsigned major, unsigned first, unsigned n, const char *name,
                         const struct file_ops *ops);
/* A node in devfs, "tty", "virtio-ports/name" (directories are made). 0 or -errno */
int devfs_add(const char *name, mode_t mode, dev_id_t device);
int devfs_add_link(const char *name, const char *target);
void devfs_remove(const char *name); /* at the top of devfs */

#endif
