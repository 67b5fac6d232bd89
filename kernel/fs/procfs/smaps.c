/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/smaps and smaps_rollup: how much of each VMA is resident, and how it is shared (proc(5)).
 *
 * A page that n address spaces map counts as 1/n towards the proportional set size of each, in 1/4096
 * of a byte. To tell n may need a walk of the reverse map, which takes other tables' locks: so entries
 * are gathered first, and counted when the lock of their table is free again.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/huge.h>
#include <vellum/mm.h>
#include <vellum/page_cache.h>
#include <vellum/rmap.h>

#define PSS_SHIFT 12

struct sizes { /* bytes */
    u64 resident, shared_clean, shared_dirty, private_clean, private_dirty;
    u64 referenced, anonymous, huge, locked, lazy_free;
    u64 proportional, proportional_dirty; /* << PSS_SHIFT */
    u64 proportional_anonymous, proportional_file, proportional_shmem, proportional_locked;
    u64 swapped, proportional_swapped;
};

static void add_page(struct sizes *s, const struct vma_entry *e, bool locked)
{
    const struct page *page = vma_entry_page(e);
    unsigned mappings = max(rmap_mappings(page), 1U);
    bool dirty = pte_dirty(e->pte) || (page->flags & PG_DIRTY);
    u64 size = 1UL << PT_SHIFT(e->level), share = (size << PSS_SHIFT) / mappings;

    s->resident += size;
    s->proportional += share;
    if (dirty)
        s->proportional_dirty += share;
    if (locked)
        s->proportional_locked += share;
    if (page->flags & PG_ANON) {
        s->anonymous += size;
        s->huge += e->level ? size : 0;
        s->proportional_anonymous += share;
    } else if (page->flags & PG_SHMEM) {
        s->proportional_shmem += share;
    } else {
        s->proportional_file += share;
    }
    if (pte_young(e->pte) || (page->flags & PG_REFERENCED))
        s->referenced += size;
    if ((page->flags & PG_LAZY_FREE) && !dirty)
        s->lazy_free += size;
    if (mappings > 1)
        *(dirty ? &s->shared_dirty : &s->shared_clean) += size;
    else
        *(dirty ? &s->private_dirty : &s->private_clean) += size;
}

static void add_swapped(struct sizes *s, swap_entry_t entry, unsigned users)
{
    s->swapped += PAGE_SIZE;
    s->proportional_swapped += (PAGE_SIZE << PSS_SHIFT) / (max(swap_users(entry), 1U) + users - 1);
}

#define BATCH 32

struct batch {
    struct sizes *sizes;
    unsigned n;
    struct vma_entry entries[BATCH]; /* of pages that are there */
};

/* A slot stays what it is as long as its entry's table is locked. */
static bool gather(const struct vma_entry *e, void *arg)
{
    struct batch *b = arg;

    if (pte_is_swap(e->pte))
        add_swapped(b->sizes, swap_of_pte(e->pte), e->users);
    else if (b->n == BATCH)
        return false;
    else if (vma_entry_page(e))
        b->entries[b->n++] = *e;
    return true;
}

static bool is_there(const struct vma_entry *e, void *arg)
{
    *(bool *)arg = true;
    return false;
}

/* Pages of a file whose only home is memory are in swap for all who map it: no entry tells. Where a
 * private mapping has an entry, that is what it sees. */
static u64 count_swapped_file(struct vma *vma)
{
    struct page_cache *cache = vma->file ? vma->file->cache : NULL;
    u64 index = vma->offset, bytes = 0;
    u64 end = index + ((vma->end - vma->start) >> PAGE_SHIFT);

    if (!cache || !READ_ONCE(cache->nr_swapped))
        return 0;
    for (; page_cache_next_swapped(cache, &index, end); index++) {
        vaddr_t address = vma->start + ((index - vma->offset) << PAGE_SHIFT);
        bool there = false;

        vma_for_each_entry(vma, address, address + PAGE_SIZE, is_there, &there);
        bytes += there ? 0 : PAGE_SIZE;
    }
    return bytes;
}

static void measure(struct sizes *s, struct vma *vma)
{
    struct batch b = {.sizes = s};

    s->swapped += count_swapped_file(vma);
    for (vaddr_t at = vma->start; at < vma->end;) {
        b.n = 0;
        at = vma_for_each_entry(vma, at, vma->end, gather, &b);
        for (unsigned i = 0; i < b.n; i++)
            add_page(s, &b.entries[i], vma->flags & VM_LOCKED);
    }
}

/* ---- the text ------------------------------------------------------------------------------------------- */

static void show_kib(struct seq_file *m, const char *name, u64 bytes)
{
    seq_printf(m, "%-16s%8llu kB\n", name, (unsigned long long)bytes >> 10);
}

