/* SPDX-License-Identifier: MIT */
/*
 * Threads as POSIX describes them, whatever C library makes them: built with glibc here, and by
 * run_musl.py with musl, static and dynamic. What the libraries ask of the kernel for it differs much
 * (clone or clone3, how a stack goes away, signals to all threads for setuid, futexes).
 */
#include "thread.h"

#include <semaphore.h>
#include <spawn.h>

#define MANY 16

/* A number that a thread changes and others wait for. */
static _Atomic int stage;

static void await_stage(int value)
{
    while (stage < value)
        usleep(200);
}

static void *none(void *argument)
{
    return argument;
}

/* ---- beginning and end ---- */

static __thread long mine = 5;
static __thread char large[100000];

static void *own_variables(void *argument)
{
    long start = mine + large[99999];
    mine = (long)argument;
    large[99999] = 1;
    usleep(1000);
    return (void *)(start == 5 ? mine : -1);
}

static void *say_and_end(void *argument)
{
    atomic_fetch_add((_Atomic int *)argument, 1);
    return NULL;
}

static void *long_stack(void *argument)
{
    volatile char room[200000];
    memset((char *)room, 1, sizeof(room));
    return (void *)(long)(room[0] + room[sizeof(room) - 1] + (long)argument);
}

static void *read_bottom(void *argument)
{
    pthread_attr_t attributes;
    void *bottom;
    size_t size;
    (void)argument;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &bottom, &size);
    return (void *)(long)*((volatile char *)bottom - 1); /* the guard */
}

static void beginning(void)
{
    pthread_t threads[MANY], thread;
    pthread_attr_t attributes;
    long sum = 0;
    for (long i = 0; i < MANY; i++)
        threads[i] = thread_start(own_variables, (void *)(100 + i));
    for (int i = 0; i < MANY; i++)
        sum += thread_end(threads[i]);
    CHECK_EQ(sum, 100 * MANY + MANY * (MANY - 1) / 2, "each thread has its own variables");
    CHECK_EQ(mine, 5, "so have we");
    for (int i = 0; i < 500; i++)
        sum -= thread_end(thread_start(none, (void *)1L));
    CHECK_EQ(sum, 100 * MANY + MANY * (MANY - 1) / 2 - 500, "five hundred, one after the other");

    static _Atomic int ended;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < 100; i++)
        REQUIRE(pthread_create(&thread, &attributes, say_and_end, &ended) == 0);
    while (ended < 100)
        usleep(200);
    CHECK(1, "a hundred detached ones");
    thread = thread_start(say_and_end, &ended);
    CHECK_EQ(pthread_detach(thread), 0, "pthread_detach");
    while (ended < 101)
        usleep(200);

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 20);
    REQUIRE(pthread_create(&thread, &attributes, long_stack, (void *)40L) == 0);
    CHECK_EQ(thread_end(thread), 42, "a stack of a given size");
    char *stack = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_setstack(&attributes, stack, 1 << 20);
    REQUIRE(pthread_create(&thread, &attributes, long_stack, (void *)40L) == 0);
    CHECK_EQ(thread_end(thread), 42, "a stack of our own");
    CHECK_EQ(IN_CHILD(thread_end(thread_start(read_bottom, NULL))), 128 + SIGSEGV,
             "below the stack is a guard");
}

static void *leave_main(void *argument)
{
    pthread_join(*(pthread_t *)argument, NULL);
    _exit(7);
}

static void *leave_all(void *argument)
{
    exit((int)(long)argument);
}

static void ending(void)
{
    CHECK_EQ(IN_CHILD({
                 static pthread_t self;
                 self = pthread_self();
                 thread_start(leave_main, &self);
                 pthread_exit(NULL);
             }),
             7, "the main thread ends before the others");
    CHECK_EQ(IN_CHILD({
                 thread_start(leave_all, (void *)9L);
                 for (;;)
                     pause();
             }),
             9, "exit() of any thread ends all");
    CHECK_EQ(IN_CHILD({
                 for (int i = 0; i < MANY; i++)
                     thread_start((void *(*)(void *))(void *)pause, NULL);
                 raise(SIGKILL);
             }),
             128 + SIGKILL, "a signal kills all");
}

