/* SPDX-License-Identifier: MIT */
/* timer_create and its relatives: clocks, signals, threads, overruns, what is left, exec, errors. */
#include "check.h"

#define MS 1000000ll

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* The calls themselves: the C library's timer_t is something else. */
static int create(clockid_t clock, struct sigevent *event, int *id)
{
    return syscall(SYS_timer_create, clock, event, id);
}

static int settime(int id, int flags, int64_t value, int64_t interval, struct itimerspec *old)
{
    struct itimerspec new = {{interval / 1000000000, interval % 1000000000},
                             {value / 1000000000, value % 1000000000}};
    return syscall(SYS_timer_settime, id, flags, &new, old);
}

static int64_t left(int id)
{
    struct itimerspec now;
    REQUIRE(syscall(SYS_timer_gettime, id, &now) == 0);
    return now.it_value.tv_sec * 1000000000ll + now.it_value.tv_nsec;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    REQUIRE(clock_gettime(clock, &time) == 0);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/* A timer that sends the (blocked) signal with a value. */
static int make(clockid_t clock, int signal, int value)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal};
    int id = -1;
    event.sigev_value.sival_int = value;
    block_signal(signal);
    REQUIRE(create(clock, &event, &id) == 0);
    return id;
}

/* The next such signal; fails after 20 seconds. */
static siginfo_t take(int signal)
{
    struct timespec limit = {20, 0};
    sigset_t set = set_of(signal);
    siginfo_t info;
    REQUIRE(sigtimedwait(&set, &info, &limit) == signal);
    return info;
}

/* Signals that came too many, e.g. of a timer that is deleted by now. */
static void drop(int signal)
{
    struct timespec none = {0, 0};
    sigset_t set = set_of(signal);
    while (sigtimedwait(&set, NULL, &none) > 0)
        ;
}

static void once(void)
{
    int id = make(CLOCK_MONOTONIC, SIGUSR1, 42);
    int64_t from = clock_ns(CLOCK_MONOTONIC);
    CHECK_EQ(left(id), 0, "it does not run");
    CHECK_EQ(settime(id, 0, 100000 * MS, 0, NULL), 0, "set to 100 s");
    CHECK(left(id) > 0 && left(id) <= 100000 * MS, "less is left");
    from = clock_ns(CLOCK_MONOTONIC);
    REQUIRE(settime(id, 0, 20 * MS, 0, NULL) == 0);
    siginfo_t info = take(SIGUSR1);
    CHECK(clock_ns(CLOCK_MONOTONIC) - from >= 20 * MS, "as long as asked");
    CHECK_EQ(info.si_code, SI_TIMER, "the signal is from a timer");
    CHECK(info.si_value.sival_int == 42 && info.si_overrun == 0, "with its value");
    if (!qemu_user_lacks("and its number"))
        CHECK_EQ(info.si_timerid, id, "and its number");
    CHECK_EQ(left(id), 0, "then it stands still");
    REQUIRE(settime(id, 0, 100000 * MS, 0, NULL) == 0);
    struct itimerspec old;
    CHECK_EQ(settime(id, 0, 0, 1000, &old), 0, "0 stops it");
    CHECK(old.it_value.tv_sec > 0 && old.it_interval.tv_nsec == 0, "the old time is told");
    CHECK_EQ(left(id), 0, "nothing is left");
    CHECK_EQ(syscall(SYS_timer_delete, id), 0, "timer_delete");
    CHECK_FAIL(syscall(SYS_timer_delete, id), EINVAL, "once only");
}

static volatile sig_atomic_t handled;

static void handler(int signal)
{
    (void)signal;
    handled++;
}

static void defaults(void)
{
    int id, other;
    block_signal(SIGALRM);
    CHECK_EQ(create(CLOCK_REALTIME, NULL, &id), 0, "a timer without an event");
    REQUIRE(settime(id, 0, 1 * MS, 0, NULL) == 0);
    siginfo_t info = take(SIGALRM);
    if (!qemu_user_lacks("sends SIGALRM with its number"))
        CHECK_EQ(info.si_value.sival_int, id, "sends SIGALRM with its number");
    CHECK_EQ(create(CLOCK_REALTIME, NULL, &other), 0, "another one");
    CHECK(other != id, "has another number");
    handle_flags(SIGALRM, handler, 0);
    unblock_signal(SIGALRM);
    REQUIRE(settime(id, 0, 1 * MS, 1 * MS, NULL) == 0);
    while (handled < 5)
        pause();
    CHECK(1, "a handler is run at each period");
    CHECK_EQ(IN_CHILD(_exit(syscall(SYS_timer_delete, id) < 0 ? errno : 0)), EINVAL,
             "a child does not have it");
    REQUIRE(syscall(SYS_timer_delete, id) == 0);
}

