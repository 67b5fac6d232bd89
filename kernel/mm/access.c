/* SPDX-License-Identifier: MIT */
/*
 * Looking into address spaces from outside: another process's memory (mm_access), and what of a VMA
 * is resident (/proc).
 */
#include "address_space.h"
#include <vellum/string.h>
#include <vellum/sync.h>

/* May the entry be used for this access as it is? Written pages must be the process's own. */
static bool usable(const struct vma *vma, pte_t pte, u32 access)
{
    struct page *page = pfn_to_page(pte_pfn(pte));

    if (!pte_present(pte))
        return false;
    if (!(access & ACCESS_WRITE))
        return (vma->flags & (VM_READ | VM_WRITE | VM_EXEC)) || (access & ACCESS_FORCE);
    if (pte_write(pte))
        return true;
    return (access & ACCESS_FORCE) && !pte_special(pte) && (page->flags & PG_ANON) &&
           atomic_read(&page->refs) == 1;
}

/* The page at an address with a reference, if it can be used at once; else NULL. */
static struct page *try_get_page(struct mm *mm, vaddr_t address, u32 access)
{
    struct page *table, *page = NULL;
    struct vma *vma;
    pte_t *entry;

    read_lock(&mm->lock);
    vma = vma_find_exact(mm, address);
    entry = vma ? page_table_find(mm, address, &table) : NULL;
    if (entry) {
        spin_lock(&table->table_lock);
        if (usable(vma, pte_load(entry), access)) {
            page = pfn_to_page(pte_pfn(pte_load(entry)));
            page_get(page);
        }
        spin_unlock(&table->table_lock);
    }
    read_unlock(&mm->lock);
    return page;
}

static struct page *get_page(struct mm *mm, vaddr_t address, u32 access)
{
    struct page *page;
    bool major;

    while (!(page = try_get_page(mm, address, access)))
        if (mm_fault(mm, address, access, &major) != FAULT_OK)
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
        char *memory;

        if (!page)
            break;
        memory = (char *)page_to_virt(page) + offset;
        if (write)
            memcpy(memory, (char *)buffer + done, bytes);
        else
            memcpy((char *)buffer + done, memory, bytes);
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
    pte_t *entry;
    bool untouched;

    read_lock(&mm->lock);
    entry = page_table_find(mm, address, &table);
    untouched = !entry || pte_none(pte_load(entry)) ||
                (pte_present(pte_load(entry)) && pte_special(pte_load(entry)));
    read_unlock(&mm->lock);
    return untouched;
}

void vma_for_each_page(struct vma *vma, void (*fn)(const struct page *page, pte_t pte, void *arg),
                       void *arg)
{
    vaddr_t address = vma->start, stop;
    struct page *table;
    pte_t *entry;

    for (;; address = stop) {
        address = page_table_next(vma->mm, address, vma->end, &entry, &table);
        if (address >= vma->end)
            return;
        stop = table_end(address, vma->end);
        spin_lock(&table->table_lock);
        for (; address < stop; address += PAGE_SIZE, entry++) {
            pte_t pte = pte_load(entry);

            if (pte_present(pte) && !pte_special(pte))
                fn(pfn_to_page(pte_pfn(pte)), pte, arg);
        }
        spin_unlock(&table->table_lock);
    }
}
