/* SPDX-License-Identifier: MIT */
/* What assembly must know of C structures. */
#include "machine.h"
#include <vellum/cpu.h>
#include <vellum/offsets.h>
#include <vellum/syscall.h>
#include <vellum/thread.h>

void offsets(void);
void offsets(void)
{
#define REGISTER(name, member) OFFSET(FRAME_##name, struct trap_frame, regs.member)
    REGISTER(PC, pc);
    REGISTER(RA, ra);
    REGISTER(SP, sp);
    REGISTER(GP, gp);
    REGISTER(TP, tp);
    REGISTER(T0, t0);
    REGISTER(T1, t1);
    REGISTER(T2, t2);
    REGISTER(S0, s0);
    REGISTER(S1, s1);
    REGISTER(A0, a0);
    REGISTER(A1, a1);
    REGISTER(A2, a2);
    REGISTER(A3, a3);
    REGISTER(A4, a4);
    REGISTER(A5, a5);
    REGISTER(A6, a6);
    REGISTER(A7, a7);
    REGISTER(S2, s2);
    REGISTER(S3, s3);
    REGISTER(S4, s4);
    REGISTER(S5, s5);
    REGISTER(S6, s6);
    REGISTER(S7, s7);
    REGISTER(S8, s8);
    REGISTER(S9, s9);
    REGISTER(S10, s10);
    REGISTER(S11, s11);
    REGISTER(T3, t3);
    REGISTER(T4, t4);
    REGISTER(T5, t5);
    REGISTER(T6, t6);
    OFFSET(FRAME_STATUS, struct trap_frame, status);
    OFFSET(FRAME_ARGUMENT, struct trap_frame, argument);
    OFFSET(FRAME_SYSCALL, struct trap_frame, syscall);
    OFFSET(FRAME_SYSCALL_LIMIT, struct trap_frame, syscall_limit);
    OFFSET(FRAME_CAUSE, struct trap_frame, cause);
    OFFSET(FRAME_ADDRESS, struct trap_frame, address);
    OFFSET(FRAME_THREAD, struct trap_frame, thread);
    OFFSET(FRAME_CALLER, struct trap_frame, caller_frame_pointer);
    CONSTANT(FRAME_SIZE, sizeof(struct trap_frame));

    OFFSET(THREAD_WORK, struct thread, work);
    OFFSET(THREAD_PREEMPT_COUNT, struct thread, preempt_count);
    OFFSET(THREAD_CPU, struct thread, cpu);
    OFFSET(THREAD_STACK, struct thread, stack);
    OFFSET(THREAD_SAVED_SP, struct thread, arch.sp);
    OFFSET(THREAD_FPU_USED, struct thread, arch.fpu_used);
    OFFSET(FPU_FCSR, struct __riscv_d_ext_state, fcsr);
    OFFSET(CPU_ARCH, struct cpu, arch);
    OFFSET(ARCH_CPU_OVERFLOW_STACK, struct arch_cpu, overflow_stack);
    OFFSET(START_SATP, struct secondary_start, satp);
    OFFSET(START_ENTRY, struct secondary_start, entry);
    OFFSET(START_STACK, struct secondary_start, stack);
    OFFSET(START_THREAD, struct secondary_start, thread);
    OFFSET(START_HART, struct secondary_start, hart);
    CONSTANT(START_SIZE, sizeof(struct secondary_start));
    CONSTANT(SYSCALL_COUNT, SYSCALL_MAX);
}
