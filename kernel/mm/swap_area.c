/* SPDX-License-Identifier: MIT */
/*
 * Swap areas: which there are, which is used next, and who uses their slots.
 *
 * The areas that slots may be taken from are in a list by priority, highest first. Slots come from
 * the first that has a free one; areas of equal priority take turns, a run of slots each, so that
 * several devices work at once and what lies together stays so.
 */
#include "swap_area.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/mm.h>
#include <vellum/reclaim.h>
#include <vellum/smp.h>
#include <vellum/thread.h>

#define TURN 64 /* slots taken from an area before it is the next one's turn */

struct swap_area swap_areas[SWAP_AREAS];

static DEFINE_SPINLOCK(areas_lock);            /* > area->lock */
static struct list active = LIST_INIT(active); /* [areas_lock] by priority, highest first */
static unsigned taken;                         /* [areas_lock] from the first one, in this turn */
static int lowest = -1;      /* [areas_lock] the next priority of those that ask for none */
static DEFINE_MUTEX(change); /* areas come and go */

static atomic_long_t count_total, count_free; /* slots of areas in the list */

__init void swap_init(void)
{
    for (unsigned i = 0; i < SWAP_AREAS; i++) {
        spin_init(&swap_areas[i].lock);
        swap_areas[i].type = i;
    }
}

/* ---- counting --------------------------------------------------------------------------------------- */

void swap_counts(struct swap_counts *counts)
{
    *counts = (struct swap_counts){.total = max(atomic_read(&count_total), 0L),
                                   .free = max(atomic_read(&count_free), 0L)};
    for (unsigned i = 0; i < SWAP_AREAS; i++)
        counts->cached += READ_ONCE(swap_areas[i].cached);
}

bool swap_has_room(void)
{
    return atomic_read(&count_free) > 0;
}

bool swap_is_scarce(const struct swap_area *area)
{
    return !(READ_ONCE(area->flags) & AREA_WRITABLE) ||
           2 * atomic_read(&count_free) < atomic_read(&count_total);
}

void swap_count_change(struct swap_area *area, u64 before)
{
    if (area->slots.free != before && (area->flags & AREA_WRITABLE))
        atomic_add(&count_free, (long)(area->slots.free - before));
}

/* ---- taking ----------------------------------------------------------------------------------------- */

/* Behind the others of its priority. => areas_lock */
static void enlist(struct swap_area *area)
{
    struct swap_area *a;

    list_for_each_entry(a, &active, link)
        if (a->priority < area->priority)
            break;
    list_add_tail(&area->link, &a->link); /* before a, or at the end */
}

/* A slot of this area. 0, -ENOSPC, -ENOMEM */
static int take_from(struct swap_area *area, struct page *page)
{
    int error = -ENOSPC;
    u64 before, slot;

    spin_lock(&area->lock);
    before = area->slots.free;
    slot = area->flags & AREA_WRITABLE
               ? swap_slots_take(&area->slots, &area->cursors[this_cpu()->id])
               : 0;
    if (slot) {
        error = swap_cache_insert(area, page, slot);
        if (error)
            swap_slots_uncache(&area->slots, slot);
    }
    swap_count_change(area, before);
    spin_unlock(&area->lock);
    return error;
}

int swap_slot_take(struct page *page)
{
    struct swap_area *area, *next;
    int error = -ENOSPC;

    spin_lock(&areas_lock);
    list_for_each_entry_safe(area, next, &active, link) {
        error = take_from(area, page);
        if (error != -ENOSPC)
            break;
    }
    if (!error && ++taken >= TURN) {
        taken = 0;
        list_del(&area->link);
        enlist(area);
    }
    spin_unlock(&areas_lock);
    return error;
}

/* ---- users ------------------------------------------------------------------------------------------ */

int swap_duplicate(swap_entry_t entry)
{
    struct swap_area *area = swap_area_of(entry);
    int error;

    spin_lock(&area->lock);
    error = swap_slots_get(&area->slots, swap_slot(entry));
    spin_unlock(&area->lock);
    assert(error != -ENOENT);
    return error;
}

unsigned swap_users(swap_entry_t entry)
{
    struct swap_area *area = swap_area_of(entry);
    unsigned users = 0;

    spin_lock(&area->lock);
    if (swap_slots_in_use(&area->slots, swap_slot(entry)))
        users = swap_slots_users(&area->slots, swap_slot(entry));
    spin_unlock(&area->lock);
    return users;
}

/* A user less. Returns the slot's page, with a reference, if nothing but the cache keeps the slot.
 * => area->lock */
static struct page *put_slot(struct swap_area *area, u64 slot)
{
    struct page *page = NULL;
    u64 before = area->slots.free;

    if (!swap_slots_put(&area->slots, slot) && swap_slots_in_use(&area->slots, slot)) {
        page = radix_tree_lookup(&area->cache, slot);
        page_get(page);
    }
    swap_count_change(area, before);
    return page;
}

/* A page whose slot nobody names any more, with a reference to be put. */
static void drop_cached(struct page *page)
{
    if (page_trylock(page)) {
        swap_cache_release(page);
        page_unlock(page);
    }
    page_put(page);
}

void swap_free(swap_entry_t entry)
{
    swap_free_many(&entry, 1);
}

void swap_free_many(const swap_entry_t *entries, unsigned n)
{
    struct page *cached[32];

    while (n > 0) {
        struct swap_area *area = swap_area_of(entries[0]);
        unsigned found = 0;

        spin_lock(&area->lock);
        while (n > 0 && swap_area_of(entries[0]) == area && found < ARRAY_SIZE(cached)) {
            cached[found] = put_slot(area, swap_slot(entries[0]));
            found += cached[found] != NULL;
            entries++;
            n--;
        }
        spin_unlock(&area->lock);
        while (found > 0)
            drop_cached(cached[--found]);
    }
}

