/* SPDX-License-Identifier: MIT */
/*
 * Forks of large memory: what parent and child see while either of them writes, unmaps, protects,
 * moves and forgets parts of it, in all orders. A kernel may share whole page tables until then, so
 * the ranges are of several tables (2 MiB each), with ends that are not at a table's.
 */
#include "check.h"

#include <pthread.h>

enum {
    PAGE = 4096,
    WORDS = PAGE / sizeof(long),
    TABLE = 2 << 20,
    PAGES = 1536 + 40, /* 6 MiB and a bit: three tables in full or more than two */
};

/* What stands in each page of a range, from its first page on. */
struct model {
    long *pages;
    long words[PAGES]; /* at the page's start and end; -1: nothing is mapped */
};

static struct model *model_make(void)
{
    struct model *m = malloc(sizeof(*m));
    size_t bytes = PAGES * PAGE + 2 * TABLE;
    char *p = private_pages(bytes);

    /* From the middle of a table on. */
    m->pages = (long *)((((uintptr_t)p + TABLE - 1) & -(uintptr_t)TABLE) + 20 * PAGE);
    madvise(p, bytes, MADV_NOHUGEPAGE);
    for (int i = 0; i < PAGES; i++) {
        m->words[i] = 1000 + i;
        m->pages[i * WORDS] = m->pages[i * WORDS + WORDS - 1] = m->words[i];
    }
    return m;
}

static long *page_of(const struct model *m, int i)
{
    return m->pages + (long)i * WORDS;
}

static void put(struct model *m, int i, long word)
{
    m->words[i] = word;
    page_of(m, i)[0] = page_of(m, i)[WORDS - 1] = word;
}

/* How many pages are not as they should be. */
static int wrong(const struct model *m)
{
    int n = 0;

    for (int i = 0; i < PAGES; i++)
        if (m->words[i] != -1)
            n += page_of(m, i)[0] != m->words[i] || page_of(m, i)[WORDS - 1] != m->words[i];
    return n;
}

static void put_some(struct model *m, int first, int step, long word)
{
    for (int i = first; i < PAGES; i += step)
        if (m->words[i] != -1)
            put(m, i, word + i);
}

/* ---- two processes, in all orders ----------------------------------------------------------------- */

