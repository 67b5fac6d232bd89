/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include <vellum/format.h>
#include <vellum/printk.h>

void vprintk(enum log_level level, const char *format, va_list args)
{
    char line[256];

    vsnprintf(line, sizeof(line), format, args);
    printf("# printk: %s\n", line);
}

void printk(enum log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintk(level, format, args);
    va_end(args);
}
