/* SPDX-License-Identifier: MIT */
/*
 * Devices that the device tree names: UARTs, PCI hosts, the clock.
 */
#include "machine.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/printk.h>
#include <vellum/string.h>

/* ---- UARTs -------------------------------------------------------------------------------------- */

static struct uart_port early_port;
static int early_node = FDT_NONE;
paddr_t early_uart_registers;

static u8 uart_read(struct uart_port *port, unsigned reg)
{
    return *(volatile u8 *)(port->base + ((u64)reg << port->shift));
}

static void uart_write(struct uart_port *port, unsigned reg, u8 value)
{
    *(volatile u8 *)(port->base + ((u64)reg << port->shift)) = value;
}

static int next_uart(int node)
{
    do
        node = fdt_next(&device_tree, node);
    while (node != FDT_NONE && !((fdt_is_compatible(&device_tree, node, "ns16550a") ||
                                  fdt_is_compatible(&device_tree, node, "ns16550")) &&
                                 fdt_is_enabled(&device_tree, node)));
    return node;
}

/* Fill in all but the base: the physical address of the registers is returned, 0 if unknown. */
static paddr_t uart_describe(int node, struct uart_port *port)
{
    paddr_t registers;
    u64 size;

    if (!fdt_reg(&device_tree, node, 0, &registers, &size))
        return 0;
    *port = (struct uart_port){
        .read = uart_read,
        .write = uart_write,
        .shift = fdt_cell(&device_tree, node, "reg-shift", 0, 0),
        .irq = fdt_cell(&device_tree, node, "interrupts", 0, 0),
        .irq_level = true,
        .clock_hz = fdt_cell(&device_tree, node, "clock-frequency", 0, 0),
    };
    return registers + fdt_cell(&device_tree, node, "reg-offset", 0, 0);
}

void early_uart_init(void)
{
    const char *path =
        fdt_string(&device_tree, fdt_find_path(&device_tree, "/chosen"), "stdout-path");
    paddr_t registers;

    early_node = path ? fdt_find_path(&device_tree, path) : FDT_NONE;
    if (early_node == FDT_NONE || !fdt_is_compatible(&device_tree, early_node, "ns16550a"))
        early_node = next_uart(FDT_NONE);
    if (early_node == FDT_NONE)
        return;
    registers = uart_describe(early_node, &early_port);
    if (registers == 0 || registers >= DIRECT_MAP_SIZE)
        return;
    early_uart_registers = ALIGN_DOWN(registers, PAGE_SIZE);
    early_port.base = (vaddr_t)phys_to_virt(registers);
    uart_early_console(&early_port);
}

void early_uart_map(vaddr_t va)
{
    early_port.base = va + early_port.base % PAGE_SIZE;
}

static void add_uarts(void)
{
    int node = FDT_NONE;

    if (early_uart_registers)
        uart_add(&early_port);
    while ((node = next_uart(node)) != FDT_NONE) {
        struct uart_port *port;
        paddr_t registers;

        if (node == early_node)
            continue;
        port = kzalloc(sizeof(*port), ALLOC_KERNEL);
        registers = port ? uart_describe(node, port) : 0;
        if (registers)
            port->base = (vaddr_t)vmap_device(registers, 8u << port->shift);
        if (registers && port->base)
            uart_add(port);
        else
            kfree(port);
    }
}

/* ---- PCI: configuration space as memory (ECAM), 1 MiB for each bus ----------------------------------- */

#define BUS_SHIFT 20
#define BUSES     256

struct ecam {
    struct pci_host host;
    int node;
    paddr_t base;
    unsigned first;
    void *bus[BUSES]; /* mapped when first looked at */
};

static volatile u8 *ecam_register(struct pci_host *host, unsigned bus, unsigned devfn,
                                  unsigned offset)
{
    struct ecam *e = container_of(host, struct ecam, host);

    if (bus < host->bus_first || bus > host->bus_last || devfn > 255 || offset > 4095)
        return NULL;
    if (!e->bus[bus])
        e->bus[bus] = vmap_device(e->base + ((u64)(bus - e->first) << BUS_SHIFT), 1UL << BUS_SHIFT);
    return e->bus[bus] ? (u8 *)e->bus[bus] + (devfn << 12) + offset : NULL;
}

static u32 ecam_read(struct pci_host *host, unsigned bus, unsigned devfn, unsigned offset,
                     unsigned size)
{
    volatile u8 *at = ecam_register(host, bus, devfn, offset);

    if (!at)
        return UINT32_MAX;
    return size == 1 ? *at : size == 2 ? *(volatile u16 *)at : *(volatile u32 *)at;
}

