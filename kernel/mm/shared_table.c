/* SPDX-License-Identifier: MIT */
/*
 * Page tables that several address spaces share after a fork.
 *
 * A process with 1 GiB of memory has 512 tables of level 0 with half a million entries. To copy them
 * at fork, with a reference to each page, is what makes fork slow; and mostly it is for nothing, since
 * the child executes another program at once. So the child gets the tables themselves:
 *
 *     parent's level 1         table                parent's level 1        table, users 2
 *     [ present  ]-------> [ entries ]     fork     [ shared ] - - - - -> [ entries ]
 *                                         ----->                              :
 *                                                   child's level 1           :
 *                                                   [ shared ] - - - - - - - -
 *
 * A shared entry is not present for the machine: it only says where the table is. No processor can
 * reach it, none writes to its entries, and none remembers translations from it (the parent's are
 * flushed by the fork). Whoever touches an address below it first faults, and takes the table:
 *
 *     others use it      a copy is made, and pages are counted and protected as an ordinary fork does
 *     nobody else does   the table is attached again as it is
 *
 * So fork and exit cost a few instructions for each 2 MiB, and what must be copied is copied later, in
 * pieces of 2 MiB, only where somebody touches it before the others have gone.
 *
 * Which tables can be shared: those below which all VMAs are private anonymous memory that the child
 * inherits as it is (fork.c). Holes may be there, and may be filled later by whatever: an entry is only
 * ever put into a table that has been taken. A part of a shared table's range is unmapped or protected
 * in the same way. If all of its range goes, the user is counted off, and nothing is copied.
 *
 * An entry of a shared table is one reference to its page, for as many address spaces as share it. In
 * their counters its pages are those that were there when it was shared (shared_pages); how many there
 * are now (private_pages: reclaim may have taken some) is made good when the table is taken; who asks before
 * that gets both together (mm_get_usage). The same goes for swap entries, one use of their slot each
 * (shared_swapped, swapped).
 *
 * The idea of sharing whole tables copy-on-write is from Dave McCracken, "Sharing Page Tables in the
 * Linux Kernel", OLS 2003, and Zhao, Gong and Fonseca, "On-demand-fork", EuroSys 2021. They write-protect
 * the upper entries; an absent entry costs a fault on reading too, but works on all machines, and
 * keeps the accessed and dirty bits of all users apart.
 */
#include "address_space.h"
#include <vellum/error.h>
#include <vellum/sync.h>

unsigned share_pages = SHARE_PAGES;

static struct page *table_page(pte_t upper)
{
    return pfn_to_page(pte_pfn(upper));
}

/* The end of the range that one table of level 1 serves, but at most `end`. */
static vaddr_t upper_end(vaddr_t address, vaddr_t end)
{
    return min(ALIGN_DOWN(address, TABLE_SPAN * PT_ENTRIES) + TABLE_SPAN * PT_ENTRIES, end);
}

/* ---- sharing ------------------------------------------------------------------------------------- */

/* What is shared by one call. */
struct share_count {
    long tables, pages, swapped, newly;
};

/* Another user for the table of an entry. => parent's table_lock (so preemption is off) */
static void share_one(pte_t *from, pte_t *to, struct share_count *count)
{
    pte_t pte = pte_load(from);
    struct page *table = table_page(pte);

    assert(pte_none(pte_load(to)));
    spin_lock_raw(&table->table_lock);
    if (!pte_is_shared(pte)) {
        assert(atomic_read(&table->refs) == 1);
        table->shared_pages = table->private_pages;
        table->shared_swapped = table->swapped;
        page_flag_set(table, PG_TABLE_SHARED);
        pte = pte_shared(pte_pfn(pte));
        pte_store(from, pte);
        count->newly++;
    }
    ref_get(&table->refs);
    count->tables++;
    count->pages += table->shared_pages;
    count->swapped += table->shared_swapped;
    pte_publish(to, pte);
    spin_unlock_raw(&table->table_lock);
}

