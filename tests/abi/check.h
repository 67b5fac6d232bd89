/* SPDX-License-Identifier: MIT */
/*
 * The harness of the ABI tests: a program is a list of cases, a case is a
 * function with checks in it.
 *
 * Every case runs in a child of its own (in its own process group), so that a
 * case may change its credentials, limits and signals, and a crash or a hang
 * costs that case alone. Checks are numbered through a shared page, hence also
 * count when they are made in a child of the case. One check prints one line
 * with one write(2):
 *
 *     ok 3 - text
 *     not ok 4 - text (file.c:12, got 1, want 2, errno EINVAL)
 *     ok 5 - text # skip reason
 *
 * and the program ends with the plan, `1..N`, and status 0 if nothing failed.
 * The working directory of a case is a fresh, empty one below /tmp; it is
 * removed after the case. `ABI_CASE=name` in the environment runs one case.
 */
#ifndef ABI_CHECK_H
#define ABI_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct check_case {
    const char *name;
    void (*body)(void);
};

/* Shared by all processes of a program; the counters are atomic. */
struct check_state {
    int count;
    int failed;
    char self[PATH_MAX];    /* the program's own file */
    char scratch[PATH_MAX]; /* the case's working directory */
    int qemu_user;          /* run by qemu-user, not by a kernel for this machine */
};

enum {
    CHECK_WATCHDOG_SECONDS = 120,
    CHECK_ABANDONED = 97, /* exit status of a case that REQUIRE has ended */
};

static struct check_state *check_state;
static volatile sig_atomic_t check_timed_out;

#define CHECK_USED __attribute__((unused))

/* ---- one line of the result ---- */

static CHECK_USED void check_line(int ok, const char *text, const char *detail)
{
    char line[1024];
    int number = __atomic_add_fetch(&check_state->count, 1, __ATOMIC_SEQ_CST);
    if (!ok)
        __atomic_add_fetch(&check_state->failed, 1, __ATOMIC_SEQ_CST);
    int length =
        snprintf(line, sizeof(line), "%s %d - %s%s\n", ok ? "ok" : "not ok", number, text, detail);
    if (length >= (int)sizeof(line))
        length = sizeof(line) - 1;
    for (char *p = line; length > 0;) {
        ssize_t n = write(STDOUT_FILENO, p, length);
        if (n < 0 && errno != EINTR)
            break;
        if (n > 0) {
            p += n;
            length -= n;
        }
    }
}

/* The common end of all checks; FORMAT says what was seen. Returns OK. */
static CHECK_USED __attribute__((format(printf, 5, 6))) int
check_report(int ok, const char *file, int line, const char *text, const char *format, ...)
{
    char seen[512], detail[600] = "";
    int error = errno;
    if (!ok) {
        va_list list;
        va_start(list, format);
        vsnprintf(seen, sizeof(seen), format, list);
        va_end(list);
        const char *name = error ? strerrorname_np(error) : "0";
        snprintf(detail, sizeof(detail), " (%s:%d, %s, errno %s)", file, line, seen,
                 name ? name : "?");
    }
    check_line(ok, text, detail);
    errno = error;
    return ok;
}

static CHECK_USED int check_error(long result, int error, int want, const char *file, int line,
                                  const char *text)
{
    errno = error;
    const char *name = strerrorname_np(want);
    return check_report(result == -1 && error == want, file, line, text, "returned %ld, want %s",
                        result, name ? name : "?");
}

static CHECK_USED int check_string(const char *got, const char *want, const char *file, int line,
                                   const char *text)
{
    return check_report(got && !strcmp(got, want), file, line, text, "got \"%s\", want \"%s\"",
                        got ? got : "(null)", want);
}

/* ---- checks ---- */

/* COND holds. */
#define CHECK(cond, text)                                                                          \
    ({                                                                                             \
        errno = 0;                                                                                 \
        int check_ok_ = !!(cond);                                                                  \
        check_report(check_ok_, __FILE__, __LINE__, (text), "%s", #cond);                          \
    })

/* The integers GOT and WANT are equal. */
#define CHECK_EQ(got, want, text)                                                                  \
    ({                                                                                             \
        errno = 0;                                                                                 \
        long long check_got_ = (long long)(got);                                                   \
        long long check_want_ = (long long)(want);                                                 \
        check_report(check_got_ == check_want_, __FILE__, __LINE__, (text), "got %lld, want %lld", \
                     check_got_, check_want_);                                                     \
    })

/* CALL fails (-1) with ERROR in errno. */
#define CHECK_FAIL(call, error, text)                                                              \
    ({                                                                                             \
        errno = 0;                                                                                 \
        long check_result_ = (long)(call);                                                         \
        check_error(check_result_, errno, (error), __FILE__, __LINE__, (text));                    \
    })

#define CHECK_STR(got, want, text) check_string((got), (want), __FILE__, __LINE__, (text))

/* The check TEXT cannot be made here, for REASON. */
#define SKIP(text, reason) check_line(1, (text), " # skip " reason)

/* What has to succeed for the rest of the case to make sense: prints only if it fails. */
#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if (!(cond)) {                                                                             \
            check_report(0, __FILE__, __LINE__, "preparation", "%s", #cond);                       \
            _exit(CHECK_ABANDONED);                                                                \
        }                                                                                          \
    } while (0)

