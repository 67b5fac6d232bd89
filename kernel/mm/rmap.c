/* SPDX-License-Identifier: MIT */
/*
 * The reverse map: which entries map a page?
 *
 * Nothing is kept for it but what is there anyway. A file knows the VMAs that map it, in an interval
 * tree by page index; each of them says at which address the page would be. An anonymous page is
 * known by its address, the same in all address spaces of its family, that is, of those that fork
 * has made from one another. Either way the answer is a list of addresses where an entry for the page
 * may be; a look at the entry tells whether it is:
 *
 *     file -> VMAs                 \
 *                                    >  (mm, address)  ->  table -> entry: does it map this frame?
 *     family -> mms, page->index   /
 *
 * So a fault has nothing to register and an unmap nothing to take back. The price is paid by reclaim,
 * which looks in vain where a child of a fork has a page of its own at the same address.
 *
 * Families are never given back to the object cache (mm.c): the family of a page that outlives it,
 * because somebody holds a reference to the page, is empty or another program's by then, in which
 * this page is found nowhere.
 */
#include "huge.h"
#include <vellum/error.h>
#include <vellum/page_cache.h>
#include <vellum/rmap.h>
#include <vellum/sync.h>

static inline bool maps(pte_t pte, const struct page *page)
{
    return pte_present(pte) && !pte_special(pte) && pte_pfn(pte) == page_to_pfn(page);
}

/* ---- the walk ------------------------------------------------------------------------------------- */

struct walk {
    struct page *page;
    unsigned flags; /* RMAP_* */
    rmap_fn *fn;
    void *arg;
};

/* The same for a huge page. */
static bool visit_huge(const struct walk *w, struct mm *mm, vaddr_t address)
{
    struct rmap_place place = {.mm = mm, .address = address};
    bool more = true;

    spin_lock(&mm->table_lock);
    place.entry = huge_entry(mm, address);
    if (place.entry && pte_pfn(pte_load(place.entry)) == page_to_pfn(w->page))
        more = w->fn(w->page, &place, w->arg);
    spin_unlock(&mm->table_lock);
    return more;
}

/* Look at one place where the page may be mapped. Returns whether to go on. */
static bool visit(const struct walk *w, struct mm *mm, struct vma *vma, vaddr_t address)
{
    struct rmap_place place = {.mm = mm, .vma = vma, .address = address};
    bool more = true;

    if (unlikely(w->page->flags & PG_HUGE))
        return visit_huge(w, mm, address);

    place.entry = page_table_lock_entry(mm, address, &place.table);
    if (!place.entry)
        return true;
    if ((w->flags & RMAP_ALL) || maps(pte_load(place.entry), w->page))
        more = w->fn(w->page, &place, w->arg);
    spin_unlock(&place.table->table_lock);
    return more;
}

/* A parent stands before its children in the list. So a fork that goes on meanwhile hides nothing: it
 * has copied the entry, which the walk then finds in the child; or copies what the walk has left. */
static int walk_family(const struct walk *w)
{
    struct anon_family *family = w->page->family;
    vaddr_t address = w->page->index << PAGE_SHIFT;
    struct mm *mm;

    spin_lock(&family->lock);
    list_for_each_entry(mm, &family->mms, family_link)
        if (!visit(w, mm, NULL, address))
            break;
    spin_unlock(&family->lock);
    return 0;
}

static int walk_file(const struct walk *w)
{
    struct page_cache *cache = READ_ONCE(w->page->cache);
    u64 index = w->page->index;
    struct interval_node *node;

    if (!cache || rb_empty(&cache->mappings.tree))
        return 0;
    if (w->flags & RMAP_WAIT)
        read_lock(&cache->mappings.lock);
    else if (!read_trylock(&cache->mappings.lock))
        return -EAGAIN;
    interval_for_each(node, &cache->mappings.tree, index, index) {
        struct vma *vma = container_of(node, struct vma, file_node);

        if (!visit(w, vma->mm, vma, vma->start + ((index - node->start) << PAGE_SHIFT)))
            break;
    }
    read_unlock(&cache->mappings.lock);
    return 0;
}

