/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/pagemap: where each page of an address space is, a word of 64 bits for a page; and
 * /proc/PID/clear_refs, which forgets what has been touched so far (proc(5)).
 *
 *     63       62       61                     56            55      54 .......... 0
 *     present  swapped  of a file, or shared   mapped once   0       frame number, or slot << 5 | area
 *
 * Numbers of frames and slots are shown to who had CAP_SYS_ADMIN when he opened the file. Bit 55
 * (written since clear_refs) is 0: it is not kept.
 */
#include "internal.h"
#include <vellum/cred.h>
#include <vellum/error.h>
#include <vellum/mm.h>
#include <vellum/string.h>
#include <linux/capability.h>
#include <linux/fs.h>

#define PM_PRESENT   BIT(63)
#define PM_SWAPPED   BIT(62)
#define PM_FILE      BIT(61)
#define PM_EXCLUSIVE BIT(56)
#define PM_NUMBER    (BIT(55) - 1)

struct reading {
    struct mm *mm;
    bool numbers;    /* may be shown */
    u64 first, last; /* pages that are asked for */
    u64 *words;
};

static u64 word_of(const struct vma_entry *e)
{
    struct page *page = vma_entry_page(e);
    u64 word = PM_PRESENT;

    if (!pte_present(e->pte))
        return PM_SWAPPED | (pte_swap_payload(e->pte) & PM_NUMBER);
    if (page && !(page->flags & PG_ANON))
        word |= PM_FILE;
    if (page && e->users == 1 && page_map_count(page) == 1)
        word |= PM_EXCLUSIVE;
    return word | pte_pfn(e->pte);
}

static bool add_words(const struct vma_entry *e, void *arg)
{
    const struct reading *r = arg;
    u64 page = e->address >> PAGE_SHIFT, n = 1UL << (PT_SHIFT(e->level) - PAGE_SHIFT);
    u64 word = word_of(e);

    if (!r->numbers)
        word &= ~PM_NUMBER;
    for (u64 i = 0; i < n; i++) {
        if (page + i >= r->first && page + i <= r->last)
            r->words[page + i - r->first] = word;
        word += r->numbers && n > 1;
    }
    return true;
}

static void fill(void *arg, u64 first, unsigned n, u64 *words)
{
    struct reading *r = arg;
    vaddr_t start = first << PAGE_SHIFT, end = start + ((u64)n << PAGE_SHIFT);

    r->first = first;
    r->last = first + n - 1;
    r->words = words;
    memset(words, 0, n * sizeof(*words));
    read_lock(&r->mm->lock);
    for (struct vma *vma = vma_find(r->mm, start); vma && vma->start < end; vma = vma_next(vma))
        vma_for_each_entry(vma, max(vma->start, start), min(vma->end, end), add_words, r);
    read_unlock(&r->mm->lock);
}

static ssize_t pagemap_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct reading r = {.mm = proc_file_mm(file),
                        .numbers = file->cred->cap_effective & BIT(CAP_SYS_ADMIN)};
    ssize_t n;

    if (!r.mm)
        return 0;
    n = proc_read_words(iter, pos, USER_END >> PAGE_SHIFT, fill, &r);
    mm_put(r.mm);
    return n;
}

const struct file_ops proc_pagemap_ops = {
    .open = proc_mem_open,
    .read = pagemap_read,
    .seek = proc_words_seek,
};

/* ---- clear_refs ----------------------------------------------------------------------------------------- */

enum {
    CLEAR_ALL = 1,
    CLEAR_ANONYMOUS = 2,
    CLEAR_FILES = 3,
    CLEAR_SOFT_DIRTY = 4,
    CLEAR_PEAK = 5,
};

/* The processor may set bits of the entry meanwhile. */
static bool clear_young(const struct vma_entry *e, void *unused)
{
    struct page *page = vma_entry_page(e);
    pte_t pte = e->pte;

    if (!page)
        return true;
    while (pte_young(pte) && !pte_replace(e->entry, pte, pte_clear_young(pte)))
        pte = pte_load(e->entry);
    if (page->flags & PG_REFERENCED)
        page_flag_clear(page, PG_REFERENCED);
    return true;
}

static void clear(struct mm *mm, s64 what)
{
    if (what == CLEAR_PEAK) {
        struct mm_usage now;

        write_lock(&mm->lock);
        mm_get_usage(mm, &now, true);
        mm->peak_resident = now.file + now.anonymous + now.shared;
        write_unlock(&mm->lock);
        return;
    }
    read_lock(&mm->lock);
    for (struct vma *vma = vma_first(mm); vma; vma = vma_next(vma))
        if (what == CLEAR_ALL || (what == CLEAR_FILES) == (vma->file != NULL))
            vma_for_each_entry(vma, vma->start, vma->end, clear_young, NULL);
    read_unlock(&mm->lock);
    tlb_flush_entries(mm, 0, USER_END);
}

ssize_t proc_write_clear_refs(struct proc_inode *pi, char *text, size_t n)
{
    struct mm *mm;
    s64 what;

    if (proc_parse(text, CLEAR_ALL, CLEAR_PEAK, &what) != 0 || what == CLEAR_SOFT_DIRTY)
        return -EINVAL;
    mm = process_mm(pi->process);
    if (mm) {
        clear(mm, what);
        mm_put(mm);
    }
    return 0;
}
