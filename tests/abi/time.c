/* SPDX-License-Identifier: MIT */
/* Clocks, sleeping, interval timers. Only lower bounds are checked: the machine may be slow. */
#include "check.h"

#include <sys/resource.h>
#include <sys/times.h>

static int64_t now(clockid_t clock)
{
    struct timespec time;
    REQUIRE(clock_gettime(clock, &time) == 0);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static int64_t now_by_call(clockid_t clock)
{
    struct timespec time;
    REQUIRE(syscall(SYS_clock_gettime, clock, &time) == 0);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void clocks(void)
{
    static const struct {
        clockid_t id;
        const char *name;
    } ids[] = {
        {CLOCK_REALTIME, "CLOCK_REALTIME"},
        {CLOCK_MONOTONIC, "CLOCK_MONOTONIC"},
        {CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW"},
        {CLOCK_REALTIME_COARSE, "CLOCK_REALTIME_COARSE"},
        {CLOCK_MONOTONIC_COARSE, "CLOCK_MONOTONIC_COARSE"},
        {CLOCK_BOOTTIME, "CLOCK_BOOTTIME"},
        {CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID"},
        {CLOCK_THREAD_CPUTIME_ID, "CLOCK_THREAD_CPUTIME_ID"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        int ok = 1;
        int64_t last = now(ids[i].id), next;
        for (int j = 0; j < 1000; j++) {
            next = j & 1 ? now(ids[i].id) : now_by_call(ids[i].id);
            ok &= next >= last;
            last = next;
        }
        CHECK(ok, ids[i].name);
    }
    struct timespec time;
    CHECK_FAIL(syscall(SYS_clock_gettime, 99, &time), EINVAL, "an unknown clock");
    CHECK_FAIL(clock_gettime(99, &time), EINVAL, "also through the C library");
    CHECK_EQ(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time), 0, "the call itself");
    CHECK(time.tv_nsec >= 0 && time.tv_nsec < 1000000000, "nanoseconds are below a second");
}

static void two_ways(void)
{
    /* The clock read without a system call and the one read with it are the same. */
    int ok = 1;
    for (int i = 0; i < 2000; i++) {
        int64_t a = now(CLOCK_MONOTONIC), b = now_by_call(CLOCK_MONOTONIC),
                c = now(CLOCK_MONOTONIC);
        ok &= a <= b && b <= c;
    }
    CHECK(ok, "the fast clock and the system call agree, monotonic");
    ok = 1;
    for (int i = 0; i < 2000; i++) {
        int64_t a = now(CLOCK_REALTIME), b = now_by_call(CLOCK_REALTIME), c = now(CLOCK_REALTIME);
        ok &= a <= b && b <= c;
    }
    CHECK(ok, "and real time");
    int64_t from = now(CLOCK_MONOTONIC);
    while (now(CLOCK_MONOTONIC) == from)
        ;
    CHECK(now(CLOCK_MONOTONIC) > from, "time goes on");
    struct timeval day;
    CHECK_EQ(gettimeofday(&day, NULL), 0, "gettimeofday");
    int64_t real = now(CLOCK_REALTIME) / 1000000000;
    CHECK(real - day.tv_sec >= 0 && real - day.tv_sec < 100, "tells the same time");
    CHECK(labs(time(NULL) - real) < 100, "so does time()");
    CHECK(now(CLOCK_BOOTTIME) >= now(CLOCK_MONOTONIC) - 1000000000ll, "time since boot");
}

static void on_all_processors(void)
{
    /* Passing the time round between processors it never goes back. */
    volatile int64_t *last = share_pages(4096);
    cpu_set_t all;
    int backwards = 0, processors = 0;
    REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
    for (int round = 0; round < 20; round++) {
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            cpu_set_t one;
            if (!CPU_ISSET(cpu, &all))
                continue;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
            int64_t time = now(CLOCK_MONOTONIC);
            backwards += time < *last;
            *last = time;
            processors += round == 0;
        }
    }
    CHECK_EQ(backwards, 0, "going from processor to processor time never goes back");
    CHECK(processors >= 1, "there is a processor");
}

static void resolution(void)
{
    struct timespec time = {-1, -1};
    CHECK_EQ(clock_getres(CLOCK_MONOTONIC, &time), 0, "clock_getres");
    CHECK(time.tv_sec == 0 && time.tv_nsec == 1, "the resolution is a nanosecond");
    CHECK(clock_getres(CLOCK_REALTIME, &time) == 0 && time.tv_nsec == 1, "of real time too");
    CHECK(clock_getres(CLOCK_MONOTONIC_COARSE, &time) == 0 && time.tv_nsec >= 1000000 &&
              time.tv_nsec <= 10000000,
          "that of a coarse clock is a tick");
    if (!qemu_user_lacks("clock_getres without a structure"))
        CHECK_EQ(syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL), 0, "without a structure");
    CHECK_FAIL(clock_getres(99, &time), EINVAL, "an unknown clock");
}

static void setting(void)
{
    NEED_ROOT();
    struct timespec time, bad = {5, 1000000000};
    REQUIRE(clock_gettime(CLOCK_REALTIME, &time) == 0);
    CHECK_EQ(
        IN_CHILD(become_user(1000); _exit(clock_settime(CLOCK_REALTIME, &time) < 0 ? errno : 0)),
        EPERM, "a user may not set the clock");
    CHECK_FAIL(clock_settime(CLOCK_MONOTONIC, &time), EINVAL, "the monotonic clock cannot be set");
    CHECK_FAIL(clock_settime(CLOCK_REALTIME, &bad), EINVAL, "too many nanoseconds");
}

static void sleeping(void)
{
    struct timespec time = {0, 20000000}, left = {5, 5};
    int64_t from = now(CLOCK_MONOTONIC);
    CHECK_EQ(nanosleep(&time, &left), 0, "nanosleep");
    CHECK(now(CLOCK_MONOTONIC) - from >= 20000000, "lasts at least as long as asked");
    CHECK(left.tv_sec == 5 && left.tv_nsec == 5, "and leaves the time left alone");
    from = now(CLOCK_MONOTONIC);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL), 0, "clock_nanosleep");
    CHECK(now(CLOCK_MONOTONIC) - from >= 20000000, "lasts as long");
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += 20000000;
    if (time.tv_nsec >= 1000000000)
        time.tv_nsec -= 1000000000, time.tv_sec++;
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL), 0, "until a time");
    CHECK(now(CLOCK_MONOTONIC) >= time.tv_sec * 1000000000ll + time.tv_nsec, "which has come");
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL), 0,
             "a time that is past");
    clock_gettime(CLOCK_REALTIME, &time);
    CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &time, NULL), 0, "by the real clock");
    time = (struct timespec){0, 0};
    CHECK_EQ(nanosleep(&time, NULL), 0, "a sleep of no time");
    time.tv_nsec = 1000000000;
    CHECK_FAIL(nanosleep(&time, NULL), EINVAL, "too many nanoseconds");
    time = (struct timespec){-1, 0};
    CHECK_FAIL(nanosleep(&time, NULL), EINVAL, "a negative time");
    time = (struct timespec){0, 1};
    CHECK_EQ(clock_nanosleep(99, 0, &time, NULL), EINVAL, "an unknown clock");
    CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &time, NULL), EINVAL,
             "the own thread's processor time");
}

