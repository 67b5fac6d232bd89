/* SPDX-License-Identifier: MIT */
/*
 * Copies into and out of a byte ring: at most two pieces, before and after the wrap.
 */
#include <vellum/ring.h>
#include <vellum/string.h>

u32 byte_ring_write(struct byte_ring *ring, const void *bytes, u32 count)
{
    u32 at = ring->head & (ring->size - 1), piece;

    count = min(count, byte_ring_space(ring));
    piece = min(count, ring->size - at);
    memcpy(ring->buffer + at, bytes, piece);
    memcpy(ring->buffer, (const u8 *)bytes + piece, count - piece);
    __atomic_store_n(&ring->head, ring->head + count, __ATOMIC_RELEASE);
    return count;
}

u32 byte_ring_read(struct byte_ring *ring, void *bytes, u32 count)
{
    u32 at = ring->tail & (ring->size - 1), piece;

    count = min(count, byte_ring_used(ring));
    piece = min(count, ring->size - at);
    memcpy(bytes, ring->buffer + at, piece);
    memcpy((u8 *)bytes + piece, ring->buffer, count - piece);
    __atomic_store_n(&ring->tail, ring->tail + count, __ATOMIC_RELEASE);
    return count;
}

u32 byte_ring_skip(struct byte_ring *ring, u32 count)
{
    count = min(count, byte_ring_used(ring));
    __atomic_store_n(&ring->tail, ring->tail + count, __ATOMIC_RELEASE);
    return count;
}
