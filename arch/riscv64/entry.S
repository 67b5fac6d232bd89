/* SPDX-License-Identifier: MIT */
/*
 * Into the kernel and out of it.
 *
 * sscratch tells where a trap came from. In user mode it points to the frame at the top of the
 * thread's kernel stack; in the kernel it is 0, and tp is the current thread. A user frame knows its
 * thread (FRAME_THREAD), so one swap of sp and sscratch gives us both.
 *
 * A trap from user mode saves what C functions may change. s0 to s11 and gp stay where they are: the
 * C code preserves them. Only where somebody looks at the whole frame, or puts another in its place
 * (user_return_work, clone, exec, sigreturn) are they written to it before, and loaded after. This
 * keeps a system call at some seventy instructions.
 *
 * sstatus: outside of this file SPP is 0 and SPIE is 1, so that sret leads to user mode with
 * interrupts on, whichever thread runs by then. A trap in the kernel restores the two, and SUM, on
 * its own way out.
 */
#include <arch/csr.h>
#include <arch/machine.h>
#include <asm/unistd.h>
#include <offsets.h>

.macro CALLEE_SAVED op
    \op gp, FRAME_GP(sp)
    \op s0, FRAME_S0(sp)
    \op s1, FRAME_S1(sp)
    \op s2, FRAME_S2(sp)
    \op s3, FRAME_S3(sp)
    \op s4, FRAME_S4(sp)
    \op s5, FRAME_S5(sp)
    \op s6, FRAME_S6(sp)
    \op s7, FRAME_S7(sp)
    \op s8, FRAME_S8(sp)
    \op s9, FRAME_S9(sp)
    \op s10, FRAME_S10(sp)
    \op s11, FRAME_S11(sp)
.endm

/* All that a function may change but sp, tp and a0. */
.macro CALLER_SAVED op
    \op ra, FRAME_RA(sp)
    \op t0, FRAME_T0(sp)
    \op t1, FRAME_T1(sp)
    \op t2, FRAME_T2(sp)
    \op a1, FRAME_A1(sp)
    \op a2, FRAME_A2(sp)
    \op a3, FRAME_A3(sp)
    \op a4, FRAME_A4(sp)
    \op a5, FRAME_A5(sp)
    \op a6, FRAME_A6(sp)
    \op a7, FRAME_A7(sp)
    \op t3, FRAME_T3(sp)
    \op t4, FRAME_T4(sp)
    \op t5, FRAME_T5(sp)
    \op t6, FRAME_T6(sp)
.endm

    .text
    .globl trap_entry
    .type trap_entry, @function
    .balign 4
trap_entry:
    csrrw sp, sscratch, sp
    beqz sp, trap_in_kernel

    CALLER_SAVED sd
    sd a0, FRAME_A0(sp)
    sd tp, FRAME_TP(sp)
    ld tp, FRAME_THREAD(sp)
    csrrw t1, sscratch, zero
    sd t1, FRAME_SP(sp)
    csrr t2, sepc
    csrr t0, scause
    addi t0, t0, -CAUSE_USER_CALL
    bnez t0, trap_in_user

    addi t2, t2, 4
    sd t2, FRAME_PC(sp)
    ld t1, FRAME_SYSCALL_LIMIT(sp)
    bgeu a7, t1, held
dispatch:
    slli t1, a7, 3
    lla t0, syscall_table
    add t0, t0, t1
    ld t0, 0(t0)
    beqz t0, missing
    csrsi sstatus, SR_SIE
    jalr t0
    .globl syscall_return
syscall_return:
    csrci sstatus, SR_SIE
    lw t0, THREAD_WORK(tp)
    bnez t0, syscall_work
user_restore:
    ld t2, FRAME_PC(sp)
    csrw sepc, t2
    csrw sscratch, sp
    CALLER_SAVED ld
    ld tp, FRAME_TP(sp)
    ld sp, FRAME_SP(sp)
    sret

