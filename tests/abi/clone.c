/* SPDX-License-Identifier: MIT */
/* clone for processes: each flag alone, the stack, the exit signal, and what is refused. */
#include "check.h"

#include <linux/sched.h>

/* The raw call without a stack of its own, in the machine's order of arguments. */
static pid_t raw_clone(unsigned long flags, void *parent_tid, void *child_tid)
{
#ifdef __x86_64__
    return syscall(SYS_clone, flags, NULL, parent_tid, child_tid, NULL);
#else
    return syscall(SYS_clone, flags, NULL, parent_tid, NULL, child_tid);
#endif
}

static char stack[65536] __attribute__((aligned(16)));
static volatile int value;

static int set_value(void *argument)
{
    value = (int)(intptr_t)argument;
    return 6;
}

static void memory(void)
{
    value = 0;
    pid_t child = clone(set_value, stack + sizeof(stack), SIGCHLD, (void *)5);
    CHECK_EQ(end_of(child), 6, "clone with a stack runs the function, its result is the status");
    CHECK_EQ(value, 0, "without CLONE_VM memory is the child's own");
    if (qemu_user_lacks("CLONE_VM"))
        return;
    child = clone(set_value, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)5);
    CHECK_EQ(value, 5, "CLONE_VM shares memory, CLONE_VFORK waits for the child's end");
    CHECK_EQ(end_of(child), 6, "the child is waited for");
    child = clone(set_value, stack + sizeof(stack), CLONE_VM | SIGCHLD, (void *)8);
    CHECK_EQ(end_of(child), 6, "CLONE_VM alone: the child runs beside the parent");
    CHECK_EQ(value, 8, "and its write is there after its end");
}

static int open_file(void *argument)
{
    (void)argument;
    return dup2(1, 200) == 200 ? 0 : 1;
}

static int change_directory(void *argument)
{
    (void)argument;
    umask(0123);
    return mkdir("sub", 0755) == 0 && chdir("sub") == 0 ? 0 : 1;
}

static void files_and_directory(void)
{
    CHECK_EQ(end_of(clone(open_file, stack + sizeof(stack), SIGCHLD, NULL)), 0, "dup2 in a child");
    CHECK_FAIL(fcntl(200, F_GETFD), EBADF, "without CLONE_FILES the descriptor is the child's own");
    if (qemu_user_lacks("CLONE_FILES and CLONE_FS"))
        return;
    end_of(clone(open_file, stack + sizeof(stack), CLONE_FILES | SIGCHLD, NULL));
    CHECK_EQ(fcntl(200, F_GETFD), 0, "CLONE_FILES shares the table of descriptors");
    CHECK_EQ(end_of(clone(change_directory, stack + sizeof(stack), CLONE_FS | SIGCHLD, NULL)), 0,
             "chdir in a child with CLONE_FS");
    char here[PATH_MAX];
    CHECK_STR(strrchr(getcwd(here, sizeof(here)), '/'), "/sub",
              "CLONE_FS shares the working directory");
    CHECK_EQ(umask(022), 0123, "CLONE_FS shares the umask");
    CHECK_EQ(IN_CHILD(close(200)), 0, "a later fork copies the table");
    CHECK_EQ(fcntl(200, F_GETFD), 0, "so that a close in it does not close ours");
}

static void thread_ids(void)
{
    volatile int *tid = share_pages(4096);
    int stored = 0;
    pid_t child = raw_clone(CLONE_PARENT_SETTID | SIGCHLD, &stored, NULL);
    if (child == 0)
        _exit(0);
    if (!qemu_user_lacks("CLONE_PARENT_SETTID"))
        CHECK_EQ(stored, child, "CLONE_PARENT_SETTID stores the tid in the parent");
    end_of(child);
    child = raw_clone(CLONE_CHILD_SETTID | SIGCHLD, NULL, (void *)tid);
    if (child == 0)
        _exit(*tid == getpid() ? 0 : 1);
    CHECK_EQ(end_of(child), 0, "CLONE_CHILD_SETTID stores the tid in the child before it runs");
    CHECK_EQ(*tid, child, "here in shared memory");
    child = raw_clone(CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD, NULL, &stored);
    if (child == 0)
        _exit(stored == getpid() ? 0 : 1);
    CHECK_EQ(end_of(child), 0, "glibc's flags for fork work");
    CHECK(stored != child, "CLONE_CHILD_SETTID without CLONE_VM does not write to the parent");
    CHECK_EQ(syscall(SYS_set_tid_address, &stored), gettid(), "set_tid_address returns the tid");
}

static volatile int notified;

static void on_signal(int signal)
{
    notified = signal;
}

static void exit_signals(void)
{
    if (qemu_user_lacks("other exit signals"))
        return;
    handle_flags(SIGUSR1, on_signal, 0);
    handle_flags(SIGCHLD, on_signal, 0);
    pid_t child = raw_clone(SIGUSR1, NULL, NULL);
    if (child == 0)
        _exit(3);
    int status = 0;
    pid_t got;
    while ((got = waitpid(child, &status, __WALL)) < 0 && errno == EINTR)
        ;
    CHECK_EQ(got, child, "__WALL waits for a child of any exit signal");
    CHECK_EQ(status, 3 << 8, "its status is told");
    CHECK_EQ(notified, SIGUSR1, "its end sends the chosen signal");
    notified = 0;
    child = raw_clone(0, NULL, NULL);
    if (child == 0)
        _exit(4);
    CHECK_FAIL(waitpid(child, &status, 0), ECHILD, "a clone child is not seen by a plain wait");
    CHECK_EQ(waitpid(child, &status, __WCLONE), child, "__WCLONE waits for it");
    CHECK_EQ(notified, 0, "exit signal 0 sends nothing");
    child = CHILD(_exit(1));
    CHECK_FAIL(waitpid(child, &status, __WCLONE), ECHILD,
               "__WCLONE does not see an ordinary child");
    CHECK_EQ(end_of(child), 1, "which is waited for as ever");
}

