/* SPDX-License-Identifier: MIT */
/* ptrace: registers of all kinds, breakpoints, single steps, watched variables; process_vm_readv. */
#include "tracing.h"

static volatile long watched = 1;

static long own_sigtrap(pid_t pid, siginfo_t *info)
{
    return trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)info);
}

/* A function that nothing has inlined: where its code is does not change over fork. */
__attribute__((noinline)) static long doubled(long n)
{
    __asm__ volatile("" : "+r"(n));
    return n * 2;
}

static void general(void)
{
    NEED_TRACING();
    pid_t child = TRACEE(BREAKPOINT(); _exit(3));
    struct user_regs_struct r, again;
    siginfo_t info;
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGTRAP), "a breakpoint instruction");
    CHECK(own_sigtrap(child, &info) == 0 && info.si_signo == SIGTRAP, "is SIGTRAP");
#ifdef __x86_64__
    CHECK_EQ(info.si_code, SI_KERNEL, "by the kernel");
#else
    CHECK_EQ(info.si_code, TRAP_BRKPT, "TRAP_BRKPT");
#endif
    struct iovec iov = {&r, sizeof(r) + 64};
    char room[sizeof(r) + 64];
    iov.iov_base = room;
    CHECK_EQ(trace(PTRACE_GETREGSET, child, NT_PRSTATUS, (unsigned long)&iov), 0,
             "PTRACE_GETREGSET with more room");
    CHECK_EQ(iov.iov_len, sizeof(r), "tells the size");
    memcpy(&r, room, sizeof(r));
    CHECK(PC(r) && SP(r), "registers");
    iov = (struct iovec){room, 16};
    CHECK_EQ(trace(PTRACE_GETREGSET, child, NT_PRSTATUS, (unsigned long)&iov), 0, "with less room");
    CHECK_EQ(iov.iov_len, 16, "a part");
    iov.iov_len = 7;
    CHECK_FAIL(trace(PTRACE_GETREGSET, child, NT_PRSTATUS, (unsigned long)&iov), EINVAL,
               "half a register");
    CHECK_FAIL(trace(PTRACE_GETREGSET, child, 0x7777, (unsigned long)&iov), EINVAL,
               "a set that is not there");
    CHECK_FAIL(trace(PTRACE_GETREGSET, child, NT_PRSTATUS, 8), EFAULT, "no iovec");
    struct ptrace_rseq_configuration rseq = {0};
    CHECK_EQ(trace(PTRACE_GET_RSEQ_CONFIGURATION, child, sizeof(rseq), (unsigned long)&rseq),
             sizeof(rseq), "PTRACE_GET_RSEQ_CONFIGURATION");
    CHECK(rseq.flags == 0 && rseq.rseq_abi_pointer % 32 == 0, "tells where, if anywhere");
    PC(r) += BREAKPOINT_SIZE;
    CHECK_EQ(registers_set(child, &r), 0, "PTRACE_SETREGSET");
    CHECK_EQ(registers(child, &again), 0, "read again");
    CHECK(!memcmp(&r, &again, sizeof(r)), "are the same");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(3), "and it goes on");
}

/* Breakpoints as a debugger plants them, in code that other processes share. */
static void breakpoints(void)
{
    NEED_TRACING();
    pid_t child = TRACEE(_exit(doubled(21)));
    unsigned long at = (unsigned long)doubled, aligned = at & ~7UL;
    unsigned long old = word(child, (void *)aligned), shift = (at - aligned) * 8;
    struct user_regs_struct r;
#ifdef __x86_64__
    unsigned long trap = (old & ~(0xffUL << shift)) | 0xccUL << shift;
#else
    unsigned long trap = (old & ~(0xffffUL << shift)) | 0x9002UL << shift; /* c.ebreak */
#endif
    CHECK_EQ(trace(PTRACE_POKETEXT, child, aligned, trap), 0, "a breakpoint is planted in code");
    CHECK_EQ(word(child, (void *)aligned), trap, "there it is");
    CHECK_EQ(doubled(4), 8, "not in our own");
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGTRAP), "it is hit");
    REQUIRE(registers(child, &r) == 0);
