/* SPDX-License-Identifier: MIT */
/*
 * Futexes (futex(2)), for the rest of the kernel: kernel/ipc/futex.c.
 */
#ifndef VELLUM_FUTEX_H
#define VELLUM_FUTEX_H

#include <vellum/types.h>

/* Wake up to n threads that wait at a user address of the current process. */
int futex_wake_address(vaddr_t address, int n);
/* The current thread ends, or has begun exec: it loses the robust futexes that it holds, which are
 * marked (set_robust_list(2)), and those with priority inheritance that others wait for.
 * => has its memory still */
void futex_exit(void);

#endif
