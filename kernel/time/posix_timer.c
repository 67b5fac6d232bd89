/* SPDX-License-Identifier: MIT */
/*
 * Timers that send signals: timer_create(2) and its relatives.
 *
 * Each timer has one signal, made with it. When the timer expires the signal is queued; only when it
 * is taken off the queue does a periodic timer start again, at the next point of its period that lies
 * ahead, and what it missed meanwhile is the overrun that is told with the signal. So a process that
 * is slow, or blocks the signal, is not flooded.
 *
 *     set --> armed --expires--> waiting --signal is taken--> armed ...
 *               ^                  (signal is queued)           |
 *               +-----------------------------------------------+
 *
 * Clocks of run time are looked at by the threads that run, at the tick and when one is due (itimer.c).
 *
 * All fields are guarded by the process's sighand lock.
 */
#include <vellum/alloc.h>
#include <vellum/cred.h>
#include <vellum/process.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>
#include "calls.h"

struct posix_timer {
    struct rb_node node; /* in process->timers */
    int id;              /* [i] */
    clockid_t clock;     /* [i] */
    struct process *process;
    struct clock_timer timer;   /* of a clock of run time only `expires` is used */
    struct hlist_node cpu_link; /* in process->cpu_timers */
    bool on_run_time;           /* [i] the clock is one of run time, */
    struct thread *cpu_thread;  /* [i] of this thread (holds a reference); NULL: of the process */
    bool armed;                 /* runs, or waits */
    bool waiting;               /* its signal is queued; then it goes on */
    bool deleted;               /* goes when its signal is taken */
    int notify;                 /* [i] SIGEV_* */
    struct thread *target;      /* [i] SIGEV_THREAD_ID: holds a reference */
    struct queued_signal signal;
    u64 interval; /* ns; 0: once */
    u64 overrun;  /* since the signal was taken last */
    u64 last_overrun;
};
/* [i] constant once others can find it */

/* ---- running ------------------------------------------------------------------------------------------ */

/* process_now: the process's run time, which may not be read under the lock. */
static u64 timer_now(const struct posix_timer *t, u64 process_now)
{
    if (!t->on_run_time)
        return clock_timer_now(&t->timer);
    return t->cpu_thread ? thread_run_time(t->cpu_thread) : process_now;
}

static u64 process_now(void)
{
    u64 now;

    clock_read(CLOCK_PROCESS_CPUTIME_ID, &now); /* cannot fail */
    return now;
}

static void run(struct posix_timer *t, bool real, u64 expires)
{
    if (t->notify == SIGEV_NONE) { /* nothing happens: it is only asked how much is left */
        t->timer.real = real;
        t->timer.expires = expires;
    } else if (t->on_run_time) {
        t->timer.expires = expires;
        if (hlist_unhashed(&t->cpu_link))
            hlist_add_head(&t->cpu_link, &t->process->cpu_timers);
    } else {
        clock_timer_start(&t->timer, real, expires);
    }
}

static void stop(struct posix_timer *t)
{
    t->armed = t->waiting = false;
    if (t->on_run_time && !hlist_unhashed(&t->cpu_link))
        hlist_del(&t->cpu_link);
    else if (!t->on_run_time)
        timer_cancel(&t->timer.timer);
}

/* Move `expires` to the last point of the period that has passed; the others were missed. */
static void catch_up(struct posix_timer *t, u64 now)
{
    u64 missed = now > t->timer.expires ? (now - t->timer.expires) / t->interval : 0;

    t->timer.expires += missed * t->interval;
    t->overrun += missed;
}

/* On with the period, from the last point that has passed. */
static void go_on(struct posix_timer *t)
{
    u64 last = t->timer.expires;

    t->waiting = false;
    run(t, t->timer.real, t->interval >= (u64)KTIME_MAX - last ? KTIME_MAX : last + t->interval);
}

static void expired(struct posix_timer *t, u64 now)
{
    bool queued = !list_empty(&t->signal.link);

    if (t->interval)
        catch_up(t, now);
    else
        t->armed = false;
    if (queued)
        t->overrun++; /* set anew while its signal was still there */
    if (!queued && signal_send_kept(t->process, t->target, &t->signal))
        t->waiting = t->interval != 0;
    else if (t->interval)
        go_on(t);
}

