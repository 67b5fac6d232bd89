/* SPDX-License-Identifier: MIT */
/*
 * What the system calls of time share.
 */
#ifndef KERNEL_TIME_CALLS_H
#define KERNEL_TIME_CALLS_H

#include <vellum/wait.h>

/* Sleepers until a wall-clock time; woken when the clock is set. */
extern struct wait_queue clock_was_set;

#endif
