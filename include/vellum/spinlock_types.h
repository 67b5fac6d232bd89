/* SPDX-License-Identifier: MIT */
/*
 * The type of a spinlock, apart from its operations (sync.h), for structures that those need.
 */
#ifndef VELLUM_SPINLOCK_TYPES_H
#define VELLUM_SPINLOCK_TYPES_H

#include <vellum/lockdep.h>

typedef struct {
    u32 locked; /* a word: RISC-V has no atomic exchange of bytes */
#ifdef VELLUM_DEBUG
    u16 owner_cpu; /* CPU number + 1 */
    u32 holder;    /* where it was taken: the low half of an address in the image */
#endif
    struct lock_id id;
} spinlock_t;

#define SPINLOCK_INIT                                                                              \
    {                                                                                              \
        0                                                                                          \
    }

#endif
