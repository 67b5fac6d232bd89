/* SPDX-License-Identifier: MIT */
/*
 * Strings and memory. memcpy, memmove and memset are the machine's (arch/);
 * the rest is lib/string.c. As in ISO C where the name is ISO C's.
 */
#ifndef VELLUM_STRING_H
#define VELLUM_STRING_H

#include <vellum/compiler.h>

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
void *memchr(const void *memory, int byte, size_t size);

size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *wanted);
size_t strspn(const char *s, const char *accept);
size_t strcspn(const char *s, const char *reject);

/* Copy as much as fits in `size` bytes, always ended by a zero byte (unless size is 0). Returns the
 * length of `from`: cut off if >= size. */
size_t strlcpy(char *to, const char *from, size_t size);

/* The same, but reads no further than it must. Returns the length copied, or -E2BIG if cut off. */
ssize_t strscpy(char *to, const char *from, size_t size);

/* Read a whole string as a number: base 2 to 36, or 0 for the base that the prefix 0x or 0 tells.
 * A single newline may follow. Returns 0, -EINVAL (not a number) or -ERANGE (does not fit); *value
 * is set only on success. */
int __must_check str_to_u64(const char *s, unsigned base, u64 *value);
int __must_check str_to_s64(const char *s, unsigned base, s64 *value);

/* Read a size such as "64M": a number (0x: hexadecimal) and K, M, G, T or nothing, in either case.
 * *end, if end is not NULL, is where reading stopped; with end NULL anything left is -EINVAL. */
int __must_check str_to_size(const char *s, const char **end, u64 *value);

#endif
