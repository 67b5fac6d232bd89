/* SPDX-License-Identifier: MIT */
/* What entry.S and boot.S know of C structures. */
#include <vellum/boot.h>
#include <vellum/offsets.h>
#include <vellum/syscall.h>
#include <vellum/thread.h>

void offsets(void);
void offsets(void)
{
    OFFSET(FRAME_RAX, struct trap_frame, rax);
    OFFSET(FRAME_RCX, struct trap_frame, rcx);
    OFFSET(FRAME_RDX, struct trap_frame, rdx);
    OFFSET(FRAME_RSI, struct trap_frame, rsi);
    OFFSET(FRAME_RDI, struct trap_frame, rdi);
    OFFSET(FRAME_R8, struct trap_frame, r8);
    OFFSET(FRAME_R9, struct trap_frame, r9);
    OFFSET(FRAME_R10, struct trap_frame, r10);
    OFFSET(FRAME_R11, struct trap_frame, r11);
    OFFSET(FRAME_NUMBER, struct trap_frame, number);
    OFFSET(FRAME_RIP, struct trap_frame, rip);
    OFFSET(FRAME_CS, struct trap_frame, cs);
    OFFSET(FRAME_EFLAGS, struct trap_frame, eflags);
    OFFSET(FRAME_RSP, struct trap_frame, rsp);
    CONSTANT(FRAME_SIZE, sizeof(struct trap_frame));
    CONSTANT(GATE_LIMIT, sizeof(struct trap_frame)); /* struct syscall_gate is above the frame */
    OFFSET(CPU_THREAD, struct cpu, thread);
    OFFSET(CPU_KERNEL_STACK, struct cpu, kernel_stack);
    OFFSET(CPU_SCRATCH, struct cpu, scratch);
    OFFSET(THREAD_WORK, struct thread, work);
    OFFSET(THREAD_PREEMPT_COUNT, struct thread, preempt_count);
    OFFSET(THREAD_SP, struct thread, arch.sp);
    CONSTANT(SYSCALLS, SYSCALL_MAX);
}
