/* SPDX-License-Identifier: MIT */
/*
 * Errors are negative errno values. A function that returns a pointer returns
 * an error as a pointer into the last page of the address space.
 */
#ifndef VELLUM_ERROR_H
#define VELLUM_ERROR_H

#include <vellum/compiler.h>
#include <asm/errno.h>

#define MAX_ERRNO 4095

/* Inside the kernel only, never seen by user space: how an interrupted system
 * call is to go on once the signal has been looked at (kernel/proc/signal.c). */
#define ERESTARTSYS           512 /* restart if the handler has SA_RESTART, else EINTR */
#define ERESTARTNOINTR        513 /* restart always */
#define ERESTARTNOHAND        514 /* restart only if no handler runs, else EINTR */
#define ERESTART_RESTARTBLOCK 516 /* as ERESTARTNOHAND, through restart_syscall(2) */

static inline void *err_ptr(long error)
{
    return (void *)error;
}

static inline long ptr_err(const void *p)
{
    return (long)p;
}

static inline bool is_err(const void *p)
{
    return unlikely((unsigned long)p >= (unsigned long)-MAX_ERRNO);
}

#endif
