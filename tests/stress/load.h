/* SPDX-License-Identifier: MIT */
/*
 * What programs that put load on memory share: sizes, advice that older headers of the C library lack,
 * and numbers that look random and come again with their seed.
 */
#ifndef TESTS_LOAD_H
#define TESTS_LOAD_H

#include <stdint.h>
#include <sys/mman.h>

#define PAGE       4096UL
#define MIB        (1UL << 20)
#define HUGE       (2 * MIB)
#define READ_WRITE (PROT_READ | PROT_WRITE)

#ifndef MADV_COLD
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define RANDOM_START 88172645463325252UL /* any but 0 */

/* The next number of the sequence (Marsaglia, "Xorshift RNGs"). */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
