/* SPDX-License-Identifier: MIT */
/*
 * A timer's signal comes at every point of the way on which a thread goes to sleep for it: run under
 * --icount on one processor, where an instruction takes a nanosecond and the same happens each time.
 *
 * The timer is set to ever later moments, STEP ns apart, and then waited for, by sigsuspend(2) and by
 * ppoll(2). Prints for each how often the signal came. One that is lost is waited for in vain.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define FIRST 500L
#define LAST  20000L
#define STEP  4L

static volatile int alarms;

static void count(int signo)
{
    (void)signo;
    alarms = alarms + 1;
}

static void suspend(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigsuspend(&none);
}

static void wait_for_nothing(void)
{
    sigset_t none;
    sigemptyset(&none);
    ppoll(NULL, 0, NULL, &none);
}

static void sweep(const char *name, void (*sleep_for_it)(void))
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec in = {};
    timer_t timer;
    int rounds = 0;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer))
        perror("timer_create");
    alarms = 0;
    for (long delay = FIRST; delay < LAST; delay += STEP, rounds++) {
        in.it_value.tv_nsec = delay;
        timer_settime(timer, 0, &in, NULL);
        sleep_for_it();
    }
    printf("%s rounds %d alarms %d\n", name, rounds, alarms);
    fflush(stdout);
    timer_delete(timer);
}

int main(void)
{
    struct sigaction action = {.sa_handler = count};
    sigset_t alarm;
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm, NULL);
    sweep("sigsuspend", suspend);
    sweep("ppoll", wait_for_nothing);
    return 0;
}
