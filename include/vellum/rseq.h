/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences (rseq(2)): kernel/proc/rseq.c.
 */
#ifndef VELLUM_RSEQ_H
#define VELLUM_RSEQ_H

#include <vellum/thread.h>

/* Before the return to user mode with WORK_RSEQ, or before a signal's frame is made: abort the critical
 * section that the frame is in, and bring the processor's number up to date. => may sleep */
void rseq_resume(struct trap_frame *frame);

#endif
