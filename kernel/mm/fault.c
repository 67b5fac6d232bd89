/* SPDX-License-Identifier: MIT */
/*
 * Page faults.
 *
 * A fault passes through four hops, each a function:
 *
 *     trap_page_fault()   kernel/proc/trap.c: decodes the trap; signals if this fails
 *       page_fault()      finds the VMA, checks the permission, counts
 *         resolve()       walks to the page-table entry and tells the cases apart
 *           one handler   finds or makes the frame
 *             install()   stores the entry, if it is still as it was
 *
 *     entry     memory               touched by   handler
 *     none      private anonymous    read         map_zero_page
 *                                    write        map_fresh_page
 *               file                 read         map_file_page
 *                                    write        map_file_page if shared, map_private_copy if not
 *               the kernel's         any          map_special
 *     swap      private              any          swap_fault (swap_in.c)
 *     no table  private anonymous    any          fault_huge (huge_fault.c), before all others
 *     present   not writable         write        break_copy_on_write; shared file: make_writable
 *               allowed              any          refresh (mprotect left it; or another CPU was faster)
 *
 * Handlers run with mm->lock read-held and may sleep. The entry is examined without its table's
 * lock, what is needed is prepared, and then, under that lock, the entry is looked at again: if it
 * has changed meanwhile, the fault starts over, and usually finds that nothing is left to do.
 *
 * What takes long is not waited for with the lock. If a page has to be read, the handler begins that and
 * returns FAULT_WAIT; mm_fault() waits without any lock, and starts over (once: wait_for_page).
 *
 * A page that has been removed from its file (page->cache NULL: truncate) must not be mapped any
 * more. This is checked under the table's lock. The remover clears page->cache first and unmaps
 * after that, under the same lock; so one of the two sees the other.
 */
#include "fault.h"
#include "huge.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/thread.h>
#include <vellum/writeback.h>

/* ---- storing an entry --------------------------------------------------------------------------- */

/* Has the page left its file? => table lock */
static inline bool page_is_gone(const struct page *page)
{
    return !(page->flags & PG_ANON) && !READ_ONCE(page->cache);
}

/* Before pages are mapped executable: what was written to them must reach instruction fetch. */
static void sync_code(struct page **pages, unsigned n)
{
    bool stale = false;

    for (unsigned i = 0; i < n; i++)
        if (!(pages[i]->flags & PG_CODE_SYNCED)) {
            page_flag_set(pages[i], PG_CODE_SYNCED);
            stale = true;
        }
    if (stale)
        arch_icache_sync();
}

/* ---- anonymous memory --------------------------------------------------------------------------- */

static int map_zero_page(struct vm_fault *fault)
{
    if (!lock_entry(fault))
        return FAULT_RETRY;
    pte_publish(fault->pte, pte_set_special(make_entry(fault, zero_page, false)));
    unlock_entry(fault);
    return FAULT_OK;
}

static inline void make_anonymous(struct vm_fault *fault, struct page *page)
{
    page->flags = PG_ANON | PG_UPTODATE | PG_SWAP_BACKED | PG_ON_LRU | PG_LRU_PENDING;
    page->family = fault->vma->mm->family;
    page->index = fault->address >> PAGE_SHIFT;
}

/* Give a page that we hold, and nobody else knows, to the address space. => table lock */
static inline void store_anonymous(struct vm_fault *fault, struct page *page)
{
    struct vma *vma = fault->vma;

    frames_count_anonymous(1);
    if (!vma->has_private)
        vma->has_private = true;
    if (unlikely(vma->flags & VM_LOCKED))
        page->flags |= PG_UNEVICTABLE;
    lru_push(page);
    atomic_inc(&vma->mm->anon_pages);
    fault->table->private_pages++;
    pte_publish(fault->pte, make_entry(fault, page, vma->flags & VM_WRITE));
}

