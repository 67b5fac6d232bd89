/* SPDX-License-Identifier: MIT */
/* Bad pointers to system calls: EFAULT, never a signal, and what was moved before counts. */
#include "check.h"

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>

static char *bad; /* nothing is mapped here */

static void reading_and_writing(void)
{
    bad = unmapped_page();
    int fds[2];
    write_file("f", "0123456789", 0644);
    int fd = open("f", O_RDWR);
    REQUIRE(pipe(fds) == 0);
    CHECK_FAIL(read(fd, bad, 5), EFAULT, "read");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0, "leaves the offset");
    CHECK_FAIL(write(fd, bad, 5), EFAULT, "write");
    CHECK_FAIL(pread(fd, bad, 5, 0), EFAULT, "pread");
    CHECK_FAIL(pwrite(fd, bad, 5, 0), EFAULT, "pwrite");
    CHECK_FAIL(write(fds[1], bad, 5), EFAULT, "write to a pipe");
    REQUIRE(write(fds[1], "abc", 3) == 3);
    CHECK_FAIL(read(fds[0], bad, 3), EFAULT, "read from a pipe");
    char text[4];
    CHECK_EQ(read(fds[0], text, 3), 3, "which then still holds the data");
    CHECK_FAIL(readv(fd, (struct iovec *)bad, 1), EFAULT, "readv with a bad vector");
    CHECK_FAIL(writev(fd, (struct iovec *)bad, 1), EFAULT, "writev with a bad vector");
    struct iovec vector[] = {{bad, 4}};
    CHECK_FAIL(readv(fd, vector, 1), EFAULT, "readv to a bad buffer");
    CHECK_EQ(read(fd, bad, 0), 0, "a length of 0 touches nothing");
    int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
    CHECK_FAIL(read(zero, bad, 1), EFAULT, "read of /dev/zero");
    if (!qemu_user_lacks("/dev/null"))
        CHECK_EQ(write(null, bad, 1), 1, "/dev/null does not look at the data");
}

static void partly_valid(void)
{
    if (qemu_user_lacks("partly valid buffers"))
        return;
    char *page = private_pages(3 * 4096);
    char *edge = page + 4096;
    REQUIRE(munmap(edge, 4096) == 0);
    int fds[2];
    memset(page, 'x', 4096);
    int fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK_EQ(write(fd, edge - 10, 100), 10, "write of a buffer of which 10 bytes can be read");
    struct stat st;
    fstat(fd, &st);
    CHECK_EQ(st.st_size, 10, "the file is 10 bytes long");
    REQUIRE(ftruncate(fd, 8192) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    CHECK_EQ(read(fd, edge - 10, 100), 10, "read to a buffer of which 10 bytes can be written");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10, "moves the offset by 10");
    int ends[2], waiting = -1;
    REQUIRE(pipe(ends) == 0);
    CHECK_FAIL(write(ends[1], edge - 10, 100), EFAULT, "write of it to a pipe");
    CHECK(ioctl(ends[0], FIONREAD, &waiting) == 0 && waiting == 0, "is all or nothing");
    REQUIRE(pipe(fds) == 0);
    struct iovec vector[] = {{page, 100}, {edge, 100}};
    CHECK_EQ(writev(fd, vector, 2), 100, "writev up to the bad part");
    REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
    CHECK_EQ(readv(fd, vector, 2), 100, "readv up to the bad part");
    mprotect(page, 4096, PROT_READ);
    CHECK_FAIL(pread(fd, page, 10, 0), EFAULT, "read to a read-only page");
    CHECK_EQ(pwrite(fd, page, 10, 0), 10, "write from it");
    mprotect(page, 4096, PROT_NONE);
    CHECK_FAIL(pwrite(fd, page, 10, 0), EFAULT, "write from a page without access");
}

