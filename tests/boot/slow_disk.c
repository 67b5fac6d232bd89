/* SPDX-License-Identifier: MIT */
/*
 * slow_disk file|swap DISK: a thread that waits for a page from the disk keeps nobody from changing the
 * address space. The disk serves few requests a second, so that there is time to do so.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE     4096UL
#define ATTEMPTS 6
#define CHANGES  10

static atomic_int toucher_id, over;

static void *die(const char *what)
{
    perror(what);
    exit(2);
}

/* Waits for the page; how many of its faults were major is the result. */
static void *touch(void *page)
{
    struct rusage before, after;
    atomic_store(&toucher_id, (int)syscall(SYS_gettid));
    getrusage(RUSAGE_THREAD, &before);
    (void)*(volatile char *)page;
    getrusage(RUSAGE_THREAD, &after);
    atomic_store(&over, 1);
    return (void *)(after.ru_majflt - before.ru_majflt);
}

/* Does the thread wait for a device? */
static int waits(int id)
{
    char name[64], text[512], *p;
    int fd;
    ssize_t n;
    snprintf(name, sizeof(name), "/proc/self/task/%d/stat", id);
    fd = open(name, O_RDONLY);
    n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    p = strrchr(text, ')');
    return p && p[2] == 'D';
}

/* Returns whether the address space could be changed while a touch of the page waited. */
static int attempt(char *page, long *major)
{
    pthread_t toucher;
    void *result;
    int id, changed = 0;
    atomic_store(&toucher_id, 0);
    atomic_store(&over, 0);
    if (pthread_create(&toucher, NULL, touch, page))
        die("pthread_create");
    while (!(id = atomic_load(&toucher_id)) || (!atomic_load(&over) && !waits(id)))
        ;
    for (int i = 0; i < CHANGES; i++) {
        char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED || munmap(p, PAGE))
            die("mmap");
    }
    changed = waits(id);
    pthread_join(toucher, &result);
    *major = (long)result;
    return changed;
}

static char *file_pages(const char *disk)
{
    int fd = open(disk, O_RDONLY);
    char *p = mmap(NULL, ATTEMPTS * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
        die(disk);
    madvise(p, ATTEMPTS * PAGE, MADV_RANDOM);
    return p;
}

static int in_memory(char *p)
{
    unsigned char there[ATTEMPTS];
    int n = 0;
    if (mincore(p, ATTEMPTS * PAGE, there))
        die("mincore");
    for (int i = 0; i < ATTEMPTS; i++)
        n += there[i] & 1;
    return n;
}

/* They are written, and then others take the frames. */
static char *swapped_pages(const char *disk)
{
    const size_t all = 256UL << 20;
    int cluster = open("/proc/sys/vm/page-cluster", O_WRONLY);
    char *p =
        mmap(NULL, ATTEMPTS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *others =
        mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (write(cluster, "0", 1) != 1 || swapon(disk, 0) || p == MAP_FAILED || others == MAP_FAILED)
        die("swapon");
    memset(p, 1, ATTEMPTS * PAGE);
    if (madvise(p, ATTEMPTS * PAGE, MADV_PAGEOUT) || madvise(others, all, MADV_NOHUGEPAGE))
        die("MADV_PAGEOUT");
    sleep(2);
    for (size_t i = 0; i < all && in_memory(p); i += PAGE)
        others[i] = 1;
    munmap(others, all);
    return p;
}

int main(int argc, char **argv)
{
    char *p = argc == 3 ? *argv[1] == 'f' ? file_pages(argv[2]) : swapped_pages(argv[2]) : NULL;
    int changed = 0;
    if (!p)
        return 2;
    for (int i = 0; i < ATTEMPTS; i++) {
        long major;
        changed += attempt(p + i * PAGE, &major);
        if (major != 1) {
            printf("a page from the disk: %ld major faults\n", major);
            return 1;
        }
    }
    printf("changed %d\n", changed);
    return changed < ATTEMPTS / 2;
}
