/* SPDX-License-Identifier: MIT */
/*
 * An address space: a set of VMAs over a page table.
 *
 * mmap, munmap, mprotect and brk are all find + split + change + merge on that set; nothing is
 * mapped before it is touched. The first touch arrives in page_fault().
 */
#ifndef VELLUM_MM_H
#define VELLUM_MM_H

#include <vellum/interval_tree.h>
#include <vellum/page_table.h>
#include <vellum/swap.h>
#include <vellum/sync.h>
#include <linux/mman.h>

/* A machine whose programs need no low addresses has no such flag. */
#ifndef MAP_32BIT
#define MAP_32BIT 0
#endif

struct file;
struct vma;
struct vm_fault;

/* vma->flags */
enum {
    VM_READ = 1,
    VM_WRITE = 2,
    VM_EXEC = 4,   /* = PROT_*, PTE_* */
    VM_SHARED = 8, /* MAP_SHARED */
    VM_MAY_READ = 16,
    VM_MAY_WRITE = 32,
    VM_MAY_EXEC = 64, /* mprotect may set these */
    VM_GROWSDOWN = 128,
    VM_NORESERVE = 256,
    VM_LOCKED = 512,
    VM_SPECIAL = 1024,  /* frames that are the kernel's (vDSO, vvar): not counted, not copied */
    VM_DONTCOPY = 2048, /* not inherited by fork */
    VM_DONTEXPAND = 4096,
    VM_NOHUGEPAGE = 8192,
    VM_HUGEPAGE = 16384,
    VM_WIPEONFORK = 32768,
    VM_ACCOUNT = 65536,         /* counts towards committed memory */
    VM_LOCK_ON_FAULT = 1 << 17, /* with VM_LOCKED: from the first touch on */
    VM_DONTDUMP = 1 << 18,      /* not in core files */
    VM_SEQ_READ = 1 << 28,      /* MADV_SEQUENTIAL */
    VM_RAND_READ = 1 << 29,     /* MADV_RANDOM */
};

/* The VMAs that map a file: its reverse map. Part of its page cache. */
struct mapping_set {
    struct rwlock lock;  /* taken after mm->lock and page lock, before page-table locks */
    struct rb_root tree; /* [lock] interval tree of vma->file_node by page index */
    atomic_t writable;   /* shared mappings that may be written */
    u64 id;              /* [a] never used twice: names it to futexes; 0: not given yet */
};
void mapping_set_init(struct mapping_set *set);

/* What the owner of the memory behind a VMA provides. Private anonymous memory has none. */
struct vm_ops {
    void (*open)(struct vma *vma);  /* a VMA came to be by a split or fork; optional */
    void (*close)(struct vma *vma); /* one is about to go (after merge or unmap); optional */
    /* Find the frame for fault->index: sets fault->page (with a reference, up to date, not locked)
     * and returns FAULT_OK, or another outcome. => mm->lock read-held; may sleep */
    int (*fault)(struct vm_fault *fault);
    /* Pages first..last that can be had at once, each with a reference, ascending by page->index, for
     * a fault at one of them. Returns how many; optional. last - first < FAULT_AROUND; no sleep */
    unsigned (*fault_around)(struct vma *vma, u64 first, u64 last, struct page **pages);
    /* fault->page of a shared mapping is about to become writable: note the time, reserve space ...
     * FAULT_OK, with fault->page locked until the entry is stored, so that it is not written out and
     * made clean in between; or another outcome. (FAULT_THROTTLE: it has put the page.) NULL: always allowed, and mapped writable at the
     * first touch. => may sleep */
    int (*make_writable)(struct vm_fault *fault);
    const char *(*name)(struct vma *vma); /* "[vdso]" for /proc/PID/maps; optional */
};
#define FAULT_AROUND 16

