/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses in the kernel, and backtraces that use them. The table of
 * function symbols is part of the image (tools/mksymbols.sh).
 */
#ifndef VELLUM_SYMBOLS_H
#define VELLUM_SYMBOLS_H

#include <vellum/compiler.h>

struct trap_frame;

/* The function that holds an address, and in *offset how far into it. NULL if there is none.
 * => any context */
const char *symbol_lookup(vaddr_t address, u64 *offset);

/* Print the calls that led to `frame` (NULL: to here), innermost first, one line each:
 *     #2 0xffffffff80104a7c page_fault+0x11c
 * => any context, any locks */
void print_backtrace(const struct trap_frame *frame);

#endif
