/* SPDX-License-Identifier: MIT */
/* mprotect, and how areas are split and become one again: by mprotect, mmap, munmap, mremap, madvise
 * and mlock. What is equal and adjacent is one area. */
#include "areas.h"
#include <sys/resource.h>
#include <sys/utsname.h>

#ifndef PROT_GROWSDOWN
#define PROT_GROWSDOWN 0x01000000
#define PROT_GROWSUP   0x02000000
#endif
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static void accesses(void)
{
    if (qemu_user_lacks("protections"))
        return;
    char *p = anonymous(8, READ_WRITE);
    memset(p, 1, 8 * PAGE);
    REQUIRE(mprotect(p, PAGE, PROT_READ) == 0 && mprotect(p + PAGE, PAGE, PROT_NONE) == 0);
    CHECK(after_read(p) == 0 && after_write(p) == SEGV, "PROT_READ");
    CHECK(after_read(p + PAGE) == SEGV && after_write(p + PAGE) == SEGV, "PROT_NONE");
    CHECK(after_read(p + 2 * PAGE) == 0 && after_write(p + 2 * PAGE) == 0,
          "the next page has both");
    REQUIRE(mprotect(p, PAGE, PROT_WRITE) == 0);
    CHECK(after_read(p) == 0 && after_write(p) == 0, "PROT_WRITE alone allows reading here");
    CHECK(!strcmp(protections(p), "-w-p"), "but is told as what it is");
    REQUIRE(mprotect(p, 2 * PAGE, READ_WRITE) == 0);
    CHECK(p[0] == 1 && p[PAGE] == 1, "contents survive");
    CHECK_EQ(mprotect(p, PAGE + 1, PROT_READ), 0, "a length is rounded up");
    CHECK(after_write(p + 2 * PAGE - 1) == SEGV && after_write(p + 2 * PAGE) == 0,
          "to whole pages");
    int fd = letters("f", 4);
    char *q = map_alone(4, PROT_READ, MAP_SHARED, open("f", O_RDONLY));
    CHECK_FAIL(mprotect(q, PAGE, READ_WRITE), EACCES, "writing a file that was opened for reading");
    CHECK_EQ(mprotect(q, PAGE, PROT_NONE), 0, "less is always allowed");
    CHECK_EQ(mprotect(q, PAGE, PROT_READ), 0, "and back");
    q = map_alone(4, PROT_READ, MAP_PRIVATE, open("f", O_RDONLY));
    CHECK_EQ(mprotect(q, PAGE, READ_WRITE), 0, "privately it may be written");
    q[0] = '!';
    CHECK(pread(fd, q + 1, 1, 0) == 1 && q[1] == 'a', "the file does not change");
    q = map_alone(4, READ_WRITE, MAP_SHARED, fd);
    q[0] = '1';
    REQUIRE(mprotect(q, PAGE, PROT_READ) == 0);
    CHECK_EQ(after_write(q), SEGV, "a shared page that was written, then protected");
    REQUIRE(mprotect(q, PAGE, READ_WRITE) == 0);
    CHECK_EQ(after_write(q), 0, "and then freed");
    CHECK_EQ(q[0], 1, "the child's write is in the file");
}