/* A range of addresses with one protection and one kind of memory behind it. */
struct vma {
    vaddr_t start, end;  /* [m] page aligned; start < end */
    struct mm *mm;       /* [i] */
    u32 flags;           /* [m] VM_* */
    bool has_private;    /* [m] has had private pages: fork must look (set with it read-held) */
    struct rb_node node; /* [m] in mm->vmas, by start; augmented with the largest gap below */
    u64 largest_gap;     /* [m] of the subtree: bytes of the largest hole before a VMA in it */
    struct list link;    /* [m] in mm->vma_list, ascending */
    struct file *file;   /* [i] holds a reference; NULL: anonymous */
    u64 offset;          /* [m] in pages: of `start` in the file; anonymous: start >> PAGE_SHIFT */
    const struct vm_ops *ops;       /* [i] NULL: private anonymous memory */
    void *private_data;             /* the owner's */
    struct mapping_set *mappings;   /* [i] of the file, or NULL */
    struct interval_node file_node; /* [mappings->lock] */
};
/* [m] mm->lock: written for writing, read for reading */

/* All address spaces that descend from one exec by fork. They may share anonymous pages, always at
 * the same address: page->family and page->index (address >> PAGE_SHIFT) are the reverse map. */
struct anon_family {
    refcount_t refs; /* members */
    spinlock_t lock;
    struct list mms; /* [lock] mm->family_link; a child behind its parent */
    struct list
        free_link; /* no members: waits to be used again; it is never other memory (rmap.c) */
};

struct mm {
    struct rwlock lock;   /* the set of VMAs; faults read, changes write */
    struct rb_root vmas;  /* [m] */
    struct list vma_list; /* [m] */
    u64 sequence;       /* [m] changes whenever VMAs do: invalidates hints; no two mms share one */
    unsigned vma_count; /* [m] */
    pte_t *page_table;  /* [i] root */
    paddr_t page_table_phys;      /* [i] */
    cpumask_t cpus;               /* [a] CPUs that have it loaded */
    refcount_t users;             /* threads and /proc readers; 0: it goes */
    spinlock_t table_lock;        /* guards entries of upper tables */
    u32 flush_wanted, flush_done; /* [a] entries cleared by reclaim, not flushed yet: unequal */
    struct anon_family *family;   /* [i] */
    struct list family_link;      /* [family->lock] */
    vaddr_t mmap_top;             /* [i] mmap searches downwards from here; exec may set it */
    vaddr_t brk_start, brk;       /* [m] */
    vaddr_t code_start, code_end, data_start, data_end, stack_start; /* for /proc and brk */
    vaddr_t args_start, args_end, env_start, env_end;
    vaddr_t vdso; /* [lock] to change: address of the vDSO, 0: none */
    u64 total_pages, locked_pages, data_pages, stack_pages, exec_pages; /* [m] */
    union {
        atomic_long_t resident[3]; /* pages mapped, by kind: page_kind() */
        struct {
            atomic_long_t file_pages, anon_pages, shmem_pages;
        };
    };
    atomic_long_t table_pages;
    atomic_long_t shared_tables; /* entries of level 1 that are shared tables */
    atomic_long_t swap_pages;    /* swap entries in the page table */
    struct list swap_link; /* [the list's lock] among those that have had some; unlinked: NULLs */
    struct list khugepaged_link;   /* [the list's lock] among those it looks at; unlinked: NULLs */
    u64 peak_resident, peak_total; /* brought up to date by mm_update_peaks() */
    struct file *exe;              /* [m] /proc/PID/exe; holds a reference */
    u64 auxv[48];                  /* [i] for /proc/PID/auxv */
    unsigned auxv_words;
    u32 lock_future; /* [m] VM_LOCKED, VM_LOCK_ON_FAULT of new mappings: mlockall(MCL_FUTURE) */
    int dumpable;
    bool no_huge_pages; /* [a] prctl(PR_SET_THP_DISABLE); kept by fork and exec */
    u32 membarrier;     /* [a] MEMBARRIER_CMD_REGISTER_* that were given */
};

/* Index into mm->resident. */
static inline unsigned page_kind(const struct page *page)
{
    static_assert(PG_ANON == 1 << 8 && PG_SHMEM == 1 << 9, "adjacent bits");
    return (page->flags >> 8) & 3;
}

static inline u64 mm_resident(const struct mm *mm)
{
    long n =
        atomic_read(&mm->file_pages) + atomic_read(&mm->anon_pages) + atomic_read(&mm->shmem_pages);

    return n > 0 ? n : 0;
}
/* What an address space has, in pages; the counters alone do not know of what reclaim has taken from tables
 * that it shares with others since a fork. exact: waits for mm->table_lock; else any context, and who
 * changes its tables at that moment makes it inexact. => it stays meanwhile */
