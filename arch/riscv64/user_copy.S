/* SPDX-License-Identifier: MIT */
/*
 * Copies between the kernel and user memory. Every access is listed in the exception table. A fault
 * that page_fault() cannot resolve goes on at the fix-up, which copies what is left byte by byte
 * until it faults again: so the count of what was not copied is exact, and the fast path keeps none.
 *
 * SUM is set from entry to exit; a trap clears it while it is handled (entry.S).
 */
#include <arch/csr.h>
#include <asm/errno.h>
#include "copy.inc"

.macro USER_OR fixup:req, instruction:vararg
.Lat\@:
    \instruction
    .pushsection .exception_table, "a"
    .balign 4
    .word .Lat\@ - .
    .word \fixup - .
    .popsection
.endm
.macro BULK instruction:vararg
    USER_OR copy_slowly, \instruction
.endm
.macro CLEAR instruction:vararg
    USER_OR clear_slowly, \instruction
.endm
.macro ENDS instruction:vararg
    USER_OR copy_ends, \instruction
.endm

.macro FUNCTION name
    .globl \name
    .type \name, @function
    .balign 4
\name:
.endm

.macro ALLOW
    li a7, SR_SUM
    csrs sstatus, a7
.endm
.macro FORBID
    li a7, SR_SUM
    csrc sstatus, a7
.endm

    .text
FUNCTION arch_copy_user /* a0 to, a1 from, a2 size: returns what was not copied */
    ALLOW
    mv t6, a0
    add t5, a0, a2
    COPY_BODY BULK
    FORBID
    li a0, 0
    ret
copy_slowly:
    add a1, t6, t4
1:  ENDS lbu a4, 0(a1)
    ENDS sb a4, 0(t6)
    addi a1, a1, 1
    addi t6, t6, 1
    bne t6, t5, 1b
copy_ends:
    FORBID
    sub a0, t5, t6
    ret

FUNCTION arch_clear_user /* a0 to, a1 size: returns what was not cleared */
    ALLOW
    mv t6, a0
    add t5, a0, a1
    beq t6, t5, 9f
    li a2, 16
    bltu a1, a2, 6f
1:  andi a3, t6, 7
    beqz a3, 2f
    CLEAR sb zero, 0(t6)
    addi t6, t6, 1
    j 1b
2:  sub a2, t5, t6
    andi a3, a2, -64
    beqz a3, 4f
    add a3, t6, a3
3:  CLEAR sd zero, 0(t6)
    CLEAR sd zero, 8(t6)
    CLEAR sd zero, 16(t6)
    CLEAR sd zero, 24(t6)
    CLEAR sd zero, 32(t6)
    CLEAR sd zero, 40(t6)
    CLEAR sd zero, 48(t6)
    CLEAR sd zero, 56(t6)
    addi t6, t6, 64
    bne t6, a3, 3b
4:  andi a3, a2, 0x38
    add a3, t6, a3
    beq t6, a3, 6f
5:  CLEAR sd zero, 0(t6)
    addi t6, t6, 8
    bne t6, a3, 5b
6:  beq t6, t5, 9f
clear_slowly:
7:  ENDS sb zero, 0(t6)
    addi t6, t6, 1
    bne t6, t5, 7b
9:  FORBID
    sub a0, t5, t6
    ret

/*
 * a0 to, a1 from, a2 size: returns the length, size if there is no zero, or -EFAULT. An aligned word
 * never crosses into another page, so words are read once the source is aligned. A byte is zero if
 * taking 1 from it borrows while its top bit was not set.
 */
FUNCTION arch_copy_user_string
    ALLOW
    mv t6, a0
    add t5, a0, a2
    beq t6, t5, 8f
1:  andi a3, a1, 7
    beqz a3, 2f
    USER_OR string_fault, lbu a4, 0(a1)
    sb a4, 0(t6)
    beqz a4, 9f
    addi a1, a1, 1
    addi t6, t6, 1
    bne t6, t5, 1b
    j 8f
2:  li t0, 0x0101010101010101
    slli t1, t0, 7
3:  sub a3, t5, t6
    li a5, 8
    bltu a3, a5, 6f
    USER_OR string_fault, ld a4, 0(a1)
    sub a5, a4, t0
    not a6, a4
    and a5, a5, a6
    and a5, a5, t1
    bnez a5, 6f
    andi a3, t6, 7
    bnez a3, 4f
    sd a4, 0(t6)
    j 5f
4:  .set at, 0
    .rept 8
    sb a4, at(t6)
    .if at < 7
    srli a4, a4, 8
    .endif
    .set at, at + 1
    .endr
5:  addi a1, a1, 8
    addi t6, t6, 8
    j 3b
6:  beq t6, t5, 8f               /* the zero, or the end, is near */
    USER_OR string_fault, lbu a4, 0(a1)
    sb a4, 0(t6)
    beqz a4, 9f
    addi a1, a1, 1
    addi t6, t6, 1
    j 6b
8:
9:  FORBID
    sub a0, t6, a0
    ret
string_fault:
    FORBID
    li a0, -EFAULT
    ret

    .section .note.GNU-stack, "", @progbits