/* ---- keys, once ---- */

static pthread_key_t keys[4];
static _Atomic int destroyed;

static void destroy(void *value)
{
    destroyed++;
    if (value == (void *)1) /* once more: destructors are called again */
        pthread_setspecific(keys[0], (void *)2);
}

static void *set_keys(void *argument)
{
    (void)argument;
    for (long i = 0; i < 4; i++)
        pthread_setspecific(keys[i], (void *)(i + 1));
    return pthread_getspecific(keys[3]);
}

static _Atomic int initialised;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void initialise(void)
{
    usleep(2000);
    initialised++;
}

static void *do_once(void *argument)
{
    (void)argument;
    pthread_once(&once, initialise);
    return (void *)(long)initialised;
}

static void specific(void)
{
    pthread_t threads[MANY];
    long sum = 0;
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_key_create(&keys[i], destroy) == 0);
    CHECK_EQ(thread_end(thread_start(set_keys, NULL)), 4, "a thread's value of a key");
    CHECK_EQ(destroyed, 5, "destructors run when it ends, again for what they set");
    CHECK(!pthread_getspecific(keys[0]), "ours is untouched");
    for (int i = 0; i < MANY; i++)
        threads[i] = thread_start(do_once, NULL);
    for (int i = 0; i < MANY; i++)
        sum += thread_end(threads[i]);
    CHECK_EQ(sum, MANY, "pthread_once: all wait for the one that does it");
}

/* ---- cancellation ---- */

static _Atomic int cleaned;
static _Atomic pid_t sleeper;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void clean(void *argument)
{
    cleaned += (int)(long)argument;
}

static void unlock(void *argument)
{
    cleaned += 100;
    pthread_mutex_unlock(argument);
}

static void *wait_in_read(void *argument)
{
    char byte;
    pthread_cleanup_push(clean, (void *)1L);
    pthread_cleanup_push(clean, (void *)10L);
    sleeper = gettid();
    if (read((int)(long)argument, &byte, 1) < 0)
        return (void *)2L;
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return (void *)1L;
}

static void *wait_for_condition(void *argument)
{
    (void)argument;
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(unlock, &mutex);
    sleeper = gettid();
    for (;;)
        pthread_cond_wait(&condition, &mutex);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *spin_for_ever(void *argument)
{
    int old;
    (void)argument;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    stage = 1;
    for (;;)
        ;
    return NULL;
}

static void *not_now(void *argument)
{
    int old;
    (void)argument;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    stage = 2;
    await_stage(3);
    usleep(1000); /* a place where it could end */
    stage = 4;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    pthread_testcancel();
    return (void *)1L;
}

static void *wait_for_sem(void *argument)
{
    sleeper = gettid();
    sem_wait(argument);
    return NULL;
}

#define CANCELLED ((long)PTHREAD_CANCELED)

static void cancelling(void)
{
    int fds[2];
    sem_t sem;
    pthread_t thread;
    REQUIRE(pipe(fds) == 0);
    thread = thread_start(wait_in_read, (void *)(long)fds[0]);
    await_sleep(&sleeper);
    CHECK_EQ(pthread_cancel(thread), 0, "pthread_cancel");
    CHECK_EQ(thread_end(thread), CANCELLED, "of one that sleeps in read()");
    CHECK_EQ(cleaned, 11, "its handlers were called");
    cleaned = sleeper = 0;
    thread = thread_start(wait_for_condition, NULL);
    await_sleep(&sleeper);
    pthread_cancel(thread);
    CHECK_EQ(thread_end(thread), CANCELLED, "of one that waits for a condition");
    CHECK(cleaned == 100 && pthread_mutex_trylock(&mutex) == 0,
          "it had the mutex again, and gave it back");
    pthread_mutex_unlock(&mutex);
    sleeper = 0;
    sem_init(&sem, 0, 0);
    thread = thread_start(wait_for_sem, &sem);
    await_sleep(&sleeper);
    pthread_cancel(thread);
    CHECK_EQ(thread_end(thread), CANCELLED, "of one that waits for a semaphore");
    thread = thread_start(spin_for_ever, NULL);
    await_stage(1);
    pthread_cancel(thread);
    CHECK_EQ(thread_end(thread), CANCELLED, "of one that runs, asynchronously");
    thread = thread_start(not_now, NULL);
    await_stage(2);
    pthread_cancel(thread);
    stage = 3;
    CHECK_EQ(thread_end(thread), CANCELLED, "of one that forbids it for a while");
    CHECK_EQ(stage, 4, "it went on until it allowed it");
}

/* ---- mutexes ---- */

static long counter;

static void *count(void *argument)
{
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(argument);
        counter++;
        if (i % 256 == 0)
            sched_yield();
        pthread_mutex_unlock(argument);
    }
    return NULL;
}

