/* SPDX-License-Identifier: MIT */
/*
 * Everything that moves pages, at once in one address space: threads collapse, page out, move, fork,
 * protect, truncate and write from outside, while memory is compacted and swap is taken away and given
 * back.
 *
 *     meetings [-s SEED] [-t SECONDS] [-d DEVICE] [-n THREADS]
 *
 * Pages have owners, one thread each, whose pages lie between the others'. Only the owner writes to a page, and
 * after each step he knows what is in it; all else that happens to it must not be seen. What threads do
 * to whole areas leaves contents alone. DEVICE (mkswap is done here) is swapped to.
 *
 * The seed is printed; the order of events between threads is the machine's.
 */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/swap.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/fs.h>

#define SWAP_DISCARD 0x10000

#define AREAS       3 /* of HUGE, private */
#define FILE_PAGES  256UL
#define OWN_PAGES   96UL /* a mapping of each thread's own, which moves about */
#define THREADS_MAX 16

struct worker {
    pthread_t thread;
    unsigned number;
    uint64_t random;
    unsigned *generation;      /* of its pages in the areas, by page */
    unsigned *file_generation; /* the same in the file */
    unsigned long *own, own_generation;
    unsigned long steps;
};

static unsigned threads = 6;
static unsigned long seed = 1, seconds = 20;
static char *areas, *file_memory;
static int file_fd;
static const char *device;
static volatile int stop;
static struct worker workers[THREADS_MAX];

static void fail(const char *what, unsigned long page, unsigned long want, unsigned long got)
{
    printf("meetings: %s, page %lu: %lx instead of %lx\n", what, page, got, want);
    fflush(stdout);
    _exit(1);
}

static uint64_t word_of(const struct worker *w, unsigned long page, unsigned generation)
{
    return generation ? (uint64_t)w->number << 56 | (uint64_t)page << 32 | generation : 0;
}

/* ---- pages in the areas ---------------------------------------------------------------------------- */

/* The first and the last word of a page, and one that depends on it. */
static void check_page(const char *what, const void *memory, unsigned long page, uint64_t want)
{
    const volatile uint64_t *words = memory;

    for (unsigned i = 0; i < 512; i += 73)
        if (words[i] != want)
            fail(what, page, want, words[i]);
}

static void fill_page(void *memory, uint64_t word)
{
    volatile uint64_t *words = memory;

    for (unsigned i = 0; i < 512; i += 73)
        words[i] = word;
}

/* A page of this thread's. */
static unsigned long own_page(struct worker *w, unsigned long pages)
{
    unsigned long page = random_next(&w->random) % pages;

    page = page - page % threads + w->number;
    return page < pages ? page : w->number;
}

static void write_page(struct worker *w)
{
    unsigned long page = own_page(w, AREAS * HUGE / PAGE);

    check_page("private", areas + page * PAGE, page, word_of(w, page, w->generation[page]));
    fill_page(areas + page * PAGE, word_of(w, page, ++w->generation[page]));
}

/* The same from outside. */
static void write_from_outside(struct worker *w)
{
    unsigned long page = own_page(w, AREAS * HUGE / PAGE);
    uint64_t buffer[512] = {0};
    struct iovec from = {buffer, PAGE}, to = {areas + page * PAGE, PAGE};

    fill_page(buffer, word_of(w, page, ++w->generation[page]));
    if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) != (ssize_t)PAGE)
        fail("process_vm_writev", page, PAGE, errno);
}

static void check_all(struct worker *w)
{
    for (unsigned long page = w->number; page < AREAS * HUGE / PAGE; page += threads)
        check_page("private", areas + page * PAGE, page, word_of(w, page, w->generation[page]));
}

/* Read-only for a moment. */
static void protect_page(struct worker *w)
{
    unsigned long page = own_page(w, AREAS * HUGE / PAGE);

    fill_page(areas + page * PAGE, word_of(w, page, ++w->generation[page]));
    mprotect(areas + page * PAGE, PAGE, PROT_READ);
    check_page("protected", areas + page * PAGE, page, word_of(w, page, w->generation[page]));
    mprotect(areas + page * PAGE, PAGE, READ_WRITE);
}

