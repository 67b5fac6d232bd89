/* SPDX-License-Identifier: MIT */
/*
 * What the machine tells the drivers in kernel/dev: where UARTs and PCI hosts are.
 */
#ifndef VELLUM_DEVICE_H
#define VELLUM_DEVICE_H

#include <vellum/arch.h>

/* A 16550 UART; the machine knows how its registers are reached. */
struct uart_port {
    u8 (*read)(struct uart_port *port, unsigned reg);
    void (*write)(struct uart_port *port, unsigned reg, u8 value);
    u64 base;       /* port number, or mapped address */
    unsigned shift; /* register distance, log2 */
    unsigned irq;
    bool irq_level, irq_active_low;
    u32 clock_hz; /* 0: leave the divisor alone */
};
/* Called for each UART found, ttyS0 first. The port structure stays the caller's, for ever. */
void uart_add(struct uart_port *port);
/* Before interrupts and memory: polled output for early messages. May be called before uart_add. */
void uart_early_console(struct uart_port *port);

/* A PCI host bridge. */
struct pci_host {
    /* size: 1, 2, 4 bytes */
    u32 (*config_read)(struct pci_host *host, unsigned bus, unsigned devfn, unsigned offset,
                       unsigned size);
    void (*config_write)(struct pci_host *host, unsigned bus, unsigned devfn, unsigned offset,
                         unsigned size, u32 value);
    unsigned bus_first, bus_last;
    void *config; /* mapped ECAM, if that is how */
    paddr_t memory_base;
    u64 memory_size; /* window for BARs, 0: firmware has assigned them */
    paddr_t memory64_base;
    u64 memory64_size;
    /* The interrupt line of INTx pin 1..4 of a device, or -ENODEV. */
    int (*intx_line)(struct pci_host *host, unsigned bus, unsigned devfn, unsigned pin);
    bool msi; /* arch_msi_alloc() works */
    void *private_data;
};
void pci_host_add(struct pci_host *host);

/* start-up levels of the drivers */
void uart_init(void);        /* interrupts and /dev/ttyS*, after arch_devices_init() */
void tty_init(void);         /* /dev/tty, /dev/console */
void pty_init(void);         /* /dev/ptmx */
void mem_devices_init(void); /* null zero full random urandom kmsg */
void pci_init(void);         /* enumerate, bind virtio drivers */

/* The console that init's first three descriptors lead to is /dev/console. */

#endif
