/* SPDX-License-Identifier: MIT */
/*
 * /proc/sys/vm/dirty_*: how much may be dirty (proc(5)). Each limit is a share of memory or a number of
 * bytes: the one that was written last; the other is 0 then.
 */
#include "../internal.h"
#include "internal.h"
#include <vellum/writeback.h>

static int show(struct seq_file *m, unsigned long value)
{
    seq_printf(m, "%lu\n", value);
    return 0;
}

static ssize_t set_ratio(char *text, int *ratio, unsigned long *bytes)
{
    s64 value;
    int error = proc_parse(text, 0, 100, &value);

    if (error)
        return error;
    if (value != READ_ONCE(*ratio))
        WRITE_ONCE(*bytes, 0);
    WRITE_ONCE(*ratio, value);
    flushers_look();
    return 0;
}

static ssize_t set_bytes(char *text, u64 min, unsigned long *bytes, int *ratio)
{
    s64 value;
    int error = proc_parse(text, min, INT64_MAX, &value);

    if (error)
        return error;
    if ((unsigned long)value != READ_ONCE(*bytes))
        WRITE_ONCE(*ratio, 0);
    WRITE_ONCE(*bytes, value);
    flushers_look();
    return 0;
}

int proc_show_dirty_ratio(struct seq_file *m, struct proc_inode *pi)
{
    return show(m, READ_ONCE(dirty_ratio));
}

ssize_t proc_write_dirty_ratio(struct proc_inode *pi, char *text, size_t n)
{
    return set_ratio(text, &dirty_ratio, &dirty_bytes);
}

int proc_show_dirty_background_ratio(struct seq_file *m, struct proc_inode *pi)
{
    return show(m, READ_ONCE(dirty_background_ratio));
}

ssize_t proc_write_dirty_background_ratio(struct proc_inode *pi, char *text, size_t n)
{
    return set_ratio(text, &dirty_background_ratio, &dirty_background_bytes);
}

int proc_show_dirty_bytes(struct seq_file *m, struct proc_inode *pi)
{
    return show(m, READ_ONCE(dirty_bytes));
}

ssize_t proc_write_dirty_bytes(struct proc_inode *pi, char *text, size_t n)
{
    return set_bytes(text, 2 * PAGE_SIZE, &dirty_bytes, &dirty_ratio);
}

int proc_show_dirty_background_bytes(struct seq_file *m, struct proc_inode *pi)
{
    return show(m, READ_ONCE(dirty_background_bytes));
}

ssize_t proc_write_dirty_background_bytes(struct proc_inode *pi, char *text, size_t n)
{
    return set_bytes(text, 1, &dirty_background_bytes, &dirty_background_ratio);
}

int proc_show_dirty_writeback(struct seq_file *m, struct proc_inode *pi)
{
    return show(m, READ_ONCE(dirty_writeback_centisecs));
}

/* Flushers that sleep by the old interval begin anew. */
ssize_t proc_write_dirty_writeback(struct proc_inode *pi, char *text, size_t n)
{
    s64 value;
    int error = proc_parse(text, 0, INT32_MAX, &value);

    if (error)
        return error;
    WRITE_ONCE(dirty_writeback_centisecs, value);
    flushers_look();
    return 0;
}
