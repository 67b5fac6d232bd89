/* SPDX-License-Identifier: MIT */
/*
 * Undefined behaviour, found while it happens: the functions that the compilers' sanitizer
 * (-fsanitize=undefined) calls where C does not say what comes next. Each gets a record of the
 * compiler's that begins with the place in the source, and the values in question.
 *
 * The names and the layout of the records are an interface of gcc and clang, and the same in both.
 */
#include <vellum/assert.h>
#include <vellum/format.h>
#include <vellum/types.h>

struct place {
    const char *file;
    u32 line, column;
};

/* A type as the sanitizer describes it: an integer's info is log2 of its bits, and whether signed. */
struct type {
    u16 kind, info;
    char name[];
};

struct typed { /* the head of most records */
    struct place place;
    const struct type *type;
};

struct typed_pair {
    struct place place;
    const struct type *left, *right;
};

struct type_mismatch {
    struct place place;
    const struct type *type;
    u8 log_alignment, kind;
};

static void __noreturn __printf(2, 3) report(const struct place *at, const char *format, ...)
{
    char text[160];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    panic("undefined behaviour: %s (%s:%u:%u)", text, at->file, at->line, at->column);
}

/* Prototypes: only the compiler calls these. */
#define HANDLER(name, ...)                                                                         \
    void __ubsan_handle_##name(__VA_ARGS__);                                                       \
    void __ubsan_handle_##name(__VA_ARGS__)

static void overflow(const struct typed *r, char operation, unsigned long a, unsigned long b)
{
    report(&r->place, "%ld %c %ld overflows %s", (long)a, operation, (long)b, r->type->name);
}

HANDLER(add_overflow, const struct typed *r, unsigned long a, unsigned long b)
{
    overflow(r, '+', a, b);
}

HANDLER(sub_overflow, const struct typed *r, unsigned long a, unsigned long b)
{
    overflow(r, '-', a, b);
}

HANDLER(mul_overflow, const struct typed *r, unsigned long a, unsigned long b)
{
    overflow(r, '*', a, b);
}

HANDLER(negate_overflow, const struct typed *r, unsigned long a)
{
    overflow(r, '-', 0, a);
}

HANDLER(divrem_overflow, const struct typed *r, unsigned long a, unsigned long b)
{
    overflow(r, '/', a, b);
}

HANDLER(shift_out_of_bounds, const struct typed_pair *r, unsigned long a, unsigned long b)
{
    report(&r->place, "shift of %s 0x%lx by %ld", r->left->name, a, (long)b);
}

HANDLER(out_of_bounds, const struct typed_pair *r, unsigned long index)
{
    report(&r->place, "index %ld into %s", (long)index, r->left->name);
}

HANDLER(load_invalid_value, const struct typed *r, unsigned long value)
{
    report(&r->place, "0x%lx read as %s", value, r->type->name);
}

HANDLER(vla_bound_not_positive, const struct typed *r, unsigned long bound)
{
    report(&r->place, "array of %ld elements", (long)bound);
}

HANDLER(pointer_overflow, const struct place *at, unsigned long base, unsigned long result)
{
    report(at, "pointer 0x%lx becomes 0x%lx", base, result);
}

HANDLER(nonnull_arg, const struct place *at)
{
    report(at, "null argument where none may be");
}

HANDLER(builtin_unreachable, const struct place *at)
{
    report(at, "unreachable code reached");
}

HANDLER(missing_return, const struct place *at)
{
    report(at, "no value returned");
}

HANDLER(invalid_builtin, const struct place *at)
{
    report(at, "zero bits counted");
}

HANDLER(type_mismatch_v1, const struct type_mismatch *r, unsigned long pointer)
{
    const char *what = !pointer                                    ? "null pointer to"
                       : pointer & ((1UL << r->log_alignment) - 1) ? "misaligned address of"
                                                                   : "too little room for";

    /* Only loads and stores: to name a member of what a hostile program's pointer points to is
     * harmless, and what copies it will find out. */
    if (r->kind > 1)
        return;
    report(&r->place, "0x%lx: %s %s", pointer, what, r->type->name);
}
