/* SPDX-License-Identifier: MIT */
/*
 * A child of the fuzzer: it makes a world of live objects for itself, and then calls.
 */
#include "fuzz.h"
#include "random.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

const struct call calls[] = {
#include "calls.h"
};
const unsigned call_count = sizeof(calls) / sizeof(*calls);

enum {
    ARENA_PAGES = 64,
    DESCRIPTORS = 48,
    ALARM_US = 15000, /* a call that blocks is interrupted */
};

static struct slot *me;
static unsigned char *arena;    /* ARENA_PAGES, of many protections, a hole behind it */
static unsigned char *readable; /* its first pages, which nobody's mprotect has hit yet */
static int as_root, looks_for_leaks, own_pid;
static pid_t child_pid;

#define PICK(table) ((table)[below(sizeof(table) / sizeof(*(table)))])

/* ---- the call itself: in assembly, since a new process or thread may come back from it, on a
 * stack of any kind, and is to end at once ---- */

static long raw_call(long n, const unsigned long a[6])
{
#ifdef __x86_64__
    register unsigned long r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4],
                               r9 __asm__("r9") = a[5];
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(n), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long a7 __asm__("a7") = n;
    register unsigned long a0 __asm__("a0") = a[0], a1 __asm__("a1") = a[1],
                              a2 __asm__("a2") = a[2], a3 __asm__("a3") = a[3],
                              a4 __asm__("a4") = a[4], a5 __asm__("a5") = a[5];

    __asm__ volatile("ecall"
                     : "+r"(a0)
                     : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
                     : "memory");
    return a0;
#endif
}

static long fork_call(long n, const unsigned long a[6])
{
#ifdef __x86_64__
    register unsigned long r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4],
                               r9 __asm__("r9") = a[5];
    long result;

    __asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\tmov %6, %%eax\n\txor %%edi, "
                     "%%edi\n\tsyscall\n\tud2\n1:"
                     : "=a"(result)
                     : "0"(n), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "i"(SYS_exit), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long a7 __asm__("a7") = n;
    register unsigned long a0 __asm__("a0") = a[0], a1 __asm__("a1") = a[1],
                              a2 __asm__("a2") = a[2], a3 __asm__("a3") = a[3],
                              a4 __asm__("a4") = a[4], a5 __asm__("a5") = a[5];

    __asm__ volatile("ecall\n\tbnez a0, 1f\n\tli a7, %7\n\tecall\n\tebreak\n1:"
                     : "+r"(a0)
                     : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "i"(SYS_exit)
                     : "memory");
    return a0;
#endif
}

/* ---- arguments ---- */

/* Addresses that lead nowhere, or where nobody may go. All of the kernel's end in bad. */
static unsigned long hostile_address(void)
{
    static const unsigned long table[] = {
        0,
        1,
        8,
        0xfff,
        0x1000,
        0xdead0000,
        0x00007ffffffff000,
        0x00007fffffffffff,
        0x0000800000000000,
        0x0000003ffffff000,
        0x0000003fffffffff,
        0x0000004000000000,
        0xffff800000000bad,
        0xffff800000100bad,
        0xffff888000000bad,
        0xffffc90000000bad,
        0xffffffff80100bad,
        0xffffffff80200bad,
        0xffffffc080200bad,
        0xffffffd000000bad,
        0xffffffe000000bad,
        0xffffffffff600bad,
        0xfffffffffffffbad,
        0x7fffffffffffffff,
        0x8000000000000000,
    };

    return PICK(table);
}

/* Somewhere in the arena: at a page's beginning or end, or at the very end of all. */
static unsigned long arena_address(void)
{
    unsigned char *page = arena + below(ARENA_PAGES) * PAGE;

    switch (below(8)) {
    case 0:
        return (unsigned long)(page + PAGE - 1 - below(16));
    case 1:
        return (unsigned long)(arena + ARENA_PAGES * PAGE - below(64));
    case 2:
        return (unsigned long)(page + below(PAGE));
    case 3:
    case 4:
        return (unsigned long)(page + below(16) * 8);
    default:
        return (unsigned long)(arena + below(8) * PAGE + below(64) * 64);
    }
}

static unsigned long length(void)
{
    static const unsigned long table[] = {
        0,
        1,
        2,
        4,
        7,
        8,
        12,
        16,
        24,
        32,
        64,
        100,
        128,
        144,
        255,
        256,
        512,
        1023,
        4095,
        4096,
        4097,
        8192,
        65536,
        262144,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x7ffff000,
        0x7fffffffffffffff,
        0xffffffffffffffff,
        0xfffffffffffff000,
        0x8000000000000000,
    };

    return below(3) ? PICK(table) : below(below(2) ? 64 : 10000);
}

