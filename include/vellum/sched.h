/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: a core that switches threads and keeps one run queue for each processor, and
 * classes that decide the order within a queue.
 */
#ifndef VELLUM_SCHED_H
#define VELLUM_SCHED_H

#include <vellum/thread.h>

struct run_queue;

/*
 * A scheduling policy. The core calls these with the run queue's lock held and interrupts off;
 * state of its own a class keeps in the run queue (run_queue.h) and in struct thread.
 * A thread that runs is not in the class's structure: pick_next takes it out, put_prev puts it
 * back if it is still runnable.
 */
struct sched_class {
    const char *name;
    unsigned rank; /* classes with a lower rank go first */
    void (*queue_init)(struct run_queue *rq);
    void (*enqueue)(struct run_queue *rq, struct thread *t, bool woken);
    void (*dequeue)(struct run_queue *rq, struct thread *t); /* a queued thread that does not run */
    struct thread *(*pick_next)(struct run_queue *rq);       /* NULL: none of this class */
    void (*put_prev)(struct run_queue *rq, struct thread *t);
    /* ran_ns have passed for the running thread: should another be chosen? */
    bool (*tick)(struct run_queue *rq, struct thread *t, u64 ran_ns);
    void (*yield)(struct run_queue *rq, struct thread *t);
    /* Should woken replace the running thread at once? */
    bool (*preempts)(struct run_queue *rq, struct thread *running, struct thread *woken);
    /* A queued thread that may run on cpu, for an idle processor to pull; NULL: none. */
    struct thread *(*steal)(struct run_queue *rq, unsigned cpu);
    void (*fork)(struct thread *child, struct thread *parent);
};

void sched_init(void);                /* before the first thread */
void sched_cpu_init(struct cpu *cpu); /* run queue and idle thread of a processor */
void idle_loop(void) __noreturn;

/* Choose the next thread and switch to it. The caller has set current->state (or left it RUNNING).
 * Returns when the thread is chosen again. => preemption on, no spinlock */
void schedule(void);
/* The same from preempt_enable() and interrupt exit: state is not looked at. */
void preempt_schedule(void);
/* For the entry code at the end of an interrupt taken in kernel mode, interrupts off: switch if it
 * is asked for and preemption is on. */
void preempt_irq(void);
/* Sleep until woken or until the monotonic time deadline (KTIME_MAX: no end). 0 if woken, -ETIME. */
int schedule_until(ktime_t deadline);
/* What every new thread calls first: finishes the switch that led to it. */
void schedule_tail(struct thread *prev);

/* Make a sleeping thread runnable if its state is in `states`. Returns whether it was. Any context. */
bool wake_thread_state(struct thread *t, int states);
static inline bool wake_thread(struct thread *t) /* normal wake-up of a sleeper */
{
    return wake_thread_state(t, TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE | TASK_KILLABLE);
}
/* First start of a thread made by fork or kthread. */
void sched_fork(struct thread *child, struct thread *parent);
void wake_new_thread(struct thread *t);

/* From the timer interrupt at HZ while not idle. user: the interrupted frame was in user mode. */
void sched_tick(bool user);
void sched_charge(bool user); /* between ticks: only the timers of run time are looked at */
#define HZ 100

void sched_yield_current(void);
/* 0, -EINVAL (no CPU in mask can be used) ... The thread is moved at once if it must. */
int sched_set_affinity(struct thread *t, const cpumask_t *mask);
int sched_set_policy(struct thread *t, int policy, int nice, int rt_priority);

/* Call fn(t, arg) if t sleeps, with its registers saved and unable to wake up meanwhile. Returns
 * whether it did. => fn takes no lock; t stays */
bool sched_look_asleep(struct thread *t, void (*fn)(struct thread *t, void *arg), void *arg);

/* How urgent a thread is by its own policy: 1 .. 40 for nice 19 .. -20, 41 .. 139 for real-time. */
#define URGENCY_NICE_MAX 40
static inline int sched_urgency(const struct thread *t)
{
    return t->rt_priority ? URGENCY_NICE_MAX + t->rt_priority : 20 - t->nice;
}
/* t runs at least with this urgency from now on; 0: only with its own. => pi_guard (inherit.h) */
void sched_inherit(struct thread *t, int urgency);

/* Exact run time of a thread up to now, ns. */
u64 thread_run_time(struct thread *t);
/* run_time divided into user and system in the ratio of the tick's samples. */
void thread_times(struct thread *t, u64 *user_ns, u64 *system_ns);
/* Load averages over 1, 5 and 15 minutes, fixed point. */
#define LOAD_SHIFT 11
void load_averages(unsigned long loads[3]);
unsigned sched_running(void); /* runnable threads */
u64 sched_idle_ns(struct cpu *cpu);

/* Kernel threads. fn runs with the arg; if it returns the thread ends. err_ptr on error. */
struct thread *kthread_start(int (*fn)(void *), void *arg, const char *name, ...) __printf(3, 4);

#endif
