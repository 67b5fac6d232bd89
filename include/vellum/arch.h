/* SPDX-License-Identifier: MIT */
/*
 * The machine interface: all that the kernel asks of a machine, documented here once.
 *
 * arch/ARCH/include/arch/ holds, for each machine, three headers with the parts that must be
 * constants, types or inline functions; everything else is declared below and defined in
 * arch/ARCH/. Nothing outside arch/ knows more about the machine than this file says.
 *
 * <arch/machine.h>
 *   PAGE_SHIFT PAGE_SIZE            base page; 4096 on both machines
 *   PT_LEVELS                       levels of the page table (x86-64: 4; RISC-V Sv39: 3)
 *   PT_ENTRIES                      entries of a table (512)
 *   PT_SHIFT(level)                 lowest address bit that indexes level; level 0 holds base pages
 *   HUGE_PAGE_SHIFT                 = PT_SHIFT(1): 2 MiB
 *   USER_START USER_END             user addresses: USER_START <= va < USER_END
 *   DIRECT_MAP_BASE                 physical memory p is at DIRECT_MAP_BASE + p
 *   VMEMMAP_BASE                    struct page of frame n is at VMEMMAP_BASE + n * sizeof
 *   VMAP_BASE VMAP_END              kernel addresses handed out by vmap (stacks, device registers)
 *   MAX_CPUS                        64
 *   KERNEL_STACK_SIZE               bytes, a multiple of PAGE_SIZE
 *   ARCH_NAME                       "x86_64", "riscv64": what uname(2) reports
 *   ARCH_CLOCK_NAME                 Linux's name for what arch_cycles() reads
 *   ELF_ARCH ELF_PLATFORM           e_machine; AT_PLATFORM string or NULL
 *   ARCH_INTERRUPT_SYNCS_CORE       returning from an interrupt to user mode makes the processor fetch
 *                                   instructions anew
 *   ARCH_CLONE_TLS_FIRST            clone(2)'s last arguments are tls, child_tid, not child_tid, tls
 *   bool irqs_enabled(void); unsigned long irq_save(void); void irq_restore(unsigned long);
 *   void irq_disable(void); void irq_enable(void);
 *   void cpu_relax(void);           in a spinning loop
 *   struct thread *arch_current(void);
 *   arch_cpu_add(member, n)         add to a u64 in this processor's struct cpu; in any context, with
 *                                   preemption and interrupts on too, nothing is lost or counted twice
 *   u64 arch_cycles(void);          the clock source's counter, monotonic and equal on all CPUs
 *   void arch_idle_wait(void);      => interrupts off. Enable them and halt until one comes, without
 *                                   losing one that came in between; returns with them on
 *
 * <arch/pte.h>                      the page-table entry
 *   typedef struct { u64 value; } pte_t;
 *   pte_t pte_leaf(pfn_t, unsigned prot, unsigned level)    prot: PROT_BITS below
 *   pte_t pte_table(pfn_t)                       an entry that points to the next lower table
 *   bool pte_is_table(pte_t)                     is it one? (and present, and no leaf)
 *   pte_t pte_shared(pfn_t); bool pte_is_shared(pte_t)      of upper levels: a table that other
 *                                   address spaces use as well; absent for the machine
 *   bool pte_none(pte_t)                         all zero: nothing here
 *   bool pte_present(pte_t), pte_is_leaf(pte_t)  (is_leaf: of a present entry)
 *   bool pte_write/pte_exec/pte_user/pte_dirty/pte_young(pte_t)
 *   pte_t pte_leaf_part(pte_t leaf, unsigned i)  of a leaf at level 1: the entry for its page i at
 *                                   level 0, same protection and bits
 *   pfn_t pte_pfn(pte_t)
 *   pte_t pte_set_pfn(pte_t, pfn_t)
 *   pte_t pte_set_write/pte_clear_write/pte_set_dirty/pte_clear_dirty/pte_set_young/pte_clear_young
 *   pte_t pte_set_prot(pte_t, unsigned prot)     same frame, dirty and young kept
 *   pte_t pte_swap(u64 payload); u64 pte_swap_payload(pte_t); bool pte_is_swap(pte_t)
 *                                   not present, not none; 56 bits of payload at the least
 *   Two spare software bits: pte_special(pte_t)/pte_set_special: the frame is not counted (zero
 *   page, device memory).
 *   PTE_EXEC_IS_READABLE            what may be executed can be read, whatever is asked for
 *   prot without any of PTE_READ, PTE_WRITE, PTE_EXEC (PROT_NONE) gives an entry at which every
 *   access faults, the kernel's too, and of which pte_present() and pte_pfn() are true all the same.
 *   pte_t pte_load(const pte_t *); void pte_store(pte_t *, pte_t);   plain 8-byte accesses
 *   pte_t pte_exchange(pte_t *, pte_t)           atomic, so that the processor's dirty bit is not lost
 *
 * <arch/frame.h>                    struct trap_frame: the user's (or interrupted kernel's) registers
 *   struct arch_thread              what a thread keeps of the machine: kernel stack pointer,
 *                                   FPU/vector area, TLS register
 *   struct arch_tracee              what there is besides for a thread that is traced
 */
