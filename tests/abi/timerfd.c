/* SPDX-License-Identifier: MIT */
/* timerfd: clocks, one shot and periodic, absolute times, what is left, setting the clock, errors. */
#include "check.h"

#include <sys/ioctl.h>
#include <sys/timerfd.h>

#ifndef TFD_TIMER_CANCEL_ON_SET
#define TFD_TIMER_CANCEL_ON_SET 2
#endif
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#define MS                1000000ll

static int64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    REQUIRE(clock_gettime(clock, &time) == 0);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static struct timespec spec(int64_t ns)
{
    return (struct timespec){ns / 1000000000, ns % 1000000000};
}

static int set(int fd, int flags, int64_t value, int64_t interval)
{
    struct itimerspec new = {spec(interval), spec(value)};
    return timerfd_settime(fd, flags, &new, NULL);
}

static int64_t left(int fd)
{
    struct itimerspec now;
    REQUIRE(timerfd_gettime(fd, &now) == 0);
    return now.it_value.tv_sec * 1000000000ll + now.it_value.tv_nsec;
}

/* -1 on an error. */
static int64_t ticks(int fd)
{
    uint64_t n = 0;
    return read(fd, &n, 8) == 8 ? (int64_t)n : -1;
}

static int is_ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    REQUIRE(poll(&p, 1, 0) >= 0);
    return p.revents;
}

static void once(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    uint64_t n;
    CHECK(fd >= 0, "a timer");
    CHECK_EQ(is_ready(fd), 0, "is not ready");
    CHECK_FAIL(read(fd, &n, 8), EAGAIN, "nor can it be read");
    CHECK_EQ(left(fd), 0, "it does not run");
    int64_t from = clock_ns(CLOCK_MONOTONIC);
    CHECK_EQ(set(fd, 0, 100000 * MS, 0), 0, "set to 100 s");
    CHECK(left(fd) > 0 && left(fd) <= 100000 * MS, "less is left");
    from = clock_ns(CLOCK_MONOTONIC);
    REQUIRE(set(fd, 0, 20 * MS, 0) == 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 20000), 1, "poll waits for it");
    CHECK(clock_ns(CLOCK_MONOTONIC) - from >= 20 * MS, "as long as asked");
    CHECK_EQ(left(fd), 0, "nothing is left");
    CHECK_EQ(ticks(fd), 1, "it has expired once");
    CHECK_FAIL(read(fd, &n, 8), EAGAIN, "which is told once");
    REQUIRE(fcntl(fd, F_SETFL, 0) == 0 && set(fd, 0, 5 * MS, 0) == 0);
    CHECK_EQ(ticks(fd), 1, "a read waits for it");
    REQUIRE(set(fd, 0, 1000 * MS, 0) == 0 && set(fd, 0, 0, 1 * MS) == 0);
    CHECK_EQ(left(fd), 0, "0 stops it, whatever the interval");
    CHECK_FAIL(read(fd, &n, 7), EINVAL, "a short read");
    CHECK_FAIL(write(fd, &n, 8), EINVAL, "it cannot be written");
}

