/* SPDX-License-Identifier: MIT */
/*
 * PCI: finding devices, giving them addresses where firmware has not, and routing their interrupts.
 *
 * Buses are scanned depth first. On a host whose windows are ours to use (memory_size != 0) BARs and
 * bridge windows are assigned on the way, by moving a mark up through the window: a bridge's window is
 * what the scan behind it used.
 */
#include <vellum/pci.h>
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/printk.h>
#include <linux/pci_regs.h>

#define PCI_DEVFNS       256
#define FUNCTION(df)     ((df)&7)
#define BRIDGE_ALIGN     (1UL << 20)
#define CAPABILITIES_MAX 48 /* a longer chain is a loop */

static struct list devices = LIST_INIT(devices); /* [i] after pci_init() */
static struct pci_host *hosts[8];
static unsigned host_count;

void pci_host_add(struct pci_host *host)
{
    if (host_count < ARRAY_SIZE(hosts))
        hosts[host_count++] = host;
}

u32 pci_read(struct pci_device *dev, unsigned offset, unsigned size)
{
    return dev->host->config_read(dev->host, dev->bus, dev->devfn, offset, size);
}

void pci_write(struct pci_device *dev, unsigned offset, unsigned size, u32 value)
{
    dev->host->config_write(dev->host, dev->bus, dev->devfn, offset, size, value);
}