#ifndef VELLUM_ARCH_H
#define VELLUM_ARCH_H

#include <vellum/compiler.h>
#include <vellum/bitmap.h>

/* Protection of a mapping, for pte_leaf(). */
enum {
    PTE_READ = 1,
    PTE_WRITE = 2,
    PTE_EXEC = 4,
    PTE_USER = 8,
    PTE_GLOBAL = 16, /* kernel half */
    PTE_DEVICE = 32, /* uncached */
};

#include <arch/machine.h>
#include <arch/pte.h>
#include <arch/frame.h>

#define PAGE_MASK       (~(PAGE_SIZE - 1))
#define HUGE_PAGE_SIZE  (1UL << HUGE_PAGE_SHIFT)
#define HUGE_PAGE_ORDER (HUGE_PAGE_SHIFT - PAGE_SHIFT)

struct thread;
struct process;
struct mm;
struct cpu;
struct trap_frame;
struct seq_file;
struct sigaction_k;
struct pending_signal;

typedef struct {
    u64 bits;
} cpumask_t; /* one bit for each of MAX_CPUS; changed with __atomic operations where shared */

static inline void *phys_to_virt(paddr_t p)
{
    return (void *)(DIRECT_MAP_BASE + p);
}

/* Of an address in the direct map only. For the image: image_to_phys(). */
static inline paddr_t virt_to_phys(const void *v)
{
    return (paddr_t)v - DIRECT_MAP_BASE;
}

paddr_t image_to_phys(const void *v); /* of a symbol of the kernel image */

/* ---- start ------------------------------------------------------------------------------- */

/* The machine's entry code runs on the boot processor with a page table that maps the image and
 * enough of the direct map, fills in boot_info (boot.h), registers memory with
 * boot_memory_add/reserve (page.h) and calls kernel_main(), which calls these in the order of
 * the start-up levels in kernel/boot/main.c. */

/* Build the final kernel page table: image W^X, direct map of all memory in the largest pages,
 * and load it. Tables come from boot_alloc(). */
void arch_paging_init(void);
/* Allocate tables for the kernel half down to the level that every mm copies, so that a later
 * kernel mapping is seen by all without copying. Included in arch_paging_init(). */

/* Descriptor tables, trap vectors, per-CPU registers, FPU, protection bits (SMEP, SMAP, SUM, NX,
 * FSGSBASE ...) of the calling processor. The boot processor first, each other in its turn. */
void arch_cpu_init(struct cpu *cpu);
/* Interrupt controllers from ACPI or device tree; needs mm. Also finds cycles_hz. */
void arch_irq_init(void);
/* Count processors and record their hardware ids: returns how many (<= MAX_CPUS, and `maxcpus=`). */
unsigned arch_smp_discover(void);
/* Start processor cpu; it runs on cpu->idle's stack and calls secondary_main(cpu). Returns 0 once
 * it was kicked (cpu->online tells when it is up), or -EIO. */
