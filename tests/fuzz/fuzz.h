/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the fuzzer share.
 */
#ifndef FUZZ_H
#define FUZZ_H

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, EXIT_LEAK = 77 };

/* What an argument means; calls.py guesses it from the sources. */
enum kind {
    K_ANY,
    K_PATH,
    K_TIME,
    K_VECTOR,
    K_STRINGS,
    K_BUFFER,
    K_FD,
    K_ADDRESS,
    K_PID,
    K_SIGNAL,
    K_LENGTH,
    K_OFFSET,
    K_COMMAND,
    K_FLAGS,
    K_COUNT,
};

struct call {
    const char *name;
    long number;
    unsigned count;
    enum kind kinds[6];
};
extern const struct call calls[];
extern const unsigned call_count;

/* A child as the supervisor sees it; in shared memory. */
struct slot {
    pid_t pid;
    unsigned number;
    volatile unsigned long calls;
    unsigned long calls_before, seen;
    long since;
    const char *volatile doing;
    volatile unsigned long leak, leak_at;
};

/* Make `most` calls with the numbers of (seed, slot->number), and exit. */
void fuzz_child(struct slot *slot, uint64_t seed, unsigned most) __attribute__((noreturn));

#endif
