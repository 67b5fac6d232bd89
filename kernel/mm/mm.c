/* SPDX-License-Identifier: MIT */
/*
 * The life of an address space, and which processor has it loaded.
 *
 * A thread of a user program brings its address space with it when it is switched to. A kernel
 * thread needs none and leaves the one before it loaded: most of the time the next thread is of the
 * same program, and nothing has to be flushed. So a processor may still have an address space
 * loaded when its last user goes; mm_put() makes such processors let go of it before it frees
 * anything, and can then tear it down without a flush.
 */
#include "address_space.h"
#include <vellum/alloc.h>
#include <vellum/boot.h>
#include <vellum/error.h>
#include <vellum/khugepaged.h>
#include <vellum/random.h>
#include <vellum/smp.h>
#include <vellum/sync.h>
#include <linux/resource.h>

static struct object_cache *mm_cache, *family_cache;

/* Families without members. They are used again, but never become other memory: rmap.c. */
static DEFINE_SPINLOCK(families_lock);
static struct list free_families = LIST_INIT(free_families); /* [families_lock] */

bool aslr_enabled = true;

static u64 no_limit(unsigned resource)
{
    return RLIM64_INFINITY;
}

u64 (*mm_limit)(unsigned resource) = no_limit;

/* ---- making ------------------------------------------------------------------------------------- */

static struct anon_family *family_create(void)
{
    struct anon_family *family = NULL;

    spin_lock(&families_lock);
    if (!list_empty(&free_families)) {
        family = list_first_entry(&free_families, struct anon_family, free_link);
        list_del(&family->free_link);
    }
    spin_unlock(&families_lock);
    if (!family) {
        family = object_alloc(family_cache, ALLOC_KERNEL);
        if (!family)
            return NULL;
        spin_init(&family->lock);
        list_init(&family->mms);
    }
    ref_init(&family->refs);
    return family;
}

static void family_put(struct anon_family *family)
{
    if (!ref_put(&family->refs))
        return;
    assert(list_empty(&family->mms));
    spin_lock(&families_lock);
    list_add(&family->free_link, &free_families);
    spin_unlock(&families_lock);
}

bool is_family(const void *p)
{
    const struct page *page;

    if ((vaddr_t)p < DIRECT_MAP_BASE || !pfn_valid(virt_to_phys(p) >> PAGE_SHIFT))
        return false;
    page = page_head(virt_to_page(p));
    return (READ_ONCE(page->flags) & PG_SLAB) && READ_ONCE(page->slab_cache) == family_cache;
}

static void family_join(struct mm *mm, struct anon_family *family)
{
    mm->family = family;
    spin_lock(&family->lock);
    list_add_tail(&mm->family_link, &family->mms);
    spin_unlock(&family->lock);
}

static void family_leave(struct mm *mm)
{
    spin_lock(&mm->family->lock);
    list_del(&mm->family_link);
    spin_unlock(&mm->family->lock);
    family_put(mm->family);
}

u64 mm_random_offset(unsigned bits)
{
    if (!aslr_enabled)
        return 0;
    return (random_u64() & (BIT(bits) - 1)) << PAGE_SHIFT;
}

/* In a family that the caller has a reference to, which is consumed if this succeeds. */
static struct mm *create_in(struct anon_family *family)
{
    static u64 created; /* so that no two address spaces ever have the same sequence */
    struct mm *mm = object_alloc(mm_cache, ALLOC_KERNEL | ALLOC_ZERO);
    struct page *root = mm ? page_alloc(ALLOC_ZERO) : NULL;

    if (!root) {
        if (mm)
            object_free(mm_cache, mm);
        return NULL;
    }
    root->flags = PG_TABLE;
    atomic_inc(&count_tables);
    mm->page_table = page_to_virt(root);
    mm->page_table_phys = page_to_phys(root);
    arch_page_table_init(mm->page_table);
    rwlock_init(&mm->lock);
    list_init(&mm->vma_list);
    ref_init(&mm->users);
    spin_init(&mm->table_lock);
    mm->sequence = __atomic_add_fetch(&created, 1, __ATOMIC_RELAXED) << 32;
    family_join(mm, family);
    return mm;
}

struct mm *mm_create(void)
{
    struct anon_family *family = family_create();
    struct mm *mm = family ? create_in(family) : NULL;

    if (!mm) {
        if (family)
            family_put(family);
        return NULL;
    }
    /* Room for the stack above: Linux leaves 128 MiB at least, and what randomisation may move it. */
    mm->mmap_top = ALIGN_DOWN(USER_END - USER_END / 64 - (128UL << 20), PAGE_SIZE);
    mm->mmap_top -= mm_random_offset(28) % ALIGN_DOWN(USER_END / 64, PAGE_SIZE);
    mm->dumpable = 1;
    return mm;
}

