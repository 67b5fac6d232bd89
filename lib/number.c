/* SPDX-License-Identifier: MIT */
/*
 * Numbers from text: all of them refuse what they do not understand instead of
 * taking the part they do.
 */
#include <vellum/error.h>
#include <vellum/string.h>

/* The value of a digit, or 255. */
static inline unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return (c | 0x20) - 'a' + 10;
    return 255;
}

static bool has_hex_prefix(const char *s)
{
    return s[0] == '0' && (s[1] | 0x20) == 'x' && digit_value(s[2]) < 16;
}

/* Read digits as far as they go; *s moves past them. */
static int parse_digits(const char **s, unsigned base, u64 *value)
{
    const char *p = *s;
    u64 number = 0;

    if (base == 0)
        base = has_hex_prefix(p) ? 16 : p[0] == '0' ? 8 : 10;
    if (base == 16 && has_hex_prefix(p))
        p += 2;
    if (digit_value(*p) >= base)
        return -EINVAL;
    for (; digit_value(*p) < base; p++)
        if (__builtin_mul_overflow(number, (u64)base, &number) ||
            __builtin_add_overflow(number, (u64)digit_value(*p), &number))
            return -ERANGE;
    *s = p;
    *value = number;
    return 0;
}

static bool at_end(const char *s)
{
    return *s == 0 || (s[0] == '\n' && s[1] == 0);
}

int str_to_u64(const char *s, unsigned base, u64 *value)
{
    u64 number;
    int error;

    if (*s == '+')
        s++;
    error = parse_digits(&s, base, &number);
    if (error)
        return error;
    if (!at_end(s))
        return -EINVAL;
    *value = number;
    return 0;
}

int str_to_s64(const char *s, unsigned base, s64 *value)
{
    bool negative = *s == '-';
    u64 number;
    int error;

    if (negative && s[1] == '+')
        return -EINVAL;
    error = str_to_u64(s + negative, base, &number);
    if (error)
        return error;
    if (number > (u64)INT64_MAX + negative)
        return -ERANGE;
    *value = negative ? (s64)-number : (s64)number;
    return 0;
}

int str_to_size(const char *s, const char **end, u64 *value)
{
    unsigned shift = 0;
    u64 number;
    int error = parse_digits(&s, 0, &number);

    if (error)
        return error;
    switch (*s | 0x20) {
    case 'k':
        shift = 10;
        break;
    case 'm':
        shift = 20;
        break;
    case 'g':
        shift = 30;
        break;
    case 't':
        shift = 40;
        break;
    }
    if (shift)
        s++;
    if (number << shift >> shift != number)
        return -ERANGE;
    if (end)
        *end = s;
    else if (!at_end(s))
        return -EINVAL;
    *value = number << shift;
    return 0;
}
