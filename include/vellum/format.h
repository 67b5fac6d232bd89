/* SPDX-License-Identifier: MIT */
/*
 * printf-like formatting: %d %i %u %x %X %o %c %s %p %%, lengths hh h l ll z j t,
 * flags - + 0 # and space, width and precision (both also as `*`). No floating
 * point, no %n. %s of NULL prints "(null)"; %p prints 0x and the digits.
 */
#ifndef VELLUM_FORMAT_H
#define VELLUM_FORMAT_H

#include <stdarg.h>
#include <vellum/compiler.h>

/* Receives the text piece by piece; pieces are not ended by a zero byte. */
typedef void format_emit(void *context, const char *text, size_t length);

/* Format into `emit`. Returns how many bytes were emitted. => a bad conversion is printed as is */
size_t vformat(format_emit *emit, void *context, const char *format, va_list args) __printf(3, 0);

/* Format into a buffer, ended by a zero byte (if size > 0). Return the length the whole text has:
 * it was cut off if that is >= size. */
int vsnprintf(char *buffer, size_t size, const char *format, va_list args) __printf(3, 0);
int snprintf(char *buffer, size_t size, const char *format, ...) __printf(3, 4);

/* The same, but return the length that is in the buffer. */
int vscnprintf(char *buffer, size_t size, const char *format, va_list args) __printf(3, 0);
int scnprintf(char *buffer, size_t size, const char *format, ...) __printf(3, 4);

/* Write `value` in decimal, without a zero byte, and return its length (at most 20). The fast way
 * for files like /proc/PID/stat. */
size_t format_u64(char *buffer, u64 value);

#endif
