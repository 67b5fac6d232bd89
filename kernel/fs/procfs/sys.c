/* SPDX-License-Identifier: MIT */
/*
 * /proc/sys: facts and knobs of the kernel. What is writable here acts.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/compaction.h>
#include <vellum/error.h>
#include <vellum/mm.h>
#include <vellum/notify.h>
#include <vellum/printk.h>
#include <vellum/random.h>
#include <vellum/reclaim.h>
#include <vellum/string.h>
#include <vellum/version.h>
#include <vellum/vmstat.h>
#include <vellum/writeback.h>
#include <linux/capability.h>

/* ---- kernel ------------------------------------------------------------------------------------------- */

static int show_name(struct seq_file *m, void (*get)(char *name))
{
    char name[65];

    get(name);
    seq_printf(m, "%s\n", name);
    return 0;
}

static int show_host_name(struct seq_file *m, struct proc_inode *pi)
{
    return show_name(m, host_name_get);
}

static ssize_t write_host_name(struct proc_inode *pi, char *text, size_t n)
{
    proc_trim_newline(text, n);
    return host_name_set(text, strlen(text));
}

static int show_domain_name(struct seq_file *m, struct proc_inode *pi)
{
    return show_name(m, domain_name_get);
}

static ssize_t write_domain_name(struct proc_inode *pi, char *text, size_t n)
{
    proc_trim_newline(text, n);
    return domain_name_set(text, strlen(text));
}

static int show_printk(struct seq_file *m, struct proc_inode *pi)
{
    seq_printf(m, "%d\t%d\t1\t%d\n", log_console_level(), LOG_WARNING, LOG_DEBUG);
    return 0;
}

static ssize_t write_printk(struct proc_inode *pi, char *text, size_t n)
{
    u64 level;

    text[strcspn(text, " \t\n")] = '\0';
    if (str_to_u64(text, 10, &level) != 0 || level > 15)
        return -EINVAL;
    log_set_console_level(level);
    return 0;
}

