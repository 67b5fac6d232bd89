/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices over PCI (Virtual I/O Device specification 1.1, OASIS 2019: sections 2 and 4.1).
 *
 * A device has queues. The driver puts chains of buffers into a queue with virtqueue_add() and gets
 * them back, used, from virtqueue_get(). Nothing that the device writes is trusted.
 */
#ifndef VELLUM_VIRTIO_H
#define VELLUM_VIRTIO_H

#include <vellum/pci.h>
#include <vellum/sync.h>

struct virtio_device;

struct virtqueue {
    struct virtio_device *device;
    unsigned index, size; /* [i] size: a power of two */
    spinlock_t lock;      /* interrupts off; all below */
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    u16 free_head, free_count;
    u16 last_used;
    void **tokens;                         /* by the head descriptor of a chain */
    void (*callback)(struct virtqueue *q); /* in the interrupt: something was used. => no lock */
    void *driver_data;
    volatile u16 *notify;
    bool broken; /* the device broke the rules: it is not used any more */
};

struct virtio_device {
    struct pci_device *pci;
    unsigned type; /* VIRTIO_ID_* */
    u64 features;  /* negotiated */
    volatile struct virtio_pci_common_cfg *common;
    volatile u8 *isr;
    volatile void *config; /* the device's own */
    size_t config_size;
    char *notify_base;
    size_t notify_size;
    u32 notify_multiplier;
    int vector; /* MSI-X entry, or -1: INTx */
    struct virtqueue **queues;
    unsigned queue_count;
};

struct virtio_driver {
    const char *name;
    unsigned type;
    u64 features; /* those it can use */
    int (*probe)(
        struct virtio_device *device); /* => features negotiated; make queues, virtio_ready() */
};
void virtio_driver_register(const struct virtio_driver *driver);

struct virtio_buffer {
    void *data; /* direct-map address */
    u32 length;
};

/* Make queue `index` with at most `size` descriptors. err_ptr(-ENODEV, -ENOMEM). */
struct virtqueue *virtqueue_create(struct virtio_device *device, unsigned index, unsigned size,
                                   void (*callback)(struct virtqueue *), void *driver_data);
void virtio_ready(struct virtio_device *device);
/* A chain of `out` buffers that the device reads, then `in` that it writes. -ENOSPC: full. Any context. */
int virtqueue_add(struct virtqueue *q, const struct virtio_buffer *buffers, unsigned out,
                  unsigned in, void *token);
void virtqueue_kick(struct virtqueue *q);
/* The token of a used chain and how many bytes were written; NULL: none. Any context. */
void *virtqueue_get(struct virtqueue *q, u32 *length);
bool virtqueue_used(struct virtqueue *q); /* would virtqueue_get() find one? */

void virtio_init(void); /* after pci_init() */
void virtio_console_init(void);

#endif
