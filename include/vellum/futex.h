/* SPDX-License-Identifier: MIT */
/*
 * Futexes (futex(2)), for the rest of the kernel: kernel/ipc/futex.c.
 */
#ifndef VELLUM_FUTEX_H
#define VELLUM_FUTEX_H

#include <vellum/types.h>

/* Wake up to n threads that wait at a user address of the current process. */
int futex_wake_address(vaddr_t address, int n);
/* The current thread ends or execs: mark the robust futexes it holds as ownerless and wake one waiter
 * of each (set_robust_list(2)). => has its memory still */
void futex_exit_robust(void);

#endif