trap_in_user:
    sd t2, FRAME_PC(sp)
    addi a1, t0, CAUSE_USER_CALL
    csrr a2, stval
    mv a0, sp
    call trap_from_user
    lw t0, THREAD_WORK(tp)
    ld a0, FRAME_A0(sp)
    beqz t0, user_restore
    li t0, -1
    sd t0, FRAME_SYSCALL(sp)
    j work

    /* No such number, or a debugger is to know first (the limit is 0); it may change what is called. */
held:
    bnez t1, missing
    CALLEE_SAVED sd
    sd a0, FRAME_ARGUMENT(sp)
    sd a7, FRAME_SYSCALL(sp)
    csrsi sstatus, SR_SIE
    mv a0, sp
    call ptrace_syscall_enter
    mv a7, a0
    ld a0, FRAME_A0(sp)
    ld a1, FRAME_A1(sp)
    ld a2, FRAME_A2(sp)
    ld a3, FRAME_A3(sp)
    ld a4, FRAME_A4(sp)
    ld a5, FRAME_A5(sp)
    ld a6, FRAME_A6(sp)
    CALLEE_SAVED ld
    li t1, SYSCALL_COUNT
    bltu a7, t1, dispatch
missing:
    csrsi sstatus, SR_SIE
    mv a0, a7
    call syscall_missing
    j syscall_return

    /* Make the frame whole. */
syscall_work:
    ld t0, FRAME_A0(sp)
    ld t1, FRAME_A7(sp)
    sd t0, FRAME_ARGUMENT(sp)
    sd t1, FRAME_SYSCALL(sp)
    sd a0, FRAME_A0(sp)
work:
    CALLEE_SAVED sd
work_loop:
    mv a0, sp
    call user_return_work
    lw t0, THREAD_WORK(tp)
    bnez t0, work_loop
whole_restore:
    CALLEE_SAVED ld
    ld a0, FRAME_A0(sp)
    j user_restore

/* return_to_user(frame): what C has put there. */
    .globl return_to_user
    .type return_to_user, @function
return_to_user:
    csrci sstatus, SR_SIE
    mv sp, a0
whole_return:
    lw t0, THREAD_WORK(tp)
    beqz t0, whole_restore
    j work_loop

/*
 * The system calls that read or replace the whole frame. The linker puts these in the table (ld
 * --wrap), called as any other: sp points to the frame. If the call has put another program or
 * context in the frame, it has set FRAME_SYSCALL to -1, and its result means nothing.
 */
.macro WHOLE_FRAME_CALL name
    .globl __wrap_sys_\name
    .type __wrap_sys_\name, @function
__wrap_sys_\name:
    .weak __real_sys_\name
    lla t0, __real_sys_\name
    j whole_frame_call
.endm
    WHOLE_FRAME_CALL clone
    WHOLE_FRAME_CALL clone3
    WHOLE_FRAME_CALL execve
    WHOLE_FRAME_CALL execveat
    WHOLE_FRAME_CALL rt_sigreturn

whole_frame_call:
    CALLEE_SAVED sd
    sd a0, FRAME_ARGUMENT(sp)
    sd a7, FRAME_SYSCALL(sp)
    jalr t0
    .globl whole_frame_call_return
whole_frame_call_return:
    csrci sstatus, SR_SIE
    ld t0, FRAME_SYSCALL(sp)
    bltz t0, whole_return
    sd a0, FRAME_A0(sp)
    j whole_return

