/* SPDX-License-Identifier: MIT */
/* The scheduler's calls: yield, affinity, policies, and that nobody starves. */
#include "check.h"

static void yielding(void)
{
    volatile int *turns = share_pages(4096);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    CHECK_EQ(sched_yield(), 0, "sched_yield");
    REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
    /* Two processes on one processor hand the turn to each other. */
    pid_t child = CHILD(for (int i = 0; i < 200; i++) {
        while (turns[0] != 2 * i + 1)
            sched_yield();
        turns[0]++;
    });
    for (int i = 0; i < 200; i++) {
        while (turns[0] != 2 * i)
            sched_yield();
        turns[0]++;
    }
    CHECK_EQ(end_of(child), 0, "two processes on one processor take turns");
    CHECK_EQ(turns[0], 400, "all of them");
}

static void preemption(void)
{
    /* A process that never yields does not keep the processor from another. */
    volatile int *stop = share_pages(4096);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
    pid_t child = CHILD(while (!*stop));
    pid_t other = CHILD(*stop = 1);
    CHECK_EQ(end_of(child), 0, "a loop in user mode is preempted");
    end_of(other);
    *stop = 0;
    child = CHILD(while (!*stop) getppid());
    other = CHILD(*stop = 1);
    CHECK_EQ(end_of(child), 0, "so is a loop of system calls");
    end_of(other);
}

static void affinity(void)
{
    cpu_set_t all, set, got;
    CHECK_EQ(sched_getaffinity(0, sizeof(all), &all), 0, "sched_getaffinity");
    CHECK(CPU_COUNT(&all) >= 1, "names at least one processor");
    CHECK(CPU_ISSET(sched_getcpu(), &all), "the own one among them");
    int right = 1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        right &= sched_setaffinity(0, sizeof(set), &set) == 0;
        right &= sched_getcpu() == cpu;
        right &= sched_getaffinity(0, sizeof(got), &got) == 0 && CPU_EQUAL(&got, &set);
        right &= IN_CHILD(_exit(sched_getcpu() == cpu ? 0 : 1)) == 0;
    }
    CHECK(right, "set to one processor after the other, the process and its child run there");
    CHECK_EQ(sched_setaffinity(0, sizeof(all), &all), 0, "set to all again");
    CPU_ZERO(&set);
    CHECK_FAIL(sched_setaffinity(0, sizeof(set), &set), EINVAL, "no processor at all");
    CPU_SET(1000, &set);
    CHECK_FAIL(sched_setaffinity(0, sizeof(set), &set), EINVAL,
               "only a processor that is not there");
    CPU_OR(&set, &set, &all);
    CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0, "one that is there besides");
    CHECK(sched_getaffinity(0, sizeof(got), &got) == 0 && CPU_EQUAL(&got, &all), "is what counts");
    CHECK_FAIL(sched_getaffinity(1 << 28, sizeof(got), &got), ESRCH, "an unknown process");
    CHECK_FAIL(sched_setaffinity(1 << 28, sizeof(all), &all), ESRCH, "also to set");
    if (!qemu_user_lacks("size of the set"))
        CHECK_FAIL(syscall(SYS_sched_getaffinity, 0, 4, &got), EINVAL,
                   "a set of a size not of words");
    long size = syscall(SYS_sched_getaffinity, 0, sizeof(got), &got);
    CHECK(size >= 8 && size % 8 == 0, "the call tells how much it has written");
}

static void of_others(void)
{
    NEED_ROOT();
    cpu_set_t all, got;
    REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
    pid_t child = CHILD(for (;;) pause());
    CHECK_EQ(sched_setaffinity(child, sizeof(all), &all), 0, "the affinity of a child");
    CHECK(sched_getaffinity(child, sizeof(got), &got) == 0 && CPU_EQUAL(&got, &all), "is told");
    CHECK_EQ(IN_CHILD(become_user(1000);
                      _exit(sched_setaffinity(child, sizeof(all), &all) < 0 ? errno : 0)),
             EPERM, "a user may not set that of another's process");
    kill(child, SIGKILL);
    end_of(child);
}

