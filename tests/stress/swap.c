/* SPDX-License-Identifier: MIT */
/*
 * More memory than there is: programs that need the swap area that is given to them, and check every
 * byte of what comes back.
 *
 *     swap DEVICE random MIB TOUCHES    one process, pages at random
 *     swap DEVICE share MIB             four processes that share pages since a fork
 *     swap DEVICE files MIB             tmpfs, memfd and shared anonymous memory
 *     swap DEVICE off MIB               swapoff while others work
 *
 * A page that was written n times says so in each of its words, together with its number: pages that
 * are lost, mixed up or out of date are all found.
 */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS (PAGE / sizeof(uint64_t))

static uint64_t seed = RANDOM_START;

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "swap: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail("line %d: %s (errno %d)", __LINE__, #condition, errno);                           \
    } while (0)

/* ---- pages that know what they are ---------------------------------------------------------------- */

static uint64_t word(uint64_t page, uint64_t version, unsigned i)
{
    return (page << 24 | version << 12 | i) * 0x9e3779b97f4a7c15;
}

static void fill(uint64_t *memory, uint64_t page, uint64_t version)
{
    for (unsigned i = 0; i < WORDS; i++)
        memory[i] = word(page, version, i);
}

static void check(const uint64_t *memory, uint64_t page, uint64_t version)
{
    for (unsigned i = 0; i < WORDS; i++) {
        uint64_t expected = version ? word(page, version, i) : 0;

        if (memory[i] != expected)
            fail("page %lu, version %lu: word %u is %016lx, not %016lx", (unsigned long)page,
                 (unsigned long)version, i, (unsigned long)memory[i], (unsigned long)expected);
    }
}

struct region {
    uint64_t *memory;
    uint64_t pages;
    uint8_t *versions;
};

static uint64_t *page_at(const struct region *r, uint64_t page)
{
    return r->memory + page * WORDS;
}

static void make_region(struct region *r, size_t size, int flags, int fd)
{
    r->pages = size / PAGE;
    r->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    CHECK(r->memory != MAP_FAILED);
    r->versions = calloc(r->pages, 1);
    CHECK(r->versions);
}

static void touch_random(struct region *r)
{
    uint64_t page = random_next(&seed) % r->pages;

    check(page_at(r, page), page, r->versions[page]);
    if (random_next(&seed) % 2) {
        r->versions[page] = r->versions[page] % 255 + 1;
        fill(page_at(r, page), page, r->versions[page]);
    }
}

static void fill_all(struct region *r)
{
    for (uint64_t i = 0; i < r->pages; i++) {
        r->versions[i] = r->versions[i] % 255 + 1;
        fill(page_at(r, i), i, r->versions[i]);
    }
}

static void check_all(const struct region *r)
{
    for (uint64_t i = 0; i < r->pages; i++)
        check(page_at(r, i), i, r->versions[i]);
}

