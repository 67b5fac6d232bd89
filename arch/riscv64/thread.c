/* SPDX-License-Identifier: MIT */
/*
 * How threads begin. A thread that does not run is a stack with a switch frame on it (entry.S): ra,
 * then s0 to s11. For a new one we write that frame by hand.
 */
#include "machine.h"
#include <vellum/process.h>
#include <vellum/string.h>
#include <vellum/syscall.h>

struct trap_frame *thread_frame(struct thread *thread)
{
    return (struct trap_frame *)(thread->stack + KERNEL_STACK_SIZE) - 1;
}

static struct switch_frame *new_switch_frame(struct thread *thread, void (*start)(void))
{
    struct trap_frame *frame = thread_frame(thread);
    struct switch_frame *s = (struct switch_frame *)frame - 1;

    frame->thread = thread;
    frame->status = SR_SPIE;
    frame->syscall = -1;
    frame->syscall_limit = SYSCALL_MAX;
    *s = (struct switch_frame){.ra = (unsigned long)start};
    thread->arch.sp = (unsigned long)s;
    return s;
}

void arch_thread_start_kernel(struct thread *thread, void (*entry)(void *), void *arg)
{
    struct switch_frame *s = new_switch_frame(thread, kernel_thread_start);

    thread->arch.fpu_used = false;
    thread->arch.fpu_cpu = 0;
    s->s[1] = (unsigned long)entry;
    s->s[2] = (unsigned long)arg;
}

int arch_thread_fork(struct thread *child, struct thread *parent, const struct trap_frame *frame,
                     vaddr_t sp, bool set_tls, vaddr_t tls)
{
    struct trap_frame *to = thread_frame(child);
    struct switch_frame *s;

    to->regs = frame->regs;
    to->regs.a0 = 0;
    if (sp)
        to->regs.sp = sp;
    if (set_tls)
        to->regs.tp = tls;
    s = new_switch_frame(child, fork_return);
    (void)s;
    assert(sizeof(*s) == 112);

    child->arch.fpu_cpu = 0;
    child->arch.fpu_used = parent->arch.fpu_used;
    if (parent->arch.fpu_used) {
        assert(parent == current);
        fpu_save_current();
        child->arch.fpu = parent->arch.fpu;
    }
    return 0;
}

void arch_thread_free(struct thread *thread)
{
    /* Its registers may still be in a CPU; whoever gets this address next has fpu_cpu == 0. */
    thread->arch.fpu_cpu = 0;
}

void arch_exec_start(struct trap_frame *frame, vaddr_t entry, vaddr_t sp)
{
    memset(&frame->regs, 0, sizeof(frame->regs));
    frame->regs.pc = entry;
    frame->regs.sp = sp;
    frame->syscall = -1;
    fpu_forget_current();
}

void arch_enter_user(void)
{
    return_to_user(thread_frame(current));
}
