/* SPDX-License-Identifier: MIT */
/* unit: kernel/mm/vma.c kernel/mm/mmap.c kernel/mm/unmap.c kernel/mm/protect.c kernel/mm/mm.c */
/* unit: kernel/mm/fault.c kernel/mm/fork.c kernel/mm/tlb.c kernel/mm/page_table.c kernel/mm/page_lock.c */
/* unit: kernel/mm/shared_table.c kernel/mm/reclaim_policy.c */
/* unit: kernel/mm/huge.c kernel/mm/huge_map.c kernel/mm/huge_fault.c kernel/mm/huge_zero.c */
/* unit: kernel/mm/huge_rules.c kernel/mm/huge_frames.c */
/* unit: kernel/mm/object_cache.c kernel/mm/kmalloc.c kernel/mm/vmap.c kernel/mm/shrink.c */
/* unit: kernel/mm/overcommit.c kernel/mm/populate.c */
/* unit: kernel/mm/tree_nodes.c kernel/mm/frames.c kernel/mm/buddy.c kernel/mm/kernel_map.c kernel/mm/boot_memory.c */
/* unit: kernel/mm/swap_area.c kernel/mm/swap_cache.c kernel/mm/swap_in.c kernel/mm/swap_off.c */
/* unit: kernel/mm/swap_slots.c lib/radix_tree.c */
/* unit: kernel/boot/command_line.c lib/number.c lib/rbtree.c lib/interval_tree.c */
/*
 * Address spaces against plain arrays: for each page of a window of addresses,
 * whether it is mapped, how, from where, and what byte is in it.
 */
#include "../../kernel/mm/address_space.h"
#include "shim/memory.h"
#include "unit.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/mm.h>
#include <vellum/random.h>
#include <vellum/string.h>
#include <vellum/thread.h>

#define MEMORY (64UL << 20)
#define PAGES  256UL
#define BASE   (0x40000000UL - PAGES / 2 * PAGE_SIZE) /* in two tables, of two tables */
#define TOP    (BASE + PAGES * PAGE_SIZE)

#define PROT_MASK (PROT_READ | PROT_WRITE | PROT_EXEC)
#define FILES     2

struct file {
    refcount_t refs;
    struct mapping_set mappings;
    struct page *pages[2 * PAGES];
    u8 bytes[2 * PAGES]; /* the model's: what is in each page */
};

struct model_page {
    bool mapped, shared;
    u8 prot;
    struct file *file;
    u64 offset; /* in pages; of files only */
    bool own;   /* has been written to, privately */
    u8 byte;    /* if so */
};

struct space {
    struct mm *mm;
    struct model_page pages[PAGES];
};

static struct file files[FILES];
static struct space spaces[4];
static bool files_too = true;

/* ---- what mm asks for ------------------------------------------------------------ */

static void file_hold(struct file *file)
{
    ref_get(&file->refs);
}

static void file_release(struct file *file)
{
    CHECK(!ref_put(&file->refs));
}

const struct mm_file_ops mm_file_ops = {.get = file_hold, .put = file_release};

u64 random_u64(void)
{
    return unit_random();
}

static int file_fault(struct vm_fault *fault)
{
    fault->page = fault->vma->file->pages[fault->index];
    page_get(fault->page);
    return FAULT_OK;
}

static unsigned file_fault_around(struct vma *vma, u64 first, u64 last, struct page **pages)
{
    unsigned n = 0;

    for (u64 index = first; index <= last; index++)
        if (index % 3) { /* the others are not there yet */
            pages[n] = vma->file->pages[index];
            page_get(pages[n++]);
        }
    return n;
}

static const struct vm_ops file_vm_ops = {.fault = file_fault, .fault_around = file_fault_around};

static int attach(struct file *file, struct vma *vma)
{
    vma->ops = &file_vm_ops;
    vma->mappings = &file->mappings;
    return 0;
}

/* ---- the set ---------------------------------------------------------------------- */

static vaddr_t address_of(unsigned page)
{
    return BASE + page * PAGE_SIZE;
}

static void check_vma(const struct space *space, const struct vma *vma)
{
    CHECK(vma->start < vma->end);
    CHECK_EQ(vma->start % PAGE_SIZE | vma->end % PAGE_SIZE, 0);
    CHECK(vma->mm == space->mm);
    CHECK(vma->start >= BASE && vma->end <= TOP);
    for (vaddr_t va = vma->start; va < vma->end; va += PAGE_SIZE) {
        const struct model_page *page = &space->pages[(va - BASE) / PAGE_SIZE];

        CHECK(page->mapped);
        CHECK_EQ(vma->flags & PROT_MASK, page->prot);
        CHECK_EQ((vma->flags & VM_SHARED) != 0, page->shared);
        CHECK(vma->file == page->file);
        if (page->file)
            CHECK_EQ(vma->offset + (va - vma->start) / PAGE_SIZE, page->offset);
    }
}

