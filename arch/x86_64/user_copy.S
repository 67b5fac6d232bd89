/* SPDX-License-Identifier: MIT */
/*
 * Copies between kernel and user memory. Either side may fault; the exception table then leads to
 * a loop over single bytes, which starts where the fast way stood (RDI, RSI, and RDX bytes left: all
 * before has been copied) and ends at the byte that faults: so the number of bytes not copied
 * is exact.
 */
#include <arch/machine.h>

#define REP_FROM 256

/* An instruction that may fault, and where to go then. */
    .macro may_fault to, insn:vararg
662: \insn
    .pushsection .exception_table, "a"
    .long 662b - ., \to - .
    .popsection
    .endm

    .macro smap opcode
661: .byte 0x0f, 0x1f, 0x00
    .pushsection .smap_sites, "a"
    .long 661b - ., \opcode
    .popsection
    .endm
#define STAC smap 0xcb010f
#define CLAC smap 0xca010f

    .text
/* size_t arch_copy_user(void *to, const void *from, size_t n) */
    .globl arch_copy_user
    .type arch_copy_user, @function
    .balign 16
arch_copy_user:
    STAC
    cmp $REP_FROM, %rdx
    jae copy_large
    cmp $32, %edx
    ja copy_rounds
copy_small:
    cmp $16, %edx
    ja 1f
    cmp $8, %edx
    jae 2f
    cmp $4, %edx
    jae 3f
    cmp $1, %edx
    jb 5f
    may_fault copy_bytes, movzbl (%rsi), %ecx
    je 4f
    may_fault copy_bytes, movzwl -2(%rsi, %rdx), %r8d
    may_fault copy_bytes, mov %r8w, -2(%rdi, %rdx)
4:  may_fault copy_bytes, mov %cl, (%rdi)
5:  xor %eax, %eax
    CLAC
    ret
3:  may_fault copy_bytes, mov (%rsi), %ecx
    may_fault copy_bytes, mov -4(%rsi, %rdx), %r8d
    may_fault copy_bytes, mov %ecx, (%rdi)
    may_fault copy_bytes, mov %r8d, -4(%rdi, %rdx)
    xor %eax, %eax
    CLAC
    ret
2:  may_fault copy_bytes, mov (%rsi), %rcx
    may_fault copy_bytes, mov -8(%rsi, %rdx), %r8
    may_fault copy_bytes, mov %rcx, (%rdi)
    may_fault copy_bytes, mov %r8, -8(%rdi, %rdx)
    xor %eax, %eax
    CLAC
    ret
1:  may_fault copy_bytes, mov (%rsi), %rcx
    may_fault copy_bytes, mov 8(%rsi), %r8
    may_fault copy_bytes, mov -16(%rsi, %rdx), %r9
    may_fault copy_bytes, mov -8(%rsi, %rdx), %r10
    may_fault copy_bytes, mov %rcx, (%rdi)
    may_fault copy_bytes, mov %r8, 8(%rdi)
    may_fault copy_bytes, mov %r9, -16(%rdi, %rdx)
    may_fault copy_bytes, mov %r10, -8(%rdi, %rdx)
    xor %eax, %eax
    CLAC
    ret
copy_rounds:
    may_fault copy_bytes, mov (%rsi), %rcx
    may_fault copy_bytes, mov 8(%rsi), %r8
    may_fault copy_bytes, mov 16(%rsi), %r9
    may_fault copy_bytes, mov 24(%rsi), %r10
    may_fault copy_bytes, mov %rcx, (%rdi)
    may_fault copy_bytes, mov %r8, 8(%rdi)
    may_fault copy_bytes, mov %r9, 16(%rdi)
    may_fault copy_bytes, mov %r10, 24(%rdi)
    add $32, %rsi
    add $32, %rdi
    sub $32, %edx
    cmp $32, %edx
    ja copy_rounds
    jmp copy_small
copy_large:
    mov %rdx, %rcx
    testb $1, string_fast_bytes(%rip)
    jz 1f
    may_fault bytes_left, rep movsb
    xor %eax, %eax
    CLAC
    ret
1:  shr $3, %rcx
    and $7, %edx
    may_fault words_left, rep movsq
    jmp copy_small
words_left:
    lea (%rdx, %rcx, 8), %rdx
    jmp copy_bytes
bytes_left:
    mov %rcx, %rax
    CLAC
    ret
copy_bytes:
    test %rdx, %rdx
    jz 1f
    may_fault 1f, mov (%rsi), %cl
    may_fault 1f, mov %cl, (%rdi)
    inc %rsi
    inc %rdi
    dec %rdx
    jmp copy_bytes
1:  mov %rdx, %rax
    CLAC
    ret
    .size arch_copy_user, . - arch_copy_user

/* size_t arch_clear_user(void *to, size_t n) */
    .globl arch_clear_user
    .type arch_clear_user, @function
    .balign 16
arch_clear_user:
    STAC
    xor %eax, %eax
    mov %rsi, %rcx
    shr $3, %rcx
    and $7, %esi
    may_fault 2f, rep stosq
    mov %esi, %ecx
    may_fault 3f, rep stosb
    CLAC
    ret
2:  lea (%rsi, %rcx, 8), %rcx
    may_fault 3f, rep stosb
3:  mov %rcx, %rax
    CLAC
    ret
    .size arch_clear_user, . - arch_clear_user

/* ssize_t arch_copy_user_string(char *to, const char *from, size_t n): eight bytes at a time, as
 * long as none of them is zero and the next eight are in the same page; else one. */
    .globl arch_copy_user_string
    .type arch_copy_user_string, @function
    .balign 16
arch_copy_user_string:
    STAC
    mov $0x0101010101010101, %r8
    mov $0x8080808080808080, %r9
    xor %eax, %eax
1:  lea 8(%rax), %rcx
    cmp %rdx, %rcx
    ja 2f
    lea (%rsi, %rax), %r10d
    and $(PAGE_SIZE - 1), %r10d
    cmp $(PAGE_SIZE - 8), %r10d
    ja 2f
    may_fault 4f, mov (%rsi, %rax), %r10
    mov %r10, %r11
    mov %r10, (%rdi, %rax)
    sub %r8, %r11
    not %r10
    and %r10, %r11
    and %r9, %r11
    jnz 3f
    mov %rcx, %rax
    jmp 1b
3:  bsf %r11, %r11              /* the zero byte: bit 7 of it is the lowest bit set */
    shr $3, %r11d
    add %r11, %rax
    CLAC
    ret
2:  cmp %rdx, %rax
    je 5f
    may_fault 4f, movzbl (%rsi, %rax), %r10d
    mov %r10b, (%rdi, %rax)
    test %r10d, %r10d
    jz 5f
    inc %rax
    jmp 1b
4:  mov $-14, %rax
5:  CLAC
    ret
    .size arch_copy_user_string, . - arch_copy_user_string

    .section .note.GNU-stack, "", @progbits