static void same_parent(void)
{
    if (qemu_user_lacks("CLONE_PARENT"))
        return;
    volatile int *seen = share_pages(4096);
    pid_t child = CHILD({
        pid_t sibling = raw_clone(CLONE_PARENT | SIGCHLD, NULL, NULL);
        if (sibling == 0) {
            seen[0] = getppid();
            _exit(12);
        }
        seen[1] = sibling;
        _exit(wait(NULL) == -1 && errno == ECHILD ? 0 : 1);
    });
    CHECK_EQ(end_of(child), 0, "with CLONE_PARENT the creator has no child");
    CHECK_EQ(end_of(seen[1]), 12, "the creator's parent has it");
    CHECK_EQ(seen[0], getpid(), "and is what getppid tells");
}

static void refused(void)
{
    if (qemu_user_lacks("refused flags of clone"))
        return;
    CHECK_FAIL(raw_clone(CLONE_SIGHAND | SIGCHLD, NULL, NULL), EINVAL,
               "CLONE_SIGHAND without CLONE_VM");
    CHECK_FAIL(raw_clone(CLONE_THREAD | CLONE_VM, NULL, NULL), EINVAL,
               "CLONE_THREAD without CLONE_SIGHAND");
    CHECK_FAIL(raw_clone(CLONE_FS | CLONE_NEWNS | SIGCHLD, NULL, NULL), EINVAL,
               "CLONE_FS with CLONE_NEWNS");
}

#ifdef SYS_clone3
static void clone3_call(void)
{
    struct clone_args args;
    memset(&args, 0, sizeof(args));
    args.exit_signal = SIGCHLD;
    pid_t child = syscall(SYS_clone3, &args, sizeof(args));
    if (child == 0)
        _exit(18);
    if (child < 0 && errno == ENOSYS) {
        SKIP("clone3", "not there");
        return;
    }
    CHECK_EQ(end_of(child), 18, "clone3 forks");
    CHECK_FAIL(syscall(SYS_clone3, &args, 8), EINVAL, "clone3 refuses a structure too small");
    CHECK_FAIL(syscall(SYS_clone3, 16, sizeof(args)), EFAULT, "clone3 with a bad pointer");
    args.exit_signal = 1000;
    CHECK_FAIL(syscall(SYS_clone3, &args, sizeof(args)), EINVAL,
               "clone3 refuses a bad exit signal");
    args.exit_signal = SIGCHLD;
    args.stack = (uintptr_t)stack;
    CHECK_FAIL(syscall(SYS_clone3, &args, sizeof(args)), EINVAL,
               "clone3 refuses a stack of size 0");
    args.stack = 0;
    args.flags = CLONE_CHILD_SETTID | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    int parent_tid = 0, child_tid = 0;
    args.parent_tid = (uintptr_t)&parent_tid;
    args.child_tid = (uintptr_t)&child_tid;
    child = syscall(SYS_clone3, &args, sizeof(args));
    if (child == 0)
        _exit(child_tid == getpid() ? 19 : 1);
    CHECK_EQ(end_of(child), 19, "clone3 stores the tid in the child");
    CHECK_EQ(parent_tid, child, "and in the parent");
}

static long clone_as(const pid_t *tids, size_t count)
{
    struct clone_args args = {
        .exit_signal = SIGCHLD, .set_tid = (uintptr_t)tids, .set_tid_size = count};
    return syscall(SYS_clone3, &args, sizeof(args));
}

static void chosen_number(void)
{
    if (qemu_user_lacks(__func__))
        return;
    pid_t tid = CHILD(_exit(0)), none = 0, own = getpid(), negative = -1;
    end_of(tid);
    CHECK_FAIL(clone_as(&tid, 0), EINVAL, "a list without members");
    CHECK_FAIL(clone_as(NULL, 1), EINVAL, "members without a list");
    CHECK_FAIL(clone_as(&tid, 99), EINVAL, "more than name spaces can be nested");
    CHECK_FAIL(clone_as((pid_t *)8, 1), EFAULT, "a bad address");
    CHECK_FAIL(clone_as(&none, 1), EINVAL, "number 0");
    CHECK_FAIL(clone_as(&negative, 1), EINVAL, "a negative number");
    CHECK_EQ(IN_CHILD({
                 if (geteuid() == 0) {
                     become_user(12345);
                     CHECK_FAIL(clone_as(&tid, 1), EPERM, "needs a capability");
                 }
             }),
             0, "the user's check ends");
    if (geteuid() != 0 || !has_capability(21 /* CAP_SYS_ADMIN */)) {
        SKIP("a chosen number", "needs root");
        return;
    }
    CHECK_FAIL(clone_as(&own, 1), EEXIST, "a number that is in use");
    pid_t child = clone_as(&tid, 1);
    if (child == 0)
        _exit(getpid() == tid ? 7 : 1);
    CHECK_EQ(child, tid, "a number that was free");
    CHECK_EQ(end_of(child), 7, "is the child's");
}
#endif

CHECK_MAIN(CASE(memory), CASE(files_and_directory), CASE(thread_ids), CASE(exit_signals),
           CASE(same_parent), CASE(refused), CASE(clone3_call), CASE(chosen_number))
