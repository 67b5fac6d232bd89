/* SPDX-License-Identifier: MIT */
/* Descriptors: dup and its kin, fcntl, flags per descriptor and per open file. */
#include "check.h"

#include <sys/ioctl.h>

static void duplicates(void)
{
    write_file("f", "0123456789", 0644);
    int fd = open("f", O_RDWR), copy = dup(fd);
    char byte;
    CHECK(copy > fd, "dup");
    CHECK(read(copy, &byte, 1) == 1 && lseek(fd, 0, SEEK_CUR) == 1, "shares the offset");
    CHECK_EQ(fcntl(fd, F_SETFL, O_APPEND), 0, "F_SETFL");
    CHECK(fcntl(copy, F_GETFL) & O_APPEND, "flags of the file are shared");
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    CHECK_EQ(fcntl(copy, F_GETFD), 0, "close-on-exec is not");
    close(fd);
    CHECK_EQ(read(copy, &byte, 1), 1, "each is closed for itself");
    CHECK_EQ(dup2(copy, 50), 50, "dup2 to a number");
    CHECK_EQ(dup2(copy, copy), copy, "to itself");
    CHECK_FAIL(dup2(999, 999), EBADF, "of a bad descriptor to itself");
    CHECK_FAIL(dup2(999, 5), EBADF, "of a bad one");
    CHECK_FAIL(dup2(copy, -1), EBADF, "to -1");
    CHECK_FAIL(dup2(copy, 1 << 30), EBADF, "to one too large");
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    dup2(copy, fds[1]);
    CHECK_EQ(read(fds[0], &byte, 1), 0, "dup2 closes what was there");
    CHECK_EQ(dup3(copy, 60, O_CLOEXEC), 60, "dup3");
    CHECK_EQ(fcntl(60, F_GETFD), FD_CLOEXEC, "with O_CLOEXEC");
    CHECK_FAIL(dup3(copy, copy, 0), EINVAL, "dup3 to itself");
    CHECK_FAIL(dup3(copy, 61, O_APPEND), EINVAL, "with another flag");
    CHECK_FAIL(dup(999), EBADF, "dup of a bad descriptor");
}

static void control(void)
{
    write_file("f", "0123456789", 0644);
    int fd = open("f", O_RDWR | O_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_DUPFD, 100), 100, "F_DUPFD from a number on");
    CHECK_EQ(fcntl(fd, F_DUPFD, 100), 101, "takes the next free one");
    CHECK_EQ(fcntl(100, F_GETFD), 0, "without close-on-exec");
    CHECK_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 110), 110, "F_DUPFD_CLOEXEC");
    CHECK_EQ(fcntl(110, F_GETFD), FD_CLOEXEC, "with it");
    CHECK_FAIL(fcntl(fd, F_DUPFD, -1), EINVAL, "from -1");
    CHECK_EQ(fcntl(fd, F_SETFD, 0), 0, "F_SETFD");
    CHECK_EQ(fcntl(fd, F_GETFD), 0, "F_GETFD");
    CHECK_EQ(fcntl(fd, F_SETFD, FD_CLOEXEC | 0x40), 0, "other bits of it");
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC, "are dropped");
    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK | O_WRONLY | O_CREAT), 0, "F_SETFL with an access mode");
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_CREAT), O_RDWR, "does not change it");
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK, "but what it may");
    CHECK_EQ(fcntl(fd, F_SETFL, 0), 0, "and takes it away");
    CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK), "again");
    CHECK_FAIL(fcntl(fd, 9999), EINVAL, "an unknown command");
    CHECK_FAIL(fcntl(999, F_GETFD), EBADF, "a bad descriptor");
    int on = 1;
    CHECK_EQ(ioctl(fd, FIOCLEX), 0, "FIOCLEX");
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC, "sets close-on-exec");
    CHECK_EQ(ioctl(fd, FIONCLEX), 0, "FIONCLEX");
    CHECK_EQ(fcntl(fd, F_GETFD), 0, "takes it away");
    CHECK_EQ(ioctl(fd, FIONBIO, &on), 0, "FIONBIO");
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK, "sets O_NONBLOCK");
    if (!qemu_user_lacks("unknown ioctls"))
        CHECK_FAIL(ioctl(fd, 0x12345678, &on), ENOTTY, "an unknown ioctl");
    CHECK_FAIL(ioctl(fd, TIOCGWINSZ, &on), ENOTTY, "a terminal's on a file");
    CHECK_FAIL(ioctl(999, FIONBIO, &on), EBADF, "of a bad descriptor");
    CHECK_EQ(isatty(fd), 0, "a file is no terminal");
}

