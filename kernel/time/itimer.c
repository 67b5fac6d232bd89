/* SPDX-License-Identifier: MIT */
/*
 * Interval timers of a process: setitimer(2), getitimer(2), alarm(2).
 *
 * ITIMER_REAL is a timer on the monotonic clock, whose interrupt sends SIGALRM. ITIMER_VIRTUAL and
 * ITIMER_PROF count the process's run time down; RLIMIT_CPU looks at its sum. The tick does it: a
 * thread that it finds running is charged with what it has run, exactly, since it was found before.
 * Should something be due before the next tick, the thread asks for an interrupt at that time; if it is
 * switched away from meanwhile, it asks again when it returns to its program (rseq_resume()).
 */
#include <vellum/process.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>

#define VIRTUAL 0 /* in left[] and interval[] */
#define PROF    1

/* The next turn of a run-time timer that is late does not come sooner, or its handler were all that ran.
 * (Linux looks at ticks only, which are much further apart.) */
#define TURN (100 * NSEC_PER_USEC)

static void real_fired(struct timer *t)
{
    struct itimer_set *set = container_of(t, struct itimer_set, real);
    u64 interval = READ_ONCE(set->real_interval);

    signal_send_process(set->process, SIGALRM, NULL);
    if (interval) {
        ktime_t now = ktime_get(), next = t->expires + interval;

        if (next <= now) /* missed ones are one */
            next += ((now - next) / interval + 1) * interval;
        timer_start(t, next);
    }
}

void itimers_init(struct itimer_set *set, struct process *process)
{
    *set = (struct itimer_set){.process = process};
    timer_init(&set->real, real_fired);
}

void itimers_cancel(struct itimer_set *set)
{
    WRITE_ONCE(set->real_interval, 0);
    if (set->real.expires) /* it was started once: real_fired() may be about to start it again */
        timer_cancel_sync(&set->real);
    set->left[VIRTUAL] = set->left[PROF] = 0;
}

/* ---- run time ---------------------------------------------------------------------------------------- */

/* Returns what is left then; ~0: it does not run. */
static u64 count_down(struct itimer_set *set, unsigned which, int signo, u64 ns)
{
    struct process *p = set->process;
    unsigned long flags;
    bool fired = false;
    u64 left;

    if (likely(!READ_ONCE(set->left[which])))
        return ~0UL;
    flags = spin_lock_irqsave(&p->lock);
    if (set->left[which] > ns) {
        set->left[which] -= ns;
    } else if (set->left[which]) { /* the next time counts from when this one was due */
        u64 late = ns - set->left[which], interval = set->interval[which];

        set->left[which] = interval ? max(interval > late ? interval - late : 0, (u64)TURN) : 0;
        fired = true;
    }
    left = set->left[which];
    spin_unlock_irqrestore(&p->lock, flags);
    if (fired)
        signal_send_process(p, signo, NULL);
    return left ? left : ~0UL;
}

/* SIGXCPU each second beyond the soft limit, SIGKILL at the hard one (getrlimit(2)). Returns when one of
 * them is due; ~0: never. */
static u64 check_cpu_limit(struct process *p, u64 used, u64 ran)
{
    struct rlimit64 *limit = &p->limits[RLIMIT_CPU];
    u64 soft = READ_ONCE(limit->rlim_cur);

    if (likely(soft == RLIM64_INFINITY))
        return ~0UL;
    if (used >= READ_ONCE(limit->rlim_max) * NSEC_PER_SEC && limit->rlim_max != RLIM64_INFINITY)
        signal_send_process(p, SIGKILL, NULL);
    else if (used >= soft * NSEC_PER_SEC && (used - soft * NSEC_PER_SEC) % NSEC_PER_SEC < ran)
        signal_send_process(p, SIGXCPU, NULL);
    return used < soft * NSEC_PER_SEC ? soft * NSEC_PER_SEC - used
                                      : NSEC_PER_SEC - (used - soft * NSEC_PER_SEC) % NSEC_PER_SEC;
}

void itimers_check(struct itimer_set *set, bool user)
{
    struct thread *t = current;
    u64 total = thread_run_time(t), ran = total - t->charged, used, left = ~0UL;

    t->charged = total;
    used = __atomic_add_fetch(&set->charged, ran, __ATOMIC_RELAXED);
    if (user)
        left = count_down(set, VIRTUAL, SIGVTALRM, ran);
    left = min(left, count_down(set, PROF, SIGPROF, ran));
    left = min(left, check_cpu_limit(set->process, used, ran));
    if (unlikely(!hlist_empty(&set->process->cpu_timers)))
        left = min(left, posix_timers_check(set->process));
    if (unlikely(left < NSEC_PER_SEC / HZ))
        timer_check_run_time(left);
}