#ifdef __x86_64__
    PC(r) -= 1;
    CHECK_EQ(ARG0(r), 21, "with the argument");
    r.rdi = 30;
#else
    CHECK_EQ(ARG0(r), 21, "with the argument");
    r.a0 = 30;
#endif
    CHECK_EQ(PC(r), at, "where it should be");
    CHECK_EQ(trace(PTRACE_POKETEXT, child, aligned, old), 0, "it is taken away");
    CHECK_EQ(registers_set(child, &r), 0, "another argument");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(60), "the code is as it was");
}

static void floating_point(void)
{
    NEED_TRACING();
    static volatile double number = 1.5;
    pid_t child = TRACEE(
#ifdef __x86_64__
        double result; __asm__ volatile("movsd %1, %%xmm7; int3; movsd %%xmm7, %0"
                                        : "=m"(result)
                                        : "m"(number)
                                        : "xmm7");
#else
        double result; __asm__ volatile(
            ".option push; .option norvc; fld ft7, %1; ebreak; fsd ft7, %0; .option pop"
            : "=m"(result)
            : "m"(number)
            : "ft7");
#endif
        _exit(result == 2.5));
    unsigned char image[8192];
    struct iovec iov = {image, sizeof(image)};
    double value = 2.5;
    struct user_regs_struct r;
#ifdef __x86_64__
    double *at = (double *)(image + 160 + 16 * 7);
    size_t want = 512;
#else
    double *at = (double *)(image + 8 * 7);
    size_t want = 264;
#endif
    REQUIRE(go(PTRACE_CONT, child, 0) == STOPPED(SIGTRAP));
    CHECK_EQ(trace(PTRACE_GETREGSET, child, NT_PRFPREG, (unsigned long)&iov), 0, "NT_PRFPREG");
    CHECK_EQ(iov.iov_len, want, "its size");
    CHECK(*at == 1.5, "a register of floating point");
#ifdef __x86_64__
    iov.iov_len = sizeof(image);
    CHECK_EQ(trace(PTRACE_GETREGSET, child, NT_X86_XSTATE, (unsigned long)&iov), 0,
             "NT_X86_XSTATE");
    CHECK(iov.iov_len >= 576 && *at == 1.5 && (*(uint64_t *)(image + 464) & 3) == 3,
          "has it too, and says what there may be");
    *at = 3.5;
    CHECK_EQ(trace(PTRACE_SETREGSET, child, NT_X86_XSTATE, (unsigned long)&iov), 0,
             "and can be set");
    uint64_t header = *(uint64_t *)(image + 512);
    *(uint64_t *)(image + 512) |= 1UL << 62;
    CHECK_FAIL(trace(PTRACE_SETREGSET, child, NT_X86_XSTATE, (unsigned long)&iov), EINVAL,
               "but not to what no processor has");
    *(uint64_t *)(image + 512) = header;
    iov.iov_len = 512;
    CHECK_EQ(trace(PTRACE_GETREGSET, child, NT_PRFPREG, (unsigned long)&iov), 0, "read again");
    CHECK(*at == 3.5, "is what was set");
#endif
    *at = value;
    CHECK_EQ(trace(PTRACE_SETREGSET, child, NT_PRFPREG, (unsigned long)&iov), 0, "it is changed");
    REQUIRE(registers(child, &r) == 0);
    PC(r) += BREAKPOINT_SIZE;
    REQUIRE(registers_set(child, &r) == 0);
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(1), "as the program sees");
}

#ifdef __x86_64__

#define DEBUG(n) (offsetof(struct user, u_debugreg) + 8 * (n))