int rmap_walk(struct page *page, unsigned flags, rmap_fn *fn, void *arg)
{
    struct walk w = {page, flags, fn, arg};

    assert(atomic_read(&page->refs) > 0);
    if (smp_load_acquire(&page->flags) & PG_ANON) /* then it has a family: swap_in.c, claim() */
        return walk_family(&w);
    return page->flags & PG_FILE ? walk_file(&w) : 0; /* neither: read ahead, nobody's yet */
}

static bool count_place(struct page *page, struct rmap_place *place, void *arg)
{
    ++*(unsigned *)arg;
    return true;
}

unsigned rmap_count(struct page *page)
{
    unsigned n = 0;

    rmap_walk(page, 0, count_place, &n);
    return n;
}

/* As nobody keeps the page it may become another's between any two looks. Families are for ever: if
 * what stands there is one, it can be looked into, and at worst the page is not found in it. */
unsigned rmap_mappings(const struct page *page)
{
    struct anon_family *family = READ_ONCE(page->family);
    vaddr_t address = READ_ONCE(page->index) << PAGE_SHIFT;
    unsigned references = page_map_count(page), n = 0;
    struct walk w = {(struct page *)page, 0, count_place, &n};
    struct mm *mm;

    if (references == 0 || !(READ_ONCE(page->flags) & PG_ANON) || address >= USER_END ||
        !is_family(family) || atomic_read(&family->refs) < 2)
        return references;
    spin_lock(&family->lock);
    list_for_each_entry(mm, &family->mms, family_link)
        visit(&w, mm, NULL, address);
    spin_unlock(&family->lock);
    return n;
}

/* ---- flushing ------------------------------------------------------------------------------------- */

void rmap_note_stale(struct rmap_flush *flush, struct mm *mm)
{
    __atomic_fetch_add(&mm->flush_wanted, 1, __ATOMIC_RELAXED);
    smp_fence(); /* the entry, before the mask: tlb.c */
    flush->cpus.bits |= __atomic_load_n(&mm->cpus.bits, __ATOMIC_RELAXED);
}

void rmap_flush(struct rmap_flush *flush)
{
    tlb_flush_cpus(&flush->cpus);
    flush->cpus.bits = 0;
}

/* ---- has it been used? ---------------------------------------------------------------------------- */

static bool look_at_young(struct page *page, struct rmap_place *place, void *arg)
{
    struct rmap_references *references = arg;
    pte_t pte;

    references->mappings++;
    if (place->vma)
        references->vm_flags |= place->vma->flags;
    do {
        pte = pte_load(place->entry);
        if (!pte_young(pte))
            return true;
    } while (!pte_replace(place->entry, pte, pte_clear_young(pte)));
    references->young++;
    return true;
}

int page_referenced(struct page *page, struct rmap_references *references)
{
    *references = (struct rmap_references){0};
    return rmap_walk(page, 0, look_at_young, references);
}

/* ---- taking mappings away ------------------------------------------------------------------------- */

struct unmapping {
    struct rmap_flush *flush;
    pte_t replacement;
    unsigned cleared;
    bool dirty;
};

/* Would the next fault find another frame? Where nothing is left of an anonymous page, a cleared one. (A
 * write to a private mapping of a file, a copy: but map_private_copy() sees that a flush is due.) */
static inline bool must_flush_now(const struct unmapping *u, const struct rmap_place *place)
{
    return !place->vma && pte_none(u->replacement);
}

/* An entry has been cleared. Those who share its table count it off when they take the table. */
static void count_off(const struct page *page, const struct rmap_place *place)
{
    if (page->flags & PG_ANON)
        place->table->private_pages--;
    if (!(place->table->flags & PG_TABLE_SHARED))
        atomic_dec(&place->mm->resident[page_kind(page)]);
}

