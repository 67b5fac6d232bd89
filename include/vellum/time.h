/* SPDX-License-Identifier: MIT */
/*
 * Time: the clock source read as nanoseconds, and timers on each processor's one-shot clock event.
 */
#ifndef VELLUM_TIME_H
#define VELLUM_TIME_H

#include <vellum/cpu.h>
#include <vellum/rbtree.h>
#include <vellum/wait.h>
#include <linux/time.h>
#include <linux/time_types.h>

#define NSEC_PER_SEC  1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_USEC 1000ULL

#define TIMER_SLACK_DEFAULT 50000 /* ns; prctl PR_SET_TIMERSLACK */

void time_init(void); /* after arch_irq_init() */
void time_cpu_init(struct cpu *cpu);

ktime_t ktime_get(void);      /* monotonic since boot, ns; any context */
s64 ktime_real(void);         /* since 1970, ns */
s64 ktime_real_offset(void);  /* real - monotonic */
void ktime_set_real(s64 ns);  /* clock_settime, settimeofday */
u64 cycles_to_ns(u64 cycles); /* a difference */
u64 ns_to_cycles(u64 ns);

/* A timer runs fn once, in the timer interrupt of the CPU on which it was started, at or after
 * `expires` (monotonic ns). fn may start it again. */
struct timer {
    struct rb_node node; /* [queue lock] */
    ktime_t expires;     /* [queue lock] not before */
    ktime_t latest;      /* [queue lock] by then it fires, even if nothing else wakes the CPU */
    void (*fn)(struct timer *); /* => interrupts off */
    struct cpu *cpu;            /* [queue lock] where it stands */
    bool queued;                /* [queue lock] */
};
void timer_init(struct timer *t, void (*fn)(struct timer *));
void timer_start(struct timer *t, ktime_t expires); /* also moves a queued one */
/* It may as well fire later, up to `latest`, together with others. */
void timer_start_range(struct timer *t, ktime_t expires, ktime_t latest);
/* Take it off. Returns whether it stood in the queue. timer_cancel_sync() also waits until fn, if
 * it runs on another CPU, has ended. => cancel_sync: no lock held that fn takes */
bool timer_cancel(struct timer *t);
bool timer_cancel_sync(struct timer *t);

/* A timer on a clock that programs know: on the monotonic scale, or on real time, where it moves when
 * the clock is set. => the caller lets one start, forward or end at a time */
struct clock_timer {
    struct timer timer; /* fn finds the rest around it */
    bool real;          /* expires is ns since 1970, else monotonic */
    u64 expires;        /* ns */
    struct list link;   /* among those on real time */
};
/* The scale that timers on this clock use. 0 or -EINVAL: it has none. */
int clock_for_timer(clockid_t clock, bool *real);
void clock_timer_init(struct clock_timer *ct, void (*fn)(struct timer *));
void clock_timer_start(struct clock_timer *ct, bool real, u64 expires);
void clock_timer_end(struct clock_timer *ct); /* => as timer_cancel_sync() */
u64 clock_timer_now(const struct clock_timer *ct);
u64 clock_timer_left(const struct clock_timer *ct); /* ns; 1: due */
/* Start again at the next multiple of interval that lies ahead. Returns how many it went on by. */
u64 clock_timer_forward(struct clock_timer *ct, u64 interval);

/* The machine's timer vector. user: the interrupted frame was in user mode. => interrupts off */
void timer_interrupt(bool user);
/* The idle loop stops and restarts the tick of this CPU. => interrupts off */
void tick_stop(void);
void tick_start(void);

static inline ktime_t timespec_to_ns(const struct __kernel_timespec *ts)
{
    return (u64)ts->tv_sec >= (u64)INT64_MAX / NSEC_PER_SEC
               ? KTIME_MAX
               : ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec;
}

static inline struct __kernel_timespec ns_to_timespec(u64 ns)
{
    return (struct __kernel_timespec){.tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC};
}

static inline bool timespec_valid(const struct __kernel_timespec *ts)
{
    return ts->tv_sec >= 0 && (u64)ts->tv_nsec < NSEC_PER_SEC;
}

/* now + ns without overflow. */
static inline ktime_t ktime_after(u64 ns)
{
    ktime_t now = ktime_get();

    return ns >= KTIME_MAX - now ? KTIME_MAX : now + ns;
}

/* How long it is until then: ns; 0: past. */
static inline u64 ktime_left(ktime_t deadline)
{
    ktime_t now = ktime_get();

    return deadline > now ? deadline - now : 0;
}

/* A user's time that must be a valid one: 0, -EFAULT, -EINVAL. */
int timespec_from_user(struct __kernel_timespec *ts, const struct __kernel_timespec __user *uts);
/* 0 or -EFAULT. */
int timespec_to_user(struct __kernel_timespec __user *uts, u64 ns);
/* A deadline from now on, from a user's time-out: 0 with *deadline set (KTIME_MAX: ts is NULL; 0: do not
 * wait), -EINVAL, -EFAULT. */
int deadline_from_user(const struct __kernel_timespec __user *ts, ktime_t *deadline);

/* Who sleeps until a time of the wall clock queues here too: woken when the clock is set. */
extern struct wait_queue clock_was_set;

/* Sleep for ns. => may sleep */
void sleep_ns(u64 ns);

/* The page that the vDSO reads; written by kernel/time/clock.c, mapped read-only by exec. */
extern struct page *vvar_page;

/* Interval timers of a process (struct process holds it; kernel/time/itimer.c). */
struct itimer_set {
    struct process *process;
    struct timer real;        /* ITIMER_REAL and alarm(2) */
    u64 real_interval;        /* ns; set by one thread at a time */
    u64 left[2], interval[2]; /* VIRTUAL, PROF: ns of run time left [process->lock] */
    u64 charged;              /* [a] ns of run time of all threads, up to their last ticks */
};
void itimers_init(struct itimer_set *set, struct process *process);
void itimers_cancel(struct itimer_set *set); /* at exit; exec keeps them */
/* Charge the current thread of the process with what it has run, in user mode or not, and see whether
 * that sets off a timer of run time; the next one that is due before the next tick gets an interrupt of
 * its own. => interrupts off, no locks */
void itimers_check(struct itimer_set *set, bool user);
/* The same, of our own process. => interrupts on, no locks */
void itimers_look(struct itimer_set *set);
/* All timers of timer_create(2) go, with signals of theirs that are pending: at exec and exit. */
void posix_timers_end(struct process *p);
/* Those on clocks of run time, of a process with cpu_timers: ns until the next one of the current thread or
 * of its process is due. => as itimers_check() */
u64 posix_timers_check(struct process *p);
/* Call itimers_check() in ns, unless a tick is earlier. => interrupts off */
void timer_check_run_time(u64 ns);

#endif
