/* SPDX-License-Identifier: MIT */
/* epoll: interest, level and edge, one-shot, exclusive, nesting, closing, waiting, masks, errors. */
#include "check.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

static struct epoll_event got[16];

static int watch(int ep, int op, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = 0x1234567800000000 + fd};
    return epoll_ctl(ep, op, fd, &event);
}

static int add(int ep, int fd, uint32_t events)
{
    return watch(ep, EPOLL_CTL_ADD, fd, events);
}

/* How many are ready now. */
static int ready(int ep)
{
    memset(got, 0x55, sizeof(got));
    return epoll_wait(ep, got, 16, 0);
}

static void put(int fd)
{
    uint64_t one = 1;
    REQUIRE(write(fd, &one, 8) == 8);
}

static void take(int fd)
{
    uint64_t value;
    REQUIRE(read(fd, &value, 8) == 8);
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void creating(void)
{
    int ep = epoll_create1(EPOLL_CLOEXEC);
    CHECK_EQ(fcntl(ep, F_GETFD), FD_CLOEXEC, "EPOLL_CLOEXEC");
    CHECK_FAIL(epoll_create1(1), EINVAL, "an unknown flag");
#ifdef SYS_epoll_create
    CHECK_FAIL(syscall(SYS_epoll_create, 0), EINVAL, "the old call wants a size above 0");
    ep = syscall(SYS_epoll_create, 1);
#else
    ep = epoll_create1(0);
#endif
    CHECK_EQ(fcntl(ep, F_GETFD), 0, "without EPOLL_CLOEXEC");
    char byte;
    CHECK_FAIL(read(ep, &byte, 1), EINVAL, "it cannot be read");
    CHECK_FAIL(write(ep, &byte, 1), EINVAL, "nor written");
}

static void level(void)
{
    int ep = epoll_create1(0), a = eventfd(0, 0), b = eventfd(0, 0);
    CHECK_EQ(add(ep, a, EPOLLIN), 0, "EPOLL_CTL_ADD");
    CHECK_EQ(ready(ep), 0, "nothing is ready");
    put(a);
    CHECK_EQ(ready(ep), 1, "something is");
    CHECK(got[0].events == EPOLLIN && got[0].data.u64 == 0x1234567800000000ull + a,
          "the event and the data");
    CHECK_EQ(ready(ep), 1, "and it still is");
    put(b);
    CHECK_EQ(add(ep, b, EPOLLIN | EPOLLOUT), 0, "what is ready when it is added");
    CHECK_EQ(ready(ep), 2, "is told at once");
    CHECK_EQ(epoll_wait(ep, got, 1, 0), 1, "one at a time");
    int first = got[0].data.u64;
    CHECK_EQ(epoll_wait(ep, got, 1, 0), 1, "then the next");
    CHECK(first != (int)got[0].data.u64, "which is the other one");
    take(a);
    CHECK_EQ(ready(ep), 1, "what was taken is not told");
    CHECK(got[0].events == (EPOLLIN | EPOLLOUT), "of both kinds");
    CHECK_EQ(watch(ep, EPOLL_CTL_MOD, b, EPOLLOUT), 0, "EPOLL_CTL_MOD");
    CHECK(ready(ep) == 1 && got[0].events == EPOLLOUT, "changes the interest");
    CHECK_EQ(watch(ep, EPOLL_CTL_MOD, b, 0), 0, "to none");
    CHECK_EQ(ready(ep), 0, "of which nothing is told");
    CHECK_EQ(watch(ep, EPOLL_CTL_MOD, b, EPOLLIN), 0, "and back");
    CHECK_EQ(ready(ep), 1, "is told at once");
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, b, NULL), 0, "EPOLL_CTL_DEL needs no event");
    CHECK_EQ(ready(ep), 0, "and then nothing is ready");
    CHECK_EQ(add(ep, b, EPOLLIN), 0, "it can be added again");
}

