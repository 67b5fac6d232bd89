/* SPDX-License-Identifier: MIT */
/* clang-format off */
/* Floating-point and vector registers: over switches, system calls, signals, fork. */
#include "check.h"

#include <math.h>
#include <sys/resource.h>
#include <ucontext.h>

enum { REGISTERS = 64, ROUNDS = 300 };

/*
 * exchange() loads all registers from IN, makes the system call sched_yield
 * or, for busy = N > 0, spins N rounds, or, for busy < 0, sends SIGUSR1 to
 * process -busy, and stores all registers to OUT. No C code runs in between.
 */
#ifdef __x86_64__
#include <cpuid.h>
#define EACH16(M)                                                                                  \
    M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)
#define LOAD(n)      "movdqu " #n "*16(%1), %%xmm" #n "\n"
#define STORE(n)     "movdqu %%xmm" #n ", " #n "*16(%2)\n"
#define LOAD_AVX(n)  "vmovdqu " #n "*32(%1), %%ymm" #n "\n"
#define STORE_AVX(n) "vmovdqu %%ymm" #n ", " #n "*32(%2)\n"
#define CLOBBERED                                                                                  \
    "rax", "rcx", "rdx", "rdi", "rsi", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",    \
        "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#define PAUSE                                                                                      \
    "mov %3, %%rcx\n test %%rcx, %%rcx\n jg 2f\n mov $24, %%eax\n jz 1f\n"                         \
    "mov $62, %%eax\n mov %%rcx, %%rdi\n neg %%rdi\n mov $10, %%esi\n 1: syscall\n jmp 3f\n"         \
    "2: dec %%rcx\n jnz 2b\n 3:\n"

static int has_avx(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (a & 6) == 6;
}

static void exchange(const uint64_t *in, uint64_t *out, long busy)
{
    if (has_avx())
        __asm__ volatile(EACH16(LOAD_AVX) PAUSE EACH16(STORE_AVX) "vzeroupper"
                         : "+m"(*out)
                         : "r"(in), "r"(out), "r"(busy)
                         : CLOBBERED);
    else
        __asm__ volatile(EACH16(LOAD) PAUSE EACH16(STORE)
                         : "+m"(*out)
                         : "r"(in), "r"(out), "r"(busy)
                         : CLOBBERED);
}

static int used(void)
{
    return has_avx() ? 64 : 32;
}
#else
#define EACH32(M)                                                                                  \
    M(0)                                                                                           \
    M(1)                                                                                           \
    M(2)                                                                                           \
    M(3)                                                                                           \
    M(4)                                                                                           \
    M(5)                                                                                           \
    M(6)                                                                                           \
    M(7)                                                                                           \
    M(8)                                                                                           \
    M(9)                                                                                           \
    M(10)                                                                                          \
    M(11)                                                                                          \
    M(12)                                                                                          \
    M(13)                                                                                          \
    M(14)                                                                                          \
    M(15)                                                                                          \
    M(16) M(17) M(18) M(19) M(20) M(21) M(22) M(23) M(24) M(25) M(26) M(27) M(28) M(29) M(30)      \
        M(31)
#define LOAD(n)  "fld f" #n ", " #n "*8(%1)\n"
#define STORE(n) "fsd f" #n ", " #n "*8(%2)\n"

static void exchange(const uint64_t *in, uint64_t *out, long busy)
{
    __asm__ volatile(EACH32(LOAD) "mv t0, %3\n bgtz t0, 2f\n li a7, 124\n beqz t0, 1f\n"
                                  "li a7, 129\n neg a0, t0\n li a1, 10\n 1: ecall\n j 3f\n"
                                  "2: addi t0, t0, -1\n bnez t0, 2b\n 3:\n" EACH32(STORE)
                     : "+m"(*out)
                     : "r"(in), "r"(out), "r"(busy)
                     : "a0", "a1", "a7", "t0", "memory", "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7",
                       "f8", "f9", "f10", "f11", "f12", "f13", "f14", "f15", "f16", "f17", "f18",
                       "f19", "f20", "f21", "f22", "f23", "f24", "f25", "f26", "f27", "f28", "f29",
                       "f30", "f31");
}

