/* SPDX-License-Identifier: MIT */
/*
 * Moving a page to another frame, while programs use it.
 *
 * What is copied must not change meanwhile, and all who know the old frame must come to know the new
 * one. Nothing stands in the page tables for a page that is under way, and nobody waits for it. Instead,
 * the rules that hold anyway are made to work for us:
 *
 *     anonymous   Copy-on-write gives a page to a writer only if his entry's reference is the only one.
 *                 Here is one more; so, once its entries are read-only, nobody writes to the page any
 *                 more: who tries gets a copy, as after a fork. Then it is copied, and its entries,
 *                 one after the other, are replaced.
 *
 *     of a file   Its mappings are taken away. When the only references left are the file's and ours,
 *                 nobody uses it; nor can anybody begin to while the cache's lock is held. Under that
 *                 lock it is copied, and put in the old one's place. Who touches it finds the new one.
 *
 *                     old            protect,        copy, replace             flush,
 *     entries   A --> [ data ]       flush           entry by entry            free
 *               B --> [ data ]    ----------->   A --> [ new ]  B --> [ old ]  ------>   A, B --> [ new ]
 *
 * An anonymous page that is shared may thus be mapped at both frames for a while, or for good if a part
 * of its entries could not be replaced. That is no harm: the contents are the same, and a page that is
 * read-only has no identity.
 *
 * A reference that is neither the caches' nor an entry's says that somebody looks at the frame without
 * a lock (mm_access(), a pipe, a file being read): then the page stays. A page that is locked, or being
 * written out, stays too. So nothing here waits; what cannot be moved now perhaps can be the next time.
 *
 * Before the copy, processors must forget that they may write, also where the entry has been read-only
 * for a while: fork flushes only after it has copied all. After it, they must forget the old frame
 * before the new one may be written to; as long as we have a reference to that, it may not. Either flush
 * serves all pages of a batch.
 */
#include "migrate.h"
#include "address_space.h"
#include "scan.h"
#include "swap_area.h"
#include <vellum/page_cache.h>
#include <vellum/rmap.h>
#include <vellum/sync.h>
#include <vellum/vmstat.h>

/* What the new page inherits. Whether instruction fetch sees a file's page is asked anew, by the fault
 * that maps it. */
#define INHERITED                                                                                  \
    (PG_ANON | PG_UPTODATE | PG_DIRTY | PG_REFERENCED | PG_ACTIVE | PG_SHMEM | PG_FILE |           \
     PG_SWAP_BACKED | PG_SWAP_CACHE | PG_WORKINGSET | PG_UNEVICTABLE | PG_LAZY_FREE |              \
     PG_READAHEAD)

#define SHARED_TABLES_MAX 8

/* One page on its way. */
struct move {
    struct page *from, *to;
    bool locked, moved;
    bool busy;                              /* somebody looks at it */
    bool exec;                              /* an entry allows to execute it */
    int left;                               /* entries that map `from`, each counted once */
    struct page *tables[SHARED_TABLES_MAX]; /* shared ones that have been seen */
    unsigned n_tables;
    struct rmap_flush *flush;
};

static inline bool is_file_page(const struct page *page)
{
    return !(page->flags & (PG_ANON | PG_SWAP_CACHE));
}

/* The references that a page of memory has if nobody looks at it: its entries', the swap cache's, ours. */
static bool is_quiet(const struct move *m)
{
    return atomic_read(&m->from->refs) <= m->left + (m->from->flags & PG_SWAP_CACHE ? 1 : 0) + 1;
}

/* => page lock */
static bool can_move(const struct page *page)
{
    u32 flags = page->flags;

    if ((flags & (PG_WRITEBACK | PG_HEAD | PG_TAIL)) || !(flags & (PG_UPTODATE | PG_SHMEM)))
        return false;
    if (is_file_page(page))
        return (flags & PG_FILE) && READ_ONCE(page->cache);
    return (flags & PG_ANON) || !(flags & PG_FILE) || !READ_ONCE(page->cache);
}

/* ---- before the copy ------------------------------------------------------------------------------- */

/* A table that is shared is met once for each who shares it. Is this the first time? */
static bool is_new_table(struct move *m, struct page *table)
{
    if (!(table->flags & PG_TABLE_SHARED))
        return true;
    for (unsigned i = 0; i < m->n_tables; i++)
        if (m->tables[i] == table)
            return false;
    if (m->n_tables == SHARED_TABLES_MAX)
        m->busy = true;
    else
        m->tables[m->n_tables++] = table;
    return true;
}

/* Nobody may write through this entry any more. */
static bool protect_place(struct page *page, struct rmap_place *place, void *arg)
{
    struct move *m = arg;
    pte_t pte = pte_load(place->entry);

    if (is_new_table(m, place->table))
        m->left++;
    m->exec |= pte_exec(pte);
    /* The only entry: all references come from it, under the lock that we hold. */
    if (pte_write(pte) && !is_quiet(m))
        m->busy = true;
    if (m->busy)
        return false;
    while (!pte_replace(place->entry, pte, pte_clear_write(pte)))
        pte = pte_load(place->entry);
    rmap_note_stale(m->flush, place->mm);
    return true;
}

