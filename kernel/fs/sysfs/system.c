/* SPDX-License-Identifier: MIT */
/*
 * /sys/devices/system: processors with their caches and places, the one memory node, memory in blocks,
 * the clock source. What a processor is made of the machine tells (arch.h).
 */
#include <vellum/alloc.h>
#include <vellum/cpu.h>
#include <vellum/format.h>
#include <vellum/page.h>
#include <vellum/sysfs.h>
#include <vellum/time.h>

#define MEMORY_BLOCK (128UL << 20) /* as Linux has on both machines */

static u64 mask_of_all(void)
{
    return cpu_count < 64 ? BIT(cpu_count) - 1 : ~0UL;
}

/* ---- sets of processors ---------------------------------------------------------------------------------- */

static void show_online(struct seq_file *m, void *data)
{
    seq_ranges(m, cpus_online.bits);
    seq_putc(m, '\n');
}

static void show_possible(struct seq_file *m, void *data)
{
    seq_ranges(m, mask_of_all());
    seq_putc(m, '\n');
}

static void show_offline(struct seq_file *m, void *data)
{
    seq_ranges(m, mask_of_all() & ~cpus_online.bits);
    seq_putc(m, '\n');
}

static void show_empty_set(struct seq_file *m, void *data)
{
    seq_putc(m, '\n');
}

static void show_cpu_online(struct seq_file *m, void *data)
{
    const struct cpu *cpu = data;

    seq_printf(m, "%d\n", cpu->online);
}

static void show_mask_of(struct seq_file *m, void *data)
{
    seq_mask(m, (u64)data, cpu_count);
    seq_putc(m, '\n');
}

static void show_list_of(struct seq_file *m, void *data)
{
    seq_ranges(m, (u64)data);
    seq_putc(m, '\n');
}

static void add_set(struct sysfs_node *dir, const char *mask_name, const char *list_name, u64 set)
{
    sysfs_file(dir, mask_name, show_mask_of, (void *)set);
    sysfs_file(dir, list_name, show_list_of, (void *)set);
}

/* ---- a processor ------------------------------------------------------------------------------------------ */

static struct cpu_topology topology[MAX_CPUS] __initdata; /* [i] by processor: asked for once */

/* Those of the same package; with core, of the same core too. */
static u64 __init siblings(const struct cpu_topology *of, bool core)
{
    struct cpu *c;
    u64 set = 0;

    cpu_for_each(c) {
        const struct cpu_topology *t = &topology[c->id];

        if (t->package == of->package && (!core || t->core == of->core))
            set |= BIT(c->id);
    }
    return set;
}

static void __init add_topology(struct sysfs_node *dir, struct cpu *cpu)
{
    struct sysfs_node *at = sysfs_directory(dir, "topology");
    const struct cpu_topology *t = &topology[cpu->id];
    u64 core = siblings(t, true), package = siblings(t, false);

    sysfs_text(at, "physical_package_id", "%u", t->package);
    sysfs_text(at, "die_id", "0");
    sysfs_text(at, "core_id", "%u", t->core);
    add_set(at, "core_cpus", "core_cpus_list", core);
    add_set(at, "thread_siblings", "thread_siblings_list", core);
    add_set(at, "die_cpus", "die_cpus_list", package);
    add_set(at, "package_cpus", "package_cpus_list", package);
    add_set(at, "core_siblings", "core_siblings_list", package);
}

static void add_caches(struct sysfs_node *dir, struct cpu *cpu)
{
    static const char *const types[] = {"Data", "Instruction", "Unified"};
    struct cpu_cache cache;

    for (unsigned i = 0; arch_cpu_cache(cpu, i, &cache); i++) {
        struct sysfs_node *at = sysfs_directory(dir, "cache/index%u", i);

        sysfs_text(at, "level", "%u", cache.level);
        sysfs_text(at, "type", "%s", types[cache.type]);
        sysfs_text(at, "size", "%lluK", (unsigned long long)cache.size / 1024);
        sysfs_text(at, "coherency_line_size", "%u", cache.line_size);
        if (cache.ways)
            sysfs_text(at, "ways_of_associativity", "%u", cache.ways);
        if (cache.sets)
            sysfs_text(at, "number_of_sets", "%u", cache.sets);
        sysfs_text(at, "physical_line_partition", "1");
        add_set(at, "shared_cpu_map", "shared_cpu_list", cache.shared.bits);
    }
}

/* Not Linux's: /proc/vmstat, of this processor alone. */
static void show_cpu_vmstat(struct seq_file *m, void *data)
{
    for (unsigned i = 0; i < VM_COUNT; i++)
        seq_printf(m, "%s %lld\n", vm_count_name(i), (long long)vm_count_of(data, i));
}