static int used(void)
{
    return 32;
}
#endif

static int keeps(uint64_t seed, long busy)
{
    uint64_t in[REGISTERS], out[REGISTERS];
    for (int i = 0; i < REGISTERS; i++) {
        in[i] = seed * 0x9e3779b97f4a7c15u + i * 0x100000001b3u;
        out[i] = 0;
    }
    exchange(in, out, busy);
    return !memcmp(in, out, used() * sizeof(in[0]));
}

static void over_calls(void)
{
    int right = 1;
    for (int i = 0; i < ROUNDS; i++)
        right &= keeps(i, 0);
    CHECK(right, "registers are kept over system calls");
}

static void over_switches(void)
{
    /* Six processes, pinned to one processor, yield to each other and are preempted. */
    pid_t children[6];
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
    for (int i = 0; i < 6; i++) {
        children[i] =
            CHILD(int right = 1; for (int j = 0; j < ROUNDS; j++) right &= keeps(i * 1000 + j, 0);
                  for (int j = 0; j < 10; j++) right &= keeps(i * 1000 + j, 200000);
                  _exit(right ? 0 : 1));
    }
    int bad = 0;
    for (int i = 0; i < 6; i++)
        bad |= end_of(children[i]);
    CHECK_EQ(bad, 0, "six processes on one processor keep their registers");
}

static volatile double from_handler;
static volatile int handled;

static void clobber(int signal)
{
    uint64_t in[REGISTERS], out[REGISTERS];
    (void)signal;
    memset(in, 0x55, sizeof(in));
    exchange(in, out, 1);
    from_handler = from_handler * 1.5 + 1;
    handled++;
}

static void over_signals(void)
{
    struct itimerval often = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
    handle_flags(SIGALRM, clobber, 0);
    REQUIRE(setitimer(ITIMER_REAL, &often, NULL) == 0);
    int right = 1;
    for (int i = 0; handled < 20; i++)
        right &= keeps(i, 20000);
    setitimer(ITIMER_REAL, &off, NULL);
    CHECK(right, "registers are kept over handlers that use them all");
}

/* Handlers that use all registers return while another process wants the processor. */
static void over_preempted_handlers(void)
{
    struct rusage usage;
    cpu_set_t one;
    time_t end = time(NULL) + 5;
    int right = 1;
    long before;

    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
    handle_flags(SIGUSR1, clobber, 0);
    pid_t other = CHILD(for (;;) sched_yield());
    getrusage(RUSAGE_SELF, &usage);
    before = usage.ru_nivcsw + usage.ru_nvcsw;
    for (int i = 0; i % 64 || (time(NULL) < end && usage.ru_nivcsw + usage.ru_nvcsw < before + 150);
         i++) {
        right &= keeps(i, -(long)getpid());
        getrusage(RUSAGE_SELF, &usage);
    }
    kill(other, SIGKILL);
    end_of(other);
    CHECK(right, "registers are kept over handlers that are preempted");
}

static void over_fork(void)
{
    volatile double a = 1.25, b = 2.5;
    double product = a * b, sum = a + b;
    pid_t child = fork();
    if (child == 0)
        _exit(product == 3.125 && sum == 3.75 ? 0 : 1);
    CHECK(end_of(child) == 0 && product == 3.125 && sum == 3.75, "floating point over fork");
    CHECK(sqrt(a * b * 3.2) > 3.16 && sqrt(a * b * 3.2) < 3.17, "and arithmetic");
}