struct mm_usage {
    u64 file, anonymous, shared, swapped;
};
void mm_get_usage(struct mm *mm, struct mm_usage *usage, bool exact);
void mm_update_peaks(struct mm *mm);
static inline u64 mm_peak_resident(const struct mm *mm)
{
    u64 now = mm_resident(mm), before = READ_ONCE(mm->peak_resident);

    return now > before ? now : before;
}

/* ---- what mm asks of the rooms above it ------------------------------------------------------- */

/* Open files: defined in kernel/fs/file_map.c. */
struct mm_file_ops {
    void (*get)(struct file *file);
    void (*put)(struct file *file);
    /* Free what the file has in [start, start + length), as fallocate(2) does. 0 or -errno
     * => mm->lock not held; may sleep */
    int (*punch_hole)(struct file *file, u64 start, u64 length);
    /* May the caller know which pages of the file are in memory? */
    bool (*may_look)(struct file *file);
    /* Begin to read pages first..last. => may sleep */
    void (*will_need)(struct file *file, u64 first, u64 last);
};
extern const struct mm_file_ops mm_file_ops;

/* The current process's soft limit (RLIMIT_*); RLIM64_INFINITY until kernel/proc has set it. */
extern u64 (*mm_limit)(unsigned resource);

/* ---- faults ------------------------------------------------------------------------------------- */

/* Outcomes of a fault. */
enum {
    FAULT_OK,
    FAULT_MAPERR, /* no VMA: SIGSEGV, SEGV_MAPERR */
    FAULT_ACCERR, /* protection: SIGSEGV, SEGV_ACCERR */
    FAULT_BUS,    /* beyond the end of the file, or reading it failed: SIGBUS, BUS_ADRERR */
    FAULT_OOM,    /* no memory */
    FAULT_KILLED, /* a fatal signal came while it waited */
    /* Internal: */
    FAULT_RETRY,    /* start again */
    FAULT_THROTTLE, /* start again when fault->backing has kept up: fault.c */
    FAULT_WAIT,     /* start again when fault->page, with a reference, is no longer locked */
};

/* How the page was touched. */
enum {
    ACCESS_WRITE = 1,
    ACCESS_EXEC = 2,
    ACCESS_USER = 4,
    ACCESS_PRESENT = 8, /* the entry was present, as far as the machine tells: for the oops */
    ACCESS_FORCE = 16,  /* (mm_access) whatever the protection, as a debugger may */
};

/* The state of one fault; the first phase fills it in, the others read it. */
struct vm_fault {
    struct vma *vma;
    vaddr_t address;    /* page aligned */
    u32 access;         /* ACCESS_* */
    bool major;         /* had to wait for a device */
    bool waited;        /* has done so without mm->lock: the next time it keeps the lock */
    u64 index;          /* page of the file (or family) */
    pte_t *pte;         /* the entry */
    struct page *table; /* its table: holds the lock */
    pte_t seen;         /* the entry as it was when the fault was classified */
    union {
        struct page *page;              /* what ops->fault found; what is to be waited for */
        struct backing_device *backing; /* FAULT_THROTTLE: what the page is to be written to */
    };
};

/* The outcome for what reading or preparing a page has returned. -EAGAIN: fault->page is being read. */
static inline int fault_error(int error)
{
    return error == -ENOMEM        ? FAULT_OOM
           : error == -ERESTARTSYS ? FAULT_KILLED
           : error == -EAGAIN      ? FAULT_WAIT
                                   : FAULT_BUS;
}

/* Resolve a fault of the current process at any user address. Returns FAULT_OK or why not.
 * Counts it as minor, major or invalid, for thread and processor. => interrupts on, no spinlock */
int page_fault(vaddr_t address, u32 access);
/* The same in any address space, for access on its behalf: counted unless it is invalid. */
int mm_fault(struct mm *mm, vaddr_t address, u32 access, bool *major);

/* ---- life ----------------------------------------------------------------------------------------- */

