/* SPDX-License-Identifier: MIT */
/*
 * Races: two parties at the same thing in the same moment, again and again. Each of these cases has shown
 * a mistake once, or could have.
 */
#include "thread.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/time.h>

/* For a while, different each time: so the others are met at different points. */
static void dawdle(int i)
{
    for (volatile int k = i * 37 % 800; k > 0; k--)
        ;
}

/* Both sides come here before either goes on. */
static void meet(_Atomic int *counter, int round)
{
    ++*counter;
    while (*counter < 2 * (round + 1))
        sched_yield();
}

/* ---- timers ---------------------------------------------------------------------------------------- */

static void *set_timers(void *unused)
{
    for (int i = 0; i < 3000; i++) {
        struct itimerval t = {.it_value = {0, i % 7 ? 50 + i % 300 : 0},
                              .it_interval = {0, i % 3 * 100}};
        setitimer(ITIMER_REAL, &t, NULL);
    }
    return unused;
}

/* The threads of a process have one interval timer. */
static void one_timer(void)
{
    pthread_t threads[4];
    handle_flags(SIGALRM, SIG_IGN, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        threads[i] = thread_start(set_timers, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        thread_end(threads[i]);
    CHECK(1, "four threads set the same timer at once");
}

/* A process ends in the moment in which its timer expires. */
static void last_alarm(void)
{
    int ended = 0;
    for (int i = 0; i < 400; i++)
        ended += IN_CHILD({
                     struct itimerval t = {.it_value = {0, 100}, .it_interval = {0, 50}};
                     handle_flags(SIGALRM, SIG_IGN, 0);
                     setitimer(ITIMER_REAL, &t, NULL);
                     dawdle(i * 11);
                 }) == 0;
    CHECK_EQ(ended, 400, "processes end while their timers expire");
}

/* ---- signals --------------------------------------------------------------------------------------- */

static void ignore_it(int unused)
{
    (void)unused;
}

/* SIGCONT that comes after a stop signal continues the process, whatever it is just doing about that. */
static void stop_and_go(void)
{
    _Atomic unsigned *steps = share_pages(4096);
    int signals[] = {SIGTSTP, SIGSTOP}, alive = 1;
    pid_t runner = CHILD({
        setpgid(0, 0);
        for (;;)
            ++*steps;
    });
    setpgid(runner, runner);
    for (int i = 0; i < 4000 && alive; i++) {
        kill(runner, signals[i % 2]);
        dawdle(i);
        kill(runner, SIGCONT);
        if (i % 10)
            continue;
        unsigned before = *steps;
        for (int k = 0; k < 5000 && *steps == before; k++)
            usleep(1000);
        alive = *steps != before;
    }
    CHECK(alive, "who is continued after a stop runs");
    kill(runner, SIGKILL);
    end_of(runner);
}

/* Signals are charged to a user who is somebody else in the next moment. */
static void changing_user(void)
{
    pid_t changer;
    if (geteuid() != 0) {
        SKIP("a process changes its user while signals are sent to it", "needs root");
        return;
    }
    handle_flags(SIGUSR1, ignore_it, 0);
    changer = CHILD({
        for (;;) {
            setresuid(0, 1234, 0);
            setresuid(0, 0, 0);
        }
    });
    for (int i = 0; i < 20000; i++) {
        kill(changer, SIGUSR1);
        getpriority(PRIO_USER, 1234);
    }
    kill(changer, SIGKILL);
    CHECK_EQ(end_of(changer), 128 + SIGKILL,
             "a process changes its user while signals are sent to it");
}

/* ---- waiting for events ---------------------------------------------------------------------------- */

struct ball {
    _Atomic int met;
    int fds[2];
};

static void *serve_balls(void *arg)
{
    struct ball *b = arg;
    for (int i = 0; i < 3000; i++) {
        meet(&b->met, i);
        dawdle(i);
        write(b->fds[1], "x", 1);
    }
    return NULL;
}

/* What becomes readable while poll(2) begins to wait for it ends the wait. */
static void just_then(void)
{
    struct ball b = {0};
    int woken = 0;
    char c;
    REQUIRE(pipe(b.fds) == 0);
    pthread_t server = thread_start(serve_balls, &b);
    for (int i = 0; i < 3000; i++) {
        struct pollfd p = {.fd = b.fds[0], .events = POLLIN};
        meet(&b.met, i);
        woken += poll(&p, 1, 10000) == 1;
        read(b.fds[0], &c, 1);
    }
    CHECK_EQ(woken, 3000, "a write ends each poll");
    thread_end(server);
}

struct busy {
    _Atomic int stop;
    int fds[4];
};

static void *keep_busy(void *arg)
{
    struct busy *b = arg;
    for (int i = 0; !b->stop; i++) {
        eventfd_write(b->fds[i % 4], 1);
        if (i % 16 == 0)
            sched_yield(); /* there may be one processor only */
    }
    return NULL;
}

/* However fast events come, one epoll_wait(2) tells of a file once. */
static void told_once(void)
{
    struct busy b = {0};
    int ep = epoll_create1(0), twice = 0;
    REQUIRE(ep >= 0);
    for (int i = 0; i < 4; i++) {
        struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u32 = i};
        b.fds[i] = eventfd(0, EFD_NONBLOCK);
        REQUIRE(epoll_ctl(ep, EPOLL_CTL_ADD, b.fds[i], &e) == 0);
    }
    pthread_t thread = thread_start(keep_busy, &b);
    for (int i = 0; i < 5000; i++) {
        struct epoll_event events[64];
        unsigned seen = 0;
        int n = epoll_wait(ep, events, 64, 1000);
        for (int k = 0; k < n; k++) {
            twice += seen >> events[k].data.u32 & 1;
            seen |= 1U << events[k].data.u32;
        }
    }
    b.stop = 1;
    thread_end(thread);
    CHECK_EQ(twice, 0, "no file is told of twice");
}

/* ---- locks of files -------------------------------------------------------------------------------- */

struct locked {
    _Atomic int met;
    _Atomic int fd;
};

static struct flock lock_at(int type, int start)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};
}

