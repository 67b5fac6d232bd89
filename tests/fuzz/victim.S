/* SPDX-License-Identifier: MIT */
/*
 * The program that is damaged: it exits with status 42, after it has read its data and found the
 * stack as exec leaves it. Linked statically, as a static PIE, and with an interpreter, which is
 * this program too.
 */
    .text
    .globl _start
_start:
#ifdef __x86_64__
    lea value(%rip), %rbx
    mov (%rbx), %edi
    add zeros(%rip), %edi
    mov $60, %eax
    syscall
#else
    lla t0, value
    lw a0, 0(t0)
    lla t0, zeros
    lw t0, 0(t0)
    add a0, a0, t0
    li a7, 93
    ecall
#endif

    .data
    .balign 8
value:
    .long 42, 0

    .bss
    .balign 8
zeros:
    .skip 10000
    .section .note.GNU-stack, "", @progbits
