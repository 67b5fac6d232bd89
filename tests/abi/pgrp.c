/* SPDX-License-Identifier: MIT */
/* Process groups and sessions: who may move whom, and what happens to orphans. */
#include "check.h"

#include <sys/ioctl.h>

static void groups(void)
{
    struct gate gate = gate_make();
    CHECK_EQ(getpgrp(), getpid(), "the case leads its group");
    CHECK_EQ(getpgid(0), getpgrp(), "getpgid(0)");
    CHECK_EQ(getpgid(getpid()), getpgrp(), "getpgid(pid)");
    CHECK_FAIL(getpgid(1 << 28), ESRCH, "getpgid of an unknown process");
    pid_t child = CHILD(gate_pass(gate));
    CHECK_EQ(getpgid(child), getpgrp(), "a child is in the parent's group");
    CHECK_EQ(setpgid(child, child), 0, "the parent moves it into a group of its own");
    CHECK_EQ(getpgid(child), child, "which it leads");
    CHECK_EQ(setpgid(child, 0), 0, "a group of 0 means the same");
    pid_t second = CHILD(gate_pass(gate));
    CHECK_EQ(setpgid(second, child), 0, "a second child joins it");
    CHECK_EQ(getpgid(second), child, "it is in it");
    CHECK_EQ(setpgid(second, getpgrp()), 0, "and comes back");
    CHECK_FAIL(setpgid(second, 1 << 28), EPERM, "a group that is not there");
    CHECK_FAIL(setpgid(second, -1), EINVAL, "a negative group");
    CHECK_FAIL(setpgid(1 << 28, 0), ESRCH, "an unknown process");
    CHECK_FAIL(setpgid(getppid(), 0), ESRCH, "the parent is no child");
    CHECK_EQ(IN_CHILD(_exit(setpgid(second, 0) < 0 ? errno : 0)), ESRCH, "a sibling is none");
    gate_open(gate);
    gate_open(gate);
    end_of(child);
    end_of(second);
    CHECK_FAIL(setpgid(0, child), EPERM, "a group whose members are gone");
}

static void sessions(void)
{
    struct gate ready = gate_make(), done = gate_make();
    volatile int *seen = share_pages(4096);
    CHECK_FAIL(setsid(), EPERM, "a leader of a group cannot make a session");
    CHECK_EQ(getsid(0), getsid(getppid()), "the session is the parent's");
    CHECK_FAIL(getsid(1 << 28), ESRCH, "getsid of an unknown process");
    pid_t child = CHILD({
        seen[0] = setsid();
        seen[1] = getsid(0);
        seen[2] = getpgrp();
        seen[3] = setpgid(0, 0) < 0 ? errno : 0;
        seen[4] = setsid() < 0 ? errno : 0;
        seen[5] = open("/dev/tty", O_RDWR) < 0 ? errno : 0;
        gate_open(ready);
        gate_pass(done);
    });
    gate_pass(ready);
    CHECK_EQ(seen[0], child, "setsid returns the new session");
    CHECK_EQ(seen[1], child, "the caller leads it");
    CHECK_EQ(seen[2], child, "and a new group");
    CHECK_EQ(seen[3], EPERM, "the leader of a session stays in its group");
    CHECK_EQ(seen[4], EPERM, "and cannot make another session");
    CHECK_EQ(seen[5], ENXIO, "a new session has no terminal");
    CHECK_EQ(getsid(child), child, "getsid of the child");
    CHECK_FAIL(setpgid(child, getpgrp()), EPERM, "a child in another session cannot be moved");
    CHECK_FAIL(setpgid(0, child), EPERM, "nor can one join a group there");
    gate_open(done);
    CHECK_EQ(end_of(child), 0, "the session's leader ends");
    CHECK_EQ(IN_CHILD(_exit(getsid(0) == getsid(getppid()) ? 0 : 1)), 0, "fork keeps the session");
}

static void after_exec(void)
{
    if (!can_exec_self())
        return;
    struct gate gate = gate_make();
    int fds[2];
    REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
    pid_t child = CHILD(dup2(gate.read_end, 0); execl(check_state->self, "x", "--wait", NULL));
    close(fds[1]);
    char byte;
    REQUIRE(read(fds[0], &byte, 1) == 0); /* the exec has closed the other end */
    CHECK_FAIL(setpgid(child, child), EACCES, "a child that has executed cannot be moved");
    gate_open(gate);
    CHECK_EQ(end_of(child), 0, "it ends");
}

static volatile int hung_up, continued;

static void on_signal(int signal)
{
    hung_up |= signal == SIGHUP;
    continued |= signal == SIGCONT;
}

/*
 * A stopped group that becomes orphaned is sent SIGHUP and SIGCONT. Here: the
 * case's child makes a grandchild in a group of its own, which stops; then the
 * child, the group's only tie to the session, ends.
 */
static void orphaned_group(void)
{
    volatile int *seen = share_pages(4096);
    struct gate told = gate_make(), ready = gate_make();
    if (qemu_user_lacks("signals to who is stopped")) /* now and then it forgets them */
        return;
    pid_t child = CHILD({
        setsid();
        seen[0] = CHILD({
            setpgid(0, 0);
            handle_flags(SIGHUP, on_signal, 0);
            handle_flags(SIGCONT, on_signal, 0);
            gate_open(ready);
            raise(SIGSTOP);
            seen[1] = hung_up;
            seen[2] = continued;
            gate_open(told);
        });
        gate_pass(ready);
        await_state(seen[0], "T");
    });
    end_of(child);
    gate_pass(told);
    CHECK(seen[1], "a stopped group that becomes orphaned is sent SIGHUP");
    CHECK(seen[2], "and SIGCONT");
}

static void stops_in_orphaned_groups(void)
{
    pid_t child = CHILD(setsid(); raise(SIGTSTP); raise(SIGTTIN); raise(SIGTTOU); _exit(9));
    CHECK_EQ(end_of(child), 9, "SIGTSTP, SIGTTIN, SIGTTOU do nothing in an orphaned group");
    int status;
    child = CHILD(setsid(); raise(SIGSTOP); _exit(8));
    CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status),
          "SIGSTOP stops there too");
    kill(child, SIGCONT);
    CHECK_EQ(end_of(child), 8, "and SIGCONT continues");
}

static void orphans(void)
{
    volatile int *seen = share_pages(4096);
    struct gate gate = gate_make(), done = gate_make();
    pid_t child =
        CHILD(seen[1] = getpid(); CHILD(gate_pass(gate); seen[0] = getppid(); gate_open(done)));
    CHECK_EQ(end_of(child), 0, "a parent ends before its child");
    gate_open(gate);
    gate_pass(done);
    CHECK(seen[0] > 0 && seen[0] != seen[1], "the orphan is adopted");
    CHECK(kill(seen[0], 0) == 0 || errno == EPERM, "by a process that lives");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(groups),
        CASE(sessions),
        CASE(after_exec),
        CASE(orphaned_group),
        CASE(stops_in_orphaned_groups),
        CASE(orphans),
        {NULL, NULL},
    };
    char byte;
    if (argc > 1 && !strcmp(argv[1], "--wait"))
        return read(0, &byte, 1) == 1 ? 0 : 1;
    if (argc > 1)
        return 0;
    return check_run(cases);
}
