/* SPDX-License-Identifier: MIT */
/* Signal-driven I/O (fcntl(2)): O_ASYNC on pipes, local sockets and terminals, owners, F_SETSIG. */
#include "sockets.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <termios.h>

/* <linux/sockios.h> has these under names of its own. */
#ifndef FIOSETOWN
#define FIOSETOWN 0x8901
#define SIOCSPGRP 0x8902
#define FIOGETOWN 0x8903
#define SIOCGPGRP 0x8904
#endif
#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif

static int rt; /* the real-time signal of F_SETSIG */

static void block(void)
{
    sigset_t set;
    rt = SIGRTMIN + 3;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, rt);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* The next of the signals, within MS; 0: none. */
static int next_signal(siginfo_t *info, int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    sigset_t set;
    int signo;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, rt);
    memset(info, 0, sizeof(*info));
    while ((signo = sigtimedwait(&set, info, &t)) < 0 && errno == EINTR)
        ;
    return signo < 0 ? 0 : signo;
}

static int drop_all(void)
{
    siginfo_t info;
    int n = 0;
    while (next_signal(&info, 0))
        n++;
    return n;
}

static int set_async(int fd, int on)
{
    int flags = fcntl(fd, F_GETFL);
    return fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC);
}

/* Told of by a real-time signal with CODE and at least BAND, of FD. */
static int told(int fd, int code, long band)
{
    siginfo_t info;
    int signo = next_signal(&info, 20000);
    return signo == rt && info.si_code == code && info.si_fd == fd && (info.si_band & band) == band;
}

static void pipes(void)
{
    int fds[2];
    char c[8192];
    siginfo_t info;
    block();
    REQUIRE(pipe2(fds, O_NONBLOCK) == 0);
    CHECK_EQ(fcntl(fds[0], F_GETOWN), 0, "no owner at first");
    CHECK_EQ(set_async(fds[0], 1), 0, "O_ASYNC");
    CHECK(fcntl(fds[0], F_GETFL) & O_ASYNC, "is shown by F_GETFL");
    REQUIRE(write(fds[1], "x", 1) == 1);
    CHECK_EQ(next_signal(&info, 0), 0, "without an owner nobody is told");
    CHECK_EQ(fcntl(fds[0], F_SETOWN, getpid()), 0, "F_SETOWN");
    CHECK_EQ(fcntl(fds[0], F_GETOWN), getpid(), "F_GETOWN");
    REQUIRE(write(fds[1], "x", 1) == 1);
    CHECK(is_pending(SIGIO), "a write sends SIGIO before it returns");
    CHECK(next_signal(&info, 0) == SIGIO && info.si_code == SI_KERNEL, "that says nothing more");
    REQUIRE(write(fds[1], "y", 1) == 1);
    CHECK_EQ(next_signal(&info, 20000), SIGIO, "so does the next, though there was something");
    CHECK_EQ(fcntl(fds[0], F_SETSIG, rt), 0, "F_SETSIG");
    CHECK_EQ(fcntl(fds[0], F_GETSIG), rt, "F_GETSIG");
    REQUIRE(write(fds[1], "z", 1) == 1);
    CHECK(told(fds[0], POLL_IN, POLLIN | POLLRDNORM), "a signal with si_fd, POLL_IN and si_band");
    REQUIRE(write(fds[1], "1", 1) == 1 && write(fds[1], "2", 1) == 1);
    CHECK_EQ(drop_all(), 2, "real-time signals queue: one for each write");
    CHECK_EQ(fcntl(fds[0], F_SETSIG, SIGUSR1), 0, "another signal");
    REQUIRE(write(fds[1], "z", 1) == 1);
    CHECK(next_signal(&info, 20000) == SIGUSR1 && info.si_code == POLL_IN && info.si_fd == fds[0],
          "that is not a real-time one, with the same to tell");
    CHECK_FAIL(fcntl(fds[0], F_SETSIG, 65), EINVAL, "F_SETSIG of no signal");
    CHECK_FAIL(fcntl(fds[0], F_SETSIG, -1), EINVAL, "nor a negative one");
    CHECK_EQ(set_async(fds[0], 0), 0, "no O_ASYNC any more");
    REQUIRE(write(fds[1], "x", 1) == 1);
    CHECK_EQ(next_signal(&info, 0), 0, "nobody is told");

    REQUIRE(set_async(fds[0], 1) == 0 && fcntl(fds[0], F_SETSIG, rt) == 0);
    close(fds[1]);
    CHECK(told(fds[0], POLL_IN, POLLIN), "the last writer's close is told of as POLL_IN");
    close(fds[0]);
    REQUIRE(pipe2(fds, O_NONBLOCK) == 0);
    while (write(fds[1], c, sizeof(c)) > 0)
        ;
    REQUIRE(fcntl(fds[1], F_SETOWN, getpid()) == 0 && fcntl(fds[1], F_SETSIG, rt) == 0);
    REQUIRE(set_async(fds[1], 1) == 0);
    REQUIRE(read(fds[0], c, sizeof(c)) == sizeof(c));
    CHECK(told(fds[1], POLL_OUT, POLLOUT), "a read from a full pipe is told to the writer");
    drop_all();
    close(fds[0]);
    CHECK(told(fds[1], POLL_OUT, POLLOUT), "and so is the last reader's close");
}

