/* SPDX-License-Identifier: MIT */
/* ioprio_get, ioprio_set: I/O priorities of threads, groups and users. */
#include "check.h"
#include <linux/ioprio.h>
#include <linux/kcmp.h>
#include <sys/resource.h>

#define BE(level)   IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, level)
#define RT(level)   IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, level)
#define IDLE(level) IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, level)

static long get(int which, int who)
{
    return syscall(SYS_ioprio_get, which, who);
}

static long set(int which, int who, int priority)
{
    return syscall(SYS_ioprio_set, which, who, priority);
}

static void own(void)
{
    if (qemu_user_lacks(__func__))
        return;
    CHECK_EQ(IOPRIO_PRIO_CLASS(get(IOPRIO_WHO_PROCESS, 0)), IOPRIO_CLASS_NONE, "at first: none");
    CHECK_EQ(set(IOPRIO_WHO_PROCESS, 0, BE(2)), 0, "best effort, level 2");
    CHECK_EQ(get(IOPRIO_WHO_PROCESS, 0), BE(2), "is kept");
    CHECK_EQ(get(IOPRIO_WHO_PROCESS, getpid()), BE(2), "by number");
    CHECK_EQ(set(IOPRIO_WHO_PROCESS, getpid(), IDLE(7)), 0, "idle");
    CHECK_EQ(get(IOPRIO_WHO_PROCESS, 0), IDLE(7), "is kept");
    CHECK_EQ(set(IOPRIO_WHO_PROCESS, 0, 0), 0, "none again");
    CHECK_EQ(get(IOPRIO_WHO_PROCESS, 0), 0, "is kept");
}

static void inherited(void)
{
    if (qemu_user_lacks(__func__))
        return;
    REQUIRE(set(IOPRIO_WHO_PROCESS, 0, BE(6)) == 0);
    CHECK_EQ(IN_CHILD({
                 CHECK_EQ(get(IOPRIO_WHO_PROCESS, 0), BE(6), "a child inherits it");
                 set(IOPRIO_WHO_PROCESS, 0, BE(1));
             }),
             0, "and sets another");
    CHECK_EQ(get(IOPRIO_WHO_PROCESS, 0), BE(6), "which is its own");
    pid_t child = syscall(SYS_clone, CLONE_IO | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(syscall(SYS_kcmp, getpid(), getppid(), KCMP_IO, 0, 0) == 0 &&
                      set(IOPRIO_WHO_PROCESS, 0, BE(3)) == 0
                  ? 0
                  : 1);
    CHECK_EQ(end_of(child), 0, "with CLONE_IO the context is shared");
    CHECK_EQ(get(IOPRIO_WHO_PROCESS, 0), BE(3), "and the child's change is seen");
}

static void groups(void)
{
    if (qemu_user_lacks(__func__))
        return;
    struct gate gate = gate_make();
    REQUIRE(setpgid(0, 0) == 0 || getpgrp() == getpid());
    pid_t child = CHILD(gate_pass(gate));
    REQUIRE(set(IOPRIO_WHO_PROCESS, child, BE(5)) == 0);
    CHECK_EQ(get(IOPRIO_WHO_PGRP, 0), BE(4), "of a group: the best, from nice where there is none");
    CHECK_EQ(set(IOPRIO_WHO_PGRP, getpgrp(), BE(6)), 0, "set for a group");
    CHECK_EQ(get(IOPRIO_WHO_PROCESS, child), BE(6), "reaches each member");
    CHECK_EQ(get(IOPRIO_WHO_PROCESS, 0), BE(6), "us too");
    set(IOPRIO_WHO_PROCESS, child, BE(7));
    CHECK_EQ(get(IOPRIO_WHO_PGRP, 0), BE(6), "the best of the group");
    set(IOPRIO_WHO_PROCESS, 0, 0);
    setpriority(PRIO_PROCESS, 0, 15);
    CHECK_EQ(get(IOPRIO_WHO_PGRP, 0), BE(7), "nice 15 is level 7");
    gate_open(gate);
    end_of(child);
}

static void users(void)
{
    if (qemu_user_lacks(__func__))
        return;
    NEED_ROOT();
    CHECK_EQ(
        IN_CHILD({
            become_user(23451);
            CHECK_EQ(get(IOPRIO_WHO_USER, 23451), BE(4), "of a user");
            CHECK_EQ(set(IOPRIO_WHO_USER, 23451, BE(5)), 0, "set for a user");
            CHECK_EQ(get(IOPRIO_WHO_PROCESS, 0), BE(5), "reaches us");
            CHECK_FAIL(set(IOPRIO_WHO_PROCESS, 0, RT(0)), EPERM, "real time needs a capability");
            CHECK_FAIL(set(IOPRIO_WHO_PROCESS, getppid(), BE(5)), EPERM, "another user's process");
            CHECK_EQ(get(IOPRIO_WHO_PROCESS, getppid()) >= 0, 1, "may be looked at");
        }),
        0, "the user's checks end");
    CHECK_FAIL(get(IOPRIO_WHO_USER, 34567), ESRCH, "a user without processes");
    CHECK_EQ(set(IOPRIO_WHO_PROCESS, 0, RT(4)), 0, "real time as root");
    CHECK_EQ(get(IOPRIO_WHO_PROCESS, 0), RT(4), "is kept");
}

static void errors(void)
{
    if (qemu_user_lacks(__func__))
        return;
    CHECK_FAIL(get(0, 0), EINVAL, "whom: 0");
    CHECK_FAIL(get(4, 0), EINVAL, "whom: 4");
    CHECK_FAIL(set(4, 0, BE(1)), EINVAL, "also to set");
    CHECK_FAIL(set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_NONE, 1)), EINVAL,
               "none has no levels");
    CHECK_FAIL(set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(5, 0)), EINVAL, "no such class");
    CHECK_FAIL(get(IOPRIO_WHO_PROCESS, 0x7ffffff0), ESRCH, "no such process");
    CHECK_FAIL(set(IOPRIO_WHO_PROCESS, 0x7ffffff0, BE(1)), ESRCH, "also to set");
    CHECK_FAIL(get(IOPRIO_WHO_PGRP, 0x7ffffff0), ESRCH, "no such group");
}

CHECK_MAIN(CASE(own), CASE(inherited), CASE(groups), CASE(users), CASE(errors))
