/* SPDX-License-Identifier: MIT */
/*
 * A page-table entry (Intel SDM volume 3, 4.5). Bits 9 to 11 are software's:
 *
 *   63  62..52  51........12  11    10       9     8  7   6  5  4   3   2  1  0
 *   NX  -       frame         -   SPECIAL  LEAF   G  PS   D  A PCD PWT  U  W  P
 *
 * A page that may not be accessed at all (PROT_NONE) keeps its frame: P is clear and G set. A swap
 * entry has both clear, bit 1 set, and its payload in bits 9 to 63 and bit 2. A shared table, in an
 * entry of an upper level, has all three clear and SPECIAL set.
 */
#ifndef ARCH_PTE_H
#define ARCH_PTE_H

#include <vellum/compiler.h>

typedef struct {
    u64 value;
} pte_t;

enum {
    X86_PTE_P = 1 << 0,
    X86_PTE_W = 1 << 1,
    X86_PTE_U = 1 << 2,
    X86_PTE_PWT = 1 << 3,
    X86_PTE_PCD = 1 << 4,
    X86_PTE_A = 1 << 5,
    X86_PTE_D = 1 << 6,
    X86_PTE_PS = 1 << 7,
    X86_PTE_G = 1 << 8,
    X86_PTE_LEAF = 1 << 9,
    X86_PTE_SPECIAL = 1 << 10,
};
#define X86_PTE_NX    (1UL << 63)
#define X86_PTE_FRAME 0x000ffffffffff000UL

#define PTE_EXEC_IS_READABLE true

static inline pte_t x86_pte(u64 value)
{
    return (pte_t){value};
}

/* The bits for PTE_READ and so on. For constants the compiler computes this. */
static __always_inline u64 x86_pte_prot(unsigned prot)
{
    u64 bits = 0;

    if (prot & (PTE_READ | PTE_WRITE | PTE_EXEC))
        bits |= X86_PTE_P;
    else
        bits |= X86_PTE_G;
    if (prot & PTE_WRITE)
        bits |= X86_PTE_W;
    if (!(prot & PTE_EXEC))
        bits |= X86_PTE_NX;
    if (prot & PTE_USER)
        bits |= X86_PTE_U;
    if (prot & PTE_GLOBAL)
        bits |= X86_PTE_G | X86_PTE_A | X86_PTE_D;
    if (prot & PTE_DEVICE)
        bits |= X86_PTE_PCD | X86_PTE_PWT;
    return bits;
}

static __always_inline pte_t pte_leaf(pfn_t pfn, unsigned prot, unsigned level)
{
    return x86_pte(pfn << 12 | x86_pte_prot(prot) | X86_PTE_LEAF | (level ? X86_PTE_PS : 0));
}

static inline pte_t pte_table(pfn_t pfn)
{
    return x86_pte(pfn << 12 | X86_PTE_P | X86_PTE_W | X86_PTE_U | X86_PTE_A);
}

/* Present, and no leaf. */
static inline bool pte_is_table(pte_t pte)
{
    return (pte.value & (X86_PTE_P | X86_PTE_LEAF)) == X86_PTE_P;
}

static inline pte_t pte_shared(pfn_t pfn)
{
    return x86_pte(pfn << 12 | X86_PTE_SPECIAL);
}

static inline bool pte_is_shared(pte_t pte)
{
    return (pte.value & (X86_PTE_P | X86_PTE_W | X86_PTE_G | X86_PTE_SPECIAL)) == X86_PTE_SPECIAL;
}

static inline bool pte_none(pte_t pte)
{
    return pte.value == 0;
}

static inline bool pte_present(pte_t pte)
{
    return pte.value & (X86_PTE_P | X86_PTE_G);
}

static inline bool pte_is_leaf(pte_t pte)
{
    return pte.value & X86_PTE_LEAF;
}

/* The entry at level 0 for page i of a leaf at level 1. */
static inline pte_t pte_leaf_part(pte_t leaf, unsigned i)
{
    return x86_pte((leaf.value & ~(u64)X86_PTE_PS) + ((u64)i << 12));
}

static inline bool pte_write(pte_t pte)
{
    return pte.value & X86_PTE_W;
}

static inline bool pte_exec(pte_t pte)
{
    return !(pte.value & X86_PTE_NX);
}

static inline bool pte_user(pte_t pte)
{
    return pte.value & X86_PTE_U;
}

static inline bool pte_dirty(pte_t pte)
{
    return pte.value & X86_PTE_D;
}

static inline bool pte_young(pte_t pte)
{
    return pte.value & X86_PTE_A;
}

static inline bool pte_special(pte_t pte)
{
    return pte.value & X86_PTE_SPECIAL;
}

static inline pfn_t pte_pfn(pte_t pte)
{
    return (pte.value & X86_PTE_FRAME) >> 12;
}

/* The same entry for another frame. */
static inline pte_t pte_set_pfn(pte_t pte, pfn_t pfn)
{
    return x86_pte((pte.value & ~X86_PTE_FRAME) | pfn << 12);
}

#define X86_PTE_CHANGE(name, bit)                                                                  \
    static inline pte_t pte_set_##name(pte_t pte)                                                  \
    {                                                                                              \
        return x86_pte(pte.value | (bit));                                                         \
    }                                                                                              \
    static inline pte_t pte_clear_##name(pte_t pte)                                                \
    {                                                                                              \
        return x86_pte(pte.value & ~(u64)(bit));                                                   \
    }
X86_PTE_CHANGE(write, X86_PTE_W)
X86_PTE_CHANGE(dirty, X86_PTE_D)
X86_PTE_CHANGE(young, X86_PTE_A)
X86_PTE_CHANGE(special, X86_PTE_SPECIAL)
#undef X86_PTE_CHANGE

static __always_inline pte_t pte_set_prot(pte_t pte, unsigned prot)
{
    u64 kept = X86_PTE_FRAME | X86_PTE_A | X86_PTE_D | X86_PTE_PS | X86_PTE_LEAF | X86_PTE_SPECIAL;

    return x86_pte((pte.value & kept) | x86_pte_prot(prot));
}

static inline pte_t pte_swap(u64 payload)
{
    return x86_pte(payload << 9 | (payload >> 55 & 1) << 2 | 2);
}

static inline u64 pte_swap_payload(pte_t pte)
{
    return pte.value >> 9 | (pte.value >> 2 & 1) << 55;
}

static inline bool pte_is_swap(pte_t pte)
{
    return (pte.value & (X86_PTE_P | X86_PTE_W | X86_PTE_G)) == X86_PTE_W;
}

static inline pte_t pte_load(const pte_t *p)
{
    return x86_pte(READ_ONCE(p->value));
}

static inline void pte_store(pte_t *p, pte_t pte)
{
    WRITE_ONCE(p->value, pte.value);
}

static inline pte_t pte_exchange(pte_t *p, pte_t pte)
{
    return x86_pte(__atomic_exchange_n(&p->value, pte.value, __ATOMIC_ACQ_REL));
}

#endif
