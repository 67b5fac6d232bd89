/* SPDX-License-Identifier: MIT */
/* process_vm_readv, process_vm_writev, and the other ways into another process's memory. */
#include "areas.h"
#include <sys/uio.h>

static ssize_t fetch(pid_t pid, void *local, void *remote, size_t n)
{
    struct iovec l = {local, n}, r = {remote, n};
    return process_vm_readv(pid, &l, 1, &r, 1, 0);
}

static ssize_t store(pid_t pid, void *local, void *remote, size_t n)
{
    struct iovec l = {local, n}, r = {remote, n};
    return process_vm_writev(pid, &l, 1, &r, 1, 0);
}

/* A child that waits until it is killed. */
static pid_t sleeper(void)
{
    struct gate ready = gate_make();
    pid_t pid = CHILD(gate_open(ready); for (;;) pause());
    gate_pass(ready);
    return pid;
}

static void done_with(pid_t pid)
{
    kill(pid, SIGKILL);
    end_of(pid);
}

static void reading(void)
{
    if (qemu_user_lacks("process_vm_readv"))
        return;
    char *p = anonymous(8, READ_WRITE), *buffer = private_pages(8 * PAGE);
    for (int i = 0; i < 8; i++)
        memset(p + i * PAGE, 'a' + i, PAGE);
    pid_t child = sleeper();
    memset(p, 'z', 8 * PAGE);
    CHECK_EQ(fetch(child, buffer, p, 8 * PAGE), 8 * PAGE, "all of it");
    CHECK(buffer[0] == 'a' && buffer[8 * PAGE - 1] == 'h', "is the child's, not ours");
    CHECK_EQ(fetch(child, buffer, p + PAGE - 3, 6), 6, "over the border of two pages");
    CHECK(!memcmp(buffer, "aaabbb", 6), "both");
    struct iovec local[] = {{buffer, 5}, {buffer + 100, 0}, {buffer + 200, 5}};
    struct iovec remote[] = {{p + PAGE, 3}, {p + 2 * PAGE, 4}, {p + 3 * PAGE, 100}};
    CHECK_EQ(process_vm_readv(child, local, 3, remote, 3, 0), 10, "as much as there is room for");
    CHECK(!memcmp(buffer, "bbbcc", 5) && !memcmp(buffer + 200, "ccddd", 5),
          "many pieces into many others");
    CHECK_EQ(process_vm_readv(child, local, 0, remote, 3, 0), 0, "no room: nothing");
    CHECK_EQ(process_vm_readv(child, local, 3, remote, 0, 0), 0, "nothing to read");
    CHECK_EQ(fetch(getpid(), buffer, p, 10), 10, "our own memory");
    CHECK_EQ(buffer[0], 'z', "too");
    REQUIRE(mprotect(p + 4 * PAGE, PAGE, PROT_WRITE) == 0 &&
            mprotect(p + 6 * PAGE, PAGE, PROT_EXEC) == 0);
    CHECK_FAIL(fetch(getpid(), buffer, p + 4 * PAGE, 10), EFAULT, "what may be written only");
    CHECK_FAIL(fetch(getpid(), buffer, p + 6 * PAGE, 10), EFAULT, "or executed only");
    CHECK_EQ(fetch(getpid(), buffer, p + 3 * PAGE, 2 * PAGE), PAGE, "up to there");
    done_with(child);
    CHECK_FAIL(fetch(child, buffer, p, 10), ESRCH, "one that is gone");
}

static void writing(void)
{
    if (qemu_user_lacks("process_vm_writev"))
        return;
    char *p = anonymous(8, READ_WRITE), *s = share_pages(PAGE), text[] = "hello";
    struct gate go = gate_make();
    memset(p, 1, 8 * PAGE);
    pid_t child = CHILD(gate_pass(go); memcpy(s, p + PAGE - 2, 6); gate_pass(go));
    CHECK_EQ(store(child, text, p + PAGE - 2, 6), 6, "process_vm_writev");
    CHECK(p[PAGE - 2] == 1 && p[PAGE] == 1, "changes nothing of ours: the page is copied first");
    gate_open(go);
    while (!*(volatile char *)(s + 4))
        sched_yield();
    CHECK_STR(s, "hello", "the child sees it");
    CHECK_EQ(store(child, text, anonymous(1, READ_WRITE), 6), -1, "not where it has nothing");
    gate_open(go);
    end_of(child);
    int fd = letters("f", 2);
    char *q = map_alone(2, READ_WRITE, MAP_SHARED, fd);
    child = sleeper();
    CHECK_EQ(store(child, text, q, 5), 5, "into a shared file");
    CHECK(!memcmp(q, "hello", 5), "we see it too");
    char *untouched = anonymous(2, READ_WRITE);
    CHECK_EQ(fetch(child, text, untouched, 1), -1,
             "what was mapped after the fork is not the child's");
    done_with(child);
    p = anonymous(2, READ_WRITE);
    child = sleeper();
    CHECK_EQ(store(child, text, p, 5), 5, "into what was never touched");
    memset(text, 0, 5);
    CHECK(fetch(child, text, p, 5) == 5 && !memcmp(text, "hello", 5), "it is there");
    CHECK_EQ(p[0], 0, "for the child alone");
    done_with(child);
}

