/* SPDX-License-Identifier: MIT */
/*
 * /proc/kpageflags and /proc/kpagecount: what each page frame is, and how many page-table entries map
 * it; a word of 64 bits for a frame, by frame number (proc(5)).
 *
 * Descriptors are looked at without a lock while they change, so a frame may be told as what it was a
 * moment ago.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/huge.h>
#include <vellum/mm.h>
#include <vellum/rmap.h>
#include <linux/fs.h>
#include <linux/kernel-page-flags.h>

#define KPF_RESERVED 32 /* from here on the header that Linux gives to programs has no names */

ssize_t proc_read_words(struct iov_iter *iter, loff_t *pos, u64 limit, proc_words_fn *fill,
                        void *arg)
{
    u64 at = *pos / sizeof(u64), *words;
    ssize_t done = 0, error = 0;

    if (*pos < 0 || *pos % sizeof(u64) || iter->count % sizeof(u64))
        return -EINVAL;
    if (at >= limit || iter->count == 0)
        return 0;
    words = kmalloc(PAGE_SIZE, ALLOC_KERNEL);
    if (!words)
        return -ENOMEM;
    while (iter->count && at < limit && !error) {
        size_t n = min(min(iter->count, PAGE_SIZE) / sizeof(u64), limit - at);

        fill(arg, at, n, words);
        if (copy_to_iter(iter, words, n * sizeof(u64)) != n * sizeof(u64)) {
            error = -EFAULT;
        } else {
            at += n;
            done += n * sizeof(u64);
            if (current->work & WORK_KILLED)
                error = -EINTR;
        }
    }
    kfree(words);
    *pos += done;
    return done ? done : error;
}

loff_t proc_words_seek(struct file *file, loff_t offset, int whence)
{
    if (whence != SEEK_SET && whence != SEEK_CUR)
        return -EINVAL;
    return file->pos = whence == SEEK_CUR ? (loff_t)((u64)file->pos + (u64)offset) : offset;
}

/* The number of the frame behind the last one. */
static u64 frames_end(void)
{
    u64 end = 0, size;
    paddr_t start;

    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++)
        end = (start + size) >> PAGE_SHIFT;
    return end;
}

u64 proc_mapped_frames(void)
{
    u64 n = 0, size;
    paddr_t start;

    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++)
        for (paddr_t at = start; at < start + size; at += PAGE_SIZE) {
            const struct page *page = phys_to_page(at);

            n += (READ_ONCE(page->flags) & PG_FILE) && page_map_count(page);
        }
    return n;
}

/* ---- flags ---------------------------------------------------------------------------------------------- */

static inline u64 flag(u32 flags, u32 ours, unsigned linux_bit)
{
    return flags & ours ? BIT(linux_bit) : 0;
}

/* Of a page that is anonymous or of a file. */
static u64 flags_of_contents(const struct page *page, u32 f)
{
    u64 u = flag(f, PG_ANON, KPF_ANON) | flag(f, PG_SWAP_CACHE, KPF_SWAPCACHE) |
            flag(f & PG_LAZY_FREE ? 0 : f, PG_ANON | PG_SHMEM, KPF_SWAPBACKED) |
            flag(f, PG_LOCKED, KPF_LOCKED) | flag(f, PG_ERROR, KPF_ERROR) |
            flag(f, PG_REFERENCED, KPF_REFERENCED) | flag(f, PG_UPTODATE, KPF_UPTODATE) |
            flag(f, PG_DIRTY, KPF_DIRTY) | flag(f, PG_ON_LRU, KPF_LRU) |
            flag(f, PG_ACTIVE, KPF_ACTIVE) | flag(f, PG_WRITEBACK, KPF_WRITEBACK) |
            flag(f, PG_UNEVICTABLE, KPF_UNEVICTABLE) | flag(f, PG_HUGE, KPF_THP);

    return page_map_count(page) ? u | BIT(KPF_MMAP) : u;
}

static u64 flags_of(struct page *page)
{
    u32 own = READ_ONCE(page->flags);
    struct page *head = own & PG_TAIL ? page_head(page) : page;
    u32 f = READ_ONCE(head->flags);
    u64 u = 0;

    if (own & PG_TAIL)
        u = BIT(KPF_COMPOUND_TAIL);
    else if (own & PG_HEAD)
        u = BIT(KPF_COMPOUND_HEAD);
    if (f & PG_BUDDY)
        return BIT(KPF_BUDDY);
    if (f & PG_SLAB)
        return u | BIT(KPF_SLAB);
    if (f & PG_TABLE)
        return u | BIT(KPF_PGTABLE);
    if (f & (PG_ANON | PG_FILE))
        return u | flags_of_contents(head, f);
    if (page == zero_page)
        return BIT(KPF_ZERO_PAGE);
    if (head == READ_ONCE(huge_zero_page))
        return u | BIT(KPF_ZERO_PAGE) | BIT(KPF_THP);
    if (f & PG_RESERVED)
        return BIT(KPF_RESERVED);
    /* Inside a block of the buddy allocator, or kept free by a processor for itself. */
    if (f == 0 && atomic_read(&head->refs) == 0)
        return BIT(KPF_BUDDY);
    return u;
}

static void fill_flags(void *unused, u64 first, unsigned n, u64 *words)
{
    for (unsigned i = 0; i < n; i++)
        words[i] = pfn_valid(first + i) ? flags_of(pfn_to_page(first + i)) : BIT(KPF_NOPAGE);
}

static ssize_t flags_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    return proc_read_words(iter, pos, frames_end(), fill_flags, NULL);
}

/* ---- counts --------------------------------------------------------------------------------------------- */

static void fill_counts(void *unused, u64 first, unsigned n, u64 *words)
{
    for (unsigned i = 0; i < n; i++)
        words[i] = pfn_valid(first + i) ? rmap_mappings(page_head(pfn_to_page(first + i))) : 0;
}

static ssize_t counts_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    return proc_read_words(iter, pos, frames_end(), fill_counts, NULL);
}

const struct file_ops proc_kpageflags_ops = {.read = flags_read, .seek = proc_words_seek};
const struct file_ops proc_kpagecount_ops = {.read = counts_read, .seek = proc_words_seek};
