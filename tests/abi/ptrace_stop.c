/* SPDX-License-Identifier: MIT */
/* ptrace: attach, seize, interrupt, stops of the process, detach; the end of the tracer; threads. */
#include "tracing.h"

#include <pthread.h>
#include <sys/resource.h>

/* A child in an endless sleep, which has begun. */
static pid_t sleeper(void)
{
    struct gate ready = gate_make();
    pid_t child = CHILD(gate_open(ready); for (;;) pause());
    gate_pass(ready);
    await_state(child, "S");
    return child;
}

static void attach(void)
{
    NEED_TRACING();
    pid_t child = sleeper();
    CHECK_EQ(trace(PTRACE_ATTACH, child, 0, 0), 0, "PTRACE_ATTACH");
    CHECK_EQ(stop_of(child), STOPPED(SIGSTOP), "stops it with SIGSTOP");
    siginfo_t info;
    CHECK_EQ(trace(PTRACE_GETSIGINFO, child, 0, (unsigned long)&info), 0, "a real signal");
    int status;
    CHECK_EQ(waitpid(child, &status, WNOHANG), 0, "which is told once");
    CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0, "it goes on");
    CHECK(await_state(child, "S") == 'S', "and sleeps again");
    kill(child, SIGUSR1);
    CHECK_EQ(stop_of(child), STOPPED(SIGUSR1), "a signal stops it");
    CHECK_EQ(trace(PTRACE_DETACH, child, 0, 0), 0, "PTRACE_DETACH");
    CHECK(await_state(child, "S") == 'S', "lets it go");
    CHECK_FAIL(trace(PTRACE_CONT, child, 0, 0), ESRCH, "it is not ours any more");
    trace(PTRACE_ATTACH, child, 0, 0);
    REQUIRE(stop_of(child) == STOPPED(SIGSTOP));
    CHECK_EQ(trace(PTRACE_DETACH, child, 0, SIGTERM), 0, "detach with a signal");
    CHECK_EQ(end_of(child), 128 + SIGTERM, "which it dies of");
}

static void attach_stopped(void)
{
    NEED_TRACING();
    pid_t child = sleeper();
    int status = 0;
    kill(child, SIGSTOP);
    REQUIRE(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
    CHECK_EQ(trace(PTRACE_ATTACH, child, 0, 0), 0, "a stopped process is attached to");
    CHECK_EQ(stop_of(child), STOPPED(SIGSTOP), "and stops for us");
    CHECK_EQ(process_state(child), 't', "its letter is t");
    trace(PTRACE_CONT, child, 0, 0);
    CHECK_EQ(stop_of(child), STOPPED(SIGSTOP), "then the SIGSTOP");
    CHECK_EQ(trace(PTRACE_DETACH, child, 0, 0), 0, "let go");
    CHECK(await_state(child, "T") == 'T', "it is stopped as before");
    kill(child, SIGCONT);
    CHECK(await_state(child, "S") == 'S', "until SIGCONT");
    finish(child);
}

static void seize(void)
{
    NEED_TRACING();
    pid_t child = sleeper();
    int status = 0;
    siginfo_t info;
    CHECK_EQ(trace(PTRACE_SEIZE, child, 0, PTRACE_O_EXITKILL), 0, "PTRACE_SEIZE");
    CHECK_EQ(waitpid(child, &status, WNOHANG), 0, "does not stop it");
    CHECK_EQ(trace(PTRACE_INTERRUPT, child, 0, 0), 0, "PTRACE_INTERRUPT");
    CHECK_EQ(stop_of(child), GROUP_STOP(SIGTRAP), "does");
    CHECK(trace(PTRACE_GETSIGINFO, child, 0, (unsigned long)&info) == 0 &&
              info.si_signo == SIGTRAP && info.si_code == (PTRACE_EVENT_STOP << 8 | SIGTRAP),
          "PTRACE_EVENT_STOP");
    CHECK_EQ(trace(PTRACE_INTERRUPT, child, 0, 0), 0, "again, while it is stopped");
    CHECK_EQ(go(PTRACE_CONT, child, 0), GROUP_STOP(SIGTRAP), "stops it again");
    CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0, "it goes on");
    CHECK(await_state(child, "S") == 'S', "in its system call");
    kill(child, SIGSTOP);
    CHECK_EQ(stop_of(child), STOPPED(SIGSTOP), "a SIGSTOP is delivered ...");
    CHECK_EQ(go(PTRACE_CONT, child, SIGSTOP), GROUP_STOP(SIGSTOP), "... and stops the process");
    CHECK_EQ(trace(PTRACE_LISTEN, child, 0, 0), 0, "PTRACE_LISTEN");
    CHECK_FAIL(trace(PTRACE_CONT, child, 0, 0), ESRCH, "while it listens it is not for requests");
    CHECK_EQ(waitpid(child, &status, WNOHANG), 0, "nor for wait");
    kill(child, SIGCONT);
    CHECK_EQ(stop_of(child), GROUP_STOP(SIGTRAP), "the end of the stop is told");
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGCONT), "then the signal");
    CHECK_EQ(trace(PTRACE_CONT, child, 0, SIGCONT), 0, "it goes on");
    CHECK(await_state(child, "S") == 'S', "and sleeps");
    finish(child);
}