/* A cleared page in the place of nothing, or of the zero page. */
static int map_fresh_page(struct vm_fault *fault)
{
    struct page *page = page_alloc(ALLOC_USER | ALLOC_MOVABLE | ALLOC_ZERO);

    if (unlikely(!page))
        return FAULT_OOM;
    make_anonymous(fault, page);
    if (!lock_entry(fault)) {
        page->flags = 0;
        page_put(page);
        return FAULT_RETRY;
    }
    store_anonymous(fault, page);
    unlock_entry(fault);
    if (!pte_none(fault->seen))
        tlb_flush_entries(fault->vma->mm, fault->address, fault->address + PAGE_SIZE);
    return FAULT_OK;
}

/* Put a copy of `old`, mapped by the entry, in its place. => the caller saw another user of it */
static int copy_page(struct vm_fault *fault, struct page *old)
{
    struct page *copy = page_alloc(ALLOC_USER | ALLOC_MOVABLE);
    struct mm *mm = fault->vma->mm;

    if (unlikely(!copy))
        return FAULT_OOM;
    make_anonymous(fault, copy);
    if (!lock_entry(fault)) {
        copy->flags = 0;
        page_put(copy);
        return FAULT_RETRY;
    }
    arch_copy_page(page_to_virt(copy), page_to_virt(old));
    atomic_dec(&mm->resident[page_kind(old)]);
    if (old->flags & PG_ANON)
        fault->table->private_pages--;
    store_anonymous(fault, copy);
    unlock_entry(fault);
    vm_event(pgfault_copy);
    tlb_flush_entries(mm, fault->address, fault->address + PAGE_SIZE);
    page_put(old);
    return FAULT_OK;
}

/* Only the swap cache has another reference, and nobody names the slot any more: then the page leaves
 * it, and is ours alone. */
static bool leave_swap_cache(struct vm_fault *fault, struct page *page)
{
    bool left = false;

    if (!lock_entry(fault))
        return false;
    page_get(page);
    unlock_entry(fault);
    if (page_trylock(page)) {
        left = swap_cache_release(page);
        page_unlock(page);
    }
    page_put(page);
    return left && atomic_read(&page->refs) == 1;
}

/* A write to a private page that is mapped read-only: ours alone, or shared since fork or with the
 * file. */
static int break_copy_on_write(struct vm_fault *fault)
{
    struct page *old;

    if (pte_special(fault->seen))
        return map_fresh_page(fault);
    old = pfn_to_page(pte_pfn(fault->seen));
    if (!(old->flags & PG_ANON))
        return copy_page(fault, old);
    if (atomic_read(&old->refs) > 1 &&
        !((old->flags & PG_SWAP_CACHE) && leave_swap_cache(fault, old)))
        return copy_page(fault, old);
    if (!lock_entry(fault))
        return FAULT_RETRY;
    /* The entry's own reference is the only one: fork, which makes more, waits for us; and migration,
     * which has one before it copies the page, then takes our lock and finds that we may write. */
    if (unlikely(atomic_read(&old->refs) > 1)) {
        unlock_entry(fault);
        return FAULT_RETRY;
    }
    pte_publish(fault->pte, make_entry(fault, old, fault->vma->flags & VM_WRITE));
    unlock_entry(fault);
    vm_event(pgreuse);
    arch_tlb_flush_page(fault->address);
    return FAULT_OK;
}

/* ---- files ---------------------------------------------------------------------------------------- */

/* Who maps a page writable need not write to it: it may be one around the fault, or have been read. */
static inline pte_t make_file_entry(const struct vm_fault *fault, struct page *page, bool write)
{
    pte_t pte = make_entry(fault, page, write);

    if (page->index != fault->index || !(fault->access & ACCESS_WRITE))
        return pte_clear_dirty(pte);
    if ((page->flags & (PG_SHMEM | PG_DIRTY)) == PG_SHMEM)
        page_flag_set(page, PG_DIRTY); /* for the others who map it */
    return pte;
}

/* Store the entries of pages around the fault, as far as they are free, under one lock; the others
 * are put. Returns whether the page of the fault was among them. */
