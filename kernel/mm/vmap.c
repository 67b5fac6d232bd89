/* SPDX-License-Identifier: MIT */
/*
 * Kernel addresses between VMAP_BASE and VMAP_END: frames mapped side by side, device registers.
 *
 * Areas are kept in a red-black tree by address; each node knows the largest hole in front of an
 * area in its subtree, so the lowest hole that is large enough is found in one descent.
 *
 * A freed area's frames go back at once, but its addresses are not used again before all
 * processors have forgotten them. Telling them costs an interrupt each; so dead areas gather until
 * they hold PURGE_PAGES, and then one flush serves all.
 */
#include "memory.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/page_table.h>
#include <vellum/rbtree.h>
#include <vellum/smp.h>
#include <vellum/sync.h>

#define PURGE_PAGES 512

struct vmap_area {
    vaddr_t start, end;  /* [i] with the guard page */
    struct rb_node node; /* [lock] */
    u64 hole;            /* [lock] bytes free in front of it */
    u64 largest_hole;    /* [lock] in the subtree */
    struct list link;    /* [lock] in dead_areas */
    bool device;         /* [i] */
};

static DEFINE_MUTEX(lock);
static struct rb_root areas;                           /* [lock] */
static struct list dead_areas = LIST_INIT(dead_areas); /* [lock] */
static u64 dead_pages;                                 /* [lock] */

static inline struct vmap_area *area_of(struct rb_node *node)
{
    return rb_entry(node, struct vmap_area, node);
}

static bool update_largest(struct rb_node *node)
{
    struct vmap_area *area = area_of(node);
    u64 largest = area->hole;

    if (node->left)
        largest = max(largest, area_of(node->left)->largest_hole);
    if (node->right)
        largest = max(largest, area_of(node->right)->largest_hole);
    if (area->largest_hole == largest)
        return false;
    area->largest_hole = largest;
    return true;
}

static const struct rb_augment augment = {update_largest};

/* The area in front of which the lowest hole of at least `size` bytes lies, or NULL. => lock */
static struct vmap_area *find_hole(u64 size)
{
    struct rb_node *node = areas.node;

    if (!node || area_of(node)->largest_hole < size)
        return NULL;
    for (;;) {
        if (node->left && area_of(node->left)->largest_hole >= size)
            node = node->left;
        else if (area_of(node)->hole >= size)
            return area_of(node);
        else
            node = node->right;
    }
}

static struct vmap_area *find_area(vaddr_t start)
{
    struct rb_node *node = areas.node;

    while (node) {
        struct vmap_area *area = area_of(node);

        if (start < area->start)
            node = node->left;
        else if (start >= area->end)
            node = node->right;
        else
            return area;
    }
    return NULL;
}

/* Put an area into the tree; its right neighbour's hole shrinks. => lock */
static void area_insert(struct vmap_area *area)
{
    struct rb_node **slot = &areas.node, *parent = NULL, *next, *prev;

    while (*slot) {
        parent = *slot;
        slot = area->start < area_of(parent)->start ? &parent->left : &parent->right;
    }
    rb_link(&area->node, parent, slot);
    prev = rb_prev(&area->node);
    area->hole = area->start - (prev ? area_of(prev)->end : VMAP_BASE);
    area->largest_hole = area->hole;
    rb_insert_augmented(&area->node, &areas, &augment);
    next = rb_next(&area->node);
    if (next) {
        area_of(next)->hole = area_of(next)->start - area->end;
        rb_augment_propagate(next, &augment);
    }
}

static void area_remove(struct vmap_area *area)
{
    struct rb_node *next = rb_next(&area->node);

    rb_erase_augmented(&area->node, &areas, &augment);
    if (next) {
        area_of(next)->hole += area->hole + (area->end - area->start);
        rb_augment_propagate(next, &augment);
    }
}

static void flush_here(void *unused)
{
    arch_tlb_flush_all();
}

/* Let all processors forget the dead areas; their addresses can then be used again. => lock */
static void purge(void)
{
    struct vmap_area *area, *next;

    if (list_empty(&dead_areas))
        return;
    preempt_disable();
    smp_call(&cpus_online, flush_here, NULL);
    arch_tlb_flush_all();
    preempt_enable();
    list_for_each_entry_safe(area, next, &dead_areas, link) {
        list_del(&area->link);
        area_remove(area);
        kfree(area);
    }
    dead_pages = 0;
}

static void free_deferred(void);

void vmap_purge(void)
{
    free_deferred();
    if (!mutex_trylock(&lock))
        return; /* who holds it may be waiting for us to find memory */
    purge();
    mutex_unlock(&lock);
}

/* The lowest address with `size` free bytes behind it, or 0. => lock */
static vaddr_t find_room(u64 size)
{
    struct vmap_area *above = find_hole(size);
    struct rb_node *last = rb_last(&areas);
    vaddr_t start = last ? area_of(last)->end : VMAP_BASE;

    if (above)
        return above->start - above->hole;
    return VMAP_END - start >= size ? start : 0;
}

/* Reserve addresses for `size` bytes and a guard page. NULL: no memory or no room. */
static struct vmap_area *area_create(u64 size, bool device)
{
    struct vmap_area *area = kmalloc(sizeof(*area), ALLOC_KERNEL);

