/* SPDX-License-Identifier: MIT */
/*
 * Data is never lost or mixed up: processes map, write, fork, unmap, move, protect, drop and share
 * pages at random, and every word in memory says what it must be.
 *
 *     integrity [-s SEED] [-n STEPS] [-p PROCESSES] [-k PAGES] [-f FILE] [-c]
 *
 * A word is made of its owner, the page's name, the generation of its last write and its own place in
 * the page; so a page that is lost, stale, half copied or somebody else's shows at the first look. What
 * each page must hold stands in a model beside it:
 *
 *   - private memory, anonymous and of a file: each process has its own model; a child of fork() begins
 *     with a copy of both, and both must agree ever after, whatever the other side writes
 *   - shared memory, anonymous and of a file (FILE, say on a disk; else in tmpfs): each page has one
 *     writer, who counts generations in memory that all can see, odd while it writes; readers know
 *     from the counter before and after a look which generations they may find
 *
 * With -c memory is compacted all the while, so that pages move from frame to frame under everybody.
 *
 * The seed is printed; the order of events between processes is the machine's.
 */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS    (PAGE / 8)
#define ORIGINAL 0xfff /* the owner of what a file holds from the start */

enum state { ZERO, FILLED, MAYBE /* MADV_FREE: FILLED or ZERO */, HOLE };

/* What a private page must hold. */
struct model {
    unsigned char state;
    unsigned char protected; /* may not be written */
    unsigned short owner;
    unsigned page, generation;
};

/* A private region: pages, their models, and the file behind it (or -1). */
struct region {
    const char *name;
    char *memory;
    struct model *model;
    int fd;
};

struct shared {
    const char *name;
    char *memory;
    unsigned *generation; /* of each page; shared */
    int fd;
};

static unsigned long seed = 1, steps = 3000;
static unsigned processes = 4, pages = 512, me, depth;
static const char *file_name;
static struct region anonymous = {.name = "private", .fd = -1}, copied = {.name = "private file"};
static struct shared memory = {.name = "shared", .fd = -1}, file = {.name = "shared file"};
static unsigned long checks;

/* ---- randomness, words ---------------------------------------------------------------------------- */

static uint64_t state;

static unsigned long below(unsigned long n)
{
    return random_next(&state) % n;
}

static uint64_t word_of(unsigned owner, unsigned page, unsigned generation, unsigned index)
{
    return 1UL << 63 | (uint64_t)owner << 51 | (uint64_t)page << 31 |
           (uint64_t)(generation & 0x3fffff) << 9 | index;
}

static void die(const char *what, const char *where, unsigned page, unsigned index, uint64_t got,
                uint64_t want)
{
    printf(
        "integrity: seed %lu, process %u (depth %u): %s: %s page %u word %u: %016lx, not %016lx\n",
        seed, me, depth, what, where, page, index, (unsigned long)got, (unsigned long)want);
    fflush(stdout);
    _exit(1);
}

static void must(int ok, const char *what)
{
    if (ok)
        return;
    printf("integrity: seed %lu, process %u: %s: %s\n", seed, me, what, strerror(errno));
    fflush(stdout);
    _exit(1);
}

static void fill(char *at, unsigned owner, unsigned page, unsigned generation)
{
    uint64_t *words = (uint64_t *)at;
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = word_of(owner, page, generation, i);
}

/* ---- private memory ---------------------------------------------------------------------------------- */

static void check_words(const struct region *r, unsigned p, const uint64_t *words, const char *when)
{
    struct model *m = &r->model[p];
    checks++;
    if (m->state == MAYBE && words[0] == 0)
        m->state = ZERO;
    for (unsigned i = 0; i < WORDS; i++) {
        uint64_t want = m->state == ZERO ? 0 : word_of(m->owner, m->page, m->generation, i);
        if (words[i] == want)
            continue;
        if (m->state == MAYBE && i > 0 && words[i] == 0) /* freed between two looks: begin again */
            return m->state = ZERO, check_words(r, p, words, when);
        die(when, r->name, p, i, words[i], want);
    }
}

static void check_page(const struct region *r, unsigned p, const char *when)
{
    if (r->model[p].state != HOLE)
        check_words(r, p, (uint64_t *)(r->memory + p * PAGE), when);
}

static void check_region(const struct region *r, const char *when)
{
    for (unsigned p = 0; p < pages; p++)
        check_page(r, p, when);
}

/* What an untouched page of the region holds. */
static struct model fresh(const struct region *r, unsigned p)
{
    if (r->fd < 0)
        return (struct model){.state = ZERO};
    return (struct model){.state = FILLED, .owner = ORIGINAL, .page = p, .generation = 0};
}

