/* SPDX-License-Identifier: MIT */
/*
 * Object caches, after Bonwick ("The Slab Allocator", USENIX Summer 1994; "Magazines and Vmem",
 * USENIX 2001).
 *
 *     processor's stack of free objects  <--half a stack at once-->  slabs  <-->  frames
 *
 * A slab is a block of frames cut into objects of one size. Its bookkeeping lies in the struct page
 * of its first frame; free objects are chained through their first words. Slabs with both free and
 * used objects are in the cache's `partial` list, one empty slab is kept, full ones are in no list:
 * a freed object's address leads to its slab through virt_to_page().
 *
 * In front of that each processor has a stack of free objects, used with interrupts off and
 * without a lock.
 */
#include "memory.h"
#include <vellum/alloc.h>
#include <vellum/seq_file.h>
#include <vellum/smp.h>
#include <vellum/string.h>
#include <vellum/sync.h>

struct object_stack {
    u32 count;       /* [c] */
    u32 limit;       /* [i] */
    void *objects[]; /* [c] */
};

struct object_cache {
    struct object_stack **stacks; /* [i] by CPU number, for CPUs found so far */
    u32 size;                     /* [i] of an object, bytes, rounded up to the alignment */
    u32 stack_limit;              /* [i] */
    u32 per_slab, order;          /* [i] objects in a slab; its frames */
    u32 requested;                /* [i] size as asked for */
    u32 stack_count;              /* [i] entries of stacks */
    bool reclaimable;             /* [i] */
    spinlock_t lock;              /* taken with interrupts off */
    struct list partial;          /* [lock] slabs by page->link */
    struct page *empty;           /* [lock] one slab without used objects, or NULL */
    u64 slabs, used;              /* [lock] slabs; objects outside of slabs (in use or in stacks) */
    const char *name;             /* [i] */
    struct list link;             /* [caches_lock] */
    struct object_stack *boot_stacks[1];
};
/* [c] that CPU only, interrupts off */

static DEFINE_SPINLOCK(caches_lock); /* taken with interrupts off */
static struct list caches = LIST_INIT(caches);

static struct object_cache cache_of_caches;
static bool stacks_allowed; /* kmalloc() works, so stacks can be had */

#define CALLER ((vaddr_t)__builtin_return_address(0))
/* What debug builds find in free objects, and the slab's chain has overwritten. */
#define FREE_WORD ((void *)0x6b6b6b6b6b6b6b6b)

/* For CPUs without a stack: always empty and always full. */
static struct object_stack no_stack;

/* ---- slabs => cache->lock, unless said otherwise ---------------------------------------------- */

static inline struct page *slab_of(const void *object)
{
    struct page *page = virt_to_page(object);

    return page->flags & PG_TAIL ? page->slab_cache : page;
}

static void count_frames(const struct object_cache *cache, long n)
{
    atomic_add(&count_slab, n);
    if (cache->reclaimable)
        atomic_add(&count_slab_reclaimable, n);
}

/* => no lock */
static struct page *slab_create(struct object_cache *cache, unsigned flags)
{
    struct page *slab = pages_alloc(cache->order, flags & ALLOC_ATOMIC);
    char *objects;

    if (!slab)
        return NULL;
    objects = page_to_virt(slab);
    for (unsigned i = 1; i < 1U << cache->order; i++) {
        slab[i].flags = PG_SLAB | PG_TAIL;
        slab[i].slab_cache = slab;
    }
    slab->flags = PG_SLAB | (cache->order ? PG_HEAD : 0);
    slab->slab_cache = cache;
    slab->slab_used = 0;
    slab->slab_total = cache->per_slab;
    slab->slab_free = objects;
    for (unsigned i = 0; i < cache->per_slab; i++) {
        object_debug_create(objects + i * cache->size, cache->size);
        *(void **)(objects + i * cache->size) =
            i + 1 < cache->per_slab ? objects + (i + 1) * cache->size : NULL;
    }
    count_frames(cache, 1L << cache->order);
    return slab;
}

/* => no lock; on no list */
static void slab_destroy(struct object_cache *cache, struct page *slab)
{
    assert(slab->slab_used == 0);
    for (unsigned i = 0; i < 1U << cache->order; i++)
        slab[i].flags = 0;
    count_frames(cache, -(1L << cache->order));
    atomic_set(&slab->refs, 0);
    pages_free(slab, cache->order);
}