static void periodic(void)
{
    int id = make(CLOCK_MONOTONIC, SIGRTMIN, 1);
    int64_t from = clock_ns(CLOCK_MONOTONIC), n = 0;
    REQUIRE(settime(id, 0, 5 * MS, 5 * MS, NULL) == 0);
    while (n < 5)
        n += 1 + take(SIGRTMIN).si_overrun;
    CHECK(clock_ns(CLOCK_MONOTONIC) - from >= n * 5 * MS, "a period passes for each expiration");
    usleep(33000);
    siginfo_t info = take(SIGRTMIN);
    CHECK(info.si_overrun >= 5, "those that were missed are counted");
    CHECK_EQ(syscall(SYS_timer_getoverrun, id), info.si_overrun, "timer_getoverrun");
    CHECK(left(id) > 0 && left(id) <= 5 * MS, "it goes on");
    take(SIGRTMIN);
    struct itimerspec now;
    REQUIRE(syscall(SYS_timer_gettime, id, &now) == 0);
    CHECK_EQ(now.it_interval.tv_nsec, 5 * MS, "timer_gettime tells the period");
    usleep(12000);
    CHECK_EQ(settime(id, 0, 0, 0, NULL), 0, "stopped");
    drop(SIGRTMIN);
    usleep(12000);
    CHECK(!is_pending(SIGRTMIN), "no more signals come");
}

static void absolute(void)
{
    static const struct {
        clockid_t clock;
        const char *text;
    } clocks[] = {{CLOCK_REALTIME, "absolute, CLOCK_REALTIME"},
                  {CLOCK_MONOTONIC, "absolute, CLOCK_MONOTONIC"},
                  {CLOCK_BOOTTIME, "absolute, CLOCK_BOOTTIME"},
                  {CLOCK_TAI, "absolute, CLOCK_TAI"}};
    for (unsigned i = 0; i < ARRAY_SIZE(clocks); i++) {
        clockid_t clock = clocks[i].clock;
        int id = make(clock, SIGUSR1, 0);
        int64_t until = clock_ns(clock) + 10 * MS;
        REQUIRE(settime(id, TIMER_ABSTIME, until, 0, NULL) == 0);
        take(SIGUSR1);
        CHECK(clock_ns(clock) >= until, clocks[i].text);
        REQUIRE(settime(id, TIMER_ABSTIME, clock_ns(clock) - 55 * MS, 10 * MS, NULL) == 0);
        CHECK(take(SIGUSR1).si_overrun >= 4, "one that began in the past");
        REQUIRE(syscall(SYS_timer_delete, id) == 0);
        drop(SIGUSR1);
    }
}

static void run_for(int64_t ns, clockid_t clock)
{
    int64_t until = clock_ns(clock) + ns;
    while (clock_ns(clock) < until)
        ;
}

