/* SPDX-License-Identifier: MIT */
/*
 * The frame allocator: a buddy system (buddy.c) with small stacks of single frames in front of it for
 * each processor, one for either mobility.
 *
 * Most requests are for one frame. They are served from a stack, without a lock; the stack is filled,
 * and emptied, a batch at a time. What lies there counts as free.
 *
 *     page fault, slab ...  -->  stack of this CPU  --(16 at once)-->  buddy.c
 *
 * The last frames are kept back (reclaim.h): requests of user space stop first, then those that may
 * sleep; what is left is for those that may not, and for those who get memory back.
 */
#include "buddy.h"
#include "huge.h"
#include "scan.h"
#include <vellum/alloc.h>
#include <vellum/compaction.h>
#include <vellum/page_table.h>
#include <vellum/printk.h>
#include <vellum/smp.h>
#include <vellum/string.h>
#include <vellum/sync.h>

#define BATCH            16
#define EASY_ORDER       3 /* larger blocks may be missing though memory is not short */
#define OOM_ROUNDS       3
#define FRUITLESS_ROUNDS 3 /* each looks at every page there is */
#define BLOCK_FRAMES     (1UL << MAX_ORDER)

static struct frame_cache boot_frame_cache = {.high = FRAME_STACK};

bool frames_ready;
struct page *zero_page;
atomic_long_t count_cached, count_shared, count_tables, count_stacks, count_slab,
    count_slab_reclaimable, count_vmap;
atomic_long_t count_committed;

/* ---- single frames: the processor's stack => interrupts off ----------------------------------- */

/* Put a batch of frames into the empty stack. */
static void stack_fill(struct frame_cache *cache, struct frame_stack *stack, unsigned flags)
{
    stack->count = buddy_alloc_frames(stack->frames, min(cache->high / 2, (unsigned)BATCH), flags);
}

/* Give the n frames that have lain longest in the stack back. */
static void stack_drain(struct frame_stack *stack, unsigned n)
{
    buddy_free_frames(stack->frames, n);
    stack->count -= n;
    memmove(stack->frames, stack->frames + n, stack->count * sizeof(stack->frames[0]));
}

static inline void stack_push(struct frame_cache *cache, struct page *page, enum mobility mobility)
{
    struct frame_stack *stack = &cache->stacks[mobility];

    if (unlikely(stack->count >= cache->high))
        stack_drain(stack, min(cache->high / 2, (unsigned)BATCH));
    stack->frames[stack->count++] = page;
}

static void drain_here(void *unused)
{
    unsigned long irq = irq_save();
    struct frame_cache *cache = this_cpu()->frame_cache;

    for (unsigned m = 0; m < MOBILITIES; m++)
        stack_drain(&cache->stacks[m], cache->stacks[m].count);
    irq_restore(irq);
}

void frames_drain_here(void)
{
    drain_here(NULL);
}

void frames_drain_all(void)
{
    preempt_disable();
    smp_call(&cpus_online, drain_here, NULL);
    drain_here(NULL);
    preempt_enable();
}

/* ---- allocation ---------------------------------------------------------------------------------- */

/* The last frames may lie in the other stack. */
static __noinline struct page *pop_any(struct frame_cache *cache)
{
    for (unsigned m = 0; m < MOBILITIES; m++)
        if (cache->stacks[m].count)
            return cache->stacks[m].frames[--cache->stacks[m].count];
    return NULL;
}

static struct page *try_alloc(unsigned order, unsigned flags)
{
    struct frame_cache *cache;
    struct frame_stack *stack;
    struct page *page;
    unsigned long irq;

    if (order)
        return buddy_alloc(order, flags);
    irq = irq_save();
    cache = this_cpu()->frame_cache;
    stack = &cache->stacks[mobility_wanted(flags)];
    if (unlikely(!stack->count))
        stack_fill(cache, stack, flags);
    if (likely(stack->count))
        page = stack->frames[--stack->count];
    else
        page = pop_any(cache);
    irq_restore(irq);
    return page;
}

static bool nobody_to_end(unsigned order)
{
    return false;
}

