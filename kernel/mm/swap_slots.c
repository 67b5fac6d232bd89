/* SPDX-License-Identifier: MIT */
/*
 * Slots of a swap area.
 *
 * Each slot has a byte:
 *
 *      7        6..0
 *      cached   users: 0 to 125; 126: that and what `more` says; 127: cannot be used
 *
 * A byte of 0 is a free slot. More than 126 users are rare (a page shared by that many processes), so
 * the rest of the number is kept in a tree that is empty most of the time.
 *
 * Pages that are written together are often read together, and a run of slots costs hardly more to
 * write or read than one. So slots are handed out in order from clusters of 256, each processor from
 * one of its own: preferably from empty ones; when there are none left, from the gaps in others.
 *
 *     empty --take--> partial --take--> (full: in no list) --put--> partial --put--> empty
 *       ^                                                                              |
 *       +-- end_discard -- (busy: in no list) <-- begin_discard -- dirty <-------------+
 *
 * The last way is that of areas whose device wants to be told what is not needed any more.
 */
#include "swap_slots.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/string.h>

enum {
    SLOT_CACHED = 0x80,
    SLOT_USERS = 0x7f,
    SLOT_MANY = 126,
    SLOT_BAD = 127,
};

enum { EMPTY, PARTIAL, FULL, DIRTY, BUSY };

int swap_slots_init(struct swap_slots *slots, u64 count, bool discard)
{
    *slots = (struct swap_slots){
        .count = count,
        .free = count,
        .cluster_count = DIV_ROUND_UP(count, SWAP_CLUSTER),
        .discard = discard,
    };
    radix_tree_init(&slots->more);
    list_init(&slots->empty);
    list_init(&slots->partial);
    list_init(&slots->dirty);
    slots->uses = kzalloc(count, ALLOC_KERNEL);
    slots->clusters =
        kmalloc_array(slots->cluster_count, sizeof(*slots->clusters), ALLOC_KERNEL | ALLOC_ZERO);
    if (!slots->uses || !slots->clusters) {
        swap_slots_destroy(slots);
        return -ENOMEM;
    }
    for (u64 i = 0; i < slots->cluster_count; i++)
        list_add_tail(&slots->clusters[i].link, &slots->empty);
    swap_slots_mark_bad(slots, 0);
    return 0;
}

void swap_slots_destroy(struct swap_slots *slots)
{
    assert(radix_tree_empty(&slots->more));
    kfree(slots->uses);
    kfree(slots->clusters);
    slots->uses = NULL;
    slots->clusters = NULL;
    slots->count = slots->free = 0;
}

/* ---- clusters --------------------------------------------------------------------------------------- */

static unsigned cluster_size(const struct swap_slots *slots, u64 cluster)
{
    return min_t(u64, SWAP_CLUSTER, slots->count - cluster * SWAP_CLUSTER);
}

/* Where a cluster belongs by what is used in it. */
static void sort_cluster(struct swap_slots *slots, u64 number)
{
    struct swap_cluster *c = &slots->clusters[number];
    u8 state = PARTIAL;

    if (c->used == cluster_size(slots, number))
        state = FULL;
    else if (c->used == c->bad)
        state = slots->discard && c->state != EMPTY ? DIRTY : EMPTY;
    if (c->state == state)
        return;
    if (c->state != FULL)
        list_del(&c->link);
    c->state = state;
    if (state == PARTIAL)
        list_add_tail(&c->link, &slots->partial);
    else if (state == EMPTY)
        list_add_tail(&c->link, &slots->empty);
    else if (state == DIRTY)
        list_add_tail(&c->link, &slots->dirty);
}

static void use_slot(struct swap_slots *slots, u64 slot, u8 value)
{
    assert(slots->uses[slot] == 0);
    slots->uses[slot] = value;
    slots->free--;
    slots->clusters[slot / SWAP_CLUSTER].used++;
    sort_cluster(slots, slot / SWAP_CLUSTER);
}

static void free_slot(struct swap_slots *slots, u64 slot)
{
    slots->free++;
    slots->clusters[slot / SWAP_CLUSTER].used--;
    sort_cluster(slots, slot / SWAP_CLUSTER);
}

bool swap_slots_mark_bad(struct swap_slots *slots, u64 slot)
{
    if (slot >= slots->count)
        return false;
    if (slots->uses[slot] == SLOT_BAD)
        return true;
    slots->clusters[slot / SWAP_CLUSTER].bad++;
    use_slot(slots, slot, SLOT_BAD);
    return true;
}

u64 swap_slots_usable(const struct swap_slots *slots)
{
    u64 n = slots->count;

    for (u64 i = 0; i < slots->cluster_count; i++)
        n -= slots->clusters[i].bad;
    return n;
}

/* ---- taking ----------------------------------------------------------------------------------------- */

/* The first free slot in [from, end), or 0. */
static u64 find_free(const struct swap_slots *slots, u64 from, u64 end)
{
    const u8 *found = from < end ? memchr(slots->uses + from, 0, end - from) : NULL;

    return found ? (u64)(found - slots->uses) : 0;
}

/* A free slot of the cluster, from `from` on if there is one. */
static u64 find_in_cluster(const struct swap_slots *slots, u64 cluster, u64 from)
{
    u64 first = cluster * SWAP_CLUSTER, end = first + cluster_size(slots, cluster);
    u64 slot = find_free(slots, max(from, first), end);

    return slot ? slot : find_free(slots, first, end);
}

