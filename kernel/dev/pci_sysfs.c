/* SPDX-License-Identifier: MIT */
/*
 * PCI devices in /sys, as lspci(8) and lshw read them (Linux: ABI/testing/sysfs-bus-pci).
 */
#include <vellum/format.h>
#include <vellum/pci.h>
#include <vellum/sysfs.h>
#include <linux/pci_regs.h>

#define CONFIG_SIZE 256
#define MEMORY      0x200ULL /* the flag of a range of addresses, as Linux shows it */

/* As the device has them now. */
static void show_config(struct seq_file *m, void *data)
{
    for (unsigned at = 0; at < CONFIG_SIZE; at += 4) {
        u32 word = pci_read(data, at, 4);

        seq_write(m, &word, sizeof(word));
    }
}

/* Where the base address registers and the ROM are: start, end, flags. */
static void show_resource(struct seq_file *m, void *data)
{
    const struct pci_device *dev = data;

    for (unsigned i = 0; i < PCI_BARS + 1; i++) {
        u64 size = i < PCI_BARS ? dev->bars[i].size : 0, base = size ? dev->bars[i].base : 0;

        seq_printf(m, "0x%016llx 0x%016llx 0x%016llx\n", (unsigned long long)base,
                   (unsigned long long)(size ? base + size - 1 : 0), size ? MEMORY : 0ULL);
    }
}

static void show_uevent(struct seq_file *m, void *data)
{
    struct pci_device *dev = data;

    seq_printf(m, "PCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\n", dev->class,
               dev->vendor, dev->device, pci_read(dev, PCI_SUBSYSTEM_VENDOR_ID, 2),
               pci_read(dev, PCI_SUBSYSTEM_ID, 2));
    seq_printf(m, "PCI_SLOT_NAME=0000:%02x:%02x.%u\n", dev->bus, dev->devfn >> 3, dev->devfn & 7);
}

void pci_sysfs_add(struct pci_device *dev)
{
    struct sysfs_node *bus = sysfs_directory(NULL, "bus/pci"),
                      *by_name = sysfs_directory(NULL, "bus/pci/devices");
    char name[16];

    snprintf(name, sizeof(name), "0000:%02x:%02x.%u", dev->bus, dev->devfn >> 3, dev->devfn & 7);
    dev->sysfs = sysfs_directory(NULL, "devices/pci0000:00/%s", name);
    sysfs_text(dev->sysfs, "vendor", "0x%04x", dev->vendor);
    sysfs_text(dev->sysfs, "device", "0x%04x", dev->device);
    sysfs_text(dev->sysfs, "class", "0x%06x", dev->class);
    sysfs_text(dev->sysfs, "revision", "0x%02x", pci_read(dev, PCI_REVISION_ID, 1));
    sysfs_text(dev->sysfs, "subsystem_vendor", "0x%04x", pci_read(dev, PCI_SUBSYSTEM_VENDOR_ID, 2));
    sysfs_text(dev->sysfs, "subsystem_device", "0x%04x", pci_read(dev, PCI_SUBSYSTEM_ID, 2));
    sysfs_text(dev->sysfs, "irq", "%u", pci_read(dev, PCI_INTERRUPT_LINE, 1));
    sysfs_file(dev->sysfs, "config", show_config, dev);
    sysfs_file(dev->sysfs, "resource", show_resource, dev);
    sysfs_file(dev->sysfs, "uevent", show_uevent, dev);
    sysfs_link(dev->sysfs, "subsystem", bus);
    sysfs_link(by_name, name, dev->sysfs);
}
