/* SPDX-License-Identifier: MIT */
/* eventfd, eventfd2: counting, semaphore mode, waiting, limits, what /proc tells. */
#include "check.h"

#include <sys/eventfd.h>
#include <sys/resource.h>

#define COUNT_MAX (UINT64_MAX - 1)

static int raw_eventfd2(unsigned count, int flags)
{
    return syscall(SYS_eventfd2, count, flags);
}

static int events_of(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    REQUIRE(poll(&p, 1, 0) >= 0);
    return p.revents;
}

static void put(int fd, uint64_t value)
{
    REQUIRE(write(fd, &value, 8) == 8);
}

static uint64_t take(int fd)
{
    uint64_t value;
    REQUIRE(read(fd, &value, 8) == 8);
    return value;
}

static void counting(void)
{
    uint64_t two[2] = {77, 78};
    int fd = raw_eventfd2(5, EFD_NONBLOCK);
    CHECK(fd >= 0, "an eventfd");
    CHECK_EQ(events_of(fd), POLLIN | POLLOUT, "a count can be read and added to");
    CHECK_EQ(take(fd), 5, "it begins with the value given");
    CHECK_EQ(events_of(fd), POLLOUT, "0 cannot be read");
    CHECK_FAIL(read(fd, two, 8), EAGAIN, "reading 0");
    put(fd, 3);
    put(fd, 4);
    CHECK_EQ(read(fd, two, 16), 8, "a read takes eight bytes");
    CHECK(two[0] == 7 && two[1] == 78, "all that was added");
    put(fd, 0);
    CHECK_EQ(events_of(fd), POLLOUT, "adding 0 changes nothing");
    put(fd, COUNT_MAX);
    CHECK_EQ(events_of(fd), POLLIN, "the greatest count cannot be added to");
    two[0] = 1;
    CHECK_FAIL(write(fd, two, 8), EAGAIN, "adding to it");
    two[0] = 0;
    CHECK_EQ(write(fd, two, 8), 8, "but 0");
    CHECK_EQ(take(fd), COUNT_MAX, "it is read whole");
    put(fd, COUNT_MAX - 1);
    put(fd, 1);
    CHECK_EQ(take(fd), COUNT_MAX, "up to the last");
    two[0] = UINT64_MAX;
    CHECK_FAIL(write(fd, two, 8), EINVAL, "2^64 - 1 cannot be added");
    CHECK_FAIL(read(fd, two, 7), EINVAL, "a short read");
    CHECK_FAIL(write(fd, two, 7), EINVAL, "a short write");
    put(fd, 1);
    CHECK_FAIL(write(fd, unmapped_page(), 8), EFAULT, "a bad address to write from");
    CHECK_EQ(take(fd), 1, "which adds nothing");
    CHECK_FAIL(pread(fd, two, 8, 0), ESPIPE, "there are no positions");
}

static void semaphores(void)
{
    int fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    uint64_t value;
    CHECK_EQ(take(fd), 1, "a semaphore gives one");
    put(fd, 1);
    CHECK_EQ(take(fd), 1, "and another");
    CHECK_EQ(take(fd), 1, "until none is left");
    CHECK_FAIL(read(fd, &value, 8), EAGAIN, "then none");
}

static void flags(void)
{
    int fd = raw_eventfd2(0, EFD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC, "EFD_CLOEXEC");
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR, "without EFD_NONBLOCK");
    fd = raw_eventfd2(0, EFD_NONBLOCK);
    CHECK_EQ(fcntl(fd, F_GETFD), 0, "without EFD_CLOEXEC");
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK, "EFD_NONBLOCK");
    CHECK_FAIL(raw_eventfd2(0, 2), EINVAL, "an unknown flag");
#ifdef SYS_eventfd
    fd = syscall(SYS_eventfd, 9);
    CHECK_EQ(take(fd), 9, "the old call");
#endif
    struct rlimit limit = {10, 10};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while (eventfd(0, 0) >= 0)
        ;
    CHECK_FAIL(raw_eventfd2(0, 0), EMFILE, "no descriptor is left");
}

static void waiting(void)
{
    int a = eventfd(0, 0), b = eventfd(0, 0), sum = 0;
    pid_t child = CHILD({
        for (int i = 1; i <= 100; i++)
            put(b, take(a) + 1);
    });
    for (int i = 1; i <= 100; i++) {
        put(a, i);
        sum += take(b) == (uint64_t)i + 1;
    }
    CHECK_EQ(sum, 100, "a hundred round trips");
    CHECK_EQ(end_of(child), 0, "the partner ends");
    put(a, COUNT_MAX);
    child = CHILD(put(a, 2));
    await_state(child, "S");
    CHECK_EQ(take(a), COUNT_MAX, "a writer waits for room");
    CHECK_EQ(end_of(child), 0, "and gets it");
    CHECK_EQ(take(a), 2, "its value is there");
}

static volatile sig_atomic_t handled;

static void handler(int signal)
{
    (void)signal;
    handled = 1;
}

static void signals(void)
{
    int fd = eventfd(0, 0);
    pid_t child = CHILD({
        uint64_t value;
        handle_flags(SIGUSR1, handler, 0);
        long n = read(fd, &value, 8);
        _exit(n == -1 && errno == EINTR && handled ? 0 : 1);
    });
    await_state(child, "S");
    kill(child, SIGUSR1);
    CHECK_EQ(end_of(child), 0, "a handler ends a read");
    child = CHILD({
        handle_flags(SIGUSR1, handler, SA_RESTART);
        _exit(take(fd) == 4 && handled ? 0 : 1);
    });
    await_state(child, "S");
    kill(child, SIGUSR1);
    usleep(1000);
    put(fd, 4);
    CHECK_EQ(end_of(child), 0, "with SA_RESTART it goes on");
}

static void information(void)
{
    char path[64], text[512];
    int fd = eventfd(0x1234, 0);
    struct stat st;
    if (qemu_user_lacks("/proc/self/fdinfo") || qemu_user_lacks("/proc/self/fd"))
        return;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    REQUIRE(read_file(path, text, sizeof(text)) > 0);
    CHECK(strstr(text, "eventfd-count:             1234\n"), "fdinfo shows the count");
    CHECK(strstr(text, "flags:\t02\n"), "and the flags");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    text[readlink(path, text, sizeof(text) - 1)] = 0;
    CHECK_STR(text, "anon_inode:[eventfd]", "the link in /proc/self/fd");
    CHECK_FAIL(open(path, O_RDWR), ENXIO, "which cannot be opened");
    CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600, "fstat");
    CHECK_FAIL(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0, ENODEV,
               "it cannot be mapped");
}

CHECK_MAIN(CASE(counting), CASE(semaphores), CASE(flags), CASE(waiting), CASE(signals),
           CASE(information))