static void edge(void)
{
    int ep = epoll_create1(0), a = eventfd(0, 0);
    REQUIRE(add(ep, a, EPOLLIN | EPOLLET) == 0);
    put(a);
    CHECK_EQ(ready(ep), 1, "an edge");
    CHECK_EQ(ready(ep), 0, "is told once");
    put(a);
    CHECK_EQ(ready(ep), 1, "and a new one again");
    put(a);
    take(a);
    CHECK_EQ(ready(ep), 0, "one that has gone is not told");
    put(a);
    REQUIRE(ready(ep) == 1);
    CHECK_EQ(watch(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLET), 0, "EPOLL_CTL_MOD");
    CHECK_EQ(ready(ep), 1, "looks again");
    int pipes[2];
    REQUIRE(pipe2(pipes, O_NONBLOCK) == 0 && add(ep, pipes[0], EPOLLIN | EPOLLET) == 0);
    REQUIRE(write(pipes[1], "ab", 2) == 2 && ready(ep) == 1);
    char byte;
    REQUIRE(read(pipes[0], &byte, 1) == 1);
    CHECK_EQ(ready(ep), 0, "what is left in a pipe is no edge");
    REQUIRE(write(pipes[1], "c", 1) == 1);
    CHECK_EQ(ready(ep), 1, "but what is added to it");
    REQUIRE(add(ep, pipes[1], EPOLLOUT | EPOLLET) == 0);
    CHECK_EQ(ready(ep), 1, "room in it is an edge");
    CHECK_EQ(ready(ep), 0, "told once");
}

static void one_shot(void)
{
    int ep = epoll_create1(0), a = eventfd(1, 0);
    REQUIRE(add(ep, a, EPOLLIN | EPOLLONESHOT) == 0);
    CHECK_EQ(ready(ep), 1, "EPOLLONESHOT");
    CHECK_EQ(ready(ep), 0, "is told once");
    put(a);
    CHECK_EQ(ready(ep), 0, "not even when there is more");
    CHECK_EQ(watch(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLONESHOT), 0, "EPOLL_CTL_MOD");
    CHECK_EQ(ready(ep), 1, "arms it again");
    CHECK_FAIL(add(ep, a, EPOLLIN), EEXIST, "it is still there");
}

static void always_told(void)
{
    int ep = epoll_create1(0), pipes[2];
    REQUIRE(pipe(pipes) == 0 && add(ep, pipes[0], 0) == 0 && add(ep, pipes[1], 0) == 0);
    CHECK_EQ(ready(ep), 0, "no interest");
    close(pipes[1]);
    CHECK(ready(ep) == 1 && got[0].events == EPOLLHUP, "EPOLLHUP is told without being asked for");
    REQUIRE(pipe(pipes) == 0 && add(ep, pipes[1], 0) == 0);
    close(pipes[0]);
    int n = ready(ep);
    CHECK(n == 2 && (got[0].events | got[1].events) == (EPOLLHUP | EPOLLERR), "and EPOLLERR");
}