static void drop_page(struct worker *w)
{
    unsigned long page = own_page(w, AREAS * HUGE / PAGE);

    if (madvise(areas + page * PAGE, PAGE, MADV_DONTNEED) == 0)
        w->generation[page] = 0;
}

/* Dropped as long as it is not written again. */
static void free_page(struct worker *w)
{
    unsigned long page = own_page(w, AREAS * HUGE / PAGE);

    madvise(areas + page * PAGE, PAGE, MADV_FREE);
    fill_page(areas + page * PAGE, word_of(w, page, ++w->generation[page]));
}

/* The child sees what the parent had, whatever that writes meanwhile. */
static void fork_and_check(struct worker *w)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        check_all(w);
        for (unsigned i = 0; i < 20; i++)
            write_page(w);
        check_all(w);
        _exit(0);
    }
    if (child < 0)
        return;
    for (unsigned i = 0; i < 20; i++)
        write_page(w);
    while (waitpid(child, &status, 0) < 0)
        ;
    if (status)
        fail("a child ended", child, 0, status);
}

/* ---- whole areas ------------------------------------------------------------------------------------- */

static void advise_area(struct worker *w)
{
    static const int advice[] = {MADV_COLLAPSE, MADV_COLLAPSE, MADV_PAGEOUT,    MADV_PAGEOUT,
                                 MADV_COLD,     MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_WILLNEED};
    unsigned long start = random_next(&w->random) % AREAS * HUGE, length = HUGE;

    if (random_next(&w->random) % 3 == 0) {
        start += random_next(&w->random) % 256 * PAGE;
        length = (1 + random_next(&w->random) % 256) * PAGE;
    }
    madvise(areas + start, length, advice[random_next(&w->random) % 8]);
}

/* ---- a mapping that moves ------------------------------------------------------------------------------ */

