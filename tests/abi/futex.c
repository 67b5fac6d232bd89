/* SPDX-License-Identifier: MIT */
/* futex(2) without priority inheritance, and futex_waitv(2). */
#include "thread.h"

static _Atomic unsigned word, word2;

/* A thread that waits once, and tells what came of it. */
struct waiting {
    void *word;
    int op;
    unsigned value, bits;
    const struct timespec *timeout;
    _Atomic pid_t tid;
    _Atomic int error; /* -1: waits still */
    pthread_t thread;
};

static void *wait_once(void *argument)
{
    struct waiting *w = argument;
    w->tid = gettid();
    long result = futex(w->word, w->op, w->value, w->timeout, NULL, w->bits);
    w->error = result < 0 ? errno : 0;
    return NULL;
}

static void start_waiting(struct waiting *w, void *where, int op, unsigned value, unsigned bits)
{
    *w = (struct waiting){.word = where, .op = op, .value = value, .bits = bits, .error = -1};
    w->thread = thread_start(wait_once, w);
    await_sleep(&w->tid);
}

static int end_waiting(struct waiting *w)
{
    thread_end(w->thread);
    return w->error;
}

static void arguments(void)
{
    char *bad = unmapped_page();
    struct timespec t = {0, 0};
    CHECK_FAIL(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN, "the value is another one");
    CHECK_FAIL(futex(&word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0), EAGAIN, "the same, private");
    CHECK_FAIL(futex((char *)&word + 1, FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL, "not aligned");
    CHECK_FAIL(futex((char *)&word + 2, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL, "nor for waking");
    CHECK_FAIL(futex(bad, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT, "WAIT at no memory");
    CHECK_FAIL(futex(bad, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EFAULT, "private too");
    CHECK_FAIL(futex(bad, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT, "WAKE at no memory");
    CHECK_EQ(futex(bad, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0, "a private WAKE does not look");
    CHECK_FAIL(futex((void *)(-4096L), FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), EFAULT,
               "but not at the kernel's addresses");
    CHECK_FAIL(futex(&word, FUTEX_WAIT, 0, bad, NULL, 0), EFAULT, "a bad pointer to the time-out");
    t.tv_nsec = 1000000000;
    CHECK_FAIL(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0), EINVAL, "a second of nanoseconds");
    t = (struct timespec){-1, 0};
    CHECK_FAIL(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0), EINVAL, "a negative time");
    CHECK_FAIL(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL, "WAIT_BITSET of no bits");
    CHECK_FAIL(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL, "WAKE_BITSET of no bits");
    CHECK_FAIL(futex(&word, 2 /* FUTEX_FD */, 0, NULL, NULL, 0), ENOSYS, "FUTEX_FD is gone");
    CHECK_FAIL(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS, "an unknown command");
    CHECK_FAIL(futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS,
               "WAKE has no clock");
    CHECK_FAIL(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &word2, 7), EAGAIN,
               "CMP_REQUEUE: the value is another one");
    CHECK_FAIL(futex(&word, FUTEX_REQUEUE, -1, (void *)1, &word2, 0), EINVAL, "REQUEUE: wake -1");
    CHECK_FAIL(futex(&word, FUTEX_REQUEUE, 1, (void *)-1, &word2, 0), EINVAL, "REQUEUE: move -1");
    CHECK_FAIL(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, bad, 0), EFAULT, "to no memory");
    CHECK_FAIL(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, bad, 0), EFAULT, "WAKE_OP at no memory");
}

static void time_outs(void)
{
    struct timespec t = {0, 20000000}, start, passed = {1, 0};
    clock_gettime(CLOCK_MONOTONIC, &start);
    CHECK_FAIL(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0), ETIMEDOUT, "WAIT: relative");
    CHECK(ms_since(&start, CLOCK_MONOTONIC) >= 20, "not before its time");
    t = after_ms(CLOCK_MONOTONIC, 20);
    CHECK_FAIL(futex(&word, FUTEX_WAIT_BITSET, 0, &t, NULL, 1), ETIMEDOUT,
               "WAIT_BITSET: absolute, monotonic");
    CHECK(ms_since(&t, CLOCK_MONOTONIC) >= 0, "not before its time");
    t = after_ms(CLOCK_REALTIME, 20);
    CHECK_FAIL(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &t, NULL, 1), ETIMEDOUT,
               "WAIT_BITSET: absolute, by the wall clock");
    CHECK(ms_since(&t, CLOCK_REALTIME) >= 0, "not before its time");
    CHECK_FAIL(futex(&word, FUTEX_WAIT_BITSET, 0, &passed, NULL, 1), ETIMEDOUT, "a time passed");
    CHECK_FAIL(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &passed, NULL, 1),
               ETIMEDOUT, "by the wall clock as well");
    t = (struct timespec){0, 0};
    CHECK_FAIL(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0), ETIMEDOUT, "no time at all");
    CHECK_FAIL(futex(&word, FUTEX_WAIT, 1, &t, NULL, 0), EAGAIN, "the value is looked at first");
}

