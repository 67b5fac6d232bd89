/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include <stdarg.h>
#include <vellum/assert.h>

void panic(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    unit_panic(format, args);
}

void assert_failed(const char *condition, const char *file, int line)
{
    panic("%s:%d: assertion failed: %s", file, line, condition);
}
