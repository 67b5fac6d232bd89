/* SPDX-License-Identifier: MIT */
/* What each resource limit does when it is reached, and who may change another's (rlimit.c has the
 * calls themselves, and descriptors, file size, processes). */
#include "check.h"

#include <sys/resource.h>

#define MIB (1UL << 20)

static int limit(int resource, rlim_t soft)
{
    struct rlimit l;
    getrlimit(resource, &l);
    l.rlim_cur = soft;
    if (l.rlim_max < soft)
        l.rlim_max = soft;
    return setrlimit(resource, &l);
}

static void *anonymous(size_t n)
{
    return mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Root may lack it in a container. */
#define NEED_RESOURCE()                                                                            \
    do {                                                                                           \
        if (geteuid() != 0 || !has_capability(24)) {                                               \
            SKIP(__func__, "needs CAP_SYS_RESOURCE");                                              \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static void memory(void)
{
    if (qemu_user_lacks("limits of memory"))
        return;
    CHECK_EQ(
        IN_CHILD(limit(RLIMIT_AS, 64 * MIB); _exit(anonymous(128 * MIB) == MAP_FAILED ? errno : 0)),
        ENOMEM, "RLIMIT_AS: mmap fails with ENOMEM");
    CHECK_EQ(IN_CHILD(limit(RLIMIT_AS, 64 * MIB); _exit(anonymous(MIB) == MAP_FAILED ? errno : 0)),
             0, "what fits in can be had");
    CHECK_EQ(IN_CHILD(void *p = anonymous(MIB); limit(RLIMIT_AS, 64 * MIB);
                      _exit(mremap(p, MIB, 128 * MIB, MREMAP_MAYMOVE) == MAP_FAILED ? errno : 0)),
             ENOMEM, "mremap too");
    CHECK_EQ(IN_CHILD(limit(RLIMIT_DATA, 16 * MIB);
                      _exit(anonymous(64 * MIB) == MAP_FAILED ? errno : 0)),
             ENOMEM, "RLIMIT_DATA: private memory");
    CHECK_EQ(IN_CHILD(limit(RLIMIT_DATA, 16 * MIB);
                      _exit(mmap(NULL, 64 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                                    MAP_FAILED
                                ? errno
                                : 0)),
             0, "but not what cannot be written");
    CHECK_EQ(
        IN_CHILD(limit(RLIMIT_DATA, 16 * MIB); _exit(sbrk(64 * MIB) == (void *)-1 ? errno : 0)),
        ENOMEM, "and brk");
}

static char *grow(int n)
{
    volatile char page[16384];
    page[0] = (char)n;
    return n ? grow(n - 1) + page[0] : NULL;
}

static void stack(void)
{
    if (qemu_user_lacks("limits of the stack"))
        return;
    CHECK_EQ(IN_CHILD(limit(RLIMIT_STACK, 4 * MIB); grow(100)), 0,
             "a stack grows up to RLIMIT_STACK");
    CHECK_EQ(IN_CHILD(limit(RLIMIT_STACK, MIB); grow(200)), 128 + SIGSEGV, "beyond it: SIGSEGV");
}

static void locked(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("limits of locked memory"))
        return;
    void *p = anonymous(MIB);
    CHECK_EQ(IN_CHILD(limit(RLIMIT_MEMLOCK, 65536); _exit(mlock(p, MIB) < 0 ? errno : 0)), 0,
             "RLIMIT_MEMLOCK does not bind CAP_IPC_LOCK");
    CHECK_EQ(IN_CHILD(limit(RLIMIT_MEMLOCK, 65536); become_user(1000);
                      _exit(mlock(p, MIB) < 0 ? errno : 0)),
             ENOMEM, "others get ENOMEM");
    CHECK_EQ(IN_CHILD(limit(RLIMIT_MEMLOCK, 65536); become_user(1000);
                      _exit(mlock(p, 4096) < 0 ? errno : 0)),
             0, "below it they may");
    CHECK_EQ(IN_CHILD(limit(RLIMIT_MEMLOCK, 0); become_user(1000);
                      _exit(mlock(p, 4096) < 0 ? errno : 0)),
             EPERM, "with none at all: EPERM");
}

static void queued_signals(void)
{
    NEED_ROOT();
    union sigval value = {.sival_int = 1};
    if (qemu_user_lacks("limits of signals"))
        return;
    CHECK_EQ(IN_CHILD(limit(RLIMIT_SIGPENDING, 5); become_user(1234); block_signal(SIGRTMIN);
                      int n = 0; while (sigqueue(getpid(), SIGRTMIN, value) == 0) n++;
                      _exit(n * 16 + (errno == EAGAIN))),
             5 * 16 + 1, "RLIMIT_SIGPENDING: that many are queued, then EAGAIN");
    CHECK_EQ(IN_CHILD(limit(RLIMIT_SIGPENDING, 0); become_user(1235); block_signal(SIGUSR1);
                      kill(getpid(), SIGUSR1); _exit(is_pending(SIGUSR1) ? 0 : 1)),
             0, "an ordinary signal gets through all the same");
}

static void priorities(void)
{
    NEED_RESOURCE();
    struct sched_param p = {.sched_priority = 5};
    CHECK_EQ(IN_CHILD(limit(RLIMIT_NICE, 0); become_user(1000);
                      _exit(setpriority(PRIO_PROCESS, 0, -1) < 0 ? errno : 0)),
             EACCES, "RLIMIT_NICE 0: not below 0");
    CHECK_EQ(IN_CHILD(limit(RLIMIT_NICE, 25); become_user(1000);
                      _exit(setpriority(PRIO_PROCESS, 0, -5) < 0 ? errno : 0)),
             0, "25: down to -5");
    CHECK_EQ(IN_CHILD(limit(RLIMIT_NICE, 25); become_user(1000);
                      _exit(setpriority(PRIO_PROCESS, 0, -6) < 0 ? errno : 0)),
             EACCES, "not to -6");
    CHECK_EQ(IN_CHILD(limit(RLIMIT_RTPRIO, 0); become_user(1000);
                      _exit(sched_setscheduler(0, SCHED_FIFO, &p) < 0 ? errno : 0)),
             EPERM, "RLIMIT_RTPRIO 0: no real-time priority");
    if (!qemu_user_lacks("real-time priorities")) {
        CHECK_EQ(IN_CHILD(limit(RLIMIT_RTPRIO, 5); become_user(1000);
                          _exit(sched_setscheduler(0, SCHED_RR, &p) < 0 ? errno : 0)),
                 0, "5: one of 5");
        p.sched_priority = 6;
        CHECK_EQ(IN_CHILD(limit(RLIMIT_RTPRIO, 5); become_user(1000);
                          _exit(sched_setscheduler(0, SCHED_FIFO, &p) < 0 ? errno : 0)),
                 EPERM, "but not 6");
    }
}

static void reset_on_fork(void)
{
    NEED_ROOT();
    struct sched_param p = {.sched_priority = 5};
    if (qemu_user_lacks("policies"))
        return;
    CHECK_EQ(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p), 0, "SCHED_RESET_ON_FORK");
    CHECK_EQ(sched_getscheduler(0), SCHED_FIFO | SCHED_RESET_ON_FORK, "is told with the policy");
    CHECK_EQ(IN_CHILD(_exit(sched_getscheduler(0))), SCHED_OTHER, "a child is an ordinary one");
    p.sched_priority = 0;
    CHECK_EQ(sched_setscheduler(0, SCHED_OTHER, &p), 0, "root may take it back");
    struct {
        unsigned size, policy;
        unsigned long long flags;
        int nice;
        unsigned priority;
        unsigned long long runtime, deadline, period;
    } attr = {.size = 48, .policy = SCHED_OTHER, .flags = 1, .nice = 3};
    CHECK_EQ(syscall(SYS_sched_setattr, 0, &attr, 0), 0,
             "sched_setattr with SCHED_FLAG_RESET_ON_FORK");
    attr.flags = attr.nice = 0;
    CHECK(syscall(SYS_sched_getattr, 0, &attr, 48, 0) == 0 && attr.flags == 1 && attr.nice == 3,
          "sched_getattr tells both");
    attr.flags = 0x10 | 0x08;
    attr.nice = 9;
    CHECK(syscall(SYS_sched_setattr, 0, &attr, 0) == 0 && getpriority(PRIO_PROCESS, 0) == 3,
          "SCHED_FLAG_KEEP_ALL changes nothing");
    attr.flags = 1ULL << 40;
    CHECK_FAIL(syscall(SYS_sched_setattr, 0, &attr, 0), EINVAL, "an unknown flag");
    attr.flags = 0;
    CHECK_FAIL(syscall(SYS_sched_setattr, 0, &attr, 1), EINVAL, "flags of the call");
}

static void others(void)
{
    NEED_RESOURCE();
    struct rlimit l, got;
    pid_t child = CHILD(become_user(1000); for (;;) pause());
    await_state(child, "S"); /* it is the other user by then */
    REQUIRE(getrlimit(RLIMIT_CORE, &l) == 0);
    CHECK_EQ(prlimit(child, RLIMIT_CORE, &l, &got), 0, "root changes anybody's limits");
    CHECK_EQ(
        IN_CHILD(become_user(1001); _exit(prlimit(child, RLIMIT_CORE, NULL, &got) < 0 ? errno : 0)),
        EPERM, "another user may not even look");
    CHECK_EQ(
        IN_CHILD(become_user(1000); _exit(prlimit(child, RLIMIT_CORE, &got, NULL) < 0 ? errno : 0)),
        0, "the same one may");
    CHECK_EQ(IN_CHILD(setresuid(1000, 1000, 1000);
                      _exit(prlimit(child, RLIMIT_CORE, NULL, &got) < 0 ? errno : 0)),
             EPERM, "if the groups are the same");
    CHECK_FAIL(prlimit(child, RLIMIT_NOFILE, &(struct rlimit){1, 1UL << 40}, NULL), EPERM,
               "RLIMIT_NOFILE has a limit, too");
    kill(child, SIGKILL);
    end_of(child);
}

static void exec_of_one_too_many(void)
{
    NEED_ROOT();
    if (!can_exec_self())
        return;
    pid_t first = CHILD(become_user(4321); for (;;) pause());
    pid_t second = CHILD(become_user(4321); for (;;) pause());
    await_state(first, "S");
    await_state(second, "S");
    CHECK_EQ(IN_CHILD(limit(RLIMIT_NPROC, 1); become_user(4321); execl("/bin/true", "true", NULL);
                      _exit(errno)),
             EAGAIN, "set*id beyond RLIMIT_NPROC succeeds, but exec fails");
    kill(first, SIGKILL);
    kill(second, SIGKILL);
    end_of(first);
    end_of(second);
}

CHECK_MAIN(CASE(memory), CASE(stack), CASE(locked), CASE(queued_signals), CASE(priorities),
           CASE(reset_on_fork), CASE(others), CASE(exec_of_one_too_many))
