/* SPDX-License-Identifier: MIT */
/*
 * What the files of kernel/mm tell each other about address spaces.
 */
#ifndef VELLUM_MM_ADDRESS_SPACE_H
#define VELLUM_MM_ADDRESS_SPACE_H

#include "memory.h"
#include <vellum/mm.h>

#define STACK_GUARD (256 * PAGE_SIZE) /* kept free below a growing stack */

/* ---- vma.c: the set => mm->lock write-held (except for find) ---------------------------------- */

extern struct object_cache *vma_cache;

/* A VMA in no set, all else zero; or NULL. */
struct vma *vma_alloc(struct mm *mm, vaddr_t start, vaddr_t end, u32 flags);
void vma_insert(struct mm *mm, struct vma *vma);
/* Out of the set and of its file's mappings; the VMA is not freed. */
void vma_remove(struct mm *mm, struct vma *vma);
/* Close, drop the file and free a VMA that is in no set. => mm->lock as it is; may sleep */
void vma_free(struct vma *vma);
/* Move the boundaries of a VMA that is in the set; neighbours are not overlapped. */
void vma_resize(struct vma *vma, vaddr_t start, vaddr_t end);
/* Cut a VMA in two at `at`; the lower part stays `vma`. Returns the upper part, or NULL: no memory */
struct vma *vma_split(struct vma *vma, vaddr_t at);
/* Join a VMA with its equal neighbours. Returns the VMA that covers it now. */
struct vma *vma_merge(struct vma *vma);
/* Can anonymous memory [start, end) with these flags be had by making a neighbour longer? Does so,
 * and returns it; or NULL. => nothing is mapped there */
struct vma *vma_extend_anonymous(struct mm *mm, vaddr_t start, vaddr_t end, u32 flags);
/* The highest address at which `size` bytes fit into [low, high), or 0. */
vaddr_t vma_find_gap(struct mm *mm, u64 size, vaddr_t low, vaddr_t high);
/* Change the flags of a VMA that is in the set. */
void vma_set_flags(struct vma *vma, u32 flags);
/* Count `pages` more (or fewer) of a VMA with these flags. */
void vma_account(struct mm *mm, u32 flags, struct file *file, long pages);

/* Do something to the part [start, end) of a VMA; *vma is the VMA that covers it afterwards. 0 or -errno */
typedef int vma_part_fn(struct vma **vma, vaddr_t start, vaddr_t end, unsigned long arg);

/* Call fn for the part of each VMA in the range, in order, until it fails: its error. A hole ends the walk
 * with -ENOMEM; or, if skip_holes, is passed over, and -ENOMEM is returned in the end.
 * => mm->lock; write-held if fn changes VMAs */
static __always_inline int vma_for_each_part(struct mm *mm, vaddr_t start, vaddr_t end,
                                             bool skip_holes, vma_part_fn *fn, unsigned long arg)
{
    struct vma *vma = vma_find(mm, start);
    int result = 0;

    while (start < end) {
        vaddr_t stop;
        int error;

        if (!vma || vma->start > start) {
            if (!skip_holes || !vma || vma->start >= end)
                return -ENOMEM;
            result = -ENOMEM;
            start = vma->start;
        }
        stop = min(vma->end, end);
        error = fn(&vma, start, stop, arg);
        if (error)
            return error;
        start = stop;
        if (vma->end <= start)
            vma = vma_next(vma);
    }
    return result;
}

/* Where a VMA begins, the gap below a stack included. */
static inline vaddr_t vma_guarded_start(const struct vma *vma)
{
    if (likely(!(vma->flags & VM_GROWSDOWN)))
        return vma->start;
    return vma->start > STACK_GUARD ? vma->start - STACK_GUARD : 0;
}

/* The first VMA with end > address; asks the current thread's hint first. => mm->lock */
struct vma *vma_find_hinted(struct mm *mm, vaddr_t address);

/* What the entries of a VMA may allow. Writing implies reading. */
static inline unsigned vma_prot(const struct vma *vma)
{
    unsigned prot = vma->flags & (VM_READ | VM_WRITE | VM_EXEC);

    return (prot & PTE_WRITE ? prot | PTE_READ : prot) | PTE_USER;
}

static inline bool vma_is_private(const struct vma *vma)
{
    return !(vma->flags & VM_SHARED);
}