/* Who is traced from the start without PTRACE_SEIZE. */
static void group_stop(void)
{
    NEED_TRACING();
    pid_t child = TRACEE(raise(SIGTSTP); raise(SIGSTOP); _exit(6));
    siginfo_t info;
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGTSTP), "SIGTSTP");
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGSTOP), "left out; SIGSTOP");
    CHECK_EQ(go(PTRACE_CONT, child, SIGSTOP), STOPPED(SIGSTOP), "delivered: a stop of the process");
    CHECK_FAIL(trace(PTRACE_GETSIGINFO, child, 0, (unsigned long)&info), EINVAL, "has no siginfo");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(6), "it goes on for its tracer alone");
}

static void wait_forms(void)
{
    NEED_TRACING();
    pid_t child = TRACEE(raise(SIGUSR1); raise(SIGUSR2); _exit(8));
    siginfo_t info;
    struct rusage usage;
    int status = 0;
    trace(PTRACE_CONT, child, 0, 0);
    CHECK_EQ(waitid(P_PID, child, &info, WEXITED | WSTOPPED | WNOWAIT), 0, "waitid, WNOWAIT");
    CHECK(info.si_code == CLD_TRAPPED && info.si_status == SIGUSR1 && info.si_pid == child,
          "CLD_TRAPPED");
    CHECK_EQ(wait4(-1, &status, 0, &usage), child, "wait4 without options");
    CHECK(status == STOPPED(SIGUSR1) && usage.ru_minflt > 0, "tells the stop and usage");
    trace(PTRACE_CONT, child, 0, 0);
    CHECK_EQ(waitpid(0, &status, __WALL), child, "by process group");
    CHECK_EQ(status, STOPPED(SIGUSR2), "the next stop");
    trace(PTRACE_CONT, child, 0, 0);
    CHECK_EQ(waitpid(child, &status, 0), child, "then the end");
    CHECK_EQ(status, EXITED(8), "its status");
    CHECK_FAIL(waitpid(child, &status, 0), ECHILD, "once");
}

/* A process that is not our child, and whose parent waits for it too. */
static void not_the_parent(void)
{
    NEED_TRACING();
    struct gate ready = gate_make(), done = gate_make();
    pid_t *grandchild = share_pages(4096);
    pid_t parent = CHILD({
        pid_t pid = CHILD(gate_pass(done); _exit(11));
        *grandchild = pid;
        gate_open(ready);
        _exit(end_of(pid));
    });
    gate_pass(ready);
    CHECK_EQ(trace(PTRACE_SEIZE, *grandchild, 0, 0), 0, "another's child is seized");
    gate_open(done);
    CHECK_EQ(stop_of(*grandchild), EXITED(11), "we hear of its end");
    CHECK_EQ(end_of(parent), 11, "and then its parent");
}

