/* SPDX-License-Identifier: MIT */
/* sigaction and delivery: flags, masks, pending signals, what a handler is told. */
#include "check.h"

#include <setjmp.h>
#include <ucontext.h>

static volatile int count, last, depth, deepest;
static volatile siginfo_t told;

static void counter(int signal)
{
    count++;
    last = signal;
}

static void keep_info(int signal, siginfo_t *info, void *context)
{
    (void)context;
    last = signal;
    memcpy((void *)&told, info, sizeof(told));
}

static void delivery(void)
{
    handle_flags(SIGUSR1, counter, 0);
    CHECK_EQ(raise(SIGUSR1), 0, "raise");
    CHECK(count == 1 && last == SIGUSR1, "the handler has run when raise returns");
    CHECK_EQ(kill(getpid(), SIGUSR1), 0, "kill of the own process");
    CHECK_EQ(count, 2, "the handler has run when kill returns");
    block_signal(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(count, 2, "a blocked signal is not delivered");
    CHECK(is_pending(SIGUSR1), "but pending");
    unblock_signal(SIGUSR1);
    CHECK_EQ(count, 3, "when unblocked it is delivered, once however often sent");
    CHECK(!is_pending(SIGUSR1), "and pending no more");
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    CHECK_EQ(count, 3, "an ignored signal is dropped");
    block_signal(SIGUSR1);
    raise(SIGUSR1);
    handle_flags(SIGUSR1, counter, 0);
    unblock_signal(SIGUSR1);
    CHECK(count == 3 || count == 4, "ignored and blocked: either kept or dropped");
    count = 0;
    block_signal(SIGUSR2);
    raise(SIGUSR2);
    signal(SIGUSR2, SIG_IGN);
    CHECK(!is_pending(SIGUSR2), "setting SIG_IGN drops a pending signal");
}

static void queries(void)
{
    struct sigaction action = {.sa_handler = counter, .sa_flags = SA_RESTART}, old;
    sigaddset(&action.sa_mask, SIGHUP);
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0, "sigaction sets");
    CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0, "sigaction asks");
    CHECK(old.sa_handler == counter && (old.sa_flags & SA_RESTART), "handler and flags are told");
    CHECK(sigismember(&old.sa_mask, SIGHUP) && !sigismember(&old.sa_mask, SIGINT),
          "so is the mask");
    action.sa_handler = SIG_DFL;
    CHECK_FAIL(sigaction(SIGKILL, &action, NULL), EINVAL, "SIGKILL cannot be changed");
    CHECK_FAIL(sigaction(SIGSTOP, &action, NULL), EINVAL, "nor can SIGSTOP");
    CHECK_EQ(sigaction(SIGKILL, NULL, &old), 0, "but asked for");
    CHECK_FAIL(sigaction(0, NULL, &old), EINVAL, "there is no signal 0");
    CHECK_FAIL(sigaction(65, NULL, &old), EINVAL, "and none above 64");
    CHECK_FAIL(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL,
               "a wrong size of the set");
    CHECK_FAIL(syscall(SYS_rt_sigaction, SIGUSR1, 8, NULL, 8), EFAULT, "a bad pointer");
}

static void masks(void)
{
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGKILL);
    sigaddset(&set, SIGSTOP);
    CHECK_EQ(sigprocmask(SIG_SETMASK, &set, NULL), 0, "sigprocmask SIG_SETMASK");
    sigprocmask(SIG_BLOCK, NULL, &old);
    CHECK(sigismember(&old, SIGINT), "the signal is in the mask");
    CHECK(!sigismember(&old, SIGKILL) && !sigismember(&old, SIGSTOP),
          "SIGKILL and SIGSTOP are never in it");
    set = set_of(SIGHUP);
    sigprocmask(SIG_BLOCK, &set, &old);
    CHECK(sigismember(&old, SIGINT) && !sigismember(&old, SIGHUP), "the old mask is told");
    sigprocmask(SIG_BLOCK, NULL, &old);
    CHECK(sigismember(&old, SIGINT) && sigismember(&old, SIGHUP), "SIG_BLOCK adds");
    set = set_of(SIGINT);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, NULL, &old);
    CHECK(!sigismember(&old, SIGINT) && sigismember(&old, SIGHUP), "SIG_UNBLOCK takes away");
    CHECK_FAIL(sigprocmask(77, &set, NULL), EINVAL, "an unknown operation");
    CHECK_FAIL(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4), EINVAL, "a wrong size");
    CHECK_FAIL(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 8, NULL, 8), EFAULT, "a bad pointer");
}

static void nested(int signal)
{
    depth++;
    deepest = depth > deepest ? depth : deepest;
    if (count++ < 2)
        raise(signal);
    depth--;
}

static volatile int blocked_inside;

static void look_at_mask(int signal)
{
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    blocked_inside = sigismember(&set, signal) | sigismember(&set, SIGHUP) << 1;
}

