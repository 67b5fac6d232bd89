/* SPDX-License-Identifier: MIT */
/*
 * Virtio over PCI: finding the device's register blocks, agreeing on features, split virtqueues.
 *
 * A split queue has three parts: descriptors (address, length, next), the "available" ring in which
 * the driver puts the heads of chains, and the "used" ring in which the device gives them back. Free
 * descriptors are chained through their `next`. Each side's index grows for ever, modulo 2^16.
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
#include <linux/virtio_ring.h>

#define VIRTIO_VENDOR      0x1af4
#define MODERN_DEVICE_BASE 0x1040 /* device id = base + type */
#define TRANSITIONAL_FIRST 0x1000
#define TRANSITIONAL_LAST  0x103f
#define QUEUES_MAX         128
#define RESET_PATIENCE     (5 * NSEC_PER_SEC)

/* ---- queues ------------------------------------------------------------------------------------------- */

static void break_queue(struct virtqueue *q, const char *why)
{
    q->broken = true;
    pr_err("virtio: queue %u: %s", q->index, why);
}

/* Rings and tokens of one queue, in one allocation in the direct map. */
static int allocate_rings(struct virtqueue *q)
{
    size_t desc = q->size * sizeof(struct vring_desc);
    size_t avail = ALIGN_UP(sizeof(struct vring_avail) + (q->size + 1) * sizeof(__virtio16), 8);
    size_t used =
        ALIGN_UP(sizeof(struct vring_used) + q->size * sizeof(struct vring_used_elem) + 2, 8);
    char *memory = kzalloc(desc + avail + used, ALLOC_KERNEL);

    q->tokens = kzalloc(q->size * sizeof(void *), ALLOC_KERNEL);
    if (!memory || !q->tokens) {
        kfree(memory);
        return -ENOMEM;
    }
    q->desc = (struct vring_desc *)memory;
    q->avail = (struct vring_avail *)(memory + desc);
    q->used = (struct vring_used *)(memory + desc + avail);
    for (unsigned i = 0; i < q->size; i++)
        q->desc[i].next = i + 1;
    q->free_count = q->size;
    return 0;
}

static void set_address(volatile u32 *low, volatile u32 *high, const void *p)
{
    u64 address = virt_to_phys(p);

    *low = (u32)address;
    *high = address >> 32;
}

static int enable_queue(struct virtqueue *q)
{
    struct virtio_device *d = q->device;
    volatile struct virtio_pci_common_cfg *c = d->common;
    size_t offset;

    c->queue_size = q->size;
    set_address(&c->queue_desc_lo, &c->queue_desc_hi, q->desc);
    set_address(&c->queue_avail_lo, &c->queue_avail_hi, q->avail);
    set_address(&c->queue_used_lo, &c->queue_used_hi, q->used);
    if (d->vector >= 0) {
        c->queue_msix_vector = d->vector;
        if (c->queue_msix_vector != d->vector)
            return -EIO;
    }
    offset = (size_t)c->queue_notify_off * d->notify_multiplier;
    if (offset + 2 > d->notify_size)
        return -EIO;
    q->notify = (volatile u16 *)(d->notify_base + offset);
    c->queue_enable = 1;
    return 0;
}

struct virtqueue *virtqueue_create(struct virtio_device *d, unsigned index, unsigned size,
                                   void (*callback)(struct virtqueue *), void *driver_data)
{
    struct virtqueue *q;
    unsigned available;
    int error = -ENODEV;

    if (index >= d->queue_count || d->queues[index])
        return err_ptr(-ENODEV);
    d->common->queue_select = index;
    available = d->common->queue_size;
    q = kzalloc(sizeof(*q), ALLOC_KERNEL);
    if (!q || available == 0)
        goto fail;
    q->device = d;
    q->index = index;
    q->size = 1u << log2_floor(min(size, available));
    q->callback = callback;
    q->driver_data = driver_data;
    q->indirect = d->features & BIT(VIRTIO_RING_F_INDIRECT_DESC);
    q->event_index = d->features & BIT(VIRTIO_RING_F_EVENT_IDX);
    spin_init(&q->lock);
    error = allocate_rings(q);
    if (error == 0)
        error = enable_queue(q);
    if (error)
        goto fail;
    smp_store_release(&d->queues[index], q);
    return q;
fail:
    if (q) {
        kfree(q->desc);
        kfree(q->tokens);
    } else {
        error = -ENOMEM;
    }
    kfree(q);
    return err_ptr(error);
}

/* Let the device see a chain. => lock */
static void make_available(struct virtqueue *q, u16 head, void *token)
{
    q->tokens[head] = token;
    q->avail->ring[q->avail->idx & (q->size - 1)] = head;
    __atomic_store_n(&q->avail->idx, (u16)(q->avail->idx + 1), __ATOMIC_RELEASE);
}