static long minor_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* What was written and is nobody else's is writable at once when it may be again. */
static void there_and_back(void)
{
    enum { PAGES = 64 };
    if (qemu_user_lacks("faults"))
        return;
    char *p = anonymous(PAGES, READ_WRITE);
    for (int prot = PROT_NONE; prot <= PROT_READ; prot++) {
        memset(p, 1, PAGES * PAGE);
        REQUIRE(mprotect(p, PAGES * PAGE, prot) == 0);
        CHECK_EQ(after_write(p + 5 * PAGE), SEGV, "not while it is protected");
        REQUIRE(mprotect(p, PAGES * PAGE, READ_WRITE) == 0);
        for (int i = 0; i < PAGES; i++) /* a child has shared them: ours alone again after this */
            p[i * PAGE] = 3;
        REQUIRE(mprotect(p, PAGES * PAGE, prot) == 0);
        REQUIRE(mprotect(p, PAGES * PAGE, READ_WRITE) == 0);
        long before = minor_faults();
        for (int i = 0; i < PAGES; i++)
            p[i * PAGE] = 4;
        CHECK(minor_faults() - before < PAGES / 4, "and back it takes no fault for each page");
    }
    int go[2];
    char c = 0;
    REQUIRE(pipe(go) == 0);
    pid_t child = fork();
    if (child == 0) {
        int same = read(go[0], &c, 1) == 1;
        for (int i = 0; i < PAGES; i++)
            same &= p[i * PAGE] == 4;
        _exit(same);
    }
    REQUIRE(mprotect(p, PAGES * PAGE, PROT_READ) == 0);
    REQUIRE(mprotect(p, PAGES * PAGE, READ_WRITE) == 0);
    for (int i = 0; i < PAGES; i++)
        p[i * PAGE] = 5;
    write(go[1], &c, 1);
    CHECK_EQ(end_of(child), 1, "what a child shares is copied all the same");
}

static void partly(void)
{
    if (qemu_user_lacks("mprotect over a hole"))
        return;
    char *p = anonymous(8, READ_WRITE);
    REQUIRE(munmap(p + 4 * PAGE, PAGE) == 0);
    CHECK_FAIL(mprotect(p + 2 * PAGE, 5 * PAGE, PROT_READ), ENOMEM, "over a hole");
    CHECK(!strcmp(protections(p + 3 * PAGE), "r--p"), "it is done up to there");
    CHECK(!strcmp(protections(p + 5 * PAGE), "rw-p"), "and not behind it");
    CHECK_FAIL(mprotect(p + 4 * PAGE, 2 * PAGE, PROT_READ), ENOMEM, "a hole at the start");
    CHECK(!strcmp(protections(p + 5 * PAGE), "rw-p"), "nothing is done");
    CHECK_FAIL(mprotect(p + 6 * PAGE, -PAGE, PROT_READ), ENOMEM, "a length that wraps");
    CHECK_FAIL(mprotect(p + 6 * PAGE, PAGE, 0x80), EINVAL, "protections that nobody knows");
    CHECK_FAIL(mprotect(p + 6 * PAGE + 1, PAGE, PROT_READ), EINVAL, "an odd address");
    CHECK_FAIL(mprotect(p + 6 * PAGE + 1, 0, PROT_READ), EINVAL, "even without a length");
    CHECK_EQ(mprotect(p + 4 * PAGE, 0, PROT_READ), 0, "no length: nothing to do");
    char *q = map_alone(4, PROT_READ, MAP_SHARED, (letters("f", 4), open("f", O_RDONLY)));
    REQUIRE(mmap(q + 2 * PAGE, 2 * PAGE, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0) == q + 2 * PAGE);
    REQUIRE(mmap(q + PAGE, PAGE, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0) == q + PAGE);
    CHECK_FAIL(mprotect(q, 4 * PAGE, READ_WRITE), EACCES, "the first may not");
    CHECK(!strcmp(protections(q + PAGE), "r--p"), "so none is changed");
}

