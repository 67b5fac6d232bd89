/* SPDX-License-Identifier: MIT */
/* CPU time as a clock: of processes and threads, interval timers of run time; getrusage and times. */
#include "thread.h"

#include <sys/resource.h>
#include <sys/times.h>

static long long ns_of(clockid_t clock)
{
    struct timespec t = {};
    return clock_gettime(clock, &t) == 0 ? t.tv_sec * 1000000000LL + t.tv_nsec : -1;
}

static void burn(clockid_t clock, long long ns)
{
    long long end = ns_of(clock) + ns;
    while (ns_of(clock) < end)
        for (volatile int i = 0; i < 1000; i++)
            ;
}

#define MS 1000000LL

static _Atomic int go_on;
static _Atomic pid_t other_tid;

static void *burn_some(void *argument)
{
    burn(CLOCK_THREAD_CPUTIME_ID, (long)argument);
    other_tid = gettid();
    while (!go_on)
        usleep(500);
    return (void *)(long)ns_of(CLOCK_THREAD_CPUTIME_ID);
}

static clockid_t process_clock(pid_t pid, int what)
{
    return (clockid_t)(~(unsigned)pid << 3 | what);
}

static clockid_t thread_clock(pid_t tid, int what)
{
    return process_clock(tid, what | 4);
}

static void clocks(void)
{
    struct timespec t;
    long long before = ns_of(CLOCK_THREAD_CPUTIME_ID), process = ns_of(CLOCK_PROCESS_CPUTIME_ID);
    burn(CLOCK_THREAD_CPUTIME_ID, 20 * MS);
    CHECK(ns_of(CLOCK_THREAD_CPUTIME_ID) >= before + 20 * MS, "CLOCK_THREAD_CPUTIME_ID advances");
    CHECK(ns_of(CLOCK_PROCESS_CPUTIME_ID) >= process + 20 * MS, "so does the process's");
    before = ns_of(CLOCK_THREAD_CPUTIME_ID);
    usleep(50000);
    CHECK(ns_of(CLOCK_THREAD_CPUTIME_ID) - before < 40 * MS, "sleeping does not count");
    pthread_t thread = thread_start(burn_some, (void *)(20 * MS));
    while (!other_tid)
        usleep(500);
    clockid_t clock;
    CHECK(pthread_getcpuclockid(thread, &clock) == 0 && ns_of(clock) >= 20 * MS,
          "another thread's clock");
    CHECK(ns_of(thread_clock(other_tid, 2)) >= 20 * MS, "by its number");
    CHECK(ns_of(CLOCK_PROCESS_CPUTIME_ID) >= process + 40 * MS, "the process's has the sum");
    CHECK(ns_of(thread_clock(0, 2)) <= ns_of(CLOCK_THREAD_CPUTIME_ID), "number 0 is our own");
    go_on = 1;
    CHECK(thread_end(thread) >= 20 * MS, "it is told the same");
    CHECK(ns_of(CLOCK_PROCESS_CPUTIME_ID) >= process + 40 * MS, "which stays after its end");
    pid_t child = CHILD(burn(CLOCK_PROCESS_CPUTIME_ID, 20 * MS); for (;;) pause());
    await_state(child, "S");
    CHECK(clock_getcpuclockid(child, &clock) == 0 && ns_of(clock) >= 20 * MS,
          "another process's clock");
    CHECK_EQ(clock, process_clock(child, 2), "is made of its number");
    CHECK(ns_of(process_clock(child, 0)) >= 0 && ns_of(process_clock(child, 1)) >= 0,
          "also as user and system time, and user time alone");
    CHECK_FAIL(clock_gettime(thread_clock(child, 2), &t), EINVAL,
               "its threads are not ours to see");
    CHECK_FAIL(clock_gettime(process_clock(child, 3), &t), EINVAL, "no such kind");
    kill(child, SIGKILL);
    end_of(child);
    CHECK_FAIL(clock_gettime(process_clock(child, 2), &t), EINVAL, "it has ended");
    CHECK(clock_getcpuclockid(child, &clock) == ESRCH, "clock_getcpuclockid says so");
    CHECK(clock_getres(process_clock(getpid(), 2), &t) == 0 && t.tv_sec == 0, "clock_getres");
    CHECK_EQ(clock_settime(process_clock(getpid(), 2), &t), -1, "they cannot be set");
}

/* ---- interval timers ---- */

static volatile sig_atomic_t fired;

static void on_timer(int signal)
{
    (void)signal;
    fired++;
}

static void timers(void)
{
    struct itimerval half = {.it_value = {0, 50000}}, left, each = {{0, 20000}, {0, 20000}};
    if (qemu_user_lacks("timers of run time"))
        return;
    handle_flags(SIGPROF, on_timer, 0);
    handle_flags(SIGVTALRM, on_timer, 0);
    long long start = ns_of(CLOCK_PROCESS_CPUTIME_ID);
    CHECK_EQ(setitimer(ITIMER_PROF, &half, NULL), 0, "ITIMER_PROF");
    CHECK(getitimer(ITIMER_PROF, &left) == 0 && left.it_value.tv_usec > 0, "runs");
    usleep(80000);
    CHECK(!fired || ns_of(CLOCK_PROCESS_CPUTIME_ID) - start >= 45 * MS, /* in a slow emulator */
          "but not while we sleep");
    while (!fired)
        burn(CLOCK_PROCESS_CPUTIME_ID, MS);
    long long ran = ns_of(CLOCK_PROCESS_CPUTIME_ID) - start;
    CHECK(ran >= 45 * MS, "it fires after that much run time");
    CHECK(getitimer(ITIMER_PROF, &left) == 0 && left.it_value.tv_usec == 0, "once");
    fired = 0;
    start = ns_of(CLOCK_PROCESS_CPUTIME_ID);
    setitimer(ITIMER_VIRTUAL, &each, NULL);
    while (fired < 3)
        for (volatile int i = 0; i < 100000; i++)
            ;
    CHECK(ns_of(CLOCK_PROCESS_CPUTIME_ID) - start >= 40 * MS,
          "ITIMER_VIRTUAL fires again and again");
    CHECK_FAIL(setitimer(3, &each, NULL), EINVAL, "no such timer");
    CHECK_FAIL(setitimer(ITIMER_PROF, &(struct itimerval){.it_value = {0, 1000000}}, NULL), EINVAL,
               "a bad time");
}

