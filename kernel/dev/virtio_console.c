/* SPDX-License-Identifier: MIT */
/*
 * Virtio ports (virtio 1.1, 5.3): byte streams between host and guest, each with a name. A port is
 * /dev/vportNpM, and by its name /dev/virtio-ports/NAME.
 *
 * Two control queues tell of ports: the host says PORT_ADD, we say PORT_READY, it answers with the
 * name and whether somebody is connected at its end. A kernel thread reads them, since making
 * device nodes may sleep. Each port has a queue for either direction. Received buffers wait in order
 * in a list until they are read, and only then go back to the device: that is the flow control. A
 * write returns when the host has taken its bytes.
 */
#include <vellum/virtio.h>
#include <vellum/alloc.h>
#include <vellum/format.h>
#include <vellum/file.h>
#include <vellum/printk.h>
#include <vellum/string.h>
#include <vellum/time.h>
#include <linux/eventpoll.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#define PORT_MAJOR      251 /* of the range for local use */
#define PORTS_MAX       64
#define QUEUE_SIZE      16
#define RECEIVE_BUFFERS 4
#define SEND_ORDER      2
#define SEND_SIZE       (PAGE_SIZE << SEND_ORDER)
#define NAME_SIZE       64
#define CONTROL_IN      2
#define CONTROL_OUT     3
#define PROBE_TIMEOUT   (10 * NSEC_PER_SEC)

struct receive_buffer {
    struct list link; /* [port->lock] in port->received */
    u32 used, length; /* read so far, of */
    char *data;       /* a page */
};

struct console_device;

struct port {
    struct console_device *device;
    unsigned id;
    char name[NAME_SIZE];
    struct virtqueue *in, *out;
    spinlock_t lock;        /* interrupts off */
    struct list received;   /* [lock] filled buffers, oldest first */
    bool host_connected;    /* [lock] */
    bool removed;           /* [lock] */
    bool send_done;         /* [lock] the device has taken what was being written */
    struct wait_queue wait; /* readers, writers, poll */
    struct mutex read_mutex, write_mutex;
    char *send_buffer; /* [write_mutex] */
    unsigned opens;    /* [device->mutex] */
    struct receive_buffer buffers[RECEIVE_BUFFERS];
};

struct console_device {
    struct virtio_device *virtio;
    unsigned number;
    struct virtqueue *control_in, *control_out;
    struct mutex mutex;     /* control messages out, opens */
    struct wait_queue wait; /* the thread: control messages have come */
    struct wait_queue probe_wait;
    unsigned added, named; /* ports so far; the thread's */
    struct port *ports[PORTS_MAX];
};

struct control {
    struct virtio_console_control header;
    char text[NAME_SIZE * 2];
};

static struct console_device *devices[4];
static unsigned device_count;

/* ---- control messages ----------------------------------------------------------------------------------- */

/* => device->mutex held or the thread alone; may sleep */
static void send_control(struct console_device *d, unsigned id, unsigned event, unsigned value)
{
    struct virtio_console_control *m = kmalloc(sizeof(*m), ALLOC_KERNEL);
    struct virtio_buffer b = {m, sizeof(*m)};
    void *done;
    u32 length;

    while ((done = virtqueue_get(d->control_out, &length)))
        kfree(done);
    if (!m)
        return;
    *m = (struct virtio_console_control){.id = id, .event = event, .value = value};
    if (virtqueue_add(d->control_out, &b, 1, 0, m) != 0)
        kfree(m);
    else
        virtqueue_kick(d->control_out);
}

static void post_receive(struct port *p, struct receive_buffer *b)
{
    struct virtio_buffer vb = {b->data, PAGE_SIZE};

    b->used = b->length = 0;
    if (virtqueue_add(p->in, &vb, 0, 1, b) == 0)
        virtqueue_kick(p->in);
}

static void received(struct virtqueue *q)
{
    struct port *p = q->driver_data;
    struct receive_buffer *b;
    u32 length;

    while ((b = virtqueue_get(q, &length))) {
        unsigned long flags = spin_lock_irqsave(&p->lock);

        b->length = min_t(u32, length, PAGE_SIZE);
        list_add_tail(&b->link, &p->received);
        spin_unlock_irqrestore(&p->lock, flags);
    }
    wake_up_all(&p->wait);
}