static void tracer_ends(void)
{
    NEED_TRACING();
    pid_t child = sleeper(), *victim = share_pages(4096);
    CHECK_EQ(IN_CHILD(trace(PTRACE_ATTACH, child, 0, 0); waitpid(child, NULL, __WALL)), 0,
             "a tracer ends");
    CHECK(await_state(child, "S") == 'S', "what it traced goes on");
    CHECK_EQ(trace(PTRACE_SEIZE, child, 0, 0), 0, "and can be traced again");
    finish(child);
    struct gate ready = gate_make();
    pid_t tracer = CHILD({
        *victim = CHILD(for (;;) pause());
        trace(PTRACE_SEIZE, *victim, 0, PTRACE_O_EXITKILL);
        gate_open(ready);
        pause();
    });
    gate_pass(ready);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    kill(tracer, SIGKILL);
    REQUIRE(end_of(tracer) == 128 + SIGKILL);
    CHECK_EQ(end_of(*victim), 128 + SIGKILL, "PTRACE_O_EXITKILL kills it");
}

static struct gate thread_gate;
static volatile pid_t thread_tid;
static void *thread_body(void *arg)
{
    thread_tid = gettid();
    gate_open(thread_gate);
    for (;;)
        pause();
    return arg;
}

static void *other_tracer(void *arg)
{
    errno = 0;
    long r = trace(PTRACE_CONT, *(pid_t *)arg, 0, 0);
    return (void *)(long)(r < 0 ? errno : 0);
}

static void threads(void)
{
    NEED_TRACING();
    pid_t *tid = share_pages(4096);
    thread_gate = gate_make();
    struct gate ready = gate_make();
    pid_t child = CHILD({
        pthread_t t;
        pthread_create(&t, NULL, thread_body, NULL);
        gate_pass(thread_gate);
        *tid = thread_tid;
        gate_open(ready);
        for (;;)
            pause();
    });
    gate_pass(ready);
    CHECK_EQ(trace(PTRACE_SEIZE, *tid, 0, 0), 0, "one thread is seized");
    CHECK_EQ(trace(PTRACE_INTERRUPT, *tid, 0, 0), 0, "and interrupted");
    int status;
    CHECK_EQ(waitpid(*tid, &status, __WALL), *tid, "wait by its number");
    CHECK_EQ(status, GROUP_STOP(SIGTRAP), "it stops");
    CHECK(await_state(child, "St") == 'S', "the other does not");
    pthread_t t;
    void *result = NULL;
    pthread_create(&t, NULL, other_tracer, tid);
    pthread_join(t, &result);
    CHECK_EQ((long)result, ESRCH, "another thread of ours is not its tracer");
    kill(child, SIGKILL);
    CHECK_EQ(stop_of(*tid), SIGKILL, "its death is told");
    CHECK_EQ(end_of(child), 128 + SIGKILL, "and that of the process");
}

/* Requests and SIGKILL at the same time: nothing may be left behind, whoever is faster. */
static void races(void)
{
    NEED_TRACING();
    int gone = 0, odd = 0;
    for (int i = 0; i < 200; i++) {
        pid_t child = TRACEE(for (;;) getppid());
        pid_t killer = CHILD(sched_yield(); kill(child, SIGKILL));
        struct user_regs_struct r;
        int status = 0;
        while (trace(PTRACE_SYSCALL, child, 0, 0) == 0 && (status = stop_of(child)) >= 0 &&
               WIFSTOPPED(status))
            registers(child, &r);
        if (!WIFSIGNALED(status))
            status = stop_of(child);
        gone += status == SIGKILL;
        odd += status != SIGKILL;
        end_of(killer);
    }
    CHECK_EQ(gone, 200, "tracees killed at any moment end");
    CHECK_EQ(odd, 0, "and nothing else comes of it");
}

CHECK_MAIN(CASE(attach), CASE(attach_stopped), CASE(seize), CASE(group_stop), CASE(wait_forms),
           CASE(not_the_parent), CASE(tracer_ends), CASE(threads), CASE(races))
