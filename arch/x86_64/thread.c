/* SPDX-License-Identifier: MIT */
/*
 * Threads: their first steps, the switch between them, and the registers that belong to user mode
 * but not to the frame (vector state, FS and GS base).
 */
#include <arch/x86.h>
#include <vellum/error.h>
#include <vellum/process.h>
#include <vellum/ptrace.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/thread.h>
#include <vellum/uaccess.h>
#include <asm/prctl.h>
#include <asm/unistd.h>

struct thread *switch_stack(struct thread *prev, struct thread *next);
void start_kernel_thread(void);
void start_user_thread(void);
void enter_user(struct trap_frame *frame) __noreturn;

struct trap_frame *thread_frame(struct thread *thread)
{
    return (struct trap_frame *)syscall_gate(thread) - 1;
}

/* ---- FS and GS base ------------------------------------------------------------------------------- */

/* With FSGSBASE user mode changes them by itself; without, only arch_prctl(2) does, which records it. */
static void read_bases(struct arch_thread *t)
{
    if (likely(x86.fsgsbase)) {
        t->fs_base = rdfsbase();
        __asm__ volatile("swapgs; rdgsbase %0; swapgs" : "=r"(t->gs_base));
    }
}

static void load_fs_base(u64 base)
{
    if (likely(x86.fsgsbase))
        wrfsbase(base);
    else
        wrmsr(MSR_FS_BASE, base);
}

static void load_gs_base(u64 base)
{
    if (likely(x86.fsgsbase))
        __asm__ volatile("swapgs; wrgsbase %0; swapgs" : : "r"(base));
    else
        wrmsr(MSR_KERNEL_GS_BASE, base);
}

void thread_bases_save(struct thread *t)
{
    read_bases(&t->arch);
}

void thread_bases_load(struct thread *t, u64 fs_base, u64 gs_base)
{
    load_fs_base(t->arch.fs_base = fs_base);
    load_gs_base(t->arch.gs_base = gs_base);
}

SYSCALL_DEFINE2(arch_prctl, int, option, unsigned long, address)
{
    struct arch_thread *t = &current->arch;
    unsigned long flags;

    switch (option) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (address >= USER_END)
            return -EPERM;
        flags = irq_save();
        if (option == ARCH_SET_FS)
            load_fs_base(t->fs_base = address);
        else
            load_gs_base(t->gs_base = address);
        irq_restore(flags);
        return 0;
    case ARCH_GET_FS:
    case ARCH_GET_GS:
        flags = irq_save();
        read_bases(t);
        irq_restore(flags);
        return put_user(option == ARCH_GET_FS ? t->fs_base : t->gs_base, (u64 __user *)address);
    default:
        return -EINVAL;
    }
}

/* ---- the switch ---------------------------------------------------------------------------------------- */

static void save_user_registers(struct thread *prev)
{
    fpu_save(fpu_area(prev));
    read_bases(&prev->arch);
    if (unlikely(prev->arch.user < 0))
        debug_registers_off();
}

static void load_user_registers(struct cpu *cpu, struct thread *prev, struct thread *next)
{
    if (cpu->arch->fpu_owner != next || next->arch.fpu_cpu != cpu) {
        fpu_restore(fpu_area(next));
        cpu->arch->fpu_owner = next;
        next->arch.fpu_cpu = cpu;
    }
    if (!prev->arch.user || prev->arch.fs_base != next->arch.fs_base)
        load_fs_base(next->arch.fs_base);
    if (!prev->arch.user || prev->arch.gs_base != next->arch.gs_base)
        load_gs_base(next->arch.gs_base);
    if (unlikely(next->arch.user < 0))
        debug_registers_load(next);
}

struct thread *arch_switch(struct thread *prev, struct thread *next)
{
    struct cpu *cpu = prev->cpu;

    if (prev->arch.user)
        save_user_registers(prev);
    if (next->arch.user)
        load_user_registers(cpu, prev, next);
    cpu->thread = next;
    cpu->kernel_stack = cpu->arch->tss.rsp[0] = (vaddr_t)syscall_gate(next);
    return switch_stack(prev, next);
}

/* ---- first steps ----------------------------------------------------------------------------------------- */

static struct switch_frame *first_frame(struct thread *thread, void (*start)(void))
{
    struct switch_frame *frame = (struct switch_frame *)thread_frame(thread) - 1;

    memset(frame, 0, sizeof(*frame));
    frame->rip = (u64)start;
    thread->arch.sp = (vaddr_t)frame;
    return frame;
}

