/* SPDX-License-Identifier: MIT */
/* Faults of the program as signals: SIGILL, SIGFPE, SIGTRAP, SIGSEGV, SIGBUS and their codes. */
#include "check.h"

#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf escape;
static volatile int last, code, skip_bytes;
static volatile uintptr_t address, counter;

static uintptr_t program_counter(const ucontext_t *user)
{
#ifdef __x86_64__
    return user->uc_mcontext.gregs[REG_RIP];
#else
    return user->uc_mcontext.__gregs[REG_PC];
#endif
}

static void set_program_counter(ucontext_t *user, uintptr_t value)
{
#ifdef __x86_64__
    user->uc_mcontext.gregs[REG_RIP] = value;
#else
    user->uc_mcontext.__gregs[REG_PC] = value;
#endif
}

static void caught(int signal, siginfo_t *info, void *context)
{
    last = signal;
    code = info->si_code;
    address = (uintptr_t)info->si_addr;
    counter = program_counter(context);
    if (skip_bytes)
        set_program_counter(context, counter + skip_bytes);
    else
        siglongjmp(escape, 1);
}

static void catch (int signal)
{
    handle_info(signal, caught, 0);
    last = code = skip_bytes = 0;
}

#define TRY(what)                                                                                  \
    do {                                                                                           \
        if (!sigsetjmp(escape, 1)) {                                                               \
            what;                                                                                  \
        }                                                                                          \
    } while (0)

static void access_faults(void)
{
    char *page = private_pages(3 * 4096), *hole = unmapped_page();
    volatile char *p = hole;
    catch (SIGSEGV);
    TRY(*p);
    CHECK(last == SIGSEGV && code == SEGV_MAPERR, "a read where nothing is mapped: SEGV_MAPERR");
    CHECK_EQ(address, (uintptr_t)hole, "si_addr is the address");
    TRY(p[123] = 1);
    CHECK(code == SEGV_MAPERR && address == (uintptr_t)hole + 123, "a write there, to the byte");
    p = NULL;
    TRY(*p);
    CHECK(code == SEGV_MAPERR && address == 0, "the null pointer");
    mprotect(page + 4096, 4096, PROT_READ);
    p = page + 4096 + 77;
    TRY(*p = 1);
    CHECK(code == SEGV_ACCERR && address == (uintptr_t)p,
          "a write to a read-only page: SEGV_ACCERR");
    page[4096 * 2] = 1;
    mprotect(page + 4096 * 2, 4096, PROT_NONE);
    p = page + 4096 * 2 + 5;
    TRY(*p);
    CHECK(code == SEGV_ACCERR && address == (uintptr_t)p, "a read of a page without access");
    mprotect(page + 4096, 4096, PROT_READ | PROT_WRITE);
    page[4096 + 77] = 3;
    CHECK_EQ(page[4096 + 77], 3, "once permitted the write works");
    CHECK_EQ(page[4096], 0, "and nothing else was written");
}

static void kernel_addresses(void)
{
#ifdef __x86_64__
    static const uintptr_t kernel = 0xffffffff80000000, hole = 0x8000000000000000;
#else
    static const uintptr_t kernel = 0xffffffff80000000, hole = 0xffff000000000000;
#endif
    if (qemu_user_lacks("addresses of the kernel"))
        return;
    catch (SIGSEGV);
    volatile char *p = (char *)kernel;
    last = 0;
    TRY(*p);
    CHECK_EQ(last, SIGSEGV, "a read of kernel memory");
    CHECK_EQ(address, kernel, "si_addr is the address");
    last = 0;
    TRY(*p = 1);
    CHECK_EQ(last, SIGSEGV, "a write to it");
    p = (char *)hole;
    last = 0;
    TRY(*p);
    CHECK_EQ(last, SIGSEGV, "an address that can never be");
    last = 0;
    TRY(((void (*)(void))kernel)());
    CHECK_EQ(last, SIGSEGV, "a jump into the kernel");
}

