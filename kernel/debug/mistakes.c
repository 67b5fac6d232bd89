/* SPDX-License-Identifier: MIT */
/*
 * Mistakes on purpose, for /proc/provoke_crash of a debug kernel, so that tests can see that each is
 * found.
 */
#include <vellum/alloc.h>
#include <vellum/provoke.h>
#include <vellum/string.h>
#include <vellum/sync.h>

static DEFINE_MUTEX(outer);
static DEFINE_MUTEX(inner);
static DEFINE_SPINLOCK(spin);
static DEFINE_SPINLOCK(spin_in_irq);

static void lock_order(void)
{
    mutex_lock(&outer);
    mutex_lock(&inner);
    mutex_unlock(&inner);
    mutex_unlock(&outer);
    mutex_lock(&inner);
    mutex_lock(&outer);
}

static void lock_irq(void)
{
    unsigned long flags = irq_save();

    this_cpu()->irq_depth++;
    spin_lock(&spin_in_irq);
    spin_unlock(&spin_in_irq);
    this_cpu()->irq_depth--;
    irq_restore(flags);
    spin_lock(&spin);
    spin_unlock(&spin);
    flags = spin_lock_irqsave(&spin_in_irq);
    spin_lock(&spin); /* whose holder may be interrupted by one who wants the first */
}

static void sleep_atomic(void)
{
    spin_lock(&spin);
    kfree(kmalloc(10, ALLOC_KERNEL));
}

static void past_end(void)
{
    volatile char *p = kmalloc(10, ALLOC_KERNEL);

    p[10] = 1;
    kfree((void *)p);
}

static void after_free(void)
{
    volatile char *p = kmalloc(10, ALLOC_KERNEL);

    kfree((void *)p);
    p[3] = 1;
    kfree(kmalloc(10, ALLOC_KERNEL));
}

static void free_twice(void)
{
    void *p = kmalloc(10, ALLOC_KERNEL);

    kfree(p);
    kfree(p);
}

static void frame_after_free(void)
{
    struct page *page = page_alloc(ALLOC_KERNEL);

    page_put(page);
    ((volatile char *)page_to_virt(page))[3] = 1;
    page_put(page_alloc(ALLOC_KERNEL));
}

static void list_twice(void)
{
    static DEFINE_WAIT_QUEUE(q);
    WAIT_ENTRY(entry);

    wait_add(&q, &entry);
    wait_add(&q, &entry);
}

static void undefined(void)
{
    static volatile int bits = 40;

    bits = 1 << bits;
}

static void failed_assertion(void)
{
    static volatile int zero;

    assert(zero != 0);
}

static const struct bug mistakes[] = {
    {"lock-order", lock_order},
    {"lock-irq", lock_irq},
    {"sleep-atomic", sleep_atomic},
    {"past-end", past_end},
    {"after-free", after_free},
    {"free-twice", free_twice},
    {"frame", frame_after_free},
    {"list", list_twice},
    {"undefined", undefined},
    {"assertion", failed_assertion},
    {0},
};

void debug_mistakes_init(void)
{
    provoke_add(mistakes);
}
