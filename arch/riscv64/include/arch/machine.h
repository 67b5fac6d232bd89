/* SPDX-License-Identifier: MIT */
/*
 * RISC-V 64 with Sv39. The address space:
 *
 *   0000000000010000 - 0000004000000000   user
 *   ffffffc000000000 - ffffffe000000000   direct map of physical 0 .. 128 GiB
 *   ffffffe000000000 - ffffffe080000000   struct page of each frame
 *   ffffffe100000000 - ffffffe300000000   vmap: kernel stacks, device registers
 *   ffffffff80000000 - ffffffffffffffff   the kernel's image (physical 80200000 at ffffffff80200000)
 *
 * In the kernel tp points to the current thread and sscratch is 0; in user mode sscratch points to
 * the frame at the top of the thread's kernel stack (entry.S).
 */
#ifndef VELLUM_ARCH_MACHINE_H
#define VELLUM_ARCH_MACHINE_H

#define PAGE_SHIFT        12
#define PT_LEVELS         3
#define PT_ENTRIES        512
#define PT_SHIFT(level)   (PAGE_SHIFT + 9 * (level))
#define HUGE_PAGE_SHIFT   PT_SHIFT(1)
#define MAX_CPUS          64
#define KERNEL_STACK_SIZE 16384

#define USER_START_      0x10000
#define DIRECT_MAP_BASE_ 0xffffffc000000000
#define DIRECT_MAP_SIZE_ 0x0000002000000000
#define KERNEL_BASE_     0xffffffff80000000
#define IMAGE_OFFSET_    0x200000 /* of the image in its 1 GiB page, virtual and physical */

#ifndef __ASSEMBLY__

#include <arch/csr.h>
#include <asm/errno.h>
#include <vellum/compiler.h>

#define PAGE_SIZE                 (1UL << PAGE_SHIFT)
#define USER_START                0x10000UL
#define USER_END                  0x4000000000UL
#define DIRECT_MAP_BASE           0xffffffc000000000UL
#define DIRECT_MAP_SIZE           0x0000002000000000UL
#define VMEMMAP_BASE              0xffffffe000000000UL
#define VMAP_BASE                 0xffffffe100000000UL
#define VMAP_END                  0xffffffe300000000UL
#define KERNEL_BASE               0xffffffff80000000UL
#define ARCH_NAME                 "riscv64"
#define ARCH_CLOCK_NAME           "riscv_clocksource"
#define ELF_ARCH                  243 /* EM_RISCV */
#define ELF_PLATFORM              ((const char *)0)
#define ARCH_CLONE_TLS_FIRST      1
#define ARCH_INTERRUPT_SYNCS_CORE false

struct thread;
register struct thread *arch_current_thread __asm__("tp");

static __always_inline struct thread *arch_current(void)
{
    return arch_current_thread;
}

/* Atomic, as we may be moved to another processor behind the load of current->cpu. */
#define arch_cpu_add(member, n)                                                                    \
    ((void)__atomic_fetch_add(&arch_current()->cpu->member, (u64)(n), __ATOMIC_RELAXED))

static inline bool irqs_enabled(void)
{
    return csr_read(sstatus) & SR_SIE;
}

static inline void irq_disable(void)
{
    csr_clear(sstatus, SR_SIE);
}

static inline void irq_enable(void)
{
    csr_set(sstatus, SR_SIE);
}

static inline unsigned long irq_save(void)
{
    unsigned long status;

    __asm__ volatile("csrrci %0, sstatus, 2" : "=r"(status) : : "memory");
    return status & SR_SIE;
}

static inline void irq_restore(unsigned long flags)
{
    csr_set(sstatus, flags);
}

static inline void cpu_relax(void)
{
    __asm__ volatile(".word 0x0100000f" : : : "memory"); /* pause (Zihintpause); else a fence */
}

static inline u64 arch_cycles(void)
{
    u64 time;

    __asm__ volatile("rdtime %0" : "=r"(time));
    return time;
}

/* wfi also wakes for an interrupt that SIE holds back, so none is lost in between. */
static inline void arch_idle_wait(void)
{
    __asm__ volatile("wfi\n\tcsrsi sstatus, 2" : : : "memory");
}

/* ---- user memory, one access. SUM lets the kernel touch user pages; it is set around each. -------- */

/* volatile: GCC 12 takes an asm goto away if nobody looks at its output, its jump included. */

#define USER_FIXUP(at, to)                                                                         \
    ".pushsection .exception_table, \"a\"\n\t.balign 4\n\t.word " at " - .\n\t.word " to           \
    " - .\n\t.popsection\n\t"

#define USER_ACCESS(bits, load, store)                                                             \
    static inline int arch_get_user_##bits(u##bits *value, const void *from)                       \
    {                                                                                              \
        u##bits seen;                                                                              \
                                                                                                   \
        __asm__ volatile goto("csrs sstatus, %2\n1:\t" load                                        \
                              " %0, %1\n\tcsrc sstatus, %2\n\t" USER_FIXUP("1b", "%l[fault]")      \
                              : "=&r"(seen)                                                        \
                              : "m"(*(const u##bits *)from), "r"(SR_SUM)                           \
                              : "memory"                                                           \
                              : fault);                                                            \
        *value = seen;                                                                             \
        return 0;                                                                                  \
    fault:                                                                                         \
        csr_clear(sstatus, SR_SUM);                                                                \
        return -EFAULT;                                                                            \
    }                                                                                              \
    static inline int arch_put_user_##bits(u##bits value, void *to)                                \
    {                                                                                              \
        __asm__ volatile goto("csrs sstatus, %2\n1:\t" store                                       \
                              " %z1, %0\n\tcsrc sstatus, %2\n\t" USER_FIXUP("1b", "%l[fault]")     \
                              :                                                                    \
                              : "m"(*(u##bits *)to), "rJ"(value), "r"(SR_SUM)                      \
                              : "memory"                                                           \
                              : fault);                                                            \
        return 0;                                                                                  \
    fault:                                                                                         \
        csr_clear(sstatus, SR_SUM);                                                                \
        return -EFAULT;                                                                            \
    }

USER_ACCESS(8, "lbu", "sb")
USER_ACCESS(16, "lhu", "sh")
USER_ACCESS(32, "lw", "sw")
USER_ACCESS(64, "ld", "sd")

/* => uaddr aligned to 4 bytes */
static inline int arch_cmpxchg_user_32(u32 *uaddr, u32 old, u32 new, u32 *seen)
{
    u32 was, failed;

    __asm__ volatile goto("csrs sstatus, %4\n"
                          "1:\tlr.w.aqrl %0, (%2)\n\tbne %0, %3, 3f\n"
                          "2:\tsc.w.aqrl %1, %5, (%2)\n\tbnez %1, 1b\n"
                          "3:\tcsrc sstatus, %4\n\t" USER_FIXUP("1b", "%l[fault]")
                              USER_FIXUP("2b", "%l[fault]")
                          : "=&r"(was), "=&r"(failed)
                          : "r"(uaddr), "r"((long)(s32)old), "r"(SR_SUM), "r"(new)
                          : "memory"
                          : fault);
    *seen = was;
    return 0;
fault:
    csr_clear(sstatus, SR_SUM);
    return -EFAULT;
}

#endif
#endif