static bool map_around(struct vm_fault *fault, struct page **pages, unsigned n, bool write)
{
    long counts[3] = {0, 0, 0};
    unsigned unused = 0;
    bool hit = false;

    spin_lock(&fault->table->table_lock);
    for (unsigned i = 0; i < n; i++) {
        struct page *page = pages[i];
        pte_t *entry = fault->pte + (s64)(page->index - fault->index);

        if (unlikely(!pte_none(pte_load(entry)) || page_is_gone(page))) {
            pages[unused++] = page;
            continue;
        }
        counts[page_kind(page)]++;
        hit |= page->index == fault->index;
        pte_publish(entry, make_file_entry(fault, page, write));
    }
    spin_unlock(&fault->table->table_lock);
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
        if (counts[i])
            atomic_add(&fault->vma->mm->resident[i], counts[i]);
    if (unused)
        pages_put(pages, unused);
    return hit;
}

/* Map what is there already in 16 pages around the fault, aligned if the VMA has all of them, within
 * the VMA and the table. */
static bool fault_around(struct vm_fault *fault, bool write)
{
    struct vma *vma = fault->vma;
    vaddr_t low = max(ALIGN_DOWN(fault->address, FAULT_AROUND * PAGE_SIZE), vma->start);
    vaddr_t high = table_end(low, min(low + FAULT_AROUND * PAGE_SIZE, vma->end));
    struct page *pages[FAULT_AROUND];
    unsigned n;

    n = vma->ops->fault_around(vma, vma_index(vma, low), vma_index(vma, high) - 1, pages);
    if (n && (vma->flags & VM_EXEC))
        sync_code(pages, n);
    return n && map_around(fault, pages, n, write);
}

static int store_file_page(struct vm_fault *fault, bool write)
{
    struct page *page = fault->page;

    if (fault->vma->flags & VM_EXEC)
        sync_code(&page, 1);
    if (!lock_entry(fault)) {
        page_put(page);
        return FAULT_RETRY;
    }
    if (unlikely(page_is_gone(page))) {
        unlock_entry(fault);
        page_put(page);
        return FAULT_RETRY;
    }
    atomic_inc(&fault->vma->mm->resident[page_kind(page)]);
    pte_publish(fault->pte, make_file_entry(fault, page, write));
    unlock_entry(fault);
    return FAULT_OK;
}

/* A page of the file itself. */
static int map_file_page(struct vm_fault *fault)
{
    struct vma *vma = fault->vma;
    bool touched = fault->access & ACCESS_WRITE;
    /* Where nobody wants to know of the first write, shared pages are writable from the start. */
    bool write =
        !vma_is_private(vma) && (vma->flags & VM_WRITE) && (touched || !vma->ops->make_writable);
    int result;

    if (vma->ops->fault_around && !(touched && vma->ops->make_writable) &&
        fault_around(fault, write))
        return FAULT_OK;
    result = vma->ops->fault(fault);
    if (result != FAULT_OK)
        return result;
    if (touched && vma->ops->make_writable) {
        result = vma->ops->make_writable(fault);
        if (result != FAULT_OK) {
            if (result != FAULT_THROTTLE)
                page_put(fault->page);
            return result;
        }
    }
    result = store_file_page(fault, write);
    if (touched && vma->ops->make_writable)
        page_unlock(fault->page); /* it is in its cache as long as it was locked, so it is there */
    return result;
}

/* A private page with the contents of the file's. */
static int map_private_copy(struct vm_fault *fault)
{
    struct page *copy;
    int result = fault->vma->ops->fault(fault);

    if (result != FAULT_OK)
        return result;
    copy = page_alloc(ALLOC_USER | ALLOC_MOVABLE);
    if (unlikely(!copy)) {
        page_put(fault->page);
        return FAULT_OOM;
    }
    arch_copy_page(page_to_virt(copy), page_to_virt(fault->page));
    make_anonymous(fault, copy);
    if (!lock_entry(fault)) {
        result = FAULT_RETRY;
    } else if (unlikely(page_is_gone(fault->page))) {
        unlock_entry(fault);
        result = FAULT_RETRY;
    } else {
        store_anonymous(fault, copy);
        unlock_entry(fault);
        vm_event(pgfault_copy);
        /* Reclaim has unmapped pages, this one perhaps, and other processors may not know it yet. */
        if (mm_flush_is_due(fault->vma->mm))
            tlb_flush_entries(fault->vma->mm, fault->address, fault->address + PAGE_SIZE);
    }
    page_put(fault->page);
    if (result != FAULT_OK) {
        copy->flags = 0;
        page_put(copy);
    }
    return result;
}

