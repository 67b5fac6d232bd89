/* SPDX-License-Identifier: MIT */
/*
 * The main program of every unit test: runs the tests in the order of the file,
 * or those named, and prints a line for each (Test Anything Protocol).
 */
#include "unit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct unit_test *tests, **tests_end = &tests;
static jmp_buf on_failure;
static uint64_t seed, state;
static bool in_child;

#define PANIC_STATUS 77

void unit_register(struct unit_test *test)
{
    *tests_end = test;
    tests_end = &test->next;
}

void unit_failed(const char *file, int line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("# %s:%d: ", file, line);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    if (in_child)
        _exit(1);
    longjmp(on_failure, 1);
}

/* splitmix64 (Steele, Lea and Flood 2014) */
uint64_t unit_random(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

bool unit_fork(void)
{
    fflush(stdout);
    if (fork())
        return false;
    in_child = true;
    return true;
}

void unit_exit_child(void)
{
    _exit(0);
}

static bool child_ended_with(int expected)
{
    int status;

    wait(&status);
    return WIFEXITED(status) && WEXITSTATUS(status) == expected;
}

bool unit_child_panicked(void)
{
    return child_ended_with(PANIC_STATUS);
}

bool unit_child_succeeded(void)
{
    return child_ended_with(0);
}

void unit_panic(const char *format, va_list args)
{
    if (in_child)
        _exit(PANIC_STATUS);
    fflush(stdout);
    fprintf(stderr, "panic: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    abort();
}

static bool wanted(const struct unit_test *test, char **names)
{
    if (!*names)
        return true;
    for (; *names; names++)
        if (strcmp(*names, test->name) == 0)
            return true;
    return false;
}

/* Returns whether the test passed. */
static bool run(const struct unit_test *test)
{
    state = seed;
    if (setjmp(on_failure)) {
        printf("not ok %s\n", test->name);
        return false;
    }
    test->run();
    printf("ok %s\n", test->name);
    return true;
}

int main(int argc, char **argv)
{
    int count = 0, failed = 0;
    char **names = argv + 1;

    setvbuf(stdout, NULL, _IOLBF, 0);
    seed = time(NULL);
    if (argc > 2 && strcmp(argv[1], "--seed") == 0) {
        seed = strtoull(argv[2], NULL, 0);
        names = argv + 3;
    }
    printf("# %s --seed %llu\n", strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0],
           (unsigned long long)seed);
    for (const struct unit_test *test = tests; test; test = test->next) {
        if (!wanted(test, names))
            continue;
        count++;
        failed += !run(test);
    }
    printf("1..%d\n", count);
    return failed != 0;
}
