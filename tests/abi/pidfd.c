/* SPDX-License-Identifier: MIT */
/* Process descriptors: pidfd_open, CLONE_PIDFD, polling, signals, waiting, taking files. */
#include "check.h"

#include <linux/sched.h>
#include <linux/wait.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int pidfd_open_(pid_t pid, unsigned flags)
{
    return syscall(SYS_pidfd_open, pid, flags);
}

static int send(int fd, int signal, siginfo_t *info, unsigned flags)
{
    return syscall(SYS_pidfd_send_signal, fd, signal, info, flags);
}

static int take_file(int pidfd, int fd, unsigned flags)
{
    return syscall(SYS_pidfd_getfd, pidfd, fd, flags);
}

static int wait_for(int fd, siginfo_t *info, int options)
{
    memset(info, 0, sizeof(*info));
    return syscall(SYS_waitid, P_PIDFD, fd, info, options, NULL);
}

static int has_ended(int fd, int timeout)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    REQUIRE(poll(&p, 1, timeout) >= 0);
    return !!(p.revents & POLLIN);
}

static void opening(void)
{
    siginfo_t info;
    int fd = pidfd_open_(getpid(), 0);
    char byte;
    CHECK(fd >= 0, "a descriptor of ourselves");
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC, "is closed by exec");
    CHECK_FAIL(read(fd, &byte, 1), EINVAL, "cannot be read");
    CHECK_EQ(has_ended(fd, 0), 0, "we live");
    CHECK_FAIL(pidfd_open_(getpid(), 1), EINVAL, "an unknown flag");
    CHECK_FAIL(pidfd_open_(0, 0), EINVAL, "no process 0");
    CHECK_FAIL(pidfd_open_(-1, 0), EINVAL, "nor -1");
    pid_t child = CHILD(_exit(0));
    end_of(child);
    CHECK_FAIL(pidfd_open_(child, 0), ESRCH, "nor one that has gone");
    child = CHILD(_exit(3));
    await_state(child, "Z");
    fd = pidfd_open_(child, 0);
    /* At once here; an emulator may have threads that still end. */
    CHECK(fd >= 0 && has_ended(fd, 20000), "one that has ended");
    CHECK(wait_for(fd, &info, WEXITED) == 0 && info.si_pid == child && info.si_status == 3,
          "can be waited for");
    CHECK(has_ended(fd, 0), "it has ended for ever");
    CHECK_FAIL(wait_for(fd, &info, WEXITED), ECHILD, "and cannot be waited for again");
    CHECK_FAIL(send(fd, 0, NULL, 0), ESRCH, "nor be sent a signal");
    CHECK_FAIL(take_file(fd, 0, 0), ESRCH, "nor give a file");
}

static void polling(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct gate gate = gate_make();
    pid_t child = CHILD(gate_pass(gate));
    int fd = pidfd_open_(child, 0), ep = epoll_create1(0);
    REQUIRE(fd >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
    CHECK_EQ(has_ended(fd, 0), 0, "a child that lives");
    CHECK_EQ(epoll_wait(ep, &event, 1, 0), 0, "the same for epoll");
    pid_t watcher = CHILD(_exit(has_ended(fd, 20000) ? 0 : 1));
    await_state(watcher, "S");
    gate_open(gate);
    CHECK_EQ(has_ended(fd, 20000), 1, "its end wakes poll");
    CHECK_EQ(epoll_wait(ep, &event, 1, 20000), 1, "and epoll");
    CHECK_EQ(end_of(watcher), 0, "and one who is not its parent");
    CHECK_EQ(end_of(child), 0, "the end itself is still to be waited for");
}

static volatile sig_atomic_t got_signal, got_value, got_code, got_pid;

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)context;
    got_signal = signal;
    got_value = info->si_value.sival_int;
    got_code = info->si_code;
    got_pid = info->si_pid;
}

