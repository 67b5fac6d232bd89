/* SPDX-License-Identifier: MIT */
/* ptrace: being traced, system call stops, signals, events, memory; who may trace whom. */
#include "tracing.h"

#include <pthread.h>

static volatile long variable = 0x1122334455667788;
static const volatile char text[] __attribute__((aligned(8))) = "read-only text!";

static volatile sig_atomic_t handled;
static void handler(int signal)
{
    handled = signal;
}

static void errors(void)
{
    NEED_TRACING();
    CHECK_FAIL(trace(PTRACE_ATTACH, 0x3fffffff, 0, 0), ESRCH, "nobody there to attach to");
    CHECK_FAIL(trace(PTRACE_ATTACH, getpid(), 0, 0), EPERM, "one cannot trace oneself");
    CHECK_FAIL(trace(PTRACE_CONT, getppid(), 0, 0), ESRCH, "one who is not traced");
    pid_t child = CHILD(for (;;) pause());
    CHECK_FAIL(trace(PTRACE_PEEKDATA, child, 0, 0), ESRCH, "a child that is not traced");
    CHECK_FAIL(trace(PTRACE_SEIZE, child, 1, 0), EIO, "PTRACE_SEIZE with an address");
    CHECK_FAIL(trace(PTRACE_SEIZE, child, 0, 1UL << 40), EIO, "PTRACE_SEIZE with unknown options");
    CHECK_EQ(trace(PTRACE_SEIZE, child, 0, 0), 0, "PTRACE_SEIZE");
    CHECK_FAIL(trace(PTRACE_SEIZE, child, 0, 0), EPERM, "it has a tracer already");
    CHECK_FAIL(trace(PTRACE_ATTACH, child, 0, 0), EPERM, "PTRACE_ATTACH neither");
    CHECK_FAIL(trace(PTRACE_CONT, child, 0, 0), ESRCH, "it runs: PTRACE_CONT");
    CHECK_FAIL(trace(PTRACE_PEEKDATA, child, 0, 0), ESRCH, "it runs: PTRACE_PEEKDATA");
    finish(child);
    CHECK_EQ(IN_CHILD({
                 long first = trace(PTRACE_TRACEME, 0, 0, 0);
                 _exit(first == 0 && trace(PTRACE_TRACEME, 0, 0, 0) == -1 ? errno : 99);
             }),
             EPERM, "PTRACE_TRACEME twice");
    child = TRACEE();
    CHECK_FAIL(trace(4711, child, 0, 0), EIO, "an unknown request");
    CHECK_FAIL(trace(PTRACE_CONT, child, 0, 65), EIO, "an unknown signal");
    CHECK_FAIL(trace(PTRACE_SETOPTIONS, child, 0, 1UL << 30), EINVAL, "unknown options");
    CHECK_FAIL(trace(PTRACE_DETACH, child, 0, 1000), EIO, "PTRACE_DETACH with an unknown signal");
    CHECK_FAIL(trace(PTRACE_LISTEN, child, 0, 0), EIO, "PTRACE_LISTEN without PTRACE_SEIZE");
    CHECK_FAIL(trace(PTRACE_INTERRUPT, child, 0, 0), EIO, "PTRACE_INTERRUPT without PTRACE_SEIZE");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(0), "it goes on to its end");
    CHECK_FAIL(trace(PTRACE_CONT, child, 0, 0), ESRCH, "and is there no more");
}

