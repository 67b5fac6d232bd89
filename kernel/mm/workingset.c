/* SPDX-License-Identifier: MIT */
/*
 * Working sets: which of the pages that come back should not have gone?
 *
 * A page that is read once and never again and one that is read in turn with many others look the same
 * while they are inactive: used once. The difference shows after they have been evicted, when one of them
 * comes back. How much longer would the inactive list have had to be to keep it? As much longer as
 * there were evictions and activations meanwhile, for each of these moves all pages behind it one step
 * nearer to the end. If the active list is longer than that, the page could have been kept in the place
 * of an active one; whether that would have been better is found out by making it active and letting it
 * compete. If the distance is larger, keeping it would have cost more hits than it brought. So one pass
 * over a file larger than memory changes nothing, while a new working set replaces an old one.
 * (After Johannes Weiner's refault distance; the idea goes back to Jiang, Chen and Zhang, "CLOCK-Pro",
 * USENIX 2005.)
 *
 *     clock    +1 for each eviction and activation
 *     evict    remember the clock under the name of the page: its file and index, or its swap slot
 *     refault  distance = clock now - clock then
 *
 * What is remembered is a table of small buckets, chosen by a hash of the name; in a full bucket the
 * oldest goes. So it takes 8 bytes a page and forgets by itself what would be too far away. The table
 * is only made when the memory runs short for the first time. It is read and written without a lock: what
 * a race spoils is a hint.
 */
#include "scan.h"
#include <vellum/alloc.h>
#include <vellum/hash.h>
#include <vellum/page_cache.h>
#include <vellum/vmstat.h>

#define BUCKET_SLOTS 8 /* a cache line */

/* A name's hash in the upper half, the clock in the lower; 0: empty. */
struct bucket {
    u64 slots[BUCKET_SLOTS];
};

static struct bucket *buckets; /* [i] once it is set */
static u64 bucket_count;       /* [i] */
static u32 lru_clock;          /* [a] */

void workingset_age(u64 pages)
{
    __atomic_fetch_add(&lru_clock, (u32)pages, __ATOMIC_RELAXED);
}

void workingset_start(void)
{
    u64 n = boot_memory_total() / PAGE_SIZE / BUCKET_SLOTS;
    struct bucket *table;

    if (buckets)
        return;
    table = vmap_alloc(n * sizeof(*table), ALLOC_ZERO);
    if (!table)
        return; /* the next time */
    bucket_count = n;
    smp_store_release(&buckets, table);
}

static u64 hash_name(const void *owner, u64 index)
{
    return hash_mix(hash_mix(0, (u64)(uintptr_t)owner), index);
}

void workingset_evict(const void *owner, u64 index, const struct page *page)
{
    struct bucket *table = smp_load_acquire(&buckets);
    u32 now = __atomic_add_fetch(&lru_clock, 1, __ATOMIC_RELAXED), age, oldest = 0;
    u64 name = hash_name(owner, index), *slots;
    unsigned victim = 0;

    if (!table)
        return;
    slots = table[name % bucket_count].slots;
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        u64 slot = READ_ONCE(slots[i]);

        age = slot ? now - (u32)slot : ~0u;
        if (age >= oldest) {
            oldest = age;
            victim = i;
        }
    }
    WRITE_ONCE(slots[victim],
               ALIGN_DOWN(name, 1UL << 33) | (u64) !!(page->flags & PG_WORKINGSET) << 32 | now);
}

/* Is there a page of that name? Then it is forgotten. *distance; *was: it had been active before */
static bool recall(u64 name, u64 *distance, bool *was)
{
    struct bucket *table = smp_load_acquire(&buckets);
    u64 *slots;

    if (!table)
        return false;
    slots = table[name % bucket_count].slots;
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        u64 slot = READ_ONCE(slots[i]);

        if (slot && slot >> 33 == name >> 33) {
            WRITE_ONCE(slots[i], 0);
            *distance = (u32)(READ_ONCE(lru_clock) - (u32)slot);
            *was = slot >> 32 & 1;
            return true;
        }
    }
    return false;
}

void workingset_refault(const void *owner, u64 index, struct page *page)
{
    bool swap_backed = page->flags & PG_SWAP_BACKED, was;
    u64 lists[4], distance;

    if (likely(!READ_ONCE(buckets)) || !recall(hash_name(owner, index), &distance, &was))
        return;
    for (unsigned l = 0; l < 4; l++)
        lists[l] = lru_count(l);
    vm_count_add(VM_workingset_refault_anon + !swap_backed, 1);
    if (!refault_was_near(distance, swap_backed, lists, reclaim_can_swap()))
        return;
    page_flag_set(page, PG_ACTIVE);
    workingset_age(1);
    vm_count_add(VM_workingset_activate_anon + !swap_backed, 1);
    if (was) { /* a working set that did not fit: what its pages cost is the price of reclaiming them */
        page_flag_set(page, PG_WORKINGSET);
        lru_note_cost(swap_backed, 1);
        vm_count_add(VM_workingset_restore_anon + !swap_backed, 1);
    }
}
