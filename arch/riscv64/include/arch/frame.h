/* SPDX-License-Identifier: MIT */
/*
 * Saved registers.
 */
#ifndef VELLUM_ARCH_FRAME_H
#define VELLUM_ARCH_FRAME_H

#include <asm/ptrace.h>
#include <vellum/compiler.h>

/*
 * What a trap saves. A user frame stands at the top of the thread's kernel stack. While the kernel
 * works for the user its callee-saved registers (s0 .. s11, gp) are still in the processor: entry.S
 * writes them to the frame only when somebody will look at or change it, that is around
 * user_return_work(), clone, exec and sigreturn.
 */
struct trap_frame {
    struct user_regs_struct regs; /* pc, ra, sp, ... in Linux's order */
    unsigned long status;         /* sstatus; of a user frame always SPIE alone */
    unsigned long argument;       /* a0 as the system call found it */
    long syscall;                 /* number, or -1: valid while the frame is whole, as above */
    unsigned long cause, address; /* scause, stval: of exceptions taken in the kernel */
    struct thread *thread;        /* whose it is; a user frame has it always */
    /* Of a user frame: numbers from here on take the slow way. SYSCALL_MAX, or 0 if a debugger wants to
     * see all. */
    unsigned long syscall_limit;
    /* Of a trap in the kernel: looks like what a called function pushes, for backtraces. */
    unsigned long caller_frame_pointer, caller_pc;
};

/* What a traced thread has besides: nothing. */
struct arch_tracee {
};

struct arch_thread {
    unsigned long sp; /* of a thread that does not run: its saved registers (entry.S) */
    bool fpu_used;    /* has touched a floating-point register since exec */
    unsigned fpu_cpu; /* number + 1 of the CPU whose registers are the same as fpu, or 0 */
    struct __riscv_d_ext_state fpu; /* valid unless sstatus.FS says dirty */
};

#endif