unsigned pci_capability(struct pci_device *dev, unsigned id, unsigned after)
{
    unsigned pos;

    if (!(pci_read(dev, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
        return 0;
    pos = pci_read(dev, after ? after + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST, 1) & ~3u;
    for (unsigned n = 0; pos >= PCI_STD_HEADER_SIZEOF && n < CAPABILITIES_MAX; n++) {
        if (pci_read(dev, pos, 1) == id)
            return pos;
        pos = pci_read(dev, pos + PCI_CAP_LIST_NEXT, 1) & ~3u;
    }
    return 0;
}

/* ---- base address registers ------------------------------------------------------------------------- */

/* Take size bytes, naturally aligned, from the window; 0 if it is full. */
static paddr_t window_take(paddr_t *base, u64 *left, u64 size)
{
    paddr_t at = ALIGN_UP(*base, size);
    u64 used = at - *base + size;

    if (used > *left)
        return 0;
    *base += used;
    *left -= used;
    return at;
}

/* The size that BAR i decodes: write ones, see which stick. */
static u64 bar_size(struct pci_device *dev, unsigned i, u32 low, bool wide)
{
    unsigned reg = PCI_BASE_ADDRESS_0 + 4 * i;
    u32 high = wide ? pci_read(dev, reg + 4, 4) : 0;
    u64 mask;

    pci_write(dev, reg, 4, ~0u);
    mask = pci_read(dev, reg, 4) & PCI_BASE_ADDRESS_MEM_MASK;
    pci_write(dev, reg, 4, low);
    if (wide) {
        pci_write(dev, reg + 4, 4, ~0u);
        mask |= (u64)pci_read(dev, reg + 4, 4) << 32;
        pci_write(dev, reg + 4, 4, high);
    } else if ((u32)mask) {
        mask |= ~0ULL << 32;
    }
    return mask ? ~mask + 1 : 0;
}

static void assign_bar(struct pci_device *dev, unsigned i, u64 size, bool wide)
{
    struct pci_host *h = dev->host;
    paddr_t at = window_take(&h->memory_base, &h->memory_size, size);

    if (!at && wide)
        at = window_take(&h->memory64_base, &h->memory64_size, size);
    pci_write(dev, PCI_BASE_ADDRESS_0 + 4 * i, 4, (u32)at);
    if (wide)
        pci_write(dev, PCI_BASE_ADDRESS_0 + 4 * i + 4, 4, at >> 32);
    dev->bars[i].base = at;
    if (!at)
        pr_err("pci %02x:%02x.%u: no room for BAR %u (%llu bytes)", dev->bus, dev->devfn >> 3,
               FUNCTION(dev->devfn), i, (unsigned long long)size);
}

static void find_bars(struct pci_device *dev, unsigned count)
{
    u16 command = pci_read(dev, PCI_COMMAND, 2);

    pci_write(dev, PCI_COMMAND, 2, command & ~(PCI_COMMAND_MEMORY | PCI_COMMAND_IO));
    for (unsigned i = 0; i < count; i++) {
        u32 low = pci_read(dev, PCI_BASE_ADDRESS_0 + 4 * i, 4);
        bool wide =
            (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64 && i + 1 < count;
        u64 size;

        if (low & PCI_BASE_ADDRESS_SPACE_IO)
            continue;
        size = bar_size(dev, i, low, wide);
        dev->bars[i].base = low & PCI_BASE_ADDRESS_MEM_MASK;
        if (wide)
            dev->bars[i].base |= (u64)pci_read(dev, PCI_BASE_ADDRESS_0 + 4 * i + 4, 4) << 32;
        if (size && dev->host->memory_size)
            assign_bar(dev, i, size, wide);
        dev->bars[i].size = dev->bars[i].base ? size : 0;
        i += wide;
    }
    pci_write(dev, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY);
}

void *pci_map(struct pci_device *dev, unsigned bar)
{
    if (bar >= PCI_BARS || dev->bars[bar].size == 0)
        return NULL;
    if (!dev->bars[bar].mapped)
        dev->bars[bar].mapped = vmap_device(dev->bars[bar].base, dev->bars[bar].size);
    return dev->bars[bar].mapped;
}

void pci_enable_master(struct pci_device *dev)
{
    pci_write(dev, PCI_COMMAND, 2,
              pci_read(dev, PCI_COMMAND, 2) | PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
}

void pci_disable_master(struct pci_device *dev)
{
    pci_write(dev, PCI_COMMAND, 2, pci_read(dev, PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER);
}

/* ---- scanning ---------------------------------------------------------------------------------------------- */

static unsigned scan_bus(struct pci_host *host, unsigned bus, unsigned last_bus);

/* Scan behind a bridge. Returns the highest bus number in use. */
static unsigned scan_bridge(struct pci_device *bridge, unsigned last_bus)
{
    struct pci_host *h = bridge->host;
    unsigned secondary = pci_read(bridge, PCI_SECONDARY_BUS, 1);
    bool ours = h->memory_size != 0;
    paddr_t start;

    if (!ours) { /* firmware has numbered the buses */
        if (secondary > bridge->bus && secondary <= h->bus_last)
            scan_bus(h, secondary, secondary);
        return max(last_bus, (unsigned)pci_read(bridge, PCI_SUBORDINATE_BUS, 1));
    }
    if (last_bus >= h->bus_last)
        return last_bus;
    secondary = last_bus + 1;
    pci_write(bridge, PCI_PRIMARY_BUS, 1, bridge->bus);
    pci_write(bridge, PCI_SECONDARY_BUS, 1, secondary);
    pci_write(bridge, PCI_SUBORDINATE_BUS, 1, h->bus_last);
    start = ALIGN_UP(h->memory_base, BRIDGE_ALIGN);
    window_take(&h->memory_base, &h->memory_size, BRIDGE_ALIGN);
    h->memory_size += h->memory_base - start;
    h->memory_base = start;
    last_bus = scan_bus(h, secondary, secondary);
    pci_write(bridge, PCI_SUBORDINATE_BUS, 1, last_bus);
    h->memory_size -= ALIGN_UP(h->memory_base, BRIDGE_ALIGN) - h->memory_base;
    h->memory_base = ALIGN_UP(h->memory_base, BRIDGE_ALIGN);
    pci_write(bridge, PCI_MEMORY_BASE, 2, start >> 16);
    pci_write(bridge, PCI_MEMORY_LIMIT, 2, (h->memory_base - 1) >> 16);
    pci_write(bridge, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    return last_bus;
}

/* One function: returns whether there is one; *last_bus grows behind bridges. */
static bool scan_function(struct pci_host *host, unsigned bus, unsigned devfn, unsigned *last_bus)
{
    u32 id = host->config_read(host, bus, devfn, PCI_VENDOR_ID, 4);
    struct pci_device *dev;
    unsigned header;

    if (id == ~0u || id == 0)
        return false;
    dev = kzalloc(sizeof(*dev), ALLOC_KERNEL);
    if (!dev)
        return false;
    *dev = (struct pci_device){
        .host = host, .bus = bus, .devfn = devfn, .vendor = id, .device = id >> 16};
    dev->class = pci_read(dev, PCI_CLASS_REVISION, 4) >> 8;
    header = pci_read(dev, PCI_HEADER_TYPE, 1) & 0x7f;
    if (header == PCI_HEADER_TYPE_NORMAL)
        find_bars(dev, 6);
    else if (header == PCI_HEADER_TYPE_BRIDGE)
        *last_bus = scan_bridge(dev, *last_bus);
    list_add_tail(&dev->link, &devices);
    return true;
}

static unsigned scan_bus(struct pci_host *host, unsigned bus, unsigned last_bus)
{
    for (unsigned devfn = 0; devfn < PCI_DEVFNS; devfn += 8) {
        if (!scan_function(host, bus, devfn, &last_bus))
            continue;
        if (!(host->config_read(host, bus, devfn, PCI_HEADER_TYPE, 1) & 0x80))
            continue;
        for (unsigned f = 1; f < 8; f++)
            scan_function(host, bus, devfn + f, &last_bus);
    }
    return last_bus;
}

void pci_init(void)
{
    unsigned n = 0;
    struct pci_device *dev;

    for (unsigned i = 0; i < host_count; i++)
        scan_bus(hosts[i], hosts[i]->bus_first, hosts[i]->bus_first);
    list_for_each_entry(dev, &devices, link) {
        pci_sysfs_add(dev);
        n++;
    }
    pr_info("pci: %u devices", n);
}

void pci_driver_register(const struct pci_driver *driver)
{
    struct pci_device *dev;

    list_for_each_entry(dev, &devices, link) {
        int error;

        if (!driver->match(dev))
            continue;
        error = driver->probe(dev);
        if (error)
            pr_err("%s: %02x:%02x.%u (%04x:%04x): error %d", driver->name, dev->bus,
                   dev->devfn >> 3, FUNCTION(dev->devfn), dev->vendor, dev->device, -error);
    }
}

/* ---- interrupts --------------------------------------------------------------------------------------------- */

/* Point entry 0 of the device's MSI-X table at us. Returns the line, or -errno. */
static int msix_set_up(struct pci_device *dev)
{
    unsigned cap = pci_capability(dev, PCI_CAP_ID_MSIX, 0);
    volatile u32 *entry;
    u64 address;
    u32 table, data;
    char *bar;
    int line;

    if (!cap || !dev->host->msi)
        return -ENOSYS;
    table = pci_read(dev, cap + PCI_MSIX_TABLE, 4);
    bar = pci_map(dev, table & PCI_MSIX_TABLE_BIR);
    table &= PCI_MSIX_TABLE_OFFSET;
    if (!bar ||
        table + PCI_MSIX_ENTRY_SIZE > dev->bars[pci_read(dev, cap + PCI_MSIX_TABLE, 4) & 7].size)
        return -EINVAL;
    line = arch_msi_alloc(&address, &data);
    if (line < 0)
        return line;
    entry = (volatile u32 *)(bar + table);
    entry[PCI_MSIX_ENTRY_LOWER_ADDR / 4] = (u32)address;
    entry[PCI_MSIX_ENTRY_UPPER_ADDR / 4] = address >> 32;
    entry[PCI_MSIX_ENTRY_DATA / 4] = data;
    entry[PCI_MSIX_ENTRY_VECTOR_CTRL / 4] = 0;
    pci_write(dev, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
    return line;
}

int pci_irq_request(struct pci_device *dev, irq_handler_fn *handler, void *arg, const char *name,
                    int *vector)
{
    int line = msix_set_up(dev);
    unsigned pin;

    *vector = 0;
    if (line >= 0)
        return irq_request(line, handler, arg, name, false, false);
    *vector = -1;
    pin = pci_read(dev, PCI_INTERRUPT_PIN, 1);
    if (pin < 1 || pin > 4 || !dev->host->intx_line)
        return -ENODEV;
    line = dev->host->intx_line(dev->host, dev->bus, dev->devfn, pin);
    return line < 0 ? line : irq_request(line, handler, arg, name, true, true);
}
