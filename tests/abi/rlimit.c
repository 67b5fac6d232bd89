/* SPDX-License-Identifier: MIT */
/* Resource limits: asked and set, by whom, and that each of them holds. */
#include "check.h"

#include <sys/resource.h>

static void get_and_set(void)
{
    struct rlimit limit = {50, 100}, old, got;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK(old.rlim_cur <= old.rlim_max, "the soft limit is at most the hard one");
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0, "setrlimit");
    CHECK(getrlimit(RLIMIT_NOFILE, &got) == 0 && got.rlim_cur == 50 && got.rlim_max == 100,
          "getrlimit tells what was set");
    limit.rlim_cur = 101;
    CHECK_FAIL(setrlimit(RLIMIT_NOFILE, &limit), EINVAL, "soft above hard");
    CHECK_FAIL(setrlimit(99, &limit), EINVAL, "an unknown resource");
    CHECK_FAIL(getrlimit(99, &limit), EINVAL, "also asked for");
    limit.rlim_cur = 60;
    CHECK(prlimit(0, RLIMIT_NOFILE, &limit, &got) == 0 && got.rlim_cur == 50,
          "prlimit sets and tells the old limit");
    pid_t child = CHILD(for (;;) pause());
    limit.rlim_cur = 33;
    CHECK_EQ(prlimit(child, RLIMIT_NOFILE, &limit, NULL), 0, "prlimit of a child");
    CHECK(prlimit(child, RLIMIT_NOFILE, NULL, &got) == 0 && got.rlim_cur == 33, "takes effect");
    getrlimit(RLIMIT_NOFILE, &got);
    CHECK_EQ(got.rlim_cur, 60, "on the child alone");
    kill(child, SIGKILL);
    end_of(child);
    CHECK_FAIL(prlimit(1 << 28, RLIMIT_NOFILE, NULL, &got), ESRCH, "an unknown process");
    for (int i = 0; i < RLIM_NLIMITS; i++)
        REQUIRE(getrlimit(i, &got) == 0);
    CHECK(1, "all limits can be asked for");
}

static void as_user(void)
{
    NEED_ROOT();
    struct rlimit limit = {50, 100}, more = {50, 101}, less = {10, 99};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(setrlimit(RLIMIT_NOFILE, &more) < 0 ? errno : 0)),
             EPERM, "a user cannot raise a hard limit");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(setrlimit(RLIMIT_NOFILE, &less) < 0 ? errno : 0)), 0,
             "but lower it");
    if (has_capability(24 /* CAP_SYS_RESOURCE */))
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &more), 0, "root can raise it");
    else
        SKIP("root can raise it", "this root is not allowed to");
    pid_t other = CHILD(pause());
    CHECK_EQ(IN_CHILD(become_user(1000);
                      _exit(prlimit(other, RLIMIT_NOFILE, NULL, &limit) < 0 ? errno : 0)),
             EPERM, "a user may not ask about another's process");
    kill(other, SIGKILL);
    end_of(other);
}

static void descriptors(void)
{
    struct rlimit limit = {20, 1000};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    int last = -1, fd, fds[2];
    while ((fd = open("/dev/null", O_RDONLY)) >= 0)
        last = fd;
    int error = errno;
    CHECK_EQ(error, EMFILE, "RLIMIT_NOFILE: open fails with EMFILE");
    CHECK_EQ(last, 19, "the last descriptor is below the limit");
    CHECK_FAIL(dup(0), EMFILE, "dup");
    CHECK_FAIL(dup2(0, 20), EBADF, "dup2 to a descriptor at the limit");
    CHECK_FAIL(fcntl(0, F_DUPFD, 20), EINVAL, "F_DUPFD from the limit on");
    CHECK_FAIL(fcntl(0, F_DUPFD, 5), EMFILE, "F_DUPFD with none free");
    close(19);
    CHECK_FAIL(pipe(fds), EMFILE, "pipe needs two");
    CHECK_EQ(open("/dev/null", O_RDONLY), 19, "of which one was free, and still is");
    limit.rlim_cur = 10;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    char byte;
    CHECK_EQ(read(19, &byte, 1), 0, "descriptors above a lowered limit work on");
    limit.rlim_cur = 300;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK_EQ(dup2(0, 299), 299, "a raised limit lets more in");
}

static void file_size(void)
{
    struct rlimit limit = {1000, RLIM_INFINITY};
    static char data[2000];
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    int fd = open("f", O_CREAT | O_RDWR | O_TRUNC, 0600);
    CHECK_EQ(IN_CHILD(pwrite(fd, data, 1, 1000)), 128 + SIGXFSZ,
             "RLIMIT_FSIZE: a write at the limit is SIGXFSZ");
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(write(fd, data, 2000), 1000, "a write over it writes up to it");
    CHECK_FAIL(write(fd, data, 1), EFBIG, "the next one fails: EFBIG");
    CHECK_FAIL(ftruncate(fd, 1001), EFBIG, "ftruncate beyond it");
    CHECK_EQ(ftruncate(fd, 10), 0, "ftruncate below it");
    CHECK_EQ(pwrite(fd, data, 10, 0), 10, "and a write below it");
    int null = open("/dev/null", O_WRONLY);
    CHECK_EQ(write(null, data, 2000), 2000, "devices have no such limit");
    block_signal(SIGXFSZ);
    signal(SIGXFSZ, SIG_DFL);
    CHECK_FAIL(pwrite(fd, data, 1, 5000), EFBIG, "with SIGXFSZ blocked");
    CHECK(is_pending(SIGXFSZ), "it is pending");
}

