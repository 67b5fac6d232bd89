/* SPDX-License-Identifier: MIT */
/* Threads as the C library makes them: pthreads, signals to threads, exec and exit among many. */
#include "thread.h"

#include <linux/sched.h>
#include <semaphore.h>

static __thread int local = 7;
static int global;

static void *look(void *argument)
{
    local++;
    global = 5;
    return (void *)(long)(local + (getpid() == (long)argument ? 10 : 0) +
                          (gettid() != getpid() ? 100 : 0));
}

static void *close_it(void *argument)
{
    return (void *)(long)close((long)argument);
}

static void basics(void)
{
    CHECK_EQ(thread_end(thread_start(look, (void *)(long)getpid())), 118,
             "a thread has its own variables and number, and the process's number");
    CHECK_EQ(local, 7, "ours are untouched");
    CHECK_EQ(global, 5, "memory is shared");
    pthread_t threads[50];
    long sum = 0;
    for (int i = 0; i < 50; i++)
        threads[i] = thread_start(look, (void *)(long)getpid());
    for (int i = 0; i < 50; i++)
        sum += thread_end(threads[i]);
    CHECK_EQ(sum, 50 * 118, "fifty at once");
    int fd = open("/dev/null", O_RDONLY);
    CHECK(fd >= 0 && thread_end(thread_start(close_it, (void *)(long)fd)) == 0,
          "a thread closes a descriptor");
    CHECK_FAIL(fcntl(fd, F_GETFD), EBADF, "for all of them");
}

/* ---- clone3 ---- */

static void clone3_errors(void)
{
    struct clone_args a = {.flags = CLONE_THREAD};
    if (qemu_user_lacks("clone3"))
        return;
    CHECK_FAIL(syscall(SYS_clone3, &a, sizeof(a)), EINVAL, "CLONE_THREAD without CLONE_SIGHAND");
    a.flags = CLONE_SIGHAND;
    CHECK_FAIL(syscall(SYS_clone3, &a, sizeof(a)), EINVAL, "CLONE_SIGHAND without CLONE_VM");
    a.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    a.exit_signal = SIGCHLD;
    CHECK_FAIL(syscall(SYS_clone3, &a, sizeof(a)), EINVAL, "a thread has no exit signal");
    a = (struct clone_args){.exit_signal = 65};
    CHECK_FAIL(syscall(SYS_clone3, &a, sizeof(a)), EINVAL, "no such signal");
    a = (struct clone_args){.stack = 4096};
    CHECK_FAIL(syscall(SYS_clone3, &a, sizeof(a)), EINVAL, "a stack without a size");
    a = (struct clone_args){.stack_size = 4096};
    CHECK_FAIL(syscall(SYS_clone3, &a, sizeof(a)), EINVAL, "a size without a stack");
    a = (struct clone_args){.flags = SIGCHLD};
    CHECK_FAIL(syscall(SYS_clone3, &a, sizeof(a)), EINVAL, "the signal is not in the flags");
    a = (struct clone_args){.flags = CLONE_SIGHAND | CLONE_VM | CLONE_CLEAR_SIGHAND};
    CHECK_FAIL(syscall(SYS_clone3, &a, sizeof(a)), EINVAL, "handlers shared and cleared");
    CHECK_FAIL(syscall(SYS_clone3, &a, 8), EINVAL, "a structure that is too small");
    CHECK_FAIL(syscall(SYS_clone3, unmapped_page(), sizeof(a)), EFAULT, "a bad pointer");
}

