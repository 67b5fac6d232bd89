/* SPDX-License-Identifier: MIT */
/*
 * Programs that take all they can get, one at a time:
 *
 *   bombs fork|thread|descriptor|mapping|pipe|tmpfs|dentry|memory
 *
 * Each goes on until it is refused or killed, says by what error it was refused, and keeps what it
 * has until all of it has ended. Exit status 0: refused, with an error that fits. Who is killed by
 * the kernel for want of memory is that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, FOREVER = 1 << 30 };

static int refused(const char *what, long count, const int *fitting, int n)
{
    int error = errno;

    printf("bombs: %s: %ld, then %s\n", what, count, strerror(error));
    for (int i = 0; i < n; i++)
        if (fitting[i] == error)
            return 0;
    return 1;
}
#define REFUSED(what, count, ...)                                                                  \
    refused(what, count, (int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

/* Children that make children, as fast as they can; all in our process group. */
static int fork_bomb(void)
{
    volatile long *counts =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;

    for (int round = 0; round < 2; round++) {
        counts[1] = 0;
        pid_t first = fork();

        if (first == 0) {
            setpgid(0, 0);
            while (!counts[1]) {
                pid_t pid = fork();

                if (pid > 0)
                    __atomic_fetch_add(&counts[0], 1, __ATOMIC_RELAXED);
                if (pid < 0)
                    counts[1] = errno;
            }
            pause();
        }
        if (first < 0)
            return REFUSED("fork", counts[0], EAGAIN, ENOMEM);
        setpgid(first, first);
        while (!counts[1] && waitpid(first, &status, WNOHANG) == 0)
            usleep(10000);
        kill(-first, SIGKILL);
        while (waitpid(-1, &status, 0) > 0)
            ;
    }
    errno = counts[1];
    return counts[1] ? REFUSED("fork", counts[0], EAGAIN, ENOMEM) : 0;
}

static int sleeper(void *unused)
{
    (void)unused;
    for (;;)
        sleep(1000);
    return 0;
}

static int thread_bomb(void)
{
    const int flags =
        CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

    for (long n = 0; n < FOREVER; n++) {
        char *stack =
            mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (stack == MAP_FAILED || clone(sleeper, stack + 2 * PAGE, flags, NULL) < 0) {
            int status = REFUSED("threads", n, EAGAIN, ENOMEM);

            fflush(stdout);
            _exit(status);
        }
    }
    return 1;
}

static int descriptor_bomb(void)
{
    struct rlimit all;
    long n = 0;

    getrlimit(RLIMIT_NOFILE, &all);
    all.rlim_cur = all.rlim_max;
    setrlimit(RLIMIT_NOFILE, &all);
    for (;; n++)
        if (open("/dev/null", O_RDONLY) < 0)
            return REFUSED("descriptors", n, EMFILE, ENFILE, ENOMEM);
}

static int mapping_bomb(void)
{
    for (long n = 0;; n++)
        if (mmap(NULL, PAGE, n % 2 ? PROT_READ : PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
            return REFUSED("mappings", n, ENOMEM);
}

static int pipe_bomb(void)
{
    static char data[65536];
    long n = 0;

    for (;; n++) {
        int ends[2];

        if (pipe2(ends, O_NONBLOCK) < 0)
            return REFUSED("pipes", n, EMFILE, ENFILE, ENOMEM);
        fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
        ssize_t done;
        while ((done = write(ends[1], data, sizeof(data))) > 0)
            ;
        if (done < 0 && errno != EAGAIN)
            return REFUSED("pipes", n, ENOMEM);
    }
}

static int tmpfs_hog(void)
{
    static char data[65536];
    int fd = open("/tmp/hog", O_WRONLY | O_CREAT | O_EXCL, 0600);
    long n = 0;

    memset(data, 1, sizeof(data));
    for (;; n++)
        if (write(fd, data, sizeof(data)) != sizeof(data)) {
            if (write(fd, data, PAGE) == PAGE) /* the last one was cut short */
                continue;
            int status = REFUSED("blocks", n, ENOSPC, ENOMEM);

            unlink("/tmp/hog");
            return status;
        }
}

/* Names that are looked for and not found are remembered, and can be forgotten. */
static int dentry_bomb(void)
{
    char name[300];
    long n = 0;

    for (; n < 60000; n++) {
        sprintf(name, "/tmp/%0200ld", n);
        if (access(name, F_OK) == 0 || (errno != ENOENT && errno != ENOMEM))
            return REFUSED("names", n, ENOMEM);
    }
    for (n = 0;; n++) {
        sprintf(name, "/tmp/bomb.%ld", n);
        if (mkdir(name, 0700) < 0)
            break;
    }
    int status = REFUSED("folders", n, ENOSPC, ENOMEM);
    while (n-- > 0) {
        sprintf(name, "/tmp/bomb.%ld", n);
        rmdir(name);
    }
    return status;
}

static int memory_hog(void)
{
    for (long n = 0;; n++) {
        char *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
            return REFUSED("megabytes", n / 4, ENOMEM);
        memset(p, 1, 64 * PAGE);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } bombs[] = {
        {"fork", fork_bomb},       {"thread", thread_bomb}, {"descriptor", descriptor_bomb},
        {"mapping", mapping_bomb}, {"pipe", pipe_bomb},     {"tmpfs", tmpfs_hog},
        {"dentry", dentry_bomb},   {"memory", memory_hog},
    };
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);

    write(fd, "500", 3); /* us, rather than the shell */
    close(fd);
    for (size_t i = 0; argc == 2 && i < sizeof(bombs) / sizeof(*bombs); i++)
        if (!strcmp(argv[1], bombs[i].name))
            return bombs[i].run();
    return 2;
}