void mm_init(void);
/* An empty address space with one user, or NULL. */
struct mm *mm_create(void);
void mm_get(struct mm *mm); /* another user */
void mm_put(struct mm *mm); /* the last user takes all with it => may sleep */
/* A user reference unless the last is gone already. */
bool mm_get_not_zero(struct mm *mm);
/* A copy for fork: private pages copy-on-write, shared ones shared. err_ptr(-ENOMEM). */
struct mm *mm_fork(struct mm *parent);
/* Switch the current CPU's page table; called by the scheduler. A kernel thread (mm NULL) borrows
 * the one that is loaded: mm_put() of its last user makes all CPUs let go of it. => interrupts off */
void mm_switch(struct thread *prev, struct thread *next);
/* Give the current thread another address space (exec; NULL at exit). Does not put the old one. */
void mm_activate(struct mm *mm);

/* ---- VMAs => mm->lock ---------------------------------------------------------------------- */

struct vma *vma_find(struct mm *mm, vaddr_t address);       /* first with end > address, or NULL */
struct vma *vma_find_exact(struct mm *mm, vaddr_t address); /* that contains it, or NULL */
struct vma *vma_first(struct mm *mm);
struct vma *vma_next(struct vma *vma); /* or NULL */
struct vma *vma_prev(struct vma *vma);

/* What stands in a page table for an address, for those who look on. */
struct vma_entry {
    struct vma *vma;
    vaddr_t address;
    pte_t pte;      /* present, special, a swap entry: anything but none */
    pte_t *entry;   /* where it stands; its table's lock is held */
    unsigned level; /* 0; 1: a huge page */
    unsigned users; /* address spaces whose tables share it: each maps the page through it */
};
/* Returns false if the walk is to stop before this entry. => no sleep */
typedef bool vma_entry_fn(const struct vma_entry *e, void *arg);
/* Visit the entries for [start, end) of a VMA, in order. Returns where it stopped, or end.
 * => mm->lock */
vaddr_t vma_for_each_entry(struct vma *vma, vaddr_t start, vaddr_t end, vma_entry_fn *fn,
                           void *arg);

/* How many page-table entries map a page of user space; others: 0. Without a lock it is what its
 * references tell: those held for a moment by somebody who looks at it count too. */
unsigned page_map_count(const struct page *page);

/* The page that a present entry maps and that counts as resident; NULL: none, or the zero page. */
static inline struct page *vma_entry_page(const struct vma_entry *e)
{
    return pte_present(e->pte) && !pte_special(e->pte) ? pfn_to_page(pte_pfn(e->pte)) : NULL;
}

/* ---- changing an address space (they take mm->lock themselves) ------------------------------- */

/* A mapping to be made. */
struct map_request {
    vaddr_t address; /* hint, or the place with MAP_FIXED */
    u64 length;      /* bytes, page aligned, not 0 */
    u32 vm_flags;    /* VM_*, permission to have them checked by the caller */
    u32 map_flags;   /* MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_POPULATE, MAP_NONBLOCK are looked at */
    u64 offset;      /* pages, if there is a file */
    struct file *file;  /* or NULL */
    void *private_data; /* for vma->private_data */
    /* Sets vma->ops, vma->mappings ... of a new VMA of `file`, whose vma->file is set. 0 or -errno
     * => mm->lock write-held. NULL: anonymous memory */
    int (*attach)(struct file *file, struct vma *vma);
    const struct vm_ops *ops; /* if attach is NULL */
};
/* Returns the address or -EINVAL, -ENOMEM, -EPERM, -EEXIST, or attach's error. */
long mm_map_request(struct mm *mm, const struct map_request *request);

/* mmap(2) for the current process (kernel/fs/file_map.c). file: NULL if MAP_ANONYMOUS; offset in
 * bytes. Returns the address or a negative errno. */
long mm_map(struct file *file, vaddr_t hint, size_t length, unsigned prot, unsigned flags,
            u64 offset);
/* The same in any mm that nobody else uses yet (exec). */
long mm_map_in(struct mm *mm, struct file *file, vaddr_t hint, size_t length, unsigned prot,
               unsigned flags, u64 offset);
int mm_unmap(struct mm *mm, vaddr_t start, size_t length);
/* All private mappings of an address space whose program runs no more. 0 or -ENOMEM, and some are left.
 * => mm->lock not held; may sleep */