static unsigned long flags(void)
{
    switch (below(6)) {
    case 0:
        return 0;
    case 1:
        return 1UL << below(32);
    case 2:
        return 1UL << below(20) | 1UL << below(20);
    case 3:
        return next_random() & next_random() & 0xffffffff;
    case 4:
        return below(16);
    default:
        return below(8) ? below(4096) : next_random();
    }
}

static const char *const paths[] = {
    "",
    "/",
    ".",
    "..",
    "tmp/a",
    "tmp/b",
    "a",
    "b",
    "tmp/d",
    "tmp/d/e",
    "tmp/link",
    "tmp/loop",
    "x/y",
    "/tmp",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "tmp/program",
    "tmp",
    "tmp/p",
    "/proc/self",
    "/proc/self/",
    "/proc/self/fd/3",
    "proc/self/maps",
    "/proc/self/mem",
    "/proc/self/stat",
    "/proc/self/environ",
    "/proc/self/task",
    "/proc/self/fdinfo",
    "/proc/self/exe",
    "/proc/self/cwd/tmp",
    "/proc/self/root",
    "/proc/self/status",
    "/proc/self/auxv",
    "/proc/self/smaps",
    "/proc/self/limits",
    "/proc/self/oom_score_adj",
    "/proc/self/io",
    "/proc/self/mountinfo",
    "/proc/self/comm",
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/1/stat",
    "/proc/1/mem",
    "/proc/1/maps",
    "tmp/a/",
    "tmp//b/../a",
    "proc",
    "tmpfs",
    "user.attribute",
    "trusted.x",
    "rw",
    "/../..",
};

static unsigned long path(void)
{
    char *at = (char *)arena + (8 + below(8)) * PAGE + below(4) * 512;
    const char *text = PICK(paths);

    switch (below(12)) {
    case 0:
        return hostile_address();
    case 1:
        return arena_address();
    case 2: /* as long as can be, or longer */
        memset(at - (at - (char *)arena) % PAGE, below(2) ? 'x' : '/', 2 * PAGE);
        return (unsigned long)at;
    case 3: /* no zero before the hole */
        at = (char *)arena + ARENA_PAGES * PAGE - strlen(text);
        memcpy(at, text, strlen(text));
        return (unsigned long)at;
    default:
        strcpy(at, text);
        if (below(8) == 0)
            sprintf(at, "tmp/%u", below(20));
        return (unsigned long)at;
    }
}

static long small(void)
{
    static const long table[] = {0,   1,       2,         3,          -1,   -2,
                                 100, 1000000, 999999999, 1000000000, -100, 4096};

    return PICK(table);
}

/* Memory whose words could be a structure of something. */
static unsigned long buffer(void)
{
    uint64_t *at = (uint64_t *)(arena + below(16) * PAGE + below(32) * 128);

    if (below(6) == 0)
        return hostile_address();
    if (below(3) == 0)
        return arena_address();
    for (unsigned i = below(24); i > 0; i--) {
        switch (below(5)) {
        case 0:
            at[i] = below(64);
            break;
        case 1:
            at[i] = (uint64_t)below(64) << 32 | below(64);
            break;
        case 2:
            at[i] = arena_address();
            break;
        case 3:
            at[i] = looks_for_leaks ? below(100000) : hostile_address();
            break;
        default:
            at[i] = looks_for_leaks ? 0 : flags();
        }
    }
    return (unsigned long)at;
}

static unsigned long time_pointer(void)
{
    long *at = (long *)(arena + below(16) * PAGE + 2048);

    if (below(4) == 0)
        return below(2) ? 0 : buffer();
    at[0] = below(4) ? 0 : looks_for_leaks ? below(5) : small();
    at[1] = below(4) ? below(3000) : looks_for_leaks ? below(2000000000) : small();
    at[2] = at[3] = 0;
    return (unsigned long)at;
}

static unsigned long vector(void)
{
    unsigned long *at = (unsigned long *)(arena + below(16) * PAGE + 1024);

    if (below(6) == 0)
        return buffer();
    for (unsigned i = 0; i < 8; i++) {
        at[2 * i] = below(8) || looks_for_leaks ? arena_address() : hostile_address();
        at[2 * i + 1] = below(4) ? below(300) : looks_for_leaks ? below(100000) : length();
    }
    return (unsigned long)at;
}

