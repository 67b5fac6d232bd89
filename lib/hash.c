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

static inline u64 low_bytes(u64 word, unsigned count)
{
    return word & ((1UL << (8 * count)) - 1);
}

/*
 * Only aligned words are read. A name that starts in the middle of one is put
 * together from neighbours: `pending` holds the bytes of the last word that are
 * not mixed in yet, WORD - skew of them.
 */
__attribute__((no_sanitize("address"))) size_t hash_component(const char *name, u64 seed, u64 *hash)
{
    unsigned skew = (uintptr_t)name % WORD, count;
    const u64 *word = (const u64 *)(name - skew);
    u64 before = (1UL << (8 * skew)) - 1; /* of no interest: made to be no end */
    u64 h = seed, pending = *word >> (8 * skew), end = ends(*word | before) >> (8 * skew);
    size_t size;

    if (end) {
        count = __builtin_ctzl(end) / 8;
        *hash = finish(h, low_bytes(pending, count), count);
        return count;
    }
    for (;;) {
        u64 next = *++word;

        end = ends(next);
        if (end)
            next = low_bytes(next, __builtin_ctzl(end) / 8);
        pending |= (next << 1) << (63 - 8 * skew); /* by 64 - 8 * skew, which may be 64 */
        if (end)
            break;
        h = hash_mix(h, pending);
        pending = next >> (8 * skew);
    }
    count = __builtin_ctzl(end) / 8;
    size = (const char *)word + count - name;
    if (WORD - skew + count >= WORD) {
        h = hash_mix(h, pending);
        pending = low_bytes(*word, count) >> (8 * skew);
    }
    *hash = finish(h, pending, size);
    return size;
}
