/* SPDX-License-Identifier: MIT */
/*
 * From the PVH entry (32-bit protected mode without paging, EBX = struct hvm_start_info) to C in the
 * high half; and from the trampoline of another processor to C.
 *
 * The first page table maps physical memory 0 to 4 GiB three times with pages of 2 MiB: at 0 (where
 * we stand), at DIRECT_MAP_BASE, and its first GiB at IMAGE_BASE. It is complete as assembled.
 */
#include <arch/machine.h>
#include <offsets.h>

#define PHYS(symbol) ((symbol) - IMAGE_BASE)

#define CR0_VALUE 0x80050033 /* PG AM WP NE ET MP PE */
#define CR4_PAE   0x20
#define MSR_EFER  0xc0000080
#define EFER_BITS 0x901      /* NXE LME SCE */
#define MSR_GS_BASE 0xc0000101

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18              /* sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad PHYS(pvh_start)

    .section .init.boot, "ax", @progbits
    .code32
    .globl pvh_start
pvh_start:
    cli
    cld
    rdtsc
    mov %eax, %esi              /* the time of entry, in EBP:ESI */
    mov %edx, %ebp
    mov %ebx, %edi              /* CPUID overwrites EBX */
    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    and $(1 << 29 | 1 << 20), %edx /* long mode, no-execute */
    cmp $(1 << 29 | 1 << 20), %edx
    jne no_long_mode

    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $PHYS(boot_page_table), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    xor %edx, %edx
    mov $EFER_BITS, %eax
    wrmsr
    mov $CR0_VALUE, %eax
    mov %eax, %cr0
    lgdt PHYS(boot_gdt_pointer)
    ljmp $KERNEL_CS, $PHYS(start_64)

no_long_mode:
    mov $PHYS(no_long_mode_text), %esi
1:  mov $0x3fd, %edx
2:  in (%dx), %al
    test $0x20, %al
    jz 2b
    lodsb
    test %al, %al
    jz 3f
    mov $0x3f8, %edx
    out %al, (%dx)
    jmp 1b
3:  hlt
    jmp 3b
no_long_mode_text:
    .asciz "Vellum: this processor has no 64-bit mode or no no-execute bit\r\n"

    .code64
start_64:
    mov $start_high, %rax
    jmp *%rax
start_high:
    mov %edi, %ebx
    shl $32, %rbp
    mov %esi, %esi
    or %rsi, %rbp
    mov $KERNEL_DS, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $bss_start, %rdi
    mov $bss_end, %rcx
    sub %rdi, %rcx
    shr $3, %rcx
    rep stosq
    mov $MSR_GS_BASE, %ecx
    mov $boot_cpu, %rax
    mov %rax, %rdx
    shr $32, %rdx
    wrmsr
    mov $boot_stack_top, %rsp
    mov %rbx, %rdi
    mov %rbp, %rsi
    xor %ebp, %ebp
    call x86_start
    ud2

/* Another processor, still on the first page table; see trampoline.S. It takes its parameters; if
 * there are none it came too late and is not wanted. */
    .globl secondary_entry
secondary_entry:
    xor %edi, %edi
    xchg %rdi, secondary_cpu(%rip)
    test %rdi, %rdi
    jz 1f
    mov secondary_stack(%rip), %rsp
    mov secondary_page_table(%rip), %rax
    mov %rax, %cr3
    mov $MSR_GS_BASE, %ecx
    mov %rdi, %rax
    mov %rdi, %rdx
    shr $32, %rdx
    wrmsr
    mov $secondary_main, %rax
    xor %ebp, %ebp
    call *%rax
1:  cli
    hlt
    jmp 1b

    .section .init.tables, "aw", @progbits
    .balign 4096
    .globl boot_page_table
boot_page_table:
    .quad PHYS(boot_table_low) + 3
    .fill 255, 8, 0
    .quad PHYS(boot_table_low) + 3 /* DIRECT_MAP_BASE */
    .fill 254, 8, 0
    .quad PHYS(boot_table_image) + 3
boot_table_low:
    .quad PHYS(boot_pages) + 3, PHYS(boot_pages) + 0x1003
    .quad PHYS(boot_pages) + 0x2003, PHYS(boot_pages) + 0x3003
    .fill 508, 8, 0
boot_table_image:
    .fill 510, 8, 0
    .quad PHYS(boot_pages) + 3
    .quad 0
boot_pages:
    .set i, 0
    .rept 2048
    .quad i + 0x83
    .set i, i + 0x200000
    .endr

    .balign 16
boot_gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff    /* KERNEL_CS */
    .quad 0x00cf93000000ffff    /* KERNEL_DS */
boot_gdt_pointer:
    .word boot_gdt_pointer - boot_gdt - 1
    .quad PHYS(boot_gdt)

/* The stack of processor 0's idle thread, with a page below it that is never mapped. */
    .section .bss.page, "aw", @nobits
    .balign 4096
    .globl boot_stack_guard, boot_stack
boot_stack_guard:
    .skip PAGE_SIZE
boot_stack:
    .skip KERNEL_STACK_SIZE
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
