/* SPDX-License-Identifier: MIT */
/*
 * Overcommit: how much memory may be promised.
 *
 * mmap() and fork() promise memory that only a touch takes. Most of it is never touched, so a kernel
 * may promise more than it has, and end a process when too many collect at once (kernel/proc/oom.c);
 * or it may keep account, and refuse what it could not give. vm.overcommit_memory chooses:
 *
 *     0  refuse a single request that is larger than all memory and swap space
 *     1  refuse nothing
 *     2  all that is promised stays below a limit: swap space, and overcommit_ratio percent of
 *        memory or overcommit_kbytes; the last of it is root's (admin_reserve_kbytes), and a
 *        process that is large already leaves something to others (user_reserve_kbytes)
 *
 * What counts is count_committed (Committed_AS in /proc/meminfo), kept whatever the mode: private
 * mappings that may be, or have once been, written (VM_ACCOUNT), and the memory behind shared ones.
 * MAP_NORESERVE asks for memory that is not counted; mode 2 does not listen.
 */
#include "address_space.h"
#include <vellum/cred.h>
#include <vellum/thread.h>
#include <linux/capability.h>

#define KIB_PER_PAGE (PAGE_SIZE / 1024)

int overcommit_mode, overcommit_ratio = 50, overcommit_kbytes;
int admin_reserve_kbytes = 8 << 10, user_reserve_kbytes = 128 << 10;

static u64 all_pages(void)
{
    return boot_memory_total() >> PAGE_SHIFT;
}

static u64 swap_space(void)
{
    struct swap_counts swap;

    swap_counts(&swap);
    return swap.total;
}

u64 overcommit_limit(void)
{
    u64 kib = READ_ONCE(overcommit_kbytes);

    return swap_space() +
           (kib ? kib / KIB_PER_PAGE : all_pages() * READ_ONCE(overcommit_ratio) / 100);
}

/* Mode 2. The counter may grow between the look at it and the caller's own addition: the limit is
 * exact for one who asks alone. */
static bool within_limit(const struct mm *mm, u64 pages)
{
    u64 kept = 0, limit = overcommit_limit();

    if (!capable(CAP_SYS_ADMIN))
        kept = READ_ONCE(admin_reserve_kbytes) / KIB_PER_PAGE;
    if (mm)
        kept += min(mm->total_pages / 32, READ_ONCE(user_reserve_kbytes) / KIB_PER_PAGE);
    return atomic_read(&count_committed) + pages + kept < limit;
}

bool overcommit_allows(const struct mm *mm, u64 pages)
{
    switch (READ_ONCE(overcommit_mode)) {
    case 1:
        return true;
    case 2:
        return within_limit(mm, pages);
    default:
        return pages <= all_pages() || pages <= all_pages() + swap_space();
    }
}

bool overcommit_charge(u64 pages)
{
    if (!overcommit_allows(NULL, pages))
        return false;
    atomic_add(&count_committed, (long)pages);
    return true;
}

/* 3% of what is free at the start for each, but no more than a shell and a few tools need; and than
 * a login of root's. */
void __init overcommit_init(void)
{
    u64 kib = frames_free() * KIB_PER_PAGE / 32;

    admin_reserve_kbytes = min(kib, (u64)admin_reserve_kbytes);
    user_reserve_kbytes = min(kib, (u64)user_reserve_kbytes);
}
