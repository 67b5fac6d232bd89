/* SPDX-License-Identifier: MIT */
/*
 * The machine that the unit tests run on: the host's process. Physical memory is
 * an arena (shim/pages.c), one processor runs, and interrupts are a flag that
 * lets tests see whether they were left disabled.
 */
#ifndef SHIM_ARCH_MACHINE_H
#define SHIM_ARCH_MACHINE_H

#include <vellum/compiler.h>

#define PAGE_SHIFT        12
#define PAGE_SIZE         4096UL
#define PT_LEVELS         4
#define PT_ENTRIES        512
#define PT_SHIFT(level)   (PAGE_SHIFT + 9 * (level))
#define HUGE_PAGE_SHIFT   PT_SHIFT(1)
#define USER_START        0x10000UL
#define USER_END          0x7ffffffff000UL
#define MAX_CPUS          64
#define KERNEL_STACK_SIZE 16384
#define ARCH_NAME         "host"
#define ELF_ARCH          62
#define ELF_PLATFORM      NULL

/* Set by shim_memory_init(). */
extern unsigned long shim_direct_map, shim_vmemmap;
#define DIRECT_MAP_BASE shim_direct_map
#define VMEMMAP_BASE    shim_vmemmap
#define VMAP_BASE       0xffffc00000000000UL
#define VMAP_END        0xffffc10000000000UL

extern bool shim_irqs_off;
extern struct thread *shim_current;
extern u64 shim_cycles;

static inline bool irqs_enabled(void)
{
    return !shim_irqs_off;
}

static inline void irq_disable(void)
{
    shim_irqs_off = true;
}

static inline void irq_enable(void)
{
    shim_irqs_off = false;
}

static inline unsigned long irq_save(void)
{
    unsigned long flags = shim_irqs_off;

    shim_irqs_off = true;
    return flags;
}

static inline void irq_restore(unsigned long flags)
{
    shim_irqs_off = flags;
}

static inline void cpu_relax(void)
{
}

static inline struct thread *arch_current(void)
{
    return shim_current;
}

#define arch_cpu_add(member, n) ((void)(arch_current()->cpu->member += (n)))

/* A clock that moves by itself, a nanosecond at a time. */
static inline u64 arch_cycles(void)
{
    return shim_cycles++;
}

static inline void arch_idle_wait(void)
{
}

/* The tests' user space is their own memory; these addresses fault. */
static inline bool shim_user_faults(const void *p)
{
    return (unsigned long)p < PAGE_SIZE;
}

#define SHIM_USER_ACCESS(bits)                                                                     \
    static inline int arch_get_user_##bits(u##bits *value, const void *from)                       \
    {                                                                                              \
        if (shim_user_faults(from))                                                                \
            return -14;                                                                            \
        __builtin_memcpy(value, from, sizeof(*value));                                             \
        return 0;                                                                                  \
    }                                                                                              \
    static inline int arch_put_user_##bits(u##bits value, void *to)                                \
    {                                                                                              \
        if (shim_user_faults(to))                                                                  \
            return -14;                                                                            \
        __builtin_memcpy(to, &value, sizeof(value));                                               \
        return 0;                                                                                  \
    }
SHIM_USER_ACCESS(8)
SHIM_USER_ACCESS(16)
SHIM_USER_ACCESS(32)
SHIM_USER_ACCESS(64)

#endif
