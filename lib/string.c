/* SPDX-License-Identifier: MIT */
/*
 * Strings. What reads a string of unknown length a word at a time reads aligned
 * words only: such a word lies in one page, so a read beyond the string's end
 * cannot fault. (The address sanitizer would object, and is told not to look.)
 */
#include <vellum/error.h>
#include <vellum/string.h>

#define WORD    sizeof(u64)
#define ONES    0x0101010101010101UL
#define HIGHS   0x8080808080808080UL
#define NO_ASAN __attribute__((no_sanitize("address")))

/* Not zero if a byte of the word is; the lowest bit set then lies in the lowest such byte. */
static inline u64 zero_bytes(u64 word)
{
    return (word - ONES) & ~word & HIGHS;
}

static inline u64 load_word(const void *p)
{
    u64 word;

    __builtin_memcpy(&word, p, WORD);
    return word;
}

NO_ASAN size_t strlen(const char *s)
{
    unsigned misaligned = (uintptr_t)s % WORD;
    const u64 *word = (const u64 *)(s - misaligned);
    u64 zeros = zero_bytes(*word | ((1UL << (8 * misaligned)) - 1));

    while (!zeros)
        zeros = zero_bytes(*++word);
    return (const char *)word + __builtin_ctzl(zeros) / 8 - s;
}

size_t strnlen(const char *s, size_t max)
{
    const char *end = memchr(s, 0, max);

    return end ? (size_t)(end - s) : max;
}

NO_ASAN void *memchr(const void *memory, int byte, size_t size)
{
    const u8 *p = memory;
    u64 pattern = ONES * (u8)byte;

    for (; size && (uintptr_t)p % WORD; p++, size--)
        if (*p == (u8)byte)
            return (void *)p;
    for (; size; p += WORD, size -= min(size, WORD)) {
        u64 found = zero_bytes(*(const u64 *)p ^ pattern);

        if (found) {
            size_t index = __builtin_ctzl(found) / 8;

            return index < size ? (void *)(p + index) : NULL;
        }
    }
    return NULL;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const u8 *p = a, *q = b;

    for (; size >= WORD; p += WORD, q += WORD, size -= WORD)
        if (load_word(p) != load_word(q))
            break;
    for (; size; p++, q++, size--)
        if (*p != *q)
            return *p - *q;
    return 0;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t max)
{
    for (; max; a++, b++, max--)
        if (*a != *b || !*a)
            return (u8)*a - (u8)*b;
    return 0;
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++)
        if (!*s)
            return NULL;
    return (char *)s;
}

char *strrchr(const char *s, int c)
{
    const char *last = NULL;

    do {
        if (*s == (char)c)
            last = s;
    } while (*s++);
    return (char *)last;
}

char *strstr(const char *s, const char *wanted)
{
    size_t length = strlen(wanted);

    if (!length)
        return (char *)s;
    while ((s = strchr(s, *wanted))) {
        if (strncmp(s, wanted, length) == 0)
            return (char *)s;
        s++;
    }
    return NULL;
}

size_t strspn(const char *s, const char *accept)
{
    size_t n = 0;

    while (s[n] && strchr(accept, s[n]))
        n++;
    return n;
}

size_t strcspn(const char *s, const char *reject)
{
    size_t n = 0;

    while (s[n] && !strchr(reject, s[n]))
        n++;
    return n;
}

size_t strlcpy(char *to, const char *from, size_t size)
{
    size_t length = strlen(from);

    if (size) {
        size_t copied = min(length, size - 1);

        memcpy(to, from, copied);
        to[copied] = 0;
    }
    return length;
}

ssize_t strscpy(char *to, const char *from, size_t size)
{
    size_t length = strnlen(from, size);

    if (size == 0)
        return -E2BIG;
    memcpy(to, from, min(length, size - 1));
    to[min(length, size - 1)] = 0;
    return length < size ? (ssize_t)length : -E2BIG;
}
