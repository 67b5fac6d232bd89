/* SPDX-License-Identifier: MIT */
/*
 * What a debugger sees and changes of a stopped thread (ptrace(2)): the registers of the user frame,
 * which is whole while a thread is stopped, and those for floating point. The machine has no way to
 * stop after one instruction, nor has Linux there: debuggers plant breakpoints instead.
 */
#include "machine.h"
#include <vellum/error.h>
#include <vellum/ptrace.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <linux/elf.h>

void arch_hold_syscalls(struct thread *thread, bool hold)
{
    WRITE_ONCE(thread_frame(thread)->syscall_limit, hold ? 0 : SYSCALL_MAX);
}

size_t arch_vectors_size(void)
{
    return sizeof(struct __riscv_d_ext_state);
}

/* Registers that were never used are zero, as a program finds them. */
void arch_tracee_save(struct thread *t)
{
    if (t->arch.fpu_used) {
        fpu_save_current();
        memcpy(t->tracee->vectors, &t->arch.fpu, sizeof(t->arch.fpu));
    } else {
        memset(t->tracee->vectors, 0, sizeof(t->arch.fpu));
    }
}

void arch_tracee_load(struct thread *t)
{
    if (!t->tracee->vectors_changed || !isa_has("d"))
        return;
    fpu_replace_current((const struct __riscv_d_ext_state *)t->tracee->vectors);
}

bool arch_single_step(struct thread *t, bool on)
{
    return !on;
}

bool arch_is_stepping(const struct thread *t)
{
    return false;
}

void arch_forget_stepping(struct thread *child)
{
}

const struct core_note arch_core_notes[] = {{NT_PRFPREG, "CORE"}, {0}};

size_t arch_regset_size(unsigned type)
{
    switch (type) {
    case NT_PRSTATUS:
        return sizeof(struct user_regs_struct);
    case NT_PRFPREG:
        return sizeof(struct __riscv_d_ext_state);
    default:
        return 0;
    }
}

void arch_regset_get(struct thread *t, unsigned type, void *buffer)
{
    if (type == NT_PRSTATUS)
        memcpy(buffer, &thread_frame(t)->regs, sizeof(struct user_regs_struct));
    else
        memcpy(buffer, t->tracee->vectors, sizeof(struct __riscv_d_ext_state));
}

/* a7 is the system call's number: at its entry another one can be chosen. */
int arch_regset_set(struct thread *t, unsigned type, const void *buffer, size_t n)
{
    struct trap_frame *frame = thread_frame(t);

    if (type == NT_PRSTATUS) {
        memcpy(&frame->regs, buffer, n);
        if (frame->syscall >= 0)
            frame->syscall = (long)frame->regs.a7;
    } else {
        memcpy(t->tracee->vectors, buffer, n);
        t->tracee->vectors_changed = true;
    }
    return 0;
}

long arch_ptrace(struct thread *t, long request, unsigned long address, unsigned long data)
{
    return -EIO;
}
