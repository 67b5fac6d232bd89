/* SPDX-License-Identifier: MIT */
/*
 * x86-64's constants and what must be inline. The map of memory:
 *
 *   0000000000010000 - 00007fffffffefff   user space
 *   ffff800000000000 - ...                physical memory, in the largest pages, never executable
 *   ffffc90000000000 - ffffc97fffffffff   vmap: kernel stacks, device registers
 *   ffffea0000000000 - ffffea7fffffffff   vmemmap: struct page of every frame
 *   ffffffff80000000 - ...                the kernel image, at physical 0 + offset
 *
 * GS holds the address of this processor's struct cpu while the kernel runs.
 */
#ifndef ARCH_MACHINE_H
#define ARCH_MACHINE_H

#define PAGE_SHIFT        12
#define PT_LEVELS         4
#define PT_ENTRIES        512
#define PT_SHIFT(level)   (PAGE_SHIFT + 9 * (level))
#define HUGE_PAGE_SHIFT   PT_SHIFT(1)
#define MAX_CPUS          64
#define KERNEL_STACK_SIZE 16384

#define KERNEL_CS      0x10
#define KERNEL_DS      0x18
#define USER_DS        0x2b
#define USER_CS        0x33
#define TSS_SEL        0x40
#define CPU_NUMBER_SEL 0x53

#ifdef __ASSEMBLY__
#define PAGE_SIZE       4096
#define DIRECT_MAP_BASE 0xffff800000000000
#define IMAGE_BASE      0xffffffff80000000
#else

#include <vellum/compiler.h>

#define PAGE_SIZE       4096UL
#define USER_START      0x10000UL
#define USER_END        0x7ffffffff000UL
#define DIRECT_MAP_BASE 0xffff800000000000UL
#define VMAP_BASE       0xffffc90000000000UL
#define VMAP_END        0xffffc98000000000UL
#define VMEMMAP_BASE    0xffffea0000000000UL
#define IMAGE_BASE      0xffffffff80000000UL

#define ARCH_CLONE_TLS_FIRST      false
#define ARCH_INTERRUPT_SYNCS_CORE true /* iret */
#define ARCH_NAME                 "x86_64"
#define ARCH_CLOCK_NAME           "tsc"
#define ELF_ARCH                  62 /* EM_X86_64 */
#define ELF_PLATFORM              "x86_64"

#define EFLAGS_CF 0x1UL
#define EFLAGS_TF 0x100UL
#define EFLAGS_IF 0x200UL
#define EFLAGS_AC 0x40000UL
#define EFLAGS_DF 0x400UL
#define EFLAGS_RF 0x10000UL
#define EFLAGS_AC 0x40000UL

struct thread;

static inline unsigned long irq_flags(void)
{
    unsigned long flags;

    __asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
    return flags;
}

static inline bool irqs_enabled(void)
{
    return irq_flags() & EFLAGS_IF;
}

static inline void irq_disable(void)
{
    __asm__ volatile("cli" : : : "memory");
}

static inline void irq_enable(void)
{
    __asm__ volatile("sti" : : : "memory");
}

static inline unsigned long irq_save(void)
{
    unsigned long flags = irq_flags();

    irq_disable();
    return flags;
}

static inline void irq_restore(unsigned long flags)
{
    if (flags & EFLAGS_IF)
        irq_enable();
    else
        barrier();
}

