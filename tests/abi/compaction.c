/* SPDX-License-Identifier: MIT */
/* Compaction: free memory comes together, and nobody can tell from the contents that pages have moved. */
#include "procfile.h"
#include "thread.h"

#include <sys/uio.h>

#define PAGE    4096UL
#define MIB     (1UL << 20)
#define THREADS 3

/* Everything is compacted. False: we may not, or there is no such thing. */
static int compact(void)
{
    int fd = open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC), done;
    if (fd < 0)
        return 0;
    done = write(fd, "1", 1) == 1;
    close(fd);
    return done;
}

static int cannot_compact(const char *text)
{
    if (compact())
        return 0;
    SKIP(text, "compaction cannot be asked for here");
    return 1;
}

/* Free frames in blocks of 2^ORDER frames and more. */
static long frames_in_blocks(int least)
{
    char *text = proc_read("/proc/buddyinfo");
    long sum = 0;
    for (char *line = text; line && *line;
         line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        char *p = strstr(line, "zone");
        long n = 0;
        p = p ? strpbrk(p, "0123456789") : NULL;
        for (int order = 0; p && order <= 10; order++) {
            n = strtol(p, &p, 10);
            if (order >= least)
                sum += n << order;
        }
    }
    return sum;
}

/* A machine so small that we can tell what has become of its memory. */
static int small_machine(void)
{
    return number_of(proc_read("/proc/meminfo"), "MemTotal:") <= 2048L * 1024;
}

static long migrated(void)
{
    return number_of(proc_read("/proc/vmstat"), "pgmigrate_success");
}

/* Half of the free memory, but at most that. */
static size_t some_memory(size_t most)
{
    size_t bytes = number_of(proc_read("/proc/meminfo"), "MemFree:") * 1024UL / 2;
    return (bytes < most ? bytes : most) & ~(4 * MIB - 1);
}

static char *memory(size_t bytes, int flags, int fd)
{
    char *p =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    REQUIRE(p != MAP_FAILED);
    madvise(p, bytes, MADV_NOHUGEPAGE);
    return p;
}

/* Every word of page i says which page it is. STEP: every so many pages. */
static void fill(char *p, size_t bytes, size_t step, unsigned long seed)
{
    for (size_t i = 0; i < bytes / PAGE; i += step)
        for (size_t w = 0; w < PAGE / 8; w++)
            ((unsigned long *)(p + i * PAGE))[w] = seed + i * PAGE + w;
}

static long wrong_words(const char *p, size_t bytes, size_t step, unsigned long seed)
{
    long wrong = 0;
    for (size_t i = 0; i < bytes / PAGE; i += step)
        for (size_t w = 0; w < PAGE / 8; w++)
            wrong += ((volatile const unsigned long *)(p + i * PAGE))[w] != seed + i * PAGE + w;
    return wrong;
}

/* Give every other page back. */
static void make_holes(char *p, size_t bytes)
{
    for (size_t i = 1; i < bytes / PAGE; i += 2)
        REQUIRE(madvise(p + i * PAGE, PAGE, MADV_DONTNEED) == 0);
}

static void gain(void)
{
    size_t bytes = some_memory(64 * MIB);
    long before, after, moved = migrated();
    char *p;
    if (cannot_compact("free memory comes together"))
        return;
    p = memory(bytes, MAP_PRIVATE, -1);
    fill(p, bytes, 1, 17);
    make_holes(p, bytes);
    before = frames_in_blocks(9);
    REQUIRE(compact());
    after = frames_in_blocks(9);
    if (small_machine())
        CHECK(after >= before + (long)(bytes / PAGE / 8), "free memory comes together");
    else
        SKIP("free memory comes together", "others use this machine's memory");
    CHECK(migrated() > moved, "pages have moved");
    CHECK_EQ(wrong_words(p, bytes, 2, 17), 0, "and hold what they held");
    fill(p, bytes, 2, 18);
    CHECK_EQ(wrong_words(p, bytes, 2, 18), 0, "and can be written");
    for (size_t i = 1; i < bytes / PAGE; i += 2)
        REQUIRE(p[i * PAGE] == 0);
    CHECK(1, "the holes are zeros");
    munmap(p, bytes);
}