static void growing(void)
{
    if (qemu_user_lacks("PROT_GROWSDOWN"))
        return;
    char *room = anonymous(16, PROT_NONE);
    char *p =
        mmap(room + 8 * PAGE, 4 * PAGE, READ_WRITE, ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    REQUIRE(p == room + 8 * PAGE);
    CHECK_EQ(mprotect(p + 2 * PAGE, PAGE, PROT_READ | PROT_GROWSDOWN), 0, "PROT_GROWSDOWN");
    CHECK(!strcmp(protections(p), "r--p") && !strcmp(protections(p + 2 * PAGE), "r--p"),
          "reaches down to where the stack begins");
    CHECK(!strcmp(protections(p + 3 * PAGE), "rw-p"), "and not further up");
    char *q = anonymous(4, READ_WRITE);
    CHECK_FAIL(mprotect(q, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL, "of what is no stack");
    CHECK_FAIL(mprotect(q, PAGE, PROT_READ | PROT_GROWSUP), EINVAL, "nothing grows upwards");
    CHECK_FAIL(mprotect(p, PAGE, PROT_READ | PROT_GROWSUP), EINVAL, "not a stack either");
    CHECK_FAIL(mprotect(p, PAGE, PROT_READ | PROT_GROWSUP | PROT_GROWSDOWN), EINVAL,
               "nor both ways");
    CHECK_FAIL(mprotect(unmapped_page(), PAGE, PROT_READ | PROT_GROWSDOWN), ENOMEM,
               "nothing there");
}

static void data_limit(void)
{
    if (qemu_user_lacks("RLIMIT_DATA"))
        return;
    char *p = anonymous(20000, PROT_READ);
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_DATA, 32 << 20);
                      _exit(mprotect(p, 20000 * PAGE, READ_WRITE) ? errno : 0)),
             ENOMEM, "what becomes writable counts as data");
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_DATA, 256 << 20);
                      _exit(mprotect(p, 20000 * PAGE, READ_WRITE) ? errno : 0)),
             0, "as long as it is allowed");
    REQUIRE(mprotect(p, 20000 * PAGE, READ_WRITE) == 0);
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_DATA, 32 << 20);
                      _exit(mprotect(p, 20000 * PAGE, READ_WRITE | PROT_EXEC) ? errno : 0)),
             0, "what is data already counts no more");
}

/* What was writable for a while, and never written, is as it was before. */
static void untouched(void)
{
    struct utsname name;
    int major, minor;
    if (qemu_user_lacks("areas"))
        return;
    REQUIRE(uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2);
    if (!strstr(name.version, "Vellum") && major * 100 + minor < 607) {
        SKIP("areas that were writable for a while", "Linux before 6.7 does not merge them");
        return;
    }
    char *p = anonymous(12, PROT_NONE);
    REQUIRE(mprotect(p + 4 * PAGE, 4 * PAGE, READ_WRITE) == 0);
    CHECK_EQ(areas(p + PAGE, 10), 3, "a part becomes writable");
    REQUIRE(mprotect(p + 4 * PAGE, 4 * PAGE, PROT_NONE) == 0);
    CHECK_EQ(areas(p + PAGE, 10), 1, "and not any more: one area again");
}

static void by_mprotect(void)
{
    if (qemu_user_lacks("areas"))
        return;
    char *p = anonymous(12, READ_WRITE);
    memset(p, 1, 12 * PAGE);
    CHECK_EQ(areas(p, 12), 1, "one mapping is one area");
    REQUIRE(mprotect(p + 4 * PAGE, 4 * PAGE, PROT_READ) == 0);
    CHECK_EQ(areas(p, 12), 3, "the middle: three");
    REQUIRE(mprotect(p + 8 * PAGE, 4 * PAGE, PROT_READ) == 0);
    CHECK_EQ(areas(p, 12), 2, "the last joins the middle");
    REQUIRE(mprotect(p + 2 * PAGE, 2 * PAGE, PROT_READ) == 0);
    CHECK_EQ(areas(p, 12), 2, "the border moves down");
    REQUIRE(mprotect(p + 2 * PAGE, 4 * PAGE, READ_WRITE) == 0);
    CHECK_EQ(areas(p, 12), 2, "and up");
    REQUIRE(mprotect(p, 12 * PAGE, PROT_READ) == 0);
    CHECK_EQ(areas(p, 12), 1, "all equal: one");
    for (int i = 0; i < 12; i += 3)
        REQUIRE(mprotect(p + i * PAGE, PAGE, READ_WRITE) == 0);
    CHECK_EQ(areas(p, 12), 8, "every third: eight");
    REQUIRE(mprotect(p + PAGE, 10 * PAGE, READ_WRITE) == 0);
    CHECK_EQ(areas(p, 12), 2, "a range over many becomes one with its neighbour");
    REQUIRE(mprotect(p, 12 * PAGE, READ_WRITE) == 0);
    CHECK_EQ(areas(p, 12), 1, "one");
    int sum = 0;
    for (int i = 0; i < 12; i++)
        sum += p[i * PAGE];
    CHECK_EQ(sum, 12, "the contents are as before");
}

