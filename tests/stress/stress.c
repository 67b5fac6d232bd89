/* SPDX-License-Identifier: MIT */
/*
 * Random load on processes and memory, after which all memory must be back.
 *
 *   stress [-t SECONDS] [-s SEED] [-w WORKERS] [-l FRAMES] [-n] [-v]
 *
 * Some workers for each processor do for a minute, at random, what breaks
 * kernels: fork in trees, map and unmap, fault, write after fork, send signals,
 * stop, pass data through pipes and files, execute, die in the middle of it.
 * All data written is a pattern that is checked when it is read.
 *
 * The free frames (MemFree in /proc/meminfo) are counted before and after, each
 * time after "3" was written to /proc/sys/vm/drop_caches. A warm-up of the same
 * load comes first, so that what the kernel keeps once it has been needed (page
 * tables of its own, object caches) is there at the first count. The counts may
 * differ by FRAMES (8): the slabs that a few objects more or less keep alive.
 * With -n they are only told: other kernels keep free memory in other places.
 * -v shows /proc/meminfo and /proc/slabinfo at both counts.
 *
 * A seed makes the same workers do the same operations in the same order; how
 * they interleave is up to the scheduler. Exit status 0 if all was well.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    WORKERS_PER_CPU = 4,
    MAX_WORKERS = 256,
    WARM_UP_SECONDS = 5,
    HANG_SECONDS = 180, /* how long a worker may take to come to the end of an operation */
    SETTLE_ROUNDS = 20,
    MOST_MESSAGES = 8,
};

struct worker_state {
    const char *doing; /* the operation it is in; points into this program's text */
    unsigned long operations;
};

static struct {
    volatile int stop;
    volatile int failed;
    struct worker_state workers[MAX_WORKERS];
} * shared;

static uint64_t random_state;
static int worker_number, most_pages, doomed;
static char *self;
static sigjmp_buf escape;

static uint64_t next_random(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1d;
}

/* A number from LOW to HIGH, both included. */
static unsigned between(unsigned low, unsigned high)
{
    return low + (next_random() >> 32) % (high - low + 1);
}

/* A child must not repeat its parent's numbers. */
static void split_random(unsigned salt)
{
    random_state = (random_state + salt + 1) * 0x9e3779b97f4a7c15 | 1;
    next_random();
}

static __attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...)
{
    char text[256];
    va_list list;
    int error = errno;
    va_start(list, format);
    int length = snprintf(text, sizeof(text), "stress: worker %d in %s: ", worker_number,
                          shared->workers[worker_number].doing);
    length += vsnprintf(text + length, sizeof(text) - length, format, list);
    length += snprintf(text + length, sizeof(text) - length, " (errno %d)\n", error);
    va_end(list);
    if (__atomic_fetch_add(&shared->failed, 1, __ATOMIC_SEQ_CST) < MOST_MESSAGES)
        write(STDERR_FILENO, text, length);
    shared->stop = 1;
    _exit(99);
}

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail("line %d: %s", __LINE__, #condition);                                             \
    } while (0)

/* fork; out of memory or processes is no failure of the kernel: the caller goes on without. */
static pid_t start_child(unsigned salt)
{
    pid_t pid = fork();
    if (pid == 0)
        split_random(salt);
    if (pid < 0 && errno != EAGAIN && errno != ENOMEM)
        fail("fork");
    return pid;
}

