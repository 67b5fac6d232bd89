/* SPDX-License-Identifier: MIT */
/*
 * A page-table entry of no machine: the protection bits of PTE_* as they are,
 * then the flags below, then the frame number.
 */
#ifndef SHIM_ARCH_PTE_H
#define SHIM_ARCH_PTE_H

#include <vellum/compiler.h>

typedef struct {
    u64 value;
} pte_t;

enum {
    SHIM_PTE_PROT = 63,
    SHIM_PTE_PRESENT = 64,
    SHIM_PTE_LEAF = 128,
    SHIM_PTE_DIRTY = 256,
    SHIM_PTE_YOUNG = 512,
    SHIM_PTE_SPECIAL = 1024,
    SHIM_PTE_SWAP = 2048,
};

static inline pte_t shim_pte(u64 value)
{
    return (pte_t){value};
}

static inline pte_t pte_leaf(pfn_t pfn, unsigned prot, unsigned level)
{
    return shim_pte(pfn << 12 | SHIM_PTE_PRESENT | SHIM_PTE_LEAF | prot);
}

static inline pte_t pte_table(pfn_t pfn)
{
    return shim_pte(pfn << 12 | SHIM_PTE_PRESENT);
}

static inline bool pte_is_table(pte_t pte)
{
    return (pte.value & (SHIM_PTE_PRESENT | SHIM_PTE_LEAF)) == SHIM_PTE_PRESENT;
}

static inline pte_t pte_shared(pfn_t pfn)
{
    return shim_pte(pfn << 12 | SHIM_PTE_SPECIAL);
}

static inline bool pte_is_shared(pte_t pte)
{
    return (pte.value & (SHIM_PTE_PRESENT | SHIM_PTE_SWAP | SHIM_PTE_SPECIAL)) == SHIM_PTE_SPECIAL;
}

#define PTE_EXEC_IS_READABLE true

static inline bool pte_none(pte_t pte)
{
    return pte.value == 0;
}

#define SHIM_PTE_TEST(name, bit)                                                                   \
    static inline bool pte_##name(pte_t pte)                                                       \
    {                                                                                              \
        return pte.value & (bit);                                                                  \
    }
#define SHIM_PTE_CHANGE(name, bit)                                                                 \
    static inline pte_t pte_set_##name(pte_t pte)                                                  \
    {                                                                                              \
        return shim_pte(pte.value | (bit));                                                        \
    }                                                                                              \
    static inline pte_t pte_clear_##name(pte_t pte)                                                \
    {                                                                                              \
        return shim_pte(pte.value & ~(u64)(bit));                                                  \
    }

static inline pte_t pte_leaf_part(pte_t leaf, unsigned i)
{
    return shim_pte(leaf.value + ((u64)i << 12));
}

SHIM_PTE_TEST(present, SHIM_PTE_PRESENT)
SHIM_PTE_TEST(is_leaf, SHIM_PTE_LEAF)
SHIM_PTE_TEST(write, 2)
SHIM_PTE_TEST(exec, 4)
SHIM_PTE_TEST(user, 8)
SHIM_PTE_TEST(dirty, SHIM_PTE_DIRTY)
SHIM_PTE_TEST(young, SHIM_PTE_YOUNG)
SHIM_PTE_TEST(special, SHIM_PTE_SPECIAL)
SHIM_PTE_TEST(is_swap, SHIM_PTE_SWAP)
SHIM_PTE_CHANGE(write, 2)
SHIM_PTE_CHANGE(dirty, SHIM_PTE_DIRTY)
SHIM_PTE_CHANGE(young, SHIM_PTE_YOUNG)
SHIM_PTE_CHANGE(special, SHIM_PTE_SPECIAL)

static inline pte_t pte_load(const pte_t *pte)
{
    return (pte_t){READ_ONCE(pte->value)};
}

static inline void pte_store(pte_t *pte, pte_t value)
{
    WRITE_ONCE(pte->value, value.value);
}

static inline pte_t pte_exchange(pte_t *pte, pte_t value)
{
    return (pte_t){__atomic_exchange_n(&pte->value, value.value, __ATOMIC_ACQ_REL)};
}

static inline pfn_t pte_pfn(pte_t pte)
{
    return pte.value >> 12;
}

static inline pte_t pte_set_pfn(pte_t pte, pfn_t pfn)
{
    return shim_pte(pte.value ^ (pte_pfn(pte) ^ pfn) << 12);
}

static inline pte_t pte_set_prot(pte_t pte, unsigned prot)
{
    return shim_pte((pte.value & ~(u64)SHIM_PTE_PROT) | prot);
}

static inline pte_t pte_swap(u64 payload)
{
    return shim_pte(payload << 12 | SHIM_PTE_SWAP);
}

static inline u64 pte_swap_payload(pte_t pte)
{
    return pte.value >> 12;
}

#endif