/* Two neighbours that one VMA could describe. */
static bool mergeable(const struct vma *a, const struct vma *b)
{
    return a->end == b->start && a->flags == b->flags && a->file == b->file &&
           (!a->file || a->offset + (a->end - a->start) / PAGE_SIZE == b->offset);
}

/* The largest gap in front of a VMA in each subtree, on which mmap's search relies. */
static u64 check_gaps(const struct rb_node *node)
{
    struct vma *vma, *before;
    u64 gap;

    if (!node)
        return 0;
    vma = container_of((struct rb_node *)node, struct vma, node);
    before = vma_prev(vma);
    gap = vma->start - (before ? before->end : 0);
    gap = max(gap, max(check_gaps(node->left), check_gaps(node->right)));
    CHECK_EQ(vma->largest_gap, gap);
    return gap;
}

static void check_set(const struct space *space)
{
    struct mm *mm = space->mm;
    struct vma *vma, *before = NULL;
    unsigned count = 0;
    u64 pages = 0, expected = 0;

    for (vma = vma_first(mm); vma; before = vma, vma = vma_next(vma)) {
        check_vma(space, vma);
        CHECK(vma_prev(vma) == before);
        if (before) {
            CHECK(before->end <= vma->start);
            CHECK(!mergeable(before, vma));
        }
        pages += (vma->end - vma->start) / PAGE_SIZE;
        count++;
    }
    for (unsigned i = 0; i < PAGES; i++)
        expected += space->pages[i].mapped;
    check_gaps(mm->vmas.node);
    CHECK_EQ(pages, expected);
    CHECK_EQ(mm->total_pages, expected);
    CHECK_EQ(mm->vma_count, count);
}

/* vma_find() at one address: the first that ends above it. */
static void check_find(struct mm *mm, vaddr_t va)
{
    struct vma *found = vma_find(mm, va), *vma = vma_first(mm);

    while (vma && vma->end <= va)
        vma = vma_next(vma);
    CHECK(found == vma);
    CHECK(vma_find_exact(mm, va) == (vma && vma->start <= va ? vma : NULL));
}

/* Every file page can be found from its file: the reverse mapping holds what the sets hold. */
static void check_reverse(struct file *file)
{
    struct interval_node *node;
    u64 pages = 0, expected = 0;

    interval_for_each(node, &file->mappings.tree, 0, UINT64_MAX) {
        struct vma *vma = container_of(node, struct vma, file_node);

        CHECK(vma->file == file);
        CHECK_EQ(node->start, vma->offset);
        CHECK_EQ(node->last - node->start + 1, (vma->end - vma->start) / PAGE_SIZE);
        pages += node->last - node->start + 1;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(spaces); i++)
        for (unsigned page = 0; spaces[i].mm && page < PAGES; page++)
            expected += spaces[i].pages[page].mapped && spaces[i].pages[page].file == file;
    CHECK_EQ(pages, expected);
}

/* ---- changes ---------------------------------------------------------------------- */

static bool any_mapped(const struct space *space, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++)
        if (space->pages[i].mapped)
            return true;
    return false;
}

static void set_pages(struct space *space, unsigned first, unsigned n, struct model_page page)
{
    for (unsigned i = 0; i < n; i++) {
        space->pages[first + i] = page;
        space->pages[first + i].offset = page.offset + i;
    }
}

/* Where mmap puts a mapping: at the upper end of the highest hole of the window that holds n pages;
 * -1 if there is none. */
static int highest_hole(const struct space *space, unsigned n)
{
    unsigned free = 0;

    for (int i = PAGES - 1; i >= 0; i--) {
        free = space->pages[i].mapped ? 0 : free + 1;
        if (free == n)
            return i;
    }
    return -1;
}