static unsigned long strings(void)
{
    unsigned long *at = (unsigned long *)(arena + below(16) * PAGE + 3072);
    unsigned n = below(4);

    if (below(6) == 0)
        return buffer();
    for (unsigned i = 0; i < n; i++) {
        at[i] = path();
        /* A hostile one that a call overwrote in part ("/", a count) would look like a leak. */
        if (looks_for_leaks && (at[i] & 0xfff) == 0xbad)
            at[i] = arena_address();
    }
    at[n] = 0;
    return (unsigned long)at;
}

static unsigned long descriptor(void)
{
    switch (below(12)) {
    case 0:
        return -1;
    case 1:
        return AT_FDCWD;
    case 2:
        return next_random();
    case 3:
        return below(1100);
    default:
        return below(DESCRIPTORS + 8);
    }
}

/* Root could hit anybody: it aims at itself, its child, and those who are not there. */
static unsigned long process(void)
{
    switch (below(8)) {
    case 0:
        return as_root ? 99999 : (unsigned long)getppid();
    case 1:
        return as_root ? 32767 : below(2) ? 1 : -1;
    case 2:
        return as_root ? 0x7fffffff : next_random();
    case 3:
    case 4:
        return child_pid;
    case 5:
        return as_root ? own_pid : 0;
    default:
        return own_pid;
    }
}

static unsigned long command(void)
{
    static const unsigned table[] = {
        0x5401, 0x5402, 0x540f,     0x5410,     0x5413,     0x541b,     0x5421, 0x5450,
        0x5451, 0x5452, 0x80045430, 0x40045431, 1024,       1025,       1026,   1030,
        1031,   1032,   1033,       1034,       0x40086602, 0x80086601,
    };

    return below(3) ? below(below(4) ? 24 : 64) : below(4) ? PICK(table) : flags();
}

static unsigned long argument(enum kind kind)
{
    if (below(12) == 0)
        kind = below(K_COUNT);
    switch (kind) {
    case K_PATH:
        return path();
    case K_TIME:
        return time_pointer();
    case K_VECTOR:
        return vector();
    case K_STRINGS:
        return strings();
    case K_BUFFER:
        return buffer();
    case K_FD:
        return descriptor();
    case K_ADDRESS:
        return below(4)   ? arena_address() & ~(unsigned long)(PAGE - 1)
               : below(2) ? arena_address()
                          : hostile_address();
    case K_PID:
        return process();
    case K_SIGNAL:
        return below(70);
    case K_LENGTH:
        return length();
    case K_OFFSET:
        return below(2) ? below(10000) : length();
    case K_COMMAND:
        return command();
    case K_FLAGS:
        return flags();
    default:
        return below(4) ? flags() : below(2) ? buffer() : next_random();
    }
}

/* ---- what must not be ---- */

static int is_name(const struct call *call, const char *name)
{
    return !strcmp(call->name, name);
}

/* Calls that would end the machine or the test: they are made harmless. Returns 0 to leave one out. */
static int steer(const struct call *call, unsigned long a[6])
{
    static const char *const by_number[] = {
        "kill",
        "tkill",
        "tgkill",
        "rt_sigqueueinfo",
        "rt_tgsigqueueinfo",
        "pidfd_open",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "prlimit64",
        "sched_setaffinity",
        "sched_setscheduler",
        "sched_setparam",
        "sched_setattr",
        "setpriority",
        "migrate_pages",
        "move_pages",
        "ioprio_set",
        "setpgid",
        "process_madvise",
        "kcmp",
    };

    if (is_name(call, "exit") || is_name(call, "exit_group") || is_name(call, "rt_sigreturn"))
        return below(16) == 0;
    if (is_name(call, "execve") || is_name(call, "execveat"))
        return below(4) == 0;
    /* One in four of the signals that would end us: a child costs as much as a hundred calls. */
    if ((!strncmp(call->name, "kill", 4) || strstr(call->name, "tkill") ||
         !strncmp(call->name, "tgkill", 6) || strstr(call->name, "sigqueueinfo")) &&
        ((int)a[0] == own_pid || (int)a[0] == 0) && below(4))
        a[0] = child_pid;
    if (!as_root)
        return 1;
    if (is_name(call, "reboot"))
        a[0] = 1;
    if (is_name(call, "syslog") && (int)a[0] > 3)
        a[0] = 3;
    if (is_name(call, "settimeofday") || is_name(call, "clock_settime") ||
        is_name(call, "adjtimex") || is_name(call, "clock_adjtime") || is_name(call, "swapon") ||
        is_name(call, "swapoff") || is_name(call, "pivot_root") || is_name(call, "sethostname") ||
        is_name(call, "setdomainname"))
        return 0;
    if (is_name(call, "setpriority") || is_name(call, "ioprio_set"))
        a[0] = 0;
    if ((is_name(call, "fcntl") || is_name(call, "ioctl")) && below(2))
        a[2] = own_pid;
    for (size_t i = 0; i < sizeof(by_number) / sizeof(*by_number); i++) {
        int first =
            is_name(call, "setpriority") || is_name(call, "ioprio_set") || is_name(call, "ptrace");

        if (!is_name(call, by_number[i]))
            continue;
        if ((int)a[first] != own_pid && (int)a[first] != child_pid && (int)a[first] < 32767)
            a[first] = below(2) ? own_pid : child_pid;
    }
    return 1;
}

