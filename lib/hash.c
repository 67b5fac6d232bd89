/* SPDX-License-Identifier: MIT */
/*
 * Hashing of bytes, eight at a time: each word is mixed in with a multiplication,
 * which carries every bit upwards, and a shift that brings the upper half back
 * down. The last, partial word also takes the length, so that zero bytes at the
 * end count.
 */
#include <vellum/hash.h>

#define WORD  sizeof(u64)
#define ONES  0x0101010101010101UL
#define HIGHS 0x8080808080808080UL

static inline u64 load_word(const u8 *p)
{
    u64 word;

    __builtin_memcpy(&word, p, WORD);
    return word;
}

static inline u64 finish(u64 hash, u64 tail, size_t size)
{
    return hash_mix(hash, tail | (u64)size << 56);
}

u64 hash_bytes(const void *bytes, size_t size, u64 seed)
{
    const u8 *p = bytes;
    size_t left = size;
    u64 hash = seed, tail = 0;

    for (; left >= WORD; p += WORD, left -= WORD)
        hash = hash_mix(hash, load_word(p));
    while (left--)
        tail = tail << 8 | p[left];
    return finish(hash, tail, size);
}

/* Bit 7 of each byte that is zero or a slash; exact for the lowest of them. */
static inline u64 ends(u64 word)
{
    u64 slash = word ^ (ONES * '/');

    return (((word - ONES) & ~word) | ((slash - ONES) & ~slash)) & HIGHS;
}

size_t hash_component(const char *name, u64 seed, u64 *hash)
{
    u64 h = seed, word, end;
    size_t size = 0;

    for (;; size += WORD) {
        word = load_word((const u8 *)name + size);
        end = ends(word);
        if (end)
            break;
        h = hash_mix(h, word);
    }
    size += __builtin_ctzl(end) / 8;
    *hash = finish(h, word & (((end & -end) >> 7) - 1), size); /* the bytes before the end */
    return size;
}
