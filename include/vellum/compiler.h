/* SPDX-License-Identifier: MIT */
/*
 * Small things the language lacks.
 */
#ifndef VELLUM_COMPILER_H
#define VELLUM_COMPILER_H

#include <vellum/types.h>

#define likely(x)    __builtin_expect(!!(x), 1)
#define unlikely(x)  __builtin_expect(!!(x), 0)
#define __packed     __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __noreturn   __attribute__((noreturn))
#define __noinline   __attribute__((noinline))
#undef __always_inline /* the UAPI headers have a weaker one */
#define __always_inline inline __attribute__((always_inline))
#define __used          __attribute__((used))
#define __weak          __attribute__((weak))
#define __cold          __attribute__((cold))
#define __must_check    __attribute__((warn_unused_result))
#define __printf(f, a)  __attribute__((format(printf, f, a)))
#define __section(s)    __attribute__((section(s)))

/* Code and data used only while starting: its frames are freed before init runs. */
#ifndef __VELLUM_HOST__
#define __init     __attribute__((section(".init.text"), cold, noinline))
#define __initdata __attribute__((section(".init.data")))
#else
#define __init
#define __initdata
#endif

#define CACHE_LINE          64
#define __cacheline_aligned __aligned(CACHE_LINE)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n)        (1UL << (n))

#define container_of(ptr, type, member)                                                            \
    ((type *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

#define min(a, b)                                                                                  \
    ({                                                                                             \
        __auto_type _a = (a);                                                                      \
        __auto_type _b = (b);                                                                      \
        _a < _b ? _a : _b;                                                                         \
    })
#define max(a, b)                                                                                  \
    ({                                                                                             \
        __auto_type _a = (a);                                                                      \
        __auto_type _b = (b);                                                                      \
        _a > _b ? _a : _b;                                                                         \
    })
#define min_t(t, a, b)   min((t)(a), (t)(b))
#define max_t(t, a, b)   max((t)(a), (t)(b))
#define clamp(x, lo, hi) min(max(x, lo), hi)

#define ALIGN_DOWN(x, a)   ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)     ALIGN_DOWN((x) + (__typeof__(x))(a)-1, a)
#define IS_ALIGNED(x, a)   (((x) & ((__typeof__(x))(a)-1)) == 0)
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define IS_POWER_OF_2(x)   ((x) != 0 && ((x) & ((x)-1)) == 0)
#define SWAP(a, b)                                                                                 \
    do {                                                                                           \
        __auto_type _t = (a);                                                                      \
        (a) = (b);                                                                                 \
        (b) = _t;                                                                                  \
    } while (0)

/* Read or write once, as a whole, without the compiler caching or tearing it. */
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define barrier()        __atomic_signal_fence(__ATOMIC_SEQ_CST) /* for the compiler only */

static inline unsigned log2_floor(u64 x)
{
    return 63 - __builtin_clzll(x);
}

/* Smallest n with 2^n >= x. => x > 0 */
static inline unsigned log2_ceil(u64 x)
{
    return x <= 1 ? 0 : 64 - __builtin_clzll(x - 1);
}

#endif