static void signals(void)
{
    siginfo_t info;
    int self = pidfd_open_(getpid(), 0), pipes[2];
    REQUIRE(pipe(pipes) == 0);
    handle_info(SIGUSR1, handler, 0);
    CHECK_EQ(send(self, 0, NULL, 0), 0, "signal 0 only asks");
    CHECK_EQ(send(self, SIGUSR1, NULL, 0), 0, "a signal");
    CHECK(got_signal == SIGUSR1 && got_code == SI_USER && got_pid == getpid(), "from us");
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGUSR1;
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = 77;
    CHECK_EQ(send(self, SIGUSR1, &info, 0), 0, "one with a value");
    CHECK(got_value == 77 && got_code == SI_QUEUE, "which is told");
    CHECK_FAIL(send(self, SIGUSR2, &info, 0), EINVAL, "another number than in the information");
    CHECK_FAIL(send(self, SIGUSR1, NULL, 0x80000000), EINVAL, "an unknown flag");
    CHECK_FAIL(send(self, 65, NULL, 0), EINVAL, "no such signal");
    CHECK_FAIL(send(999, 0, NULL, 0), EBADF, "no descriptor");
    CHECK_FAIL(send(pipes[0], 0, NULL, 0), EBADF, "of no process");
    CHECK_FAIL(send(self, SIGUSR1, unmapped_page(), 0), EFAULT, "a bad address");
    pid_t child = CHILD(pause());
    int fd = pidfd_open_(child, 0);
    info.si_code = SI_USER;
    CHECK_FAIL(send(fd, SIGUSR1, &info, 0), EPERM, "to pass for kill");
    CHECK_EQ(send(fd, SIGKILL, NULL, 0), 0, "SIGKILL");
    CHECK_EQ(end_of(child), 128 + SIGKILL, "kills");
    if (geteuid() == 0)
        CHECK_EQ(IN_CHILD(become_user(1000); _exit(send(self, SIGUSR1, NULL, 0) < 0 ? errno : 0)),
                 EPERM, "not everybody may");
}

