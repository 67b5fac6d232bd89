/* SPDX-License-Identifier: MIT */
/*
 * Interrupt lines and their handlers.
 */
#ifndef VELLUM_IRQ_H
#define VELLUM_IRQ_H

#include <vellum/arch.h>

/* Returns whether the device had raised it. => interrupts off; must not sleep */
typedef bool irq_handler_fn(unsigned line, void *arg);

/* Attach a handler to a line (several may share one) and enable it. 0, -ENOMEM, -EINVAL. */
int irq_request(unsigned line, irq_handler_fn *handler, void *arg, const char *name,
                bool level_triggered, bool active_low);
void irq_free(unsigned line, void *arg);

/* For the machine's interrupt entry. irq_exit() does not reschedule: the entry code calls
 * preempt_irq() (sched.h) before it returns to kernel mode. */
void irq_enter(void);
void irq_exit(void);
void irq_dispatch(unsigned line);

struct seq_file;
void irq_show(struct seq_file *m);        /* /proc/interrupts */
void irq_show_counts(struct seq_file *m); /* the total, and each line's from 0 on */
u64 irq_total(void);

#endif