void arch_thread_start_kernel(struct thread *thread, void (*entry)(void *), void *arg)
{
    struct switch_frame *frame = first_frame(thread, start_kernel_thread);

    thread->arch.user = 0;
    frame->rbx = (u64)entry;
    frame->r12 = (u64)arg;
}

int arch_thread_fork(struct thread *child, struct thread *parent, const struct trap_frame *frame,
                     vaddr_t sp, bool set_tls, vaddr_t tls)
{
    struct trap_frame *copy = thread_frame(child);
    unsigned long flags = irq_save();

    assert(parent == current);
    fpu_save_copy(fpu_area(child));
    read_bases(&parent->arch);
    irq_restore(flags);
    child->arch.fs_base = set_tls ? tls : parent->arch.fs_base;
    child->arch.gs_base = parent->arch.gs_base;
    child->arch.fpu_cpu = NULL;
    child->arch.user = 1;
    *copy = *frame;
    copy->rax = 0;
    if (sp)
        copy->rsp = sp;
    syscall_gate(child)->limit = SYSCALL_MAX;
    first_frame(child, start_user_thread);
    return 0;
}

void arch_thread_free(struct thread *thread)
{
    /* All that belongs to it lies on its stack. But a new thread may get the same address: */
    thread->arch.fpu_cpu = NULL;
}

void arch_exec_start(struct trap_frame *frame, vaddr_t entry, vaddr_t sp)
{
    struct thread *thread = current;
    unsigned long flags;

    /* An address that is not canonical must never be in a frame; this one faults as well. */
    if (entry >= USER_END)
        entry = USER_END;
    *frame = (struct trap_frame){
        .number = -1UL,
        .rip = entry,
        .cs = USER_CS,
        .eflags = EFLAGS_IF,
        .rsp = sp,
        .ss = USER_DS,
    };
    flags = irq_save();
    fpu_reset();
    if (!thread->arch.user) /* the header of the area; what was there was stack of somebody */
        memset((char *)fpu_area(thread) + 512, 0, min(fpu_area_size - 512, 64U));
    if (!thread->arch.user)
        syscall_gate(thread)->limit = SYSCALL_MAX;
    if (thread->arch.user < 0) {
        memset(thread->tracee->arch.debug, 0, sizeof(thread->tracee->arch.debug));
        debug_registers_off();
    }
    thread->arch.user = 1;
    thread->cpu->arch->fpu_owner = thread;
    thread->arch.fpu_cpu = thread->cpu;
    load_fs_base(thread->arch.fs_base = 0);
    load_gs_base(thread->arch.gs_base = 0);
    irq_restore(flags);
}

void arch_enter_user(void)
{
    irq_disable();
    enter_user(thread_frame(current));
}

/* ---- frames ------------------------------------------------------------------------------------------------ */

bool frame_is_user(const struct trap_frame *frame)
{
    return frame->cs & 3;
}

vaddr_t frame_pc(const struct trap_frame *frame)
{
    return frame->rip;
}

void frame_set_pc(struct trap_frame *frame, vaddr_t pc)
{
    frame->rip = min(pc, USER_END); /* never one that is not canonical: entry.S */
}

vaddr_t frame_sp(const struct trap_frame *frame)
{
    return frame->rsp;
}

long frame_syscall(const struct trap_frame *frame)
{
    return (long)frame->number < 0 ? -1 : (long)(u32)frame->number;
}

long thread_syscall(struct thread *thread, unsigned long args[6])
{
    const struct trap_frame *frame = thread_frame(thread);

    frame_args(frame, args);
    return frame_syscall(frame);
}

long frame_result(const struct trap_frame *frame)
{
    return (long)frame->rax;
}

void frame_set_result(struct trap_frame *frame, long result)
{
    frame->rax = (u64)result;
}

void frame_args(const struct trap_frame *frame, unsigned long args[6])
{
    args[0] = frame->rdi;
    args[1] = frame->rsi;
    args[2] = frame->rdx;
    args[3] = frame->r10;
    args[4] = frame->r8;
    args[5] = frame->r9;
}

#define SYSCALL_INSTRUCTION 2 /* bytes */

void frame_restart(struct trap_frame *frame)
{
    frame->rax = frame->number;
    frame->rip -= SYSCALL_INSTRUCTION;
}

void frame_restart_block(struct trap_frame *frame)
{
    frame->rax = __NR_restart_syscall;
    frame->rip -= SYSCALL_INSTRUCTION;
}

void frame_end_syscall(struct trap_frame *frame)
{
    frame->number = -1UL;
}