bool (*mm_out_of_memory)(unsigned order) = nobody_to_end;

/* Who is about to end gives back more than it takes; and the kernel's own threads must go on, for which
 * nobody needs a large block. */
static bool may_use_reserve(unsigned order)
{
    return order <= EASY_ORDER && (!current->process || (current->work & WORK_KILLED));
}

/* Below the mark: reclaim, until there is enough or no reclaim helps; then let a process be ended. What
 * reclaims, and who is about to end, uses the reserve instead: it gives back more than it takes.
 * Requests of user space only fail: the fault is taken again without locks, and asks for an end itself. */
static __noinline struct page *alloc_slow(unsigned order, unsigned flags)
{
    unsigned fruitless = 0, ended = 0;
    struct page *page;

    if ((flags & ALLOC_ATOMIC) || (flags & (ALLOC_NORETRY | ALLOC_COMPACT)) == ALLOC_NORETRY)
        return NULL;
    assert_may_sleep();
    if (order) {
        page = compact_direct(order, flags);
        if (page || (flags & ALLOC_NORETRY))
            return page;
        kcompactd_wake(order);
    }
    if (current->reclaiming)
        return try_alloc(order, flags | ALLOC_ATOMIC);
    for (;;) {
        bool progress = reclaim_direct(order);

        page = order ? compact_direct(order, flags) : NULL;
        if (!page)
            page = try_alloc(order, flags);
        if (page)
            return page;
        if (may_use_reserve(order))
            return try_alloc(order, flags | ALLOC_ATOMIC);
        if (progress && !order)
            continue;
        frames_drain_all(); /* what processors keep, and what blocks it could be part of */
        page = try_alloc(order, flags);
        if (page)
            return page;
        if (++fruitless < FRUITLESS_ROUNDS)
            continue;
        if ((flags & ALLOC_USER) || order > EASY_ORDER || ended++ == OOM_ROUNDS ||
            !mm_out_of_memory(order))
            return NULL;
        fruitless = 0;
    }
}

/* All frames of a block but the first. */
static void mark_tails(struct page *page, unsigned order, u32 flags)
{
    for (unsigned i = 1; i < 1U << order; i++)
        page[i].flags = flags;
}

struct page *pages_alloc(unsigned order, unsigned flags)
{
    struct page *page;

    assert_may_allocate(flags);
    if (unlikely(order > MAX_ORDER))
        return NULL;
    page = try_alloc(order, flags);
    if (unlikely(!page)) {
        page = alloc_slow(order, flags);
        if (!page)
            return NULL;
    }
    assert(atomic_read(&page->refs) == 0 && page->flags == 0);
    for (unsigned i = 0; i < 1U << order; i++)
        frame_debug_allocate(page + i);
    page->flags = order ? PG_HEAD : 0;
    if (unlikely(order))
        mark_tails(page, order, PG_TAIL);
    ref_init(&page->refs);
    page->order = order;
    if (flags & ALLOC_ZERO)
        for (unsigned i = 0; i < 1U << order; i++)
            arch_clear_page(page_to_virt(page + i));
    return page;
}

void pages_free(struct page *page, unsigned order)
{
    unsigned long irq = irq_save();
    enum mobility mobility = mobility_used(page->flags);

    assert(atomic_read(&page->refs) == 0 && !(page->flags & (PG_BUDDY | PG_RESERVED)));
    if (page->flags & PG_ANON)
        frames_count_anonymous(-(1L << order));
    if (page->flags & PG_ON_LRU) {
        lru_lock_for_free();
        lru_forget(page);
        lru_unlock_for_free();
    }
    page->flags = 0;
    for (unsigned i = 0; i < 1U << order; i++)
        frame_debug_free(page + i);
    if (likely(order == 0)) {
        stack_push(this_cpu()->frame_cache, page, mobility);
    } else {
        mark_tails(page, order, 0);
        buddy_free(page, order);
    }
    irq_restore(irq);
}