static void mutex_of(pthread_mutex_t *m, int type, int protocol, int robust, int shared)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, type);
    REQUIRE(pthread_mutexattr_setprotocol(&a, protocol) == 0);
    REQUIRE(pthread_mutexattr_setrobust(&a, robust) == 0);
    pthread_mutexattr_setpshared(&a, shared);
    REQUIRE(pthread_mutex_init(m, &a) == 0);
}

static void count_with(pthread_mutex_t *m, const char *text)
{
    pthread_t threads[4];
    counter = 0;
    for (int i = 0; i < 4; i++)
        threads[i] = thread_start(count, m);
    for (int i = 0; i < 4; i++)
        thread_end(threads[i]);
    CHECK_EQ(counter, 8000, text);
}

static void *try_lock(void *argument)
{
    return (void *)(long)pthread_mutex_trylock(argument);
}

static void *lock_for_a_while(void *argument)
{
    struct timespec t = after_ms(CLOCK_REALTIME, 20);
    return (void *)(long)pthread_mutex_timedlock(argument, &t);
}

static void *lock_and_die(void *argument)
{
    pthread_mutex_lock(argument);
    return NULL;
}

static void mutexes(void)
{
    pthread_mutex_t m;
    mutex_of(&m, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED, 0);
    count_with(&m, "a mutex");
    pthread_mutex_lock(&m);
    CHECK_EQ(thread_end(thread_start(try_lock, &m)), EBUSY, "trylock");
    CHECK_EQ(thread_end(thread_start(lock_for_a_while, &m)), ETIMEDOUT, "timedlock");
    mutex_of(&m, PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED, 0);
    count_with(&m, "a recursive one");
    CHECK(pthread_mutex_lock(&m) == 0 && pthread_mutex_lock(&m) == 0, "locked twice");
    pthread_mutex_unlock(&m);
    CHECK_EQ(thread_end(thread_start(try_lock, &m)), EBUSY, "it needs as many unlocks");
    pthread_mutex_unlock(&m);
    mutex_of(&m, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED, 0);
    pthread_mutex_lock(&m);
    CHECK_EQ(pthread_mutex_lock(&m), EDEADLK, "one that checks");
    pthread_mutex_unlock(&m);
    CHECK_EQ(pthread_mutex_unlock(&m), EPERM, "is not ours to unlock");
}