/* A trap in the kernel. Here sp is 0 and sscratch holds the kernel's sp. */
.macro SAVE_KERNEL_FRAME
    csrrw t0, sscratch, zero
    CALLER_SAVED sd
    CALLEE_SAVED sd
    sd a0, FRAME_A0(sp)
    sd tp, FRAME_TP(sp)
    csrr t0, sepc
    csrr t1, sstatus
    csrr a1, scause
    csrr a2, stval
    sd t0, FRAME_PC(sp)
    sd t1, FRAME_STATUS(sp)
    sd a1, FRAME_CAUSE(sp)
    sd a2, FRAME_ADDRESS(sp)
    sd s0, FRAME_CALLER(sp)
    sd t0, FRAME_CALLER + 8(sp)
    addi s0, sp, FRAME_SIZE
    li t0, SR_SPP | SR_SUM
    csrc sstatus, t0
    li t0, SR_SPIE
    csrs sstatus, t0
    mv a0, sp
.endm

trap_in_kernel:
    csrrw sp, sscratch, sp
    csrw sscratch, t0
    /* Would the frame lie in the guard page below the stack? */
    ld t0, THREAD_STACK(tp)
    sub t0, sp, t0
    addi t0, t0, -FRAME_SIZE
    srai t0, t0, PAGE_SHIFT
    addi t0, t0, 1
    beqz t0, stack_overflow
    addi t0, sp, 0
    addi sp, sp, -FRAME_SIZE
    sd t0, FRAME_SP(sp)
    SAVE_KERNEL_FRAME
    call trap_from_kernel
    ld t0, FRAME_STATUS(sp)
    ld t1, FRAME_PC(sp)
    csrw sstatus, t0
    csrw sepc, t1
    CALLER_SAVED ld
    ld a0, FRAME_A0(sp)
    ld s0, FRAME_S0(sp)
    ld sp, FRAME_SP(sp)
    sret

stack_overflow:
    ld t0, THREAD_CPU(tp)
    ld t0, CPU_ARCH(t0)
    ld t0, ARCH_CPU_OVERFLOW_STACK(t0)
    addi t0, t0, -FRAME_SIZE
    sd sp, FRAME_SP(t0)
    mv sp, t0
    SAVE_KERNEL_FRAME
    call trap_stack_overflow

/*
 * struct thread *arch_switch(prev, next): what a function must preserve, and the user's gp, goes on
 * prev's stack and comes from next's. Floating-point registers only if one of the two uses them.
 */
#define SWITCH_SIZE 112
.macro SWITCH_FRAME op
    \op ra, 0(sp)
    \op s0, 8(sp)
    \op s1, 16(sp)
    \op s2, 24(sp)
    \op s3, 32(sp)
    \op s4, 40(sp)
    \op s5, 48(sp)
    \op s6, 56(sp)
    \op s7, 64(sp)
    \op s8, 72(sp)
    \op s9, 80(sp)
    \op s10, 88(sp)
    \op s11, 96(sp)
    \op gp, 104(sp)
.endm

    .globl arch_switch
    .type arch_switch, @function
arch_switch:
    addi sp, sp, -SWITCH_SIZE
    SWITCH_FRAME sd
    lbu t0, THREAD_FPU_USED(a0)
    lbu t1, THREAD_FPU_USED(a1)
    or t0, t0, t1
    bnez t0, 2f
1:  sd sp, THREAD_SAVED_SP(a0)
    ld sp, THREAD_SAVED_SP(a1)
    mv tp, a1
    SWITCH_FRAME ld
    addi sp, sp, SWITCH_SIZE
    ret
2:  mv s0, a0
    mv s1, a1
    call fpu_switch
    mv a0, s0
    mv a1, s1
    j 1b

/* Where the first switch to a new thread leads: a0 is the previous one. */
    .globl kernel_thread_start, fork_return
    .type kernel_thread_start, @function
kernel_thread_start: /* s1: function, s2: argument */
    call schedule_tail
    mv a0, s2
    li s0, 0
    jalr s1
    unimp

    .type fork_return, @function
fork_return: /* sp: the user frame */
    call schedule_tail
    sw zero, THREAD_PREEMPT_COUNT(tp)
    j whole_return

    .section .note.GNU-stack, "", @progbits
