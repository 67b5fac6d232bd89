/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences (rseq(2)): kernel/proc/rseq.c.
 */
#ifndef VELLUM_RSEQ_H
#define VELLUM_RSEQ_H

#include <vellum/process.h>

/* Before the return to user mode with WORK_RSEQ, or before a signal's frame is made: abort the critical
 * section that the frame is in, and bring the processor's number up to date. => may sleep */
void rseq_resume(struct trap_frame *frame);

/* t is switched away from. When it runs again it also asks anew for the interrupt of the timer of run time
 * that is due next: others have run meanwhile. */
static inline void rseq_switched(struct thread *t)
{
    if (t->rseq || (t->process && unlikely(itimers_run(t->process))))
        __atomic_fetch_or(&t->work, WORK_RSEQ, __ATOMIC_RELAXED);
}

#endif
