/* SPDX-License-Identifier: MIT */
/* rseq(2): registration, the processor's number, and critical sections that are aborted. */
#include "thread.h"

#include <linux/rseq.h>
#include <sys/auxv.h>

#define SIGNATURE 0x12345678

static struct rseq area __attribute__((aligned(32)));

static long rseq(void *where, unsigned length, int flags, unsigned signature)
{
    return syscall(SYS_rseq, where, length, flags, signature);
}

/* The C library has registered an area for each thread: run in a child of raw clone without it. */
static void unregister_library(void)
{
    extern const ptrdiff_t __rseq_offset __attribute__((weak));
    extern const unsigned __rseq_size __attribute__((weak));

    if (&__rseq_size && __rseq_size)
        REQUIRE(rseq((char *)__builtin_thread_pointer() + __rseq_offset, 32, RSEQ_FLAG_UNREGISTER,
                     0x53053053) == 0 ||
                rseq((char *)__builtin_thread_pointer() + __rseq_offset, 32, RSEQ_FLAG_UNREGISTER,
                     0xf1401073) == 0);
}

static int supported(void)
{
    if (rseq(NULL, 0, 0, 0) < 0 && errno == ENOSYS) {
        SKIP("rseq", "not there");
        return 0;
    }
    unregister_library();
    return 1;
}

static void registration(void)
{
    if (!supported())
        return;
    CHECK_FAIL(rseq((char *)&area + 4, 32, 0, SIGNATURE), EINVAL, "an area that is not aligned");
    CHECK_FAIL(rseq(&area, 16, 0, SIGNATURE), EINVAL, "an area that is too small");
    CHECK_FAIL(rseq(&area, 32, 2, SIGNATURE), EINVAL, "an unknown flag");
    CHECK_FAIL(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, SIGNATURE), EINVAL, "none is registered");
    CHECK_FAIL(rseq((void *)-4096L, 32, 0, SIGNATURE), EFAULT, "the kernel's addresses");
    area.cpu_id = area.cpu_id_start = 77777;
    CHECK_EQ(rseq(&area, 32, 0, SIGNATURE), 0, "registration");
    CHECK(area.cpu_id < 4096 && area.cpu_id == area.cpu_id_start, "the numbers are there at once");
    CHECK_FAIL(rseq(&area, 32, 0, SIGNATURE), EBUSY, "registered already");
    CHECK_FAIL(rseq(&area, 32, 0, 1), EPERM, "the same with another signature");
    CHECK_FAIL(rseq(&area + 1, 32, 0, SIGNATURE), EINVAL, "another area");
    CHECK_EQ(IN_CHILD(_exit(rseq(&area, 32, 0, SIGNATURE) < 0 && errno == EBUSY ? 0 : 1)), 0,
             "fork inherits the registration");
    CHECK_FAIL(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, 1), EPERM, "unregister: another signature");
    CHECK_FAIL(rseq(&area, 64, RSEQ_FLAG_UNREGISTER, SIGNATURE), EINVAL, "another length");
    CHECK_FAIL(rseq(&area + 1, 32, RSEQ_FLAG_UNREGISTER, SIGNATURE), EINVAL, "another area");
    CHECK_EQ(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, SIGNATURE), 0, "unregister");
    CHECK(area.cpu_id_start == 0 && (int)area.cpu_id == RSEQ_CPU_ID_UNINITIALIZED,
          "the numbers say so");
    CHECK_EQ(rseq(&area, 32, 0, SIGNATURE), 0, "and once more");
}

static void numbers(void)
{
    cpu_set_t all, one;
    int wrong = 0, moves = 0;
    if (!supported())
        return;
    REQUIRE(rseq(&area, 32, 0, SIGNATURE) == 0);
    REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
    for (int round = 0; round < 20; round++)
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (!CPU_ISSET(cpu, &all))
                continue;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
            sched_yield();
            moves++;
            wrong += *(volatile unsigned *)&area.cpu_id != (unsigned)cpu;
        }
    CHECK(moves > 0 && wrong == 0, "the number follows every move to another processor");
}

/* ---- critical sections ---- */

/*
 * Counts up to n between the labels 1 and 2; aborted, it goes on at 4 and returns what is left. The
 * description is built here, in memory.
 */
static struct rseq_cs section __attribute__((aligned(32)));
static volatile int inside;

