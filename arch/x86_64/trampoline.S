/* SPDX-License-Identifier: MIT */
/*
 * Where another processor begins: real mode, CS:IP = page:0. smp.c copies this to a page below
 * 1 MiB and adds the page's address to the two words that need it. Then through protected mode
 * to long mode, on the first page table, and to secondary_entry.
 */
#include <arch/machine.h>

#define AT(label) ((label) - trampoline_start)

    .section .init.data, "aw", @progbits
    .balign 16
    .globl trampoline_start, trampoline_end, trampoline_gdt_base, trampoline_jump32
    .globl trampoline_jump64
    .code16
trampoline_start:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    movzwl %ax, %ebx
    shl $4, %ebx                /* the page's address */
    lgdtl AT(gdt_pointer)
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl *AT(trampoline_jump32)

    .code32
protected:
    mov $KERNEL_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $0x20, %eax             /* PAE */
    mov %eax, %cr4
    mov $(boot_page_table - IMAGE_BASE), %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx       /* EFER: NXE LME SCE */
    xor %edx, %edx
    mov $0x901, %eax
    wrmsr
    mov $0x80050033, %eax
    mov %eax, %cr0
    ljmpl *AT(trampoline_jump64)(%ebx)

    .code64
long_mode:
    mov $KERNEL_DS, %eax
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $secondary_entry, %rax
    jmp *%rax

    .balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    /* 32-bit code */
    .quad 0x00af9b000000ffff    /* KERNEL_CS */
    .quad 0x00cf93000000ffff    /* KERNEL_DS */
    .word 0 /* so that the longs that C changes are aligned */
gdt_pointer:
    .word gdt_pointer - trampoline_gdt - 1
trampoline_gdt_base:
    .long AT(trampoline_gdt)
trampoline_jump32:
    .long AT(protected)
    .word 0x08
    .balign 4
trampoline_jump64:
    .long AT(long_mode)
    .word KERNEL_CS
trampoline_end:
    .section .note.GNU-stack, "", @progbits