static void memory(void)
{
    NEED_TRACING();
    pid_t child = TRACEE(_exit(variable == 0x42 && text[0] == 'R' ? 7 : 8));
    unsigned long value, *bad = unmapped_page();
    CHECK_EQ(word(child, &variable), 0x1122334455667788, "PTRACE_PEEKDATA");
    CHECK_EQ(trace(PTRACE_PEEKTEXT, child, (unsigned long)text, (unsigned long)&value), 0,
             "PTRACE_PEEKTEXT");
    CHECK(!memcmp(&value, (const void *)text, 8), "is the text");
    CHECK_FAIL(trace(PTRACE_PEEKDATA, child, (unsigned long)bad, (unsigned long)&value), EIO,
               "peek where nothing is");
    CHECK_FAIL(trace(PTRACE_POKEDATA, child, (unsigned long)bad, 1), EIO, "poke where nothing is");
    CHECK_FAIL(trace(PTRACE_PEEKDATA, child, -8UL, (unsigned long)&value), EIO,
               "peek into the kernel");
    CHECK_FAIL(trace(PTRACE_PEEKDATA, child, (unsigned long)&variable, 8), EFAULT,
               "peek to a bad address");
    CHECK_EQ(trace(PTRACE_POKEDATA, child, (unsigned long)&variable, 0x42), 0, "PTRACE_POKEDATA");
    CHECK_EQ(variable, 0x1122334455667788, "our own copy is as it was");
    value = (value & ~0xffUL) | 'R';
    CHECK_EQ(trace(PTRACE_POKETEXT, child, (unsigned long)text, value), 0,
             "PTRACE_POKETEXT to a read-only page");
    CHECK_EQ(text[0], 'r', "of which ours is as it was");
    char page[16] = "";
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", child);
    int mem = open(path, O_RDWR);
    CHECK(mem >= 0, "/proc/PID/mem opens for reading and writing");
    CHECK_EQ(pread(mem, page, 15, (off_t)(unsigned long)text), 15, "is read at an address");
    CHECK_STR(page, "Read-only text!", "gives the memory");
    CHECK_EQ(pwrite(mem, "S", 1, (off_t)(unsigned long)text + 1), 1, "writes read-only memory");
    CHECK_EQ(word(child, text) >> 8 & 0xff, 'S', "of the process");
    CHECK_EQ(pwrite(mem, "e", 1, (off_t)(unsigned long)text + 1), 1, "and back");
    CHECK_FAIL(pread(mem, page, 8, (off_t)(unsigned long)bad), EIO, "nothing there: EIO");
    CHECK_EQ(lseek(mem, 0x1000, SEEK_SET), 0x1000, "it can be sought in");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(7), "the process saw both");
    CHECK_EQ(pread(mem, page, 8, (off_t)(unsigned long)text), 0, "its memory is gone: end of file");
    close(mem);
}

/* Shared and private file mappings: a poke never reaches a file that is mapped privately. */
static void file_mappings(void)
{
    NEED_TRACING();
    write_file("f", "contents of file", 0600);
    int fd = open("f", O_RDWR), ro = open("f", O_RDONLY);
    volatile char *private = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    volatile char *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0);
    volatile char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE, fd, 0);
    char buffer[32];
    REQUIRE(private != MAP_FAILED && shared != MAP_FAILED && none != MAP_FAILED);
    pid_t child = TRACEE(_exit(private[0] == 'X' && shared[0] == 'c'));
    unsigned long value = 0x5858585858585858;
    CHECK_EQ(trace(PTRACE_POKEDATA, child, (unsigned long)private, value), 0,
             "poke into a private read-only mapping of a file");
    CHECK_EQ(word(child, private), value, "it has a copy");
    CHECK_FAIL(trace(PTRACE_POKEDATA, child, (unsigned long)shared, value), EIO,
               "not into a shared one that may not be written");
    CHECK(!memcmp((char[8]){"contents"}, &(unsigned long){word(child, none)}, 8),
          "peek where the program may not read");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(1), "as the process sees it");
    CHECK(read_file("f", buffer, sizeof(buffer)) == 16 && !strcmp(buffer, "contents of file"),
          "the file is as it was");
    CHECK_EQ(private[0], 'c', "and our mapping");
}

static void system_calls(void)
{
    NEED_TRACING();
    pid_t child =
        TRACEE(syscall(SYS_getpriority, 1234, 5); errno = 0; _exit(syscall(SYS_getppid) == 4242));
    struct ptrace_syscall_info info;
    struct user_regs_struct r;
    memset(&info, 0x55, sizeof(info));
    CHECK_EQ(trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0,
             "PTRACE_O_TRACESYSGOOD");
    CHECK_EQ(trace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), (unsigned long)&info), 24,
             "PTRACE_GET_SYSCALL_INFO in another stop");
    CHECK_EQ(info.op, PTRACE_SYSCALL_INFO_NONE, "tells of none");
    CHECK_EQ(go(PTRACE_SYSCALL, child, 0), STOPPED(SIGTRAP | 0x80), "stops at entry");
    REQUIRE(registers(child, &r) == 0);
    /* raise() ends with a system call of its own (rt_sigprocmask). */
    while (NUMBER(r) != SYS_getpriority) {
        REQUIRE(go(PTRACE_SYSCALL, child, 0) == STOPPED(SIGTRAP | 0x80));
        REQUIRE(go(PTRACE_SYSCALL, child, 0) == STOPPED(SIGTRAP | 0x80));
        REQUIRE(registers(child, &r) == 0);
    }
    CHECK_EQ(trace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), (unsigned long)&info), 80,
             "PTRACE_GET_SYSCALL_INFO at entry");
    CHECK(info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_getpriority &&
              info.entry.args[0] == 1234 && info.entry.args[1] == 5,
          "tells number and arguments");
    CHECK(info.instruction_pointer == PC(r) && info.stack_pointer == SP(r), "and where");
    CHECK_EQ(ARG0(r), 1234, "so do the registers");