/* The page of the file (or the number of the page of the address space) at an address. */
static inline u64 vma_index(const struct vma *vma, vaddr_t address)
{
    return vma->offset + ((address - vma->start) >> PAGE_SHIFT);
}

/* ---- page_table.c: the walk ---------------------------------------------------------------------
 *
 * An entry of level 1 serves 2 MiB of addresses, and is
 *
 *     none
 *     a table      of level 0, attached: this address space's alone
 *     a shared     table, that other address spaces use as well (shared_table.c), and no processor
 *     a huge leaf  that maps 2 MiB itself (huge.c)
 *
 * Who changes entries of level 0 works on attached tables: page_table_make() and page_table_take()
 * turn shared ones into such, and they stay so until the next fork (mm->lock write-held).
 * page_table_make() splits huge leaves. page_table_find() passes over all others; page_table_next()
 * does, but for huge leaves, for which it has no table. Who only reads them, or does not hold
 * mm->lock, uses page_table_lock_entry(), which looks through what is shared, or page_table_lock_pte(),
 * which makes no difference between all of these.
 *
 * Take mm->table_lock, then the table's own lock, to attach, share or free a table.
 */

/* Frames for tables, empty (flags: ALLOC_ZERO) or not yet filled; and of no further use. NULL: no memory.
 * => may sleep */
struct page *table_alloc(struct mm *mm, unsigned flags);
void table_free(struct mm *mm, struct page *page);

/* The entry of level 1 for an address if there are tables above it; else NULL. => mm->lock, or
 * mm->table_lock */
static inline pte_t *page_table_upper(struct mm *mm, vaddr_t address)
{
    pte_t *entries = mm->page_table;

    for (unsigned level = PT_LEVELS - 1; level > 1; level--) {
        pte_t pte = pte_load(&entries[pte_index(address, level)]);

        if (pte_none(pte))
            return NULL;
        entries = pte_table_of(pte);
    }
    return &entries[pte_index(address, 1)];
}

/* The same; makes the missing tables above it. NULL: no memory. => mm->lock; may sleep */
pte_t *page_table_make_upper(struct mm *mm, vaddr_t address);
/* The first address >= `address` and < `end` whose entry of level 1 is not none, or `end`. => mm->lock */
vaddr_t page_table_next_upper(struct mm *mm, vaddr_t address, vaddr_t end, pte_t **upper);

/* Make the missing tables down to level 0 for an address; take a shared one, split a huge page. Returns the entry at
 * level 0 and its table, or NULL: no memory. => mm->lock; may sleep */
pte_t *page_table_make(struct mm *mm, vaddr_t address, struct page **table);

/* The entry for an address if its table is attached; else NULL. => mm->lock */
static inline pte_t *page_table_find(struct mm *mm, vaddr_t address, struct page **table)
{
    pte_t *entries = mm->page_table;
    pte_t pte;

    for (unsigned level = PT_LEVELS - 1;; level--) {
        pte = pte_load(&entries[pte_index(address, level)]);
        if (unlikely(!pte_is_table(pte)))
            return NULL;
        entries = pte_table_of(pte);
        if (level == 1)
            break;
    }
    *table = pfn_to_page(pte_pfn(pte));
    return &entries[pte_index(address, 0)];
}

/* The entry of level 1 for an address if it is a huge page just now; else NULL. => mm->lock */
static inline pte_t *page_table_find_huge(struct mm *mm, vaddr_t address)
{
    pte_t *upper = page_table_upper(mm, address);

    return upper && pte_is_huge(pte_load(upper)) ? upper : NULL;
}

/* What the entry of a small page would be that page i of a huge one has. The huge page of zeros has no
 * parts that could be told from each other. */
static inline pte_t huge_part(pte_t leaf, unsigned i)
{
    return pte_special(leaf) ? pte_set_pfn(pte_leaf_part(leaf, 0), page_to_pfn(zero_page))
                             : pte_leaf_part(leaf, i);
}

/* The first address >= `address` and < `end` whose table at level 0 is attached (with the entry and
 * table) or where a huge page is mapped (with no table), or `end`. => mm->lock */
vaddr_t page_table_next(struct mm *mm, vaddr_t address, vaddr_t end, pte_t **entry,
                        struct page **table);