/* The entry is about to become a swap entry. Who shares the table counts it when he takes it, but
 * swapoff(2) must know of all of them. False: no memory. => family->lock */
static bool count_swap_entry(struct page *page, struct rmap_place *place, swap_entry_t entry)
{
    struct mm *mm;

    if (swap_duplicate(entry))
        return false;
    place->table->swapped++;
    if (!(place->table->flags & PG_TABLE_SHARED)) {
        mm_count_swapped(place->mm, 1);
        return true;
    }
    list_for_each_entry(mm, &page->family->mms, family_link)
        mm_count_swapped(mm, 0);
    return true;
}

static bool unmap_place(struct page *page, struct rmap_place *place, void *arg)
{
    struct unmapping *u = arg;
    pte_t old;

    if (pte_is_swap(u->replacement) && !count_swap_entry(page, place, swap_of_pte(u->replacement)))
        return true; /* it stays mapped */
    old = pte_exchange(place->entry, u->replacement);
    u->dirty |= pte_dirty(old);
    u->cleared++;
    count_off(page, place);
    if (must_flush_now(u, place))
        tlb_flush_entries(place->mm, place->address, place->address + PAGE_SIZE);
    else
        rmap_note_stale(u->flush, place->mm);
    return true;
}

bool rmap_unmap(struct page *page, pte_t replacement, struct rmap_flush *flush)
{
    struct unmapping u = {.flush = flush, .replacement = replacement};
    int error;

    assert(page->flags & PG_LOCKED);
    error = rmap_walk(page, 0, unmap_place, &u);
    if (u.dirty) {
        if (page->flags & (PG_ANON | PG_SHMEM))
            page_flag_set(page, PG_DIRTY);
        else
            page_set_dirty(page);
    }
    if (u.cleared) {
        assert(atomic_read(&page->refs) > (int)u.cleared);
        atomic_sub(&page->refs, u.cleared);
    }
    return error == 0;
}

static bool drop_place(struct page *page, struct rmap_place *place, void *arg)
{
    struct unmapping *u = arg;
    pte_t pte;

    do {
        pte = pte_load(place->entry);
        if (pte_dirty(pte) || (page->flags & PG_DIRTY)) { /* PG_DIRTY: mm_access() */
            u->dirty = true;
            return false;
        }
    } while (!pte_replace(place->entry, pte, (pte_t){0}));
    u->cleared++;
    count_off(page, place);
    tlb_flush_entries(place->mm, place->address, place->address + PAGE_SIZE);
    return true;
}

bool rmap_drop_clean(struct page *page)
{
    struct unmapping u = {0};

    assert((page->flags & (PG_LOCKED | PG_ANON)) == (PG_LOCKED | PG_ANON));
    rmap_walk(page, 0, drop_place, &u);
    atomic_sub(&page->refs, u.cleared);
    return !u.dirty;
}

/* ---- write protection ----------------------------------------------------------------------------- */

struct cleaning {
    struct rmap_flush *flush;
    bool dirty;
};

static bool clean_place(struct page *page, struct rmap_place *place, void *arg)
{
    struct cleaning *c = arg;
    pte_t pte;

    do {
        pte = pte_load(place->entry);
        if (!pte_write(pte) && !pte_dirty(pte))
            return true;
    } while (!pte_replace(place->entry, pte, pte_clear_dirty(pte_clear_write(pte))));
    c->dirty |= pte_dirty(pte);
    rmap_note_stale(c->flush, place->mm);
    return true;
}

bool rmap_clean(struct page *page, struct rmap_flush *flush)
{
    struct cleaning c = {.flush = flush};

    assert((page->flags & PG_LOCKED) && !(page->flags & PG_ANON));
    rmap_walk(page, RMAP_WAIT, clean_place, &c);
    return c.dirty;
}
