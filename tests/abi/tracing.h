/* SPDX-License-Identifier: MIT */
/* What the tests of debuggers share: tracees, and the registers of either machine. */
#ifndef ABI_TRACING_H
#define ABI_TRACING_H

#include "check.h"
#include <elf.h>
#include <linux/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#ifdef __riscv
#include <asm/ptrace.h>
#define PC(r)           ((r).pc)
#define SP(r)           ((r).sp)
#define RESULT(r)       ((r).a0)
#define NUMBER(r)       ((r).a7)
#define ARG0(r)         ((r).a0)
#define ARG1(r)         ((r).a1)
#define BREAKPOINT()    __asm__ volatile(".option push; .option norvc; ebreak; .option pop")
#define BREAKPOINT_SIZE 4 /* what the thread must be moved on by after it */
#else
#define PC(r)           ((r).rip)
#define SP(r)           ((r).rsp)
#define RESULT(r)       ((r).rax)
#define NUMBER(r)       ((r).orig_rax)
#define ARG0(r)         ((r).rdi)
#define ARG1(r)         ((r).rsi)
#define BREAKPOINT()    __asm__ volatile("int3")
#define BREAKPOINT_SIZE 0
#endif

#define NEED_TRACING()                                                                             \
    do {                                                                                           \
        if (qemu_user_lacks(__func__))                                                             \
            return;                                                                                \
    } while (0)

/* Raw: glibc's own peeks hide errors. */
static CHECK_USED long trace(long request, pid_t pid, unsigned long address, unsigned long data)
{
    return syscall(SYS_ptrace, request, pid, address, data);
}

static CHECK_USED long registers(pid_t pid, struct user_regs_struct *r)
{
    struct iovec iov = {r, sizeof(*r)};
    return trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&iov);
}

static CHECK_USED long registers_set(pid_t pid, struct user_regs_struct *r)
{
    struct iovec iov = {r, sizeof(*r)};
    return trace(PTRACE_SETREGSET, pid, NT_PRSTATUS, (unsigned long)&iov);
}

static CHECK_USED unsigned long word(pid_t pid, const volatile void *address)
{
    unsigned long value = 0;
    if (trace(PTRACE_PEEKDATA, pid, (unsigned long)address, (unsigned long)&value) < 0)
        return -1;
    return value;
}

/* Waits for a stop (or end) of PID: the status word, -1 on error. */
static CHECK_USED int stop_of(pid_t pid)
{
    int status = -1;
    pid_t got;
    while ((got = waitpid(pid, &status, __WALL)) < 0 && errno == EINTR)
        ;
    return got == pid ? status : -1;
}

#define STOPPED(signal)    ((signal) << 8 | 0x7f)
#define EVENT(event)       STOPPED((event) << 8 | SIGTRAP)
#define EXITED(code)       ((code) << 8)
#define GROUP_STOP(signal) STOPPED(PTRACE_EVENT_STOP << 8 | (signal))

/* A child that is traced by us and has stopped itself; BODY runs when it goes on. */
#define TRACEE(...)                                                                                \
    ({                                                                                             \
        pid_t tracee_ = CHILD({                                                                    \
            trace(PTRACE_TRACEME, 0, 0, 0);                                                        \
            raise(SIGSTOP);                                                                        \
            __VA_ARGS__;                                                                           \
        });                                                                                        \
        REQUIRE(stop_of(tracee_) == STOPPED(SIGSTOP));                                             \
        trace(PTRACE_SETOPTIONS, tracee_, 0, PTRACE_O_EXITKILL);                                   \
        tracee_;                                                                                   \
    })

/* Lets it go on and waits for what comes. */
static CHECK_USED int go(long request, pid_t pid, int signal)
{
    return trace(request, pid, 0, signal) < 0 ? -2 : stop_of(pid);
}

/* Kills and reaps it. */
static CHECK_USED void finish(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, __WALL) == pid && !WIFSIGNALED(status) && !WIFEXITED(status))
        ;
}

#endif
