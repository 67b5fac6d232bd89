/* SPDX-License-Identifier: MIT */
/*
 * What the VFS asks of rooms that are not part of its unit tests.
 */
#include "tests/unit/vfs_glue.h"
#include "shim/pages.h"
#include <vellum/alloc.h>
#include <vellum/fs.h>
#include <vellum/notify.h>
#include <vellum/process.h>
#include <vellum/rmap.h>
#include <vellum/time.h>

atomic_long_t count_cached, count_shared, count_committed;
s64 glue_now = 1; /* ns */
u64 glue_available = 4096;

static struct list shrinkers = LIST_INIT(shrinkers);

void shrinker_register(struct shrinker *s)
{
    list_add_tail(&s->link, &shrinkers);
}

void vfs_shrink(void)
{
    struct shrinker *s;

    list_for_each_entry(s, &shrinkers, link)
        s->scan(s->count());
}

u64 boot_memory_total(void)
{
    return 64UL << 20;
}

s64 ktime_real(void)
{
    return shim_cycles++;
}

ktime_t ktime_get(void)
{
    return glue_now;
}

void memory_counts(struct memory_counts *counts)
{
    *counts = (struct memory_counts){.free = glue_available};
}

u64 frames_reserve(void)
{
    return 0;
}

/* Nothing is mapped. */
bool rmap_clean(struct page *page, struct rmap_flush *flush)
{
    return false;
}

void rmap_flush(struct rmap_flush *flush)
{
}

/* There are no threads: who needs a flusher calls flusher_round(). */
struct thread *kthread_start(int (*fn)(void *), void *arg, const char *name, ...)
{
    return err_ptr(-ENOMEM);
}

void mm_unmap_file_range(struct mapping_set *set, u64 first, u64 last, bool even_private_copies)
{
    assert(rb_empty(&set->tree));
}

void mapping_set_init(struct mapping_set *set)
{
    rwlock_init(&set->lock);
    set->tree = RB_ROOT;
    atomic_set(&set->writable, 0);
}

int signal_send_thread(struct thread *t, int signo, const siginfo_t *info)
{
    return 0;
}

/* No program runs here, no file has extended attributes. */
int suid_dumpable;

void xattrs_free(struct inode *inode)
{
}

/* Nobody watches files, with epoll or inotify. */
atomic_t notify_watches;

void async_init(void);
void async_init(void)
{
}

void async_forget(struct file *file);
void async_forget(struct file *file)
{
}

void epoll_forget(struct file *file)
{
}

void notify_dentry_slow(struct dentry *d, u32 mask)
{
}

void notify_inode(struct inode *inode, u32 mask)
{
}

void notify_name(struct inode *dir, u32 mask, const struct name *name, bool is_dir, u32 cookie)
{
}

void notify_attributes(struct dentry *d, unsigned valid)
{
}

void notify_gone(struct inode *inode)
{
}

void notify_unmounted(struct super_block *sb)
{
}

u32 notify_cookie(void)
{
    return 0;
}

bool overcommit_charge(u64 pages)
{
    atomic_add(&count_committed, (long)pages);
    return true;
}

const struct file_ops fifo_file_ops; /* FIFOs are not opened here */
const struct file_ops block_device_file_ops;

void vfs_start(void)
{
    static struct process process;

    for (unsigned i = 0; i < RLIM_NLIMITS; i++)
        process.limits[i].rlim_cur = process.limits[i].rlim_max =
            i == RLIMIT_NOFILE ? 1024 : RLIM64_INFINITY;
    current->process = &process;
    current->cred = &root_cred;
    shim_pages_init(16 << 20);
    vfs_init();
}
