/* SPDX-License-Identifier: MIT */
/*
 * Backtraces. How frames are linked on the stack is the machine's business
 * (arch_stack_walk_*); the kernel is compiled with frame pointers for its sake.
 */
#include <vellum/arch.h>
#include <vellum/printk.h>
#include <vellum/symbols.h>

#define BACKTRACE_MAX 64 /* a broken stack may contain a loop */

/* A return address is looked up one byte earlier: where the call was the last instruction of a
 * function that does not return, the address itself is already in the next function. */
static void print_line(unsigned number, vaddr_t pc, bool is_return)
{
    u64 offset = 0;
    const char *name = symbol_lookup(pc - is_return, &offset);

    if (name)
        printk(LOG_EMERG, "#%u 0x%016lx %s+0x%lx", number, (unsigned long)pc, name,
               (unsigned long)offset + is_return);
    else
        printk(LOG_EMERG, "#%u 0x%016lx", number, (unsigned long)pc);
}

void print_backtrace(const struct trap_frame *frame)
{
    struct stack_walk walk;
    unsigned number = 0;

    arch_stack_walk_start(&walk, frame);
    if (frame)
        print_line(number++, walk.pc, false);
    while (number < BACKTRACE_MAX && arch_stack_walk_next(&walk))
        print_line(number++, walk.pc, true);
}
