/* SPDX-License-Identifier: MIT */
/*
 * What a handler does to a system call that sleeps: EINTR or a restart. A child
 * sends SIGUSR1 when /proc shows the caller asleep, and again, several times;
 * where the call is restarted the child then makes it succeed.
 */
#include "check.h"

#include <sys/select.h>

static volatile int count;
static struct gate input;

static void counter(int signal)
{
    (void)signal;
    count++;
}

/* Sends a signal to the sleeping parent, three times if asked, then a byte. */
static pid_t disturb(int restarted)
{
    pid_t parent = getpid();
    return CHILD({
        for (int i = 0; i < (restarted ? 3 : 1); i++) {
            await_state(parent, "S");
            kill(parent, SIGUSR1);
        }
        if (restarted) {
            await_state(parent, "S");
            gate_open(input);
        }
    });
}

static void prepare(int flags)
{
    count = 0;
    input = gate_make();
    handle_flags(SIGUSR1, counter, flags);
}

static void reading(void)
{
    char byte;
    prepare(0);
    pid_t child = disturb(0);
    CHECK_FAIL(read(input.read_end, &byte, 1), EINTR, "read without SA_RESTART: EINTR");
    end_of(child);
    CHECK_EQ(count, 1, "after the handler");
    prepare(SA_RESTART);
    child = disturb(1);
    CHECK_EQ(read(input.read_end, &byte, 1), 1, "read with SA_RESTART goes on");
    end_of(child);
    CHECK(count >= 1, "after the handlers");
}

static void writing(void)
{
    static char data[65536];
    prepare(0);
    REQUIRE(fcntl(input.write_end, F_SETPIPE_SZ, 4096) == 4096);
    REQUIRE(write(input.write_end, data, 4096) == 4096);
    pid_t child = disturb(0);
    CHECK_FAIL(write(input.write_end, data, 1), EINTR, "write to a full pipe: EINTR");
    end_of(child);
    REQUIRE(read(input.read_end, data, 4096) == 4096);
    child = disturb(0);
    CHECK_EQ(write(input.write_end, data, 10000), 4096, "what was written before is told instead");
    end_of(child);
    prepare(SA_RESTART);
    REQUIRE(fcntl(input.write_end, F_SETPIPE_SZ, 4096) == 4096);
    REQUIRE(write(input.write_end, data, 4096) == 4096);
    pid_t parent = getpid();
    child = CHILD(await_state(parent, "S"); kill(parent, SIGUSR1); await_state(parent, "S");
                  read(input.read_end, data, 4096));
    CHECK_EQ(write(input.write_end, data, 1), 1, "with SA_RESTART the write goes on");
    end_of(child);
}

static void waiting(void)
{
    prepare(0);
    struct gate finish = gate_make();
    pid_t quiet = CHILD(gate_pass(finish); _exit(5));
    pid_t parent = getpid();
    pid_t child = CHILD(await_state(parent, "S"); kill(parent, SIGUSR1));
    CHECK_FAIL(waitpid(quiet, NULL, 0), EINTR, "waitpid: EINTR");
    end_of(child);
    prepare(SA_RESTART);
    child = CHILD(await_state(parent, "S"); kill(parent, SIGUSR1); await_state(parent, "S");
                  gate_open(finish));
    int status = 0;
    CHECK_EQ(waitpid(quiet, &status, 0), quiet, "waitpid with SA_RESTART goes on");
    CHECK_EQ(status, 5 << 8, "and tells the status");
    end_of(child);
}

