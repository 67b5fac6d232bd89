/* SPDX-License-Identifier: MIT */
/* The memory of tree nodes, with failures on demand and a count of those in use. */
#ifndef SHIM_NODES_H
#define SHIM_NODES_H

#include <stdint.h>

extern uint64_t nodes_in_use;      /* allocated and not freed, of all kinds */
extern uint64_t nodes_fail_one_in; /* fail at random, one call in so many; 0: never */

#endif