static void after_dup(void)
{
    int fds[2], other;
    block();
    REQUIRE(pipe(fds) == 0);
    REQUIRE(fcntl(fds[0], F_SETOWN, getpid()) == 0 && fcntl(fds[0], F_SETSIG, rt) == 0);
    REQUIRE(set_async(fds[0], 1) == 0);
    other = dup(fds[0]);
    REQUIRE(other >= 0);
    CHECK(fcntl(other, F_GETOWN) == getpid() && (fcntl(other, F_GETFL) & O_ASYNC),
          "owner and O_ASYNC are the open file's");
    close(fds[0]);
    REQUIRE(write(fds[1], "x", 1) == 1);
    CHECK(told(fds[0], POLL_IN, POLLIN), "si_fd is where O_ASYNC was set, closed or not");
    close(other);
    signal(SIGPIPE, SIG_IGN);
    CHECK_FAIL(write(fds[1], "x", 1), EPIPE, "after the last close");
    CHECK_EQ(drop_all(), 0, "nobody is told");
}

static void sockets(void)
{
    int s[2], on = 1, pid = 0;
    siginfo_t info;
    char c[512];
    block();
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
    CHECK_EQ(ioctl(s[0], FIOASYNC, &on), 0, "FIOASYNC");
    CHECK(fcntl(s[0], F_GETFL) & O_ASYNC, "is O_ASYNC");
    pid = getpid();
    CHECK_EQ(ioctl(s[0], FIOSETOWN, &pid), 0, "FIOSETOWN");
    pid = 0;
    CHECK(ioctl(s[0], FIOGETOWN, &pid) == 0 && pid == getpid(), "FIOGETOWN");
    pid = -getpgrp();
    CHECK_EQ(ioctl(s[0], SIOCSPGRP, &pid), 0, "SIOCSPGRP of a group");
    pid = 0;
    CHECK(ioctl(s[0], SIOCGPGRP, &pid) == 0 && pid == -getpgrp(), "SIOCGPGRP");
    REQUIRE(write(s[1], "x", 1) == 1);
    CHECK(is_pending(SIGIO), "a message sends SIGIO");
    drop_all();
    REQUIRE(fcntl(s[0], F_SETOWN, getpid()) == 0 && fcntl(s[0], F_SETSIG, rt) == 0);
    REQUIRE(write(s[1], "x", 1) == 1);
    CHECK(told(s[0], POLL_IN, POLLIN | POLLRDNORM), "or what F_SETSIG says");
    REQUIRE(write(s[0], "x", 1) == 1 && read(s[1], c, 1) == 1);
    CHECK_EQ(drop_all(), 0, "room that was never short is not told of");
    while (write(s[0], c, sizeof(c)) > 0)
        ;
    while (read(s[1], c, sizeof(c)) > 0)
        ;
    CHECK(next_signal(&info, 20000) == rt && info.si_code == POLL_OUT && info.si_fd == s[0],
          "but it is after it was short");
    drop_all();
    REQUIRE(shutdown(s[1], SHUT_WR) == 0);
    CHECK(told(s[0], POLL_IN, POLLIN), "the peer's shutdown of one direction is POLL_IN");
    drop_all();
    close(s[1]);
    CHECK(told(s[0], POLL_HUP, POLLHUP), "his close is POLL_HUP");
    on = 0;
    CHECK(ioctl(s[0], FIOASYNC, &on) == 0 && !(fcntl(s[0], F_GETFL) & O_ASYNC), "FIOASYNC off");

    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    REQUIRE(fcntl(s[1], F_SETOWN, getpid()) == 0 && fcntl(s[1], F_SETSIG, rt) == 0);
    REQUIRE(set_async(s[1], 1) == 0);
    REQUIRE(send(s[0], "hi", 2, 0) == 2);
    CHECK(told(s[1], POLL_IN, POLLIN), "a datagram");
}

