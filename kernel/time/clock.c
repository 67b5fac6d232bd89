/* SPDX-License-Identifier: MIT */
/*
 * The clock: the machine's cycle counter as nanoseconds.
 *
 * One multiplication gives the monotonic time, without a base that would have to be brought up to
 * date: a 128-bit product does not overflow for 584 years. Real time is an offset to it.
 */
#include <vellum/page.h>
#include <vellum/printk.h>
#include <vellum/sync.h>
#include <vellum/time.h>
#include <vellum/boot.h>
#include <vellum/vvar.h>

struct page *vvar_page;

static struct vvar *vvar;     /* what user space sees */
static u64 base_cycles, mult; /* [i] after time_init() */
static u64 inverse_mult;      /* [i] 2^32 * Hz / 10^9 */
static s64 real_offset;       /* [real_lock] to write */
static DEFINE_SPINLOCK(real_lock);

u64 cycles_to_ns(u64 cycles)
{
    return ((unsigned __int128)cycles * mult) >> 32;
}

u64 ns_to_cycles(u64 ns)
{
    return ((unsigned __int128)ns * inverse_mult) >> 32;
}

ktime_t ktime_get(void)
{
    return cycles_to_ns(arch_cycles() - base_cycles);
}

s64 ktime_real_offset(void)
{
    return READ_ONCE(real_offset);
}

s64 ktime_real(void)
{
    return ktime_get() + READ_ONCE(real_offset);
}

static void publish(s64 offset)
{
    __atomic_store_n(&vvar->sequence, vvar->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    WRITE_ONCE(vvar->real_offset, offset);
    __atomic_store_n(&vvar->sequence, vvar->sequence + 1, __ATOMIC_RELEASE);
}

void ktime_set_real(s64 ns)
{
    unsigned long flags = spin_lock_irqsave(&real_lock);

    WRITE_ONCE(real_offset, ns - (s64)ktime_get());
    publish(real_offset);
    spin_unlock_irqrestore(&real_lock, flags);
}

/* The deadline in cycles of the counter at which ktime_get() >= ns. */
u64 clock_deadline(ktime_t ns);
u64 clock_deadline(ktime_t ns)
{
    return ns >= KTIME_MAX ? UINT64_MAX : base_cycles + ns_to_cycles(ns) + 1;
}

void time_init(void)
{
    u64 hz = arch_cycles_hz(), now;

    base_cycles = boot_info.entry_cycles;
    mult = ((unsigned __int128)NSEC_PER_SEC << 32) / hz;
    inverse_mult = ((unsigned __int128)hz << 32) / NSEC_PER_SEC;
    vvar_page = page_alloc(ALLOC_ZERO);
    if (!vvar_page)
        panic("no memory for the clock");
    vvar = page_to_virt(vvar_page);
    vvar->base_cycles = base_cycles;
    vvar->mult = mult;
    vvar->resolution =
        1; /* of timers, in which a deadline is a nanosecond count: clock_getres(2) */
    if (arch_wall_clock(&now) == 0)
        ktime_set_real(now);
    time_cpu_init(this_cpu());
    pr_info("clock: %llu.%03llu MHz", (unsigned long long)hz / 1000000,
            (unsigned long long)hz / 1000 % 1000);
}
