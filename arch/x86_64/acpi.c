/* SPDX-License-Identifier: MIT */
/*
 * What the firmware's ACPI tables say (ACPI specification 6.4, chapters 5 and 15): processors,
 * interrupt controllers, timers, how to switch off. All of it is read once, on the first page
 * table, which maps physical memory below 4 GiB, and kept in `acpi`.
 *
 * Tables are not trusted: each must lie in mapped memory and have the right checksum, and no
 * entry is read beyond its table's end. There is no interpreter for AML: of the DSDT only the package
 * \_S5 is looked for, which in practice is always a list of small constants.
 */
#include <arch/x86.h>
#include <vellum/printk.h>
#include <vellum/string.h>

struct acpi_info acpi;

struct rsdp {
    char signature[8];
    u8 checksum;
    char oem[6];
    u8 revision;
    u32 rsdt, length;
    u64 xsdt;
    u8 extended_checksum, reserved[3];
} __packed;

struct table {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem[6], oem_table[8];
    u32 oem_revision, creator, creator_revision;
    u8 data[];
} __packed;

struct fadt {
    struct table header;
    u32 firmware_control, dsdt;
    u8 reserved1, profile;
    u16 sci_interrupt;
    u32 smi_command;
    u8 acpi_enable, acpi_disable, s4bios, pstate;
    u32 pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0, gpe1;
    u8 pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length;
    u8 gpe0_length, gpe1_length, gpe1_base, cst;
    u16 c2_latency, c3_latency, flush_size, flush_stride;
    u8 duty_offset, duty_width, day_alarm, month_alarm, century;
    u16 boot_flags;
    u8 reserved2;
    u32 flags;
    struct acpi_gas reset;
    u8 reset_value;
    u16 arm_flags;
    u8 minor;
    u64 x_firmware_control, x_dsdt;
    struct acpi_gas x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control, x_pm2_control;
    struct acpi_gas x_pm_timer, x_gpe0, x_gpe1, sleep_control, sleep_status;
} __packed;

enum { FADT_TIMER_32 = 1 << 8, FADT_RESET = 1 << 10, FADT_HARDWARE_REDUCED = 1 << 20 };

/* ---- reach ------------------------------------------------------------------------------------------ */

static __init bool sum_is_zero(const void *p, size_t size)
{
    const u8 *byte = p;
    u8 sum = 0;

    while (size--)
        sum = (u8)(sum + *byte++);
    return sum == 0;
}

static __init const void *mapped(paddr_t p, u64 size)
{
    return p && p < BOOT_MAPPED && size <= BOOT_MAPPED - p ? phys_to_virt(p) : NULL;
}

static __init const struct table *table_at(paddr_t p)
{
    const struct table *t = mapped(p, sizeof(*t));

    if (!t || t->length < sizeof(*t) || !mapped(p, t->length))
        return NULL;
    if (!sum_is_zero(t, t->length)) {
        pr_warn("acpi: table %.4s has a wrong checksum", t->signature);
        return NULL;
    }
    return t;
}

static __init bool rsdp_valid(const struct rsdp *r)
{
    return r && memcmp(r->signature, "RSD PTR ", 8) == 0 && sum_is_zero(r, 20);
}

/* A loader that does not tell where it is leaves the firmware's area to be searched. */
static __init const struct rsdp *find_rsdp(paddr_t hint)
{
    const struct rsdp *r = mapped(hint, sizeof(*r));

    if (rsdp_valid(r))
        return r;
    for (paddr_t p = 0xe0000; p < 0x100000; p += 16)
        if (rsdp_valid(phys_to_virt(p)))
            return phys_to_virt(p);
    return NULL;
}

/* A table need not be as long as this version of its structure: what is missing reads as 0. */
static __init void read_table(void *to, size_t size, const struct table *from)
{
    memset(to, 0, size);
    memcpy(to, from, min_t(size_t, size, from->length));
}

/* ---- processors and interrupt controllers -------------------------------------------------------------- */

static __init void add_processor(u32 apic_id, u32 flags)
{
    if (!(flags & 1)) /* not usable (hot-plug slots) */
        return;
    if (acpi.cpu_count < MAX_CPUS)
        acpi.apic_ids[acpi.cpu_count++] = apic_id;
    else
        acpi.cpus_ignored++;
}

static __init void add_ioapic(u8 id, u32 address, u32 gsi_base)
{
    if (acpi.ioapic_count == ARRAY_SIZE(acpi.ioapics)) {
        pr_warn("acpi: too many IO-APICs, the one for line %u is left out", gsi_base);
        return;
    }
    acpi.ioapics[acpi.ioapic_count++] =
        (struct ioapic){.id = id, .address = address, .gsi_base = gsi_base};
}

static __init void add_override(u8 irq, u32 gsi, u16 flags)
{
    if (irq >= ARRAY_SIZE(acpi.isa))
        return;
    acpi.isa[irq].gsi = gsi;
    acpi.isa[irq].low = (flags & 3) == 3;
    acpi.isa[irq].level = (flags >> 2 & 3) == 3;
}