    if (!area)
        return NULL;
    size = ALIGN_UP(size, PAGE_SIZE) + PAGE_SIZE;
    mutex_lock(&lock);
    area->start = find_room(size);
    if (!area->start) {
        purge();
        area->start = find_room(size);
    }
    if (area->start) {
        area->end = area->start + size;
        area->device = device;
        area_insert(area);
    }
    mutex_unlock(&lock);
    if (!area->start) {
        kfree(area);
        return NULL;
    }
    return area;
}

/* The mapping has been taken away. */
static void area_retire(struct vmap_area *area)
{
    mutex_lock(&lock);
    list_add_tail(&area->link, &dead_areas);
    dead_pages += (area->end - area->start) >> PAGE_SHIFT;
    if (dead_pages >= PURGE_PAGES)
        purge();
    mutex_unlock(&lock);
}

/* Unmap all of an area that is mapped; its frames are freed, unless they are a device's. */
static void area_unmap(struct vmap_area *area)
{
    for (vaddr_t va = area->start; va < area->end - PAGE_SIZE; va += PAGE_SIZE) {
        pte_t *entry = kernel_pte(va), old;

        if (!entry)
            continue;
        old = pte_exchange(entry, (pte_t){0});
        if (!pte_none(old) && !area->device) {
            page_put(pfn_to_page(pte_pfn(old)));
            atomic_dec(&count_vmap);
        }
    }
}

static int map_frame(vaddr_t va, unsigned flags)
{
    struct page *page = page_alloc(flags & ALLOC_ZERO);
    pte_t *entry = page ? kernel_pte_alloc(va) : NULL;

    if (!entry) {
        if (page)
            page_put(page);
        return -ENOMEM;
    }
    atomic_inc(&count_vmap);
    pte_publish(entry, pte_set_dirty(pte_set_young(
                           pte_leaf(page_to_pfn(page), PTE_READ | PTE_WRITE | PTE_GLOBAL, 0))));
    return 0;
}

void *vmap_alloc(size_t size, unsigned flags)
{
    struct vmap_area *area;

    assert_may_sleep();
    free_deferred();
    if (size == 0 || size > boot_memory_total())
        return NULL;
    area = area_create(size, false);
    if (!area)
        return NULL;
    for (vaddr_t va = area->start; va < area->end - PAGE_SIZE; va += PAGE_SIZE)
        if (map_frame(va, flags)) {
            area_unmap(area);
            area_retire(area);
            return NULL;
        }
    return (void *)area->start;
}

void *vmap_device(paddr_t p, size_t size)
{
    u64 offset = p % PAGE_SIZE;
    struct vmap_area *area = area_create(size + offset, true);
    u64 bytes;

    if (!area)
        return NULL;
    bytes = area->end - area->start - PAGE_SIZE;
    for (u64 done = 0; done < bytes; done += PAGE_SIZE) {
        pte_t *entry = kernel_pte_alloc(area->start + done);

        if (!entry) {
            area_unmap(area);
            area_retire(area);
            return NULL;
        }
        pte_publish(entry, pte_set_dirty(pte_set_young(
                               pte_leaf((p - offset + done) >> PAGE_SHIFT,
                                        PTE_READ | PTE_WRITE | PTE_GLOBAL | PTE_DEVICE, 0))));
    }
    return (void *)(area->start + offset);
}

/* ---- freeing where nothing may sleep ------------------------------------------------------------- */

/* At the beginning of memory that is to be freed by whoever comes next and may sleep. */
struct deferred {
    struct deferred *next;
};
static struct deferred *deferred; /* [a] */

void vmap_free_atomic(void *p)
{
    struct deferred *d = p, *head = __atomic_load_n(&deferred, __ATOMIC_RELAXED);

    do
        d->next = head;
    while (!__atomic_compare_exchange_n(&deferred, &head, d, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED));
}

static void free_deferred(void)
{
    struct deferred *d, *next;

    if (likely(!READ_ONCE(deferred)))
        return;
    for (d = __atomic_exchange_n(&deferred, NULL, __ATOMIC_ACQUIRE); d; d = next) {
        next = d->next;
        vmap_free(d);
    }
}

static struct vmap_area *area_at(const void *p)
{
    struct vmap_area *area;

    mutex_lock(&lock);
    area = find_area((vaddr_t)p);
    mutex_unlock(&lock);
    assert(area);
    return area;
}

size_t vmap_size(const void *p)
{
    struct vmap_area *area = area_at(p);

    return area->end - PAGE_SIZE - area->start;
}

void vmap_free(void *p)
{
    struct vmap_area *area;

    if (!p)
        return;
    assert_may_sleep();
    area = area_at(p);
    assert(area->device || area->start == (vaddr_t)p);
    area_unmap(area);
    area_retire(area);
}

struct page *vmap_to_page(const void *p)
{
    pte_t *entry = kernel_pte((vaddr_t)p);
    pte_t pte = entry ? pte_load(entry) : (pte_t){0};

    return pte_none(pte) ? NULL : pfn_to_page(pte_pfn(pte));
}