/* Looks like an address of the kernel, or like memory that the kernel has never written. */
static int is_secret(uint64_t word)
{
    if (word == 0x5a5a5a5a5a5a5a5a || word == 0x6b6b6b6b6b6b6b6b || word == 0xf4eef4eef4eef4ee ||
        word == 0xfefefefefefefefe)
        return 1;
    /* A hostile address of ours, its lower half perhaps overwritten by capget(2)'s version. */
    if ((word & 0xfff) == 0xbad || (uint32_t)word == _LINUX_CAPABILITY_VERSION_3)
        return 0;
    /* The direct map, mapped memory, the image: of memory as the test's machine has it. */
    switch (word >> 32) {
#ifdef __x86_64__
    case 0xffff8000:
    case 0xffffc900:
        return (uint32_t)word >= 0x10000 && (uint32_t)word < 0x40000000;
    case 0xffffffff:
        return (uint32_t)word >= 0x80100000 && (uint32_t)word < 0x80800000;
#else
    case 0xffffffc0:
        return (uint32_t)word >= 0x80000000 && (uint32_t)word < 0xa0000000;
    case 0xffffffe1:
        return (uint32_t)word >= 0x10000 && (uint32_t)word < 0x40000000;
    case 0xffffffff:
        return (uint32_t)word >= 0x80200000 && (uint32_t)word < 0x80800000;
#endif
    }
    return 0;
}

static void look_for_leaks(void)
{
    const uint64_t *words = (const uint64_t *)arena;

    for (size_t i = 0; i < 16 * PAGE / 8; i++)
        if (is_secret(words[i])) {
            me->leak = words[i];
            me->leak_at = i * 8;
            _exit(EXIT_LEAK);
        }
}

/* ---- a child's life ---- */

static void on_alarm(int signal)
{
    (void)signal;
}

static int move_up(int fd)
{
    static int next = 3;

    if (fd < 0)
        return -1;
    if (fd != next) {
        dup2(fd, next);
        close(fd);
    }
    return next++;
}

static void open_descriptors(void)
{
    static const char *const names[] = {
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/tmp",
        "/",
        "/proc/self/maps",
        "/proc/self/fd",
        "/proc",
        "/proc/self/stat",
        "/proc/meminfo",
        "/proc/self/mem",
        "/proc/self/status",
    };
    int pair[2], fd;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        move_up(open(names[i], below(3) ? O_RDONLY : O_RDWR));
    for (int i = 0; i < 4; i++) {
        char name[16];

        sprintf(name, "/tmp/%d", below(6));
        fd = move_up(open(name, O_RDWR | O_CREAT | (below(2) ? O_APPEND : 0), 0666));
        if (fd >= 0)
            write(fd, arena, below(9000));
    }
    for (int i = 0; i < 3; i++)
        if (syscall(SYS_pipe2, pair, below(2) ? O_NONBLOCK : 0) == 0) {
            move_up(pair[0]);
            move_up(pair[1]);
        }
    /* What is not there answers ENOSYS, and is not missed. */
    move_up(syscall(SYS_eventfd2, 3, 0));
    move_up(syscall(SYS_epoll_create1, 0));
    move_up(syscall(SYS_timerfd_create, 1, 0));
    move_up(syscall(SYS_signalfd4, -1, arena, 8, 0));
    move_up(syscall(SYS_inotify_init1, 0));
    move_up(syscall(SYS_memfd_create, "m", 3));
    move_up(open("/tmp", O_PATH));
    move_up(open("/tmp", O_TMPFILE | O_RDWR, 0600));
    move_up(syscall(SYS_pidfd_open, own_pid, 0));
    move_up(open("/dev/ptmx", O_RDWR | O_NOCTTY));
    for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++)
        if (type != SOCK_RAW && type != SOCK_RDM && socketpair(AF_UNIX, type, 0, pair) == 0) {
            move_up(pair[0]);
            move_up(pair[1]);
        }
    mkfifo("/tmp/p", 0666);
    move_up(open("/tmp/p", O_RDWR | O_NONBLOCK));
}