static bool prepare_memory(struct move *m)
{
    rmap_walk(m->from, 0, protect_place, m);
    return !m->busy && is_quiet(m);
}

static bool prepare_file_page(struct move *m)
{
    struct page *page = m->from;

    /* Not to take mappings away in vain. The file's reference and ours remain. */
    return atomic_read(&page->refs) == (int)rmap_count(page) + 2 &&
           rmap_unmap(page, (pte_t){0}, m->flush) && atomic_read(&page->refs) == 2;
}

static bool prepare(struct move *m)
{
    if (!page_trylock(m->from))
        return false;
    m->locked = true;
    if (!can_move(m->from))
        return false;
    return is_file_page(m->from) ? prepare_file_page(m) : prepare_memory(m);
}

/* ---- the copy ---------------------------------------------------------------------------------------- */

static void copy_page(struct page *to, const struct page *from)
{
    arch_copy_page(page_to_virt(to), page_to_virt(from));
    to->owner = from->owner;
    to->index = from->index;
    to->private_data = 0;
    to->flags = (from->flags & INHERITED) | PG_LOCKED;
}

/* Who names the slot finds the new page there, and waits for its lock. */
static void move_in_swap_cache(struct page *to, struct page *from)
{
    struct swap_area *area = swap_area_of(swap_of_page(from));
    void *old;

    spin_lock(&area->lock);
    old = radix_tree_replace(&area->cache, swap_slot(swap_of_page(from)), to);
    assert(old == from);
    to->private_data = from->private_data;
    page_get(to);
    from->private_data = 0;
    page_flag_clear(from, PG_SWAP_CACHE);
    spin_unlock(&area->lock);
    page_put(from);
}

static bool replace_place(struct page *page, struct rmap_place *place, void *arg)
{
    struct move *m = arg;
    pte_t pte = pte_load(place->entry);

    /* mremap(2) may have moved it since we copied the index; somebody may have begun to look at it. */
    if (place->address >> PAGE_SHIFT != m->to->index || pte_write(pte) || !is_quiet(m))
        return true;
    page_get(m->to);
    while (!pte_replace(place->entry, pte, pte_set_pfn(pte, page_to_pfn(m->to))))
        pte = pte_load(place->entry);
    m->left--;
    atomic_dec(&page->refs); /* not the last: ours */
    rmap_note_stale(m->flush, place->mm);
    return true;
}

static bool move_memory(struct move *m)
{
    if (!is_quiet(m))
        return false;
    copy_page(m->to, m->from);
    if (m->to->flags & PG_ANON) {
        preempt_disable();
        frames_count_anonymous(1);
        preempt_enable();
    }
    if (m->exec)
        arch_icache_sync();
    if (m->from->flags & PG_SWAP_CACHE)
        move_in_swap_cache(m->to, m->from);
    rmap_walk(m->from, 0, replace_place, m);
    return true;
}

static bool move_file_page(struct move *m)
{
    struct page_cache *cache = m->from->cache;
    void *old;
    bool alone;

    spin_lock(&cache->lock);
    alone = atomic_read(&m->from->refs) == 2 && !(m->from->flags & PG_WRITEBACK);
    if (alone) {
        copy_page(m->to, m->from);
        old = radix_tree_replace(&cache->pages, m->from->index, m->to);
        assert(old == m->from);
        page_get(m->to);
        WRITE_ONCE(m->from->cache, NULL);
        page_flag_clear(m->from, PG_DIRTY);
    }
    spin_unlock(&cache->lock); /* the cache stays, as long as the new page is locked */
    if (alone)
        page_put(m->from);
    return alone;
}

/* ---- after it ------------------------------------------------------------------------------------------ */

/* The new page, and what is left of the old one. Returns whether its frame has become free. */
static bool finish(struct move *m)
{
    struct page *from = m->from;
    bool free;

    if (m->moved) {
        lru_add(m->to);
        if (from->flags & PG_UNEVICTABLE) /* mlock(2) may have met the old page */
            lru_set_unevictable(m->to, true);
        page_unlock(m->to);
        page_put(m->to);
        m->to = NULL;
    }
    if (m->locked)
        page_unlock(from);
    free = atomic_read(&from->refs) == 1;
    if (free) {
        lru_isolated_free(from);
        page_put(from);
    } else {
        lru_putback(&from, 1);
    }
    return free && m->moved;
}

unsigned migrate_pages(struct page **from, struct page **to, unsigned n)
{
    struct move moves[MIGRATE_BATCH];
    struct rmap_flush flush = {0};
    unsigned done = 0;

    assert(n <= MIGRATE_BATCH);
    for (unsigned i = 0; i < n; i++) {
        moves[i] = (struct move){.from = from[i], .to = to[i], .flush = &flush};
        moves[i].moved = prepare(&moves[i]);
    }
    rmap_flush(&flush);
    for (unsigned i = 0; i < n; i++) {
        struct move *m = &moves[i];

        if (m->moved)
            m->moved = is_file_page(m->from) ? move_file_page(m) : move_memory(m);
    }
    rmap_flush(&flush);
    for (unsigned i = 0; i < n; i++) {
        done += finish(&moves[i]);
        to[i] = moves[i].to;
    }
    vm_events(pgmigrate_success, done);
    vm_events(pgmigrate_fail, n - done);
    return done;
}