static void not_executable(void)
{
    unsigned *page = private_pages(4096);
    catch (SIGSEGV);
#ifdef __x86_64__
    memcpy(page, "\xb8\x07\x00\x00\x00\xc3", 6); /* mov $7, %eax; ret */
#else
    page[0] = 0x00700513, page[1] = 0x00008067; /* li a0, 7; ret */
#endif
    if (!qemu_user_lacks("execution of data")) {
        TRY(((int (*)(void))page)());
        CHECK(last == SIGSEGV && code == SEGV_ACCERR, "data is not executable: SEGV_ACCERR");
        CHECK_EQ(address, (uintptr_t)page, "si_addr is the address jumped to");
    }
    REQUIRE(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    __builtin___clear_cache((char *)page, (char *)page + 8);
    CHECK_EQ(((int (*)(void))page)(), 7, "after mprotect with PROT_EXEC it is");
    /* Machines differ in whether it can be read, but the attempt comes to an end. */
    REQUIRE(mprotect(page, 4096, PROT_EXEC) == 0);
    int end = IN_CHILD(signal(SIGSEGV, SIG_DFL); _exit(*(volatile char *)page & 0));
    CHECK(end == 0 || end == 128 + SIGSEGV, "what may only be executed is read, or SIGSEGV");
    int error = open((char *)page, O_RDONLY) < 0 ? errno : 0;
    if (!qemu_user_lacks("memory that is only executed"))
        CHECK((end == 0) == (error != EFAULT), "and the kernel sees it in the same way");
    REQUIRE(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    unsigned local[2] __attribute__((aligned(16))) = {page[0], page[1]};
    last = 0;
    if (!qemu_user_lacks("execution on the stack")) {
        TRY(((int (*)(void))(uintptr_t)local)());
        CHECK_EQ(last, SIGSEGV, "the stack is not executable");
    }
    void *hole = unmapped_page();
    TRY(((int (*)(void))hole)());
    CHECK(last == SIGSEGV && code == SEGV_MAPERR && address == (uintptr_t)hole,
          "a jump to where nothing is mapped");
}

static void beyond_the_file(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    REQUIRE(ftruncate(fd, 100) == 0);
    char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(p != MAP_FAILED);
    catch (SIGBUS);
    volatile char *v = p + 4096 + 9;
    TRY(*v);
    CHECK(last == SIGBUS && code == BUS_ADRERR, "beyond the file's last page: BUS_ADRERR");
    CHECK_EQ(address, (uintptr_t)v, "si_addr is the address");
    last = 0;
    TRY(*v = 1);
    CHECK(last == SIGBUS && code == BUS_ADRERR, "also when writing");
    CHECK_EQ(p[4095], 0, "the rest of the last page reads as zero");
    REQUIRE(ftruncate(fd, 2 * 4096) == 0);
    last = 0;
    TRY(*v);
    CHECK_EQ(last, 0, "once the file has grown the page is there");
    *v = 5;
    REQUIRE(ftruncate(fd, 4096) == 0);
    TRY(*v);
    CHECK_EQ(last, SIGBUS, "and gone when it is cut under the mapping");
    p[4000] = 7;
    REQUIRE(ftruncate(fd, 3000) == 0 && ftruncate(fd, 4096) == 0);
    CHECK_EQ(p[4000], 0, "what was cut within a page reads as zero");
    char *private = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    v = private + 4096;
    last = 0;
    TRY(*v = 1);
    CHECK_EQ(last, SIGBUS, "a private mapping as well");
}

#ifdef __x86_64__
/* Is the processor QEMU's translator? */
static int under_tcg(void)
{
    unsigned eax = 0x40000000, signature[3];

    __asm__ volatile("cpuid"
                     : "+a"(eax), "=b"(signature[0]), "=c"(signature[1]), "=d"(signature[2]));
    return memcmp(signature, "TCGTCGTCGTCG", 12) == 0;
}
#endif

static void arithmetic(void)
{
#ifdef __x86_64__
    volatile int zero = 0, one = 1, smallest = INT_MIN, minus = -1;
    catch (SIGFPE);
    TRY(one = one / zero);
    CHECK(last == SIGFPE && code == FPE_INTDIV, "a division by zero: FPE_INTDIV");
    CHECK_EQ(address, counter, "si_addr is the instruction");
    last = 0;
    TRY(one = smallest / minus);
    CHECK(last == SIGFPE, "a quotient that is too large");
    last = 0;
    unsigned mxcsr = 0x1f80 & ~0x200u;
    volatile float float_zero = 0, result;
    TRY(__asm__ volatile("ldmxcsr %0" ::"m"(mxcsr)); result = 1 / float_zero);
    if (under_tcg())
        SKIP("an unmasked SSE division by zero: FPE_FLTDIV", "QEMU's TCG raises no SSE exceptions");
    else
        CHECK(last == SIGFPE && code == FPE_FLTDIV, "an unmasked SSE division by zero: FPE_FLTDIV");
    mxcsr = 0x1f80 & ~0x80u;
    volatile double minus_one = -1;
    double root;
    TRY(__asm__ volatile("ldmxcsr %0" ::"m"(mxcsr)); __asm__ volatile("sqrtsd %1, %0"
                                                                      : "=x"(root)
                                                                      : "m"(minus_one)));
    if (under_tcg())
        SKIP("an unmasked invalid operation: FPE_FLTINV", "QEMU's TCG raises no SSE exceptions");
    else
        CHECK(last == SIGFPE && code == FPE_FLTINV, "an unmasked invalid operation: FPE_FLTINV");
    mxcsr = 0x1f80;
    __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
    result = 1 / float_zero;
    CHECK(result > 1e30f, "masked, it gives infinity");
#else
    volatile int zero = 0, one = 1;
    catch (SIGFPE);
    TRY(one = one / zero);
    CHECK(last == 0 && one == -1, "a division by zero gives -1 on this machine");
    SKIP("SIGFPE", "this machine has no arithmetic traps");
#endif
}

static void illegal(void)
{
    catch (SIGILL);
#ifdef __x86_64__
    skip_bytes = 2;
    __asm__ volatile("ud2" ::: "memory");
    CHECK(last == SIGILL && code == ILL_ILLOPN, "an undefined instruction: SIGILL, ILL_ILLOPN");
#else
    skip_bytes = 4;
    __asm__ volatile(".word 0x0000000b" ::: "memory");
    CHECK(last == SIGILL && code == ILL_ILLOPC, "an undefined instruction: SIGILL, ILL_ILLOPC");
#endif
    CHECK_EQ(address, counter, "si_addr is the instruction");
    CHECK(skip_bytes, "the handler has stepped over it");
    catch (SIGILL);
    catch (SIGSEGV);
#ifdef __x86_64__
    TRY(__asm__ volatile("hlt" ::: "memory"));
    CHECK(last == SIGSEGV && code == SI_KERNEL, "a privileged instruction: SIGSEGV");
    last = 0;
    TRY(__asm__ volatile("cli" ::: "memory"));
    CHECK_EQ(last, SIGSEGV, "interrupts cannot be disabled");
    last = 0;
    TRY(__asm__ volatile("inb $0x80, %%al" ::: "rax", "memory"));
    CHECK_EQ(last, SIGSEGV, "ports cannot be read");
    last = 0;
    TRY(__asm__ volatile("mov %%cr3, %%rax" ::: "rax", "memory"));
    CHECK_EQ(last, SIGSEGV, "control registers cannot be read");
    last = 0;
    TRY(__asm__ volatile("movq $0x8000000000000000, %%rax; movq (%%rax), %%rax" ::
                             : "rax", "memory"));
    CHECK(last == SIGSEGV && code == SI_KERNEL && address == 0, "a non-canonical address");
#else
    TRY(__asm__ volatile("csrr a0, sstatus" ::: "a0", "memory"));
    CHECK(last == SIGILL && code == ILL_ILLOPC, "a privileged register: SIGILL");
    last = 0;
    TRY(__asm__ volatile("sfence.vma" ::: "memory"));
    CHECK_EQ(last, SIGILL, "a privileged instruction: SIGILL");
    last = 0;
    TRY(__asm__ volatile("wfi; sret" ::: "memory"));
    CHECK_EQ(last, SIGILL, "sret");
#endif
}

static void breakpoints(void)
{
    catch (SIGTRAP);
#ifdef __x86_64__
    TRY(__asm__ volatile("int3" ::: "memory"));
    CHECK(last == SIGTRAP, "int3: SIGTRAP");
    CHECK(code == SI_KERNEL, "with SI_KERNEL");
    last = 0;
    TRY(__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop" ::: "memory", "cc"));
    CHECK(last == SIGTRAP && code == TRAP_TRACE, "the trap flag: TRAP_TRACE");
    last = 0;
    catch (SIGSEGV);
    TRY(__asm__ volatile("int $0x3d" ::: "memory"));
    CHECK(last == SIGSEGV && code == SI_KERNEL,
          "an interrupt that programs may not raise: SIGSEGV");
#else
    TRY(__asm__ volatile(".option push\n.option norvc\nebreak\n.option pop" ::: "memory"));
    CHECK(last == SIGTRAP && code == TRAP_BRKPT, "ebreak: SIGTRAP, TRAP_BRKPT");
    CHECK_EQ(address, counter, "si_addr is the instruction");
    last = 0;
    TRY(__asm__ volatile("c.ebreak" ::: "memory"));
    CHECK_EQ(last, SIGTRAP, "the short ebreak as well");
#endif
}

static void misaligned(void)
{
    char *p = private_pages(2 * 4096);
    volatile uint64_t *v = (uint64_t *)(p + 4096 - 3);
    *v = 0x1122334455667788;
    CHECK(*v == 0x1122334455667788 && p[4096] == 0x55, "a misaligned access over two pages works");
    mprotect(p + 4096, 4096, PROT_NONE);
    catch (SIGSEGV);
    TRY(*v = 1);
    CHECK_EQ(last, SIGSEGV, "or faults if the second page is protected");
    CHECK(address >= (uintptr_t)p + 4096 - 3 && address < (uintptr_t)p + 4096 + 5, "near it");
}

static void in_the_handler(int signal)
{
    volatile char *p = NULL;
    (void)signal;
    *p;
}

static void blocked_and_nested(void)
{
    volatile char *p = unmapped_page();
    catch (SIGSEGV);
    CHECK_EQ(IN_CHILD(block_signal(SIGSEGV); *p), 128 + SIGSEGV, "a blocked SIGSEGV kills");
    CHECK_EQ(IN_CHILD(signal(SIGSEGV, SIG_IGN); *p), 128 + SIGSEGV, "an ignored one as well");
    CHECK_EQ(IN_CHILD(handle_flags(SIGSEGV, in_the_handler, 0); *p), 128 + SIGSEGV,
             "a fault in its own handler kills");
    CHECK_EQ(IN_CHILD(signal(SIGSEGV, SIG_IGN); raise(SIGSEGV)), 0, "raised, it can be ignored");
    CHECK_EQ(IN_CHILD(signal(SIGSEGV, SIG_DFL); *p), 128 + SIGSEGV, "the default kills");
#ifdef __x86_64__
    CHECK_EQ(IN_CHILD(__asm__ volatile("ud2")), 128 + SIGILL, "ud2 kills by SIGILL");
#else
    CHECK_EQ(IN_CHILD(__asm__ volatile(".word 0x0000000b")), 128 + SIGILL, "SIGILL kills");
#endif
}

static void *volatile repaired;

static void repair(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    uintptr_t page = (uintptr_t)info->si_addr & ~4095ul;
    repaired = mmap((void *)page, 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void restarted_instruction(void)
{
    volatile char *p = unmapped_page();
    handle_info(SIGSEGV, repair, 0);
    p[99] = 42;
    CHECK_EQ(repaired, p, "a handler may map the page");
    CHECK_EQ(p[99], 42, "and the access is made again");
}

/* An instruction that uses the stack in a way of its own: it does what it does, or gives a signal. */
static void far_return(void)
{
#ifdef __x86_64__
    pid_t child = fork();
    int status;

    if (child == 0) {
        unsigned long at = 0, cs = 0;

        __asm__ volatile("mov %%cs, %k1\n\t"
                         "lea 1f(%%rip), %0\n\t"
                         "sub $128, %%rsp\n\t"
                         "push %1\n\t"
                         "push %0\n\t"
                         "lretq\n"
                         "1:\tadd $128, %%rsp"
                         : "+r"(at), "+r"(cs)
                         :
                         : "memory");
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child &&
              (status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)),
          "a far return");
#endif
}

CHECK_MAIN(CASE(access_faults), CASE(kernel_addresses), CASE(not_executable), CASE(beyond_the_file),
           CASE(arithmetic), CASE(illegal), CASE(breakpoints), CASE(misaligned),
           CASE(blocked_and_nested), CASE(restarted_instruction), CASE(far_return))