static void errors(void)
{
    int ep = epoll_create1(0), a = eventfd(0, 0);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK_FAIL(add(999, a, EPOLLIN), EBADF, "no epoll");
    CHECK_FAIL(add(ep, 999, EPOLLIN), EBADF, "no file");
    CHECK_FAIL(add(a, ep, EPOLLIN), EINVAL, "not an epoll");
    CHECK_FAIL(add(ep, ep, EPOLLIN), EINVAL, "an epoll in itself");
    CHECK_FAIL(watch(ep, 0, a, EPOLLIN), EINVAL, "no such operation");
    CHECK_FAIL(watch(ep, 4, a, EPOLLIN), EINVAL, "nor this one");
    CHECK_FAIL(watch(ep, EPOLL_CTL_MOD, a, EPOLLIN), ENOENT, "changing what is not there");
    CHECK_FAIL(epoll_ctl(ep, EPOLL_CTL_DEL, a, &event), ENOENT, "removing what is not there");
    CHECK_FAIL(syscall(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, a, NULL), EFAULT, "no event");
    REQUIRE(add(ep, a, EPOLLIN) == 0);
    CHECK_FAIL(add(ep, a, EPOLLIN), EEXIST, "adding it twice");
    write_file("f", "", 0644);
    int file = open("f", O_RDWR), directory = open(".", O_RDONLY);
    CHECK_FAIL(add(ep, file, EPOLLIN), EPERM, "a file that is always ready");
    CHECK_FAIL(add(ep, directory, EPOLLIN), EPERM, "a directory");
    CHECK_FAIL(epoll_wait(ep, got, 0, 0), EINVAL, "room for no event");
    CHECK_FAIL(syscall(SYS_epoll_pwait, ep, got, -1, 0, NULL, 8), EINVAL, "or less");
    CHECK_FAIL(syscall(SYS_epoll_pwait, ep, got, INT_MAX, 0, NULL, 8), EINVAL, "or too many");
    CHECK_FAIL(epoll_wait(a, got, 1, 0), EINVAL, "waiting on another file");
    CHECK_FAIL(epoll_wait(999, got, 1, 0), EBADF, "or on none");
    put(a);
    CHECK_FAIL(syscall(SYS_epoll_pwait, ep, unmapped_page(), 1, 0, NULL, 8), EFAULT,
               "events that cannot be stored");
    CHECK_EQ(ready(ep), 1, "are not lost");
}

static void exclusive(void)
{
    int ep = epoll_create1(0), inner = epoll_create1(0), a = eventfd(0, 0), b = eventfd(0, 0);
    CHECK_EQ(add(ep, a, EPOLLIN | EPOLLEXCLUSIVE), 0, "EPOLLEXCLUSIVE");
    put(a);
    CHECK_EQ(ready(ep), 1, "is told");
    CHECK_FAIL(watch(ep, EPOLL_CTL_MOD, a, EPOLLIN), EINVAL, "it cannot be changed");
    REQUIRE(add(ep, b, EPOLLIN) == 0);
    CHECK_FAIL(watch(ep, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLEXCLUSIVE), EINVAL, "nor come to be");
    CHECK_FAIL(add(ep, inner, EPOLLIN | EPOLLEXCLUSIVE), EINVAL, "nor be an epoll");
    CHECK_FAIL(add(inner, b, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL, "nor be one-shot");
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, a, NULL), 0, "but be removed");
}

static void nesting(void)
{
    int ep = epoll_create1(0), inner = epoll_create1(0), a = eventfd(0, 0);
    CHECK_EQ(add(ep, inner, EPOLLIN), 0, "an epoll in an epoll");
    CHECK_EQ(add(inner, a, EPOLLIN), 0, "which gets a file");
    CHECK_EQ(ready(ep), 0, "that is not ready");
    put(a);
    CHECK(ready(ep) == 1 && (int)got[0].data.u64 == inner, "the inner one is ready");
    struct pollfd p = {.fd = ep, .events = POLLIN | POLLOUT};
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN, "so is the outer one, for poll");
    CHECK(ready(inner) == 1 && (int)got[0].data.u64 == a, "because of the file");
    take(a);
    CHECK_EQ(ready(ep), 0, "until it is not");
    CHECK_EQ(poll(&p, 1, 0), 0, "nor for poll");
    CHECK_FAIL(add(inner, ep, EPOLLIN), ELOOP, "a loop");
    int middle = epoll_create1(0);
    REQUIRE(add(middle, ep, EPOLLIN) == 0);
    CHECK_FAIL(add(inner, middle, EPOLLIN), ELOOP, "a longer one");
    pid_t child = CHILD({
        p.fd = middle;
        _exit(poll(&p, 1, 20000) == 1 && p.revents == POLLIN ? 0 : 1);
    });
    await_state(child, "S");
    put(a);
    CHECK_EQ(end_of(child), 0, "three levels wake a poll");
    int last = epoll_create1(0), depth = 1, error = 0;
    while (depth < 20) {
        int next = epoll_create1(0);
        if (add(next, last, EPOLLIN) < 0) {
            error = errno;
            break;
        }
        last = next;
        depth++;
    }
    CHECK_EQ(error, ELOOP, "there is an end to the depth");
    CHECK(depth >= 5 && depth <= 7, "after five or so");
    fprintf(stderr, "# %d epolls in each other\n", depth);
}

