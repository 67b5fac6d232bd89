/* SPDX-License-Identifier: MIT */
/* membarrier(2): commands, registration, and the barrier itself. */
#include "thread.h"

#include <linux/membarrier.h>

static long membarrier(int command, unsigned flags, int cpu)
{
    return syscall(SYS_membarrier, command, flags, cpu);
}

static void commands(void)
{
    long all = membarrier(MEMBARRIER_CMD_QUERY, 0, 0);
    CHECK(all > 0 && (all & MEMBARRIER_CMD_GLOBAL), "QUERY tells commands, GLOBAL among them");
    if (check_state->qemu_user) {
        SKIP("the others", "not under qemu-user");
        return;
    }
    CHECK(all & MEMBARRIER_CMD_PRIVATE_EXPEDITED, "PRIVATE_EXPEDITED too");
    CHECK(all & MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, "and that for rseq");
    CHECK_FAIL(membarrier(MEMBARRIER_CMD_QUERY, 1, 0), EINVAL, "QUERY has no flags");
    CHECK_FAIL(membarrier(1 << 20, 0, 0), EINVAL, "an unknown command");
    CHECK_FAIL(membarrier(-1, 0, 0), EINVAL, "all commands at once");
    CHECK_FAIL(membarrier(MEMBARRIER_CMD_GLOBAL, 1, 0), EINVAL, "GLOBAL has no flags");
    CHECK_EQ(membarrier(MEMBARRIER_CMD_GLOBAL, 0, 0), 0, "GLOBAL");
    CHECK_EQ(membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0), 0,
             "GLOBAL_EXPEDITED needs no registration of the caller");
    CHECK_EQ(membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0), 0, "but may have it");
    static const struct {
        int registration, command;
        const char *text;
    } pairs[] = {
        {MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, MEMBARRIER_CMD_PRIVATE_EXPEDITED,
         "PRIVATE_EXPEDITED"},
        {MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
         MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, "PRIVATE_EXPEDITED_SYNC_CORE"},
        {MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
         "PRIVATE_EXPEDITED_RSEQ"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
        if (!(all & pairs[i].command)) {
            CHECK_FAIL(membarrier(pairs[i].command, 0, 0), EINVAL, "one that QUERY does not tell");
            continue;
        }
        CHECK_FAIL(membarrier(pairs[i].command, 0, 0), EPERM, "not registered: EPERM");
        CHECK_EQ(membarrier(pairs[i].registration, 0, 0), 0, "registration");
        CHECK_EQ(membarrier(pairs[i].registration, 0, 0), 0, "a second time");
        CHECK_EQ(membarrier(pairs[i].command, 0, 0), 0, pairs[i].text);
    }
    CHECK_EQ(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU, 0), 0,
             "RSEQ for one processor");
    CHECK_EQ(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_FLAG_CPU, 1 << 20), 0,
             "for one that is not there");
    CHECK_FAIL(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_FLAG_CPU, 0), EINVAL,
               "others are for all processors");
    CHECK_EQ(IN_CHILD(_exit(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0 ? 0 : 1)), 0,
             "fork keeps the registration");
}

/* Dekker's algorithm with a fence on one side only: the other side calls membarrier. */
static volatile int mine, theirs, both, rounds_done;
static volatile int seen_by_them;
static _Atomic int round_number;

#define ROUNDS 200

static void *light(void *argument)
{
    (void)argument;
    for (int i = 1; i <= ROUNDS; i++) {
        while (round_number != i)
            sched_yield();
        theirs = 1;
        atomic_signal_fence(memory_order_seq_cst); /* the compiler only */
        seen_by_them = mine;
        rounds_done = i;
    }
    return NULL;
}

static void barrier(void)
{
    if (check_state->qemu_user || sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        SKIP("the barrier", "needs two processors");
        return;
    }
    REQUIRE(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
    pthread_t thread = thread_start(light, NULL);
    for (int i = 1; i <= ROUNDS; i++) {
        mine = theirs = 0;
        round_number = i;
        mine = 1;
        membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
        int seen = theirs;
        while (rounds_done != i)
            sched_yield();
        both += !seen && !seen_by_them;
    }
    thread_end(thread);
    CHECK_EQ(both, 0, "one of two always sees the other, though it has no fence of its own");
}

CHECK_MAIN(CASE(commands), CASE(barrier))
