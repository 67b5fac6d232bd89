/* SPDX-License-Identifier: MIT */
/*
 * The end: say why, with a backtrace, stop every processor, and (as `panic=` says) reset.
 */
#include <vellum/boot.h>
#include <vellum/format.h>
#include <vellum/printk.h>
#include <vellum/smp.h>
#include <vellum/thread.h>
#include <vellum/symbols.h>
#include <vellum/time.h>

static void wait_seconds(u64 seconds)
{
    u64 end = arch_cycles() + seconds * arch_cycles_hz();

    while (arch_cycles() < end)
        cpu_relax();
}

void panic(const char *format, ...)
{
    static int depth;
    char reason[256];
    va_list args;
    int seconds;

    irq_disable();
    if (++depth > 1) /* a panic while panicking: nothing can be trusted */
        arch_halt();
    smp_stop_others();
    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    printk(LOG_EMERG, "Kernel panic - not syncing: %s", reason);
    print_backtrace(NULL);
    printk(LOG_EMERG, "CPU %u, thread %d (%s)", this_cpu()->id, current->tid, current->comm);
    printk(LOG_EMERG, "---[ end Kernel panic ]---");
    seconds = (int)(s64)boot_param_u64("panic", 0);
    if (seconds != 0) { /* n > 0: after n seconds; negative: at once */
        if (seconds > 0)
            wait_seconds(seconds);
        arch_reset();
    }
    arch_halt();
}

void assert_failed(const char *condition, const char *file, int line)
{
    panic("assertion failed: %s (%s:%d)", condition, file, line);
}