static void write_page(struct region *r, unsigned p)
{
    static unsigned generation;
    struct model *m = &r->model[p];
    if (m->state == HOLE || m->protected)
        return;
    *m = (struct model){.state = FILLED, .owner = me, .page = p, .generation = ++generation};
    fill(r->memory + p * PAGE, me, p, generation);
}

static void map_range(struct region *r, unsigned first, unsigned n)
{
    int flags = MAP_PRIVATE | MAP_FIXED | (r->fd < 0 ? MAP_ANONYMOUS : 0);
    void *at = r->memory + first * PAGE;
    must(mmap(at, n * PAGE, READ_WRITE, flags, r->fd, r->fd < 0 ? 0 : first * PAGE) == at, "mmap");
    for (unsigned p = first; p < first + n; p++)
        r->model[p] = fresh(r, p);
}

/* Swap two ranges, by three moves over a place that is free. */
static void exchange(struct region *r, unsigned a, unsigned b, unsigned n)
{
    char *spare = mmap(NULL, n * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *at = r->memory + a * PAGE, *other = r->memory + b * PAGE;
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
    must(spare != MAP_FAILED, "mmap");
    must(mremap(at, n * PAGE, n * PAGE, flags, spare) == spare &&
             mremap(other, n * PAGE, n * PAGE, flags, at) == at &&
             mremap(spare, n * PAGE, n * PAGE, flags, other) == other,
         "mremap");
    for (unsigned i = 0; i < n; i++) {
        struct model m = r->model[a + i];
        r->model[a + i] = r->model[b + i];
        r->model[b + i] = m;
    }
}

/* mremap() moves one area: the ranges must be of one kind, without holes. */
static int uniform(const struct region *r, unsigned first, unsigned n)
{
    for (unsigned p = first; p < first + n; p++)
        if (r->model[p].state == HOLE || r->model[p].protected != r->model[first].protected)
            return 0;
    return 1;
}

/* Make the range one area, of pages in their own places: a moved part of a file is an area apart. */
static void try_exchange(struct region *r, unsigned first, unsigned n)
{
    unsigned other = below(pages - n + 1);
    if (r->fd >= 0 || (first < other + n && other < first + n) || !uniform(r, first, n) ||
        !uniform(r, other, n) || r->model[first].protected || r->model[other].protected)
        return;
    exchange(r, first, other, n);
}

static void set_protection(struct region *r, unsigned first, unsigned n, int protected)
{
    for (unsigned p = first; p < first + n; p++) {
        if (r->model[p].state == HOLE)
            continue;
        must(mprotect(r->memory + p * PAGE, PAGE, protected ? PROT_READ : READ_WRITE) == 0,
             "mprotect");
        r->model[p].protected = protected;
    }
}

static void advise(struct region *r, unsigned first, unsigned n, int advice)
{
    for (unsigned p = first; p < first + n; p++) {
        struct model *m = &r->model[p];
        if (m->state == HOLE || (advice == MADV_FREE && r->fd >= 0))
            continue;
        must(madvise(r->memory + p * PAGE, PAGE, advice) == 0 || errno == EINVAL, "madvise");
        if (advice == MADV_FREE && m->state == FILLED)
            m->state = MAYBE;
        if (advice == MADV_DONTNEED) {
            int protected = m->protected;
            *m = fresh(r, p);
            m->protected = protected;
        }
    }
}

/* Huge pages wherever there can be one. It changes nothing that can be seen, whatever it returns.
 * (Not MADV_HUGEPAGE: what is mapped later would be an area apart.) */
static void collapse(struct region *r)
{
    for (char *p = r->memory; p + HUGE <= r->memory + pages * PAGE; p += HUGE)
        madvise(p, HUGE, MADV_COLLAPSE);
}

/* The kernel's way to our memory: through a pipe. */
static void check_by_pipe(struct region *r, unsigned p)
{
    uint64_t words[WORDS];
    int fds[2];
    if (r->model[p].state == HOLE || r->model[p].state == MAYBE)
        return;
    must(pipe(fds) == 0, "pipe");
    must(write(fds[1], r->memory + p * PAGE, PAGE) == (ssize_t)PAGE, "write to a pipe");
    must(read(fds[0], words, PAGE) == (ssize_t)PAGE, "read from a pipe");
    close(fds[0]);
    close(fds[1]);
    check_words(r, p, words, "through a pipe");
}

/* ---- shared memory --------------------------------------------------------------------------------- */

static void write_shared(struct shared *s, unsigned p)
{
    unsigned g = s->generation[p];
    __atomic_store_n(&s->generation[p], g + 1, __ATOMIC_SEQ_CST);
    fill(s->memory + p * PAGE, p % processes, p, g + 2);
    __atomic_store_n(&s->generation[p], g + 2, __ATOMIC_SEQ_CST);
}

/* Words of a page of which it is known which generations it may be. */
static void check_shared(struct shared *s, unsigned p)
{
    unsigned before = __atomic_load_n(&s->generation[p], __ATOMIC_SEQ_CST) & ~1U, after;
    uint64_t words[WORDS];
    if (s->fd >= 0 && below(3) == 0)
        must(pread(s->fd, words, PAGE, p * PAGE) == (ssize_t)PAGE, "pread");
    else
        memcpy(words, s->memory + p * PAGE, PAGE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    after = (__atomic_load_n(&s->generation[p], __ATOMIC_SEQ_CST) + 1) & ~1U;
    checks++;
    for (unsigned i = 0; i < WORDS; i++) {
        unsigned g = words[i] >> 9 & 0x3fffff;
        if ((words[i] == 0 && before == 0 && s->fd < 0) ||
            (words[i] == word_of(p % processes, p, g, i) && g >= before && g <= after))
            continue;
        die("shared", s->name, p, i, words[i], word_of(p % processes, p, before, i));
    }
}

static void shared_step(struct shared *s)
{
    unsigned p = below(pages), first = below(pages), n = 1 + below(pages - first);
    switch (below(8)) {
    case 0:
        if (depth == 0)
            must(madvise(s->memory + first * PAGE, n * PAGE, MADV_DONTNEED) == 0, "madvise");
        break;
    case 1:
        madvise(s->memory + first * PAGE, n * PAGE, MADV_PAGEOUT);
        break;
    case 2:
        if (s->fd >= 0)
            must(msync(s->memory + first * PAGE, n * PAGE, below(2) ? MS_SYNC : MS_ASYNC) == 0,
                 "msync");
        break;
    case 3 ... 4:
        p -= p % processes;
        p += me;
        if (depth == 0 && p < pages)
            write_shared(s, p);
        break;
    default:
        check_shared(s, p);
    }
}

/* ---- steps ------------------------------------------------------------------------------------------- */

static void run(unsigned long n);

/* Children agree with us on what there is, and then go their own way. */
static void have_child(void)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        must(errno == ENOMEM || errno == EAGAIN, "fork");
        return;
    }
    if (pid == 0) {
        depth++;
        state ^= 0x9e3779b97f4a7c15 * depth;
        me = 64 + me; /* what it writes is not ours */
        check_region(&anonymous, "in a child");
        run(steps / 20);
        check_region(&anonymous, "at a child's end");
        check_region(&copied, "at a child's end");
        _exit(0);
    }
}

