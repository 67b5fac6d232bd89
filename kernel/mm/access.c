/* SPDX-License-Identifier: MIT */
/*
 * Looking into address spaces from outside: another process's memory (mm_access), and what of a VMA
 * is resident (/proc).
 */
#include "address_space.h"
#include "huge.h"
#include <vellum/page_cache.h>
#include <vellum/string.h>
#include <vellum/sync.h>

/* May the entry be used for this access as it is? Written pages must be the process's own. What may be
 * written to in the usual way is made writable first, by a fault: a thread of the process that writes to a
 * read-only page would take us for another user of it, and go on with a copy. */
static bool usable(const struct vma *vma, const struct page *table, pte_t pte, u32 access)
{
    struct page *page = pfn_to_page(pte_pfn(pte));

    if (!pte_present(pte))
        return false;
    if (!(access & ACCESS_WRITE))
        return true;
    if (table && (table->flags & PG_TABLE_SHARED))
        return false;
    if (pte_write(pte))
        return true;
    return (access & ACCESS_FORCE) && !(vma->flags & VM_WRITE) && !pte_special(pte) &&
           (page->flags & PG_ANON) && atomic_read(&page_head(page)->refs) == 1;
}

/* No processor notes in an entry what we write to an anonymous page. A part of a huge page has no such
 * mark of its own: it gets the whole one's when that is split. */
static void note_write(struct page *page)
{
    page_flag_set(page_head(page), PG_DIRTY);
}

/* The page at an address with a reference, if it can be used at once; mm->lock stays read-held then, so that
 * no fork makes others its users before we are done. Else NULL. *forbidden: it will not be: what the
 * program may not read, others may not either, though the machine lets it read what it may write or
 * execute. */
static struct page *try_get_page(struct mm *mm, vaddr_t address, u32 access, bool *forbidden)
{
    struct page *table, *page = NULL;
    spinlock_t *lock = NULL;
    struct vma *vma;
    pte_t pte;

    read_lock(&mm->lock);
    vma = vma_find_exact(mm, address);
    *forbidden = vma && !(access & (ACCESS_WRITE | ACCESS_FORCE)) && !(vma->flags & VM_READ);
    if (vma && !*forbidden)
        lock = page_table_lock_pte(mm, address, &pte, &table);
    if (lock) {
        if (usable(vma, table, pte, access)) {
            page = pfn_to_page(pte_pfn(pte));
            page_get(page);
            if ((access & ACCESS_WRITE) && (page->flags & PG_ANON))
                note_write(page);
        }
        spin_unlock(lock);
    }
    if (!page)
        read_unlock(&mm->lock);
    return page;
}

/* A page of a file has been written to. We have a reference to it, but it may have left its file, and
 * that be gone. */
static void file_page_changed(struct page *page)
{
    page_lock(page);
    page_set_dirty(page);
    page_unlock(page);
}

/* The same, brought there by faults if need be. */
static struct page *get_page(struct mm *mm, vaddr_t address, u32 access)
{
    struct page *page;
    bool forbidden, major;

    while (!(page = try_get_page(mm, address, access, &forbidden)))
        if (forbidden || mm_fault(mm, address, access, &major) != FAULT_OK)
            return NULL;
    return page;
}

size_t mm_access(struct mm *mm, vaddr_t address, void *buffer, size_t n, bool write, bool force)
{
    u32 access = (write ? ACCESS_WRITE : 0) | (force ? ACCESS_FORCE : 0);
    size_t done = 0;

    while (done < n && address + done < USER_END) {
        size_t offset = (address + done) % PAGE_SIZE;
        size_t bytes = min(PAGE_SIZE - offset, n - done);
        struct page *page = get_page(mm, address + done, access);
        bool anonymous;
        char *memory;

        if (!page)
            break;
        memory = (char *)page_to_virt(page) + offset;
        if (write)
            memcpy(memory, (char *)buffer + done, bytes);
        else
            memcpy((char *)buffer + done, memory, bytes);
        anonymous = page->flags & PG_ANON;
        if (write && anonymous)
            note_write(page); /* reclaim may have unmapped it meanwhile: swap_out.c */
        read_unlock(&mm->lock);
        if (write && !anonymous)
            file_page_changed(page);
        page_put(page);
        done += bytes;
    }
    if (write && force && done)
        arch_icache_sync(); /* it may have been code: a breakpoint */
    return done;
}

bool mm_is_untouched(struct mm *mm, vaddr_t address)
{
    struct page *table;
    bool untouched = true;
    spinlock_t *lock;
    pte_t pte;

    read_lock(&mm->lock);
    lock = page_table_lock_pte(mm, address, &pte, &table);
    if (lock) {
        untouched = pte_none(pte) || (pte_present(pte) && pte_special(pte));
        spin_unlock(lock);
    }
    read_unlock(&mm->lock);
    return untouched;
}

/* The entry of a huge page that serves an address; *stop: the address, if there is none any more.
 * Returns what fn does. */
static bool visit_huge(struct vma_entry *e, vaddr_t *stop, vaddr_t address, vma_entry_fn *fn,
                       void *arg)
{
    struct mm *mm = e->vma->mm;
    bool more = true;

    spin_lock(&mm->table_lock);
    e->entry = huge_entry(mm, address);
    if (e->entry) {
        e->pte = pte_load(e->entry);
        e->address = address & HUGE_MASK;
        e->level = 1;
        e->users = 1;
        more = fn(e, arg);
        e->level = 0;
    } else {
        *stop = address;
    }
    spin_unlock(&mm->table_lock);
    return more;
}

vaddr_t vma_for_each_entry(struct vma *vma, vaddr_t start, vaddr_t end, vma_entry_fn *fn, void *arg)
{
    struct vma_entry e = {.vma = vma, .users = 1};
    vaddr_t address = start, stop;
    struct page *table;
    pte_t *entry;

    assert(rwlock_held(&vma->mm->lock) && start >= vma->start && end <= vma->end);
    for (;; address = stop) {
        address = page_table_lock_next(vma->mm, address, end, &entry, &table);
        if (address >= end)
            return end;
        stop = table_end(address, end);
        if (unlikely(!table)) {
            if (!visit_huge(&e, &stop, address, fn, arg))
                return address;
            continue;
        }
        e.users = atomic_read(&table->refs);
        for (; address < stop; address += PAGE_SIZE, entry++) {
            e.pte = pte_load(entry);
            if (pte_none(e.pte))
                continue;
            e.address = address;
            e.entry = entry;
            if (!fn(&e, arg)) {
                spin_unlock(&table->table_lock);
                return address;
            }
        }
        spin_unlock(&table->table_lock);
    }
}

unsigned page_map_count(const struct page *page)
{
    u32 flags;
    int n;

    page = page_head(page);
    flags = READ_ONCE(page->flags);
    n = atomic_read(&page->refs);
    if (!(flags & (PG_ANON | PG_FILE)))
        return 0;
    if ((flags & PG_FILE) && READ_ONCE(page->cache))
        n--;
    if (flags & PG_SWAP_CACHE)
        n--;
    return max(n, 0);
}
