/* SPDX-License-Identifier: MIT */
/* poll, ppoll, select, pselect: what is ready, time-outs, masks, wake-ups. */
#include "check.h"

#include <sys/resource.h>
#include <sys/select.h>

static int events_of(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    int n = poll(&poll_fd, 1, 0);
    REQUIRE(n == (poll_fd.revents != 0));
    return poll_fd.revents;
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void pipes(void)
{
    static char data[65536];
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    CHECK_EQ(events_of(fds[0], POLLIN), 0, "an empty pipe cannot be read");
    CHECK_EQ(events_of(fds[1], POLLOUT), POLLOUT, "but written");
    REQUIRE(write(fds[1], "x", 1) == 1);
    CHECK_EQ(events_of(fds[0], POLLIN | POLLRDNORM), POLLIN | POLLRDNORM, "then it can be read");
    CHECK_EQ(events_of(fds[0], 0), 0, "events not asked for are not told");
    REQUIRE(fcntl(fds[1], F_SETPIPE_SZ, 4096) == 4096);
    read(fds[0], data, 1);
    REQUIRE(write(fds[1], data, 4096) == 4096);
    CHECK_EQ(events_of(fds[1], POLLOUT), 0, "a full pipe cannot be written");
    close(fds[1]);
    CHECK_EQ(events_of(fds[0], POLLIN), POLLIN | POLLHUP, "POLLHUP when the writers have gone");
    read(fds[0], data, 4096);
    CHECK_EQ(events_of(fds[0], POLLIN), POLLHUP, "alone when nothing is left");
    REQUIRE(pipe(fds) == 0);
    close(fds[0]);
    CHECK_EQ(events_of(fds[1], POLLOUT), POLLOUT | POLLERR, "POLLERR when the readers have gone");
    CHECK_EQ(events_of(fds[0], POLLIN), POLLNVAL, "POLLNVAL for a closed descriptor");
}

static void other_files(void)
{
    write_file("f", "", 0644);
    int fd = open("f", O_RDWR);
    CHECK_EQ(events_of(fd, POLLIN | POLLOUT), POLLIN | POLLOUT, "a file is always ready");
    int null = open("/dev/null", O_RDWR);
    CHECK_EQ(events_of(null, POLLIN | POLLOUT), POLLIN | POLLOUT, "so is /dev/null");
    REQUIRE(mkfifo("p", 0600) == 0);
    int in = open("p", O_RDONLY | O_NONBLOCK);
    CHECK_EQ(events_of(in, POLLIN), 0, "a FIFO that never had a writer");
    int out = open("p", O_WRONLY);
    close(out);
    CHECK_EQ(events_of(in, POLLIN), POLLHUP, "and one that had one");
}

static void several(void)
{
    int a[2], b[2];
    REQUIRE(pipe(a) == 0 && pipe(b) == 0);
    struct pollfd list[] = {
        {.fd = a[0], .events = POLLIN}, {.fd = -1, .events = POLLIN, .revents = 77},
        {.fd = b[0], .events = POLLIN}, {.fd = b[1], .events = POLLOUT},
        {.fd = 999, .events = POLLIN},
    };
    REQUIRE(write(b[1], "x", 1) == 1);
    CHECK_EQ(poll(list, 5, -1), 3, "poll tells how many are ready");
    CHECK(list[0].revents == 0 && list[2].revents == POLLIN && list[3].revents == POLLOUT,
          "and which");
    CHECK_EQ(list[1].revents, 0, "a negative descriptor is passed over");
    CHECK_EQ(list[4].revents, POLLNVAL, "a bad one is told");
    CHECK_EQ(poll(NULL, 0, 0), 0, "no descriptors at all");
    int64_t from = now();
    CHECK_EQ(poll(list, 1, 30), 0, "a time-out");
    CHECK(now() - from >= 30000000, "lasts as long as asked");
    from = now();
    CHECK_EQ(poll(NULL, 0, 20), 0, "poll of nothing");
    CHECK(now() - from >= 20000000, "is a sleep");
    struct rlimit limit = {100, 100};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    static struct pollfd many[101];
    CHECK_FAIL(poll(many, 101, 0), EINVAL, "more descriptors than the limit");
}

static void waking(void)
{
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    pid_t parent = getpid();
    pid_t child = CHILD(await_state(parent, "S"); write(fds[1], "x", 1));
    struct pollfd poll_fd = {.fd = fds[0], .events = POLLIN};
    CHECK_EQ(poll(&poll_fd, 1, -1), 1, "poll sleeps until data come");
    end_of(child);
    char byte;
    read(fds[0], &byte, 1);
    child = CHILD(await_state(parent, "S"); write(fds[1], "x", 1));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    CHECK_EQ(select(fds[0] + 1, &set, NULL, NULL, NULL), 1, "so does select");
    end_of(child);
    read(fds[0], &byte, 1);
    child = CHILD(close(fds[0]); await_state(parent, "S"));
    close(fds[1]);
    end_of(child);
    CHECK(poll(&poll_fd, 1, -1) == 1 && (poll_fd.revents & POLLHUP),
          "the last writer's end wakes it");
    /* Hundreds of descriptors, of which the last becomes ready. */
    static struct pollfd many[300];
    int last[2];
    REQUIRE(pipe(last) == 0 && pipe(fds) == 0);
    for (int i = 0; i < 300; i++)
        many[i] = (struct pollfd){.fd = i < 299 ? fds[0] : last[0], .events = POLLIN};
    child = CHILD(await_state(parent, "S"); write(last[1], "x", 1));
    CHECK(poll(many, 300, -1) == 1 && many[299].revents == POLLIN, "one of three hundred");
    end_of(child);
}

static volatile int count;

static void counter(int signal)
{
    (void)signal;
    count++;
}

static void masks(void)
{
    int fds[2];
    sigset_t none, mask, old;
    struct timespec zero = {0, 0}, time = {0, 1000000000};
    REQUIRE(pipe(fds) == 0);
    struct pollfd poll_fd = {.fd = fds[0], .events = POLLIN};
    sigemptyset(&none);
    handle_flags(SIGUSR1, counter, SA_RESTART);
    block_signal(SIGUSR1);
    raise(SIGUSR1);
    CHECK_FAIL(ppoll(&poll_fd, 1, NULL, &none), EINTR, "ppoll lets a blocked signal in");
    CHECK_EQ(count, 1, "whose handler runs");
    sigprocmask(SIG_BLOCK, NULL, &old);
    CHECK(sigismember(&old, SIGUSR1), "afterwards it is blocked again");
    raise(SIGUSR1);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    CHECK_FAIL(pselect(fds[0] + 1, &set, NULL, NULL, NULL, &none), EINTR, "so does pselect");
    CHECK_EQ(count, 2, "once");
    mask = set_of(SIGUSR1);
    unblock_signal(SIGUSR1);
    pid_t parent = getpid();
    struct timespec little = {0, 20000000};
    pid_t child = CHILD(await_state(parent, "S"); kill(parent, SIGUSR1));
    CHECK_EQ(ppoll(&poll_fd, 1, &little, &mask), 0,
             "a signal masked by ppoll does not interrupt it");
    end_of(child);
    if (!qemu_user_lacks("a signal after ppoll"))
        CHECK_EQ(count, 3, "its handler runs afterwards");
    CHECK_FAIL(ppoll(&poll_fd, 1, &time, NULL), EINVAL, "too many nanoseconds");
    time = (struct timespec){-1, 0};
    CHECK_FAIL(ppoll(&poll_fd, 1, &time, NULL), EINVAL, "a negative time");
    REQUIRE(write(fds[1], "x", 1) == 1);
    block_signal(SIGUSR1);
    raise(SIGUSR1);
    int result = ppoll(&poll_fd, 1, &zero, &none);
    CHECK(result == 1 || (result == -1 && errno == EINTR), "ready and a signal: either is told");
    CHECK_FAIL(syscall(SYS_ppoll, &poll_fd, 1, NULL, &none, 4), EINVAL, "a wrong size of the set");
}

static void selecting(void)
{
    int a[2], b[2];
    fd_set in, out, except;
    struct timeval zero = {0, 0}, time = {0, 20000};
    REQUIRE(pipe(a) == 0 && pipe(b) == 0 && write(a[1], "x", 1) == 1);
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&except);
    FD_SET(a[0], &in);
    FD_SET(b[0], &in);
    FD_SET(b[1], &out);
    FD_SET(a[0], &except);
    CHECK_EQ(select(b[1] + 1, &in, &out, &except, NULL), 2, "select tells how many are ready");
    CHECK(FD_ISSET(a[0], &in) && !FD_ISSET(b[0], &in), "for reading");
    CHECK(FD_ISSET(b[1], &out), "for writing");
    CHECK(!FD_ISSET(a[0], &except), "with exceptions");
    FD_ZERO(&in);
    FD_SET(b[0], &in);
    int64_t from = now();
    CHECK_EQ(select(b[0] + 1, &in, NULL, NULL, &time), 0, "a time-out");
    CHECK(now() - from >= 20000000, "lasts as long as asked");
    CHECK(!FD_ISSET(b[0], &in), "the sets are empty after it");
    CHECK(time.tv_sec == 0 && time.tv_usec == 0, "and Linux tells the time that is left");
    FD_ZERO(&in);
    FD_SET(40, &in);
    CHECK_FAIL(select(41, &in, NULL, NULL, &zero), EBADF, "a bad descriptor");
    CHECK_FAIL(select(-1, NULL, NULL, NULL, &zero), EINVAL, "a negative number");
    FD_ZERO(&in);
    FD_SET(a[0], &in);
    FD_SET(b[0], &in);
    CHECK_EQ(select(a[0] + 1, &in, NULL, NULL, &zero), 1, "only descriptors below the number");
    close(b[1]);
    FD_ZERO(&in);
    FD_SET(b[0], &in);
    CHECK_EQ(select(b[0] + 1, &in, NULL, NULL, &zero), 1, "an end can be read");
    time = (struct timeval){-1, 0};
    CHECK_FAIL(select(0, NULL, NULL, NULL, &time), EINVAL, "a negative time");
    from = now();
    time = (struct timeval){0, 10000};
    CHECK(select(0, NULL, NULL, NULL, &time) == 0 && now() - from >= 10000000, "select as a sleep");
}

CHECK_MAIN(CASE(pipes), CASE(other_files), CASE(several), CASE(waking), CASE(masks),
           CASE(selecting))
