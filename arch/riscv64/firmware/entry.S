/* SPDX-License-Identifier: MIT */
/*
 * Machine mode: where all harts start, with a0 = hart id and a1 = device tree, and where their traps
 * arrive that are not delegated. Each hart has a small stack; mscratch holds its top while the hart is
 * in a lower mode.
 */
#include "firmware.h"

.macro SAVED op
    \op ra, 0(sp)
    \op t0, 8(sp)
    \op t1, 16(sp)
    \op t2, 24(sp)
    \op t3, 32(sp)
    \op t4, 40(sp)
    \op t5, 48(sp)
    \op t6, 56(sp)
    \op a0, 64(sp)
    \op a1, 72(sp)
    \op a2, 80(sp)
    \op a3, 88(sp)
    \op a4, 96(sp)
    \op a5, 104(sp)
    \op a6, 112(sp)
    \op a7, 120(sp)
.endm
#define SAVED_SIZE 128

    .section .text.start, "ax"
    .globl _start
_start:
    csrw mie, zero
    lla t0, firmware_trap_entry
    csrw mtvec, t0
    li t0, MAX_HARTS
    bgeu a0, t0, park
    li t0, HART_STACK_SIZE
    addi t1, a0, 1
    mul t0, t0, t1
    lla sp, stacks
    add sp, sp, t0

    /* The first to come here starts; the others wait. */
    lla t0, lottery
    li t1, 1
    amoswap.w.aqrl t1, t1, (t0)
    bnez t1, 2f
    lla t0, bss_start
    lla t1, bss_end
1:  sd zero, 0(t0)
    addi t0, t0, 8
    bltu t0, t1, 1b
    tail firmware_main
2:  lla t0, ready
    lw t0, 0(t0)
    beqz t0, 2b
    fence
    tail firmware_wait

/* enter_supervisor(hart, argument, start): the kernel finds the first two in a0 and a1. */
    .globl enter_supervisor
enter_supervisor:
    csrw mepc, a2
    csrw satp, zero
    csrw sie, zero
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S
    csrs mstatus, t0
    lla sp, stacks
    li t0, HART_STACK_SIZE
    addi t1, a0, 1
    mul t0, t0, t1
    add sp, sp, t0
    csrw mscratch, sp
    sfence.vma
    fence.i
    mret

    .globl park
park:
    csrw mie, zero
1:  wfi
    j 1b

    .balign 4
firmware_trap_entry:
    csrrw sp, mscratch, sp
    addi sp, sp, -SAVED_SIZE
    SAVED sd
    mv a0, sp
    csrr a1, mcause
    csrr a2, mhartid
    call firmware_trap
    SAVED ld
    addi sp, sp, SAVED_SIZE
    csrrw sp, mscratch, sp
    mret

    .data
    .balign 4
lottery:
    .word 0
    .globl ready
ready:
    .word 0

    .section .bss.stacks, "aw", @nobits
    .balign 16
stacks:
    .skip MAX_HARTS * HART_STACK_SIZE

    .section .note.GNU-stack, "", @progbits
