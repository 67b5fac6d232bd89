/* SPDX-License-Identifier: MIT */
/*
 * Misuse of kernel memory, found in debug builds.
 *
 * Behind each object of a cache there is room for a tail:
 *
 *     | object, as large as was asked for | red zone ...            | tail |
 *       0x5a when allocated                 0xbb                      state, who had it
 *       0x6b when free                      0x6b
 *
 * Allocation finds the poison of a free object unhurt, or somebody wrote to it after it was freed.
 * Freeing finds the red zone unhurt, or somebody wrote past the end; and a state that says whether
 * the object is free already. The next object's tail stands in front of this one, so what writes
 * before the beginning is found too, when the neighbour is freed.
 *
 * Free frames are filled with a pattern that is looked at when they are allocated again.
 */
#include "../mm/memory.h"
#include <vellum/printk.h>
#include <vellum/string.h>
#include <vellum/symbols.h>

#define POISON_FREE  0x6b
#define POISON_FRESH 0x5a
#define POISON_ZONE  0xbb
#define FRAME_POISON 0xf4eef4eef4eef4eeUL

enum { STATE_FREE = 0x4eef4eef, STATE_USED = 0x05ed05ed };

struct tail {
    u32 used;  /* bytes of the object */
    u32 state; /* STATE_* */
    vaddr_t allocated_by, freed_by;
};

size_t object_debug_room(void)
{
    return sizeof(struct tail) + 8;
}

static struct tail *tail_of(const void *object, size_t size)
{
    return (struct tail *)((char *)object + size) - 1;
}

static void print_place(const char *what, vaddr_t pc)
{
    u64 offset = 0;
    const char *name = symbol_lookup(pc, &offset);

    printk(LOG_EMERG, "%s %s+0x%lx", what, name ? name : "?", (unsigned long)offset);
}

static void __noreturn complain(const char *what, const void *object, size_t size, const u8 *where)
{
    const struct tail *tail = tail_of(object, size);

    printk(LOG_EMERG, "object %p of cache %s, %u bytes used of %lu", object,
           object_cache_name(object_cache_of(object)), tail->used, (unsigned long)size);
    if (where)
        printk(LOG_EMERG, "byte %ld is 0x%02x", (long)(where - (const u8 *)object), *where);
    print_place("allocated by", tail->allocated_by);
    print_place("freed by", tail->freed_by);
    panic("%s", what);
}

/* The first byte that is not `byte`, or NULL. */
static const u8 *first_other(const void *start, const void *end, u8 byte)
{
    for (const u8 *p = start; p < (const u8 *)end; p++)
        if (*p != byte)
            return p;
    return NULL;
}

void object_debug_create(void *object, size_t size)
{
    struct tail *tail = tail_of(object, size);

    memset(object, POISON_FREE, size);
    tail->state = STATE_FREE;
    tail->used = 0;
    tail->allocated_by = tail->freed_by = 0;
}

void object_debug_allocate(void *object, size_t size, size_t used, vaddr_t by)
{
    struct tail *tail = tail_of(object, size);
    const u8 *changed;

    if (tail->state != STATE_FREE)
        complain("allocated object is not free, or was overwritten", object, size, NULL);
    changed = first_other(object, tail, POISON_FREE);
    if (changed)
        complain("object was written to after it was freed", object, size, changed);
    memset(object, POISON_FRESH, used);
    tail->state = STATE_USED;
    object_debug_resize(object, size, used, by);
}

void object_debug_resize(void *object, size_t size, size_t used, vaddr_t by)
{
    struct tail *tail = tail_of(object, size);

    tail->used = used;
    tail->allocated_by = by;
    memset((char *)object + used, POISON_ZONE, (char *)tail - ((char *)object + used));
}

void object_debug_free(void *object, size_t size, vaddr_t by)
{
    struct tail *tail = tail_of(object, size);
    const u8 *changed;

    if (tail->state == STATE_FREE)
        complain("object freed twice", object, size, NULL);
    if (tail->state != STATE_USED || tail->used > size)
        complain("what is freed is no object, or was overwritten", object, size, NULL);
    changed = first_other((char *)object + tail->used, tail, POISON_ZONE);
    if (changed)
        complain("object was written to past its end", object, size, changed);
    memset(object, POISON_FREE, (char *)tail - (char *)object);
    tail->state = STATE_FREE;
    tail->freed_by = by;
}

/* ---- frames ----------------------------------------------------------------------------------------- */

/* That a free frame is filled shows in private_data: those free from the start are not. */
void frame_debug_free(struct page *page)
{
    u64 *words = page_to_virt(page);

    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        words[i] = FRAME_POISON;
    page->private_data = FRAME_POISON;
}

void frame_debug_allocate(struct page *page)
{
    const u64 *words = page_to_virt(page);

    if (page->private_data != FRAME_POISON)
        return;
    page->private_data = 0;
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        if (words[i] != FRAME_POISON)
            panic("frame 0x%lx was written to after it was freed: 0x%lx at byte %u",
                  (unsigned long)page_to_pfn(page), (unsigned long)words[i], i * 8);
}
