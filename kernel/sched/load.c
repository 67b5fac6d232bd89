/* SPDX-License-Identifier: MIT */
/*
 * Load averages (getloadavg(3)): the number of threads that run, could run, or wait for something that
 * is bound to come (a disk, a lock), sampled every five seconds and averaged with weights that fall off
 * exponentially over 1, 5 and 15 minutes.
 *
 * The tick of whatever processor is busy takes the sample. While all are idle nobody ticks: samples
 * that were missed so are of a machine on which nobody ran, and are made up for when somebody asks or
 * ticks again, as if those who wait then had waited all the time.
 */
#include "run_queue.h"
#include <vellum/process.h>
#include <vellum/sched.h>
#include <vellum/time.h>

#define PERIOD (5 * NSEC_PER_SEC)
#define ONE    (1UL << LOAD_SHIFT)
#define LATE   (2 * NSEC_PER_SEC / HZ) /* a tick that comes later was not there when it was due */

/* e^(-5/60), e^(-5/300), e^(-5/900) */
static const unsigned long decay[3] = {1884, 2014, 2037};

static DEFINE_SPINLOCK(lock);    /* interrupts off */
static unsigned long average[3]; /* [lock] << LOAD_SHIFT */
static ktime_t due = PERIOD;     /* [lock] of the next sample; read without as a hint */

static void add_sample(unsigned long running)
{
    for (unsigned i = 0; i < ARRAY_SIZE(average); i++) {
        unsigned long sum = average[i] * decay[i] + (running << LOAD_SHIFT) * (ONE - decay[i]);

        if ((running << LOAD_SHIFT) >= average[i])
            sum += ONE - 1; /* rounded away from where it comes from, or it would never arrive */
        average[i] = sum >> LOAD_SHIFT;
    }
}

/* => lock */
static void catch_up(ktime_t now, unsigned running, unsigned blocked)
{
    for (; due <= now; due += PERIOD) {
        if (!blocked && !average[0] && !average[1] && !average[2] && now - due >= PERIOD)
            due += (now - due) / PERIOD * PERIOD; /* zero stays zero */
        add_sample((now - due < LATE ? running : 0) + blocked);
    }
}

void load_average_tick(void)
{
    ktime_t now = ktime_get();
    unsigned long flags;
    unsigned blocked;

    if (likely(now < READ_ONCE(due)))
        return;
    blocked = threads_blocked();
    flags = spin_lock_irqsave(&lock);
    catch_up(now, sched_running(), blocked);
    spin_unlock_irqrestore(&lock, flags);
}

void load_averages(unsigned long loads[3])
{
    unsigned blocked = threads_blocked();
    unsigned long flags = spin_lock_irqsave(&lock);

    catch_up(ktime_get(), 0, blocked);
    for (unsigned i = 0; i < ARRAY_SIZE(average); i++)
        loads[i] = average[i];
    spin_unlock_irqrestore(&lock, flags);
}