/* If it stands in the queue again it was set anew while we waited for the lock. */
static void fire(struct timer *timer)
{
    struct posix_timer *t = container_of(timer, struct posix_timer, timer.timer);
    unsigned long flags;
    struct sighand *s = sighand_lock(t->process, &flags);

    if (t->armed && !t->waiting && !timer->queued)
        expired(t, timer_now(t, 0));
    sighand_unlock(s, flags);
}

static void timer_free(struct posix_timer *t)
{
    atomic_dec(&t->signal.user->queued_signals);
    user_put(t->signal.user);
    if (t->target)
        thread_put(t->target);
    if (t->cpu_thread)
        thread_put(t->cpu_thread);
    kfree(t);
}

static void signal_taken(struct queued_signal *s, siginfo_t *info)
{
    struct posix_timer *t = container_of(s, struct posix_timer, signal);

    if (t->waiting && !t->on_run_time)
        catch_up(t, timer_now(t, 0));
    if (t->waiting &&
        t->on_run_time) /* its next time is looked at before the return to the program */
        __atomic_fetch_or(&current->work, WORK_RSEQ, __ATOMIC_RELAXED);
    if (t->waiting)
        go_on(t);
    t->last_overrun = min_t(u64, t->overrun, INT32_MAX);
    t->overrun = 0;
    if (info)
        info->si_overrun = t->last_overrun;
    if (t->deleted)
        timer_free(t);
}

u64 posix_timers_check(struct process *p)
{
    u64 of_process = process_now(), now, left = ~0UL;
    struct hlist_node *next;
    struct posix_timer *t;
    unsigned long flags;
    struct sighand *s = sighand_lock(p, &flags);

    hlist_for_each_entry_safe(t, next, &p->cpu_timers, cpu_link) {
        if (t->cpu_thread && t->cpu_thread != current)
            continue;
        now = timer_now(t, of_process);
        if (now < t->timer.expires) {
            left = min_t(u64, left, t->timer.expires - now);
            continue;
        }
        hlist_del(&t->cpu_link);
        expired(t, now);
        if (!hlist_unhashed(&t->cpu_link)) /* its signal is ignored: it goes on at once */
            left = min_t(u64, left, t->timer.expires > now ? t->timer.expires - now : 0);
    }
    sighand_unlock(s, flags);
    return left;
}

/* ---- finding => sighand lock ------------------------------------------------------------------------------ */

static struct posix_timer *find(struct process *p, int id)
{
    struct rb_node *node = p->timers.node;

    while (node) {
        struct posix_timer *t = rb_entry(node, struct posix_timer, node);

        if (t->id == id)
            return t;
        node = id < t->id ? node->left : node->right;
    }
    return NULL;
}

static bool id_less(const struct rb_node *a, const struct rb_node *b)
{
    return rb_entry(a, struct posix_timer, node)->id < rb_entry(b, struct posix_timer, node)->id;
}

/* Numbers go up, so that one that was deleted does not soon mean another. */
static void insert(struct process *p, struct posix_timer *t)
{
    do {
        t->id = p->last_timer;
        p->last_timer = t->id == INT32_MAX ? 0 : t->id + 1;
    } while (find(p, t->id));
    rb_add(&t->node, &p->timers, id_less);
}

/* A timer of the current process with the lock held, and what its clock shows; or NULL without. */
static struct posix_timer *lock_timer(int id, u64 *now, struct sighand **s, unsigned long *flags)
{
    struct process *p = current->process;
    struct posix_timer *t;
    u64 of_process = 0;

    *s = sighand_lock(p, flags);
    t = find(p, id);
    if (t && t->on_run_time && !t->cpu_thread) {
        sighand_unlock(*s, *flags);
        of_process = process_now();
        *s = sighand_lock(p, flags);
        t = find(p, id);
    }
    if (!t)
        sighand_unlock(*s, *flags);
    else
        *now = timer_now(t, of_process);
    return t;
}

/* ---- making and deleting ------------------------------------------------------------------------------------ */