static void robust(void)
{
    pthread_mutex_t *m = share_pages(4096);
    if (qemu_user_lacks("robust mutexes"))
        return;
    for (int shared = 0; shared < 2; shared++) {
        mutex_of(m, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST, shared);
        count_with(m, shared ? "a robust mutex, shared" : "a robust mutex");
        if (shared)
            IN_CHILD(pthread_mutex_lock(m); raise(SIGKILL));
        else
            thread_end(thread_start(lock_and_die, m));
        CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD, "its owner died");
        CHECK_EQ(pthread_mutex_consistent(m), 0, "we make good what it left");
        CHECK_EQ(pthread_mutex_unlock(m), 0, "and it works again");
        count_with(m, "for all");
        thread_end(thread_start(lock_and_die, m));
        CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD, "another died");
        pthread_mutex_unlock(m);
        CHECK_EQ(pthread_mutex_lock(m), ENOTRECOVERABLE, "and we did not make it good");
    }
}

static void priority(void)
{
    pthread_mutex_t *m = share_pages(4096);
    if (qemu_user_lacks("mutexes that lend priority"))
        return;
    mutex_of(m, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED, 0);
    count_with(m, "a mutex that lends priority");
    pthread_mutex_lock(m);
    CHECK_EQ(thread_end(thread_start(try_lock, m)), EBUSY, "trylock");
    CHECK_EQ(thread_end(thread_start(lock_for_a_while, m)), ETIMEDOUT, "timedlock");
    pthread_mutex_unlock(m);
    mutex_of(m, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_ROBUST, 1);
    count_with(m, "a robust one");
    IN_CHILD(pthread_mutex_lock(m); raise(SIGKILL));
    CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD, "its owner died");
    pthread_mutex_consistent(m);
    pthread_mutex_unlock(m);
    count_with(m, "it works again");
}

/* ---- conditions, barriers, and the like ---- */

static int waiting, woken, turn;

static void *wait_to_go(void *argument)
{
    pthread_mutex_lock(&mutex);
    waiting++;
    while (!turn)
        pthread_cond_wait(argument, &mutex);
    woken++;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void conditions(void)
{
    pthread_t threads[MANY];
    pthread_condattr_t a;
    pthread_cond_t c;
    struct timespec start, end;
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&c, &a);
    for (int i = 0; i < MANY; i++)
        threads[i] = thread_start(wait_to_go, &c);
    for (int there = 0; there < MANY; usleep(200)) {
        pthread_mutex_lock(&mutex);
        there = waiting;
        pthread_mutex_unlock(&mutex);
    }
    pthread_mutex_lock(&mutex);
    turn = 1;
    pthread_cond_broadcast(&c);
    CHECK_EQ(woken, 0, "a broadcast: nobody goes on before we unlock");
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < MANY; i++)
        thread_end(threads[i]);
    CHECK_EQ(woken, MANY, "then all do");
    clock_gettime(CLOCK_MONOTONIC, &start);
    end = after_ms(CLOCK_MONOTONIC, 30);
    pthread_mutex_lock(&mutex);
    while (pthread_cond_timedwait(&c, &mutex, &end) == 0)
        ;
    CHECK(ms_since(&start, CLOCK_MONOTONIC) >= 29, "a wait ends by the monotonic clock");
    end = after_ms(CLOCK_REALTIME, 5);
    CHECK_EQ(pthread_cond_timedwait(&condition, &mutex, &end), ETIMEDOUT, "or by the wall clock");
    pthread_mutex_unlock(&mutex);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spinlock;
static _Atomic int readers, most_readers, wrong;
static long first_half, second_half;

static void *read_or_write(void *argument)
{
    for (int i = 0; i < 400; i++) {
        if ((i + (long)argument) % 8 == 0) {
            pthread_rwlock_wrlock(&rwlock);
            wrong += readers != 0;
            first_half++;
            sched_yield();
            second_half++;
        } else {
            pthread_rwlock_rdlock(&rwlock);
            int now = ++readers;
            wrong += first_half != second_half;
            if (now > most_readers)
                most_readers = now;
            sched_yield();
            readers--;
        }
        pthread_rwlock_unlock(&rwlock);
    }
    return NULL;
}

static void *spin(void *argument)
{
    (void)argument;
    for (int i = 0; i < 1000; i++) {
        pthread_spin_lock(&spinlock);
        counter++;
        pthread_spin_unlock(&spinlock);
    }
    return NULL;
}

