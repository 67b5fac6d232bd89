/* SPDX-License-Identifier: MIT */
/*
 * Virtio over PCI: finding the device's register blocks, and agreeing on features. The queues are in
 * virtqueue.c.
 */
#include <vellum/virtio.h>
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/printk.h>
#include <vellum/sysfs.h>
#include <vellum/time.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#define VIRTIO_VENDOR      0x1af4
#define MODERN_DEVICE_BASE 0x1040 /* device id = base + type */
#define TRANSITIONAL_FIRST 0x1000
#define TRANSITIONAL_LAST  0x103f
#define QUEUES_MAX         128
#define RESET_PATIENCE     (5 * NSEC_PER_SEC)

/* The register block of one kind, described by a vendor capability; NULL if there is none. */
static void *find_block(struct pci_device *pci, unsigned kind, size_t least, size_t *size,
                        unsigned *cap_out)
{
    for (unsigned cap = pci_capability(pci, PCI_CAP_ID_VNDR, 0); cap;
         cap = pci_capability(pci, PCI_CAP_ID_VNDR, cap)) {
        unsigned bar = pci_read(pci, cap + offsetof(struct virtio_pci_cap, bar), 1);
        u32 offset = pci_read(pci, cap + offsetof(struct virtio_pci_cap, offset), 4);
        u32 length = pci_read(pci, cap + offsetof(struct virtio_pci_cap, length), 4);
        char *base;

        if (pci_read(pci, cap + offsetof(struct virtio_pci_cap, cfg_type), 1) != kind ||
            bar >= PCI_BARS)
            continue;
        if (length < least || offset > pci->bars[bar].size || length > pci->bars[bar].size - offset)
            continue;
        base = pci_map(pci, bar);
        if (!base)
            continue;
        *size = length;
        *cap_out = cap;
        return base + offset;
    }
    return NULL;
}

static int find_registers(struct virtio_device *d)
{
    struct pci_device *pci = d->pci;
    unsigned cap;
    size_t size;

    d->common = find_block(pci, VIRTIO_PCI_CAP_COMMON_CFG, sizeof(struct virtio_pci_common_cfg),
                           &size, &cap);
    d->isr = find_block(pci, VIRTIO_PCI_CAP_ISR_CFG, 1, &size, &cap);
    d->config = find_block(pci, VIRTIO_PCI_CAP_DEVICE_CFG, 0, &d->config_size, &cap);
    d->notify_base = find_block(pci, VIRTIO_PCI_CAP_NOTIFY_CFG, 2, &d->notify_size, &cap);
    if (!d->common || !d->isr || !d->notify_base)
        return -ENODEV;
    d->notify_multiplier =
        pci_read(pci, cap + offsetof(struct virtio_pci_notify_cap, notify_off_multiplier), 4);
    return 0;
}

static int negotiate(struct virtio_device *d, u64 wanted)
{
    volatile struct virtio_pci_common_cfg *c = d->common;
    u64 offered;

    c->device_status = 0;
    while (c->device_status != 0)
        cpu_relax();
    c->device_status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
    c->device_feature_select = 0;
    offered = c->device_feature;
    c->device_feature_select = 1;
    offered |= (u64)c->device_feature << 32;
    if (!(offered & BIT(VIRTIO_F_VERSION_1)))
        return -ENODEV;
    d->features = offered & (wanted | BIT(VIRTIO_F_VERSION_1));
    c->guest_feature_select = 0;
    c->guest_feature = (u32)d->features;
    c->guest_feature_select = 1;
    c->guest_feature = d->features >> 32;
    c->device_status |= VIRTIO_CONFIG_S_FEATURES_OK;
    return c->device_status & VIRTIO_CONFIG_S_FEATURES_OK ? 0 : -EIO;
}

u32 virtio_config(struct virtio_device *d, size_t offset, unsigned size)
{
    volatile u8 *at = (volatile u8 *)d->config + offset;

    if (!d->config || offset + size > d->config_size)
        return 0;
    return size == 1 ? *at : size == 2 ? *(volatile u16 *)at : *(volatile u32 *)at;
}

