/* SPDX-License-Identifier: MIT */
/*
 * Walking a stack by frame pointers: RBP points to the caller's RBP, with the return address above.
 * Where entry.S called C it left a frame's address + 1 in RBP: the walk goes on with the interrupted
 * code if that was the kernel's.
 *
 * Nothing is believed: each address must lie on the thread's stack or on one of the processor's
 * own, and the walk only goes up.
 */
#include <arch/x86.h>

static bool within(vaddr_t address, size_t size, vaddr_t start, size_t length)
{
    return address >= start && address - start <= length - size;
}

static bool on_stack(const struct stack_walk *walk, vaddr_t address, size_t size)
{
    return address % 8 == 0 && (within(address, size, walk->thread->stack, KERNEL_STACK_SIZE) ||
                                within(address, size, (vaddr_t)this_cpu()->arch->ist_stacks,
                                       (IST_COUNT - 1) * IST_STACK_SIZE));
}

void arch_stack_walk_start(struct stack_walk *walk, const struct trap_frame *frame)
{
    walk->thread = current;
    if (frame) {
        walk->pc = frame->rip;
        walk->frame_pointer = frame_is_user(frame) ? 0 : frame->rbp;
    } else {
        walk->frame_pointer = (vaddr_t)__builtin_frame_address(0);
        walk->pc = (vaddr_t)__builtin_return_address(0);
        walk->frame_pointer = *(u64 *)walk->frame_pointer;
    }
}

void arch_stack_walk_sleeper(struct stack_walk *walk, const struct thread *thread)
{
    const struct switch_frame *saved = (const struct switch_frame *)thread->arch.sp;

    walk->thread = thread;
    walk->pc = saved->rip;
    walk->frame_pointer = saved->rbp;
}

bool arch_stack_walk_next(struct stack_walk *walk)
{
    vaddr_t fp = walk->frame_pointer;

    if (fp & 1) {
        const struct trap_frame *frame = (const struct trap_frame *)(fp - 1);

        if (!on_stack(walk, fp - 1, sizeof(*frame)) || frame_is_user(frame))
            return false;
        walk->pc = frame->rip;
        walk->frame_pointer = frame->rbp;
        return true;
    }
    if (!on_stack(walk, fp, 16))
        return false;
    walk->pc = ((u64 *)fp)[1];
    walk->frame_pointer = ((u64 *)fp)[0];
    return walk->pc != 0;
}
