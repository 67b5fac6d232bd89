/* SPDX-License-Identifier: MIT */
/*
 * Interrupt lines. The machine's entry code calls irq_dispatch(line); all handlers of the line run,
 * since a line may be shared.
 */
#include <vellum/irq.h>
#include <vellum/alloc.h>
#include <vellum/cpu.h>
#include <vellum/error.h>
#include <vellum/printk.h>
#include <vellum/seq_file.h>
#include <vellum/sync.h>

#define IRQ_LINES 1024

struct irq_action {
    irq_handler_fn *handler;
    void *arg;
    const char *name;
    struct irq_action *next; /* [irq_lock] to change; followed in interrupts */
};

static struct irq_line {
    struct irq_action *actions;
    u64 count[MAX_CPUS]; /* [that CPU] */
    u64 unhandled;
} * lines[IRQ_LINES]; /* [irq_lock]; entries appear and stay */

static DEFINE_SPINLOCK(irq_lock);

int irq_request(unsigned line, irq_handler_fn *handler, void *arg, const char *name,
                bool level_triggered, bool active_low)
{
    struct irq_action *action = kmalloc(sizeof(*action), ALLOC_KERNEL);
    struct irq_line *l = kzalloc(sizeof(*l), ALLOC_KERNEL);
    unsigned long flags;
    bool first;

    if (line >= IRQ_LINES || !action || !l) {
        kfree(action);
        kfree(l);
        return line >= IRQ_LINES ? -EINVAL : -ENOMEM;
    }
    flags = spin_lock_irqsave(&irq_lock);
    if (!lines[line]) {
        smp_store_release(&lines[line], l);
        l = NULL;
    }
    first = !lines[line]->actions;
    *action = (struct irq_action){handler, arg, name, lines[line]->actions};
    smp_store_release(&lines[line]->actions, action);
    spin_unlock_irqrestore(&irq_lock, flags);
    kfree(l);
    return first ? arch_irq_enable(line, level_triggered, active_low) : 0;
}

void irq_free(unsigned line, void *arg)
{
    unsigned long flags = spin_lock_irqsave(&irq_lock);
    struct irq_action **p = &lines[line]->actions;

    while (*p && (*p)->arg != arg)
        p = &(*p)->next;
    if (*p)
        *p = (*p)->next; /* the action itself stays: a CPU may be in it */
    if (!lines[line]->actions)
        arch_irq_disable(line);
    spin_unlock_irqrestore(&irq_lock, flags);
}

void irq_enter(void)
{
    struct cpu *cpu = this_cpu();

    preempt_disable();
    cpu->irq_depth++;
    cpu->counters.interrupts++;
}

void irq_exit(void)
{
    this_cpu()->irq_depth--;
    if (unlikely(READ_ONCE(log_unannounced)))
        log_announce();
    preempt_enable_no_resched();
}

void irq_dispatch(unsigned line)
{
    struct irq_line *l = line < IRQ_LINES ? smp_load_acquire(&lines[line]) : NULL;
    bool handled = false;

    if (!l)
        return;
    l->count[this_cpu()->id]++;
    for (struct irq_action *a = smp_load_acquire(&l->actions); a; a = a->next)
        handled |= a->handler(line, a->arg);
    if (unlikely(!handled) && ++l->unhandled == 100000) {
        pr_err("irq %u: nobody cares, disabled", line);
        arch_irq_disable(line);
    }
}

static void show_row(struct seq_file *m, const char *name, size_t offset, const char *what)
{
    seq_printf(m, "%3s:", name);
    for (unsigned c = 0; c < cpu_count; c++)
        seq_printf(m, " %10llu", *(unsigned long long *)((char *)cpus[c] + offset));
    seq_printf(m, "   %s\n", what);
}

void irq_show(struct seq_file *m)
{
    seq_printf(m, "    ");
    for (unsigned c = 0; c < cpu_count; c++)
        seq_printf(m, "       CPU%-2u", c);
    seq_putc(m, '\n');
    for (unsigned i = 0; i < IRQ_LINES; i++) {
        if (!lines[i])
            continue;
        seq_printf(m, "%3u:", i);
        for (unsigned c = 0; c < cpu_count; c++)
            seq_printf(m, " %10llu", (unsigned long long)lines[i]->count[c]);
        for (struct irq_action *a = lines[i]->actions; a; a = a->next)
            seq_printf(m, "%s%s", a == lines[i]->actions ? "   " : ", ", a->name);
        seq_putc(m, '\n');
    }
    show_row(m, "LOC", offsetof(struct cpu, counters.timer_interrupts), "Local timer interrupts");
    show_row(m, "RES", offsetof(struct cpu, counters.ipis[IPI_RESCHEDULE]),
             "Rescheduling interrupts");
    show_row(m, "CAL", offsetof(struct cpu, counters.ipis[IPI_CALL]), "Function call interrupts");
}

void irq_show_counts(struct seq_file *m)
{
    unsigned last = 0;

    seq_printf(m, "%llu", (unsigned long long)irq_total());
    for (unsigned i = 0; i < IRQ_LINES; i++)
        last = lines[i] ? i + 1 : last;
    for (unsigned i = 0; i < last; i++) {
        u64 n = 0;

        for (unsigned c = 0; c < cpu_count && lines[i]; c++)
            n += lines[i]->count[c];
        seq_printf(m, " %llu", (unsigned long long)n);
    }
}

u64 irq_total(void)
{
    u64 n = 0;

    for (unsigned c = 0; c < cpu_count; c++)
        n += cpus[c]->counters.interrupts;
    return n;
}
