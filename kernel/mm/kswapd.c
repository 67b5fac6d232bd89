/* SPDX-License-Identifier: MIT */
/*
 * When is memory reclaimed, and by whom? Three marks of free memory decide (reclaim.h):
 *
 *     below low    kswapd, a thread of the kernel, is woken and works until high, while others go on
 *     below min    it cannot keep up: who needs a page gets some back himself before he takes it
 *     at the end   what cannot be reclaimed is ended: kernel/proc/oom.c
 *
 * Both go through the lists with rising pressure: first 1/4096 of them, at last everything.
 */
#include "scan.h"
#include <vellum/alloc.h>
#include <vellum/boot.h>
#include <vellum/compaction.h>
#include <vellum/error.h>
#include <vellum/signal.h>
#include <vellum/sync.h>
#include <vellum/time.h>
#include <vellum/vmstat.h>
#include <vellum/writeback.h>

#define DIRECT_BATCH 32
#define MAX_FAILURES 16 /* runs of kswapd that freed nothing */
#define WRITE_PAUSE  (20 * NSEC_PER_MSEC)
#define WRITES_MAX   256 /* pages that kswapd has on their way to swap before it waits for them */

int min_free_kbytes, watermark_scale_factor = 10, swappiness = 60, vfs_cache_pressure = 100;

static struct watermarks marks;
static DEFINE_WAIT_QUEUE(kswapd_queue);
static DEFINE_WAIT_QUEUE(written_queue); /* who waits for pages to be written */
static bool kswapd_wanted;               /* [a] */
static u32 kswapd_failures;              /* [a] */
static u32 writes_begun, writes_ended;   /* [a] pages, since the start */

struct watermarks zone_watermarks(void)
{
    return marks;
}

void watermarks_update(void)
{
    marks =
        watermarks_make(min_free_kbytes, boot_memory_total() / PAGE_SIZE, watermark_scale_factor);
    frames_set_watermarks(&marks);
}

void kswapd_wake(void)
{
    if (READ_ONCE(kswapd_wanted) || READ_ONCE(kswapd_failures) >= MAX_FAILURES)
        return;
    WRITE_ONCE(kswapd_wanted, true);
    wake_up_one(&kswapd_queue);
}

/* ---- waiting for the disk --------------------------------------------------------------------------- */

void reclaim_writes_begun(unsigned n)
{
    __atomic_fetch_add(&writes_begun, n, __ATOMIC_RELAXED);
}

void reclaim_writes_ended(unsigned n)
{
    __atomic_fetch_add(&writes_ended, n, __ATOMIC_RELAXED);
    wake_up_all(&written_queue);
}

/* Of what was found, some is on its way to a disk or waits for the flushers: wait for a part of it. */
static void wait_for_writes(const struct reclaim *r)
{
    u32 before = READ_ONCE(writes_ended), enough = min(r->writing, (u64)DIRECT_BATCH);

    if (enough)
        (void)wait_event_state(&written_queue, READ_ONCE(writes_ended) - before >= enough,
                               TASK_KILLABLE, ktime_get() + WRITE_PAUSE, false);
    else if (r->dirty)
        writeback_wait(WRITE_PAUSE);
}

/* Grows with every page that has been written. */
static u64 written_so_far(void)
{
    return READ_ONCE(writes_ended) + vm_count(VM_nr_written);
}

/* ---- direct reclaim --------------------------------------------------------------------------------- */

bool reclaim_direct(unsigned order)
{
    struct reclaim r = {.wanted = max(DIRECT_BATCH, 1 << order)};
    u64 written = written_so_far();

    if (current->reclaiming)
        return false;
    current->reclaiming = true;
    vm_event(allocstall_normal);
    for (int priority = RECLAIM_PRIORITY; priority >= 0 && r.freed < r.wanted; priority--) {
        r.priority = priority;
        r.writing = r.dirty = 0;
        reclaim_pass(&r);
        if (fatal_signal_pending())
            break;
        if (r.freed < r.wanted)
            wait_for_writes(&r);
    }
    current->reclaiming = false;
    if (r.freed)
        WRITE_ONCE(kswapd_failures, 0);
    return r.freed || written_so_far() != written;
}

/* ---- the thread ------------------------------------------------------------------------------------- */

static bool is_balanced(void)
{
    return frames_in_buddy() >= marks.high;
}

/* Work until the high mark, or until a whole round of everything has brought nothing. The disk is kept
 * busy: as long as a pass finds pages to write, and not too many are on their way, the next pass looks
 * for more instead of waiting for these. */
static void balance(void)
{
    struct reclaim r = {.kswapd = true};
    int priority = RECLAIM_PRIORITY;

    vm_event(pageoutrun);
    while (!is_balanced() && priority >= 0) {
        u32 begun = READ_ONCE(writes_begun);
        u64 before = r.freed;

        r.priority = priority;
        r.writing = r.dirty = 0;
        r.wanted = before + max(marks.high - min(marks.high, frames_in_buddy()), 32UL);
        reclaim_pass(&r);
        if (r.freed - before < DIRECT_BATCH / 2)
            priority--;
        if (r.freed == before && (READ_ONCE(writes_begun) == begun ||
                                  writes_begun - READ_ONCE(writes_ended) >= WRITES_MAX))
            wait_for_writes(&r);
    }
    WRITE_ONCE(kswapd_failures, r.freed ? 0 : kswapd_failures + 1);
}

static int kswapd(void *unused)
{
    current->reclaiming = true; /* its own allocations use the reserve */
    for (;;) {
        wait_event(&kswapd_queue, READ_ONCE(kswapd_wanted));
        workingset_start();
        balance();
        kcompactd_note_cut(); /* what it has got back lies here and there */
        WRITE_ONCE(kswapd_wanted, false);
    }
    return 0;
}

void reclaim_init(void)
{
    if (is_err(kthread_start(kswapd, NULL, "kswapd0")))
        panic("no memory for kswapd");
}
