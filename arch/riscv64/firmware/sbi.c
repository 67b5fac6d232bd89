/* SPDX-License-Identifier: MIT */
/*
 * The calls of the SBI (version 1.0) that our kernel makes.
 *
 * A remote fence is a ticket: the asking hart takes the next number of the target's fences_asked and
 * interrupts it; the target notes the newest number, fences, and publishes that number as done.
 * Numbers of requests that came in between are larger, and are served again. Who waits serves its
 * own requests meanwhile, so two harts can ask each other.
 */
#include "firmware.h"
#include <arch/csr.h>

enum {
    SBI_SUCCESS = 0,
    SBI_FAILED = -1,
    SBI_NOT_SUPPORTED = -2,
    SBI_INVALID_PARAM = -3,
    SBI_ALREADY_AVAILABLE = -6,

    SBI_BASE = 0x10,
    SBI_TIME = 0x54494d45,
    SBI_IPI = 0x735049,
    SBI_RFENCE = 0x52464e43,
    SBI_HSM = 0x48534d,
    SBI_SRST = 0x53525354,

    SBI_VERSION_1_0 = 0x1000000,
};

void serve_fences(struct hart *h)
{
    u32 asked = __atomic_load_n(&h->fences_asked, __ATOMIC_ACQUIRE);

    if (asked == __atomic_load_n(&h->fences_done, __ATOMIC_RELAXED))
        return;
    __asm__ volatile("sfence.vma\n\tfence.i" : : : "memory");
    __atomic_store_n(&h->fences_done, asked, __ATOMIC_RELEASE);
}

static bool is_started(const struct hart *h)
{
    return h->software && __atomic_load_n(&h->state, __ATOMIC_ACQUIRE) == HART_STARTED;
}

/* The harts of (mask, base) that are started, as bits; base -1 means all. */
static u64 started_harts(u64 mask, u64 base)
{
    u64 chosen = base == UINT64_MAX ? UINT64_MAX : base < MAX_HARTS ? mask << base : 0, started = 0;

    for (unsigned i = 0; i < MAX_HARTS; i++)
        if (chosen >> i & 1 && is_started(&harts[i]))
            started |= 1UL << i;
    return started;
}

static long send_ipi(u64 mask, u64 base)
{
    u64 targets = started_harts(mask, base);

    for (unsigned i = 0; i < MAX_HARTS; i++)
        if (targets >> i & 1) {
            __atomic_store_n(&harts[i].ipi, 1, __ATOMIC_SEQ_CST);
            *harts[i].software = 1;
        }
    return SBI_SUCCESS;
}

static long remote_fence(u64 mask, u64 base, u64 self)
{
    u64 targets = started_harts(mask, base);
    u32 tickets[MAX_HARTS];

    for (unsigned i = 0; i < MAX_HARTS; i++)
        if (targets >> i & 1) {
            tickets[i] = __atomic_add_fetch(&harts[i].fences_asked, 1, __ATOMIC_SEQ_CST);
            if (i != self)
                *harts[i].software = 1;
        }
    for (unsigned i = 0; i < MAX_HARTS; i++)
        while (targets >> i & 1 &&
               (s32)(__atomic_load_n(&harts[i].fences_done, __ATOMIC_ACQUIRE) - tickets[i]) < 0)
            serve_fences(&harts[self]);
    return SBI_SUCCESS;
}

static long hart_start(u64 hart, u64 start, u64 argument)
{
    struct hart *h = &harts[hart];
    enum hart_state stopped = HART_STOPPED;

    if (hart >= MAX_HARTS || !h->software)
        return SBI_INVALID_PARAM;
    if (__atomic_load_n(&h->state, __ATOMIC_ACQUIRE) != stopped)
        return SBI_ALREADY_AVAILABLE;
    h->start = start;
    h->argument = argument;
    __atomic_store_n(&h->state, HART_START_PENDING, __ATOMIC_RELEASE);
    *h->software = 1;
    return SBI_SUCCESS;
}

static long hart_stop(u64 hart)
{
    __atomic_store_n(&harts[hart].state, HART_STOPPED, __ATOMIC_RELEASE);
    serve_fences(&harts[hart]);
    firmware_wait(hart);
}

static long hart_management(struct registers *r, u64 function, u64 hart)
{
    switch (function) {
    case 0:
        return hart_start(r->a[0], r->a[1], r->a[2]);
    case 1:
        return hart_stop(hart);
    case 2:
        if (r->a[0] >= MAX_HARTS || !harts[r->a[0]].software)
            return SBI_INVALID_PARAM;
        r->a[1] = __atomic_load_n(&harts[r->a[0]].state, __ATOMIC_ACQUIRE);
        return SBI_SUCCESS;
    default:
        return SBI_NOT_SUPPORTED;
    }
}

static long set_timer(struct hart *h, u64 deadline)
{
    csr_clear(mip, SIE_STIE);
    *h->compare = deadline;
    csr_set(mie, MIE_MTIE);
    return SBI_SUCCESS;
}

static bool is_present(u64 extension)
{
    return extension == SBI_BASE || extension == SBI_TIME || extension == SBI_IPI ||
           extension == SBI_RFENCE || extension == SBI_HSM || extension == SBI_SRST;
}

static long base_call(struct registers *r, u64 function)
{
    switch (function) {
    case 0:
        r->a[1] = SBI_VERSION_1_0;
        return SBI_SUCCESS;
    case 3:
        r->a[1] = is_present(r->a[0]);
        return SBI_SUCCESS;
    case 4:
        r->a[1] = csr_read(mvendorid);
        return SBI_SUCCESS;
    case 5:
        r->a[1] = csr_read(marchid);
        return SBI_SUCCESS;
    case 6:
        r->a[1] = csr_read(mimpid);
        return SBI_SUCCESS;
    default: /* implementation id and version: none was given to us */
        r->a[1] = 0;
        return function <= 2 ? SBI_SUCCESS : SBI_NOT_SUPPORTED;
    }
}

/* Extension in a7, function in a6; error comes back in a0, a value in a1. */
void sbi_handle(struct registers *r, u64 hart)
{
    u64 function = r->a[6];
    long error = SBI_NOT_SUPPORTED;

    switch (r->a[7]) {
    case SBI_BASE:
        error = base_call(r, function);
        break;
    case SBI_TIME:
        if (function == 0)
            error = set_timer(&harts[hart], r->a[0]);
        break;
    case SBI_IPI:
        if (function == 0)
            error = send_ipi(r->a[0], r->a[1]);
        break;
    case SBI_RFENCE:
        if (function <= 2)
            error = remote_fence(r->a[0], r->a[1], hart);
        break;
    case SBI_HSM:
        error = hart_management(r, function, hart);
        break;
    case SBI_SRST:
        firmware_reset(r->a[0]);
        error = SBI_FAILED;
        break;
    }
    r->a[0] = (u64)error;
}
