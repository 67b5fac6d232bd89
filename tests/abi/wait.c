/* SPDX-License-Identifier: MIT */
/* exit, wait4 and waitid: which child, which state change, what is told about it. */
#include "check.h"

#include <sys/resource.h>

static void exit_codes(void)
{
    int status;
    pid_t child = CHILD(_exit(300));
    CHECK_EQ(waitpid(child, &status, 0), child, "waitpid returns the child's pid");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (300 & 255), "of the status 8 bits are kept");
    child = CHILD(syscall(SYS_exit, 9));
    CHECK(waitpid(child, &status, 0) == child && status == 9 << 8,
          "exit of the only thread ends the process");
    child = CHILD(kill(getpid(), SIGTERM));
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM && !WCOREDUMP(status),
          "death by SIGTERM is told, without the core flag");
    CHECK_EQ(waitpid(CHILD(), NULL, 0) > 0, 1, "the status pointer may be null");
    child = CHILD(_exit(3));
    CHECK(wait(&status) == child && status == 3 << 8, "wait takes any child");
}

static void which_child(void)
{
    struct gate gate = gate_make();
    int status;
    pid_t first = CHILD(gate_pass(gate); _exit(1));
    pid_t second = CHILD(_exit(2));
    CHECK_EQ(waitpid(second, &status, 0), second, "waitpid(pid) takes that child");
    CHECK_EQ(waitpid(first, &status, WNOHANG), 0, "WNOHANG returns 0 while the child runs");
    CHECK_EQ(waitpid(-1, &status, WNOHANG), 0, "WNOHANG with any child returns 0 while it runs");
    CHECK_FAIL(waitpid(second, &status, 0), ECHILD, "a child is waited for once");
    CHECK_FAIL(waitpid(getpid(), &status, 0), ECHILD, "a process is not its own child");
    CHECK_FAIL(waitpid(getppid(), &status, 0), ECHILD, "the parent is no child");
    CHECK_FAIL(waitpid(1 << 28, &status, WNOHANG), ECHILD, "an unknown pid is no child");
    gate_open(gate);
    CHECK_EQ(waitpid(-1, &status, 0), first, "waitpid(-1) takes any child");
    CHECK_FAIL(waitpid(-1, &status, WNOHANG), ECHILD, "no children: ECHILD even with WNOHANG");
    CHECK_FAIL(wait4(-1, &status, 0x40, NULL), EINVAL, "wait4 refuses unknown options");
    CHECK_FAIL(wait4(INT_MIN, &status, 0, NULL), ESRCH, "wait4 of INT_MIN is ESRCH");
}

static void by_group(void)
{
    int status;
    struct gate gate = gate_make();
    pid_t same = CHILD(gate_pass(gate); _exit(1));
    pid_t other = CHILD(setpgid(0, 0); gate_pass(gate); _exit(2));
    setpgid(other, other);
    CHECK_EQ(waitpid(0, &status, WNOHANG), 0, "waitpid(0) finds children of the own group");
    CHECK_EQ(waitpid(-other, &status, WNOHANG), 0, "waitpid(-pgid) finds children of that group");
    CHECK_FAIL(waitpid(-(1 << 28), &status, WNOHANG), ECHILD, "an empty group has no children");
    gate_open(gate);
    gate_open(gate);
    CHECK_EQ(waitpid(0, &status, 0), same, "waitpid(0) takes the child of the own group");
    CHECK_FAIL(waitpid(0, &status, 0), ECHILD, "and then there is none left in it");
    CHECK_EQ(waitpid(-other, &status, 0), other, "waitpid(-pgid) takes the child of that group");
}

static void stopped_and_continued(void)
{
    int status;
    struct gate gate = gate_make();
    pid_t child = CHILD(raise(SIGSTOP); gate_pass(gate); raise(SIGTSTP); _exit(5));
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child, "WUNTRACED tells of a stop");
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "the stop signal is SIGSTOP");
    CHECK_EQ(waitpid(child, &status, WUNTRACED | WNOHANG), 0, "a stop is told once");
    CHECK_EQ(process_state(child), 'T', "/proc tells that it is stopped");
    kill(child, SIGCONT);
    CHECK_EQ(waitpid(child, &status, WCONTINUED), child, "WCONTINUED tells of the continuation");
    CHECK(WIFCONTINUED(status) && status == 0xffff, "the status is that of a continuation");
    gate_open(gate);
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child, "the second stop is told");
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP, "the stop signal is SIGTSTP");
    kill(child, SIGCONT);
    CHECK_EQ(waitpid(child, &status, 0), child, "without flags only the end is told");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5, "its status is that of the exit");
    child = CHILD(raise(SIGSTOP));
    await_state(child, "T");
    CHECK_EQ(waitpid(child, &status, WNOHANG), 0, "without WUNTRACED a stop is not told");
    kill(child, SIGKILL);
    CHECK_EQ(end_of(child), 128 + SIGKILL, "SIGKILL ends a stopped process");
}

