/* SPDX-License-Identifier: MIT */
/*
 * Functions run on other processors.
 */
#ifndef VELLUM_SMP_H
#define VELLUM_SMP_H

#include <vellum/cpu.h>

/* Run fn(arg) with interrupts off on every online CPU in mask except this one, and wait until all
 * have done it. While waiting, calls that others send here are served, so two CPUs may do this to
 * each other. => preemption off; no spinlock held that a target takes with interrupts off */
void smp_call(const cpumask_t *mask, void (*fn)(void *), void *arg);
void smp_stop_others(void); /* for panic */

/* Called by the machine's IPI vector. => interrupts off */
void ipi_handle(enum ipi kind);
/* Make the calls that other processors have asked this one for; for who waits with interrupts off. */
void smp_serve_calls(void);

/* Where a secondary processor enters the kernel, on cpu->idle's stack. */
void secondary_main(struct cpu *cpu) __noreturn;

#endif
