/* SPDX-License-Identifier: MIT */
/*
 * Functions called on other processors. Each CPU has a stack of requests; a caller pushes one on
 * each target's, sends an interrupt, and waits until all have been served. While it waits it serves
 * its own, so two CPUs that call each other with interrupts off do not block each other.
 */
#include <vellum/smp.h>
#include <vellum/printk.h>
#include <vellum/sync.h>

struct call {
    void (*fn)(void *);
    void *arg;
    atomic_t left; /* targets that have not run it yet */
};

struct call_request {
    struct call *call;
    struct call_request *next;
};

static struct call_request *pending[MAX_CPUS]; /* [a] */

void smp_serve_calls(void)
{
    struct call_request *r = __atomic_exchange_n(&pending[this_cpu()->id], NULL, __ATOMIC_ACQUIRE);

    while (r) {
        struct call_request *next = r->next;
        struct call *call = r->call;

        call->fn(call->arg);
        atomic_dec_return(&call->left); /* releases: r and call may be gone now */
        r = next;
    }
}

static void push(unsigned cpu, struct call_request *r)
{
    struct call_request *head = __atomic_load_n(&pending[cpu], __ATOMIC_RELAXED);

    do
        r->next = head;
    while (!__atomic_compare_exchange_n(&pending[cpu], &head, r, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED));
}

void smp_call(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
    struct call_request requests[MAX_CPUS];
    u64 targets = mask->bits & cpus_online.bits & ~BIT(this_cpu()->id);
    struct call call = {fn, arg, ATOMIC_INIT(__builtin_popcountll(targets))};

    assert(current->preempt_count > 0 || !irqs_enabled());
    for (u64 rest = targets; rest; rest &= rest - 1) {
        unsigned cpu = __builtin_ctzll(rest);

        requests[cpu].call = &call;
        push(cpu, &requests[cpu]);
        arch_ipi_send(cpu, IPI_CALL);
    }
    while (__atomic_load_n(&call.left.value, __ATOMIC_ACQUIRE) > 0) {
        unsigned long flags = irq_save();

        smp_serve_calls();
        irq_restore(flags);
        cpu_relax();
    }
}

static atomic_t stopping;

void smp_stop_others(void)
{
    if (atomic_xchg(&stopping, 1))
        arch_halt(); /* two CPUs panic at once: the first one speaks */
    for (unsigned i = 0; i < cpu_count; i++)
        if (cpus[i]->online && cpus[i] != this_cpu())
            arch_ipi_send(i, IPI_STOP);
}

void ipi_handle(enum ipi kind)
{
    this_cpu()->counters.ipis[kind]++;
    switch (kind) {
    case IPI_RESCHEDULE: /* WORK_RESCHEDULE is set already; an idle CPU looks around */
        break;
    case IPI_CALL:
        smp_serve_calls();
        break;
    case IPI_STOP:
        arch_halt();
    default:
        break;
    }
}
