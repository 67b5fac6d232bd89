/* SPDX-License-Identifier: MIT */
/* unit: kernel/mm/huge_rules.c */
/*
 * The rules of huge pages against a model that knows single pages only. Processes unmap, protect, move,
 * write and fork ranges at random. Where the rules say that a page stays huge, the single pages must be
 * such as one entry can describe, alike for all who map it; where they say that it is split, they must not.
 * Where the rules say that a range is collapsed, nobody must see a difference; and they say so if, and
 * only if, one who looks at entry after entry would.
 */
#include "unit.h"
#include <vellum/error.h>
#include <vellum/huge.h>
#include <vellum/string.h>

#define RANGES    3
#define PAGES     (RANGES * HUGE_PAGES)
#define PROCESSES 3
#define BASE      (64 * HUGE_SIZE)

struct entry {
    bool present;
    u8 protection;
    u64 frame;
};

static struct process {
    bool alive;
    struct entry pages[PAGES];
    bool huge[RANGES];
} processes[PROCESSES];

static u64 next_frame;

static vaddr_t address_of(unsigned page)
{
    return BASE + page * PAGE_SIZE;
}

static struct entry *range_of(struct process *p, unsigned range)
{
    return p->pages + range * HUGE_PAGES;
}

/* ---- what single pages tell ---------------------------------------------------------------------- */

/* Could one entry describe the range? */
static bool describable(struct process *p, unsigned range)
{
    struct entry *e = range_of(p, range);

    for (unsigned i = 0; i < HUGE_PAGES; i++)
        if (!e[i].present || e[i].protection != e[0].protection || e[i].frame != e[0].frame + i)
            return false;
    return e[0].frame % HUGE_PAGES == 0;
}

static unsigned users_of(u64 frame)
{
    unsigned n = 0;

    for (unsigned k = 0; k < PROCESSES; k++)
        for (unsigned i = 0; processes[k].alive && i < PAGES; i++)
            n += processes[k].pages[i].present && processes[k].pages[i].frame == frame;
    return n;
}

/* Does another process map what this one has there? */
static bool shared_at(const struct process *p, unsigned page)
{
    for (unsigned k = 0; k < PROCESSES; k++)
        if (&processes[k] != p && processes[k].alive && processes[k].pages[page].present &&
            processes[k].pages[page].frame == p->pages[page].frame)
            return true;
    return false;
}

/* Do all who map this frame do it at this address? */
static bool at_one_address(u64 frame, unsigned page)
{
    for (unsigned k = 0; k < PROCESSES; k++)
        for (unsigned i = 0; processes[k].alive && i < PAGES; i++)
            if (i != page && processes[k].pages[i].present && processes[k].pages[i].frame == frame)
                return false;
    return true;
}

/* A huge page is mapped huge by all who map any of it, each at the same place, or by none. */
static void check_huge(struct process *p, unsigned range)
{
    u64 frame = range_of(p, range)->frame;

    CHECK(describable(p, range));
    CHECK(at_one_address(frame, range * HUGE_PAGES));
    for (unsigned k = 0; k < PROCESSES; k++)
        for (unsigned i = 0; processes[k].alive && i < PAGES; i++) {
            struct entry *e = &processes[k].pages[i];

            if (e->present && e->frame / HUGE_PAGES == frame / HUGE_PAGES)
                CHECK(processes[k].huge[i / HUGE_PAGES] && i / HUGE_PAGES == range);
        }
}

static void check_all(void)
{
    for (unsigned k = 0; k < PROCESSES; k++)
        for (unsigned r = 0; processes[k].alive && r < RANGES; r++)
            if (processes[k].huge[r])
                check_huge(&processes[k], r);
}

/* ---- what is done --------------------------------------------------------------------------------- */

static void map_huge(struct process *p, unsigned range)
{
    next_frame = ALIGN_UP(next_frame, HUGE_PAGES);
    for (unsigned i = 0; i < HUGE_PAGES; i++)
        range_of(p, range)[i] = (struct entry){true, 1, next_frame++};
    p->huge[range] = true;
}

