/* SPDX-License-Identifier: MIT */
/* What debuggers are shown: three threads, one of which counts down and then dies. With an argument
 * none does. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

int counter;
static volatile int *nowhere;
static pthread_barrier_t barrier;

__attribute__((noinline)) static void *waiter(void *arg)
{
    pthread_barrier_wait(&barrier);
    for (;;)
        pause();
    return arg;
}

__attribute__((noinline)) static int crash(int depth)
{
    counter = depth;
    if (depth == 0)
        return *nowhere;
    return crash(depth - 1) + 1;
}

int main(int argc, char **argv)
{
    pthread_t threads[2];

    (void)argv;
    pthread_barrier_init(&barrier, NULL, 3);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, waiter, NULL);
    pthread_barrier_wait(&barrier);
    if (argc > 1) {
        puts("ready");
        fflush(stdout);
        pause();
    }
    return crash(3);
}
