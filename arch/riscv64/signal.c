/* SPDX-License-Identifier: MIT */
/*
 * Signal frames, as Linux has them on RISC-V (its struct rt_sigframe):
 *
 *     sp -> siginfo                 a1 points here
 *           ucontext                a2
 *             flags, link, stack, mask
 *             sigcontext            registers, then 528 bytes for the floating-point state, of which
 *                                   32 registers of 8 bytes and fcsr are used, the rest zero
 *
 * The handler returns to the vDSO's __vdso_rt_sigreturn, which is the vDSO's ELF entry point.
 */
#include "machine.h"
#include <linux/elf.h>
#include <vellum/error.h>
#include <vellum/mm.h>
#include <vellum/process.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <vellum/string.h>
#include <vellum/uaccess.h>

struct signal_frame {
    siginfo_t info;
    struct ucontext context;
};

#define STACK_ALIGN 16

size_t arch_signal_frame_size(void)
{
    return ALIGN_UP(sizeof(struct signal_frame), STACK_ALIGN);
}

/* Registers that were never used are zero, as a program finds them. */
static int push_fpu(union __riscv_fp_state __user *to)
{
    struct __riscv_d_ext_state __user *d = &to->d;

    if (!current->arch.fpu_used)
        return clear_user(to, sizeof(*to)) ? -EFAULT : 0;
    fpu_save_current();
    if (copy_to_user(d, &current->arch.fpu, sizeof(*d)) ||
        clear_user((char __user *)to + sizeof(*d), sizeof(*to) - sizeof(*d)))
        return -EFAULT;
    return 0;
}

int arch_signal_push(struct trap_frame *frame, const struct signal_delivery *delivery)
{
    struct signal_frame __user *to =
        (struct signal_frame __user *)ALIGN_DOWN(delivery->sp - sizeof(*to), STACK_ALIGN);
    const Elf64_Ehdr *vdso = (const Elf64_Ehdr *)vdso_start;
    struct ucontext head = {
        .uc_stack = delivery->altstack,
        .uc_sigmask.sig = {delivery->mask},
    };

    if (!current->mm->vdso || copy_to_user(&to->info, &delivery->info, sizeof(to->info)) ||
        copy_to_user(&to->context, &head, offsetof(struct ucontext, uc_mcontext)) ||
        copy_to_user(&to->context.uc_mcontext.sc_regs, &frame->regs, sizeof(frame->regs)) ||
        push_fpu(&to->context.uc_mcontext.sc_fpregs))
        return -EFAULT;
    frame->regs.ra = current->mm->vdso + vdso->e_entry;
    frame->regs.pc = delivery->action.handler;
    frame->regs.sp = (vaddr_t)to;
    frame->regs.a0 = (unsigned long)delivery->signo;
    frame->regs.a1 = (vaddr_t)&to->info;
    frame->regs.a2 = (vaddr_t)&to->context;
    return 0;
}

/* The reserved words behind fcsr must be zero, lest they come to mean something. */
static int restore_fpu(const union __riscv_fp_state __user *from)
{
    union __riscv_fp_state state;
    const u8 *rest = (const u8 *)&state.q.reserved;

    if (copy_from_user(&state, from, sizeof(state)))
        return -EFAULT;
    for (unsigned i = 0; i < sizeof(state.q.reserved); i++)
        if (rest[i])
            return -EFAULT;
    if (!current->arch.fpu_used && isa_has("d")) {
        const u64 *words = (const u64 *)&state.d;
        u64 any = 0;

        for (unsigned i = 0; i < sizeof(state.d) / 8; i++)
            any |= words[i];
        if (any == 0)
            return 0; /* still not used */
    }
    if (isa_has("d"))
        fpu_replace_current(&state.d);
    return 0;
}

int arch_signal_return(struct trap_frame *frame, struct signal_restore *restore)
{
    const struct signal_frame __user *from = (const struct signal_frame __user *)frame->regs.sp;
    struct user_regs_struct regs;
    struct ucontext head;

    if (frame->regs.sp % STACK_ALIGN ||
        copy_from_user(&head, &from->context, offsetof(struct ucontext, uc_mcontext)) ||
        copy_from_user(&regs, &from->context.uc_mcontext.sc_regs, sizeof(regs)) ||
        restore_fpu(&from->context.uc_mcontext.sc_fpregs))
        return -EFAULT;
    frame->regs = regs;
    frame_end_syscall(frame);
    restore->mask = head.uc_sigmask.sig[0];
    restore->altstack = head.uc_stack;
    return 0;
}
