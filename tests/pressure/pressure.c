/* SPDX-License-Identifier: MIT */
/*
 * Programs that need more memory than there is.
 *
 *     pressure swapon DEVICE           let the kernel swap to it
 *     pressure mix JOBS TASKS MIB      as `make -jJOBS` would run TASKS compilers, which grow to MIB at
 *                                      most; none may fail, and each checks all that it has written
 *     pressure hot MIB ROUNDS DEVICE [BYTES]
 *                                      go round in a working set ROUNDS times, half of it anonymous,
 *                                      half a mapped DEVICE's; while a child reads BYTES of the device
 *                                      from behind it, one after the other. Prints the major faults
 *     pressure hog                     take memory until the end
 *     pressure hidden                  the same, memory that no process is seen to have: in files that
 *                                      nobody maps
 */
#define _GNU_SOURCE
#include "../stress/load.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int ok, const char *what)
{
    if (ok)
        return;
    printf("pressure: %d: %s: %s\n", getpid(), what, strerror(errno));
    fflush(stdout);
    _exit(1);
}

static uint64_t state = RANDOM_START;

static unsigned long below(unsigned long n)
{
    return random_next(&state) % n;
}

/* ---- mix --------------------------------------------------------------------------------------------- */

struct block {
    struct block *next;
    size_t words;
    uint64_t data[];
};

static uint64_t word(const struct block *b, size_t i)
{
    return (uintptr_t)b * 0x9e3779b97f4a7c15UL + i;
}

/* Reads its source, grows a heap of many sizes, goes over it again and again; pipes its output into a
 * child that adds it up. */
static void compile(unsigned task, size_t limit)
{
    static char text[65536];
    struct block *heap = NULL;
    size_t total = 0, goal = limit / 2 + below(limit / 2);
    uint64_t sum = 0, heard = 0;
    int fds[2], back[2], status, fd;

    state += task * 7919UL;
    fd = open("/proc/self/exe", O_RDONLY);
    must(fd >= 0, "source");
    while (read(fd, text, sizeof(text)) > 0)
        ;
    close(fd);
    while (total < goal) {
        size_t words = 8 + below(below(8) ? 500 : 40000);
        struct block *b = malloc(sizeof(*b) + words * 8);
        must(b != NULL, "malloc");
        b->words = words;
        for (size_t i = 0; i < words; i++)
            b->data[i] = word(b, i);
        b->next = heap;
        heap = b;
        total += words * 8;
    }
    must(pipe(fds) == 0 && pipe(back) == 0, "pipe");
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) { /* the assembler, which also sees our heap */
        uint64_t n, all = 0;
        close(fds[1]);
        while (read(fds[0], &n, sizeof(n)) == sizeof(n))
            all += n;
        must(write(back[1], &all, sizeof(all)) == sizeof(all), "write");
        _exit(0);
    }
    close(fds[0]);
    for (struct block *b = heap; b; b = b->next) {
        uint64_t mine = 0;
        for (size_t i = 0; i < b->words; i++) {
            must(b->data[i] == word(b, i), "a word is not what it was");
            mine += b->data[i];
        }
        sum += mine;
        must(write(fds[1], &mine, sizeof(mine)) == sizeof(mine), "write");
    }
    close(fds[1]);
    must(read(back[0], &heard, sizeof(heard)) == sizeof(heard) && heard == sum, "the sum");
    must(waitpid(pid, &status, 0) == pid && status == 0, "the child");
    _exit(0);
}

static int mix(unsigned jobs, unsigned tasks, size_t limit)
{
    unsigned running = 0, started = 0, failed = 0;
    int status;

    while (started < tasks || running > 0) {
        if (started < tasks && running < jobs) {
            pid_t pid = fork();
            must(pid >= 0, "fork");
            if (pid == 0)
                compile(started, limit);
            started++;
            running++;
            continue;
        }
        must(wait(&status) > 0, "wait");
        running--;
        if (status) {
            printf("pressure: a task ended with %x\n", status);
            failed++;
        }
    }
    printf("mix: %u tasks, %u failed\n", started, failed);
    return failed != 0;
}

/* ---- hot ---------------------------------------------------------------------------------------------- */

static pid_t read_device(const char *device, off_t from, off_t bytes, int *ready)
{
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid)
        return pid;
    static char buffer[1 << 17];
    int fd = open(device, O_RDONLY);
    must(fd >= 0, device);
    for (off_t at = from; at < from + bytes; at += sizeof(buffer)) {
        must(pread(fd, buffer, sizeof(buffer), at) == sizeof(buffer), "read of the device");
        __atomic_add_fetch(ready, 1, __ATOMIC_SEQ_CST);
    }
    _exit(0);
}

static unsigned long touch(char *p, size_t bytes, int write)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < bytes; i += PAGE) {
        if (write)
            p[i]++;
        sum += ((volatile char *)p)[i];
    }
    return sum;
}

static int hot(size_t mib, int rounds, const char *device, off_t bytes)
{
    size_t half = mib * MIB / 2;
    char *p = mmap(NULL, half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q;
    int *read = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
        status = 0;
    int fd = open(device, O_RDONLY), done = 0;
    struct rusage before, after;
    pid_t pid = 0;

    must(fd >= 0, device);
    q = mmap(NULL, half, PROT_READ, MAP_SHARED, fd, 0);
    must(p != MAP_FAILED && q != MAP_FAILED && read != MAP_FAILED, "mmap");
    for (int i = 0; i < 4; i++) { /* it has become hot */
        touch(p, half, 1);
        touch(q, half, 0);
    }
    getrusage(RUSAGE_SELF, &before);
    if (bytes)
        pid = read_device(device, half, bytes, read);
    for (; done < rounds || (pid && waitpid(pid, &status, WNOHANG) == 0); done++) {
        touch(p, half, 1);
        touch(q, half, 0);
        usleep(1000);
    }
    getrusage(RUSAGE_SELF, &after);
    printf("hot: %ld major faults in %d rounds\n", after.ru_majflt - before.ru_majflt, done);
    return status != 0;
}

/* ---- hog ----------------------------------------------------------------------------------------------- */

static int hog(void)
{
    for (size_t n = 0;; n++) {
        char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            printf("hog: refused after %zu MiB\n", n);
            return 0;
        }
        for (size_t i = 0; i < MIB; i += 8)
            *(uint64_t *)(p + i) = n * MIB + i;
    }
}

static int hidden(void)
{
    static char some[MIB];
    int fd = memfd_create("hog", 0);
    memset(some, 1, sizeof(some) / 2);
    while (write(fd, some, sizeof(some)) > 0)
        ;
    memset(some, 1, sizeof(some));
    for (;;)
        hog();
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "swapon")) {
        must(swapon(argv[2], 0) == 0, "swapon");
        return 0;
    }
    if (argc == 5 && !strcmp(argv[1], "mix"))
        return mix(atoi(argv[2]), atoi(argv[3]), atol(argv[4]) * MIB);
    if (argc >= 5 && !strcmp(argv[1], "hot"))
        return hot(atol(argv[2]), atoi(argv[3]), argv[4], argc > 5 ? atoll(argv[5]) : 0);
    if (argc == 2 && !strcmp(argv[1], "hog"))
        return hog();
    if (argc == 2 && !strcmp(argv[1], "hidden"))
        return hidden();
    return 2;
}