static void user_area(void)
{
    pid_t child = TRACEE(int3_here:; __asm__ volatile("int3"); goto * (&&int3_here + 0); _exit(0));
    struct user_regs_struct r;
    struct user_fpregs_struct f;
    unsigned long value = 0;
    REQUIRE(go(PTRACE_CONT, child, 0) == STOPPED(SIGTRAP));
    CHECK_EQ(trace(PTRACE_GETREGS, child, 0, (unsigned long)&r), 0, "PTRACE_GETREGS");
    CHECK_EQ(trace(PTRACE_PEEKUSR, child, offsetof(struct user, regs.rip), (unsigned long)&value),
             0, "PTRACE_PEEKUSR");
    CHECK_EQ(value, r.rip, "agree");
    CHECK(r.cs == 0x33 && r.ss == 0x2b && r.orig_rax == -1UL && (r.eflags & 0x202) == 0x202,
          "segments, flags, no system call");
    CHECK_FAIL(trace(PTRACE_PEEKUSR, child, 3, (unsigned long)&value), EIO, "not aligned");
    CHECK_FAIL(trace(PTRACE_PEEKUSR, child, 4096, (unsigned long)&value), EIO, "beyond the end");
    CHECK_EQ(trace(PTRACE_POKEUSR, child, offsetof(struct user, regs.rbx), 77), 0,
             "PTRACE_POKEUSR");
    CHECK_EQ(trace(PTRACE_GETREGS, child, 0, (unsigned long)&r) == 0 && r.rbx == 77, 1,
             "sets a register");
    r.eflags |= 0x3200;
    r.fs_base ^= 0x1000;
    CHECK_EQ(trace(PTRACE_SETREGS, child, 0, (unsigned long)&r), 0, "PTRACE_SETREGS");
    unsigned long base = r.fs_base;
    trace(PTRACE_GETREGS, child, 0, (unsigned long)&r);
    CHECK(r.fs_base == base && !(r.eflags & 0x3000), "sets FS base, and no forbidden flag");
    CHECK_FAIL(trace(PTRACE_POKEUSR, child, offsetof(struct user, regs.cs), 0x10), EIO,
               "nor the kernel's segment");
    CHECK_FAIL(trace(PTRACE_POKEUSR, child, offsetof(struct user, regs.fs_base), -1UL << 47), EIO,
               "nor a base in the kernel");
    CHECK_EQ(trace(PTRACE_GETFPREGS, child, 0, (unsigned long)&f), 0, "PTRACE_GETFPREGS");
    CHECK(f.cwd == 0x37f && f.mxcsr == 0x1f80, "control words");
    f.mxcsr = 0xffffffff;
    CHECK_FAIL(trace(PTRACE_SETFPREGS, child, 0, (unsigned long)&f), EINVAL, "a bad MXCSR");
    finish(child);
}

static void single_step(void)
{
    pid_t child = TRACEE(__asm__ volatile("int3; nop; inc %%rax; syscall; nop"
                                          :
                                          : "a"(SYS_getppid - 1)
                                          : "rcx", "r11", "memory");
                         _exit(9));
    struct user_regs_struct r, before;
    siginfo_t info;
    REQUIRE(go(PTRACE_CONT, child, 0) == STOPPED(SIGTRAP));
    REQUIRE(registers(child, &before) == 0);
    CHECK_EQ(go(PTRACE_SINGLESTEP, child, 0), STOPPED(SIGTRAP), "PTRACE_SINGLESTEP");
    REQUIRE(registers(child, &r) == 0);
    CHECK_EQ(r.rip, before.rip + 1, "one instruction");
    CHECK(!(r.eflags & 0x100), "the flag is not shown");
    CHECK(own_sigtrap(child, &info) == 0 && info.si_code == TRAP_TRACE &&
              info.si_addr == (void *)r.rip,
          "TRAP_TRACE");
    REQUIRE(go(PTRACE_SINGLESTEP, child, 0) == STOPPED(SIGTRAP));
    REQUIRE(registers(child, &r) == 0);
    CHECK_EQ(r.rax, SYS_getppid, "another");
    CHECK_EQ(go(PTRACE_SINGLESTEP, child, 0), STOPPED(SIGTRAP), "over a system call");
    REQUIRE(registers(child, &r) == 0);
    CHECK_EQ((pid_t)r.rax, getpid(), "which it makes");
    CHECK_EQ(r.rip, before.rip + 6, "and stops behind");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(9), "at full speed to the end");
}