static void show_sizes(struct seq_file *m, const struct sizes *s, bool rollup)
{
    show_kib(m, "Rss:", s->resident);
    show_kib(m, "Pss:", s->proportional >> PSS_SHIFT);
    show_kib(m, "Pss_Dirty:", s->proportional_dirty >> PSS_SHIFT);
    if (rollup) {
        show_kib(m, "Pss_Anon:", s->proportional_anonymous >> PSS_SHIFT);
        show_kib(m, "Pss_File:", s->proportional_file >> PSS_SHIFT);
        show_kib(m, "Pss_Shmem:", s->proportional_shmem >> PSS_SHIFT);
    }
    show_kib(m, "Shared_Clean:", s->shared_clean);
    show_kib(m, "Shared_Dirty:", s->shared_dirty);
    show_kib(m, "Private_Clean:", s->private_clean);
    show_kib(m, "Private_Dirty:", s->private_dirty);
    show_kib(m, "Referenced:", s->referenced);
    show_kib(m, "Anonymous:", s->anonymous);
    show_kib(m, "LazyFree:", s->lazy_free);
    show_kib(m, "AnonHugePages:", s->huge);
    show_kib(m, "ShmemPmdMapped:", 0);
    show_kib(m, "FilePmdMapped:", 0);
    show_kib(m, "Shared_Hugetlb:", 0);
    show_kib(m, "Private_Hugetlb:", 0);
    show_kib(m, "Swap:", s->swapped);
    show_kib(m, "SwapPss:", s->proportional_swapped >> PSS_SHIFT);
    show_kib(m, "Locked:", s->proportional_locked >> PSS_SHIFT);
}

static void show_flags(struct seq_file *m, const struct vma *vma)
{
    /* In Linux's order. "sh" is for what is shared with those who can write through it. */
    static const struct {
        u32 all_of;
        char name[3];
    } names[] = {
        {VM_READ, "rd"},          {VM_WRITE, "wr"},
        {VM_EXEC, "ex"},          {VM_SHARED | VM_MAY_WRITE, "sh"},
        {VM_MAY_READ, "mr"},      {VM_MAY_WRITE, "mw"},
        {VM_MAY_EXEC, "me"},      {VM_SHARED, "ms"},
        {VM_GROWSDOWN, "gd"},     {VM_LOCKED, "lo"},
        {VM_SEQ_READ, "sr"},      {VM_RAND_READ, "rr"},
        {VM_DONTCOPY, "dc"},      {VM_DONTEXPAND, "de"},
        {VM_LOCK_ON_FAULT, "lf"}, {VM_ACCOUNT, "ac"},
        {VM_NORESERVE, "nr"},     {VM_WIPEONFORK, "wf"},
        {VM_DONTDUMP, "dd"},      {VM_HUGEPAGE, "hg"},
        {VM_NOHUGEPAGE, "nh"},
    };

    seq_puts(m, "VmFlags: ");
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if ((vma->flags & names[i].all_of) == names[i].all_of)
            seq_printf(m, "%s ", names[i].name);
    seq_putc(m, '\n');
}

static void show_one(struct seq_file *m, struct vma *vma, char *buffer)
{
    struct sizes s = {0};

    measure(&s, vma);
    proc_show_vma(m, vma, buffer);
    show_kib(m, "Size:", vma->end - vma->start);
    show_kib(m, "KernelPageSize:", PAGE_SIZE);
    show_kib(m, "MMUPageSize:", PAGE_SIZE);
    show_sizes(m, &s, false);
    seq_printf(m, "THPeligible:    %d\n", huge_possible(vma));
    show_flags(m, vma);
}

static void show_all(struct seq_file *m, struct mm *mm, char *buffer)
{
    for (struct vma *vma = vma_find(mm, m->cursor); vma; vma = vma_next(vma)) {
        size_t before = m->used;

        show_one(m, vma, buffer);
        if (seq_full(m, before, vma->start))
            break;
    }
}

static void show_sum(struct seq_file *m, struct mm *mm, char *buffer)
{
    struct vma *vma, *last = NULL;
    struct sizes s = {0};
    vaddr_t first = 0;

    for (vma = vma_first(mm); vma; vma = vma_next(vma)) {
        first = last ? first : vma->start;
        last = vma;
        measure(&s, vma);
    }
    if (!last)
        return;
    seq_printf(m, "%08llx-%08llx ---p 00000000 00:00 0                          [rollup]\n",
               (unsigned long long)first, (unsigned long long)last->end);
    show_sizes(m, &s, true);
}

static int show(struct seq_file *m, struct proc_inode *pi,
                void (*fn)(struct seq_file *m, struct mm *mm, char *buffer))
{
    char *buffer = kmalloc(PATH_MAX, ALLOC_KERNEL);
    struct mm *mm = buffer ? process_mm(pi->process) : NULL;

    if (mm) {
        read_lock(&mm->lock);
        fn(m, mm, buffer);
        read_unlock(&mm->lock);
        mm_put(mm);
    }
    kfree(buffer);
    return buffer ? 0 : -ENOMEM;
}

int proc_show_smaps(struct seq_file *m, struct proc_inode *pi)
{
    return show(m, pi, show_all);
}

int proc_show_smaps_rollup(struct seq_file *m, struct proc_inode *pi)
{
    return show(m, pi, show_sum);
}
