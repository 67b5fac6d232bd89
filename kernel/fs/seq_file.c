/* SPDX-License-Identifier: MIT */
/*
 * Text made when it is read (seq_file.h). What show has made at once stays the same until the file is
 * read from its start again; so what a program puts together from several reads is consistent. Of a
 * file of many records only each record is: the next may be of a later time.
 */
#include "internal.h"
#include <vellum/seq_file.h>
#include <vellum/signal.h>

#define FIRST_SIZE PAGE_SIZE
#define MAX_SIZE   (64UL << 20)

int seq_open(struct file *file, int (*show)(struct seq_file *m, void *arg), void *arg)
{
    struct seq_file *m = kzalloc(sizeof(*m), ALLOC_KERNEL);

    if (!m)
        return -ENOMEM;
    mutex_init(&m->mutex);
    m->show = show;
    m->arg = arg;
    file->private_data = m;
    return 0;
}

static void buffer_free(struct seq_file *m)
{
    kfree(m->buffer);
    m->buffer = NULL;
    m->size = m->used = 0;
}

static int buffer_alloc(struct seq_file *m, size_t size)
{
    buffer_free(m);
    m->buffer = size <= MAX_SIZE ? kmalloc(size, ALLOC_KERNEL) : NULL;
    if (!m->buffer)
        return -ENOMEM;
    m->size = size;
    return 0;
}

/* Make the text from a cursor on, in a larger buffer each time it does not fit. */
static int seq_fill(struct seq_file *m, loff_t start, u64 cursor)
{
    int error = m->buffer ? 0 : buffer_alloc(m, FIRST_SIZE);

    while (!error) {
        m->used = 0;
        m->overflow = m->more = false;
        m->start = start;
        m->cursor = cursor;
        error = m->show(m, m->arg);
        if (error || !m->overflow)
            break;
        error = buffer_alloc(m, m->size * 2);
    }
    if (error)
        buffer_free(m);
    return error;
}

bool seq_full(struct seq_file *m, size_t before, u64 cursor)
{
    if (!m->overflow)
        return false;
    if (before) {
        m->used = before;
        m->overflow = false;
        m->more = true;
        m->cursor = cursor;
    }
    return true;
}

/* Have the text at a position in the buffer, unless it ends before. A position before the buffer can
 * only be found from the start. */
static int seq_find(struct seq_file *m, loff_t pos)
{
    int error = 0;

    if (pos == 0 || !m->buffer || pos < m->start)
        error = seq_fill(m, 0, 0);
    while (!error && m->more && pos >= m->start + (loff_t)m->used)
        error = fatal_signal_pending() ? -EINTR : seq_fill(m, m->start + m->used, m->cursor);
    return error;
}

ssize_t seq_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct seq_file *m = file->private_data;
    ssize_t n;

    mutex_lock(&m->mutex);
    n = seq_find(m, *pos);
    if (!n && *pos < m->start + (loff_t)m->used) {
        size_t offset = *pos - m->start;

        n = copy_to_iter(iter, m->buffer + offset, m->used - offset);
        if (!n && iter->count)
            n = -EFAULT;
        else
            *pos += n;
    }
    mutex_unlock(&m->mutex);
    return n;
}

void seq_release(struct file *file)
{
    struct seq_file *m = file->private_data;

    buffer_free(m);
    kfree(m);
}

void seq_write(struct seq_file *m, const void *data, size_t n)
{
    if (unlikely(n > m->size - m->used)) {
        m->overflow = true;
        n = m->size - m->used;
    }
    memcpy(m->buffer + m->used, data, n);
    m->used += n;
}

void seq_putc(struct seq_file *m, char c)
{
    seq_write(m, &c, 1);
}

void seq_puts(struct seq_file *m, const char *s)
{
    seq_write(m, s, strlen(s));
}

static void seq_emit(void *context, const char *text, size_t length)
{
    seq_write(context, text, length);
}

void seq_printf(struct seq_file *m, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vformat(seq_emit, m, format, args);
    va_end(args);
}

void seq_escape(struct seq_file *m, const char *s, const char *chars)
{
    for (; *s; s++)
        if (strchr(chars, *s))
            seq_printf(m, "\\%03o", (unsigned char)*s);
        else
            seq_putc(m, *s);
}

/* Groups of 32 bits, the highest first and as short as it may be. */
void seq_mask(struct seq_file *m, u64 bits, unsigned width)
{
    unsigned low = min(width, 32U), high = width - low;

    if (high)
        seq_printf(m, "%0*x,", (int)(high + 3) / 4, (unsigned)(bits >> 32));
    seq_printf(m, "%0*x", (int)(low + 3) / 4, (unsigned)bits);
}

void seq_ranges(struct seq_file *m, u64 bits)
{
    for (unsigned first = 0, last; first < 64; first = last + 1) {
        last = first;
        if (!(bits & BIT(first)))
            continue;
        while (last < 63 && (bits & BIT(last + 1)))
            last++;
        seq_printf(m, last > first ? "%u-%u" : "%u", first, last);
        bits &= last < 63 ? ~(BIT(last + 1) - 1) : 0;
        if (bits)
            seq_putc(m, ',');
    }
}