static void waking(void)
{
    struct waiting w[3];
    CHECK_EQ(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0, "nobody waits");
    for (int i = 0; i < 3; i++)
        start_waiting(&w[i], &word, FUTEX_WAIT, 0, 0);
    CHECK_EQ(futex(&word2, FUTEX_WAKE, 10, NULL, NULL, 0), 0, "nobody waits at another word");
    CHECK_EQ(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 1, "WAKE of one");
    CHECK_EQ(end_waiting(&w[0]), 0, "it is the first that came");
    CHECK_EQ(futex(&word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 2, "WAKE of all the others");
    CHECK_EQ(end_waiting(&w[1]) | end_waiting(&w[2]), 0, "they return 0");
    start_waiting(&w[0], &word, FUTEX_WAIT_BITSET, 0, 1);
    start_waiting(&w[1], &word, FUTEX_WAIT_BITSET, 0, 6);
    CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET, 9, NULL, NULL, 8), 0, "WAKE_BITSET: bits of nobody");
    CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET, 9, NULL, NULL, 4), 1, "bits of one");
    CHECK_EQ(end_waiting(&w[1]), 0, "the right one");
    CHECK_EQ(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0), 1, "WAKE means all bits");
    CHECK_EQ(end_waiting(&w[0]), 0, "and wakes");
    start_waiting(&w[0], &word, FUTEX_WAIT_PRIVATE, 0, 0);
    CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 0, NULL, NULL, 0), 1, "WAKE of none wakes one");
    CHECK_EQ(end_waiting(&w[0]), 0, "private");
}

static void requeueing(void)
{
    struct waiting w[4];
    for (int i = 0; i < 4; i++)
        start_waiting(&w[i], &word, FUTEX_WAIT, 0, 0);
    CHECK_EQ(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)2, &word2, 0), 3,
             "CMP_REQUEUE tells how many were woken and moved");
    CHECK_EQ(end_waiting(&w[0]), 0, "the first was woken");
    CHECK_EQ(futex(&word2, FUTEX_WAKE, 1, NULL, NULL, 0), 1, "the second waits at the other word");
    CHECK_EQ(end_waiting(&w[1]), 0, "and is woken there");
    CHECK_EQ(futex(&word, FUTEX_REQUEUE, 0, (void *)9, &word2, 0), 1, "REQUEUE moves the last");
    CHECK_EQ(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0), 0, "none is left");
    CHECK_EQ(futex(&word2, FUTEX_WAKE, 9, NULL, NULL, 0), 2, "two are there");
    CHECK_EQ(end_waiting(&w[2]) | end_waiting(&w[3]), 0, "woken");
    struct timespec t = {0, 50000000};
    w[0] = (struct waiting){.word = &word, .op = FUTEX_WAIT, .timeout = &t, .error = -1};
    w[0].thread = thread_start(wait_once, &w[0]);
    await_sleep(&w[0].tid);
    futex(&word, FUTEX_REQUEUE, 0, (void *)9, &word2, 0);
    CHECK_EQ(end_waiting(&w[0]), ETIMEDOUT, "one that was moved has its time-out still");
    start_waiting(&w[0], &word, FUTEX_WAIT, 0, 0);
    CHECK_EQ(futex(&word, FUTEX_REQUEUE, 0, (void *)9, &word, 0), 1, "to the same word: counted");
    CHECK_EQ(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0), 1, "and there still");
    end_waiting(&w[0]);
}