static void waiting(void)
{
    struct gate gate = gate_make();
    siginfo_t info;
    pid_t child = CHILD(gate_pass(gate); _exit(9));
    int fd = pidfd_open_(child, 0), slow = pidfd_open_(child, O_NONBLOCK), pipes[2];
    REQUIRE(pipe(pipes) == 0);
    CHECK(slow >= 0 && (fcntl(slow, F_GETFL) & O_NONBLOCK), "PIDFD_NONBLOCK");
    CHECK_FAIL(wait_for(slow, &info, WEXITED), EAGAIN, "waits for nothing");
    CHECK(wait_for(slow, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0, "with WNOHANG");
    CHECK_FAIL(wait_for(pipes[0], &info, WEXITED), EBADF, "of no process");
    CHECK_FAIL(wait_for(999, &info, WEXITED), EBADF, "no descriptor");
    CHECK_FAIL(wait_for(-1, &info, WEXITED), EINVAL, "a negative one");
    CHECK_FAIL(wait_for(fd, &info, 0), EINVAL, "waiting for nothing");
    int self = pidfd_open_(getpid(), 0);
    CHECK_FAIL(wait_for(self, &info, WEXITED), ECHILD, "not a child of ours");
    gate_open(gate);
    CHECK(wait_for(fd, &info, WEXITED | WNOWAIT) == 0 && info.si_status == 9, "with WNOWAIT");
    CHECK(wait_for(slow, &info, WEXITED) == 0 && info.si_pid == child && info.si_status == 9 &&
              info.si_code == CLD_EXITED,
          "waiting for the end");
}

static void taking(void)
{
    int *shared = share_pages(4096), fd, theirs;
    struct gate gate = gate_make();
    uint64_t value = 55;
    pid_t child = CHILD({
        shared[0] = eventfd(0, 0);
        __atomic_store_n(&shared[1], 1, __ATOMIC_SEQ_CST);
        gate_pass(gate);
    });
    while (!__atomic_load_n(&shared[1], __ATOMIC_SEQ_CST))
        usleep(100);
    fd = pidfd_open_(child, 0);
    theirs = take_file(fd, shared[0], 0);
    if (theirs < 0 && errno == EPERM && check_state->qemu_user) {
        SKIP("taking a file", "not under qemu-user");
    } else {
        CHECK(theirs >= 0, "a file of another process");
        CHECK_EQ(fcntl(theirs, F_GETFD), FD_CLOEXEC, "is closed by exec");
        CHECK_EQ(write(theirs, &value, 8), 8, "and can be used");
    }
    CHECK_FAIL(take_file(fd, 999, 0), EBADF, "one that is not there");
    CHECK_FAIL(take_file(fd, 0, 1), EINVAL, "an unknown flag");
    CHECK_FAIL(take_file(999, 0, 0), EBADF, "no descriptor");
    if (geteuid() == 0)
        CHECK_EQ(IN_CHILD(become_user(1000); _exit(take_file(fd, 0, 0) < 0 ? errno : 0)), EPERM,
                 "not everybody may");
    gate_open(gate);
    end_of(child);
}

static pid_t clone_pidfd(unsigned long flags, int *fd)
{
    return syscall(SYS_clone, flags | SIGCHLD, 0, fd, 0, 0);
}

static void cloning(void)
{
    siginfo_t info;
    int fd = -1;
    if (check_state->qemu_user) {
        SKIP("CLONE_PIDFD", "not under qemu-user");
        return;
    }
    pid_t child = clone_pidfd(CLONE_PIDFD, &fd);
    if (child == 0)
        _exit(6);
    CHECK(child > 0 && fd >= 0, "CLONE_PIDFD");
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC, "is closed by exec");
    CHECK_EQ(has_ended(fd, 20000), 1, "means the child");
    CHECK(wait_for(fd, &info, WEXITED) == 0 && info.si_pid == child && info.si_status == 6,
          "which can be waited for");
    CHECK_FAIL(clone_pidfd(CLONE_PIDFD | CLONE_PARENT_SETTID, &fd), EINVAL,
               "not together with CLONE_PARENT_SETTID");
    CHECK_FAIL(clone_pidfd(CLONE_PIDFD | CLONE_DETACHED, &fd), EINVAL, "nor CLONE_DETACHED");
    CHECK_FAIL(clone_pidfd(CLONE_PIDFD, unmapped_page()), EFAULT, "nowhere to put it");
    struct clone_args args = {.flags = CLONE_PIDFD | CLONE_PARENT_SETTID,
                              .exit_signal = SIGCHLD,
                              .pidfd = (uintptr_t)&fd};
    pid_t told = 0;
    args.parent_tid = (uintptr_t)&told;
    child = syscall(SYS_clone3, &args, sizeof(args));
    if (child == 0)
        _exit(7);
    CHECK(child > 0 && told == child, "clone3 tells the number too");
    CHECK(wait_for(fd, &info, WEXITED) == 0 && info.si_status == 7,
          "the descriptor is the child's");
    CHECK_EQ(waitpid(-1, NULL, 0), -1, "a child that could not be made is none");
}

static void information(void)
{
    char path[64], text[512], line[64];
    if (qemu_user_lacks("/proc/self/fdinfo"))
        return;
    pid_t child = CHILD(pause());
    int fd = pidfd_open_(child, 0);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    REQUIRE(read_file(path, text, sizeof(text)) > 0);
    snprintf(line, sizeof(line), "Pid:\t%d\n", child);
    CHECK(strstr(text, line), "fdinfo tells the number");
    kill(child, SIGKILL);
    end_of(child);
    REQUIRE(read_file(path, text, sizeof(text)) > 0);
    CHECK(strstr(text, "Pid:\t-1\n"), "until the process has gone");
}

CHECK_MAIN(CASE(opening), CASE(polling), CASE(signals), CASE(waiting), CASE(taking), CASE(cloning),
           CASE(information))
