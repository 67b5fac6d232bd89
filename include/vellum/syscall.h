/* SPDX-License-Identifier: MIT */
/*
 * System calls. A call exists by being defined:
 *
 *     SYSCALL_DEFINE2(dup2, int, oldfd, int, newfd)
 *     {
 *         ...
 *         return 0 or a value, or a negative errno;
 *     }
 *
 * in the file of the room it belongs to, at the start of a line. tools/mksyscalls.sh makes the
 * table from these and from the numbers in <asm/unistd.h>. Arguments arrive as registers and are
 * converted to their types here, once (narrow types are truncated, so that what user space left in
 * the upper half of a register is never seen).
 */
#ifndef VELLUM_SYSCALL_H
#define VELLUM_SYSCALL_H

#include <vellum/error.h>
#include <vellum/types.h>

#define SYSCALL_MAX 512

typedef long syscall_fn(unsigned long, unsigned long, unsigned long, unsigned long, unsigned long,
                        unsigned long);

extern syscall_fn *const syscall_table[SYSCALL_MAX]; /* NULL: not there */
extern const char *const syscall_names[SYSCALL_MAX];

/* What the entry code calls for a number without an entry: logs once by name, -ENOSYS. */
long syscall_missing(unsigned long number);

#define SYSCALL_PROTO_(name)                                                                       \
    long sys_##name(unsigned long a, unsigned long b, unsigned long c, unsigned long d,            \
                    unsigned long e, unsigned long f)
#define SYSCALL_WRAP_(name, call)                                                                  \
    SYSCALL_PROTO_(name);                                                                          \
    SYSCALL_PROTO_(name)                                                                           \
    {                                                                                              \
        (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;                                      \
        return call;                                                                               \
    }
#define SYSCALL_DEFINE0(name)                                                                      \
    static inline long do_##name##_call(void);                                                     \
    SYSCALL_WRAP_(name, do_##name##_call())                                                        \
    static inline long do_##name##_call(void)
#define SYSCALL_DEFINE1(name, t1, a1)                                                              \
    static inline long do_##name##_call(t1 a1);                                                    \
    SYSCALL_WRAP_(name, do_##name##_call((t1)a))                                                   \
    static inline long do_##name##_call(t1 a1)
#define SYSCALL_DEFINE2(name, t1, a1, t2, a2)                                                      \
    static inline long do_##name##_call(t1 a1, t2 a2);                                             \
    SYSCALL_WRAP_(name, do_##name##_call((t1)a, (t2)b))                                            \
    static inline long do_##name##_call(t1 a1, t2 a2)
#define SYSCALL_DEFINE3(name, t1, a1, t2, a2, t3, a3)                                              \
    static inline long do_##name##_call(t1 a1, t2 a2, t3 a3);                                      \
    SYSCALL_WRAP_(name, do_##name##_call((t1)a, (t2)b, (t3)c))                                     \
    static inline long do_##name##_call(t1 a1, t2 a2, t3 a3)
#define SYSCALL_DEFINE4(name, t1, a1, t2, a2, t3, a3, t4, a4)                                      \
    static inline long do_##name##_call(t1 a1, t2 a2, t3 a3, t4 a4);                               \
    SYSCALL_WRAP_(name, do_##name##_call((t1)a, (t2)b, (t3)c, (t4)d))                              \
    static inline long do_##name##_call(t1 a1, t2 a2, t3 a3, t4 a4)
#define SYSCALL_DEFINE5(name, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5)                              \
    static inline long do_##name##_call(t1 a1, t2 a2, t3 a3, t4 a4, t5 a5);                        \
    SYSCALL_WRAP_(name, do_##name##_call((t1)a, (t2)b, (t3)c, (t4)d, (t5)e))                       \
    static inline long do_##name##_call(t1 a1, t2 a2, t3 a3, t4 a4, t5 a5)
#define SYSCALL_DEFINE6(name, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6)                      \
    static inline long do_##name##_call(t1 a1, t2 a2, t3 a3, t4 a4, t5 a5, t6 a6);                 \
    SYSCALL_WRAP_(name, do_##name##_call((t1)a, (t2)b, (t3)c, (t4)d, (t5)e, (t6)f))                \
    static inline long do_##name##_call(t1 a1, t2 a2, t3 a3, t4 a4, t5 a5, t6 a6)

#endif
