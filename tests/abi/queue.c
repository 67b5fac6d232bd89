/* SPDX-License-Identifier: MIT */
/* Real-time signals: queued, in order, with values; sigwaitinfo and sigtimedwait. */
#include "check.h"

#include <sys/resource.h>

static struct {
    int signal, code, value;
} seen[200];
static volatile int count;

static void record(int signal, siginfo_t *info, void *context)
{
    (void)context;
    if (count < (int)ARRAY_SIZE(seen)) {
        seen[count].signal = signal;
        seen[count].code = info->si_code;
        seen[count].value = info->si_value.sival_int;
    }
    count++;
}

static void catch_all_blocked(void)
{
    struct sigaction action = {.sa_sigaction = record, .sa_flags = SA_SIGINFO};
    sigset_t set;
    sigfillset(&action.sa_mask);
    sigemptyset(&set);
    for (int signal = SIGRTMIN; signal <= SIGRTMIN + 3; signal++) {
        REQUIRE(sigaction(signal, &action, NULL) == 0);
        sigaddset(&set, signal);
    }
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    sigaddset(&set, SIGUSR1);
    REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

static void unblock_all(void)
{
    sigset_t set;
    sigemptyset(&set);
    REQUIRE(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
}

static int queue(pid_t pid, int signal, int value)
{
    return sigqueue(pid, signal, (union sigval){.sival_int = value});
}

static void queued_in_order(void)
{
    catch_all_blocked();
    for (int i = 0; i < 100; i++)
        REQUIRE(queue(getpid(), SIGRTMIN, i) == 0);
    CHECK(is_pending(SIGRTMIN), "a hundred are pending");
    unblock_all();
    CHECK_EQ(count, 100, "all of them are delivered");
    int right = 1;
    for (int i = 0; i < 100; i++)
        right &= seen[i].signal == SIGRTMIN && seen[i].value == i && seen[i].code == SI_QUEUE;
    CHECK(right, "in the order in which they were sent, each with its value");
    CHECK(!is_pending(SIGRTMIN), "none is left");
}

static void lowest_first(void)
{
    if (qemu_user_lacks("order of several signals"))
        return;
    catch_all_blocked();
    for (int i = 0; i < 3; i++) {
        queue(getpid(), SIGRTMIN + 2, i);
        queue(getpid(), SIGRTMIN + 1, 10 + i);
    }
    queue(getpid(), SIGUSR1, 20);
    queue(getpid(), SIGUSR1, 21);
    /* sigwaitinfo takes them in the order in which they would be delivered. */
    sigset_t set;
    siginfo_t info;
    sigfillset(&set);
    CHECK(sigwaitinfo(&set, &info) == SIGUSR1 && info.si_value.sival_int == 20,
          "a standard signal comes before real-time ones");
    for (int i = 0; i < 3; i++)
        CHECK(sigwaitinfo(&set, &info) == SIGRTMIN + 1 && info.si_value.sival_int == 10 + i,
              "the lowest number comes first");
    for (int i = 0; i < 3; i++)
        CHECK(sigwaitinfo(&set, &info) == SIGRTMIN + 2 && info.si_value.sival_int == i,
              "then the next");
    struct timespec none = {0, 0};
    CHECK_FAIL(sigtimedwait(&set, &info, &none), EAGAIN, "a standard signal is queued only once");
}

static void from_other_processes(void)
{
    catch_all_blocked();
    pid_t parent = getpid();
    for (int i = 0; i < 4; i++)
        REQUIRE(IN_CHILD(for (int j = 0; j < 10; j++) queue(parent, SIGRTMIN, i * 10 + j)) == 0);
    CHECK_EQ(IN_CHILD(_exit(is_pending(SIGRTMIN))), 0, "a child does not inherit queued signals");
    unblock_all();
    int right = count == 40;
    for (int i = 0; i < 40; i++)
        right &= seen[i].value == i;
    CHECK(right, "those of four processes arrive in order");
}

static void wait_for_signals(void)
{
    catch_all_blocked();
    sigset_t set = set_of(SIGRTMIN);
    siginfo_t info;
    struct timespec none = {0, 0}, soon = {0, 20000000}, bad = {0, 1000000000}, past = {-1, 0};
    CHECK_FAIL(sigtimedwait(&set, &info, &none), EAGAIN, "a zero time-out with nothing pending");
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    CHECK_FAIL(sigtimedwait(&set, &info, &soon), EAGAIN, "a time-out of 20 ms");
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK((after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec >= 20000000,
          "has lasted as long");
    CHECK_FAIL(sigtimedwait(&set, &info, &bad), EINVAL, "too many nanoseconds");
    CHECK_FAIL(sigtimedwait(&set, &info, &past), EINVAL, "a negative time-out");
    queue(getpid(), SIGRTMIN, 77);
    CHECK_EQ(sigtimedwait(&set, &info, &soon), SIGRTMIN, "a pending signal is taken");
    CHECK(info.si_code == SI_QUEUE && info.si_value.sival_int == 77 && info.si_pid == getpid(),
          "with what was sent");
    CHECK_EQ(count, 0, "and its handler does not run");
    pid_t parent = getpid();
    pid_t child = CHILD(await_state(parent, "S"); queue(parent, SIGRTMIN, 78));
    CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_value.sival_int == 78 &&
              info.si_pid == child,
          "sigwaitinfo waits for one from another process");
    end_of(child);
    int number = 0;
    raise(SIGUSR1);
    set = set_of(SIGUSR1);
    CHECK(sigwait(&set, &number) == 0 && number == SIGUSR1, "sigwait");
    CHECK_FAIL(syscall(SYS_rt_sigtimedwait, 8, NULL, NULL, 8), EFAULT, "a bad pointer");
    CHECK_FAIL(syscall(SYS_rt_sigtimedwait, &set, NULL, &none, 4), EINVAL, "a wrong size");
}

static void interrupted_wait(void)
{
    sigset_t set = set_of(SIGRTMIN);
    catch_all_blocked();
    unblock_signal(SIGUSR1);
    handle_info(SIGUSR1, record, SA_RESTART);
    pid_t parent = getpid();
    pid_t child = CHILD(await_state(parent, "S"); kill(parent, SIGUSR1));
    CHECK_FAIL(sigwaitinfo(&set, NULL), EINTR, "another signal's handler interrupts sigwaitinfo");
    end_of(child);
    CHECK_EQ(count, 1, "it has run");
}

static void kill_is_not_waited_for(void)
{
    CHECK_EQ(IN_CHILD({
                 sigset_t set;
                 sigfillset(&set);
                 pid_t self = getpid();
                 CHILD(await_state(self, "S"); kill(self, SIGKILL));
                 sigwaitinfo(&set, NULL);
             }),
             128 + SIGKILL, "SIGKILL cannot be waited for");
}

static void queue_errors(void)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    CHECK_FAIL(queue(getpid(), 65, 0), EINVAL, "a bad signal");
    CHECK_FAIL(queue(1 << 28, SIGUSR1, 0), ESRCH, "an unknown process");
    CHECK_EQ(queue(getpid(), 0, 0), 0, "signal 0 asks whether it may be sent");
    info.si_code = SI_USER;
    pid_t parent = getpid();
    if (!qemu_user_lacks("forged information")) {
        CHECK_EQ(
            IN_CHILD(_exit(syscall(SYS_rt_sigqueueinfo, parent, SIGUSR1, &info) < 0 ? errno : 0)),
            EPERM, "a process cannot pretend to be kill towards another");
        info.si_code = 5;
        CHECK_EQ(
            IN_CHILD(_exit(syscall(SYS_rt_sigqueueinfo, parent, SIGUSR1, &info) < 0 ? errno : 0)),
            EPERM, "nor to be the kernel");
        CHECK_FAIL(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, 8), EFAULT, "a bad pointer");
    }
}

