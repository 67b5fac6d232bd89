/* SPDX-License-Identifier: MIT */
/* Kernel objects are the C library's, so that the sanitizer watches each of them. */
#include "shim/kmalloc.h"
#include "unit.h"
#include <vellum/alloc.h>
#include <vellum/string.h>

u64 kmalloc_in_use, kmalloc_fail_one_in;

struct object_cache {
    size_t size;
};

void *kmalloc(size_t size, unsigned flags)
{
    void *p;

    if (kmalloc_fail_one_in && unit_random_below(kmalloc_fail_one_in) == 0)
        return NULL;
    p = malloc(size);
    memset(p, flags & ALLOC_ZERO ? 0 : 0xa5, size);
    kmalloc_in_use++;
    return p;
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

void *krealloc(void *old, size_t size, unsigned flags)
{
    return old ? realloc(old, size) : kmalloc(size, flags);
}

void kfree(const void *p)
{
    kmalloc_in_use -= p != NULL;
    free((void *)p);
}

char *kstrdup(const char *s, unsigned flags)
{
    size_t size = strlen(s) + 1;
    char *copy = kmalloc(size, flags);

    return copy ? memcpy(copy, s, size) : NULL;
}

void object_cache_set_reclaimable(struct object_cache *cache)
{
}

struct object_cache *object_cache_create(const char *name, size_t size, size_t align)
{
    struct object_cache *cache = malloc(sizeof(*cache));

    cache->size = size;
    return cache;
}

void object_cache_destroy(struct object_cache *cache)
{
    free(cache);
}

void *object_alloc(struct object_cache *cache, unsigned flags)
{
    return kmalloc(cache->size, flags);
}

void object_free(struct object_cache *cache, void *object)
{
    kfree(object);
}

u64 object_caches_shrink(void)
{
    return 0;
}

u64 shrink_all(void)
{
    return 0;
}

int object_caches_cpu_init(struct cpu *cpu)
{
    return 0;
}

void *vmap_alloc(size_t size, unsigned flags)
{
    return kmalloc(size, flags);
}

void vmap_free(void *p)
{
    kfree(p);
}

void vmap_free_atomic(void *p)
{
    kfree(p);
}

void vmap_purge(void)
{
}