u8 virtio_config_generation(struct virtio_device *d)
{
    return d->common->config_generation;
}

void virtio_reset(struct virtio_device *d)
{
    ktime_t give_up = ktime_after(RESET_PATIENCE);

    for (unsigned i = 0; i < d->queue_count; i++) {
        struct virtqueue *q = d->queues[i];
        unsigned long flags;

        if (!q)
            continue;
        flags = spin_lock_irqsave(&q->lock);
        q->broken = true;
        spin_unlock_irqrestore(&q->lock, flags);
    }
    d->common->device_status = 0;
    while (d->common->device_status != 0 && ktime_get() < give_up)
        cpu_relax();
    pci_disable_master(d->pci); /* whether it has obeyed or not */
}

struct sysfs_node *virtio_sysfs(struct virtio_device *d)
{
    struct sysfs_node *at = d->pci->sysfs;

    if (!at)
        return NULL;
    at = sysfs_directory(at, "virtio%u", d->number);
    sysfs_text(at, "vendor", "0x%04x", VIRTIO_VENDOR);
    sysfs_text(at, "device", "0x%04x", d->type);
    sysfs_link(at, "subsystem", sysfs_directory(NULL, "bus/virtio"));
    return at;
}

void virtio_ready(struct virtio_device *d)
{
    d->common->device_status |= VIRTIO_CONFIG_S_DRIVER_OK;
}

static bool virtio_interrupt(unsigned line, void *arg)
{
    struct virtio_device *d = arg;

    if (d->vector < 0 && !*d->isr) /* reading it acknowledges */
        return false;
    for (unsigned i = 0; i < d->queue_count; i++) {
        struct virtqueue *q = smp_load_acquire(&d->queues[i]);

        if (q && q->callback && virtqueue_used(q))
            q->callback(q);
    }
    return true;
}

static int set_up(struct virtio_device *d, const struct virtio_driver *driver)
{
    int error = find_registers(d);

    if (error == 0)
        error = negotiate(d, driver->features);
    if (error)
        return error;
    d->queue_count = min_t(unsigned, d->common->num_queues, QUEUES_MAX);
    d->queues = kzalloc(d->queue_count * sizeof(*d->queues), ALLOC_KERNEL);
    if (!d->queues)
        return -ENOMEM;
    pci_enable_master(d->pci);
    error = pci_irq_request(d->pci, virtio_interrupt, d, driver->name, &d->vector);
    return error ? error : driver->probe(d);
}

static const struct virtio_driver *probing;

static unsigned virtio_type(const struct pci_device *pci)
{
    struct pci_device *p = (struct pci_device *)pci;

    if (pci->vendor != VIRTIO_VENDOR)
        return 0;
    if (pci->device >= TRANSITIONAL_FIRST && pci->device <= TRANSITIONAL_LAST)
        return pci_read(p, PCI_SUBSYSTEM_ID, 2);
    return pci->device > MODERN_DEVICE_BASE && pci->device < MODERN_DEVICE_BASE + 64
               ? pci->device - MODERN_DEVICE_BASE
               : 0;
}

static bool match(const struct pci_device *pci)
{
    return virtio_type(pci) == probing->type;
}

static int probe(struct pci_device *pci)
{
    static unsigned found;
    struct virtio_device *d = kzalloc(sizeof(*d), ALLOC_KERNEL);
    int error;

    if (!d)
        return -ENOMEM;
    d->pci = pci;
    d->number = found++;
    d->type = virtio_type(pci);
    error = set_up(d, probing);
    if (error && d->common)
        d->common->device_status |= VIRTIO_CONFIG_S_FAILED; /* d stays: the interrupt may come */
    return error;
}

void virtio_driver_register(const struct virtio_driver *driver)
{
    const struct pci_driver pci = {.name = driver->name, .match = match, .probe = probe};

    probing = driver;
    pci_driver_register(&pci);
}

void virtio_init(void)
{
    virtio_console_init();
    virtio_block_init();
}