static void reap(int options)
{
    int status;
    while (waitpid(-1, &status, options) > 0)
        if (status) {
            printf("integrity: seed %lu: a child ended with %x\n", seed, status);
            fflush(stdout);
            _exit(1);
        }
}

static void private_step(struct region *r)
{
    unsigned first = below(pages), n = 1 + below(pages - first < 40 ? pages - first : 40);
    unsigned p = below(pages);
    switch (below(20)) {
    case 0 ... 5:
        for (p = first; p < first + n; p++)
            write_page(r, p);
        break;
    case 6 ... 9:
        for (p = first; p < first + n; p++)
            check_page(r, p, "as left");
        break;
    case 10:
        must(munmap(r->memory + first * PAGE, n * PAGE) == 0, "munmap");
        for (p = first; p < first + n; p++)
            r->model[p] = (struct model){.state = HOLE};
        break;
    case 11:
        map_range(r, first, n);
        break;
    case 12:
        try_exchange(r, first, n);
        break;
    case 13:
        set_protection(r, first, n, below(2));
        break;
    case 14:
        advise(r, first, n, MADV_DONTNEED);
        break;
    case 15:
        advise(r, first, n, MADV_FREE);
        break;
    case 16:
        advise(r, first, n, below(2) ? MADV_PAGEOUT : MADV_COLD);
        break;
    case 17:
        collapse(r);
        break;
    default:
        check_by_pipe(r, p);
    }
}