static volatile int count;

static void counter(int signal)
{
    (void)signal;
    count++;
}

static void alarms(void)
{
    handle_flags(SIGALRM, counter, 0);
    CHECK_EQ(alarm(100), 0, "alarm without an earlier one");
    unsigned left = alarm(50);
    CHECK(left > 0 && left <= 100, "a second one tells what was left");
    left = alarm(0);
    CHECK(left > 0 && left <= 50, "alarm(0) takes it away");
    CHECK_EQ(alarm(0), 0, "then there is none");
    int64_t from = now(CLOCK_MONOTONIC);
    sigset_t none, old;
    sigemptyset(&none);
    block_signal(SIGALRM);
    alarm(1);
    sigsuspend(&none);
    CHECK(count == 1 && now(CLOCK_MONOTONIC) - from >= 1000000000, "an alarm of a second");
    sigprocmask(SIG_BLOCK, NULL, &old);
    CHECK_EQ(alarm(0), 0, "it is gone after it");
}

static void real_timer(void)
{
    struct itimerval timer = {{0, 5000}, {0, 10000}}, old;
    handle_flags(SIGALRM, counter, 0);
    int64_t from = now(CLOCK_MONOTONIC);
    CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0, "setitimer ITIMER_REAL");
    while (count < 5)
        pause();
    CHECK(now(CLOCK_MONOTONIC) - from >= 10000000 + 4 * 5000000, "five periods have passed");
    CHECK_EQ(getitimer(ITIMER_REAL, &old), 0, "getitimer");
    CHECK(old.it_interval.tv_usec == 5000 && old.it_value.tv_sec == 0 &&
              old.it_value.tv_usec <= 5000 + 1,
          "tells the interval and what is left");
    timer = (struct itimerval){{0, 0}, {100, 0}};
    CHECK_EQ(setitimer(ITIMER_REAL, &timer, &old), 0, "a new setting");
    CHECK_EQ(old.it_interval.tv_usec, 5000, "tells the old one");
    unsigned left = alarm(0);
    CHECK(left > 50 && left <= 100, "alarm and ITIMER_REAL are one timer");
    getitimer(ITIMER_REAL, &old);
    CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0, "which is off");
    timer.it_value.tv_usec = 1000000;
    CHECK_FAIL(setitimer(ITIMER_REAL, &timer, NULL), EINVAL, "too many microseconds");
    CHECK_FAIL(setitimer(77, &timer, NULL), EINVAL, "an unknown timer");
    CHECK_FAIL(getitimer(77, &old), EINVAL, "also asked for");
    count = 0;
    timer = (struct itimerval){{0, 0}, {0, 1}};
    setitimer(ITIMER_REAL, &timer, NULL);
    while (!count)
        sched_yield();
    getitimer(ITIMER_REAL, &old);
    CHECK(old.it_value.tv_usec == 0 && count == 1, "without an interval it fires once");
}