static void *close_locked(void *arg)
{
    struct locked *l = arg;
    for (int i = 0; i < 300; i++) {
        meet(&l->met, 2 * i);
        dawdle(i);
        close(l->fd);
        meet(&l->met, 2 * i + 1);
    }
    return NULL;
}

/* One thread locks a part of a file while another closes it: the lock goes with the file. */
static void locked_and_closed(void)
{
    struct locked l = {0};
    int other = 0, left = 0;
    pthread_t thread = thread_start(close_locked, &l);
    for (int i = 0; i < 300; i++) {
        struct flock set = lock_at(F_WRLCK, 0), seen = lock_at(F_WRLCK, 0);
        l.fd = open("f", O_CREAT | O_RDWR, 0600);
        other = open("f", O_RDWR);
        unlink("f");
        meet(&l.met, 2 * i);
        fcntl(l.fd, F_SETLK, &set);
        meet(&l.met, 2 * i + 1);
        seen.l_pid = 0;
        left += fcntl(other, F_OFD_GETLK, &seen) < 0 || seen.l_type != F_UNLCK;
        close(other);
    }
    thread_end(thread);
    CHECK_EQ(left, 0, "no lock is left of a file that was closed");
}

struct wanted {
    int fd, start;
};

static void *wait_for_lock(void *arg)
{
    struct wanted *w = arg;
    struct flock set = lock_at(F_WRLCK, w->start);
    fcntl(w->fd, F_OFD_SETLKW, &set);
    return NULL;
}

/* Two open files wait for each other, which is their business; a process waits for one of them. */
static void in_a_circle(void)
{
    int a = open("f", O_CREAT | O_RDWR, 0600), b = open("f", O_RDWR), c = open("f", O_RDWR);
    struct flock first = lock_at(F_WRLCK, 0), second = lock_at(F_WRLCK, 1);
    struct wanted wants[2] = {{a, 1}, {b, 0}};
    handle_flags(SIGALRM, ignore_it, 0);
    REQUIRE(fcntl(a, F_OFD_SETLK, &first) == 0 && fcntl(b, F_OFD_SETLK, &second) == 0);
    pid_t pid = CHILD({
        pthread_t one = thread_start(wait_for_lock, &wants[0]);
        thread_start(wait_for_lock, &wants[1]);
        pthread_join(one, NULL);
    });
    while (process_state(pid) != 'S')
        usleep(1000);
    usleep(50000);
    pid_t waiter = CHILD({
        struct itimerval t = {.it_value = {0, 100000}, .it_interval = {0, 100000}};
        setitimer(ITIMER_REAL, &t, NULL);
        if (fcntl(c, F_SETLKW, &first) != -1 || errno != EINTR)
            _exit(1);
    });
    CHECK_EQ(end_of(waiter), 0, "who waits for one of a circle waits until a signal comes");
    kill(pid, SIGKILL);
    end_of(pid);
}