static void on_signal(int signal)
{
    (void)signal;
}

static void step_into_handler(void)
{
    pid_t child = TRACEE(handle_flags(SIGUSR1, on_signal, 0); raise(SIGUSR1));
    struct user_regs_struct r;
    REQUIRE(go(PTRACE_CONT, child, 0) == STOPPED(SIGUSR1));
    CHECK_EQ(go(PTRACE_SINGLESTEP, child, SIGUSR1), STOPPED(SIGTRAP), "a step with a signal");
    REQUIRE(registers(child, &r) == 0);
    CHECK_EQ(r.rip, (unsigned long)on_signal, "stops at the handler's first instruction");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(0), "which returns without a trace of it");
}

static void watch(void)
{
    pid_t child = TRACEE(for (int i = 0; i < 3; i++) watched += 2; _exit(watched));
    unsigned long value = 0;
    siginfo_t info;
    CHECK_EQ(trace(PTRACE_PEEKUSR, child, DEBUG(7), (unsigned long)&value), 0, "DR7 is read");
    CHECK_EQ(value, 0, "nothing is watched");
    CHECK_FAIL(trace(PTRACE_POKEUSR, child, DEBUG(0), -1UL << 47), EINVAL,
               "no address of the kernel is watched");
    CHECK_FAIL(trace(PTRACE_POKEUSR, child, DEBUG(4), 0), EIO, "there is no DR4");
    CHECK_EQ(trace(PTRACE_POKEUSR, child, DEBUG(0), (unsigned long)&watched), 0, "an address");
    CHECK_FAIL(trace(PTRACE_POKEUSR, child, DEBUG(7), 1 | 2 << 16), EINVAL, "no ports");
    /* Written, eight bytes. */
    CHECK_EQ(trace(PTRACE_POKEUSR, child, DEBUG(7), 1 | 1 << 16 | 2 << 18), 0, "is watched");
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGTRAP), "the write stops it");
    CHECK_EQ(word(child, &watched), 3, "after it was done");
    CHECK(own_sigtrap(child, &info) == 0 && info.si_code == TRAP_HWBKPT, "TRAP_HWBKPT");
    CHECK_EQ(trace(PTRACE_PEEKUSR, child, DEBUG(6), (unsigned long)&value), 0, "DR6");
    CHECK_EQ(value & 15, 1, "says which");
    CHECK_EQ(trace(PTRACE_POKEUSR, child, DEBUG(6), 0), 0, "is reset");
    CHECK_EQ(go(PTRACE_CONT, child, 0), STOPPED(SIGTRAP), "the next write");
    CHECK_EQ(word(child, &watched), 5, "stops as well");
    CHECK_EQ(trace(PTRACE_POKEUSR, child, DEBUG(7), 0), 0, "no more");
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(7), "and it runs to its end");
}

static void emulate(void)
{
    pid_t child = TRACEE(_exit(syscall(SYS_getppid) == 99));
    struct user_regs_struct r;
    trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    for (;;) {
        REQUIRE(go(PTRACE_SYSEMU, child, 0) == STOPPED(SIGTRAP | 0x80));
        REQUIRE(registers(child, &r) == 0);
        if (r.orig_rax == SYS_getppid)
            break;
        r.rax = 0; /* raise() may have one more call to make, of which nothing depends */
        REQUIRE(registers_set(child, &r) == 0);
    }
    CHECK_EQ((long)r.rax, -ENOSYS, "PTRACE_SYSEMU shows a system call");
    r.rax = 99;
    REQUIRE(registers_set(child, &r) == 0);
    CHECK_EQ(go(PTRACE_CONT, child, 0), EXITED(1), "which the tracer answers");
}

