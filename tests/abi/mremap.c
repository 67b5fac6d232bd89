/* SPDX-License-Identifier: MIT */
/* mremap: shrinking, growing in place, moving, duplicates of shared memory, and what is refused. */
#include "check.h"

#include <sys/resource.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static size_t page;

static char *map(size_t pages, int prot, int flags, int fd)
{
    char *p = mmap(NULL, pages * page, prot, flags | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    REQUIRE(p != MAP_FAILED);
    return p;
}

static char *anonymous(size_t pages)
{
    return map(pages, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1);
}

/* A number in each page. */
static void fill(char *p, size_t pages, int seed)
{
    for (size_t i = 0; i < pages; i++)
        *(size_t *)(p + i * page) = seed + i;
}

static int filled(const char *p, size_t pages, int seed)
{
    for (size_t i = 0; i < pages; i++)
        if (*(const size_t *)(p + i * page) != seed + i)
            return 0;
    return 1;
}

/* Is there a mapping at this address? */
static int is_mapped(const char *p)
{
    unsigned char vector;
    return mincore((void *)p, page, &vector) == 0;
}

/* qemu-user's mremap is its own, and another one. */
static int start(void)
{
    page = sysconf(_SC_PAGESIZE);
    return qemu_user_lacks("mremap");
}

static void in_place(void)
{
    if (start())
        return;
    char *p = anonymous(8);
    fill(p, 8, 100);
    CHECK(mremap(p, 8 * page, 3 * page, 0) == p, "shorter");
    CHECK(filled(p, 3, 100) && !is_mapped(p + 3 * page), "the rest is gone");
    CHECK(mremap(p, 3 * page, 8 * page, 0) == p, "longer, where there is room");
    CHECK(filled(p, 3, 100), "what was there stays");
    CHECK(!p[3 * page] && !p[7 * page], "the rest is fresh");
    fill(p, 8, 200);
    CHECK(mremap(p, 8 * page - 1, 8 * page - 5, 0) == p && filled(p, 8, 200),
          "lengths are rounded");
    CHECK(mremap(p, 8 * page, 8 * page, 0) == p, "the same");
    CHECK(mremap(p, 4 * page, 2 * page, MREMAP_MAYMOVE) == p, "from the middle");
    CHECK(is_mapped(p + 5 * page) && !is_mapped(p + 2 * page), "only the range is cut");
    CHECK_FAIL(mremap(p, 2 * page, 8 * page, 0), ENOMEM, "longer, where there is no room");
    CHECK(filled(p, 2, 200), "nothing has changed");
}

static void moving(void)
{
    if (start())
        return;
    char *p = anonymous(700), *q;
    fill(p, 600, 7);
    REQUIRE(mprotect(p + 600 * page, 100 * page, PROT_NONE) == 0);
    q = mremap(p, 600 * page, 1000 * page, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && q != p, "to where there is room");
    CHECK(filled(q, 600, 7) && !q[600 * page] && !q[999 * page], "with the contents");
    CHECK(!is_mapped(p) && is_mapped(p + 600 * page), "the old range is gone, and no more");
    fill(q, 1000, 9);
    CHECK(filled(q, 1000, 9), "written");
    char *to = anonymous(20);
    CHECK(mremap(q + page, 10 * page, 10 * page, MREMAP_MAYMOVE | MREMAP_FIXED, to + 5 * page) ==
              to + 5 * page,
          "to a place that is named");
    CHECK(filled(to + 5 * page, 10, 10), "with the contents");
    CHECK(!*to && !to[15 * page], "beside it nothing has changed");
    CHECK(is_mapped(q) && !is_mapped(q + page) && !is_mapped(q + 10 * page) &&
              filled(q + 11 * page, 3, 20),
          "a hole is left");
    CHECK(mremap(to + 5 * page, 10 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED, q + page) ==
              q + page,
          "shorter and elsewhere");
    CHECK(filled(q + page, 2, 10) && !is_mapped(to + 5 * page) && !is_mapped(to + 14 * page),
          "all of the old range is gone");
}

static void after_fork(void)
{
    if (start())
        return;
    char *p = anonymous(64), *q = anonymous(64);
    fill(p, 64, 1000);
    int fds[2];
    char byte;
    REQUIRE(pipe(fds) == 0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        close(fds[1]);
        REQUIRE(read(fds[0], &byte, 1) == 0);
        CHECK(filled(p, 64, 1000), "the child has what was there at the fork");
        _exit(0);
    }
    REQUIRE(mremap(p, 64 * page, 64 * page, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
    CHECK(filled(q, 64, 1000), "shared pages move");
    fill(q, 64, 5000);
    CHECK(filled(q, 64, 5000), "and are written");
    close(fds[1]);
    waitpid(child, NULL, 0);
    child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        CHECK(filled(q, 64, 5000), "a child of the moved");
        p = mremap(q, 64 * page, 128 * page, MREMAP_MAYMOVE);
        CHECK(p != MAP_FAILED && filled(p, 64, 5000), "moves them too");
        fill(p, 128, 1);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    CHECK(filled(q, 64, 5000), "and changes nothing for us");
}

static void files(void)
{
    if (start())
        return;
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    REQUIRE(fd >= 0 && ftruncate(fd, 16 * page) == 0);
    char *all = map(16, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    fill(all, 16, 50);
    char *p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4 * page);
    char *q = anonymous(8);
    REQUIRE(p != MAP_FAILED);
    CHECK(mremap(p, 4 * page, 8 * page, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q, "a shared mapping");
    CHECK(filled(q, 8, 54), "shows the file behind it too");
    fill(q, 8, 70);
    CHECK(filled(all + 4 * page, 8, 70), "writes go to the file");
    char *twin = mremap(q, 0, 8 * page, MREMAP_MAYMOVE);
    CHECK(twin != MAP_FAILED && twin != q && filled(twin, 8, 70), "length 0: a second mapping");
    fill(twin, 8, 80);
    CHECK(filled(q, 8, 80), "of the same memory");

    char *private = map(16, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
    *(size_t *)(private + 5 * page) = 12345;
    q = mremap(private + 4 * page, 4 * page, 6 * page, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && *(size_t *)(q + page) == 12345, "a private copy moves");
    CHECK(*(size_t *)q == 80 && *(size_t *)(q + 5 * page) == 85, "between pages of the file");
    CHECK(*(size_t *)(all + 5 * page) == 81, "which has not changed");
    REQUIRE(ftruncate(fd, 4 * page) == 0);
    int status;
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0)
        _exit(*(volatile size_t *)(q + page) == 12345);
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "truncation finds a moved copy");
    CHECK_FAIL(mremap(q, 0, page, MREMAP_MAYMOVE), EINVAL, "length 0 of a private mapping");
}

static void keeping(void)
{
    if (start())
        return;
    char *p = anonymous(4), *q;
    fill(p, 4, 3);
    q = mremap(p, 4 * page, 4 * page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    CHECK(q != MAP_FAILED && q != p && filled(q, 4, 3), "MREMAP_DONTUNMAP moves the pages");
    CHECK(is_mapped(p) && !*(size_t *)p && !p[3 * page], "and leaves the mapping");
    fill(p, 4, 9);
    CHECK(filled(q, 4, 3) && filled(p, 4, 9), "they are two");
    CHECK_FAIL(mremap(p, 4 * page, 5 * page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL), EINVAL,
               "not with another length");
    CHECK_FAIL(mremap(p, 4 * page, 4 * page, MREMAP_DONTUNMAP, NULL), EINVAL, "nor in place");
}

static void refused(void)
{
    if (start())
        return;
    char *p = anonymous(8);
    CHECK_FAIL(mremap(p + 1, page, page, 0), EINVAL, "an odd address");
    CHECK_FAIL(mremap(p, page, 0, 0), EINVAL, "no new length");
    CHECK_FAIL(mremap(p, page, page, 8), EINVAL, "an unknown flag");
    CHECK_FAIL(mremap(p, page, page, MREMAP_FIXED, p + 4 * page), EINVAL, "fixed, but not to move");
    CHECK_FAIL(mremap(p, 2 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED, p + page), EINVAL,
               "an overlap");
    CHECK_FAIL(mremap(p, 2 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED, p + 4 * page + 1),
               EINVAL, "an odd place");
    CHECK_FAIL(mremap(p, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)(1UL << 62)), EINVAL,
               "a place that is nobody's");
    REQUIRE(munmap(p + 4 * page, 4 * page) == 0);
    CHECK_FAIL(mremap(p, 5 * page, 6 * page, MREMAP_MAYMOVE), EFAULT, "a range with a hole");
    CHECK_FAIL(mremap(p + 4 * page, page, 2 * page, MREMAP_MAYMOVE), EFAULT, "nothing there");
    REQUIRE(mprotect(p + 2 * page, 2 * page, PROT_READ) == 0);
    CHECK_FAIL(mremap(p, 4 * page, 6 * page, MREMAP_MAYMOVE), EFAULT, "two mappings at once");
    CHECK_FAIL(mremap(p, page, 1UL << 46, MREMAP_MAYMOVE), ENOMEM, "more than there are addresses");
    struct rlimit limit = {64 << 20, 64 << 20};
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    CHECK_FAIL(mremap(p, 2 * page, 128 << 20, MREMAP_MAYMOVE), ENOMEM, "more than RLIMIT_AS");
    CHECK(is_mapped(p) && is_mapped(p + page), "all is as it was");
}

/* realloc() as a program does it: many sizes, one after the other. */
static void growing(void)
{
    char *p = NULL;
    size_t size = 200000;
    int good = 1;
    for (int i = 0; i < 40; i++, size += size / 8) {
        p = realloc(p, size);
        REQUIRE(p);
        p[size - 1] = 1 + i;
        p[i] = i;
        for (int j = 0; j <= i; j++)
            good &= p[j] == j;
    }
    CHECK(good, "realloc keeps the contents");
    free(p);
}

CHECK_MAIN(CASE(in_place), CASE(moving), CASE(after_fork), CASE(files), CASE(keeping),
           CASE(refused), CASE(growing))