static void run_time(void)
{
    static const clockid_t clocks[] = {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    for (unsigned i = 0; i < ARRAY_SIZE(clocks); i++) {
        int id = make(clocks[i], SIGUSR1, 0);
        int64_t from = clock_ns(clocks[i]);
        /* Long: to a guest, time in which its host does something else is run time. */
        REQUIRE(settime(id, 0, 200 * MS, 0, NULL) == 0);
        CHECK(left(id) > 0 && left(id) <= 200 * MS, "run time is left");
        usleep(210000);
        CHECK(!is_pending(SIGUSR1), "sleeping does not count");
        for (int n = 0; n < 2000 && !is_pending(SIGUSR1); n++)
            run_for(1 * MS, clocks[i]);
        CHECK(is_pending(SIGUSR1), "running does");
        CHECK(clock_ns(clocks[i]) - from >= 200 * MS, "as long as asked");
        take(SIGUSR1);
        REQUIRE(settime(id, 0, 10 * MS, 10 * MS, NULL) == 0);
        for (int n = 0; n < 3; n++) {
            while (!is_pending(SIGUSR1))
                run_for(1 * MS, clocks[i]);
            take(SIGUSR1);
        }
        CHECK(1, "periods of run time");
        REQUIRE(syscall(SYS_timer_delete, id) == 0);
    }
}

static void no_signal(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    int id;
    CHECK_EQ(create(CLOCK_MONOTONIC, &event, &id), 0, "SIGEV_NONE");
    REQUIRE(settime(id, 0, 100000 * MS, 0, NULL) == 0);
    CHECK(left(id) > 0, "time is left");
    REQUIRE(settime(id, 0, 5 * MS, 0, NULL) == 0);
    while (left(id) > 0)
        usleep(1000);
    CHECK(1, "until none is");
    REQUIRE(settime(id, 0, 5 * MS, 1000 * MS, NULL) == 0);
    usleep(8000);
    CHECK(left(id) > 0, "a period goes on");
}

static void one_thread(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID | SIGEV_SIGNAL,
                             .sigev_signo = SIGUSR1};
    int id;
    block_signal(SIGUSR1);
    event.sigev_notify_thread_id = gettid();
    CHECK_EQ(create(CLOCK_MONOTONIC, &event, &id), 0, "SIGEV_THREAD_ID");
    REQUIRE(settime(id, 0, 1 * MS, 0, NULL) == 0);
    CHECK_EQ(take(SIGUSR1).si_code, SI_TIMER, "sends to that thread");
    event.sigev_notify_thread_id = getppid();
    CHECK_FAIL(create(CLOCK_MONOTONIC, &event, &id), EINVAL, "another process's thread");
    event.sigev_notify_thread_id = 0x7ffffff;
    CHECK_FAIL(create(CLOCK_MONOTONIC, &event, &id), EINVAL, "no thread");
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_notify_thread_id = gettid();
    event.sigev_signo = 0;
    CHECK_FAIL(create(CLOCK_MONOTONIC, &event, &id), EINVAL, "no signal");
}

static void ignored(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    int id;
    signal(SIGUSR1, SIG_IGN);
    REQUIRE(create(CLOCK_MONOTONIC, &event, &id) == 0);
    REQUIRE(settime(id, 0, 1 * MS, 1 * MS, NULL) == 0);
    usleep(5000);
    handle_flags(SIGUSR1, handler, 0);
    handled = 0;
    while (handled < 3)
        usleep(1000);
    CHECK(1, "a timer whose signal is ignored goes on");
}

static void many(void)
{
    int ids[100], seen[100] = {0}, good = 0;
    if (qemu_user_lacks("a hundred timers")) /* it has 32 */
        return;
    for (int i = 0; i < 100; i++) {
        ids[i] = make(CLOCK_MONOTONIC, SIGRTMIN + 1, i);
        REQUIRE(settime(ids[i], 0, (100 - i) * MS / 5, 0, NULL) == 0);
    }
    for (int i = 0; i < 100; i++)
        seen[take(SIGRTMIN + 1).si_value.sival_int]++;
    for (int i = 0; i < 100; i++)
        good += seen[i] == 1;
    CHECK_EQ(good, 100, "a hundred timers");
    for (int i = 0; i < 100; i++)
        REQUIRE(settime(ids[i], 0, MS / 10, MS / 10, NULL) == 0);
    good = 0;
    for (int i = 0; i < 100; i += 2)
        good += syscall(SYS_timer_delete, ids[i]) == 0;
    CHECK_EQ(good, 50, "half of them deleted while they run");
    for (int i = 0; i < 200; i++)
        take(SIGRTMIN + 1);
    CHECK_EQ(IN_CHILD({
                 for (int i = 0; i < 20; i++)
                     REQUIRE(settime(make(CLOCK_MONOTONIC, SIGRTMIN + 1, i), 0, MS / 10, MS / 10,
                                     NULL) == 0);
                 usleep(2000);
             }),
             0, "a process that ends with timers");
}

