/* SPDX-License-Identifier: MIT */
/*
 * What a processor needs before it can run the kernel: its features, descriptor tables, the vectors
 * of traps and system calls, protection bits.
 *
 * Every processor has a GDT and a TSS of its own. The TSS tells the processor the stack for an entry
 * from user mode (kept at the top of the current thread's by arch_switch) and the four stacks for
 * traps that may strike where no stack can be trusted. Above each of these the address of the
 * struct cpu is kept, since then GS cannot be trusted either (entry.S).
 */
#include <arch/x86.h>
#include <vellum/alloc.h>
#include <vellum/printk.h>
#include <vellum/thread.h>

struct x86_features x86;
u8 string_fast_bytes;
struct arch_cpu boot_arch_cpu;

static char boot_ist_stacks[(IST_COUNT - 1) * IST_STACK_SIZE] __aligned(PAGE_SIZE)
    __section(".bss.page");

struct idt_gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_middle;
    u32 offset_high, reserved;
};
static struct idt_gate idt[256] __aligned(16);

struct descriptor_pointer {
    u16 limit;
    u64 base;
} __packed;

extern const char vectors[]; /* entry.S: 16 bytes each */
extern char boot_stack[];
void syscall_entry(void);

/* ---- features ------------------------------------------------------------------------------------ */

struct smap_site {
    s32 offset; /* of the three bytes, from here */
    u32 opcode;
};
extern const struct smap_site smap_sites_start[], smap_sites_end[];

/* => text is still writable: before arch_paging_init() */
static __init void patch_smap_sites(void)
{
    for (const struct smap_site *site = smap_sites_start; site < smap_sites_end; site++) {
        u8 *code = (u8 *)&site->offset + site->offset;

        code[0] = (u8)site->opcode;
        code[1] = (u8)(site->opcode >> 8);
        code[2] = (u8)(site->opcode >> 16);
    }
}

__init void x86_features_init(void)
{
    struct cpuid l0 = cpuid(0, 0), l1 = cpuid(1, 0), e0 = cpuid(0x80000000, 0);
    struct cpuid l7 = l0.eax >= 7 ? cpuid(7, 0) : (struct cpuid){0};
    struct cpuid e1 = cpuid(0x80000001, 0);

    x86.smep = l7.ebx & BIT(7);
    x86.smap = l7.ebx & BIT(20);
    x86.umip = l7.ecx & BIT(2);
    x86.fsgsbase = l7.ebx & BIT(0);
    x86.mce = l1.edx & BIT(7);
    x86.gigabyte_pages = e1.edx & BIT(26);
    x86.x2apic = l1.ecx & BIT(21);
    x86.tsc_deadline = l1.ecx & BIT(24);
    x86.rdrand = l1.ecx & BIT(30);
    x86.rdseed = l7.ebx & BIT(18);
    x86.erms = l7.ebx & BIT(9);
    x86.xsave = (l1.ecx & BIT(26)) && l0.eax >= 0xd;
    if (x86.xsave) {
        u32 ways = cpuid(0xd, 1).eax;

        x86.xsaveopt = ways & BIT(0);
        x86.xsavec = ways & BIT(1);
    }
    x86.physical_bits = e0.eax >= 0x80000008 ? cpuid(0x80000008, 0).eax & 0xff : 36;
    string_fast_bytes = x86.erms;
    if (x86.smap)
        patch_smap_sites();
}

/* ---- descriptor tables ------------------------------------------------------------------------------- */

static unsigned vector_ist(unsigned vector)
{
    switch (vector) {
    case 1:
        return IST_DEBUG;
    case 2:
        return IST_NMI;
    case 8:
        return IST_DOUBLE_FAULT;
    case 18:
        return IST_MACHINE_CHECK;
    default:
        return IST_NONE;
    }
}

/* All gates turn interrupts off. User mode may raise only INT3 and INTO by instruction. */
static void idt_init(void)
{
    for (unsigned v = 0; v < 256; v++) {
        u64 entry = (u64)vectors + v * 16;

        idt[v] = (struct idt_gate){
            .offset_low = (u16)entry,
            .selector = KERNEL_CS,
            .ist = (u8)vector_ist(v),
            .type = v == 3 || v == 4 ? 0xee : 0x8e,
            .offset_middle = (u16)(entry >> 16),
            .offset_high = (u32)(entry >> 32),
        };
    }
}

