/* SPDX-License-Identifier: MIT */
/*
 * Unit tests on the host. A test file holds tests and names the kernel's
 * sources it needs in comments that begin with "unit:"
 *
 *     // unit: lib/rbtree.c lib/interval_tree.c
 *
 *     TEST(erase_of_the_root_leaves_an_empty_tree)
 *     {
 *         ...
 *         CHECK(rb_empty(&root));
 *     }
 *
 * Everything runs under the address and undefined-behaviour sanitizers. A
 * failed CHECK ends its test, not the program. Random tests draw on
 * unit_random(), which starts anew for each test from the seed that is printed
 * and that --seed sets, so that a failure can be repeated alone:
 * build/host/unit/test_x --seed 7 NAME...
 *
 * Tests and kernel sources see the kernel's headers and none of the C library's,
 * whose structures would clash with those of the UAPI headers; what of the
 * library tests may call is declared here, and its string and format functions
 * by the kernel's headers.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int sprintf(char *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *malloc(size_t size);
void *aligned_alloc(size_t align, size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *old, size_t size);
void free(void *p);
void qsort(void *base, size_t n, size_t size, int (*compare)(const void *, const void *));

struct unit_test {
    const char *name;
    void (*run)(void);
    struct unit_test *next;
};

void unit_register(struct unit_test *test);
void unit_failed(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

#define TEST(test_name)                                                                            \
    static void test_##test_name(void);                                                            \
    __attribute__((constructor)) static void register_##test_name(void)                            \
    {                                                                                              \
        static struct unit_test test = {#test_name, test_##test_name, NULL};                       \
        unit_register(&test);                                                                      \
    }                                                                                              \
    static void test_##test_name(void)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            unit_failed(__FILE__, __LINE__, "%s", #condition);                                     \
    } while (0)

/* Compare numbers (or pointers cast to one), and show both if they differ. */
#define CHECK_EQ(got, expected)                                                                    \
    do {                                                                                           \
        long long got_ = (long long)(got), expected_ = (long long)(expected);                      \
        if (got_ != expected_)                                                                     \
            unit_failed(__FILE__, __LINE__, "%s is %lld (0x%llx), not %lld (0x%llx)", #got, got_,  \
                        got_, expected_, expected_);                                               \
    } while (0)

#define CHECK_STR(got, expected)                                                                   \
    do {                                                                                           \
        const char *got_ = (got), *expected_ = (expected);                                         \
        if (__builtin_strcmp(got_, expected_) != 0)                                                \
            unit_failed(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #got, got_, expected_);    \
    } while (0)

/* The statement must end in a panic or a failed assertion (it runs in a process of its own). */
#define CHECK_PANICS(statement)                                                                    \
    do {                                                                                           \
        if (unit_fork()) {                                                                         \
            statement;                                                                             \
            unit_exit_child();                                                                     \
        }                                                                                          \
        if (!unit_child_panicked())                                                                \
            unit_failed(__FILE__, __LINE__, "no panic: %s", #statement);                           \
    } while (0)

/* The condition must hold in a process of its own: what it changes is gone afterwards. */
#define CHECK_IN_CHILD(condition)                                                                  \
    do {                                                                                           \
        if (unit_fork()) {                                                                         \
            CHECK(condition);                                                                      \
            unit_exit_child();                                                                     \
        }                                                                                          \
        if (!unit_child_succeeded())                                                               \
            unit_failed(__FILE__, __LINE__, "in a child: %s", #condition);                         \
    } while (0)

bool unit_fork(void); /* true in the child */
void unit_exit_child(void) __attribute__((noreturn));
bool unit_child_panicked(void);
bool unit_child_succeeded(void);

/* For the shim's panic(): ends the program, or a child of CHECK_PANICS the way it is to end. */
void unit_panic(const char *format, __builtin_va_list args) __attribute__((noreturn));

uint64_t unit_random(void);

/* In [0, n). */
static inline uint64_t unit_random_below(uint64_t n)
{
    return (uint64_t)(((unsigned __int128)unit_random() * n) >> 64);
}

#endif