static __init u32 get32(const u8 *p)
{
    u32 v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static __init void madt_entry(const u8 *e)
{
    static const u8 lengths[] = {8, 12, 10, 0, 0, 12, 0, 0, 0, 16};

    if (e[0] >= sizeof(lengths) || e[1] < lengths[e[0]])
        return;
    switch (e[0]) {
    case 0: /* local APIC */
        add_processor(e[3], get32(e + 4));
        break;
    case 1:
        add_ioapic(e[2], get32(e + 4), get32(e + 8));
        break;
    case 2:
        add_override(e[3], get32(e + 4), (u16)(e[8] | e[9] << 8));
        break;
    case 5: /* 64-bit address of the local APIC; it must be reachable by a 32-bit one here */
        if (get32(e + 8) == 0)
            acpi.lapic_address = get32(e + 4);
        break;
    case 9: /* local x2APIC */
        if (x86.x2apic)
            add_processor(get32(e + 4), get32(e + 8));
        break;
    }
}

static __init void read_madt(const struct table *t)
{
    const u8 *end = (const u8 *)t + t->length, *e = t->data + 8;

    if (t->length < sizeof(*t) + 8)
        return;
    acpi.lapic_address = get32(t->data);
    for (; e + 2 <= end && e[1] >= 2 && e + e[1] <= end; e += e[1])
        madt_entry(e);
}

/* ---- power ------------------------------------------------------------------------------------------------ */

/* A constant of AML: its value, and *p behind it. -1 if it is something else. */
static __init int aml_constant(const u8 **p, const u8 *end)
{
    if (*p >= end)
        return -1;
    switch (*(*p)++) {
    case 0x00: /* ZeroOp */
        return 0;
    case 0x01: /* OneOp */
        return 1;
    case 0x0a: /* BytePrefix */
        return *p < end ? *(*p)++ : -1;
    case 0x0b: /* WordPrefix */
        *p += 2;
        return *p <= end ? (*p)[-2] : -1;
    case 0x0c: /* DWordPrefix */
        *p += 4;
        return *p <= end ? (*p)[-4] : -1;
    default:
        return -1;
    }
}

/* Name (\_S5, Package () { SLP_TYPa, SLP_TYPb, ... }) */
static __init void read_dsdt(const struct table *t)
{
    const u8 *end = (const u8 *)t + t->length;

    for (const u8 *p = t->data; p + 8 < end; p++) {
        const u8 *q = p + 4;
        int a, b;

        if (memcmp(p, "_S5_", 4) != 0 || *q++ != 0x12 /* PackageOp */)
            continue;
        q += 1 + (*q >> 6); /* length of the package, in 1 to 4 bytes */
        if (q >= end || *q++ < 2)
            continue;
        a = aml_constant(&q, end);
        b = aml_constant(&q, end);
        if (a < 0 || b < 0)
            continue;
        acpi.sleep_a = (u8)a;
        acpi.sleep_b = (u8)b;
        acpi.sleep_known = true;
        return;
    }
}

static __init void read_fadt(const struct table *t)
{
    struct fadt f;
    const struct table *dsdt;

    read_table(&f, sizeof(f), t);
    acpi.hardware_reduced = f.flags & FADT_HARDWARE_REDUCED;
    if (!acpi.hardware_reduced) {
        acpi.pm1a_control = (u16)f.pm1a_control;
        acpi.pm1b_control = (u16)f.pm1b_control;
        acpi.pm_timer_port = f.pm_timer_length == 4 ? (u16)f.pm_timer : 0;
        acpi.pm_timer_32 = f.flags & FADT_TIMER_32;
    }
    acpi.sleep_control = f.sleep_control;
    acpi.reset_known = f.flags & FADT_RESET;
    acpi.reset = f.reset;
    acpi.reset_value = f.reset_value;
    acpi.rtc_century = f.century;
    dsdt = table_at(f.x_dsdt ? f.x_dsdt : f.dsdt);
    if (dsdt)
        read_dsdt(dsdt);
}

/* ---- the rest ------------------------------------------------------------------------------------------------ */

static __init void read_hpet(const struct table *t)
{
    if (t->length >= sizeof(*t) + 16 && t->data[4] == 0) /* in memory, not ports */
        memcpy(&acpi.hpet_address, t->data + 8, 8);
}

/* The first segment of PCI Express configuration space. */
static __init void read_mcfg(const struct table *t)
{
    if (t->length < sizeof(*t) + 24 || t->data[16] || t->data[17])
        return;
    memcpy(&acpi.ecam_address, t->data + 8, 8);
    acpi.ecam_first_bus = t->data[18];
    acpi.ecam_last_bus = t->data[19];
}

static __init void read_any(paddr_t address)
{
    static const struct {
        char signature[5];
        void (*read)(const struct table *t);
    } readers[] = {
        {"APIC", read_madt},
        {"FACP", read_fadt},
        {"HPET", read_hpet},
        {"MCFG", read_mcfg},
    };
    const struct table *t = table_at(address);

    for (unsigned i = 0; t && i < ARRAY_SIZE(readers); i++)
        if (memcmp(t->signature, readers[i].signature, 4) == 0)
            readers[i].read(t);
}

static __init void read_root(const struct table *root, unsigned entry_size)
{
    for (u32 at = sizeof(*root); at + entry_size <= root->length; at += entry_size) {
        u64 address = 0;

        memcpy(&address, (const u8 *)root + at, entry_size);
        read_any(address);
    }
}

__init void acpi_init(paddr_t hint)
{
    const struct rsdp *rsdp = find_rsdp(hint);
    const struct table *root = NULL;

    acpi.lapic_address = 0xfee00000;
    for (unsigned i = 0; i < ARRAY_SIZE(acpi.isa); i++)
        acpi.isa[i].gsi = i;
    if (rsdp && rsdp->revision >= 2 && (root = table_at(rsdp->xsdt)))
        read_root(root, 8);
    else if (rsdp && (root = table_at(rsdp->rsdt)))
        read_root(root, 4);
    acpi.found = root != NULL;
    if (!acpi.found)
        pr_warn("acpi: no tables; one processor, no way to switch off");
    if (acpi.cpus_ignored)
        pr_warn("acpi: %u processors beyond %u are not used", acpi.cpus_ignored, MAX_CPUS);
}