static pthread_barrier_t barrier;
static _Atomic int rounds[20], serial;

static void *go_round(void *argument)
{
    long bad = 0;
    for (int i = 0; i < 20; i++) {
        rounds[i]++;
        serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
        bad += rounds[i] != 4;
        pthread_barrier_wait(&barrier);
    }
    return (char *)argument + bad;
}

static void others(void)
{
    pthread_t threads[4];
    long bad = 0;
    for (long i = 0; i < 4; i++)
        threads[i] = thread_start(read_or_write, (void *)i);
    for (int i = 0; i < 4; i++)
        thread_end(threads[i]);
    CHECK(!wrong && first_half == 200, "a lock for readers or one writer");
    pthread_rwlock_rdlock(&rwlock);
    struct timespec t = after_ms(CLOCK_REALTIME, 5);
    CHECK_EQ(pthread_rwlock_timedwrlock(&rwlock, &t), ETIMEDOUT, "no writer beside a reader");
    CHECK_EQ(pthread_rwlock_tryrdlock(&rwlock), 0, "but another reader");
    counter = 0;
    pthread_spin_init(&spinlock, 0);
    for (int i = 0; i < 4; i++)
        threads[i] = thread_start(spin, NULL);
    for (int i = 0; i < 4; i++)
        thread_end(threads[i]);
    CHECK_EQ(counter, 4000, "a spinlock");
    pthread_barrier_init(&barrier, NULL, 4);
    for (int i = 0; i < 4; i++)
        threads[i] = thread_start(go_round, NULL);
    for (int i = 0; i < 4; i++)
        bad += thread_end(threads[i]);
    CHECK(bad == 0 && serial == 20, "a barrier, in rounds");
    sem_t sem;
    sem_init(&sem, 0, 2);
    CHECK(sem_wait(&sem) == 0 && sem_trywait(&sem) == 0, "a semaphore");
    t = after_ms(CLOCK_REALTIME, 5);
    CHECK_FAIL(sem_timedwait(&sem, &t), ETIMEDOUT, "that is down");
}

/* ---- between processes ---- */

struct meeting {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    pthread_barrier_t barrier;
    sem_t sem;
    int ball;
};

static void play(struct meeting *m, int mine_is)
{
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&m->mutex);
        while (m->ball % 2 != mine_is)
            pthread_cond_wait(&m->condition, &m->mutex);
        m->ball++;
        pthread_cond_signal(&m->condition);
        pthread_mutex_unlock(&m->mutex);
    }
}

static void processes(void)
{
    struct meeting *m = share_pages(4096);
    pthread_condattr_t c;
    pthread_barrierattr_t b;
    mutex_of(&m->mutex, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED, 1);
    pthread_condattr_init(&c);
    pthread_condattr_setpshared(&c, 1);
    pthread_cond_init(&m->condition, &c);
    pthread_barrierattr_init(&b);
    pthread_barrierattr_setpshared(&b, 1);
    pthread_barrier_init(&m->barrier, &b, 2);
    sem_init(&m->sem, 1, 0);
    pid_t child = CHILD(play(m, 1); pthread_barrier_wait(&m->barrier); sem_post(&m->sem));
    play(m, 0);
    pthread_barrier_wait(&m->barrier);
    CHECK(sem_wait(&m->sem) == 0 && m->ball == 400, "mutex, condition, barrier, semaphore, shared");
    CHECK_EQ(end_of(child), 0, "the other one's end");
}

/* ---- signals, credentials, fork ---- */

static _Atomic int handled;
static _Atomic pthread_t handled_by;

static void note(int signal)
{
    handled_by = pthread_self();
    handled = signal;
}

static void *await_signal(void *argument)
{
    sigset_t set = set_of(SIGUSR2);
    int signal = 0;
    (void)argument;
    sleeper = gettid();
    sigwait(&set, &signal);
    return (void *)(long)signal;
}

