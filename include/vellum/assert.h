/* SPDX-License-Identifier: MIT */
/*
 * assert() states an invariant; it is checked in debug builds (make DEBUG=1)
 * and in the host's unit tests, and costs nothing otherwise. panic() is for
 * invariants whose breach must stop the machine in every build.
 */
#ifndef VELLUM_ASSERT_H
#define VELLUM_ASSERT_H

#include <vellum/compiler.h>

/* Print a message with a backtrace, stop all processors; QEMU ends (or halts) with the
 * "panic" status. Never returns; may be called in any context. */
void panic(const char *format, ...) __noreturn __printf(1, 2) __cold;

void assert_failed(const char *condition, const char *file, int line) __noreturn __cold;

#if defined(VELLUM_DEBUG) || defined(__VELLUM_HOST__)
#define assert(cond)                                                                               \
    do {                                                                                           \
        if (unlikely(!(cond)))                                                                     \
            assert_failed(#cond, __FILE__, __LINE__);                                              \
    } while (0)
#else
#define assert(cond) ((void)sizeof(!(cond)))
#endif

#define static_assert _Static_assert

#endif