static void ecam_write(struct pci_host *host, unsigned bus, unsigned devfn, unsigned offset,
                       unsigned size, u32 value)
{
    volatile u8 *at = ecam_register(host, bus, devfn, offset);

    if (!at)
        return;
    if (size == 1)
        *at = (u8)value;
    else if (size == 2)
        *(volatile u16 *)at = (u16)value;
    else
        *(volatile u32 *)at = value;
}

/* interrupt-map: rows of (3 cells of PCI address, pin, phandle of the controller, its address, its
 * interrupt); interrupt-map-mask says which bits of the first four count. */
static int ecam_intx_line(struct pci_host *host, unsigned bus, unsigned devfn, unsigned pin)
{
    struct ecam *e = container_of(host, struct ecam, host);
    u32 mask_high = fdt_cell(&device_tree, e->node, "interrupt-map-mask", 0, UINT32_MAX);
    u32 mask_pin = fdt_cell(&device_tree, e->node, "interrupt-map-mask", 3, UINT32_MAX);
    u32 wanted = (bus << 16 | devfn << 8) & mask_high, length;
    const u8 *map = fdt_property(&device_tree, e->node, "interrupt-map", &length);

    for (u32 at = 0; map && at + 20 <= length;) {
        int controller = fdt_find_phandle(&device_tree, (u32)fdt_cells(map + at + 16, 1));
        u32 address_cells = fdt_cell(&device_tree, controller, "#address-cells", 0, 0);
        u32 interrupt_cells = fdt_cell(&device_tree, controller, "#interrupt-cells", 0, 1);
        u32 step = 4 * (5 + address_cells + interrupt_cells);

        if (controller == FDT_NONE || address_cells > 2 || interrupt_cells == 0 ||
            interrupt_cells > 4 || at + step > length)
            break;
        if (((u32)fdt_cells(map + at, 1) & mask_high) == wanted &&
            ((u32)fdt_cells(map + at + 12, 1) & mask_pin) == (pin & mask_pin))
            return (int)fdt_cells(map + at + 20 + 4 * address_cells, 1);
        at += step;
    }
    return -ENODEV;
}

/* ranges: rows of (space and flags, PCI address 2 cells, processor address 2 cells, size 2 cells). */
static void find_windows(int node, struct pci_host *host)
{
    u32 length;
    const u8 *ranges = fdt_property(&device_tree, node, "ranges", &length);

    for (u32 at = 0; ranges && at + 28 <= length; at += 28) {
        u32 space = (u32)fdt_cells(ranges + at, 1) >> 24 & 3;
        u64 bus_address = fdt_cells(ranges + at + 4, 2);
        paddr_t address = fdt_cells(ranges + at + 12, 2);
        u64 size = fdt_cells(ranges + at + 20, 2);

        if (bus_address != address)
            continue; /* a BAR would have to hold another number than the address we map */
        if (space == 2) {
            host->memory_base = address;
            host->memory_size = size;
        } else if (space == 3) {
            host->memory64_base = address;
            host->memory64_size = size;
        }
    }
}

static void add_pci_hosts(void)
{
    int node = FDT_NONE;

    while ((node = fdt_find_compatible(&device_tree, node, "pci-host-ecam-generic")) != FDT_NONE) {
        struct ecam *e = kzalloc(sizeof(*e), ALLOC_KERNEL);
        u64 size;

        if (!e || !fdt_reg(&device_tree, node, 0, &e->base, &size)) {
            kfree(e);
            continue;
        }
        e->node = node;
        e->first = fdt_cell(&device_tree, node, "bus-range", 0, 0) % BUSES;
        e->host = (struct pci_host){
            .config_read = ecam_read,
            .config_write = ecam_write,
            .intx_line = ecam_intx_line,
            .bus_first = e->first,
            .bus_last = min_t(u64, e->first + (size >> BUS_SHIFT) - 1,
                              fdt_cell(&device_tree, node, "bus-range", 1, BUSES - 1) % BUSES),
        };
        find_windows(node, &e->host);
        pci_host_add(&e->host);
    }
}

/* ---- the battery clock ---------------------------------------------------------------------------------- */

/* The registers hold nanoseconds since 1970; reading the lower half latches the upper. */
int arch_wall_clock(u64 *ns)
{
    int node = fdt_find_compatible(&device_tree, FDT_NONE, "google,goldfish-rtc");
    volatile u32 *rtc;
    paddr_t registers;
    u64 size, low;

    if (node == FDT_NONE || !fdt_reg(&device_tree, node, 0, &registers, &size))
        return -ENODEV;
    rtc = vmap_device(registers, 8);
    if (!rtc)
        return -ENOMEM;
    low = rtc[0];
    *ns = (u64)rtc[1] << 32 | low;
    vmap_free((void *)rtc);
    return 0;
}

void arch_devices_init(void)
{
    power_init();
    add_uarts();
    add_pci_hosts();
}