static void queue_limit(void)
{
    if (qemu_user_lacks("limit of queued signals"))
        return;
    catch_all_blocked();
    struct rlimit limit = {10, 10};
    NEED_ROOT();
    /* A user that nobody else is, so that the count is ours alone. */
    CHECK_EQ(IN_CHILD({
                 setresuid(54321, 54321, 54321);
                 setrlimit(RLIMIT_SIGPENDING, &limit);
                 int n = 0;
                 while (n < 100 && queue(getpid(), SIGRTMIN, n) == 0)
                     n++;
                 _exit(n == 10 && errno == EAGAIN ? 0 : 1);
             }),
             0, "RLIMIT_SIGPENDING limits the queue: EAGAIN");
    CHECK_EQ(IN_CHILD({
                 setresuid(54322, 54322, 54322);
                 setrlimit(RLIMIT_SIGPENDING, &limit);
                 while (queue(getpid(), SIGRTMIN, 0) == 0)
                     ;
                 _exit(kill(getpid(), SIGUSR1) == 0 && is_pending(SIGUSR1) ? 0 : 1);
             }),
             0, "kill works even then");
}

static void targets_one_thread(void)
{
    catch_all_blocked();
    CHECK_EQ(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1), 0, "tgkill");
    CHECK(is_pending(SIGUSR1), "is pending");
    unblock_all();
    CHECK_EQ(seen[0].code, SI_TKILL, "with SI_TKILL");
    CHECK_EQ(syscall(SYS_tkill, gettid(), 0), 0, "tkill with signal 0");
    CHECK_FAIL(syscall(SYS_tgkill, getpid(), 1 << 28, SIGUSR1), ESRCH, "an unknown thread");
    CHECK_FAIL(syscall(SYS_tgkill, getppid(), gettid(), SIGUSR1), ESRCH,
               "a thread of another process");
    CHECK_FAIL(syscall(SYS_tgkill, 0, gettid(), SIGUSR1), EINVAL, "process 0");
    CHECK_FAIL(syscall(SYS_tgkill, getpid(), -1, SIGUSR1), EINVAL, "thread -1");
    CHECK_FAIL(syscall(SYS_tkill, 0, SIGUSR1), EINVAL, "tkill of thread 0");
}

CHECK_MAIN(CASE(queued_in_order), CASE(lowest_first), CASE(from_other_processes),
           CASE(wait_for_signals), CASE(interrupted_wait), CASE(kill_is_not_waited_for),
           CASE(queue_errors), CASE(queue_limit), CASE(targets_one_thread))
