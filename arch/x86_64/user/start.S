/* SPDX-License-Identifier: MIT */
/* Where a program of ours begins: the kernel has put argc, argv and envp on
 * the stack; the C library takes them apart (__libc_start_main(main, argc, argv)). */
    .globl _start
    .type _start, @function
_start:
    xor %ebp, %ebp
    mov $main, %rdi
    mov (%rsp), %rsi
    lea 8(%rsp), %rdx
    xor %ecx, %ecx
    xor %r8d, %r8d
    xor %r9d, %r9d
    and $-16, %rsp
    call __libc_start_main
    .size _start, . - _start
    .section .note.GNU-stack, "", @progbits