static void gdt_init(struct cpu *cpu)
{
    struct arch_cpu *arch = cpu->arch;
    u64 tss = (u64)&arch->tss;

    arch->gdt[KERNEL_CS / 8] = 0x00af9b000000ffff;
    arch->gdt[KERNEL_DS / 8] = 0x00cf93000000ffff;
    arch->gdt[USER_DS / 8] = 0x00cff3000000ffff;
    arch->gdt[USER_CS / 8] = 0x00affb000000ffff;
    arch->gdt[TSS_SEL / 8] = (sizeof(struct x86_tss) - 1) | (tss & 0xffffff) << 16 | 0x89UL << 40 |
                             (tss >> 24 & 0xff) << 56;
    arch->gdt[TSS_SEL / 8 + 1] = tss >> 32;
    /* A data segment whose limit tells the vDSO the number of the processor. */
    arch->gdt[CPU_NUMBER_SEL / 8] = cpu->id | 0x0040f10000000000;
}

static void tss_init(struct cpu *cpu)
{
    struct arch_cpu *arch = cpu->arch;

    for (unsigned i = 0; i < IST_COUNT - 1; i++) {
        u64 top = (u64)arch->ist_stacks + (i + 1) * IST_STACK_SIZE - 16;

        *(struct cpu **)top = cpu;
        arch->tss.ist[i] = top;
    }
    arch->tss.io_map = sizeof(struct x86_tss);
}

static void load_tables(struct arch_cpu *arch)
{
    struct descriptor_pointer gdt = {sizeof(arch->gdt) - 1, (u64)arch->gdt};
    struct descriptor_pointer vectors_pointer = {sizeof(idt) - 1, (u64)idt};

    __asm__ volatile("lgdt %0\n"
                     "pushq %1\n"
                     "leaq 1f(%%rip), %%rax\n"
                     "pushq %%rax\n"
                     "lretq\n"
                     "1: movl %2, %%eax\n"
                     "movl %%eax, %%ss\n"
                     "xorl %%eax, %%eax\n"
                     "movl %%eax, %%ds\n"
                     "movl %%eax, %%es\n"
                     "movl %%eax, %%fs\n" /* GS holds our base: not touched */
                     "ltr %w3\n"
                     "lidt %4\n"
                     :
                     : "m"(gdt), "i"(KERNEL_CS), "i"(KERNEL_DS), "r"(TSS_SEL), "m"(vectors_pointer)
                     : "rax", "memory");
}

static void system_calls_init(void)
{
    /* sysret takes CS from the upper field + 16 and SS from it + 8. */
    wrmsr(MSR_STAR, (u64)(USER_DS - 8) << 48 | (u64)KERNEL_CS << 32);
    wrmsr(MSR_LSTAR, (u64)syscall_entry);
    /* On entry: clear TF IF DF OF IOPL NT RF AC and the arithmetic flags. */
    wrmsr(MSR_SYSCALL_MASK, 0x57fd5);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
}

static void protection_init(void)
{
    u64 cr4 = read_cr4() | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    cr4 |= x86.smep ? CR4_SMEP : 0;
    cr4 |= x86.smap ? CR4_SMAP : 0;
    cr4 |= x86.umip ? CR4_UMIP : 0;
    cr4 |= x86.mce ? CR4_MCE : 0;
    cr4 |= x86.fsgsbase ? CR4_FSGSBASE : 0;
    cr4 |= x86.xsave ? CR4_OSXSAVE : 0;
    write_cr4(cr4);
}

void arch_cpu_init(struct cpu *cpu)
{
    bool boot = cpu == &boot_cpu;

    if (boot) {
        cpu->arch = &boot_arch_cpu;
        cpu->arch->ist_stacks = boot_ist_stacks;
        cpu->kernel_stack = (vaddr_t)boot_stack + KERNEL_STACK_SIZE;
        idt_init();
        fpu_init();
    }
    cpu->arch->timer_deadline = UINT64_MAX;
    gdt_init(cpu);
    tss_init(cpu);
    load_tables(cpu->arch);
    system_calls_init();
    protection_init();
    fpu_cpu_init();
    if (!boot) {
        lapic_cpu_init();
        timer_cpu_init();
        cpu->hardware_id = lapic_id();
    }
}

/* ---- randomness ------------------------------------------------------------------------------------------ */

bool arch_random(u64 *out)
{
    bool done = false;

    for (unsigned tries = 0; tries < 10 && !done && x86.rdseed; tries++)
        __asm__ volatile("rdseed %0" : "=r"(*out), "=@ccc"(done));
    for (unsigned tries = 0; tries < 10 && !done && x86.rdrand; tries++)
        __asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(done));
    return done;
}

/* ---- telling user space ------------------------------------------------------------------------------------- */

u64 arch_hwcap(void)
{
    return cpuid(1, 0).edx;
}

u64 arch_hwcap2(void)
{
    return x86.fsgsbase ? 2 : 0; /* HWCAP2_FSGSBASE */
}

void arch_icache_sync(void)
{
    /* Instruction fetch is coherent; the return to user mode serialises. */
}

void arch_halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt" : : : "memory");
}
