/* SPDX-License-Identifier: MIT */
/* kill: whom it reaches, who may send what; stopping and continuing. */
#include "check.h"

static volatile int count;

static void counter(int signal)
{
    (void)signal;
    count++;
}

static void targets(void)
{
    handle_flags(SIGUSR1, counter, 0);
    CHECK_EQ(kill(getpid(), 0), 0, "signal 0 only asks");
    CHECK_EQ(kill(getppid(), 0), 0, "also about the parent");
    CHECK_FAIL(kill(1 << 28, 0), ESRCH, "an unknown process");
    CHECK_FAIL(kill(-(1 << 28), 0), ESRCH, "an unknown group");
    CHECK_FAIL(kill(getpid(), 65), EINVAL, "a bad signal");
    CHECK_FAIL(kill(getpid(), -1), EINVAL, "a negative one");
    CHECK_FAIL(kill(INT_MIN, 0), ESRCH, "the smallest integer");
    struct gate ready = gate_make();
    pid_t first = CHILD(gate_open(ready); for (;;) pause());
    pid_t second = CHILD(gate_open(ready); for (;;) pause());
    gate_pass(ready);
    gate_pass(ready);
    signal(SIGTERM, SIG_IGN);
    CHECK_EQ(kill(0, SIGTERM), 0, "kill(0) reaches the own group");
    CHECK_EQ(end_of(first), 128 + SIGTERM, "the one child");
    CHECK_EQ(end_of(second), 128 + SIGTERM, "and the other");
}

static void process_groups(void)
{
    struct gate ready = gate_make();
    signal(SIGTERM, SIG_IGN);
    pid_t leader =
        CHILD(signal(SIGTERM, SIG_DFL); setpgid(0, 0); gate_open(ready); for (;;) pause());
    gate_pass(ready);
    pid_t member =
        CHILD(signal(SIGTERM, SIG_DFL); setpgid(0, leader); gate_open(ready); for (;;) pause());
    gate_pass(ready);
    pid_t outside = CHILD(signal(SIGTERM, SIG_DFL); gate_open(ready); for (;;) pause());
    gate_pass(ready);
    CHECK_EQ(kill(-leader, SIGTERM), 0, "kill(-pgid) reaches the group");
    CHECK_EQ(end_of(leader), 128 + SIGTERM, "its leader");
    CHECK_EQ(end_of(member), 128 + SIGTERM, "and its other member");
    CHECK_EQ(waitpid(outside, NULL, WNOHANG), 0, "but no process outside");
    CHECK_FAIL(kill(-leader, 0), ESRCH, "then the group is gone");
    CHECK_EQ(kill(0, SIGTERM), 0, "kill(0)");
    CHECK_EQ(end_of(outside), 128 + SIGTERM, "reaches the process of the own group");
}

static int kill_error(pid_t pid, int signal)
{
    return kill(pid, signal) == 0 ? 0 : errno;
}

static void permission(void)
{
    NEED_ROOT();
    struct gate ready = gate_make();
    pid_t root = CHILD(pause());
    pid_t user = CHILD(become_user(1000); gate_open(ready); for (;;) pause());
    pid_t other = CHILD(become_user(1001); gate_open(ready); for (;;) pause());
    pid_t saved = CHILD(setresuid(1002, 1002, 1000); gate_open(ready); for (;;) pause());
    for (int i = 0; i < 3; i++)
        gate_pass(ready);
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(kill_error(root, 0))), EPERM,
             "a user may not signal root's processes");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(kill_error(other, SIGTERM))), EPERM,
             "nor another user's");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(kill_error(user, 0))), 0, "but the own ones");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(kill_error(saved, 0))), 0,
             "and those whose saved id is the own one");
    CHECK_EQ(IN_CHILD(become_user(1002); _exit(kill_error(saved, 0))), 0,
             "and those whose real id is the own one");
    CHECK_EQ(IN_CHILD(setresuid(1000, 1001, 1001); _exit(kill_error(user, 0))), 0,
             "the sender's real id counts");
    CHECK_EQ(IN_CHILD(setresuid(1000, 1001, 1001); _exit(kill_error(other, 0))), 0,
             "and the sender's effective id");
    CHECK_EQ(IN_CHILD(setresuid(1005, 1005, 1000); _exit(kill_error(user, 0))), EPERM,
             "the sender's saved id does not");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(kill_error(user, SIGCONT))), 0,
             "SIGCONT to the own");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(kill_error(root, SIGCONT))), 0,
             "SIGCONT may be sent within the session");
    CHECK_EQ(IN_CHILD(setsid(); become_user(1000); _exit(kill_error(root, SIGCONT))), EPERM,
             "but not into another");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(kill_error(0, 0))), 0,
             "kill(0) succeeds if one process may be signalled");
    CHECK_EQ(kill(user, SIGKILL) | kill(other, SIGKILL) | kill(saved, SIGKILL) |
                 kill(root, SIGKILL),
             0, "root may signal all");
    CHECK_EQ(end_of(user), 128 + SIGKILL, "they end");
    end_of(other), end_of(root), end_of(saved);
}