/* ---- pages that are shared ------------------------------------------------------------------------- */

/* A child that sees the parent's pages, then changes some of its own. */
static void sharer(char *p, size_t bytes, unsigned long seed, unsigned i)
{
    size_t part = bytes / 4;
    int ok = wrong_words(p, bytes, 2, seed) == 0;
    fill(p + i * part, part, 2, seed + i * 1000003);
    compact();
    for (unsigned k = 0; k < 4; k++)
        ok &=
            wrong_words(p + k * part, part, 2, k == i ? seed + i * 1000003 : seed + k * part) == 0;
    _exit(!ok);
}

static void forked(void)
{
    size_t bytes = some_memory(12 * MIB);
    struct gate gate = gate_make();
    pid_t children[3];
    int failed = 0;
    char *p;
    if (cannot_compact("each process has its own contents"))
        return;
    p = memory(bytes, MAP_PRIVATE, -1);
    fill(p, bytes, 1, 99);
    for (unsigned i = 0; i < 3; i++)
        children[i] = CHILD({
            gate_pass(gate);
            sharer(p, bytes, 99, i);
        });
    make_holes(p, bytes);
    REQUIRE(compact());
    CHECK_EQ(wrong_words(p, bytes, 2, 99), 0, "pages shared since fork hold what they held");
    for (unsigned i = 0; i < 3; i++)
        gate_open(gate);
    fill(p, bytes, 2, 7);
    for (unsigned i = 0; i < 3; i++)
        failed += end_of(children[i]) != 0;
    CHECK_EQ(failed, 0, "each process has its own contents");
    CHECK_EQ(wrong_words(p, bytes, 2, 7), 0, "the parent too");
    munmap(p, bytes);
}

/* ---- while they are used --------------------------------------------------------------------------- */

static _Atomic int over;

static void *compacting(void *argument)
{
    (void)argument;
    while (!over) {
        compact();
        usleep(30000); /* let the others get somewhere */
    }
    return NULL;
}

/* Each thread counts in words of its own, in every page; none of its additions may be lost. */
struct counting {
    char *p;
    size_t pages;
    unsigned slot, rounds;
};

static void *count_up(void *argument)
{
    struct counting *c = argument;
    for (unsigned round = 1; round <= c->rounds; round++)
        for (size_t i = 0; i < c->pages; i++) {
            volatile unsigned *word = (volatile unsigned *)(c->p + i * PAGE) + c->slot * 64;
            if (*word != round - 1)
                return (void *)(long)(i + 1);
            *word = round;
        }
    return NULL;
}

