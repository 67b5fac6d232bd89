/* SPDX-License-Identifier: MIT */
/*
 * Files that have a home: mappings that are written back, sync_file_range, msync, O_DSYNC, advice.
 *
 * On Linux it is a file in the working directory. In Vellum that may be in memory alone; so if there is a
 * disk in memory (the parameter ramdisk_size=) it is this, as a file of fixed size.
 */
#include "check.h"
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#define PAGES 64
#define PAGE  4096L
#define SIZE  (PAGES * PAGE)

static int open_file(int flags)
{
    struct utsname u;
    int fd;

    if (uname(&u) == 0 && strstr(u.version, "Vellum") && access("/dev/ram0", W_OK) == 0)
        return open("/dev/ram0", flags | O_CLOEXEC);
    fd = open("home", flags | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    if (lseek(fd, 0, SEEK_END) < SIZE) {
        REQUIRE(ftruncate(fd, SIZE) == 0);
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static char *map(int fd, int prot, int flags)
{
    char *p = mmap(NULL, SIZE, prot, flags, fd, 0);

    REQUIRE(p != MAP_FAILED);
    return p;
}

static void fill(char *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
}

/* How many of the pages are in memory. */
static int resident(char *p, int n)
{
    unsigned char vector[PAGES];
    int sum = 0;

    REQUIRE(mincore(p, n * PAGE, vector) == 0);
    for (int i = 0; i < n; i++)
        sum += vector[i] & 1;
    return sum;
}

/* What is written through a mapping, again and again after it has been written back, is seen. */
static void shared(void)
{
    int fd = open_file(O_RDWR);
    char *p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED), page[PAGE], want[PAGE];
    char *q = map(fd, PROT_READ, MAP_SHARED);

    for (unsigned round = 0; round < 4; round++) {
        int good = 1;

        for (int i = 0; i < PAGES; i++)
            fill(p + i * PAGE, PAGE, round * 1000 + i);
        CHECK_EQ(round % 2 ? fsync(fd) : msync(p, SIZE, MS_SYNC), 0, "written back");
        for (int i = 0; i < PAGES; i++) {
            fill(want, PAGE, round * 1000 + i);
            good &= pread(fd, page, PAGE, i * PAGE) == PAGE && memcmp(page, want, PAGE) == 0;
            good &= memcmp(q + i * PAGE, want, PAGE) == 0;
        }
        CHECK(good, "read(2) and another mapping see it");
    }
    munmap(p, SIZE);
    CHECK_EQ(fdatasync(fd), 0, "fdatasync after the mapping has gone");
    close(fd);
}

static void shared_with_child(void)
{
    int fd = open_file(O_RDWR);
    char *p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED), c = 0;

    p[0] = 1;
    CHECK_EQ(IN_CHILD(p[0] += 1; p[5 * PAGE] = 77; fsync(fd)), 0, "a child writes and syncs");
    CHECK_EQ(p[0], 2, "the parent sees it");
    p[0] = 9;
    CHECK_EQ(fsync(fd), 0, "fsync");
    CHECK(pread(fd, &c, 1, 0) == 1 && c == 9, "the last byte written");
    CHECK(pread(fd, &c, 1, 5 * PAGE) == 1 && c == 77, "the child's");
    munmap(p, SIZE);
    close(fd);
}

static void private(void)
{
    int fd = open_file(O_RDWR);
    char *p, c = 'a';

    REQUIRE(pwrite(fd, &c, 1, 3 * PAGE) == 1);
    p = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    p[3 * PAGE] = 'b';
    CHECK_EQ(msync(p, SIZE, MS_SYNC), 0, "msync of a private mapping");
    CHECK(pread(fd, &c, 1, 3 * PAGE) == 1 && c == 'a', "the file has not changed");
    CHECK_EQ(p[3 * PAGE], 'b', "the copy has");
    munmap(p, SIZE);
    close(fd);
}

/* The other way round: read(2) into a mapping of the very pages, write(2) out of it. */
static void onto_itself(void)
{
    int fd = open_file(O_RDWR);
    char *p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED), want[PAGE];

    fill(p, PAGE, 5);
    memcpy(want, p, PAGE);
    CHECK_EQ(pwrite(fd, p, PAGE, 0), PAGE, "a page written from its own mapping");
    CHECK(memcmp(p, want, PAGE) == 0, "and the same afterwards");
    CHECK_EQ(pwrite(fd, p, PAGE, PAGE + 100), PAGE, "to the next two");
    CHECK(memcmp(p + PAGE + 100, want, PAGE) == 0, "arrived");
    CHECK_EQ(pread(fd, p + 8 * PAGE, PAGE, 0), PAGE, "read into a mapping");
    CHECK(memcmp(p + 8 * PAGE, want, PAGE) == 0, "arrived");
    munmap(p, SIZE);
    close(fd);
}