#ifdef __x86_64__
    CHECK_EQ((long)r.rax, -ENOSYS, "the result is ENOSYS as yet");
#endif
    unsigned long message = 0;
    CHECK_EQ(trace(PTRACE_GETEVENTMSG, child, 0, (unsigned long)&message), 0, "PTRACE_GETEVENTMSG");
    CHECK_EQ(message, PTRACE_EVENTMSG_SYSCALL_ENTRY, "says entry");
    siginfo_t si;
    CHECK_EQ(trace(PTRACE_GETSIGINFO, child, 0, (unsigned long)&si), 0, "PTRACE_GETSIGINFO");
    CHECK(si.si_signo == SIGTRAP && si.si_code == (SIGTRAP | 0x80) && si.si_pid == child,
          "tells the stop");
    CHECK_EQ(go(PTRACE_SYSCALL, child, 0), STOPPED(SIGTRAP | 0x80), "stops at exit");
    CHECK_EQ(trace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), (unsigned long)&info), 33,
             "PTRACE_GET_SYSCALL_INFO at exit");
    CHECK(info.op == PTRACE_SYSCALL_INFO_EXIT && info.exit.rval == -EINVAL && info.exit.is_error,
          "tells the error");
    CHECK_EQ(process_state(child), 't', "its letter is t");
    CHECK_EQ(go(PTRACE_SYSCALL, child, 0), STOPPED(SIGTRAP | 0x80), "the next entry");
    REQUIRE(go(PTRACE_SYSCALL, child, 0) == STOPPED(SIGTRAP | 0x80));
    REQUIRE(registers(child, &r) == 0);
    CHECK_EQ((pid_t)RESULT(r), getpid(), "its result");
    RESULT(r) = 4242;
    CHECK_EQ(registers_set(child, &r), 0, "is changed");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(1), "as the program sees");
}

/* Another call, or none, in the place of one. */
static void changed_calls(void)
{
    NEED_TRACING();
    pid_t child = TRACEE(long a = syscall(SYS_getppid), b = syscall(SYS_getppid);
                         _exit(a == getpid() && b < 0));
    struct user_regs_struct r;
    trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    do {
        REQUIRE(go(PTRACE_SYSCALL, child, 0) == STOPPED(SIGTRAP | 0x80));
        REQUIRE(registers(child, &r) == 0);
    } while (NUMBER(r) != SYS_getppid);
    NUMBER(r) = SYS_getpid;
    CHECK_EQ(registers_set(child, &r), 0, "another number at entry");
    REQUIRE(go(PTRACE_SYSCALL, child, 0) == STOPPED(SIGTRAP | 0x80));
    REQUIRE(registers(child, &r) == 0);
    CHECK_EQ((pid_t)RESULT(r), child, "makes that call");
    REQUIRE(go(PTRACE_SYSCALL, child, 0) == STOPPED(SIGTRAP | 0x80));
    REQUIRE(registers(child, &r) == 0);
    NUMBER(r) = -1;
    CHECK_EQ(registers_set(child, &r), 0, "number -1");
    REQUIRE(go(PTRACE_SYSCALL, child, 0) == STOPPED(SIGTRAP | 0x80));
    REQUIRE(registers(child, &r) == 0);
    CHECK_EQ((long)RESULT(r), -ENOSYS, "makes none");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(1), "as the program sees");
}

