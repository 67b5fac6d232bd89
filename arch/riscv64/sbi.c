/* SPDX-License-Identifier: MIT */
/*
 * Calls to the firmware: the RISC-V Supervisor Binary Interface, version 0.2 and later. With
 * `-bios none` the other side is our own (machine_mode.c), which has the same extensions.
 */
#include "machine.h"
#include <vellum/cpu.h>
#include <vellum/error.h>

enum {
    SBI_BASE = 0x10,
    SBI_BASE_PROBE = 3,
    SBI_BASE_MACHINE_ID = 4, /* and the two that follow */
    SBI_TIME = 0x54494d45,
    SBI_IPI = 0x735049,
    SBI_RFENCE = 0x52464e43,
    SBI_RFENCE_FENCE_I = 0,
    SBI_RFENCE_SFENCE = 1,
    SBI_HSM = 0x48534d,
    SBI_HSM_START = 0,
    SBI_SRST = 0x53525354,
    SBI_LEGACY_PUTCHAR = 1,
};

struct sbi_result {
    long error, value;
};

static struct sbi_result sbi_call(long extension, long function, u64 a, u64 b, u64 c, u64 d)
{
    register u64 a0 __asm__("a0") = a;
    register u64 a1 __asm__("a1") = b;
    register u64 a2 __asm__("a2") = c;
    register u64 a3 __asm__("a3") = d;
    register long a6 __asm__("a6") = function;
    register long a7 __asm__("a7") = extension;

    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a6), "r"(a7) : "memory");
    return (struct sbi_result){.error = (long)a0, .value = (long)a1};
}

static int sbi_errno(struct sbi_result r)
{
    switch (r.error) {
    case 0:
        return 0;
    case -2: /* not supported */
        return -ENOSYS;
    case -3: /* invalid parameter */
    case -5: /* invalid address */
        return -EINVAL;
    case -6: /* already available */
    case -7: /* already started */
        return -EBUSY;
    default:
        return -EIO;
    }
}

bool sbi_has(long extension)
{
    struct sbi_result r = sbi_call(SBI_BASE, SBI_BASE_PROBE, (u64)extension, 0, 0, 0);

    return r.error == 0 && r.value != 0;
}

u64 sbi_machine_id(unsigned which)
{
    struct sbi_result r = sbi_call(SBI_BASE, SBI_BASE_MACHINE_ID + which, 0, 0, 0, 0);

    return r.error ? 0 : (u64)r.value;
}

/* The only call that may come before the console; and firmware may not have it. */
void sbi_console_write(const char *text)
{
    while (*text)
        sbi_call(SBI_LEGACY_PUTCHAR, 0, (u8)*text++, 0, 0, 0);
}

int sbi_hart_start(u64 hart, paddr_t entry, u64 argument)
{
    return sbi_errno(sbi_call(SBI_HSM, SBI_HSM_START, hart, entry, argument, 0));
}

int sbi_set_timer(u64 deadline)
{
    return sbi_errno(sbi_call(SBI_TIME, 0, deadline, 0, 0, 0));
}

int sbi_reset(u32 type)
{
    return sbi_errno(sbi_call(SBI_SRST, 0, type, 0, 0, 0));
}

/* Firmware takes harts as a word of bits and the number of its bit 0: make as many calls as our
 * CPUs' hart ids need, one under QEMU. */
static int for_harts(const cpumask_t *mask, long extension, long function, u64 start, u64 size)
{
    u64 left = __atomic_load_n(&mask->bits, __ATOMIC_ACQUIRE);
    int error = 0;

    while (left && !error) {
        u64 base = cpus[__builtin_ctzll(left)]->hardware_id & ~63UL, harts = 0;

        for (u64 bits = left; bits; bits &= bits - 1) {
            unsigned cpu = (unsigned)__builtin_ctzll(bits);
            u64 hart = cpus[cpu]->hardware_id;

            if (hart >= base && hart - base < 64) {
                harts |= 1UL << (hart - base);
                left &= ~(1UL << cpu);
            }
        }
        error = sbi_errno(sbi_call(extension, function, harts, base, start, size));
    }
    return error;
}

int sbi_send_ipi(const cpumask_t *mask)
{
    return for_harts(mask, SBI_IPI, 0, 0, 0);
}

int sbi_remote_fence_i(const cpumask_t *mask)
{
    return for_harts(mask, SBI_RFENCE, SBI_RFENCE_FENCE_I, 0, 0);
}

int sbi_remote_sfence(const cpumask_t *mask, vaddr_t start, u64 size)
{
    return for_harts(mask, SBI_RFENCE, SBI_RFENCE_SFENCE, start, size);
}
