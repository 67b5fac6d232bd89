/* SPDX-License-Identifier: MIT */
/*
 * Memory of any size: from the object cache of the next larger size, or, beyond KMALLOC_MAX, whole
 * frames side by side in the kernel's address space. Where a block came from is told by its address.
 */
#include "memory.h"
#include <vellum/alloc.h>
#include <vellum/string.h>

/* Sizes between the powers of two where the loss would be a third otherwise. */
static const struct {
    u16 size;
    const char *name;
} classes[] = {
    {16, "kmalloc-16"},     {32, "kmalloc-32"},     {48, "kmalloc-48"},     {64, "kmalloc-64"},
    {96, "kmalloc-96"},     {128, "kmalloc-128"},   {192, "kmalloc-192"},   {256, "kmalloc-256"},
    {384, "kmalloc-384"},   {512, "kmalloc-512"},   {768, "kmalloc-768"},   {1024, "kmalloc-1024"},
    {2048, "kmalloc-2048"}, {4096, "kmalloc-4096"}, {8192, "kmalloc-8192"},
};

#define CALLER ((vaddr_t)__builtin_return_address(0))

#define STEP        16 /* granularity of the table of small sizes */
#define SMALL_LIMIT 1024

static struct object_cache *caches[ARRAY_SIZE(classes)]; /* [i] */
static u8 small_class[SMALL_LIMIT / STEP + 1];           /* [i] by (size + STEP - 1) / STEP */

static inline struct object_cache *cache_for(size_t size)
{
    if (size <= SMALL_LIMIT)
        return caches[small_class[(size + STEP - 1) / STEP]];
    return caches[ARRAY_SIZE(classes) - 3 + (size > 2048) + (size > 4096)];
}

static inline void *alloc_small(size_t size, unsigned flags)
{
    void *p = object_alloc(cache_for(size), flags);

    if (p)
        object_set_used(cache_for(size), p, size, CALLER);
    return p;
}

void *kmalloc(size_t size, unsigned flags)
{
    if (likely(size <= KMALLOC_MAX))
        return alloc_small(size, flags);
    return flags & ALLOC_ATOMIC ? NULL : vmap_alloc(size, flags);
}

void *kzalloc(size_t size, unsigned flags)
{
    return kmalloc(size, flags | ALLOC_ZERO);
}

void *kmalloc_array(size_t n, size_t size, unsigned flags)
{
    size_t bytes;

    return __builtin_mul_overflow(n, size, &bytes) ? NULL : kmalloc(bytes, flags);
}

static inline bool is_vmap(const void *p)
{
    return (vaddr_t)p >= VMAP_BASE && (vaddr_t)p < VMAP_END;
}

/* kfree() may be called under a spinlock. */
static void free_vmap(void *p)
{
    if (current->preempt_count == 0 && irqs_enabled())
        vmap_free(p);
    else
        vmap_free_atomic(p);
}

void kfree(const void *p)
{
    if (!p)
        return;
    if (unlikely(is_vmap(p)))
        free_vmap((void *)p);
    else
        object_free(object_cache_of(p), (void *)p);
}

void *krealloc(void *old, size_t size, unsigned flags)
{
    size_t room;
    void *new;

    if (!old)
        return kmalloc(size, flags);
    room = is_vmap(old) ? vmap_size(old) : object_cache_size(object_cache_of(old));
    if (size <= room && (size > room / 4 || room <= 64)) {
        if (!is_vmap(old))
            object_set_used(object_cache_of(old), old, size, CALLER);
        return old;
    }
    new = kmalloc(size, flags & ~ALLOC_ZERO);
    if (!new)
        return NULL;
    memcpy(new, old, min(size, room));
    kfree(old);
    return new;
}

char *kstrdup(const char *s, unsigned flags)
{
    size_t n = strlen(s) + 1;
    char *copy = kmalloc(n, flags);

    return copy ? memcpy(copy, s, n) : NULL;
}

__init void kmalloc_init(void)
{
    unsigned class = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++) {
        size_t size = classes[i].size;

        caches[i] = object_cache_create(classes[i].name, size, min(size & -size, PAGE_SIZE));
        if (!caches[i])
            panic("no memory for kmalloc");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(small_class); i++) {
        if (i * STEP > classes[class].size)
            class ++;
        small_class[i] = class;
    }
}