/* ---- processes ---- */

/* Waits for PID: its exit code, 128 + N if signal N ended it, -1 if there is no such child. */
static CHECK_USED int end_of(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) != pid) {
        if (errno != EINTR)
            return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* fork(); what follows runs in the child, which exits 0 at the closing brace. */
#define CHILD(...)                                                                                 \
    ({                                                                                             \
        pid_t check_child_ = fork();                                                               \
        if (check_child_ == 0) {                                                                   \
            __VA_ARGS__;                                                                           \
            _exit(0);                                                                              \
        }                                                                                          \
        check_child_;                                                                              \
    })

/* The same, and waits for it: the child's end as of end_of(). */
#define IN_CHILD(...) end_of(CHILD(__VA_ARGS__))

/* A gate lets another process pass once; it is a pipe, so it works over fork. */
struct gate {
    int read_end, write_end;
};

static CHECK_USED struct gate gate_make(void)
{
    int fds[2];
    REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
    return (struct gate){fds[0], fds[1]};
}

static CHECK_USED void gate_open(struct gate gate)
{
    char byte = 0;
    while (write(gate.write_end, &byte, 1) < 0 && errno == EINTR)
        ;
}

static CHECK_USED void gate_pass(struct gate gate)
{
    char byte;
    while (read(gate.read_end, &byte, 1) < 0 && errno == EINTR)
        ;
}

/* The state letter of a process in /proc/PID/stat, 0 if it is gone. */
static CHECK_USED char process_state(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    char *paren = strrchr(text, ')');
    return paren && paren[1] ? paren[2] : 0;
}

/* Waits until a process is in one of the STATES (letters as in /proc/PID/stat). */
static CHECK_USED char await_state(pid_t pid, const char *states)
{
    char state;
    while ((state = process_state(pid)) && !strchr(states, state))
        usleep(500);
    return state;
}

/* ---- small tools ---- */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static CHECK_USED void *share_pages(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    return p;
}

static CHECK_USED void *private_pages(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    return p;
}

/* An address on which nothing is mapped, with an unmapped page on both sides. */
static CHECK_USED void *unmapped_page(void)
{
    char *p = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    REQUIRE(munmap(p, 3 * 4096) == 0);
    return p + 4096;
}

/* Creates (or truncates) a file with the given text. */
static CHECK_USED void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    REQUIRE(fchmod(fd, mode) == 0);
    close(fd);
}

/* Reads a whole file as a string into BUFFER; its length, -1 on error. */
static CHECK_USED ssize_t read_file(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t length = 0;
    ssize_t n;
    while (length < size - 1 && (n = read(fd, buffer + length, size - 1 - length)) > 0)
        length += n;
    close(fd);
    buffer[length] = 0;
    return length;
}

static CHECK_USED void handle_flags(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    REQUIRE(sigaction(signal, &action, NULL) == 0);
}

static CHECK_USED void handle_info(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    REQUIRE(sigaction(signal, &action, NULL) == 0);
}

static CHECK_USED sigset_t set_of(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    if (signal)
        sigaddset(&set, signal);
    return set;
}

