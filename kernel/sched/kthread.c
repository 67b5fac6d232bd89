/* SPDX-License-Identifier: MIT */
/*
 * Kernel threads: threads without a process, which borrow whatever address space is loaded.
 */
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/format.h>
#include <vellum/process.h>
#include <vellum/sched.h>

struct kthread_start {
    int (*fn)(void *);
    void *arg;
};

static void kthread_entry(void *arg)
{
    struct kthread_start start = *(struct kthread_start *)arg;

    kfree(arg);
    current->preempt_count = 0;
    irq_enable();
    thread_exit(start.fn(start.arg));
}

struct thread *kthread_start(int (*fn)(void *), void *arg, const char *name, ...)
{
    struct kthread_start *start = kmalloc(sizeof(*start), ALLOC_KERNEL);
    struct thread *t = start ? thread_alloc(NULL) : NULL;
    va_list args;

    if (!t) {
        kfree(start);
        return err_ptr(-ENOMEM);
    }
    *start = (struct kthread_start){fn, arg};
    va_start(args, name);
    vsnprintf(t->comm, sizeof(t->comm), name, args);
    va_end(args);
    sched_fork(t, &boot_thread);
    t->affinity.bits = ~0UL; /* wherever it likes, processors that start later included */
    arch_thread_start_kernel(t, kthread_entry, start);
    wake_new_thread(t);
    return t;
}