static void show_uuid_of(struct seq_file *m, const u8 b[16])
{
    for (int i = 0; i < 16; i++)
        seq_printf(m, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
    seq_putc(m, '\n');
}

/* A version 4 UUID (RFC 4122): random but for six bits. */
static void make_uuid(u8 b[16])
{
    random_bytes(b, 16);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
}

static int show_uuid(struct seq_file *m, struct proc_inode *pi)
{
    u8 b[16];

    make_uuid(b);
    show_uuid_of(m, b);
    return 0;
}

static int show_boot_id(struct seq_file *m, struct proc_inode *pi)
{
    static DEFINE_MUTEX(lock);
    static u8 id[16];

    mutex_lock(&lock);
    if (id[6] == 0)
        make_uuid(id);
    mutex_unlock(&lock);
    show_uuid_of(m, id);
    return 0;
}

static int show_randomize(struct seq_file *m, struct proc_inode *pi)
{
    seq_printf(m, "%d\n", aslr_enabled ? 2 : 0);
    return 0;
}

/* All or nothing: there is no mode that spares the heap alone. */
static ssize_t write_randomize(struct proc_inode *pi, char *text, size_t n)
{
    s64 value;
    int error = proc_parse(text, 0, 2, &value);

    if (error || value == 1)
        return -EINVAL;
    aslr_enabled = value == 2;
    return 0;
}

static int show_core_pattern(struct seq_file *m, struct proc_inode *pi)
{
    char pattern[CORE_PATTERN_MAX];

    core_pattern_get(pattern);
    seq_printf(m, "%s\n", pattern);
    return 0;
}

static ssize_t write_core_pattern(struct proc_inode *pi, char *text, size_t n)
{
    proc_trim_newline(text, n);
    core_pattern_set(text);
    return 0;
}

/* ---- vm --------------------------------------------------------------------------------------------------- */

/* 1: clean pages of files (those of tmpfs have no other home and stay); 2: dentries, inodes and
 * other objects; 3: both; 4: that the log is to keep quiet about it, as it does. Frames that CPUs
 * kept for themselves go back as well. */
static ssize_t write_drop_caches(struct proc_inode *pi, char *text, size_t n)
{
    s64 what;
    int error = proc_parse(text, 1, 4, &what);

    if (error)
        return error;
    if (what & 1) {
        vm_event(drop_pagecache);
        backing_drop_caches();
    }
    if (what & 2) {
        vm_event(drop_slab);
        shrink_all();
        object_caches_shrink();
    }
    frames_drain_all();
    return 0;
}

/* Whatever is written. */
static ssize_t write_compact_memory(struct proc_inode *pi, char *text, size_t n)
{
    compact_memory();
    return 0;
}

/* Of ratio and kbytes the one that was written last counts (overcommit_limit()). */
static ssize_t write_overcommit_ratio(struct proc_inode *pi, char *text, size_t n)
{
    ssize_t error = proc_write_value(pi, text, n);

    if (!error)
        WRITE_ONCE(overcommit_kbytes, 0);
    return error;
}

static ssize_t write_overcommit_kbytes(struct proc_inode *pi, char *text, size_t n)
{
    ssize_t error = proc_write_value(pi, text, n);

    if (!error)
        WRITE_ONCE(overcommit_ratio, 0);
    return error;
}

#define OVERCOMMIT(n, v, fn)                                                                       \
    {                                                                                              \
        .name = n, .mode = S_IFREG | 0644, .show = proc_show_value, .write = fn, .value = v,       \
        .max = INT32_MAX                                                                           \
    }

static ssize_t write_mark(char *text, s64 least, s64 most, int *knob)
{
    s64 value;
    int error = proc_parse(text, least, most, &value);

    if (error)
        return error;
    *knob = value;
    watermarks_update();
    return 0;
}

/* Not so much that nothing could be allocated any more. */
static ssize_t write_min_free(struct proc_inode *pi, char *text, size_t n)
{
    return write_mark(text, 0, boot_memory_total() / 1024 / 4, &min_free_kbytes);
}

static ssize_t write_watermark_scale(struct proc_inode *pi, char *text, size_t n)
{
    return write_mark(text, 1, 3000, &watermark_scale_factor);
}

/* ---- facts -------------------------------------------------------------------------------------------------- */

#define FACT(fn, ...)                                                                              \
    static int fn(struct seq_file *m, struct proc_inode *pi)                                       \
    {                                                                                              \
        seq_printf(m, __VA_ARGS__);                                                                \
        return 0;                                                                                  \
    }
FACT(show_ostype, "%s\n", KERNEL_NAME)
FACT(show_osrelease, "%s\n", KERNEL_RELEASE)
FACT(show_os_version, "%s\n", KERNEL_VERSION)
FACT(show_pid_max, "%d\n", PID_MAX)
FACT(show_ngroups_max, "%d\n", NGROUPS_MAX)
FACT(show_cap_last_cap, "%d\n", CAP_LAST_CAP)
FACT(show_arch, "%s\n", ARCH_NAME)
FACT(show_mmap_min_addr, "%lu\n", (unsigned long)USER_START)
FACT(show_min_free, "%d\n", min_free_kbytes)
FACT(show_watermark_scale, "%d\n", watermark_scale_factor)
FACT(show_file_max, "%llu\n", (unsigned long long)file_max())
FACT(show_threads_max, "%llu\n", (unsigned long long)threads_max)
FACT(show_file_nr, "%llu\t0\t%lld\n", (unsigned long long)file_count(), (long long)file_max())
FACT(show_nr_open, "%d\n", NOFILE_MAX)
FACT(show_overflow_id, "65534\n")
FACT(show_entropy, "256\n") /* bits: the generator has been seeded and needs no more */
FACT(show_time_slice, "100\n")
FACT(show_zero, "0\n")

#define FACT_ENTRY(n, fn) PROC_TEXT(n, 0444, fn)

static const struct proc_entry random_entries[] = {
    FACT_ENTRY("boot_id", show_boot_id),
    FACT_ENTRY("entropy_avail", show_entropy),
    FACT_ENTRY("poolsize", show_entropy),
    FACT_ENTRY("uuid", show_uuid),
    {0},
};
static const struct proc_entry kernel_entries[] = {
    FACT_ENTRY("arch", show_arch),
    FACT_ENTRY("cap_last_cap", show_cap_last_cap),
    PROC_KNOB("core_pattern", 0644, show_core_pattern, write_core_pattern),
    PROC_VALUE("core_pipe_limit", 0644, &core_pipe_limit, 0, INT32_MAX),
    PROC_VALUE("core_uses_pid", 0644, &core_uses_pid, 0, 1),
    PROC_KNOB("domainname", 0644, show_domain_name, write_domain_name),
    PROC_KNOB("hostname", 0644, show_host_name, write_host_name),
    FACT_ENTRY("ngroups_max", show_ngroups_max),
    FACT_ENTRY("osrelease", show_osrelease),
    FACT_ENTRY("ostype", show_ostype),
    FACT_ENTRY("overflowgid", show_overflow_id),
    FACT_ENTRY("overflowuid", show_overflow_id),
    FACT_ENTRY("pid_max", show_pid_max),
    PROC_KNOB("printk", 0644, show_printk, write_printk),
    PROC_DIRECTORY("random", random_entries),
    PROC_KNOB("randomize_va_space", 0644, show_randomize, write_randomize),
    FACT_ENTRY("sched_rr_timeslice_ms", show_time_slice),
    FACT_ENTRY("tainted", show_zero),
    FACT_ENTRY("threads-max", show_threads_max),
    FACT_ENTRY("version", show_os_version),
    {0},
};
static const struct proc_entry vm_entries[] = {
    PROC_VALUE("admin_reserve_kbytes", 0644, &admin_reserve_kbytes, 0, INT32_MAX),
    PROC_VALUE("compaction_proactiveness", 0644, &compaction_proactiveness, 0, 100),
    PROC_KNOB("dirty_background_bytes", 0644, proc_show_dirty_background_bytes,
              proc_write_dirty_background_bytes),
    PROC_KNOB("dirty_background_ratio", 0644, proc_show_dirty_background_ratio,
              proc_write_dirty_background_ratio),
    PROC_KNOB("dirty_bytes", 0644, proc_show_dirty_bytes, proc_write_dirty_bytes),
    PROC_VALUE("dirty_expire_centisecs", 0644, &dirty_expire_centisecs, 0, INT32_MAX),
    PROC_KNOB("dirty_ratio", 0644, proc_show_dirty_ratio, proc_write_dirty_ratio),
    PROC_KNOB("dirty_writeback_centisecs", 0644, proc_show_dirty_writeback,
              proc_write_dirty_writeback),
    {.name = "compact_memory", .mode = S_IFREG | 0200, .write = write_compact_memory},
    {.name = "drop_caches", .mode = S_IFREG | 0200, .write = write_drop_caches},
    PROC_VALUE("extfrag_threshold", 0644, &extfrag_threshold, 0, 1000),
    PROC_VALUE("max_map_count", 0644, &max_map_count, 0, INT32_MAX),
    PROC_KNOB("min_free_kbytes", 0644, show_min_free, write_min_free),
    FACT_ENTRY("mmap_min_addr", show_mmap_min_addr),
    PROC_VALUE("oom_dump_tasks", 0644, &oom_dump_tasks, 0, INT32_MAX),
    PROC_VALUE("oom_kill_allocating_task", 0644, &oom_kill_allocating_task, 0, INT32_MAX),
    OVERCOMMIT("overcommit_kbytes", &overcommit_kbytes, write_overcommit_kbytes),
    PROC_VALUE("overcommit_memory", 0644, &overcommit_mode, 0, 2),
    OVERCOMMIT("overcommit_ratio", &overcommit_ratio, write_overcommit_ratio),
    PROC_VALUE("page-cluster", 0644, &swap_page_cluster, 0, 31),
    PROC_VALUE("panic_on_oom", 0644, &panic_on_oom, 0, 2),
    PROC_VALUE("swappiness", 0644, &swappiness, 0, 200),
    PROC_VALUE("user_reserve_kbytes", 0644, &user_reserve_kbytes, 0, INT32_MAX),
    PROC_VALUE("vfs_cache_pressure", 0644, &vfs_cache_pressure, 0, INT32_MAX),
    PROC_KNOB("watermark_scale_factor", 0644, show_watermark_scale, write_watermark_scale),
    {0},
};
static int show_max_watches(struct seq_file *m, struct proc_inode *pi)
{
    seq_printf(m, "%llu\n", (unsigned long long)epoll_max_watches());
    return 0;
}

static const struct proc_entry epoll_entries[] = {
    FACT_ENTRY("max_user_watches", show_max_watches),
    {0},
};
static const struct proc_entry inotify_entries[] = {
    PROC_VALUE("max_queued_events", 0644, &inotify_max_queued_events, 0, INT32_MAX),
    PROC_VALUE("max_user_instances", 0644, &inotify_max_user_instances, 0, INT32_MAX),
    PROC_VALUE("max_user_watches", 0644, &inotify_max_user_watches, 0, INT32_MAX),
    {0},
};
static const struct proc_entry fs_entries[] = {
    PROC_DIRECTORY("epoll", epoll_entries),
    FACT_ENTRY("file-max", show_file_max),
    FACT_ENTRY("file-nr", show_file_nr),
    PROC_DIRECTORY("inotify", inotify_entries),
    FACT_ENTRY("nr_open", show_nr_open),
    FACT_ENTRY("overflowgid", show_overflow_id),
    FACT_ENTRY("overflowuid", show_overflow_id),
    PROC_VALUE("pipe-max-size", 0644, &pipe_max_size, PAGE_SIZE, INT32_MAX),
    FACT_ENTRY("protected_hardlinks", show_zero),
    FACT_ENTRY("protected_symlinks", show_zero),
    PROC_VALUE("suid_dumpable", 0644, &suid_dumpable, 0, 2),
    {0},
};
static const struct proc_entry net_core_entries[] = {
    PROC_VALUE("somaxconn", 0644, &socket_backlog_max, 0, INT32_MAX),
    {0},
};
static const struct proc_entry net_unix_entries[] = {
    PROC_VALUE("max_dgram_qlen", 0644, &socket_queue_depth, 0, INT32_MAX),
    {0},
};
static const struct proc_entry net_entries[] = {
    PROC_DIRECTORY("core", net_core_entries),
    PROC_DIRECTORY("unix", net_unix_entries),
    {0},
};
const struct proc_entry sys_entries[] = {
    PROC_DIRECTORY("fs", fs_entries),
    PROC_DIRECTORY("kernel", kernel_entries),
    PROC_DIRECTORY("net", net_entries),
    PROC_DIRECTORY("vm", vm_entries),
    {0},
};
