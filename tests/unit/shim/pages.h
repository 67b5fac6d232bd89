/* SPDX-License-Identifier: MIT */
#ifndef SHIM_PAGES_H
#define SHIM_PAGES_H

#include <vellum/types.h>

void shim_pages_init(u64 size); /* memory of `size` bytes, all of it free */
extern u64 shim_frames_in_use;

#endif
