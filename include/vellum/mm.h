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
#include <vellum/page.h>
#include <vellum/sync.h>
#include <linux/mman.h>

struct file;
struct vma;
struct vm_fault;

/* vma->flags */
enum {
    VM_READ = 1, VM_WRITE = 2, VM_EXEC = 4, /* = PROT_* */
    VM_SHARED = 8,                          /* MAP_SHARED */
    VM_MAY_READ = 16, VM_MAY_WRITE = 32, VM_MAY_EXEC = 64, /* mprotect may set these */
    VM_GROWSDOWN = 128,
    VM_NORESERVE = 256, VM_LOCKED = 512,
    VM_SPECIAL = 1024,   /* frames that are the kernel's (vDSO, vvar): not counted, not copied */
    VM_DONTCOPY = 2048,  /* not inherited by fork */
    VM_DONTEXPAND = 4096,
    VM_NOHUGEPAGE = 8192, VM_HUGEPAGE = 16384,
    VM_WIPEONFORK = 32768,
    VM_ACCOUNT = 65536,  /* counts towards committed memory */
};

/* What the owner of the memory behind a VMA provides. */
struct vm_ops {
    void (*open)(struct vma *vma);  /* a VMA came to be (map, split, fork) */
    void (*close)(struct vma *vma);
    /* Find the frame for fault->index: sets fault->page (with a reference, up to date, not locked)
     * and returns FAULT_OK, or another outcome. => mm->lock read-held; may sleep */
    int (*fault)(struct vm_fault *fault);
    /* Map frames around the fault that are in the cache already; optional. */
    void (*map_around)(struct vm_fault *fault, u64 first, u64 last);
    /* A shared page is about to become writable: note the time, reserve space ... 0 or an outcome. */
    int (*make_writable)(struct vm_fault *fault);
    const char *(*name)(struct vma *vma); /* "[vdso]" for /proc/PID/maps */
};

/* A range of addresses with one protection and one kind of memory behind it. */
struct vma {
    vaddr_t start, end;       /* [m] page aligned; start < end */
    struct mm *mm;            /* [i] */
    u32 flags;                /* [m] VM_* */
    struct rb_node node;      /* [m] in mm->vmas, by start; augmented with the largest gap below */
    u64 largest_gap;          /* [m] of the subtree: bytes of the largest hole before a VMA in it */
    struct list link;         /* [m] in mm->vma_list, ascending */
    struct file *file;        /* [i] holds a reference; NULL: anonymous */
    u64 offset;               /* [m] in pages: of `start` in the file; anonymous: start >> PAGE_SHIFT when mapped */
    const struct vm_ops *ops; /* [i] NULL: anonymous */
    void *private_data;       /* the owner's */
    struct anon_family *family; /* [m] once it has private pages */
    struct list family_link;  /* [family->lock] */
    struct interval_node file_node; /* [page cache's map_lock] in cache->mappings */
};
/* [m] mm->lock: written for writing, read for reading */

struct mm {
    struct rwlock lock;       /* the set of VMAs; faults read, changes write */
    struct rb_root vmas;      /* [m] */
    struct list vma_list;     /* [m] */
    u64 sequence;             /* [m] changes whenever VMAs do: invalidates hints */
    unsigned vma_count;       /* [m] */
    pte_t *page_table;        /* [i] root */
    paddr_t page_table_phys;  /* [i] */
    cpumask_t cpus;           /* [a] CPUs that have it loaded */
    refcount_t users;         /* threads (and /proc readers); 0: mappings go */
    refcount_t refs;          /* users count as one, plus CPUs that borrow it; 0: tables and mm go */
    spinlock_t table_lock;    /* guards entries of upper tables */
    vaddr_t mmap_top;         /* [i] mmap searches downwards from here */
    vaddr_t brk_start, brk;   /* [m] */
    vaddr_t code_start, code_end, data_start, data_end, stack_start; /* for /proc and brk */
    vaddr_t args_start, args_end, env_start, env_end;
    vaddr_t vdso;             /* [i] address of the vDSO, 0: none */
    u64 total_pages, locked_pages, data_pages, stack_pages, exec_pages; /* [m] */
    atomic_long_t anon_pages, file_pages, shmem_pages, table_pages; /* resident */
    u64 peak_resident, peak_total;
    struct file *exe;         /* [m] /proc/PID/exe */
    u64 auxv[48];             /* [i] for /proc/PID/auxv */
    unsigned auxv_words;
    int dumpable;
};

/* Outcomes of a fault. */
enum {
    FAULT_OK,
    FAULT_MAPERR, /* no VMA: SIGSEGV, SEGV_MAPERR */
    FAULT_ACCERR, /* protection: SIGSEGV, SEGV_ACCERR */
    FAULT_BUS,    /* beyond the end of the file, or reading it failed: SIGBUS, BUS_ADRERR */
    FAULT_OOM,    /* no memory */
    FAULT_RETRY,  /* (internal) start again */
};