int mm_unmap_private(struct mm *mm);
int mm_protect(struct mm *mm, vaddr_t start, size_t length, unsigned prot);
/* Kernel frames (vDSO, vvar) for user space at an address chosen near hint. The array of pages, and
 * ops (for the name; may be NULL) must stay as long as the kernel runs. */
long mm_map_special(struct mm *mm, vaddr_t hint, struct page **pages, unsigned n, unsigned prot,
                    const struct vm_ops *ops);
/* madvise(2) for any address space. 0 or -errno => mm->lock not held */
int mm_advise(struct mm *mm, vaddr_t start, size_t length, int advice);
/* Set the heap's start (exec); brk(2) moves its end. */
void mm_set_brk(struct mm *mm, vaddr_t start);
/* A random number of pages below 2^bits, in bytes; 0 without address-space randomisation. */
u64 mm_random_offset(unsigned bits);
/* Read or write another process's memory (procfs, ptrace, exec's argument pages). Faults pages in;
 * write breaks copy-on-write, `force` overrides protection as ptrace does. Returns bytes done. */
size_t mm_access(struct mm *mm, vaddr_t address, void *buffer, size_t n, bool write, bool force);
/* Has a page of private anonymous memory never been written? */
bool mm_is_untouched(struct mm *mm, vaddr_t address);

/* ---- used by page caches ---------------------------------------------------------------------- */

/* Remove all mappings of pages first..last of a file (truncate). Pages that are to go have been
 * taken out of the cache before (page->cache NULL), so that no fault maps them anew.
 * => set->lock not held; may sleep */
void mm_unmap_file_range(struct mapping_set *set, u64 first, u64 last, bool even_private_copies);

/* ---- TLB: kernel/mm/tlb.c ----------------------------------------------------------------------- */

#define TLB_BATCH 64

/* Gathers what is unmapped, so that one flush and one batch of frees serve many pages. */
struct tlb_batch {
    struct mm *mm;
    vaddr_t start, end; /* what to flush; start >= end: nothing */
    unsigned n, swapped;
    bool swap_cached;                /* one of the pages may be in the swap cache */
    struct page *pages[TLB_BATCH];   /* to be put after the flush */
    swap_entry_t entries[TLB_BATCH]; /* `swapped` of them, to be freed */
};

static inline void tlb_batch_begin(struct tlb_batch *b, struct mm *mm)
{
    b->mm = mm;
    b->start = ~0UL;
    b->end = 0;
    b->n = 0;
    b->swapped = 0;
    b->swap_cached = false;
}

/* Flush and put what has been gathered; the batch can go on. => no spinlock */
void tlb_batch_flush(struct tlb_batch *b);

/* Has reclaim cleared entries, under the lock of a table that we hold, whose translations may be known
 * to processors still? Then all of the address space has to be flushed. */
static inline bool mm_flush_is_due(const struct mm *mm)
{
    return unlikely(READ_ONCE(mm->flush_wanted) != READ_ONCE(mm->flush_done));
}

/* Flush [start, end) of mm on every CPU that has it loaded. => no spinlock that needs interrupts */
void tlb_flush_range(struct mm *mm, vaddr_t start, vaddr_t end);
/* The same where all tables stay: processors that only borrow the address space are not interrupted. */
void tlb_flush_entries(struct mm *mm, vaddr_t start, vaddr_t end);
/* Make these processors forget all of user space; tables stay. => the same */
void tlb_flush_cpus(const cpumask_t *cpus);
/* A processor goes back to the address space that it has only borrowed. => interrupts off */
void tlb_end_lazy(struct cpu *cpu);

/* ---- limits of the whole system: proc(5), /proc/sys/vm -------------------------------------------- */

extern int max_map_count; /* VMAs of an address space */
extern int overcommit_mode, overcommit_ratio, overcommit_kbytes;
extern int admin_reserve_kbytes, user_reserve_kbytes;
u64 overcommit_limit(void); /* pages that may be promised in mode 2 */
/* Promise pages that no VMA stands for (shared memory, files in memory); false: too many. They are
 * given back with overcommit_uncharge(). */
bool overcommit_charge(u64 pages);
static inline void overcommit_uncharge(u64 pages)
{
    atomic_sub(&count_committed, (long)pages);
}
/* => once, when all memory has been given to the frame allocator */
void overcommit_init(void);

extern bool aslr_enabled; /* norandmaps clears it */

#endif
