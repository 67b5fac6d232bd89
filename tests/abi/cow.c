/* SPDX-License-Identifier: MIT */
/* Copy on write: private memory stays private over trees of forks, and faults are counted. */
#include "check.h"

#include <sys/resource.h>
#include <sys/uio.h>

enum { PAGE = 4096, PAGES = 64 };

static void fill(unsigned *pages, unsigned seed)
{
    for (unsigned i = 0; i < PAGES; i++)
        pages[i * 1024 + seed % 1024] = seed * 31 + i;
}

static int holds(const unsigned *pages, unsigned seed)
{
    for (unsigned i = 0; i < PAGES; i++) {
        if (pages[i * 1024 + seed % 1024] != seed * 31 + i)
            return 0;
    }
    return 1;
}

/* Every process of a tree of forks writes its own pattern, and checks it after its children. */
static int tree(unsigned *pages, unsigned seed, int depth)
{
    int bad = 0;
    pid_t children[3];
    unsigned parent = seed;
    for (unsigned i = 0; depth > 0 && i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            bad |= !holds(pages, parent);
            fill(pages, seed * 4 + i + 1);
            bad |= tree(pages, seed * 4 + i + 1, depth - 1);
            _exit(bad | !holds(pages, seed * 4 + i + 1));
        }
        bad |= children[i] < 0;
    }
    bad |= !holds(pages, seed);
    for (int i = 0; depth > 0 && i < 3; i++)
        bad |= end_of(children[i]);
    return bad | !holds(pages, seed);
}

static void trees(void)
{
    unsigned *pages = private_pages(PAGES * PAGE);
    fill(pages, 1);
    CHECK_EQ(tree(pages, 1, 4), 0, "121 processes keep 121 different contents apart");
    CHECK_EQ(tree(pages, 1, 2), 0, "and once more");
}

/* Memory that has been shared and is not any more, and written by both, in each order. */
static void orders(void)
{
    volatile char *p = private_pages(PAGE);
    struct gate child_turn = gate_make(), parent_turn = gate_make();
    *p = 1;
    pid_t child = CHILD(gate_pass(child_turn); int ok = *p == 1; *p = 3; gate_open(parent_turn);
                        gate_pass(child_turn); _exit(ok && *p == 3 ? 0 : 1));
    *p = 2;
    gate_open(child_turn);
    gate_pass(parent_turn);
    CHECK_EQ(*p, 2, "the parent wrote first");
    *p = 4;
    gate_open(child_turn);
    CHECK_EQ(end_of(child), 0, "the child's copy is as before");
    child = CHILD(int ok = *p == 4; *p = 5; gate_open(parent_turn); gate_pass(child_turn);
                  _exit(ok && *p == 5 ? 0 : 1));
    gate_pass(parent_turn);
    CHECK_EQ(*p, 4, "the child wrote first");
    *p = 6;
    gate_open(child_turn);
    CHECK_EQ(end_of(child), 0, "its copy is its own");
    child = CHILD(_exit(*p == 6 ? 0 : 1));
    CHECK_EQ(end_of(child), 0, "the child only read and ended");
    *p = 7;
    child = CHILD(*p = 8);
    end_of(child);
    CHECK_EQ(*p, 7, "the child wrote and ended");
}

static void by_the_kernel(void)
{
    char *p = private_pages(4 * PAGE);
    int fds[2];
    memset(p, 'p', 4 * PAGE);
    REQUIRE(pipe(fds) == 0);
    int status = IN_CHILD({
        if (write(fds[1], "xyz", 3) != 3 || read(fds[0], p + PAGE - 1, 3) != 3)
            _exit(1);
        struct iovec parts[] = {{p + 2 * PAGE, 1}, {p + 3 * PAGE, 1}};
        if (write(fds[1], "uv", 2) != 2 || readv(fds[0], parts, 2) != 2)
            _exit(2);
        _exit(!memcmp(p + PAGE - 1, "xyz", 3) && p[2 * PAGE] == 'u' && p[3 * PAGE] == 'v' ? 0 : 3);
    });
    CHECK_EQ(status, 0, "read writes to a shared page in the child");
    CHECK(p[PAGE - 1] == 'p' && p[PAGE] == 'p' && p[PAGE + 1] == 'p' && p[2 * PAGE] == 'p',
          "the parent's page is as before");
}

