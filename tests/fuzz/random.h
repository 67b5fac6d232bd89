/* SPDX-License-Identifier: MIT */
/* Numbers that look random and come again with their seed (Vigna, "An experimental exploration of
 * Marsaglia's xorshift generators, scrambled"). */
#ifndef FUZZ_RANDOM_H
#define FUZZ_RANDOM_H

#include <stdint.h>

static uint64_t random_state; /* any but 0 */

static inline uint64_t next_random(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1d;
}

static inline unsigned below(unsigned n)
{
    return (next_random() >> 32) % n;
}

#endif
