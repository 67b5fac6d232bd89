/* SPDX-License-Identifier: MIT */
/* The largest and the smallest numbers that calls can be given: sums of them do not fit. */
#include "check.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#define MOST INT64_MAX

static void positions(void)
{
    char buffer[4096];
    int fd = open(".", O_RDONLY | O_DIRECTORY);

    REQUIRE(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)) > 0);
    CHECK_FAIL(lseek(fd, MOST, SEEK_CUR), EINVAL, "a directory, from a position on");
    fd = open("/proc/self/maps", O_RDONLY);
    REQUIRE(read(fd, buffer, 10) == 10);
    CHECK_FAIL(lseek(fd, MOST, SEEK_CUR), EINVAL, "a text of /proc");
    fd = open("/proc/self/mem", O_RDONLY);
    REQUIRE(lseek(fd, 8, SEEK_SET) == 8);
    CHECK_EQ(lseek(fd, MOST, SEEK_CUR), (off_t)(8 + (uint64_t)MOST),
             "memory, where all 64 bits are an address");
    fd = open("f", O_CREAT | O_RDWR, 0600);
    REQUIRE(pwrite(fd, buffer, 100, 0) == 100 && lseek(fd, 10, SEEK_SET) == 10);
    CHECK_FAIL(lseek(fd, MOST, SEEK_CUR), EINVAL, "a file");
    CHECK_FAIL(lseek(fd, MOST, SEEK_END), EINVAL, "from its end");
    CHECK_FAIL(pread(fd, buffer, 10, MOST), EINVAL, "reading where no file can end");
    CHECK_FAIL(pwrite(fd, buffer, 10, MOST - 5), EINVAL, "and writing");
    CHECK_FAIL(ftruncate(fd, INT64_MIN), EINVAL, "a size below zero");
}

static void ranges(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_start = MOST, .l_len = MOST};
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    off_t from = 0, to = 50;
    char text[100] = "text";

    REQUIRE(write(fd, text, 100) == 100);
    CHECK_FAIL(sync_file_range(fd, MOST, MOST, SYNC_FILE_RANGE_WRITE), EINVAL, "sync_file_range");
    CHECK_FAIL(fallocate(fd, 0, MOST, MOST), EFBIG, "fallocate");
    CHECK_FAIL(fcntl(fd, F_SETLK, &lock), EOVERFLOW, "a lock");
    lock.l_start = 10;
    lock.l_len = INT64_MIN;
    CHECK_FAIL(fcntl(fd, F_SETLK, &lock), EINVAL, "one that begins before the file");
    if (qemu_user_lacks("copy_file_range"))
        return;
    CHECK_FAIL(copy_file_range(fd, &from, fd, &to, 1UL << 40, 0), EINVAL,
               "copy_file_range over itself");
    to = 1000;
    CHECK_EQ(copy_file_range(fd, &from, fd, &to, 1UL << 40, 0), 100, "of all there is");
    from = 10;
    CHECK_FAIL(copy_file_range(fd, &from, fd, &to, SIZE_MAX, 0), EOVERFLOW, "beyond all numbers");
}

static void times_of_files(void)
{
    struct timespec times[2] = {{MOST, 999999999}, {MOST, 0}};
    struct stat st;

    close(open("f", O_CREAT | O_RDWR, 0600));
    CHECK_EQ(utimensat(AT_FDCWD, "f", times, 0), 0, "the latest time");
    CHECK(stat("f", &st) == 0 && st.st_mtime > 7000000000 && st.st_atime > 7000000000,
          "is as late as can be");
    times[0].tv_sec = times[1].tv_sec = INT64_MIN;
    CHECK_EQ(utimensat(AT_FDCWD, "f", times, 0), 0, "the earliest");
    CHECK(stat("f", &st) == 0 && st.st_mtime < -7000000000 && st.st_atime < -7000000000, "too");
}

static void memory(void)
{
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char in[8];

    REQUIRE(p != MAP_FAILED);
    CHECK(mmap(NULL, SIZE_MAX, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
              errno == ENOMEM,
          "mmap of everything");
    CHECK_FAIL(munmap(p, SIZE_MAX - 4095), EINVAL, "munmap");
    CHECK_FAIL(mprotect(p, SIZE_MAX - 4095, PROT_READ), ENOMEM, "mprotect");
    CHECK_FAIL(madvise(p, SIZE_MAX - 4095, MADV_DONTNEED), EINVAL, "madvise");
    CHECK_FAIL(mincore(p, SIZE_MAX, in), ENOMEM, "mincore");
    CHECK_FAIL(msync(p, SIZE_MAX - 4095, MS_SYNC), ENOMEM, "msync");
    CHECK(mremap(p, 4096, SIZE_MAX - 4095, MREMAP_MAYMOVE) == MAP_FAILED, "mremap");
    p[0] = p[4096] = 1;
}

static void for_ever(void)
{
    struct itimerval timer = {{MOST, 999999}, {MOST, 999999}};
    struct itimerspec long_timer = {{MOST, 999999999}, {MOST, 999999999}}, left;
    struct timespec most = {MOST, 999999999};
    struct timeval tv = {MOST, 999999};
    struct pollfd poll_fd = {.events = POLLOUT};
    uint32_t word = 1;
    int fd[2];
    fd_set set;

    CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0, "setitimer");
    CHECK(getitimer(ITIMER_REAL, &timer) == 0 && timer.it_value.tv_sec > 1000000000, "has time");
    timer = (struct itimerval){0};
    setitimer(ITIMER_REAL, &timer, NULL);
    int t = timerfd_create(CLOCK_MONOTONIC, 0);
    CHECK_EQ(timerfd_settime(t, 0, &long_timer, NULL), 0, "timerfd_settime");
    CHECK(timerfd_gettime(t, &left) == 0 && left.it_value.tv_sec > 1000000000, "too");
    CHECK_FAIL(syscall(SYS_futex, &word, FUTEX_WAIT, 2, &most, NULL, 0), EAGAIN, "futex");
    REQUIRE(pipe(fd) == 0);
    poll_fd.fd = fd[1];
    CHECK_EQ(ppoll(&poll_fd, 1, &most, NULL), 1, "ppoll");
    FD_ZERO(&set);
    FD_SET(fd[1], &set);
    CHECK_EQ(select(fd[1] + 1, NULL, &set, NULL, &tv), 1, "select");
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    tv = (struct timeval){MOST, 999999};
    CHECK_EQ(setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0, "SO_RCVTIMEO");
    REQUIRE(write(fd[1], "x", 1) == 1);
    CHECK_EQ(recv(fd[0], &word, 1, 0), 1, "and receiving");
    pid_t child = CHILD(nanosleep(&most, NULL); _exit(1));
    usleep(20000);
    CHECK_EQ(waitpid(child, NULL, WNOHANG), 0, "nanosleep sleeps");
    kill(child, SIGKILL);
    end_of(child);
}

CHECK_MAIN(CASE(positions), CASE(ranges), CASE(times_of_files), CASE(memory), CASE(for_ever))
