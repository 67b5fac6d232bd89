/* SPDX-License-Identifier: MIT */
/* Futexes with priority inheritance: FUTEX_LOCK_PI and its relatives. */
#include "thread.h"

#define TID(word) ((word)&FUTEX_TID_MASK)

static _Atomic unsigned word, condition;

static void arguments(void)
{
    _Atomic unsigned *bad = unmapped_page();
    struct timespec t = {0, 1000000000};
    unsigned me = gettid();
    CHECK_EQ(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0, "LOCK_PI of a free lock");
    CHECK_EQ(word, me, "stores the thread's number");
    CHECK_FAIL(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK, "LOCK_PI of one's own");
    CHECK_FAIL(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EDEADLK, "TRYLOCK_PI too");
    CHECK_EQ(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0, "UNLOCK_PI");
    CHECK_EQ(word, 0, "it is free");
    CHECK_FAIL(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM, "UNLOCK_PI of a free one");
    word = me + 100000;
    CHECK_FAIL(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM, "of another's");
    CHECK_FAIL(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), ESRCH, "LOCK_PI: no such owner");
    CHECK_EQ(TID(word), me + 100000, "whose the lock stays");
    word = 0;
    CHECK_EQ(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), 0, "TRYLOCK_PI of a free lock");
    CHECK_EQ(word, me, "takes it");
    word = FUTEX_OWNER_DIED;
    CHECK_EQ(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0, "LOCK_PI: the owner has died");
    CHECK_EQ(word, me | FUTEX_OWNER_DIED, "which is still told");
    word = 0;
    CHECK_FAIL(futex(bad, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EFAULT, "LOCK_PI at no memory");
    CHECK_FAIL(futex(bad, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EFAULT, "TRYLOCK_PI");
    CHECK_FAIL(futex(bad, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EFAULT, "UNLOCK_PI");
    CHECK_FAIL(futex((char *)&word + 1, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EINVAL, "not aligned");
    CHECK_FAIL(futex(&word, FUTEX_LOCK_PI, 0, &t, NULL, 0), EINVAL, "a bad time");
    CHECK_FAIL(futex(&word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS,
               "LOCK_PI has its clock");
    if (!qemu_user_lacks("FUTEX_LOCK_PI2")) {
        CHECK_EQ(futex(&word, FUTEX_LOCK_PI2, 0, NULL, NULL, 0), 0, "LOCK_PI2");
        CHECK_EQ(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0,
                 "is unlocked likewise");
    }
    CHECK_FAIL(futex(&word, FUTEX_WAIT_REQUEUE_PI, 1, NULL, &condition, 0), EAGAIN,
               "WAIT_REQUEUE_PI: another value");
    CHECK_FAIL(futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &word, 0), EINVAL,
               "from a word to itself");
    CHECK_FAIL(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &word, 0), EINVAL,
               "CMP_REQUEUE_PI too");
    CHECK_FAIL(futex(&word, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, &condition, 0), EINVAL,
               "CMP_REQUEUE_PI wakes one only");
    CHECK_FAIL(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &condition, 5), EAGAIN,
               "CMP_REQUEUE_PI: another value");
    CHECK_EQ(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &condition, 0), 0, "nobody waits");
}

/* ---- waiting ---- */

struct locker {
    _Atomic unsigned *word;
    int op;
    const struct timespec *timeout;
    _Atomic pid_t tid;
    int priority; /* SCHED_FIFO */
    int error;
    unsigned seen; /* the word when it had the lock */
    int order;
    pthread_t thread;
};

static _Atomic int turns;