static void processes(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("RLIMIT_NPROC"))
        return;
    struct rlimit limit = {3, 3};
    /* A user of whom nothing else runs. */
    CHECK_EQ(IN_CHILD({
                 pid_t children[10];
                 int n = 0, error;
                 setresuid(43219, 43219, 43219);
                 setrlimit(RLIMIT_NPROC, &limit);
                 while (n < 10 && (children[n] = CHILD(for (;;) pause())) > 0)
                     n++;
                 error = errno;
                 for (int i = 0; i < n; i++)
                     kill(children[i], SIGKILL), end_of(children[i]);
                 int again = IN_CHILD();
                 _exit(n == 2 && error == EAGAIN && again == 0 ? 0 : 1);
             }),
             0, "RLIMIT_NPROC: fork fails with EAGAIN, and works again later");
    CHECK_EQ(IN_CHILD(setrlimit(RLIMIT_NPROC, &limit); pid_t a = CHILD(for (;;) pause());
                      pid_t b = CHILD(for (;;) pause()); pid_t c = CHILD(for (;;) pause());
                      int ok = a > 0 && b > 0 && c > 0; kill(a, SIGKILL); kill(b, SIGKILL);
                      kill(c, SIGKILL); _exit(ok ? 0 : 1)),
             0, "root is exempt");
}

static void processor_time(void)
{
    if (qemu_user_lacks("RLIMIT_CPU"))
        return;
    struct rlimit limit = {1, 60};
    CHECK_EQ(IN_CHILD(setrlimit(RLIMIT_CPU, &limit); for (;;)), 128 + SIGXCPU,
             "RLIMIT_CPU: SIGXCPU after the soft limit");
    limit.rlim_max = 1;
    CHECK_EQ(IN_CHILD(signal(SIGXCPU, SIG_IGN); setrlimit(RLIMIT_CPU, &limit); for (;;)),
             128 + SIGKILL, "SIGKILL at the hard limit");
}

static void core_files(void)
{
    struct rlimit none = {0, 0};
    REQUIRE(setrlimit(RLIMIT_CORE, &none) == 0);
    int status;
    pid_t child = CHILD(signal(SIGABRT, SIG_DFL); raise(SIGABRT));
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && !WCOREDUMP(status),
          "RLIMIT_CORE 0: no core is dumped");
    CHECK_EQ(access("core", F_OK), -1, "and no file is there");
}

static void priorities(void)
{
    NEED_ROOT();
    setpriority(PRIO_PROCESS, 0, 0); /* whoever runs us may be nice */
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0, "the nice value is 0");
    CHECK(setpriority(PRIO_PROCESS, 0, 7) == 0 && getpriority(PRIO_PROCESS, 0) == 7, "setpriority");
    errno = 0;
    CHECK_EQ(nice(3), 10, "nice adds");
    CHECK(setpriority(PRIO_PROCESS, 0, 100) == 0 && getpriority(PRIO_PROCESS, 0) == 19,
          "above 19 it is 19");
    CHECK(setpriority(PRIO_PROCESS, 0, -100) == 0 && getpriority(PRIO_PROCESS, 0) == -20,
          "below -20 it is -20");
    setpriority(PRIO_PROCESS, 0, 0);
    CHECK_FAIL(setpriority(99, 0, 0), EINVAL, "an unknown kind");
    CHECK_FAIL(setpriority(PRIO_PROCESS, 1 << 28, 0), ESRCH, "an unknown process");
    CHECK_FAIL(getpriority(PRIO_PROCESS, 1 << 28), ESRCH, "also asked for");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(setpriority(PRIO_PROCESS, 0, -1) < 0 ? errno : 0)),
             EACCES, "a user may not raise the own priority");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(setpriority(PRIO_PROCESS, 0, 1) < 0 ? errno : 0)), 0,
             "but lower it");
    pid_t other = CHILD(for (;;) pause());
    CHECK_EQ(
        IN_CHILD(become_user(1000); _exit(setpriority(PRIO_PROCESS, other, 5) < 0 ? errno : 0)),
        EPERM, "nor change another's");
    CHECK(setpriority(PRIO_PGRP, 0, 4) == 0 && getpriority(PRIO_PROCESS, other) == 4,
          "PRIO_PGRP changes the whole group");
    CHECK_EQ(getpriority(PRIO_PGRP, 0), 4, "and tells the highest in it");
    kill(other, SIGKILL);
    end_of(other);
}

CHECK_MAIN(CASE(get_and_set), CASE(as_user), CASE(descriptors), CASE(file_size), CASE(processes),
           CASE(processor_time), CASE(core_files), CASE(priorities))