static void parts(void)
{
    if (qemu_user_lacks("process_vm_readv"))
        return;
    char *p = anonymous(8, READ_WRITE), buffer[64];
    memset(p, 'x', 8 * PAGE);
    REQUIRE(munmap(p + 2 * PAGE, PAGE) == 0 && mprotect(p + 4 * PAGE, PAGE, PROT_NONE) == 0 &&
            mprotect(p + 6 * PAGE, PAGE, PROT_READ) == 0);
    pid_t child = sleeper();
    CHECK_EQ(fetch(child, buffer, p + 2 * PAGE - 10, 20), 10, "up to a hole");
    CHECK_FAIL(fetch(child, buffer, p + 2 * PAGE, 20), EFAULT, "from a hole on");
    CHECK_FAIL(fetch(child, buffer, p + 4 * PAGE, 20), EFAULT, "what it may not read itself");
    CHECK_EQ(fetch(child, buffer, p + 6 * PAGE, 20), 20, "what it may only read");
    CHECK_FAIL(store(child, buffer, p + 6 * PAGE, 20), EFAULT, "cannot be written");
    struct iovec local = {buffer, 30}, remote[] = {{p, 10}, {p + 2 * PAGE, 10}, {p, 10}};
    CHECK_EQ(process_vm_readv(child, &local, 1, remote, 3, 0), 10,
             "pieces up to the first bad one");
    CHECK_FAIL(process_vm_readv(child, &local, 1, remote + 1, 2, 0), EFAULT, "the first is bad");
    struct iovec nowhere = {unmapped_page(), 10};
    CHECK_FAIL(process_vm_readv(child, &nowhere, 1, remote, 1, 0), EFAULT, "no place for it");
    CHECK_FAIL(process_vm_readv(child, (void *)8, 1, remote, 1, 0), EFAULT,
               "nor the list of places");
    CHECK_FAIL(process_vm_readv(child, &local, 1, (void *)8, 1, 0), EFAULT, "nor of pieces");
    struct iovec kernel = {(void *)-PAGE, 10};
    CHECK_FAIL(process_vm_readv(child, &local, 1, &kernel, 1, 0), EFAULT, "the kernel's memory");
    CHECK_FAIL(process_vm_readv(child, &local, 1, remote, 1, 1), EINVAL, "flags");
    CHECK_FAIL(process_vm_readv(child, &local, 2000, remote, 1, 0), EINVAL, "too many places");
    CHECK_FAIL(process_vm_readv(child, &local, 1, remote, 2000, 0), EINVAL, "too many pieces");
    struct iovec negative = {p, -1};
    CHECK_FAIL(process_vm_readv(child, &local, 1, &negative, 1, 0), EINVAL, "a negative length");
    CHECK_FAIL(process_vm_readv(0x7ffffffe, &local, 1, remote, 1, 0), ESRCH, "no such process");
    done_with(child);
}

static void permissions(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("process_vm_readv"))
        return;
    char *p = anonymous(1, READ_WRITE), byte = 'q';
    p[0] = 'p';
    pid_t child = sleeper();
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(fetch(child, &byte, p, 1) < 0 ? errno : 0)), EPERM,
             "root's memory is not everybody's");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(store(child, &byte, p, 1) < 0 ? errno : 0)), EPERM,
             "for writing neither");
    done_with(child);
    struct gate ready = gate_make();
    child = CHILD(become_user(1000); prctl(PR_SET_DUMPABLE, 1); gate_open(ready); for (;;) pause());
    gate_pass(ready);
    CHECK_EQ(fetch(child, &byte, p, 1), 1, "root may look into others'");
    done_with(child);
    child = fork();
    if (child == 0)
        _exit(0);
    await_state(child, "Z");
    CHECK_FAIL(fetch(child, &byte, p, 1), ESRCH, "the dead have no memory");
    end_of(child);
}

/* Through /proc/PID/mem, which does not mind protections. */
static void by_file(void)
{
    if (qemu_user_lacks("/proc/PID/mem"))
        return;
    char *p = anonymous(4, READ_WRITE), path[64], buffer[16] = "";
    memset(p, 'm', 4 * PAGE);
    REQUIRE(mprotect(p + PAGE, PAGE, PROT_READ) == 0);
    pid_t child = sleeper();
    snprintf(path, sizeof(path), "/proc/%d/mem", child);
    int fd = open(path, O_RDWR);
    REQUIRE(fd >= 0);
    CHECK(pread(fd, buffer, 5, (off_t)p) == 5 && buffer[4] == 'm', "/proc/PID/mem: read");
    CHECK_EQ(pwrite(fd, "file", 4, (off_t)p), 4, "write");
    CHECK(fetch(child, buffer, p, 4) == 4 && !memcmp(buffer, "file", 4), "is in its memory");
    CHECK_EQ(pwrite(fd, "file", 4, (off_t)p + PAGE), 4, "even where it may not write itself");
    CHECK(fetch(child, buffer, p + PAGE, 4) == 4 && !memcmp(buffer, "file", 4), "it does");
    CHECK(p[0] == 'm' && p[PAGE] == 'm', "nothing of ours has changed");
    CHECK_FAIL(pread(fd, buffer, 5, (off_t)unmapped_page()), EIO, "nothing there");
    done_with(child);
    CHECK_EQ(pread(fd, buffer, 5, (off_t)p), 0, "the memory of the dead is empty");
}

CHECK_MAIN(CASE(reading), CASE(writing), CASE(parts), CASE(permissions), CASE(by_file))