static void *slab_take(struct object_cache *cache, struct page *slab)
{
    void *object = slab->slab_free;

    slab->slab_free = *(void **)object;
#ifdef VELLUM_DEBUG
    *(void **)object = FREE_WORD;
#endif
    assert(!slab->slab_free || slab_of(slab->slab_free) == slab);
    if (++slab->slab_used == cache->per_slab)
        list_del(&slab->link);
    cache->used++;
    return object;
}

/* Returns a slab that has become empty beyond the one that is kept; or NULL. */
static struct page *slab_give(struct object_cache *cache, void *object)
{
    struct page *slab = slab_of(object), *spare;

    assert(slab->slab_cache == cache && slab->slab_used > 0);
    *(void **)object = slab->slab_free;
    slab->slab_free = object;
    cache->used--;
    if (slab->slab_used-- == cache->per_slab)
        list_add(&slab->link, &cache->partial);
    if (slab->slab_used > 0)
        return NULL;
    list_del(&slab->link);
    spare = cache->empty;
    cache->empty = slab;
    if (spare)
        cache->slabs--;
    return spare;
}

/* A slab with free objects, in the partial list; or NULL. */
static struct page *slab_ready(struct object_cache *cache)
{
    struct page *slab = list_first_entry_or_null(&cache->partial, struct page, link);

    if (!slab && cache->empty) {
        slab = cache->empty;
        cache->empty = NULL;
        list_add(&slab->link, &cache->partial);
    }
    return slab;
}

/* ---- between stacks and slabs ------------------------------------------------------------------- */

/* One object for the caller, and up to half a stack besides. => no lock, interrupts as they are */
static __noinline void *alloc_slow(struct object_cache *cache, unsigned flags)
{
    unsigned long irq = spin_lock_irqsave(&cache->lock);
    struct object_stack *stack;
    struct page *slab = slab_ready(cache);
    void *object;

    if (!slab) {
        spin_unlock_irqrestore(&cache->lock, irq);
        slab = slab_create(cache, flags);
        if (!slab)
            return NULL;
        irq = spin_lock_irqsave(&cache->lock);
        cache->slabs++;
        list_add(&slab->link, &cache->partial);
    }
    object = slab_take(cache, slab);
    stack = cache->stacks[this_cpu()->id];
    while (stack->count < stack->limit / 2 && !list_empty(&cache->partial)) {
        slab = list_first_entry(&cache->partial, struct page, link);
        stack->objects[stack->count++] = slab_take(cache, slab);
    }
    spin_unlock_irqrestore(&cache->lock, irq);
    return object;
}

/* Take n objects from the bottom of a stack back to their slabs. => interrupts off */
static void stack_drain(struct object_cache *cache, struct object_stack *stack, unsigned n)
{
    struct list freed = LIST_INIT(freed);

    preempt_disable();
    spin_lock_raw(&cache->lock);
    for (unsigned i = 0; i < n; i++) {
        struct page *slab = slab_give(cache, stack->objects[i]);

        if (slab)
            list_add(&slab->link, &freed);
    }
    spin_unlock_raw(&cache->lock);
    stack->count -= n;
    memmove(stack->objects, stack->objects + n, stack->count * sizeof(void *));
    while (!list_empty(&freed)) {
        struct page *slab = list_first_entry(&freed, struct page, link);

        list_del(&slab->link);
        slab_destroy(cache, slab);
    }
    preempt_enable_no_resched();
}

/* The stack is full, or there is none. => interrupts off */
static __noinline void free_slow(struct object_cache *cache, struct object_stack *stack,
                                 void *object)
{
    struct page *slab;

    if (stack->limit) {
        stack_drain(cache, stack, DIV_ROUND_UP(stack->limit, 2));
        stack->objects[stack->count++] = object;
        return;
    }
    preempt_disable();
    spin_lock_raw(&cache->lock);
    slab = slab_give(cache, object);
    spin_unlock_raw(&cache->lock);
    if (slab)
        slab_destroy(cache, slab);
    preempt_enable_no_resched();
}

