/* SPDX-License-Identifier: MIT */
/*
 * Random load on processes and memory, and a count of what it leaves behind.
 *
 *     stress WORKERS WARM_UP_SECONDS SECONDS [SEED]
 *
 * Each worker does one random thing after another: it forks children that
 * write to shared-by-copy memory, maps and unmaps, takes faults, signals its
 * neighbours, stops and continues, executes, and uses files and pipes; and
 * checks every result. The load runs for a while so that caches fill, the free
 * memory is noted, then it runs for long, and the free memory must be back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, ARENA_PAGES = 256, MAX_WORKERS = 64, SLACK_KB = 512 };

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static uint64_t random_state;
static unsigned char *arena; /* private to each process, copied on write */
static pid_t *neighbours;    /* shared by all workers */
static uint64_t *operations;
static int worker_number, worker_count;
static char file_name[64];
static const char *self;

static void broken(const char *what, int line)
{
    dprintf(2, "stress: worker %d, line %d: %s does not hold (errno %s)\n", worker_number, line,
            what, strerrorname_np(errno));
    _exit(99);
}

static uint64_t random_below(uint64_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % limit;
}

static int wait_for(pid_t pid)
{
    int status;
    pid_t got;
    do {
        got = waitpid(pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    CHECK(got == pid);
    return status;
}

static pid_t start(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    return pid;
}

/* ---- the operations ---- */

/* The child's writes are its own; what it did not write it still sees. */
static void copy_on_write(void)
{
    for (int i = 0; i < 8; i++) {
        arena[random_below(ARENA_PAGES) * PAGE] = (unsigned char)random_below(256);
    }
    size_t page = random_below(ARENA_PAGES), count = random_below(ARENA_PAGES - page) + 1;
    unsigned char before = arena[page * PAGE];
    pid_t pid = start();
    if (pid == 0) {
        memset(arena + page * PAGE, before + 1, count * PAGE);
        CHECK(arena[(page + count - 1) * PAGE + 17] == (unsigned char)(before + 1));
        _exit(3);
    }
    arena[page * PAGE + 1] ^= 1;
    int status = wait_for(pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    CHECK(arena[page * PAGE] == before);
}

static void map_and_unmap(void)
{
    size_t pages = random_below(200) + 3;
    unsigned char *p =
        mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    for (size_t i = 0; i < pages; i += random_below(4) + 1) {
        CHECK(p[i * PAGE] == 0);
        p[i * PAGE] = (unsigned char)i;
    }
    size_t hole = random_below(pages - 2) + 1;
    CHECK(mprotect(p + hole * PAGE, PAGE, PROT_READ) == 0);
    CHECK(munmap(p + hole * PAGE, PAGE) == 0);
    CHECK(p[0] == 0);
    void *again = mmap(p + hole * PAGE, PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(again == p + hole * PAGE);
    CHECK(p[hole * PAGE] == 0);
    CHECK(munmap(p, pages * PAGE) == 0);
}

static void fatal_fault(void)
{
    int how = (int)random_below(3);
    pid_t pid = start();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        if (how == 0) {
            *(volatile int *)(uintptr_t)(8 * (how + 1)) = 1;
        } else if (how == 1) {
            mprotect(arena, PAGE, PROT_READ);
            *(volatile unsigned char *)arena = 1;
        } else {
            volatile unsigned char *kernel = (unsigned char *)~(uintptr_t)0xfff;
            *kernel = 1;
        }
        _exit(0);
    }
    int status = wait_for(pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void execute(void)
{
    pid_t pid = random_below(2) ? start() : vfork();
    if (pid == 0) {
        execl(self, self, "child", (char *)NULL);
        _exit(98);
    }
    CHECK(pid > 0);
    int status = wait_for(pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static void signal_neighbour(void)
{
    pid_t pid = neighbours[random_below((uint64_t)worker_count)];
    if (pid > 0) {
        CHECK(kill(pid, random_below(2) ? SIGUSR1 : SIGRTMIN) == 0 || errno == ESRCH ||
              errno == EAGAIN);
    }
}

static void stop_and_kill(void)
{
    pid_t pid = start();
    if (pid == 0) {
        for (;;) {
            arena[random_below(ARENA_PAGES) * PAGE]++;
        }
    }
    int status;
    CHECK(kill(pid, SIGSTOP) == 0);
    while (waitpid(pid, &status, WUNTRACED) < 0) {
        CHECK(errno == EINTR);
    }
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    if (random_below(2)) {
        CHECK(kill(pid, SIGCONT) == 0);
    }
    CHECK(kill(pid, SIGKILL) == 0);
    status = wait_for(pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void use_file(void)
{
    int fd = open(file_name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    size_t size = random_below(100000) + 1;
    CHECK(ftruncate(fd, (off_t)size) == 0);
    unsigned char *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char *private = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(shared != MAP_FAILED && private != MAP_FAILED);
    size_t at = random_below(size);
    shared[at] = 1;
    CHECK(private[at] == 1);
    private[at] = 2;
    unsigned char byte = 0;
    CHECK(pread(fd, &byte, 1, (off_t)at) == 1 && byte == 1);
    pid_t pid = start();
    if (pid == 0) {
        shared[at] = 3;
        private[at] = 4;
        _exit(0);
    }
    CHECK(wait_for(pid) == 0);
    CHECK(shared[at] == 3 && private[at] == 2);
    if (random_below(2)) {
        CHECK(munmap(shared, size) == 0 && munmap(private, size) == 0);
        CHECK(close(fd) == 0 && unlink(file_name) == 0);
    } else {
        CHECK(unlink(file_name) == 0 && close(fd) == 0);
        CHECK(munmap(private, size) == 0 && munmap(shared, size) == 0);
    }
}

static void use_pipe(void)
{
    static unsigned char data[20000], copy[20000];
    int ends[2];
    size_t size = random_below(sizeof data) + 1, got = 0;
    CHECK(pipe(ends) == 0);
    memset(data, (int)random_below(256), size);
    pid_t pid = start();
    if (pid == 0) {
        close(ends[0]);
        for (size_t sent = 0; sent < size;) {
            ssize_t n = write(ends[1], data + sent, size - sent);
            sent += n > 0 ? (size_t)n : 0;
        }
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], copy + got, sizeof copy - got)) != 0;) {
        CHECK(n > 0 || errno == EINTR);
        got += n > 0 ? (size_t)n : 0;
    }
    CHECK(got == size && !memcmp(data, copy, size));
    close(ends[0]);
    CHECK(wait_for(pid) == 0);
}

static void grow_and_shrink(void)
{
    char *end = sbrk(0);
    size_t size = (random_below(64) + 1) * PAGE;
    CHECK(sbrk((intptr_t)size) == end);
    memset(end, 7, size);
    CHECK(sbrk(-(intptr_t)size) != (void *)-1);
}

/* Grandchildren whose parent is gone go to process 1. */
static void orphans(void)
{
    pid_t pid = start();
    if (pid == 0) {
        if (start() == 0) {
            memset(arena, 1, PAGE * random_below(ARENA_PAGES));
            _exit(0);
        }
        _exit(0);
    }
    CHECK(wait_for(pid) == 0);
}

static void (*const operation[])(void) = {
    copy_on_write, map_and_unmap, fatal_fault, execute,         signal_neighbour, stop_and_kill,
    use_file,      use_pipe,      orphans,     grow_and_shrink, signal_neighbour, map_and_unmap,
};

/* ---- the load ---- */

static volatile sig_atomic_t signals_seen;

static void on_signal(int number)
{
    signals_seen++;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void work(int number, uint64_t seed, double until)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct itimerval tick = {{0, 7000}, {0, 7000}};
    worker_number = number;
    random_state = seed * 1000003 + (uint64_t)number;
    snprintf(file_name, sizeof file_name, "/tmp/stress.%d", number);
    arena =
        mmap(NULL, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(arena != MAP_FAILED);
    sigaction(SIGUSR1, &act, NULL);
    sigaction(SIGRTMIN, &act, NULL);
    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &tick, NULL);
    neighbours[number] = getpid();
    while (now() < until) {
        operation[random_below(sizeof operation / sizeof *operation)]();
        operations[number]++;
    }
    neighbours[number] = 0;
    _exit(0);
}

/* Neighbours' signals may come before a worker has its handlers, and to a
 * process that has just ended; both are ignored until then. */
static int load(int workers, uint64_t seed, double seconds)
{
    int failed = 0;
    double until = now() + seconds;
    for (int i = 0; i < workers; i++) {
        if (start() == 0) {
            work(i, seed, until);
        }
    }
    for (int status; wait(&status) > 0 || errno == EINTR;) {
        failed += status != 0;
        if (status != 0) {
            printf("a worker ended with wait status %#x\n", status);
        }
    }
    return failed;
}

static long free_kilobytes(void)
{
    char text[4096];
    int fd = open("/proc/meminfo", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    char *found = strstr(text, "MemFree:");
    return found ? strtol(found + 8, NULL, 10) : -1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "child")) {
        return 42;
    }
    if (argc < 4) {
        return 2;
    }
    self = argv[0];
    worker_count = atoi(argv[1]);
    uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
    void *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (worker_count < 1 || worker_count > MAX_WORKERS || shared == MAP_FAILED) {
        return 2;
    }
    neighbours = shared;
    operations = (uint64_t *)shared + MAX_WORKERS;
    signal(SIGUSR1, SIG_IGN);
    signal(SIGRTMIN, SIG_IGN);

    int failed = load(worker_count, seed, atof(argv[2]));
    long before = free_kilobytes();
    failed += load(worker_count, seed + 1, atof(argv[3]));
    long after = free_kilobytes();
    uint64_t total = 0;
    for (int i = 0; i < worker_count; i++) {
        total += operations[i];
    }
    printf("%llu operations; free before %ld kB, after %ld kB; %d failures\n",
           (unsigned long long)total, before, after, failed);
    return failed || before < 0 || labs(after - before) > SLACK_KB;
}
