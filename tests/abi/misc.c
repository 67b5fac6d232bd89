/* SPDX-License-Identifier: MIT */
/* uname, host names, prctl, umask, thread ids, and calls that are not there. */
#include "check.h"

#include <sys/personality.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>

static void names(void)
{
    struct utsname name;
    CHECK_EQ(uname(&name), 0, "uname");
    CHECK_STR(name.sysname, "Linux", "the system calls itself Linux");
#ifdef __x86_64__
    CHECK_STR(name.machine, "x86_64", "the machine");
#else
    CHECK_STR(name.machine, "riscv64", "the machine");
#endif
    int major = 0, minor = 0;
    CHECK(sscanf(name.release, "%d.%d", &major, &minor) == 2 && major >= 4, "a release of numbers");
    CHECK(name.version[0] && name.nodename[0], "version and node name");
    char host[65];
    CHECK(gethostname(host, sizeof(host)) == 0 && !strcmp(host, name.nodename), "gethostname");
    NEED_ROOT();
    if (qemu_user_lacks("sethostname"))
        return;
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(sethostname("x", 1) < 0 ? errno : 0)), EPERM,
             "a user may not set it");
    char longer[70] = {0};
    memset(longer, 'h', 65);
    CHECK_FAIL(sethostname(longer, 65), EINVAL, "a name too long");
    CHECK_FAIL(syscall(SYS_sethostname, host, -1), EINVAL, "a negative length");
    CHECK_EQ(sethostname(host, strlen(host)), 0, "root may set it");
}

static void process_control(void)
{
    char name[17];
    CHECK_EQ(prctl(PR_SET_NAME, "0123456789abcdefgh"), 0, "PR_SET_NAME");
    CHECK(prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "0123456789abcde"), "keeps fifteen bytes");
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1, "PR_GET_DUMPABLE");
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0, "PR_SET_DUMPABLE");
    CHECK_FAIL(prctl(PR_SET_DUMPABLE, 7), EINVAL, "an unknown value");
    if (qemu_user_lacks("other operations of prctl"))
        return;
    unsigned long slack = prctl(PR_GET_TIMERSLACK);
    CHECK(slack > 0, "PR_GET_TIMERSLACK");
    CHECK(prctl(PR_SET_TIMERSLACK, 12345) == 0 && prctl(PR_GET_TIMERSLACK) == 12345,
          "PR_SET_TIMERSLACK");
    CHECK(prctl(PR_SET_TIMERSLACK, 0) == 0 && prctl(PR_GET_TIMERSLACK) == (int)slack,
          "0 sets it to the default");
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0, "PR_GET_NO_NEW_PRIVS");
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0, "PR_SET_NO_NEW_PRIVS");
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1, "sticks");
    CHECK_FAIL(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL, "and cannot be taken back");
    CHECK_EQ(IN_CHILD(_exit(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))), 1, "a child inherits it");
    CHECK_FAIL(prctl(987654), EINVAL, "an unknown operation");
}

static void numbers(void)
{
    CHECK_EQ(gettid(), getpid(), "the first thread's id is the process's");
    CHECK(getppid() > 0, "getppid");
    CHECK(times(NULL) > 0, "times without a structure");
    CHECK_EQ(personality(0xffffffff), 0, "personality asks");
    mode_t old = umask(0777);
    CHECK(old == 022 && umask(022) == 0777, "umask");
    CHECK_EQ(sysconf(_SC_PAGESIZE), 4096, "pages of 4096 bytes");
    CHECK_EQ(sysconf(_SC_CLK_TCK), 100, "ticks of a hundredth");
    CHECK(get_nprocs() >= 1, "get_nprocs");
}

static void not_there(void)
{
    CHECK_FAIL(syscall(9999), ENOSYS, "a system call that is not there");
    CHECK_FAIL(syscall(-1), ENOSYS, "number -1");
    CHECK_FAIL(syscall(100000), ENOSYS, "number 100000");
    if (!qemu_user_lacks("large numbers")) {
        CHECK_FAIL(syscall(0x7fffffff), ENOSYS, "the largest");
        CHECK_FAIL(syscall((long)0x80000001), ENOSYS, "one with the highest of 32 bits");
    }
}

static void architecture(void)
{
#ifdef __x86_64__
    unsigned long base = 0;
    CHECK_EQ(syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, &base), 0, "ARCH_GET_FS");
    unsigned long by_register;
    __asm__("mov %%fs:0, %0" : "=r"(by_register));
    CHECK_EQ(base, by_register, "is the thread pointer");
    CHECK_EQ(syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, &base), 0, "ARCH_SET_GS");
    unsigned long got;
    __asm__("mov %%gs:0, %0" : "=r"(got));
    CHECK_EQ(got, base, "sets the other base");
    sched_yield();
    usleep(1000);
    __asm__("mov %%gs:0, %0" : "=r"(got));
    CHECK_EQ(got, base, "which is kept over switches");
    CHECK_EQ(IN_CHILD(__asm__("mov %%gs:0, %0"
                              : "=r"(got));
                      _exit(got == base ? 0 : 1)),
             0, "and fork");
    CHECK_FAIL(syscall(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, 0xffffffff80000000), EPERM,
               "an address of the kernel");
    CHECK_FAIL(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL, "an unknown operation");
    unsigned long rcx = 0, r11 = 0, rbx = 0x1234, number = SYS_getpid;
    __asm__ volatile("syscall" : "+a"(number), "=c"(rcx), "=&r"(r11) : "b"(rbx) : "r11", "memory");
    CHECK_EQ(number, getpid(), "a raw system call");
    unsigned long flags;
    __asm__ volatile("std; mov %1, %%eax; syscall; pushfq; cld; pop %0"
                     : "=r"(flags)
                     : "i"(SYS_getpid)
                     : "rax", "rcx", "r11", "memory", "cc");
    CHECK(flags & 0x400, "the direction flag survives a system call");
#else
    unsigned long thread;
    __asm__("mv %0, tp" : "=r"(thread));
    sched_yield();
    unsigned long after;
    __asm__("mv %0, tp" : "=r"(after));
    CHECK_EQ(thread, after, "the thread pointer is kept");
    __builtin___clear_cache(&(char){0}, &(char){0});
    CHECK_EQ(syscall(SYS_riscv_flush_icache, 0, 0, 0), 0, "riscv_flush_icache");
    unsigned long time_a, time_b;
    __asm__ volatile("rdtime %0" : "=r"(time_a));
    __asm__ volatile("rdtime %0" : "=r"(time_b));
    CHECK(time_b >= time_a, "the time register can be read");
#endif
}

CHECK_MAIN(CASE(names), CASE(process_control), CASE(numbers), CASE(not_there), CASE(architecture))
