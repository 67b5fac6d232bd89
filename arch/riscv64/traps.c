/* SPDX-License-Identifier: MIT */
/*
 * Traps, by scause (privileged specification 4.1.8). entry.S has saved the registers; interrupts
 * are off, and are off again when we return there.
 *
 * A page fault goes on as trap_page_fault() -> page_fault() -> the handler for its kind; every other
 * exception becomes a signal, a fix-up or an oops in trap_exception().
 */
#include "machine.h"
#include <vellum/irq.h>
#include <vellum/mm.h>
#include <vellum/printk.h>
#include <vellum/process.h>
#include <vellum/sched.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <asm/unistd.h>

struct exception {
    const char *name;
    int signo, code;
};

static const struct exception exceptions[] = {
    [CAUSE_FETCH_MISALIGNED] = {"instruction address misaligned", SIGBUS, BUS_ADRALN},
    [CAUSE_FETCH_ACCESS] = {"instruction access fault", SIGSEGV, SEGV_ACCERR},
    [CAUSE_ILLEGAL] = {"illegal instruction", SIGILL, ILL_ILLOPC},
    [CAUSE_BREAKPOINT] = {"breakpoint", SIGTRAP, TRAP_BRKPT},
    [CAUSE_LOAD_MISALIGNED] = {"load address misaligned", SIGBUS, BUS_ADRALN},
    [CAUSE_LOAD_ACCESS] = {"load access fault", SIGSEGV, SEGV_ACCERR},
    [CAUSE_STORE_MISALIGNED] = {"store address misaligned", SIGBUS, BUS_ADRALN},
    [CAUSE_STORE_ACCESS] = {"store access fault", SIGSEGV, SEGV_ACCERR},
    [CAUSE_USER_CALL] = {"environment call from user mode", SIGILL, ILL_ILLTRP},
    [CAUSE_SUPERVISOR_CALL] = {"environment call from supervisor mode", SIGILL, ILL_ILLTRP},
    [CAUSE_FETCH_PAGE] = {"instruction page fault", SIGSEGV, SEGV_MAPERR},
    [CAUSE_LOAD_PAGE] = {"load page fault", SIGSEGV, SEGV_MAPERR},
    [CAUSE_STORE_PAGE] = {"store page fault", SIGSEGV, SEGV_MAPERR},
};

static const struct exception *exception_of(u64 cause)
{
    static const struct exception unknown = {"unknown exception", SIGILL, ILL_ILLTRP};

    return cause < ARRAY_SIZE(exceptions) && exceptions[cause].name ? &exceptions[cause] : &unknown;
}

static void interrupt(u64 number, bool user)
{
    irq_enter();
    switch (number) {
    case INTERRUPT_SOFTWARE:
        ipi_received();
        break;
    case INTERRUPT_TIMER:
        timer_disarm();
        timer_interrupt(user);
        break;
    case INTERRUPT_EXTERNAL:
        irq_external();
        break;
    default:
        pr_err("interrupt %lu is nobody's", (unsigned long)number);
        csr_clear(sie, 1UL << number);
    }
    irq_exit();
}

static bool is_page_fault(u64 cause)
{
    return cause == CAUSE_LOAD_PAGE || cause == CAUSE_STORE_PAGE || cause == CAUSE_FETCH_PAGE;
}

static u32 access_of(u64 cause)
{
    return cause == CAUSE_STORE_PAGE ? ACCESS_WRITE : cause == CAUSE_FETCH_PAGE ? ACCESS_EXEC : 0;
}

/* The first use of a floating-point register since exec finds the unit off. */
static bool is_first_fpu_use(u64 cause)
{
    return cause == CAUSE_ILLEGAL && !current->arch.fpu_used && isa_has("d");
}

void trap_from_user(struct trap_frame *frame, u64 cause, vaddr_t address)
{
    const struct exception *e;

    if (cause & CAUSE_INTERRUPT) {
        interrupt(cause & ~CAUSE_INTERRUPT, true);
        return;
    }
    irq_enable();
    if (is_page_fault(cause)) {
        if (!paging_fix_accessed(address, access_of(cause)))
            trap_page_fault(frame, address, access_of(cause) | ACCESS_USER);
    } else if (is_first_fpu_use(cause)) {
        fpu_init_state();
    } else {
        e = exception_of(cause);
        trap_exception(frame, e->signo, e->code,
                       cause == CAUSE_ILLEGAL || cause == CAUSE_BREAKPOINT ? frame->regs.pc
                                                                           : address,
                       e->name);
    }
    irq_disable();
}