static void *lock_once(void *argument)
{
    struct locker *l = argument;
    if (l->priority) {
        struct sched_param p = {.sched_priority = l->priority};
        REQUIRE(sched_setscheduler(0, SCHED_FIFO, &p) == 0);
    }
    l->tid = gettid();
    long result = futex(l->word, l->op, 0, l->timeout, NULL, 0);
    l->error = result < 0 ? errno : 0;
    l->seen = *l->word;
    l->order = ++turns;
    if (!l->error)
        futex(l->word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    return NULL;
}

static void start_locking(struct locker *l, int op, int priority, const struct timespec *timeout)
{
    *l = (struct locker){.word = &word, .op = op, .priority = priority, .timeout = timeout};
    l->thread = thread_start(lock_once, l);
}

static void waiting(void)
{
    struct locker a, b;
    struct timespec t = after_ms(CLOCK_REALTIME, 30);
    word = gettid();
    start_locking(&a, FUTEX_TRYLOCK_PI, 0, NULL);
    thread_end(a.thread);
    CHECK_EQ(a.error, EAGAIN, "TRYLOCK_PI of another's");
    word = gettid();
    start_locking(&a, FUTEX_LOCK_PI, 0, &t);
    thread_end(a.thread);
    CHECK_EQ(a.error, ETIMEDOUT, "LOCK_PI: its time-out is absolute, by the wall clock");
    CHECK_EQ(word, gettid() | FUTEX_WAITERS, "waiting has marked the word");
    if (!qemu_user_lacks("FUTEX_LOCK_PI2")) {
        t = after_ms(CLOCK_MONOTONIC, 30);
        start_locking(&a, FUTEX_LOCK_PI2, 0, &t);
        thread_end(a.thread);
        CHECK_EQ(a.error, ETIMEDOUT, "LOCK_PI2: monotonic");
    }
    start_locking(&a, FUTEX_LOCK_PI, 0, NULL);
    await_sleep(&a.tid);
    start_locking(&b, FUTEX_LOCK_PI, 0, NULL);
    await_sleep(&b.tid);
    CHECK_FAIL(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL, "WAKE is not for such waiters");
    CHECK_FAIL(futex(&word, FUTEX_REQUEUE, 1, (void *)1, &condition, 0), EINVAL, "nor REQUEUE");
    CHECK_EQ(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0, "UNLOCK_PI hands it on");
    thread_end(a.thread);
    thread_end(b.thread);
    CHECK_EQ(a.error | b.error, 0, "to both in turn");
    CHECK_EQ(a.order < b.order, 1, "in the order in which they came");
    CHECK_EQ(TID(a.seen), a.tid, "the word had the first one's number");
    CHECK_EQ(word, 0, "in the end it is free");
}

static void order(void)
{
    struct locker l[3];
    NEED_ROOT();
    word = gettid();
    turns = 0;
    for (int i = 0; i < 3; i++) {
        start_locking(&l[i], FUTEX_LOCK_PI, (int[]){10, 30, 20}[i], NULL);
        await_sleep(&l[i].tid);
    }
    futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    for (int i = 0; i < 3; i++)
        thread_end(l[i].thread);
    CHECK_EQ(l[1].order, 1, "the most urgent waiter gets it first");
    CHECK_EQ(l[2].order, 2, "then the second");
    CHECK_EQ(l[0].order, 3, "then the third");
}

/* ---- inheritance: a low thread holds the lock, a middle one would keep it from running ---- */

static _Atomic int ready, stop, low_done;
static _Atomic unsigned second;

static void real_time(int priority)
{
    struct sched_param p = {.sched_priority = priority};
    REQUIRE(sched_setscheduler(0, priority ? SCHED_FIFO : SCHED_OTHER, &p) == 0);
}

static void pin(void)
{
    cpu_set_t set, one;
    REQUIRE(sched_getaffinity(0, sizeof(set), &set) == 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set)) {
            CPU_SET(i, &one);
            break;
        }
    REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
}

static void *low(void *argument)
{
    (void)argument;
    real_time(5);
    futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    ready = 1;
    while (ready != 2) /* woken by the high one when it is about to lock */
        futex(&ready, FUTEX_WAIT, 1, NULL, NULL, 0);
    low_done = 1;
    futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    return NULL;
}

static void *middle(void *argument)
{
    (void)argument;
    real_time(20);
    while (!stop)
        ;
    return NULL;
}

