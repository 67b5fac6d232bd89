/* SPDX-License-Identifier: MIT */
/* kcmp: which resources of the kernel two threads share. */
#include "check.h"
#include "thread.h"
#include <linux/kcmp.h>
#include <sys/epoll.h>

static long kcmp(pid_t a, pid_t b, int type, unsigned long i, unsigned long j)
{
    return syscall(SYS_kcmp, a, b, type, i, j);
}

#define DIFFERENT(a, b, type) (kcmp(a, b, type, 0, 0) > 0)
#define SAME(a, b, type)      (kcmp(a, b, type, 0, 0) == 0)

static pid_t clone_with(unsigned long flags)
{
    return syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
}

static void processes(void)
{
    if (qemu_user_lacks(__func__))
        return;
    pid_t self = getpid();
    struct gate gate = gate_make();
    pid_t child = CHILD(gate_pass(gate));
    CHECK(SAME(self, self, KCMP_VM), "a process shares memory with itself");
    CHECK(SAME(self, self, KCMP_FILES), "and descriptors");
    CHECK(DIFFERENT(self, child, KCMP_VM), "a child has memory of its own");
    CHECK(DIFFERENT(self, child, KCMP_FILES), "descriptors of its own");
    CHECK(DIFFERENT(self, child, KCMP_FS), "directories of its own");
    CHECK(DIFFERENT(self, child, KCMP_SIGHAND), "handlers of its own");
    CHECK(SAME(self, child, KCMP_IO), "neither has an I/O context");
    CHECK_EQ(kcmp(self, child, KCMP_VM, 0, 0) + kcmp(child, self, KCMP_VM, 0, 0), 3,
             "the answers order them");
    CHECK_EQ(kcmp(self, child, KCMP_VM, 0, 0), kcmp(self, child, KCMP_VM, 0, 0),
             "in the same way each time");
    gate_open(gate);
    end_of(child);
}

/* What clone(2) shares, each flag for itself. */
static void shared_by_clone(void)
{
    if (qemu_user_lacks(__func__))
        return;
    static const struct {
        unsigned long flag;
        int type;
        const char *text;
    } shared[] = {
        {CLONE_FILES, KCMP_FILES, "CLONE_FILES"},
        {CLONE_FS, KCMP_FS, "CLONE_FS"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(shared); i++) {
        struct gate gate = gate_make();
        pid_t child = clone_with(shared[i].flag);
        if (child == 0) {
            gate_pass(gate);
            _exit(0);
        }
        CHECK(SAME(getpid(), child, shared[i].type), shared[i].text);
        CHECK(DIFFERENT(getpid(), child, KCMP_VM), "that alone");
        gate_open(gate);
        end_of(child);
    }
}

static struct gate thread_gate;
static volatile pid_t thread_id;

static void *other_thread(void *arg)
{
    (void)arg;
    thread_id = gettid();
    gate_pass(thread_gate);
    return NULL;
}

static void threads(void)
{
    if (qemu_user_lacks(__func__))
        return;
    pthread_t thread;
    thread_gate = gate_make();
    REQUIRE(pthread_create(&thread, NULL, other_thread, NULL) == 0);
    while (!thread_id)
        usleep(500);
    CHECK(SAME(getpid(), thread_id, KCMP_VM), "a thread shares memory");
    CHECK(SAME(getpid(), thread_id, KCMP_FILES), "descriptors");
    CHECK(SAME(getpid(), thread_id, KCMP_SIGHAND), "handlers");
    gate_open(thread_gate);
    pthread_join(thread, NULL);
}

static void files(void)
{
    if (qemu_user_lacks(__func__))
        return;
    pid_t self = getpid();
    write_file("f", "text", 0600);
    int one = open("f", O_RDONLY), two = open("f", O_RDONLY), three = dup(one);
    struct gate gate = gate_make();
    pid_t child = CHILD(gate_pass(gate));
    CHECK_EQ(kcmp(self, self, KCMP_FILE, one, three), 0, "dup: the same open file");
    CHECK(kcmp(self, self, KCMP_FILE, one, two) > 0, "opened twice: two");
    CHECK_EQ(kcmp(self, child, KCMP_FILE, one, three), 0, "a child inherits the open file");
    CHECK_FAIL(kcmp(self, child, KCMP_FILE, one, 999), EBADF, "no such descriptor");
    CHECK_FAIL(kcmp(self, child, KCMP_FILE, 999, one), EBADF, "on either side");
    gate_open(gate);
    end_of(child);
}

static void watched_by_epoll(void)
{
    if (qemu_user_lacks(__func__))
        return;
    pid_t self = getpid();
    int fds[2], ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    REQUIRE(pipe(fds) == 0 && dup2(fds[1], 64) == 64);
    REQUIRE(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event) == 0);
    REQUIRE(epoll_ctl(ep, EPOLL_CTL_ADD, 64, &event) == 0);
    close(64);
    struct kcmp_epoll_slot slot = {.efd = ep, .tfd = 64};
    CHECK_EQ(kcmp(self, self, KCMP_EPOLL_TFD, fds[1], (unsigned long)&slot), 0,
             "an epoll knows a file by a descriptor that is closed");
    CHECK(kcmp(self, self, KCMP_EPOLL_TFD, fds[0], (unsigned long)&slot) > 0, "another file");
    slot.toff = 1;
    CHECK_FAIL(kcmp(self, self, KCMP_EPOLL_TFD, fds[1], (unsigned long)&slot), ENOENT,
               "there is no second one");
    slot = (struct kcmp_epoll_slot){.efd = ep, .tfd = 63};
    CHECK_FAIL(kcmp(self, self, KCMP_EPOLL_TFD, fds[1], (unsigned long)&slot), ENOENT,
               "not watched");
    slot = (struct kcmp_epoll_slot){.efd = fds[0], .tfd = 64};
    CHECK_FAIL(kcmp(self, self, KCMP_EPOLL_TFD, fds[1], (unsigned long)&slot), EINVAL,
               "not an epoll");
    slot.efd = 999;
    CHECK_FAIL(kcmp(self, self, KCMP_EPOLL_TFD, fds[1], (unsigned long)&slot), EBADF,
               "no such epoll");
    CHECK_FAIL(kcmp(self, self, KCMP_EPOLL_TFD, fds[1], 8), EFAULT, "no slot");
}

static void errors(void)
{
    if (qemu_user_lacks(__func__))
        return;
    pid_t self = getpid();
    CHECK_FAIL(kcmp(self, self, 99, 0, 0), EINVAL, "a type that is not there");
    CHECK_FAIL(kcmp(self, self, -1, 0, 0), EINVAL, "a negative one");
    CHECK_FAIL(kcmp(self, 0, KCMP_VM, 0, 0), ESRCH, "process 0");
    CHECK_FAIL(kcmp(0x7ffffff0, self, KCMP_VM, 0, 0), ESRCH, "no such process");
    if (geteuid() != 0) {
        SKIP("another user's process", "needs root");
        return;
    }
    struct gate gate = gate_make();
    pid_t child = CHILD(gate_pass(gate));
    CHECK_EQ(IN_CHILD({
                 become_user(12345);
                 CHECK_FAIL(kcmp(getpid(), child, KCMP_VM, 0, 0), EPERM, "another user's process");
                 CHECK_FAIL(kcmp(child, getpid(), KCMP_VM, 0, 0), EPERM, "on either side");
             }),
             0, "the user's checks end");
    gate_open(gate);
    end_of(child);
}

CHECK_MAIN(CASE(processes), CASE(shared_by_clone), CASE(threads), CASE(files),
           CASE(watched_by_epoll), CASE(errors))