/* ---- synchronisation ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t semaphore;
static int queue, taken, readers, wrong;
static _Atomic int serial;

static void *produce(void *argument)
{
    for (int i = 0; i < 300; i++) {
        pthread_mutex_lock(&mutex);
        queue++;
        pthread_cond_signal(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

static void *consume(void *argument)
{
    for (int i = 0; i < 300; i++) {
        pthread_mutex_lock(&mutex);
        while (queue == 0)
            pthread_cond_wait(&cond, &mutex);
        queue--;
        taken++;
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

static void *read_or_write(void *argument)
{
    for (int i = 0; i < 200; i++) {
        if ((i + (long)argument) % 4) {
            pthread_rwlock_rdlock(&rwlock);
            wrong += readers < 0;
        } else {
            pthread_rwlock_wrlock(&rwlock);
            readers = -1;
            sched_yield();
            readers = 0;
        }
        pthread_rwlock_unlock(&rwlock);
    }
    for (int i = 0; i < 20; i++)
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            serial++;
    sem_post(&semaphore);
    return NULL;
}

static void synchronisation(void)
{
    pthread_t t[6];
    for (int i = 0; i < 6; i++)
        t[i] = thread_start(i % 2 ? produce : consume, NULL);
    for (int i = 0; i < 6; i++)
        thread_end(t[i]);
    CHECK(taken == 900 && queue == 0, "a condition: what is put is taken");
    pthread_barrier_init(&barrier, NULL, 4);
    sem_init(&semaphore, 0, 0);
    for (int i = 0; i < 4; i++)
        t[i] = thread_start(read_or_write, (void *)(long)i);
    for (int i = 0; i < 4; i++)
        sem_wait(&semaphore);
    for (int i = 0; i < 4; i++)
        thread_end(t[i]);
    CHECK_EQ(wrong, 0, "a read-write lock keeps readers from the writer");
    CHECK_EQ(serial, 20, "a barrier lets all pass, one of them as the serial one");
    struct timespec soon = after_ms(CLOCK_REALTIME, 20);
    CHECK_EQ(sem_timedwait(&semaphore, &soon) < 0 ? errno : 0, ETIMEDOUT, "sem_timedwait");
    pthread_mutex_lock(&mutex);
    soon = after_ms(CLOCK_REALTIME, 20);
    CHECK_EQ(pthread_cond_timedwait(&cond, &mutex, &soon), ETIMEDOUT, "pthread_cond_timedwait");
    pthread_mutex_unlock(&mutex);
}

/* ---- cancellation ---- */

static int cleaned;

static void clean(void *argument)
{
    (void)argument;
    cleaned++;
}

static void *sleep_for_ever(void *argument)
{
    pthread_cleanup_push(clean, NULL);
    *(_Atomic pid_t *)argument = gettid();
    pause();
    pthread_cleanup_pop(0);
    return NULL;
}

static void *spin_for_ever(void *argument)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    *(_Atomic pid_t *)argument = gettid();
    for (;;)
        ;
    return NULL;
}

static void cancellation(void)
{
    static _Atomic pid_t tid;
    pthread_t t = thread_start(sleep_for_ever, (void *)&tid);
    await_sleep(&tid);
    CHECK_EQ(pthread_cancel(t), 0, "pthread_cancel");
    CHECK(thread_end(t) == (long)PTHREAD_CANCELED && cleaned == 1, "of one that sleeps");
    tid = 0;
    t = thread_start(spin_for_ever, (void *)&tid);
    while (!tid)
        usleep(200);
    pthread_cancel(t);
    CHECK_EQ(thread_end(t), (long)PTHREAD_CANCELED, "of one that never calls anything");
}

/* ---- signals ---- */

static _Atomic pid_t handled_by;
static _Atomic int handled;

static void on_signal(int signal)
{
    (void)signal;
    handled_by = gettid();
    handled++;
}

static void *wait_and_block(void *argument)
{
    sigset_t set = set_of(SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    *(_Atomic pid_t *)argument = gettid();
    while (handled < 2)
        pause();
    return NULL;
}

static void signals(void)
{
    static _Atomic pid_t tid;
    handle_flags(SIGUSR1, on_signal, 0);
    handle_flags(SIGUSR2, on_signal, 0);
    pthread_t t = thread_start(wait_and_block, (void *)&tid);
    await_sleep(&tid);
    CHECK_EQ(syscall(SYS_tgkill, getpid(), tid, SIGUSR1), 0, "tgkill");
    while (handled < 1)
        usleep(200);
    CHECK_EQ(handled_by, tid, "the thread itself handles it");
    CHECK_EQ(kill(getpid(), SIGUSR2), 0, "a signal to the process");
    CHECK_EQ(handled_by, getpid(), "goes to a thread that does not block it");
    syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
    thread_end(t);
    char task[64];
    snprintf(task, sizeof(task), "/proc/self/task/%d", tid);
    while (access(task, F_OK) == 0) /* it is joined a moment before it is gone */
        usleep(200);
    CHECK_FAIL(syscall(SYS_tgkill, getpid(), tid, 0), ESRCH, "tgkill of one that has ended");
    CHECK_FAIL(syscall(SYS_tgkill, getpid() + 1, getpid(), 0), ESRCH, "of another process's");
    CHECK_FAIL(syscall(SYS_tgkill, 0, getpid(), 0), EINVAL, "no process");
    CHECK_FAIL(syscall(SYS_tgkill, getpid(), -1, 0), EINVAL, "no thread");
    CHECK_FAIL(syscall(SYS_tgkill, getpid(), getpid(), 65), EINVAL, "no signal");
    CHECK_EQ(syscall(SYS_tkill, getpid(), 0), 0, "tkill");
    sigset_t set = set_of(SIGTERM);
    int got = 0;
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGTERM);
    CHECK(sigwait(&set, &got) == 0 && got == SIGTERM, "sigwait");
}