static void split(u64 frame)
{
    for (unsigned k = 0; k < PROCESSES; k++)
        for (unsigned r = 0; r < RANGES; r++)
            if (range_of(&processes[k], r)->frame / HUGE_PAGES == frame / HUGE_PAGES)
                processes[k].huge[r] = false;
}

/* Ask the rules about [first, last) of one range. Returns whether it is split now. */
static bool change(struct process *p, enum huge_change what, unsigned first, unsigned last,
                   unsigned target)
{
    unsigned range = first / HUGE_PAGES;
    u64 frame = range_of(p, range)->frame;

    if (!p->huge[range] || huge_survives(what, address_of(first), address_of(last),
                                         address_of(target), users_of(frame) == 1))
        return false;
    split(frame);
    return true;
}

static void unmap(struct process *p, unsigned first, unsigned last)
{
    bool was_split = change(p, HUGE_UNMAPPED, first, last, 0);

    for (unsigned i = first; i < last; i++)
        p->pages[i].present = false;
    if (last - first == HUGE_PAGES) {
        CHECK(!was_split);
        p->huge[first / HUGE_PAGES] = false;
    } else {
        CHECK(!describable(p, first / HUGE_PAGES));
    }
}

static void protect(struct process *p, unsigned first, unsigned last)
{
    u8 protection = 1 + unit_random_below(100);
    bool was_split = change(p, HUGE_PROTECTED, first, last, 0);

    for (unsigned i = first; i < last; i++)
        p->pages[i].protection = protection + 100 * (p->pages[i].protection <= 100);
    if (was_split)
        CHECK(!describable(p, first / HUGE_PAGES));
}

static void write_page(struct process *p, unsigned page)
{
    bool was_split = change(p, HUGE_WRITTEN, page, page + 1, 0), ours;

    if (!p->pages[page].present)
        return;
    ours = users_of(p->pages[page].frame) == 1;
    if (was_split)
        CHECK(!ours);
    if (!ours)
        p->pages[page].frame = next_frame++;
}

/* A child that inherits only [first, last). */
static void do_fork(struct process *p, struct process *child, unsigned first, unsigned last)
{
    bool was_split = change(p, HUGE_FORKED, first, last, 0);
    unsigned range = first / HUGE_PAGES;

    *child = (struct process){.alive = true};
    for (unsigned i = first; i < last; i++)
        child->pages[i] = p->pages[i];
    child->huge[range] = p->huge[range];
    if (was_split)
        CHECK(!describable(child, range));
}

static void move(struct process *p, unsigned first, unsigned last, unsigned target)
{
    unsigned n = last - first, from = first / HUGE_PAGES, to = target / HUGE_PAGES;
    bool was_huge = p->huge[from], was_split, ours;

    for (unsigned i = target; i < target + n; i++)
        if (p->pages[i].present || (i >= first && i < last))
            return;
    was_split = change(p, HUGE_MOVED, first, last, target);
    ours = users_of(p->pages[first].frame) == 1;
    for (unsigned i = 0; i < n; i++) {
        struct entry *e = &p->pages[first + i];

        p->pages[target + i] = *e;
        if (shared_at(p, first + i)) /* what others have where it was is copied */
            p->pages[target + i].frame = next_frame++;
        e->present = false;
    }
    if (was_huge && !was_split) {
        p->huge[from] = false;
        p->huge[to] = true;
    }
    if (was_split)
        CHECK(!ours || n < HUGE_PAGES || target % HUGE_PAGES);
}

