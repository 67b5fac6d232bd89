/* SPDX-License-Identifier: MIT */
/*
 * How late timers of run time fire: run under --icount, where an instruction takes a nanosecond and
 * nothing else moves the clock, so that the figures are the same each time.
 *
 * For each kind of timer prints a line: its name, how often it fired, and by how much run time at the
 * most a handler came too late, and too early, in ns. Some of the lines are with another process that
 * wants the processor all the time, or with a second thread.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000LL

static clockid_t watched;
static volatile int fired;
static volatile long long first, period; /* when it is due, on the watched clock */
static volatile long long latest, earliest;

static long long now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000 * MS + t.tv_nsec;
}

static void on_signal(int signal)
{
    long long off = now(watched) - (first + fired * period);
    (void)signal;
    latest = off > latest ? off : latest;
    earliest = off < earliest ? off : earliest;
    fired = fired + 1;
}

static void begin(clockid_t clock, long long after, long long each)
{
    watched = clock;
    fired = 0;
    latest = earliest = 0;
    period = each;
    first = now(clock) + after;
}

static void finish(const char *name, const char *with, int times)
{
    while (fired < times)
        for (volatile int i = 0; i < 100; i++)
            ;
    printf("%s%s fired %d late %lld early %lld\n", name, with, fired, latest, -earliest);
    fflush(stdout);
}

static void interval(int which, int signo, const char *name, const char *with)
{
    struct itimerval off = {}, set = {{0, 7300}, {0, 13100}};
    signal(signo, on_signal);
    begin(CLOCK_PROCESS_CPUTIME_ID, 13100000, 7300000);
    setitimer(which, &set, NULL);
    finish(name, with, 12);
    setitimer(which, &off, NULL);
}

static void posix(clockid_t clock, const char *name, const char *with)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec set = {{0, 2700000}, {0, 9100000}};
    timer_t timer;
    event._sigev_un._tid = gettid();
    signal(SIGUSR1, on_signal);
    timer_create(clock, &event, &timer);
    begin(clock, 9100000, 2700000);
    timer_settime(timer, 0, &set, NULL);
    finish(name, with, 12);
    timer_delete(timer);
}

/* SIGXCPU when the limit is reached, SIGKILL at the hard one. */
static void limit(void)
{
    struct rlimit set = {1, 2};
    struct rusage usage;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CPU, &set);
        signal(SIGXCPU, on_signal);
        begin(CLOCK_PROCESS_CPUTIME_ID, 0, 1000 * MS);
        first = 1000 * MS;
        finish("RLIMIT_CPU", "", 1);
        for (;;)
            ;
    }
    wait4(pid, &status, 0, &usage);
    printf("RLIMIT_CPU/hard fired %d late %lld early 0\n", WTERMSIG(status) == SIGKILL,
           (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec - 2) * 1000 * MS +
               (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL);
    fflush(stdout);
}

static void all(const char *with)
{
    interval(ITIMER_PROF, SIGPROF, "ITIMER_PROF", with);
    interval(ITIMER_VIRTUAL, SIGVTALRM, "ITIMER_VIRTUAL", with);
    posix(CLOCK_PROCESS_CPUTIME_ID, "PROCESS", with);
    posix(CLOCK_THREAD_CPUTIME_ID, "THREAD", with);
}

static void *burn(void *argument)
{
    for (;;)
        ;
    return argument;
}

int main(void)
{
    pthread_t thread;
    pid_t child;
    all("");
    limit();
    child = fork();
    if (child == 0)
        burn(NULL);
    all("+process");
    kill(child, SIGKILL);
    wait(NULL);
    pthread_create(&thread, NULL, burn, NULL);
    posix(CLOCK_PROCESS_CPUTIME_ID, "PROCESS", "+thread");
    posix(CLOCK_THREAD_CPUTIME_ID, "THREAD", "+thread");
    return 0;
}
