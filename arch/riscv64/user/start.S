/* SPDX-License-Identifier: MIT */
/* Where a program of ours begins: the kernel has put argc, argv and envp on
 * the stack; the C library takes them apart (__libc_start_main(main, argc, argv)). */
    .globl _start
    .type _start, @function
_start:
    .option push
    .option norelax
    lla gp, __global_pointer$
    .option pop
    lla a0, main
    ld a1, 0(sp)
    addi a2, sp, 8
    li a3, 0
    li a4, 0
    li a5, 0
    li s0, 0
    li ra, 0
    andi sp, sp, -16
    call __libc_start_main
    .size _start, . - _start
    .section .note.GNU-stack, "", @progbits