static void do_map(struct space *space, unsigned first, unsigned n)
{
    struct model_page page = {.mapped = true, .prot = unit_random_below(4)};
    unsigned place = unit_random_below(5);
    struct map_request request = {.length = n * PAGE_SIZE};
    bool busy = any_mapped(space, first, n);
    long result;
    int hole;

    if (files_too && unit_random_below(2)) {
        page.file = &files[unit_random_below(FILES)];
        page.offset = unit_random_below(3) ? first : unit_random_below(PAGES);
        page.shared = unit_random_below(2);
        request.attach = attach;
        request.file = page.file;
        request.offset = page.offset;
    }
    request.address = place == 2 ? 0 : address_of(first);
    request.map_flags = place < 2 ? MAP_FIXED : place == 3 ? MAP_FIXED_NOREPLACE : 0;
    request.vm_flags =
        page.prot | VM_MAY_READ | VM_MAY_WRITE | VM_MAY_EXEC | (page.shared ? VM_SHARED : 0);
    result = mm_map_request(space->mm, &request);
    if (place == 3 && busy) {
        CHECK_EQ(result, -EEXIST);
        return;
    }
    if (place == 2 || (place == 4 && busy)) {
        hole = highest_hole(space, n);
        if (hole < 0) { /* outside of the window: of no interest */
            CHECK(result > 0 && ((vaddr_t)result < BASE || (vaddr_t)result >= TOP));
            CHECK_EQ(mm_unmap(space->mm, result, n * PAGE_SIZE), 0);
            return;
        }
        first = hole;
    }
    CHECK_EQ(result, address_of(first));
    set_pages(space, first, n, page);
}

static void do_protect(struct space *space, unsigned first, unsigned n)
{
    unsigned prot = unit_random_below(4), i;
    int result = mm_protect(space->mm, address_of(first), n * PAGE_SIZE, prot);

    for (i = first; i < first + n && space->pages[i].mapped; i++)
        space->pages[i].prot = prot; /* up to a hole */
    CHECK_EQ(result, i == first + n ? 0 : -ENOMEM);
}

static void do_unmap(struct space *space, unsigned first, unsigned n)
{
    CHECK_EQ(mm_unmap(space->mm, address_of(first), n * PAGE_SIZE), 0);
    set_pages(space, first, n, (struct model_page){0});
}

static void change(struct space *space, int op)
{
    unsigned first = unit_random_below(PAGES);
    unsigned n = 1 + unit_random_below(min(PAGES - first, op % 10 ? 12UL : PAGES));

    switch (unit_random_below(4)) {
    case 0 ... 1:
        do_map(space, first, n);
        break;
    case 2:
        do_unmap(space, first, n);
        break;
    case 3:
        do_protect(space, first, n);
        break;
    }
    check_find(space->mm, address_of(first));
}

/* ---- memory ------------------------------------------------------------------------ */

static pte_t entry_of(struct mm *mm, vaddr_t va)
{
    pte_t *table = mm->page_table, pte = {0};

    for (int level = PT_LEVELS - 1; level >= 0; level--) {
        pte = pte_load(&table[pte_index(va, level)]);
        if (level == 0)
            break;
        if (!pte_is_table(pte))
            return (pte_t){0};
        table = pte_table_of(pte);
    }
    return pte;
}

/* As the processor does it: the entry if it allows the access; else a fault, and again. NULL if the
 * fault is not resolved. */
static u8 *touch(struct space *space, vaddr_t va, bool write)
{
    const struct model_page *page = &space->pages[(va - BASE) / PAGE_SIZE];
    bool allowed = page->mapped && (write ? page->prot & PROT_WRITE : page->prot != 0), major;
    int result, expected = allowed ? FAULT_OK : page->mapped ? FAULT_ACCERR : FAULT_MAPERR;

    for (int tries = 0; tries < 3; tries++) {
        pte_t pte = entry_of(space->mm, va);

        if (!pte_none(pte)) {
            CHECK(page->mapped);
            CHECK(!pte_write(pte) || page->prot & PROT_WRITE);
        }
        if (allowed && !pte_none(pte) && (!write || pte_write(pte)))
            return page_to_virt(pfn_to_page(pte_pfn(pte)));
        result = mm_fault(space->mm, va,
                          ACCESS_USER | (write ? ACCESS_WRITE : 0) |
                              (pte_none(pte) ? 0 : ACCESS_PRESENT),
                          &major);
        CHECK_EQ(result, expected);
        if (!allowed)
            return NULL;
    }
    CHECK(!"the fault was resolved, but the entry does not show it");
    return NULL;
}

static u8 *expected_byte(struct model_page *page)
{
    static u8 zero;

    if (page->own)
        return &page->byte;
    zero = 0;
    return page->file ? &page->file->bytes[page->offset] : &zero;
}