static void control_register(void)
{
#ifdef __x86_64__
    unsigned mxcsr = 0x1f80 | 0x6000, got;
    unsigned short control = 0x37f | 0xc00, got_control;
    __asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(control));
    int status = IN_CHILD(__asm__ volatile("stmxcsr %0"
                                           : "=m"(got));
                          _exit((got & 0x6000) == 0x6000 ? 0 : 1));
    CHECK_EQ(status, 0, "a forked child inherits the rounding mode");
    raise(0);
    sched_yield();
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(got), "=m"(got_control));
    CHECK((got & 0x6000) == 0x6000, "MXCSR is kept over switches");
    CHECK((got_control & 0xc00) == 0xc00, "so is the x87 control word");
    long double third = 1.0L / 3;
    handle_flags(SIGUSR1, clobber, 0);
    raise(SIGUSR1);
    __asm__ volatile("stmxcsr %0" : "=m"(got));
    CHECK((got & 0x6000) == 0x6000, "and over a handler");
    CHECK(third * 3 > 0.99L, "x87 arithmetic works");
#else
    unsigned long mode;
    __asm__ volatile("fsrm %0" ::"r"(1ul));
    int status = IN_CHILD(__asm__ volatile("frrm %0" : "=r"(mode)); _exit(mode == 1 ? 0 : 1));
    CHECK_EQ(status, 0, "a forked child inherits the rounding mode");
    sched_yield();
    __asm__ volatile("frrm %0" : "=r"(mode));
    CHECK_EQ(mode, 1, "fcsr is kept over switches");
    handle_flags(SIGUSR1, clobber, 0);
    raise(SIGUSR1);
    __asm__ volatile("frrm %0" : "=r"(mode));
    CHECK_EQ(mode, 1, "and over a handler");
#endif
}

static void change_register(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    uint64_t bits = 0x400921fb54442d18; /* pi */
    (void)signal;
    (void)info;
#ifdef __x86_64__
    memcpy(&user->uc_mcontext.fpregs->_xmm[9], &bits, 8);
#else
    user->uc_mcontext.__fpregs.__d.__f[9] = bits;
#endif
}

static void changed_by_handler(void)
{
    double result = 0;
    long number = getpid(), thread = gettid();
    handle_info(SIGUSR1, change_register, 0);
#ifdef __x86_64__
    __asm__ volatile("xorpd %%xmm9, %%xmm9\n mov $234, %%eax\n syscall\n movsd %%xmm9, %0"
                     : "=m"(result)
                     : "D"(number), "S"(thread), "d"(SIGUSR1)
                     : "rax", "rcx", "r11", "xmm9", "memory");
#else
    register long a0 __asm__("a0") = number, a1 __asm__("a1") = thread, a2 __asm__("a2") = SIGUSR1;
    __asm__ volatile("fmv.d.x f9, zero\n li a7, 131\n ecall\n fsd f9, %1"
                     : "+r"(a0), "=m"(result)
                     : "r"(a1), "r"(a2)
                     : "a7", "f9", "memory");
#endif
    CHECK(result > 3.1415 && result < 3.1416, "a handler can change a register of the program");
}

static void fresh_program(void)
{
    /* A new program starts with the default rounding and cleared registers. */
    if (!can_exec_self())
        return;
#ifdef __x86_64__
    unsigned mxcsr = 0x1f80 | 0x6000;
    __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
#else
    __asm__ volatile("fsrm %0" ::"r"(1ul));
#endif
    CHECK_EQ(IN_CHILD(execl(check_state->self, "x", "--mode", NULL)), 0,
             "a new program starts with the default rounding mode");
}

static int rounding_is_default(void)
{
#ifdef __x86_64__
    unsigned mxcsr;
    unsigned short control;
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(control));
    return (mxcsr & ~0x3f) == 0x1f80 && control == 0x37f;
#else
    unsigned long mode;
    __asm__ volatile("frrm %0" : "=r"(mode));
    return mode == 0;
#endif
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(over_calls),       CASE(over_switches),      CASE(over_signals),
        CASE(over_preempted_handlers), CASE(over_fork),
        CASE(control_register), CASE(changed_by_handler), CASE(fresh_program), {NULL, NULL},
    };
    if (argc > 1 && !strcmp(argv[1], "--mode"))
        return rounding_is_default() ? 0 : 1;
    if (argc > 1)
        return 0;
    return check_run(cases);
}