/* These are never restarted, whatever the handler's flags are. */
static void never_restarted(void)
{
    prepare(SA_RESTART);
    struct pollfd poll_fd = {.fd = input.read_end, .events = POLLIN};
    struct timespec long_time = {1000, 0}, left = {0, 0};
    struct timeval select_time = {1000, 0};
    fd_set set;
    sigset_t other = set_of(SIGRTMIN);
    pid_t child = disturb(0);
    CHECK_FAIL(poll(&poll_fd, 1, -1), EINTR, "poll: EINTR even with SA_RESTART");
    end_of(child);
    child = disturb(0);
    CHECK_FAIL(ppoll(&poll_fd, 1, &long_time, NULL), EINTR, "ppoll");
    end_of(child);
    FD_ZERO(&set);
    FD_SET(input.read_end, &set);
    child = disturb(0);
    CHECK_FAIL(select(input.read_end + 1, &set, NULL, NULL, &select_time), EINTR, "select");
    end_of(child);
    child = disturb(0);
    CHECK_FAIL(pselect(input.read_end + 1, &set, NULL, NULL, NULL, NULL), EINTR, "pselect");
    end_of(child);
    child = disturb(0);
    CHECK_FAIL(nanosleep(&long_time, &left), EINTR, "nanosleep");
    end_of(child);
    CHECK(left.tv_sec > 800 && left.tv_sec < 1000, "and tells the time that is left");
    left.tv_sec = 0;
    child = disturb(0);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, &left), EINTR, "clock_nanosleep");
    end_of(child);
    CHECK(left.tv_sec > 800, "with the time left");
    child = disturb(0);
    CHECK_FAIL(pause(), EINTR, "pause");
    end_of(child);
    child = disturb(0);
    CHECK_FAIL(sigtimedwait(&other, NULL, &long_time), EINTR, "sigtimedwait");
    end_of(child);
    left = (struct timespec){77, 77};
    clock_gettime(CLOCK_MONOTONIC, &long_time);
    long_time.tv_sec += 1000;
    child = disturb(0);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &long_time, &left), EINTR,
             "clock_nanosleep until a time");
    end_of(child);
    CHECK(left.tv_sec == 77 && left.tv_nsec == 77, "which tells no time left");
}

static void opening(void)
{
    REQUIRE(mkfifo("fifo", 0600) == 0);
    prepare(0);
    pid_t child = disturb(0);
    CHECK_FAIL(open("fifo", O_RDONLY), EINTR, "open of a FIFO: EINTR");
    end_of(child);
    prepare(SA_RESTART);
    pid_t parent = getpid();
    child = CHILD(await_state(parent, "S"); kill(parent, SIGUSR1); await_state(parent, "S");
                  int fd = open("fifo", O_WRONLY); await_state(parent, "RZ"); close(fd));
    int fd = open("fifo", O_RDONLY);
    CHECK(fd >= 0, "with SA_RESTART the open goes on");
    close(fd);
    kill(child, SIGKILL);
    end_of(child);
}

/* Stopping and continuing without a handler is not seen by the call, but for a few. */
static void stopped_meanwhile(void)
{
    char byte = 0;
    input = gate_make();
    pid_t parent = getpid();
    pid_t sleeper = CHILD(_exit(read(input.read_end, &byte, 1) == 1 ? 0 : 1));
    await_state(sleeper, "S");
    kill(sleeper, SIGSTOP);
    await_state(sleeper, "T");
    kill(sleeper, SIGCONT);
    await_state(sleeper, "S");
    gate_open(input);
    CHECK_EQ(end_of(sleeper), 0, "read goes on after stop and continuation");
    sleeper = CHILD({
        struct timespec time = {0, 50000000};
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        int result = nanosleep(&time, NULL);
        clock_gettime(CLOCK_MONOTONIC, &to);
        long passed = (to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec;
        _exit(result == 0 && passed >= 50000000 ? 0 : 1);
    });
    await_state(sleeper, "SZ");
    kill(sleeper, SIGSTOP);
    await_state(sleeper, "TZ");
    kill(sleeper, SIGCONT);
    CHECK_EQ(end_of(sleeper), 0, "nanosleep sleeps out its time after them");
    sleeper = CHILD({
        struct pollfd poll_fd = {.fd = input.read_end, .events = POLLIN};
        _exit(poll(&poll_fd, 1, 100000) == 1 ? 0 : 1);
    });
    await_state(sleeper, "S");
    kill(sleeper, SIGSTOP);
    await_state(sleeper, "T");
    kill(sleeper, SIGCONT);
    await_state(sleeper, "S");
    gate_open(input);
    CHECK_EQ(end_of(sleeper), 0, "poll goes on after them");
    (void)parent;
}

static void ignored_signals(void)
{
    char byte;
    input = gate_make();
    signal(SIGUSR1, SIG_IGN);
    pid_t child = disturb(1);
    CHECK_EQ(read(input.read_end, &byte, 1), 1, "an ignored signal does not interrupt read");
    end_of(child);
    child = CHILD();
    pid_t second = disturb(1);
    struct pollfd poll_fd = {.fd = input.read_end, .events = POLLIN};
    CHECK_EQ(poll(&poll_fd, 1, -1), 1, "nor poll");
    end_of(child);
    end_of(second);
}

CHECK_MAIN(CASE(reading), CASE(writing), CASE(waiting), CASE(never_restarted), CASE(opening),
           CASE(stopped_meanwhile), CASE(ignored_signals))