static void handler_masks(void)
{
    sigset_t after;
    handle_flags(SIGUSR1, nested, 0);
    raise(SIGUSR1);
    CHECK(count == 3 && deepest == 1, "a signal is blocked while its handler runs");
    count = depth = deepest = 0;
    handle_flags(SIGUSR1, nested, SA_NODEFER);
    raise(SIGUSR1);
    CHECK(count == 3 && deepest == 3, "with SA_NODEFER it is not");
    if (qemu_user_lacks("sa_mask"))
        return;
    struct sigaction action = {.sa_handler = look_at_mask};
    sigaddset(&action.sa_mask, SIGHUP);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    CHECK_EQ(blocked_inside, 3, "in the handler the signal and sa_mask are blocked");
    sigprocmask(SIG_BLOCK, NULL, &after);
    CHECK(!sigismember(&after, SIGUSR1) && !sigismember(&after, SIGHUP),
          "after it the mask is as before");
    action.sa_flags = SA_NODEFER;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    CHECK_EQ(blocked_inside, 2, "SA_NODEFER leaves sa_mask in force");
}

static void reset_handler(void)
{
    struct sigaction old;
    handle_flags(SIGUSR1, counter, SA_RESETHAND);
    raise(SIGUSR1);
    CHECK_EQ(count, 1, "SA_RESETHAND: the handler runs once");
    sigaction(SIGUSR1, NULL, &old);
    CHECK(old.sa_handler == SIG_DFL, "then the action is the default");
    CHECK_EQ(IN_CHILD(raise(SIGUSR1)), 128 + SIGUSR1, "which ends the process");
    handle_flags(SIGUSR1, nested, SA_RESETHAND | SA_NODEFER);
    count = 5;
    raise(SIGUSR1);
    CHECK_EQ(count, 6, "SA_RESETHAND with SA_NODEFER");
}

static void information(void)
{
    handle_info(SIGUSR1, keep_info, 0);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(told.si_signo, SIGUSR1, "si_signo");
    CHECK_EQ(told.si_code, SI_USER, "si_code of kill is SI_USER");
    CHECK(told.si_pid == getpid() && told.si_uid == getuid(), "si_pid and si_uid of the sender");
    raise(SIGUSR1);
    CHECK_EQ(told.si_code, SI_TKILL, "si_code of tgkill is SI_TKILL");
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 1234});
    CHECK_EQ(told.si_code, SI_QUEUE, "si_code of sigqueue is SI_QUEUE");
    CHECK_EQ(told.si_value.sival_int, 1234, "with the value");
    pid_t child = CHILD(kill(getppid(), SIGUSR1));
    end_of(child);
    CHECK(told.si_pid == child && told.si_code == SI_USER, "the sender may be another process");
    handle_info(SIGCHLD, keep_info, 0);
    child = CHILD(_exit(23));
    end_of(child);
    CHECK(told.si_signo == SIGCHLD && told.si_pid == child, "SIGCHLD tells the child");
    CHECK(told.si_code == CLD_EXITED && told.si_status == 23, "CLD_EXITED and the status");
    child = CHILD(raise(SIGTERM));
    end_of(child);
    CHECK(told.si_code == CLD_KILLED && told.si_status == SIGTERM, "CLD_KILLED and the signal");
    handle_info(SIGALRM, keep_info, 0);
    struct itimerval timer = {.it_value.tv_usec = 1000};
    block_signal(SIGALRM);
    setitimer(ITIMER_REAL, &timer, NULL);
    while (!is_pending(SIGALRM))
        sched_yield();
    unblock_signal(SIGALRM);
    CHECK(last == SIGALRM && told.si_code == SI_KERNEL, "SIGALRM comes from the kernel");
}

static void child_stops(void)
{
    sigset_t set = set_of(SIGCHLD);
    siginfo_t info;
    block_signal(SIGCHLD);
    handle_info(SIGCHLD, keep_info, 0);
    struct gate gate = gate_make();
    pid_t child = CHILD(raise(SIGSTOP); gate_pass(gate));
    REQUIRE(sigwaitinfo(&set, &info) == SIGCHLD);
    CHECK(info.si_code == CLD_STOPPED && info.si_status == SIGSTOP && info.si_pid == child,
          "SIGCHLD for a stopped child: CLD_STOPPED");
    kill(child, SIGCONT);
    REQUIRE(sigwaitinfo(&set, &info) == SIGCHLD);
    CHECK(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT,
          "SIGCHLD for a continued child: CLD_CONTINUED");
    gate_open(gate);
    CHECK_EQ(end_of(child), 0, "the child ends");
    struct timespec none = {0, 0};
    while (sigtimedwait(&set, &info, &none) > 0)
        ;
    if (qemu_user_lacks("SA_NOCLDSTOP"))
        return;
    handle_info(SIGCHLD, keep_info, SA_NOCLDSTOP);
    child = CHILD(raise(SIGSTOP));
    int status;
    waitpid(child, &status, WUNTRACED);
    CHECK(WIFSTOPPED(status) && !is_pending(SIGCHLD), "SA_NOCLDSTOP: no SIGCHLD for a stop");
    kill(child, SIGKILL);
    REQUIRE(sigwaitinfo(&set, &info) == SIGCHLD);
    CHECK(info.si_code == CLD_KILLED && info.si_status == SIGKILL, "but one for the end");
    end_of(child);
}

