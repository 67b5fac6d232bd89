/* SPDX-License-Identifier: MIT */
/*
 * Virtqueues: how a driver and a virtio device pass buffers to each other (split virtqueues).
 *
 * A split queue has three parts: descriptors (address, length, next), the "available" ring in which
 * the driver puts the heads of chains, and the "used" ring in which the device gives them back. Free
 * descriptors are chained through their `next`. Each side's index grows for ever, modulo 2^16.
 */
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/printk.h>
#include <vellum/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

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
