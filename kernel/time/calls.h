/* SPDX-License-Identifier: MIT */
/*
 * What the system calls of time share.
 */
#ifndef KERNEL_TIME_CALLS_H
#define KERNEL_TIME_CALLS_H

/* After the real-time clock was set: timers on it get their new place, timerfds are told. */
void clock_timers_move(void);
void timerfds_clock_was_set(void);

#define CPU_CLOCK_THREAD 4 /* in a negative clock's number (clock_calls.c) */

/* Any clock as clock_gettime(2) reads it: 0 or -EINVAL. */
int clock_read(clockid_t clock, u64 *ns);

#endif
