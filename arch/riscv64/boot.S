/* SPDX-License-Identifier: MIT */
/*
 * The first instructions, in supervisor mode, at physical addresses.
 *
 * Firmware enters one hart at _start with a0 = hart id and a1 = device tree. It builds a page table
 * of 1 GiB pages: all of physical memory at DIRECT_MAP_BASE, and the image. There is no identity
 * map: turning translation on makes the next fetch fault, and the trap vector holds the virtual
 * address where we want to go on. The other harts come by secondary_entry, find their struct
 * secondary_start by their id in a0, and get to the final page table in the same way.
 *
 * Some of them come by _start: OpenSBI before 1.2 tells a hart to go before it tells it where, and
 * one that is quick goes where it was to go at first, with the a1 that was meant for that.
 */
#include <arch/csr.h>
#include <arch/machine.h>
#include <offsets.h>

#define LEAF_RW  0xe7 /* V R W G A D */
#define LEAF_RWX 0xef
#define GIB_SHIFT 30
#define ROOT_INDEX(va) (((va) >> GIB_SHIFT) & 511)

    .section .head.text, "ax"
    .globl _start
_start:
    rdtime s2
    csrw sie, zero
    lla t0, boot_hart_came
    li t1, 1
    amoswap.w.aqrl t0, t1, (t0)
    bnez t0, secondary_entry
    mv s0, a0
    mv s1, a1

    lla t0, bss_start
    lla t1, bss_end
1:  sd zero, 0(t0)
    addi t0, t0, 8
    bltu t0, t1, 1b

    lla t2, boot_page_table
    /* Direct map: leaf after leaf, 1 GiB apart. */
    li t0, 8 * ROOT_INDEX(DIRECT_MAP_BASE_)
    add t0, t2, t0
    li t1, LEAF_RW
    li t3, 1 << (GIB_SHIFT - 2)
    li t4, DIRECT_MAP_SIZE_ >> GIB_SHIFT
1:  sd t1, 0(t0)
    add t1, t1, t3
    addi t0, t0, 8
    addi t4, t4, -1
    bnez t4, 1b
    /* The image, at the same place within 1 GiB as in memory. */
    lla t0, _start
    srli t0, t0, GIB_SHIFT
    slli t0, t0, GIB_SHIFT - 2
    ori t0, t0, LEAF_RWX
    li t1, 8 * ROOT_INDEX(KERNEL_BASE_)
    add t1, t2, t1
    sd t0, 0(t1)

    lla t0, virtual_start
    ld t0, 0(t0)
    csrw stvec, t0
    srli t2, t2, PAGE_SHIFT
    li t0, 8 << 60
    or t2, t2, t0
    sfence.vma
    csrw satp, t2
    .balign 4
in_virtual_memory:
    lla t0, trap_entry
    csrw stvec, t0
    csrw sscratch, zero
    lla tp, boot_thread
    lla sp, boot_stack_top
    mv a0, s0
    mv a1, s1
    mv a2, s2
    li s0, 0
    tail boot_start

    .globl secondary_entry
secondary_entry:
    csrw sie, zero
    fence r, rw
    lla a1, secondary_starts
    li t1, MAX_CPUS
1:  ld t0, START_HART(a1)
    ld t2, START_THREAD(a1)
    beqz t2, 2f
    beq t0, a0, 4f
2:  addi a1, a1, START_SIZE
    addi t1, t1, -1
    bnez t1, 1b
3:  wfi /* nobody has asked for this one */
    j 3b
4:
    ld t0, START_ENTRY(a1)
    csrw stvec, t0
    ld sp, START_STACK(a1)
    ld tp, START_THREAD(a1)
    ld t0, START_SATP(a1)
    sfence.vma
    csrw satp, t0
    .balign 4
    .globl secondary_in_virtual_memory
secondary_in_virtual_memory:
    lla t0, trap_entry
    csrw stvec, t0
    csrw sscratch, zero
    li s0, 0
    ld a0, THREAD_CPU(tp)
    tail secondary_start

    .balign 8
virtual_start:
    .dword in_virtual_memory
    .globl machine_range
machine_range:
    .dword machine_start, machine_end

    .data
    .balign 8
boot_hart_came: /* not in .bss, which the first one clears */
    .dword 0

    .section .bss.stacks, "aw", @nobits
    .balign 4096
    .globl boot_page_table, boot_stack, boot_stack_guard, boot_overflow_stack
boot_page_table:
    .skip 4096
boot_overflow_stack:
    .skip 8192
boot_stack_guard:
    .skip 4096
boot_stack:
    .skip KERNEL_STACK_SIZE
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
