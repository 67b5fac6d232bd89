/* SPDX-License-Identifier: MIT */
/*
 * What a PC has that announces itself nowhere else: UARTs at their usual ports, and the way to PCI's
 * configuration space.
 */
#include <arch/x86.h>
#include <vellum/alloc.h>
#include <vellum/device.h>
#include <vellum/error.h>
#include <vellum/printk.h>
#include <vellum/sync.h>

/* ---- serial ports ---------------------------------------------------------------------------------- */

static u8 uart_read(struct uart_port *port, unsigned reg)
{
    return in8((u16)(port->base + reg));
}

static void uart_write(struct uart_port *port, unsigned reg, u8 value)
{
    out8((u16)(port->base + reg), value);
}

static const struct {
    u16 port;
    u8 irq;
} usual_uarts[] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};

static struct uart_port uarts[ARRAY_SIZE(usual_uarts)];

/* The scratch register keeps what is written to it. */
static bool uart_is_there(struct uart_port *port)
{
    static const u8 patterns[] = {0x5a, 0xa5};

    for (unsigned i = 0; i < ARRAY_SIZE(patterns); i++) {
        uart_write(port, 7, patterns[i]);
        if (uart_read(port, 7) != patterns[i])
            return false;
    }
    return true;
}

static void uart_setup(unsigned i)
{
    uarts[i].read = uart_read;
    uarts[i].write = uart_write;
    uarts[i].base = usual_uarts[i].port;
}

__init void early_console(void)
{
    uart_setup(0);
    if (uart_is_there(&uarts[0]))
        uart_early_console(&uarts[0]);
}

static __init void find_uarts(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(usual_uarts); i++) {
        struct uart_port *port = &uarts[i];

        uart_setup(i);
        if (!uart_is_there(port))
            continue;
        port->irq = isa_irq_to_gsi(usual_uarts[i].irq, &port->irq_level, &port->irq_active_low);
        uart_add(port);
    }
}

/* ---- PCI ------------------------------------------------------------------------------------------------ */

/*
 * The first 256 bytes of each function's configuration space are reached through two ports, the
 * others (of PCI Express) in memory, at an address that ACPI's MCFG gives. That would take 256 MiB of
 * addresses: a bus is mapped when it is first looked at beyond 256 bytes.
 */
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc

static DEFINE_SPINLOCK(config_lock); /* address and data belong together */
static u8 *ecam_buses[256];          /* [a] appear and stay */

static volatile u8 *ecam(unsigned bus, unsigned devfn, unsigned offset)
{
    u8 *mapped, *none = NULL;

    if (!acpi.ecam_address || bus < acpi.ecam_first_bus || bus > acpi.ecam_last_bus ||
        offset >= PAGE_SIZE)
        return NULL;
    mapped = __atomic_load_n(&ecam_buses[bus], __ATOMIC_ACQUIRE);
    if (!mapped) {
        mapped = vmap_device(acpi.ecam_address + ((u64)bus << 20), 1 << 20);
        if (!mapped)
            return NULL;
        if (!__atomic_compare_exchange_n(&ecam_buses[bus], &none, mapped, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE))
            mapped = none; /* somebody else was faster */
    }
    return mapped + ((devfn & 0xff) << 12) + offset;
}

static void select(unsigned bus, unsigned devfn, unsigned offset)
{
    out32(CONFIG_ADDRESS, 0x80000000 | (bus & 0xff) << 16 | (devfn & 0xff) << 8 | (offset & 0xfc));
}

static u32 config_read(struct pci_host *host, unsigned bus, unsigned devfn, unsigned offset,
                       unsigned size)
{
    u16 port = (u16)(CONFIG_DATA + (offset & 3));
    unsigned long flags;
    u32 value;

    if (offset >= 256) {
        volatile u8 *p = ecam(bus, devfn, offset);

        if (!p)
            return 0xffffffff >> (32 - 8 * size);
        return size == 1 ? *p : size == 2 ? *(volatile u16 *)p : *(volatile u32 *)p;
    }
    flags = spin_lock_irqsave(&config_lock);
    select(bus, devfn, offset);
    value = size == 1 ? in8(port) : size == 2 ? in16(port) : in32(port);
    spin_unlock_irqrestore(&config_lock, flags);
    return value;
}

static void config_write(struct pci_host *host, unsigned bus, unsigned devfn, unsigned offset,
                         unsigned size, u32 value)
{
    u16 port = (u16)(CONFIG_DATA + (offset & 3));
    unsigned long flags;

    if (offset >= 256) {
        volatile u8 *p = ecam(bus, devfn, offset);

        if (p && size == 1)
            *p = (u8)value;
        else if (p && size == 2)
            *(volatile u16 *)p = (u16)value;
        else if (p)
            *(volatile u32 *)p = value;
        return;
    }
    flags = spin_lock_irqsave(&config_lock);
    select(bus, devfn, offset);
    if (size == 1)
        out8(port, (u8)value);
    else if (size == 2)
        out16(port, (u16)value);
    else
        out32(port, value);
    spin_unlock_irqrestore(&config_lock, flags);
}

/*
 * Where a device's interrupt pin leads is in ACPI's _PRT, which takes an interpreter to read. The two
 * chipsets that QEMU has are wired as their data sheets say; elsewhere devices must send messages.
 *
 * ICH9 (q35): pins of slots 0 to 24 of bus 0 rotate over PIRQ E to H, which are inputs 20 to 23.
 * PIIX3 (pc): they rotate over PIRQ A to D, which the bridge leads to ISA lines of its choice.
 */
#define HOST_Q35    0x29c08086
#define HOST_I440FX 0x12378086
#define PIIX3       0x70008086

static int intx_line(struct pci_host *host, unsigned bus, unsigned devfn, unsigned pin)
{
    u32 chipset = config_read(host, 0, 0, 0, 4);
    unsigned slot = devfn >> 3;
    u32 line;

    if (bus != 0 || pin < 1 || pin > 4)
        return -ENODEV;
    if (chipset == HOST_Q35 && slot < 25)
        return 20 + (int)((slot + pin - 1) & 3);
    if (chipset == HOST_I440FX && config_read(host, 0, 1 << 3, 0, 4) == PIIX3) {
        line = config_read(host, 0, 1 << 3, 0x60 + ((slot + pin - 2) & 3), 1);
        return line & 0x80 ? -ENODEV : (int)acpi.isa[line & 15].gsi;
    }
    return -ENODEV;
}

static struct pci_host pci_host = {
    .config_read = config_read,
    .config_write = config_write,
    .bus_last = 255,
    .intx_line = intx_line,
    .msi = true,
};

static __init void find_pci(void)
{
    u32 saved = in32(CONFIG_ADDRESS);
    bool there;

    out32(CONFIG_ADDRESS, 0x80000000);
    there = in32(CONFIG_ADDRESS) == 0x80000000;
    out32(CONFIG_ADDRESS, saved);
    if (there)
        pci_host_add(&pci_host);
}

__init void arch_devices_init(void)
{
    power_init();
    find_uarts();
    find_pci();
}