/* Holds `second` while it waits for `word`: what is lent to it goes on to the low one. */
static void *between(void *argument)
{
    _Atomic pid_t *tid = argument;
    real_time(6);
    futex(&second, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    *tid = gettid();
    futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    futex(&second, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    return NULL;
}

/* All on one processor. We are the high thread. */
static void invert(int chain, const char *text)
{
    _Atomic pid_t between_tid = 0;
    pthread_t a, b, c = 0;
    _Atomic unsigned *mine = chain ? &second : &word;
    ready = stop = low_done = 0;
    a = thread_start(low, NULL);
    while (!ready)
        usleep(200);
    if (chain) {
        c = thread_start(between, (void *)&between_tid);
        await_sleep(&between_tid);
    }
    real_time(40);
    b = thread_start(middle, NULL);
    struct sched_param p = {.sched_priority = 20};
    pthread_setschedparam(b, SCHED_FIFO, &p); /* from now on only the middle and the high one run */
    ready = 2;
    futex(&ready, FUTEX_WAKE, 1, NULL, NULL, 0);
    struct timespec t = after_ms(CLOCK_REALTIME, 10000);
    long result = futex(mine, FUTEX_LOCK_PI, 0, &t, NULL, 0);
    stop = 1;
    CHECK_EQ(result, 0, text);
    CHECK_EQ(low_done, 1, "since the low one ran before the middle one, with its priority");
    CHECK_EQ(futex(mine, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0, "and is released");
    real_time(0);
    thread_end(a);
    thread_end(b);
    if (c)
        thread_end(c);
    CHECK_EQ(word, 0, "all is free");
}

static void inheritance(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("real-time threads"))
        return;
    pin();
    invert(0, "the high thread gets the lock");
    invert(1, "the same through a chain of two locks");
}

static void *lock_both(void *argument)
{
    struct locker *l = argument;
    futex(&second, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    l->tid = gettid();
    long result = futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    l->error = result < 0 ? errno : 0;
    futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    futex(&second, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    return NULL;
}

static void deadlock(void)
{
    struct locker l = {.error = -1};
    word = gettid();
    pthread_t thread = thread_start(lock_both, &l);
    await_sleep(&l.tid);
    CHECK_FAIL(futex(&second, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK, "a circle of two is seen");
    futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    thread_end(thread);
    CHECK_EQ(l.error, 0, "the other one goes on");
}

/* ---- owners that end ---- */

static void *die_with_lock(void *argument)
{
    *(_Atomic pid_t *)argument = gettid();
    futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    while (!stop)
        usleep(200);
    return NULL;
}

static void owner_dies(void)
{
    static _Atomic pid_t tid;
    struct locker l;
    pthread_t thread = thread_start(die_with_lock, (void *)&tid);
    while (!word)
        usleep(200);
    start_locking(&l, FUTEX_LOCK_PI, 0, NULL);
    await_sleep(&l.tid);
    stop = 1;
    thread_end(thread);
    thread_end(l.thread);
    CHECK_EQ(l.error, 0, "a dead owner's lock goes to the waiter");
    CHECK_EQ(TID(l.seen), l.tid, "whose number is in the word");
    CHECK(l.seen & FUTEX_OWNER_DIED, "with the mark that the owner died");
}

/* ---- conditions ---- */

struct conditional {
    _Atomic pid_t tid;
    int error;
    unsigned seen;
    const struct timespec *timeout;
};

static void *wait_condition(void *argument)
{
    struct conditional *c = argument;
    c->tid = gettid();
    long result = futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, c->timeout, &word, 0);
    c->error = result < 0 ? errno : 0;
    c->seen = word;
    if (!c->error)
        futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    return NULL;
}

static void conditions(void)
{
    struct conditional c[3] = {};
    pthread_t t[3];
    struct timespec soon = after_ms(CLOCK_MONOTONIC, 20);
    c[0].timeout = &soon;
    t[0] = thread_start(wait_condition, &c[0]);
    thread_end(t[0]);
    CHECK_EQ(c[0].error, ETIMEDOUT, "WAIT_REQUEUE_PI: an absolute monotonic time-out");
    word = 0;
    c[0] = (struct conditional){};
    t[0] = thread_start(wait_condition, &c[0]);
    await_sleep(&c[0].tid);
    CHECK_FAIL(futex(&condition, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL, "WAKE is not for them");
    CHECK_FAIL(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, &second, 0), EINVAL,
               "nor is another lock");
    CHECK_EQ(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, &word, 0), 1,
             "CMP_REQUEUE_PI: the lock is free");
    thread_end(t[0]);
    CHECK_EQ(c[0].error, 0, "the waiter has it");
    CHECK_EQ(TID(c[0].seen), c[0].tid, "its number is in the word");
    word = gettid();
    for (int i = 0; i < 3; i++) {
        c[i] = (struct conditional){};
        t[i] = thread_start(wait_condition, &c[i]);
        await_sleep(&c[i].tid);
    }
    CHECK_EQ(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)INT_MAX, &word, 0), 3,
             "CMP_REQUEUE_PI: the lock is held, all are moved");
    CHECK_EQ(word, gettid() | FUTEX_WAITERS, "the word says that they wait");
    CHECK_EQ(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0, "it is handed on");
    for (int i = 0; i < 3; i++)
        thread_end(t[i]);
    CHECK_EQ(c[0].error | c[1].error | c[2].error, 0, "to all three in turn");
    CHECK_EQ(TID(word), 0, "and is free");
}

/* ---- pthreads on top ---- */

static pthread_mutex_t mutex;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int count, phase;

static void *count_up(void *argument)
{
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&mutex);
        count++;
        pthread_mutex_unlock(&mutex);
    }
    pthread_mutex_lock(&mutex);
    while (!phase)
        pthread_cond_wait(&cond, &mutex);
    count++;
    pthread_mutex_unlock(&mutex);
    return argument;
}

static void pthreads(void)
{
    pthread_mutexattr_t attributes;
    pthread_t t[6];
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    REQUIRE(pthread_mutex_init(&mutex, &attributes) == 0);
    for (int i = 0; i < 6; i++)
        t[i] = thread_start(count_up, NULL);
    pthread_mutex_lock(&mutex);
    phase = 1;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 6; i++)
        thread_end(t[i]);
    CHECK_EQ(count, 6 * 501, "a PTHREAD_PRIO_INHERIT mutex keeps threads apart");
    CHECK_EQ(pthread_mutex_destroy(&mutex), 0, "and is free in the end");
}

CHECK_MAIN(CASE(arguments), CASE(waiting), CASE(order), CASE(inheritance), CASE(deadlock),
           CASE(owner_dies), CASE(conditions), CASE(pthreads))
