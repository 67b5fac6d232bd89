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
    u16 kicked;       /* index of the available ring when the device was last notified */
    bool indirect;    /* [i] a chain may be a table in memory, and takes one descriptor */
    bool event_index; /* [i] each side says from which index on it wants to hear */
    bool broken;      /* the device broke the rules: it is not used any more */
};

struct virtio_device {
    struct pci_device *pci;
    unsigned number; /* in the order of finding: virtio0, virtio1, ... */
    unsigned type;   /* VIRTIO_ID_* */
    u64 features;    /* negotiated */
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
/* The same of n descriptors that the caller has filled in, but for flags and next: `table` lies in the
 * direct map and stays until the chain is used (where q->indirect is false: until this returns).
 * Those from `out` on are written by the device. */
int virtqueue_add_table(struct virtqueue *q, struct vring_desc *table, unsigned out, unsigned in,
                        void *token);
/* Tell the device, unless it is looking anyway. => with q->event_index: one at a time */
void virtqueue_kick(struct virtqueue *q);
/* The same in two steps: does it have to be told? => as virtqueue_kick(). Tell it: needs no lock. */
bool virtqueue_kick_is_due(struct virtqueue *q);
void virtqueue_notify(struct virtqueue *q);
/* The token of a used chain and how many bytes were written; NULL: none. Any context. */
void *virtqueue_get(struct virtqueue *q, u32 *length);
bool virtqueue_used(struct virtqueue *q); /* would virtqueue_get() find one? */
/* While chains are taken there need be no interrupts: hush, take all, and go on if rearm says that more
 * has come. => one at a time */
void virtqueue_hush(struct virtqueue *q);
bool virtqueue_rearm(struct virtqueue *q);

/* A field of the device's own configuration; 0 if the device has no such. size: 1, 2, 4 bytes */
u32 virtio_config(struct virtio_device *device, size_t offset, unsigned size);
u8 virtio_config_generation(struct virtio_device *device); /* changes with the configuration */
/* Stop the device for good: when this returns it touches no memory any more. => may sleep */
void virtio_reset(struct virtio_device *device);
struct sysfs_node;
struct sysfs_node *virtio_sysfs(struct virtio_device *device); /* its directory, or NULL */

void virtio_init(void); /* after pci_init() */
void virtio_console_init(void);
void virtio_block_init(void);

#endif