static inline void cpu_relax(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* Not volatile: within one function the current thread stays the same. */
static inline struct thread *arch_current(void)
{
    struct thread *thread;

    __asm__("movq %%gs:0, %0" : "=r"(thread)); /* cpu->thread */
    return thread;
}

/* One instruction: neither an interrupt nor a move to another processor comes in between. */
#define arch_cpu_add(member, n)                                                                    \
    __asm__ volatile("addq %1, %%gs:(%0)"                                                          \
                     :                                                                             \
                     : "r"(offsetof(struct cpu, member)), "er"((u64)(n))                           \
                     : "memory", "cc")

/* Ordered behind all loads before it, so that the clock is monotonic across processors. */
static inline u64 arch_cycles(void)
{
    u32 low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (u64)high << 32 | low;
}

/* sti takes effect after the next instruction: nothing gets in between it and hlt. */
static inline void arch_idle_wait(void)
{
    __asm__ volatile("sti; hlt" : : : "memory");
}

/* ---- places in the code that depend on the processor ------------------------------------------ */

/* Three bytes of no operation that become stac or clac on a processor with SMAP. */
#define SMAP_SITE(opcode)                                                                          \
    "661: .byte 0x0f, 0x1f, 0x00\n"                                                                \
    ".pushsection .smap_sites, \"a\"\n"                                                            \
    ".long 661b - ., " opcode "\n"                                                                 \
    ".popsection\n"
#define ASM_STAC SMAP_SITE("0xcb010f")
#define ASM_CLAC SMAP_SITE("0xca010f")

/* An instruction at label `from` that may fault on user memory; then execution goes on at `to`. */
#define EXCEPTION_ENTRY(from, to)                                                                  \
    ".pushsection .exception_table, \"a\"\n"                                                       \
    ".long " from " - ., " to " - .\n"                                                             \
    ".popsection\n"

/* ---- single accesses to user memory ------------------------------------------------------------ */

#define ARCH_USER_ACCESS(bits, suffix, reg)                                                        \
    static inline int arch_get_user_##bits(u##bits *value, const void *from)                       \
    {                                                                                              \
        int error = 0;                                                                             \
        u##bits v;                                                                                 \
                                                                                                   \
        __asm__ volatile(ASM_STAC "1: mov" suffix " %2, %1\n"                                      \
                                  "2:\n" ASM_CLAC ".pushsection .text.fixup, \"ax\"\n"             \
                                  "3: mov $-14, %0\n"                                              \
                                  "   jmp 2b\n"                                                    \
                                  ".popsection\n" EXCEPTION_ENTRY("1b", "3b")                      \
                         : "+r"(error), "=" reg(v)                                                 \
                         : "m"(*(const u##bits *)from), "1"((u##bits)0));                          \
        *value = v;                                                                                \
        return error;                                                                              \
    }                                                                                              \
    static inline int arch_put_user_##bits(u##bits value, void *to)                                \
    {                                                                                              \
        int error = 0;                                                                             \
                                                                                                   \
        __asm__ volatile(ASM_STAC "1: mov" suffix " %2, %1\n"                                      \
                                  "2:\n" ASM_CLAC ".pushsection .text.fixup, \"ax\"\n"             \
                                  "3: mov $-14, %0\n"                                              \
                                  "   jmp 2b\n"                                                    \
                                  ".popsection\n" EXCEPTION_ENTRY("1b", "3b")                      \
                         : "+r"(error), "=m"(*(u##bits *)to)                                       \
                         : reg(value));                                                            \
        return error;                                                                              \
    }
ARCH_USER_ACCESS(8, "b", "q")
ARCH_USER_ACCESS(16, "w", "r")
ARCH_USER_ACCESS(32, "l", "r")
ARCH_USER_ACCESS(64, "q", "r")
#undef ARCH_USER_ACCESS

static inline int arch_cmpxchg_user_32(u32 *uaddr, u32 old, u32 new, u32 *seen)
{
    int error = 0;

    __asm__ volatile(ASM_STAC "1: lock cmpxchgl %3, %1\n"
                              "2:\n" ASM_CLAC ".pushsection .text.fixup, \"ax\"\n"
                              "3: mov $-14, %0\n"
                              "   jmp 2b\n"
                              ".popsection\n" EXCEPTION_ENTRY("1b", "3b")
                     : "+r"(error), "+m"(*uaddr), "+a"(old)
                     : "r"(new)
                     : "memory", "cc");
    *seen = old;
    return error;
}

#endif
#endif
