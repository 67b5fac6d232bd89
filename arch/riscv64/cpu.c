/* SPDX-License-Identifier: MIT */
/*
 * What a hart is and has: extensions, from the device tree's riscv,isa, and the floating-point
 * registers.
 *
 * Floating-point state is lazy on the way in and eager on the way back. A program starts with the
 * unit off (sstatus.FS = 0); its first use traps, and from then on (arch.fpu_used) its registers
 * are saved when it is switched away with FS dirty, and loaded when it is switched to, unless the
 * hart still holds them: fpu_owner and fpu_cpu must point at each other.
 */
#include "machine.h"
#include <asm/hwcap.h>
#include <vellum/process.h>
#include <vellum/seq_file.h>
#include <vellum/string.h>

#define ISA_MAX 256

static char isa_common[ISA_MAX]; /* [i] the boot hart's string */
static u32 isa_letters; /* [i] single-letter extensions that every hart has, bit = letter - 'a' */
static bool isa_sstc;   /* [i] all harts have it */

/* ---- extensions -------------------------------------------------------------------------------- */

/* riscv,isa is "rv64" + single letters + "_name"...: letters end at the first '_'; a letter such as z,
 * s or x would begin a name, in older strings without the '_'. */
static u32 letters_of(const char *isa)
{
    u32 letters = 0;

    if (strncmp(isa, "rv64", 4) != 0)
        return 0;
    for (isa += 4; *isa >= 'a' && *isa <= 'z'; isa++) {
        if (*isa == 'z' || *isa == 'x' || (*isa == 's' && isa[1] != '_' && isa[1] != 0))
            break;
        if (*isa == 'g')
            letters |= 1u << ('i' - 'a') | 1u << ('m' - 'a') | 1u << 0 | 1u << ('f' - 'a') |
                       1u << ('d' - 'a');
        letters |= 1u << (*isa - 'a');
    }
    return letters;
}

static bool names_extension(const char *isa, const char *name)
{
    size_t length = strlen(name);

    while ((isa = strchr(isa, '_'))) {
        isa++;
        if (strncmp(isa, name, length) == 0 && (isa[length] == '_' || isa[length] == 0))
            return true;
    }
    return false;
}

static const char *isa_of(int node)
{
    const char *isa = fdt_string(&device_tree, node, "riscv,isa");

    return isa ? isa : "rv64imac";
}

void __init isa_discover(void)
{
    int cpu_nodes = fdt_find_path(&device_tree, "/cpus"), node;
    bool first = true;

    for (node = fdt_first_child(&device_tree, cpu_nodes); node != FDT_NONE;
         node = fdt_next_sibling(&device_tree, node)) {
        const char *isa = isa_of(node), *type = fdt_string(&device_tree, node, "device_type");

        if (!type || strcmp(type, "cpu") != 0 || !fdt_is_enabled(&device_tree, node))
            continue;
        if (first) {
            strlcpy(isa_common, isa, sizeof(isa_common));
            isa_letters = letters_of(isa);
            isa_sstc = names_extension(isa, "sstc");
        }
        isa_letters &= letters_of(isa);
        isa_sstc &= names_extension(isa, "sstc");
        first = false;
    }
}

bool isa_has(const char *extension)
{
    if (extension[1] == 0)
        return isa_letters >> (extension[0] - 'a') & 1;
    if (strcmp(extension, "sstc") == 0)
        return isa_sstc;
    return names_extension(isa_common, extension);
}

u64 arch_hwcap(void)
{
    return isa_letters & (COMPAT_HWCAP_ISA_I | COMPAT_HWCAP_ISA_M | COMPAT_HWCAP_ISA_A |
                          COMPAT_HWCAP_ISA_F | COMPAT_HWCAP_ISA_D | COMPAT_HWCAP_ISA_C);
}

u64 arch_hwcap2(void)
{
    return 0;
}

void arch_show_cpuinfo(struct seq_file *m, struct cpu *cpu)
{
    const char *model = fdt_string(&device_tree, cpu->arch->node, "compatible");

    seq_printf(m, "processor\t: %u\nhart\t\t: %lu\nisa\t\t: %s\nmmu\t\t: sv39\n", cpu->id,
               (unsigned long)cpu->hardware_id, isa_of(cpu->arch->node));
    if (model && strcmp(model, "riscv") != 0)
        seq_printf(m, "uarch\t\t: %s\n", model);
    seq_putc(m, '\n');
}

/* ---- a processor's registers ----------------------------------------------------------------------- */

void arch_cpu_init(struct cpu *cpu)
{
    csr_clear(sstatus, SR_FS | SR_SUM | SR_SPP | SR_SIE);
    csr_set(sstatus, SR_SPIE);
    csr_write(scounteren, 7); /* user mode may read cycle, time and instret */
    csr_set(sie, SIE_SSIE | SIE_SEIE);
    timer_cpu_init();
    irq_cpu_init(cpu);
}

void arch_halt(void)
{
    csr_write(sie, 0);
    irq_disable();
    for (;;)
        __asm__ volatile("wfi");
}

/* ---- floating point ----------------------------------------------------------------------------------- */

static void fpu_state(unsigned long fs)
{
    csr_clear(sstatus, SR_FS);
    csr_set(sstatus, fs);
}

/* => interrupts off */
static void fpu_own(struct thread *thread)
{
    struct cpu *cpu = thread->cpu;

    cpu->arch->fpu_owner = thread;
    thread->arch.fpu_cpu = cpu->id + 1;
    fpu_state(SR_FS_CLEAN);
}

void fpu_save_current(void)
{
    unsigned long flags = irq_save();

    if ((csr_read(sstatus) & SR_FS) == SR_FS_DIRTY) {
        fpu_save(&current->arch.fpu);
        fpu_state(SR_FS_CLEAN);
    }
    irq_restore(flags);
}

/* In one go: a switch in between would save the old registers over the new ones. */
void fpu_replace_current(const struct __riscv_d_ext_state *state)
{
    unsigned long flags = irq_save();

    current->arch.fpu = *state;
    current->arch.fpu_used = true;
    fpu_state(SR_FS_INITIAL);
    fpu_load(&current->arch.fpu);
    fpu_own(current);
    irq_restore(flags);
}

void fpu_init_state(void)
{
    static const struct __riscv_d_ext_state zeros;

    fpu_replace_current(&zeros);
}

void fpu_forget_current(void)
{
    unsigned long flags = irq_save();

    current->arch.fpu_used = false;
    current->arch.fpu_cpu = 0;
    fpu_state(0);
    irq_restore(flags);
}

/* From arch_switch(), if prev or next uses floating point. next->cpu is this CPU. */
void fpu_switch(struct thread *prev, struct thread *next)
{
    struct cpu *cpu = next->cpu;

    if ((csr_read(sstatus) & SR_FS) == SR_FS_DIRTY)
        fpu_save(&prev->arch.fpu);
    if (!next->arch.fpu_used) {
        fpu_state(0);
        return;
    }
    if (cpu->arch->fpu_owner != next || next->arch.fpu_cpu != cpu->id + 1) {
        fpu_state(SR_FS_INITIAL);
        fpu_load(&next->arch.fpu);
    }
    fpu_own(next);
}