/* Returns how many threads have found a count that was not theirs. */
static int count_while_compacting(char *p, size_t bytes, unsigned rounds)
{
    struct counting counting[THREADS];
    pthread_t threads[THREADS], compactor;
    int failed = 0;
    over = 0;
    compactor = thread_start(compacting, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        counting[i] = (struct counting){p, bytes / PAGE, i, rounds};
        threads[i] = thread_start(count_up, &counting[i]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        failed += thread_end(threads[i]) != 0;
    over = 1;
    thread_end(compactor);
    return failed;
}

static void writers(void)
{
    char *p, *holes;
    int fd;
    if (cannot_compact("no write to anonymous memory is lost"))
        return;
    holes = memory(8 * MIB, MAP_PRIVATE, -1);
    fill(holes, 8 * MIB, 1, 5);
    make_holes(holes, 8 * MIB);
    p = memory(MIB / 2, MAP_PRIVATE, -1);
    CHECK_EQ(count_while_compacting(p, MIB / 2, 3), 0, "no write to anonymous memory is lost");
    munmap(p, MIB / 2);
    p = memory(MIB / 2, MAP_SHARED, -1);
    CHECK_EQ(count_while_compacting(p, MIB / 2, 3), 0, "nor to shared memory");
    munmap(p, MIB / 2);
    fd = memfd_create("counts", MFD_CLOEXEC);
    REQUIRE(fd >= 0 && ftruncate(fd, MIB / 2) == 0);
    p = memory(MIB / 2, MAP_SHARED, fd);
    CHECK_EQ(count_while_compacting(p, MIB / 2, 3), 0, "nor to a file");
    close(fd);
    munmap(p, MIB / 2);
    CHECK_EQ(wrong_words(holes, 8 * MIB, 2, 5), 0, "pages between holes hold what they held");
    munmap(holes, 8 * MIB);
}

/* Map, write, move, protect, fork, unmap. */
static void *come_and_go(void *argument)
{
    unsigned long seed = (unsigned long)argument * 7777;
    for (unsigned round = 0; round < 5; round++, seed++) {
        char *p = memory(MIB, MAP_PRIVATE, -1), *q;
        fill(p, MIB, 1, seed);
        q = mremap(p, MIB / 2, MIB / 2, MREMAP_MAYMOVE | MREMAP_FIXED, p + MIB / 2);
        if (q != p + MIB / 2 || wrong_words(q, MIB / 2, 1, seed))
            return (void *)1L;
        if (mprotect(q, MIB / 4, PROT_READ) || wrong_words(q, MIB / 2, 1, seed))
            return (void *)2L;
        if (round % 5 == 0 && IN_CHILD(_exit(wrong_words(q, MIB / 2, 1, seed) != 0)) != 0)
            return (void *)3L;
        fill(q + MIB / 4, MIB / 4, 1, seed);
        if (wrong_words(q, MIB / 4, 1, seed) || wrong_words(q + MIB / 4, MIB / 4, 1, seed))
            return (void *)4L;
        munmap(q, MIB / 2);
    }
    return NULL;
}

static void mappers(void)
{
    pthread_t threads[THREADS], compactor;
    int failed = 0;
    if (cannot_compact("memory that comes and goes holds what was written"))
        return;
    over = 0;
    compactor = thread_start(compacting, NULL);
    for (unsigned i = 0; i < THREADS; i++)
        threads[i] = thread_start(come_and_go, (void *)(long)(i + 1));
    for (unsigned i = 0; i < THREADS; i++)
        failed += thread_end(threads[i]) != 0;
    over = 1;
    thread_end(compactor);
    CHECK_EQ(failed, 0, "memory that comes and goes holds what was written");
}

/* ---- other ways to a page -------------------------------------------------------------------------- */

static void through_file(void)
{
    static char block[8 * PAGE], got[8 * PAGE];
    int fd = open("file", O_RDWR | O_CREAT, 0600), wrong = 0;
    pthread_t compactor;
    REQUIRE(fd >= 0);
    if (cannot_compact("what is written to a file can be read"))
        return;
    over = 0;
    compactor = thread_start(compacting, NULL);
    for (unsigned round = 0; round < 150; round++) {
        off_t at = round * 37 % 64 * sizeof(block) / 2;
        memset(block, round % 251 + 1, sizeof(block));
        wrong += pwrite(fd, block, sizeof(block), at) != sizeof(block);
        wrong += pread(fd, got, sizeof(got), at) != sizeof(got);
        wrong += memcmp(block, got, sizeof(got)) != 0;
    }
    over = 1;
    thread_end(compactor);
    close(fd);
    CHECK_EQ(wrong, 0, "what is written to a file can be read");
}

static void from_outside(void)
{
    static unsigned long words[PAGE / 8];
    struct iovec local = {words, sizeof(words)}, remote = {NULL, sizeof(words)};
    char *p = memory(MIB, MAP_PRIVATE, -1);
    pthread_t compactor;
    int wrong = 0;
    pid_t child;
    if (qemu_user_lacks("process_vm_readv") ||
        cannot_compact("process_vm_writev finds the page that the process sees"))
        return;
    fill(p, MIB, 1, 3);
    child = CHILD(pause());
    fill(p, MIB, 1, 4);
    over = 0;
    compactor = thread_start(compacting, NULL);
    for (unsigned round = 0; round < 5; round++)
        for (size_t i = 0; i < MIB / PAGE; i++) {
            remote.iov_base = p + i * PAGE;
            if (process_vm_readv(child, &local, 1, &remote, 1, 0) != (ssize_t)PAGE) {
                wrong++;
                continue;
            }
            for (size_t w = 0; w < PAGE / 8; w++) {
                wrong += words[w] != 3 + i * PAGE + w + round;
                words[w]++;
            }
            wrong += process_vm_writev(child, &local, 1, &remote, 1, 0) != (ssize_t)PAGE;
        }
    over = 1;
    thread_end(compactor);
    CHECK_EQ(wrong, 0, "process_vm_writev finds the page that the process sees");
    CHECK_EQ(wrong_words(p, MIB, 1, 4), 0, "and not that of its parent");
    kill(child, SIGKILL);
    end_of(child);
    munmap(p, MIB);
}

static void in_locked_memory(void)
{
    static unsigned char there[MIB / PAGE];
    char *p = memory(2 * MIB, MAP_PRIVATE, -1), *q = memory(MIB, MAP_SHARED, -1);
    long locked;
    int in = 0;
    if (cannot_compact("locked memory stays in memory"))
        return;
    REQUIRE(mlock(p, MIB) == 0 && mlock(q, MIB) == 0);
    fill(p, 2 * MIB, 1, 11);
    fill(q, MIB, 1, 12);
    locked = number_of(proc_read("/proc/self/status"), "VmLck:");
    for (unsigned i = 0; i < 3; i++)
        REQUIRE(compact());
    REQUIRE(mincore(p, MIB, there) == 0);
    for (size_t i = 0; i < MIB / PAGE; i++)
        in += there[i] & 1;
    CHECK_EQ(in, (long)(MIB / PAGE), "locked memory stays in memory");
    CHECK_EQ(number_of(proc_read("/proc/self/status"), "VmLck:"), locked, "VmLck is what it was");
    CHECK(wrong_words(p, 2 * MIB, 1, 11) == 0 && wrong_words(q, MIB, 1, 12) == 0,
          "and holds what it held");
    munmap(p, 2 * MIB);
    munmap(q, MIB);
}

/* A mutex in shared memory, whose page moves while others wait for it. */
static void futexes(void)
{
    pthread_mutexattr_t attributes;
    struct shared {
        pthread_mutex_t mutex;
        unsigned count;
    } * shared;
    pthread_t compactor;
    pid_t children[3];
    int failed = 0;
    if (cannot_compact("a lock in shared memory works"))
        return;
    shared = (struct shared *)memory(PAGE, MAP_SHARED, -1);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &attributes);
    for (unsigned i = 0; i < 3; i++)
        children[i] = CHILD({
            for (unsigned n = 0; n < 1000; n++) {
                pthread_mutex_lock(&shared->mutex);
                shared->count++;
                if (n % 64 == 0)
                    sched_yield();
                pthread_mutex_unlock(&shared->mutex);
            }
            _exit(0);
        });
    over = 0;
    compactor = thread_start(compacting, NULL);
    for (unsigned i = 0; i < 3; i++)
        failed += end_of(children[i]) != 0;
    over = 1;
    thread_end(compactor);
    CHECK(failed == 0 && shared->count == 3000, "a lock in shared memory works");
    munmap(shared, PAGE);
}

static void knob(void)
{
    const char *path = "/proc/sys/vm/compact_memory";
    struct stat st;
    if (stat(path, &st) < 0) {
        SKIP("compact_memory can only be written", "there is none");
        return;
    }
    CHECK_EQ(st.st_mode & 0777, 0200, "compact_memory can only be written");
}

/* ---- on demand ------------------------------------------------------------------------------------- */

static void set_knob(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, value, strlen(value)) < 0)
        CHECK(0, "a knob takes its value");
    if (fd >= 0)
        close(fd);
}