/* ---- memory ---------------------------------------------------------------------------------------- */

struct lazy {
    _Atomic int met;
    volatile char *page;
};

static void *write_lazy(void *arg)
{
    struct lazy *l = arg;
    for (int i = 0; i < 150; i++) {
        meet(&l->met, 2 * i);
        dawdle(i);
        *l->page = i % 100 + 1;
        meet(&l->met, 2 * i + 1);
    }
    return NULL;
}

/* What is written after MADV_FREE stays, though a fork protects the page in that moment. */
static void written_again(void)
{
    struct lazy l = {.page = private_pages(4096)};
    int kept = 0;
    pthread_t writer = thread_start(write_lazy, &l);
    for (int i = 0; i < 150; i++) {
        *l.page = 0;
        madvise((void *)l.page, 4096, MADV_FREE);
        meet(&l.met, 2 * i);
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        meet(&l.met, 2 * i + 1);
        end_of(child);
        madvise((void *)l.page, 4096, MADV_PAGEOUT);
        kept += *l.page == i % 100 + 1;
    }
    CHECK_EQ(kept, 150, "what is written after MADV_FREE stays");
    thread_end(writer);
}

/* ---- threads --------------------------------------------------------------------------------------- */

static _Atomic int word;

static void *wait_and_end(void *unused)
{
    futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    return unused;
}

/* A thread is woken that has seen already that it need not sleep, and ends. */
static void woken_to_end(void)
{
    for (int i = 0; i < 500; i++) {
        pthread_t threads[3];
        word = 0;
        for (unsigned k = 0; k < ARRAY_SIZE(threads); k++)
            threads[k] = thread_start(wait_and_end, NULL);
        dawdle(i);
        word = 1;
        futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
        for (unsigned k = 0; k < ARRAY_SIZE(threads); k++)
            thread_end(threads[k]);
    }
    CHECK(1, "threads end as soon as they are woken");
}

static volatile int moving;

static void *move_about(void *arg)
{
    pid_t tid = *(pid_t *)arg;
    for (unsigned i = 0; moving; i++) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(i % sysconf(_SC_NPROCESSORS_ONLN), &set);
        sched_setaffinity(tid, sizeof(set), &set);
        sched_yield();
    }
    return NULL;
}

static void *echo(void *arg)
{
    int *fds = arg;
    char c;
    while (read(fds[0], &c, 1) == 1 && c)
        write(fds[3], &c, 1);
    return NULL;
}

/* A thread sleeps and is woken while it is sent from one processor to the other. */
static void on_the_move(void)
{
    int fds[4];
    char c = 'x';
    pid_t self = gettid();
    REQUIRE(pipe(fds) == 0 && pipe(fds + 2) == 0);
    moving = 1;
    pthread_t mover = thread_start(move_about, &self), partner = thread_start(echo, fds);
    for (int i = 0; i < 3000; i++) {
        write(fds[1], &c, 1);
        read(fds[2], &c, 1);
    }
    moving = c = 0;
    write(fds[1], &c, 1);
    thread_end(mover);
    thread_end(partner);
    CHECK(1, "a thread that is moved about sleeps and wakes");
}

/* A signal comes by an interrupt of the processor on which a thread is just about to sleep for it. */
static volatile int alarms;

static void count_alarm(int signo)
{
    alarms += signo == SIGALRM;
}

static void about_to_sleep(void)
{
    struct sigevent tick = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec t = {{0, 0}, {0, 0}};
    const int rounds = 600;
    sigset_t blocked, before;
    cpu_set_t all, one;
    timer_t timer;
    REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    handle_flags(SIGALRM, count_alarm, 0);
    REQUIRE(timer_create(CLOCK_MONOTONIC, &tick, &timer) == 0);
    for (int i = 0; i < rounds; i++) {
        t.it_value.tv_nsec = 1 + (i * 7919L) % 40000;
        timer_settime(timer, 0, &t, NULL);
        sigsuspend(&before);
    }
    CHECK_EQ(alarms, rounds, "each wakes who is about to sleep");
    timer_delete(timer);
    sigprocmask(SIG_SETMASK, &before, NULL);
    sched_setaffinity(0, sizeof(all), &all);
}

CHECK_MAIN(CASE(one_timer), CASE(last_alarm), CASE(stop_and_go), CASE(changing_user),
           CASE(just_then), CASE(told_once), CASE(locked_and_closed), CASE(in_a_circle),
           CASE(written_again), CASE(woken_to_end), CASE(on_the_move), CASE(about_to_sleep))