static void paths(void)
{
    struct stat st;
    char buffer[100];
    bad = unmapped_page();
    write_file("f", "x", 0644);
    int fd = open("f", O_RDWR);
    CHECK_FAIL(open(bad, O_RDONLY), EFAULT, "open");
    CHECK_FAIL(stat(bad, &st), EFAULT, "stat with a bad path");
    CHECK_FAIL(stat("f", (struct stat *)bad), EFAULT, "stat with a bad structure");
    CHECK_FAIL(fstat(fd, (struct stat *)bad), EFAULT, "fstat");
    CHECK_FAIL(syscall(SYS_statx, AT_FDCWD, "f", 0, STATX_ALL, bad), EFAULT, "statx");
    CHECK_FAIL(access(bad, F_OK), EFAULT, "access");
    CHECK_FAIL(mkdir(bad, 0755), EFAULT, "mkdir");
    CHECK_FAIL(rmdir(bad), EFAULT, "rmdir");
    CHECK_FAIL(unlink(bad), EFAULT, "unlink");
    CHECK_FAIL(rename("f", bad), EFAULT, "rename with a bad new path");
    CHECK_FAIL(rename(bad, "f"), EFAULT, "rename with a bad old path");
    CHECK_FAIL(link("f", bad), EFAULT, "link");
    CHECK_FAIL(symlink(bad, "l"), EFAULT, "symlink with a bad target");
    CHECK_FAIL(symlink("f", bad), EFAULT, "symlink with a bad path");
    CHECK_FAIL(readlink(bad, buffer, 100), EFAULT, "readlink with a bad path");
    REQUIRE(symlink("f", "l") == 0);
    CHECK_FAIL(readlink("l", bad, 100), EFAULT, "readlink with a bad buffer");
    CHECK_FAIL(chdir(bad), EFAULT, "chdir");
    CHECK_FAIL(chmod(bad, 0), EFAULT, "chmod");
    CHECK_FAIL(chown(bad, 0, 0), EFAULT, "chown");
    CHECK_FAIL(truncate(bad, 0), EFAULT, "truncate");
    CHECK_FAIL(utimensat(AT_FDCWD, "f", (struct timespec *)bad, 0), EFAULT, "utimensat");
    CHECK_FAIL(statfs("f", (struct statfs *)bad), EFAULT, "statfs");
    CHECK_FAIL(syscall(SYS_getcwd, bad, 4096), EFAULT, "getcwd");
    int directory = open(".", O_RDONLY);
    CHECK_FAIL(syscall(SYS_getdents64, directory, bad, 4096), EFAULT, "getdents64");
    /* A path that ends where memory ends. */
    char *page = private_pages(2 * 4096);
    munmap(page + 4096, 4096);
    memcpy(page + 4094, "f", 2);
    CHECK_EQ(access(page + 4094, F_OK), 0, "a path up to the last byte of a page");
    page[4095] = 'x';
    CHECK_FAIL(access(page + 4094, F_OK), EFAULT, "one that goes on behind it");
}

static void others(void)
{
    bad = unmapped_page();
    CHECK_FAIL(pipe((int *)bad), EFAULT, "pipe");
    CHECK_FAIL(pipe2((int *)bad, O_CLOEXEC), EFAULT, "pipe2");
    CHECK_FAIL(poll((struct pollfd *)bad, 1, 0), EFAULT, "poll");
    CHECK_FAIL(select(1, (fd_set *)bad, NULL, NULL, NULL), EFAULT, "select");
    CHECK_FAIL(uname((struct utsname *)bad), EFAULT, "uname");
    CHECK_FAIL(sysinfo((struct sysinfo *)bad), EFAULT, "sysinfo");
    CHECK_FAIL(getrusage(RUSAGE_SELF, (struct rusage *)bad), EFAULT, "getrusage");
    CHECK_FAIL(syscall(SYS_times, bad), EFAULT, "times");
    CHECK_FAIL(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, bad), EFAULT, "prlimit64 out");
    CHECK_FAIL(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, bad, NULL), EFAULT, "prlimit64 in");
    CHECK_FAIL(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, bad), EFAULT, "clock_gettime");
    if (!qemu_user_lacks("clock_getres and nanosleep")) {
        CHECK_FAIL(syscall(SYS_clock_getres, CLOCK_MONOTONIC, bad), EFAULT, "clock_getres");
        CHECK_FAIL(syscall(SYS_nanosleep, bad, NULL), EFAULT, "nanosleep");
    }
    CHECK_FAIL(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, bad, NULL), EFAULT,
               "clock_nanosleep");
    CHECK_FAIL(syscall(SYS_gettimeofday, bad, NULL), EFAULT, "gettimeofday");
    CHECK_FAIL(syscall(SYS_setitimer, ITIMER_REAL, bad, NULL), EFAULT, "setitimer");
    CHECK_FAIL(syscall(SYS_getitimer, ITIMER_REAL, bad), EFAULT, "getitimer");
    CHECK_FAIL(syscall(SYS_getrandom, bad, 16, 0), EFAULT, "getrandom");
    CHECK_FAIL(syscall(SYS_rt_sigpending, bad, 8), EFAULT, "sigpending");
    CHECK_FAIL(syscall(SYS_sched_getaffinity, 0, 128, bad), EFAULT, "sched_getaffinity");
    CHECK_FAIL(syscall(SYS_sched_setaffinity, 0, 128, bad), EFAULT, "sched_setaffinity");
    CHECK_FAIL(syscall(SYS_sched_getparam, 0, bad), EFAULT, "sched_getparam");
    CHECK_FAIL(syscall(SYS_getresuid, bad, bad, bad), EFAULT, "getresuid");
    CHECK_FAIL(prctl(PR_SET_NAME, bad), EFAULT, "prctl PR_SET_NAME");
    CHECK_FAIL(prctl(PR_GET_NAME, bad), EFAULT, "prctl PR_GET_NAME");
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    CHECK_FAIL(ioctl(fds[0], FIONREAD, bad), EFAULT, "ioctl FIONREAD");
}