static unsigned after_op(unsigned before, int op, int argument, int compare, int with, long *woken)
{
    word2 = before;
    *woken =
        futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, FUTEX_OP(op, argument, compare, with));
    return word2;
}

static void wake_op(void)
{
    struct waiting a, b;
    long n;
    CHECK_EQ(after_op(5, FUTEX_OP_SET, 7, FUTEX_OP_CMP_EQ, 5, &n), 7, "WAKE_OP: set");
    CHECK_EQ(after_op(5, FUTEX_OP_ADD, 7, FUTEX_OP_CMP_EQ, 5, &n), 12, "add");
    CHECK_EQ(after_op(5, FUTEX_OP_ADD, -6, FUTEX_OP_CMP_EQ, 5, &n), -1u, "add what is negative");
    CHECK_EQ(after_op(5, FUTEX_OP_OR, 8, FUTEX_OP_CMP_EQ, 5, &n), 13, "or");
    CHECK_EQ(after_op(7, FUTEX_OP_ANDN, 2, FUTEX_OP_CMP_EQ, 5, &n), 5, "and not");
    CHECK_EQ(after_op(7, FUTEX_OP_XOR, 10, FUTEX_OP_CMP_EQ, 5, &n), 13, "xor");
    CHECK_EQ(after_op(0, FUTEX_OP_SET | FUTEX_OP_OPARG_SHIFT, 20, FUTEX_OP_CMP_EQ, 5, &n), 1 << 20,
             "the argument as a shift");
    CHECK_EQ(n, 0, "nobody is woken");
    word2 = 1;
    CHECK_FAIL(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, 7u << 28), ENOSYS, "no such op");
    CHECK_FAIL(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &word2, 7u << 24), ENOSYS,
               "no such comparison");
    static const struct {
        int compare, with, holds;
        const char *text;
    } cases[] = {
        {FUTEX_OP_CMP_EQ, 3, 1, "3 == 3"},  {FUTEX_OP_CMP_NE, 3, 0, "3 != 3"},
        {FUTEX_OP_CMP_LT, -4, 0, "3 < -4"}, {FUTEX_OP_CMP_LE, 3, 1, "3 <= 3"},
        {FUTEX_OP_CMP_GT, -1, 1, "3 > -1"}, {FUTEX_OP_CMP_GE, 4, 0, "3 >= 4"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        start_waiting(&a, &word, FUTEX_WAIT, 0, 0);
        word2 = 3;
        start_waiting(&b, &word2, FUTEX_WAIT, 3, 0);
        after_op(3, FUTEX_OP_SET, 0, cases[i].compare, cases[i].with, &n);
        CHECK_EQ(n, 1 + cases[i].holds, cases[i].text);
        futex(&word2, FUTEX_WAKE, 1, NULL, NULL, 0);
        end_waiting(&a);
        end_waiting(&b);
    }
}

/* ---- between processes ---- */