static long minor_faults(void)
{
    struct rusage usage;
    REQUIRE(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_minflt;
}

static void counted(void)
{
    if (qemu_user_lacks("counting faults"))
        return;
    volatile char *p = private_pages(100 * PAGE);
    /* No huge pages, which would need one fault for many pages. */
    madvise((void *)p, 100 * PAGE, MADV_NOHUGEPAGE);
    long before = minor_faults();
    for (int i = 0; i < 100; i++)
        p[i * PAGE];
    long reads = minor_faults() - before;
    before = minor_faults();
    for (int i = 0; i < 100; i++)
        p[i * PAGE] = 1;
    long writes = minor_faults() - before;
    before = minor_faults();
    for (int i = 0; i < 100; i++)
        p[i * PAGE]++;
    long none = minor_faults() - before;
    CHECK(reads >= 100 && reads < 120, "the first read of a page is a minor fault");
    CHECK(writes >= 100 && writes < 120, "the first write after it another");
    CHECK(none < 10, "then there are no more");
    struct rusage usage;
    int status = IN_CHILD(
        long start = minor_faults(); for (int i = 0; i < 100; i++) p[i * PAGE] = 2;
        long copies = minor_faults() - start; _exit(copies >= 100 && copies < 120 ? 0 : 1));
    CHECK_EQ(status, 0, "each page that is copied on write is one");
    getrusage(RUSAGE_SELF, &usage);
    CHECK(usage.ru_majflt >= 0 && usage.ru_minflt > 200, "getrusage tells both kinds");
}

static void own_again(void)
{
    /* When the other user of a page has gone, the last one writes to it in place. */
    volatile unsigned *p = private_pages(PAGES * PAGE);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < PAGES; i++)
            p[i * 1024] = round * 100 + i;
        int status = IN_CHILD(int bad = 0; for (int i = 0; i < PAGES; i += 2) {
            bad |= p[i * 1024] != (unsigned)(round * 100 + i);
            p[i * 1024] = 0;
        } _exit(bad));
        REQUIRE(status == 0);
        int right = 1;
        for (int i = 0; i < PAGES; i++)
            right &= p[i * 1024] == (unsigned)(round * 100 + i);
        REQUIRE(right);
    }
    CHECK(1, "twenty rounds of fork and write");
    pid_t child = CHILD(for (;;) pause());
    p[0] = 5;
    kill(child, SIGKILL);
    end_of(child);
    CHECK_EQ(p[0], 5, "a killed child gives its share back");
}

static void large(void)
{
    enum { MANY = 2000 };
    unsigned *p = private_pages(MANY * PAGE);
    for (unsigned i = 0; i < MANY; i++)
        p[i * 1024] = i;
    int status = IN_CHILD({
        int bad = 0;
        for (unsigned i = 0; i < MANY; i++)
            bad |= p[i * 1024] != i;
        munmap(p, MANY * PAGE / 2);
        for (unsigned i = MANY / 2; i < MANY; i++)
            p[i * 1024] = ~i;
        _exit(bad);
    });
    CHECK_EQ(status, 0, "a child of a process with 8 MiB");
    int right = 1;
    for (unsigned i = 0; i < MANY; i++)
        right &= p[i * 1024] == i;
    CHECK(right, "leaves the parent's memory as it was");
}

static void protections(void)
{
    volatile char *p = private_pages(2 * PAGE);
    p[0] = 1;
    REQUIRE(mprotect((void *)p, PAGE, PROT_READ) == 0);
    int status = IN_CHILD(mprotect((void *)p, PAGE, PROT_READ | PROT_WRITE); p[0] = 2);
    CHECK(status == 0 && p[0] == 1, "made writable in the child, the page is still copied");
    pid_t child = CHILD(for (;;) pause());
    REQUIRE(mprotect((void *)p, PAGE, PROT_READ | PROT_WRITE) == 0);
    p[0] = 3;
    kill(child, SIGKILL);
    end_of(child);
    CHECK_EQ(p[0], 3, "or in the parent");
    CHECK_EQ(IN_CHILD(mprotect((void *)p, PAGE, PROT_READ); p[0] = 4), 128 + SIGSEGV,
             "made read-only in the child, a write there ends it");
    p[0] = 5;
    CHECK_EQ(p[0], 5, "and the parent may write");
}

CHECK_MAIN(CASE(trees), CASE(orders), CASE(by_the_kernel), CASE(counted), CASE(own_again),
           CASE(large), CASE(protections))
