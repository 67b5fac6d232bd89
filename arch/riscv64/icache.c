/* SPDX-License-Identifier: MIT */
/* riscv_flush_icache(2): a program has written code. */
#include <vellum/arch.h>
#include <vellum/syscall.h>
#include <vellum/thread.h>

#define FLUSH_LOCAL 1 /* SYS_RISCV_FLUSH_ICACHE_LOCAL: for the calling thread alone */

/* A thread may run on another hart when it comes to the code, so even a local flush is for all. The
 * range is a hint that no hart could use. */
SYSCALL_DEFINE3(riscv_flush_icache, vaddr_t, start, vaddr_t, end, unsigned long, flags)
{
    if (flags & ~(unsigned long)FLUSH_LOCAL)
        return -EINVAL;
    arch_icache_sync();
    return 0;
}