#ifdef __x86_64__
/* A tracer that makes the calls itself, in the program's place. */
static void results_without_call(void)
{
    NEED_TRACING();
    pid_t child = TRACEE(long a = syscall(SYS_getppid), b = syscall(-1); _exit(a == 77 && b == 78));
    struct user_regs_struct r;
    trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    do {
        REQUIRE(go(PTRACE_SYSCALL, child, 0) == STOPPED(SIGTRAP | 0x80));
        REQUIRE(registers(child, &r) == 0);
    } while (NUMBER(r) != SYS_getppid);
    NUMBER(r) = -1;
    RESULT(r) = 77;
    CHECK_EQ(registers_set(child, &r), 0, "number -1 and a result at entry");
    REQUIRE(go(PTRACE_SYSCALL, child, 0) == STOPPED(SIGTRAP | 0x80));
    REQUIRE(registers(child, &r) == 0);
    CHECK_EQ(RESULT(r), 77, "the result is kept");
    REQUIRE(go(PTRACE_SYSCALL, child, 0) == STOPPED(SIGTRAP | 0x80));
    REQUIRE(registers(child, &r) == 0);
    CHECK_EQ(NUMBER(r), -1UL, "a call with number -1");
    RESULT(r) = 78;
    CHECK_EQ(registers_set(child, &r), 0, "a result for it");
    REQUIRE(go(PTRACE_SYSCALL, child, 0) == STOPPED(SIGTRAP | 0x80));
    REQUIRE(registers(child, &r) == 0);
    CHECK_EQ(RESULT(r), 78, "is kept too");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(1), "as the program sees");
}
#endif

#ifdef __x86_64__
static long raw_call(unsigned long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static void on_usr1(int signal)
{
    (void)signal;
}

/* The upper half of the register with a call's number is not looked at. */
static void wide_numbers(void)
{
    static const unsigned long upper[] = {1UL << 32, 1UL << 63, ~0UL << 32};
    NEED_TRACING();
    for (unsigned i = 0; i < ARRAY_SIZE(upper); i++) {
        CHECK_EQ(raw_call(upper[i] | SYS_getppid, 0, 0, 0), getppid(), "a wide number");
        pid_t child = TRACEE(_exit(raw_call(upper[i] | SYS_getpid, 0, 0, 0) == getpid() ? 5 : 6));
        int status = go(PTRACE_SYSCALL, child, 0);
        while (WIFSTOPPED(status))
            status = go(PTRACE_SYSCALL, child, 0);
        CHECK_EQ(status, EXITED(5), "with a tracer");
        int fds[2];
        char byte;
        REQUIRE(pipe(fds) == 0);
        child = CHILD(handle_flags(SIGUSR1, on_usr1, SA_RESTART);
                      _exit(raw_call(upper[i] | SYS_read, fds[0], (long)&byte, 1) == 1 ? 5 : 6));
        await_state(child, "S");
        kill(child, SIGUSR1);
        usleep(20000);
        await_state(child, "S");
        REQUIRE(write(fds[1], "x", 1) == 1);
        CHECK_EQ(end_of(child), 5, "it is restarted after a handler");
        close(fds[0]);
        close(fds[1]);
    }
}
#endif

static void signals(void)
{
    NEED_TRACING();
    pid_t child = TRACEE(handle_flags(SIGUSR1, handler, 0); handle_flags(SIGUSR2, handler, 0);
                         raise(SIGUSR1); int first = handled; handled = 0; raise(SIGUSR1);
                         int second = handled; raise(SIGUSR1); int third = handled; raise(SIGTERM);
                         _exit(first == SIGUSR1 && second == 0 && third == SIGUSR2));
    siginfo_t si;
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGUSR1), "a signal stops it before delivery");
    CHECK_EQ(trace(PTRACE_GETSIGINFO, child, 0, (unsigned long)&si), 0, "PTRACE_GETSIGINFO");
    CHECK(si.si_signo == SIGUSR1 && si.si_code == SI_TKILL && si.si_pid == child, "tells it");
    si.si_code = SI_QUEUE;
    CHECK_EQ(trace(PTRACE_SETSIGINFO, child, 0, (unsigned long)&si), 0, "PTRACE_SETSIGINFO");
    CHECK_FAIL(trace(PTRACE_GETSIGINFO, child, 0, 8), EFAULT, "to a bad address");
    CHECK_EQ(go(PTRACE_CONT, child, SIGUSR1), STOPPED(SIGUSR1), "it is delivered; the next");
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGUSR1), "which is not; the next");
    CHECK_EQ(go(PTRACE_CONT, child, SIGUSR2), STOPPED(SIGTERM), "another is, in its place");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(1), "as the program sees");
    child = TRACEE(raise(SIGTERM));
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGTERM), "one that would kill");
    CHECK_EQ(go(PTRACE_CONT, child, SIGTERM), SIGTERM, "kills if the tracer passes it on");
    child = TRACEE(signal(SIGUSR1, SIG_IGN); raise(SIGUSR1); raise(SIGCHLD));
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGUSR1), "one that is ignored stops too");
    CHECK_EQ(go(PTRACE_CONT, child, SIGUSR1), STOPPED(SIGCHLD), "and by default");
    CHECK_EQ(go(PTRACE_CONT, child, SIGCHLD), EXITED(0), "to no effect");
    child = TRACEE(block_signal(SIGUSR1); raise(SIGUSR1); raise(SIGUSR2); pause());
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGUSR2), "a blocked one does not");
    struct ptrace_peeksiginfo_args args = {0, 0, 4};
    siginfo_t several[4];
    CHECK_EQ(trace(PTRACE_PEEKSIGINFO, child, (unsigned long)&args, (unsigned long)several), 1,
             "PTRACE_PEEKSIGINFO finds it");
    CHECK_EQ(several[0].si_signo, SIGUSR1, "by number");
    args.flags = PTRACE_PEEKSIGINFO_SHARED;
    CHECK_EQ(trace(PTRACE_PEEKSIGINFO, child, (unsigned long)&args, (unsigned long)several), 0,
             "not in the process's queue");
    args.flags = 2;
    CHECK_FAIL(trace(PTRACE_PEEKSIGINFO, child, (unsigned long)&args, (unsigned long)several),
               EINVAL, "unknown flags");
    uint64_t mask = 0;
    CHECK_EQ(trace(PTRACE_GETSIGMASK, child, 8, (unsigned long)&mask), 0, "PTRACE_GETSIGMASK");
    CHECK_EQ(mask, 1UL << (SIGUSR1 - 1), "tells what is blocked");
    CHECK_FAIL(trace(PTRACE_GETSIGMASK, child, 4, (unsigned long)&mask), EINVAL, "of another size");
    mask = 0;
    CHECK_EQ(trace(PTRACE_SETSIGMASK, child, 8, (unsigned long)&mask), 0, "PTRACE_SETSIGMASK");
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGUSR1), "lets it through");
    CHECK_EQ(trace(PTRACE_KILL, child, 0, 0), 0, "PTRACE_KILL");
    CHECK_EQ(stop_of(child), SIGKILL, "kills");
    child = TRACEE(for (;;) pause());
    kill(child, SIGKILL);
    CHECK_EQ(stop_of(child), SIGKILL, "SIGKILL needs no leave");
}

