/* SPDX-License-Identifier: MIT */
/*
 * Arrays of bits, in words of unsigned long; bit 0 is the lowest of the first
 * word. The plain forms are for maps that a lock protects; the _atomic forms may
 * meet each other on several processors.
 */
#ifndef VELLUM_BITMAP_H
#define VELLUM_BITMAP_H

#include <vellum/compiler.h>

#define BITS_PER_WORD      (8 * sizeof(unsigned long))
#define BITMAP_WORDS(bits) DIV_ROUND_UP((size_t)(bits), BITS_PER_WORD)

/* Declare a map: BITMAP(used, 256); */
#define BITMAP(name, bits) unsigned long name[BITMAP_WORDS(bits)]

static inline unsigned long bitmap_mask(size_t bit)
{
    return 1UL << (bit % BITS_PER_WORD);
}

static inline bool bitmap_test(const unsigned long *map, size_t bit)
{
    return (map[bit / BITS_PER_WORD] >> (bit % BITS_PER_WORD)) & 1;
}

static inline void bitmap_set(unsigned long *map, size_t bit)
{
    map[bit / BITS_PER_WORD] |= bitmap_mask(bit);
}

static inline void bitmap_clear(unsigned long *map, size_t bit)
{
    map[bit / BITS_PER_WORD] &= ~bitmap_mask(bit);
}

/* Return what the bit was before. */
static inline bool bitmap_test_and_set(unsigned long *map, size_t bit)
{
    bool old = bitmap_test(map, bit);

    bitmap_set(map, bit);
    return old;
}

static inline bool bitmap_test_and_clear(unsigned long *map, size_t bit)
{
    bool old = bitmap_test(map, bit);

    bitmap_clear(map, bit);
    return old;
}

static inline void bitmap_set_atomic(unsigned long *map, size_t bit)
{
    __atomic_fetch_or(&map[bit / BITS_PER_WORD], bitmap_mask(bit), __ATOMIC_ACQ_REL);
}

static inline void bitmap_clear_atomic(unsigned long *map, size_t bit)
{
    __atomic_fetch_and(&map[bit / BITS_PER_WORD], ~bitmap_mask(bit), __ATOMIC_ACQ_REL);
}

static inline bool bitmap_test_and_set_atomic(unsigned long *map, size_t bit)
{
    unsigned long mask = bitmap_mask(bit);

    return __atomic_fetch_or(&map[bit / BITS_PER_WORD], mask, __ATOMIC_ACQ_REL) & mask;
}

static inline bool bitmap_test_and_clear_atomic(unsigned long *map, size_t bit)
{
    unsigned long mask = bitmap_mask(bit);

    return __atomic_fetch_and(&map[bit / BITS_PER_WORD], ~mask, __ATOMIC_ACQ_REL) & mask;
}

/* Set or clear `count` bits from `start` on. */
void bitmap_set_range(unsigned long *map, size_t start, size_t count);
void bitmap_clear_range(unsigned long *map, size_t start, size_t count);

static inline void bitmap_zero(unsigned long *map, size_t bits)
{
    for (size_t i = 0; i < BITMAP_WORDS(bits); i++)
        map[i] = 0;
}

/* The first set, or clear, bit at or after `from`; `bits` (the length) if there is none. */
size_t bitmap_find_next_set(const unsigned long *map, size_t bits, size_t from);
size_t bitmap_find_next_zero(const unsigned long *map, size_t bits, size_t from);

static inline size_t bitmap_find_first_set(const unsigned long *map, size_t bits)
{
    return bitmap_find_next_set(map, bits, 0);
}

static inline size_t bitmap_find_first_zero(const unsigned long *map, size_t bits)
{
    return bitmap_find_next_zero(map, bits, 0);
}

/* How many bits are set. */
size_t bitmap_weight(const unsigned long *map, size_t bits);

static inline bool bitmap_empty(const unsigned long *map, size_t bits)
{
    return bitmap_find_first_set(map, bits) == bits;
}

#define bitmap_for_each_set(bit, map, bits)                                                        \
    for ((bit) = bitmap_find_next_set(map, bits, 0); (bit) < (bits);                               \
         (bit) = bitmap_find_next_set(map, bits, (bit) + 1))

#endif