static void waitid_exit(void)
{
    siginfo_t info = {0};
    pid_t child = CHILD(_exit(17));
    CHECK_EQ(waitid(P_PID, child, &info, WEXITED | WNOWAIT), 0, "waitid with WNOWAIT");
    CHECK_EQ(info.si_pid, child, "si_pid is the child");
    CHECK_EQ(info.si_uid, getuid(), "si_uid is the child's user");
    CHECK_EQ(info.si_signo, SIGCHLD, "si_signo is SIGCHLD");
    CHECK_EQ(info.si_code, CLD_EXITED, "si_code is CLD_EXITED");
    CHECK_EQ(info.si_status, 17, "si_status is the exit code");
    memset(&info, 0, sizeof(info));
    CHECK(waitid(P_ALL, 0, &info, WEXITED) == 0 && info.si_pid == child,
          "the child was left waitable by WNOWAIT");
    CHECK_FAIL(waitid(P_ALL, 0, &info, WEXITED), ECHILD, "after the second waitid it is gone");
    child = CHILD(raise(SIGUSR1));
    waitid(P_PID, child, &info, WEXITED);
    CHECK(info.si_code == CLD_KILLED && info.si_status == SIGUSR1, "CLD_KILLED with the signal");
}

static void waitid_states(void)
{
    siginfo_t info;
    struct gate gate = gate_make();
    pid_t child = CHILD(raise(SIGSTOP); gate_pass(gate));
    memset(&info, 0, sizeof(info));
    waitid(P_PID, child, &info, WSTOPPED);
    CHECK(info.si_code == CLD_STOPPED && info.si_status == SIGSTOP && info.si_pid == child,
          "CLD_STOPPED with the signal");
    info.si_pid = 1;
    CHECK_EQ(waitid(P_PID, child, &info, WEXITED | WNOHANG), 0, "WNOHANG with nothing to tell");
    CHECK_EQ(info.si_pid, 0, "si_pid is then 0");
    CHECK_EQ(info.si_signo, 0, "si_signo is then 0");
    kill(child, SIGCONT);
    memset(&info, 0, sizeof(info));
    waitid(P_PID, child, &info, WCONTINUED);
    CHECK(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT, "CLD_CONTINUED with SIGCONT");
    gate_open(gate);
    CHECK_EQ(waitid(P_PGID, getpgrp(), &info, WEXITED), 0, "P_PGID takes a child of the group");
    CHECK_EQ(info.si_pid, child, "and tells its pid");
}

static void waitid_errors(void)
{
    siginfo_t info;
    pid_t child = CHILD(pause());
    CHECK_FAIL(waitid(P_PID, child, &info, 0), EINVAL, "waitid wants a kind of change");
    CHECK_FAIL(waitid(P_PID, child, &info, WNOHANG), EINVAL, "WNOHANG alone is none");
    CHECK_FAIL(waitid(P_PID, child, &info, WEXITED | 0x40000), EINVAL, "unknown options");
    CHECK_FAIL(waitid(99, child, &info, WEXITED), EINVAL, "unknown kind of id");
    CHECK_FAIL(waitid(P_PID, 0, &info, WEXITED), EINVAL, "P_PID with pid 0");
    CHECK_FAIL(waitid(P_PID, getpid(), &info, WEXITED), ECHILD,
               "P_PID with a pid that is no child");
    kill(child, SIGKILL);
    if (check_state->qemu_user)
        SKIP("waitid with a bad pointer", "qemu-user's own structure");
    else
        CHECK_FAIL(syscall(SYS_waitid, P_PID, child, 8, WEXITED | WNOWAIT, NULL), EFAULT,
                   "waitid with a bad pointer");
    CHECK_EQ(end_of(child), 128 + SIGKILL, "the child can be waited for");
    child = CHILD();
    CHECK_FAIL(syscall(SYS_wait4, child, 8, 0, NULL), EFAULT, "wait4 with a bad status pointer");
    CHECK_FAIL(waitpid(child, NULL, 0), ECHILD, "the child is reaped all the same");
}

