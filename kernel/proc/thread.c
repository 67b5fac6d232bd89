/* SPDX-License-Identifier: MIT */
/*
 * The structure of a thread: made, copied, freed.
 *
 * A thread is referred to by the scheduler (until schedule_tail() has switched away from it for the
 * last time and calls thread_reap()), by its process if it is the first one, and by whoever found it
 * by number. The last reference frees the structure; the stack goes already with the first. In turn a
 * thread keeps its process from being freed.
 */
#include "ptrace.h"
#include <vellum/alloc.h>
#include <vellum/io_context.h>
#include <vellum/string.h>
#include <vellum/time.h>

static struct object_cache *thread_cache;
atomic_long_t threads_alive;

struct thread *thread_alloc(struct process *process)
{
    struct thread *t = object_alloc(thread_cache, ALLOC_KERNEL);

    if (!t)
        return NULL;
    memset(t, 0, sizeof(*t));
    t->stack = kernel_stack_alloc();
    if (!t->stack) {
        object_free(thread_cache, t);
        return NULL;
    }
    t->process = process;
    if (process)
        process_get(process);
    ref_init(&t->refs);
    atomic_inc(&threads_alive);
    t->cred = cred_get(&root_cred);
    t->cpu = this_cpu();
    t->affinity = cpus_online;
    t->start_time = ktime_get();
    t->timer_slack = TIMER_SLACK_DEFAULT;
    list_init(&t->thread_link);
    list_init(&t->pi_held);
    signal_queue_init(&t->pending);
    return t;
}

struct thread *thread_copy(struct process *process)
{
    struct thread *self = current, *t = object_alloc(thread_cache, ALLOC_KERNEL);

    if (!t)
        return NULL;
    *t = *self;
    t->stack = kernel_stack_alloc();
    if (!t->stack) {
        object_free(thread_cache, t);
        return NULL;
    }
    t->process = process;
    process_get(process);
    t->work = 0;
    ref_init(&t->refs);
    atomic_inc(&threads_alive);
    t->tid = 0;
    cred_get(t->cred);
    t->start_time = ktime_get();
    t->voluntary_switches = t->involuntary_switches = 0;
    t->minor_faults = t->major_faults = t->invalid_faults = 0;
    t->io = (struct io_counts){0};
    t->io_context = NULL;
    list_init(&t->thread_link);
    signal_queue_init(&t->pending);
    t->awaited = 0;
    t->restart.fn = NULL;
    t->clear_child_tid = t->robust_list = 0;
    t->vfork_done = NULL;
    t->nofault = 0;
    t->fault_hint = NULL;
    t->journal_info = NULL;
    t->tracee = NULL;
    t->charged = 0;
    list_init(&t->pi_held);
    t->pi_waiting = NULL;
    return t;
}

void thread_free(struct thread *t)
{
    kernel_stack_free(t->stack);
    t->stack = 0;
    arch_thread_free(t);
    thread_put(t);
}

void thread_reap(struct thread *t)
{
    thread_free(t);
}

/* => any context: called with interrupts off from schedule_tail() */
void thread_put(struct thread *t)
{
    if (!ref_put(&t->refs))
        return;
    cred_put(t->cred);
    signal_queue_flush(&t->pending); /* sent while it was leaving its process */
    if (unlikely(t->tracee))
        tracee_free(t->tracee);
    if (unlikely(t->io_context))
        io_context_put(t->io_context);
    if (t->process)
        process_put(t->process);
    atomic_dec(&threads_alive);
    object_free(thread_cache, t);
}

void threads_init(void)
{
    thread_cache = object_cache_create("thread", sizeof(struct thread), CACHE_LINE);
    if (!thread_cache)
        panic("no memory for threads");
}