/* One side's turn, `kind` of them. */
static void turn(struct model *m, int kind, long seed)
{
    int middle = PAGES / 2;

    switch (kind) {
    case 0: /* one page of each table */
        put_some(m, 100, 512, seed);
        break;
    case 1: /* all */
        put_some(m, 0, 1, seed);
        break;
    case 2: /* a part of a table goes */
        REQUIRE(munmap(page_of(m, middle), 100 * PAGE) == 0);
        for (int i = middle; i < middle + 100; i++)
            m->words[i] = -1;
        break;
    case 3: /* a whole table and parts of its neighbours */
        REQUIRE(madvise(page_of(m, 300), 800 * PAGE, MADV_DONTNEED) == 0);
        for (int i = 300; i < 1100; i++)
            if (m->words[i] != -1)
                m->words[i] = 0;
        break;
    case 4: /* read-only; a write does not get through */
        REQUIRE(mprotect(page_of(m, 200), 50 * PAGE, PROT_READ) == 0);
        int fds[2];
        REQUIRE(pipe(fds) == 0 && write(fds[1], "x", 1) == 1);
        REQUIRE(read(fds[0], page_of(m, 201), 1) == -1 && errno == EFAULT);
        close(fds[0]);
        close(fds[1]);
        REQUIRE(mprotect(page_of(m, 200), 50 * PAGE, PROT_READ | PROT_WRITE) == 0);
        put(m, 201, seed);
        break;
    case 5: { /* away and back */
        char *other = mmap(NULL, 700 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(mremap(page_of(m, 0), 700 * PAGE, 700 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                       other) == other);
        REQUIRE(*(long *)(other + 3 * PAGE) == m->words[3]);
        REQUIRE(mremap(other, 700 * PAGE, 700 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                       page_of(m, 0)) == (void *)page_of(m, 0));
        break;
    }
    case 6: /* something else in its place */
        REQUIRE(mmap(page_of(m, 600), 10 * PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == (void *)page_of(m, 600));
        for (int i = 600; i < 610; i++)
            m->words[i] = 0;
        break;
    case 7: /* all of it goes */
        REQUIRE(munmap(page_of(m, 0), PAGES * PAGE) == 0);
        for (int i = 0; i < PAGES; i++)
            m->words[i] = -1;
        break;
    }
}

enum { KINDS = 8 };

static void orders(void)
{
    struct gate to_child = gate_make(), to_parent = gate_make();
    int bad = 0;

    for (int kind = 0; kind < KINDS * KINDS; kind++) {
        int first = kind / KINDS, second = kind % KINDS, status;
        pid_t child;

        if (kind % 3 && first != second) /* a third of them, each kind on each side */
            continue;
        status = IN_CHILD({
            struct model *m = model_make();
            child = fork();
            if (child == 0) {
                gate_pass(to_child);
                int n = wrong(m);
                turn(m, second, 5000);
                n += wrong(m);
                gate_open(to_parent);
                gate_pass(to_child);
                _exit(n || wrong(m));
            }
            turn(m, first, 9000);
            int n = wrong(m);
            gate_open(to_child);
            gate_pass(to_parent);
            n += wrong(m);
            put_some(m, 7, 64, 20000);
            gate_open(to_child);
            n += end_of(child);
            n += wrong(m);
            _exit(n ? 1 : 0);
        });
        bad += status != 0;
    }
    CHECK_EQ(bad, 0, "each side sees its own changes alone, whatever each does");
}

/* ---- trees ------------------------------------------------------------------------------------------ */

static int tree(struct model *m, long seed, int depth)
{
    pid_t children[3];
    int bad = wrong(m);

    for (int i = 0; depth > 0 && i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            if (i != 1) /* one of them only hands it on */
                put_some(m, (seed * 31 + i) % 200, 97, seed * 10 + i);
            bad |= tree(m, seed * 10 + i, depth - 1);
            _exit(bad | wrong(m) ? 1 : 0);
        }
        if (i == 0)
            put_some(m, 11, 400, -seed * 7);
    }
    for (int i = 0; depth > 0 && i < 3; i++)
        bad |= end_of(children[i]);
    return bad | wrong(m);
}

static void trees(void)
{
    CHECK_EQ(tree(model_make(), 1, 3), 0, "40 processes keep what is theirs");
}

/* The parent ends first, a child hands on to its own, and so for some generations. */
static void generations(void)
{
    struct model *m = model_make();
    int fds[2], bad = 1;
    char result = 1;

    REQUIRE(pipe(fds) == 0);
    pid_t first = fork();
    if (first == 0) {
        int n = 0;
        for (int generation = 0; generation < 20; generation++) {
            pid_t child = fork();
            REQUIRE(child >= 0);
            if (child > 0) {
                put_some(m, 0, 512, -1000); /* what the child must not see */
                _exit(0);
            }
            n += wrong(m);
            put_some(m, generation * 30, 700, generation * 100);
        }
        result = n + wrong(m) != 0;
        REQUIRE(write(fds[1], &result, 1) == 1);
        _exit(0);
    }
    close(fds[1]);
    end_of(first);
    bad = read(fds[0], &result, 1) != 1 || result;
    CHECK_EQ(bad, 0, "the last of 20 generations has what it was given");
    CHECK_EQ(wrong(m), 0, "and the first has its own");
}

/* ---- holes, neighbours, and what fork does not hand on ------------------------------------------------ */

static void neighbours(void)
{
    struct model *m = model_make();
    char *file;
    int fd, bad = 0;

    REQUIRE(munmap(page_of(m, 500), 30 * PAGE) == 0); /* a hole in a table */
    for (int i = 500; i < 530; i++)
        m->words[i] = -1;
    pid_t child = fork();
    if (child == 0) {
        /* Untouched, it comes and goes; then a file's pages are in it, then memory again. */
        REQUIRE(mmap(page_of(m, 500), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                     0) == (void *)page_of(m, 500));
        REQUIRE(munmap(page_of(m, 500), PAGE) == 0);
        fd = open("file", O_RDWR | O_CREAT, 0600);
        REQUIRE(fd >= 0 && ftruncate(fd, 4 * PAGE) == 0 && pwrite(fd, "file", 4, PAGE) == 4);
        file =
            mmap(page_of(m, 510), 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
        REQUIRE(file == (char *)page_of(m, 510));
        bad += memcmp(file + PAGE, "file", 4) != 0;
        file[0] = 'w';
        bad += wrong(m);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            bad = file[0] != 'w' || memcmp(file + PAGE, "file", 4) || wrong(m);
            file[PAGE] = 'F';
            _exit(bad);
        }
        REQUIRE(ftruncate(fd, 0) == 0);
        int status = end_of(grandchild); /* it may have come too late for the file */
        bad += status != 0 && status != 128 + SIGBUS;
        REQUIRE(munmap(file, 4 * PAGE) == 0);
        bad += wrong(m);
        _exit(bad ? 1 : 0);
    }
    CHECK_EQ(end_of(child), 0, "what is mapped into a hole later does not disturb its neighbours");
    CHECK_EQ(wrong(m), 0, "nor the parent");

    if (qemu_user_lacks("MADV_DONTFORK"))
        return;
    REQUIRE(madvise(page_of(m, 700), 10 * PAGE, MADV_DONTFORK) == 0);
    REQUIRE(madvise(page_of(m, 720), 10 * PAGE, MADV_WIPEONFORK) == 0);
    child = fork();
    if (child == 0) {
        unsigned char vector[10];
        bad = mincore(page_of(m, 700), 10 * PAGE, vector) != -1 || errno != ENOMEM;
        for (int i = 700; i < 710; i++)
            m->words[i] = -1;
        for (int i = 720; i < 730; i++)
            m->words[i] = 0;
        _exit(bad || wrong(m));
    }
    CHECK_EQ(end_of(child), 0, "DONTFORK and WIPEONFORK after a fork in the middle of it");
    CHECK_EQ(wrong(m), 0, "which change nothing for the parent");
}

/* ---- seen from outside ------------------------------------------------------------------------------- */

static void seen(void)
{
    struct model *m = model_make();
    struct gate ready = gate_make(), go = gate_make();
    char path[32];
    long words[2];
    unsigned char *vector = malloc(PAGES);
    int resident = 0;

    pid_t child = CHILD(gate_open(ready); gate_pass(go); _exit(wrong(m) ? 1 : 0));
    gate_pass(ready);
    REQUIRE(mincore(page_of(m, 0), PAGES * PAGE, vector) == 0);
    for (int i = 0; i < PAGES; i++)
        resident += vector[i] & 1;
    CHECK_EQ(resident, PAGES,
             "mincore tells that pages are there which nobody has touched since a fork");
    snprintf(path, sizeof(path), "/proc/%d/mem", child);
    int fd = open(path, O_RDWR);
    if (fd >= 0) {
        CHECK(pread(fd, words, sizeof(long), (uintptr_t)page_of(m, 800)) == sizeof(long) &&
                  words[0] == m->words[800],
              "/proc/PID/mem reads the child's memory");
        words[0] = 77;
        CHECK(pwrite(fd, words, sizeof(long), (uintptr_t)page_of(m, 800)) == sizeof(long) &&
                  page_of(m, 800)[0] == m->words[800],
              "what is written there is not the parent's");
        CHECK(pread(fd, words, sizeof(long), (uintptr_t)page_of(m, 800)) == sizeof(long) &&
                  words[0] == 77,
              "but the child's");
        words[0] = m->words[800];
        REQUIRE(pwrite(fd, words, sizeof(long), (uintptr_t)page_of(m, 800)) == sizeof(long));
        close(fd);
    }
    gate_open(go);
    CHECK_EQ(end_of(child), 0, "all the rest is as it was");
    CHECK_EQ(wrong(m), 0, "on both sides");
}

/* ---- threads ------------------------------------------------------------------------------------------- */

enum { THREADS = 3, ROUNDS = 12 };

static struct model *threads_model;
static int threads_stop, threads_bad;

/* Each thread owns every THREADS-th page and counts in it. */
static void *count(void *arg)
{
    struct model *m = threads_model;
    long self = (long)arg, value = 0;
    int bad = 0;

    while (!__atomic_load_n(&threads_stop, __ATOMIC_ACQUIRE)) {
        value++;
        for (int i = self; i < PAGES; i += THREADS * 13) {
            volatile long *page = page_of(m, i);

            bad += value > 1 && page[1] != value - 1;
            page[1] = value;
            bad += page[0] != m->words[i];
        }
    }
    __atomic_add_fetch(&threads_bad, bad, __ATOMIC_RELAXED);
    return NULL;
}

/* In the child: each page holds a count that one thread has written, the same as in its other pages
 * or one less, in the order of its pages; and stays so. */
static int snapshot_is_right(struct model *m)
{
    int bad = 0;

    for (long self = 0; self < THREADS; self++) {
        long before = LONG_MAX;

        for (int i = self; i < PAGES; i += THREADS * 13) {
            long value = page_of(m, i)[1];

            if (before == LONG_MAX)
                before = value;
            bad += value != before && value != before - 1;
            before = value;
        }
    }
    put_some(m, 0, 40, 12345);
    return bad + wrong(m);
}

static void with_threads(void)
{
    pthread_t threads[THREADS];
    int bad = 0;

    if (qemu_user_lacks("forks while threads write"))
        return;
    threads_model = model_make();
    for (long i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, count, (void *)i) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        pid_t child = fork();
        if (child == 0)
            _exit(snapshot_is_right(threads_model) ? 1 : 0);
        if (round % 2)
            bad += end_of(child);
        else
            usleep(1000);
    }
    while (wait(&(int){0}) > 0)
        ;
    __atomic_store_n(&threads_stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(bad, 0, "a child sees one moment of what the parent's threads write");
    CHECK_EQ(threads_bad, 0, "and they see nothing of it");
    CHECK_EQ(wrong(threads_model), 0, "nor anything else");
}

CHECK_MAIN(CASE(orders), CASE(trees), CASE(generations), CASE(neighbours), CASE(seen),
           CASE(with_threads))
