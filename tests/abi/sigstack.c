/* SPDX-License-Identifier: MIT */
/* sigaltstack: handlers on a stack of their own, also when the ordinary one overflows. */
#include "check.h"

#include <setjmp.h>
#include <sys/resource.h>
#include <ucontext.h>

static char alternate[65536] __attribute__((aligned(16)));
static volatile int on_alternate, flags_inside, count;
static volatile uintptr_t fault_address;

static int is_on(const void *address)
{
    return (const char *)address >= alternate &&
           (const char *)address < alternate + sizeof(alternate);
}

static void look(int signal)
{
    int local;
    stack_t now;
    (void)signal;
    on_alternate = is_on(&local);
    sigaltstack(NULL, &now);
    flags_inside = now.ss_flags;
    count++;
}

static void install(int flags)
{
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate), .ss_flags = flags};
    REQUIRE(sigaltstack(&stack, NULL) == 0);
}

static void where_handlers_run(void)
{
    stack_t now;
    sigaltstack(NULL, &now);
    CHECK_EQ(now.ss_flags, SS_DISABLE, "at first there is no alternate stack");
    install(0);
    sigaltstack(NULL, &now);
    CHECK(now.ss_sp == alternate && now.ss_size == sizeof(alternate) && now.ss_flags == 0,
          "sigaltstack tells what was set");
    handle_flags(SIGUSR1, look, 0);
    raise(SIGUSR1);
    CHECK(!on_alternate && flags_inside == 0, "without SA_ONSTACK the ordinary stack is used");
    handle_flags(SIGUSR1, look, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK(on_alternate, "with SA_ONSTACK the alternate one");
    CHECK_EQ(flags_inside, SS_ONSTACK, "SS_ONSTACK is told while the handler runs");
    sigaltstack(NULL, &now);
    CHECK_EQ(now.ss_flags, 0, "and no more after it");
    stack_t off = {.ss_flags = SS_DISABLE};
    CHECK_EQ(sigaltstack(&off, &now), 0, "SS_DISABLE takes it away");
    CHECK(now.ss_sp == alternate, "the old one is told");
    raise(SIGUSR1);
    CHECK(!on_alternate, "then SA_ONSTACK uses the ordinary stack");
}

static volatile int change_error;

static void change_inside(int signal)
{
    stack_t other = {.ss_sp = alternate, .ss_size = 32768};
    (void)signal;
    change_error = sigaltstack(&other, NULL) == -1 ? errno : 0;
}

static void refused(void)
{
    stack_t stack = {.ss_sp = alternate, .ss_size = 1000};
    CHECK_FAIL(sigaltstack(&stack, NULL), ENOMEM, "a stack smaller than MINSIGSTKSZ");
    stack.ss_size = sizeof(alternate);
    stack.ss_flags = 0x1234;
    CHECK_FAIL(sigaltstack(&stack, NULL), EINVAL, "unknown flags");
    install(0);
    handle_flags(SIGUSR1, change_inside, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK_EQ(change_error, EPERM, "the stack in use cannot be changed");
    CHECK_FAIL(syscall(SYS_sigaltstack, 8, NULL), EFAULT, "a bad pointer");
}

static void nested_look(int signal)
{
    look(signal);
    if (signal == SIGUSR1)
        raise(SIGUSR2);
}

static void nested(void)
{
    install(0);
    handle_flags(SIGUSR1, nested_look, SA_ONSTACK);
    handle_flags(SIGUSR2, nested_look, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK(count == 2 && on_alternate, "a nested handler goes on on the alternate stack");
}

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static void disarmed(void)
{
    stack_t now;
    if (qemu_user_lacks("SS_AUTODISARM"))
        return;
    install(SS_AUTODISARM);
    sigaltstack(NULL, &now);
    CHECK_EQ((unsigned)now.ss_flags, SS_AUTODISARM, "SS_AUTODISARM is told");
    handle_flags(SIGUSR1, look, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK(on_alternate, "the handler runs on the alternate stack");
    CHECK_EQ(flags_inside, SS_DISABLE, "which is disarmed while it runs");
    sigaltstack(NULL, &now);
    CHECK((unsigned)now.ss_flags == SS_AUTODISARM && now.ss_sp == alternate,
          "and armed again after it");
    handle_flags(SIGUSR1, change_inside, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK_EQ(change_error, 0, "so the handler may change it");
}

static sigjmp_buf escape;

static void overflow_caught(int signal, siginfo_t *info, void *context)
{
    int local;
    (void)context;
    on_alternate = is_on(&local);
    fault_address = (uintptr_t)info->si_addr;
    siglongjmp(escape, signal);
}

static int recurse(int depth)
{
    volatile char frame[4096];
    if (depth > 1000000)
        return 0;
    frame[depth & 4095] = depth;
    return recurse(depth + 1) + frame[(depth + 1) & 4095];
}

static void overflow(void)
{
    int local;
    struct rlimit limit = {1 << 20, RLIM_INFINITY};
    REQUIRE(setrlimit(RLIMIT_STACK, &limit) == 0);
    install(0);
    handle_info(SIGSEGV, overflow_caught, SA_ONSTACK);
    for (volatile int round = 0; round < 3; round++) {
        int signal = sigsetjmp(escape, 1);
        if (!signal)
            recurse(0);
        CHECK_EQ(signal, SIGSEGV, "the stack's overflow is caught on the alternate stack");
    }
    CHECK(on_alternate, "the handler ran there");
    CHECK(fault_address < (uintptr_t)&local, "si_addr lies below the stack pointer of old");
    if (!qemu_user_lacks("limit of the stack"))
        CHECK((uintptr_t)&local - fault_address <= (2 << 20), "and not far below the limit");
    stack_t off = {.ss_flags = SS_DISABLE};
    sigaltstack(&off, NULL);
    CHECK_EQ(IN_CHILD(recurse(0)), 128 + SIGSEGV, "without an alternate stack it ends the process");
    signal(SIGSEGV, SIG_DFL);
    install(0);
    CHECK_EQ(IN_CHILD(recurse(0)), 128 + SIGSEGV, "without a handler as well");
}

static void in_context(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    (void)signal;
    (void)info;
    on_alternate = user->uc_stack.ss_sp == alternate;
    count = user->uc_stack.ss_size == sizeof(alternate);
}

static void over_fork(void)
{
    stack_t now;
    install(0);
    CHECK_EQ(IN_CHILD(sigaltstack(NULL, &now); _exit(now.ss_sp == alternate ? 0 : 1)), 0,
             "a forked child keeps the alternate stack");
    handle_info(SIGUSR1, in_context, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK(on_alternate && count, "uc_stack in the handler's context tells it");
}

CHECK_MAIN(CASE(where_handlers_run), CASE(refused), CASE(nested), CASE(disarmed), CASE(overflow),
           CASE(over_fork))
