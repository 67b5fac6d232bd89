/* SPDX-License-Identifier: MIT */
/*
 * What the machine's trap code hands on: page faults and other exceptions.
 *
 *     from user mode      a page fault is resolved by mm, or becomes SIGSEGV or SIGBUS;
 *                         other exceptions become their signal
 *     from kernel mode    a fault on a user address in a user copy is resolved in the same way, or
 *                         the copy is made to fail (EFAULT); all else is a bug: oops()
 */
#include "internal.h"
#include <vellum/format.h>
#include <vellum/mm.h>
#include <vellum/printk.h>
#include <vellum/symbols.h>

#define OOM_ROUNDS 10

/* ---- bugs of the kernel ---------------------------------------------------------------------------- */

/* Which stack page a fault hit decides what it is called. */
static bool in_stack_guard(vaddr_t address)
{
    vaddr_t stack = current->stack;

    return stack && address < stack && address >= stack - PAGE_SIZE;
}

void oops(struct trap_frame *frame, const char *cause, vaddr_t address)
{
    static int depth; /* an oops within an oops only says so much */
    struct thread *t = current;
    struct process *p = t->process;
    bool fatal;

    if (__atomic_add_fetch(&depth, 1, __ATOMIC_SEQ_CST) > 2)
        arch_halt();
    if (in_stack_guard(address))
        cause = "kernel stack overflow";
    fatal = !p || p == init_process || t->preempt_count || this_cpu()->irq_depth ||
            in_stack_guard(address) || __atomic_load_n(&depth, __ATOMIC_RELAXED) > 1;
    printk(LOG_EMERG, "oops: %s, address 0x%016lx", cause, (unsigned long)address);
    printk(LOG_EMERG, "cpu %u, %s %d (%s)", this_cpu()->id, p ? "process" : "kernel thread", t->tid,
           t->comm);
    arch_print_frame(frame);
    print_backtrace(frame);
    if (fatal)
        panic("fatal exception: %s", cause);
    __atomic_sub_fetch(&depth, 1, __ATOMIC_SEQ_CST);
    irq_enable();
    process_exit_group(SIGKILL);
}

/* ---- page faults ------------------------------------------------------------------------------------- */

static void kernel_fault(struct trap_frame *frame, vaddr_t address, u32 access)
{
    const char *what = access & ACCESS_EXEC ? "execute" : access & ACCESS_WRITE ? "write" : "read";
    char cause[48];

    if (frame_fixup(frame))
        return;
    snprintf(cause, sizeof(cause), "page fault: %s%s", what,
             access & ACCESS_PRESENT ? ", page present" : "");
    oops(frame, address < PAGE_SIZE ? "null pointer" : cause, address);
}

static void send_fault(vaddr_t address, int outcome)
{
    switch (outcome) {
    case FAULT_MAPERR:
        signal_fault(SIGSEGV, SEGV_MAPERR, address);
        break;
    case FAULT_ACCERR:
        signal_fault(SIGSEGV, SEGV_ACCERR, address);
        break;
    case FAULT_BUS:
        signal_fault(SIGBUS, BUS_ADRERR, address);
        break;
    case FAULT_OOM: /* taken again, unless it was us who had to go, or nobody could */
        if (!out_of_memory(0)) {
            pr_err("Out of memory: no other process to kill than %d (%s)", current->process->pid,
                   current->comm);
            signal_send_process(current->process, SIGKILL, NULL);
        }
        break;
    }
}

void trap_page_fault(struct trap_frame *frame, vaddr_t address, u32 access)
{
    struct thread *t = current;
    bool user = access & ACCESS_USER;
    int outcome;

    if (unlikely(address >= USER_END || !t->mm)) {
        if (user)
            signal_fault(SIGSEGV, SEGV_MAPERR, address);
        else
            kernel_fault(frame, address, access);
        return;
    }
    if (unlikely(!user && (t->nofault || t->preempt_count || this_cpu()->irq_depth ||
                           !frame_in_user_copy(frame)))) {
        kernel_fault(frame, address, access);
        return;
    }
    irq_enable();
    outcome = page_fault(address, access);
    if (likely(outcome == FAULT_OK))
        return;
    /* A copy cannot be taken again for ever: its caller may hold what the others wait for. */
    for (int i = 0; outcome == FAULT_OOM && !user && i < OOM_ROUNDS && !fatal_signal_pending() &&
                    out_of_memory(0);
         i++)
        outcome = page_fault(address, access);
    if (outcome == FAULT_OK)
        return;
    if (user)
        send_fault(address, outcome);
    else
        kernel_fault(frame, address, access);
}

void trap_exception(struct trap_frame *frame, int signo, int code, vaddr_t address,
                    const char *what)
{
    if (frame_is_user(frame)) {
        signal_fault(signo, code, address);
        return;
    }
    if (!frame_fixup(frame))
        oops(frame, what, address);
}