/* Memory in which every other page is free, and so much of it that there is no other. */
static char *fragment(size_t *bytes)
{
    char *p;
    *bytes =
        (number_of(proc_read("/proc/meminfo"), "MemFree:") * 1024UL - 12 * MIB) & ~(4 * MIB - 1);
    p = memory(*bytes, MAP_PRIVATE, -1);
    for (size_t i = 0; i < *bytes; i += PAGE)
        *(size_t *)(p + i) = i;
    make_holes(p, *bytes);
    return p;
}

/* Untouched, for huge pages. */
static char *huge_memory(size_t bytes)
{
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED && madvise(p, bytes, MADV_HUGEPAGE) == 0);
    return p;
}

static long counted(const char *name)
{
    return number_of(proc_read("/proc/vmstat"), name);
}

/* What a fault does for a huge page that is not to be had at once. */
static void huge_faults(void)
{
    const char *defrag = "/sys/kernel/mm/transparent_hugepage/defrag";
    const char *background = "/proc/sys/vm/compaction_proactiveness";
    long moved, huge, best = 0, wrong = 0;
    size_t bytes;
    char *p, *q;
    if (!small_machine() || access(defrag, W_OK) != 0) {
        SKIP("a huge page is made by moving others", "not a machine to be filled");
        return;
    }
    set_knob(background, "0");
    moved = counted("pgmigrate_success ");
    p = fragment(&bytes);
    q = huge_memory(24 * MIB);
    set_knob(defrag, "never");
    for (size_t i = 0; i < 16 * MIB; i += 2 * MIB)
        q[i] = 1;
    set_knob(defrag, "always");
    /* Others may come to need memory, or have it, just now: more than once. Elsewhere each time, for where
     * there have been small pages there is a table for more of them. */
    for (int i = 0; i < 5 && best < 8; i++) {
        munmap(q, 24 * MIB);
        q = huge_memory(24 * MIB);
        huge = counted("thp_fault_alloc ");
        for (size_t at = 0; at < 24 * MIB; at += 2 * MIB)
            q[at] = 1;
        huge = counted("thp_fault_alloc ") - huge;
        best = huge > best ? huge : best;
    }
    CHECK(best >= 8, "huge pages are made");
    CHECK(counted("pgmigrate_success ") >= moved + 256, "by moving others");
    set_knob(defrag, "madvise");
    set_knob(background, "20");
    for (size_t i = 0; i < bytes; i += 2 * PAGE)
        wrong += *(size_t *)(p + i) != i;
    CHECK_EQ(wrong, 0, "and those hold what they held");
    munmap(p, bytes);
    munmap(q, 24 * MIB);
}