static void *await_handler(void *argument)
{
    (void)argument;
    sleeper = gettid();
    while (!handled)
        pause();
    return NULL;
}

static void signals(void)
{
    sigset_t set = set_of(SIGUSR2);
    handle_flags(SIGUSR1, note, 0);
    sleeper = 0;
    pthread_t thread = thread_start(await_handler, NULL);
    await_sleep(&sleeper);
    CHECK_EQ(pthread_kill(thread, SIGUSR1), 0, "pthread_kill");
    thread_end(thread);
    CHECK(handled == SIGUSR1 && handled_by == thread, "the thread handles it");
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sleeper = 0;
    thread = thread_start(await_signal, NULL);
    await_sleep(&sleeper);
    kill(getpid(), SIGUSR2);
    CHECK_EQ(thread_end(thread), SIGUSR2, "one that waits gets the process's signal");
}

static void *who_am_i(void *argument)
{
    uid_t r, e, s;
    stage++;
    await_stage((int)(long)argument);
    getresuid(&r, &e, &s);
    return (void *)(long)(r == e && e == s ? (int)r : -1);
}

static void credentials(void)
{
    NEED_ROOT();
    pthread_t threads[4];
    int same = 0;
    for (int i = 0; i < 4; i++)
        threads[i] = thread_start(who_am_i, (void *)10L);
    await_stage(4);
    CHECK_EQ(setresuid(1234, 1234, 1234), 0, "setresuid");
    stage = 10;
    for (int i = 0; i < 4; i++)
        same += thread_end(threads[i]) == 1234;
    CHECK_EQ(same, 4, "is for all threads");
}

static int forks[3];

static void before_fork(void)
{
    forks[0]++;
}

static void after_in_parent(void)
{
    forks[1]++;
}

static void after_in_child(void)
{
    forks[2]++;
}

static void *fork_here(void *argument)
{
    (void)argument;
    int end = IN_CHILD(_exit(forks[2] == 1 ? thread_end(thread_start(none, (void *)3L)) : 99));
    return (void *)(long)end;
}

static void *run(void *argument)
{
    extern char **environ;
    char *argv[] = {argument, NULL};
    pid_t pid;
    if (posix_spawn(&pid, argument, NULL, NULL, argv, environ) != 0)
        return (void *)-1L;
    return (void *)(long)end_of(pid);
}

static void forking(void)
{
    pthread_atfork(before_fork, after_in_parent, after_in_child);
    CHECK_EQ(thread_end(thread_start(fork_here, NULL)), 3, "a thread forks; the child has threads");
    CHECK(forks[0] == 1 && forks[1] == 1, "handlers of fork");
    CHECK_EQ(thread_end(thread_start(run, "/bin/true")), 0, "posix_spawn");
    if (!qemu_user_lacks("posix_spawn says what is wrong"))
        CHECK_EQ(thread_end(thread_start(run, "/nowhere")), -1, "posix_spawn says what is wrong");
}

static _Atomic int expired;

static void on_expiry(union sigval value)
{
    expired = value.sival_int;
}

static void timers(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_expiry};
    struct itimerspec soon = {.it_value = {0, 2000000}};
    timer_t timer;
    if (qemu_user_lacks("timers that start threads"))
        return;
    event.sigev_value.sival_int = 17;
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0, "a timer that starts a thread");
    timer_settime(timer, 0, &soon, NULL);
    while (!expired)
        usleep(200);
    CHECK_EQ(expired, 17, "it does");
    CHECK_EQ(timer_delete(timer), 0, "and can be deleted");
}

CHECK_MAIN(CASE(beginning), CASE(ending), CASE(specific), CASE(cancelling), CASE(mutexes),
           CASE(robust), CASE(priority), CASE(conditions), CASE(others), CASE(processes),
           CASE(signals), CASE(credentials), CASE(forking), CASE(timers))
