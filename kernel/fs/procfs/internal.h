/* SPDX-License-Identifier: MIT */
/*
 * The process file system (proc(5)). Everything in it is made when it is looked at.
 *
 * A directory is an array of entries; what it has besides (processes, threads, descriptors) comes from
 * a lookup and a read_dir function of its own. An inode refers to its entry, and below /proc/PID to
 * the process it is about; when that has been reaped the name no longer counts and reading fails
 * with ESRCH.
 */
#ifndef VELLUM_PROCFS_INTERNAL_H
#define VELLUM_PROCFS_INTERNAL_H

#include <vellum/process.h>
#include <vellum/seq_file.h>

struct proc_inode;

struct proc_entry {
    const char *name;
    mode_t mode;                                            /* with the type */
    int (*show)(struct seq_file *m, struct proc_inode *pi); /* regular files: the text */
    ssize_t (*write)(struct proc_inode *pi, char *text,
                     size_t n);        /* n bytes and a zero; 0 or -errno */
    const struct proc_entry *children; /* directories: ends with a NULL name */
    const char *(*link)(struct proc_inode *pi, char *buffer);  /* links to names */
    int (*follow)(struct proc_inode *pi, struct path *target); /* links to objects */
    /* Directories with more than `children`: */
    struct inode *(*lookup)(struct super_block *sb, struct proc_inode *dir, const char *name);
    int (*read_dir)(struct proc_inode *dir, struct dir_context *ctx);
    bool private;                    /* only for who may look into the process */
    bool follow_privileged;          /* a link that only CAP_SYS_ADMIN goes through */
    const struct file_ops *file_ops; /* in place of show and write */
    int *value;                      /* proc_show_value, proc_write_value */
    int min, max;                    /* of *value */
};

struct proc_inode {
    const struct proc_entry *entry;
    struct process *process; /* with a reference; NULL outside /proc/PID */
    struct thread *thread;   /* with a reference, in /proc/PID/task/TID */
    int fd;                  /* in /proc/PID/fd */
    vaddr_t range[2];        /* in /proc/PID/map_files */
};

/* An inode for an entry; takes references of its own. NULL: no memory. */
struct inode *proc_make(struct super_block *sb, const struct proc_entry *entry,
                        struct process *process, struct thread *thread, int fd);
struct proc_inode *proc_inode(struct inode *inode);
/* Opens what the entry's show() tells, for reading; for entries with file_ops of their own. */
int proc_text_open(struct inode *inode, struct file *file);
/* Emit dynamic entry number n at cookie pos; false: stop. */
bool proc_emit_number(struct dir_context *ctx, u64 number, unsigned type);
/* "123" as a number, or -1: no sign, no leading zero, fits an int. */
int proc_number(const char *name);
/* May the current thread look into the process (ptrace(2), "access mode checking")? */
bool proc_may_look(struct process *p);

/* cookies of read_dir: 0, 1 "." and ".."; then children; dynamic ones from here on */
#define PROC_DYNAMIC 256

/* Are the thread's figures asked for, or those of the whole process? The thread that the files are
 * about (the first one of /proc/PID) with a reference; NULL: the process has been waited for. */
struct thread *proc_subject(const struct proc_inode *pi);

/* Parts of tables of entries. */
#define PROC_DIRECTORY(n, c)                                                                       \
    {                                                                                              \
        .name = n, .mode = S_IFDIR | 0555, .children = c                                           \
    }
#define PROC_LINK(n, fn)                                                                           \
    {                                                                                              \
        .name = n, .mode = S_IFLNK | 0777, .link = fn                                              \
    }
#define PROC_TEXT(n, m, fn)                                                                        \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = fn                                               \
    }
#define PROC_KNOB(n, m, fn, w)                                                                     \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = fn, .write = w                                   \
    }
#define PROC_VALUE(n, m, v, lo, hi)                                                                \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = proc_show_value, .write = proc_write_value,      \
        .value = v, .min = lo, .max = hi                                                           \
    }
#define PROC_PRIVATE(n, m, fn)                                                                     \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = fn, .private = true                              \
    }

extern const struct proc_entry root_entries[], proc_net_entries[]; /* root.c */
struct inode *proc_root_lookup(struct super_block *sb, struct proc_inode *dir, const char *name);
int proc_root_read_dir(struct proc_inode *dir, struct dir_context *ctx);
extern const struct proc_entry process_directory; /* process.c: a directory entry for any PID */
extern const struct proc_entry sys_entries[];     /* sys.c */
/* mem.c: /proc/PID/mem. Files about the memory that the process had when they were opened open like
 * it; proc_file_mm() is that memory, with a reference, or NULL if it is gone. */
extern const struct file_ops proc_mem_ops;
int proc_mem_open(struct inode *inode, struct file *file);
struct mm *proc_file_mm(struct file *file);

#define SHOW(name)  int name(struct seq_file *m, struct proc_inode *pi)
#define WRITE(name) ssize_t name(struct proc_inode *pi, char *text, size_t n)

/* inode.c: an integer variable */
SHOW(proc_show_value);
WRITE(proc_write_value);
/* Cut off what follows the first word; and read a number, -EINVAL if it is none or out of range. */
int proc_parse(char *text, s64 min, s64 max, s64 *value);