/* What the clock counts: 0, -EINVAL: no clock, -EOPNOTSUPP: one without timers, -EPERM. */
static int choose_clock(struct posix_timer *t, clockid_t clock)
{
    u64 now;
    bool real;

    t->clock = clock;
    if (clock_read(clock, &now))
        return -EINVAL;
    if (clock < 0 && (~(clock >> 3) == 0 || ~(clock >> 3) == current->process->pid) && !(clock & 4))
        clock = CLOCK_PROCESS_CPUTIME_ID;
    if (clock < 0 && (clock & 4)) /* clock_read() has seen that it is a thread of ours */
        t->cpu_thread = ~(clock >> 3) ? thread_find(~(clock >> 3)) : NULL;
    t->on_run_time =
        clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
    if (clock < 0 && !(clock & 4))
        return -EOPNOTSUPP; /* the run time of another process */
    if (t->on_run_time && clock != CLOCK_PROCESS_CPUTIME_ID && !t->cpu_thread) {
        ref_get(&current->refs);
        t->cpu_thread = current;
    }
    if (!t->on_run_time && clock_for_timer(clock, &real))
        return -EOPNOTSUPP;
    if ((clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) &&
        !capable(CAP_WAKE_ALARM))
        return -EPERM;
    return 0;
}

/* Whom to tell. 0 or -EINVAL */
static int choose_notification(struct posix_timer *t, const sigevent_t *event)
{
    t->notify = event->sigev_notify;
    switch (event->sigev_notify) {
    case SIGEV_NONE:
        break;
    case SIGEV_SIGNAL | SIGEV_THREAD_ID:
        t->target = thread_find(event->sigev_notify_thread_id);
        if (!t->target || t->target->process != current->process)
            return -EINVAL;
        /* fall through */
    case SIGEV_SIGNAL:
    case SIGEV_THREAD: /* the C library's business */
        if (event->sigev_signo <= 0 || event->sigev_signo > SIGNALS)
            return -EINVAL;
        break;
    default:
        return -EINVAL;
    }
    t->signal.info.si_signo = event->sigev_signo;
    t->signal.info.si_value = event->sigev_value;
    return 0;
}

/* A timer counts as a queued signal of the user: -EAGAIN. */
static struct posix_timer *timer_alloc(void)
{
    struct user *user = current->cred->user;
    struct posix_timer *t = NULL;

    if ((u64)atomic_inc_return(&user->queued_signals) <= process_limit(RLIMIT_SIGPENDING))
        t = kzalloc(sizeof(*t), ALLOC_KERNEL);
    if (!t) {
        atomic_dec(&user->queued_signals);
        return NULL;
    }
    ref_get(&user->refs);
    t->signal.user = user;
    t->signal.taken = signal_taken;
    t->signal.info.si_code = SI_TIMER;
    list_init(&t->signal.link);
    t->process = current->process;
    clock_timer_init(&t->timer, fire);
    return t;
}

/* => t is in no tree any more, stopped, and the lock is not held. A signal that it has queued is still
 * delivered, unless `forget`. */
static void timer_end(struct posix_timer *t, bool forget)
{
    unsigned long flags;
    struct sighand *s;
    bool queued;

    if (!t->on_run_time)
        clock_timer_end(&t->timer);
    s = sighand_lock(t->process, &flags);
    if (forget || t->target) /* a thread that has ended takes no signals */
        signal_unqueue(&t->signal);
    queued = !list_empty(&t->signal.link);
    t->deleted = true; /* then it goes when the signal does */
    sighand_unlock(s, flags);
    if (!queued)
        timer_free(t);
}

static int timer_remove(int id)
{
    struct posix_timer *t;
    struct sighand *s;
    unsigned long flags;
    u64 now;

    t = lock_timer(id, &now, &s, &flags);
    if (!t)
        return -EINVAL;
    rb_erase(&t->node, &t->process->timers);
    stop(t);
    sighand_unlock(s, flags);
    timer_end(t, false);
    return 0;
}

SYSCALL_DEFINE3(timer_create, clockid_t, clock, sigevent_t __user *, uevent, int __user *, uid)
{
    sigevent_t event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct process *p = current->process;
    struct posix_timer *t;
    struct sighand *s;
    unsigned long flags;
    int error, id;

    if (uevent && copy_from_user(&event, uevent, sizeof(event)))
        return -EFAULT;
    t = timer_alloc();
    if (!t)
        return -EAGAIN;
    error = choose_clock(t, clock);
    if (!error)
        error = choose_notification(t, &event);
    if (error) {
        timer_free(t);
        return error;
    }
    s = sighand_lock(p, &flags);
    insert(p, t);
    id = t->id;
    t->signal.info.si_tid = id;
    if (!uevent)
        t->signal.info.si_int = id;
    sighand_unlock(s, flags);
    if (put_user(id, uid) == 0)
        return 0;
    timer_remove(id);
    return -EFAULT;
}

