/* SPDX-License-Identifier: MIT */
/*
 * The devices behind major number 1: null, zero, full, random, urandom, kmsg (mem(4), null(4),
 * full(4), random(4)).
 */
#include <vellum/device.h>
#include <vellum/file.h>
#include <vellum/mm.h>
#include <vellum/printk.h>
#include <vellum/random.h>
#include <vellum/string.h>
#include <linux/eventpoll.h>
#include <linux/fs.h>
#include <linux/major.h>

static ssize_t null_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    return 0;
}

static ssize_t null_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    size_t n = iter->count;

    iov_advance(iter, n);
    return n;
}

static ssize_t zero_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    size_t want = iter->count, n = zero_iter(iter, want);

    return n || !want ? (ssize_t)n : -EFAULT;
}

static ssize_t full_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    return -ENOSPC;
}

/* A private mapping of /dev/zero is anonymous memory; a shared one a file of its own in memory. */
static int zero_mmap(struct file *file, struct vma *vma)
{
    struct file *memory;

    if (!(vma->flags & VM_SHARED))
        return 0;
    memory = shmem_file_create(vma->end - vma->start, !(vma->flags & VM_NORESERVE));
    if (is_err(memory))
        return ptr_err(memory);
    file_put(vma->file);
    vma->file = memory;
    return memory->ops->mmap(memory, vma);
}

static loff_t mem_seek(struct file *file, loff_t offset, int whence)
{
    return file->pos = 0;
}

static ssize_t random_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    ssize_t done = 0;
    u8 bytes[256];

    while (iter->count > 0 && (done == 0 || !(current->work & WORK_SIGNAL))) {
        size_t n = min_t(size_t, iter->count, sizeof(bytes)), copied;

        random_bytes(bytes, n);
        copied = copy_to_iter(iter, bytes, n);
        done += copied;
        if (copied < n)
            return done ? done : -EFAULT;
    }
    memset(bytes, 0, sizeof(bytes));
    return done;
}

static ssize_t random_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    ssize_t done = 0;
    u8 bytes[64];
    size_t n;

    while ((n = copy_from_iter(iter, bytes, min_t(size_t, iter->count, sizeof(bytes)))) > 0) {
        random_add(bytes, n);
        done += n;
    }
    return done || iter->count == 0 ? done : -EFAULT;
}

/* ---- kmsg: one record a read; the file's pos is the number of the next ------------------------------- */

static int kmsg_open(struct inode *inode, struct file *file)
{
    file->version = log_first();
    return 0;
}

static ssize_t kmsg_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    char text[LOG_RECORD_MAX];
    u64 next = file->version;
    size_t n;
    int r;

    if (file->version < log_first()) { /* it has missed some */
        file->version = log_first();
        return -EPIPE;
    }
    while ((n = log_read_fields(&next, text, sizeof(text))) == 0) {
        if (file->flags & O_NONBLOCK)
            return -EAGAIN;
        r = wait_event_interruptible(&log_wait, log_next() > file->version);
        if (r)
            return r;
    }
    if (n > iter->count)
        return -EINVAL;
    file->version = next;
    return copy_to_iter(iter, text, n) == n ? (ssize_t)n : -EFAULT;
}

/* "<30>text": level 6 of facility 3, which is the user's (1) at the least: zero is the kernel. */
static int kmsg_prefix(char **text)
{
    char *p = *text + 1, *end;
    u64 prefix;

    if (**text != '<' || !(end = strchr(p, '>')) || end - p > 3)
        return LOG_NOTICE + LOG_FROM_USER;
    *end = '\0';
    if (str_to_u64(p, 10, &prefix) != 0 || prefix > 255) {
        *end = '>';
        return LOG_NOTICE + LOG_FROM_USER;
    }
    *text = end + 1;
    return prefix < LOG_FROM_USER ? prefix + LOG_FROM_USER : prefix;
}

static ssize_t kmsg_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    char text[480], *p = text;
    size_t want = min_t(size_t, iter->count, sizeof(text) - 1),
           n = copy_from_iter(iter, text, want);
    int level;

    if (n < want)
        return -EFAULT;
    text[n] = '\0';
    level = kmsg_prefix(&p);
    printk(level, "%.*s", (int)strcspn(p, "\n"), p);
    n += iter->count;
    iov_advance(iter, iter->count);
    return n;
}

static loff_t kmsg_seek(struct file *file, loff_t offset, int whence)
{
    if (offset != 0)
        return -ESPIPE;
    switch (whence) {
    case SEEK_SET:
        file->version = log_first();
        break;
    case SEEK_DATA:
        file->version = max(log_cleared(), log_first());
        break;
    case SEEK_END:
        file->version = log_next();
        break;
    default:
        return -EINVAL;
    }
    return 0;
}

static unsigned kmsg_poll(struct file *file, struct poll_table *table)
{
    poll_wait(file, &log_wait, table);
    return EPOLLOUT | EPOLLWRNORM | (log_next() > file->version ? EPOLLIN | EPOLLRDNORM : 0);
}

static const struct file_ops null_ops = {.read = null_read, .write = null_write, .seek = mem_seek};
static const struct file_ops zero_ops = {
    .read = zero_read, .write = null_write, .seek = mem_seek, .mmap = zero_mmap};
static const struct file_ops full_ops = {.read = zero_read, .write = full_write, .seek = mem_seek};
static const struct file_ops random_ops = {
    .read = random_read, .write = random_write, .seek = mem_seek};
static const struct file_ops kmsg_ops = {.open = kmsg_open,
                                         .read = kmsg_read,
                                         .write = kmsg_write,
                                         .seek = kmsg_seek,
                                         .poll = kmsg_poll};

void mem_devices_init(void)
{
    static const struct {
        const char *name;
        unsigned minor;
        mode_t mode;
        const struct file_ops *ops;
    } devices[] = {
        {"null", 3, 0666, &null_ops},      {"zero", 5, 0666, &zero_ops},
        {"full", 7, 0666, &full_ops},      {"random", 8, 0666, &random_ops},
        {"urandom", 9, 0666, &random_ops}, {"kmsg", 11, 0644, &kmsg_ops},
    };

    random_init();
    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
        int error =
            char_device_register(MEM_MAJOR, devices[i].minor, 1, devices[i].name, devices[i].ops);

        if (error == 0)
            error = devfs_add(devices[i].name, S_IFCHR | devices[i].mode,
                              dev_make(MEM_MAJOR, devices[i].minor));
        if (error)
            pr_err("%s: error %d", devices[i].name, -error);
    }
}