static void *burn_long(void *argument)
{
    (void)argument;
    for (;;)
        ;
    return NULL;
}

static void limit(void)
{
    if (qemu_user_lacks("RLIMIT_CPU"))
        return;
    struct rlimit second = {1, 2};
    CHECK_EQ(
        IN_CHILD(setrlimit(RLIMIT_CPU, &second); thread_start(burn_long, NULL); burn_long(NULL)),
        128 + SIGXCPU, "RLIMIT_CPU counts all threads: SIGXCPU");
}

/* ---- sums ---- */

static void sums(void)
{
    struct rusage self, thread, children, after;
    struct tms t;
    char *p;
    CHECK_FAIL(getrusage(99, &self), EINVAL, "getrusage of nobody");
    CHECK_FAIL(syscall(SYS_getrusage, RUSAGE_SELF, unmapped_page()), EFAULT, "to no memory");
    CHECK_FAIL(syscall(SYS_times, unmapped_page()), EFAULT, "times to no memory");
    burn(CLOCK_PROCESS_CPUTIME_ID, 30 * MS);
    REQUIRE(getrusage(RUSAGE_SELF, &self) == 0 && getrusage(RUSAGE_THREAD, &thread) == 0);
    CHECK(self.ru_utime.tv_usec + self.ru_stime.tv_usec + self.ru_utime.tv_sec * 1000000 >= 29000,
          "RUSAGE_SELF: user and system time");
    CHECK(thread.ru_utime.tv_usec + thread.ru_stime.tv_usec <=
              self.ru_utime.tv_usec + self.ru_stime.tv_usec + 20000,
          "RUSAGE_THREAD: no more than the process");
    CHECK(times(&t) > 0 && t.tms_utime + t.tms_stime >= 2, "times: in hundredths");
    if (qemu_user_lacks("faults and switches"))
        return;
    p = private_pages(100 * 4096);
    for (int i = 0; i < 100; i++)
        p[i * 4096] = 1;
    for (int i = 0; i < 20; i++)
        usleep(3000);
    REQUIRE(getrusage(RUSAGE_SELF, &after) == 0);
    CHECK(after.ru_minflt - self.ru_minflt >= 1, "minor faults");
    CHECK(after.ru_nvcsw - self.ru_nvcsw >= 5, "voluntary switches");
    CHECK(after.ru_maxrss >= 400, "the largest resident size");
    pid_t child = CHILD(p = private_pages(8 << 20); memset(p, 1, 8 << 20);
                        burn(CLOCK_PROCESS_CPUTIME_ID, 30 * MS));
    int status;
    REQUIRE(wait4(child, &status, 0, &after) == child &&
            getrusage(RUSAGE_CHILDREN, &children) == 0);
    CHECK(after.ru_maxrss >= 8192, "wait4: the child's largest size");
    CHECK(after.ru_utime.tv_usec + after.ru_stime.tv_usec >= 29000, "its time");
    CHECK(children.ru_utime.tv_usec + children.ru_stime.tv_usec >= 29000 &&
              children.ru_maxrss >= 8192,
          "RUSAGE_CHILDREN has both");
    CHECK(times(&t) > 0 && t.tms_cutime + t.tms_cstime >= 2, "and times");
    CHECK_EQ(IN_CHILD(getrusage(RUSAGE_CHILDREN, &children);
                      _exit(children.ru_utime.tv_usec + children.ru_stime.tv_usec != 0)),
             0, "a new child has none of it");
}

static void slack(void)
{
    CHECK(prctl(PR_GET_TIMERSLACK) > 0, "PR_GET_TIMERSLACK");
    long before = prctl(PR_GET_TIMERSLACK);
    CHECK(prctl(PR_SET_TIMERSLACK, 7000000) == 0 && prctl(PR_GET_TIMERSLACK) == 7000000, "is set");
    struct timespec start, t = {0, 5000000};
    clock_gettime(CLOCK_MONOTONIC, &start);
    nanosleep(&t, NULL);
    CHECK(ms_since(&start, CLOCK_MONOTONIC) >= 5, "a sleep may be longer, but is not shorter");
    CHECK_EQ(IN_CHILD(_exit(prctl(PR_GET_TIMERSLACK) == 7000000 ? 0 : 1)), 0, "fork inherits it");
    CHECK(prctl(PR_SET_TIMERSLACK, 0) == 0 && prctl(PR_GET_TIMERSLACK) == before,
          "0 means the one it began with");
}

CHECK_MAIN(CASE(clocks), CASE(timers), CASE(limit), CASE(sums), CASE(slack))