static int end_of(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) != pid)
        EXPECT(errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- patterns ---- */

static uint64_t pattern(uint64_t seed, size_t page)
{
    uint64_t x = (seed ^ page * 0xd6e8feb86659fd93) * 0x9e3779b97f4a7c15;
    return x ^ x >> 29;
}

static void write_page(void *memory, uint64_t seed, size_t page)
{
    uint64_t *words = (uint64_t *)((char *)memory + page * PAGE), value = pattern(seed, page);
    words[0] = words[page % 510 + 1] = words[511] = value;
}

static void check_page(const void *memory, uint64_t seed, size_t page)
{
    const uint64_t *words = (const uint64_t *)((const char *)memory + page * PAGE);
    uint64_t value = pattern(seed, page);
    if (words[0] != value || words[page % 510 + 1] != value || words[511] != value)
        fail("page %zu: %016lx %016lx %016lx, want %016lx", page, words[0], words[page % 510 + 1],
             words[511], value);
}

static void check_zero(const void *memory, size_t page)
{
    const uint64_t *words = (const uint64_t *)((const char *)memory + page * PAGE);
    if (words[0] | words[page % 510 + 1] | words[511])
        fail("page %zu is not zero", page);
}

static void *map(size_t pages, int flags)
{
    void *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        EXPECT(errno == ENOMEM);
    return p == MAP_FAILED ? NULL : p;
}

/* ---- operations ---- */

/* Children write their own pattern over their parent's and see nobody else's. */
static void fork_tree(char *memory, size_t pages, uint64_t seed, int depth)
{
    pid_t children[3];
    int count = depth > 0 ? (int)between(1, 3) : 0;
    for (int i = 0; i < count; i++) {
        children[i] = start_child(i);
        if (children[i] == 0) {
            uint64_t own = seed * 4 + i + 1;
            for (size_t page = 0; page < pages; page++) {
                check_page(memory, seed, page);
                write_page(memory, own, page);
            }
            fork_tree(memory, pages, own, depth - 1);
            _exit(7);
        }
    }
    for (int i = 0; i < count; i++)
        EXPECT(children[i] < 0 || end_of(children[i]) == 7);
    for (size_t page = 0; page < pages; page++)
        check_page(memory, seed, page);
}

static void do_fork(void)
{
    size_t pages = between(1, most_pages / 8);
    uint64_t seed = next_random() >> 8;
    char *memory = map(pages, MAP_PRIVATE);
    if (!memory)
        return;
    for (size_t page = 0; page < pages; page++)
        write_page(memory, seed, page);
    fork_tree(memory, pages, seed, between(1, 3));
    munmap(memory, pages * PAGE);
}

/* Maps, writes, protects, punches holes; what is left holds its pattern, new pages are zero. */
static void do_map(void)
{
    enum { NONE, ZERO, WRITTEN };
    size_t pages = between(4, most_pages);
    uint64_t seed = next_random();
    unsigned char state[4096] = {0};
    char *memory = map(pages, MAP_PRIVATE);
    if (!memory)
        return;
    memset(state, ZERO, pages);
    for (int round = between(5, 40); round > 0; round--) {
        size_t first = between(0, pages - 1), count = between(1, pages - first);
        char *start = memory + first * PAGE;
        switch (between(0, 4)) {
        case 0:
            EXPECT(munmap(start, count * PAGE) == 0);
            memset(state + first, NONE, count);
            break;
        case 1:
            EXPECT(mmap(start, count * PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == start ||
                   errno == ENOMEM);
            memset(state + first, ZERO, count);
            break;
        case 2:
            if (mprotect(start, count * PAGE, between(0, 1) ? PROT_READ : PROT_NONE) == 0)
                EXPECT(mprotect(start, count * PAGE, PROT_READ | PROT_WRITE) == 0);
            else
                EXPECT(errno == ENOMEM &&
                       mprotect(start, count * PAGE, PROT_READ | PROT_WRITE) < 0);
            break;
        default:
            for (size_t page = first; page < first + count && page < first + 16; page++) {
                if (state[page] == NONE)
                    continue;
                write_page(memory, seed, page);
                state[page] = WRITTEN;
            }
        }
        if (between(0, 9) == 0) {
            pid_t pid = start_child(round);
            if (pid == 0) {
                EXPECT(munmap(memory, pages * PAGE) == 0);
                _exit(0);
            }
            EXPECT(pid < 0 || end_of(pid) == 0);
        }
    }
    for (size_t page = 0; page < pages; page++) {
        if (state[page] == WRITTEN)
            check_page(memory, seed, page);
        else if (state[page] == ZERO)
            check_zero(memory, page);
    }
    EXPECT(munmap(memory, pages * PAGE) == 0);
}

static void write_out(int fd, const void *data, size_t length)
{
    const char *p = data;
    while (length > 0) {
        ssize_t n = write(fd, p, length);
        EXPECT(n > 0);
        p += n;
        length -= n;
    }
}

/* A file on tmpfs: written, read, mapped, cut, grown, renamed, removed while open. */
static void do_file(void)
{
    char name[64], other[64];
    uint64_t seed = next_random(), words[PAGE / 8];
    size_t pages = between(1, most_pages / 4);
    snprintf(name, sizeof(name), "f%u", between(0, 20));
    snprintf(other, sizeof(other), "g%u", between(0, 20));
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    EXPECT(fd >= 0);
    for (size_t page = 0; page < pages; page++) {
        memset(words, 0, sizeof(words));
        words[0] = words[page % 510 + 1] = words[511] = pattern(seed, page);
        write_out(fd, words, PAGE);
    }
    EXPECT(rename(name, other) == 0);
    char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
                        between(0, 1) ? MAP_SHARED : MAP_PRIVATE, fd, 0);
    EXPECT(memory != MAP_FAILED);
    for (size_t page = 0; page < pages; page++)
        check_page(memory, seed, page);
    size_t kept = between(0, pages);
    EXPECT(ftruncate(fd, kept * PAGE) == 0 && ftruncate(fd, pages * PAGE) == 0);
    for (size_t page = 0; page < pages; page++) {
        if (page < kept)
            check_page(memory, seed, page);
        else
            check_zero(memory, page);
        EXPECT(pread(fd, words, PAGE, page * PAGE) == PAGE);
        EXPECT(words[0] == (page < kept ? pattern(seed, page) : 0));
    }
    if (between(0, 1))
        EXPECT(unlink(other) == 0);
    EXPECT(munmap(memory, pages * PAGE) == 0 && close(fd) == 0);
}

/* A stream of numbers through a pipe, in pieces of any size. */
static void do_pipe(void)
{
    int fds[2];
    unsigned total = between(1, 200000);
    uint64_t seed = next_random();
    unsigned char buffer[9000];
    EXPECT(pipe(fds) == 0);
    pid_t pid = start_child(0);
    if (pid == 0) {
        close(fds[0]);
        for (unsigned at = 0; at < total;) {
            unsigned count = between(1, sizeof(buffer));
            count = count < total - at ? count : total - at;
            for (unsigned i = 0; i < count; i++)
                buffer[i] = pattern(seed, (at + i) / 8) >> (at + i) % 8 * 8;
            write_out(fds[1], buffer, count);
            at += count;
        }
        _exit(5);
    }
    close(fds[1]);
    for (unsigned at = 0; pid > 0;) {
        ssize_t n = read(fds[0], buffer, between(1, sizeof(buffer)));
        EXPECT(n >= 0);
        for (ssize_t i = 0; i < n; i++)
            EXPECT(buffer[i] == (unsigned char)(pattern(seed, (at + i) / 8) >> (at + i) % 8 * 8));
        at += n;
        EXPECT(n > 0 || at == total);
        if (n == 0)
            break;
    }
    close(fds[0]);
    EXPECT(pid < 0 || end_of(pid) == 5);
}

/* Queued signals arrive all and in order; stops and continuations in between. */
static void do_signals(void)
{
    int count = between(1, 50);
    sigset_t set, old;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    EXPECT(sigprocmask(SIG_BLOCK, &set, &old) == 0);
    pid_t parent = getpid(), pid = start_child(0);
    if (pid == 0) {
        for (int i = 0; i < count; i++) {
            EXPECT(sigqueue(parent, SIGRTMIN, (union sigval){.sival_int = i}) == 0);
            if (between(0, 3) == 0)
                sched_yield();
        }
        _exit(3);
    }
    for (int i = 0; pid > 0 && i < count; i++) {
        while (sigwaitinfo(&set, &info) < 0)
            EXPECT(errno == EINTR);
        EXPECT(info.si_value.sival_int == i && info.si_pid == pid);
        if (between(0, 15) == 0) {
            kill(pid, SIGSTOP);
            kill(pid, SIGCONT);
        }
    }
    EXPECT(pid < 0 || end_of(pid) == 3);
    EXPECT(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
}

static void do_exec(void)
{
    char seed[32], sum[32];
    uint64_t value = next_random();
    snprintf(seed, sizeof(seed), "%lx", value);
    snprintf(sum, sizeof(sum), "%lx", pattern(value, 1));
    int use_vfork = between(0, 1);
    pid_t pid = use_vfork ? vfork() : fork();
    if (pid == 0) {
        execl(self, "stress", "--child", seed, sum, NULL);
        _exit(98);
    }
    EXPECT(pid > 0 || errno == EAGAIN || errno == ENOMEM);
    EXPECT(pid < 0 || end_of(pid) == 55);
}

static void on_fault(int signal)
{
    siglongjmp(escape, signal);
}

/* Faults, caught or not; the process that made them is none the worse for it. */
static void do_fault(void)
{
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    pid_t pid = start_child(0);
    if (pid != 0) {
        int end = pid > 0 ? end_of(pid) : 0;
        EXPECT(pid < 0 || end == 9 || end == 128 + SIGSEGV);
        return;
    }
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
    sigaltstack(&alternate, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    for (volatile int i = between(1, 20); i > 0; i--) {
        volatile char *hole = map(1, MAP_PRIVATE);
        EXPECT(hole);
        if (between(0, 1))
            mprotect((void *)hole, PAGE, PROT_READ);
        else
            munmap((void *)hole, PAGE);
        if (!sigsetjmp(escape, 1)) {
            *hole = 1;
            fail("no fault");
        }
        munmap((void *)hole, PAGE);
    }
    if (between(0, 1))
        _exit(9);
    signal(SIGSEGV, SIG_DFL);
    *(volatile char *)(uintptr_t)(most_pages & 1) = 0;
    fail("alive");
}

/* Several processes count in one shared page. */
static void do_shared(void)
{
    enum { CHILDREN = 4, TURNS = 500 };
    pid_t children[CHILDREN];
    int started = 0;
    int *counter = map(2, MAP_SHARED);
    if (!counter)
        return;
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = start_child(i);
        if (children[i] == 0) {
            for (int j = 0; j < TURNS; j++)
                __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
            _exit(0);
        }
        started += children[i] > 0;
    }
    for (int i = 0; i < CHILDREN; i++)
        EXPECT(children[i] < 0 || end_of(children[i]) == 0);
    EXPECT(*counter == started * TURNS);
    munmap(counter, 2 * PAGE);
}

static unsigned descend(unsigned depth)
{
    volatile uint64_t frame[256];
    frame[depth % 256] = pattern(depth, 3);
    unsigned below = depth > 0 ? descend(depth - 1) : 0;
    EXPECT(frame[depth % 256] == pattern(depth, 3));
    return below + 1;
}

static void do_stack(void)
{
    unsigned depth = between(1, 500);
    pid_t pid = start_child(0);
    if (pid == 0)
        _exit(descend(depth) == depth + 1 ? 4 : 0);
    EXPECT(pid < 0 || end_of(pid) == 4);
}

static void do_heap(void)
{
    size_t pages = between(1, most_pages / 4);
    uint64_t seed = next_random();
    char *start = sbrk(0);
    start += -(uintptr_t)start % PAGE;
    if (brk(start + pages * PAGE) < 0) {
        EXPECT(errno == ENOMEM);
        return;
    }
    for (size_t page = 0; page < pages; page++) {
        check_zero(start, page);
        write_page(start, seed, page);
    }
    for (size_t page = 0; page < pages; page++)
        check_page(start, seed, page);
    EXPECT(brk(start) == 0);
}

static void operate(void);

static void remove_all(const char *folder)
{
    char path[512];
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (unlink(path) < 0)
            remove_all(path);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

/* A child does anything, in a folder of its own, and is killed in the middle of it. */
static void do_kill(void)
{
    int fds[2];
    char byte;
    if (doomed)
        return;
    EXPECT(pipe(fds) == 0 && mkdir("killed", 0700) == 0);
    pid_t pid = start_child(0);
    if (pid == 0) {
        doomed = 1;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        EXPECT(setpgid(0, 0) == 0 && chdir("killed") == 0);
        write_out(fds[1], "x", 1);
        for (;;)
            operate();
    }
    if (pid > 0) {
        EXPECT(read(fds[0], &byte, 1) == 1);
        struct timespec time = {0, between(0, 5000000)};
        nanosleep(&time, NULL);
        /* Until nobody of the group is left: a fork may just have missed the signal. */
        EXPECT(kill(-pid, SIGKILL) == 0 && end_of(pid) == 128 + SIGKILL);
        while (kill(-pid, SIGKILL) == 0)
            sched_yield();
    }
    close(fds[0]);
    close(fds[1]);
    remove_all("killed");
}

/* A child that ends before its own children: they are adopted. */
static void do_orphans(void)
{
    pid_t pid = start_child(0);
    if (pid == 0) {
        for (int i = between(1, 3); i > 0; i--) {
            if (start_child(i) == 0) {
                char *memory = map(between(1, 20), MAP_PRIVATE);
                if (memory)
                    *memory = 1;
                sched_yield();
                _exit(0);
            }
        }
        _exit(6);
    }
    EXPECT(pid < 0 || end_of(pid) == 6);
}

/* Names: directories, links, FIFOs come and go. */
static void do_names(void)
{
    char path[64], other[64];
    for (int i = between(1, 20); i > 0; i--) {
        snprintf(path, sizeof(path), "d%u", between(0, 9));
        snprintf(other, sizeof(other), "d%u", between(0, 9));
        switch (between(0, 6)) {
        case 0:
            EXPECT(mkdir(path, 0700) == 0 || errno == EEXIST);
            break;
        case 1:
            EXPECT(rmdir(path) == 0 || errno == ENOENT || errno == ENOTDIR || errno == ENOTEMPTY);
            break;
        case 2:
            EXPECT(symlink(other, path) == 0 || errno == EEXIST);
            break;
        case 3:
            EXPECT(mkfifo(path, 0600) == 0 || errno == EEXIST);
            break;
        case 4:
            EXPECT(rename(path, other) == 0 || errno == ENOENT || errno == EISDIR ||
                   errno == ENOTDIR || errno == ENOTEMPTY || errno == EEXIST);
            break;
        case 5:
            EXPECT(link(path, other) == 0 || errno == ENOENT || errno == EEXIST || errno == EPERM);
            break;
        default:
            EXPECT(unlink(path) == 0 || errno == ENOENT || errno == EISDIR);
        }
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} operations[] = {
    {"fork", do_fork},       {"map", do_map},   {"file", do_file},   {"pipe", do_pipe},
    {"signals", do_signals}, {"exec", do_exec}, {"fault", do_fault}, {"shared", do_shared},
    {"stack", do_stack},     {"heap", do_heap}, {"kill", do_kill},   {"orphans", do_orphans},
    {"names", do_names},
};

static void operate(void)
{
    unsigned choice = between(0, sizeof(operations) / sizeof(operations[0]) - 1);
    shared->workers[worker_number].doing = operations[choice].name;
    operations[choice].run();
}

/* ---- the whole ---- */

static __attribute__((noreturn)) void work(int number, uint64_t seed)
{
    char folder[32];
    worker_number = number;
    random_state = seed;
    split_random(number);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    snprintf(folder, sizeof(folder), "w%d", number);
    EXPECT((mkdir(folder, 0700) == 0 || errno == EEXIST) && chdir(folder) == 0);
    while (!shared->stop) {
        operate();
        shared->workers[number].operations++;
    }
    _exit(0);
}

static void on_alarm(int signal)
{
    (void)signal;
}

static void hung(int workers)
{
    for (int i = 0; i < workers; i++)
        fprintf(stderr, "stress: worker %d was in %s after %lu operations\n", i,
                shared->workers[i].doing, shared->workers[i].operations);
    fprintf(stderr, "stress: hung\n");
    kill(0, SIGKILL);
}

/* Lets the workers run for some time and waits for them, and for all whom they orphaned. */
static void run_load(int workers, double seconds, uint64_t seed)
{
    struct timespec end, now;
    struct sigaction action = {.sa_handler = on_alarm};
    shared->stop = 0;
    sigaction(SIGALRM, &action, NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    for (int i = 0; i < workers; i++) {
        pid_t pid = fork();
        if (pid == 0)
            work(i, seed);
        if (pid < 0)
            fail("fork of a worker");
    }
    do {
        struct timespec pause = {0, 50000000};
        nanosleep(&pause, NULL);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (!shared->stop &&
             now.tv_sec - end.tv_sec + (now.tv_nsec - end.tv_nsec) / 1e9 < seconds);
    shared->stop = 1;
    alarm(HANG_SECONDS);
    while (waitpid(-1, NULL, 0) > 0 || errno != ECHILD) {
        if (errno == EINTR)
            hung(workers);
        errno = 0;
    }
    alarm(0);
}

static long free_frames(void)
{
    char text[4096], *line;
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
    sync();
    if (fd >= 0) {
        write(fd, "3", 1);
        close(fd);
    }
    fd = open("/proc/meminfo", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return -1;
    text[n] = 0;
    line = strstr(text, "MemFree:");
    return line ? atol(line + 8) / 4 : -1;
}

/* Where the memory is, for who looks for a leak. */
static void tell_caches(void)
{
    static const char *const names[] = {"/proc/meminfo", "/proc/slabinfo"};
    for (int i = 0; i < 2; i++) {
        char text[4096];
        ssize_t n;
        int fd = open(names[i], O_RDONLY);
        while (fd >= 0 && (n = read(fd, text, sizeof(text))) > 0)
            write(STDOUT_FILENO, text, n);
        close(fd);
    }
}

/* What was freed a moment ago may be on its way: ask again, for a little while. */
static long settled_frames(long goal)
{
    long frames = free_frames();
    for (int i = 0; i < SETTLE_ROUNDS && frames != goal; i++) {
        usleep(50000);
        frames = free_frames();
    }
    return frames;
}

int main(int argc, char **argv)
{
    long seconds = 60, limit = 8, workers = WORKERS_PER_CPU * sysconf(_SC_NPROCESSORS_ONLN);
    int option, only_tell = 0, tell_where = 0;
    unsigned long operations_done = 0;
    uint64_t seed = 0;
    char folder[64], program[4096] = "";

    if (argc == 4 && !strcmp(argv[1], "--child")) {
        uint64_t value = strtoull(argv[2], NULL, 16);
        return pattern(value, 1) == strtoull(argv[3], NULL, 16) ? 55 : 1;
    }
    getrandom(&seed, sizeof(seed), 0);
    while ((option = getopt(argc, argv, "t:s:w:l:nv")) != -1) {
        if (option == 't')
            seconds = atol(optarg);
        else if (option == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (option == 'w')
            workers = atol(optarg);
        else if (option == 'l')
            limit = atol(optarg);
        else if (option == 'n')
            only_tell = 1;
        else if (option == 'v')
            tell_where = 1;
        else
            return 2;
    }
    workers = workers > MAX_WORKERS ? MAX_WORKERS : workers < 1 ? 1 : workers;
    setvbuf(stdout, NULL, _IOLBF, 0);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
        return 2;
    for (int i = 0; i < MAX_WORKERS; i++)
        shared->workers[i].doing = "start";
    self = program;
    snprintf(folder, sizeof(folder), "/tmp/stress.%d", getpid());
    if (mkdir(folder, 0700) < 0 || chdir(folder) < 0)
        return 2;
    setpgid(0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    long share = free_frames() / (workers * 16);
    most_pages = share < 32 ? 32 : share > 1024 ? 1024 : share;
    printf("stress: seed %#lx, %ld workers for %ld s, up to %d pages each\n", seed, workers,
           seconds, most_pages);

    run_load(workers, WARM_UP_SECONDS, ~seed);
    remove_all(folder);
    long before = settled_frames(-1);
    if (tell_where)
        tell_caches();
    if (mkdir(folder, 0700) < 0 || chdir(folder) < 0)
        return 2;
    if (!shared->failed)
        run_load(workers, seconds, seed);
    remove_all(folder);
    long after = settled_frames(before);
    if (tell_where)
        tell_caches();

    for (int i = 0; i < workers; i++)
        operations_done += shared->workers[i].operations;
    printf("stress: %lu operations\n", operations_done);
    printf("stress: %ld free frames before, %ld after, difference %ld\n", before, after,
           after - before);
    if (shared->failed) {
        printf("stress: FAILED, a worker saw something wrong\n");
        return 1;
    }
    if (!only_tell && labs(after - before) > limit) {
        printf("stress: FAILED, the difference is more than %ld\n", limit);
        return 1;
    }
    printf("stress: passed\n");
    return 0;
}