static void run(unsigned long n)
{
    for (unsigned long i = 0; i < n; i++) {
        switch (below(64)) {
        case 0:
            if (depth < 2)
                have_child();
            break;
        case 1 ... 30:
            private_step(&anonymous);
            break;
        case 31 ... 46:
            private_step(&copied);
            break;
        case 47 ... 54:
            shared_step(&memory);
            break;
        default:
            shared_step(&file);
        }
        reap(i % 32 == 0 ? 0 : WNOHANG);
    }
    reap(0);
}

/* ---- the start ---------------------------------------------------------------------------------------- */

static void *map_shared(size_t length, int fd)
{
    void *p = mmap(NULL, length, READ_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    must(p != MAP_FAILED, "mmap of shared memory");
    return p;
}

static void make_region(struct region *r)
{
    r->memory = mmap(NULL, pages * PAGE + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    r->model = malloc(pages * sizeof(*r->model));
    must(r->memory != MAP_FAILED && r->model, "memory");
    r->memory = (char *)(((unsigned long)r->memory + HUGE - 1) & ~(HUGE - 1));
    map_range(r, 0, pages);
}

static void make_files(void)
{
    char page[PAGE];
    copied.fd = open("/tmp/integrity.original", O_RDWR | O_CREAT | O_TRUNC, 0600);
    file.fd = open(file_name ? file_name : "/tmp/integrity.shared", O_RDWR | O_CREAT, 0600);
    must(copied.fd >= 0 && file.fd >= 0, "files");
    for (unsigned p = 0; p < pages; p++) {
        fill(page, ORIGINAL, p, 0);
        must(pwrite(copied.fd, page, PAGE, p * PAGE) == (ssize_t)PAGE, "write");
        fill(page, p % processes, p, 0);
        must(pwrite(file.fd, page, PAGE, p * PAGE) == (ssize_t)PAGE, "write");
    }
}

/* At the end everybody sees the last generation of every page. */
static void check_all_shared(struct shared *s)
{
    for (unsigned p = 0; p < pages; p++)
        check_shared(s, p);
}

static void worker(unsigned number)
{
    me = number;
    state = seed * 2654435761UL + number * 40503 + RANDOM_START;
    make_region(&anonymous);
    make_region(&copied);
    for (unsigned p = 0; p < pages; p++) { /* as much as there may be at once */
        write_page(&anonymous, p);
        write_page(&copied, p);
    }
    run(steps);
    check_region(&anonymous, "at the end");
    check_region(&copied, "at the end");
    fflush(stdout);
    _exit(0);
}

/* Until it is ended. */
static pid_t start_compacting(void)
{
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child)
        return child;
    for (;;) {
        int fd = open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC);
        must(fd >= 0 && write(fd, "1", 1) == 1, "compact_memory");
        close(fd);
        usleep(1000);
    }
}

static void await_workers(pid_t *workers, int *bad)
{
    int status;
    for (unsigned i = 0; i < processes; i++) {
        must(waitpid(workers[i], &status, 0) == workers[i], "waitpid");
        *bad |= status;
    }
}

int main(int argc, char **argv)
{
    int option, status, bad = 0, compacting = 0;
    pid_t compactor = 0, *workers;
    seed = time(NULL);
    while ((option = getopt(argc, argv, "s:n:p:k:f:c")) != -1)
        switch (option) {
        case 's':
            seed = strtoul(optarg, NULL, 0);
            break;
        case 'n':
            steps = strtoul(optarg, NULL, 0);
            break;
        case 'p':
            processes = atoi(optarg);
            break;
        case 'k':
            pages = atoi(optarg);
            break;
        case 'f':
            file_name = optarg;
            break;
        case 'c':
            compacting = 1;
            break;
        default:
            return 2;
        }
    printf("integrity: -s %lu -n %lu -p %u -k %u\n", seed, steps, processes, pages);
    fflush(stdout);
    make_files();
    memory.memory = map_shared(pages * PAGE, -1);
    memory.generation = map_shared(pages * sizeof(unsigned), -1);
    file.memory = map_shared(pages * PAGE, file.fd);
    file.generation = map_shared(pages * sizeof(unsigned), -1);
    workers = calloc(processes, sizeof(*workers));
    must(workers != NULL, "memory");
    if (compacting)
        compactor = start_compacting();
    for (unsigned i = 0; i < processes; i++)
        if ((workers[i] = fork()) == 0)
            worker(i);
    await_workers(workers, &bad);
    if (compacting) {
        must(waitpid(compactor, &status, WNOHANG) == 0, "compacting");
        kill(compactor, SIGKILL);
    }
    state = seed | 1;
    check_all_shared(&memory);
    check_all_shared(&file);
    if (!bad)
        printf("integrity: passed\n");
    return bad != 0;
}