int arch_smp_start(struct cpu *cpu);

/* The counter arch_cycles() in Hz; valid after arch_irq_init(). */
u64 arch_cycles_hz(void);
/* Seconds and nanoseconds since 1970 from the battery clock: 0, or -ENODEV. */
int arch_wall_clock(u64 *ns);
/* Up to 8 bytes of hardware or firmware randomness. Returns whether there was any. */
bool arch_random(u64 *out);
/* Find what is machine-specific to find: UARTs, PCI hosts, RTC; registers them with the drivers in
 * kernel/dev (uart_add(), pci_host_add()). */
void arch_devices_init(void);

void arch_power_off(void) __noreturn;
void arch_reset(void) __noreturn;
void arch_halt(void) __noreturn; /* this processor, for ever, interrupts off */

/* ---- processors and interrupts ------------------------------------------------------------- */

enum ipi { IPI_RESCHEDULE, IPI_CALL, IPI_STOP, IPI_COUNT };
/* => any context. The target's handler calls ipi_handle(kind) (smp.h) with interrupts off. */
void arch_ipi_send(unsigned cpu, enum ipi kind);

/* Interrupt lines (irq.h): a number names a line of the controller (x86: GSI, then MSI vectors
 * allocated by arch_msi_alloc; RISC-V: PLIC source). The arch's interrupt entry calls
 * irq_dispatch(line) between irq_enter() and irq_exit(). */
int arch_irq_enable(unsigned line, bool level_triggered, bool active_low);
void arch_irq_disable(unsigned line);
/* A message-signalled interrupt: fills in address and data. Returns the line, or -ENOSYS. */
int arch_msi_alloc(u64 *address, u32 *data);

/* One-shot timer interrupt of this CPU at the time arch_cycles() reaches deadline (at once if it
 * has passed); UINT64_MAX disarms. The handler calls timer_interrupt() (time.h). => interrupts off */
void arch_timer_set(u64 deadline_cycles);

/* ---- address spaces ------------------------------------------------------------------------ */

/* A new top-level table: user half empty, kernel half that of the kernel. root: one zeroed page. */
void arch_page_table_init(pte_t *root);
paddr_t arch_kernel_page_table(void);
/* Load a page table (physical address of its root) on this CPU. => interrupts or preemption off */
void arch_page_table_load(paddr_t root);
/* Flush this CPU's translations. Flushes across CPUs are kernel/mm/tlb.c's. */
void arch_tlb_flush_page(vaddr_t va);
void arch_tlb_flush_user(void); /* all that is not global */
void arch_tlb_flush_all(void);  /* global ones too */
/* Flush [start, end) of user space (end - start may be all of it) on the CPUs in mask, not
 * including this one, and wait for it. => interrupts on or off, never with a spinlock that the
 * targets may spin on with interrupts off */
void arch_tlb_flush_remote(const cpumask_t *mask, vaddr_t start, vaddr_t end);
/* Make code that was written to memory visible to instruction fetch on all CPUs (fence.i). */
void arch_icache_sync(void);

/* ---- threads --------------------------------------------------------------------------------- */

/* Let the first arch_switch() to thread call schedule_tail(prev), then entry(arg), on its kernel
 * stack, with interrupts off and preempt_count 1: entry turns both on. It must not return. */
void arch_thread_start_kernel(struct thread *thread, void (*entry)(void *), void *arg);
/* Let the first switch to child run schedule_tail(prev), set preempt_count to 0, and return to
 * user mode (user_return_work() first, if there is work) with a copy of the parent's frame, where the system call returns 0. sp != 0: with that stack pointer;
 * set_tls: with that TLS register. Copies the FPU state. Returns 0 or -ENOMEM. */
int arch_thread_fork(struct thread *child, struct thread *parent, const struct trap_frame *frame,
                     vaddr_t sp, bool set_tls, vaddr_t tls);
