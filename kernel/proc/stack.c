/* SPDX-License-Identifier: MIT */
/*
 * Kernel stacks: mapped side by side, with an unmapped page below each, so that an overflow faults
 * instead of destroying its neighbour.
 *
 * A stack is freed when its thread has been switched away from, where nothing may sleep; and most
 * are needed again soon. So they go to a small stock of the processor, and what does not fit there
 * to a common list, from which kernel_stacks_trim() unmaps them at leisure.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/smp.h>
#include <vellum/sync.h>

#define CACHED 4

struct stack_cache { /* [cpu] with interrupts off */
    unsigned count;
    vaddr_t stacks[CACHED];
};

/* At the lowest address of a stack on the list. */
struct spare_stack {
    struct spare_stack *next;
};

static DEFINE_SPINLOCK(spare_lock);
static struct spare_stack *spares; /* [spare_lock] */
static unsigned spare_count;       /* [spare_lock] */
static struct stack_cache caches[MAX_CPUS];

static vaddr_t take_cached(void)
{
    unsigned long flags = irq_save();
    struct stack_cache *cache = &caches[this_cpu()->id];
    vaddr_t stack = cache->count ? cache->stacks[--cache->count] : 0;

    irq_restore(flags);
    return stack;
}

static vaddr_t take_spare(void)
{
    struct spare_stack *stack;
    unsigned long flags;

    if (!READ_ONCE(spares))
        return 0;
    flags = spin_lock_irqsave(&spare_lock);
    stack = spares;
    if (stack) {
        spares = stack->next;
        spare_count--;
    }
    spin_unlock_irqrestore(&spare_lock, flags);
    return (vaddr_t)stack;
}

vaddr_t kernel_stack_alloc(void)
{
    vaddr_t stack = take_cached();

    if (likely(stack))
        return stack;
    stack = take_spare();
    if (stack)
        return stack;
    stack = (vaddr_t)vmap_alloc(KERNEL_STACK_SIZE, ALLOC_KERNEL);
    if (stack)
        atomic_add(&count_stacks, KERNEL_STACK_SIZE / PAGE_SIZE);
    return stack;
}

/* => interrupts off */
static void add_spare(vaddr_t stack)
{
    struct spare_stack *spare = (struct spare_stack *)stack;

    spin_lock(&spare_lock);
    spare->next = spares;
    spares = spare;
    spare_count++;
    spin_unlock(&spare_lock);
}

void kernel_stack_free(vaddr_t stack)
{
    unsigned long flags = irq_save();
    struct stack_cache *cache = &caches[this_cpu()->id];

    if (cache->count < CACHED)
        cache->stacks[cache->count++] = stack;
    else
        add_spare(stack);
    irq_restore(flags);
}

/* Unmap spare stacks until `keep` are left. Returns how many were unmapped. => may sleep */
static u64 trim(unsigned keep)
{
    vaddr_t stack;
    u64 n = 0;

    while (READ_ONCE(spare_count) > keep && (stack = take_spare())) {
        atomic_sub(&count_stacks, KERNEL_STACK_SIZE / PAGE_SIZE);
        vmap_free((void *)stack);
        n++;
    }
    return n;
}

void kernel_stacks_trim(void)
{
    if (unlikely(READ_ONCE(spare_count) > CACHED))
        trim(CACHED);
}

/* ---- when memory is short --------------------------------------------------------------------------- */

/* This CPU's stock becomes spare. => interrupts off */
static void empty_cache(void *unused)
{
    struct stack_cache *cache = &caches[this_cpu()->id];
    unsigned n = cache->count;

    cache->count = 0;
    for (unsigned i = 0; i < n; i++)
        add_spare(cache->stacks[i]);
}

static u64 stacks_cached(void)
{
    u64 n = READ_ONCE(spare_count);

    for (unsigned i = 0; i < cpu_count; i++)
        n += READ_ONCE(caches[i].count);
    return n;
}

static u64 stacks_free(u64 n)
{
    unsigned long flags;

    preempt_disable();
    smp_call(&cpus_online, empty_cache, NULL);
    flags = irq_save();
    empty_cache(NULL);
    irq_restore(flags);
    preempt_enable();
    return trim(0);
}

static struct shrinker stack_shrinker = {
    .name = "kernel stacks",
    .count = stacks_cached,
    .scan = stacks_free,
};

void kernel_stacks_init(void)
{
    shrinker_register(&stack_shrinker);
}