static void *thread_body(void *arg)
{
    return arg;
}

static int vfork_child(void)
{
    pid_t pid = vfork();
    if (pid == 0)
        _exit(3);
    return pid;
}

static void events(void)
{
    NEED_TRACING();
    pid_t child = TRACEE(pid_t pid = fork(); if (pid == 0) _exit(4); waitpid(pid, NULL, 0);
                         pid = vfork_child(); waitpid(pid, NULL, 0); pthread_t thread;
                         pthread_create(&thread, NULL, thread_body, NULL);
                         pthread_join(thread, NULL); _exit(5));
    unsigned long message = 0;
    int status, ends = 0, stops = 0;
    trace(PTRACE_SETOPTIONS, child, 0,
          PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEVFORKDONE |
              PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL);
    CHECK_EQ(go(PTRACE_CONT, child, 0), EVENT(PTRACE_EVENT_FORK), "fork is an event");
    trace(PTRACE_GETEVENTMSG, child, 0, (unsigned long)&message);
    CHECK_EQ(stop_of(message), STOPPED(SIGSTOP), "its child stops with SIGSTOP");
    char path[64], line[4096];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)message);
    read_file(path, line, sizeof(line));
    char *tracer = strstr(line, "TracerPid:");
    CHECK(tracer && atoi(tracer + 10) == getpid(), "and has us as TracerPid");
    CHECK_EQ(go(PTRACE_CONT, message, 0), EVENT(PTRACE_EVENT_EXIT), "its exit is an event");
    unsigned long code = 0;
    trace(PTRACE_GETEVENTMSG, message, 0, (unsigned long)&code);
    CHECK_EQ(code, EXITED(4), "with its status");
    CHECK_EQ(go(PTRACE_CONT, message, 0), EXITED(4), "then it ends, for us");
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGCHLD), "then for its parent");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EVENT(PTRACE_EVENT_VFORK), "vfork is an event");
    trace(PTRACE_GETEVENTMSG, child, 0, (unsigned long)&message);
    REQUIRE(stop_of(message) == STOPPED(SIGSTOP));
    trace(PTRACE_CONT, child, 0, 0);
    CHECK_EQ(go(PTRACE_CONT, message, 0), EVENT(PTRACE_EVENT_EXIT), "the child's exit");
    CHECK_EQ(go(PTRACE_CONT, message, 0), EXITED(3), "its end");
    while ((status = stop_of(child)) == STOPPED(SIGCHLD))
        trace(PTRACE_CONT, child, 0, 0);
    CHECK_EQ(status, EVENT(PTRACE_EVENT_VFORK_DONE), "PTRACE_EVENT_VFORK_DONE");
    do
        status = go(PTRACE_CONT, child, 0);
    while (status == STOPPED(SIGCHLD));
    CHECK_EQ(status, EVENT(PTRACE_EVENT_CLONE), "a thread is an event");
    trace(PTRACE_GETEVENTMSG, child, 0, (unsigned long)&message);
    CHECK_EQ(stop_of(message), STOPPED(SIGSTOP), "it stops as well");
    trace(PTRACE_CONT, child, 0, 0);
    CHECK_EQ(go(PTRACE_CONT, message, 0), EVENT(PTRACE_EVENT_EXIT), "and has an exit");
    /* The joiner may have ended the whole group, with its status, before this one is gone. */
    status = go(PTRACE_CONT, message, 0);
    CHECK(status == EXITED(0) || status == EXITED(5), "and an end");
    CHECK_EQ(stop_of(child), EVENT(PTRACE_EVENT_EXIT), "the process exits");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(5), "and ends");
    (void)ends, (void)stops;
}

