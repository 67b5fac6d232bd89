/* SPDX-License-Identifier: MIT */
/* fork and vfork: what the child has of its own, what it shares, what it inherits. */
#include "check.h"

#include <sys/resource.h>
#include <sys/times.h>

static void identity(void)
{
    int *seen = share_pages(4096);
    pid_t parent = getpid();
    pid_t child = CHILD(seen[0] = getpid(); seen[1] = getppid(); seen[2] = gettid();
                        seen[3] = getpgrp(); seen[4] = getsid(0));
    CHECK(child > 0, "fork returns a positive pid in the parent");
    CHECK_EQ(end_of(child), 0, "the child ends with status 0");
    CHECK_EQ(seen[0], child, "getpid in the child is what fork returned");
    CHECK_EQ(seen[1], parent, "getppid in the child is the parent");
    CHECK_EQ(seen[2], child, "gettid equals getpid in a process with one thread");
    CHECK_EQ(seen[3], getpgrp(), "the child is in the parent's process group");
    CHECK_EQ(seen[4], getsid(0), "the child is in the parent's session");
    CHECK_FAIL(kill(child, 0), ESRCH, "a reaped pid exists no more");
}

static int data = 1;

static void memory_is_private(void)
{
    int stack = 2;
    int *heap = malloc(sizeof(int));
    int *shared = share_pages(4096);
    *heap = 3;
    int status = IN_CHILD({
        int before = data == 1 && stack == 2 && *heap == 3;
        data = 11, stack = 12, *heap = 13, *shared = 14;
        _exit(before ? 0 : 1);
    });
    CHECK_EQ(status, 0, "the child sees the parent's data, stack and heap");
    CHECK(data == 1 && stack == 2 && *heap == 3, "the child's writes stay in the child");
    CHECK_EQ(*shared, 14, "a write to a shared anonymous mapping is seen by the parent");
    struct gate gate = gate_make();
    pid_t child = CHILD(gate_pass(gate); _exit(data == 1 && stack == 2 && *heap == 3 ? 0 : 1));
    data = 21, stack = 22, *heap = 23;
    gate_open(gate);
    CHECK_EQ(end_of(child), 0, "the parent's writes after fork stay in the parent");
}

static void files_are_shared(void)
{
    char text[8] = "";
    write_file("f", "abcdef", 0644);
    int fd = open("f", O_RDWR);
    int status = IN_CHILD({
        char c;
        if (read(fd, &c, 1) != 1 || c != 'a' || close(fd) < 0)
            _exit(1);
    });
    CHECK_EQ(status, 0, "the child reads through an inherited descriptor and closes its own");
    CHECK_EQ(read(fd, text, 3), 3, "the parent's descriptor is still open");
    CHECK_STR(text, "bcd", "parent and child share the file offset");
    IN_CHILD(fcntl(fd, F_SETFL, O_APPEND));
    CHECK(fcntl(fd, F_GETFL) & O_APPEND, "parent and child share the file status flags");
    IN_CHILD(fcntl(fd, F_SETFD, FD_CLOEXEC));
    CHECK_EQ(fcntl(fd, F_GETFD), 0, "close-on-exec flags are the child's own");
    IN_CHILD(mkdir("d", 0755); chdir("d"));
    CHECK_EQ(access("d", F_OK), 0, "the child's chdir does not move the parent");
    IN_CHILD(umask(077));
    mode_t mask = umask(022);
    CHECK_EQ(mask, 022, "the child's umask is its own");
}

static int caught;

static void count_signal(int signal)
{
    (void)signal;
    caught++;
}

static void signals_are_inherited(void)
{
    handle_flags(SIGUSR1, count_signal, 0);
    signal(SIGUSR2, SIG_IGN);
    block_signal(SIGTERM);
    raise(SIGTERM);
    int status = IN_CHILD({
        sigset_t mask;
        struct sigaction action;
        int bad = 0;
        sigprocmask(SIG_SETMASK, NULL, &mask);
        bad |= sigismember(&mask, SIGTERM) ? 0 : 1;
        bad |= is_pending(SIGTERM) ? 2 : 0;
        sigaction(SIGUSR2, NULL, &action);
        bad |= action.sa_handler == SIG_IGN ? 0 : 4;
        raise(SIGUSR1);
        bad |= caught == 1 ? 0 : 8;
        _exit(bad);
    });
    CHECK_EQ(status & 1, 0, "the child inherits the signal mask");
    CHECK_EQ(status & 2, 0, "the child's pending set is empty");
    CHECK_EQ(status & 4, 0, "the child inherits ignored signals");
    CHECK_EQ(status & 8, 0, "the child inherits handlers");
    CHECK_EQ(caught, 0, "the child's handler ran in the child");
    CHECK(is_pending(SIGTERM), "the parent's pending signal is still pending");
}