/* ---- areas come and go => change ---------------------------------------------------------------------- */

void *swap_area_data(const struct swap_area *area)
{
    return area->private_data;
}

static struct swap_area *unused_area(void)
{
    for (unsigned i = 0; i < SWAP_AREAS; i++)
        if (!swap_areas[i].flags)
            return &swap_areas[i];
    return NULL;
}

static void start_area(struct swap_area *area, int priority)
{
    spin_lock(&areas_lock);
    area->priority = priority < 0 ? --lowest : priority;
    spin_lock(&area->lock);
    area->flags = AREA_USED | AREA_READY | AREA_WRITABLE;
    atomic_add(&count_total, (long)swap_slots_usable(&area->slots));
    atomic_add(&count_free, (long)area->slots.free);
    spin_unlock(&area->lock);
    enlist(area);
    spin_unlock(&areas_lock);
}

int swap_area_add(u64 slots, const u32 *bad, unsigned n_bad, int priority,
                  const struct swap_area_ops *ops, void *private_data)
{
    struct swap_cursor *cursors = kmalloc_array(cpu_count, sizeof(*cursors), ALLOC_ZERO);
    struct swap_area *area;
    int error = -ENOMEM;

    mutex_lock(&change);
    area = unused_area();
    if (!area)
        error = -EPERM;
    if (!cursors || !area || swap_slots_init(&area->slots, slots, ops->discard != NULL))
        goto fail;
    for (unsigned i = 0; i < n_bad; i++)
        swap_slots_mark_bad(&area->slots, bad[i]);
    radix_tree_init(&area->cache);
    area->cursors = cursors;
    area->ops = ops;
    area->private_data = private_data;
    area->last_fault = 0;
    atomic_set(&area->hits, 0);
    start_area(area, priority);
    error = area->type;
    mutex_unlock(&change);
    return error;
fail:
    mutex_unlock(&change);
    kfree(cursors);
    return error;
}

/* No slot is taken from it any more. */
static void stop_area(struct swap_area *area)
{
    spin_lock(&areas_lock);
    list_del(&area->link);
    spin_lock(&area->lock);
    atomic_sub(&count_total, (long)swap_slots_usable(&area->slots));
    atomic_sub(&count_free, (long)area->slots.free);
    area->flags &= ~AREA_WRITABLE;
    spin_unlock(&area->lock);
    spin_unlock(&areas_lock);
}

static void resume_area(struct swap_area *area)
{
    spin_lock(&areas_lock);
    spin_lock(&area->lock);
    area->flags |= AREA_WRITABLE;
    atomic_add(&count_total, (long)swap_slots_usable(&area->slots));
    atomic_add(&count_free, (long)area->slots.free);
    spin_unlock(&area->lock);
    enlist(area);
    spin_unlock(&areas_lock);
}

/* Could what the area holds fit into memory if nothing else were there? Whether it does is found out. */
static bool could_fit(const struct swap_area *area)
{
    u64 used = swap_slots_usable(&area->slots) - area->slots.free;

    return used <= boot_memory_total() / PAGE_SIZE + max(atomic_read(&count_free), 0L);
}

bool swapoff_is_run_by(const struct process *p)
{
    for (unsigned i = 0; i < SWAP_AREAS; i++)
        if (READ_ONCE(swap_areas[i].emptied_by) == p)
            return true;
    return false;
}

/* Who does it is the first to be ended if memory runs out meanwhile: then all is as before. */
static int empty(struct swap_area *area)
{
    int error;

    if (!could_fit(area))
        return -ENOMEM;
    WRITE_ONCE(area->emptied_by, current->process);
    error = swap_empty(area);
    WRITE_ONCE(area->emptied_by, NULL);
    return error;
}

/* The priorities that were given to those that asked for none have no gaps. */
static void renumber(int gone)
{
    struct swap_area *area;

    if (gone >= 0)
        return;
    spin_lock(&areas_lock);
    list_for_each_entry(area, &active, link)
        if (area->priority < gone)
            area->priority++;
    lowest++;
    spin_unlock(&areas_lock);
}

int swap_area_remove(unsigned type, const void *private_data)
{
    struct swap_area *area = &swap_areas[type];
    struct swap_cursor *cursors;
    struct swap_slots slots;
    int error;

    mutex_lock(&change);
    if (!(area->flags & AREA_WRITABLE) || area->private_data != private_data) {
        mutex_unlock(&change);
        return -EINVAL;
    }
    stop_area(area);
    mutex_unlock(&change);
    error = empty(area);
    if (error) {
        resume_area(area);
        return error;
    }
    mutex_lock(&change);
    spin_lock(&area->lock);
    assert(radix_tree_empty(&area->cache));
    area->flags &= ~AREA_READY;
    cursors = area->cursors;
    area->cursors = NULL;
    slots = area->slots;
    area->slots = (struct swap_slots){0}; /* whoever has a stale entry finds no such slot */
    spin_unlock(&area->lock);
    kfree(cursors);
    swap_slots_destroy(&slots);
    renumber(area->priority);
    area->flags = 0;
    mutex_unlock(&change);
    return 0;
}

bool swap_area_info(unsigned type, struct swap_area_info *info)
{
    struct swap_area *area = &swap_areas[type];
    bool there;

    spin_lock(&area->lock);
    there = area->flags & AREA_READY;
    if (there)
        *info = (struct swap_area_info){
            .slots = swap_slots_usable(&area->slots),
            .used = swap_slots_usable(&area->slots) - area->slots.free,
            .priority = area->priority,
            .private_data = area->private_data,
        };
    spin_unlock(&area->lock);
    return there;
}
