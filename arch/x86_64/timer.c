/* SPDX-License-Identifier: MIT */
/*
 * Clocks: the time-stamp counter, whose rate is found by comparing it with a timer of known rate,
 * the one-shot timer of the local APIC, and the battery clock.
 */
#include <arch/x86.h>
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/printk.h>
#include <vellum/sync.h>
#include <vellum/time.h>

static u64 tsc_hz;        /* [i] */
static u64 lapic_per_tsc; /* [i] 2^32 * rate of the APIC's timer / tsc_hz */

/* ---- calibration ------------------------------------------------------------------------------------- */

/* A counter of known rate. */
struct reference {
    const char *name;
    u64 hz;
    u64 mask; /* where it wraps */
    u64 (*read)(void);
};

static volatile u32 *hpet;

static u64 read_hpet(void)
{
    return hpet[0xf0 / 4];
}

static u64 read_pm_timer(void)
{
    return in32(acpi.pm_timer_port);
}

/* The old timer's channel 2, which counts down from 65535 (set up in find_reference()). */
static u64 read_pit(void)
{
    u8 low;

    out8(0x43, 0x80); /* latch channel 2 */
    low = in8(0x42);
    return 0xffff - (low | in8(0x42) << 8);
}

static __init void pit_start(void)
{
    out8(0x61, (in8(0x61) & ~2) | 1); /* gate on, speaker off */
    out8(0x43, 0xb4);                 /* channel 2, both bytes, rate generator */
    out8(0x42, 0xff);
    out8(0x42, 0xff);
}

static __init bool hpet_start(void)
{
    if (!acpi.hpet_address || !(hpet = vmap_device(acpi.hpet_address, PAGE_SIZE)))
        return false;
    if (hpet[1] == 0 || hpet[1] > 100000000) /* femtoseconds a tick */
        return false;
    hpet[0x10 / 4] |= 1;
    return true;
}

static __init struct reference find_reference(void)
{
    if (hpet_start())
        return (struct reference){"HPET", 1000000000000000 / hpet[1], 0xffffffff, read_hpet};
    if (acpi.pm_timer_port)
        return (struct reference){"PM timer", 3579545, 0xffffff, read_pm_timer};
    pit_start();
    return (struct reference){"PIT", 1193182, 0xffff, read_pit};
}

struct sample {
    u64 tsc, reference;
    u32 lapic;
};

/* The counters at one moment. This processor may be held up between two reads, so several are tried
 * and the one is taken during which least time passed. */
static __init struct sample take_sample(const struct reference *ref)
{
    struct sample best = {0, 0, 0};
    u64 shortest = UINT64_MAX;

    for (unsigned i = 0; i < 5; i++) {
        u64 before = arch_cycles(), value = ref->read();
        u32 lapic = lapic_timer_count();
        u64 after = arch_cycles();

        if (after - before < shortest) {
            shortest = after - before;
            best = (struct sample){before + shortest / 2, value, lapic};
        }
    }
    return best;
}

#define CALIBRATION_US 1000

__init void timer_calibrate(void)
{
    struct reference ref = find_reference();
    u64 wait = ref.hz * CALIBRATION_US / 1000000, ticks, lapic_hz;
    struct sample first, last;

    lapic_timer_mode(false);
    lapic_timer_start(UINT32_MAX);
    first = take_sample(&ref);
    do
        last = take_sample(&ref);
    while (((last.reference - first.reference) & ref.mask) < wait);
    lapic_timer_start(0);
    ticks = (last.reference - first.reference) & ref.mask;
    tsc_hz = (last.tsc - first.tsc) * ref.hz / ticks;
    lapic_hz = (u64)(first.lapic - last.lapic) * ref.hz / ticks;
    lapic_per_tsc = (lapic_hz << 32) / tsc_hz;
    pr_info("tsc: %llu.%03llu MHz by the %s", (unsigned long long)tsc_hz / 1000000,
            (unsigned long long)tsc_hz / 1000 % 1000, ref.name);
}

u64 arch_cycles_hz(void)
{
    return tsc_hz;
}

void delay_us(u64 us)
{
    u64 end = arch_cycles() + us * tsc_hz / 1000000;

    while (arch_cycles() < end)
        cpu_relax();
}

/* ---- the one-shot timer ------------------------------------------------------------------------------- */

