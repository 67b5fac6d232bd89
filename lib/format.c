/* SPDX-License-Identifier: MIT */
/*
 * Formatting (include/vellum/format.h). A conversion is read into a struct
 * spec; a number is turned into digits in a small buffer from the right, and
 * put out with its sign or prefix and its padding. Text goes out in pieces as
 * long as possible. A conversion without flags, width and precision, which is
 * most of them, goes past all that.
 */
#include <vellum/format.h>
#include <vellum/string.h>

#define DIGITS_MAX 64 /* the most digits kept: 22 are needed in octal */

enum flag {
    FLAG_LEFT = 1,
    FLAG_PLUS = 2,
    FLAG_SPACE = 4,
    FLAG_ALTERNATE = 8,
    FLAG_ZERO = 16,
    FLAG_UPPER = 32,
};

struct spec {
    unsigned flags;
    int width;
    int precision; /* -1: not given */
    int size;      /* of the argument, bytes */
};

struct output {
    format_emit *emit;
    void *context;
    size_t length;
};

static inline void put(struct output *out, const char *text, size_t length)
{
    if (length)
        out->emit(out->context, text, length);
    out->length += length;
}

static void pad(struct output *out, char c, int count)
{
    char run[16];

    if (count <= 0)
        return;
    memset(run, c, sizeof(run));
    for (; count > 0; count -= sizeof(run))
        put(out, run, min((size_t)count, sizeof(run)));
}

static const char decimal_pairs[] = "00010203040506070809101112131415161718192021222324"
                                    "25262728293031323334353637383940414243444546474849"
                                    "50515253545556575859606162636465666768697071727374"
                                    "75767778798081828384858687888990919293949596979899";

/* Write digits so that they end before `end`; at least one. Returns where they begin. */
static char *decimal_digits(char *end, u64 value)
{
    while (value >= 100) {
        unsigned pair = value % 100;

        value /= 100;
        *--end = decimal_pairs[2 * pair + 1];
        *--end = decimal_pairs[2 * pair];
    }
    if (value >= 10) {
        *--end = decimal_pairs[2 * value + 1];
        *--end = decimal_pairs[2 * value];
    } else {
        *--end = '0' + value;
    }
    return end;
}

static char *power_of_2_digits(char *end, u64 value, unsigned shift, bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";

    do {
        *--end = digits[value & ((1U << shift) - 1)];
        value >>= shift;
    } while (value);
    return end;
}

size_t format_u64(char *buffer, u64 value)
{
    char digits[20], *start = decimal_digits(digits + sizeof(digits), value);
    size_t length = digits + sizeof(digits) - start;

    memcpy(buffer, start, length);
    return length;
}

/* Put out `text` with a prefix (sign or 0x), at least `zeros` zeros between, in the field. */
static void put_field(struct output *out, const struct spec *spec, const char *prefix,
                      size_t prefix_length, int zeros, const char *text, size_t length)
{
    int space = spec->width - (int)(prefix_length + length) - zeros;

    if (!(spec->flags & FLAG_LEFT))
        pad(out, ' ', space);
    put(out, prefix, prefix_length);
    pad(out, '0', zeros);
    put(out, text, length);
    if (spec->flags & FLAG_LEFT)
        pad(out, ' ', space);
}