/* The first write to a page of a shared mapping, which is mapped read-only. */
static int make_writable(struct vm_fault *fault)
{
    struct vma *vma = fault->vma;
    int result = FAULT_OK;

    /* A reference, for the time without the lock. */
    if (!lock_entry(fault))
        return FAULT_RETRY;
    fault->page = pfn_to_page(pte_pfn(fault->seen));
    page_get(fault->page);
    unlock_entry(fault);
    if (vma->ops->make_writable) {
        result = vma->ops->make_writable(fault);
        if (result == FAULT_THROTTLE)
            return result;
        if (result != FAULT_OK)
            goto out;
    }
    if (lock_entry(fault)) {
        pte_publish(fault->pte, make_entry(fault, fault->page, true));
        unlock_entry(fault);
        arch_tlb_flush_page(fault->address);
    } else {
        result = FAULT_RETRY;
    }
    if (vma->ops->make_writable)
        page_unlock(fault->page);
out:
    page_put(fault->page);
    return result;
}

/* ---- the rest ------------------------------------------------------------------------------------ */

static int map_special(struct vm_fault *fault)
{
    struct page **pages = fault->vma->private_data;

    if (!lock_entry(fault))
        return FAULT_RETRY;
    pte_publish(fault->pte, pte_set_special(make_entry(fault, pages[fault->index],
                                                       fault->vma->flags & VM_WRITE)));
    unlock_entry(fault);
    return FAULT_OK;
}

/* The entry is there, and the access is one that the VMA allows. Either mprotect() has given more
 * than the entry tells, or the processor remembers what the entry was before. */
static int refresh(struct vm_fault *fault)
{
    unsigned prot = vma_prot(fault->vma);
    pte_t pte = fault->seen;
    bool changed;

    if (!lock_entry(fault))
        return FAULT_RETRY;
    if (!pte_write(pte))
        prot &= ~PTE_WRITE;
    pte = pte_set_young(pte_set_prot(pte, prot));
    if (fault->access & ACCESS_WRITE)
        pte = pte_set_dirty(pte);
    changed =
        pte_replace(fault->pte, fault->seen, pte); /* unless the processor marks it just now */
    unlock_entry(fault);
    arch_tlb_flush_page(fault->address);
    return changed ? FAULT_OK : FAULT_RETRY;
}

/* ---- the hops ------------------------------------------------------------------------------------ */

/* Find the entry; choose the handler. => mm->lock read-held */
static int resolve(struct vm_fault *fault)
{
    struct vma *vma = fault->vma;
    bool write = fault->access & ACCESS_WRITE;

    fault->pte = page_table_find(vma->mm, fault->address, &fault->table);
    if (unlikely(!fault->pte)) {
        int result = vma->ops ? FAULT_SMALL : fault_huge(fault);

        if (result != FAULT_SMALL)
            return result;
        fault->pte = page_table_make(vma->mm, fault->address, &fault->table);
        if (!fault->pte)
            return FAULT_OOM;
    }
    fault->seen = pte_load(fault->pte);
    fault->index = vma_index(vma, fault->address);
    if (likely(pte_none(fault->seen))) {
        if (likely(!vma->ops))
            return vma->flags & VM_SPECIAL ? map_special(fault)
                   : write                 ? map_fresh_page(fault)
                                           : map_zero_page(fault);
        if (unlikely(vma->flags & VM_SPECIAL))
            return map_special(fault);
        return write && vma_is_private(vma) ? map_private_copy(fault) : map_file_page(fault);
    }
    if (unlikely(!pte_present(fault->seen)))
        return swap_fault(fault);
    if (write && !pte_write(fault->seen))
        return vma_is_private(vma) ? break_copy_on_write(fault) : make_writable(fault);
    return refresh(fault);
}

