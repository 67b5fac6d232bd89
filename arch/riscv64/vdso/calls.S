/* SPDX-License-Identifier: MIT */
/*
 * The functions of the vDSO that are a system call and nothing else. Unwinders know a signal frame by
 * the two instructions of __vdso_rt_sigreturn: they have no short form, and stay as they are. They must
 * not find unwind information for them, which they would believe instead. It is the object's entry
 * point, which is how the kernel finds it.
 */
#include <asm/unistd.h>

.macro CALL name number
    .globl \name
    .type \name, @function
    .balign 4
\name:
    .option push
    .option norvc
    li a7, \number
    ecall
    .option pop
.endm

    .text
    CALL __vdso_rt_sigreturn, __NR_rt_sigreturn
    .size __vdso_rt_sigreturn, . - __vdso_rt_sigreturn

    CALL __vdso_getcpu, __NR_getcpu
    ret
    .size __vdso_getcpu, . - __vdso_getcpu

    CALL __vdso_flush_icache, __NR_riscv_flush_icache
    ret
    .size __vdso_flush_icache, . - __vdso_flush_icache

    /* Not in the headers of Linux 6.1: hwprobe.c. */
    CALL __vdso_riscv_hwprobe, (__NR_arch_specific_syscall+14)
    ret
    .size __vdso_riscv_hwprobe, . - __vdso_riscv_hwprobe

    .section .note.GNU-stack, "", @progbits