/* process_stat.c */
SHOW(proc_show_stat);
SHOW(proc_show_statm);
SHOW(proc_show_schedstat);
SHOW(proc_show_sched);
SHOW(proc_show_io);
/* process_status.c */
SHOW(proc_show_status);
/* process_files.c */
SHOW(proc_show_limits);
SHOW(proc_show_cmdline);
SHOW(proc_show_environ);
SHOW(proc_show_auxv);
SHOW(proc_show_comm);
WRITE(proc_write_comm);
SHOW(proc_show_oom_score);
SHOW(proc_show_core_filter);
WRITE(proc_write_core_filter);
SHOW(proc_show_oom_score_adj);
WRITE(proc_write_oom_score_adj);
SHOW(proc_show_personality);
SHOW(proc_show_cgroup);
SHOW(proc_show_timer_slack);
WRITE(proc_write_timer_slack);
/* stack.c */
SHOW(proc_show_wchan);
SHOW(proc_show_stack);
SHOW(proc_show_syscall);
/* maps.c, smaps.c */
SHOW(proc_show_maps);
SHOW(proc_show_smaps);
SHOW(proc_show_smaps_rollup);
struct vma;
/* The line of maps for a VMA; buffer: PATH_MAX bytes. => mm->lock */
void proc_show_vma(struct seq_file *m, struct vma *vma, char *buffer);
/* pages.c: files of 64-bit words by number, of which fill() makes n from `first` on. A reading gives
 * whole words (else -EINVAL), fewer at the end of `limit` words. */
typedef void proc_words_fn(void *arg, u64 first, unsigned n, u64 *words);
ssize_t proc_read_words(struct iov_iter *iter, loff_t *pos, u64 limit, proc_words_fn *fill,
                        void *arg);
loff_t proc_words_seek(struct file *file, loff_t offset, int whence);
extern const struct file_ops proc_kpageflags_ops, proc_kpagecount_ops;
/* Pages of files that some address space maps. Nobody keeps count: looks at every frame. */
u64 proc_mapped_frames(void);
/* pagemap.c */
extern const struct file_ops proc_pagemap_ops;
WRITE(proc_write_clear_refs);
/* vmstat.c */
SHOW(proc_show_faults);
SHOW(proc_show_vmstat);
SHOW(proc_show_buddyinfo);
SHOW(proc_show_pagetypeinfo);
SHOW(proc_show_zoneinfo);
/* namespaces.c */
extern const struct proc_entry proc_ns_entries[];
void proc_namespaces_init(void);
/* descriptors.c */
struct inode *proc_fd_lookup(struct super_block *sb, struct proc_inode *dir, const char *name);
struct inode *proc_fdinfo_lookup(struct super_block *sb, struct proc_inode *dir, const char *name);
struct inode *proc_map_lookup(struct super_block *sb, struct proc_inode *dir, const char *name);
int proc_fd_read_dir(struct proc_inode *dir, struct dir_context *ctx);
int proc_map_read_dir(struct proc_inode *dir, struct dir_context *ctx);
/* Do such inodes still mean what they did when they were looked up? */
bool proc_fd_valid(struct proc_inode *pi, mode_t mode);
bool proc_map_valid(struct proc_inode *pi);
/* system.c, memory.c, devices.c */
SHOW(proc_show_meminfo);
SHOW(proc_show_system_stat);
SHOW(proc_show_uptime);
SHOW(proc_show_loadavg);
SHOW(proc_show_version);
SHOW(proc_show_cpuinfo);
SHOW(proc_show_command_line);
SHOW(proc_show_filesystems);
SHOW(proc_show_interrupts);
SHOW(proc_show_slabinfo);
SHOW(proc_show_swaps);
SHOW(proc_show_devices);
SHOW(proc_show_consoles);
SHOW(proc_show_tty_drivers);
SHOW(proc_show_iomem);
extern const struct file_ops proc_kmsg_ops;

/* What echo puts behind a value. */
static inline void proc_trim_newline(char *text, size_t n)
{
    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = '\0';
}

/* ---- dirty.c: /proc/sys/vm/dirty_* ------------------------------------------------------------- */

int proc_show_dirty_ratio(struct seq_file *m, struct proc_inode *pi);
ssize_t proc_write_dirty_ratio(struct proc_inode *pi, char *text, size_t n);
int proc_show_dirty_background_ratio(struct seq_file *m, struct proc_inode *pi);
ssize_t proc_write_dirty_background_ratio(struct proc_inode *pi, char *text, size_t n);
int proc_show_dirty_bytes(struct seq_file *m, struct proc_inode *pi);
ssize_t proc_write_dirty_bytes(struct proc_inode *pi, char *text, size_t n);
int proc_show_dirty_background_bytes(struct seq_file *m, struct proc_inode *pi);
ssize_t proc_write_dirty_background_bytes(struct proc_inode *pi, char *text, size_t n);
int proc_show_dirty_writeback(struct seq_file *m, struct proc_inode *pi);
ssize_t proc_write_dirty_writeback(struct proc_inode *pi, char *text, size_t n);

#endif