/* The entry for an address, attached or shared, with its table locked, or NULL. The table stays what
 * it is until the caller unlocks (*table)->table_lock. In a PG_TABLE_SHARED one, an entry that may be
 * written must not be, for it is not this address space's; (*table)->refs address spaces have it; who
 * clears an entry nonetheless changes private_pages only: the address spaces' counters follow when
 * they take the table. => no lock but one that keeps the mm is needed (its own, its family's, or that
 * of a mapping set with a VMA of it) */
pte_t *page_table_lock_entry(struct mm *mm, vaddr_t address, struct page **table);
/* What maps an address, in whatever way: the entry in *pte, that of a huge page as if it were in a table.
 * Returns the lock that guards it, held, or NULL: there is no table. *table: NULL for a huge page */
spinlock_t *page_table_lock_pte(struct mm *mm, vaddr_t address, pte_t *pte, struct page **table);
/* Like page_table_lock_entry() for the first address >= `address` and < `end` that has a table; its
 * address, or `end` with nothing locked. Where a huge page is, *table is NULL and nothing is locked.
 * => mm->lock */
vaddr_t page_table_lock_next(struct mm *mm, vaddr_t address, vaddr_t end, pte_t **entry,
                             struct page **table);

/* Take away the tables for [start, end) that serve only addresses in [low, high), where nothing is
 * mapped any more. Their frames go with the batch. => mm->lock write-held, or the last user gone */
void page_table_free(struct tlb_batch *batch, vaddr_t start, vaddr_t end, vaddr_t low,
                     vaddr_t high);

#define TABLE_SPAN (1UL << PT_SHIFT(1)) /* bytes that a table of level 0 serves */

/* End of the range of the level-0 table that covers address, but at most `end`. */
static inline vaddr_t table_end(vaddr_t address, vaddr_t end)
{
    return min(ALIGN_DOWN(address, TABLE_SPAN) + TABLE_SPAN, end);
}

#define PTE_LINE 8 /* entries that are looked at together */

/* At the beginning of a line: for how many of n entries, whole lines, is nothing there? Tables that are
 * empty but for a few entries are walked so, such as those of threads' stacks. => the table's lock */
static inline unsigned none_lines(const pte_t *entry, unsigned n)
{
    unsigned none = 0;

    if ((uintptr_t)entry % (PTE_LINE * sizeof(pte_t)))
        return 0;
    for (; none + PTE_LINE <= n; none += PTE_LINE, entry += PTE_LINE)
        if ((entry[0].value | entry[1].value | entry[2].value | entry[3].value) |
            (entry[4].value | entry[5].value | entry[6].value | entry[7].value))
            break;
    return none;
}

/* ---- shared_table.c ------------------------------------------------------------------------------- */

/* A table with fewer private pages than that is copied at once: one side will soon write to it. */
#define SHARE_PAGES 64
extern unsigned share_pages; /* SHARE_PAGES, but for tests */

/* Is there a table at this entry of level 1 that should rather be shared than copied? */
static inline bool page_table_worth_sharing(pte_t upper)
{
    return pte_is_shared(upper) ||
           (pte_is_table(upper) &&
            pfn_to_page(pte_pfn(upper))->private_pages + pfn_to_page(pte_pfn(upper))->swapped >=
                (int)share_pages);
}
/* Share the tables of [low, high), which lies below one table of level 1, with a child. Stops at the
 * first that is not worth it. Returns where, or -ENOMEM. *flush: the parent's translations are stale.
 * => both mm->lock write-held */
long page_table_share(struct mm *child, struct mm *parent, vaddr_t low, vaddr_t high, bool *flush);
/* Make the shared table of an entry of level 1 this address space's own. 0 or -ENOMEM. => mm->lock;
 * may sleep */
int page_table_take_upper(struct mm *mm, pte_t *upper);
/* The same for all tables that serve a part of [start, end). */
int page_table_take(struct mm *mm, vaddr_t start, vaddr_t end);
/* [start, end) is to be unmapped, and [low, high) around it is all that is free then: take the tables
 * at its ends that serve other addresses as well. 0 or -ENOMEM. => mm->lock; may sleep */
int page_table_take_ends(struct mm *mm, vaddr_t start, vaddr_t end, vaddr_t low, vaddr_t high);
/* It is being unmapped, and does not fail any more: let go of the shared tables that serve only
 * addresses in [low, high). Those that nobody else has are attached again. => mm->lock */