static void step(void)
{
    struct process *p = &processes[unit_random_below(PROCESSES)];
    unsigned range = unit_random_below(RANGES), first = range * HUGE_PAGES, last;
    bool whole = unit_random_below(3) == 0;

    if (!p->alive)
        return;
    last = first + HUGE_PAGES;
    if (!whole) {
        first += unit_random_below(HUGE_PAGES);
        last = first + 1 + unit_random_below(last - first);
    }
    switch (unit_random_below(8)) {
    case 0:
        unmap(p, first, last);
        break;
    case 1:
        protect(p, first, last);
        break;
    case 2:
        write_page(p, first);
        break;
    case 3:
        for (unsigned k = 0; k < PROCESSES; k++)
            if (!processes[k].alive) {
                do_fork(p, &processes[k], first, last);
                break;
            }
        break;
    case 4:
        move(p, first, last,
             whole ? unit_random_below(RANGES) * HUGE_PAGES
                   : unit_random_below(PAGES - (last - first)));
        break;
    case 5:
        if (p != processes)
            p->alive = false;
        break;
    default:
        for (unsigned i = 0; i < HUGE_PAGES; i++)
            if (range_of(p, range)[i].present)
                return;
        map_huge(p, range);
    }
}

TEST(a_page_stays_huge_as_long_as_one_entry_describes_it)
{
    for (unsigned run = 0; run < 6; run++) {
        memset(processes, 0, sizeof(processes));
        next_frame = HUGE_PAGES;
        processes[0].alive = true;
        for (unsigned i = 0; i < 100; i++) {
            step();
            check_all();
        }
    }
}

/* ---- collapse ------------------------------------------------------------------------------------- */

enum kind { NONE, ZERO, SWAPPED, OURS, SHARED, LOCKED, FILE_PAGE, KINDS };

struct page_model {
    enum kind kind;
    bool young, writable;
};

static struct collapse_census census_of(const struct page_model *pages)
{
    struct collapse_census c = {0};

    for (unsigned i = 0; i < HUGE_PAGES; i++) {
        const struct page_model *p = &pages[i];
        bool present = p->kind >= OURS;

        c.none += p->kind == NONE || p->kind == ZERO;
        c.swapped += p->kind == SWAPPED;
        c.shared += p->kind == SHARED;
        c.busy += p->kind == LOCKED;
        c.foreign += p->kind == FILE_PAGE;
        c.referenced += present && p->young;
        c.writable += present && p->writable;
    }
    return c;
}

/* The same from entry to entry, stopping at the first that forbids it. */
static bool walk_allows(const struct page_model *pages, const struct collapse_limits *limits)
{
    unsigned none = 0, swapped = 0, shared = 0, young = 0;
    bool writable = false;

    for (unsigned i = 0; i < HUGE_PAGES; i++) {
        const struct page_model *p = &pages[i];

        switch (p->kind) {
        case NONE:
        case ZERO:
            if (limits && ++none > limits->none)
                return false;
            continue;
        case SWAPPED:
            swapped++;
            if (limits && swapped > limits->swapped)
                return false;
            continue;
        case SHARED:
            if (limits && ++shared > limits->shared)
                return false;
            break;
        case OURS:
            break;
        default:
            return false;
        }
        writable |= p->writable;
        young += p->young;
    }
    if (!writable)
        return false;
    return !limits || (young > 0 && (!swapped || young >= HUGE_PAGES / 2));
}

/* Pages of which most are of one kind. */
static void populate(struct page_model *pages)
{
    enum kind most = unit_random_below(OURS + 1), other = unit_random_below(KINDS);
    unsigned others = unit_random_below(unit_random_below(2) ? 3 : HUGE_PAGES);
    unsigned young = unit_random_below(3), writable = unit_random_below(3);

    for (unsigned i = 0; i < HUGE_PAGES; i++) {
        bool odd = unit_random_below(HUGE_PAGES) < others;

        pages[i].kind = odd ? other : most;
        pages[i].young = young == 2 || (young && unit_random_below(2));
        pages[i].writable =
            pages[i].kind == OURS && (writable == 2 || (writable && unit_random_below(99) == 0));
    }
}

