/* SPDX-License-Identifier: MIT */
/*
 * Random numbers (getrandom(2), random(4)).
 */
#ifndef VELLUM_RANDOM_H
#define VELLUM_RANDOM_H

#include <vellum/types.h>

void random_init(void);
/* Fill a buffer with bytes that nobody can predict. Any context. */
void random_bytes(void *buffer, size_t n);
u64 random_u64(void);
/* Mix something in. It cannot make the output worse. Any context. */
void random_add(const void *data, size_t n);

#endif