static void put_number(struct output *out, const struct spec *spec, u64 value, bool negative,
                       unsigned base, bool is_signed)
{
    char digits[DIGITS_MAX], *end = digits + DIGITS_MAX, *start = end;
    const char *prefix = "";
    size_t length, prefix_length;
    int zeros;

    if (value || spec->precision != 0)
        start = base == 10   ? decimal_digits(end, value)
                : base == 16 ? power_of_2_digits(end, value, 4, spec->flags & FLAG_UPPER)
                             : power_of_2_digits(end, value, 3, false);
    length = end - start;
    if (is_signed)
        prefix = negative                   ? "-"
                 : spec->flags & FLAG_PLUS  ? "+"
                 : spec->flags & FLAG_SPACE ? " "
                                            : "";
    else if (spec->flags & FLAG_ALTERNATE && base == 16 && value)
        prefix = spec->flags & FLAG_UPPER ? "0X" : "0x";
    prefix_length = strlen(prefix);
    zeros = max(spec->precision - (int)length, 0);
    if (spec->flags & FLAG_ALTERNATE && base == 8 && !zeros && (!length || *start != '0'))
        zeros = 1;
    if (spec->flags & FLAG_ZERO && !(spec->flags & FLAG_LEFT) && spec->precision < 0)
        zeros = max(zeros, spec->width - (int)(prefix_length + length));
    put_field(out, spec, prefix, prefix_length, zeros, start, length);
}

static void put_string(struct output *out, const struct spec *spec, const char *s)
{
    if (!s)
        s = "(null)";
    put_field(out, spec, "", 0, 0, s,
              spec->precision < 0 ? strlen(s) : strnlen(s, spec->precision));
}

/* The number at *s, or of the argument if it is `*`. `args` is a pointer so that the caller sees
 * what was taken. */
struct arguments {
    va_list list;
};

static int read_count(const char **s, struct arguments *args)
{
    int n = 0;

    if (**s == '*') {
        (*s)++;
        return va_arg(args->list, int);
    }
    for (; **s >= '0' && **s <= '9'; (*s)++)
        if (n < 100000)
            n = 10 * n + (**s - '0');
    return n;
}

static unsigned read_flags(const char **s)
{
    for (unsigned flags = 0;; (*s)++) {
        switch (**s) {
        case '-':
            flags |= FLAG_LEFT;
            break;
        case '+':
            flags |= FLAG_PLUS;
            break;
        case ' ':
            flags |= FLAG_SPACE;
            break;
        case '#':
            flags |= FLAG_ALTERNATE;
            break;
        case '0':
            flags |= FLAG_ZERO;
            break;
        default:
            return flags;
        }
    }
}

static int read_size(const char **s)
{
    switch (*(*s)++) {
    case 'l':
        if (**s == 'l')
            (*s)++;
        return 8;
    case 'z':
    case 'j':
    case 't':
        return 8;
    case 'h':
        if (**s != 'h')
            return 2;
        (*s)++;
        return 1;
    }
    (*s)--;
    return 4;
}

static void read_spec(const char **s, struct spec *spec, struct arguments *args)
{
    spec->flags = read_flags(s);
    spec->width = read_count(s, args);
    if (spec->width < 0) {
        spec->flags |= FLAG_LEFT;
        spec->width = -spec->width;
    }
    spec->precision = -1;
    if (**s == '.') {
        (*s)++;
        spec->precision = max(read_count(s, args), -1);
    }
    spec->size = read_size(s);
}

static u64 unsigned_argument(struct arguments *args, int size)
{
    if (size == 8)
        return va_arg(args->list, u64);
    if (size == 2)
        return (u16)va_arg(args->list, unsigned);
    if (size == 1)
        return (u8)va_arg(args->list, unsigned);
    return va_arg(args->list, unsigned);
}

static s64 signed_argument(struct arguments *args, int size)
{
    if (size == 8)
        return va_arg(args->list, s64);
    if (size == 2)
        return (s16)va_arg(args->list, int);
    if (size == 1)
        return (s8)va_arg(args->list, int);
    return va_arg(args->list, int);
}

static void put_signed(struct output *out, const struct spec *spec, s64 value)
{
    put_number(out, spec, value < 0 ? -(u64)value : (u64)value, value < 0, 10, true);
}

