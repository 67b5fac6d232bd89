/* SPDX-License-Identifier: MIT */
#ifndef SHIM_MEMORY_H
#define SHIM_MEMORY_H

#include <vellum/page.h>

/* Make `size` bytes (rounded up to the largest block) of physical memory, from address 0 on, and
 * zeroed descriptors for it. What was there before is gone. Nobody allocates from it yet: that is
 * frames_init()'s, or the shim's pages_alloc()'s. */
void shim_memory_init(u64 size);

extern u64 shim_memory_size;

#endif