static void move_own(struct worker *w)
{
    unsigned long *to;

    if (!w->own) {
        w->own = mmap(NULL, OWN_PAGES * PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (w->own == MAP_FAILED)
            fail("mmap", 0, 0, errno);
        w->own_generation = 0;
    }
    for (unsigned i = 0; i < OWN_PAGES; i++)
        check_page("own", (char *)w->own + i * PAGE, i,
                   w->own_generation ? w->own_generation + i : 0);
    w->own_generation += 1000;
    for (unsigned i = 0; i < OWN_PAGES; i++)
        fill_page((char *)w->own + i * PAGE, w->own_generation + i);
    if (random_next(&w->random) % 2)
        madvise(w->own, OWN_PAGES * PAGE, MADV_PAGEOUT);
    if (random_next(&w->random) % 8 == 0) {
        munmap(w->own, OWN_PAGES * PAGE);
        w->own = NULL;
        return;
    }
    to = mmap(NULL, OWN_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    to = mremap(w->own, OWN_PAGES * PAGE, OWN_PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    if (to != MAP_FAILED)
        w->own = to;
}

/* ---- a file in memory ------------------------------------------------------------------------------------ */

static void use_file(struct worker *w)
{
    unsigned long page = own_page(w, FILE_PAGES);
    uint64_t buffer[512] = {0};
    char *memory = file_memory + page * PAGE;

    check_page("file", memory, page, word_of(w, page, w->file_generation[page]));
    switch (random_next(&w->random) % 4) {
    case 0:
        fill_page(memory, word_of(w, page, ++w->file_generation[page]));
        break;
    case 1:
        fill_page(buffer, word_of(w, page, ++w->file_generation[page]));
        if (pwrite(file_fd, buffer, PAGE, page * PAGE) != (ssize_t)PAGE)
            fail("pwrite", page, PAGE, errno);
        break;
    case 2:
        if (fallocate(file_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PAGE, PAGE) == 0)
            w->file_generation[page] = 0;
        break;
    case 3:
        madvise(file_memory, FILE_PAGES * PAGE, MADV_PAGEOUT);
    }
    check_page("file", memory, page, word_of(w, page, w->file_generation[page]));
}

/* ---- threads --------------------------------------------------------------------------------------------- */

static void *work(void *argument)
{
    struct worker *w = argument;

    for (; !stop; w->steps++) {
        unsigned choice = random_next(&w->random) % 64;

        if (choice < 24)
            write_page(w);
        else if (choice < 30)
            write_from_outside(w);
        else if (choice < 36)
            protect_page(w);
        else if (choice < 40)
            drop_page(w);
        else if (choice < 44)
            free_page(w);
        else if (choice < 54)
            use_file(w);
        else if (choice < 60)
            advise_area(w);
        else if (choice < 62)
            move_own(w);
        else if (choice < 63)
            check_all(w);
        else
            fork_and_check(w);
    }
    check_all(w);
    return NULL;
}

static void *compact(void *unused)
{
    int fd = open("/proc/sys/vm/compact_memory", O_WRONLY);

    while (!stop && fd >= 0) {
        if (write(fd, "1", 1) != 1)
            break;
        usleep(20000);
    }
    return unused;
}

/* What mkswap(8) writes. */
static void make_swap(void)
{
    char page[PAGE] = {0};
    int fd = open(device, O_RDWR);
    uint64_t size = 0;

    if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) != 0)
        fail("the device", 0, 0, errno);
    ((uint32_t *)page)[256] = 1;
    ((uint32_t *)page)[257] = size / PAGE - 1;
    memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
    if (pwrite(fd, page, PAGE, 0) != (ssize_t)PAGE || fsync(fd) || close(fd))
        fail("making swap", 0, 0, errno);
}

static unsigned long swaps;

static void *swap(void *unused)
{
    while (!stop) {
        if (swapon(device, SWAP_DISCARD) != 0)
            fail("swapon", 0, 0, errno);
        usleep(200000);
        while (swapoff(device) != 0) {
            if (errno != ENOMEM && errno != EINTR)
                fail("swapoff", 0, 0, errno);
            usleep(10000);
        }
        swaps++;
    }
    return unused;
}

static void start(void)
{
    char *p = mmap(NULL, (AREAS + 1) * HUGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    areas = (char *)(((unsigned long)p + HUGE - 1) & ~(HUGE - 1));
    file_fd = memfd_create("file", 0);
    if (p == MAP_FAILED || file_fd < 0 || ftruncate(file_fd, FILE_PAGES * PAGE))
        fail("start", 0, 0, errno);
    file_memory = mmap(NULL, FILE_PAGES * PAGE, READ_WRITE, MAP_SHARED, file_fd, 0);
    if (file_memory == MAP_FAILED)
        fail("the file", 0, 0, errno);
    for (unsigned i = 0; i < threads; i++) {
        workers[i].number = i;
        workers[i].random = seed * 0x9e3779b97f4a7c15 + i * 0x100000001b3 + 1;
        workers[i].generation = calloc(AREAS * HUGE / PAGE, sizeof(unsigned));
        workers[i].file_generation = calloc(FILE_PAGES, sizeof(unsigned));
    }
}

int main(int argc, char **argv)
{
    pthread_t compactor, swapper;
    unsigned long steps = 0;

    for (int option; (option = getopt(argc, argv, "s:t:d:n:")) != -1;)
        switch (option) {
        case 's':
            seed = strtoul(optarg, NULL, 0);
            break;
        case 't':
            seconds = strtoul(optarg, NULL, 0);
            break;
        case 'd':
            device = optarg;
            break;
        case 'n':
            threads = strtoul(optarg, NULL, 0);
            break;
        default:
            return 2;
        }
    printf("meetings: seed %lu, %u threads, %lu seconds\n", seed, threads, seconds);
    start();
    if (device)
        make_swap();
    for (unsigned i = 0; i < threads; i++)
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    pthread_create(&compactor, NULL, compact, NULL);
    if (device)
        pthread_create(&swapper, NULL, swap, NULL);
    sleep(seconds);
    stop = 1;
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        steps += workers[i].steps;
    }
    pthread_join(compactor, NULL);
    if (device)
        pthread_join(swapper, NULL);
    printf("meetings: passed, %lu steps, swap taken away %lu times\n", steps, swaps);
    return 0;
}
