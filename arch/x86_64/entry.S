/* SPDX-License-Identifier: MIT */
/*
 * The ways into the kernel and out of it, and the switch between threads.
 *
 * In the kernel GS is this processor's struct cpu; in user mode it is the user's, and ours waits in
 * MSR_KERNEL_GS_BASE for swapgs. Who came from user mode can be told by CS, except for what strikes
 * anywhere, between entry and swapgs too: NMI, machine check, double fault and debug traps have
 * stacks of their own (IST), and above each lies the address of the struct cpu (cpu.c).
 *
 * All of them build a struct trap_frame (arch/frame.h). C functions called here see in RBP the
 * frame's address + 1, by which a stack walk knows it (backtrace.c).
 */
#include <arch/machine.h>
#include <asm/errno.h>
#include <offsets.h>

#define MSR_GS_BASE 0xc0000101

    .macro push_below_rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    .endm

    .macro pop_registers
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    .endm

/* clac where the processor has it: the interrupted code may have been in a user copy, and user mode
 * can set AC as it likes. */
    .macro clear_ac
661: .byte 0x0f, 0x1f, 0x00
    .pushsection .smap_sites, "a"
    .long 661b - ., 0xca010f
    .popsection
    .endm

    .section .text.entry, "ax", @progbits

/* ---- system calls: RIP in RCX, RFLAGS in R11, interrupts off ------------------------------------- */

    .balign 64
    .globl syscall_entry
syscall_entry:
    swapgs
    mov %rsp, %gs:CPU_SCRATCH
    mov %gs:CPU_KERNEL_STACK, %rsp
    push $USER_DS
    push %gs:CPU_SCRATCH
    push %r11
    push $USER_CS
    push %rcx
    cltq /* the upper half does not count; what is negative then is no call (frame.h) */
    push %rax
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push $-ENOSYS
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    xor %ebp, %ebp
    sti
    mov %r10, %rcx
    cmp GATE_LIMIT(%rsp), %eax
    jae syscall_held
syscall_dispatch:
    mov syscall_table(, %rax, 8), %r10
    test %r10, %r10
    jz missing
    call *%r10
store_result:
    mov %rax, FRAME_RAX(%rsp)
syscall_return:
    cli
    mov %gs:CPU_THREAD, %rax
    cmpl $0, THREAD_WORK(%rax)
    jne syscall_work
    /* sysret takes RIP from RCX and RFLAGS from R11, and knows no RF or TF. It must not be given an
     * address that is not canonical: it would fault in kernel mode on the user's stack. No such
     * address gets into a frame (arch_signal_return, arch_exec_start). */
    mov FRAME_RIP(%rsp), %rcx
    cmp FRAME_RCX(%rsp), %rcx
    jne return_by_iret
    mov FRAME_EFLAGS(%rsp), %r11
    cmp FRAME_R11(%rsp), %r11
    jne return_by_iret
    test $0x10100, %r11d
    jnz return_by_iret
    pop_registers
    mov FRAME_RSP - FRAME_NUMBER(%rsp), %rsp
    swapgs
    sysretq

missing:
    mov %rax, %rdi
    call syscall_missing
    jmp store_result

/* No such number, or a debugger is to know first (the limit is 0); it may change what is called. */
syscall_held:
    cmpl $0, GATE_LIMIT(%rsp)
    jne syscall_return
    mov %rsp, %rdi
    call ptrace_syscall_enter
    cmp $SYSCALLS, %rax
    jae syscall_return
    mov FRAME_RDI(%rsp), %rdi
    mov FRAME_RSI(%rsp), %rsi
    mov FRAME_RDX(%rsp), %rdx
    mov FRAME_R10(%rsp), %rcx
    mov FRAME_R8(%rsp), %r8
    mov FRAME_R9(%rsp), %r9
    jmp syscall_dispatch

syscall_work:
    mov %rsp, %rdi
    call user_return_work
    jmp syscall_return

/* ---- exceptions and interrupts --------------------------------------------------------------------- */