void page_table_give_up(struct mm *mm, vaddr_t start, vaddr_t end, vaddr_t low, vaddr_t high);

/* ---- mm.c --------------------------------------------------------------------------------------- */

/* Does this, which may be anything, point to an anonymous family? Then it does so for ever. */
bool is_family(const void *p);

/* ---- unmap.c ------------------------------------------------------------------------------------ */

/* Unmap the pages of [start, end). anonymous_too: false leaves private copies.
 * => mm->lock (read is enough), or the lock of the mapping set of the VMA */
void unmap_pages(struct tlb_batch *batch, vaddr_t start, vaddr_t end, bool anonymous_too);
/* When [start, end), of which `vma` has the first page, is unmapped: from where, and up to where, will
 * nothing be mapped? => mm->lock */
vaddr_t free_below_range(struct vma *vma, vaddr_t start);
vaddr_t free_above_range(struct mm *mm, vaddr_t end);
/* munmap => mm->lock write-held. 0 or -ENOMEM */
int unmap_locked(struct mm *mm, vaddr_t start, vaddr_t end);
/* All of it, when the last user has gone. => no CPU has it loaded */
void unmap_all(struct mm *mm);

/* ---- protect.c ---------------------------------------------------------------------------------- */

/* Give the part [start, end) of *vma other flags; *vma is the VMA that covers it then. 0 or -ENOMEM
 * => mm->lock write-held */
int vma_change_flags(struct vma **vma, vaddr_t start, vaddr_t end, u32 flags);

/* ---- cold.c: what a program says about its pages => mm->lock read-held ------------------------- */

/* MADV_COLD, MADV_PAGEOUT, MADV_FREE for [start, end) of a VMA, which allows it. */
void advise_cold(struct vma *vma, vaddr_t start, vaddr_t end);
void advise_pageout(struct vma *vma, vaddr_t start, vaddr_t end);
void advise_free(struct vma *vma, vaddr_t start, vaddr_t end);
/* The pages that are there are locked in memory, or not any more: reclaim need not look at them. */
void mark_locked(struct vma *vma, vaddr_t start, vaddr_t end, bool locked);

/* ---- fork.c ------------------------------------------------------------------------------------- */

struct copied {
    unsigned pages, swapped; /* entries that map pages; that stand for pages in swap */
    bool protected;          /* entries of the original have been made read-only */
};
/* Copy n entries that map private pages, or stand for such in swap, which are shared from now on: both
 * sides' become read-only. 0, or -ENOMEM and nothing is copied. => both tables locked */
int copy_entries(pte_t *to, pte_t *from, unsigned n, struct copied *copied);

int fork_vmas(struct mm *child, struct mm *parent);

/* ---- mmap.c ------------------------------------------------------------------------------------- */

/* Make a stack longer, down to address. FAULT_OK, or FAULT_MAPERR. => mm->lock not held */
int grow_stack(struct mm *mm, vaddr_t address);
/* The address for a new mapping, or -errno. => mm->lock */
long place_mapping(struct mm *mm, const struct map_request *request);
/* May the address space have `pages` more with these flags? 0; -EAGAIN: not so many may be locked;
 * -ENOMEM => mm->lock write-held */
int check_limits(struct mm *mm, u32 flags, u64 pages);
/* Does RLIMIT_DATA allow it that so many pages change their flags? => mm->lock */
bool data_limit_allows(struct mm *mm, u32 old, u32 new, u64 pages);

/* ---- overcommit.c ------------------------------------------------------------------------------- */

/* May `pages` more be promised to an address space (NULL: to none)? */
bool overcommit_allows(const struct mm *mm, u64 pages);

/* ---- populate.c => mm->lock not held ------------------------------------------------------------- */

/* Touch all of the VMAs in [start, end) as their programs would. Strictly: 0, -EINTR, -EFAULT or
 * -ENOMEM, at the first that cannot be; else as much as can be, 0 or -EINTR. */
int populate(struct mm *mm, vaddr_t start, vaddr_t end, bool strict);
/* Touch every page of [start, end) for reading, or writing (ACCESS_WRITE). 0; -ENOMEM: a hole, or no
 * memory; -EINVAL: not allowed; -EFAULT: beyond the end of the file; -EINTR */
int populate_for(struct mm *mm, vaddr_t start, vaddr_t end, u32 access);

#endif
