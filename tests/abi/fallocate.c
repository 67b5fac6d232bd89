/* SPDX-License-Identifier: MIT */
/* fallocate on tmpfs: reserving, holes, and what tmpfs refuses. */
#include "check.h"

#include <linux/falloc.h>

static char got[65536];

static off_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_size : -1;
}

static long blocks_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_blocks : -1;
}

static int all_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return 0;
    return 1;
}

static void reserving(void)
{
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    CHECK_EQ(fallocate(fd, 0, 0, 10000), 0, "reserve");
    CHECK_EQ(size_of(fd), 10000, "makes the file longer");
    CHECK_EQ(blocks_of(fd), 24, "and takes pages");
    CHECK(pread(fd, got, 20000, 0) == 10000 && all_zero(got, 10000), "of zeros");
    CHECK_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, 8192, 16384), 0, "FALLOC_FL_KEEP_SIZE");
    CHECK_EQ(size_of(fd), 10000, "keeps the size");
    REQUIRE(pwrite(fd, "text", 4, 100) == 4);
    CHECK_EQ(fallocate(fd, 0, 0, 200), 0, "what is there already");
    CHECK(pread(fd, got, 4, 100) == 4 && !memcmp(got, "text", 4), "keeps its contents");
    CHECK_EQ(posix_fallocate(fd, 0, 20000), 0, "posix_fallocate");
    CHECK_EQ(size_of(fd), 20000, "the same");
}

static void holes(void)
{
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    memset(got, 'x', sizeof(got));
    REQUIRE(write(fd, got, sizeof(got)) == sizeof(got));
    long before = blocks_of(fd);
    char *map = mmap(NULL, sizeof(got), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(map != MAP_FAILED);
    CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 20000), 0, "punch");
    CHECK_EQ(before - blocks_of(fd), 32, "whole pages are given back");
    CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 8192, "SEEK_HOLE finds it");
    CHECK_EQ(lseek(fd, 8192, SEEK_DATA), 24576, "SEEK_DATA its end");
    REQUIRE(pread(fd, got, sizeof(got), 0) == sizeof(got));
    CHECK(got[4999] == 'x' && got[25000] == 'x', "what is around stays");
    CHECK(all_zero(got + 5000, 20000), "the hole is zeros");
    CHECK(map[4999] == 'x' && map[25000] == 'x' && all_zero(map + 5000, 20000),
          "in a mapping, too");
    CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10, 20), 0, "a small one");
    CHECK(map[9] == 'x' && map[30] == 'x' && all_zero(map + 10, 20), "within a page");
    CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 60000, 100000), 0,
             "beyond the end");
    CHECK_EQ(size_of(fd), 65536, "the size stays");
    map[10000] = 'y';
    CHECK(pread(fd, got, 1, 10000) == 1 && got[0] == 'y', "a hole can be filled again");
}

static void refusals(void)
{
    int fd = open("f", O_CREAT | O_RDWR, 0600), ro = open("f", O_RDONLY), p[2];
    int dir = open(".", O_RDONLY);
    REQUIRE(pipe(p) == 0);
    CHECK_FAIL(fallocate(fd, 0, -1, 10), EINVAL, "a negative offset");
    CHECK_FAIL(fallocate(fd, 0, 0, 0), EINVAL, "no length");
    CHECK_FAIL(fallocate(fd, 0, 0, -5), EINVAL, "a negative one");
    CHECK_FAIL(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP, "a hole must keep the size");
    CHECK_FAIL(fallocate(fd, 0x1000, 0, 10), EOPNOTSUPP, "unknown modes");
    CHECK_FAIL(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP, "no collapsing");
    CHECK_FAIL(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096), EOPNOTSUPP, "no inserting");
    CHECK_FAIL(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096), EOPNOTSUPP, "no zeroing");
    CHECK_FAIL(fallocate(ro, 0, 0, 10), EBADF, "not open for writing");
    CHECK_FAIL(fallocate(99, 0, 0, 10), EBADF, "not open");
    CHECK_FAIL(fallocate(p[1], 0, 0, 10), ESPIPE, "a pipe");
    CHECK_FAIL(fallocate(dir, 0, 0, 10), EBADF, "a directory, which is not open for writing");
    CHECK_FAIL(fallocate(fd, 0, 1LL << 62, 1LL << 62), EFBIG, "too far");
    struct rlimit {
        unsigned long soft, hard;
    } small = {8192, 8192};
    CHECK_EQ(IN_CHILD({
                 signal(SIGXFSZ, SIG_IGN);
                 REQUIRE(syscall(SYS_prlimit64, 0, 1, &small, NULL) == 0);
                 CHECK_FAIL(fallocate(fd, 0, 0, 10000), EFBIG, "RLIMIT_FSIZE");
                 CHECK_EQ(fallocate(fd, 0, 0, 8192), 0, "up to it");
             }),
             0, "child");
}

/* The last page of the largest file there can be. */
static void at_the_end(void)
{
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    off_t end = INT64_MAX;

    memset(got, 'x', 100);
    REQUIRE(ftruncate(fd, end) == 0);
    REQUIRE(pwrite(fd, got, 100, end - 100) == 100);
    CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, end - 1, 1), 0,
             "a hole of the last byte");
    REQUIRE(pread(fd, got, 100, end - 100) == 100);
    CHECK(got[98] == 'x' && got[0] == 'x', "leaves those before it");
    CHECK_EQ(got[99], 0, "and makes it zero");
}

CHECK_MAIN(CASE(reserving), CASE(holes), CASE(at_the_end), CASE(refusals))