/* Does the VMA allow the access, and can the machine's page tables? */
static inline bool access_allowed(const struct vma *vma, u32 access)
{
    if (access & ACCESS_WRITE)
        return vma->flags & VM_WRITE;
    if (access & ACCESS_EXEC)
        return vma->flags & VM_EXEC;
    return vma->flags & (VM_READ | VM_WRITE | (PTE_EXEC_IS_READABLE ? VM_EXEC : 0));
}

/* A debugger may read what is mapped, and write it unless that would change a file. */
static bool force_allowed(const struct vma *vma, u32 access)
{
    if (vma->flags & VM_SPECIAL)
        return !(access & ACCESS_WRITE);
    if (access & ACCESS_WRITE)
        return vma_is_private(vma) ? vma->flags & VM_MAY_WRITE : vma->flags & VM_WRITE;
    return vma->flags & VM_MAY_READ;
}

static __noinline int fault_outside(struct mm *mm, struct vma *vma, vaddr_t address)
{
    bool stack = vma && (vma->flags & VM_GROWSDOWN);

    read_unlock(&mm->lock);
    if (!stack)
        return FAULT_MAPERR;
    return grow_stack(mm, address) == FAULT_OK ? FAULT_RETRY : FAULT_MAPERR;
}

/* One attempt. */
static inline int fault_once(struct mm *mm, struct vm_fault *fault)
{
    struct vma *vma;
    int result;

    read_lock(&mm->lock);
    vma = vma_find_hinted(mm, fault->address);
    if (unlikely(!vma || vma->start > fault->address))
        return fault_outside(mm, vma, fault->address);
    if (likely(access_allowed(vma, fault->access)) ||
        ((fault->access & ACCESS_FORCE) && force_allowed(vma, fault->access))) {
        fault->vma = vma;
        result = resolve(fault);
    } else {
        result = FAULT_ACCERR;
    }
    read_unlock(&mm->lock);
    return result;
}

static inline void count_fault(bool major)
{
    vm_event(pgfault);
    if (unlikely(major)) {
        current->major_faults++;
        vm_event(pgmajfault);
    } else {
        current->minor_faults++;
    }
}

/* The page of the fault is being read: until it has been, others may change the address space. Then it
 * is looked for anew; if it is gone again by then, the fault waits with the lock, and so comes to an end.
 * FAULT_RETRY or FAULT_KILLED. => mm->lock not held */
static __noinline int wait_for_page(struct vm_fault *fault)
{
    int error = page_wait_unlocked_killable(fault->page);

    page_put(fault->page);
    fault->waited = true;
    return error ? FAULT_KILLED : FAULT_RETRY;
}

int mm_fault(struct mm *mm, vaddr_t address, u32 access, bool *major)
{
    struct vm_fault fault = {.address = address & PAGE_MASK, .access = access};
    int result;

    if (unlikely(address >= USER_END))
        return FAULT_MAPERR;
    while (unlikely((result = fault_once(mm, &fault)) >= FAULT_RETRY)) {
        if (result == FAULT_THROTTLE)
            balance_dirty_slow(fault.backing); /* others may change the address space meanwhile */
        else if (result == FAULT_WAIT && (result = wait_for_page(&fault)) == FAULT_KILLED)
            break;
    }
    *major = fault.major;
    if (likely(result == FAULT_OK))
        count_fault(fault.major);
    else if (result == FAULT_BUS)
        vm_event(pgfault); /* there was memory that may be accessed so, though not its contents */
    return result;
}

int page_fault(vaddr_t address, u32 access)
{
    struct thread *thread = current;
    bool major;
    int result;

    if (unlikely(!thread->mm))
        return FAULT_MAPERR;
    assert_may_sleep();
    if (access & ACCESS_USER)
        assert_no_locks();
    result = mm_fault(thread->mm, address, access, &major);
    if (unlikely(result != FAULT_OK) && result != FAULT_OOM && result != FAULT_KILLED) {
        thread->invalid_faults++;
        vm_event(pgfault_invalid);
    }
    return result;
}