static void many(void)
{
    int right = 1, first = open("/dev/null", O_RDONLY), fds[800];
    for (int i = 0; i < 800; i++) {
        fds[i] = dup(first);
        right &= fds[i] == first + 1 + i;
    }
    CHECK(right, "eight hundred descriptors, one after the other");
    for (int i = 0; i < 800; i += 2)
        right &= close(fds[i]) == 0;
    for (int i = 0; i < 800; i += 2)
        right &= dup(first) == fds[i];
    CHECK(right, "gaps are filled from the lowest");
    CHECK_EQ(IN_CHILD(_exit(fcntl(fds[799], F_GETFD) == 0 ? 0 : 1)), 0, "a child has them all");
    CHECK_EQ(syscall(SYS_close_range, fds[0], fds[799], 0), 0, "close_range");
    CHECK(fcntl(fds[0], F_GETFD) < 0 && fcntl(fds[799], F_GETFD) < 0, "closes them all");
    CHECK_FAIL(syscall(SYS_close_range, 10, 5, 0), EINVAL, "a range the wrong way round");
    CHECK_FAIL(syscall(SYS_close_range, 10, 20, 0x100), EINVAL, "unknown flags");
}

static void closed_elsewhere(void)
{
    char byte;
    struct gate gate = gate_make();
    pid_t child = CHILD(close(gate.write_end); _exit(read(gate.read_end, &byte, 1)));
    close(gate.read_end);
    close(gate.write_end);
    CHECK_EQ(end_of(child), 0, "the last writer's close ends the reader");
}

static void in_proc(void)
{
    char path[64], target[PATH_MAX] = "", want[PATH_MAX];
    write_file("file", "x", 0644);
    int fd = open("file", O_RDWR);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    REQUIRE(realpath("file", want));
    CHECK(readlink(path, target, sizeof(target)) > 0 && !strcmp(target, want),
          "/proc/self/fd/N is a link to the file");
    int again = open(path, O_RDONLY);
    CHECK(again >= 0 && read(again, target, 1) == 1 && *target == 'x', "which can be opened");
    unlink("file");
    CHECK(open(path, O_RDONLY) >= 0, "also when the file was removed");
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
    memset(target, 0, sizeof(target));
    CHECK(readlink(path, target, sizeof(target)) > 0 && !strncmp(target, "pipe:[", 6),
          "a pipe's says pipe:[N]");
    close(fds[0]);
    CHECK_FAIL(readlink(path, target, sizeof(target)), ENOENT, "a closed descriptor has none");
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    CHECK(count >= 6, "the directory lists them");
    CHECK(open("/dev/fd/1", O_WRONLY) >= 0 || access("/dev/fd", F_OK) != 0, "/dev/fd leads there");
}

static void locks(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
    write_file("f", "0123456789", 0644);
    int fd = open("f", O_RDWR);
    if (fcntl(fd, F_SETLK, &lock) < 0 && (errno == ENOSYS || errno == EINVAL || errno == ENOLCK)) {
        SKIP("record locks", "not there");
        return;
    }
    struct flock other = lock;
    CHECK_EQ(IN_CHILD(fcntl(fd, F_GETLK, &other);
                      _exit(other.l_type == F_WRLCK && other.l_pid == getppid() ? 0 : 1)),
             0, "F_GETLK tells another process's lock");
    CHECK_EQ(IN_CHILD(_exit(fcntl(fd, F_SETLK, &lock) < 0 ? errno : 0)), EAGAIN,
             "which cannot be taken");
}

CHECK_MAIN(CASE(duplicates), CASE(control), CASE(many), CASE(closed_elsewhere), CASE(in_proc),
           CASE(locks))
