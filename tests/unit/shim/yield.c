/* SPDX-License-Identifier: MIT */
/* There is one thread, and nobody to give way to. */
#include <vellum/sched.h>

void sched_yield_current(void)
{
}