long page_table_share(struct mm *child, struct mm *parent, vaddr_t low, vaddr_t high, bool *flush)
{
    pte_t *from = page_table_upper(parent, low), *to = page_table_make_upper(child, low);
    struct share_count count = {0};

    assert(IS_ALIGNED(low | high, TABLE_SPAN) && upper_end(low, high) == high);
    if (!to)
        return -ENOMEM;
    spin_lock(&parent->table_lock);
    spin_lock_nested(&child->table_lock, 1);
    for (; low < high; low += TABLE_SPAN, from++, to++) {
        if (pte_none(pte_load(from)))
            continue;
        if (!page_table_worth_sharing(pte_load(from)))
            break;
        share_one(from, to, &count);
    }
    spin_unlock(&child->table_lock);
    spin_unlock(&parent->table_lock);
    atomic_add(&parent->shared_tables, count.newly);
    atomic_add(&child->shared_tables, count.tables);
    atomic_add(&child->table_pages, count.tables);
    atomic_add(&child->anon_pages, count.pages);
    if (count.swapped)
        mm_count_swapped(child, count.swapped);
    if (count.newly)
        *flush = true;
    return low;
}

/* ---- taking --------------------------------------------------------------------------------------- */

/* By how much the counters of a table's users are wrong. => table lock, or it is as of a moment ago */
static void table_change(const struct page *table, long *pages, long *swapped)
{
    *pages = (long)READ_ONCE(table->private_pages) - table->shared_pages;
    *swapped = (long)READ_ONCE(table->swapped) - table->shared_swapped;
}

/* The same for all tables that an address space shares. => mm->table_lock */
static void all_changes(struct mm *mm, long *pages, long *swapped)
{
    vaddr_t address = 0;
    pte_t *upper;

    while ((address = page_table_next_upper(mm, address, USER_END, &upper)) < USER_END) {
        long p, s;

        if (pte_is_shared(pte_load(upper))) {
            table_change(table_page(pte_load(upper)), &p, &s);
            *pages += p;
            *swapped += s;
        }
        address = table_end(address, USER_END);
    }
}

void mm_get_usage(struct mm *mm, struct mm_usage *usage, bool exact)
{
    long pages = 0, swapped = 0;
    bool locked = true;

    if (exact)
        spin_lock(&mm->table_lock);
    else
        locked = spin_trylock(&mm->table_lock);
    if (locked && atomic_read(&mm->shared_tables) > 0)
        all_changes(mm, &pages, &swapped);
    *usage = (struct mm_usage){
        .file = max(atomic_read(&mm->file_pages), 0L),
        .anonymous = max(atomic_read(&mm->anon_pages) + pages, 0L),
        .shared = max(atomic_read(&mm->shmem_pages), 0L),
        .swapped = max(atomic_read(&mm->swap_pages) + swapped, 0L),
    };
    if (locked)
        spin_unlock(&mm->table_lock);
}

/* A user stops to share a table: what it counts is what there is. => table lock */
static void settle(struct mm *mm, const struct page *table)
{
    long change, swapped;

    table_change(table, &change, &swapped);
    if (change)
        atomic_add(&mm->anon_pages, change);
    if (swapped)
        mm_count_swapped(mm, swapped);
    atomic_dec(&mm->shared_tables);
}

/* The last user gets the table itself. => mm->table_lock, table lock */
static void attach(struct mm *mm, pte_t *upper, struct page *table)
{
    settle(mm, table);
    page_flag_clear(table, PG_TABLE_SHARED);
    pte_publish(upper, pte_table(page_to_pfn(table)));
}

/* One of several gets a copy, which nobody else knows yet. 0 or -ENOMEM
 * => mm->table_lock, table lock */
static int attach_copy(struct mm *mm, pte_t *upper, struct page *table, struct page *copy)
{
    struct copied copied;
    bool last;

    if (copy_entries(page_to_virt(copy), page_to_virt(table), PT_ENTRIES, &copied))
        return -ENOMEM;
    assert(copied.pages == table->private_pages && copied.swapped == table->swapped);
    copy->private_pages = copied.pages;
    copy->swapped = copied.swapped;
    settle(mm, table);
    last = ref_put(&table->refs);
    assert(!last);
    atomic_dec(&mm->table_pages);
    pte_publish(upper, pte_table(page_to_pfn(copy)));
    return 0;
}

/* => mm->table_lock. 0: the entry is attached now; -EAGAIN: needs a table for a copy; -ENOMEM.
 * *copy: consumed if it was needed */
static int try_take(struct mm *mm, pte_t *upper, struct page **copy)
{
    pte_t pte = pte_load(upper);
    struct page *table;
    int error = 0;

    if (!pte_is_shared(pte)) /* another thread was faster */
        return 0;
    table = table_page(pte);
    spin_lock(&table->table_lock);
    if (atomic_read(&table->refs) == 1) {
        attach(mm, upper, table);
    } else if (*copy) {
        error = attach_copy(mm, upper, table, *copy);
        if (!error)
            *copy = NULL;
    } else {
        error = -EAGAIN;
    }
    spin_unlock(&table->table_lock);
    return error;
}

