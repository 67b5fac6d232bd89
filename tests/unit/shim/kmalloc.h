/* SPDX-License-Identifier: MIT */
#ifndef SHIM_KMALLOC_H
#define SHIM_KMALLOC_H

#include <vellum/types.h>

extern u64 kmalloc_in_use;      /* allocated and not freed, objects of caches included */
extern u64 kmalloc_fail_one_in; /* fail at random, one call in so many; 0: never */

#endif