static void make_arena(void)
{
    int fd = open("/tmp/shared", O_RDWR | O_CREAT, 0666);

    /* A page of nothing in front, and behind. */
    arena = mmap(NULL, (ARENA_PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED)
        _exit(1);
    arena += PAGE;
    mprotect(arena, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE);
    memset(arena, 0x11, 16 * PAGE);
    ftruncate(fd, 8 * PAGE);
    mmap(arena + 32 * PAGE, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    mmap(arena + 40 * PAGE, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
    mmap(arena + 44 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
         MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    mprotect(arena + 48 * PAGE, 2 * PAGE, PROT_READ);
    mprotect(arena + 50 * PAGE, 2 * PAGE, PROT_NONE);
    mprotect(arena + 52 * PAGE, 2 * PAGE, PROT_READ | PROT_EXEC);
    munmap(arena + 54 * PAGE, 2 * PAGE);
    close(fd);
    readable = arena;
}

static void set_limits(void)
{
    static const struct {
        int resource;
        rlim_t most;
    } limits[] = {{RLIMIT_AS, 256 << 20}, {RLIMIT_FSIZE, 1 << 20}, {RLIMIT_NPROC, 64},
                  {RLIMIT_NOFILE, 256},   {RLIMIT_CORE, 0},        {RLIMIT_DATA, 64 << 20}};

    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        struct rlimit l = {limits[i].most, limits[i].most};

        setrlimit(limits[i].resource, &l);
    }
}

static void settle(uint64_t seed)
{
    char name[16];
    struct sigaction action = {.sa_handler = on_alarm};

    random_state = (seed * 1000003 + me->number + 1) * 0x9e3779b97f4a7c15 | 1;
    for (int i = 0; i < 4; i++)
        next_random();
    own_pid = getpid();
    as_root = below(4) == 0;
    looks_for_leaks = below(2);
    snprintf(name, sizeof(name), "fuzz%u", me->number);
    prctl(PR_SET_NAME, name);
    /* Whoever could join the supervisor's group could orphan it: its stopped members get SIGHUP. */
    setsid();
    for (int fd = 0; fd < 3; fd++) {
        int null = open("/dev/null", O_RDWR); /* not the one of the world: others remove that */

        dup2(null, fd);
        if (null > 2)
            close(null);
    }
    if (chroot(".") < 0 || chdir("/") < 0)
        _exit(1);
    make_arena();
    set_limits();
    if (!as_root && (setgid(65534) < 0 || setuid(65534) < 0))
        _exit(1);
    open_descriptors();
    sigaction(SIGALRM, &action, NULL);
    child_pid = fork(); /* somebody to aim at */
    if (child_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (getppid() == own_pid)
            pause();
        _exit(0);
    }
}

static int may_fork(const struct call *call)
{
    return is_name(call, "fork") || is_name(call, "vfork") || is_name(call, "clone") ||
           is_name(call, "clone3");
}

void fuzz_child(struct slot *slot, uint64_t seed, unsigned most)
{
    struct itimerval interval = {{0, ALARM_US}, {0, ALARM_US}};
    unsigned long mask = 0;

    me = slot;
    me->doing = "start";
    settle(seed);
    unsigned favourite = below(call_count);
    while (me->calls < most) {
        const struct call *call = &calls[below(8) ? below(call_count) : favourite];
        unsigned long a[6];

        for (unsigned i = 0; i < 6; i++)
            a[i] = i < call->count ? argument(call->kinds[i]) : next_random();
        if (!steer(call, a))
            continue;
        if (me->calls % 16 == 0) { /* so that nothing blocks for long, whatever came before */
            setitimer(ITIMER_REAL, &interval, NULL);
            syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
        }
        me->doing = call->name;
        me->calls++;
        if (may_fork(call))
            fork_call(call->number, a);
        else
            raw_call(call->number, a);
        if (getpid() != own_pid)
            _exit(0);
        if (looks_for_leaks && me->calls % 8 == 0)
            look_for_leaks();
    }
    kill(child_pid, SIGKILL);
    _exit(0);
}
