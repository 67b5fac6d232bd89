/* SPDX-License-Identifier: MIT */
/*
 * A static position-independent program without a C library: it finds its
 * auxiliary vector on the stack, checks that it agrees with where the program
 * lies, and applies its own relocations, as a C library's start-up code does.
 */
#include <elf.h>
#include <linux/auxvec.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));
extern Elf64_Dyn _DYNAMIC[] __attribute__((visibility("hidden")));
void start(uintptr_t *stack) __attribute__((used, noreturn));
extern void _start(void) __attribute__((visibility("hidden")));

#ifdef __x86_64__
__asm__(".globl _start\n_start: xor %ebp, %ebp; mov %rsp, %rdi; call start");
enum { RELATIVE = R_X86_64_RELATIVE };

static long call(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}
#else
__asm__(".globl _start\n_start: mv a0, sp; tail start");
enum { RELATIVE = R_RISCV_RELATIVE };

static long call(long number, long a, long b, long c)
{
    register long a7 __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b,
                     a2 __asm__("a2") = c;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
    return a0;
}
#endif

static int number, failed;

static void put(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    call(SYS_write, 1, (long)text, length);
}

static void put_number(int value)
{
    char digits[2] = {'0' + value / 10, '0' + value % 10};
    call(SYS_write, 1, (long)(value < 10 ? digits + 1 : digits), value < 10 ? 1 : 2);
}

static void check(int ok, const char *text)
{
    failed += !ok;
    put(ok ? "ok " : "not ok ");
    put_number(++number);
    put(" - ");
    put(text);
    put("\n");
}

static void relocate(uintptr_t base)
{
    const Elf64_Rela *rela = NULL;
    size_t size = 0;
    for (const Elf64_Dyn *d = _DYNAMIC; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_RELA)
            rela = (const Elf64_Rela *)(base + d->d_un.d_ptr);
        if (d->d_tag == DT_RELASZ)
            size = d->d_un.d_val;
    }
    for (size_t i = 0; i < size / sizeof(*rela); i++) {
        if (ELF64_R_TYPE(rela[i].r_info) == RELATIVE)
            *(uintptr_t *)(base + rela[i].r_offset) = base + rela[i].r_addend;
    }
}

static int zeroes[5000];
static volatile int initialised = 77;
static volatile int *volatile pointer = &initialised;

static int all_zero(const int *values, int count)
{
    while (count > 0 && values[count - 1] == 0)
        count--;
    return count == 0;
}

void start(uintptr_t *stack)
{
    static uintptr_t aux[64];
    uintptr_t base = (uintptr_t)&__ehdr_start, argc = *stack;
    uintptr_t *p = stack + 1;
    check((uintptr_t)stack % 16 == 0, "the stack pointer is aligned to 16 bytes at the entry");
    check(argc >= 1 && p[argc] == 0, "argv is ended by a null pointer");
    for (p += argc + 1; *p; p++)
        ;
    for (p++; *p != AT_NULL; p += 2) {
        if (*p < 64)
            aux[*p] = p[1];
    }
    check(base % 4096 == 0, "the program lies at a page boundary");
    check(aux[AT_PHDR] == base + __ehdr_start.e_phoff, "AT_PHDR is where the program lies");
    check(aux[AT_PHNUM] == __ehdr_start.e_phnum, "AT_PHNUM");
    check(aux[AT_PHENT] == sizeof(Elf64_Phdr), "AT_PHENT");
    check(aux[AT_ENTRY] == (uintptr_t)_start, "AT_ENTRY");
    check(aux[AT_BASE] == 0, "AT_BASE is 0: no interpreter");
    check(aux[AT_PAGESZ] == 4096, "AT_PAGESZ");
    check(aux[AT_RANDOM] != 0, "AT_RANDOM");
    check(base > 0x10000, "the program does not lie at its link address 0");
    relocate(base);
    check(*pointer == 77, "a relocated pointer leads to initialised data");
    check(all_zero(zeroes, 5000), "the data without a file image is zero");
    zeroes[4999] = 1;
    check(zeroes[4999] == 1, "and can be written");
    put("1..");
    put_number(number);
    put("\n");
    for (;;)
        call(SYS_exit_group, failed != 0, 0, 0);
}