int virtqueue_add(struct virtqueue *q, const struct virtio_buffer *buffers, unsigned out,
                  unsigned in, void *token)
{
    unsigned long flags = spin_lock_irqsave(&q->lock);
    unsigned n = out + in;
    u16 head = q->free_head, i = head;

    assert(n > 0 && token);
    if (q->broken || q->free_count < n) {
        spin_unlock_irqrestore(&q->lock, flags);
        return q->broken ? -EIO : -ENOSPC;
    }
    for (unsigned k = 0; k < n; k++) {
        struct vring_desc *d = &q->desc[i];

        d->addr = virt_to_phys(buffers[k].data);
        d->len = buffers[k].length;
        d->flags = (k >= out ? VRING_DESC_F_WRITE : 0) | (k + 1 < n ? VRING_DESC_F_NEXT : 0);
        i = d->next;
    }
    q->free_head = i;
    q->free_count -= n;
    make_available(q, head, token);
    spin_unlock_irqrestore(&q->lock, flags);
    return 0;
}

/* Copy a table into free descriptors. => lock, there are enough */
static void copy_table(struct virtqueue *q, const struct vring_desc *table, unsigned n)
{
    u16 i = q->free_head;

    for (unsigned k = 0; k < n; k++) {
        struct vring_desc *d = &q->desc[i];

        d->addr = table[k].addr;
        d->len = table[k].len;
        d->flags = table[k].flags;
        i = d->next;
    }
    q->free_head = i;
    q->free_count -= n;
}

int virtqueue_add_table(struct virtqueue *q, struct vring_desc *table, unsigned out, unsigned in,
                        void *token)
{
    unsigned long flags = spin_lock_irqsave(&q->lock);
    unsigned n = out + in;
    u16 head = q->free_head;
    int error = 0;

    assert(n > 0 && token);
    for (unsigned k = 0; k < n; k++) {
        table[k].flags = (k >= out ? VRING_DESC_F_WRITE : 0) | (k + 1 < n ? VRING_DESC_F_NEXT : 0);
        table[k].next = k + 1;
    }
    if (q->broken) {
        error = -EIO;
    } else if (q->free_count < (q->indirect ? 1 : n)) {
        error = -ENOSPC;
    } else {
        struct vring_desc whole = {virt_to_phys(table), n * sizeof(*table), VRING_DESC_F_INDIRECT,
                                   0};

        if (q->indirect)
            copy_table(q, &whole, 1);
        else
            copy_table(q, table, n);
        make_available(q, head, token);
    }
    spin_unlock_irqrestore(&q->lock, flags);
    return error;
}

/* What either side last said about when it wants to hear lies behind the other's ring. */
static volatile u16 *used_event(struct virtqueue *q)
{
    return &q->avail->ring[q->size];
}

static volatile u16 *avail_event(struct virtqueue *q)
{
    return (volatile u16 *)&q->used->ring[q->size];
}

bool virtqueue_kick_is_due(struct virtqueue *q)
{
    u16 new = q->avail->idx, old = q->kicked;

    smp_fence(); /* the new index before the look at what the device said */
    q->kicked = new;
    return q->event_index ? (u16)(new - *avail_event(q) - 1) < (u16)(new - old)
                          : !(READ_ONCE(q->used->flags) & VRING_USED_F_NO_NOTIFY);
}

void virtqueue_notify(struct virtqueue *q)
{
    *q->notify = q->index;
}

void virtqueue_kick(struct virtqueue *q)
{
    if (virtqueue_kick_is_due(q))
        virtqueue_notify(q);
}

void virtqueue_hush(struct virtqueue *q)
{
    if (!q->event_index) /* with it the device is silent until it is asked again */
        WRITE_ONCE(q->avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
}

bool virtqueue_rearm(struct virtqueue *q)
{
    if (q->event_index)
        *used_event(q) = q->last_used;
    else
        WRITE_ONCE(q->avail->flags, 0);
    smp_fence(); /* what comes from now on interrupts, what came before is seen here */
    return virtqueue_used(q);
}

/* Give the chain that begins at head back to the free list; => lock */
static void free_chain(struct virtqueue *q, u16 head)
{
    u16 i = head;
    unsigned n = 1;

    while ((q->desc[i].flags & VRING_DESC_F_NEXT) && n < q->size) {
        i = q->desc[i].next;
        n++;
    }
    q->desc[i].next = q->free_head;
    q->free_head = head;
    q->free_count += n;
}

void *virtqueue_get(struct virtqueue *q, u32 *length)
{
    unsigned long flags = spin_lock_irqsave(&q->lock);
    struct vring_used_elem e;
    void *token = NULL;

    if (!q->broken && q->last_used != __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE)) {
        e = *(volatile struct vring_used_elem *)&q->used->ring[q->last_used & (q->size - 1)];
        if (e.id >= q->size || !q->tokens[e.id]) {
            break_queue(q, "the device returned a chain that it was not given");
        } else {
            token = q->tokens[e.id];
            q->tokens[e.id] = NULL;
            free_chain(q, e.id);
            q->last_used++;
            *length = e.len;
        }
    }
    spin_unlock_irqrestore(&q->lock, flags);
    return token;
}

bool virtqueue_used(struct virtqueue *q)
{
    return !READ_ONCE(q->broken) && READ_ONCE(q->used->idx) != READ_ONCE(q->last_used);
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

/* ---- devices -------------------------------------------------------------------------------------------- */

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