/* Free what arch_thread holds (FPU area). */
void arch_thread_free(struct thread *thread);
/* Save prev's registers, load next's (FPU, TLS, kernel stack too). Returns, on next's stack and
 * later, the thread that was switched away from. => interrupts off, run queue lock held */
struct thread *arch_switch(struct thread *prev, struct thread *next);
/* The user frame at the top of a thread's kernel stack. Kernel threads have room for one also. */
struct trap_frame *thread_frame(struct thread *thread);
/* Reset registers, FPU and TLS for a new program that starts at entry with stack sp. */
void arch_exec_start(struct trap_frame *frame, vaddr_t entry, vaddr_t sp);
/* From a kernel thread that has called exec: go to user mode with thread_frame(current). */
void arch_enter_user(void) __noreturn;

/* ---- traps and signals ---------------------------------------------------------------------- */

bool frame_is_user(const struct trap_frame *frame);
vaddr_t frame_pc(const struct trap_frame *frame);
vaddr_t frame_sp(const struct trap_frame *frame);
void frame_set_pc(struct trap_frame *frame, vaddr_t pc); /* pc < USER_END; of a user frame */
/* If the instruction at the frame's pc is listed in the exception table (a user copy), continue at
 * its fix-up and return true. */
bool frame_fixup(struct trap_frame *frame);
/* The kernel was in a user copy: user memory was open to it. A fault on a user address anywhere else
 * in the kernel is a bug. => a frame of the kernel */
bool frame_in_user_copy(const struct trap_frame *frame);

/* System call state in a user frame. number is -1 if the frame was not made by a system call. */
long frame_syscall(const struct trap_frame *frame);
/* The same while the call is in progress, of a thread that sleeps or of the current one, with the
 * arguments. */
long thread_syscall(struct thread *thread, unsigned long args[6]);
long frame_result(const struct trap_frame *frame);
void frame_set_result(struct trap_frame *frame, long result);
void frame_args(const struct trap_frame *frame, unsigned long args[6]);
/* Go back to the system call instruction with the original arguments. */
void frame_restart(struct trap_frame *frame);
/* The same, but with system call restart_syscall(2). */
void frame_restart_block(struct trap_frame *frame);
/* Forget that the frame came from a system call (so that nothing is restarted twice). */
void frame_end_syscall(struct trap_frame *frame);

/* Push Linux's rt signal frame for this machine on the user stack (or at `stack` if altstack is in
 * use: sp is the address to grow down from), with siginfo, ucontext (mask to restore, FPU/vector
 * state) and set the frame to run the handler. Returns 0, or -EFAULT (the caller forces SIGSEGV). */
struct signal_delivery;
int arch_signal_push(struct trap_frame *frame, const struct signal_delivery *delivery);
/* rt_sigreturn: restore frame and FPU from the user's signal frame; gives back the mask and the
 * alternate stack recorded in it. Returns 0 or -EFAULT. Checks everything that user space could
 * have forged. */
struct signal_restore;
int arch_signal_return(struct trap_frame *frame, struct signal_restore *restore);

/* ---- debuggers ------------------------------------------------------------------------------------ */

/* Let all system calls of a thread take the slow way, by ptrace_syscall_enter(), or no longer. */
void arch_hold_syscalls(struct thread *thread, bool hold);
/* The current thread stops for its tracer: note in t->tracee what of its registers the frame has not,
 * and put it back when it goes on, as the tracer has left it. */
void arch_tracee_save(struct thread *t);
void arch_tracee_load(struct thread *t);
size_t arch_vectors_size(void); /* of t->tracee->vectors, bytes; aligned to 64 */
/* Stop a stopped thread after each instruction in user mode, or no longer. False: no machine for it. */
bool arch_single_step(struct thread *t, bool on);
bool arch_is_stepping(const struct thread *t);
/* child is a copy of the current one, which may be stepping. */
void arch_forget_stepping(struct thread *child);
/* Registers of a stopped thread as core files and PTRACE_GETREGSET have them. type: NT_*; the size is
 * 0 if there is no such set. set: the first n bytes, a multiple of 8. 0 or -errno */