/* Put out one conversion; `s` is after the '%'. Returns what follows it. */
static const char *convert(struct output *out, const char *s, struct arguments *args)
{
    const char *begin = s;
    struct spec spec;
    char c;

    read_spec(&s, &spec, args);
    switch (*s) {
    case 'd':
    case 'i':
        put_signed(out, &spec, signed_argument(args, spec.size));
        break;
    case 'u':
        put_number(out, &spec, unsigned_argument(args, spec.size), false, 10, false);
        break;
    case 'X':
        spec.flags |= FLAG_UPPER;
        /* fall through */
    case 'x':
        put_number(out, &spec, unsigned_argument(args, spec.size), false, 16, false);
        break;
    case 'o':
        put_number(out, &spec, unsigned_argument(args, spec.size), false, 8, false);
        break;
    case 'p':
        spec.flags |= FLAG_ALTERNATE;
        put_number(out, &spec, (uintptr_t)va_arg(args->list, void *), false, 16, false);
        break;
    case 's':
        put_string(out, &spec, va_arg(args->list, const char *));
        break;
    case 'c':
        c = va_arg(args->list, int);
        put_field(out, &spec, "", 0, 0, &c, 1);
        break;
    case '%':
        put(out, "%", 1);
        break;
    default: /* not known: show it as it stands */
        put(out, "%", 1);
        return begin;
    }
    return s + 1;
}

/* The conversions that need no struct spec. Returns what follows, or NULL: not one of them. */
static inline const char *convert_plain(struct output *out, const char *s, struct arguments *args)
{
    char digits[21], *end = digits + sizeof(digits), *start;
    const char *text;
    s64 value;

    switch (*s) {
    case 's':
        text = va_arg(args->list, const char *);
        if (!text)
            text = "(null)";
        put(out, text, strlen(text));
        return s + 1;
    case 'd':
        value = va_arg(args->list, int);
        break;
    case 'u':
        value = va_arg(args->list, unsigned);
        break;
    case 'l':
        if (s[1] == 'd') {
            value = va_arg(args->list, s64);
            s++;
            break;
        }
        if (s[1] == 'u') {
            start = decimal_digits(end, va_arg(args->list, u64));
            put(out, start, end - start);
            return s + 2;
        }
        return NULL;
    default:
        return NULL;
    }
    start = decimal_digits(end, value < 0 ? -(u64)value : (u64)value);
    if (value < 0)
        *--start = '-';
    put(out, start, end - start);
    return s + 1;
}

size_t vformat(format_emit *emit, void *context, const char *format, va_list list)
{
    struct output out = {emit, context, 0};
    struct arguments args;
    const char *s = format;

    va_copy(args.list, list);
    while (*s) {
        const char *text = s, *after;

        while (*s && *s != '%')
            s++;
        put(&out, text, s - text);
        if (!*s)
            break;
        s++;
        after = convert_plain(&out, s, &args);
        s = after ? after : convert(&out, s, &args);
    }
    va_end(args.list);
    return out.length;
}

struct buffer {
    char *at, *end; /* the last byte is kept for the zero */
};

static void emit_to_buffer(void *context, const char *text, size_t length)
{
    struct buffer *buffer = context;

    length = min(length, (size_t)(buffer->end - buffer->at));
    if (!length)
        return;
    memcpy(buffer->at, text, length);
    buffer->at += length;
}

int vsnprintf(char *buffer, size_t size, const char *format, va_list args)
{
    struct buffer to = {buffer, buffer + (size ? size - 1 : 0)};
    size_t length = vformat(emit_to_buffer, &to, format, args);

    if (size)
        *to.at = 0;
    return length;
}

int snprintf(char *buffer, size_t size, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(buffer, size, format, args);
    va_end(args);
    return length;
}

int vscnprintf(char *buffer, size_t size, const char *format, va_list args)
{
    int length = vsnprintf(buffer, size, format, args);

    if ((size_t)length < size)
        return length;
    return size ? size - 1 : 0;
}

int scnprintf(char *buffer, size_t size, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vscnprintf(buffer, size, format, args);
    va_end(args);
    return length;
}
