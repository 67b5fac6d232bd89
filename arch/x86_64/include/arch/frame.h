/* SPDX-License-Identifier: MIT */
/*
 * Registers: of user mode (or of interrupted kernel code), and what a thread that does not run
 * keeps of the machine.
 *
 * The top of a kernel stack, seen from above: the vector state that XSAVE writes, as large as the
 * processor wants it (fpu_area_size); a struct syscall_gate; then the frame of user mode; then
 * what the kernel's functions push.
 */
#ifndef ARCH_FRAME_H
#define ARCH_FRAME_H

#include <vellum/compiler.h>

/* In the order in which entry.S pushes them; the last five are pushed by the processor. */
struct trap_frame {
    u64 r15, r14, r13, r12, rbp, rbx;
    u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 number; /* of the system call; negative: FRAME_TRAP(), or -1 (interrupts) */
    u64 rip, cs, eflags, rsp, ss;
};

/* frame->number of an exception; error is -1 if it has no error code. */
#define FRAME_TRAP(vector, error) (1UL << 63 | (u64)(vector) << 32 | (u32)(error))

struct arch_thread {
    vaddr_t sp;           /* [t] where the switched-out thread's registers lie */
    u64 fs_base, gs_base; /* [t] user's; in the registers while the thread runs */
    struct cpu *fpu_cpu;  /* [t] where its vector state was last in registers */
    s8 user; /* [t] nonzero: has a user mode, vector state and the two bases; negative: and debug
              * registers, in tracee->arch */
};

/* What a traced thread has besides, while it is stopped. */
struct arch_tracee {
    u64 fs_base, gs_base;
    u64 debug[8];             /* DR0 to DR7: 4 and 5 are not there, 6 is what the last traps said */
    bool stepping, forced_tf; /* forced: the program itself has not set TF */
};

#endif
