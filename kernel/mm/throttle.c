/* SPDX-License-Identifier: MIT */
/*
 * Throttling: who makes pages dirty faster than their device writes sleeps until the two are in step.
 *
 * Without it, one program that writes a large file would fill all memory with dirty pages, and then
 * everybody who needs a frame would wait for the device. Here only the writer does. He is stopped
 * after every few pages for as long as the device needs to write as many: its speed is measured. How
 * much may be dirty is a share of the memory that could be: what is free, and what holds pages of
 * files that have a home elsewhere.
 */
#include "cache.h"
#include <vellum/alloc.h>
#include <vellum/dirty_policy.h>
#include <vellum/error.h>
#include <vellum/vmstat.h>

#define MEASURE_AFTER (200 * NSEC_PER_MSEC)
#define MEASURE_UNTIL NSEC_PER_SEC /* longer than this, and it has been idle in between */

int dirty_ratio = 20, dirty_background_ratio = 10;
unsigned long dirty_bytes, dirty_background_bytes;
int dirty_writeback_centisecs = 500, dirty_expire_centisecs = 3000;

static struct dirty_limits dirty_limits_now(void)
{
    struct memory_counts m;
    u64 available;

    memory_counts(&m);
    available = m.free + (m.cached - min(m.cached, m.shared));
    available -= min(available, frames_reserve());
    return dirty_limits(available, READ_ONCE(dirty_background_bytes),
                        READ_ONCE(dirty_background_ratio), READ_ONCE(dirty_bytes),
                        READ_ONCE(dirty_ratio));
}

/* ---- counts over all devices -------------------------------------------------------------------------- */

static bool add_dirty(struct backing_device *device, void *sum)
{
    *(long *)sum += atomic_read(&device->nr_dirty);
    return true;
}

static bool add_writeback(struct backing_device *device, void *sum)
{
    *(long *)sum += atomic_read(&device->nr_writeback);
    return true;
}

u64 pages_dirty(void)
{
    long sum = 0;

    backing_for_each(add_dirty, &sum);
    return max(sum, 0L);
}

u64 pages_in_writeback(void)
{
    long sum = 0;

    backing_for_each(add_writeback, &sum);
    return max(sum, 0L);
}

bool dirty_beyond_background(void)
{
    u64 dirty = pages_dirty();

    return dirty && dirty > dirty_limits_now().background;
}

/* ---- the speed of a device ---------------------------------------------------------------------------- */

static void measure(struct backing_device *device)
{
    u64 now = ktime_get(), written = atomic_read(&device->nr_written), passed;

    if (!spin_trylock(&device->lock))
        return; /* somebody else is at it */
    passed = now - device->measured_at;
    if (passed >= MEASURE_AFTER) {
        if (passed <= MEASURE_UNTIL)
            device->speed = dirty_speed(device->speed, written - device->measured_pages, passed);
        device->measured_at = now;
        device->measured_pages = written;
    }
    spin_unlock(&device->lock);
}

/* ---- sleeping ------------------------------------------------------------------------------------------- */

/* ns; 0: go on. limit: who comes to it stays until less is dirty. */
static u64 pause_for(struct backing_device *device, unsigned pages, u64 *limit)
{
    struct dirty_limits limits = dirty_limits_now();
    u64 speed = READ_ONCE(device->speed), dirty = pages_dirty();

    if (dirty > limits.background && !READ_ONCE(device->wanted))
        flusher_has_work(device);
    *limit = limits.limit;
    return dirty_pause(&limits, dirty + pages_in_writeback(), speed ? speed : DIRTY_SPEED_DEFAULT,
                       atomic_read(&device->throttled), pages);
}

static bool at_limit(u64 limit)
{
    return pages_dirty() + pages_in_writeback() >= limit;
}

void balance_dirty_slow(struct backing_device *device)
{
    unsigned pages = current->dirtied;
    u64 pause, limit;
    bool stopped;
    int error;

    current->dirtied = 0;
    assert_may_sleep();
    atomic_inc(&device->throttled);
    do {
        measure(device);
        pause = pause_for(device, pages, &limit);
        if (!pause)
            break;
        vm_event(dirty_throttled);
        stopped = at_limit(limit);
        error = wait_event_state(&device->written, stopped && !at_limit(limit), TASK_KILLABLE,
                                 ktime_after(pause), false);
    } while (stopped && error != -ERESTARTSYS);
    atomic_dec(&device->throttled);
}

/* ---- for reclaim ------------------------------------------------------------------------------------------ */

static bool find_busy(struct backing_device *device, void *found)
{
    if (atomic_read(&device->nr_writeback) <= 0 && atomic_read(&device->nr_dirty) <= 0)
        return true;
    *(struct backing_device **)found = device;
    return false;
}

void writeback_wait(u64 ns)
{
    struct backing_device *device = NULL;
    long before;

    backing_for_each(find_busy, &device);
    if (!device)
        return;
    before = atomic_read(&device->nr_written);
    wait_event_state(&device->written, atomic_read(&device->nr_written) != before, TASK_KILLABLE,
                     ktime_after(ns), false);
}