static void listener(void)
{
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    block();
    REQUIRE(bind_to(l, "name") == 0 && listen(l, 4) == 0);
    REQUIRE(fcntl(l, F_SETOWN, getpid()) == 0 && fcntl(l, F_SETSIG, rt) == 0);
    REQUIRE(set_async(l, 1) == 0);
    REQUIRE(connect_to(c, "name") == 0);
    CHECK(told(l, POLL_IN, POLLIN), "a connection is told to the listener");
}

static void terminals(void)
{
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), unlock = 0, slave;
    unsigned number = 0;
    struct termios t;
    siginfo_t info;
    char name[64], c[64];
    block();
    REQUIRE(master >= 0 && ioctl(master, TIOCGPTN, &number) == 0);
    REQUIRE(ioctl(master, TIOCSPTLCK, &unlock) == 0);
    snprintf(name, sizeof(name), "/dev/pts/%u", number);
    slave = open(name, O_RDWR | O_NOCTTY);
    REQUIRE(slave >= 0);
    REQUIRE(tcgetattr(slave, &t) == 0);
    cfmakeraw(&t);
    REQUIRE(tcsetattr(slave, TCSANOW, &t) == 0);
    REQUIRE(set_async(slave, 1) == 0);
    CHECK_EQ(fcntl(slave, F_GETOWN), getpid(), "a terminal's owner is who sets O_ASYNC");
    REQUIRE(write(master, "x", 1) == 1);
    CHECK_EQ(next_signal(&info, 20000), SIGIO, "input is told of");
    REQUIRE(read(slave, c, sizeof(c)) == 1);
    drop_all();
    REQUIRE(fcntl(slave, F_SETSIG, rt) == 0 && write(master, "y", 1) == 1);
    CHECK(told(slave, POLL_IN, POLLIN), "with POLL_IN");
    REQUIRE(write(slave, "z", 1) == 1 && read(master, c, sizeof(c)) == 1);
    CHECK_EQ(drop_all(), 0, "output that went is not");
    REQUIRE(set_async(slave, 0) == 0);

    REQUIRE(fcntl(master, F_SETSIG, rt) == 0 && set_async(master, 1) == 0);
    REQUIRE(write(slave, "out", 3) == 3);
    CHECK(told(master, POLL_IN, POLLIN), "the master is told of the slave's output");
}

/* ---- who is told ---- */

static _Atomic int started;
static _Atomic pid_t tid;

static void *waiting_thread(void *arg)
{
    siginfo_t info;
    (void)arg;
    tid = syscall(SYS_gettid);
    started = 1;
    return (void *)(long)(next_signal(&info, 20000) == rt && info.si_code == POLL_IN);
}