static void closing(void)
{
    int ep = epoll_create1(0), a = eventfd(1, 0), b = dup(a);
    REQUIRE(add(ep, a, EPOLLIN) == 0);
    CHECK_EQ(add(ep, b, EPOLLIN), 0, "two descriptors of one file");
    CHECK_EQ(ready(ep), 2, "are told both");
    close(a);
    CHECK_EQ(ready(ep), 2, "as long as the file is open");
    close(b);
    CHECK_EQ(ready(ep), 0, "and not beyond");
    a = eventfd(1, 0);
    CHECK_EQ(add(ep, a, EPOLLIN), 0, "the descriptor may be another file's then");
    close(ep);
    ep = epoll_create1(0);
    CHECK_EQ(add(ep, a, EPOLLIN), 0, "an epoll that is closed lets go");
    int inner = epoll_create1(0);
    REQUIRE(add(ep, inner, EPOLLIN) == 0 && add(inner, a, EPOLLIN) == 0);
    CHECK_EQ(ready(ep), 2, "an inner epoll");
    close(inner);
    CHECK_EQ(ready(ep), 1, "goes when it is closed");
    for (int i = 0; i < 300; i++) {
        int fd = eventfd(1, 0);
        REQUIRE(add(ep, fd, EPOLLIN) == 0);
        close(fd);
    }
    CHECK_EQ(ready(ep), 1, "three hundred came and went");
}

static void waiting(void)
{
    int ep = epoll_create1(0), a = eventfd(0, 0);
    REQUIRE(add(ep, a, EPOLLIN) == 0);
    int64_t from = now();
    CHECK_EQ(epoll_wait(ep, got, 1, 20), 0, "a time-out");
    CHECK(now() - from >= 20000000, "lasts as long as asked");
    pid_t child = CHILD({
        int n = epoll_wait(ep, got, 16, 20000);
        _exit(n == 1 && got[0].events == EPOLLIN ? 0 : 1);
    });
    await_state(child, "S");
    put(a);
    CHECK_EQ(end_of(child), 0, "an event wakes it");
    take(a);
    pid_t children[4];
    for (int i = 0; i < 4; i++)
        children[i] = CHILD(_exit(epoll_wait(ep, got, 1, 20000) == 1 ? 0 : 1));
    for (int i = 0; i < 4; i++)
        await_state(children[i], "S");
    put(a);
    int good = 0;
    for (int i = 0; i < 4; i++)
        good += end_of(children[i]) == 0;
    CHECK_EQ(good, 4, "a level wakes all who wait, one after the other");
    int late = eventfd(0, 0);
    take(a);
    child = CHILD(_exit(epoll_wait(ep, got, 1, 20000) == 1 ? 0 : 1));
    await_state(child, "S");
    put(late);
    REQUIRE(add(ep, late, EPOLLIN) == 0);
    CHECK_EQ(end_of(child), 0, "something that is added ready wakes it");
}

#define ROUNDS 300

/* Producers write into pipes; several processes share an epoll and read with edges or one-shots. */
static void many(void)
{
    int ep = epoll_create1(0), pipes[8][2];
    int *total = share_pages(4096);
    pid_t writers[8], readers[3];
    for (int i = 0; i < 8; i++) {
        REQUIRE(pipe2(pipes[i], O_NONBLOCK) == 0);
        REQUIRE(watch(ep, EPOLL_CTL_ADD, pipes[i][0], EPOLLIN | EPOLLET | EPOLLONESHOT) == 0);
    }
    for (int r = 0; r < 3; r++)
        readers[r] = CHILD({
            char buffer[64];
            while (__atomic_load_n(total, __ATOMIC_SEQ_CST) < 8 * ROUNDS) {
                if (epoll_wait(ep, got, 1, 100) != 1)
                    continue;
                int fd = got[0].data.u64 & 0xffff;
                for (ssize_t n; (n = read(fd, buffer, 64)) > 0;)
                    __atomic_fetch_add(total, n, __ATOMIC_SEQ_CST);
                watch(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET | EPOLLONESHOT);
            }
        });
    for (int i = 0; i < 8; i++)
        writers[i] = CHILD({
            for (int n = 0; n < ROUNDS; n++)
                while (write(pipes[i][1], "x", 1) != 1)
                    ;
        });
    for (int i = 0; i < 8; i++)
        REQUIRE(end_of(writers[i]) == 0);
    int good = 0;
    for (int r = 0; r < 3; r++)
        good += end_of(readers[r]) == 0;
    CHECK_EQ(good, 3, "three readers of eight pipes");
    CHECK_EQ(*total, 8 * ROUNDS, "lose no byte");
}