static void default_actions(void)
{
    static const int ends[] = {SIGHUP,    SIGINT,  SIGPIPE,   SIGALRM, SIGTERM,
                               SIGUSR1,   SIGUSR2, SIGPOLL,   SIGPROF, SIGPWR,
                               SIGVTALRM, SIGKILL, SIGSTKFLT, 34,      64};
    static const int dumps[] = {SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
                                SIGFPE,  SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS};
    static const int ignored[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
    int right = 1;
    if (qemu_user_lacks("default actions"))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        right &= IN_CHILD(kill(getpid(), ends[i])) == 128 + ends[i];
    CHECK(right, "signals that end a process by default");
    right = 1;
    for (size_t i = 0; i < ARRAY_SIZE(dumps); i++)
        right &= IN_CHILD(kill(getpid(), dumps[i])) == 128 + dumps[i];
    CHECK(right, "signals that end it with a core dump");
    right = 1;
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        right &= IN_CHILD(kill(getpid(), ignored[i])) == 0;
    CHECK(right, "signals that are ignored by default");
}

static sigjmp_buf escape;

static void jump(int signal)
{
    siglongjmp(escape, signal);
}

static void jumping(void)
{
    volatile int rounds = 0;
    sigset_t mask;
    handle_flags(SIGUSR1, jump, 0);
    if (sigsetjmp(escape, 1) == 0 || rounds < 3) {
        rounds++;
        raise(SIGUSR1);
    }
    CHECK_EQ(rounds, 3, "siglongjmp out of a handler, several times");
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK(!sigismember(&mask, SIGUSR1), "restores the mask saved by sigsetjmp");
    if (sigsetjmp(escape, 0) == 0)
        raise(SIGUSR1);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK(sigismember(&mask, SIGUSR1), "and leaves the signal blocked if none was saved");
}

static void change_context(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    (void)info;
    (void)signal;
    blocked_inside = sigismember(&user->uc_sigmask, SIGHUP);
    sigaddset(&user->uc_sigmask, SIGTERM);
    sigdelset(&user->uc_sigmask, SIGHUP);
}

static void context_mask(void)
{
    sigset_t mask;
    handle_info(SIGUSR1, change_context, 0);
    block_signal(SIGHUP);
    raise(SIGUSR1);
    CHECK_EQ(blocked_inside, 1, "uc_sigmask is the mask of the interrupted program");
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK(sigismember(&mask, SIGTERM) && !sigismember(&mask, SIGHUP),
          "the mask that the handler leaves there is set on return");
}

static volatile char order[16];
static volatile int orders;

static void note_order(int signal)
{
    order[orders++] = signal;
}

static void several_at_once(void)
{
    sigset_t all, old;
    struct sigaction action = {.sa_handler = note_order};
    sigfillset(&action.sa_mask);
    sigaction(SIGUSR2, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGRTMIN, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    raise(SIGRTMIN);
    raise(SIGTERM);
    raise(SIGUSR2);
    raise(SIGUSR1);
    CHECK(is_pending(SIGTERM) && is_pending(SIGUSR1) && is_pending(SIGUSR2), "four are pending");
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK_EQ(orders, 4, "unblocked together, all are delivered");
    int sum = order[0] + order[1] + order[2] + order[3];
    CHECK_EQ(sum, SIGUSR1 + SIGUSR2 + SIGTERM + SIGRTMIN, "each of them once");
}

static void suspend(void)
{
    sigset_t none, mask;
    sigemptyset(&none);
    handle_flags(SIGUSR1, counter, 0);
    block_signal(SIGUSR1);
    raise(SIGUSR1);
    CHECK_FAIL(sigsuspend(&none), EINTR, "sigsuspend returns EINTR after a handler");
    CHECK_EQ(count, 1, "the pending signal has been delivered in it");
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK(sigismember(&mask, SIGUSR1), "then the old mask is back");
    pid_t parent = getpid();
    pid_t child = CHILD(await_state(parent, "S"); kill(parent, SIGUSR1));
    CHECK_FAIL(sigsuspend(&none), EINTR, "sigsuspend waits for a signal");
    end_of(child);
    CHECK_EQ(count, 2, "sent by another process");
    unblock_signal(SIGUSR1);
    child = CHILD(await_state(parent, "S"); kill(parent, SIGUSR1));
    CHECK_FAIL(pause(), EINTR, "pause waits for one too");
    end_of(child);
    CHECK_FAIL(syscall(SYS_rt_sigsuspend, &none, 4), EINVAL, "a wrong size of the set");
    CHECK_FAIL(syscall(SYS_rt_sigsuspend, 8, 8), EFAULT, "a bad pointer");
}

CHECK_MAIN(CASE(delivery), CASE(queries), CASE(masks), CASE(handler_masks), CASE(reset_handler),
           CASE(information), CASE(child_stops), CASE(default_actions), CASE(jumping),
           CASE(context_mask), CASE(several_at_once), CASE(suspend))
