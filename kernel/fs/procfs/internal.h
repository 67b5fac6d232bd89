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
    bool private; /* only for who may look into the process */
};

struct proc_inode {
    const struct proc_entry *entry;
    struct process *process; /* with a reference; NULL outside /proc/PID */
    struct thread *thread;   /* with a reference, in /proc/PID/task/TID */
    int fd;                  /* in /proc/PID/fd */
};

/* An inode for an entry; takes references of its own. NULL: no memory. */
struct inode *proc_make(struct super_block *sb, const struct proc_entry *entry,
                        struct process *process, struct thread *thread, int fd);
struct proc_inode *proc_inode(struct inode *inode);
/* Emit dynamic entry number n at cookie pos; false: stop. */
bool proc_emit_number(struct dir_context *ctx, u64 number, unsigned type);
/* "123" as a number, or -1: no sign, no leading zero, fits an int. */
int proc_number(const char *name);
/* May the current thread look into the process (ptrace(2), "access mode checking")? */
bool proc_may_look(struct process *p);

/* cookies of read_dir: 0, 1 "." and ".."; then children; dynamic ones from here on */
#define PROC_DYNAMIC 256

extern const struct proc_entry root_entries[]; /* root.c */
struct inode *proc_root_lookup(struct super_block *sb, struct proc_inode *dir, const char *name);
int proc_root_read_dir(struct proc_inode *dir, struct dir_context *ctx);
extern const struct proc_entry process_directory; /* process.c: a directory entry for any PID */
extern const struct proc_entry sys_entries[];     /* sys.c */

/* process_files.c, maps.c, system.c */
#define SHOW(name) int name(struct seq_file *m, struct proc_inode *pi)
SHOW(proc_show_stat);
SHOW(proc_show_statm);
SHOW(proc_show_status);
SHOW(proc_show_limits);
SHOW(proc_show_cmdline);
SHOW(proc_show_environ);
SHOW(proc_show_auxv);
SHOW(proc_show_comm);
SHOW(proc_show_maps);
SHOW(proc_show_fdinfo);
SHOW(proc_show_oom_score_adj);
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
SHOW(proc_show_vmstat);
SHOW(proc_show_buddyinfo);
ssize_t proc_write_comm(struct proc_inode *pi, char *text, size_t n);
ssize_t proc_write_oom_score_adj(struct proc_inode *pi, char *text, size_t n);

#endif
