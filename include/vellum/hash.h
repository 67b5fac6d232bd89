/* SPDX-License-Identifier: MIT */
/*
 * Hash functions for tables in memory. Neither is a defence against someone who
 * chooses the keys unless the seed is secret; neither is stable across builds.
 */
#ifndef VELLUM_HASH_H
#define VELLUM_HASH_H

#include <vellum/compiler.h>

/* 2^64 divided by the golden ratio: multiples of it spread evenly (Knuth, TAOCP 6.4). */
#define HASH_MULTIPLIER 0x9e3779b97f4a7c15UL

/* A bucket in [0, 2^bits). => 1 <= bits <= 32 */
static inline u32 hash_u64(u64 value, unsigned bits)
{
    return (value * HASH_MULTIPLIER) >> (64 - bits);
}

static inline u32 hash_pointer(const void *pointer, unsigned bits)
{
    return hash_u64((u64)(uintptr_t)pointer, bits);
}

/* One step of a running hash over 64-bit words. */
static inline u64 hash_mix(u64 hash, u64 word)
{
    hash = (hash ^ word) * HASH_MULTIPLIER;
    return hash ^ (hash >> 32);
}

/* A hash of `size` bytes; every bit of the result is good, the low ones too. */
u64 hash_bytes(const void *bytes, size_t size, u64 seed);

/* The component of a path that starts at `name`, up to the next '/' or zero byte: its length, and
 * in *hash what hash_bytes() gives for it. One pass instead of two.
 * => eight bytes are read at a time: the buffer goes on for 7 bytes after the zero byte */
size_t hash_component(const char *name, u64 seed, u64 *hash);

#endif