void *object_alloc(struct object_cache *cache, unsigned flags)
{
    struct object_stack *stack;
    void *object = NULL;
    unsigned long irq;

    assert_may_allocate(flags);
    irq = irq_save();
    stack = cache->stacks[this_cpu()->id];
    if (likely(stack->count))
        object = stack->objects[--stack->count];
    irq_restore(irq);
    if (unlikely(!object)) {
        object = alloc_slow(cache, flags);
        if (!object)
            return NULL;
    }
    object_debug_allocate(object, cache->size, cache->requested, CALLER);
    if (flags & ALLOC_ZERO)
        memset(object, 0, cache->requested);
    return object;
}

void object_free(struct object_cache *cache, void *object)
{
    unsigned long irq = irq_save();
    struct object_stack *stack = cache->stacks[this_cpu()->id];

    assert(slab_of(object)->slab_cache == cache);
    object_debug_free(object, cache->size, CALLER);
    if (likely(stack->count < stack->limit))
        stack->objects[stack->count++] = object;
    else
        free_slow(cache, stack, object);
    irq_restore(irq);
}

struct object_cache *object_cache_of(const void *object)
{
    return slab_of(object)->slab_cache;
}

size_t object_cache_size(const struct object_cache *cache)
{
    return cache->requested;
}

const char *object_cache_name(const struct object_cache *cache)
{
    return cache->name;
}

#ifdef VELLUM_DEBUG
void object_set_used(struct object_cache *cache, void *object, size_t used, vaddr_t by)
{
    object_debug_resize(object, cache->size, used, by);
}
#endif

/* ---- caches --------------------------------------------------------------------------------------- */

/* Whole frames in which at most an eighth is lost; few of them. */
static void choose_slab(struct object_cache *cache)
{
    for (cache->order = 0; cache->order < 3; cache->order++) {
        size_t bytes = PAGE_SIZE << cache->order;

        if (bytes / cache->size >= 1 && bytes % cache->size <= bytes / 8)
            break;
    }
    while (PAGE_SIZE << cache->order < cache->size)
        cache->order++;
    cache->per_slab = (PAGE_SIZE << cache->order) / cache->size;
}

static unsigned choose_limit(size_t size)
{
    return size <= 128 ? 32 : size <= 256 ? 16 : size <= 1024 ? 8 : 4;
}

static int stack_create(struct object_cache *cache, struct object_stack **slot)
{
    struct object_stack *stack;

    stack = kmalloc(sizeof(*stack) + cache->stack_limit * sizeof(void *), ALLOC_KERNEL);
    if (!stack)
        return -ENOMEM;
    stack->count = 0;
    stack->limit = cache->stack_limit;
    *slot = stack;
    return 0;
}

static void setup(struct object_cache *cache, const char *name, size_t size, size_t align)
{
    align = max(align, sizeof(void *));
    unsigned long flags;

    memset(cache, 0, sizeof(*cache));
    cache->name = name;
    cache->requested = max(size, sizeof(void *));
    cache->size = ALIGN_UP(cache->requested + object_debug_room(), align);
    cache->stack_limit = choose_limit(cache->size);
    choose_slab(cache);
    spin_init(&cache->lock);
    list_init(&cache->partial);
    cache->boot_stacks[0] = &no_stack;
    cache->stacks = cache->boot_stacks;
    cache->stack_count = 1;
    flags = spin_lock_irqsave(&caches_lock);
    list_add_tail(&cache->link, &caches);
    spin_unlock_irqrestore(&caches_lock, flags);
}

/* Give each processor that is known, and has none, its stack. => nobody else uses the cache yet */
static int make_stacks(struct object_cache *cache)
{
    struct object_stack **old = cache->stacks, **stacks = old;
    unsigned n = max(cpu_count, 1U);

    if (n > cache->stack_count) {
        stacks = kmalloc_array(n, sizeof(*stacks), ALLOC_KERNEL);
        if (!stacks)
            return -ENOMEM;
        for (unsigned i = 0; i < n; i++)
            stacks[i] = i < cache->stack_count ? old[i] : &no_stack;
        cache->stacks = stacks;
        cache->stack_count = n;
        if (old != cache->boot_stacks)
            kfree(old);
    }
    for (unsigned i = 0; i < n; i++)
        if (stacks[i] == &no_stack && stack_create(cache, &stacks[i]))
            return -ENOMEM;
    return 0;
}

struct object_cache *object_cache_create(const char *name, size_t size, size_t align)
{
    struct object_cache *cache = object_alloc(&cache_of_caches, ALLOC_KERNEL);