static void exec_event(void)
{
    NEED_TRACING();
    if (!can_exec_self())
        return;
    pid_t child = TRACEE(execl("/bin/true", "true", NULL); execl("/bin/busybox", "true", NULL));
    unsigned long message = 0;
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGTRAP), "exec sends SIGTRAP by default");
    finish(child);
    child = TRACEE(execl("/bin/true", "true", NULL); execl("/bin/busybox", "true", NULL));
    trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD);
    CHECK_EQ(go(PTRACE_CONT, child, 0), EVENT(PTRACE_EVENT_EXEC), "or is an event");
    CHECK_EQ(trace(PTRACE_GETEVENTMSG, child, 0, (unsigned long)&message), 0, "whose message");
    CHECK_EQ(message, child, "is the thread's old number");
    CHECK_EQ(go(PTRACE_SYSCALL, child, 0), STOPPED(SIGTRAP | 0x80), "its system call ends");
    struct ptrace_syscall_info info;
    trace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), (unsigned long)&info);
    CHECK(info.op == PTRACE_SYSCALL_INFO_EXIT && info.exit.rval == 0, "with 0");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(0), "the new program runs");
}

static void permissions(void)
{
    NEED_TRACING();
    NEED_ROOT();
    pid_t child = CHILD(for (;;) pause());
    CHECK_EQ(IN_CHILD({
                 become_user(1000);
                 _exit(trace(PTRACE_ATTACH, child, 0, 0) < 0 ? errno : 0);
             }),
             EPERM, "a user may not trace root");
    finish(child);
    struct gate ready = gate_make();
    child = CHILD(become_user(1000); prctl(PR_SET_DUMPABLE, 1); gate_open(ready); for (;;) pause());
    gate_pass(ready);
    CHECK_EQ(IN_CHILD(become_user(1001); _exit(trace(PTRACE_ATTACH, child, 0, 0) < 0 ? errno : 0)),
             EPERM, "nor another user");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(trace(PTRACE_ATTACH, child, 0, 0) < 0 ? errno : 0)),
             0, "but their own");
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", child);
    CHECK_EQ(IN_CHILD(become_user(1001); _exit(open(path, O_RDONLY) < 0 ? errno : 0)), EACCES,
             "nor is their memory read");
    finish(child);
    child = CHILD(become_user(1000); prctl(PR_SET_DUMPABLE, 0); gate_open(ready); for (;;) pause());
    gate_pass(ready);
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(trace(PTRACE_ATTACH, child, 0, 0) < 0 ? errno : 0)),
             EPERM, "nor one that may not be dumped");
    finish(child);
}

CHECK_MAIN(CASE(errors), CASE(memory), CASE(file_mappings), CASE(system_calls), CASE(changed_calls),
#ifdef __x86_64__
           CASE(results_without_call), CASE(wide_numbers),
#endif
           CASE(signals), CASE(events), CASE(exec_event), CASE(permissions))
