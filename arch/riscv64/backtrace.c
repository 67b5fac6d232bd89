/* SPDX-License-Identifier: MIT */
/*
 * Walking the stack by frame pointers. A function that has one keeps the return address at s0 - 8 and
 * the caller's s0 at s0 - 16; a trap taken in the kernel lays out its frame's end in the same way
 * (caller_frame_pointer, caller_pc). The chain ends where it leaves the stack that it began on, save
 * that the overflow stack leads back to the thread's.
 */
#include "machine.h"
#include <vellum/thread.h>

static bool on_stack(vaddr_t top, u64 size, vaddr_t frame_pointer)
{
    return frame_pointer <= top && frame_pointer >= top - size + 16 && frame_pointer % 8 == 0;
}

static bool readable(const struct thread *thread, vaddr_t frame_pointer)
{
    return on_stack(thread->stack + KERNEL_STACK_SIZE, KERNEL_STACK_SIZE, frame_pointer) ||
           on_stack(this_cpu()->arch->overflow_stack, OVERFLOW_STACK_SIZE, frame_pointer);
}

void arch_stack_walk_start(struct stack_walk *walk, const struct trap_frame *frame)
{
    walk->thread = current;
    if (frame) {
        walk->pc = frame->regs.pc;
        walk->frame_pointer = frame_is_user(frame) ? 0 : frame->regs.s0;
        walk->caller = frame->regs.ra;
        return;
    }
    walk->caller = 0;
    walk->frame_pointer = (vaddr_t)__builtin_frame_address(0);
    walk->pc = (vaddr_t)__builtin_return_address(0);
    arch_stack_walk_next(walk);
}

void arch_stack_walk_sleeper(struct stack_walk *walk, const struct thread *thread)
{
    const struct switch_frame *saved = (const struct switch_frame *)thread->arch.sp;

    walk->thread = thread;
    walk->caller = 0;
    walk->pc = saved->ra;
    walk->frame_pointer = saved->s[0];
}

bool arch_stack_walk_next(struct stack_walk *walk)
{
    const vaddr_t *record = (const vaddr_t *)walk->frame_pointer;

    if (!readable(walk->thread, walk->frame_pointer))
        return false;
    if (walk->caller && readable(walk->thread, record[-1])) {
        /* A function that calls nothing pushes its caller's frame pointer alone. */
        walk->pc = walk->caller;
        walk->frame_pointer = record[-1];
    } else {
        walk->pc = record[-1];
        walk->frame_pointer = record[-2];
    }
    walk->caller = 0;
    return walk->pc >= KERNEL_BASE;
}