/* ---- exec and exit with many ---- */

static _Atomic int running;

static void *run_for_ever(void *argument)
{
    running++;
    if (argument)
        for (;;)
            pause();
    for (;;)
        sched_yield();
    return NULL;
}

static void start_many(void)
{
    for (int i = 0; i < 8; i++)
        thread_start(run_for_ever, (void *)(long)(i % 2));
    while (running < 8)
        usleep(200);
}

static void *do_exec(void *argument)
{
    char pid[20];
    (void)argument;
    snprintf(pid, sizeof(pid), "%d", getpid());
    execl(check_state->self, "self", "--probe", pid, NULL);
    _exit(99);
}

static void *do_exit(void *argument)
{
    syscall(SYS_exit_group, (long)argument);
    return NULL;
}

static void *exit_alone(void *argument)
{
    while (process_state(getpid()) != 'Z')
        usleep(200);
    _exit((long)argument);
}

static void ends(void)
{
    if (qemu_user_lacks("the end of many threads"))
        return;
    CHECK_EQ(IN_CHILD(start_many(); _exit(3)), 3, "_exit ends all threads");
    CHECK_EQ(IN_CHILD(start_many(); thread_end(thread_start(do_exit, (void *)4L))), 4,
             "also from another thread");
    CHECK_EQ(IN_CHILD(start_many(); kill(getpid(), SIGKILL); pause()), 128 + SIGKILL,
             "so does SIGKILL");
    CHECK_EQ(IN_CHILD(start_many(); raise(SIGSEGV)), 128 + SIGSEGV, "and a fatal signal");
    CHECK_EQ(IN_CHILD(thread_start(exit_alone, (void *)6L); syscall(SYS_exit, 5)), 6,
             "the first thread may end before the others");
    if (!can_exec_self() || qemu_user_lacks("exec with threads"))
        return;
    CHECK_EQ(IN_CHILD(start_many(); do_exec(NULL)), 0, "exec ends the other threads");
    CHECK_EQ(IN_CHILD(start_many(); thread_start(do_exec, NULL); for (;;) pause()), 0,
             "from another thread the process keeps its number");
}

static void *fork_in_thread(void *argument)
{
    int *lock = argument;
    local = 70;
    pid_t child = fork();
    if (child == 0)
        _exit(local == 70 && getpid() == gettid() && *lock == 1 ? 0 : 1);
    return (void *)(long)end_of(child);
}

static void forks(void)
{
    int lock = 1;
    if (qemu_user_lacks("fork with threads"))
        return;
    start_many();
    CHECK_EQ(thread_end(thread_start(fork_in_thread, &lock)), 0,
             "fork in a thread: the child has that thread alone, with its variables");
    CHECK_EQ(IN_CHILD(CHECK_EQ(thread_end(thread_start(look, (void *)(long)getpid())), 118,
                               "a child starts threads of its own")),
             0, "and ends");
    pid_t stopped = CHILD(running = 0; start_many(); for (;;) pause());
    usleep(20000);
    kill(stopped, SIGSTOP);
    int status;
    CHECK(waitpid(stopped, &status, WUNTRACED) == stopped && WIFSTOPPED(status),
          "a stop stops all threads");
    kill(stopped, SIGCONT);
    CHECK(waitpid(stopped, &status, WCONTINUED) == stopped && WIFCONTINUED(status),
          "and continues");
    kill(stopped, SIGTERM);
    CHECK_EQ(end_of(stopped), 128 + SIGTERM, "SIGTERM ends it");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(basics),  CASE(clone3_errors), CASE(synchronisation), CASE(cancellation),
        CASE(signals), CASE(ends),          CASE(forks),           {NULL, NULL}};
    if (argc > 2 && !strcmp(argv[1], "--probe"))
        return atoi(argv[2]) == getpid() && gettid() == getpid() ? 0 : 1;
    return check_run(cases);
}
