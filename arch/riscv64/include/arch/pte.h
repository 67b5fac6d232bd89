/* SPDX-License-Identifier: MIT */
/*
 * The page-table entry of Sv39 (privileged specification 4.3.1, 4.4.1):
 *
 *   63     54 53          10 9   8 7 6 5 4 3 2 1 0
 *   reserved    frame number  -  s D A G U X W R V      s: the frame is not counted
 *
 * An entry with V and none of R, W, X points to the next table. Entries without V are ours:
 *
 *   G set      a page that nobody may touch (PROT_NONE); the rest as in a valid entry
 *   bit 1 set  swapped out; payload from bit 6 on
 *   only s     (in an upper table) a shared table
 */
#ifndef VELLUM_ARCH_PTE_H
#define VELLUM_ARCH_PTE_H

#include <vellum/compiler.h>

typedef struct {
    u64 value;
} pte_t;

enum {
    PTE_BIT_V = 1,
    PTE_BIT_R = 2,
    PTE_BIT_W = 4,
    PTE_BIT_X = 8,
    PTE_BIT_U = 16,
    PTE_BIT_G = 32,
    PTE_BIT_A = 64,
    PTE_BIT_D = 128,
    PTE_BIT_SPECIAL = 256,
    PTE_BIT_SWAP = 2,
    PTE_PFN_SHIFT = 10,
    PTE_SWAP_SHIFT = 6,
};

#define PTE_PROTECTION (PTE_BIT_V | PTE_BIT_R | PTE_BIT_W | PTE_BIT_X | PTE_BIT_U | PTE_BIT_G)

#define PTE_EXEC_IS_READABLE false

/* W without R is reserved, so writing implies reading. The bits of PTE_* lie in the same order. */
static inline u64 pte_protection(unsigned prot)
{
    u64 access = (u64)(prot & (PTE_READ | PTE_WRITE | PTE_EXEC)) << 1;

    if (access == 0)
        return PTE_BIT_G | (prot & PTE_USER) << 1;
    if (prot & PTE_WRITE)
        access |= PTE_BIT_R;
    return access | (u64)(prot & (PTE_USER | PTE_GLOBAL)) << 1 | PTE_BIT_V;
}

/* Born young: it is made because somebody touches the page. Kernel pages are born dirty too, for
 * machines that fault to have these bits set. */
static inline pte_t pte_leaf(pfn_t pfn, unsigned prot, unsigned level)
{
    return (pte_t){pfn << PTE_PFN_SHIFT | pte_protection(prot) | PTE_BIT_A |
                   (prot & PTE_GLOBAL ? PTE_BIT_D : 0)};
}

static inline pte_t pte_table(pfn_t pfn)
{
    return (pte_t){pfn << PTE_PFN_SHIFT | PTE_BIT_V};
}

/* Valid, and no leaf. */
static inline bool pte_is_table(pte_t pte)
{
    return (pte.value & (PTE_BIT_V | PTE_BIT_R | PTE_BIT_W | PTE_BIT_X)) == PTE_BIT_V;
}

static inline pte_t pte_shared(pfn_t pfn)
{
    return (pte_t){pfn << PTE_PFN_SHIFT | PTE_BIT_SPECIAL};
}

static inline bool pte_is_shared(pte_t pte)
{
    return (pte.value & (PTE_BIT_V | PTE_BIT_G | PTE_BIT_SWAP | PTE_BIT_SPECIAL)) ==
           PTE_BIT_SPECIAL;
}

static inline bool pte_none(pte_t pte)
{
    return pte.value == 0;
}

static inline bool pte_present(pte_t pte)
{
    return pte.value & (PTE_BIT_V | PTE_BIT_G);
}

static inline bool pte_is_leaf(pte_t pte)
{
    return pte.value & (PTE_BIT_R | PTE_BIT_W | PTE_BIT_X | PTE_BIT_G);
}

/* The entry at level 0 for page i of a leaf at level 1. */
static inline pte_t pte_leaf_part(pte_t leaf, unsigned i)
{
    return (pte_t){leaf.value + ((u64)i << PTE_PFN_SHIFT)};
}

static inline bool pte_write(pte_t pte)
{
    return pte.value & PTE_BIT_W;
}

static inline bool pte_exec(pte_t pte)
{
    return pte.value & PTE_BIT_X;
}

static inline bool pte_user(pte_t pte)
{
    return pte.value & PTE_BIT_U;
}

static inline bool pte_dirty(pte_t pte)
{
    return pte.value & PTE_BIT_D;
}

static inline bool pte_young(pte_t pte)
{
    return pte.value & PTE_BIT_A;
}

static inline bool pte_special(pte_t pte)
{
    return pte.value & PTE_BIT_SPECIAL;
}

static inline pfn_t pte_pfn(pte_t pte)
{
    return pte.value << 10 >> (10 + PTE_PFN_SHIFT);
}

/* The same entry for another frame. */
static inline pte_t pte_set_pfn(pte_t pte, pfn_t pfn)
{
    return (pte_t){pte.value ^ (pte_pfn(pte) ^ pfn) << PTE_PFN_SHIFT};
}

static inline pte_t pte_set_write(pte_t pte)
{
    return (pte_t){pte.value | PTE_BIT_W | PTE_BIT_R};
}

static inline pte_t pte_clear_write(pte_t pte)
{
    return (pte_t){pte.value & ~(u64)PTE_BIT_W};
}

static inline pte_t pte_set_dirty(pte_t pte)
{
    return (pte_t){pte.value | PTE_BIT_D};
}

static inline pte_t pte_clear_dirty(pte_t pte)
{
    return (pte_t){pte.value & ~(u64)PTE_BIT_D};
}

static inline pte_t pte_set_young(pte_t pte)
{
    return (pte_t){pte.value | PTE_BIT_A};
}

static inline pte_t pte_clear_young(pte_t pte)
{
    return (pte_t){pte.value & ~(u64)PTE_BIT_A};
}

static inline pte_t pte_set_special(pte_t pte)
{
    return (pte_t){pte.value | PTE_BIT_SPECIAL};
}

static inline pte_t pte_set_prot(pte_t pte, unsigned prot)
{
    return (pte_t){(pte.value & ~(u64)PTE_PROTECTION) | pte_protection(prot)};
}

static inline pte_t pte_swap(u64 payload)
{
    return (pte_t){payload << PTE_SWAP_SHIFT | PTE_BIT_SWAP};
}

static inline u64 pte_swap_payload(pte_t pte)
{
    return pte.value >> PTE_SWAP_SHIFT;
}

static inline bool pte_is_swap(pte_t pte)
{
    return (pte.value & (PTE_BIT_V | PTE_BIT_G | PTE_BIT_SWAP)) == PTE_BIT_SWAP;
}

static inline pte_t pte_load(const pte_t *slot)
{
    return (pte_t){READ_ONCE(slot->value)};
}

static inline void pte_store(pte_t *slot, pte_t pte)
{
    WRITE_ONCE(slot->value, pte.value);
}

static inline pte_t pte_exchange(pte_t *slot, pte_t pte)
{
    return (pte_t){__atomic_exchange_n(&slot->value, pte.value, __ATOMIC_ACQ_REL)};
}

#endif
