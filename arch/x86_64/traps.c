/* SPDX-License-Identifier: MIT */
/*
 * Exceptions: what each vector means to the program that raised it, as Linux reports it.
 *
 * The page fault is the first hop of four: this file decodes why, trap_page_fault() finds out for
 * whom, page_fault() what the address means, and kernel/mm/fault.c what to do.
 */
#include <arch/x86.h>
#include <vellum/mm.h>
#include <vellum/printk.h>
#include <vellum/process.h>
#include <vellum/signal.h>
#include <vellum/symbols.h>

enum {
    X86_DE,
    X86_DB,
    X86_NMI,
    X86_BP,
    X86_OF,
    X86_BR,
    X86_UD,
    X86_NM,
    X86_DF,
    X86_TS = 10,
    X86_NP,
    X86_SS,
    X86_GP,
    X86_PF,
    X86_MF = 16,
    X86_AC,
    X86_MC,
    X86_XM,
};

/* Error code of a page fault. */
enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RESERVED = 8, PF_FETCH = 16 };

/* The simple ones. si_addr: of the instruction, or 0 where Linux gives none. */
static const struct {
    const char *name;
    int signo, code;
    bool address;
} exceptions[32] = {
    [X86_DE] = {"divide error", SIGFPE, FPE_INTDIV, true},
    [X86_BP] = {"breakpoint", SIGTRAP, SI_KERNEL, false},
    [X86_OF] = {"overflow", SIGSEGV, SI_KERNEL, false},
    [X86_BR] = {"bound range exceeded", SIGSEGV, SI_KERNEL, false},
    [X86_UD] = {"invalid opcode", SIGILL, ILL_ILLOPN, true},
    [X86_NM] = {"device not available", SIGSEGV, SI_KERNEL, false},
    [X86_TS] = {"invalid TSS", SIGSEGV, SI_KERNEL, false},
    [X86_NP] = {"segment not present", SIGBUS, SI_KERNEL, false},
    [X86_SS] = {"stack segment fault", SIGBUS, SI_KERNEL, false},
    [X86_GP] = {"general protection fault", SIGSEGV, SI_KERNEL, false},
    [X86_AC] = {"alignment check", SIGBUS, BUS_ADRALN, false},
};

/* ---- the table of instructions that may fault -------------------------------------------------------- */

struct exception_entry {
    s32 from, to; /* relative to the field itself */
};
extern struct exception_entry exception_table_start[], exception_table_end[];

static u64 entry_from(const struct exception_entry *e)
{
    return (u64)&e->from + e->from;
}

static u64 entry_to(const struct exception_entry *e)
{
    return (u64)&e->to + e->to;
}

static __init void entry_set(struct exception_entry *e, u64 from, u64 to)
{
    e->from = (s32)(from - (u64)&e->from);
    e->to = (s32)(to - (u64)&e->to);
}

/* Shell sort, once; => the table is still writable */
__init void sort_exception_table(void)
{
    struct exception_entry *e = exception_table_start;
    size_t n = exception_table_end - e;

    for (size_t gap = n / 2; gap > 0; gap /= 2)
        for (size_t i = gap; i < n; i++)
            for (size_t j = i; j >= gap && entry_from(&e[j - gap]) > entry_from(&e[j]); j -= gap) {
                u64 from = entry_from(&e[j]), to = entry_to(&e[j]);

                entry_set(&e[j], entry_from(&e[j - gap]), entry_to(&e[j - gap]));
                entry_set(&e[j - gap], from, to);
            }
}

/* The entry for an address, or NULL. */
static const struct exception_entry *entry_find(u64 rip)
{
    size_t low = 0, high = exception_table_end - exception_table_start;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        u64 from = entry_from(&exception_table_start[middle]);

        if (from == rip)
            return &exception_table_start[middle];
        if (from < rip)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool frame_fixup(struct trap_frame *frame)
{
    const struct exception_entry *entry = entry_find(frame->rip);

    if (entry)
        frame->rip = entry_to(entry);
    return entry != NULL;
}

bool frame_in_user_copy(const struct trap_frame *frame)
{
    return x86.smap ? frame->eflags & EFLAGS_AC : entry_find(frame->rip) != NULL;
}

/* ---- floating point ------------------------------------------------------------------------------------ */

/* Of the unmasked exceptions, x87 and SSE have them in the same bits, the one that Linux reports. */
static int fpe_code(unsigned flags)
{
    enum { INVALID = 1, DENORMAL = 2, ZERO_DIVIDE = 4, OVERFLOW = 8, UNDERFLOW = 16, INEXACT = 32 };

    if (flags & INVALID)
        return FPE_FLTINV;
    if (flags & ZERO_DIVIDE)
        return FPE_FLTDIV;
    if (flags & OVERFLOW)
        return FPE_FLTOVF;
    if (flags & (DENORMAL | UNDERFLOW))
        return FPE_FLTUND;
    return flags & INEXACT ? FPE_FLTRES : 0;
}

static void floating_point(struct trap_frame *frame, unsigned vector)
{
    u16 status, control;
    u32 mxcsr;
    int code;

    if (vector == X86_MF) {
        __asm__ volatile("fnstsw %0; fnstcw %1" : "=m"(status), "=m"(control));
        code = fpe_code(status & ~control);
    } else {
        __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
        code = fpe_code(mxcsr & ~(mxcsr >> 7));
    }
    trap_exception(frame, SIGFPE, code, frame->rip,
                   vector == X86_MF ? "x87 exception" : "SIMD exception");
}

/* ---- debug traps and those with stacks of their own -------------------------------------------------------- */

static void debug_trap(struct trap_frame *frame)
{
    u64 dr6;

    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    __asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0UL));
    if (!frame_is_user(frame)) {
        frame->eflags &= ~EFLAGS_TF; /* nothing in the kernel asks for it */
        return;
    }
    debug_registers_hit(frame, dr6);
    irq_enable();
    trap_exception(frame, SIGTRAP,
                   dr6 & BIT(14) ? TRAP_TRACE
                   : dr6 & 15    ? TRAP_HWBKPT
                                 : TRAP_BRKPT,
                   frame->rip, "debug trap");
}