static void timers_are_not_inherited(void)
{
    struct itimerval timer = {.it_value.tv_sec = 1000};
    REQUIRE(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    int status = IN_CHILD({
        struct itimerval now;
        getitimer(ITIMER_REAL, &now);
        _exit(now.it_value.tv_sec == 0 && now.it_value.tv_usec == 0 ? 0 : 1);
    });
    CHECK_EQ(status, 0, "interval timers are not inherited");
    CHECK(alarm(0) > 900, "the parent's timer goes on");
    status = IN_CHILD({
        struct tms times_now;
        struct rusage usage;
        times(&times_now);
        getrusage(RUSAGE_CHILDREN, &usage);
        _exit(times_now.tms_cutime == 0 && usage.ru_minflt == 0 ? 0 : 1);
    });
    CHECK_EQ(status, 0, "the child's count of its children's resources starts at zero");
}

static void limits_and_priority_are_inherited(void)
{
    struct rlimit limit = {100, 200};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    setpriority(PRIO_PROCESS, 0, 5);
    prctl(PR_SET_NAME, "inherited");
    int status = IN_CHILD({
        char name[17];
        struct rlimit got;
        int bad = 0;
        getrlimit(RLIMIT_NOFILE, &got);
        bad |= got.rlim_cur == 100 && got.rlim_max == 200 ? 0 : 1;
        bad |= getpriority(PRIO_PROCESS, 0) == 5 ? 0 : 2;
        prctl(PR_GET_NAME, name);
        bad |= strcmp(name, "inherited") ? 4 : 0;
        _exit(bad);
    });
    CHECK_EQ(status & 1, 0, "the child inherits resource limits");
    CHECK_EQ(status & 2, 0, "the child inherits the nice value");
    CHECK_EQ(status & 4, 0, "the child inherits the process name");
}

static void many_children(void)
{
    enum { CHILDREN = 60 };
    pid_t pids[CHILDREN];
    int distinct = 1, right = 1;
    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = CHILD(_exit(i));
        for (int j = 0; j < i; j++)
            distinct &= pids[i] != pids[j];
    }
    CHECK(distinct, "sixty children at once have different pids");
    for (int i = CHILDREN - 1; i >= 0; i--)
        right &= end_of(pids[i]) == i;
    CHECK(right, "each of them is waited for by pid with its own status");
    CHECK_FAIL(wait(NULL), ECHILD, "wait without children fails");
}

static void deep_chain(void)
{
    int *depth = share_pages(4096);
    int status = IN_CHILD({
        while (*depth < 40) {
            ++*depth;
            pid_t next = fork();
            if (next)
                _exit(next < 0 ? 1 : end_of(next));
        }
        _exit(42);
    });
    CHECK_EQ(status, 42, "a chain of forty generations hands back the last one's status");
}

static void vfork_child(void)
{
    int *order = share_pages(4096);
    volatile int local = 1;
    pid_t child = vfork();
    if (child == 0) {
        local = 2;
        *order = getppid();
        _exit(7);
    }
    CHECK(child > 0, "vfork returns the child's pid in the parent");
    if (!qemu_user_lacks("vfork waits, and shares memory")) {
        CHECK_EQ(*order, getpid(), "the vfork child has run before the parent goes on");
        CHECK_EQ(local, 2, "the vfork child runs in the parent's memory");
    }
    CHECK_EQ(end_of(child), 7, "the vfork child's status is waited for");
}

static void vfork_killed(void)
{
    pid_t child = vfork();
    if (child == 0) {
        kill(getpid(), SIGKILL);
        _exit(0);
    }
    CHECK_EQ(end_of(child), 128 + SIGKILL, "a killed vfork child releases its parent");
    if (!can_exec_self()) {
        SKIP("vfork and exec", "qemu-user cannot execute");
        return;
    }
    volatile int local = 1;
    child = vfork();
    if (child == 0) {
        execl(check_state->self, "fork", "exec", NULL);
        local = 3;
        _exit(1);
    }
    CHECK_EQ(end_of(child), 33, "a vfork child that executes releases its parent");
    CHECK_EQ(local, 1, "the parent's memory is untouched by the new program");
}

static void open_directory_streams(void)
{
    /* A file written by the child before its exit is seen by the parent at once. */
    int status = IN_CHILD(write_file("child", "from the child", 0600));
    char text[32];
    CHECK_EQ(status, 0, "the child creates a file");
    CHECK(read_file("child", text, sizeof(text)) == 14 && !strcmp(text, "from the child"),
          "the parent reads what the child wrote");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(identity),
        CASE(memory_is_private),
        CASE(files_are_shared),
        CASE(signals_are_inherited),
        CASE(timers_are_not_inherited),
        CASE(limits_and_priority_are_inherited),
        CASE(many_children),
        CASE(deep_chain),
        CASE(vfork_child),
        CASE(vfork_killed),
        CASE(open_directory_streams),
        {NULL, NULL},
    };
    if (argc > 1 && !strcmp(argv[1], "exec"))
        return 33;
    if (argc > 1)
        return 0;
    return check_run(cases);
}