void page_free_last(struct page *page)
{
    if (unlikely(page->flags & PG_RESERVED)) {
        ref_init(&page->refs);
        return;
    }
    if (unlikely(page->flags & PG_HUGE)) {
        huge_page_free(page);
        return;
    }
    pages_free(page, page->flags & PG_HEAD ? page->order : 0);
}

void pages_put(struct page **pages, unsigned n)
{
    unsigned long irq = irq_save();
    struct frame_cache *cache = this_cpu()->frame_cache;
    long anonymous = 0;
    bool locked = false;

    for (unsigned i = 0; i < n; i++) {
        struct page *page = pages[i];
        enum mobility mobility;

        if (!ref_put(&page->refs))
            continue;
        if (unlikely(page->flags & (PG_HEAD | PG_RESERVED))) {
            if (locked) /* it takes the lock itself */
                lru_unlock_for_free();
            locked = false;
            page_free_last(page);
            continue;
        }
        if (page->flags & PG_ON_LRU) { /* one lock for all of them */
            if (!locked)
                lru_lock_for_free();
            locked = true;
            lru_forget(page);
        }
        anonymous += page->flags & PG_ANON ? 1 : 0;
        mobility = mobility_used(page->flags);
        page->flags = 0;
        frame_debug_free(page);
        stack_push(cache, page, mobility);
    }
    if (locked)
        lru_unlock_for_free();
    cache->anonymous -= anonymous;
    irq_restore(irq);
}

/* ---- counting --------------------------------------------------------------------------------------- */

u64 frames_free(void)
{
    u64 n = frames_in_buddy();
    struct cpu *cpu;

    cpu_for_each(cpu)
        for (unsigned m = 0; m < MOBILITIES && cpu->frame_cache; m++)
            n += READ_ONCE(((struct frame_cache *)cpu->frame_cache)->stacks[m].count);
    return n;
}

static u64 not_negative(long n)
{
    return n > 0 ? n : 0;
}

void memory_counts(struct memory_counts *counts)
{
    long anonymous = 0;
    struct cpu *cpu;

    cpu_for_each(cpu)
        if (cpu->frame_cache)
            anonymous += READ_ONCE(((struct frame_cache *)cpu->frame_cache)->anonymous);
    *counts = (struct memory_counts){
        .total = boot_memory_total() >> PAGE_SHIFT,
        .free = frames_free(),
        .cached = not_negative(atomic_read(&count_cached)),
        .shared = not_negative(atomic_read(&count_shared)),
        .anonymous = not_negative(anonymous),
        .slab = not_negative(atomic_read(&count_slab)),
        .slab_reclaimable = not_negative(atomic_read(&count_slab_reclaimable)),
        .tables = not_negative(atomic_read(&count_tables)),
        .kernel_stacks = not_negative(atomic_read(&count_stacks)),
        .vmap = not_negative(atomic_read(&count_vmap)),
        .committed = not_negative(atomic_read(&count_committed)),
    };
}

/* Racy, as whoever is not its owner may look at a descriptor: a hint, but one that never leads astray. */
struct page *page_head(const struct page *page)
{
    pfn_t pfn = page_to_pfn(page);

    for (unsigned order = 1; (READ_ONCE(page->flags) & PG_TAIL) && order <= MAX_ORDER; order++)
        page = pfn_to_page(pfn & ~((1UL << order) - 1));
    return (struct page *)page;
}

/* ---- start ------------------------------------------------------------------------------------------ */

void frames_give(paddr_t start, paddr_t end)
{
    pfn_t pfn = start >> PAGE_SHIFT, last = end >> PAGE_SHIFT;

    while (pfn < last) {
        unsigned order = pfn ? min(__builtin_ctzll(pfn), MAX_ORDER) : MAX_ORDER;

        order = min(order, log2_floor(last - pfn));
        for (unsigned i = 0; i < 1U << order; i++)
            if (pfn_to_page(pfn + i)->flags) {
                pfn_to_page(pfn + i)->flags = 0;
                atomic_set(&pfn_to_page(pfn + i)->refs, 0);
            }
        buddy_free(pfn_to_page(pfn), order);
        pfn += 1UL << order;
    }
}