static void periodic(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec old, new = {spec(1 * MS), spec(1000 * MS)};
    int64_t from = clock_ns(CLOCK_MONOTONIC), n = 0;
    REQUIRE(set(fd, 0, 5 * MS, 5 * MS) == 0);
    while (n < 4)
        n += ticks(fd);
    int64_t passed = clock_ns(CLOCK_MONOTONIC) - from;
    CHECK(passed >= n * 5 * MS, "a period passes for each expiration");
    usleep(22000);
    CHECK(ticks(fd) >= 4, "those that nobody read are counted");
    CHECK(left(fd) > 0 && left(fd) <= 5 * MS, "it goes on");
    CHECK_EQ(timerfd_settime(fd, 0, &new, &old), 0, "set anew");
    CHECK(old.it_interval.tv_nsec == 5 * MS && old.it_value.tv_nsec <= 5 * MS,
          "tells how it was set");
    CHECK_EQ(timerfd_gettime(fd, &old), 0, "timerfd_gettime");
    CHECK(old.it_interval.tv_nsec == 1 * MS, "tells the interval");
    usleep(10000);
    REQUIRE(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    CHECK_EQ(ticks(fd), -1, "setting it forgets what had expired");
}

static void absolute(void)
{
    static const struct {
        clockid_t clock;
        const char *text;
    } clocks[] = {{CLOCK_REALTIME, "absolute, CLOCK_REALTIME"},
                  {CLOCK_MONOTONIC, "absolute, CLOCK_MONOTONIC"},
                  {CLOCK_BOOTTIME, "absolute, CLOCK_BOOTTIME"},
                  {CLOCK_REALTIME_ALARM, "absolute, CLOCK_REALTIME_ALARM"},
                  {CLOCK_BOOTTIME_ALARM, "absolute, CLOCK_BOOTTIME_ALARM"}};
    for (unsigned i = 0; i < ARRAY_SIZE(clocks); i++) {
        clockid_t clock = clocks[i].clock;
        int fd = timerfd_create(clock, 0);
        struct timespec time;
        if (fd < 0 || clock_gettime(clock, &time) < 0) { /* a machine without that kind of clock */
            SKIP(clocks[i].text, "no such clock here");
            continue;
        }
        int64_t until = clock_ns(clock) + 10 * MS;
        REQUIRE(set(fd, TFD_TIMER_ABSTIME, until, 0) == 0);
        CHECK(ticks(fd) == 1 && clock_ns(clock) >= until, clocks[i].text);
        REQUIRE(set(fd, TFD_TIMER_ABSTIME, clock_ns(clock) - 25 * MS, 10 * MS) == 0);
        CHECK(ticks(fd) >= 3, "one that began in the past");
        close(fd);
    }
}

static void clock_setting(void)
{
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    int64_t far = clock_ns(CLOCK_REALTIME) + 100000 * MS;
    struct timespec now;
    uint64_t n;
    if (!has_capability(25 /* CAP_SYS_TIME */) || geteuid() != 0) {
        SKIP("TFD_TIMER_CANCEL_ON_SET", "the clock may not be set");
        return;
    }
    REQUIRE(set(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, far, 0) == 0);
    CHECK_FAIL(read(fd, &n, 8), EAGAIN, "nothing happens");
    REQUIRE(clock_gettime(CLOCK_REALTIME, &now) == 0 && clock_settime(CLOCK_REALTIME, &now) == 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 20000), 1, "until the clock is set");
    CHECK_FAIL(read(fd, &n, 8), ECANCELED, "which a read tells");
    CHECK_FAIL(read(fd, &n, 8), EAGAIN, "once");
    CHECK(left(fd) > 50000 * MS, "the timer runs on");
    REQUIRE(set(fd, TFD_TIMER_ABSTIME, far, 0) == 0);
    REQUIRE(clock_gettime(CLOCK_REALTIME, &now) == 0 && clock_settime(CLOCK_REALTIME, &now) == 0);
    CHECK_FAIL(read(fd, &n, 8), EAGAIN, "without the flag setting the clock ends nothing");
    REQUIRE(set(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, far, 0) == 0);
    REQUIRE(clock_gettime(CLOCK_REALTIME, &now) == 0 && clock_settime(CLOCK_REALTIME, &now) == 0);
    REQUIRE(set(fd, 0, MS, 0) == 0 && poll(&p, 1, 20000) == 1);
    CHECK_EQ(ticks(fd), 1, "and what was canceled before it was set anew is forgotten");
}