static void handler(int signal)
{
    (void)signal;
}

static void masks(void)
{
    int ep = epoll_create1(0);
    sigset_t none, full;
    sigemptyset(&none);
    sigfillset(&full);
    handle_flags(SIGUSR1, handler, SA_RESTART);
    pid_t child = CHILD(_exit(epoll_wait(ep, got, 1, 20000) == -1 && errno == EINTR ? 0 : 1));
    await_state(child, "S");
    kill(child, SIGUSR1);
    CHECK_EQ(end_of(child), 0, "a handler ends the wait, with SA_RESTART too");
    block_signal(SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(epoll_wait(ep, got, 1, 1), 0, "a blocked signal does not");
    CHECK_FAIL(epoll_pwait(ep, got, 1, 20000, &none), EINTR, "unless the mask lets it in");
    CHECK(!is_pending(SIGUSR1), "and then it was handled");
    sigset_t now_blocked;
    sigprocmask(SIG_SETMASK, NULL, &now_blocked);
    CHECK(sigismember(&now_blocked, SIGUSR1), "the mask is restored");
    unblock_signal(SIGUSR1);
    CHECK_EQ(epoll_pwait(ep, got, 1, 0, &full), 0, "epoll_pwait without waiting");
    CHECK_FAIL(syscall(SYS_epoll_pwait, ep, got, 1, 0, &none, 4), EINVAL, "a mask of wrong size");
    if (!qemu_user_lacks("epoll_pwait2")) {
        struct timespec time = {0, 10000000};
        int64_t from = now();
        CHECK(syscall(SYS_epoll_pwait2, ep, got, 1, &time, NULL, 8) == 0 &&
                  now() - from >= 10000000,
              "epoll_pwait2 waits for nanoseconds");
        time.tv_nsec = 1000000000;
        CHECK_FAIL(syscall(SYS_epoll_pwait2, ep, got, 1, &time, NULL, 8), EINVAL, "a bad time");
        CHECK_FAIL(syscall(SYS_epoll_pwait2, ep, got, 1, unmapped_page(), NULL, 8), EFAULT,
                   "none at all");
    }
}

static void information(void)
{
    char path[64], text[1024], line[64];
    int ep = epoll_create1(0), a = eventfd(0, 0);
    REQUIRE(add(ep, a, EPOLLIN) == 0);
    if (qemu_user_lacks("/proc/self/fdinfo"))
        return;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ep);
    REQUIRE(read_file(path, text, sizeof(text)) > 0);
    snprintf(line, sizeof(line), "tfd: %8d events: %8x data: %16llx ", a,
             EPOLLIN | EPOLLERR | EPOLLHUP, 0x1234567800000000ull + a);
    CHECK(strstr(text, line), "fdinfo lists what is watched");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", ep);
    text[readlink(path, text, sizeof(text) - 1)] = 0;
    CHECK_STR(text, "anon_inode:[eventpoll]", "the link in /proc/self/fd");
}

CHECK_MAIN(CASE(creating), CASE(level), CASE(edge), CASE(one_shot), CASE(always_told), CASE(errors),
           CASE(exclusive), CASE(nesting), CASE(closing), CASE(waiting), CASE(many), CASE(masks),
           CASE(information))
