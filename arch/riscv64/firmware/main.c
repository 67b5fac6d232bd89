/* SPDX-License-Identifier: MIT */
/*
 * Machine mode, set up: every exception and interrupt that supervisor mode can handle is delegated
 * to it; what is left here are its calls, and the CLINT's two interrupts, which only machine mode
 * gets: the software interrupt is another hart's request, and the timer is passed on as STIP.
 */
#include "firmware.h"
#include <arch/csr.h>
#include <vellum/error.h>
#include <vellum/fdt.h>

#define FDT_LIMIT            (4UL << 20)
#define CLINT_COMPARE        0x4000
#define MENVCFG              "0x30a"
#define MENVCFG_STCE         (1UL << 63)
#define DELEGATED_EXCEPTIONS 0xb1ff /* all but calls from supervisor and machine mode */
#define DELEGATED_INTERRUPTS 0x222
#define PMP_NAPOT            0x18
#define PMP_RWX              0x07

extern u32 ready;
extern char firmware_start[], kernel_start[];

struct hart harts[MAX_HARTS];
static bool all_have_sstc; /* [i] */
static struct {
    volatile u32 *at; /* [i] NULL: there is none */
    u32 value;
} poweroff, reboot;

/* ---- what the device tree says ------------------------------------------------------------------ */

/* The hart whose interrupt controller has this phandle, or MAX_HARTS. */
static u64 hart_of_controller(const struct fdt *fdt, u32 phandle)
{
    int cpu = fdt_parent(fdt, fdt_find_phandle(fdt, phandle));
    u64 hart = fdt_number(fdt, cpu, "reg", MAX_HARTS);

    return hart < MAX_HARTS ? hart : MAX_HARTS;
}

/* interrupts-extended of a CLINT: for each hart (controller, 3), (controller, 7). */
static void find_clint(const struct fdt *fdt, int node)
{
    u64 base, size, hart;
    u32 phandle;

    if (!fdt_reg(fdt, node, 0, &base, &size))
        return;
    for (unsigned i = 0; (phandle = fdt_cell(fdt, node, "interrupts-extended", 4 * i, 0)); i++) {
        hart = hart_of_controller(fdt, phandle);
        if (hart == MAX_HARTS)
            continue;
        harts[hart].software = (volatile u32 *)(base + 4 * i);
        harts[hart].compare = (volatile u64 *)(base + CLINT_COMPARE + 8 * i);
        harts[hart].state = HART_STOPPED;
    }
}

static void find_syscon(const struct fdt *fdt, const char *compatible, volatile u32 **at,
                        u32 *value)
{
    int node = fdt_find_compatible(fdt, FDT_NONE, compatible);
    int registers = fdt_find_phandle(fdt, fdt_cell(fdt, node, "regmap", 0, 0));
    u64 base, size;

    if (node == FDT_NONE || registers == FDT_NONE || !fdt_reg(fdt, registers, 0, &base, &size))
        return;
    *value = fdt_cell(fdt, node, "value", 0, 0);
    *at = (volatile u32 *)(base + fdt_cell(fdt, node, "offset", 0, 0));
}

static bool has_extension(const char *isa, const char *name)
{
    for (; *isa; isa++) {
        unsigned i = 0;

        while (name[i] && isa[i] == name[i])
            i++;
        if (!name[i] && (isa[i] == '_' || isa[i] == 0))
            return true;
    }
    return false;
}

static void find_extensions(const struct fdt *fdt)
{
    int node = fdt_first_child(fdt, fdt_find_path(fdt, "/cpus"));

    all_have_sstc = true;
    for (; node != FDT_NONE; node = fdt_next_sibling(fdt, node)) {
        const char *isa = fdt_string(fdt, node, "riscv,isa");

        if (isa && !has_extension(isa, "_sstc"))
            all_have_sstc = false;
    }
}

/* ---- each hart ------------------------------------------------------------------------------------ */

static void hart_init(struct hart *h)
{
    csr_write(medeleg, DELEGATED_EXCEPTIONS);
    csr_write(mideleg, DELEGATED_INTERRUPTS);
    csr_write(mcounteren, 7); /* cycle, time, instret */
    if (all_have_sstc)
        __asm__ volatile("csrs " MENVCFG ", %0" : : "r"(MENVCFG_STCE));
    /* Entry 0: our own memory, for nobody. Entry 1: the rest, for all. */
    csr_write(pmpaddr0, ((u64)firmware_start | (FIRMWARE_SIZE / 2 - 1)) >> 2);
    csr_write(pmpaddr1, UINT64_MAX >> 10);
    csr_write(pmpcfg0, (PMP_NAPOT | PMP_RWX) << 8 | PMP_NAPOT);
    *h->compare = UINT64_MAX;
    csr_write(mie, MIE_MSIE);
}

void firmware_main(u64 hart, const void *blob)
{
    int node = FDT_NONE;
    struct fdt fdt;

    if (fdt_open(&fdt, blob, FDT_LIMIT) != 0)
        park();
    while ((node = fdt_find_compatible(&fdt, node, "sifive,clint0")) != FDT_NONE)
        find_clint(&fdt, node);
    find_extensions(&fdt);
    find_syscon(&fdt, "syscon-poweroff", &poweroff.at, &poweroff.value);
    find_syscon(&fdt, "syscon-reboot", &reboot.at, &reboot.value);
    if (!harts[hart].software)
        park();
    harts[hart].state = HART_STARTED;
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    hart_init(&harts[hart]);
    enter_supervisor(hart, (u64)blob, (u64)kernel_start);
}

/* Until the kernel starts this hart (again). Interrupts are off, but wake wfi. */
void firmware_wait(u64 hart)
{
    struct hart *h = &harts[hart];

    if (!h->software)
        park();
    hart_init(h);
    while (__atomic_load_n(&h->state, __ATOMIC_ACQUIRE) != HART_START_PENDING) {
        __asm__ volatile("wfi");
        *h->software = 0;
    }
    __atomic_store_n(&h->state, HART_STARTED, __ATOMIC_RELEASE);
    enter_supervisor(hart, h->argument, h->start);
}

/* ---- traps ------------------------------------------------------------------------------------------ */

static void software_interrupt(struct hart *h)
{
    *h->software = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_exchange_n(&h->ipi, 0, __ATOMIC_ACQ_REL))
        csr_set(mip, SIE_SSIE);
    serve_fences(h);
}

void firmware_trap(struct registers *r, u64 cause, u64 hart)
{
    struct hart *h = &harts[hart];

    switch (cause) {
    case CAUSE_INTERRUPT | 3:
        software_interrupt(h);
        return;
    case CAUSE_INTERRUPT | 7:
        csr_clear(mie, MIE_MTIE);
        csr_set(mip, SIE_STIE);
        return;
    case CAUSE_SUPERVISOR_CALL:
        csr_write(mepc, csr_read(mepc) + 4);
        sbi_handle(r, hart);
        return;
    }
    firmware_reset(0); /* a fault of our own */
    park();
}

/* Returns only if the machine has no such switch. */
void firmware_reset(u64 type)
{
    if (type == 0 && poweroff.at)
        *poweroff.at = poweroff.value;
    else if (type != 0 && reboot.at)
        *reboot.at = reboot.value;
}