void timer_cpu_init(void)
{
    lapic_timer_mode(x86.tsc_deadline);
}

void arch_timer_set(u64 deadline)
{
    struct arch_cpu *arch = this_cpu()->arch;
    u64 now, ticks;

    arch->timer_deadline = deadline;
    if (x86.tsc_deadline) {
        wrmsr(MSR_TSC_DEADLINE, deadline == UINT64_MAX ? 0 : max_t(u64, deadline, 1));
        return;
    }
    if (deadline == UINT64_MAX) {
        lapic_timer_start(0);
        return;
    }
    now = arch_cycles();
    ticks = deadline > now ? (u64)(((unsigned __int128)(deadline - now) * lapic_per_tsc) >> 32) : 0;
    lapic_timer_start((u32)clamp(ticks, 1UL, (u64)UINT32_MAX));
}

/* A deadline beyond what the counter holds takes several rounds. */
void timer_vector(struct trap_frame *frame)
{
    u64 deadline = this_cpu()->arch->timer_deadline;

    if (deadline == UINT64_MAX)
        return;
    if (!x86.tsc_deadline && deadline > arch_cycles() + tsc_hz / 1000) {
        arch_timer_set(deadline);
        return;
    }
    timer_interrupt(frame_is_user(frame));
}

/* ---- the battery clock (MC146818) ------------------------------------------------------------------------ */

enum {
    CMOS_SECONDS = 0,
    CMOS_MINUTES = 2,
    CMOS_HOURS = 4,
    CMOS_DAY = 7,
    CMOS_MONTH = 8,
    CMOS_YEAR = 9,
    CMOS_A = 10,
    CMOS_B = 11,
};

static u8 cmos_read(u8 reg)
{
    out8(0x70, reg);
    return in8(0x71);
}

struct cmos_time {
    u8 second, minute, hour, day, month, year, century;
};

static struct cmos_time cmos_time(void)
{
    return (struct cmos_time){
        .second = cmos_read(CMOS_SECONDS),
        .minute = cmos_read(CMOS_MINUTES),
        .hour = cmos_read(CMOS_HOURS),
        .day = cmos_read(CMOS_DAY),
        .month = cmos_read(CMOS_MONTH),
        .year = cmos_read(CMOS_YEAR),
        .century = acpi.rtc_century ? cmos_read(acpi.rtc_century) : 0,
    };
}

static bool same_time(const struct cmos_time *a, const struct cmos_time *b)
{
    return a->second == b->second && a->minute == b->minute && a->hour == b->hour &&
           a->day == b->day && a->month == b->month && a->year == b->year &&
           a->century == b->century;
}

static unsigned from_bcd(u8 v, bool bcd)
{
    return bcd ? (v >> 4) * 10U + (v & 15) : v;
}

/* Days from 1970 to a date of the Gregorian calendar: years begin in March, so that the odd day of
 * leap years is the last. */
static u64 days_since_1970(unsigned year, unsigned month, unsigned day)
{
    if (month <= 2) {
        month += 12;
        year--;
    }
    return 365UL * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day -
           719469;
}

int arch_wall_clock(u64 *ns)
{
    struct cmos_time t, again;
    unsigned hour, year, tries = 0;
    bool bcd;
    u8 b;

    if (cmos_read(CMOS_B) == 0xff)
        return -ENODEV;
    do { /* until two readings agree, with no update in between */
        t = cmos_time();
        again = cmos_time();
        if (++tries == 1000)
            return -ENODEV;
    } while ((cmos_read(CMOS_A) & 0x80) || !same_time(&t, &again));
    b = cmos_read(CMOS_B);
    bcd = !(b & 4);
    hour = from_bcd(t.hour & 0x7f, bcd);
    if (!(b & 2)) /* 12-hour clock */
        hour = hour % 12 + (t.hour & 0x80 ? 12 : 0);
    year = from_bcd(t.year, bcd);
    year += t.century ? from_bcd(t.century, bcd) * 100 : year < 70 ? 2000 : 1900;
    *ns = (days_since_1970(year, from_bcd(t.month, bcd), from_bcd(t.day, bcd)) * 86400 +
           hour * 3600 + from_bcd(t.minute, bcd) * 60 + from_bcd(t.second, bcd)) *
          NSEC_PER_SEC;
    return 0;
}