/* What fork copies as it is. */
static void copy_description(struct mm *child, struct mm *parent)
{
    child->mmap_top = parent->mmap_top;
    child->brk_start = parent->brk_start;
    child->brk = parent->brk;
    child->code_start = parent->code_start;
    child->code_end = parent->code_end;
    child->data_start = parent->data_start;
    child->data_end = parent->data_end;
    child->stack_start = parent->stack_start;
    child->args_start = parent->args_start;
    child->args_end = parent->args_end;
    child->env_start = parent->env_start;
    child->env_end = parent->env_end;
    child->vdso = parent->vdso;
    child->auxv_words = parent->auxv_words;
    for (unsigned i = 0; i < parent->auxv_words; i++)
        child->auxv[i] = parent->auxv[i];
    child->dumpable = parent->dumpable;
    child->no_huge_pages = parent->no_huge_pages;
    child->membarrier = parent->membarrier;
    child->exe = parent->exe;
    if (child->exe)
        mm_file_ops.get(child->exe);
}

struct mm *mm_fork(struct mm *parent)
{
    struct mm *child;
    int error;

    ref_get(&parent->family->refs);
    child = create_in(parent->family);
    if (!child) {
        family_put(parent->family);
        return err_ptr(-ENOMEM);
    }
    write_lock(&parent->lock);
    copy_description(child, parent);
    error = fork_vmas(child, parent);
    write_unlock(&parent->lock);
    if (error) {
        mm_put(child);
        return err_ptr(error);
    }
    if (READ_ONCE(parent->khugepaged_link.next))
        khugepaged_enter(child);
    return child;
}

/* ---- loading ------------------------------------------------------------------------------------ */

/* => interrupts off */
static inline void load(struct cpu *cpu, struct mm *mm)
{
    struct mm *old = cpu->active_mm;

    WRITE_ONCE(cpu->lazy_mm, false);
    /* Before the load, with a full fence: tlb.c. */
    __atomic_fetch_or(&mm->cpus.bits, BIT(cpu->id), __ATOMIC_SEQ_CST);
    smp_fence();
    arch_page_table_load(mm->page_table_phys);
    cpu->active_mm = mm;
    if (old)
        __atomic_fetch_and(&old->cpus.bits, ~BIT(cpu->id), __ATOMIC_RELEASE);
}

/* => interrupts off */
static inline void use(struct cpu *cpu, struct mm *mm)
{
    if (mm != cpu->active_mm)
        load(cpu, mm);
    else if (cpu->lazy_mm)
        tlb_end_lazy(cpu);
}

void mm_switch(struct thread *prev, struct thread *next)
{
    struct cpu *cpu = this_cpu();

    if (next->mm)
        use(cpu, next->mm);
    else
        WRITE_ONCE(cpu->lazy_mm, true);
}

void mm_activate(struct mm *mm)
{
    struct thread *thread = current;
    unsigned long irq = irq_save();

    thread->mm = mm;
    thread->fault_hint = NULL;
    if (mm)
        use(this_cpu(), mm);
    irq_restore(irq);
}

/* ---- the end ------------------------------------------------------------------------------------ */

/* Stop borrowing an address space. => interrupts off */
static void let_go(void *arg)
{
    struct cpu *cpu = this_cpu();
    struct mm *mm = arg;

    if (cpu->active_mm != mm)
        return;
    assert(current->mm != mm);
    arch_page_table_load(arch_kernel_page_table());
    cpu->active_mm = NULL;
    __atomic_fetch_and(&mm->cpus.bits, ~BIT(cpu->id), __ATOMIC_RELEASE);
}

static void evict_borrowers(struct mm *mm)
{
    cpumask_t others;
    unsigned long irq;

    preempt_disable();
    irq = irq_save();
    let_go(mm);
    irq_restore(irq);
    smp_fence();
    others.bits = __atomic_load_n(&mm->cpus.bits, __ATOMIC_ACQUIRE);
    if (others.bits)
        smp_call(&others, let_go, mm);
    preempt_enable();
}

static void destroy(struct mm *mm)
{
    struct page *root = virt_to_page(mm->page_table);

    evict_borrowers(mm);
    unmap_all(mm);
    family_leave(
        mm); /* first: reclaim, which finds it there, may note it as one with swap entries */
    mm_forget_swapped(mm);
    khugepaged_leave(mm);
    assert(mm->vma_count == 0 && mm_resident(mm) == 0 && atomic_read(&mm->table_pages) == 0);
    if (mm->exe)
        mm_file_ops.put(mm->exe);
    root->flags = 0;
    atomic_dec(&count_tables);
    page_put(root);
    object_free(mm_cache, mm);
}

void mm_get(struct mm *mm)
{
    ref_get(&mm->users);
}

bool mm_get_not_zero(struct mm *mm)
{
    return atomic_inc_not_zero(&mm->users);
}

void mm_put(struct mm *mm)
{
    if (ref_put(&mm->users))
        destroy(mm);
}

void mm_update_peaks(struct mm *mm)
{
    mm->peak_resident = max(mm->peak_resident, mm_resident(mm));
    mm->peak_total = max(mm->peak_total, mm->total_pages);
}

void mm_init(void)
{
    mm_cache = object_cache_create("mm", sizeof(struct mm), CACHE_LINE);
    vma_cache = object_cache_create("vma", sizeof(struct vma), 0);
    family_cache = object_cache_create("anon_family", sizeof(struct anon_family), 0);
    if (!mm_cache || !vma_cache || !family_cache)
        panic("no memory for address spaces");
    page_lock_init();
    overcommit_init();
    swap_init();
    if (boot_param("norandmaps"))
        aslr_enabled = false;
}
