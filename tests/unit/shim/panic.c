/* SPDX-License-Identifier: MIT */
/* A panic ends the test program with a core of the sanitizer's; in a child of CHECK_PANICS it is
 * what was wanted. */
#include "unit.h"
#include <stdarg.h>
#include <unistd.h>
#include <vellum/assert.h>

void panic(const char *format, ...)
{
    va_list args;

    if (unit_in_child)
        _exit(UNIT_PANIC_STATUS);
    va_start(args, format);
    fflush(stdout);
    fprintf(stderr, "panic: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}

void assert_failed(const char *condition, const char *file, int line)
{
    panic("%s:%d: assertion failed: %s", file, line, condition);
}
