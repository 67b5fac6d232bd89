/* SPDX-License-Identifier: MIT */
/*
 * Character devices: from the number of a node to the operations of its driver, when it is opened.
 */
#include "internal.h"
#include <vellum/seq_file.h>

struct char_device {
    struct list link; /* [lock] */
    unsigned major, first, n;
    const char *name;
    const struct file_ops *ops;
};

static DEFINE_SPINLOCK(lock);
static struct list devices = LIST_INIT(devices); /* [lock] only grows */

int char_device_register(unsigned major, unsigned first, unsigned n, const char *name,
                         const struct file_ops *ops)
{
    struct char_device *dev = kmalloc(sizeof(*dev), ALLOC_KERNEL);

    if (!dev)
        return -ENOMEM;
    *dev = (struct char_device){.major = major, .first = first, .n = n, .name = name, .ops = ops};
    spin_lock(&lock);
    list_add_tail(&dev->link, &devices);
    spin_unlock(&lock);
    return 0;
}

dev_id_t inode_device(const struct inode *inode)
{
    return inode->rdev;
}

static const struct file_ops *char_device_find(dev_id_t id)
{
    unsigned major = dev_major(id), minor = dev_minor(id);
    const struct file_ops *ops = NULL;
    struct char_device *dev;

    spin_lock(&lock);
    list_for_each_entry(dev, &devices, link)
        if (dev->major == major && minor - dev->first < dev->n)
            ops = dev->ops;
    spin_unlock(&lock);
    return ops;
}

bool char_device_exists(dev_id_t id)
{
    return char_device_find(id) != NULL;
}

static int char_device_open(struct inode *inode, struct file *file)
{
    const struct file_ops *ops = char_device_find(inode->rdev);

    if (!ops)
        return -ENXIO;
    file_set_ops(file, ops);
    return ops->open ? ops->open(inode, file) : 0;
}

static int open_none(struct inode *inode, struct file *file)
{
    return -ENXIO;
}

static const struct file_ops char_device_file_ops = {.open = char_device_open};
const struct file_ops no_device_file_ops = {.open = open_none};
const struct file_ops bad_file_ops = {0};

void inode_init_special(struct inode *inode, mode_t mode, dev_id_t device)
{
    switch (mode & S_IFMT) {
    case S_IFCHR:
        inode->rdev = device;
        inode->file_ops = &char_device_file_ops;
        break;
    case S_IFBLK:
        inode->rdev = device;
        inode->file_ops = &block_device_file_ops;
        break;
    case S_IFIFO:
        inode->file_ops = &fifo_file_ops;
        break;
    default: /* a socket is reached through its name by connect(2) only */
        inode->file_ops = &no_device_file_ops;
    }
}

static const char *const major_names[] = {[1] = "mem", [4] = "tty", [5] = "/dev/tty"};

/* Each major number once, as Linux names those that programs look for. */
void char_devices_show(struct seq_file *m)
{
    struct char_device *dev, *before;

    spin_lock(&lock);
    list_for_each_entry(dev, &devices, link) {
        list_for_each_entry(before, &devices, link)
            if (before->major == dev->major)
                break;
        if (before == dev)
            seq_printf(m, "%3u %s\n", dev->major,
                       dev->major < ARRAY_SIZE(major_names) && major_names[dev->major]
                           ? major_names[dev->major]
                           : dev->name);
    }
    spin_unlock(&lock);
}