int page_table_take_upper(struct mm *mm, pte_t *upper)
{
    struct page *copy = NULL;
    int error;

    for (;;) {
        spin_lock(&mm->table_lock);
        error = try_take(mm, upper, &copy);
        spin_unlock(&mm->table_lock);
        if (error != -EAGAIN)
            break;
        copy = table_alloc(mm, ALLOC_ZERO);
        if (!copy)
            return -ENOMEM;
    }
    if (copy)
        table_free(mm, copy);
    smp_fence(); /* as for a new table */
    return error;
}

int page_table_take(struct mm *mm, vaddr_t start, vaddr_t end)
{
    pte_t *upper;
    int error;

    if (likely(!atomic_read(&mm->shared_tables)))
        return 0;
    for (;; start = table_end(start, end)) {
        start = page_table_next_upper(mm, start, end, &upper);
        if (start >= end)
            return 0;
        if (!pte_is_shared(pte_load(upper)))
            continue;
        error = page_table_take_upper(mm, upper);
        if (error)
            return error;
    }
}

/* ---- giving up -------------------------------------------------------------------------------------- */

/* Is nothing in [start, end), which one table serves? */
static bool is_empty(struct mm *mm, vaddr_t start, vaddr_t end)
{
    struct page *table;
    pte_t *entry = page_table_lock_entry(mm, start, &table);
    bool empty = true;

    if (!entry)
        return true;
    for (; empty && start < end; start += PAGE_SIZE, entry++)
        empty = pte_none(pte_load(entry));
    spin_unlock(&table->table_lock);
    return empty;
}

/* The table that serves [start, end), a part of what is to be unmapped, at one end of it. */
static int take_end(struct mm *mm, vaddr_t start, vaddr_t end, vaddr_t low, vaddr_t high)
{
    vaddr_t base = ALIGN_DOWN(start, TABLE_SPAN);
    pte_t *upper = page_table_upper(mm, start);

    if (!upper || !pte_is_shared(pte_load(upper)) || (base >= low && base + TABLE_SPAN <= high) ||
        is_empty(mm, start, end))
        return 0;
    return page_table_take_upper(mm, upper);
}

int page_table_take_ends(struct mm *mm, vaddr_t start, vaddr_t end, vaddr_t low, vaddr_t high)
{
    int error;

    if (likely(!atomic_read(&mm->shared_tables)))
        return 0;
    error = take_end(mm, start, table_end(start, end), low, high);
    if (!error && table_end(start, end) < end)
        error = take_end(mm, max(start, ALIGN_DOWN(end - 1, TABLE_SPAN)), end, low, high);
    return error;
}

/* The shared tables among n entries. */
static void give_up_run(struct mm *mm, pte_t *upper, unsigned n)
{
    long tables = 0, pages = 0, swapped = 0;

    spin_lock(&mm->table_lock);
    for (; n > 0; n--, upper++) {
        pte_t pte = pte_load(upper);
        struct page *table;
        bool last;

        if (!pte_is_shared(pte))
            continue;
        table = table_page(pte);
        spin_lock_raw(&table->table_lock);
        if (atomic_read(&table->refs) == 1) {
            attach(mm, upper, table);
        } else {
            tables++;
            pages += table->shared_pages;
            swapped += table->shared_swapped;
            pte_store(upper, (pte_t){0});
            last = ref_put(&table->refs);
            assert(!last);
        }
        spin_unlock_raw(&table->table_lock);
    }
    spin_unlock(&mm->table_lock);
    atomic_sub(&mm->shared_tables, tables);
    atomic_sub(&mm->table_pages, tables);
    atomic_sub(&mm->anon_pages, pages);
    if (swapped)
        mm_count_swapped(mm, -swapped);
}

void page_table_give_up(struct mm *mm, vaddr_t start, vaddr_t end, vaddr_t low, vaddr_t high)
{
    vaddr_t address, stop;
    pte_t *upper;

    if (likely(!atomic_read(&mm->shared_tables)))
        return;
    address = ALIGN_DOWN(start, TABLE_SPAN);
    if (address < low)
        address += TABLE_SPAN;
    end = min(ALIGN_UP(end, TABLE_SPAN), ALIGN_DOWN(high, TABLE_SPAN));
    for (; address < end; address = stop) {
        address = page_table_next_upper(mm, address, end, &upper);
        stop = upper_end(address, end);
        if (address < end)
            give_up_run(mm, upper, (stop - address) / TABLE_SPAN);
    }
}
