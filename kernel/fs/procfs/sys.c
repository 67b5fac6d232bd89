/* SPDX-License-Identifier: MIT */
/*
 * /proc/sys: facts and knobs of the kernel. What is writable here acts.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/mm.h>
#include <vellum/printk.h>
#include <vellum/random.h>
#include <vellum/string.h>
#include <vellum/version.h>
#include <linux/capability.h>

/* ---- kernel ------------------------------------------------------------------------------------------- */

static void trim_newline(char *text, size_t n)
{
    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = '\0';
}

static int show_host_name(struct seq_file *m, struct proc_inode *pi)
{
    char name[65];

    host_name_get(name);
    seq_printf(m, "%s\n", name);
    return 0;
}

static ssize_t write_host_name(struct proc_inode *pi, char *text, size_t n)
{
    trim_newline(text, n);
    return host_name_set(text, strlen(text));
}

static int show_domain_name(struct seq_file *m, struct proc_inode *pi)
{
    char name[65];

    domain_name_get(name);
    seq_printf(m, "%s\n", name);
    return 0;
}

static ssize_t write_domain_name(struct proc_inode *pi, char *text, size_t n)
{
    trim_newline(text, n);
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

/* ---- vm --------------------------------------------------------------------------------------------------- */

/* 1: clean pages of files (those of tmpfs have no other home and stay); 2: dentries, inodes and
 * other objects; 3: both. Frames that CPUs kept for themselves go back as well. */
static ssize_t write_drop_caches(struct proc_inode *pi, char *text, size_t n)
{
    u64 what;

    trim_newline(text, n);
    if (str_to_u64(text, 10, &what) != 0 || what < 1 || what > 3)
        return -EINVAL;
    if (what & 2) {
        shrink_all();
        object_caches_shrink();
    }
    frames_drain_all();
    return 0;
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
FACT(show_overcommit, "0\n")
FACT(show_max_map_count, "%d\n", MAX_MAP_COUNT)
FACT(show_mmap_min_addr, "%lu\n", (unsigned long)USER_START)
FACT(show_randomize, "%d\n", aslr_enabled ? 2 : 0)

#define DIRECTORY(n, c)                                                                            \
    {                                                                                              \
        .name = n, .mode = S_IFDIR | 0555, .children = c                                           \
    }
#define TEXT(n, fn)                                                                                \
    {                                                                                              \
        .name = n, .mode = S_IFREG | 0444, .show = fn                                              \
    }
#define KNOB(n, fn, w)                                                                             \
    {                                                                                              \
        .name = n, .mode = S_IFREG | 0644, .show = fn, .write = w                                  \
    }

static const struct proc_entry random_entries[] = {
    TEXT("boot_id", show_boot_id),
    TEXT("uuid", show_uuid),
    {0},
};
static const struct proc_entry kernel_entries[] = {
    TEXT("cap_last_cap", show_cap_last_cap),
    KNOB("domainname", show_domain_name, write_domain_name),
    KNOB("hostname", show_host_name, write_host_name),
    TEXT("ngroups_max", show_ngroups_max),
    TEXT("osrelease", show_osrelease),
    TEXT("ostype", show_ostype),
    TEXT("pid_max", show_pid_max),
    KNOB("printk", show_printk, write_printk),
    DIRECTORY("random", random_entries),
    TEXT("randomize_va_space", show_randomize),
    TEXT("version", show_os_version),
    {0},
};
static const struct proc_entry vm_entries[] = {
    {.name = "drop_caches", .mode = S_IFREG | 0200, .write = write_drop_caches},
    TEXT("max_map_count", show_max_map_count),
    TEXT("mmap_min_addr", show_mmap_min_addr),
    TEXT("overcommit_memory", show_overcommit),
    {0},
};
const struct proc_entry sys_entries[] = {
    DIRECTORY("kernel", kernel_entries),
    DIRECTORY("vm", vm_entries),
    {0},
};