void frames_give_reserved(paddr_t start, paddr_t end)
{
    while (start < end) {
        paddr_t next = start;

        while (next < end && phys_to_page(next)->flags == PG_RESERVED)
            next += PAGE_SIZE;
        frames_give(start, next);
        start = max(next, start + PAGE_SIZE);
    }
}

/* Memory for the descriptors at [start, end): huge pages where a whole one is needed. */
static __init void map_descriptors(vaddr_t start, vaddr_t end)
{
    while (start < end) {
        vaddr_t next = min(end, ALIGN_DOWN(start, HUGE_PAGE_SIZE) + HUGE_PAGE_SIZE);
        u64 align = PAGE_SIZE;

        if (IS_ALIGNED(start, HUGE_PAGE_SIZE) && end - start >= HUGE_PAGE_SIZE) {
            next = ALIGN_DOWN(end, HUGE_PAGE_SIZE);
            align = HUGE_PAGE_SIZE;
        }
        if (kernel_map(start, boot_alloc(next - start, align), next - start,
                       PTE_READ | PTE_WRITE | PTE_GLOBAL))
            panic("no memory for page descriptors");
        start = next;
    }
}

/* The descriptors of all RAM, rounded to blocks of the largest order. */
static __init void make_descriptors(void)
{
    paddr_t start;
    vaddr_t done = 0;
    pfn_t end = 0;
    u64 size;

    static_assert(BLOCK_FRAMES * sizeof(struct page) % PAGE_SIZE == 0,
                  "the descriptors of a block fill whole pages");
    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++) {
        pfn_t first = ALIGN_DOWN(start >> PAGE_SHIFT, BLOCK_FRAMES);
        pfn_t last = ALIGN_UP((start + size) >> PAGE_SHIFT, BLOCK_FRAMES);

        map_descriptors(max((vaddr_t)pfn_to_page(first), done), (vaddr_t)pfn_to_page(last));
        done = (vaddr_t)pfn_to_page(last);
        end = last;
    }
    buddy_init(end);
}

static __init void mark_reserved(paddr_t start, paddr_t end)
{
    for (; start < end; start += PAGE_SIZE) {
        phys_to_page(start)->flags = PG_RESERVED;
        ref_init(&phys_to_page(start)->refs);
    }
}

/* Free what is free and mark the rest, range by range. */
static __init void sort_memory(void)
{
    struct boot_range gap = {0, 0};
    bool more = boot_memory_free_range(0, &gap);
    paddr_t start;
    u64 size;

    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++) {
        paddr_t end = start + size;

        while (more && gap.start < end) {
            mark_reserved(start, gap.start);
            frames_give(gap.start, gap.end);
            start = gap.end;
            more = boot_memory_free_range(gap.end, &gap);
        }
        mark_reserved(start, end);
    }
}

__init void frames_init(void)
{
    this_cpu()->frame_cache = &boot_frame_cache;
    make_descriptors();
    sort_memory();
    lru_init();
    min_free_kbytes = watermark_default_min(frames_in_buddy() * (PAGE_SIZE / 1024));
    watermarks_update();
    frames_ready = true;
    zero_page = page_alloc(ALLOC_ZERO);
    if (!zero_page)
        panic("no free memory");
    zero_page->flags = PG_RESERVED;
    pr_info("memory: %llu KiB, %llu KiB free", (unsigned long long)boot_memory_total() / 1024,
            (unsigned long long)frames_free() * PAGE_SIZE / 1024);
}

void memory_smp_init(void)
{
    /* Many processors with little memory: all stacks together hold at most 1/32 of it. */
    u64 share = boot_memory_total() / PAGE_SIZE / 32 / max(cpu_count, 1U);

    boot_frame_cache.high = clamp(share, 4UL, (u64)FRAME_STACK);
    for (unsigned i = 1; i < cpu_count; i++) {
        struct frame_cache *cache = kzalloc(sizeof(*cache), ALLOC_KERNEL);

        if (!cache)
            panic("no memory for %u processors", cpu_count);
        cache->high = boot_frame_cache.high;
        cpus[i]->frame_cache = cache;
    }
    object_caches_smp_init();
}
