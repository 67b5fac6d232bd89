/* SPDX-License-Identifier: MIT */
/*
 * memcpy, memmove, memset and whole pages.
 *
 * Up to 32 bytes without a loop: two or four loads that overlap in the middle, then as many
 * stores. From REP_FROM on by a rep instruction: by bytes if the processor says that this is its
 * fast way (ERMS), else by words of 8 bytes. In between, 32 bytes a round.
 */
#include <arch/machine.h>

#define REP_FROM 256

    .text
    .globl memcpy
    .type memcpy, @function
    .balign 16
memcpy:
    mov %rdi, %rax
    cmp $16, %rdx
    ja 2f
/* All loads come before the first store: right for memmove too. */
copy_to_16:
    cmp $8, %edx
    jae 1f
    cmp $4, %edx
    jae 3f
    cmp $1, %edx
    jb 5f
    movzbl (%rsi), %ecx
    je 4f
    movzwl -2(%rsi, %rdx), %r8d
    mov %r8w, -2(%rdi, %rdx)
4:  mov %cl, (%rdi)
5:  ret
3:  mov (%rsi), %ecx
    mov -4(%rsi, %rdx), %r8d
    mov %ecx, (%rdi)
    mov %r8d, -4(%rdi, %rdx)
    ret
1:  mov (%rsi), %rcx
    mov -8(%rsi, %rdx), %r8
    mov %rcx, (%rdi)
    mov %r8, -8(%rdi, %rdx)
    ret
2:  cmp $32, %rdx
    ja 1f
copy_to_32:
    mov (%rsi), %rcx
    mov 8(%rsi), %r8
    mov -16(%rsi, %rdx), %r9
    mov -8(%rsi, %rdx), %r10
    mov %rcx, (%rdi)
    mov %r8, 8(%rdi)
    mov %r9, -16(%rdi, %rdx)
    mov %r10, -8(%rdi, %rdx)
    ret
1:  cmp $REP_FROM, %rdx
    jae 3f
copy_forward:
2:  mov (%rsi), %rcx
    mov 8(%rsi), %r8
    mov 16(%rsi), %r9
    mov 24(%rsi), %r10
    mov %rcx, (%rdi)
    mov %r8, 8(%rdi)
    mov %r9, 16(%rdi)
    mov %r10, 24(%rdi)
    add $32, %rsi
    add $32, %rdi
    sub $32, %rdx
    cmp $32, %rdx
    ja 2b
    cmp $16, %edx
    jbe copy_to_16
    jmp copy_to_32
3:  testb $1, string_fast_bytes(%rip)
    jz 4f
    mov %rdx, %rcx
    rep movsb
    ret
4:  mov %rdx, %rcx
    shr $3, %rcx
    and $7, %edx
    rep movsq
    jmp copy_to_16
    .size memcpy, . - memcpy

    .globl memmove
    .type memmove, @function
    .balign 16
memmove:
    mov %rdi, %rax
    cmp $16, %rdx
    jbe copy_to_16
    cmp $32, %rdx
    jbe copy_to_32
    mov %rdi, %rcx
    sub %rsi, %rcx
    cmp %rdx, %rcx              /* unsigned: to is not in [from, from + size) */
    jae memcpy
1:  mov -8(%rsi, %rdx), %rcx
    mov -16(%rsi, %rdx), %r8
    mov -24(%rsi, %rdx), %r9
    mov -32(%rsi, %rdx), %r10
    mov %rcx, -8(%rdi, %rdx)
    mov %r8, -16(%rdi, %rdx)
    mov %r9, -24(%rdi, %rdx)
    mov %r10, -32(%rdi, %rdx)
    sub $32, %rdx
    cmp $32, %rdx
    ja 1b
    cmp $16, %edx
    jbe copy_to_16
    jmp copy_to_32
    .size memmove, . - memmove

    .globl memset
    .type memset, @function
    .balign 16
memset:
    mov %rdi, %rax
    movzbl %sil, %esi
    mov $0x0101010101010101, %rcx
    imul %rcx, %rsi
    cmp $16, %rdx
    ja 2f
set_to_16:
    cmp $8, %edx
    jae 1f
    cmp $4, %edx
    jae 3f
    cmp $1, %edx
    jb 5f
    je 4f
    mov %si, -2(%rdi, %rdx)
4:  mov %sil, (%rdi)
5:  ret
3:  mov %esi, (%rdi)
    mov %esi, -4(%rdi, %rdx)
    ret
1:  mov %rsi, (%rdi)
    mov %rsi, -8(%rdi, %rdx)
    ret
2:  cmp $REP_FROM, %rdx
    jae 3f
1:  cmp $32, %rdx
    jbe 2f
    mov %rsi, (%rdi)
    mov %rsi, 8(%rdi)
    mov %rsi, 16(%rdi)
    mov %rsi, 24(%rdi)
    add $32, %rdi
    sub $32, %rdx
    jmp 1b
2:  cmp $16, %edx
    jbe set_to_16
    mov %rsi, (%rdi)
    mov %rsi, 8(%rdi)
    mov %rsi, -16(%rdi, %rdx)
    mov %rsi, -8(%rdi, %rdx)
    ret
3:  mov %rax, %r8
    mov %rdx, %rcx
    mov %rsi, %rax
    testb $1, string_fast_bytes(%rip)
    jz 4f
    rep stosb
    mov %r8, %rax
    ret
4:  shr $3, %rcx
    and $7, %edx
    rep stosq
    mov %r8, %rax
    jmp set_to_16
    .size memset, . - memset

    .globl arch_clear_page
    .type arch_clear_page, @function
    .balign 16
arch_clear_page:
    xor %eax, %eax
    testb $1, string_fast_bytes(%rip)
    jnz 1f
    mov $(PAGE_SIZE / 8), %ecx
    rep stosq
    ret
1:  mov $PAGE_SIZE, %ecx
    rep stosb
    ret
    .size arch_clear_page, . - arch_clear_page

    .globl arch_copy_page
    .type arch_copy_page, @function
    .balign 16
arch_copy_page:
    testb $1, string_fast_bytes(%rip)
    jnz 1f
    mov $(PAGE_SIZE / 8), %ecx
    rep movsq
    ret
1:  mov $PAGE_SIZE, %ecx
    rep movsb
    ret
    .size arch_copy_page, . - arch_copy_page

    .section .note.GNU-stack, "", @progbits