static void shared_words(void)
{
    _Atomic unsigned *shared = share_pages(4096);
    char path[] = "words";
    write_file(path, "", 0644);
    REQUIRE(truncate(path, 4096) == 0);
    pid_t child = CHILD(_exit(futex((void *)shared, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1));
    await_state(child, "S");
    CHECK_EQ(futex((void *)shared, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0,
             "a private WAKE does not reach another process");
    CHECK_EQ(futex((void *)shared, FUTEX_WAKE, 1, NULL, NULL, 0), 1, "shared memory");
    CHECK_EQ(end_of(child), 0, "the child was woken");
    int fd = open(path, O_RDWR);
    unsigned *here = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned *there = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(here != MAP_FAILED && there != MAP_FAILED);
    child = CHILD(_exit(futex(there + 5, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1));
    await_state(child, "S");
    CHECK_EQ(futex(here + 4, FUTEX_WAKE, 1, NULL, NULL, 0), 0, "a file: another offset");
    CHECK_EQ(futex(here + 5, FUTEX_WAKE, 1, NULL, NULL, 0), 1, "the same, mapped elsewhere");
    CHECK_EQ(end_of(child), 0, "the child was woken");
    unsigned *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    child = CHILD(_exit(futex(private, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1));
    await_state(child, "S");
    private[1] = 1;
    CHECK_EQ(futex(private, FUTEX_WAKE, 1, NULL, NULL, 0), 0, "private memory is each one's own");
    kill(child, SIGKILL);
    CHECK_EQ(end_of(child), 128 + SIGKILL, "SIGKILL ends a wait");
}

/* ---- signals ---- */

static volatile sig_atomic_t caught;

static void on_signal(int signal)
{
    (void)signal;
    caught++;
}

static _Atomic pid_t main_tid;

/* Sends a signal to the thread that sleeps, and wakes it some time after it has handled it. */
static void *signal_and_wake(void *argument)
{
    int wake = (long)argument;
    await_sleep(&main_tid);
    syscall(SYS_tgkill, getpid(), main_tid, SIGUSR1);
    while (!caught)
        usleep(200);
    if (wake) {
        word = 1;
        while (futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0)
            usleep(200);
    }
    return NULL;
}

static long interrupted(int flags, int wake, const struct timespec *t, int *error)
{
    handle_flags(SIGUSR1, on_signal, flags);
    caught = 0;
    word = 0;
    main_tid = 0;
    pthread_t other = thread_start(signal_and_wake, (void *)(long)wake);
    main_tid = gettid();
    long result = futex(&word, FUTEX_WAIT, 0, t, NULL, 0);
    *error = result < 0 ? errno : 0;
    word = 1;
    thread_end(other);
    return result;
}

static void signals(void)
{
    struct timespec t = {0, 300000000}, start;
    int error;
    interrupted(0, 0, NULL, &error);
    CHECK_EQ(error, EINTR, "a handler ends the wait: EINTR");
    CHECK_EQ(interrupted(SA_RESTART, 1, NULL, &error), 0, "with SA_RESTART it goes on");
    CHECK_EQ(caught, 1, "after the handler ran");
    interrupted(SA_RESTART, 0, &t, &error);
    CHECK_EQ(error, EINTR, "with a time-out it does not, SA_RESTART or not");
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t child = CHILD(_exit(futex(&word2, FUTEX_WAIT, word2, &t, NULL, 0) < 0 ? errno : 0));
    await_state(child, "S");
    kill(child, SIGSTOP);
    await_state(child, "T");
    kill(child, SIGCONT);
    CHECK_EQ(end_of(child), ETIMEDOUT, "a stop does not end it");
    CHECK(ms_since(&start, CLOCK_MONOTONIC) >= 300, "and the time-out stays what it was");
}

/* ---- many at once ---- */

#define THREADS 8
#define ROUNDS  2000

static unsigned counter;

static void lock(_Atomic unsigned *l)
{
    unsigned c = 0;
    if (atomic_compare_exchange_strong(l, &c, 1))
        return;
    while (atomic_exchange(l, 2) != 0)
        futex(l, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

static void unlock(_Atomic unsigned *l)
{
    if (atomic_exchange(l, 0) == 2)
        futex(l, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *count(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        lock(argument);
        counter++;
        unlock(argument);
    }
    return NULL;
}

static void contention(void)
{
    static _Atomic unsigned l;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start(count, &l);
    for (int i = 0; i < THREADS; i++)
        thread_end(threads[i]);
    CHECK_EQ(counter, THREADS * ROUNDS, "a mutex of a futex keeps threads apart");
}

/* ---- futex_waitv ---- */

struct wait_any {
    uint64_t value, address;
    uint32_t flags, reserved;
};

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static long waitv(struct wait_any *w, unsigned n, unsigned flags, const void *timeout, int clock)
{
    return syscall(SYS_futex_waitv, w, n, flags, timeout, clock);
}

static struct wait_any any[130];
static _Atomic pid_t any_tid;

static void *wait_any(void *argument)
{
    (void)argument;
    any_tid = gettid();
    return (void *)waitv(any, 3, 0, NULL, 0);
}

static void wait_vector(void)
{
    static _Atomic unsigned words[130];
    struct timespec t = {1, 0};
    if (qemu_user_lacks("futex_waitv"))
        return;
    for (int i = 0; i < 130; i++)
        any[i] = (struct wait_any){0, (uintptr_t)&words[i], 2 | FUTEX_PRIVATE_FLAG, 0};
    CHECK_FAIL(waitv(any, 0, 0, NULL, 0), EINVAL, "futex_waitv of none");
    CHECK_FAIL(waitv(any, 129, 0, NULL, 0), EINVAL, "of too many");
    CHECK_FAIL(waitv(any, 1, 1, NULL, 0), EINVAL, "flags");
    CHECK_FAIL(waitv(NULL, 1, 0, NULL, 0), EINVAL, "no vector");
    CHECK_FAIL(waitv(unmapped_page(), 1, 0, NULL, 0), EFAULT, "a bad vector");
    any[1].flags = FUTEX_PRIVATE_FLAG;
    CHECK_FAIL(waitv(any, 2, 0, NULL, 0), EINVAL, "a size that is not 32 bits");
    any[1].flags = 2 | 64;
    CHECK_FAIL(waitv(any, 2, 0, NULL, 0), EINVAL, "an unknown flag of a word");
    any[1].flags = 2 | FUTEX_PRIVATE_FLAG;
    any[1].reserved = 1;
    CHECK_FAIL(waitv(any, 2, 0, NULL, 0), EINVAL, "what is reserved is set");
    any[1].reserved = 0;
    CHECK_FAIL(waitv(any, 2, 0, &t, CLOCK_BOOTTIME), EINVAL, "another clock");
    CHECK_FAIL(waitv(any, 128, 0, &t, CLOCK_MONOTONIC), ETIMEDOUT, "a time that has passed");
    t = after_ms(CLOCK_REALTIME, 10);
    CHECK_FAIL(waitv(any, 2, 0, &t, CLOCK_REALTIME), ETIMEDOUT, "by the wall clock");
    any[1].value = 1;
    CHECK_FAIL(waitv(any, 2, 0, NULL, 0), EAGAIN, "one word is another");
    any[1].value = 0;
    any[0].address++;
    CHECK_FAIL(waitv(any, 2, 0, NULL, 0), EINVAL, "one word is not aligned");
    any[0].address--;
    for (int i = 0; i < 3; i++) {
        any_tid = 0;
        pthread_t thread = thread_start(wait_any, NULL);
        await_sleep(&any_tid);
        CHECK_EQ(futex(&words[i], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1,
                 "one of three is woken");
        CHECK_EQ(thread_end(thread), i, "and it is told which");
    }
    CHECK_EQ(futex(&words[0], FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0), 0, "nothing is left behind");
}

CHECK_MAIN(CASE(arguments), CASE(time_outs), CASE(waking), CASE(requeueing), CASE(wake_op),
           CASE(shared_words), CASE(signals), CASE(contention), CASE(wait_vector))
