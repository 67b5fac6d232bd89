/* SPDX-License-Identifier: MIT */
/*
 * How the cost of memory management grows: each line of the output is a point of a curve,
 *
 *     curve x cost
 *
 * with the cost in nanoseconds of CLOCK_MONOTONIC, which are instructions under --icount.
 *
 *     fork        x MiB touched:       fork, _exit of the child, wait
 *     fork_touch  x MiB touched:       the same, and a write to each page of it afterwards, for each page
 *     fault       x VMAs:              the first write to a page, each in a VMA of its own
 *     map         x VMAs:              mmap of four pages and munmap, between them
 *     pressure    x % of memory used:  the first write to a page
 *
 * and, in MiB a second, if there is a disk to swap to:
 *
 *     device_write, device_read   x MiB, past the page cache
 *     swap_out, swap_in           x MiB more than there is memory: what is written while they are touched
 *                                 in order, and what is read while the first x MiB are
 *
 * usage: curves [CURVE...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SWAP_DEVICE "/dev/vda"

enum { PAGE = 4096, ROUNDS = 200 };

static void fail(const char *what)
{
    fprintf(stderr, "curves: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* What now() costs itself. */
static uint64_t overhead(void)
{
    uint64_t least = UINT64_MAX;

    for (int i = 0; i < 20; i++) {
        uint64_t start = now(), time = now() - start;

        least = time < least ? time : least;
    }
    return least;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The mean of the middle half: the clock of RISC-V has 100 ns, and now and then a timer interrupts. */
static void point(const char *curve, unsigned x, uint64_t *times, unsigned n)
{
    uint64_t sum = 0;
    unsigned first = n / 4, last = n - n / 4;

    qsort(times, n, sizeof(*times), by_value);
    for (unsigned i = first; i < last; i++)
        sum += times[i];
    printf("%s %u %llu\n", curve, x, (unsigned long long)(sum / (last - first)));
    fflush(stdout);
}

static char *map(size_t bytes)
{
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    if (p == MAP_FAILED)
        fail("mmap");
    madvise(p, bytes, MADV_NOHUGEPAGE);
    return p;
}

static unsigned random_below(unsigned n)
{
    static uint64_t state = 88172645463325252ull;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

/* ---- fork --------------------------------------------------------------------------------------------- */

static void touch(char *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += PAGE)
        p[i]++;
}

static uint64_t fork_once(void)
{
    uint64_t start = now();
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    if (child < 0 || waitpid(child, NULL, 0) != child)
        fail("fork");
    return now() - start;
}

static void fork_curve(void)
{
    for (unsigned mib = 1; mib <= 1024; mib *= 2) {
        size_t bytes = (size_t)mib << 20;
        char *p = map(bytes);
        uint64_t times[9], after[9];
        unsigned n = mib < 256 ? 9 : 3;

        touch(p, bytes);
        fork_once();
        for (unsigned i = 0; i < n; i++) {
            times[i] = fork_once();
            after[i] = now();
            touch(p, bytes);
            after[i] = (now() - after[i]) / (bytes / PAGE);
        }
        point("fork", mib, times, n);
        point("fork_touch", mib, after, n);
        munmap(p, bytes);
    }
}

/* ---- many VMAs ------------------------------------------------------------------------------------------ */

static void allow_vmas(void)
{
    int fd = open("/proc/sys/vm/max_map_count", O_WRONLY);

    if (fd < 0 || write(fd, "200000", 6) != 6)
        fail("max_map_count");
    close(fd);
}

/* n VMAs of one page with a page's hole behind each. */
static char *many_vmas(unsigned n)
{
    char *p = map(2UL * n * PAGE);

    for (unsigned i = 0; i < n; i++)
        if (munmap(p + (2UL * i + 1) * PAGE, PAGE))
            fail("munmap");
    return p;
}

static void vma_curves(void)
{
    static const unsigned counts[] = {10,   20,   50,    100,   200,   500,   1000,
                                      2000, 5000, 10000, 20000, 50000, 100000};
    uint64_t times[ROUNDS], cost = overhead();

    allow_vmas();
    for (unsigned k = 0; k < sizeof(counts) / sizeof(*counts); k++) {
        unsigned n = counts[k];
        char *p = many_vmas(n);

        for (unsigned i = 0; i < n; i += 32) /* the page tables */
            p[2UL * i * PAGE] = 1;
        for (unsigned i = 0; i < ROUNDS; i++) {
            char *page = p + 2UL * random_below(n) * PAGE;
            uint64_t start;

            madvise(page, PAGE, MADV_DONTNEED);
            start = now();
            *page = 1;
            times[i] = now() - start - cost;
        }
        point("fault", n, times, ROUNDS);
        for (unsigned i = 0; i < ROUNDS; i++) {
            uint64_t start = now();
            char *q =
                mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

            if (q == MAP_FAILED || munmap(q, 4 * PAGE))
                fail("mmap");
            times[i] = now() - start - cost;
        }
        point("map", n, times, ROUNDS);
        munmap(p, 2UL * n * PAGE);
    }
}

/* ---- little memory left ----------------------------------------------------------------------------------- */

/* Bytes: all, and what is not in use. */
static void memory(size_t *total, size_t *available)
{
    char text[4096], *line;
    int fd = open("/proc/meminfo", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (n <= 0)
        fail("/proc/meminfo");
    close(fd);
    text[n] = 0;
    line = strstr(text, "MemTotal:");
    *total = line ? strtoull(line + 9, NULL, 10) << 10 : 0;
    line = strstr(text, "MemAvailable:");
    *available = line ? strtoull(line + 13, NULL, 10) << 10 : 0;
}

static void pressure_curve(void)
{
    uint64_t times[ROUNDS], cost = overhead();
    size_t total, available, filled = 0;
    char *p;

    memory(&total, &available);
    p = map(total);
    for (unsigned percent = 5; percent <= 95; percent += 5) {
        size_t used;

        memory(&total, &available);
        used = total - available;
        if (used / (total / 100) > percent)
            continue;
        for (size_t more = total / 100 * percent - used; more >= PAGE; more -= PAGE, filled += PAGE)
            p[filled] = 1;
        for (unsigned i = 0; i < ROUNDS; i++, filled += PAGE) {
            uint64_t start = now();

            p[filled] = 1;
            times[i] = now() - start - cost;
        }
        point("pressure", percent, times, ROUNDS);
    }
    munmap(p, total);
}

/* ---- swap -------------------------------------------------------------------------------------------------- */

/* The number of a line of /proc/vmstat. */
static uint64_t counted(const char *name)
{
    char line[128];
    uint64_t n = 0;
    FILE *f = fopen("/proc/vmstat", "r");

    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ' ')
            n = strtoull(line + strlen(name), NULL, 10);
    if (f)
        fclose(f);
    return n;
}

static void rate(const char *curve, unsigned x, uint64_t bytes, uint64_t time)
{
    printf("%s %u %.1f\n", curve, x, bytes * 1e9 / (1 << 20) / time);
    fflush(stdout);
}

/* Move `bytes` between memory and the device, past the page cache, in pieces of 128 KiB. */
static void raw(int fd, char *buffer, size_t bytes, const char *curve, int writing)
{
    enum { PIECE = 128 << 10 };
    uint64_t start = now();

    for (size_t done = 0; done < bytes; done += PIECE)
        if ((writing ? pwrite(fd, buffer, PIECE, 1 << 20 | done)
                     : pread(fd, buffer, PIECE, 1 << 20 | done)) != PIECE)
            fail(SWAP_DEVICE);
    rate(curve, bytes >> 20, bytes, now() - start);
}

/* What mkswap(8) writes. */
static void make_swap(int fd, char *page)
{
    uint32_t *header = (uint32_t *)(page + 1024);

    memset(page, 0, PAGE);
    header[0] = 1;
    header[1] = lseek(fd, 0, SEEK_END) / PAGE - 1;
    memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
    if (pwrite(fd, page, PAGE, 0) != PAGE || fsync(fd))
        fail(SWAP_DEVICE);
}

static void swap_curve(void)
{
    int fd = open(SWAP_DEVICE, O_RDWR | O_DIRECT);
    size_t total, available;
    char *p = map(4 << 20);

    if (fd < 0)
        return; /* there is no such disk */
    for (unsigned mib = 16; mib <= 128; mib *= 2) {
        raw(fd, p, (size_t)mib << 20, "device_write", 1);
        raw(fd, p, (size_t)mib << 20, "device_read", 0);
    }
    make_swap(fd, p);
    close(fd);
    if (swapon(SWAP_DEVICE, 0))
        fail("swapon");
    memory(&total, &available);
    for (unsigned mib = 16; mib <= 128; mib *= 2) {
        size_t bytes = available + ((size_t)mib << 20), i = 0;
        uint64_t out, in, start;
        char *q = map(bytes);

        for (; i < available; i += PAGE)
            *(size_t *)(q + i) = i;
        out = counted("pswpout");
        start = now();
        for (; i < bytes; i += PAGE)
            *(size_t *)(q + i) = i;
        out = counted("pswpout") - out;
        rate("swap_out", mib, out * PAGE, now() - start);
        in = counted("pswpin");
        start = now();
        for (i = 0; i < (size_t)mib << 20; i += PAGE)
            if (*(size_t *)(q + i) != i)
                fail("what was swapped out came back otherwise");
        in = counted("pswpin") - in;
        rate("swap_in", mib, in * PAGE, now() - start);
        munmap(q, bytes);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*draw)(void);
    } curves[] = {{"fork", fork_curve},
                  {"vmas", vma_curves},
                  {"pressure", pressure_curve},
                  {"swap", swap_curve}};

    for (unsigned i = 0; i < 4; i++) {
        int wanted = argc == 1;

        for (int a = 1; a < argc; a++)
            wanted |= !strcmp(argv[a], curves[i].name);
        if (wanted)
            curves[i].draw();
    }
    return 0;
}
