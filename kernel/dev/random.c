/* SPDX-License-Identifier: MIT */
/*
 * The random number generator: ChaCha20 (RFC 8439) with fast key erasure (D. J. Bernstein, 2017).
 *
 * The state is a key. Each request runs the cipher on a counter; the first half of the first block
 * becomes the next key, so that what was given out cannot be computed from the state, and the rest
 * is output. Seeds (the processor's or firmware's generator, the cycle counter at moments that
 * depend on devices) are mixed in by being encrypted into the key.
 */
#include <vellum/random.h>
#include <vellum/arch.h>
#include <vellum/string.h>
#include <vellum/sync.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <linux/random.h>

#define KEY_WORDS   8
#define BLOCK_WORDS 16

static DEFINE_SPINLOCK(lock);
static u32 key[KEY_WORDS]; /* [lock] */

static u32 rotate(u32 x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static void quarter_round(u32 *a, u32 *b, u32 *c, u32 *d)
{
    *a += *b, *d = rotate(*d ^ *a, 16);
    *c += *d, *b = rotate(*b ^ *c, 12);
    *a += *b, *d = rotate(*d ^ *a, 8);
    *c += *d, *b = rotate(*b ^ *c, 7);
}

/* One block of key stream (RFC 8439, 2.3). */
static void chacha_block(const u32 k[KEY_WORDS], u64 counter, u32 out[BLOCK_WORDS])
{
    u32 in[BLOCK_WORDS] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, x[BLOCK_WORDS];

    memcpy(in + 4, k, KEY_WORDS * sizeof(u32));
    in[12] = counter;
    in[13] = counter >> 32;
    memcpy(x, in, sizeof(x));
    for (int i = 0; i < 10; i++) {
        for (int c = 0; c < 4; c++)
            quarter_round(&x[c], &x[4 + c], &x[8 + c], &x[12 + c]);
        for (int c = 0; c < 4; c++)
            quarter_round(&x[c], &x[4 + (c + 1) % 4], &x[8 + (c + 2) % 4], &x[12 + (c + 3) % 4]);
    }
    for (int i = 0; i < BLOCK_WORDS; i++)
        out[i] = x[i] + in[i];
}

void random_bytes(void *buffer, size_t n)
{
    u32 block[BLOCK_WORDS], mine[KEY_WORDS];
    unsigned long flags = spin_lock_irqsave(&lock);
    u64 counter = 0;
    char *to = buffer;

    chacha_block(key, counter++, block);
    memcpy(key, block, sizeof(key));
    memcpy(mine, block + KEY_WORDS, sizeof(mine)); /* the key of this request alone */
    spin_unlock_irqrestore(&lock, flags);
    while (n > 0) {
        size_t part = min_t(size_t, n, sizeof(block));

        chacha_block(mine, counter++, block);
        memcpy(to, block, part);
        to += part;
        n -= part;
    }
    memset(block, 0, sizeof(block));
    memset(mine, 0, sizeof(mine));
}

u64 random_u64(void)
{
    u64 x;

    random_bytes(&x, sizeof(x));
    return x;
}

void random_add(const void *data, size_t n)
{
    const u8 *bytes = data;
    unsigned long flags = spin_lock_irqsave(&lock);

    while (n > 0) {
        u32 block[BLOCK_WORDS];
        size_t part = min_t(size_t, n, sizeof(key));

        for (size_t i = 0; i < part; i++)
            ((u8 *)key)[i] ^= bytes[i];
        chacha_block(key, arch_cycles(), block);
        memcpy(key, block, sizeof(key));
        bytes += part;
        n -= part;
    }
    spin_unlock_irqrestore(&lock, flags);
}

void random_init(void)
{
    for (int i = 0; i < 8; i++) {
        u64 seed[2] = {0, arch_cycles()};

        arch_random(&seed[0]);
        random_add(seed, sizeof(seed));
    }
}

SYSCALL_DEFINE3(getrandom, char __user *, buffer, size_t, n, unsigned, flags)
{
    size_t done = 0;
    u8 bytes[256];

    if ((flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) ||
        (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    n = min_t(size_t, n, INT32_MAX);
    while (done < n) {
        size_t part = min_t(size_t, n - done, sizeof(bytes)), left;

        random_bytes(bytes, part);
        left = copy_to_user(buffer + done, bytes, part);
        done += part - left;
        if (left)
            return done ? (long)done : -EFAULT;
        if (done < n && (current->work & WORK_SIGNAL))
            break;
    }
    return done;
}