static void sent(struct virtqueue *q)
{
    struct port *p = q->driver_data;
    u32 length;

    while (virtqueue_get(q, &length)) {
        unsigned long flags = spin_lock_irqsave(&p->lock);

        p->send_done = true;
        spin_unlock_irqrestore(&p->lock, flags);
    }
    wake_up_all(&p->wait);
}

static void control_received(struct virtqueue *q)
{
    struct console_device *d = q->driver_data;

    wake_up_all(&d->wait);
}

static int make_queues(struct port *p)
{
    unsigned first = p->id == 0 ? 0 : 2 + 2 * p->id;

    p->in = virtqueue_create(p->device->virtio, first, QUEUE_SIZE, received, p);
    if (is_err(p->in))
        return ptr_err(p->in);
    p->out = virtqueue_create(p->device->virtio, first + 1, QUEUE_SIZE, sent, p);
    return is_err(p->out) ? ptr_err(p->out) : 0;
}

static int add_port(struct console_device *d, unsigned id)
{
    struct port *p = kzalloc(sizeof(*p), ALLOC_KERNEL);
    struct page *send = pages_alloc(SEND_ORDER, ALLOC_KERNEL);
    int error = -ENOMEM;

    if (!p || !send)
        goto fail;
    p->device = d;
    p->id = id;
    p->send_buffer = page_to_virt(send);
    spin_init(&p->lock);
    list_init(&p->received);
    wait_queue_init(&p->wait);
    mutex_init(&p->read_mutex);
    mutex_init(&p->write_mutex);
    error = make_queues(p);
    if (error)
        goto fail;
    for (unsigned i = 0; i < RECEIVE_BUFFERS; i++) {
        struct page *page = page_alloc(ALLOC_KERNEL);

        if (!page)
            break; /* fewer are slower, not wrong */
        p->buffers[i].data = page_to_virt(page);
        post_receive(p, &p->buffers[i]);
    }
    d->ports[id] = p;
    return 0;
fail:
    if (send)
        page_put(send);
    if (!p || !p->in || is_err(p->in))
        kfree(p); /* else it stays: the queue refers to it */
    return error;
}

static void name_port(struct port *p, const char *name)
{
    char path[NAME_SIZE + 16];
    dev_id_t id = dev_make(PORT_MAJOR, p->device->number * PORTS_MAX + p->id);

    strlcpy(p->name, name, sizeof(p->name));
    for (char *c = p->name; *c; c++)
        if (*c == '/')
            *c = '_';
    snprintf(path, sizeof(path), "vport%up%u", p->device->number, p->id);
    devfs_add(path, S_IFCHR | 0600, id);
    snprintf(path, sizeof(path), "virtio-ports/%s", p->name);
    devfs_add(path, S_IFCHR | 0600, id);
    p->device->named++;
    wake_up_all(&p->device->probe_wait);
}

static void set_connected(struct port *p, bool connected)
{
    unsigned long flags = spin_lock_irqsave(&p->lock);

    p->host_connected = connected;
    spin_unlock_irqrestore(&p->lock, flags);
    wake_up_all(&p->wait);
}

static void handle_control(struct console_device *d, struct control *m, u32 length)
{
    unsigned id = m->header.id;
    struct port *p;

    if (length < sizeof(m->header) || id >= PORTS_MAX)
        return;
    p = d->ports[id];
    if (m->header.event == VIRTIO_CONSOLE_PORT_ADD && !p) {
        if (add_port(d, id) == 0) {
            d->added++;
            send_control(d, id, VIRTIO_CONSOLE_PORT_READY, 1);
        }
    } else if (p && m->header.event == VIRTIO_CONSOLE_PORT_NAME && !p->name[0]) {
        m->text[min_t(u32, length - sizeof(m->header), sizeof(m->text) - 1)] = '\0';
        name_port(p, m->text);
    } else if (p && m->header.event == VIRTIO_CONSOLE_PORT_OPEN) {
        set_connected(p, m->header.value);
    } else if (p && m->header.event == VIRTIO_CONSOLE_PORT_REMOVE) {
        p->removed = true;
        set_connected(p, false);
    }
}