#if defined(__x86_64__)
static long count_in_section(unsigned long n)
{
    long left = (long)n;
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t"
                     "mov %%rax, 8(%1)\n\t"
                     "lea 4f(%%rip), %%rax\n\t"
                     "mov %%rax, 24(%1)\n\t"
                     "movq $(2f - 1f), 16(%1)\n\t"
                     "mov %1, 8(%2)\n"
                     "1:\tmovl $1, %3\n"
                     "3:\tdec %0\n\t"
                     "jnz 3b\n"
                     "2:\tjmp 5f\n\t"
                     ".byte 0x0f, 0xb9, 0x3d\n\t" /* ud1 with the signature as its operand */
                     ".long 0x12345678\n"
                     "4:\tjmp 5f\n"
                     "5:\n"
                     : "+r"(left)
                     : "r"(&section), "r"(&area), "m"(inside)
                     : "rax", "memory", "cc");
    return left;
}
#elif defined(__riscv)
static long count_in_section(unsigned long n)
{
    long left = (long)n;
    __asm__ volatile("lla t0, 1f\n\t"
                     "sd t0, 8(%1)\n\t"
                     "lla t1, 4f\n\t"
                     "sd t1, 24(%1)\n\t"
                     "lla t1, 2f\n\t"
                     "sub t1, t1, t0\n\t"
                     "sd t1, 16(%1)\n\t"
                     "li t1, 1\n\t"
                     "sd %1, 8(%2)\n"
                     "1:\tsw t1, 0(%3)\n"
                     "3:\taddi %0, %0, -1\n\t"
                     "bnez %0, 3b\n"
                     "2:\tj 5f\n\t"
                     ".balign 4\n\t"
                     ".word 0x12345678\n"
                     "4:\tj 5f\n"
                     "5:\n"
                     : "+r"(left)
                     : "r"(&section), "r"(&area), "r"(&inside)
                     : "t0", "t1", "memory");
    return left;
}
#endif

static void on_alarm(int signal)
{
    (void)signal;
}

static void start_section(void)
{
    section = (struct rseq_cs){};
    area.rseq_cs = 0;
    inside = 0;
}

static void sections(void)
{
    struct itimerval soon = {.it_value = {0, 20000}};
    if (!supported())
        return;
    if (qemu_user_lacks("critical sections"))
        return;
    REQUIRE(rseq(&area, 32, 0, SIGNATURE) == 0);
    start_section();
    CHECK_EQ(count_in_section(5), 0, "an undisturbed section runs to its end");
    handle_flags(SIGALRM, on_alarm, 0);
    start_section();
    setitimer(ITIMER_REAL, &soon, NULL);
    long left = count_in_section(100000000000UL);
    CHECK(left > 0, "a signal aborts the section");
    CHECK_EQ(inside, 1, "which had begun");
    CHECK_EQ(area.rseq_cs, 0, "and is left");
    start_section();
    pid_t child = CHILD({
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(sched_getcpu(), &one);
        sched_setaffinity(0, sizeof(one), &one);
        pid_t other = fork();
        if (other == 0)
            for (;;)
                sched_yield();
        left = count_in_section(1000000000000UL); /* preempted by the other one at some time */
        kill(other, SIGKILL);
        waitpid(other, NULL, 0);
        _exit(left > 0 ? 0 : 1);
    });
    CHECK_EQ(end_of(child), 0, "preemption aborts the section");
}

static void broken(void)
{
    if (!supported())
        return;
    if (qemu_user_lacks("critical sections"))
        return;
    CHECK_EQ(IN_CHILD(rseq(&area, 32, 0, SIGNATURE); area.rseq_cs = (uintptr_t)unmapped_page();
                      for (;;) usleep(100)),
             128 + SIGSEGV, "a description at no memory: SIGSEGV");
    CHECK_EQ(IN_CHILD(rseq(&area, 32, 0, SIGNATURE); section = (struct rseq_cs){.version = 1};
                      area.rseq_cs = (uintptr_t)&section; for (;;) usleep(100)),
             128 + SIGSEGV, "of an unknown version");
    CHECK_EQ(IN_CHILD(rseq(&area, 32, 0, SIGNATURE + 1);
                      struct itimerval soon = {.it_value = {0, 20000}};
                      handle_flags(SIGALRM, on_alarm, 0); setitimer(ITIMER_REAL, &soon, NULL);
                      start_section(); count_in_section(100000000000UL)),
             128 + SIGSEGV, "an abort address without the signature");
    char *gone = private_pages(4096);
    CHECK_EQ(IN_CHILD(REQUIRE(rseq(gone, 32, 0, SIGNATURE) == 0); munmap(gone, 4096);
                      for (;;) usleep(100)),
             128 + SIGSEGV, "an area that is gone");
}

static void library(void)
{
    extern const ptrdiff_t __rseq_offset __attribute__((weak));
    extern const unsigned __rseq_size __attribute__((weak));
    if (!&__rseq_size || !__rseq_size) {
        SKIP("the C library's area", "it has none");
        return;
    }
    struct rseq *own = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    CHECK((int)own->cpu_id >= 0, "the C library has registered its area");
    CHECK_EQ(own->cpu_id, sched_getcpu(), "sched_getcpu comes from there");
    unsigned long size = getauxval(27), align = getauxval(28);
    CHECK(size == 0 || size >= 20, "AT_RSEQ_FEATURE_SIZE");
    CHECK(align == 0 || align >= 32, "AT_RSEQ_ALIGN");
}

CHECK_MAIN(CASE(registration), CASE(numbers), CASE(sections), CASE(broken), CASE(library))