/* One entry of 16 bytes for each vector. EDI is the vector; where the processor pushes no error
 * code there is -1. */
    .balign 16
    .globl vectors
vectors:
    .set vector, 0
    .rept 256
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
    push $-1
    .endif
    push %rdi
    mov $vector, %edi
    .if vector == 1 || vector == 2 || vector == 8 || vector == 18
    jmp enter_on_own_stack
    .elseif vector < 32
    jmp enter_exception
    .else
    jmp enter_interrupt
    .endif
    .set vector, vector + 1
    .endr

/* Complete the frame, call the handler with the vector (in RDI) and the frame, and return if it came from
 * kernel mode. RBP tells backtraces that a frame of a trap is there. */
    .macro handle_trap handler
    push_below_rdi
    cld
    clear_ac
    testb $3, FRAME_CS(%rsp)
    jz 1f
    swapgs
1:  lea 1(%rsp), %rbp
    mov %rsp, %rsi
    call \handler
    testb $3, FRAME_CS(%rsp)
    jz return_to_kernel
    .endm

    .balign 16
enter_exception:
    handle_trap handle_exception
    .globl return_to_user
return_to_user:
    cli
    mov %gs:CPU_THREAD, %rax
    cmpl $0, THREAD_WORK(%rax)
    jne user_work
return_by_iret:
    swapgs
return_to_kernel:
    pop_registers
    add $8, %rsp
    iretq

user_work:
    mov %rsp, %rdi
    call user_return_work
    jmp return_to_user

    .balign 16
enter_interrupt:
    handle_trap handle_interrupt
    jmp return_to_user

    .balign 16
enter_on_own_stack:
    push_below_rdi
    cld
    clear_ac
    testb $3, FRAME_CS(%rsp)
    jnz 1f
    mov $MSR_GS_BASE, %ecx
    rdmsr
    mov %eax, %r12d
    mov %edx, %r13d
    mov FRAME_SIZE(%rsp), %rax
    mov %rax, %rdx
    shr $32, %rdx
    wrmsr
    lea 1(%rsp), %rbp
    mov %rsp, %rsi
    call handle_exception
    mov $MSR_GS_BASE, %ecx
    mov %r12d, %eax
    mov %r13d, %edx
    wrmsr
    jmp return_to_kernel
1:  /* From user mode: go on as any exception does, on the thread's stack. */
    swapgs
    mov %edi, %ebx
    mov %rsp, %rsi
    mov %gs:CPU_KERNEL_STACK, %rsp
    sub $FRAME_SIZE, %rsp
    mov %rsp, %rdi
    mov $(FRAME_SIZE / 8), %ecx
    rep movsq
    mov %ebx, %edi
    lea 1(%rsp), %rbp
    mov %rsp, %rsi
    call handle_exception
    jmp return_to_user

/* ---- threads ------------------------------------------------------------------------------------------ */

/* struct thread *switch_stack(prev, next): returns prev, on next's stack. */
    .globl switch_stack
    .type switch_stack, @function
switch_stack:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, THREAD_SP(%rdi)
    mov THREAD_SP(%rsi), %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    mov %rdi, %rax
    ret
    .size switch_stack, . - switch_stack

/* The first steps of a kernel thread: RBX(R12) is its function. */
    .globl start_kernel_thread
start_kernel_thread:
    mov %rax, %rdi
    call schedule_tail
    mov %r12, %rdi
    call *%rbx
    ud2

/* The first steps of a fork's child. */
    .globl start_user_thread
start_user_thread:
    mov %rax, %rdi
    call schedule_tail
    mov %gs:CPU_THREAD, %rax
    movl $0, THREAD_PREEMPT_COUNT(%rax)
    jmp return_to_user

/* void enter_user(struct trap_frame *) */
    .globl enter_user
enter_user:
    mov %rdi, %rsp
    xor %ebp, %ebp
    jmp return_to_user

    .section .note.GNU-stack, "", @progbits
