/* SPDX-License-Identifier: MIT */
/*
 * Functions that the compiler calls by these names where the machine has no
 * instruction for a builtin (__builtin_ctzl, __builtin_popcountl,
 * __builtin_bswap64 ...). Where it has one they are not linked in.
 */
#include <vellum/types.h>

int __popcountdi2(u64 x);
int __ctzdi2(u64 x);
int __clzdi2(u64 x);
int __ffsdi2(u64 x);
u32 __bswapsi2(u32 x);
u64 __bswapdi2(u64 x);
unsigned __int128 __udivti3(unsigned __int128 n, unsigned __int128 d);

/* Sums of ever wider fields, added up by the multiplication. */
int __popcountdi2(u64 x)
{
    x -= (x >> 1) & 0x5555555555555555;
    x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (x * 0x0101010101010101) >> 56;
}

/* Each window of six bits occurs once in a De Bruijn sequence: the position of a lone bit, as a
 * factor, selects the window that is shifted to the top. */
#define DE_BRUIJN 0x03f79d71b4cb0a89UL

static const u8 bit_of_window[64] = {
    0,  47, 1,  56, 48, 27, 2,  60, 57, 49, 41, 37, 28, 16, 3,  61, 54, 58, 35, 52, 50, 42,
    21, 44, 38, 32, 29, 23, 17, 11, 4,  62, 46, 55, 26, 59, 40, 36, 15, 53, 34, 51, 20, 43,
    31, 22, 10, 45, 25, 39, 14, 33, 19, 30, 9,  24, 13, 18, 8,  12, 7,  6,  5,  63,
};

/* The table is that of x ^ (x - 1), all ones up to the lowest set bit. */
int __ctzdi2(u64 x)
{
    return bit_of_window[((x ^ (x - 1)) * DE_BRUIJN) >> 58];
}

int __clzdi2(u64 x)
{
    x |= x >> 1;
    x |= x >> 2;
    x |= x >> 4;
    x |= x >> 8;
    x |= x >> 16;
    x |= x >> 32;
    return 63 - bit_of_window[(x * DE_BRUIJN) >> 58];
}

int __ffsdi2(u64 x)
{
    return x ? __ctzdi2(x) + 1 : 0;
}

u32 __bswapsi2(u32 x)
{
    x = (x & 0x00ff00ff) << 8 | ((x >> 8) & 0x00ff00ff);
    return x << 16 | x >> 16;
}

u64 __bswapdi2(u64 x)
{
    return (u64)__bswapsi2(x) << 32 | __bswapsi2(x >> 32);
}

/* Long division, bit by bit. */
unsigned __int128 __udivti3(unsigned __int128 n, unsigned __int128 d)
{
    unsigned __int128 quotient = 0, rest = 0;

    for (int bit = 127; bit >= 0; bit--) {
        rest = rest << 1 | (n >> bit & 1);
        quotient <<= 1;
        if (rest >= d) {
            rest -= d;
            quotient |= 1;
        }
    }
    return quotient;
}