/* Bytes at both ends of the page, so that a copy that is cut off shows. */
static void do_touch(struct space *space)
{
    unsigned i = unit_random_below(PAGES);
    struct model_page *page = &space->pages[i];
    bool write = unit_random_below(2);
    u8 *bytes = touch(space, address_of(i), write);

    if (!bytes)
        return;
    CHECK_EQ(bytes[0], *expected_byte(page));
    CHECK_EQ(bytes[PAGE_SIZE - 1], *expected_byte(page));
    if (!write)
        return;
    page->own |= !page->shared;
    bytes[0] = bytes[PAGE_SIZE - 1] = *expected_byte(page) = unit_random();
}

static void check_resident(const struct space *space)
{
    u64 own = 0;

    for (unsigned i = 0; i < PAGES; i++)
        own += space->pages[i].mapped && space->pages[i].own;
    CHECK_EQ(atomic_read(&space->mm->anon_pages), own);
}

/* ---- the tests ---------------------------------------------------------------------- */

static u64 settled_free(void)
{
    object_caches_shrink();
    frames_drain_all();
    return frames_free();
}

static struct page *file_page(struct file *file, u64 index)
{
    struct page *page = page_alloc(ALLOC_ATOMIC);

    page->cache = (void *)file;
    page->index = index;
    file->bytes[index] = unit_random();
    memset(page_to_virt(page), file->bytes[index], PAGE_SIZE);
    return page;
}

static struct mm *new_mm(void)
{
    struct mm *mm = mm_create();

    CHECK(mm);
    mm->mmap_top = TOP;
    return mm;
}

static u64 start(void)
{
    static bool started;

    if (!started) {
        shim_memory_init(MEMORY);
        boot_memory_add(0, MEMORY);
        frames_init();
        object_caches_init();
        mm_init();
        for (int i = 0; i < FILES; i++) {
            ref_init(&files[i].refs);
            mapping_set_init(&files[i].mappings);
            for (u64 n = 0; n < 2 * PAGES; n++)
                files[i].pages[n] = file_page(&files[i], n);
        }
        mm_put(mm_create()); /* families are kept for ever */
        started = true;
    }
    memset(spaces, 0, sizeof(spaces));
    return settled_free();
}

static void end(u64 free)
{
    for (unsigned i = 0; i < ARRAY_SIZE(spaces); i++)
        if (spaces[i].mm)
            mm_put(spaces[i].mm);
    for (int i = 0; i < FILES; i++) {
        CHECK_EQ(atomic_read(&files[i].refs), 1);
        CHECK(rb_empty(&files[i].mappings.tree));
        for (u64 n = 0; n < 2 * PAGES; n++)
            CHECK_EQ(atomic_read(&files[i].pages[n]->refs), 1);
    }
    CHECK_EQ(settled_free(), free);
    CHECK_EQ(current->preempt_count, 0);
    CHECK(irqs_enabled());
}

TEST(vma_set_a_million_random_operations)
{
    u64 free = start();
    struct space *space = &spaces[0];

    space->mm = new_mm();
    for (int op = 0; op < 1000000; op++) {
        change(space, op);
        if (op % 8 == 0)
            check_set(space);
        if (op % 256 == 0)
            check_reverse(&files[op / 256 % FILES]);
    }
    end(free);
}

static void do_fork(struct space *parent, struct space *child)
{
    if (child == parent)
        return;
    if (child->mm)
        mm_put(child->mm);
    *child = *parent;
    child->mm = mm_fork(parent->mm);
    CHECK(!is_err(child->mm));
    check_set(child);
}

static void touch_a_million_times(void)
{
    u64 free = start();

    spaces[0].mm = new_mm();
    for (int op = 0; op < 1200000; op++) {
        struct space *space = &spaces[unit_random_below(ARRAY_SIZE(spaces))];

        if (!space->mm)
            space = &spaces[0];
        if (!space->mm)
            space->mm = new_mm();
        switch (unit_random_below(200)) {
        case 0 ... 9:
            change(space, op);
            check_set(space);
            break;
        case 10:
            share_pages = unit_random_below(PAGES / 4); /* few: that tables are shared */
            do_fork(space, &spaces[unit_random_below(ARRAY_SIZE(spaces))]);
            break;
        case 11:
            if (unit_random_below(4) == 0) {
                mm_put(space->mm);
                *space = (struct space){0};
            }
            break;
        default:
            do_touch(space);
        }
        if (space->mm && op % 1024 == 0)
            check_resident(space);
    }
    share_pages = SHARE_PAGES;
    end(free);
}

TEST(faults_and_copy_on_write_a_million_random_touches)
{
    touch_a_million_times();
}

/* Without files, nearly all tables are shared by forks. */
TEST(shared_tables_a_million_random_touches)
{
    files_too = false;
    touch_a_million_times();
    files_too = true;
}
