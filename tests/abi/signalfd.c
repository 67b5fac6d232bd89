/* SPDX-License-Identifier: MIT */
/* signalfd: taking signals by reading, what is told of them, polling, fork, masks, errors. */
#include "check.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

static sigset_t of(int a, int b)
{
    sigset_t set = set_of(a);
    if (b)
        sigaddset(&set, b);
    return set;
}

/* Blocks a and b; a signalfd for them. */
static int open_for(int a, int b, int flags)
{
    sigset_t set = of(a, b);
    REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    int fd = signalfd(-1, &set, flags);
    REQUIRE(fd >= 0);
    return fd;
}

static struct signalfd_siginfo take(int fd)
{
    struct signalfd_siginfo info;
    memset(&info, 0x77, sizeof(info));
    REQUIRE(read(fd, &info, sizeof(info)) == sizeof(info));
    return info;
}

static int events_of(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    REQUIRE(poll(&p, 1, 0) >= 0);
    return p.revents;
}

static void taking(void)
{
    int fd = open_for(SIGUSR1, SIGUSR2, SFD_NONBLOCK);
    struct signalfd_siginfo info, two[3];
    CHECK_EQ(events_of(fd), 0, "nothing is pending");
    CHECK_FAIL(read(fd, &info, sizeof(info)), EAGAIN, "nor can it be read");
    kill(getpid(), SIGUSR1);
    CHECK_EQ(events_of(fd), POLLIN, "a signal can be read");
    info = take(fd);
    CHECK_EQ(info.ssi_signo, SIGUSR1, "its number");
    CHECK_EQ(info.ssi_code, SI_USER, "its code");
    CHECK(info.ssi_pid == (uint32_t)getpid() && info.ssi_uid == getuid(), "who sent it");
    CHECK(info.ssi_errno == 0 && info.ssi_fd == 0 && info.ssi_overrun == 0 && info.ssi_ptr == 0,
          "the rest is 0");
    CHECK(!is_pending(SIGUSR1), "it was taken");
    raise(SIGUSR2);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(read(fd, two, sizeof(two)), 2 * sizeof(info), "two at once");
    CHECK_EQ(two[0].ssi_signo + two[1].ssi_signo, SIGUSR1 + SIGUSR2, "are both");
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(read(fd, two, sizeof(two)), sizeof(info), "one signal sent twice is one");
    CHECK_FAIL(read(fd, &info, sizeof(info) - 1), EINVAL, "a short read");
    kill(getpid(), SIGUSR1);
    CHECK_EQ(read(fd, two, 2 * sizeof(info) - 1), sizeof(info), "whole structures only");
    CHECK_FAIL(write(fd, &info, sizeof(info)), EINVAL, "it cannot be written");
    block_signal(SIGHUP);
    kill(getpid(), SIGHUP);
    CHECK_EQ(events_of(fd), 0, "a signal that is not in the mask");
}

static void values(void)
{
    int fd = open_for(SIGRTMIN + 1, SIGRTMIN, 0);
    struct signalfd_siginfo info;
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 11});
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 22});
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 33});
    info = take(fd);
    CHECK(info.ssi_signo == (uint32_t)SIGRTMIN && info.ssi_int == 22, "the lowest signal first");
    CHECK(info.ssi_code == SI_QUEUE && info.ssi_pid == (uint32_t)getpid(), "from sigqueue");
    CHECK((uint32_t)info.ssi_ptr == 22, "the value as a pointer");
    CHECK_EQ(take(fd).ssi_int, 33, "then the next of its kind");
    CHECK_EQ(take(fd).ssi_int, 11, "then the other");
}

static void children(void)
{
    int fd = open_for(SIGCHLD, 0, 0);
    pid_t child = CHILD(_exit(42));
    struct signalfd_siginfo info = take(fd);
    CHECK(info.ssi_signo == SIGCHLD && info.ssi_code == CLD_EXITED, "a child that exits");
    CHECK(info.ssi_pid == (uint32_t)child && info.ssi_status == 42, "its number and status");
    CHECK_EQ(end_of(child), 42, "it can be waited for still");
    child = CHILD(pause());
    kill(child, SIGKILL);
    info = take(fd);
    CHECK(info.ssi_code == CLD_KILLED && info.ssi_status == SIGKILL, "one that is killed");
    end_of(child);
}