static void __init add_cpus(struct sysfs_node *system)
{
    struct sysfs_node *dir = sysfs_directory(system, "cpu");
    struct cpu *c;

    sysfs_file(dir, "online", show_online, NULL);
    sysfs_file(dir, "offline", show_offline, NULL);
    sysfs_file(dir, "possible", show_possible, NULL);
    sysfs_file(dir, "present", show_possible, NULL);
    sysfs_file(dir, "isolated", show_empty_set, NULL);
    sysfs_text(dir, "kernel_max", "%d", MAX_CPUS - 1);
    cpu_for_each(c)
        arch_cpu_topology(c, &topology[c->id]);
    cpu_for_each(c) {
        struct sysfs_node *at = dir ? sysfs_directory(dir, "cpu%u", c->id) : NULL;

        if (!at)
            continue;
        sysfs_file(at, "online", show_cpu_online, c);
        sysfs_file(at, "vmstat", show_cpu_vmstat, c);
        add_topology(at, c);
        add_caches(at, c);
    }
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

static void show_node_kib(struct seq_file *m, const char *name, u64 pages)
{
    seq_printf(m, "Node 0 %-15s%8llu kB\n", name, (unsigned long long)pages * (PAGE_SIZE / 1024));
}

static void show_node_meminfo(struct seq_file *m, void *data)
{
    struct memory_counts c;

    memory_counts(&c);
    show_node_kib(m, "MemTotal:", c.total);
    show_node_kib(m, "MemFree:", c.free);
    show_node_kib(m, "MemUsed:", c.total - min(c.free, c.total));
    show_node_kib(m, "FilePages:", c.cached);
    show_node_kib(m, "AnonPages:", c.anonymous);
    show_node_kib(m, "Shmem:", c.shared);
    show_node_kib(m, "KernelStack:", c.kernel_stacks);
    show_node_kib(m, "PageTables:", c.tables);
    show_node_kib(m, "Slab:", c.slab);
}

static void add_node(struct sysfs_node *system)
{
    static const char *const sets[] = {"online", "possible", "has_cpu", "has_memory",
                                       "has_normal_memory"};
    struct sysfs_node *dir = sysfs_directory(system, "node");
    struct sysfs_node *node = dir ? sysfs_directory(dir, "node0") : NULL;
    struct cpu *c;

    if (!node)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(sets); i++)
        sysfs_text(dir, sets[i], "0");
    add_set(node, "cpumap", "cpulist", mask_of_all());
    sysfs_text(node, "distance", "10");
    sysfs_file(node, "meminfo", show_node_meminfo, NULL);
    cpu_for_each(c) {
        struct sysfs_node *cpu = sysfs_directory(system, "cpu/cpu%u", c->id);
        char name[16];

        if (!cpu)
            continue;
        snprintf(name, sizeof(name), "cpu%u", c->id);
        sysfs_link(node, name, cpu);
        sysfs_link(cpu, "node0", node);
    }
}

/* A block is there if some memory in it is. */
static void add_memory(struct sysfs_node *system)
{
    struct sysfs_node *dir = sysfs_directory(system, "memory"), *at;
    paddr_t start;
    u64 size;

    if (!dir)
        return;
    sysfs_text(dir, "block_size_bytes", "%lx", MEMORY_BLOCK);
    sysfs_text(dir, "auto_online_blocks", "offline");
    for (unsigned i = 0; boot_memory_range(i, &start, &size); i++)
        for (u64 n = start / MEMORY_BLOCK; n <= (start + size - 1) / MEMORY_BLOCK; n++) {
            at = sysfs_directory(dir, "memory%llu", (unsigned long long)n);
            sysfs_text(at, "phys_index", "%08llx", (unsigned long long)n);
            sysfs_text(at, "phys_device", "0");
            sysfs_text(at, "state", "online");
            sysfs_text(at, "online", "1");
            sysfs_text(at, "removable", "0");
            sysfs_text(at, "valid_zones", "none");
        }
}

void __init sysfs_cpu_init(void)
{
    struct sysfs_node *system = sysfs_directory(NULL, "devices/system"), *clock;

    if (!system)
        return;
    add_cpus(system);
    add_node(system);
    add_memory(system);
    clock = sysfs_directory(system, "clocksource/clocksource0");
    sysfs_text(clock, "available_clocksource", "%s", ARCH_CLOCK_NAME);
    sysfs_text(clock, "current_clocksource", "%s", ARCH_CLOCK_NAME);
}