/* Make others' pages go: touch so much memory, and be gone. */
static void press(size_t size)
{
    pid_t pid = fork();
    struct region r;
    int status;

    CHECK(pid >= 0);
    if (pid == 0) {
        make_region(&r, size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        fill_all(&r);
        check_all(&r);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status)
        fail("the hog ended with status %x", status);
}

/* ---- what the kernel says ------------------------------------------------------------------------- */

/* A number from a file of lines "NAME: value kB" or "NAME value", or -1. */
static long number_in(const char *file, const char *name)
{
    FILE *f = fopen(file, "r");
    char line[256];
    long n = -1;

    if (!f)
        return -1;
    while (fgets(line, sizeof(line), f))
        if (!strncmp(line, name, strlen(name)) && strchr(": \t", line[strlen(name)]))
            n = atol(line + strlen(name) + 1);
    fclose(f);
    return n;
}

/* The same of the mapping at an address. */
static long smaps_number(pid_t pid, const void *memory, const char *name)
{
    char file[64], line[512], start[32];
    bool here = false;
    long n = -1;
    FILE *f;

    snprintf(file, sizeof(file), "/proc/%d/smaps", pid);
    snprintf(start, sizeof(start), "%lx-", (unsigned long)memory);
    f = fopen(file, "r");
    CHECK(f);
    while (n < 0 && fgets(line, sizeof(line), f)) {
        if (!strncmp(line, start, strlen(start)))
            here = true;
        else if (here && !strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
            n = atol(line + strlen(name) + 1);
    }
    fclose(f);
    return n;
}

static void report(const char *what)
{
    printf("swap: %s: %ld pages out, %ld in, %ld major faults, %ld KiB of swap in use\n", what,
           number_in("/proc/vmstat", "pswpout"), number_in("/proc/vmstat", "pswpin"),
           number_in("/proc/vmstat", "pgmajfault"),
           number_in("/proc/meminfo", "SwapTotal") - number_in("/proc/meminfo", "SwapFree"));
    fflush(stdout);
}

/* ---- the tests ------------------------------------------------------------------------------------ */

static void test_random(size_t size, long touches)
{
    struct region r;

    make_region(&r, size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    fill_all(&r);
    report("filled");
    for (long i = 0; i < touches; i++)
        touch_random(&r);
    report("touched");
    check_all(&r);
    CHECK(number_in("/proc/vmstat", "pswpout") > 0 && number_in("/proc/vmstat", "pswpin") > 0);
    munmap(r.memory, size);
}

#define CHILDREN 3

/* Children do a step when told to by a byte, and answer with one. */
struct child {
    pid_t pid;
    int to, from;
};

static void serve(const struct region *r, int from, int to)
{
    char c;

    while (read(from, &c, 1) == 1) {
        if (c == 'r')
            check_all(r);
        CHECK(write(to, &c, 1) == 1);
    }
    _exit(0);
}

static void start_child(struct child *child, const struct region *r)
{
    int down[2], up[2];

    CHECK(pipe(down) == 0 && pipe(up) == 0);
    child->pid = fork();
    CHECK(child->pid >= 0);
    if (child->pid == 0) {
        close(down[1]);
        close(up[0]);
        serve(r, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    child->to = down[1];
    child->from = up[0];
}

static void ask(const struct child *child, char what)
{
    char c = 0;

    CHECK(write(child->to, &what, 1) == 1);
    CHECK(read(child->from, &c, 1) == 1 && c == what);
}

/* Each of the four must see a quarter of what is in memory and of what is in swap. */
static void check_shared(const struct child *children, const struct region *r, const char *when)
{
    long kib = r->pages * (PAGE / 1024), sum = 0;

    for (int i = -1; i < CHILDREN; i++) {
        pid_t pid = i < 0 ? getpid() : children[i].pid;
        long rss = smaps_number(pid, r->memory, "Rss"), swap = smaps_number(pid, r->memory, "Swap");
        long pss = smaps_number(pid, r->memory, "Pss");
        long swap_pss = smaps_number(pid, r->memory, "SwapPss");

        printf("swap: %s: process %d: Rss %ld, Pss %ld, Swap %ld, SwapPss %ld KiB\n", when, i + 1,
               rss, pss, swap, swap_pss);
        sum += pss + swap_pss;
    }
    fflush(stdout);
    /* An entry in swap and its page in memory count in turn; some pages are on their way. */
    if (sum > kib + kib / 8)
        fail("%s: the four have %ld KiB together, though they share %ld", when, sum, kib);
}

/* What /proc/PID/status counts is what smaps finds in the tables, shared with others or not; but smaps has
 * in swap also what is of files in memory. Pages may be on their way between the two looks: then once
 * more. */
static void check_counted(pid_t pid, const struct region *r)
{
    char status[64], rollup[64];
    long counted[2], found[2], least = 0;

    snprintf(status, sizeof(status), "/proc/%d/status", pid);
    snprintf(rollup, sizeof(rollup), "/proc/%d/smaps_rollup", pid);
    for (int i = 0; i < 200; i++) {
        counted[0] = number_in(status, "RssAnon");
        counted[1] = number_in(status, "VmSwap");
        found[0] = number_in(rollup, "Anonymous");
        found[1] = number_in(rollup, "Swap");
        least = smaps_number(pid, r->memory, "Swap");
        if (counted[0] == found[0] && counted[1] >= least && counted[1] <= found[1])
            return;
        usleep(10000);
    }
    fail("process %d: RssAnon %ld, VmSwap %ld KiB, but in its tables %ld, %ld to %ld", pid,
         counted[0], counted[1], found[0], least, found[1]);
}

static void test_share(size_t size)
{
    struct child children[CHILDREN];
    struct region r;

    make_region(&r, size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    fill_all(&r);
    for (int i = 0; i < CHILDREN; i++)
        start_child(&children[i], &r);
    press(64 * MIB); /* the tables of all four are the same still */
    report("pressed");
    for (int i = 0; i < CHILDREN; i++)
        check_counted(children[i].pid, &r);
    check_counted(getpid(), &r);
    for (int i = 0; i < CHILDREN; i++)
        ask(&children[i], 'r');
    check_all(&r);
    check_shared(children, &r, "before");
    for (int round = 0; round < 3; round++) {
        press(64 * MIB);
        report("pressed");
        check_shared(children, &r, "out");
        for (int i = 0; i < CHILDREN; i++)
            ask(&children[i], 'r');
        check_all(&r);
        check_shared(children, &r, "in");
    }
    for (int i = 0; i < CHILDREN; i++) /* those who came later have the ends of those before, too */
        close(children[i].to);
    for (int i = 0; i < CHILDREN; i++)
        CHECK(waitpid(children[i].pid, NULL, 0) == children[i].pid);
    fill_all(&r); /* ours alone now */
    check_all(&r);
    munmap(r.memory, size);
}

static void check_file(int fd, const struct region *r)
{
    static uint64_t buffer[WORDS];

    for (uint64_t i = 0; i < r->pages; i++) {
        CHECK(pread(fd, buffer, PAGE, i * PAGE) == PAGE);
        check(buffer, i, r->versions[i]);
    }
}

/* Holes stay holes, in swap or not; what is cut off is gone. */
static void cut_and_punch(int fd, struct region *r)
{
    uint64_t half = r->pages / 2;

    CHECK(lseek(fd, 0, SEEK_DATA) == 0);
    CHECK(lseek(fd, 0, SEEK_HOLE) == (off_t)(r->pages * PAGE));
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 64 * PAGE) == 0);
    CHECK(lseek(fd, 0, SEEK_HOLE) == PAGE && lseek(fd, PAGE, SEEK_DATA) == 65 * PAGE);
    CHECK(ftruncate(fd, half * PAGE + 100) == 0);
    CHECK(ftruncate(fd, r->pages * PAGE) == 0);
    for (uint64_t i = 1; i < 65; i++)
        r->versions[i] = 0;
    memset(r->versions + half + 1, 0, r->pages - half - 1);
    for (unsigned i = 0; i < WORDS; i++)
        if (i > 100 / sizeof(uint64_t))
            CHECK(page_at(r, half)[i] == 0);
    fill(page_at(r, half), half, r->versions[half]);
}

static void test_files(size_t size)
{
    int fds[2] = {open("/tmp/swap.file", O_RDWR | O_CREAT | O_TRUNC, 0600),
                  memfd_create("swap", 0)};
    struct region regions[3];

    for (int i = 0; i < 2; i++) {
        CHECK(fds[i] >= 0 && ftruncate(fds[i], size) == 0);
        make_region(&regions[i], size, MAP_SHARED, fds[i]);
    }
    make_region(&regions[2], size, MAP_SHARED | MAP_ANONYMOUS, -1);
    for (int i = 0; i < 3; i++)
        fill_all(&regions[i]);
    report("filled");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3000; i++)
            touch_random(&regions[random_next(&seed) % 3]);
        for (int i = 0; i < 2; i++)
            check_file(fds[i], &regions[i]);
        press(48 * MIB);
        report("pressed");
        for (int i = 0; i < 3; i++) {
            long rss = smaps_number(getpid(), regions[i].memory, "Rss");
            long swap = smaps_number(getpid(), regions[i].memory, "Swap");
            CHECK(swap > 0 &&
                  rss + swap <= (long)(size >> 10)); /* the rest is in memory, unmapped */
        }
    }
    for (int i = 0; i < 2; i++)
        cut_and_punch(fds[i], &regions[i]);
    for (int i = 0; i < 3; i++) {
        check_all(&regions[i]);
        munmap(regions[i].memory, size);
    }
    for (int i = 0; i < 2; i++) {
        check_file(fds[i], &regions[i]);
        close(fds[i]);
    }
    unlink("/tmp/swap.file");
}

static volatile sig_atomic_t stop;

static void on_signal(int signo)
{
    (void)signo;
    stop = 1;
}

/* A process that works on its memory until it is told to stop. */
static pid_t start_worker(size_t size, int shift)
{
    pid_t pid = fork();
    struct region r;

    CHECK(pid >= 0);
    if (pid)
        return pid;
    seed += shift;
    make_region(&r, size, MAP_ANONYMOUS | (shift % 2 ? MAP_SHARED : MAP_PRIVATE), -1);
    fill_all(&r);
    while (!stop) {
        touch_random(&r);
        usleep(500); /* the others have few processors, too */
    }
    check_all(&r);
    _exit(0);
}

static void test_off(const char *device, size_t size)
{
    pid_t workers[4];
    int status;

    signal(SIGTERM, on_signal);
    for (int i = 0; i < 4; i++)
        workers[i] = start_worker(size / 4, i);
    press(size);
    for (int round = 0; round < 2; round++) {
        report("under load");
        if (swapoff(device)) {
            printf("swap: swapoff: %s\n", strerror(errno));
            CHECK(errno == ENOMEM);
            press(size);
            continue;
        }
        CHECK(number_in("/proc/meminfo", "SwapTotal") == 0);
        CHECK(swapon(device, 0) == 0);
        press(size);
    }
    for (int i = 0; i < 4; i++)
        kill(workers[i], SIGTERM);
    for (int i = 0; i < 4; i++) {
        CHECK(waitpid(workers[i], &status, 0) == workers[i]);
        if (status)
            fail("worker %d ended with status %x", i, status);
    }
}

/* ---- all of it ------------------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
    const char *device = argv[1], *test = argv[2];
    size_t size;

    if (argc < 4)
        fail("usage: swap DEVICE random|share|files|off MIB [TOUCHES]");
    size = strtoul(argv[3], NULL, 10) * MIB;
    CHECK(swapon(device, 0) == 0);
    CHECK(swapon(device, 0) == -1 && errno == EBUSY);
    if (!strcmp(test, "random"))
        test_random(size, argc > 4 ? atol(argv[4]) : 20000);
    else if (!strcmp(test, "share"))
        test_share(size);
    else if (!strcmp(test, "files"))
        test_files(size);
    else if (!strcmp(test, "off"))
        test_off(device, size);
    else
        fail("no such test: %s", test);
    report("end");
    CHECK(swapoff(device) == 0);
    CHECK(swapoff(device) == -1 && errno == EINVAL);
    CHECK(number_in("/proc/meminfo", "SwapTotal") == 0);
    CHECK(number_in("/proc/meminfo", "SwapCached") == 0);
    printf("swap: passed\n");
    return 0;
}
