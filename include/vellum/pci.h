/* SPDX-License-Identifier: MIT */
/*
 * PCI devices (PCI Local Bus Specification 3.0, PCI Express Base Specification).
 */
#ifndef VELLUM_PCI_H
#define VELLUM_PCI_H

#include <vellum/device.h>
#include <vellum/irq.h>
#include <vellum/list.h>

struct sysfs_node;

#define PCI_BARS 6

struct pci_device {
    struct pci_host *host;
    unsigned bus, devfn;
    u16 vendor, device;
    u32 class; /* 24 bits: class, subclass, interface */
    struct {
        paddr_t base;
        u64 size;     /* 0: none; I/O ports are not used */
        void *mapped; /* once pci_map() was called */
    } bars[PCI_BARS];
    struct list link;
    struct sysfs_node *sysfs; /* its directory, or NULL */
};

struct pci_driver {
    const char *name;
    bool (*match)(const struct pci_device *dev);
    int (*probe)(struct pci_device *dev); /* 0, or -errno: the device stays unused */
};

/* Offer every device to the driver. => after pci_init(); may sleep */
void pci_driver_register(const struct pci_driver *driver);

void pci_sysfs_add(struct pci_device *dev); /* pci_sysfs.c */

u32 pci_read(struct pci_device *dev, unsigned offset, unsigned size /* 1, 2, 4 */);
void pci_write(struct pci_device *dev, unsigned offset, unsigned size, u32 value);
/* Offset of the next capability with this id after `after` (0: the first), or 0. */
unsigned pci_capability(struct pci_device *dev, unsigned id, unsigned after);
/* Kernel address of a memory BAR's registers; NULL: no such BAR, or no memory. */
void *pci_map(struct pci_device *dev, unsigned bar);
void pci_enable_master(struct pci_device *dev); /* it may read and write memory */
void pci_disable_master(struct pci_device *dev);
/* Route the device's interrupt to handler: MSI-X entry 0 where messages work (then *vector is 0), else
 * INTx (*vector is -1 and the line may be shared). 0 or -errno. */
int pci_irq_request(struct pci_device *dev, irq_handler_fn *handler, void *arg, const char *name,
                    int *vector);

#endif
