/* SPDX-License-Identifier: MIT */
/*
 * Memory: copy, move, fill. In 8-byte words, unrolled; see copy.h for alignment.
 */
#include "copy.inc"

.macro FUNCTION name
    .globl \name
    .type \name, @function
    .balign 4
\name:
.endm

.macro PLAIN instruction:vararg
    \instruction
.endm

    .text
FUNCTION memcpy /* a0 to, a1 from, a2 size */
copy_up:
    mv t6, a0
    add t5, a0, a2
    COPY_BODY PLAIN
    ret

/* Upwards unless the destination begins within the source. */
FUNCTION memmove
    sub a3, a0, a1
    bgeu a3, a2, copy_up
    add t6, a0, a2
    add a1, a1, a2
    or a3, t6, a1
    or a3, a3, a2
    andi a3, a3, 7
    beqz a3, 3f
    beqz a2, 2f
1:  lbu a3, -1(a1)
    addi a1, a1, -1
    addi t6, t6, -1
    sb a3, 0(t6)
    bne t6, a0, 1b
2:  ret
3:  beq t6, a0, 2b
    andi a3, a2, 31
    sub a4, t6, a3
    beqz a3, 5f
4:  ld a3, -8(a1)
    addi a1, a1, -8
    addi t6, t6, -8
    sd a3, 0(t6)
    bne t6, a4, 4b
    beq t6, a0, 2b
5:  ld a3, -8(a1)
    ld a4, -16(a1)
    ld a5, -24(a1)
    ld a6, -32(a1)
    addi a1, a1, -32
    addi t6, t6, -32
    sd a3, 24(t6)
    sd a4, 16(t6)
    sd a5, 8(t6)
    sd a6, 0(t6)
    bne t6, a0, 5b
    ret

.macro STORE_WORDS bytes, value, to
    .set at, 0
    .rept \bytes / 8
    sd \value, at(\to)
    .set at, at + 8
    .endr
.endm

FUNCTION memset /* a0 to, a1 byte, a2 size */
    mv t6, a0
    add t5, a0, a2
    li a3, 16
    bltu a2, a3, 5f
    andi a1, a1, 255
    slli a3, a1, 8
    or a1, a1, a3
    slli a3, a1, 16
    or a1, a1, a3
    slli a3, a1, 32
    or a1, a1, a3
    andi a3, t6, 7
    beqz a3, 2f
1:  sb a1, 0(t6)
    addi t6, t6, 1
    andi a3, t6, 7
    bnez a3, 1b
2:  sub a2, t5, t6
    andi a3, a2, -128
    beqz a3, 4f
    add a3, t6, a3
3:  STORE_WORDS 128, a1, t6
    addi t6, t6, 128
    bne t6, a3, 3b
4:  andi a3, a2, 0x78
    add a3, t6, a3
    beq t6, a3, 5f
45: sd a1, 0(t6)
    addi t6, t6, 8
    bne t6, a3, 45b
5:  beq t6, t5, 7f
6:  sb a1, 0(t6)
    addi t6, t6, 1
    bne t6, t5, 6b
7:  ret

FUNCTION arch_clear_page
    li a1, 4096
    add a1, a0, a1
1:  STORE_WORDS 512, zero, a0
    addi a0, a0, 512
    bne a0, a1, 1b
    ret

FUNCTION arch_copy_page /* a0 to, a1 from */
    li a7, 4096
    add a7, a0, a7
    mv t6, a0
1:  .set at, 0
    .rept 8
    COPY_WORDS PLAIN, 8, at
    .set at, at + 64
    .endr
    addi a1, a1, 512
    addi t6, t6, 512
    bne t6, a7, 1b
    ret

    .section .note.GNU-stack, "", @progbits