static void processor_number(void)
{
    unsigned cpu = 99, node = 99;
    CHECK_EQ(syscall(SYS_getcpu, &cpu, &node, NULL), 0, "getcpu");
    cpu_set_t all;
    sched_getaffinity(0, sizeof(all), &all);
    CHECK(CPU_ISSET(cpu, &all) && node == 0, "tells a processor, and node 0");
    CHECK_EQ(syscall(SYS_getcpu, NULL, NULL, NULL), 0, "without pointers");
    CHECK(sched_getcpu() >= 0, "sched_getcpu");
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= CPU_COUNT(&all), "sysconf tells the processors");
}

static void policies(void)
{
    struct sched_param param = {.sched_priority = 77};
    struct timespec interval = {-1, -1};
    CHECK_EQ(sched_getscheduler(0), SCHED_OTHER, "the policy is SCHED_OTHER");
    CHECK(sched_getparam(0, &param) == 0 && param.sched_priority == 0, "with priority 0");
    CHECK_FAIL(sched_getscheduler(1 << 28), ESRCH, "an unknown process");
    CHECK_FAIL(sched_getscheduler(-1), EINVAL, "a negative one");
    CHECK_EQ(sched_setscheduler(0, SCHED_OTHER, &param), 0, "SCHED_OTHER can be set");
    param.sched_priority = 5;
    CHECK_FAIL(sched_setscheduler(0, SCHED_OTHER, &param), EINVAL, "but not with a priority");
    CHECK_FAIL(sched_setscheduler(0, 99, &param), EINVAL, "an unknown policy");
    CHECK_EQ(sched_get_priority_min(SCHED_FIFO), 1, "sched_get_priority_min of SCHED_FIFO");
    CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99, "sched_get_priority_max of it");
    CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0, "and of SCHED_OTHER");
    CHECK_FAIL(sched_get_priority_max(99), EINVAL, "of an unknown policy");
    CHECK_EQ(sched_rr_get_interval(0, &interval), 0, "sched_rr_get_interval");
    CHECK(interval.tv_sec == 0 && interval.tv_nsec >= 0, "tells a time");
}

static void fairness(void)
{
    /* Twelve processes that compute, on whatever processors there are: all make way. */
    volatile int *progress = share_pages(4096), *stop = progress + 100;
    pid_t children[12];
    for (int i = 0; i < 12; i++)
        children[i] = CHILD(while (!*stop) progress[i]++);
    for (int i = 0; i < 12; i++) {
        while (!progress[i])
            sched_yield();
    }
    *stop = 1;
    int bad = 0;
    for (int i = 0; i < 12; i++)
        bad |= end_of(children[i]);
    CHECK_EQ(bad, 0, "of twelve processes that compute each gets its share");
}

static void many_switches(void)
{
    /* A ring of processes and pipes through which a byte goes round. */
    enum { RING = 8, ROUNDS = 100 };
    struct gate gates[RING];
    pid_t children[RING];
    for (int i = 0; i < RING; i++)
        gates[i] = gate_make();
    for (int i = 0; i < RING; i++)
        children[i] = CHILD(for (int j = 0; j < ROUNDS; j++) {
            gate_pass(gates[i]);
            if (j < ROUNDS - 1 || i < RING - 1)
                gate_open(gates[(i + 1) % RING]);
        });
    gate_open(gates[0]);
    int bad = 0;
    for (int i = 0; i < RING; i++)
        bad |= end_of(children[i]);
    CHECK_EQ(bad, 0, "a byte goes round a ring of eight processes a hundred times");
}

CHECK_MAIN(CASE(yielding), CASE(preemption), CASE(affinity), CASE(of_others),
           CASE(processor_number), CASE(policies), CASE(fairness), CASE(many_switches))
