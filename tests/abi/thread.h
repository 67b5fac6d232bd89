/* SPDX-License-Identifier: MIT */
/* What the tests of threads and futexes share. */
#ifndef ABI_THREAD_H
#define ABI_THREAD_H

#include "check.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static CHECK_USED long futex(void *word, int op, unsigned value, const void *timeout, void *word2,
                             unsigned value3)
{
    return syscall(SYS_futex, word, op, value, timeout, word2, value3);
}

static CHECK_USED pthread_t thread_start(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, body, argument) == 0);
    return thread;
}

static CHECK_USED long thread_end(pthread_t thread)
{
    void *result;
    REQUIRE(pthread_join(thread, &result) == 0);
    return (long)result;
}

/* The state letter of a thread of this process. */
static CHECK_USED char thread_state(pid_t tid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    ssize_t n = read_file(path, text, sizeof(text));
    char *paren = n > 0 ? strrchr(text, ')') : NULL;
    return paren ? paren[2] : 0;
}

/* Waits until the thread, which will store its number in *TID, sleeps. */
static CHECK_USED void await_sleep(_Atomic pid_t *tid)
{
    while (!*tid)
        usleep(200);
    while (thread_state(*tid) != 'S')
        usleep(200);
}

static CHECK_USED struct timespec after_ms(clockid_t clock, long ms)
{
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += ms % 1000 * 1000000;
    t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static CHECK_USED long ms_since(const struct timespec *start, clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (t.tv_sec - start->tv_sec) * 1000 + (t.tv_nsec - start->tv_nsec) / 1000000;
}

#endif