void itimers_look(struct itimer_set *set)
{
    unsigned long flags = irq_save();

    itimers_check(set, true);
    irq_restore(flags);
}

/* ---- system calls ---------------------------------------------------------------------------------------- */

static void get_timer(struct itimer_set *set, int which, u64 *left, u64 *interval)
{
    if (which == ITIMER_REAL) {
        ktime_t now = ktime_get(), expires = READ_ONCE(set->real.expires);

        *left = !set->real.queued ? 0 : expires > now ? expires - now : 1;
        *interval = set->real_interval;
    } else {
        itimers_look(set);
        *left = set->left[which - ITIMER_VIRTUAL];
        *interval = set->interval[which - ITIMER_VIRTUAL];
    }
}

/* One thread at a time: no two may start a timer at once. (No spinlock: the timer's function, which is
 * waited for, takes the sighand lock.) */
static void set_real(struct itimer_set *set, u64 left, u64 interval)
{
    static DEFINE_MUTEX(setting);

    mutex_lock(&setting);
    WRITE_ONCE(set->real_interval, 0); /* so that it does not start again by itself */
    timer_cancel_sync(&set->real);
    WRITE_ONCE(set->real_interval, interval);
    if (left)
        timer_start(&set->real, ktime_after(left));
    mutex_unlock(&setting);
}

static void set_timer(struct itimer_set *set, int which, u64 left, u64 interval)
{
    unsigned long flags;

    if (which == ITIMER_REAL) {
        set_real(set, left, interval);
        return;
    }
    itimers_look(set); /* what has run up to now is not the new timer's */
    flags = spin_lock_irqsave(&set->process->lock);
    set->left[which - ITIMER_VIRTUAL] = left;
    set->interval[which - ITIMER_VIRTUAL] = interval;
    spin_unlock_irqrestore(&set->process->lock, flags);
    itimers_look(set);
}

/* Times so long that they do not fit are as good as never. */
static int timeval_to_ns(const struct __kernel_old_timeval *tv, u64 *ns)
{
    if (tv->tv_sec < 0 || tv->tv_usec < 0 || tv->tv_usec >= 1000000)
        return -EINVAL;
    *ns = (u64)tv->tv_sec >= INT64_MAX / NSEC_PER_SEC
              ? INT64_MAX
              : tv->tv_sec * NSEC_PER_SEC + tv->tv_usec * NSEC_PER_USEC;
    return 0;
}

/* Rounded up, so that a timer that runs is not shown as 0. */
static struct __kernel_old_timeval ns_to_timeval(u64 ns)
{
    u64 us = DIV_ROUND_UP(ns, NSEC_PER_USEC);

    return (struct __kernel_old_timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
}

static int put_timer(struct __kernel_old_itimerval __user *uvalue, u64 left, u64 interval)
{
    struct __kernel_old_itimerval value = {
        .it_interval = ns_to_timeval(interval),
        .it_value = ns_to_timeval(left),
    };

    return copy_to_user(uvalue, &value, sizeof(value)) ? -EFAULT : 0;
}

SYSCALL_DEFINE2(getitimer, int, which, struct __kernel_old_itimerval __user *, uvalue)
{
    u64 left, interval;

    if (which < ITIMER_REAL || which > ITIMER_PROF)
        return -EINVAL;
    get_timer(&current->process->itimers, which, &left, &interval);
    return put_timer(uvalue, left, interval);
}

SYSCALL_DEFINE3(setitimer, int, which, const struct __kernel_old_itimerval __user *, unew,
                struct __kernel_old_itimerval __user *, uold)
{
    struct __kernel_old_itimerval new = {};
    u64 left, interval, old_left, old_interval;

    if (unew && copy_from_user(&new, unew, sizeof(new)))
        return -EFAULT;
    if (which < ITIMER_REAL || which > ITIMER_PROF)
        return -EINVAL;
    if (timeval_to_ns(&new.it_value, &left) || timeval_to_ns(&new.it_interval, &interval))
        return -EINVAL;
    get_timer(&current->process->itimers, which, &old_left, &old_interval);
    set_timer(&current->process->itimers, which, left, interval);
    return uold ? put_timer(uold, old_left, old_interval) : 0;
}

SYSCALL_DEFINE1(alarm, unsigned, seconds)
{
    struct itimer_set *set = &current->process->itimers;
    u64 left, interval;

    get_timer(set, ITIMER_REAL, &left, &interval);
    set_timer(set, ITIMER_REAL, seconds * NSEC_PER_SEC, 0);
    if (left == 0)
        return 0;
    return max((left + NSEC_PER_SEC / 2) / NSEC_PER_SEC, 1ULL);
}
