/* SPDX-License-Identifier: MIT */
/*
 * khugepaged: the thread that collapses single pages into huge ones (huge_collapse.c) where nobody asks.
 *
 * It knows the address spaces that have memory for huge pages: they enter a list at the first fault in
 * such memory, or with madvise(MADV_HUGEPAGE), and leave it at their end. It goes round this list, in
 * each from range to range, looks at pages_to_scan pages and then sleeps for scan_sleep_millisecs:
 *
 *     list:  mm --> mm --> mm --> mm           after the last one: full_scans + 1
 *                          ^
 *                   cursor, position           kept while it sleeps
 *
 * If the list is empty, or nobody gets huge pages at all, it sleeps until that changes.
 *
 * The list holds no reference, and the thread has one only while it looks. So a process that ends waits
 * for nobody; if the thread has it in hand at that moment, it finds itself to be the last user after one
 * range at most, and lets go.
 */
#include "huge.h"
#include <vellum/error.h>
#include <vellum/khugepaged.h>
#include <vellum/list.h>
#include <vellum/printk.h>
#include <vellum/sched.h>
#include <vellum/sync.h>
#include <vellum/time.h>

struct khugepaged_settings khugepaged_settings = {
    .defrag = 1,
    .pages_to_scan = 8 * HUGE_PAGES,
    .scan_sleep_millisecs = 10000,
    .alloc_sleep_millisecs = 60000,
    .limits = {.none = HUGE_PAGES - 1, .swapped = HUGE_PAGES / 8, .shared = HUGE_PAGES / 2},
};
struct khugepaged_counts khugepaged_counts;

static DEFINE_WAIT_QUEUE(khugepaged_queue);
static u32 kicks; /* [a] wake-ups from sleep before its time */

static DEFINE_SPINLOCK(mms_lock);
static struct list mms = LIST_INIT(mms); /* [mms_lock] mm->khugepaged_link */
static struct mm *cursor;                /* [mms_lock] in the list; NULL: before the first */
/* [mms_lock, or the thread while it has a reference to the cursor] where to go on there */
static vaddr_t position;

/* ---- the list --------------------------------------------------------------------------------------- */

void khugepaged_enter(struct mm *mm)
{
    bool first;

    if (likely(READ_ONCE(mm->khugepaged_link.next)))
        return;
    spin_lock(&mms_lock);
    first = list_empty(&mms);
    if (!mm->khugepaged_link.next)
        list_add_tail(&mm->khugepaged_link, &mms);
    spin_unlock(&mms_lock);
    if (first)
        wake_up_all(&khugepaged_queue);
}

/* On to the next address space. => mms_lock, cursor not NULL */
static void advance(void)
{
    struct list *next = cursor->khugepaged_link.next;

    cursor = next == &mms ? NULL : container_of(next, struct mm, khugepaged_link);
    position = 0;
    if (!cursor)
        khugepaged_counts.full_scans++;
}

void khugepaged_leave(struct mm *mm)
{
    if (likely(!READ_ONCE(mm->khugepaged_link.next)))
        return;
    spin_lock(&mms_lock);
    if (cursor == mm)
        advance();
    list_del(&mm->khugepaged_link);
    spin_unlock(&mms_lock);
}

/* The address space at the cursor with a reference, or NULL: the end of the list. */
static struct mm *get_current_mm(void)
{
    struct mm *mm;

    spin_lock(&mms_lock);
    if (!cursor && !list_empty(&mms))
        cursor = list_first_entry(&mms, struct mm, khugepaged_link);
    while (cursor && !mm_get_not_zero(cursor))
        advance();
    mm = cursor;
    spin_unlock(&mms_lock);
    return mm;
}

static void put_current_mm(struct mm *mm, bool finished)
{
    spin_lock(&mms_lock);
    assert(cursor == mm);
    if (finished)
        advance();
    spin_unlock(&mms_lock);
    mm_put(mm);
}

/* ---- a round ---------------------------------------------------------------------------------------- */

void khugepaged_kick(void)
{
    __atomic_fetch_add(&kicks, 1, __ATOMIC_RELAXED);
    wake_up_all(&khugepaged_queue);
}

static bool has_work(void)
{
    return READ_ONCE(huge_settings.mode) != HUGE_NEVER && !list_empty(&mms);
}

static void sleep_for(unsigned milliseconds)
{
    u32 seen = __atomic_load_n(&kicks, __ATOMIC_RELAXED);

    if (milliseconds)
        (void)wait_event_state(&khugepaged_queue, READ_ONCE(kicks) != seen, TASK_INTERRUPTIBLE,
                               ktime_get() + milliseconds * NSEC_PER_MSEC, false);
}

/* The next range that may be huge; 0: none is left, or the address space is being changed just now.
 * *looked counts VMAs. */
static vaddr_t next_range(struct mm *mm, unsigned *looked)
{
    int mode = READ_ONCE(huge_settings.mode);
    vaddr_t found = 0;

    if (!read_trylock(&mm->lock))
        return 0;
    for (struct vma *vma = vma_find(mm, position); vma && !found; vma = vma_next(vma)) {
        vaddr_t first = ALIGN_UP(max(position, vma->start), HUGE_SIZE);

        ++*looked;
        if (huge_vma_allows(vma, mode) && huge_fits(vma->start, vma->end, first))
            found = first;
    }
    read_unlock(&mm->lock);
    return found;
}

/* Go on in an address space until *looked reaches `enough`, or to its end (*finished). Returns
 * COLLAPSE_NO_MEMORY if there is none. */
static enum collapse scan(struct mm *mm, unsigned *looked, unsigned enough, bool *finished)
{
    unsigned flags = ALLOC_NORETRY | (READ_ONCE(khugepaged_settings.defrag) ? ALLOC_COMPACT : 0);
    enum collapse result = COLLAPSE_DONE;

    while (*looked < enough && result != COLLAPSE_NO_MEMORY) {
        struct collapse_limits limits = khugepaged_settings.limits;
        vaddr_t start;

        start = atomic_read(&mm->users) > 1 ? next_range(mm, looked) : 0;
        *finished = !start;
        if (!start)
            break;
        position = start + HUGE_SIZE;
        *looked += HUGE_PAGES;
        result = huge_collapse(mm, start, &limits, flags);
        if (result == COLLAPSE_DONE)
            khugepaged_counts.pages_collapsed++;
    }
    return result;
}

static void do_round(void)
{
    unsigned looked = 0, enough = READ_ONCE(khugepaged_settings.pages_to_scan), starts = 0;
    bool waited = false;

    while (looked < enough && has_work()) {
        enum collapse result;
        bool finished = false;
        struct mm *mm;

        if (!READ_ONCE(cursor) && starts++) /* all of them have been looked at */
            return;
        mm = get_current_mm();
        if (!mm)
            return;
        result = scan(mm, &looked, enough, &finished);
        put_current_mm(mm, finished);
        if (result != COLLAPSE_NO_MEMORY)
            continue;
        if (waited)
            return;
        waited = true;
        sleep_for(READ_ONCE(khugepaged_settings.alloc_sleep_millisecs));
    }
}

static int khugepaged(void *unused)
{
    for (;;) {
        (void)wait_event_interruptible(&khugepaged_queue, has_work());
        do_round();
        if (has_work())
            sleep_for(READ_ONCE(khugepaged_settings.scan_sleep_millisecs));
    }
    return 0;
}

void khugepaged_init(void)
{
    huge_zero_init();
    if (is_err(kthread_start(khugepaged, NULL, "khugepaged")))
        panic("no memory for khugepaged");
}