void trap_from_kernel(struct trap_frame *frame, u64 cause, vaddr_t address)
{
    const struct exception *e;

    if (cause & CAUSE_INTERRUPT) {
        interrupt(cause & ~CAUSE_INTERRUPT, false);
        preempt_irq();
        return;
    }
    if (frame->status & SR_SPIE)
        irq_enable();
    if (is_page_fault(cause)) {
        if (!paging_fix_accessed(address, access_of(cause)))
            trap_page_fault(frame, address, access_of(cause));
    } else if (!frame_fixup(frame)) {
        e = exception_of(cause);
        trap_exception(frame, e->signo, e->code, address, e->name);
    }
    irq_disable();
}

/* On the CPU's overflow stack. The thread's own is spent, and whoever waits for a lock it holds
 * would wait for ever: there is no way on. */
void trap_stack_overflow(struct trap_frame *frame, u64 cause, vaddr_t address)
{
    printk(LOG_EMERG, "kernel stack overflow: %s at 0x%lx, stack 0x%lx - 0x%lx",
           exception_of(cause)->name, (unsigned long)address, (unsigned long)current->stack,
           (unsigned long)current->stack + KERNEL_STACK_SIZE);
    arch_print_frame(frame);
    panic("kernel stack overflow");
}

/* ---- frames -------------------------------------------------------------------------------------- */

bool frame_is_user(const struct trap_frame *frame)
{
    return !(frame->status & SR_SPP);
}

vaddr_t frame_pc(const struct trap_frame *frame)
{
    return frame->regs.pc;
}

void frame_set_pc(struct trap_frame *frame, vaddr_t pc)
{
    frame->regs.pc = pc;
}

vaddr_t frame_sp(const struct trap_frame *frame)
{
    return frame->regs.sp;
}

/* An entry of the exception table, written by USER_FIXUP: offsets from the words themselves. */
struct exception_entry {
    s32 at, to;
};
extern const struct exception_entry exception_table_start[], exception_table_end[];

bool frame_fixup(struct trap_frame *frame)
{
    for (const struct exception_entry *e = exception_table_start; e < exception_table_end; e++)
        if ((vaddr_t)&e->at + (s64)e->at == frame->regs.pc) {
            frame->regs.pc = (vaddr_t)&e->to + (s64)e->to;
            return true;
        }
    return false;
}

bool frame_in_user_copy(const struct trap_frame *frame)
{
    return frame->status & SR_SUM;
}

long frame_syscall(const struct trap_frame *frame)
{
    return frame->syscall;
}

/* The entry code leaves the number where it was until the call has ended; that there is one, the return
 * address of the first function on the stack tells, which is behind the frame. */
long thread_syscall(struct thread *thread, unsigned long args[6])
{
    const struct trap_frame *frame = thread_frame(thread);
    vaddr_t from = ((const vaddr_t *)frame)[-1];

    frame_args(frame, args);
    if (from == (vaddr_t)whole_frame_call_return)
        return frame->syscall;
    args[0] = frame->regs.a0;
    return from == (vaddr_t)syscall_return ? (long)frame->regs.a7 : -1;
}

long frame_result(const struct trap_frame *frame)
{
    return (long)frame->regs.a0;
}

void frame_set_result(struct trap_frame *frame, long result)
{
    frame->regs.a0 = (unsigned long)result;
}

void frame_args(const struct trap_frame *frame, unsigned long args[6])
{
    args[0] = frame->argument;
    args[1] = frame->regs.a1;
    args[2] = frame->regs.a2;
    args[3] = frame->regs.a3;
    args[4] = frame->regs.a4;
    args[5] = frame->regs.a5;
}

void frame_restart(struct trap_frame *frame)
{
    frame->regs.a0 = frame->argument;
    frame->regs.pc -= 4; /* ecall has no short form */
}

void frame_restart_block(struct trap_frame *frame)
{
    frame_restart(frame);
    frame->regs.a7 = __NR_restart_syscall;
}

void frame_end_syscall(struct trap_frame *frame)
{
    frame->syscall = -1;
}

void arch_print_frame(const struct trap_frame *frame)
{
    const struct user_regs_struct *r = &frame->regs;

#define TWO(a, b)                                                                                  \
    printk(LOG_EMERG, "%4s %016lx %4s %016lx", #a, (unsigned long)r->a, #b, (unsigned long)r->b)
    TWO(pc, ra);
    TWO(sp, gp);
    TWO(tp, t0);
    TWO(t1, t2);
    TWO(s0, s1);
    TWO(a0, a1);
    TWO(a2, a3);
    TWO(a4, a5);
    TWO(a6, a7);
    TWO(s2, s3);
    TWO(s4, s5);
    TWO(s6, s7);
    TWO(s8, s9);
    TWO(s10, s11);
    TWO(t3, t4);
    TWO(t5, t6);
#undef TWO
    printk(LOG_EMERG, "sstatus %016lx scause %016lx stval %016lx", frame->status, frame->cause,
           frame->address);
}