static void exec_ends_them(void)
{
    if (!can_exec_self()) {
        SKIP("timers do not outlive exec", "no programs of this machine here");
        return;
    }
    CHECK_EQ(IN_CHILD({
                 struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM};
                 char *argv[] = {"self", "--sleep", NULL};
                 int id;
                 REQUIRE(create(CLOCK_MONOTONIC, &event, &id) == 0);
                 REQUIRE(settime(id, 0, 1000 * MS, 1 * MS, NULL) == 0);
                 execv(check_state->self, argv);
             }),
             0, "timers do not outlive exec");
}

/* The process ends on one processor while its timer goes off, and is to go on, on another. */
static void process_ends(void)
{
    struct itimerval each = {{0, 200}, {0, 200}};
    int bad = 0;
    for (int i = 0; i < 100; i++)
        bad += IN_CHILD({
                   cpu_set_t first, other;
                   CPU_ZERO(&first);
                   CPU_ZERO(&other);
                   CPU_SET(0, &first);
                   CPU_SET(1, &other);
                   signal(SIGALRM, SIG_IGN);
                   sched_setaffinity(0, sizeof(first), &first);
                   setitimer(ITIMER_REAL, &each, NULL);
                   sched_setaffinity(0, sizeof(other), &other);
                   for (volatile int spin = i * 60; spin > 0; spin--)
                       ;
                   _exit(0);
               }) != 0;
    CHECK_EQ(bad, 0, "100 processes ended while their timers went off");
}

static void errors(void)
{
    struct sigevent event = {.sigev_notify = 77, .sigev_signo = SIGUSR1};
    struct itimerspec bad = {{0, 0}, {0, 1000000000}};
    int id, fresh;
    REQUIRE(create(CLOCK_MONOTONIC, NULL, &id) == 0);
    CHECK_FAIL(create(99, NULL, &fresh), EINVAL, "no clock");
    CHECK_FAIL(create(CLOCK_MONOTONIC, &event, &fresh), EINVAL, "no such notification");
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = 65;
    CHECK_FAIL(create(CLOCK_MONOTONIC, &event, &fresh), EINVAL, "no such signal");
    if (!check_state->qemu_user) {
        CHECK_FAIL(create(CLOCK_MONOTONIC_COARSE, NULL, &fresh), EOPNOTSUPP, "a coarse clock");
        CHECK_FAIL(create(CLOCK_MONOTONIC, unmapped_page(), &fresh), EFAULT, "a bad event");
        CHECK_FAIL(create(CLOCK_MONOTONIC, NULL, unmapped_page()), EFAULT, "nowhere to put it");
        CHECK_FAIL(syscall(SYS_timer_settime, id, 0, &bad, NULL), EINVAL, "a bad time");
    } else {
        SKIP("EFAULT and EOPNOTSUPP", "not under qemu-user");
    }
    bad = (struct itimerspec){{0, 0}, {1, 0}};
    CHECK_FAIL(syscall(SYS_timer_settime, id, 0, NULL, NULL), EINVAL, "no time");
    CHECK_FAIL(syscall(SYS_timer_settime, 4711, 0, &bad, NULL), EINVAL, "no timer to set");
    CHECK_FAIL(syscall(SYS_timer_gettime, 4711, &bad), EINVAL, "none to ask");
    CHECK_FAIL(syscall(SYS_timer_getoverrun, 4711), EINVAL, "none that overran");
    CHECK_FAIL(syscall(SYS_timer_delete, 4711), EINVAL, "none to delete");
    CHECK_FAIL(syscall(SYS_timer_gettime, id, unmapped_page()), EFAULT, "nowhere to tell");
    if (geteuid() == 0)
        CHECK_EQ(IN_CHILD(become_user(1000);
                          _exit(create(CLOCK_BOOTTIME_ALARM, NULL, &fresh) < 0 ? errno : 0)) != 0,
                 1, "alarm clocks are not for everybody");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(once),         CASE(defaults),   CASE(periodic), CASE(absolute), CASE(run_time),
        CASE(no_signal),    CASE(one_thread), CASE(ignored),  CASE(many),     CASE(exec_ends_them),
        CASE(process_ends), CASE(errors),     {NULL, NULL}};
    if (argc > 1 && !strcmp(argv[1], "--sleep")) {
        usleep(1200000);
        return 0;
    }
    if (argc > 1)
        return 0;
    return check_run(cases);
}