/* Page tables and the like are kept away from pages that move. */
static void kinds(void)
{
    char *text = proc_read("/proc/pagetypeinfo"), *p = strstr(text, "Number of blocks type");
    char names[8][16];
    long total = 0, numbers[8] = {0}, movable = 0;
    int n = 0, used = 0;
    if (!p) {
        SKIP("pagetypeinfo tells how many blocks are of which kind", "it cannot be read");
        return;
    }
    CHECK_EQ(number_of(text, "Page block order:"), 9, "a block is a huge page");
    p += strlen("Number of blocks type");
    while (n < 8 && sscanf(p, "%*[ ]%15[A-Za-z]%n", names[n], &used) == 1) {
        p += used;
        n++;
    }
    p = strstr(p, "Normal");
    p = p ? p + strlen("Normal") : NULL;
    for (int i = 0; p && i < n; i++) {
        numbers[i] = strtol(p, &p, 10);
        total += numbers[i];
        if (!strcmp(names[i], "Movable"))
            movable = numbers[i];
    }
    CHECK(n >= 2 && total > 0, "pagetypeinfo tells how many blocks are of which kind");
    CHECK(movable > total / 2, "most of them are movable");
    CHECK(strstr(proc_text, "type    Unmovable") && strstr(proc_text, "type      Movable"),
          "and has a line for either kind");
}

CHECK_MAIN(CASE(knob), CASE(kinds), CASE(gain), CASE(forked), CASE(writers), CASE(mappers),
           CASE(through_file), CASE(from_outside), CASE(in_locked_memory), CASE(futexes),
           CASE(huge_faults))