/* How the page was touched. */
enum {
    ACCESS_WRITE = 1, ACCESS_EXEC = 2, ACCESS_USER = 4,
    ACCESS_PRESENT = 8, /* the entry was present: a protection fault */
};

/* The state of one fault; the first phase fills it in, the others read it. */
struct vm_fault {
    struct vma *vma;
    vaddr_t address;    /* page aligned */
    u32 access;         /* ACCESS_* */
    u64 index;          /* page of the file (or family) */
    pte_t *pte;         /* the entry, once found */
    struct page *table; /* its table: holds the lock */
    pte_t seen;         /* the entry as it was when the fault was classified */
    struct page *page;  /* what ops->fault found */
    bool major;         /* had to wait for a device */
};

/* Resolve a fault of the current process at any user address. Returns FAULT_OK or why not.
 * Counts it as minor or major. => interrupts on, no spinlock */
int page_fault(vaddr_t address, u32 access);

void mm_init(void);
/* An empty address space with one user, or NULL. */
struct mm *mm_create(void);
void mm_get(struct mm *mm); /* another user */
void mm_put(struct mm *mm); /* the last user takes the mappings with it => may sleep */
void mm_pin(struct mm *mm); /* keeps tables and struct, not the mappings */
void mm_unpin(struct mm *mm);
/* A user reference unless the last is gone already. */
bool mm_get_not_zero(struct mm *mm);
/* A copy for fork: private pages copy-on-write, shared ones shared. err_ptr(-ENOMEM). */
struct mm *mm_fork(struct mm *parent);
/* Switch the current CPU's page table; called by the scheduler. next_mm NULL: kernel thread, borrow. */
void mm_switch(struct thread *prev, struct thread *next);
/* Give the current thread another address space (exec; NULL at exit). Does not put the old one. */
void mm_activate(struct mm *mm);

/* ---- VMAs => mm->lock ---------------------------------------------------------------------- */

struct vma *vma_find(struct mm *mm, vaddr_t address);       /* first with end > address, or NULL */
struct vma *vma_find_exact(struct mm *mm, vaddr_t address); /* that contains it, or NULL */
struct vma *vma_first(struct mm *mm);
struct vma *vma_next(struct vma *vma);                      /* or NULL */
struct vma *vma_prev(struct vma *vma);

/* ---- changing an address space (they take mm->lock themselves) ------------------------------- */

/* mmap(2) for the current process. file: NULL if MAP_ANONYMOUS; offset in bytes. Returns the address
 * or a negative errno. */
long mm_map(struct file *file, vaddr_t hint, size_t length, unsigned prot, unsigned flags, u64 offset);
/* The same in any mm that nobody else uses yet (exec). */
long mm_map_in(struct mm *mm, struct file *file, vaddr_t hint, size_t length, unsigned prot,
               unsigned flags, u64 offset);
int mm_unmap(struct mm *mm, vaddr_t start, size_t length);
int mm_protect(struct mm *mm, vaddr_t start, size_t length, unsigned prot);
/* Kernel frames (vDSO, vvar) for user space at an address chosen near hint. */
long mm_map_special(struct mm *mm, vaddr_t hint, struct page **pages, unsigned n, unsigned prot,
                    const struct vm_ops *ops);
/* Set the heap's start (exec); brk(2) moves its end. */
void mm_set_brk(struct mm *mm, vaddr_t start);
/* Read or write another process's memory (procfs, ptrace, exec's argument pages). Faults pages in;
 * write breaks copy-on-write, `force` overrides protection as ptrace does. Returns bytes done. */
size_t mm_access(struct mm *mm, vaddr_t address, void *buffer, size_t n, bool write, bool force);

/* ---- used by page caches ---------------------------------------------------------------------- */

/* Remove all mappings of pages first..last of a file (truncate): => cache->map_lock not held */
void mm_unmap_file_range(struct page_cache *cache, u64 first, u64 last, bool even_private_copies);

/* ---- TLB: kernel/mm/tlb.c ----------------------------------------------------------------------- */

/* Gathers what is unmapped, so that one flush and one batch of frees serve many pages. */
struct tlb_batch {
    struct mm *mm;
    vaddr_t start, end;
    unsigned n;
    bool whole;
    struct page *pages[64];
};
void tlb_batch_begin(struct tlb_batch *b, struct mm *mm);
void tlb_batch_page(struct tlb_batch *b, vaddr_t va, struct page *page /* put after the flush; or NULL */);
void tlb_batch_end(struct tlb_batch *b);
/* Flush [start, end) of mm on every CPU that has it loaded. => no spinlock that needs interrupts */
void tlb_flush_range(struct mm *mm, vaddr_t start, vaddr_t end);
void tlb_flush_page_local_or_all(struct mm *mm, vaddr_t va);

#define MAX_MAP_COUNT 65530 /* VMAs of an address space; Linux's vm.max_map_count */

extern bool aslr_enabled; /* norandmaps clears it */

#endif