static void everyone(void)
{
    NEED_ROOT();
    /* kill(-1) as a user of whom nothing else runs: it reaches that user's only. */
    struct gate ready = gate_make();
    pid_t victim = CHILD(become_user(43210); gate_open(ready); for (;;) pause());
    gate_pass(ready);
    CHECK_EQ(IN_CHILD(become_user(43210); _exit(kill_error(-1, SIGTERM))), 0,
             "kill(-1) succeeds, and spares the sender");
    CHECK_EQ(end_of(victim), 128 + SIGTERM, "it reaches the others that it may signal");
    CHECK_EQ(IN_CHILD(become_user(43211); _exit(kill_error(-1, SIGTERM))), 0,
             "and succeeds even if it may signal none");
}

static void stop_and_continue(void)
{
    int status;
    struct gate gate = gate_make();
    pid_t child = CHILD(signal(SIGTERM, SIG_DFL); gate_pass(gate); for (;;) pause());
    static const int stops[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
    gate_open(gate);
    for (size_t i = 0; i < ARRAY_SIZE(stops); i++) {
        kill(child, stops[i]);
        waitpid(child, &status, WUNTRACED);
        CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == stops[i], "a stop signal stops");
        kill(child, SIGCONT);
        waitpid(child, &status, WCONTINUED);
        CHECK(WIFCONTINUED(status), "SIGCONT continues");
    }
    kill(child, SIGSTOP);
    waitpid(child, &status, WUNTRACED);
    kill(child, SIGTERM);
    CHECK_EQ(waitpid(child, &status, WNOHANG), 0, "SIGTERM waits while the process is stopped");
    CHECK_EQ(process_state(child), 'T', "it is stopped still");
    kill(child, SIGCONT);
    CHECK_EQ(end_of(child), 128 + SIGTERM, "and acts when it is continued");
}

static void continue_and_stop_cancel(void)
{
    volatile int *state = share_pages(4096);
    struct gate gate = gate_make();
    int status;
    pid_t child = CHILD({
        sigset_t set = set_of(SIGTSTP);
        sigaddset(&set, SIGCONT);
        sigprocmask(SIG_BLOCK, &set, NULL);
        handle_flags(SIGCONT, counter, 0);
        raise(SIGTSTP);
        state[0] = is_pending(SIGTSTP);
        raise(SIGCONT);
        state[1] = !is_pending(SIGTSTP) && is_pending(SIGCONT);
        raise(SIGTSTP);
        state[2] = is_pending(SIGTSTP) && !is_pending(SIGCONT);
        raise(SIGCONT);
        state[3] = count;
        unblock_signal(SIGCONT);
        state[4] = count;
        gate_pass(gate);
    });
    gate_open(gate);
    CHECK_EQ(end_of(child), 0, "a child plays with stop and continue signals");
    CHECK(state[0], "a blocked SIGTSTP is pending");
    CHECK(state[1], "SIGCONT drops a pending SIGTSTP");
    CHECK(state[2], "SIGTSTP drops a pending SIGCONT");
    CHECK(state[3] == 0 && state[4] == 1, "a handler of SIGCONT runs when it is unblocked");
    child = CHILD(block_signal(SIGCONT); raise(SIGSTOP); _exit(3));
    waitpid(child, &status, WUNTRACED);
    kill(child, SIGCONT);
    CHECK_EQ(end_of(child), 3, "SIGCONT continues even where it is blocked");
    child = CHILD(signal(SIGCONT, SIG_IGN); raise(SIGSTOP); _exit(4));
    waitpid(child, &status, WUNTRACED);
    kill(child, SIGCONT);
    CHECK_EQ(end_of(child), 4, "or ignored");
    child = CHILD(handle_flags(SIGTSTP, counter, 0); raise(SIGTSTP); _exit(count == 1 ? 0 : 1));
    CHECK_EQ(end_of(child), 0, "a handler of SIGTSTP runs instead of the stop");
    child = CHILD(signal(SIGTTIN, SIG_IGN); raise(SIGTTIN));
    CHECK_EQ(end_of(child), 0, "an ignored SIGTTIN does not stop");
}

static void unstoppable(void)
{
    struct gate gate = gate_make();
    pid_t child = CHILD({
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        gate_open(gate);
        for (;;)
            pause();
    });
    gate_pass(gate);
    kill(child, SIGTERM);
    kill(child, SIGHUP);
    CHECK_EQ(waitpid(child, NULL, WNOHANG), 0, "blocked signals do not end a process");
    kill(child, SIGKILL);
    CHECK_EQ(end_of(child), 128 + SIGKILL, "SIGKILL does");
    child = CHILD(gate_open(gate); for (;;));
    gate_pass(gate);
    kill(child, SIGKILL);
    CHECK_EQ(end_of(child), 128 + SIGKILL, "SIGKILL ends a process that only computes");
    child = CHILD(gate_open(gate); for (;;));
    gate_pass(gate);
    int status;
    kill(child, SIGSTOP);
    waitpid(child, &status, WUNTRACED);
    CHECK(WIFSTOPPED(status), "SIGSTOP stops one");
    kill(child, SIGKILL);
    end_of(child);
}

CHECK_MAIN(CASE(targets), CASE(process_groups), CASE(permission), CASE(everyone),
           CASE(stop_and_continue), CASE(continue_and_stop_cancel), CASE(unstoppable))