static void sync_calls(void)
{
    int fd = open_file(O_RDWR), reader = open_file(O_RDONLY), ends[2];
    char byte = 'x';

    REQUIRE(pipe(ends) == 0);
    REQUIRE(pwrite(fd, &byte, 1, 10) == 1);
    CHECK_EQ(sync_file_range(fd, 0, SIZE, SYNC_FILE_RANGE_WRITE), 0, "begin to write");
    CHECK_EQ(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE), 0, "wait");
    CHECK_EQ(sync_file_range(fd, 0, PAGE,
                             SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                 SYNC_FILE_RANGE_WAIT_AFTER),
             0, "all of it");
    CHECK_EQ(sync_file_range(fd, 0, 0, 0), 0, "no flags: nothing to do");
    CHECK_FAIL(sync_file_range(fd, 0, 0, 8), EINVAL, "unknown flag");
    CHECK_FAIL(sync_file_range(fd, -1, 0, 0), EINVAL, "negative offset");
    CHECK_FAIL(sync_file_range(fd, 0, -1, 0), EINVAL, "negative length");
    CHECK_FAIL(sync_file_range(fd, INT64_MAX, 1, 0), EINVAL, "beyond the largest offset");
    CHECK_FAIL(sync_file_range(ends[0], 0, 0, 0), ESPIPE, "a pipe");
    CHECK_FAIL(sync_file_range(-1, 0, 0, 0), EBADF, "no descriptor");
    CHECK_EQ(fsync(reader), 0, "who only reads may sync");
    CHECK_FAIL(fsync(ends[1]), EINVAL, "fsync of a pipe");
    CHECK_FAIL(fdatasync(-1), EBADF, "fdatasync of nothing");
    CHECK_EQ(syncfs(fd), 0, "syncfs");
    CHECK_FAIL(syncfs(-1), EBADF, "syncfs of nothing");
    sync();
    close(fd);
    close(reader);
}

static void through(void)
{
    static const int flags[] = {O_DSYNC, O_SYNC};
    struct iovec iov = {.iov_len = 1};
    char byte, c = 0;
    int fd;

    for (int i = 0; i < 2; i++) {
        fd = open_file(O_RDWR | flags[i]);
        byte = 'p' + i;
        CHECK_EQ(pwrite(fd, &byte, 1, 2 * PAGE), 1, "write through");
        CHECK_EQ(fcntl(fd, F_GETFL) & O_SYNC, flags[i], "the flag is kept");
        CHECK(pread(fd, &c, 1, 2 * PAGE) == 1 && c == byte, "and read");
        close(fd);
    }
    fd = open_file(O_RDWR);
    iov.iov_base = "z";
    CHECK_EQ(pwritev2(fd, &iov, 1, 2 * PAGE, RWF_DSYNC), 1, "RWF_DSYNC");
    CHECK_EQ(pwritev2(fd, &iov, 1, 2 * PAGE, RWF_SYNC), 1, "RWF_SYNC");
    close(fd);
}

static void advice(void)
{
    int fd = open_file(O_RDWR), ends[2];
    char *p = map(fd, PROT_READ, MAP_SHARED), page[PAGE];

    REQUIRE(pipe(ends) == 0);
    CHECK_EQ(posix_fadvise(-1, 0, 0, POSIX_FADV_NORMAL), EBADF, "no descriptor");
    CHECK_EQ(posix_fadvise(fd, 0, 0, 77), EINVAL, "no advice");
    CHECK_EQ(posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL), EINVAL, "negative length");
    CHECK_EQ(posix_fadvise(ends[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE, "a pipe");
    for (int i = POSIX_FADV_NORMAL; i <= POSIX_FADV_NOREUSE; i++)
        CHECK_EQ(posix_fadvise(fd, 0, SIZE, i), 0, "advice");
    CHECK_FAIL(readahead(-1, 0, SIZE), EBADF, "readahead of nothing");
    CHECK_FAIL(readahead(ends[0], 0, SIZE), EINVAL, "readahead of a pipe");
    for (int i = 0; i < PAGES; i++) {
        fill(page, PAGE, i);
        REQUIRE(pwrite(fd, page, PAGE, i * PAGE) == PAGE);
    }
    REQUIRE(fsync(fd) == 0);
    CHECK_EQ(resident(p, PAGES), PAGES, "what was written is in memory");
    CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0, "not needed");
    if (resident(p, PAGES) != 0) {
        SKIP("forgotten", "a file system whose pages stay");
    } else {
        CHECK(1, "forgotten");
        CHECK_EQ(posix_fadvise(fd, 0, 16 * PAGE, POSIX_FADV_WILLNEED), 0, "needed again");
        while (resident(p, 16) != 16)
            usleep(1000);
        CHECK_EQ(resident(p + 16 * PAGE, PAGES - 16), 0, "and nothing else");
        CHECK_EQ(madvise(p + 32 * PAGE, 8 * PAGE, MADV_WILLNEED), 0, "by the mapping");
        while (resident(p + 32 * PAGE, 8) != 8)
            usleep(1000);
        CHECK_EQ(posix_fadvise(fd, 100, 2 * PAGE, POSIX_FADV_DONTNEED), 0, "parts of pages stay");
        CHECK_EQ(resident(p, 4), 3, "the whole one has gone");
    }
    fill(page, PAGE, 40);
    CHECK(memcmp(p + 40 * PAGE, page, PAGE) == 0, "the contents are still right");
    CHECK_EQ(madvise(p, SIZE, MADV_RANDOM), 0, "MADV_RANDOM");
    CHECK_EQ(madvise(p, SIZE, MADV_SEQUENTIAL), 0, "MADV_SEQUENTIAL");
    fill(page, PAGE, 50);
    CHECK(memcmp(p + 50 * PAGE, page, PAGE) == 0, "read in the sequential way");
    CHECK_EQ(madvise(p, SIZE, MADV_NORMAL), 0, "MADV_NORMAL");
    munmap(p, SIZE);
    close(fd);
}

CHECK_MAIN_BUT_QEMU_USER(CASE(shared), CASE(shared_with_child), CASE(private), CASE(onto_itself),
                         CASE(sync_calls), CASE(through), CASE(advice))