    if (!cache)
        return NULL;
    setup(cache, name, size, align);
    if (stacks_allowed && make_stacks(cache)) {
        object_cache_destroy(cache);
        return NULL;
    }
    return cache;
}

void object_cache_set_reclaimable(struct object_cache *cache)
{
    assert(cache->slabs == 0);
    cache->reclaimable = true;
}

void object_cache_destroy(struct object_cache *cache)
{
    unsigned long flags = spin_lock_irqsave(&caches_lock);

    list_del(&cache->link);
    spin_unlock_irqrestore(&caches_lock, flags);
    for (unsigned i = 0; i < cache->stack_count; i++) {
        unsigned long irq = irq_save();

        stack_drain(cache, cache->stacks[i], cache->stacks[i]->count);
        irq_restore(irq);
        if (cache->stacks[i] != &no_stack)
            kfree(cache->stacks[i]);
    }
    if (cache->stacks != cache->boot_stacks)
        kfree(cache->stacks);
    assert(cache->used == 0 && list_empty(&cache->partial));
    if (cache->empty)
        slab_destroy(cache, cache->empty);
    object_free(&cache_of_caches, cache);
}

/* Empty this processor's stacks: objects that lie there keep their slabs alive. */
static void drain_local_stacks(void *unused)
{
    unsigned cpu = this_cpu()->id;
    unsigned long flags = spin_lock_irqsave(&caches_lock);
    struct object_cache *cache;

    list_for_each_entry(cache, &caches, link)
        if (cpu < cache->stack_count)
            stack_drain(cache, cache->stacks[cpu], cache->stacks[cpu]->count);
    spin_unlock_irqrestore(&caches_lock, flags);
}

/* Give back the empty slab; => interrupts off */
static void drop_empty(struct object_cache *cache)
{
    struct page *slab;

    spin_lock(&cache->lock);
    slab = cache->empty;
    cache->empty = NULL;
    if (slab)
        cache->slabs--;
    spin_unlock(&cache->lock);
    if (slab)
        slab_destroy(cache, slab);
}

u64 object_caches_shrink(void)
{
    long before = atomic_read(&count_slab), after;
    struct object_cache *cache;
    unsigned long flags;

    vmap_purge();
    preempt_disable();
    smp_call(&cpus_online, drain_local_stacks, NULL);
    drain_local_stacks(NULL);
    preempt_enable();
    flags = spin_lock_irqsave(&caches_lock);
    list_for_each_entry(cache, &caches, link)
        drop_empty(cache);
    spin_unlock_irqrestore(&caches_lock, flags);
    after = atomic_read(&count_slab);
    return before > after ? before - after : 0; /* others allocate meanwhile */
}

void slab_show(struct seq_file *m)
{
    struct object_cache *cache;
    unsigned long flags;

    seq_puts(m, "slabinfo - version: 2.1\n");
    seq_puts(m, "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
                " : tunables <limit> <batchcount> <sharedfactor>"
                " : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
    flags = spin_lock_irqsave(&caches_lock);
    list_for_each_entry(cache, &caches, link)
        seq_printf(
            m, "%-17s %6llu %6llu %6u %4u %4u : tunables %4u %4u %4u : slabdata %6llu %6llu 0\n",
            cache->name, (unsigned long long)cache->used,
            (unsigned long long)cache->slabs * cache->per_slab, cache->size, cache->per_slab,
            1U << cache->order, cache->stack_limit, cache->stack_limit / 2, 0U,
            (unsigned long long)cache->slabs - (cache->empty != NULL),
            (unsigned long long)cache->slabs);
    spin_unlock_irqrestore(&caches_lock, flags);
}

/* ---- start ------------------------------------------------------------------------------------------ */

__init void object_caches_init(void)
{
    struct object_cache *cache;

    setup(&cache_of_caches, "object_cache", sizeof(struct object_cache), 0);
    kmalloc_init();
    list_for_each_entry(cache, &caches, link)
        if (make_stacks(cache))
            panic("no memory for object caches");
    stacks_allowed = true;
    tree_nodes_init();
}

void object_caches_smp_init(void)
{
    struct object_cache *cache;

    list_for_each_entry(cache, &caches, link)
        if (make_stacks(cache))
            panic("no memory for the object caches of %u processors", cpu_count);
}
