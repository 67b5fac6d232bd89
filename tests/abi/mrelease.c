/* SPDX-License-Identifier: MIT */
/* process_mrelease(2): the memory of a process that is ending, before it has ended. */
#include "tracing.h"

#define PAGE  4096UL
#define STACK 65536
#define SIZE  (8UL << 20)

static long mrelease(int pidfd, unsigned flags)
{
    return syscall(SYS_process_mrelease, pidfd, flags);
}

static long open_pid(pid_t pid)
{
    return syscall(SYS_pidfd_open, pid, 0);
}

static long resident(pid_t pid)
{
    char name[64];
    long size, pages = -1;
    FILE *f;

    snprintf(name, sizeof(name), "/proc/%d/statm", pid);
    f = fopen(name, "r");
    if (!f)
        return -1;
    if (fscanf(f, "%ld %ld", &size, &pages) != 2)
        pages = -1;
    fclose(f);
    return pages;
}

static long peek(pid_t pid, const char *address)
{
    char c;
    struct iovec local = {&c, 1}, remote = {(void *)address, 1};

    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == 1 ? c : -errno;
}

static void errors(void)
{
    pid_t child;
    int fd;

    if (qemu_user_lacks("process_mrelease"))
        return;
    fd = open_pid(getpid());
    CHECK_FAIL(mrelease(fd, 0), EINVAL, "a process that lives");
    CHECK_FAIL(mrelease(fd, 1), EINVAL, "an unknown flag");
    CHECK_FAIL(mrelease(-1, 0), EBADF, "no descriptor");
    CHECK_FAIL(mrelease(0, 0), EBADF, "not one of a process");
    close(fd);

    child = fork();
    if (child == 0)
        _exit(0);
    REQUIRE(child > 0);
    fd = open_pid(child);
    CHECK_EQ(waitid(P_PID, child, NULL, WEXITED | WNOWAIT), 0, "it has ended");
    CHECK_FAIL(mrelease(fd, 0), ESRCH, "a zombie has no memory");
    waitpid(child, NULL, 0);
    CHECK_FAIL(mrelease(fd, 0), ESRCH, "nor who has gone");
    close(fd);
}

/* A tracer keeps it at the last place where it has its memory. */
static void released(void)
{
    char *private, *shared;
    int fd, status;
    pid_t child;
    long before;

    NEED_TRACING();
    private = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(private != MAP_FAILED && shared != MAP_FAILED);
    memset(private, 'p', SIZE / 2); /* shared with the child, by then */
    child = fork();
    if (child == 0) {
        memset(private + SIZE / 4, 'c', SIZE * 3 / 4);
        *shared = 's';
        trace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        _exit(7);
    }
    REQUIRE(child > 0);
    fd = open_pid(child);
    REQUIRE(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
    REQUIRE(trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXIT) == 0);
    CHECK_FAIL(mrelease(fd, 0), EINVAL, "it is not ending yet");
    trace(PTRACE_CONT, child, 0, 0);
    REQUIRE(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
    CHECK_EQ(status >> 8, SIGTRAP | PTRACE_EVENT_EXIT << 8, "because of that");
    CHECK_EQ(peek(child, private + SIZE - 1), 'c', "its memory is there");
    before = resident(child);
    CHECK(before >= (long)(SIZE / PAGE), "and counted");
    CHECK_EQ(mrelease(fd, 0), 0, "process_mrelease");
    CHECK(resident(child) <= before - (long)(SIZE / PAGE), "what was private is not any more");
    CHECK_EQ(peek(child, private + SIZE - 1), -EFAULT, "nor can it be had");
    CHECK_EQ(peek(child, private), -EFAULT, "nor what was the parent's as well");
    CHECK(private[0] == 'p' && private[SIZE - 1] == 0, "the parent's own stays");
    CHECK_EQ(peek(child, shared), 's', "what is shared stays");
    CHECK_EQ(mrelease(fd, 0), 0, "again: nothing is left to do");
    trace(PTRACE_CONT, child, 0, 0);
    CHECK_EQ(waitpid(child, &status, 0), child, "it ends");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "with its status");
    close(fd);
}

static int wait_for_the_end(void *arg)
{
    (void)arg;
    while (pause())
        continue;
    return 0;
}

/* The memory is also another's, who does not end. */
static void shared_memory(void)
{
    int fd, status;
    pid_t child, *other;

    NEED_TRACING();
    other = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(other != MAP_FAILED);
    child = fork();
    if (child == 0) {
        char *stack = malloc(STACK);

        trace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        *other = clone(wait_for_the_end, stack + STACK, CLONE_VM | SIGCHLD, NULL);
        _exit(0);
    }
    REQUIRE(child > 0);
    fd = open_pid(child);
    REQUIRE(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
    REQUIRE(trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXIT) == 0);
    trace(PTRACE_CONT, child, 0, 0);
    REQUIRE(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
    REQUIRE(*other > 0);
    CHECK_FAIL(mrelease(fd, 0), EINVAL, "one of two who share it ends");
    kill(*other, SIGKILL);
    CHECK_EQ(mrelease(fd, 0), 0, "both do");
    trace(PTRACE_CONT, child, 0, 0);
    CHECK_EQ(waitpid(child, &status, 0), child, "it ends");
    close(fd);
}

CHECK_MAIN(CASE(errors), CASE(released), CASE(shared_memory))