/* The cluster to begin next, or -1. */
static s64 next_cluster(struct swap_slots *slots)
{
    struct swap_cluster *c;

    if (!list_empty(&slots->empty)) {
        c = list_first_entry(&slots->empty, struct swap_cluster, link);
    } else if (!list_empty(&slots->partial)) {
        c = list_first_entry(&slots->partial, struct swap_cluster, link);
        list_del(&c->link); /* the next one who comes begins another */
        list_add_tail(&c->link, &slots->partial);
    } else {
        return -1;
    }
    return c - slots->clusters;
}

u64 swap_slots_take(struct swap_slots *slots, struct swap_cursor *cursor)
{
    u64 slot = 0, cluster = cursor->next / SWAP_CLUSTER;

    /* Only onwards: behind the cursor lies what was there before. */
    if (cursor->next && cursor->next % SWAP_CLUSTER && cluster < slots->cluster_count &&
        slots->clusters[cluster].state == PARTIAL)
        slot =
            find_free(slots, cursor->next, cluster * SWAP_CLUSTER + cluster_size(slots, cluster));
    if (!slot) {
        s64 next = next_cluster(slots);

        if (next < 0)
            return 0;
        slot = find_in_cluster(slots, next, 0);
    }
    assert(slot);
    use_slot(slots, slot, SLOT_CACHED);
    cursor->next = slot + 1;
    return slot;
}

/* ---- users ------------------------------------------------------------------------------------------ */

bool swap_slots_in_use(const struct swap_slots *slots, u64 slot)
{
    return slot < slots->count && slots->uses[slot] && slots->uses[slot] != SLOT_BAD;
}

bool swap_slots_cached(const struct swap_slots *slots, u64 slot)
{
    return slots->uses[slot] & SLOT_CACHED;
}

/* Users that did not fit into the byte: the tree's items are odd numbers. */
static u64 more_users(const struct swap_slots *slots, u64 slot)
{
    return (u64)(uintptr_t)radix_tree_lookup(&slots->more, slot) >> 1;
}

static void *more_item(u64 n)
{
    return (void *)(uintptr_t)(n << 1 | 1);
}

u64 swap_slots_users(const struct swap_slots *slots, u64 slot)
{
    u64 users = slots->uses[slot] & SLOT_USERS;

    assert(users != SLOT_BAD);
    return users == SLOT_MANY ? users + more_users(slots, slot) : users;
}

int swap_slots_get(struct swap_slots *slots, u64 slot)
{
    u64 more;

    if (!swap_slots_in_use(slots, slot))
        return -ENOENT;
    if ((slots->uses[slot] & SLOT_USERS) < SLOT_MANY) {
        slots->uses[slot]++;
        return 0;
    }
    more = more_users(slots, slot);
    if (!more)
        return radix_tree_insert(&slots->more, slot, more_item(1));
    radix_tree_replace(&slots->more, slot, more_item(more + 1));
    return 0;
}

u64 swap_slots_put(struct swap_slots *slots, u64 slot)
{
    u64 more = 0;

    assert(swap_slots_in_use(slots, slot) && swap_slots_users(slots, slot) > 0);
    if ((slots->uses[slot] & SLOT_USERS) == SLOT_MANY)
        more = more_users(slots, slot);
    if (more > 1)
        radix_tree_replace(&slots->more, slot, more_item(more - 1));
    else if (more == 1)
        radix_tree_delete(&slots->more, slot);
    else if (--slots->uses[slot] == 0)
        free_slot(slots, slot);
    return swap_slots_in_use(slots, slot) ? swap_slots_users(slots, slot) : 0;
}

void swap_slots_cache(struct swap_slots *slots, u64 slot)
{
    assert(swap_slots_in_use(slots, slot) && !swap_slots_cached(slots, slot));
    slots->uses[slot] |= SLOT_CACHED;
}

void swap_slots_uncache(struct swap_slots *slots, u64 slot)
{
    assert(swap_slots_in_use(slots, slot) && swap_slots_cached(slots, slot));
    slots->uses[slot] &= ~SLOT_CACHED;
    if (slots->uses[slot] == 0)
        free_slot(slots, slot);
}

void swap_slots_set_mark(struct swap_slots *slots, u64 slot)
{
    if (slot < slots->count)
        slots->clusters[slot / SWAP_CLUSTER].mark = slot % SWAP_CLUSTER;
}

bool swap_slots_take_mark(struct swap_slots *slots, u64 slot)
{
    struct swap_cluster *c;

    if (slot >= slots->count || slot % SWAP_CLUSTER == 0)
        return false;
    c = &slots->clusters[slot / SWAP_CLUSTER];
    if (c->mark != slot % SWAP_CLUSTER)
        return false;
    c->mark = 0;
    return true;
}

u64 swap_slots_next(const struct swap_slots *slots, u64 slot)
{
    for (; slot < slots->count; slot++)
        if (swap_slots_in_use(slots, slot))
            return slot;
    return 0;
}

/* ---- discarding --------------------------------------------------------------------------------------- */

u64 swap_slots_begin_discard(struct swap_slots *slots, unsigned *n)
{
    struct swap_cluster *c;
    u64 number;

    if (list_empty(&slots->dirty))
        return 0;
    c = list_first_entry(&slots->dirty, struct swap_cluster, link);
    number = c - slots->clusters;
    list_del(&c->link);
    c->state = BUSY;
    *n = cluster_size(slots, number);
    if (number == 0) { /* the header is not ours to discard */
        --*n;
        return 1;
    }
    return number * SWAP_CLUSTER;
}

void swap_slots_end_discard(struct swap_slots *slots, u64 first)
{
    struct swap_cluster *c = &slots->clusters[first / SWAP_CLUSTER];

    assert(c->state == BUSY && c->used == c->bad);
    c->state = EMPTY;
    list_add_tail(&c->link, &slots->empty);
}