static void flags_and_errors(void)
{
    struct itimerspec bad = {{0, 0}, {0, 1000000000}}, good = {{0, 0}, {1, 0}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), pipes[2];
    uint64_t n;
    REQUIRE(pipe(pipes) == 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC, "TFD_CLOEXEC");
    CHECK_FAIL(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL, "an unknown flag");
    CHECK_FAIL(timerfd_create(CLOCK_THREAD_CPUTIME_ID, 0), EINVAL, "a clock of run time");
    CHECK_FAIL(timerfd_create(CLOCK_MONOTONIC_COARSE, 0), EINVAL, "a coarse clock");
    CHECK_FAIL(timerfd_create(99, 0), EINVAL, "no clock");
    CHECK_FAIL(timerfd_settime(fd, 4, &good, NULL), EINVAL, "an unknown flag of timerfd_settime");
    CHECK_FAIL(timerfd_settime(fd, 0, &bad, NULL), EINVAL, "too many nanoseconds");
    bad = (struct itimerspec){{-1, 0}, {1, 0}};
    CHECK_FAIL(timerfd_settime(fd, 0, &bad, NULL), EINVAL, "a negative interval");
    CHECK_FAIL(timerfd_settime(999, 0, &good, NULL), EBADF, "no descriptor");
    CHECK_FAIL(timerfd_gettime(999, &good), EBADF, "the same for timerfd_gettime");
    CHECK_FAIL(timerfd_settime(pipes[0], 0, &good, NULL), EINVAL, "no timer");
    CHECK_FAIL(timerfd_gettime(pipes[0], &bad), EINVAL, "the same for timerfd_gettime");
    CHECK_FAIL(syscall(SYS_timerfd_settime, fd, 0, unmapped_page(), NULL), EFAULT,
               "a bad address of a time");
    CHECK_FAIL(syscall(SYS_timerfd_gettime, fd, unmapped_page()), EFAULT, "and to store one");
    if (geteuid() == 0)
        CHECK_EQ(IN_CHILD(become_user(1000); int alarm = timerfd_create(CLOCK_BOOTTIME_ALARM, 0);
                          _exit(alarm < 0 ? errno : 0)),
                 EPERM, "alarm clocks are not for everybody");
    if (!qemu_user_lacks("TFD_IOC_SET_TICKS")) {
        n = 0;
        CHECK_FAIL(ioctl(fd, TFD_IOC_SET_TICKS, &n), EINVAL, "TFD_IOC_SET_TICKS of 0");
        n = 7;
        CHECK_EQ(ioctl(fd, TFD_IOC_SET_TICKS, &n), 0, "and of 7");
        CHECK_EQ(ticks(fd), 7, "are to be read");
    }
}

static void handler(int signal)
{
    (void)signal;
}

static void waiting(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    pid_t child = CHILD({
        handle_flags(SIGUSR1, handler, 0);
        _exit(ticks(fd) == -1 && errno == EINTR ? 0 : 1);
    });
    await_state(child, "S");
    kill(child, SIGUSR1);
    CHECK_EQ(end_of(child), 0, "a handler ends a read");
    child = CHILD(_exit(ticks(fd) == 1 ? 0 : 1));
    await_state(child, "S");
    REQUIRE(set(fd, 0, 1 * MS, 0) == 0);
    CHECK_EQ(end_of(child), 0, "a timer that another process sets");
    int many[50], good = 0;
    for (int i = 0; i < 50; i++) {
        many[i] = timerfd_create(CLOCK_MONOTONIC, 0);
        REQUIRE(set(many[i], 0, (50 - i) * MS / 2, 0) == 0);
    }
    for (int i = 0; i < 50; i++)
        good += ticks(many[i]) == 1;
    CHECK_EQ(good, 50, "fifty timers");
    for (int i = 0; i < 50; i++) {
        REQUIRE(set(many[i], 0, MS / 10, MS / 10) == 0);
        if (i % 2)
            close(many[i]);
    }
    CHECK(ticks(many[0]) >= 1, "closing some that run");
}

static void information(void)
{
    char path[64], text[512];
    int fd = timerfd_create(CLOCK_BOOTTIME, 0);
    if (qemu_user_lacks("/proc/self/fdinfo"))
        return;
    REQUIRE(set(fd, TFD_TIMER_ABSTIME, clock_ns(CLOCK_BOOTTIME) + 500000 * MS, 2500 * MS) == 0);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    REQUIRE(read_file(path, text, sizeof(text)) > 0);
    CHECK(strstr(text, "clockid: 7\nticks: 0\nsettime flags: 01\nit_value: (499, "),
          "fdinfo shows what is left");
    CHECK(strstr(text, "it_interval: (2, 500000000)\n"), "and the interval");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    text[readlink(path, text, sizeof(text) - 1)] = 0;
    CHECK_STR(text, "anon_inode:[timerfd]", "the link in /proc/self/fd");
}

CHECK_MAIN(CASE(once), CASE(periodic), CASE(absolute), CASE(clock_setting), CASE(flags_and_errors),
           CASE(waiting), CASE(information))
