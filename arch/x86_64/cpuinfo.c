/* SPDX-License-Identifier: MIT */
/* /proc/cpuinfo, in the words that Linux uses. */
#include <arch/x86.h>
#include <vellum/seq_file.h>
#include <vellum/string.h>

/* Names of feature bits, from bit 0 on; - where there is none that Linux prints. */
struct feature_word {
    u32 leaf, subleaf;
    enum { EAX, EBX, ECX, EDX } reg;
    const char *names;
};

static const struct feature_word words[] = {
    {1, 0, EDX,
     "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts "
     "acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"},
    {0x80000001, 0, EDX,
     "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm "
     "3dnowext 3dnow"},
    {1, 0, ECX,
     "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid "
     "dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand "
     "hypervisor"},
    {0x80000001, 0, ECX,
     "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop "
     "skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc "
     "perfctr_llc mwaitx"},
    {7, 0, EBX,
     "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f "
     "avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd "
     "sha_ni avx512bw avx512vl"},
    {7, 0, ECX,
     "- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni "
     "avx512_bitalg tme avx512_vpopcntdq - - - - - - - rdpid - - cldemote - movdiri movdir64b "
     "enqcmd"},
    {0xd, 1, EAX, "xsaveopt xsavec xgetbv1 xsaves"},
};

static u32 word_value(const struct feature_word *word)
{
    u32 highest = cpuid(word->leaf & 0x80000000, 0).eax;
    struct cpuid r = cpuid(word->leaf, word->subleaf);
    const u32 values[] = {r.eax, r.ebx, r.ecx, r.edx};

    return word->leaf <= highest ? values[word->reg] : 0;
}

static void show_flags(struct seq_file *m)
{
    seq_puts(m, "flags\t\t:");
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        const char *name = words[i].names;

        for (u32 bits = word_value(&words[i]); *name; bits >>= 1) {
            size_t length = strcspn(name, " ");

            if ((bits & 1) && *name != '-') {
                seq_putc(m, ' ');
                seq_write(m, name, length);
            }
            name += length;
            name += *name == ' ';
        }
    }
    seq_putc(m, '\n');
}

static void show_name(struct seq_file *m)
{
    u32 brand[13] = {0};
    char *name = (char *)brand;

    for (u32 i = 0; i < 3 && cpuid(0x80000000, 0).eax >= 0x80000004; i++) {
        struct cpuid r = cpuid(0x80000002 + i, 0);

        brand[4 * i] = r.eax;
        brand[4 * i + 1] = r.ebx;
        brand[4 * i + 2] = r.ecx;
        brand[4 * i + 3] = r.edx;
    }
    while (*name == ' ')
        name++;
    seq_printf(m, "model name\t: %s\n", *name ? name : "unknown");
}

static void show_identity(struct seq_file *m)
{
    struct cpuid l0 = cpuid(0, 0), l1 = cpuid(1, 0);
    u32 vendor[4] = {l0.ebx, l0.edx, l0.ecx, 0};
    unsigned family = l1.eax >> 8 & 15, model = l1.eax >> 4 & 15;

    if (family == 6 || family == 15)
        model += (l1.eax >> 16 & 15) << 4;
    if (family == 15)
        family += l1.eax >> 20 & 0xff;
    seq_printf(m, "vendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", (char *)vendor, family,
               model);
    show_name(m);
    seq_printf(m, "stepping\t: %u\n", l1.eax & 15);
}

static void show_place(struct seq_file *m, const struct cpu *cpu)
{
    struct cpu_topology place, other;
    unsigned siblings = 0, cores = 0;
    struct cpu *c;

    arch_cpu_topology(cpu, &place);
    cpu_for_each(c) {
        arch_cpu_topology(c, &other);
        siblings += other.package == place.package;
        cores += other.package == place.package && other.thread == 0;
    }
    seq_printf(m, "physical id\t: %u\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n",
               place.package, siblings, place.core, cores);
}

void arch_show_cpuinfo(struct seq_file *m, struct cpu *cpu)
{
    u64 khz = arch_cycles_hz() / 1000;
    struct cpuid address_sizes = cpuid(0x80000008, 0);
    unsigned line = (cpuid(1, 0).ebx >> 8 & 0xff) * 8;

    seq_printf(m, "processor\t: %u\n", cpu->id);
    show_identity(m);
    seq_printf(m, "cpu MHz\t\t: %llu.%03llu\n", (unsigned long long)khz / 1000,
               (unsigned long long)khz % 1000);
    show_place(m, cpu);
    seq_printf(m, "apicid\t\t: %u\ninitial apicid\t: %u\n", (unsigned)cpu->hardware_id,
               (unsigned)cpu->hardware_id);
    seq_printf(m, "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n",
               cpuid(0, 0).eax);
    show_flags(m);
    seq_printf(m, "bugs\t\t:\nbogomips\t: %llu.%02llu\n", (unsigned long long)khz / 500,
               (unsigned long long)khz / 5 % 100);
    seq_printf(m, "clflush size\t: %u\ncache_alignment\t: %u\n", line, line);
    seq_printf(m, "address sizes\t: %u bits physical, %u bits virtual\npower management:\n\n",
               address_sizes.eax & 0xff, PT_SHIFT(PT_LEVELS));
}
