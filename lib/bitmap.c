/* SPDX-License-Identifier: MIT */
/*
 * Searches and ranges in bitmaps, a word at a time. The bits of the last word
 * beyond the map's length may have any value.
 */
#include <vellum/bitmap.h>

/* The bits of a word from `bit` on, and those below the end of a map of `bits`. */
static inline unsigned long mask_from(size_t bit)
{
    return ~0UL << (bit % BITS_PER_WORD);
}

static inline unsigned long mask_below(size_t bits)
{
    return ~0UL >> (-bits % BITS_PER_WORD);
}

/* `invert` is 0 to look for a set bit, ~0 for a clear one. */
static inline size_t find_next(const unsigned long *map, size_t bits, size_t from,
                               unsigned long invert)
{
    size_t index = from / BITS_PER_WORD;
    unsigned long word;

    if (from >= bits)
        return bits;
    word = (map[index] ^ invert) & mask_from(from);
    while (!word) {
        if (++index >= BITMAP_WORDS(bits))
            return bits;
        word = map[index] ^ invert;
    }
    return min(bits, index * BITS_PER_WORD + __builtin_ctzl(word));
}

size_t bitmap_find_next_set(const unsigned long *map, size_t bits, size_t from)
{
    return find_next(map, bits, from, 0);
}

size_t bitmap_find_next_zero(const unsigned long *map, size_t bits, size_t from)
{
    return find_next(map, bits, from, ~0UL);
}

size_t bitmap_weight(const unsigned long *map, size_t bits)
{
    size_t whole = bits / BITS_PER_WORD, weight = 0;

    for (size_t i = 0; i < whole; i++)
        weight += __builtin_popcountl(map[i]);
    if (bits % BITS_PER_WORD)
        weight += __builtin_popcountl(map[whole] & mask_below(bits));
    return weight;
}

static inline void change_range(unsigned long *map, size_t start, size_t count, bool set)
{
    size_t first = start / BITS_PER_WORD, last = (start + count - 1) / BITS_PER_WORD;

    if (count == 0)
        return;
    for (size_t i = first; i <= last; i++) {
        unsigned long mask = ~0UL;

        if (i == first)
            mask &= mask_from(start);
        if (i == last)
            mask &= mask_below(start + count);
        map[i] = set ? map[i] | mask : map[i] & ~mask;
    }
}

void bitmap_set_range(unsigned long *map, size_t start, size_t count)
{
    change_range(map, start, count, true);
}

void bitmap_clear_range(unsigned long *map, size_t start, size_t count)
{
    change_range(map, start, count, false);
}