static void by_mmap(void)
{
    if (qemu_user_lacks("areas"))
        return;
    char *p = anonymous(12, PROT_NONE);
    for (int i = 0; i < 12; i += 2)
        REQUIRE(mmap(p + i * PAGE, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == p + i * PAGE);
    CHECK_EQ(areas(p, 11), 11, "every second page");
    for (int i = 1; i < 12; i += 2)
        REQUIRE(mmap(p + i * PAGE, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == p + i * PAGE);
    CHECK_EQ(areas(p, 12), 1, "and those between: one area");
    REQUIRE(munmap(p + 4 * PAGE, 2 * PAGE) == 0);
    CHECK_EQ(areas(p, 12), 2, "a hole makes two");
    REQUIRE(mmap(p + 4 * PAGE, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == p + 4 * PAGE);
    CHECK_EQ(areas(p, 12), 2, "a page below the hole's end joins what is before");
    REQUIRE(mmap(p + 5 * PAGE, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == p + 5 * PAGE);
    CHECK_EQ(areas(p, 12), 1, "the last one joins both");
    int fd = letters("f", 12), other = letters("g", 12);
    p = anonymous(12, PROT_NONE);
    for (int i = 0; i < 4; i++)
        REQUIRE(mmap(p + i * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, i * PAGE) !=
                MAP_FAILED);
    CHECK_EQ(areas(p, 4), 1, "pages of a file, one after the other: one area");
    REQUIRE(mmap(p + 4 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 6 * PAGE) !=
            MAP_FAILED);
    CHECK_EQ(areas(p, 5), 2, "not where the file does not go on");
    REQUIRE(mmap(p + 5 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, other, 7 * PAGE) !=
            MAP_FAILED);
    CHECK_EQ(areas(p, 6), 3, "nor is it another file");
    REQUIRE(mmap(p + 6 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, other, 8 * PAGE) !=
            MAP_FAILED);
    CHECK_EQ(areas(p, 7), 4, "nor shared beside private");
    REQUIRE(mmap(p + 4 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 4 * PAGE) !=
            MAP_FAILED);
    CHECK_EQ(areas(p, 5), 1, "the right page makes it one");
    REQUIRE(mmap(p + 2 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 5 * PAGE) !=
            MAP_FAILED);
    CHECK_EQ(areas(p, 5), 3, "a wrong one in the middle cuts it");
    CHECK(p[PAGE] == 'b' && p[2 * PAGE] == 'f' && p[3 * PAGE] == 'd', "each part shows its pages");
    REQUIRE(mmap(p + 2 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 2 * PAGE) !=
            MAP_FAILED);
    CHECK(areas(p, 5) == 1 && p[2 * PAGE] == 'c', "put right: one");
    p = anonymous(4, PROT_NONE);
    char *s = share_pages(2 * PAGE), *t = share_pages(2 * PAGE);
    REQUIRE(mremap(s, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
    REQUIRE(mremap(t, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 2 * PAGE) ==
            p + 2 * PAGE);
    CHECK_EQ(areas(p, 4), 2, "two pieces of shared memory stay two");
}

static void by_others(void)
{
    if (qemu_user_lacks("areas"))
        return;
    char *p = anonymous(12, READ_WRITE);
    REQUIRE(mlock(p + 2 * PAGE, 2 * PAGE) == 0 &&
            madvise(p + 6 * PAGE, 2 * PAGE, MADV_DONTFORK) == 0);
    CHECK_EQ(areas(p, 12), 5, "locked and not to be inherited: five areas");
    REQUIRE(madvise(p + 4 * PAGE, 2 * PAGE, MADV_DONTFORK) == 0);
    CHECK_EQ(areas(p, 12), 4, "neighbours of one kind join");
    REQUIRE(munlock(p, 12 * PAGE) == 0);
    CHECK_EQ(areas(p, 12), 3, "unlocked");
    REQUIRE(madvise(p, 12 * PAGE, MADV_DOFORK) == 0);
    CHECK_EQ(areas(p, 12), 1, "all equal");
    REQUIRE(munmap(p + 4 * PAGE, 4 * PAGE) == 0);
    REQUIRE(mremap(p, 4 * PAGE, 8 * PAGE, 0) == p);
    CHECK_EQ(areas(p, 12), 1, "mremap that fills a hole joins what is behind it");
    char *heap = sbrk(0);
    heap = (char *)(((uintptr_t)heap + PAGE - 1) & -PAGE);
    REQUIRE(brk(heap + 4 * PAGE) == 0 && brk(heap + 8 * PAGE) == 0);
    CHECK_EQ(areas(heap, 8), 1, "the heap is one area however it grows");
    REQUIRE(mprotect(heap, 2 * PAGE, PROT_READ) == 0 && brk(heap + 10 * PAGE) == 0);
    CHECK_EQ(areas(heap, 10), 2, "a part of it may be protected");
    REQUIRE(mprotect(heap, 2 * PAGE, READ_WRITE) == 0);
    CHECK_EQ(areas(heap, 10), 1, "and not any more");
    CHECK(brk(heap) == 0 && areas(heap, 10) == 0, "brk takes all of it back");
    p = anonymous(6, READ_WRITE);
    CHECK_EQ(IN_CHILD(_exit(areas(p, 6))), 1, "a child has the same areas");
    CHECK_EQ(IN_CHILD(mprotect(p, PAGE, PROT_READ); _exit(areas(p, 6))), 2, "which it may change");
    CHECK_EQ(areas(p, 6), 1, "for itself");
}

/* Random changes against a plain array: the areas are exactly the runs of equal pages. */
static void at_random(void)
{
    enum { PAGES = 24, STEPS = 400 };
    if (qemu_user_lacks("areas"))
        return;
    static const int prots[] = {PROT_NONE, PROT_READ, READ_WRITE, READ_WRITE | PROT_EXEC};
    char *p = anonymous(PAGES, PROT_NONE);
    unsigned kind[PAGES] = {0}, seed = getpid(), wrong = 0;
    /* Only a first touch binds pages to their area for good: make it here, for all. */
    REQUIRE(mprotect(p, PAGES * PAGE, READ_WRITE) == 0);
    memset(p, 1, PAGES * PAGE);
    REQUIRE(mprotect(p, PAGES * PAGE, PROT_NONE) == 0);
    for (int step = 0; step < STEPS; step++) {
        int first = rand_r(&seed) % PAGES, n = 1 + rand_r(&seed) % (PAGES - first);
        unsigned k = rand_r(&seed) % ARRAY_SIZE(prots);
        REQUIRE(mprotect(p + first * PAGE, n * PAGE, prots[k]) == 0);
        for (int i = first; i < first + n; i++)
            kind[i] = k;
        int runs = 1;
        for (int i = 1; i < PAGES; i++)
            runs += kind[i] != kind[i - 1];
        wrong += areas(p + PAGE, PAGES - 2) !=
                 runs - (kind[0] != kind[1]) - (kind[PAGES - 1] != kind[PAGES - 2]);
    }
    CHECK_EQ(wrong, 0, "after each of 400 random changes the areas are the runs of equal pages");
}

CHECK_MAIN(CASE(accesses), CASE(there_and_back), CASE(partly), CASE(growing), CASE(data_limit),
           CASE(by_mprotect), CASE(untouched), CASE(by_mmap), CASE(by_others), CASE(at_random))