static void waiting(void)
{
    int fd = open_for(SIGUSR1, SIGUSR2, 0), ep = epoll_create1(0);
    pid_t child = CHILD(_exit(take(fd).ssi_pid == (uint32_t)getppid() ? 0 : 1));
    await_state(child, "S");
    kill(child, SIGUSR1);
    CHECK_EQ(end_of(child), 0, "a read waits for a signal of the reader's");
    child = CHILD({
        struct pollfd p = {.fd = fd, .events = POLLIN};
        _exit(poll(&p, 1, 20000) == 1 && take(fd).ssi_signo == SIGUSR2 ? 0 : 1);
    });
    await_state(child, "S");
    kill(child, SIGUSR2);
    CHECK_EQ(end_of(child), 0, "and so does poll");
    child = CHILD({
        struct epoll_event event = {.events = EPOLLIN};
        REQUIRE(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
        _exit(epoll_wait(ep, &event, 1, 20000) == 1 && take(fd).ssi_signo == SIGUSR2 ? 0 : 1);
    });
    await_state(child, "S");
    kill(child, SIGUSR2);
    CHECK_EQ(end_of(child), 0, "and epoll");
    struct epoll_event event;
    kill(getpid(), SIGUSR1);
    int n = epoll_wait(ep, &event, 1, 0);
    CHECK(n == 0 || n == 1, "an epoll that stands on the signals of one who has gone");
    CHECK_EQ(take(fd).ssi_signo, SIGUSR1, "a signal that is there already");
}

static void handler(int signal)
{
    (void)signal;
}

static void interrupted(void)
{
    int fd = open_for(SIGUSR1, 0, 0);
    pid_t child = CHILD({
        struct signalfd_siginfo info;
        handle_flags(SIGALRM, handler, 0);
        _exit(read(fd, &info, sizeof(info)) == -1 && errno == EINTR ? 0 : 1);
    });
    await_state(child, "S");
    kill(child, SIGALRM);
    CHECK_EQ(end_of(child), 0, "another signal ends a read");
}

static void changing(void)
{
    int fd = open_for(SIGUSR1, 0, SFD_NONBLOCK);
    sigset_t set = set_of(SIGUSR2);
    block_signal(SIGUSR2);
    kill(getpid(), SIGUSR2);
    CHECK_EQ(events_of(fd), 0, "not in the mask");
    CHECK_EQ(signalfd(fd, &set, 0), fd, "another mask for the same file");
    CHECK_EQ(events_of(fd), POLLIN, "then it can be read");
    CHECK_EQ(take(fd).ssi_signo, SIGUSR2, "and is");
    kill(getpid(), SIGUSR1);
    CHECK_EQ(events_of(fd), 0, "the old one cannot");
}

static void flags_and_errors(void)
{
    sigset_t set = set_of(SIGUSR1), most;
    int fd = open_for(SIGUSR1, 0, SFD_CLOEXEC), pipes[2];
    REQUIRE(pipe(pipes) == 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC, "SFD_CLOEXEC");
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR, "without SFD_NONBLOCK");
    CHECK_FAIL(signalfd(-1, &set, 1), EINVAL, "an unknown flag");
    if (!qemu_user_lacks("a set of wrong size"))
        CHECK_FAIL(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL, "a set of wrong size");
    CHECK_FAIL(syscall(SYS_signalfd4, -1, unmapped_page(), 8, 0), EFAULT, "no set");
    CHECK_FAIL(signalfd(999, &set, 0), EBADF, "no file");
    CHECK_FAIL(signalfd(pipes[0], &set, 0), EINVAL, "another kind of file");
    sigemptyset(&most);
    sigaddset(&most, SIGKILL);
    sigaddset(&most, SIGSTOP);
    CHECK(signalfd(-1, &most, 0) >= 0, "SIGKILL and SIGSTOP are left out in silence");
}

static void information(void)
{
    char path[64], text[512];
    int fd = open_for(SIGINT, SIGTERM, 0);
    if (qemu_user_lacks("/proc/self/fdinfo"))
        return;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    REQUIRE(read_file(path, text, sizeof(text)) > 0);
    CHECK(strstr(text, "sigmask:\t0000000000004002\n"), "fdinfo shows the mask");
}

CHECK_MAIN(CASE(taking), CASE(values), CASE(children), CASE(waiting), CASE(interrupted),
           CASE(changing), CASE(flags_and_errors), CASE(information))