SYSCALL_DEFINE1(timer_delete, int, id)
{
    return timer_remove(id);
}

void posix_timers_end(struct process *p)
{
    struct posix_timer *t;
    struct sighand *s;
    unsigned long flags;

    while (unlikely(!rb_empty(&p->timers))) {
        s = sighand_lock(p, &flags);
        t = rb_entry(rb_first(&p->timers), struct posix_timer, node);
        rb_erase(&t->node, &p->timers);
        stop(t);
        sighand_unlock(s, flags);
        timer_end(t, true);
    }
}

/* ---- setting and asking ----------------------------------------------------------------------------------------- */

/* => sighand lock */
static struct __kernel_itimerspec setting(const struct posix_timer *t, u64 now)
{
    u64 next = t->timer.expires, left = 0;

    if (t->armed && now >= next && t->interval)
        next += ((now - next) / t->interval + 1) * t->interval;
    if (t->armed && now < next)
        left = next - now;
    else if (t->armed && t->notify != SIGEV_NONE)
        left = 1; /* about to expire */
    return (struct __kernel_itimerspec){.it_interval = ns_to_timespec(t->interval),
                                        .it_value = ns_to_timespec(left)};
}

/* => sighand lock */
static void set(struct posix_timer *t, bool absolute, u64 value, u64 interval, u64 now)
{
    bool real = false;

    stop(t);
    t->overrun = t->last_overrun = 0;
    t->interval = value ? interval : 0;
    t->armed = value != 0;
    if (!value)
        return;
    if (absolute && !t->on_run_time)
        clock_for_timer(t->clock, &real);
    else if (!absolute)
        value = value >= (u64)KTIME_MAX - now ? KTIME_MAX : value + now;
    run(t, real, value);
}

SYSCALL_DEFINE4(timer_settime, int, id, int, flags, const struct __kernel_itimerspec __user *, unew,
                struct __kernel_itimerspec __user *, uold)
{
    struct __kernel_itimerspec new, old;
    struct posix_timer *t;
    struct sighand *s;
    unsigned long irq;
    bool on_run_time;
    u64 now;

    if (!unew)
        return -EINVAL;
    if (copy_from_user(&new, unew, sizeof(new)))
        return -EFAULT;
    if (!timespec_valid(&new.it_value) || !timespec_valid(&new.it_interval))
        return -EINVAL;
    t = lock_timer(id, &now, &s, &irq);
    if (!t)
        return -EINVAL;
    old = setting(t, now);
    if (!t->on_run_time && !(flags & TIMER_ABSTIME))
        now = ktime_get(); /* relative times are monotonic ones */
    set(t, flags & TIMER_ABSTIME, timespec_to_ns(&new.it_value), timespec_to_ns(&new.it_interval),
        now);
    on_run_time = t->on_run_time;
    sighand_unlock(s, irq);
    if (on_run_time)
        itimers_look(&current->process->itimers); /* it may be due before the next tick */
    return uold && copy_to_user(uold, &old, sizeof(old)) ? -EFAULT : 0;
}

SYSCALL_DEFINE2(timer_gettime, int, id, struct __kernel_itimerspec __user *, uvalue)
{
    struct __kernel_itimerspec value;
    struct posix_timer *t;
    struct sighand *s;
    unsigned long flags;
    u64 now;

    t = lock_timer(id, &now, &s, &flags);
    if (!t)
        return -EINVAL;
    value = setting(t, now);
    sighand_unlock(s, flags);
    return copy_to_user(uvalue, &value, sizeof(value)) ? -EFAULT : 0;
}

SYSCALL_DEFINE1(timer_getoverrun, int, id)
{
    struct posix_timer *t;
    struct sighand *s;
    unsigned long flags;
    u64 now;
    int overrun;

    t = lock_timer(id, &now, &s, &flags);
    if (!t)
        return -EINVAL;
    overrun = t->last_overrun;
    sighand_unlock(s, flags);
    return overrun;
}
