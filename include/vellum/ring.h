/* SPDX-License-Identifier: MIT */
/*
 * A ring of bytes in a buffer whose size is a power of two. The positions run
 * freely and are reduced only when the buffer is touched, so that the ring can
 * be full to the last byte, and used = head - tail even across the wrap.
 *
 * One writer and one reader may work at the same time without a lock: each
 * moves its own end only, after its bytes are in place. More need a lock.
 */
#ifndef VELLUM_RING_H
#define VELLUM_RING_H

#include <vellum/assert.h>

struct byte_ring {
    u8 *buffer;
    u32 size; /* power of two */
    u32 head; /* bytes ever written [writer] */
    u32 tail; /* bytes ever read [reader] */
};

/* => the buffer is the caller's, and stays as long as the ring */
static inline void byte_ring_init(struct byte_ring *ring, void *buffer, u32 size)
{
    assert(IS_POWER_OF_2(size));
    ring->buffer = buffer;
    ring->size = size;
    ring->head = 0;
    ring->tail = 0;
}

static inline u32 byte_ring_used(const struct byte_ring *ring)
{
    return __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) -
           __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
}

static inline u32 byte_ring_space(const struct byte_ring *ring)
{
    return ring->size - byte_ring_used(ring);
}

static inline bool byte_ring_empty(const struct byte_ring *ring)
{
    return byte_ring_used(ring) == 0;
}

/* The byte `index` bytes after the oldest. => index < used */
static inline u8 byte_ring_at(const struct byte_ring *ring, u32 index)
{
    assert(index < byte_ring_used(ring));
    return ring->buffer[(ring->tail + index) & (ring->size - 1)];
}

/* Append a byte. Returns false if the ring is full. */
static inline bool byte_ring_put(struct byte_ring *ring, u8 byte)
{
    if (byte_ring_space(ring) == 0)
        return false;
    ring->buffer[ring->head & (ring->size - 1)] = byte;
    __atomic_store_n(&ring->head, ring->head + 1, __ATOMIC_RELEASE);
    return true;
}

/* Take the oldest byte. Returns it, or -1 if the ring is empty. */
static inline int byte_ring_get(struct byte_ring *ring)
{
    u8 byte;

    if (byte_ring_empty(ring))
        return -1;
    byte = ring->buffer[ring->tail & (ring->size - 1)];
    __atomic_store_n(&ring->tail, ring->tail + 1, __ATOMIC_RELEASE);
    return byte;
}

/* Take back the newest byte (a terminal's erase). Returns it, or -1.
 * => the lock of reader and writer is held */
static inline int byte_ring_unput(struct byte_ring *ring)
{
    if (byte_ring_empty(ring))
        return -1;
    ring->head--;
    return ring->buffer[ring->head & (ring->size - 1)];
}

/* Forget what is in it. => as the reader */
static inline void byte_ring_clear(struct byte_ring *ring)
{
    __atomic_store_n(&ring->tail, __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
}

/* Append as much of `bytes` as there is room for. Returns how much. */
u32 byte_ring_write(struct byte_ring *ring, const void *bytes, u32 count);

/* Take up to `count` of the oldest bytes. Returns how many. */
u32 byte_ring_read(struct byte_ring *ring, void *bytes, u32 count);

/* Drop up to `count` of the oldest bytes. Returns how many. */
u32 byte_ring_skip(struct byte_ring *ring, u32 count);

#endif