static void double_fault(struct trap_frame *frame)
{
    vaddr_t guard = current->stack - PAGE_SIZE, address = read_cr2();
    bool overflow = address - guard < PAGE_SIZE || frame->rsp - guard < PAGE_SIZE;

    printk(LOG_EMERG, "%s: thread %d (%s), stack %016lx - %016lx, address %016lx",
           overflow ? "kernel stack overflow" : "double fault", current->tid, current->comm,
           (unsigned long)current->stack, (unsigned long)current->stack + KERNEL_STACK_SIZE,
           (unsigned long)address);
    arch_print_frame(frame);
    print_backtrace(frame);
    panic(overflow ? "kernel stack overflow" : "double fault");
}

static void nmi(void)
{
    static u64 count;

    if (count++ == 0)
        pr_err("NMI for an unknown reason on processor %u", this_cpu()->id);
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static void page_fault_vector(struct trap_frame *frame, u64 error)
{
    vaddr_t address = read_cr2();
    u32 access = 0;

    if (likely(frame->eflags & EFLAGS_IF))
        irq_enable();
    if (unlikely(error & PF_RESERVED)) {
        oops(frame, "page fault: reserved bit set in the page table", address);
        return;
    }
    if (error & PF_PRESENT)
        access |= ACCESS_PRESENT;
    if (error & PF_WRITE)
        access |= ACCESS_WRITE;
    if (likely(error & PF_USER)) {
        access |= ACCESS_USER;
    } else if (unlikely(frame->cs & 3) && address < USER_END) {
        /* The program's instruction, but not marked as its access: an emulator's far return reads the
         * stack as the kernel would, and no mapping makes that succeed. */
        signal_fault(SIGSEGV, error & PF_PRESENT ? SEGV_ACCERR : SEGV_MAPERR, address);
        return;
    }
    if (error & PF_FETCH)
        access |= ACCESS_EXEC;
    trap_page_fault(frame, address, access);
}

void handle_exception(unsigned vector, struct trap_frame *frame)
{
    u64 error = frame->number;

    frame->number = FRAME_TRAP(vector, error);
    if (likely(vector == X86_PF)) {
        page_fault_vector(frame, error);
        return;
    }
    switch (vector) {
    case X86_DB:
        debug_trap(frame);
        return;
    case X86_NMI:
        nmi();
        return;
    case X86_DF:
        double_fault(frame);
        return;
    case X86_MC:
        arch_print_frame(frame);
        panic("machine check");
    }
    if (frame->eflags & EFLAGS_IF)
        irq_enable();
    if (vector == X86_MF || vector == X86_XM)
        floating_point(frame, vector);
    else if (vector < 32 && exceptions[vector].name)
        trap_exception(frame, exceptions[vector].signo, exceptions[vector].code,
                       exceptions[vector].address ? frame->rip : 0, exceptions[vector].name);
    else
        trap_exception(frame, SIGSEGV, SI_KERNEL, 0, "reserved exception");
}

void arch_print_frame(const struct trap_frame *f)
{
    printk(LOG_EMERG, "rip %04lx:%016lx  rsp %04lx:%016lx  rflags %08lx", (unsigned long)f->cs,
           (unsigned long)f->rip, (unsigned long)f->ss, (unsigned long)f->rsp,
           (unsigned long)f->eflags);
    printk(LOG_EMERG, "rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx", (unsigned long)f->rax,
           (unsigned long)f->rbx, (unsigned long)f->rcx, (unsigned long)f->rdx);
    printk(LOG_EMERG, "rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx", (unsigned long)f->rsi,
           (unsigned long)f->rdi, (unsigned long)f->rbp, (unsigned long)f->r8);
    printk(LOG_EMERG, "r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx", (unsigned long)f->r9,
           (unsigned long)f->r10, (unsigned long)f->r11, (unsigned long)f->r12);
    printk(LOG_EMERG, "r13 %016lx  r14 %016lx  r15 %016lx", (unsigned long)f->r13,
           (unsigned long)f->r14, (unsigned long)f->r15);
    printk(LOG_EMERG, "cr2 %016lx  cr3 %016lx  cr4 %08lx", (unsigned long)read_cr2(),
           (unsigned long)read_cr3(), (unsigned long)read_cr4());
}