static void resources(void)
{
    struct rusage usage, before, after;
    memset(&usage, 0xff, sizeof(usage));
    getrusage(RUSAGE_CHILDREN, &before);
    pid_t child =
        CHILD(char *p = private_pages(200 * 4096); for (int i = 0; i < 200; i++) p[i * 4096] = 1);
    CHECK_EQ(wait4(child, NULL, 0, &usage), child, "wait4 fills in the child's resources");
    CHECK(usage.ru_minflt >= 200, "at least the pages that the child touched are counted");
    CHECK(usage.ru_utime.tv_usec < 1000000 && usage.ru_stime.tv_usec < 1000000,
          "the times are normalised");
    getrusage(RUSAGE_CHILDREN, &after);
    CHECK(after.ru_minflt - before.ru_minflt >= 200,
          "waiting adds the child's faults to those of the children");
    CHECK_FAIL(getrusage(77, &usage), EINVAL, "getrusage refuses an unknown process");
}

static void grandchildren_are_adopted(void)
{
    if (qemu_user_lacks("PR_SET_CHILD_SUBREAPER"))
        return;
    struct gate orphaned = gate_make();
    volatile int *seen = share_pages(4096);
    REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    int reaper = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &reaper);
    CHECK_EQ(reaper, 1, "PR_GET_CHILD_SUBREAPER tells what was set");
    pid_t child = CHILD(
        seen[1] = CHILD(seen[2] = getppid(); gate_pass(orphaned); seen[0] = getppid(); _exit(21)));
    CHECK_EQ(end_of(child), 0, "the middle generation ends");
    gate_open(orphaned);
    int status = 0;
    CHECK_EQ(wait(&status), seen[1], "the orphan becomes the subreaper's child");
    CHECK_EQ(WEXITSTATUS(status), 21, "and its status is told there");
    CHECK_EQ(seen[0], getpid(), "the orphan's getppid is the subreaper");
    CHECK_EQ(IN_CHILD(prctl(PR_GET_CHILD_SUBREAPER, &reaper); _exit(reaper)), 0,
             "the subreaper attribute is not inherited");
}

static void zombies_of_the_dead(void)
{
    if (qemu_user_lacks("PR_SET_CHILD_SUBREAPER"))
        return;
    struct gate gate = gate_make();
    volatile pid_t *zombie = share_pages(4096);
    REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    pid_t child = CHILD({
        *zombie = CHILD(_exit(4));
        await_state(*zombie, "Z");
        gate_open(gate);
    });
    gate_pass(gate);
    end_of(child);
    CHECK_EQ(end_of(*zombie), 4, "a zombie left by its parent is handed on with its status");
    child = CHILD(_exit(1));
    CHECK_EQ(await_state(child, "ZX"), 'Z', "an unwaited child is a zombie in /proc");
    CHECK_EQ(kill(child, 0), 0, "a zombie can still be signalled");
    CHECK_EQ(end_of(child), 1, "until it is waited for");
}

static void children_are_ignored(void)
{
    signal(SIGCHLD, SIG_IGN);
    CHILD();
    CHILD();
    CHECK_FAIL(wait(NULL), ECHILD, "with SIGCHLD ignored, wait waits for all and fails");
    if (qemu_user_lacks("SA_NOCLDWAIT"))
        return;
    handle_flags(SIGCHLD, SIG_DFL, SA_NOCLDWAIT);
    pid_t child = CHILD();
    CHECK_FAIL(waitpid(child, NULL, 0), ECHILD, "the same with SA_NOCLDWAIT");
}

static void parent_death_signal(void)
{
    if (qemu_user_lacks("PR_SET_CHILD_SUBREAPER"))
        return;
    struct gate ready = gate_make(), told = gate_make();
    volatile int *got = share_pages(4096);
    REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    pid_t child = CHILD({
        pid_t grandchild = CHILD({
            int number = 0;
            prctl(PR_SET_PDEATHSIG, SIGUSR2);
            prctl(PR_GET_PDEATHSIG, &number);
            got[1] = number;
            block_signal(SIGUSR2);
            gate_open(ready);
            sigset_t set = set_of(SIGUSR2);
            got[0] = sigwaitinfo(&set, NULL);
            gate_open(told);
        });
        got[2] = grandchild;
        gate_pass(ready);
    });
    end_of(child);
    gate_pass(told);
    CHECK_EQ(got[1], SIGUSR2, "PR_GET_PDEATHSIG tells what was set");
    CHECK_EQ(got[0], SIGUSR2, "the parent's death sends the signal of PR_SET_PDEATHSIG");
    CHECK_EQ(end_of(got[2]), 0, "the grandchild ends");
    CHECK_FAIL(prctl(PR_SET_PDEATHSIG, 1000), EINVAL, "PR_SET_PDEATHSIG refuses a bad signal");
}

CHECK_MAIN(CASE(exit_codes), CASE(which_child), CASE(by_group), CASE(stopped_and_continued),
           CASE(waitid_exit), CASE(waitid_states), CASE(waitid_errors), CASE(resources),
           CASE(grandchildren_are_adopted), CASE(zombies_of_the_dead), CASE(children_are_ignored),
           CASE(parent_death_signal))