#else

static void no_single_step(void)
{
    NEED_TRACING();
    pid_t child = TRACEE(_exit(0));
    CHECK_FAIL(trace(PTRACE_SINGLESTEP, child, 0, 0), EIO, "no single steps on this machine");
    CHECK_FAIL(trace(PTRACE_PEEKUSR, child, 0, (unsigned long)&child), EIO, "and no user area");
    finish(child);
}

#endif

static void process_vm(void)
{
    NEED_TRACING();
    static char text[] = "some text to be read", in[64];
    struct gate ready = gate_make();
    char *locked = private_pages(8192);
    REQUIRE(mprotect(locked + 4096, 4096, PROT_NONE) == 0);
    pid_t child = CHILD(text[0] = 'S'; gate_open(ready); for (;;) pause());
    gate_pass(ready);
    struct iovec local[2] = {{in, 4}, {in + 10, 6}}, remote[2] = {{text, 6}, {text + 10, 30}};
    CHECK_EQ(syscall(SYS_process_vm_readv, child, local, 2, remote, 2, 0), 10, "process_vm_readv");
    CHECK(!memcmp(in, "Some", 4) && !memcmp(in + 10, " tto be" + 0, 2), "scatters and gathers");
    local[0] = (struct iovec){"TEXT", 4};
    remote[0] = (struct iovec){text + 5, 4};
    CHECK_EQ(syscall(SYS_process_vm_writev, child, local, 1, remote, 1, 0), 4, "process_vm_writev");
    local[0] = (struct iovec){in, 9};
    remote[0] = (struct iovec){text, 9};
    CHECK_EQ(syscall(SYS_process_vm_readv, child, local, 1, remote, 1, 0), 9, "read again");
    CHECK(!memcmp(in, "Some TEXT", 9) && text[5] == 't', "writes there, not here");
    CHECK_FAIL(syscall(SYS_process_vm_readv, child, local, 1, remote, 1, 1), EINVAL, "flags");
    CHECK_FAIL(syscall(SYS_process_vm_readv, 0x3ffffff0, local, 1, remote, 1, 0), ESRCH, "nobody");
    remote[0].iov_base = locked + 4096;
    CHECK_FAIL(syscall(SYS_process_vm_readv, child, local, 1, remote, 1, 0), EFAULT,
               "what the process itself may not read");
    remote[0] = (struct iovec){locked + 4092, 9};
    CHECK_EQ(syscall(SYS_process_vm_readv, child, local, 1, remote, 1, 0), 4, "up to there");
    CHECK_FAIL(syscall(SYS_process_vm_readv, child, local, 5000, remote, 1, 0), EINVAL,
               "too many pieces");
    CHECK_FAIL(syscall(SYS_process_vm_readv, child, (void *)8, 1, remote, 1, 0), EFAULT,
               "a bad address of ours");
    CHECK_EQ(syscall(SYS_process_vm_readv, child, local, 0, remote, 1, 0), 0, "nothing");
    if (geteuid() == 0)
        CHECK_EQ(IN_CHILD(become_user(1000);
                          long n = syscall(SYS_process_vm_readv, child, local, 1, remote, 1, 0);
                          _exit(n < 0 ? errno : 0)),
                 EPERM, "a user may not read root's");
    kill(child, SIGKILL);
}

CHECK_MAIN(CASE(general), CASE(breakpoints), CASE(floating_point),
#ifdef __x86_64__
           CASE(user_area), CASE(single_step), CASE(step_into_handler), CASE(watch), CASE(emulate),
#else
           CASE(no_single_step),
#endif
           CASE(process_vm))