static void kernel_pointers(void)
{
    if (qemu_user_lacks("addresses of the kernel"))
        return;
    void *kernel = (void *)0xffffffff80000000;
    struct stat st;
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    REQUIRE(write(fd, "0123456789", 10) == 10);
    CHECK_FAIL(pwrite(fd, kernel, 8, 0), EFAULT, "write from kernel memory");
    CHECK_FAIL(pread(fd, kernel, 8, 0), EFAULT, "read into it");
    CHECK_FAIL(open(kernel, O_RDONLY), EFAULT, "a path in it");
    CHECK_FAIL(stat("f", kernel), EFAULT, "a structure in it");
    CHECK_FAIL(pread(fd, (void *)0x8000000000000000, 8, 0), EFAULT, "an address that cannot be");
    CHECK_FAIL(pwrite(fd, (void *)0x00007ffffffffff8, 4096, 0), EFAULT, "the end of user memory");
    CHECK_FAIL(pread(fd, (void *)-8, 8, 0), EFAULT, "the last address of all");
    struct iovec vector[] = {{kernel, 8}};
    CHECK_FAIL(writev(fd, vector, 1), EFAULT, "writev from kernel memory");
    (void)st;
}

/* Structures that can grow: the kernel looks at more than it knows. */
static long sized_call(long n, const void *p, unsigned long size)
{
    if (n == SYS_clone3)
        return syscall(n, p, size);
    if (n == SYS_openat2)
        return syscall(n, AT_FDCWD, "missing", p, size);
    return syscall(n, AT_FDCWD, "missing", 0, p, size);
}

static void long_structures(void)
{
    static const long calls[] = {SYS_clone3, SYS_openat2, SYS_mount_setattr};
    unsigned long long words[40] = {};
    char *edge;

    if (qemu_user_lacks("structures of any size"))
        return;
    edge = private_pages(2 * 4096) + 4096;
    REQUIRE(mprotect(edge, 4096, PROT_NONE) == 0);
    for (int i = 0; i < 3; i++) {
        words[39] = 0;
        CHECK_FAIL(sized_call(calls[i], (void *)-1, 200), EFAULT, "at the last address of all");
        CHECK_FAIL(sized_call(calls[i], edge - 128, 200), EFAULT, "the unknown rest not readable");
        CHECK_FAIL(sized_call(calls[i], words, 4097), E2BIG, "more than a page");
        CHECK_FAIL(sized_call(calls[i], words, 4), EINVAL, "less than there ever was");
        words[39] = 1;
        CHECK_FAIL(sized_call(calls[i], words, sizeof(words)), E2BIG, "something unknown is set");
    }
}

/* Buffers that are not there yet but can be: the kernel faults them in. */
static void lazily_mapped(void)
{
    int fds[2], zero = open("/dev/zero", O_RDONLY);
    REQUIRE(pipe(fds) == 0);
    char *p = private_pages(16 * 4096);
    CHECK_EQ(read(zero, p, 16 * 4096), 16 * 4096, "read to pages that were never touched");
    p = private_pages(4096);
    CHECK_EQ(write(fds[1], p, 4096), 4096, "write from a page that was never touched");
    int fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644);
    REQUIRE(ftruncate(fd, 3 * 4096) == 0);
    char *file = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
    REQUIRE(file != MAP_FAILED);
    CHECK_EQ(read(fds[0], file + 100, 4096), 4096, "read to a mapped file");
    REQUIRE(ftruncate(fd, 4096) == 0);
    CHECK_FAIL(pwrite(fd, file, 10, 0), EFAULT, "a mapping beyond the end of its file: EFAULT");
}

CHECK_MAIN(CASE(reading_and_writing), CASE(partly_valid), CASE(paths), CASE(others),
           CASE(kernel_pointers), CASE(long_structures), CASE(lazily_mapped))
