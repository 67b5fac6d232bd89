/* SPDX-License-Identifier: MIT */
/*
 * Memory for the kernel's own objects.
 *
 * Object caches (after Bonwick, "The Slab Allocator", USENIX 1994): each cache cuts frames into
 * objects of one size and keeps per-CPU stacks of free ones. kmalloc() picks among caches of
 * rounded sizes; above KMALLOC_MAX it takes whole frames, mapped side by side if need be.
 * All of it is counted, and can be listed in /proc/slabinfo.
 */
#ifndef VELLUM_ALLOC_H
#define VELLUM_ALLOC_H

#include <vellum/page.h>

struct object_cache;

/* size, align: bytes; align 0: 8. Objects come with undefined contents. NULL: no memory. */
struct object_cache *object_cache_create(const char *name, size_t size, size_t align);
/* A shrinker can give its objects back, most of them: its frames count as SReclaimable.
 * => before the first object */
void object_cache_set_reclaimable(struct object_cache *cache);
void object_cache_destroy(struct object_cache *cache);          /* => all objects freed */
void *object_alloc(struct object_cache *cache, unsigned flags); /* ALLOC_*; NULL: no memory */
void object_free(struct object_cache *cache, void *object);
/* Give empty slabs and the objects that processors keep for themselves back. Returns frames freed.
 * => interrupts on */
u64 object_caches_shrink(void);

#define KMALLOC_MAX (2 * PAGE_SIZE)

/* Any size. Aligned to 8 bytes; powers of two, and multiples of them up to 64, to that (up to a
 * page). NULL: no memory. */
void *kmalloc(size_t size, unsigned flags);
void *kzalloc(size_t size, unsigned flags);
void *kmalloc_array(size_t n, size_t size, unsigned flags); /* NULL also if n * size overflows */
void *krealloc(void *old, size_t size, unsigned flags);
void kfree(const void *p); /* NULL is allowed */
char *kstrdup(const char *s, unsigned flags);

/* n frames at adjacent kernel addresses, not physically contiguous; a guard page follows.
 * Returns the address or NULL. => may sleep */
void *vmap_alloc(size_t size, unsigned flags);
void vmap_free(void *p); /* => may sleep */
/* The same in any context: it is done when somebody comes by who may sleep. */
void vmap_free_atomic(void *p);
/* Device registers, uncached: the address for physical address p, or NULL. */
void *vmap_device(paddr_t p, size_t size);
/* The bytes that can be used at an address that vmap_alloc() returned: its size, in whole pages. */
size_t vmap_size(const void *p);
/* The frame behind a vmap address, or NULL if it is not mapped. */
struct page *vmap_to_page(const void *p);

void object_caches_init(void); /* calls tree_nodes_init() last */
void tree_nodes_init(void);    /* the caches behind radix_node_alloc(), id_node_alloc() */
struct seq_file;
void slab_show(struct seq_file *m); /* /proc/slabinfo */

/* Caches of other rooms that can give memory back (dentries, inodes): called by reclaim, in proportion
 * to their size, and by drop_caches. scan(n): try to free n objects; returns how many were freed.
 * count: freeable now. Neither waits for a lock that may be held while memory is allocated. */
struct shrinker {
    const char *name;
    u64 (*count)(void);
    u64 (*scan)(u64 n);
    u64 deferred; /* [the list's lock] objects that are due, but too few to begin with */
    struct list link;
};
void shrinker_register(struct shrinker *s);
u64 shrink_all(void); /* everything freeable; returns objects freed */

#endif