static void processor_timers(void)
{
    struct itimerval timer = {{0, 20000}, {0, 20000}}, off = {{0, 0}, {0, 0}}, left;
    handle_flags(SIGVTALRM, counter, 0);
    handle_flags(SIGPROF, counter, 0);
    int64_t from = now(CLOCK_PROCESS_CPUTIME_ID);
    CHECK_EQ(setitimer(ITIMER_VIRTUAL, &timer, NULL), 0, "setitimer ITIMER_VIRTUAL");
    while (count < 3)
        ;
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    CHECK(now(CLOCK_PROCESS_CPUTIME_ID) - from >= 30000000, "fires by the time the process runs");
    count = 0;
    from = now(CLOCK_PROCESS_CPUTIME_ID);
    CHECK_EQ(setitimer(ITIMER_PROF, &timer, NULL), 0, "setitimer ITIMER_PROF");
    while (count < 3)
        getppid();
    setitimer(ITIMER_PROF, &off, NULL);
    CHECK(now(CLOCK_PROCESS_CPUTIME_ID) - from >= 30000000, "counts time in the kernel too");
    timer = (struct itimerval){{0, 0}, {0, 50000}};
    setitimer(ITIMER_VIRTUAL, &timer, NULL);
    count = 0;
    struct timespec sleep = {0, 100000000};
    nanosleep(&sleep, NULL);
    CHECK_EQ(count, 0, "ITIMER_VIRTUAL stands while the process sleeps");
    getitimer(ITIMER_VIRTUAL, &left);
    CHECK(left.it_value.tv_usec > 0, "and has time left");
}

static void processor_time(void)
{
    struct tms before, after;
    struct rusage usage;
    int64_t from = now(CLOCK_PROCESS_CPUTIME_ID);
    CHECK(times(&before) > 0, "times");
    while (now(CLOCK_PROCESS_CPUTIME_ID) - from < 60000000)
        ;
    times(&after);
    CHECK(after.tms_utime + after.tms_stime - before.tms_utime - before.tms_stime >= 4,
          "times counts the processor's time in ticks of 10 ms");
    getrusage(RUSAGE_SELF, &usage);
    int64_t used = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000ll +
                   usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    CHECK(used >= 50000, "so does getrusage, in microseconds");
    from = now(CLOCK_PROCESS_CPUTIME_ID);
    int64_t real = now(CLOCK_MONOTONIC);
    struct timespec sleep = {0, 100000000};
    nanosleep(&sleep, NULL);
    int64_t slept = now(CLOCK_MONOTONIC) - real, ran = now(CLOCK_PROCESS_CPUTIME_ID) - from;
    CHECK(ran < slept, "sleeping costs no processor time");
    int64_t children = IN_CHILD(int64_t start = now(CLOCK_PROCESS_CPUTIME_ID);
                                while (now(CLOCK_PROCESS_CPUTIME_ID) - start < 60000000));
    CHECK_EQ(children, 0, "a child's time starts at zero and counts its own");
    times(&after);
    CHECK(after.tms_cutime + after.tms_cstime >= 4, "when waited for it is added to its parent's");
}

CHECK_MAIN(CASE(clocks), CASE(two_ways), CASE(on_all_processors), CASE(resolution), CASE(setting),
           CASE(sleeping), CASE(alarms), CASE(real_timer), CASE(processor_timers),
           CASE(processor_time))