static int control_thread(void *arg)
{
    struct console_device *d = arg;
    struct control *m;
    u32 length;

    send_control(d, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
    for (;;) {
        wait_event(&d->wait, virtqueue_used(d->control_in));
        mutex_lock(&d->mutex);
        while ((m = virtqueue_get(d->control_in, &length))) {
            struct virtio_buffer b = {m, sizeof(*m)};

            handle_control(d, m, length);
            virtqueue_add(d->control_in, &b, 0, 1, m);
        }
        virtqueue_kick(d->control_in);
        mutex_unlock(&d->mutex);
    }
    return 0;
}

/* ---- the file ----------------------------------------------------------------------------------------------- */

static int port_open(struct inode *inode, struct file *file)
{
    unsigned minor = dev_minor(inode_device(inode)), number = minor / PORTS_MAX;
    struct console_device *d = number < device_count ? devices[number] : NULL;
    struct port *p = d ? d->ports[minor % PORTS_MAX] : NULL;

    if (!p || p->removed)
        return -ENXIO;
    file->private_data = p;
    mutex_lock(&d->mutex);
    if (p->opens++ == 0)
        send_control(d, p->id, VIRTIO_CONSOLE_PORT_OPEN, 1);
    mutex_unlock(&d->mutex);
    return 0;
}

static void port_release(struct file *file)
{
    struct port *p = file->private_data;

    mutex_lock(&p->device->mutex);
    if (--p->opens == 0)
        send_control(p->device, p->id, VIRTIO_CONSOLE_PORT_OPEN, 0);
    mutex_unlock(&p->device->mutex);
}

static struct receive_buffer *oldest(struct port *p)
{
    unsigned long flags = spin_lock_irqsave(&p->lock);
    struct receive_buffer *b = list_first_entry_or_null(&p->received, struct receive_buffer, link);

    spin_unlock_irqrestore(&p->lock, flags);
    return b;
}

/* => read_mutex */
static ssize_t copy_received(struct port *p, struct iov_iter *iter)
{
    struct receive_buffer *b;
    ssize_t done = 0;

    while (iter->count > 0 && (b = oldest(p))) {
        size_t n =
            copy_to_iter(iter, b->data + b->used, min_t(size_t, iter->count, b->length - b->used));
        unsigned long flags;

        if (n == 0 && b->used < b->length)
            return done ? done : -EFAULT;
        done += n;
        b->used += n;
        if (b->used < b->length)
            break;
        flags = spin_lock_irqsave(&p->lock);
        list_del(&b->link);
        spin_unlock_irqrestore(&p->lock, flags);
        post_receive(p, b);
    }
    return done;
}

static ssize_t port_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct port *p = file->private_data;
    ssize_t r = mutex_lock_interruptible(&p->read_mutex);

    if (r)
        return r;
    while ((r = copy_received(p, iter)) == 0 && iter->count > 0 && READ_ONCE(p->host_connected)) {
        if (file->flags & O_NONBLOCK)
            r = -EAGAIN;
        else
            r = wait_event_interruptible(&p->wait, oldest(p) || !READ_ONCE(p->host_connected));
        if (r)
            break;
    }
    mutex_unlock(&p->read_mutex);
    return r;
}

/* Send what is in the buffer and wait until the host has it. => write_mutex */
static int send_and_wait(struct port *p, size_t n)
{
    struct virtio_buffer b = {p->send_buffer, n};
    int error;

    p->send_done = false;
    error = virtqueue_add(p->out, &b, 1, 0, p->send_buffer);
    if (error)
        return error;
    virtqueue_kick(p->out);
    wait_event_killable(&p->wait, READ_ONCE(p->send_done));
    return READ_ONCE(p->send_done) ? 0 : -EINTR;
}

