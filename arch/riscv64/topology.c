/* SPDX-License-Identifier: MIT */
/*
 * Where harts are and what caches they have, as far as the device tree tells (Devicetree
 * Specification, 3.8). Each hart is a core; those under one "socket" of /cpus/cpu-map share a package.
 */
#include "machine.h"
#include <vellum/cpu.h>
#include <vellum/format.h>
#include <vellum/string.h>

/* The number of the socket whose node in cpu-map, in the order of the tree, is the last one before
 * that which refers to the hart; 0: there is none. */
static unsigned socket_of(const struct cpu *cpu)
{
    int map = fdt_find_path(&device_tree, "/cpus/cpu-map"), node;
    u32 handle = fdt_cell(&device_tree, cpu->arch->node, "phandle", 0, 0);
    u64 socket = 0;

    if (map < 0 || !handle)
        return 0;
    for (node = fdt_next(&device_tree, map); node >= 0; node = fdt_next(&device_tree, node)) {
        const char *name = fdt_name(&device_tree, node);

        if (strncmp(name, "socket", 6) == 0 && str_to_u64(name + 6, 10, &socket) != 0)
            socket = 0;
        if (fdt_cell(&device_tree, node, "cpu", 0, 0) == handle)
            return socket;
    }
    return 0;
}

void arch_cpu_topology(const struct cpu *cpu, struct cpu_topology *t)
{
    *t = (struct cpu_topology){.package = socket_of(cpu), .core = cpu->id};
}

static bool read_cache(int node, const char *prefix, struct cpu_cache *cache)
{
    char name[32];

    snprintf(name, sizeof(name), "%scache-size", prefix);
    cache->size = fdt_cell(&device_tree, node, name, 0, 0);
    snprintf(name, sizeof(name), "%scache-block-size", prefix);
    cache->line_size = fdt_cell(&device_tree, node, name, 0, 0);
    snprintf(name, sizeof(name), "%scache-sets", prefix);
    cache->sets = fdt_cell(&device_tree, node, name, 0, 0);
    if (!cache->size || !cache->line_size)
        return false;
    cache->ways = cache->sets ? cache->size / cache->line_size / cache->sets : 0;
    return true;
}

static cpumask_t sharers(u32 handle)
{
    cpumask_t set = {0};
    struct cpu *c;

    cpu_for_each(c)
        if (fdt_cell(&device_tree, c->arch->node, "next-level-cache", 0, 0) == handle)
            set.bits |= BIT(c->id);
    return set;
}

bool arch_cpu_cache(const struct cpu *cpu, unsigned index, struct cpu_cache *cache)
{
    static const struct {
        const char *prefix;
        unsigned type;
    } own[] = {{"d-", CACHE_DATA}, {"i-", CACHE_INSTRUCTION}};
    u32 next = fdt_cell(&device_tree, cpu->arch->node, "next-level-cache", 0, 0);
    unsigned found = 0;
    int node;

    for (unsigned i = 0; i < ARRAY_SIZE(own); i++) {
        *cache = (struct cpu_cache){.level = 1, .type = own[i].type, .shared = {BIT(cpu->id)}};
        if (read_cache(cpu->arch->node, own[i].prefix, cache) && found++ == index)
            return true;
    }
    node = next ? fdt_find_phandle(&device_tree, next) : FDT_NONE;
    if (node < 0)
        return false;
    *cache = (struct cpu_cache){.level = fdt_cell(&device_tree, node, "cache-level", 0, 2),
                                .type = CACHE_UNIFIED,
                                .shared = sharers(next)};
    return read_cache(node, "", cache) && found == index;
}