static void owners(void)
{
    struct f_owner_ex o = {F_OWNER_PID, 0};
    pthread_t thread;
    siginfo_t info;
    void *result;
    uid_t ids[2];
    int fds[2];
    block();
    REQUIRE(pipe(fds) == 0 && fcntl(fds[0], F_SETSIG, rt) == 0 && set_async(fds[0], 1) == 0);
    CHECK(fcntl(fds[0], F_GETOWN_EX, &o) == 0 && o.pid == 0, "F_GETOWN_EX without an owner");
    o = (struct f_owner_ex){F_OWNER_PGRP, getpgrp()};
    CHECK_EQ(fcntl(fds[0], F_SETOWN_EX, &o), 0, "F_SETOWN_EX: a group");
    CHECK_EQ(fcntl(fds[0], F_GETOWN), -getpgrp(), "F_GETOWN shows it as a negative number");
    CHECK_EQ(fcntl(fds[0], F_SETOWN, -getpgrp()), 0, "F_SETOWN takes it so");
    o = (struct f_owner_ex){-1, 0};
    CHECK(fcntl(fds[0], F_GETOWN_EX, &o) == 0 && o.type == F_OWNER_PGRP && o.pid == getpgrp(),
          "F_GETOWN_EX");
    REQUIRE(write(fds[1], "x", 1) == 1);
    CHECK(told(fds[0], POLL_IN, POLLIN), "its members are told");
    o = (struct f_owner_ex){77, getpid()};
    CHECK_FAIL(fcntl(fds[0], F_SETOWN_EX, &o), EINVAL, "an unknown type of owner");
    o = (struct f_owner_ex){F_OWNER_PID, 99999999};
    CHECK_FAIL(fcntl(fds[0], F_SETOWN_EX, &o), ESRCH, "nobody of that number");
    CHECK_FAIL(fcntl(fds[0], F_SETOWN, 99999999), ESRCH, "nor for F_SETOWN");
    CHECK_FAIL(fcntl(fds[0], F_SETOWN, INT_MIN), EINVAL, "or no number at all");
    CHECK_FAIL(fcntl(fds[0], F_SETOWN_EX, (void *)8), EFAULT, "F_SETOWN_EX from nowhere");
    CHECK_FAIL(fcntl(fds[0], F_GETOWN_EX, (void *)8), EFAULT, "F_GETOWN_EX to nowhere");
    CHECK_EQ(fcntl(fds[0], F_GETOWN), -getpgrp(), "failure changes nothing");
    if (!qemu_user_lacks("F_GETOWNER_UIDS"))
        CHECK(fcntl(fds[0], F_GETOWNER_UIDS, ids) == 0 && ids[0] == getuid() && ids[1] == geteuid(),
              "F_GETOWNER_UIDS");

    REQUIRE(pthread_create(&thread, NULL, waiting_thread, NULL) == 0);
    while (!started)
        usleep(1000);
    o = (struct f_owner_ex){F_OWNER_TID, tid};
    CHECK_EQ(fcntl(fds[0], F_SETOWN_EX, &o), 0, "F_SETOWN_EX: a thread");
    CHECK(fcntl(fds[0], F_GETOWN_EX, &o) == 0 && o.type == F_OWNER_TID && o.pid == tid,
          "F_GETOWN_EX of it");
    REQUIRE(write(fds[1], "x", 1) == 1);
    REQUIRE(pthread_join(thread, &result) == 0);
    CHECK((long)result, "it is told,");
    CHECK_EQ(next_signal(&info, 0), 0, "and nobody else");
    CHECK_EQ(fcntl(fds[0], F_SETOWN, 0), 0, "no owner");
    REQUIRE(write(fds[1], "x", 1) == 1);
    CHECK_EQ(next_signal(&info, 0), 0, "nobody is told");
}

static void gone(void)
{
    int fds[2];
    pid_t child;
    block();
    REQUIRE(pipe(fds) == 0 && set_async(fds[0], 1) == 0);
    child = fork();
    if (child == 0)
        _exit(0);
    REQUIRE(fcntl(fds[0], F_SETOWN, child) == 0 || errno == ESRCH);
    REQUIRE(waitpid(child, NULL, 0) == child);
    CHECK_EQ(fcntl(fds[0], F_GETOWN), 0, "an owner that has gone is none");
    CHECK_EQ(write(fds[1], "x", 1), 1, "and is not told");
}

static void permissions(void)
{
    int fds[2], go[2], status;
    pid_t child;
    NEED_ROOT();
    block();
    REQUIRE(pipe(fds) == 0 && pipe(go) == 0);
    REQUIRE(set_async(fds[0], 1) == 0);
    child = fork();
    if (child == 0) { /* root's: a user who is somebody else may not have it told */
        char c;
        read(go[0], &c, 1);
        _exit(is_pending(SIGIO));
    }
    REQUIRE(seteuid(1000) == 0 && setreuid(1000, -1) == 0);
    CHECK_EQ(fcntl(fds[0], F_SETOWN, child), 0, "anybody may be named as owner");
    REQUIRE(write(fds[1], "x", 1) == 1 && write(go[1], "x", 1) == 1);
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK_EQ(WEXITSTATUS(status), 0, "but is told only if who did that could signal him");
}

static void others(void)
{
    int file = open("plain", O_RDWR | O_CREAT, 0600), on = 1;
    REQUIRE(file >= 0);
    CHECK_EQ(set_async(file, 1), 0, "O_ASYNC of a plain file is no error,");
    CHECK(!(fcntl(file, F_GETFL) & O_ASYNC), "but is not there");
    CHECK_FAIL(ioctl(file, FIOASYNC, &on), ENOTTY, "FIOASYNC is one");
    CHECK_FAIL(ioctl(file, FIOASYNC, (void *)8), EFAULT, "FIOASYNC from nowhere");
    CHECK_EQ(fcntl(file, F_SETOWN, getpid()), 0, "any file may have an owner");
    CHECK_EQ(fcntl(file, F_GETOWN), getpid(), "and shows it");
}

CHECK_MAIN(CASE(pipes), CASE(after_dup), CASE(sockets), CASE(listener), CASE(terminals),
           CASE(owners), CASE(gone), CASE(permissions), CASE(others))