static ssize_t port_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct port *p = file->private_data;
    ssize_t done = 0, r = mutex_lock_interruptible(&p->write_mutex);

    while (r == 0 && iter->count > 0) {
        size_t n;

        if (!READ_ONCE(p->host_connected)) {
            r = -EPIPE;
            break;
        }
        /* A writer that was killed while it waited left the buffer with the device. */
        if (done == 0 && p->out->free_count < p->out->size &&
            (r = wait_event_interruptible(&p->wait,
                                          READ_ONCE(p->out->free_count) == p->out->size)) != 0)
            break;
        n = copy_from_iter(iter, p->send_buffer, min_t(size_t, iter->count, SEND_SIZE));
        if (n == 0)
            r = -EFAULT;
        else if ((r = send_and_wait(p, n)) == 0)
            done += n;
    }
    mutex_unlock(&p->write_mutex);
    return done ? done : r;
}

static unsigned port_poll(struct file *file, struct poll_table *table)
{
    struct port *p = file->private_data;
    bool connected;
    unsigned events = 0;

    poll_wait(file, &p->wait, table);
    connected = READ_ONCE(p->host_connected);
    if (oldest(p) || !connected)
        events |= EPOLLIN | EPOLLRDNORM;
    if (connected)
        events |= EPOLLOUT | EPOLLWRNORM;
    else
        events |= EPOLLHUP;
    return events;
}

static const struct file_ops port_ops = {
    .open = port_open,
    .release = port_release,
    .read = port_read,
    .write = port_write,
    .poll = port_poll,
};

/* ---- start ------------------------------------------------------------------------------------------------------ */

static int post_control_buffers(struct console_device *d)
{
    for (unsigned i = 0; i < QUEUE_SIZE; i++) {
        struct control *m = kzalloc(sizeof(*m), ALLOC_KERNEL);
        struct virtio_buffer b = {m, sizeof(*m)};

        if (!m)
            return i > 0 ? 0 : -ENOMEM;
        if (virtqueue_add(d->control_in, &b, 0, 1, m) != 0) {
            kfree(m);
            break;
        }
    }
    return 0;
}

static int console_probe(struct virtio_device *virtio)
{
    struct console_device *d;
    struct thread *t;
    int error;

    if (!(virtio->features & BIT(VIRTIO_CONSOLE_F_MULTIPORT)) ||
        device_count == ARRAY_SIZE(devices))
        return -ENODEV;
    d = kzalloc(sizeof(*d), ALLOC_KERNEL);
    if (!d)
        return -ENOMEM;
    d->virtio = virtio;
    d->number = device_count;
    mutex_init(&d->mutex);
    wait_queue_init(&d->wait);
    wait_queue_init(&d->probe_wait);
    d->control_in = virtqueue_create(virtio, CONTROL_IN, QUEUE_SIZE, control_received, d);
    d->control_out = virtqueue_create(virtio, CONTROL_OUT, QUEUE_SIZE, NULL, d);
    if (is_err(d->control_in) || is_err(d->control_out))
        return -ENODEV; /* d stays: a queue may refer to it */
    error = post_control_buffers(d);
    if (error)
        return error;
    virtio_ready(virtio);
    virtqueue_kick(d->control_in);
    devices[device_count++] = d;
    t = kthread_start(control_thread, d, "vports/%u", d->number);
    if (is_err(t))
        return ptr_err(t);
    /* The host tells of its ports at once; programs expect to find them. */
    error = wait_event_state(&d->probe_wait, d->named > 0 && d->named == d->added,
                             TASK_UNINTERRUPTIBLE, ktime_after(PROBE_TIMEOUT), false);
    pr_info("virtio-console: %u ports%s", d->named, error ? " (the host does not name them)" : "");
    return 0;
}

static const struct virtio_driver console_driver = {
    .name = "virtio-console",
    .type = VIRTIO_ID_CONSOLE,
    .features = BIT(VIRTIO_CONSOLE_F_MULTIPORT),
    .probe = console_probe,
};

void virtio_console_init(void)
{
    int error = char_device_register(PORT_MAJOR, 0, ARRAY_SIZE(devices) * PORTS_MAX,
                                     "virtio-portsdev", &port_ops);

    if (error)
        pr_err("virtio-console: error %d", -error);
    else
        virtio_driver_register(&console_driver);
}