TEST(collapse_is_judged_as_by_a_walk)
{
    static struct page_model pages[HUGE_PAGES];
    unsigned done = 0;

    for (unsigned i = 0; i < 20000; i++) {
        struct collapse_limits limits = {unit_random_below(HUGE_PAGES), unit_random_below(80),
                                         unit_random_below(HUGE_PAGES)};
        const struct collapse_limits *l = unit_random_below(3) ? &limits : NULL;
        struct collapse_census c;
        bool yes;

        populate(pages);
        c = census_of(pages);
        yes = collapse_judge(&c, l) == COLLAPSE_DONE;
        CHECK_EQ(yes, walk_allows(pages, l));
        done += yes;
    }
    CHECK(done > 1000 && done < 19000); /* the test sees both */
}

TEST(a_program_that_asks_has_no_limits)
{
    struct collapse_census c = {.none = HUGE_PAGES - 1, .writable = 1};
    struct collapse_limits limits = {.none = HUGE_PAGES - 1};

    CHECK_EQ(collapse_judge(&c, NULL), COLLAPSE_DONE);
    CHECK_EQ(collapse_judge(&c, &limits), COLLAPSE_UNUSED);
    c.referenced = 1;
    CHECK_EQ(collapse_judge(&c, &limits), COLLAPSE_DONE);
    limits.none--;
    CHECK_EQ(collapse_judge(&c, &limits), COLLAPSE_TOO_EMPTY);
    c.writable = 0;
    CHECK_EQ(collapse_judge(&c, NULL), COLLAPSE_READ_ONLY);
}

TEST(what_madvise_returns)
{
    CHECK_EQ(collapse_error(COLLAPSE_DONE), 0);
    CHECK_EQ(collapse_error(COLLAPSE_HUGE), 0);
    CHECK_EQ(collapse_error(COLLAPSE_BUSY), -EAGAIN);
    CHECK_EQ(collapse_error(COLLAPSE_NO_MEMORY), -ENOMEM);
    for (enum collapse r = COLLAPSE_NO_VMA; r <= COLLAPSE_FAILED; r++)
        if (r != COLLAPSE_BUSY && r != COLLAPSE_NO_MEMORY)
            CHECK_EQ(collapse_error(r), -EINVAL);
}

/* ---- which memory --------------------------------------------------------------------------------- */

TEST(a_huge_page_fits_where_all_its_pages_do)
{
    for (unsigned i = 0; i < 20000; i++) {
        vaddr_t start = BASE + unit_random_below(3 * HUGE_PAGES) * PAGE_SIZE;
        vaddr_t end = start + (1 + unit_random_below(3 * HUGE_PAGES)) * PAGE_SIZE;
        vaddr_t address = BASE - HUGE_SIZE + unit_random_below(8 * HUGE_SIZE), first = address;
        bool somewhere = false;

        while (first % HUGE_SIZE)
            first--;
        CHECK_EQ(huge_fits(start, end, address), first >= start && first + HUGE_SIZE <= end);
        for (first = BASE; first < end; first += HUGE_SIZE)
            somewhere |= first >= start && first + HUGE_SIZE <= end;
        CHECK_EQ(huge_fits_somewhere(start, end), somewhere);
    }
    CHECK(!huge_fits(0, PAGE_SIZE, 0));
}

TEST(who_gets_huge_pages)
{
    static const int modes[] = {HUGE_NEVER, HUGE_MADVISE, HUGE_ALWAYS};

    for (unsigned m = 0; m < 3; m++) {
        CHECK(!huge_wanted(modes[m], VM_HUGEPAGE, true));
        CHECK(!huge_wanted(modes[m], VM_NOHUGEPAGE, false));
        CHECK(!huge_wanted(modes[m], VM_HUGEPAGE | VM_SHARED, false));
        CHECK(!huge_wanted(modes[m], VM_HUGEPAGE | VM_SPECIAL, false));
        CHECK_EQ(huge_wanted(modes[m], VM_HUGEPAGE, false), modes[m] != HUGE_NEVER);
        CHECK_EQ(huge_wanted(modes[m], 0, false), modes[m] == HUGE_ALWAYS);
    }
}