size_t arch_regset_size(unsigned type);
void arch_regset_get(struct thread *t, unsigned type, void *buffer);
int arch_regset_set(struct thread *t, unsigned type, const void *buffer, size_t n);
/* Sets besides NT_PRSTATUS that a core file has, with the notes' owner; ends with a NULL name. */
struct core_note {
    unsigned type;
    const char *name;
};
extern const struct core_note arch_core_notes[];
/* Requests that only this machine has (PTRACE_PEEKUSR, PTRACE_GETREGS ...): -EIO if unknown. */
long arch_ptrace(struct thread *t, long request, unsigned long address, unsigned long data);

/* Print registers of a frame through printk. */
void arch_print_frame(const struct trap_frame *frame);
/* One step of a stack walk by frame pointers: gives the return address and the next frame pointer.
 * Stays within the thread's kernel stack (or the interrupt/exception stacks); false at its end. */
struct stack_walk {
    vaddr_t frame_pointer, pc;
    const struct thread *thread; /* whose stack it is */
    vaddr_t caller; /* of the innermost function, where it may be in a register alone; or 0 */
};
void arch_stack_walk_start(struct stack_walk *walk, const struct trap_frame *frame /* or NULL */);
/* Of a thread that sleeps and stays so: pc is where it called the scheduler. */
void arch_stack_walk_sleeper(struct stack_walk *walk, const struct thread *thread);
bool arch_stack_walk_next(struct stack_walk *walk);

/* ---- user memory: use <vellum/uaccess.h> ------------------------------------------------------ */

/* Copy n bytes between kernel and user memory (either direction), faults fixed up. Ranges have been
 * checked. Returns the number of bytes not copied. */
size_t arch_copy_user(void *to, const void *from, size_t n);
size_t arch_clear_user(void *to, size_t n);
/* Copy a string of at most n bytes, the zero included. Returns its length without the zero, n if
 * there is none, or -EFAULT. */
ssize_t arch_copy_user_string(char *to, const char *from, size_t n);
/* One aligned or unaligned 1/2/4/8-byte access, inline in <arch/machine.h>:
 *   int arch_get_user_{8,16,32,64}(uN *value, const void *from);  int arch_put_user_N(uN value, void *to);
 *   int arch_cmpxchg_user_32(u32 *uaddr, u32 old, u32 new, u32 *seen);  0 or -EFAULT */

/* Whole frames, the widest stores the processor recommends. */
void arch_clear_page(void *page);
void arch_copy_page(void *to, const void *from);

/* ---- telling user space ------------------------------------------------------------------------ */

u64 arch_hwcap(void);  /* AT_HWCAP */
u64 arch_hwcap2(void); /* AT_HWCAP2 */
/* AT_MINSIGSTKSZ */
size_t arch_signal_frame_size(void);
/* The vDSO image (page aligned, in the kernel image) that exec maps behind the vvar page. */
extern const char vdso_start[], vdso_end[];
/* Where a processor is: numbers of its package, of its core in that, of itself in the core. */
struct cpu_topology {
    unsigned package, core, thread;
};
void arch_cpu_topology(const struct cpu *cpu, struct cpu_topology *t);
/* The index-th cache that a processor uses, the nearest first; false: there are no more known. */
struct cpu_cache {
    unsigned level;
    enum { CACHE_DATA, CACHE_INSTRUCTION, CACHE_UNIFIED } type;
    u64 size;                       /* bytes */
    unsigned line_size, ways, sets; /* ways, sets: 0 if not known */
    cpumask_t shared;               /* the processors that use it */
};
bool arch_cpu_cache(const struct cpu *cpu, unsigned index, struct cpu_cache *cache);
void arch_show_cpuinfo(struct seq_file *m, struct cpu *cpu); /* a paragraph of /proc/cpuinfo */

#endif