static CHECK_USED void block_signal(int signal)
{
    sigset_t set = set_of(signal);
    REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

static CHECK_USED void unblock_signal(int signal)
{
    sigset_t set = set_of(signal);
    REQUIRE(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static CHECK_USED int is_pending(int signal)
{
    sigset_t set;
    REQUIRE(sigpending(&set) == 0);
    return sigismember(&set, signal);
}

/* Becomes an ordinary user (in a child: there is no way back). */
static CHECK_USED void become_user(uid_t uid)
{
    REQUIRE(syscall(SYS_setgroups, 0, NULL) == 0);
    REQUIRE(setresgid(uid, uid, uid) == 0);
    REQUIRE(setresuid(uid, uid, uid) == 0);
}

/* Whether root has this capability: a container's may lack some. */
static CHECK_USED int has_capability(int number)
{
    char text[8192];
    if (read_file("/proc/self/status", text, sizeof(text)) <= 0)
        return 1;
    char *line = strstr(text, "CapEff:");
    return !line || (strtoull(line + 7, NULL, 16) >> number & 1);
}

#define NEED_ROOT()                                                                                \
    do {                                                                                           \
        if (geteuid() != 0) {                                                                      \
            SKIP(__func__, "needs root");                                                          \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* Under a qemu-user that cannot do this: the skipped check TEXT is printed. */
static CHECK_USED int check_under_qemu_user(void)
{
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    return !strncmp(name, "qemu-", 5);
}

static CHECK_USED int qemu_user_lacks(const char *text)
{
    if (check_state->qemu_user)
        SKIP(text, "not under qemu-user");
    return check_state->qemu_user;
}

/* Whether executing a file of this program's machine works at all: not so under
 * a qemu-user that the kernel does not know for the format. */
static CHECK_USED int can_exec_self(void)
{
    if (!check_state->qemu_user)
        return 1;
    return IN_CHILD({
               int null = open("/dev/null", O_RDWR);
               dup2(null, 1);
               dup2(null, 2);
               execl(check_state->self, "self", "--probe", NULL);
               _exit(99);
           }) != 99;
}

/* ---- running the cases ---- */

static CHECK_USED void check_remove(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return;
    if (!S_ISDIR(st.st_mode)) {
        unlink(path);
        return;
    }
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char child[PATH_MAX];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (snprintf(child, sizeof(child), "%s/%s", path, entry->d_name) < (int)sizeof(child))
            check_remove(child);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

static CHECK_USED void check_watchdog(int signal)
{
    (void)signal;
    check_timed_out = 1;
}

static CHECK_USED void check_case_start(const struct check_case *test)
{
    setpgid(0, 0);
    signal(SIGALRM, SIG_DFL);
    umask(022);
    if (chdir(check_state->scratch) < 0)
        check_report(0, __FILE__, __LINE__, test->name, "chdir to %s", check_state->scratch);
    test->body();
    _exit(0);
}

/* One case in a child; what it leaves behind (processes of its group, files) is removed. */
static CHECK_USED void check_run_case(const struct check_case *test)
{
    char text[128];
    int status = 0;
    mkdir(check_state->scratch, 0777);
    chmod(check_state->scratch, 0777);
    pid_t pid = fork();
    if (pid == 0)
        check_case_start(test);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        if (check_timed_out)
            kill(pid, SIGKILL);
    }
    kill(-pid, SIGKILL);
    snprintf(text, sizeof(text), "%s ends", test->name);
    if (check_timed_out)
        check_report(0, __FILE__, __LINE__, text, "hung: watchdog");
    else if (WIFSIGNALED(status))
        check_report(0, __FILE__, __LINE__, text, "signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != CHECK_ABANDONED)
        check_report(0, __FILE__, __LINE__, text, "exit status %d", WEXITSTATUS(status));
    check_remove(check_state->scratch);
}

static CHECK_USED void check_qemu_user(void)
{
    qemu_user_lacks("the subject");
}

/* Runs the cases up to the one without a name; what main() returns. */
static CHECK_USED int check_run(const struct check_case *cases)
{
    char line[32];
    const char *only = getenv("ABI_CASE");
    struct sigaction watchdog = {.sa_handler = check_watchdog};

    check_state =
        mmap(NULL, sizeof(*check_state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (check_state == MAP_FAILED)
        return 2;
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    /* Whoever started this may have ignored some: what is inherited is not what is tested. */
    for (int number = 1; number <= 64; number++)
        signal(number, SIG_DFL);
    check_state->qemu_user = check_under_qemu_user();
    if (readlink("/proc/self/exe", check_state->self, PATH_MAX - 1) < 0)
        return 2;
    snprintf(check_state->scratch, PATH_MAX, "/tmp/abi-%d", getpid());
    sigaction(SIGALRM, &watchdog, NULL);
    alarm(CHECK_WATCHDOG_SECONDS);
    for (; cases->name && !check_timed_out; cases++) {
        if (!only || !strcmp(only, cases->name))
            check_run_case(cases);
    }
    int length = snprintf(line, sizeof(line), "1..%d\n", check_state->count);
    return write(STDOUT_FILENO, line, length) == length && check_state->failed == 0 ? 0 : 1;
}

#define CASE(function)                                                                             \
    {                                                                                              \
#function, function                                                                        \
    }

/* main() of a program whose subject qemu-user does not know: there it skips as a whole. */
#define CHECK_MAIN_BUT_QEMU_USER(...)                                                              \
    int main(void)                                                                                 \
    {                                                                                              \
        static const struct check_case cases[] = {__VA_ARGS__, {NULL, NULL}};                      \
        static const struct check_case none[] = {CASE(check_qemu_user), {NULL, NULL}};             \
        return check_run(check_under_qemu_user() ? none : cases);                                  \
    }

/* main() of a program that has nothing else to do in it. */
#define CHECK_MAIN(...)                                                                            \
    int main(void)                                                                                 \
    {                                                                                              \
        static const struct check_case cases[] = {__VA_ARGS__, {NULL, NULL}};                      \
        return check_run(cases);                                                                   \
    }

#endif
