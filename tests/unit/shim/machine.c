/* SPDX-License-Identifier: MIT */
/* The state of the machine that shim/include/arch/machine.h makes believe. */
#include <vellum/types.h>

struct thread;

bool shim_irqs_off;
struct thread *shim_current;
uint64_t shim_cycles = 1;
