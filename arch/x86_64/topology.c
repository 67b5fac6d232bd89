/* SPDX-License-Identifier: MIT */
/*
 * Which processors share a core, a package and a cache (Intel SDM volume 3, 9.9; AMD APM volume 3,
 * appendix E). A processor's APIC id is made of fields: thread in the core, core in the package,
 * package; CPUID tells how wide they are. What shares a cache agrees in all but the lowest bits.
 */
#include <arch/x86.h>
#include <vellum/string.h>

enum { /* level types of leaf 0xb */
       LEVEL_NONE,
       LEVEL_THREAD,
       LEVEL_CORE,
};

static struct {
    bool known;
    u8 thread, core; /* bits of the APIC id below the core's, below the package's */
} width;

static u32 highest_leaf(u32 base)
{
    return cpuid(base, 0).eax;
}

static void find_widths(void)
{
    struct cpuid r = {0};

    width.known = true;
    if (highest_leaf(0) >= 0xb)
        r = cpuid(0xb, 0);
    if (!r.ebx) { /* an old one: as many threads as it says, each a core */
        width.core = log2_ceil(max(cpuid(1, 0).ebx >> 16 & 0xff, 1U));
        return;
    }
    for (u32 i = 0; (r.ecx >> 8 & 0xff) != LEVEL_NONE; r = cpuid(0xb, ++i)) {
        if ((r.ecx >> 8 & 0xff) == LEVEL_THREAD)
            width.thread = r.eax & 31;
        width.core = r.eax & 31; /* the outermost level ends at the package */
    }
}

static u32 low_bits(u64 value, unsigned n)
{
    return value & ((1UL << n) - 1);
}

void arch_cpu_topology(const struct cpu *cpu, struct cpu_topology *t)
{
    u64 id = cpu->hardware_id;

    if (!width.known)
        find_widths();
    t->thread = low_bits(id, width.thread);
    t->core = low_bits(id, width.core) >> width.thread;
    t->package = id >> width.core;
}

/* The leaf with one sub-leaf for each cache, or 0. AMD's own is in the extended range. */
static u32 cache_leaf(void)
{
    bool extensions =
        highest_leaf(0x80000000) >= 0x8000001d && (cpuid(0x80000001, 0).ecx & BIT(22));

    if (extensions && (cpuid(0x8000001d, 0).eax & 31))
        return 0x8000001d;
    return highest_leaf(0) >= 4 && (cpuid(4, 0).eax & 31) ? 4 : 0;
}

static cpumask_t sharing(const struct cpu *cpu, unsigned shift)
{
    cpumask_t set = {0};
    struct cpu *c;

    cpu_for_each(c)
        if (c->hardware_id >> shift == cpu->hardware_id >> shift)
            set.bits |= BIT(c->id);
    return set;
}

/* Older AMD processors: four words in two leaves, L1 data and instruction, L2, L3. */
static bool old_amd_cache(const struct cpu *cpu, unsigned index, struct cpu_cache *cache)
{
    static const u8 ways_of_code[16] = {0, 1, 2, 3, 4, 6, 8, 0, 16, 0, 32, 48, 64, 96, 128, 0};
    struct cpuid l1, l2;
    u32 words[4];

    if (index > 3 || highest_leaf(0x80000000) < 0x80000006)
        return false;
    l1 = cpuid(0x80000005, 0);
    l2 = cpuid(0x80000006, 0);
    words[0] = l1.ecx;
    words[1] = l1.edx;
    words[2] = l2.ecx;
    words[3] = l2.edx;
    *cache = (struct cpu_cache){
        .level = index < 2 ? 1 : index,
        .type = index == 0   ? CACHE_DATA
                : index == 1 ? CACHE_INSTRUCTION
                             : CACHE_UNIFIED,
        .size = index < 2    ? (u64)(words[index] >> 24) << 10
                : index == 2 ? (u64)(words[index] >> 16) << 10
                             : (u64)(words[index] >> 18) << 19,
        .line_size = words[index] & 0xff,
        .ways = index < 2 ? words[index] >> 16 & 0xff : ways_of_code[words[index] >> 12 & 15],
    };
    if (!cache->size || !cache->line_size)
        return false;
    if (cache->ways)
        cache->sets = cache->size / cache->line_size / cache->ways;
    cache->shared = sharing(cpu, index < 3 ? width.thread : width.core);
    return true;
}

bool arch_cpu_cache(const struct cpu *cpu, unsigned index, struct cpu_cache *cache)
{
    u32 leaf = cache_leaf();
    struct cpuid r;

    if (!width.known)
        find_widths();
    if (!leaf)
        return old_amd_cache(cpu, index, cache);
    r = cpuid(leaf, index);
    if ((r.eax & 31) < 1 || (r.eax & 31) > 3)
        return false;
    *cache = (struct cpu_cache){
        .level = r.eax >> 5 & 7,
        .type = (r.eax & 31) - 1,
        .line_size = (r.ebx & 0xfff) + 1,
        .ways = (r.ebx >> 22) + 1,
        .sets = r.ecx + 1,
        .shared = sharing(cpu, log2_ceil((r.eax >> 14 & 0xfff) + 1)),
    };
    cache->size = (u64)cache->line_size * cache->ways * ((r.ebx >> 12 & 0x3ff) + 1) * cache->sets;
    return true;
}
